"""The items of a source with their labels: what the user should know of them, and what stands in the footer."""

from onewarp.errors import MissingLabelError
from onewarp.pipeline import Cache, presize
from onewarp.pipeline.dataset.labels import ColReader, parent_label
from onewarp.pipeline.dataset.sources import FolderSource
from onewarp.pipeline.dataset.splits import FuncSplitter, HashSplitter
from onewarp.pipeline.dataset.tables import open_source
from onewarp.pipeline.presizing.catalogue import catalogue_of, notes, set_aside


def test_several_labels_in_one_column_are_noticed(pictures, tmp_path):
    tags = ["yellow spring", "red spring", "red", "yellow", "yellow red", "spring"]
    (pictures / "t.csv").write_text(
        "path,y\n" + "".join(f"{'dog' if i % 2 else 'cat'}/{i}.png,{tag}\n" for i, tag in enumerate(tags))
    )
    (note,) = presize(pictures / "t.csv", tmp_path / "C", 16, label="column:y").notes
    assert "'red spring' is one class of 6" in note
    assert "--label 'column:NAME: '" in note
    done = presize(pictures / "t.csv", tmp_path / "C", 16, label="column:y: ")
    assert (done.notes, Cache.open(tmp_path / "C").vocab) == ((), ["red", "spring", "yellow"])


def test_a_class_that_no_training_item_has_is_named(pictures, tmp_path):
    rows = ["cat/0.png,tom,0", "dog/1.png,rex,1", "cat/2.png,tom,1"]
    (pictures / "t.csv").write_text("\n".join(["path,y,is_valid", *rows]))
    done = presize(pictures / "t.csv", tmp_path / "C", 16, label="column:y", split="column:is_valid")
    assert done.notes == ("label: no training item has the label rex",)


def by_folder(path):
    return path.parent.name


def test_a_function_of_ones_own_labels_and_splits(pictures, tmp_path):
    """It stands in the footer by its name alone; nothing is decoded for nothing."""
    for _ in range(2):
        done = presize(pictures, tmp_path / "C", 16, label=by_folder, split=FuncSplitter(lambda path: path.stem == "0"))
    assert (done.decoded, done.copied, done.kept) == (0, 0, 12)
    cache = Cache.open(tmp_path / "C")
    assert str(done.cache) not in str(cache.footer["pipeline"])
    assert "by_folder (not registered)" in str(cache.footer["pipeline"])
    assert " at 0x" not in str(cache.footer["pipeline"])  # the same in every process
    assert (cache.vocab, cache.splits) == (["cat", "dog"], {"train": 11, "valid": 1})
    assert presize(pictures, tmp_path / "C", 16, label="parent", split="none").copied == 12


def test_items_stand_in_the_order_of_their_keys_with_labels_and_splits(pictures):
    source = FolderSource(str(pictures))
    catalogue = catalogue_of(source, parent_label, HashSplitter(0.4))
    keys = [item.key for item in catalogue.items]
    assert keys == sorted(keys)
    assert (len(keys), catalogue.vocab) == (12, ["cat", "dog"])
    splits = HashSplitter(0.4).names(keys, keys)
    for i, key in enumerate(keys):
        assert catalogue.columns(i) == {"label": catalogue.vocab.index(key.split("/")[0]), "split": splits[i]}
        assert catalogue.contents(i) == {}
    assert catalogue.targets == [{"name": "label", "kind": "category", "vocab": ["cat", "dog"]}]
    assert [field.name for field in catalogue.fields] == ["label", "split"]
    bare = catalogue_of(source, None, None)
    assert (bare.vocab, bare.targets, bare.columns(0), bare.fields) == (None, [], {}, [])


def test_a_vocabulary_that_was_learnt_names_only_classes_that_have_a_row(pictures):
    catalogue = catalogue_of(FolderSource(str(pictures)), parent_label, None)
    cats = [item.key for item in catalogue.items if item.key.startswith("cat")]
    assert catalogue.narrow_vocab([]) is catalogue
    assert catalogue.narrow_vocab(cats[1:]).vocab == ["cat", "dog"]
    narrow = catalogue.narrow_vocab(cats)
    assert narrow.vocab == ["dog"]
    assert {narrow.columns(i)["label"] for i, item in enumerate(narrow.items) if item.key not in cats} == {0}


def test_a_missing_label_is_an_error_in_the_place_of_what_its_row_is_made_of(pictures):
    (pictures / "t.csv").write_text("path,y\ncat/0.png,tom\ndog/1.png,\n")
    catalogue = catalogue_of(open_source(pictures / "t.csv"), ColReader("y"), None)
    assert catalogue.contents(0) == {}
    (error,) = catalogue.contents(1).values()
    assert (type(error), str(error)) == (MissingLabelError, "is missing")
    assert catalogue.columns(1) == {"label": None}


def test_what_became_no_item_is_set_aside_or_passed_by(pictures):
    for name in ("b.heic", "a.HEIC", ".hidden.png", "._0.png"):
        (pictures / name).touch()
    (pictures / "dog" / "again").symlink_to(pictures / "cat")
    (pictures / "dog" / "more").symlink_to(pictures / "cat")
    catalogue = catalogue_of(FolderSource(str(pictures)), None, None)
    assert [entry.key for entry in catalogue.set_aside] == ["a.HEIC", "b.heic"]
    assert all(entry.reason.startswith("is .heic, a format that is not read") for entry in catalogue.set_aside)
    (note,) = catalogue.notes
    assert note == (
        "passed by: ._0.png is hidden, .hidden.png is hidden, dog/again/ is the same folder as cat, … (4 in all)"
    )
    assert set_aside([1, 2, 3]) == notes([1, 2, 3], {}, None) == []  # a listing that knows nothing of it
