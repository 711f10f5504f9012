"""A scale that the user chooses for values of more than 8 bits: two values, or percentiles of all of them."""

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from convlift.data.decode import decode, from_array
from convlift.data.depth import as_range, asked_of, range_document
from convlift.data.intake import Way
from convlift.data.percentiles import MOST_EACH, MOST_SAMPLED, pixels_each, sample_of, stretch_of
from convlift.data.readers.recognize import open_source
from convlift.data.store import ImageStore, data_fingerprint, open_store, reopen_store
from convlift.data.stretch import MOST, Stretch, asked_range, cut_by, numbers_asked, percentiles_asked, stretched
from convlift.errors import ConvliftError, DataError, UnreadableImage
from convlift.records.finding import Finding
from tiff_files import tiff_of

HUNDREDS = Stretch((-100.0,), (300.0,), "-100:300")
RNG = np.random.default_rng(0)


def npy(values: NDArray[Any]) -> bytes:
    content = io.BytesIO()
    np.save(content, values)
    return content.getvalue()


def png(values: NDArray[Any]) -> bytes:
    return bytes(cv2.imencode(".png", values)[1])


def warm(count: int = 12, *shape: int) -> NDArray[np.uint16]:
    """Images of a thermal camera, of which one pixel is dead: 7,400 to 8,400 of 16,383, the odd ones warmer."""
    images = RNG.integers(7400, 8200, (count, *(shape or (12, 10))), dtype=np.uint16)
    images[1::2, 3:5, 3:5] += 200
    images[0, 0, 0] = 16383
    return images


def folder(root: Path, files: list[bytes], ending: str = "png", parts: tuple[str, ...] = ("",)) -> str:
    """Two classes; the images dealt out to the parts in turn."""
    for number, content in enumerate(files):
        place = root / parts[number // 2 % len(parts)] / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:03}.{ending}").write_bytes(content)
    return str(root)


def opened(where: object, cache: Path, asked: str = "percentiles", **more: Any) -> ImageStore:
    way = Way(value_range=asked, **more)
    return open_store(open_source(where, as_they_are=way.is_stretched), cache, way=way)


def found(store: ImageStore) -> Finding:
    (one,) = (each for each in store.findings if each.kind == "value range")
    return one


def expected(values: NDArray[Any], low: Any, high: Any) -> NDArray[np.uint8]:
    scaled = (values.astype(np.float64) - np.asarray(low)) * (255 / (np.asarray(high) - np.asarray(low)))
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


def ends(values: NDArray[Any], lower: float = 2, upper: float = 98) -> tuple[float, float]:
    low, high = np.percentile(values, [lower, upper], method="inverted_cdf")
    return float(low), float(high)


@pytest.mark.parametrize(
    ("given_text", "one_spelling"),
    [
        ("bits", "bits"),
        (" percentiles ", "percentiles"),
        ("0:10000", "0:10000"),
        ("-1000.0:4e2", "-1000:400"),
        ("0:.5", "0:0.5"),
        ("2%:98.0%", "percentiles"),
        ("0.5%:99.5%", "0.5%:99.5%"),
    ],
)
def test_a_scale_has_one_spelling(given_text: str, one_spelling: str) -> None:
    assert asked_range(given_text) == one_spelling == asked_range(one_spelling)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "bit",
        "10",
        "5:5",
        "9:3",
        "1%:5",
        "a:b",
        "nan:1",
        "0:inf",
        "-1%:50%",
        "2%:101%",
        "1:2:3",
        "0:1e12",
        "1e6:1000000.0000001",
        7,
        None,
    ],
)
def test_what_is_no_scale_is_refused_in_one_sentence(wrong: Any) -> None:
    with pytest.raises(ConvliftError, match=r"^--value-range .* is no scale; give bits, percentiles, two values .*\.$"):
        asked_range(wrong)


def test_what_was_asked_is_numbers_or_percentiles() -> None:
    assert numbers_asked("-1000:400") == Stretch((-1000.0,), (400.0,), "-1000:400")
    assert numbers_asked("percentiles") is None is numbers_asked("1%:99%")
    assert percentiles_asked("percentiles") == (2.0, 98.0)
    assert percentiles_asked("1%:99%") == (1.0, 99.0)


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.uint32, np.int64, np.float32, np.float64, np.float16])
def test_low_becomes_0_and_high_255_in_even_steps(dtype: Any) -> None:
    values = np.array([[0, 60, 100], [200, 300, 2000]], dtype)
    assert_array_equal(stretched(values, HUNDREDS), expected(values, -100, 300))
    assert cut_by(HUNDREDS, values[:, :, None]) == ((0,), (1,), 6)
    below = Stretch((50.0,), (300.0,), "50:300")
    assert_array_equal(stretched(values, below)[0], [0, 10, 51])
    assert cut_by(below, values[:, :, None]) == ((1,), (1,), 6)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(0, 2**32 - 1))
def test_bytes_rise_with_values_from_0_to_255(low: float, width: float, seed: int) -> None:
    values = np.sort(np.random.default_rng(seed).uniform(low - width, low + 2 * width, 50))[None]
    seen = stretched(values, Stretch((low,), (low + width,), ""))[0].astype(int)
    assert (np.diff(seen) >= 0).all()
    assert_array_equal(stretched(np.array([[low, low + width]]), Stretch((low,), (low + width,), "")), [[0, 255]])


def test_a_scale_goes_through_json() -> None:
    for known in (None, 4095.0, (255.0, 1.0), HUNDREDS, Stretch((0.0, 1.5), (1.0, 2.0), "percentiles")):
        assert as_range(json.loads(json.dumps(range_document(known)))) == known
    assert [asked_of(each) for each in (None, 4095.0, (1.0,), HUNDREDS)] == ["bits", "bits", "bits", "-100:300"]


KINDS: dict[str, tuple[Callable[[NDArray[Any]], bytes], Any]] = {
    "PNG of 16 bits": (png, warm()),
    "colour of 16 bits": (png, warm(12, 12, 10, 3)),
    "TIFF of floats": (tiff_of, (warm() / 16383).astype(np.float32)),
    "array of floats beyond 1": (npy, warm().astype(np.float32) / 100),
    "array of signed numbers": (npy, warm().astype(np.int16) - 8000),
    "TIFF of floats on both sides of 0, none over 1": (tiff_of, (warm() / 16383 - 0.5).astype(np.float32)),
    "array of floats below 0": (npy, warm().astype(np.float32) / 100 - 200),
}


@pytest.mark.parametrize("kind", KINDS)
def test_percentiles_of_all_values_are_the_scale_of_all_images(kind: str, tmp_path: Path) -> None:
    write, images = KINDS[kind]
    store = opened(
        folder(tmp_path / "d", [write(each) for each in images], "npy" if "array" in kind else "png"), tmp_path
    )
    low, high = ends(images)
    assert isinstance(store.value_range, Stretch)
    assert store.value_range.low + store.value_range.high == pytest.approx((low, high), rel=1e-6)
    rows = [*range(0, 12, 2), *range(1, 12, 2)]  # a class after the other
    for row, image in zip(range(12), images[rows], strict=True):
        seen = image[..., ::-1] if image.ndim == 3 else image[..., None]  # OpenCV wrote blue first
        assert_array_equal(store.image(row), expected(seen, *store.value_range.low, *store.value_range.high))
    assert reopen_store(store.folder).value_range == store.value_range
    said = found(store)
    assert (said.severity, said.remedy) == ("note", "Prediction applies this scale too.")
    assert "(percentiles 2 and 98 of all values outside an official test part)" in said.message


def test_bands_have_a_scale_each(tmp_path: Path) -> None:
    images = (RNG.random((12, 9, 11, 5)) * [10, 3000, 300, 1, 20000]).astype(np.uint16)
    store = opened(folder(tmp_path / "d", [tiff_of(each) for each in images], "tif"), tmp_path)
    known = [ends(images[..., band]) for band in range(5)]
    lows, highs = zip(*known, strict=True)
    assert store.value_range == Stretch(lows, (*highs[:3], 1.0, highs[4]), "percentiles")  # of a band of zeros
    assert_array_equal(store.image(0), expected(images[0], store.value_range.low, store.value_range.high))
    assert f"{highs[4]:g} (band 5) became 0 to 255" in found(store).message
    one, wide = (opened(str(tmp_path / "d"), tmp_path, f"0:{top}") for top in (10000, 20000))
    assert_array_equal(one.image(0), expected(images[0], 0, 10000))
    share = 100 * (images[..., 4] > 10000).mean()
    assert found(one).message.endswith(
        f"{share / 5:.2g}% above, in band 5 {share:.2g}% in all, more than the 4% which one would expect to be cut."
    )
    assert found(wide).message.endswith("Half of them span 0 of 256 levels or fewer in band 1.")


def test_bands_of_floats_on_both_sides_of_0_are_read(tmp_path: Path) -> None:
    images = RNG.uniform(-1, 1, (12, 9, 11, 5)).astype(np.float32)
    root = folder(tmp_path / "d", [npy(each) for each in images], "npy")
    store = opened(root, tmp_path, "-1:1")
    assert_array_equal(store.image(0), expected(images[0], -1, 1))
    assert len(set(store.hashes)) == 12
    with pytest.raises(DataError, match="without a mark for what is missing, unless training has a --value-range"):
        opened(root, tmp_path, "bits")


def test_images_of_the_test_part_have_no_say(tmp_path: Path) -> None:
    images = warm(18)
    images[4::6] += 3000  # those of the test
    images[5::6] += 3000
    root = folder(tmp_path / "d", [png(each) for each in images], parts=("train", "val", "test"))
    kept = np.concatenate([images[place::6] for place in range(4)])
    assert opened(root, tmp_path).value_range == Stretch(*((each,) for each in ends(kept)), "percentiles")
    message = found(opened(root, tmp_path)).message
    assert message.endswith("% above, more than the 4% which one would expect to be cut.")
    for path in (Path(root) / "train").rglob("*.png"):
        path.write_bytes(png((RNG.random((12, 10)) * 255).astype(np.uint8)))
    for path in (Path(root) / "val").rglob("*.png"):
        path.write_bytes(png((RNG.random((12, 10)) * 255).astype(np.uint8)))
    with pytest.raises(ConvliftError, match="none has readable values of more than 8 bits; give two values"):
        opened(root, tmp_path)


def test_a_sample_is_bounded_and_always_the_same() -> None:
    assert pixels_each(100, 1) == MOST_EACH
    assert pixels_each(10**6, 1) * 10**6 <= MOST_SAMPLED
    assert pixels_each(10**6, 16) * 16 * 10**6 <= MOST_SAMPLED
    assert pixels_each(10**9, 1) == 1
    large = np.add.outer(np.arange(300.0), np.arange(200.0))[:, :, None]
    taken = sample_of(large, 1000)
    assert taken.shape == (1000, 1)
    assert_array_equal(taken, sample_of(large, 1000))
    assert np.percentile(taken, [2, 50, 98]) == pytest.approx(np.percentile(large, [2, 50, 98]), rel=0.03)
    (low,), (high,) = stretch_of([taken], "1%:99%").low, stretch_of([taken], "1%:99%").high
    assert (low, high) == ends(taken, 1, 99)


def test_where_nearly_all_is_background_the_whole_range_is_taken() -> None:
    sparse = np.zeros((1000, 1), np.float32)
    sparse[7] = 500
    assert stretch_of([sparse], "percentiles") == Stretch((0.0,), (500.0,), "percentiles")
    assert stretch_of([sparse * 0 + 3], "percentiles") == Stretch((3.0,), (4.0,), "percentiles")


def test_transparency_is_no_value_and_is_laid_on_white(tmp_path: Path) -> None:
    images = np.stack([warm(12, 12, 10)] * 3 + [np.full((12, 12, 10), 65535, np.uint16)], axis=-1)
    images[:, :2, :, 3] = 0
    root = folder(tmp_path / "d", [png(each) for each in images])
    store = opened(root, tmp_path)
    assert store.value_range == Stretch(*((each,) for each in ends(images[..., 0])), "percentiles")
    seen = store.image(0)[:, :, 0]
    assert (seen[:2] == 255).all()
    assert_array_equal(seen[2:], expected(images[0, 2:, :, 0], *store.value_range.low, *store.value_range.high))


def test_grey_and_colour_share_one_scale_and_bytes_stay_as_they_are(tmp_path: Path) -> None:
    images = warm(12)
    plain = RNG.integers(0, 256, (12, 10), dtype=np.uint8)
    files = [png(np.dstack([each, each // 2, each])) if n % 4 < 2 else png(each) for n, each in enumerate(images)]
    store = opened(folder(tmp_path / "d", [*files, png(plain), png(plain // 2)]), tmp_path, "4000:8000")
    assert_array_equal(store.image(6)[:, :, 0], plain)
    assert_array_equal(store.image(1)[:, :, 0], expected(images[2], 4000, 8000))


def test_truth_values_are_black_and_white_under_every_scale() -> None:
    for shape in ((8, 8), (8, 8, 5)):
        values = RNG.integers(0, 2, shape).astype(bool)
        seen = decode(npy(values), Stretch((0.0,), (10000.0,), "0:10000")).pixels
        assert_array_equal(seen.reshape(shape), 255 * values)


def test_values_below_0_are_read_by_numbers_and_percentiles_alone(tmp_path: Path) -> None:
    units = RNG.integers(-1000, 2000, (12, 9, 9)).astype(np.int16)
    root = folder(tmp_path / "d", [tiff_of(each) for each in units], "tif")
    with pytest.raises(DataError, match="none may lie below 0"):
        opened(root, tmp_path, "bits")
    store = opened(root, tmp_path, "-1000:400")
    assert_array_equal(store.image(0)[:, :, 0], expected(units[0], -1000, 400))
    said = found(store)
    assert (said.severity, len(said.items)) == ("warning", 12)
    share = 100 * (units > 400).mean()
    assert f"0% of the values lie below and {share:.2g}% above, more than the 4%" in said.message
    assert opened(root, tmp_path).value_range == Stretch(*((each,) for each in ends(units)), "percentiles")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 2 * MOST])
def test_numbers_that_are_none_are_still_unreadable(bad: float) -> None:
    values = np.full((8, 8), 5.0)
    values[0, 0] = bad
    for content in (tiff_of(values), npy(values), npy(np.stack([values] * 5, axis=2))):
        with pytest.raises(UnreadableImage, match="they must be numbers"):
            decode(content, HUNDREDS)
    with pytest.raises(UnreadableImage, match="they must be numbers"):
        from_array(values, HUNDREDS)


def test_a_scale_that_leaves_few_levels_is_a_warning(tmp_path: Path) -> None:
    said = found(opened(folder(tmp_path / "d", [png(each) for each in warm()]), tmp_path, "0:65535"))
    assert said.severity == "warning"
    assert said.message.endswith(" of 256 levels or fewer.")
    assert said.remedy == "Give values closer together, or --value-range percentiles."


def test_a_scale_that_leaves_nothing_of_any_image_is_refused_in_one_sentence(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", [png(each) for each in warm()])
    for asked in ("0:100", "20000:30000", "-1000000000:1000000000"):
        with pytest.raises(
            DataError, match=f"^--value-range {asked} makes one flat colour of all 12 images of d; give"
        ):
            opened(root, tmp_path, asked)
    flat = [png(np.full((8, 8), 3000 + number, np.uint16)) for number in range(12)]
    assert len(opened(folder(tmp_path / "flat", flat), tmp_path, "3000:3011").keys) == 12


def test_a_scale_for_nothing_is_refused_and_one_of_bytes_is_bits(tmp_path: Path, encode: Any, photo: Any) -> None:
    root = folder(tmp_path / "d", [encode(photo(seed)) for seed in range(8)])
    for asked in ("percentiles", "0:100"):
        with pytest.raises(ConvliftError, match=f"--value-range {asked} is for values of more than 8 bits, and no im"):
            opened(root, tmp_path, asked)
    assert opened(root, tmp_path, "bits").value_range is None
    with pytest.raises(ConvliftError, match="is for values of more than 8 bits"):
        opened("digits", tmp_path)


def test_arrays_are_scaled_as_files_are(tmp_path: Path) -> None:
    units = RNG.integers(-1000, 2000, (14, 9, 9, 5)).astype(np.int16)
    labels = np.arange(14) % 2
    np.savez(tmp_path / "a.npz", train_images=units[:10], train_labels=labels[:10], test_images=units[10:],
             test_labels=labels[10:])  # fmt: skip
    parts = {"train": (units[:10], labels[:10]), "test": (units[10:], labels[10:])}
    stores = [opened(where, tmp_path) for where in (str(tmp_path / "a.npz"), parts)]
    known = [ends(units[:10, ..., band]) for band in range(5)]
    for store in stores:
        assert store.value_range == Stretch(*zip(*known, strict=True), "percentiles")
        assert_array_equal(store.image(13), expected(units[13], store.value_range.low, store.value_range.high))
    with pytest.raises(DataError, match="before any normalization, or give --value-range"):
        opened(str(tmp_path / "a.npz"), tmp_path, "bits")
    with pytest.raises(DataError, match="the test images of arrays are bytes, while others are not"):
        opened({**parts, "test": (units[10:].astype(np.uint8), labels[10:])}, tmp_path)


def test_which_images_are_which_does_not_depend_on_the_scale(tmp_path: Path) -> None:
    for kind, (write, images) in KINDS.items():
        root = folder(tmp_path / kind, [write(each) for each in images], "npy" if "array" in kind else "png")
        between = f"{float(images.min()):g}:{float(images.max()):g}"
        stores = [opened(root, tmp_path, asked) for asked in ("percentiles", "10%:60%", between)]
        if images.min() >= 0:
            stores.append(opened(root, tmp_path, "bits"))
        for store in stores:
            assert_array_equal(store.hashes, stores[0].hashes)
            assert len(set(store.hashes)) == 12
        assert len({store.fingerprint for store in stores}) == len(stores)


def test_what_is_known_of_data_without_a_scale_is_as_it_was(tmp_path: Path) -> None:
    source = open_source(folder(tmp_path / "d", [png(each) for each in warm()]))
    rows = [
        [each.label, each.split, hashlib.sha256(source.read(at)).hexdigest()] for at, each in enumerate(source.items)
    ]
    before = hashlib.sha256(json.dumps([source.classes, rows]).encode()).hexdigest()
    assert data_fingerprint(source) == before == open_store(source, tmp_path).fingerprint
    meta = json.loads((open_store(source, tmp_path).folder / "meta.json").read_text())
    assert meta["value_range"] == 16383.0
    assert data_fingerprint(source, Way(value_range="percentiles")) != before


def test_progress_is_told_of_what_is_looked_at_too(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    source = open_source(folder(tmp_path / "d", [png(each) for each in warm(40)]))
    open_store(source, tmp_path, lambda done, total: told.append((done, total)), Way(value_range="percentiles"))
    assert told == [(32, 40), (40, 40)] * 2
