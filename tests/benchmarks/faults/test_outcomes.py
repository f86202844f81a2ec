"""How often each outcome was seen, in the JSON and in the table."""

from onewarp.benchmarks.faults import outcomes


def case(kind: str) -> outcomes.Case:
    return outcomes.Case(kind, "cache", "byte 3", lambda: outcomes.Outcome("whole"))


def test_the_table_counts_every_outcome():
    said = [(case("killed"), outcomes.Outcome(state)) for state in (*outcomes.ALLOWED, "whole", "hang")]
    said.append((case("files cut"), outcomes.Outcome("signal", "status -11")))
    lines = outcomes.table(outcomes.rows(outcomes.count(said))).splitlines()
    words = "whole and equal | mended | refused by name | wrong | hang | signal | traceback |"
    assert lines[0] == f"| kind of fault | of | cases | {words}"
    assert lines[2:] == [
        "| killed | cache | 5 | 2 | 1 | 1 | 0 | 1 | 0 | 0 |",
        "| files cut | cache | 1 | 0 | 0 | 0 | 0 | 0 | 1 | 0 |",
        "| all | | 6 | 2 | 1 | 1 | 0 | 1 | 1 | 0 |",
    ]


def test_faults_that_no_verification_found_are_counted_beside_the_states():
    said = [(case("killed"), outcomes.Outcome("whole", silent=silent)) for silent in (True, False, True)]
    (row,) = outcomes.rows(outcomes.count(said))
    assert (row["cases"], row["silent"], row["outcomes"]["whole"]) == (3, 2, 3)


def test_a_case_is_named_by_what_it_does_to_what():
    assert case("killed").title == "cache: killed: byte 3"
