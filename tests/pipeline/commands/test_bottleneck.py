"""What limits a loop follows from its stages alone, and what to change from what there is to change."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from onewarp.pipeline.commands.bottleneck import Setting, find_bottleneck
from onewarp.pipeline.loading.clock import LoopStats

STAGES = ("reading", "decoding", "targets", "warping")
SETTINGS = st.builds(
    Setting,
    cores=st.integers(1, 64),
    disk_bytes=st.integers(0, 2**40),
    encoding=st.sampled_from(["raw", "jpeg", "png", "webp"]),
    presize=st.integers(1, 2000),
    raw_bytes=st.integers(0, 2**40),
    memory=st.integers(2**20, 2**40),
    smallest_presize=st.integers(1, 2000),
    remote=st.booleans(),
)


@st.composite
def loops(draw, stall=(0.0, 1.0), busy=(0.0, 1.0)):
    """Statistics of a loop that stalls for a share of its time, with threads that are busy for another."""
    threads, seconds = draw(st.integers(1, 64)), draw(st.floats(0.01, 1000))
    shares = [draw(st.floats(0, 1)) for _ in STAGES]
    assume(sum(shares) > 0.01)
    work = draw(st.floats(*busy)) * threads * seconds
    waits = draw(st.floats(*stall)) * seconds
    stages = {name: share / sum(shares) * work for name, share in zip(STAGES, shares, strict=True)}
    batches = draw(st.integers(1, 1000))
    slack = draw(st.floats(0, 1)) * (seconds - waits)
    return LoopStats(threads, draw(st.integers(1, batches)), batches, batches * 64, seconds, waits, slack, **stages)


@given(loops(stall=(0.0, 0.049)), SETTINGS)
def test_a_consumer_that_hardly_waits_limits_the_loop_whatever_the_stages_took(stats, setting):
    found = find_bottleneck(stats, setting)
    assert (found.limit, found.change) == ("consumer", "nothing")


@given(loops(stall=(0.06, 1.0), busy=(0.51, 1.0)), SETTINGS, st.sampled_from(STAGES))
def test_busy_threads_are_limited_by_the_stage_that_takes_most(stats, setting, stage):
    largest = max(STAGES, key=lambda name: getattr(stats, name))
    stats = replace(stats, **{largest: getattr(stats, stage), stage: getattr(stats, largest)})
    first, second = sorted(getattr(stats, name) for name in STAGES)[-2:]
    assume(first < second)
    assert find_bottleneck(stats, setting).limit == stage


@given(loops(stall=(0.06, 1.0), busy=(0.0, 0.49)), SETTINGS)
def test_idle_threads_are_limited_by_how_the_loop_is_cut_into_batches(stats, setting):
    found = find_bottleneck(stats, setting)
    assert (found.limit, found.change) == ("batches", "batch size")
    assert ("take smaller batches" in found.sentence) == (stats.batches / stats.loops < 4 * stats.threads)


@given(loops(), SETTINGS)
def test_nothing_is_advised_that_is_done_already_or_cannot_be_done(stats, setting):
    found = find_bottleneck(stats, setting)
    match found.change:
        case "nothing":
            assert found.limit == "consumer"
        case "batch size":
            assert found.limit == "batches"
        case "disk":
            assert found.limit == "reading"
            assert setting.disk_bytes > 0
            assert not setting.remote
        case "service":
            assert found.limit == "reading"
            assert setting.remote
        case "threads":
            assert stats.threads < setting.cores
        case "raw":
            assert found.limit == "decoding"
            assert setting.encoding != "raw"
            assert setting.raw_bytes < setting.memory
        case "presize":
            assert setting.smallest_presize < setting.presize
        case _:
            assert found.change == "machine"
            assert stats.threads >= setting.cores


@given(loops(), SETTINGS)
def test_the_verdict_is_one_sentence_with_its_figures(stats, setting):
    sentence = find_bottleneck(stats, setting).sentence
    assert f"{stats.samples / stats.seconds:,.0f} samples/s" in sentence
    assert "%" in sentence
    assert sentence.endswith(".")
    assert ". " not in sentence


@given(loops(stall=(0.06, 1.0)), SETTINGS, st.sampled_from([0.25, 0.5, 2.0, 64.0]))
def test_a_machine_that_is_as_many_times_slower_in_all_has_the_same_bottleneck(stats, setting, factor):
    times = ("seconds", "stall", "slack", *STAGES)
    slower = replace(stats, **{name: factor * getattr(stats, name) for name in times})
    one, other = find_bottleneck(stats, setting), find_bottleneck(slower, setting)
    assert (one.limit, one.change) == (other.limit, other.change)


LOOP = LoopStats(2, 1, 40, 2560, 10.0, 9.0, 0.5)
SETTING = Setting(2, 0, "jpeg", 460, 2**30, 8 * 2**30, 300)


@pytest.mark.parametrize(
    ("stats", "setting", "sentence"),
    [
        (
            {"stall": 0.1, "warping": 20},
            {},
            "The consumer limits this loop, which waited for batches in 1% of its 10 s, at 256 samples/s: nothing of "
            "the loader has to be changed.",
        ),
        (
            {"decoding": 15, "warping": 5},
            {},
            "Decoding limits this loop: 75% of the time of its threads (15 of 20 s), at 256 samples/s; store the rows "
            "raw (presize --encoding raw), which takes 1 GiB and needs no decoding.",
        ),
        (
            {"decoding": 15},
            {"cores": 8},
            "Decoding limits this loop: 100% of the time of its threads (15 of 15 s), at 256 samples/s; take more "
            "threads, 8 for as many cores in place of 2.",
        ),
        (
            {"decoding": 15},
            {"memory": 2**30},
            "Decoding limits this loop: 100% of the time of its threads (15 of 15 s), at 256 samples/s; take a smaller "
            "presize (presize --size 300): rows of 460 px are larger than this recipe needs.",
        ),
        (
            {"reading": 15},
            {"disk_bytes": 10**9, "cores": 8},
            "Reading limits this loop: 100% of the time of its threads (15 of 15 s), at 256 samples/s; the disk gave "
            "100 MB/s: take a faster one, or a smaller presize.",
        ),
        (
            {"reading": 15},
            {"remote": True, "encoding": "raw"},
            "Reading limits this loop: 100% of the time of its threads (15 of 15 s), at 256 samples/s; rows come from "
            "a service: take more replicas, a faster network, or JPEG rows (presize --encoding jpeg).",
        ),
        (
            {"warping": 15},
            {"presize": 310},
            "Warping limits this loop: 100% of the time of its threads (15 of 15 s), at 256 samples/s; all 2 cores are "
            "in use, so take more of them, or a recipe that makes smaller images.",
        ),
        (
            {"batches": 4, "warping": 5},
            {},
            "The few batches of a loop limit it: its threads are busy for 25% of the time, at 256 samples/s, since 4 "
            "batches are few for 2 threads, which begin and end with the loop; take smaller batches.",
        ),
        (
            {"warping": 5},
            {},
            "What each batch costs beside its stages limits this loop: its threads are busy for 25% of the time, at "
            "256 samples/s, and a batch comes every 250 ms; take larger batches.",
        ),
    ],
)
def test_what_is_said(stats, setting, sentence):
    assert find_bottleneck(replace(LOOP, **stats), replace(SETTING, **setting)).sentence == sentence
