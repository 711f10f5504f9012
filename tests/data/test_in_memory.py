"""Data sets that a program holds: the same images as in files, and everything else refused in a sentence."""

import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from convlift.data.decode import decode
from convlift.data.readers.recognize import open_images, open_source
from convlift.data.store import open_store
from convlift.errors import ConvliftError, DataError

LABELS = [0, 1, 0, 1, 0, 1]


@pytest.fixture
def photos(photo: Callable[..., Any]) -> list[np.ndarray]:
    return [photo(seed) for seed in range(6)]


class Pets:
    """As torchvision's data sets are: pairs, classes, and targets that need no image."""

    classes = ("cats", "dogs")

    def __init__(self, images: list[Any], targets: Any = None) -> None:
        self.images, self.asked = images, list[int]()
        if targets is not None:
            self.targets = targets

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        self.asked.append(index)
        return self.images[index], LABELS[index]


class Named(list):  # type: ignore[type-arg]
    """Pairs in a list that knows its classes."""

    classes = ("cats", "dogs")


class Subset:
    """As torch.utils.data.Subset is."""

    def __init__(self, dataset: Any, indices: list[int]) -> None:
        self.dataset, self.indices = dataset, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[self.indices[index]]


class Image:
    """As Hugging Face's feature of this name is."""

    def __init__(self, decode: bool = True) -> None:
        self.decode = decode


class ClassLabel:
    names = ("cats", "dogs")


class Rows:
    """As a `datasets.Dataset` is, as far as it is read here."""

    def __init__(self, columns: dict[str, list[Any]], features: dict[str, Any]) -> None:
        self.columns, self.features, self.column_names = columns, features, list(columns)

    def __len__(self) -> int:
        return len(self.columns[self.column_names[0]])

    def __getitem__(self, key: Any) -> Any:
        return self.columns[key] if isinstance(key, str) else {name: self.columns[name][key] for name in self.columns}

    def cast_column(self, name: str, feature: Any) -> "Rows":
        return Rows(self.columns, {**self.features, name: feature})


def rows(contents: list[Any], labels: list[Any] = LABELS, **more: list[Any]) -> Rows:
    return Rows(
        {"image": contents, "label": labels, **more}, {"image": Image(), "label": ClassLabel()} | dict.fromkeys(more)
    )


def pixels(source: Any, index: int) -> np.ndarray:
    content = source.read(index)
    return decode(content).pixels if isinstance(content, bytes) else content


def test_pairs_give_the_images_that_they_hold(photos: list[np.ndarray]) -> None:
    for images in (photos, [Pillow.fromarray(each) for each in photos]):
        source = open_source(Pets(images))
        assert (source.name, source.classes) == ("Pets", ("cats", "dogs"))
        assert [item.label for item in source.items] == LABELS
        assert all(np.array_equal(pixels(source, index), photos[index]) for index in range(6))


def test_labels_that_are_listed_cost_no_image(photos: list[np.ndarray]) -> None:
    pets = Pets(photos, np.array(LABELS))
    open_source(pets)
    assert set(pets.asked) == {0, 1, 2}
    wrong = Pets(photos, [1, 0, 1, 0, 1, 0])  # as before a target_transform
    assert [item.label for item in open_source(wrong).items] == LABELS


def test_a_subset_has_the_classes_of_its_whole(photos: list[np.ndarray]) -> None:
    source = open_images(Subset(Pets(photos), [1, 3, 5]))
    assert source.classes == ("cats", "dogs")
    assert [item.label for item in source.items] == [1, 1, 1]


def test_labels_that_a_transform_made_are_not_named_by_the_old_classes(photos: list[np.ndarray]) -> None:
    pets = Pets(photos)
    pets.target_transform = lambda label: 1 - label  # type: ignore[attr-defined]
    assert open_source(pets).classes == ("0", "1")
    assert open_images(Subset(pets, [0, 3])).classes == ("0", "1")


class Wrapped:
    """As programs wrap a data set, to change its images or its labels."""

    def __init__(self, dataset: Any, relabel: Any = lambda label: label) -> None:
        self.dataset, self.relabel = dataset, relabel

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, place: int) -> Any:
        image, label = self.dataset[place]
        return image, self.relabel(label)


def test_a_data_set_that_wraps_another_one_has_its_classes_only_with_its_labels(photos: list[np.ndarray]) -> None:
    sorted_pets = Subset(Pets(photos), [0, 2, 4, 1, 3, 5])  # the first three are cats
    assert open_source(Wrapped(Pets(photos))).classes == ("cats", "dogs")
    assert open_source(Wrapped(sorted_pets)).classes == ("cats", "dogs")
    assert open_source(Wrapped(sorted_pets, lambda label: 2 * label)).classes == ("0", "2")
    assert open_source(Wrapped(Pets(photos), lambda label: 1 - label)).classes == ("0", "1")
    assert open_images(Subset(Wrapped(Pets(photos), lambda label: 1 - label), [0, 3])).classes == ("0", "1")


def test_labels_in_a_list_are_held_against_an_image_of_each(photos: list[np.ndarray]) -> None:
    class Sorted(Wrapped):
        targets = (0, 0, 0, 1, 1, 1)
        classes = ("cats", "dogs")

    one = Sorted(list(zip(photos, (0, 0, 0, 1, 1, 1), strict=True)))
    assert open_source(one).classes == ("cats", "dogs")
    other = Sorted(list(zip(photos, (0, 0, 0, 2, 2, 2), strict=True)))  # all but the first three are of other labels
    assert open_source(other).classes == ("0", "2")


def test_names_as_objects_and_whole_numbers_as_floats(photos: list[np.ndarray]) -> None:
    images, names = np.stack(photos), ["dogs" if label else "cats" for label in LABELS]
    assert open_source((images, np.array(names, object))).items == open_source((images, np.array(names))).items
    for same in (np.array(LABELS, float), np.array(LABELS, object)):
        assert open_source((images, same)).items == open_source((images, np.array(LABELS))).items
    for other in (np.array(LABELS) + 0.5, np.where(LABELS, np.nan, 1.0), np.array([*names[:5], None], object)):
        with pytest.raises(DataError, match="one whole number"):
            open_source((images, other))


def test_lists_of_images_and_labels(photos: list[np.ndarray]) -> None:
    names = ["dogs" if label else "cats" for label in LABELS]
    assert open_source((photos, names)).items == open_source(Pets(photos)).items
    assert open_source(list(zip(photos, names, strict=True))).classes == ("cats", "dogs")
    assert open_source((photos, [str(9 + label) for label in LABELS])).classes == ("9", "10")
    with pytest.raises(DataError, match="6 images but 5 labels"):
        open_source((photos, names[:5]))


def test_arrays_and_their_parts(photos: list[np.ndarray]) -> None:
    images, labels = np.stack(photos), np.array(LABELS)
    source = open_source((images, labels))
    assert (source.name, source.classes, len(source.items)) == ("arrays", ("0", "1"), 6)
    parted = open_source({"train": (images, labels), "test": (images[::-1] // 2, labels[::-1])})
    assert [item.split for item in parted.items] == ["train"] * 6 + ["test"] * 6
    deep = {"train": (images.astype(np.uint16) * 16, labels), "test": (images.astype(np.uint16), labels)}
    assert open_source(deep).value_range == 4095  # one range for all parts


def test_parts_are_joined_by_the_names_of_their_classes(photos: list[np.ndarray]) -> None:
    source = open_source({"train": Pets(photos), "val": (photos, ["dogs"] * 6)})
    assert source.classes == ("cats", "dogs")
    assert [(item.key, item.label, item.split) for item in source.items][5:8] == [
        ("train/5", 1, "train"), ("validation/0", 1, "test"), ("validation/1", 1, "test"),
    ]  # fmt: skip
    assert np.array_equal(source.read(7), photos[1])
    assert [finding.kind for finding in source.findings] == ["validation as test"]


def test_files_of_hugging_face_are_read_as_they_are(
    photos: list[np.ndarray], encode: Callable[..., bytes], tmp_path: Path
) -> None:
    files = [{"bytes": encode(each), "path": None} for each in photos]
    (tmp_path / "5.png").write_bytes(files[5]["bytes"])
    files[5] = {"bytes": None, "path": str(tmp_path / "5.png")}
    source = open_source(rows(files))
    assert (source.name, source.classes) == ("dataset", ("cats", "dogs"))
    assert [source.read(index) for index in range(6)] == [encode(each) for each in photos]
    parted = open_source({"train": rows(files), "test": rows(files)})
    assert [item.split for item in parted.items] == ["train"] * 6 + ["test"] * 6
    decoded = open_source(rows([Pillow.fromarray(each) for each in photos], patient=list("aabbcc")))
    assert np.array_equal(pixels(decoded, 3), photos[3])
    assert [item.group for item in decoded.items] == list("aabbcc")


def test_columns_of_hugging_face(photos: list[np.ndarray]) -> None:
    images = [Pillow.fromarray(each) for each in photos]
    both = Rows({"a": images, "b": images, "kind": list("xyxyxy")}, {"a": Image(), "b": Image(), "kind": None})
    with pytest.raises(ConvliftError, match=r"2 columns of type Image among 'a', 'b', 'kind'.*path=COLUMN"):
        open_source(both)
    assert open_source(both, columns="path=b,label=kind").classes == ("x", "y")
    with pytest.raises(ConvliftError, match="no column of type ClassLabel"):
        open_source(both, columns="path=b")
    with pytest.raises(ConvliftError, match="no column 'c'"):
        open_source(both, columns="path=c")
    with pytest.raises(DataError, match="2 of 6 images of dataset have no label, the first in row 1"):
        open_source(rows(images, [0, -1, 0, 1, None, 1]))


def test_a_real_data_set_of_hugging_face(photos: list[np.ndarray], tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the extra huggingface is not installed")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cats", "dogs"])})
    columns = {"image": [Pillow.fromarray(each) for each in photos], "label": LABELS}
    data = datasets.Dataset.from_dict(columns, features=features)
    source = open_source(data)
    assert all(np.array_equal(pixels(source, index), photos[index]) for index in range(6))
    datasets.DatasetDict({"train": data, "test": data}).save_to_disk(str(tmp_path / "saved"))
    saved = open_source(str(tmp_path / "saved"))
    assert (saved.name, saved.classes, len(saved.items)) == ("saved", ("cats", "dogs"), 12)
    assert np.array_equal(pixels(saved, 7), photos[1])
    data.save_to_disk(str(tmp_path / "one"))
    assert len(open_source(str(tmp_path / "one")).items) == 6


def test_a_saved_data_set_names_the_extra_that_is_missing(tmp_path: Path) -> None:
    from convlift.console.extras import is_installed

    if is_installed("datasets"):
        pytest.skip("datasets is installed")
    (tmp_path / "dataset_dict.json").write_text('{"splits": ["train"]}')
    with pytest.raises(ConvliftError, match=r"reading it needs datasets.*pip install 'convlift\[huggingface\]'"):
        open_source(str(tmp_path))


def test_images_go_the_way_of_files(tmp_path: Path, photos: list[np.ndarray]) -> None:
    """Transparency and turns are read, one image that fails is listed, and one thread asks at a time."""
    turned = Pillow.fromarray(photos[0])
    turned.getexif()[0x0112] = 6
    clear = Pillow.fromarray(np.dstack([photos[1], np.zeros((16, 12), np.uint8)]))
    images: list[Any] = [
        Pillow.fromarray(np.random.default_rng(n).integers(0, 256, (9, 9), np.uint8)) for n in range(40)
    ]

    class Failing(Mapping[int, Any]):
        busy = threading.Lock()

        def __getitem__(self, index: int) -> Any:
            assert self.busy.acquire(blocking=False)
            try:
                if index == 30:
                    raise OSError("the network is gone")
                return {0: turned, 1: clear}.get(index, images[index])
            finally:
                self.busy.release()

        def __iter__(self) -> Iterator[int]:
            return iter(range(40))

        def __len__(self) -> int:
            return 40

    store = open_store(open_source((Failing(), [n % 2 for n in range(40)])), tmp_path)
    assert store.image(0).shape == (12, 16, 3)
    assert (store.image(1) == 255).all()
    assert [f.items for f in store.findings if f.kind == "unreadable"] == [("image/30: OSError: the network is gone",)]


class Noisy(Pets):
    def __getitem__(self, index: int) -> tuple[Any, int]:
        return np.random.default_rng().integers(0, 256, (8, 8, 3), np.uint8), LABELS[index]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda photos: 7, "a int is no data set; give a path or a name"),
        (lambda photos: [], "images is empty"),
        (lambda photos: {}, "an empty dictionary is no data set"),
        (lambda photos: {"left": (photos, LABELS)}, "'left' is no part of a data set"),
        (lambda photos: photos, "gives a ndarray, not a pair"),
        (
            lambda photos: [(each / 255, 0) for each in photos],
            r"shape \(16, 12, 3\) and type float64.*without a transform",
        ),
        (lambda photos: [(each.transpose(2, 0, 1), 0) for each in photos], r"shape \(3, 16, 12\) and type uint8"),
        (lambda photos: [(each, [0, 1]) for each in photos], "has the label \\[0, 1\\]"),
        (lambda photos: [(each, 0.5) for each in photos], "has the label 0.5"),
        (lambda photos: Named([(each, 7 * (row % 2)) for row, each in enumerate(photos)]), "labels 0 to 7, and 2 cla"),
        (lambda photos: Noisy(photos), "another one each time; give the data set without augmentation"),
    ],
)
def test_what_is_no_data_set_is_refused_in_a_sentence(
    photos: list[np.ndarray], make: Callable[[list[np.ndarray]], Any], words: str
) -> None:
    with pytest.raises(ConvliftError, match=words) as caught:
        open_source(make(photos))
    assert "\n" not in str(caught.value)


class Late(Pets):
    """Sound but for one of its last images."""

    def __init__(self, images: list[Any], fails: Any, targets: Any = None) -> None:
        super().__init__(images, targets)
        self.fails = fails

    def __getitem__(self, index: int) -> Any:
        if index < 4:
            return super().__getitem__(index)
        return self.fails()


class Number:
    def __float__(self) -> float:
        raise RuntimeError("no number\nat all")


class Endless(Pets):
    def __len__(self) -> int:
        raise TypeError("no end")


def lost() -> Any:
    raise KeyError("photo-4.png")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda photos: Late(photos, lost), r"image 4 of Late cannot be had \(KeyError: .*photo-4.*\); mend"),
        (lambda photos: Late(photos, lambda: photos[4]), "gives a ndarray at 4, not a pair"),
        (lambda photos: Late(photos, lambda: (photos[4], Number())), "Late has the label .*Number object"),
        (lambda photos: Late(photos, lost, [0, 1, 0, 1, 2, 1]), "image 4 of Late cannot be had"),
        (lambda photos: Late(photos, lost, [[0], [1, 2], 0, 1, 0, 1]), "image 4 of Late cannot be had"),
        (lambda photos: Late(photos, lost, [{"a": 1}] * 6), "image 4 of Late cannot be had"),
        (lambda photos: (photos, [0, 1, 0, 1, Number(), 1]), "images has the label .*Number object"),
        (lambda photos: (np.stack(photos), [0, 1, 0, 1, [0], 1]), "a list cannot be made an array"),
        (lambda photos: Endless(photos), r"Endless does not say how many images it has \(TypeError: no end\)"),
    ],
)
def test_what_fails_beyond_the_first_images_is_said_in_a_sentence(
    photos: list[np.ndarray], make: Callable[[list[np.ndarray]], Any], words: str
) -> None:
    with pytest.raises(ConvliftError, match=words) as caught:
        open_source(make(photos))
    assert "\n" not in str(caught.value)


def test_an_image_without_pixels_is_listed(photos: list[np.ndarray], tmp_path: Path) -> None:
    images = [np.random.default_rng(n).integers(0, 256, (9, 9, 3), np.uint8) for n in range(40)]
    images[20], images[30] = np.zeros((0, 5, 4), np.uint8), np.zeros((5, 0), np.uint8)
    store = open_store(open_source((images, [n % 2 for n in range(40)])), tmp_path)
    (found,) = (finding for finding in store.findings if finding.kind == "unreadable")
    assert [item.split(":")[0] for item in found.items] == ["image/20", "image/30"]


def test_columns_are_refused_where_there_are_none(photos: list[np.ndarray]) -> None:
    with pytest.raises(ConvliftError, match="columns are of a table"):
        open_source(Pets(photos), columns="label=x")
    with pytest.raises(ConvliftError, match="--images is for tables"):
        open_source(Pets(photos), images=Path())


def test_labels_of_two_kinds_and_none_are_refused(photos: list[np.ndarray]) -> None:
    for labels in ([0, "cat"], ["cat", 0]):
        with pytest.raises(DataError, match="partly names, partly numbers"):
            open_images(list(zip(photos[:2], labels, strict=True)))
    with pytest.raises(DataError, match="has the label ''"):
        open_images([(photos[0], "a"), (photos[1], "")])
    with pytest.raises(ConvliftError, match="not iterators"):
        open_images((iter(photos), [0, 1]))


def test_rows_of_hugging_face_without_a_group_are_refused() -> None:
    patients = ["p", None, *("q" for _ in LABELS[3:]), float("nan")]
    with pytest.raises(DataError, match=rf"2 of {len(LABELS)} images .* have no patient, the first in row 1"):
        open_images(rows([{"bytes": None}] * len(LABELS), patient=patients))
