from pathlib import Path

import onewarp
from onewarp.benchmarks import ranks


def test_the_program_is_that_of_the_page_on_a_few_photos_of_each_class(pets, tmp_path):
    ranks.lay_out(tmp_path, pets)
    text = (tmp_path / "program.py").read_text()
    compile(text, "program.py", "exec")
    page = (Path(onewarp.__file__).parent / "README.md").read_text()
    assert text.removeprefix(ranks.WITHOUT_WEIGHTS) in page
    names = [photo.name.rsplit("_", 1)[0] for photo in (tmp_path / ranks.FOLDER).iterdir()]
    assert {names.count(name) for name in names} == {7}
    assert len(names) == 28
