"""How folders are read: parts under every usual name, classes, and what can be read in two ways."""

from collections.abc import Callable
from pathlib import Path

import pytest

from convlift.data.readers.part_names import part_of
from convlift.data.readers.recognize import Source, open_source
from convlift.errors import ConvliftError, DataError

MakeFolder = Callable[..., Path]


def places(source: Source) -> set[tuple[str, str]]:
    return {(item.split or "", source.classes[item.label]) for item in source.items}


def spread(*layouts: str, classes: str = "ab") -> dict[str, int]:
    """{"train/a": 3, ...}: three images a class in each folder; {} marks where the class goes."""
    return {layout.format(name) if "{}" in layout else f"{layout}/{name}": 3 for layout in layouts for name in classes}


OFFICIAL = {(split, name) for split in ("train", "test") for name in "ab"}


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("training_set", "test_set"),
        ("train_set", "test_set"),
        ("train-data", "test-data"),
        ("Training Data", "Test Data"),
        ("TRAIN", "TEST"),
        ("TrainingSet", "TestingSet"),
        ("trainset", "testset"),
        ("training", "holdout"),
        ("train", "hold_out"),
        ("Train", "Dev"),
        ("train", "eval"),
        ("train2017", "val2017"),
        ("train_images", "test_images"),
        ("seg_train", "seg_test"),
        ("trainval", "test"),
        ("train_val", "test"),
        ("train_augmented", "test"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("train/images", "test/images"),
        ("archive/train", "archive/test"),
        ("archive/dataset/Training", "archive/dataset/Validation"),
        ("{}/train", "{}/test"),
        ("{}_train", "{}_test"),
        ("train/{}/images", "val/{}/images"),
    ],
)
def test_usual_names_are_parts(make_folder: MakeFolder, train: str, test: str) -> None:
    assert places(open_source(str(make_folder(spread(train, test))))) == OFFICIAL


@pytest.mark.parametrize(
    "classes",
    [
        ("valid", "invalid"),
        ("test_positive", "test_negative"),
        ("freight_train", "passenger_train", "car"),
        ("train", "plane", "test_tube"),
        ("validation", "rejection"),
    ],
)
def test_classes_that_sound_like_parts_stay_classes(make_folder: MakeFolder, classes: tuple[str, ...]) -> None:
    source = open_source(str(make_folder(dict.fromkeys(classes, 3))))
    assert source.classes == tuple(sorted(classes))
    assert {item.split for item in source.items} == {None}


def test_what_was_taken_for_a_part_is_said(make_folder: MakeFolder) -> None:
    source = open_source(str(make_folder(spread("training_set", "test_set"))))
    (finding,) = source.findings
    assert finding.message == "read training_set as the training part, test_set as the test part."
    assert "--layout class" in finding.remedy
    assert not open_source(str(make_folder(spread("train", "test"), name="plain"))).findings


def test_a_name_says_one_part_and_perhaps_more() -> None:
    assert part_of("Train") == ("train", "")
    assert part_of("seg_train") == ("train", "seg")
    assert part_of("testing-images_02") == ("test", "")
    assert part_of("fold1_val") == ("validation", "fold 1")
    for name in ("trainer", "latest", "contest", "evaluate me", "train_test", "devil", "retrain", "", "été"):
        assert part_of(name) is None or part_of(name) == ("train", name), name


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        (("fold0", "fold1", "fold2"), "ab"),
        (("cats", "dogs"), ("camera1", "camera2")),
        (("x/photos", "y/photos"), "ab"),
        (("2021", "2022"), ("Oak", "Elm")),
    ],
)
def test_two_readings_stop_with_the_option_that_settles_it(
    make_folder: MakeFolder, outer: tuple[str, ...], inner: tuple[str, ...]
) -> None:
    root = make_folder({f"{a}/{b}": 3 for a in outer for b in inner})
    with pytest.raises(DataError, match=r"can be read in two ways: either .* are the classes, or") as caught:
        open_source(str(root))
    assert caught.value.exit_code == 3
    assert "--layout class" in str(caught.value)
    assert "\n" not in str(caught.value)
    tops = tuple(sorted({name.split("/")[0] for name in outer}))
    assert open_source(str(root), layout="class").classes == tops
    if outer[0].count("/") == 0:
        assert open_source(str(root), layout="folder/class").classes == tuple(sorted(inner))


def test_folds_that_lack_a_class_are_still_folds(make_folder: MakeFolder) -> None:
    root = make_folder({"fold0/a": 3, "fold0/b": 3, "fold1/a": 3, "fold1/b": 3, "fold1/c": 3})
    with pytest.raises(DataError, match="two ways"):
        open_source(str(root))


def test_classes_with_subfolders_of_their_own_are_read_and_said(make_folder: MakeFolder) -> None:
    root = make_folder({"dogs/husky": 3, "dogs/beagle": 3, "cats/siamese": 3, "cats/persian": 3})
    source = open_source(str(root))
    assert source.classes == ("cats", "dogs")
    assert [finding.kind for finding in source.findings] == ["nested"]
    deeper = open_source(str(root), layout="folder/class")
    assert deeper.classes == ("beagle", "husky", "persian", "siamese")
    assert not open_source(str(make_folder({"dogs": 3, "dogs/old": 3, "cats/new": 3}, name="mixed"))).findings


def test_a_data_set_beside_another_folder_is_said(make_folder: MakeFolder) -> None:
    (finding,) = open_source(str(make_folder({"photos/a": 3, "photos/b": 3, "masks": 3}))).findings
    assert "all images of photos lie in folders below, such as photos/a" in finding.message
    folds = make_folder({f"{part}/fold{n}/{k}": 2 for part in ("train", "test") for n in "01" for k in "ab"}, name="f")
    assert [finding.kind for finding in open_source(str(folds)).findings] == ["nested"]


def test_parts_may_be_read_as_classes_on_request(make_folder: MakeFolder) -> None:
    source = open_source(str(make_folder(spread("train", "test"))), layout="class")
    assert source.classes == ("test", "train")
    with pytest.raises(ConvliftError, match="layout 'flat' is not known; it is one of auto, class, folder/class"):
        open_source(str(make_folder({"a": 3, "b": 3}, name="other")), layout="flat")  # type: ignore[arg-type]


def test_one_folder_too_high_is_a_hint(make_folder: MakeFolder) -> None:
    root = make_folder(spread("photos"))
    with pytest.raises(DataError, match=r"images of one class \('photos'\) only.*Did you mean .*/pets/photos\?"):
        open_source(str(root))
    deep = make_folder(spread("archive/data"), name="deep")
    with pytest.raises(DataError, match=r"Did you mean .*/deep/archive/data\?"):
        open_source(str(deep))


def test_the_folder_above_several_data_sets_is_a_hint(make_folder: MakeFolder) -> None:
    root = make_folder({f"{name}/{part}/{k}": 3 for name in ("x", "y") for part in ("train", "test") for k in "ab"})
    with pytest.raises(DataError, match=r"holds 2 data sets .*Did you mean .*/pets/x or .*/pets/y\?"):
        open_source(str(root))


def test_a_wrong_path_and_a_folder_of_arrays_are_hints(make_folder: MakeFolder) -> None:
    root = make_folder({"a": 3, "b": 3}, name="photos")
    with pytest.raises(ConvliftError, match=r"there is no data at .*photso'; did you mean '.*/photos'\?"):
        open_source(str(root.parent / "photso"))
    (root.parent / "arrays").mkdir()
    (root.parent / "arrays" / "scans.npz").write_bytes(b"")
    with pytest.raises(DataError, match=r"holds no image, but arrays. Did you mean .*scans\.npz\?"):
        open_source(str(root.parent / "arrays"))


def test_one_array_archive_an_image_is_refused_with_what_to_do(tmp_path: Path) -> None:
    for name in ("a/0.npz", "a/1.npz", "b/0.npz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(
        DataError, match=r"holds 3 \.npz files in folders; one \.npz file an image is not read\. Save each"
    ):
        open_source(str(tmp_path))


def test_links_out_of_the_folder_are_followed_on_request(make_folder: MakeFolder) -> None:
    other = make_folder({"a": 3, "b": 3}, name="elsewhere")
    root = make_folder({"a": 0, "b": 0})
    for name in "ab":
        for file in (other / name).iterdir():
            (root / name / file.name).symlink_to(file)
    with pytest.raises(DataError, match=r"no image but 6 links that lead out of it, such as .*--follow-links"):
        open_source(str(root))
    assert len(open_source(str(root), follow_links=True).items) == 6
    linked = make_folder({}, name="linked")
    linked.mkdir()
    for name in "ab":
        (linked / name).symlink_to(other / name)
    assert len(open_source(str(linked), follow_links=True).items) == 6


def test_followed_links_end_and_never_swallow_the_data_set(make_folder: MakeFolder) -> None:
    make_folder({"c": 3}, name="beside")
    root = make_folder({"a": 3, "b": 3})
    (root / "a" / "up").symlink_to(root.parent)
    (root / "b" / "home").symlink_to(root)
    (root / "b" / "self").symlink_to(root / "b" / "self")
    (root / "b" / "top").symlink_to("/")
    source = open_source(str(root), follow_links=True)
    assert [item.key for item in source.items] == [f"{name}/{n}.png" for name in "ab" for n in range(3)]


def test_some_links_out_of_the_folder_are_a_warning(make_folder: MakeFolder) -> None:
    other = make_folder({"c": 3}, name="elsewhere")
    root = make_folder({"a": 3, "b": 3})
    (root / "a" / "out.png").symlink_to(other / "c" / "0.png")
    (finding,) = open_source(str(root)).findings
    assert (finding.kind, finding.severity) == ("outside the root", "warning")
    assert "--follow-links" in finding.remedy
