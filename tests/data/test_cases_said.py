"""What is said: shortcuts that give the class away, classes that hold the same images, files that cannot be read."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from convlift.audit.traits import frame_of, quality_of
from convlift.data.readers.recognize import open_source
from convlift.data.store import open_store
from convlift.errors import DataError
from convlift.records.finding import Finding
from convlift.report.finding_lines import write_findings

Encode = Callable[..., bytes]
MakeFolder = Callable[..., Path]
SHORTCUTS = ("format", "mode", "size", "shape", "quality", "border")


def findings(root: Path) -> tuple[Finding, ...]:
    return open_store(open_source(str(root)), root.parent / "cache").findings


def picture(seed: int, width: int = 32, height: int = 32) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def two_classes(root: Path, encode: Encode, a: Callable[[int], tuple[str, bytes]], b: Any = None, n: int = 12) -> Path:
    """Files of two classes: a(number) and b(number) give a file's ending and bytes; b is a plain PNG by default."""
    for name, make in (("a", a), ("b", b or (lambda number: ("png", encode(picture(number)))))):
        (root / name).mkdir(parents=True)
        for number in range(n):
            ending, content = make(number + (500 if name == "b" else 0))
            (root / name / f"{number}.{ending}").write_bytes(content)
    return root


def framed(number: int, colour: str) -> Image.Image:
    image = Image.new("RGB", (32, 32), colour)
    image.paste(picture(number, 24, 24), (4, 4))
    return image


def striped(number: int) -> Image.Image:
    image = Image.new("RGB", (32, 32), "black")
    image.paste(picture(number, 32, 20), (0, 6))
    return image


@pytest.mark.parametrize(
    ("a", "b", "kind", "words"),
    [
        (("JPEG", lambda n: picture(n), {}), None, "format", "100% of 'a' are JPEG, 0% of the others"),
        (("PNG", lambda n: picture(n, 48, 48), {}), None, "size", "100% of 'a' are 48 x 48 pixels, 0% of the others"),
        (("PNG", lambda n: picture(n, 40 + n, 40 + n), {}), None, "size", "0% of 'a' are 32 x 32 pixels"),
        (("PNG", lambda n: picture(n).convert("P"), {}), None, "mode", "100% of 'a' are of mode P"),
        (
            ("JPEG", lambda n: picture(n), {"quality": 30}),
            ("JPEG", lambda n: picture(n), {"quality": 90}),
            "quality",
            "100% of 'a' have JPEG quality 30, 0% of the others",
        ),
        (
            ("JPEG", lambda n: picture(n), {"quality": 30}),
            ("JPEG", lambda n: picture(n), {"range": (70, 95)}),
            "quality",
            "100% of 'a' have JPEG quality 30",
        ),
        (("PNG", lambda n: framed(n, "black"), {}), None, "border", "100% of 'a' have a border black"),
        (
            ("PNG", lambda n: framed(n, "white"), {}),
            ("PNG", lambda n: framed(n, "black"), {}),
            "border",
            "100% of 'a' have a border white, 0% of the others",
        ),
        (("JPEG", lambda n: framed(n, "red"), {}), ("JPEG", lambda n: picture(n), {}), "border", "have a border"),
        (("PNG", striped, {}), None, "border", "100% of 'a' have a border black"),
    ],
)
def test_what_gives_the_class_away_is_a_warning(
    tmp_path: Path, encode: Encode, a: Any, b: Any, kind: str, words: str
) -> None:
    def maker(given: Any) -> Any:
        if given is None:
            return None
        name, draw, options = given
        if "range" in options:
            return lambda n: (name.lower(), encode(draw(n), name, quality=int(np.interp(n % 12, (0, 11), (70, 95)))))
        return lambda n: (name.lower(), encode(draw(n), name, **options))

    found = {finding.kind: finding for finding in findings(two_classes(tmp_path / "set", encode, maker(a), maker(b)))}
    assert words in found[kind].message
    assert found[kind].severity == "warning"
    assert found[kind].remedy
    assert all(item.startswith("a/") for item in found[kind].items)


def test_a_shape_that_goes_with_the_class_is_a_warning(tmp_path: Path, encode: Encode) -> None:
    def wide(number: int) -> tuple[str, bytes]:
        return "png", encode(picture(number, 48 + number % 7, 24 + number % 5))

    def tall(number: int) -> tuple[str, bytes]:
        return "png", encode(picture(number, 24 + number % 5, 48 + number % 7))

    found = {finding.kind: finding for finding in findings(two_classes(tmp_path / "set", encode, wide, tall))}
    assert "it is higher in 'a'" in found["shape"].message


def test_mixed_files_and_small_classes_say_nothing(tmp_path: Path, encode: Encode) -> None:
    def any_kind(number: int) -> tuple[str, bytes]:
        kind = ("PNG", "JPEG", "BMP")[number % 3]
        image = framed(number, "black") if number % 4 == 0 else picture(number, 30 + number % 6, 30 + number % 4)
        return kind.lower(), encode(image, kind)

    assert not {f.kind for f in findings(two_classes(tmp_path / "set", encode, any_kind, any_kind, 24))} & {*SHORTCUTS}
    few = two_classes(tmp_path / "few", encode, lambda n: ("jpg", encode(picture(n), "JPEG")), n=9)
    assert not {f.kind for f in findings(few)} & {*SHORTCUTS}


def test_one_class_of_many_is_named(tmp_path: Path, encode: Encode) -> None:
    root = tmp_path / "set"
    for k in range(4):
        (root / f"class{k}").mkdir(parents=True)
        for number in range(12):
            kind = "BMP" if k == 2 else ("PNG", "TIFF")[number % 2]
            (root / f"class{k}" / f"{number}.x").write_bytes(encode(picture(100 * k + number), kind))
    (found,) = [finding for finding in findings(root) if finding.kind == "format"]
    assert found.message == "the files' format tells the class: 100% of 'class2' are BMP, 0% of the others."


def test_quality_and_borders_are_read_from_files(encode: Encode) -> None:
    for quality in (25, 49, 50, 75, 90, 100):  # below that, entries are cut at 255
        with Image.open(io.BytesIO(encode(picture(1), "JPEG", quality=quality))) as image:
            assert abs((quality_of(image) or 0) - quality) <= 1
    assert frame_of(np.asarray(framed(1, "black"))) == "black"
    assert frame_of(np.asarray(framed(1, "white"))) == "white"
    assert frame_of(np.asarray(striped(1))) == "black"
    assert frame_of(np.asarray(picture(1))) == ""
    assert frame_of(np.zeros((4, 4, 1), np.uint8)) == ""


def test_a_class_that_is_all_filed_elsewhere_says_where(make_folder: MakeFolder, encode: Encode, photo: Any) -> None:
    root = make_folder({"x": 20, "y": 0, "z": 20})
    for file in (root / "x").iterdir():
        (root / "y" / file.name).write_bytes(file.read_bytes())
    with pytest.raises(DataError, match="all 20 images of 'y' are also filed under 'x'") as caught:
        findings(root)
    assert caught.value.exit_code == 3
    for number in range(2):
        (root / "y" / f"own{number}.png").write_bytes(encode(photo(900 + number)))
    with pytest.raises(DataError, match="20 of 22 images of 'y' are also filed under 'x'"):
        findings(root)


def test_the_same_pictures_in_another_format_are_filed_twice_too(make_folder: MakeFolder) -> None:
    root = make_folder({"x": 12, "y": 0, "z": 12})
    for file in (root / "x").iterdir():
        with Image.open(file) as image:
            image.save(root / "y" / f"{file.stem}.bmp")
    with pytest.raises(DataError, match="all 12 images of 'y' are also filed under 'x'"):
        findings(root)


def test_a_class_of_copies_says_so(make_folder: MakeFolder) -> None:
    root = make_folder({"x": 12, "y": 1})
    for number in range(8):
        (root / "y" / f"again{number}.png").write_bytes((root / "y" / "0.png").read_bytes())
    with pytest.raises(DataError, match="class 'y' has 1 distinct image in pets, for its 9 images are copies of 1"):
        findings(root)


def test_unreadable_files_are_named_and_listed(make_folder: MakeFolder, tmp_path: Path) -> None:
    root = make_folder({"a": 60, "b": 60})
    (root / "a" / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    (one,) = [finding for finding in findings(root) if finding.kind == "unreadable"]
    assert "1 of 121 files cannot be read and was left out: a/cut.jpg: broken JPEG" in one.message
    for number in range(4):
        (root / "b" / f"page{number}.png").write_bytes(b"<html>")
    (many,) = [finding for finding in findings(root) if finding.kind == "unreadable"]
    assert many.message.endswith("b/page1.png: HTML page, not one of JPEG, PNG, GIF, BMP, TIFF, WEBP, PPM; and 2 more.")
    path = write_findings(tmp_path, (many,))
    assert path is not None
    listed = [line.strip().split(":")[0] for line in path.read_text().splitlines() if line.startswith("  ")]
    assert listed == ["a/cut.jpg", *(f"b/page{number}.png" for number in range(4))]
    assert write_findings(tmp_path, ()) is None
