"""Files that hold more than a viewer lets on: deep values, transparency, more bands, more text."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from convlift.data.decode import decode, from_array
from convlift.data.depth import range_of
from convlift.data.intake import Way
from convlift.data.readers.recognize import open_source
from convlift.data.store import ImageStore, open_store
from convlift.errors import ConvliftError, DataError, UnreadableImage
from convlift.records.finding import Finding

Encode = Callable[..., bytes]
MakeFolder = Callable[..., Path]
Photo = Callable[..., Any]


def opened(root: Path, **options: Any) -> ImageStore:
    return open_store(open_source(str(root)), root.parent / "cache", way=Way(**options))


def found(store: ImageStore, kind: str) -> Finding:
    (one,) = [finding for finding in store.findings if finding.kind == kind]
    return one


def smooth(seed: int, bands: int = 3, side: int = 24) -> Any:
    """A picture without noise, uint8 (side, side, bands), (side, side) for one band."""
    shape = (5, 5, bands) if bands > 1 else (5, 5)
    coarse = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


def png16(values: Any) -> bytes:
    """A PNG of 16 bits a value, in colour too, which Pillow does not write."""
    order = values[:, :, [2, 1, 0, 3][: values.shape[2]]] if values.ndim == 3 else values
    return bytes(cv2.imencode(".png", order)[1].tobytes())


def folder_of(root: Path, files: list[tuple[str, bytes]]) -> Path:
    """Half of the files in a/, half in b/."""
    for name in "ab":
        (root / name).mkdir(parents=True)
    for number, (ending, content) in enumerate(files):
        (root / "ab"[2 * number // len(files)] / f"{number:02}.{ending}").write_bytes(content)
    return root


@pytest.mark.parametrize(
    ("bits", "value_range"), [(8, 255), (9, 511), (10, 1023), (12, 4095), (14, 16383), (16, 65535)]
)
@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("kind", ["png", "tif"])
def test_the_range_of_the_data_set_decides(
    tmp_path: Path, tiff: Encode, bits: int, value_range: int, bands: int, kind: str
) -> None:
    values = [smooth(seed, bands).astype(np.uint16) * 2 ** (bits - 8) for seed in range(8)]
    files = [(kind, png16(image) if kind == "png" else tiff(image)) for image in values]
    store = opened(folder_of(tmp_path / "deep", files))
    assert store.value_range == value_range
    for index, image in enumerate(values):
        expected = np.rint(image.reshape(24, 24, bands) * (255 / value_range))
        assert np.array_equal(store.image(index), expected)
    said = found(store, "value range")
    assert f"0 to {value_range} ({bits} bits) became 0 to 255, the same for all" in said.message
    assert said.severity == ("note" if bits == 16 else "warning")


def test_eight_bits_beside_deep_files_stay_as_they_are(tmp_path: Path, encode: Encode) -> None:
    deep = [("png", png16(smooth(seed).astype(np.uint16) * 16)) for seed in range(6)]
    plain = [("png", encode(smooth(seed))) for seed in range(10, 16)]
    store = opened(folder_of(tmp_path / "both", deep + plain))
    assert store.value_range == 4095
    assert np.array_equal(store.image(6), smooth(10))


def test_deep_portable_maps_are_scaled_by_the_data_set(tmp_path: Path) -> None:
    files = []
    for seed in range(6):
        values = (smooth(seed, 3 if seed % 2 else 1).astype(np.uint16) * 16).astype(">u2")
        files.append(
            ("ppm", b"P%d\n24 24\n%d\n" % (6 if seed % 2 else 5, 65535 if seed < 3 else 4095) + values.tobytes())
        )
    store = opened(folder_of(tmp_path / "maps", files))
    assert store.value_range == 4095
    assert np.array_equal(store.image(1), np.rint(smooth(1) * (16 * 255 / 4095)))
    assert np.array_equal(store.image(4)[:, :, 0], np.rint(smooth(4, 1) * (16 * 255 / 4095)))


def test_floats_beyond_one_share_a_range_too(tmp_path: Path, tiff: Encode) -> None:
    files = [("tif", tiff(smooth(seed, 1).astype(np.float32) * 16)) for seed in range(6)]
    store = opened(folder_of(tmp_path / "floats", files))
    assert store.value_range == 4095
    unit = [("tif", tiff(smooth(seed, 1).astype(np.float32) / 255)) for seed in range(6)]
    store = opened(folder_of(tmp_path / "unit", unit))
    assert store.value_range is None
    assert np.array_equal(store.image(2)[:, :, 0], smooth(2, 1))


def test_a_dead_pixel_that_darkens_all_others_is_named(tmp_path: Path) -> None:
    images = [smooth(seed, 1).astype(np.uint16) * 8 for seed in range(8)]
    images[5][3, 3] = 65535
    store = opened(folder_of(tmp_path / "dead", [("png", png16(image)) for image in images]))
    said = found(store, "value range")
    assert said.severity == "warning"
    assert "so few grey levels are left" in said.message
    assert said.items == ("b/05.png",)


def test_at_prediction_the_same_scale_holds_and_what_lies_outside_is_noted(tiff: Encode) -> None:
    values = smooth(1).astype(np.uint16) * 16
    result = decode(png16(values), value_range=4095)
    assert np.array_equal(result.pixels, np.rint(values * (255 / 4095)))
    assert "outside range" not in result.notes
    brighter = values.copy()
    brighter[0, 0] = 40_000
    result = decode(png16(brighter), value_range=4095)
    assert "outside range" in result.notes
    assert result.pixels[0, 0].tolist() == [255] * 3
    assert np.array_equal(from_array(values, 4095).pixels, decode(tiff(values), 4095).pixels)
    assert np.array_equal(decode(png16(values)).pixels, np.rint(values / 257))
    with pytest.raises(UnreadableImage, match="none may lie below 0"):
        from_array(np.full((9, 9), -5, np.int32), 4095)


def test_a_range_is_a_whole_number_of_bits() -> None:
    assert range_of([]) is None
    assert [range_of([high]) for high in (1, 255, 256, 4095, 4096, 65535, 100_000)] == [
        *(255, 255, 511, 4095, 8191, 65535),
        131_071,
    ]


@pytest.mark.parametrize(
    ("dtype", "factor", "value_range"),
    [(np.uint16, 16, 4095), (np.int32, 16, 4095), (np.float32, 16, 4095), (np.int64, 1, 255), (np.uint16, 257, 65535)],
)
def test_arrays_have_one_scale_too(tmp_path: Path, dtype: Any, factor: int, value_range: int) -> None:
    images = np.stack([smooth(seed, 1) for seed in range(12)]).astype(dtype) * dtype(factor)
    labels = np.arange(12) % 2
    np.savez(
        tmp_path / "a.npz", train_images=images, train_labels=labels, test_images=images + 1 - 1, test_labels=labels
    )
    store = open_store(open_source(str(tmp_path / "a.npz")), tmp_path)
    assert store.value_range == value_range
    assert np.array_equal(store.image(3)[:, :, 0], np.rint(images[3].astype(float) * (255 / value_range)))
    assert f"0 to {value_range}" in found(store, "value range").message


@pytest.mark.parametrize("bands", [1, 3, 4])
def test_shares_of_white_beside_whole_numbers_are_refused_for_they_would_be_black(tmp_path: Path, bands: int) -> None:
    images, labels = np.stack([smooth(seed, bands) for seed in range(12)]), np.arange(12) % 2
    parts = {"train_images": images, "test_images": (images / 255).astype(np.float32)}
    np.savez(tmp_path / "a.npz", **parts, train_labels=labels, test_labels=labels)
    with pytest.raises(
        DataError, match=r"the test images of a are floats in 0 to 1, while others reach \d+; save all parts"
    ):
        open_source(str(tmp_path / "a.npz"))
    parts = {"train_images": images / 250, "test_images": images / 510}  # on one scale, of which some are beyond 1
    np.savez(tmp_path / "b.npz", **parts, train_labels=labels, test_labels=labels)
    open_source(str(tmp_path / "b.npz"))


def test_arrays_of_bytes_beside_deeper_ones_are_refused(tmp_path: Path) -> None:
    images = np.stack([smooth(seed, 1) for seed in range(12)])
    arrays = {"train_images": images.astype(np.uint16) * 16, "test_images": images}
    labels = {"train_labels": np.arange(12) % 2, "test_labels": np.arange(12) % 2}
    np.savez(tmp_path / "a.npz", **arrays, **labels)
    with pytest.raises(
        DataError, match="the test images of a are bytes, while others reach 4080; save all parts in one"
    ):
        open_source(str(tmp_path / "a.npz"))
    np.savez(tmp_path / "b.npz", train_images=np.zeros((12, 24, 24, 17), np.uint8), train_labels=np.arange(12) % 2)
    with pytest.raises(DataError, match=r"shape \(12, 24, 24, 17\) \(17 bands\)"):
        open_source(str(tmp_path / "b.npz"))


def transparent(seed: int, level: int = 0) -> Any:
    return np.dstack([smooth(seed), np.full((24, 24), level, np.uint8)])


def test_images_that_are_transparent_everywhere_stop_with_the_remedy(tmp_path: Path, encode: Encode) -> None:
    root = folder_of(tmp_path / "clear", [("png", encode(transparent(seed))) for seed in range(12)])
    with pytest.raises(
        DataError, match=r"all 12 images of clear are identical \(12 are transparent everywhere"
    ) as caught:
        opened(root)
    assert "--alpha ignore" in str(caught.value)
    store = opened(root, alpha="ignore")
    assert (store.alpha, len(set(store.hashes))) == ("ignore", 12)
    assert [finding.kind for finding in store.findings] == ["alpha ignored"]
    assert np.array_equal(store.image(3), smooth(3))
    with pytest.raises(ConvliftError, match="alpha 'pink' is not known; it is one of white, black, ignore"):
        opened(root, alpha="pink")


def test_a_class_that_is_transparent_everywhere_says_why_it_is_empty(tmp_path: Path, encode: Encode) -> None:
    files = [encode(transparent(seed)) for seed in range(9)] + [encode(smooth(seed)) for seed in range(9)]
    root = folder_of(tmp_path / "half", [("png", content) for content in files])
    with pytest.raises(DataError, match=r"class 'a' has 1 distinct image in half, .*9 are transparent everywhere"):
        opened(root)


def test_some_clear_and_some_flat_images_are_named(tmp_path: Path, encode: Encode) -> None:
    files = [encode(smooth(seed)) for seed in range(20)]
    files[4], files[15] = encode(transparent(4)), encode(np.full((24, 24, 3), 90, np.uint8))
    store = opened(folder_of(tmp_path / "some", [("png", content) for content in files]))
    assert found(store, "clear").items == ("a/04.png",)
    assert found(store, "flat").items == ("a/04.png", "b/15.png")
    assert found(store, "flat").severity == "warning"


def test_the_background_is_a_choice_and_another_data_set(tmp_path: Path, encode: Encode) -> None:
    half = transparent(0, 255)
    half[:, 12:, 3] = 0
    files = [encode(half)] + [encode(smooth(seed)) for seed in range(1, 12)]
    root = folder_of(tmp_path / "half", [("png", content) for content in files])
    white, black, ignored = (opened(root, alpha=alpha) for alpha in ("white", "black", "ignore"))
    assert white.image(0)[5, 20].tolist() == [255] * 3
    assert set(black.image(0)[5, 20].tolist()) == {0}
    assert np.array_equal(ignored.image(0), smooth(0))
    assert len({store.fingerprint for store in (white, black, ignored)}) == 3


@pytest.mark.parametrize("kind", ["tif", "png", "tif16", "png16", "webp"])
def test_an_infrared_band_is_not_taken_for_transparency(encode: Encode, tiff: Encode, kind: str) -> None:
    image = np.dstack([smooth(1), np.maximum(smooth(2, 1), 1)])
    deep = image.astype(np.uint16) * 257
    content = {
        "tif": lambda: tiff(image),
        "png": lambda: encode(image),
        "tif16": lambda: tiff(deep),
        "png16": lambda: png16(deep),
        "webp": lambda: encode(image, "WEBP", lossless=True, exact=True),
    }[kind]()
    result = decode(content)
    assert np.array_equal(result.pixels, smooth(1))
    assert "fourth band" in result.notes
    assert "alpha" not in result.notes


def test_a_mask_in_sixteen_bits_is_transparency(tiff: Encode) -> None:
    image = transparent(1, 255).astype(np.uint16) * 257
    image[:, 12:, 3] = 0
    for content in (tiff(image), png16(image)):
        result = decode(content)
        assert "alpha" in result.notes
        assert np.array_equal(result.pixels[:, :12], smooth(1)[:, :12])
        assert (result.pixels[:, 12:] == 255).all()


@pytest.mark.parametrize("bands", [17, 200])
def test_bands_are_counted_and_no_address_is_printed(tiff: Encode, bands: int) -> None:
    content = tiff(np.repeat(smooth(1, 1)[:, :, None], bands, axis=2))
    with pytest.raises(UnreadableImage, match=f"^TIFF with {bands} bands") as caught:
        decode(content)
    assert "0x" not in str(caught.value)


@pytest.mark.parametrize(("dtype", "scale"), [(np.float32, 255), (np.float64, 255), (np.float32, 1)])
def test_colour_in_floats_is_read(tmp_path: Path, tiff: Encode, dtype: Any, scale: float) -> None:
    files = [("tif", tiff((smooth(seed) / scale).astype(dtype))) for seed in range(6)]
    store = opened(folder_of(tmp_path / "floats", files))
    assert store.value_range == (None if scale == 255 else 255)
    assert np.array_equal(store.image(4), smooth(4))


def test_what_no_decoder_reads_rightly_is_refused(tiff: Encode) -> None:
    with pytest.raises(UnreadableImage, match="TIFF of 16 bits with its bands in planes; save them pixel by pixel"):
        decode(tiff(smooth(1).astype(np.uint16), planes=2))
    with pytest.raises(UnreadableImage, match="TIFF with 1 band of 16 bits, of a kind that is not read"):
        decode(tiff(smooth(1, 1).astype(np.float16)))


def test_no_fault_shows_an_address(encode: Encode) -> None:
    for magic in (b"II*\0", b"BM", b"\x89PNG\r\n\x1a\n", b"GIF8", b"P6 "):
        for rest in (bytes(100), b"\xff" * 100, b"garbage" * 20):
            with pytest.raises(UnreadableImage) as caught:
                decode(magic + rest)
            assert "0x" not in str(caught.value)
            assert "object" not in str(caught.value)


def with_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return png[:33] + chunk + png[33:]


def test_a_long_text_does_not_cost_the_image(encode: Encode) -> None:
    png, wide = encode(smooth(1)), zlib.compress(b"a" * (2 << 20))
    noted = [
        with_chunk(png, b"zTXt", b"Comment\0\0" + wide),
        with_chunk(png, b"iTXt", b"Comment\0\1\0\0\0" + wide),
        with_chunk(png, b"iCCP", b"profile\0\0" + wide),
        with_chunk(png, b"tEXt", b"Comment\0" + b"a" * (2 << 20)),
    ]
    many = png
    for _ in range(80):
        many = with_chunk(many, b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * (1 << 20)))
    for content in [*noted, many]:
        assert np.array_equal(decode(content).pixels, smooth(1))


@pytest.mark.parametrize("deep", [False, True])
def test_a_large_kind_of_tiff_is_read(tiff: Encode, encode: Encode, deep: bool) -> None:
    image = smooth(1).astype(np.uint16) * 257 if deep else smooth(1)
    assert np.array_equal(decode(tiff(image, big=True)).pixels, smooth(1))
    assert np.array_equal(decode(encode(smooth(1), "TIFF", big_tiff=True)).pixels, smooth(1))


def test_a_limit_is_said_as_a_limit(encode: Encode) -> None:
    with pytest.raises(UnreadableImage, match="9000 x 8000: over 64 million pixels") as caught:
        decode(encode(Image.new("1", (9000, 8000))))
    assert "broken" not in str(caught.value)
    jpeg = bytearray(encode(smooth(1), "JPEG"))
    jpeg[jpeg.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(UnreadableImage, match="JPEG of 12 bits a value; 8 are read"):
        decode(bytes(jpeg))
