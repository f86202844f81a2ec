import pytest

from onewarp.errors import UsageError
from onewarp.trainers.demo import demo
from onewarp.trainers.synthetic_photos import draw_photos


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return draw_photos(tmp_path_factory.mktemp("photos"), per_class=7)


def test_it_leaves_one_page_that_shows_everything(photos, tmp_path):
    said = []
    report = demo(photos, tmp_path / "out", epochs=1, say=said.append)
    page = report.read_text()
    for heading in (
        "Augmented batches",
        "One warp beside",
        "Training",
        "Confusion matrix",
        "Highest losses",
        "Timings",
    ):
        assert f"<h2>{heading}" in page
    assert page.count('<img alt="') == 6
    assert page.count("data:image/png;base64,") == 6
    assert 'src="http' not in page
    assert ">striped_pebble<" in page
    assert any("presize" in line for line in said)
    assert said[-1] == f"the report is {report}"


def test_photos_without_labels_are_shown_and_not_trained_on(photos, tmp_path):
    report = demo(photos / "spotted_leaf", tmp_path / "out", say=lambda line: None)
    page = report.read_text()
    assert "<h2>Augmented batches" in page
    assert "<h2>Training" not in page


def test_a_folder_without_photos_is_refused(tmp_path):
    with pytest.raises(UsageError, match="must be a folder of photos"):
        demo(tmp_path, tmp_path / "out")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        demo(tmp_path, tmp_path / "file")
