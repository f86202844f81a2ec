import json
from dataclasses import asdict

from onewarp.benchmarks import pets, readme


def run(variant, seed, error):
    recipe = asdict(pets.Recipe(size=224, epochs=6))
    images = {"train": 392, "valid": 100}
    return {
        "variant": variant,
        "seed": seed,
        "recipe": recipe,
        "images": images,
        "torch": "2.15",
        "table": [],
        "error_rate": error,
    }


RUNS = [
    run("no augmentation", 1, 0.4),
    run("one warp", 0, 0.1),
    run("one warp", 1, 0.3),
    run("no augmentation", 0, 0.3),
    run("one at a time", 2, 0.2),
]


def test_the_table_compares_the_same_seeds():
    assert pets.table(RUNS).splitlines()[2:] == [
        f"| one warp: {pets.VARIANTS['one warp']} | 10.0%, 30.0% | 20.0% | 14.1% |  |",
        f"| one at a time: {pets.VARIANTS['one at a time']} | 20.0% | 20.0% |  |  |",
        f"| no augmentation: {pets.VARIANTS['no augmentation']} | 30.0%, 40.0% | 35.0% | 7.1% | +15.0% (7.1%) |",
    ]


def test_the_caption_says_how_and_how_finely():
    words = pets.caption(RUNS[1:3])
    assert "224 px, batches of 16, `fine_tune(6, base_lr=0.003, freeze_epochs=2)` on 392 photos; 100 held out" in words
    assert "One photo more is 1.0%; which photos are held out moves an error by 4.0%" in words


def test_a_study_in_the_results_comes_into_the_page_of_training(tmp_path):
    other = {**RUNS[1], "recipe": asdict(pets.Recipe(size=160))}
    (tmp_path / "pets-224.json").write_text(json.dumps([*RUNS, other]))
    ((_, page),) = readme.training(tmp_path).items()
    study = page.partition("<!-- pets: begin -->")[2].partition("<!-- pets: end -->")[0]
    assert study == "\n" + pets.table(RUNS) + pets.caption(RUNS) + "\n" + pets.table([other]) + pets.caption([other])
