"""What a client sends, as images: the body read up to a limit, and the parts of a form (RFC 2046, RFC 7578)."""

import re
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple, NoReturn

from convlift.serve.limits import Limits
from convlift.serve.refused import Refused

UNNAMED = "the image"
_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"\r\n]{1,200})"|([^\s;,"]{1,200}))', re.IGNORECASE)
_FILENAME = re.compile(rb';\s*filename="((?:[^"\\\r\n]|\\.){0,1000})"', re.IGNORECASE)
_FIELDS = 16  # of a form besides its images


class Upload(NamedTuple):
    """An image as it came. name: that of its file, or UNNAMED."""

    name: str
    content: bytes


async def read_uploads(
    headers: Mapping[str, str], chunks: AsyncIterator[bytes], limits: Limits, most: int
) -> list[Upload]:
    """The images of a request: its whole body, or each file of a multipart form.

    headers: with lower-case names. most: images that are read. Raises Refused: 413 as soon as the body is larger than
    it may be, 400 where it is no form or has no image, 413 where it has too many of them.
    """
    boundary = _boundary(headers.get("content-type", ""))
    body = await _read(headers, chunks, limits.body_bytes)
    if boundary is None:
        if not body:
            raise Refused(400, "the body is empty; send the image as the body, or as the file of a multipart form.")
        return [Upload(UNNAMED, body)]
    found = _files(body, boundary, most)
    if not found:
        raise Refused(400, "the form holds no file; send the image as a file of a multipart form, or as the body.")
    if len(found) > most:
        what = "1 image" if most == 1 else f"{most} images"
        raise Refused(413, f"the form holds more than {what}; send them in several requests.")
    return found


async def _read(headers: Mapping[str, str], chunks: AsyncIterator[bytes], most: int) -> bytes:
    said = headers.get("content-length", "0")
    if not said.isdecimal() or len(said) > 18 or int(said) > most:
        _refuse(most)
    parts, size = [], 0
    async for chunk in chunks:
        size += len(chunk)
        if size > most:
            _refuse(most)
        parts.append(chunk)
    return b"".join(parts)


def _refuse(most: int) -> NoReturn:
    raise Refused(413, f"the body has over {most / 1e6:g} MB, the most that is read; send less.", hang_up=True)


def _boundary(content_type: str) -> bytes | None:
    """That of a multipart form; None of anything else, which is then an image. Raises Refused where it has none."""
    if not content_type.strip().lower().startswith("multipart/"):
        return None
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise Refused(400, "the form names no boundary; let your HTTP library write the Content-Type.", hang_up=True)
    return (found[1] or found[2]).encode("latin-1")


def _files(body: bytes, boundary: bytes, most: int) -> list[Upload]:
    """The parts that have a file name, at most one more than `most`; other fields of the form are passed over."""
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary, most + _FIELDS + 2)[1:]
    found = []
    for piece in pieces:
        head, has_content, content = piece.partition(b"\r\n\r\n")
        if piece.startswith(b"--") or not has_content:
            continue
        if name := _FILENAME.search(head[:4096]):
            told = name[1].replace(b'\\"', b'"').decode("utf-8", "replace").replace("\\", "/").rpartition("/")[2]
            found.append(Upload(told or UNNAMED, content))
    return found[: most + 1]
