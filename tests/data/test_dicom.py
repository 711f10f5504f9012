"""DICOM: what the standard says that is shown, one range for files without a window, and refusals in words."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convlift.console.extras import is_installed
from convlift.data.decode import decode
from convlift.data.deep_files import deep_maximum, is_deep
from convlift.data.intake import Way
from convlift.data.readers.recognize import open_source
from convlift.data.store import open_store
from convlift.data.stretch import Stretch
from convlift.errors import UnreadableImage

needs_pydicom = pytest.mark.skipif(not is_installed("pydicom"), reason="the extra dicom is not installed")
RAMP = np.arange(0, 4096, 16, dtype=np.uint16).reshape(16, 16)


def dicom(pixels: np.ndarray, photometric: str = "MONOCHROME2", *, deflated: bool = False, **elements: Any) -> bytes:
    """A file of these pixels; elements of the data set by keyword."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pydicom.dataset import Dataset, FileMetaDataset
        from pydicom.uid import (
            DeflatedExplicitVRLittleEndian,
            ExplicitVRLittleEndian,
            SecondaryCaptureImageStorage,
            generate_uid,
        )

        meta = FileMetaDataset()
        meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian if deflated else ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
        data = Dataset()
        data.file_meta = meta
        data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        data.Rows, data.Columns = pixels.shape[:2] if photometric != "FRAMES" else pixels.shape[1:3]
        bits = 8 * pixels.dtype.itemsize
        data.BitsAllocated, data.BitsStored, data.HighBit = (
            bits,
            12 if bits == 16 else bits,
            11 if bits == 16 else bits - 1,
        )
        data.PixelRepresentation = int(pixels.dtype.kind == "i")
        data.SamplesPerPixel = 3 if photometric == "RGB" else 1
        data.PhotometricInterpretation = "MONOCHROME2" if photometric == "FRAMES" else photometric
        if photometric == "RGB":
            data.PlanarConfiguration = 0
        for name, value in elements.items():
            setattr(data, name, value)
        data.PixelData = pixels.tobytes()
        content = io.BytesIO()
        data.save_as(content, enforce_file_format=True)
    return content.getvalue()


@needs_pydicom
def test_the_window_is_applied_after_rescaling() -> None:
    """PS3.3 C.11.2.1.2.1: of centre 40 and width 400, -160 and below is black, 239 and above is white."""
    content = dicom(RAMP, RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=[40, 600], WindowWidth=[400, 1600])
    shown = decode(content).pixels[:, :, 0]
    units = RAMP.astype(float) - 1024
    expected = np.clip((units - 39.5) / 399 + 0.5, 0, 1) * 255
    assert np.abs(shown - expected).max() <= 0.5
    assert (shown[units <= -160] == 0).all()
    assert (shown[units >= 239] == 255).all()
    inverted = dicom(RAMP, "MONOCHROME1", RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=40, WindowWidth=400)
    assert (decode(inverted).pixels[:, :, 0] == 255 - shown).all()
    assert not is_deep(content)


@needs_pydicom
@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("LINEAR_EXACT", lambda x: np.clip((x - 2000) / 1000 + 0.5, 0, 1)),
        ("SIGMOID", lambda x: 1 / (1 + np.exp(-4 * (x - 2000) / 1000))),
    ],
)
def test_other_functions_of_a_window(function: str, expected: Any) -> None:
    content = dicom(RAMP, WindowCenter=2000, WindowWidth=1000, VOILUTFunction=function)
    assert np.abs(decode(content).pixels[:, :, 0] - 255 * expected(RAMP.astype(float))).max() <= 0.5


@needs_pydicom
def test_without_a_window_the_data_set_has_one_range(tmp_path: Path) -> None:
    for name, high in (("a", 4000), ("b", 1000)):
        (tmp_path / "scans" / name).mkdir(parents=True)
        for number in range(3):
            pixels = RAMP * (high / 4080) + number
            (tmp_path / "scans" / name / f"IM{number}").write_bytes(dicom(pixels.astype(np.uint16)))
    store = open_store(open_source(str(tmp_path / "scans")), tmp_path / "cache")
    assert store.value_range == 4095
    assert [store.image(index).max() for index in (0, 3)] == [round(4000 * 255 / 4095), round(1000 * 255 / 4095)]
    content = dicom(RAMP)
    assert is_deep(content)
    assert deep_maximum(content) == 4080
    turned = decode(dicom(RAMP, "MONOCHROME1"), 4095.0).pixels
    assert (turned[:, :, 0] == np.rint((4095 - RAMP.astype(float)) * 255 / 4095)).all()


@needs_pydicom
def test_bytes_and_colours_are_taken_as_they_are() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert (decode(dicom(grey)).pixels[:, :, 0] == grey).all()
    colour = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    assert (decode(dicom(colour, "RGB")).pixels == colour).all()
    dual = b"II*\0" + dicom(grey)[4:]  # a TIFF by its first bytes, as the standard allows
    assert (decode(dual).pixels[:, :, 0] == grey).all()


@needs_pydicom
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda: dicom(np.zeros((3, 8, 8), np.uint8), "FRAMES", NumberOfFrames=3), "DICOM of 3 frames; save the one"),
        (lambda: dicom(RAMP, RescaleSlope=1, RescaleIntercept=-1024), "values from -1024 and without a window"),
        (lambda: dicom(RAMP)[:-100], "broken DICOM"),
        (lambda: dicom(RAMP)[:200], "broken DICOM|without an image"),
        (lambda: dicom(RAMP, RescaleSlope="1e400", RescaleIntercept=0), "not finite|broken DICOM"),
        (lambda: dicom(RAMP, Rows=60000, Columns=60000), "60000 x 60000: over 64 million pixels"),
        (lambda: dicom(RAMP, Rows=0), "no size"),
        (lambda: dicom(RAMP, SamplesPerPixel=60000), "60000 values a pixel"),
        (lambda: dicom(RAMP, deflated=True), "deflated as a whole"),
        (lambda: dicom(np.zeros((8, 8, 3), np.uint16), "RGB"), "8 bits a colour"),
    ],
)
def test_what_is_no_single_image_is_refused_in_words(content: Any, words: str) -> None:
    with pytest.raises(UnreadableImage, match=words) as caught:
        decode(content())
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(is_installed("pydicom"), reason="pydicom is installed")
def test_without_pydicom_the_extra_is_named() -> None:
    with pytest.raises(UnreadableImage, match=r"pip install 'convlift\[dicom\]'"):
        decode(bytes(128) + b"DICM" + bytes(8))


@needs_pydicom
def test_a_scale_that_the_user_chose_takes_the_place_of_the_window(tmp_path: Path) -> None:
    """Of CT the rescaled values, Hounsfield units, are scaled: below 0 too, and whatever the windows are."""
    window = {"RescaleSlope": 1, "RescaleIntercept": -1024, "WindowCenter": 40, "WindowWidth": 400}
    units = RAMP.astype(float) - 1024
    chosen = Stretch((-1000.0,), (1000.0,), "-1000:1000")
    content = dicom(RAMP, **window)
    expected = np.rint(np.clip((units + 1000) * 255 / 2000, 0, 255))
    assert (decode(content, chosen).pixels[:, :, 0] == expected).all()
    assert (decode(dicom(RAMP, RescaleSlope=1, RescaleIntercept=-1024), chosen).pixels[:, :, 0] == expected).all()
    assert is_deep(content, is_stretched=True)
    # of MONOCHROME1 those that are turned over between the ends of what its bits hold, here -1024 and 3071
    turned = decode(dicom(RAMP, "MONOCHROME1", **window), chosen).pixels[:, :, 0]
    assert (turned == np.rint(np.clip((2047 - units + 1000) * 255 / 2000, 0, 255))).all()
    signed = (RAMP.astype(np.int32) - 2048).astype(np.int16)  # of 12 bits: -2048 to 2047
    turned = decode(dicom(signed, "MONOCHROME1"), chosen).pixels[:, :, 0]
    assert (turned == np.rint(np.clip((-1 - signed.astype(float) + 1000) * 255 / 2000, 0, 255))).all()
    for name in ("a", "b"):
        (tmp_path / "scans" / name).mkdir(parents=True)
        for number in range(3):
            pixels = (RAMP + number + 3 * (name == "b")).astype(np.uint16)
            (tmp_path / "scans" / name / f"IM{number}").write_bytes(dicom(pixels, **window))
    store = open_store(open_source(str(tmp_path / "scans")), tmp_path / "cache", way=Way(value_range="0%:100%"))
    assert store.value_range == Stretch((-1024.0,), (3061.0,), "0%:100%")
    assert (store.image(0)[:, :, 0] == np.rint((units + 1024) * (255 / 4085))).all()
