"""An application asked in this process: no socket, no client library."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

BOUNDARY = "a-boundary"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


class Answered(NamedTuple):
    """What an application answered. read: how many pieces of the body it took."""

    status: int
    headers: dict[str, str]
    content: bytes
    read: int

    @property
    def json(self) -> Any:
        return json.loads(self.content)


def as_png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def form(*files: tuple[str, bytes], boundary: str = BOUNDARY) -> bytes:
    """A multipart form with these files, and a field that is none."""
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="kind"\r\n\r\nphoto\r\n'.encode()]
    for name, content in files:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        parts.append(head.encode() + content + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode()


async def ask(
    app: Callable[..., Awaitable[None]],
    method: str,
    path: str,
    pieces: Iterable[bytes | None] = (b"",),
    **headers: str,
) -> Answered:
    """pieces: of the body, one after another; None: nothing more comes, and the client waits."""
    sent: list[dict[str, Any]] = []
    left, read = list(pieces), 0

    async def receive() -> dict[str, Any]:
        nonlocal read
        if not left:
            return {"type": "http.disconnect"}
        piece = left.pop(0)
        if piece is None:
            await asyncio.Event().wait()
        read += 1
        return {"type": "http.request", "body": piece, "more_body": bool(left)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
        "raw_path": path.encode(), "query_string": b"", "root_path": "", "scheme": "http", "headers": named,
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000), "state": {},
    }  # fmt: skip
    await app(scope, receive, send)
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answered(sent[0]["status"], told, b"".join(each.get("body", b"") for each in sent[1:]), read)
