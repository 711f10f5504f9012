"""What kind of file it is by its first bytes, and what a header tells before anything is decoded."""

import re
import struct
from dataclasses import dataclass

# an allowlist: Pillow would otherwise hand EPS to Ghostscript and open forty formats nobody has tested here
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
DICOM = "DICOM"  # read by pydicom, where that is installed
NPY = "NumPy array"  # of one image, such as one of many bands
MOST_SAMPLES = 6  # of a TIFF that marks one as alpha; what is beyond it is passed over, as viewers do

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (128, b"DICM", DICOM),  # first: what lies before it may pretend to be a TIFF
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"GIF8", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),  # BigTIFF
    (0, b"MM\0+", "TIFF"),
    (8, b"WEBP", "WEBP"),
    *((0, b"P%d" % n, "PPM") for n in range(1, 7)),
    (0, b"\x93NUMPY", NPY),
    (0, b"%PDF", "PDF document"),
    (0, b"%!PS", "EPS drawing"),
    (0, b"SIMPLE  =", "FITS file"),
    (0, b"8BPS", "Photoshop file"),
    (0, b"PK\3\4", "ZIP archive"),
    (0, b"\x1f\x8b", "gzip archive"),
    (4, b"ftyphei", "HEIC image"),
    (4, b"ftypmif", "HEIC image"),
    (4, b"ftypavif", "AVIF image"),
    (0, b"\0\0\0\x0cjP", "JPEG 2000 image"),
    (0, b"version https://git-lfs", "Git LFS pointer"),
)

_PPM = re.compile(rb"P([56])" + rb"(?:\s|#[^\n]*\n)+([0-9]{1,9})" * 3 + rb"\s")
# TIFF's tags, and the struct codes of the types that they may have
_WIDTH, _HEIGHT, _BITS, _BANDS, _PLANES = 256, 257, 258, 277, 284
_TYPES = {1: "B", 3: "H", 4: "I", 16: "Q"}


@dataclass(frozen=True)
class Header:
    """What a header tells of an image before it is decoded.

    bits: of one value; 8 where the header does not tell.
    bands: values of one pixel; 3 where the header does not tell.
    pixels: in all, of a TIFF.
    in_planes: whether the bands of a TIFF lie one after the other.
    """

    bits: int = 8
    bands: int = 3
    pixels: int = 0
    in_planes: bool = False


def sniff(content: bytes) -> str:
    """What a file is by its first bytes, whatever its name says: a name in FORMATS, or words for a reader."""
    if not content:
        return "empty file"
    for offset, magic, name in _MAGIC:
        if content[offset : offset + len(magic)] == magic:
            return name
    head = content[:512].lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html")):
        return "HTML page"
    if b"<svg" in head:
        return "SVG drawing"
    is_text = not any(byte < 9 or 13 < byte < 32 for byte in content[:512])
    return "text file" if is_text else "unknown kind of file"


def read_header(content: bytes, kind: str) -> Header:
    """Bits and bands of a file of one of FORMATS, without decoding it; of a JPEG the bits are those of nearly all."""
    if kind == "PNG" and len(content) > 25:
        return Header(content[24], {0: 1, 4: 2, 6: 4}.get(content[25], 3))
    if kind == "TIFF":
        try:
            tags = _tiff_tags(content)
        except (struct.error, OverflowError):  # directories that lie beyond the file's end
            return Header()
        pixels = tags.get(_WIDTH, 0) * tags.get(_HEIGHT, 0)
        return Header(tags.get(_BITS, 1), tags.get(_BANDS, 1), pixels, tags.get(_PLANES) == 2)
    if kind == "PPM" and (match := _PPM.match(content[:1024])):
        return Header(16 if int(match[4]) > 255 else 8, 3 if match[1] == b"6" else 1)
    return Header()


def _tiff_tags(content: bytes) -> dict[int, int]:
    """The first value of each tag of whole numbers in the first directory of a TIFF or BigTIFF file."""
    order, is_big = "<" if content[:2] == b"II" else ">", content[2:4] in (b"+\0", b"\0+")
    place = struct.unpack_from(order + ("Q" if is_big else "I"), content, 8 if is_big else 4)[0]
    count = struct.unpack_from(order + ("Q" if is_big else "H"), content, place)[0]
    place, size = place + (8 if is_big else 2), 20 if is_big else 12
    tags = {}
    for entry in range(place, place + size * min(count, 1000), size):
        tag, kind, length = struct.unpack_from(order + ("HHQ" if is_big else "HHI"), content, entry)
        if kind not in _TYPES or not length:
            continue
        value = entry + (12 if is_big else 8)
        if struct.calcsize(_TYPES[kind]) * length > (8 if is_big else 4):
            value = struct.unpack_from(order + ("Q" if is_big else "I"), content, value)[0]
        tags[tag] = int(struct.unpack_from(order + _TYPES[kind], content, value)[0])
    return tags


def jpeg_bits(content: bytes) -> int:
    """Bits of one value, from the first frame header (SOF0 to SOF15 but for tables)."""
    place = 2
    while place + 5 <= len(content) and content[place] == 0xFF:
        marker, length = content[place + 1], int.from_bytes(content[place + 2 : place + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return content[place + 4]
        place += 2 + max(length, 2)
    return 8


def ppm_values(content: bytes) -> tuple[int, int, int, int] | None:
    """Width, height, largest value and start of the pixels of a binary PGM or PPM of 16 bits; None for any other."""
    match = _PPM.match(content[:1024])
    if match is None or not 255 < int(match[4]) < 65536:
        return None
    return int(match[2]), int(match[3]), int(match[4]), match.end()


def without_text(content: bytes) -> bytes:
    """A PNG without its text and colour profile, which do not change the pixels but may be larger than they are."""
    kept, place = [content[:8]], 8
    while place + 12 <= len(content):
        end = place + 12 + int.from_bytes(content[place : place + 4], "big")
        if content[place + 4 : place + 8] not in (b"tEXt", b"zTXt", b"iTXt", b"iCCP"):
            kept.append(content[place:end])
        place = end
    return b"".join([*kept, content[place:]])
