"""What each kind of image file becomes, and which are refused."""

import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from convlift.data.decode import decode, from_array, sniff
from convlift.data.square import fit_channels, resize, square
from convlift.errors import UnreadableImage
from convlift.recipe.data import LETTERBOX_FILL, Preparation

Encode = Callable[..., bytes]
GRADIENT = np.add.outer(np.arange(0, 160, 10), np.arange(0, 60, 5)).astype(np.uint8)  # (16, 12)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP", "GIF", "JPEG"])
def test_every_allowed_format_is_read(encode: Encode, photo: Callable[..., Any], kind: str) -> None:
    smooth = np.asarray(Image.fromarray(photo(0, 3, 3, 3)).resize((12, 16), Image.Resampling.BICUBIC))
    content = encode(smooth, kind, **({"lossless": True} if kind == "WEBP" else {}))
    assert sniff(content) == kind
    pixels = decode(content).pixels
    assert pixels.shape == (16, 12, 3)
    # GIF has 256 colours and JPEG loses some; the rest must be exact
    assert np.abs(pixels.astype(int) - smooth).mean() <= {"GIF": 8, "JPEG": 12}.get(kind, 0)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_files_are_refused_never_filled(
    encode: Encode, photo: Callable[..., Any], kind: str, share: float
) -> None:
    content = encode(photo(0, 64, 64, 3), kind)
    with pytest.raises(UnreadableImage):
        decode(content[: int(len(content) * share)])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"<!DOCTYPE html><html>404</html>", "HTML page"),
        (b"\n <html>", "HTML page"),
        (b"not found", "text file"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "EPS drawing"),
        (b"%PDF-1.7", "PDF document"),
        (b"SIMPLE  =                    T", "FITS file"),
        (b"\0\0\0\x18ftypheic", "HEIC image"),
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS pointer"),
        (bytes(64), "unknown kind of file"),
        (b"\xff\xd8\xff\xe0 and no more", "broken JPEG"),
        (b"BM and no more", "broken BMP"),
    ],
)
def test_what_is_no_image_is_named(content: bytes, reason: str) -> None:
    with pytest.raises(UnreadableImage, match=reason) as caught:
        decode(content)
    assert "\n" not in str(caught.value)


def test_a_disguised_format_outside_the_allowlist_is_refused(encode: Encode) -> None:
    with pytest.raises(UnreadableImage, match="not one of JPEG"):
        decode(encode(GRADIENT, "ICO"))


def png_of(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [8001, 10_000, 60_000])
def test_a_bomb_is_refused_by_its_header(side: int) -> None:
    with pytest.raises(UnreadableImage, match="over 64 million pixels"):
        decode(png_of(side, side))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_image_upright(encode: Encode, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = Image.fromarray(GRADIENT)
    turned.getexif()[0x0112] = orientation
    for kind in ("PNG", "TIFF"):
        result = decode(encode(GRADIENT, kind, exif=exif))
        assert np.array_equal(result.pixels[:, :, 0], np.asarray(ImageOps.exif_transpose(turned)))
        assert ("rotated" in result.notes) == (orientation != 1 and kind == "PNG")  # Pillow turns TIFF itself


def test_broken_exif_does_not_cost_the_image(encode: Encode) -> None:
    content = encode(GRADIENT, "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    with pytest.warns(UserWarning, match="Corrupt EXIF"):
        assert decode(content).pixels.shape == (16, 12, 1)


def test_cmyk_is_converted_and_said(encode: Encode) -> None:
    red = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    result = decode(encode(red, "TIFF"))
    assert result.pixels[0, 0].tolist() == [255, 0, 0]
    assert "cmyk" in result.notes
    assert decode(encode(red, "JPEG")).pixels[0, 0, 0] > 200


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled(encode: Encode, kind: str) -> None:
    result = decode(encode(GRADIENT.astype(np.uint16) * 257, kind))
    assert np.array_equal(result.pixels[:, :, 0], GRADIENT)
    assert "16 bit" in result.notes


def test_thirty_two_bits_are_scaled_only_where_sixteen_would_do(encode: Encode) -> None:
    assert np.array_equal(decode(encode(GRADIENT.astype(np.int32) * 257, "TIFF")).pixels[:, :, 0], GRADIENT)
    with pytest.raises(UnreadableImage, match="from -50 to 155; none may lie below 0"):
        decode(encode(GRADIENT.astype(np.int32) - 50, "TIFF"))


def test_floats_are_scaled_from_unit_range_or_refused(encode: Encode) -> None:
    unit = (GRADIENT / 255).astype(np.float32)
    result = decode(encode(unit, "TIFF"))
    assert np.array_equal(result.pixels[:, :, 0], GRADIENT)
    assert "float" in result.notes
    for bad in (unit * 500, unit - 1, np.full_like(unit, np.nan)):
        with pytest.raises(UnreadableImage, match="0 to 1"):
            decode(encode(bad, "TIFF"))


def test_transparency_is_laid_on_white(encode: Encode) -> None:
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[:, 4:] = (255, 0, 0, 255)  # black and invisible on the left, red on the right
    grey = np.zeros((8, 8, 2), np.uint8)
    grey[:, 4:] = (100, 255)
    palette = Image.fromarray(np.repeat([[0] * 4 + [1] * 4], 8, axis=0).astype(np.uint8), "L").convert("P")
    palette.putpalette([0, 0, 0, 255, 0, 0])
    cases = {
        "RGBA": (encode(rgba), [255, 0, 0]),
        "WEBP": (encode(rgba, "WEBP", lossless=True), [255, 0, 0]),
        "LA": (encode(Image.fromarray(grey, "LA")), [100]),
        "P": (encode(palette, transparency=0), [255, 0, 0]),
        "GIF": (encode(palette, "GIF", transparency=0), [255, 0, 0]),
    }
    for name, (content, right) in cases.items():
        result = decode(content)
        assert set(result.pixels[0, 0].tolist()) == {255}, name
        assert result.pixels[0, 7].tolist() == right, name
        assert "alpha" in result.notes, name


def test_an_opaque_alpha_channel_changes_nothing(encode: Encode, photo: Callable[..., Any]) -> None:
    rgb = photo(0)
    result = decode(encode(np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)])))
    assert np.array_equal(result.pixels, rgb)
    assert result.notes == ()


def test_grey_and_bilevel_have_one_channel_however_saved(encode: Encode) -> None:
    assert np.array_equal(decode(encode(GRADIENT)).pixels[:, :, 0], GRADIENT)
    assert np.array_equal(decode(encode(np.dstack([GRADIENT] * 3))).pixels[:, :, 0], GRADIENT)
    bilevel = decode(encode(Image.fromarray(GRADIENT > 100), "PNG")).pixels
    assert bilevel.shape == (16, 12, 1)
    assert set(np.unique(bilevel)) == {0, 255}


def test_the_first_frame_of_an_animation_is_taken(encode: Encode) -> None:
    frames = [Image.new("L", (8, 8), level) for level in (10, 200)]
    for kind in ("GIF", "PNG"):  # pages of a TIFF are bands
        result = decode(encode(frames[0], kind, save_all=True, append_images=frames[1:]))
        assert result.pixels.max() == 10
        assert "first frame" in result.notes


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1)])
@pytest.mark.parametrize("policy", ["squash", "crop", "letterbox"])
def test_extreme_shapes_are_accepted(encode: Encode, shape: tuple[int, int], policy: Any) -> None:
    result = decode(encode(np.full(shape, 99, np.uint8)))
    assert "odd shape" in result.notes
    assert max(result.pixels.shape) <= 1024
    out = square(result.pixels, 1, 32, Preparation(policy))
    assert out.shape == (32, 32, 1)
    assert 99 in out


def test_large_images_are_limited_as_pillow_would(encode: Encode) -> None:
    large = np.tile(GRADIENT, (40, 60))  # 640 x 720
    expected = Image.fromarray(large).resize((288, 256), Image.Resampling.BICUBIC)
    assert np.array_equal(decode(encode(large)).pixels[:, :, 0], np.asarray(expected))
    assert decode(encode(np.zeros((300, 3000), np.uint8))).pixels.shape == (102, 1024, 1)


def test_arrays_go_the_same_way_as_files(encode: Encode, photo: Callable[..., Any]) -> None:
    for image in (photo(0), GRADIENT, GRADIENT[:, :, None], photo(1, 300, 400, 3)):
        flat = image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image
        assert np.array_equal(from_array(image).pixels, decode(encode(flat)).pixels)


def test_squash_takes_the_whole_image(photo: Callable[..., Any]) -> None:
    image = photo(0, 40, 20, 3)
    expected = Image.fromarray(image).resize((16, 16), Image.Resampling.BICUBIC)
    assert np.array_equal(resize(image, 16, "squash", (0, 0, 0)), np.asarray(expected))


def test_crop_is_resize_by_0875_then_the_centre(photo: Callable[..., Any]) -> None:
    image = np.asarray(Image.fromarray(photo(0, 6, 12, 3)).resize((256, 128), Image.Resampling.BICUBIC))
    resized = Image.fromarray(image).resize((128, 64), Image.Resampling.BICUBIC)  # 56 / 0.875 = 64
    expected = np.asarray(resized)[4:60, 36:92]
    found = resize(image, 56, "crop", (0, 0, 0))
    assert found.shape == (56, 56, 3)
    assert np.abs(found.astype(int) - expected).max() <= 1  # rounding between Pillow's two passes


def test_crop_never_sees_the_edges_and_letterbox_sees_them_all() -> None:
    image = np.zeros((32, 64, 3), np.uint8)
    image[:, 16:48] = 200
    assert (resize(image, 16, "crop", (1, 2, 3)) > 150).all()
    boxed = resize(image, 16, "letterbox", (1, 2, 3))
    assert (boxed[:4] == (1, 2, 3)).all()
    assert (boxed[12:] == (1, 2, 3)).all()
    assert boxed[8, 0, 0] == 0
    assert boxed[8, 8, 0] == 200


def test_letterbox_of_a_square_is_squash(photo: Callable[..., Any]) -> None:
    image = photo(0, 20, 20, 3)
    assert np.array_equal(resize(image, 16, "letterbox", (0, 0, 0)), resize(image, 16, "squash", (0, 0, 0)))


def test_square_fills_with_the_fixed_colour_of_its_channels() -> None:
    wide = np.zeros((8, 16, 1), np.uint8)
    for channels in (1, 3):
        assert tuple(square(wide, channels, 8, Preparation("letterbox"))[0, 0]) == LETTERBOX_FILL[channels]


def test_channels_are_repeated_or_become_luma() -> None:
    grey = fit_channels(np.full((2, 2, 1), 7, np.uint8), 3)
    assert grey.shape == (2, 2, 3)
    assert (grey == 7).all()
    red = np.zeros((2, 2, 3), np.uint8)
    red[..., 0] = 255
    assert fit_channels(red, 1).tolist() == [[[76], [76]], [[76], [76]]]  # 0.299 * 255
