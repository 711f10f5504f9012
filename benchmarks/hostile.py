"""Hostile requests to `convlift serve`: no crash, no status 500, an honest image answered all along, memory flat.

Command: python benchmarks/hostile.py MODEL IMAGE [--requests 10000] [--clients 8] [--seed 0]
MODEL is served with limits that a test can reach (--max-megabytes 5, --max-megapixels 25, --max-seconds 20).
Memory (RSS) is that of the server and of its decoders, after a tenth of the requests and at the end.

Result (two cores with a load of 15 by others, digits, 614 s): alive, no status 500, no honest image failed (503 aside),
19 decoders lost, slowest answer 20.7 s; server 454 MB before and 464 after, two decoders 99 and 101.
"""

import argparse
import asyncio
import io
import os
import random
import socket
import struct
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import numpy as np
from PIL import Image

MOST_BYTES = 5_000_000
DEAR = 200  # one request in so many takes a decoder seconds


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, data: bytes, extra: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def many_scans(side: int, scans: int) -> bytes:
    """A progressive JPEG of a few kilobytes whose last scan comes again and again."""
    content = saved(Image.new("L", (side, side), 128), "JPEG", progressive=True)
    start, end = content.rfind(b"\xff\xda"), content.rfind(b"\xff\xd9")
    return content[:start] + content[start:end] * scans + content[end:]


def images(honest: bytes, draw: random.Random) -> tuple[dict[str, Callable[[], bytes]], dict[str, bytes]]:
    """Cheap kinds, made anew each time, and dear ones, made once."""
    small = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    png_bytes, gif = saved(small, "PNG"), saved(small.convert("P"), "GIF")
    animated = saved(small.convert("P"), "GIF", save_all=True, append_images=[small.convert("P").rotate(90)] * 20)
    files = [honest, png_bytes, gif, saved(small, "TIFF"), saved(small, "WEBP"), saved(small, "BMP")]

    def damaged() -> bytes:
        content = bytearray(draw.choice(files))
        for _ in range(draw.randint(1, 30)):
            content[draw.randrange(len(content))] = draw.randrange(256)
        return bytes(content)

    def truncated() -> bytes:
        content = draw.choice(files)
        return content[: draw.randrange(len(content))]

    cheap: dict[str, Callable[[], bytes]] = {
        "damaged": damaged,
        "truncated": truncated,
        "garbage": lambda: draw.randbytes(draw.randint(1, 5000)),
        "empty": lambda: b"",
        "zip": lambda: b"PK\3\4" + draw.randbytes(200),
        "svg": lambda: b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
        "svg with entities": lambda: b"<!DOCTYPE a [<!ENTITY b 'bbbb'>]><svg>&b;</svg>",
        "html": lambda: b"<!doctype html><script>alert(1)</script>",
        "pickle": lambda: b"\x80\x04\x95\x0b\0\0\0\0\0\0\0\x8c\x05posix\x94.",
        "eps": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file",
        "png of 60000 px": lambda: png(60_000, 60_000, b""),
        "png text bomb": lambda: png(8, 8, bytes(72), chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**7)))),
        "png data bomb": lambda: png(8, 8, bytes(10**7)),
        "1 x 100000": lambda: png(1, 100_000, bytes(200_000)),
        "cmyk": lambda: saved(small.convert("CMYK"), "JPEG"),
        "16 bit": lambda: saved(Image.fromarray(np.full((40, 40), 40_000, np.uint16)), "PNG"),
        "animated gif": lambda: animated,
        "gif of 65535 px": lambda: gif[:6] + b"\xff\xff\xff\xff" + gif[10:],
        "transparent": lambda: saved(small.convert("RGBA").rotate(45), "PNG"),
    }
    dear = {
        "24 megapixels": saved(Image.new("RGB", (6000, 4000), "red"), "JPEG"),
        "png of 25 megapixels": png(5000, 5000, bytes(5001 * 5000)),
        "400 scans": many_scans(4900, 400),
        "ppm of comments": b"P3\n100 100\n255\n" + b"#\n" * 300_000 + b"1 " * 30_000,
        "500000 png chunks": png(8, 8, bytes(72), chunk(b"abCd", b"") * 300_000),
    }
    return cheap, dear


def as_request(path: str, content: bytes, kind: str = "application/octet-stream", more: str = "") -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n{more}Content-Length: {len(content)}\r\n\r\n"
    ).encode() + content


def form(contents: list[bytes]) -> bytes:
    parts = [
        b'--b\r\nContent-Disposition: form-data; name="f"; filename="%d.jpg"\r\n\r\n%b\r\n' % pair
        for pair in enumerate(contents)
    ]
    return b"".join(parts) + b"--b--\r\n"


def strange(honest: bytes, draw: random.Random) -> dict[str, bytes]:
    """Requests that are hostile as HTTP, not as images."""
    multipart = "multipart/form-data; boundary=b"
    return {
        "too large, as it says": b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000000\r\n\r\nabc",
        "length -1": b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        "two lengths": b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
        "huge header": b"POST /predict HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 300_000 + b"\r\n\r\n",
        "many headers": b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(20_000)) + b"\r\n",
        "no http": draw.randbytes(300) + b"\r\n\r\n",
        "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        "long path": b"GET /" + b"a" * 30_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        "path above": b"GET /../../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
        "put": b"PUT /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
        "no boundary": as_request("/predict", b"abc", "multipart/form-data"),
        "empty form": as_request("/predict", b"", multipart),
        "form of garbage": as_request("/predict", draw.randbytes(900), multipart),
        "form of boundaries": as_request("/predict/batch", b"--b\r\n" * 200_000, multipart),
        "form of 40 images": as_request("/predict/batch", form([honest[:500]] * 40), multipart),
        "form of 18 images": as_request("/predict/batch", form([honest, b"", b"PK\3\4"] * 6), multipart),
        "form without end": as_request("/predict", form([honest])[:-200], multipart),
        "name of newlines": as_request(
            "/predict", form([honest]).replace(b"0.jpg", b"../" * 50 + b"\x1b[31m\xff.jpg"), multipart
        ),
        "gzip": as_request("/predict", zlib.compress(honest), more="Content-Encoding: gzip\r\n"),
        "hangs up": as_request("/predict", honest)[:-100],
    }


class Attack:
    """Clients of a server at a port, and what they got."""

    def __init__(self, port: int, honest: bytes, seed: int) -> None:
        self.port = port
        self.honest = honest
        self.draw = random.Random(seed)
        self.cheap, self.dear = images(honest, self.draw)
        self.strange = strange(honest, self.draw)
        self.statuses: Counter[str] = Counter()
        self.by_kind: Counter[tuple[str, str]] = Counter()
        self.honest_failed = 0
        self.slowest = 0.0

    def one(self) -> tuple[str, bytes]:
        """A kind and its request."""
        draw = self.draw
        if draw.randrange(DEAR) == 0:
            kind = draw.choice(list(self.dear))
            return kind, as_request("/predict", self.dear[kind])
        if draw.random() < 0.35:
            kind = draw.choice(list(self.strange))
            return kind, self.strange[kind]
        kind = draw.choice(list(self.cheap))
        content = self.cheap[kind]()
        return kind, as_request("/predict", content, draw.choice(["image/jpeg", "text/html", "image/svg+xml", "x/y"]))

    async def run(self, number: int, clients: int) -> None:
        todo = iter(range(number))
        await asyncio.gather(*(self._client(todo) for _ in range(clients)))

    async def _client(self, todo: "object") -> None:
        for n in todo:  # type: ignore[attr-defined]
            if n % 50 == 0:
                status = await self._ask(as_request("/predict", self.honest))
                self.honest_failed += status not in ("200", "503")
            if n % 97 == 0:
                kind, status = "too large, streamed", await self._stream()
            elif n % 211 == 0:
                kind, status = "slow body", await self._drip()
            else:
                kind, content = self.one()
                status = await self._ask(content, hang_up=kind == "hangs up")
            self.statuses[status] += 1
            self.by_kind[kind, status] += 1

    async def _ask(self, content: bytes, hang_up: bool = False) -> str:
        began = time.monotonic()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                writer.write(content)
                if hang_up:
                    return "hung up"
                return await self._status(reader)
            finally:
                writer.close()
                self.slowest = max(self.slowest, time.monotonic() - began)
        except (OSError, EOFError):
            return "closed"

    async def _status(self, reader: asyncio.StreamReader) -> str:
        head = await asyncio.wait_for(reader.readline(), 300)
        return head.split(b" ")[1].decode() if head.startswith(b"HTTP") else "closed"

    async def _stream(self) -> str:
        """A body without a length that goes on for ever."""
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            sent = 0
            try:
                while sent < 20 * MOST_BYTES:
                    writer.write(b"10000\r\n" + bytes(65536) + b"\r\n")
                    await writer.drain()
                    sent += 65536
                return "read on"
            except OSError:
                return "413 or closed"
            finally:
                writer.close()
        except OSError:
            return "closed"

    async def _drip(self) -> str:
        """A body that comes byte by byte."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
            status = asyncio.ensure_future(self._status(reader))
            try:
                while not status.done():
                    writer.write(b"a")
                    await asyncio.wait([status], timeout=0.5)
                return await status
            finally:
                writer.close()
        except OSError:
            return "closed"


def memory(pid: int) -> tuple[int, int, int]:
    """Megabytes of the server, of its decoders together, and how many these are."""
    children = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and parent(int(p.name)) == pid]
    return resident(pid), sum(resident(child) for child in children), len(children)


def parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return -1


def resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") // 2**20
    except OSError:
        return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("image")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = int(found.getsockname()[1])
    command = [sys.executable, "-c", "from convlift.cli import main; main()", "serve", arguments.model, "--port"]
    limits = ["--max-megabytes", "5", "--max-megapixels", "25", "--max-seconds", "20"]
    server = subprocess.Popen([*command, str(port), *limits])
    try:
        while True:
            try:
                urlopen(f"http://127.0.0.1:{port}/health", timeout=120).read()
                break
            except OSError:
                time.sleep(0.5)
        attack, began = Attack(port, Path(arguments.image).read_bytes(), arguments.seed), time.monotonic()
        asyncio.run(attack.run(arguments.requests // 10, arguments.clients))
        before = memory(server.pid)
        asyncio.run(attack.run(arguments.requests - arguments.requests // 10, arguments.clients))
        time.sleep(15)
        after = memory(server.pid)
        told = urlopen(f"http://127.0.0.1:{port}/metrics", timeout=120).read().decode()
        is_alive = server.poll() is None
    finally:
        server.terminate()
        code = server.wait()
    print(f"{sum(attack.statuses.values())} requests in {time.monotonic() - began:.0f} s; {dict(attack.statuses)}")
    for (kind, status), number in sorted(attack.by_kind.items()):
        print(f"  {kind:<26}{status:>14}{number:>7}")
    print(f"alive {is_alive}, exit code {code}; honest images that failed: {attack.honest_failed}")
    print(f"slowest answer {attack.slowest:.1f} s; server, decoders (MB), decoders: {before} before, {after} after")
    print("\n".join(line for line in told.splitlines() if line.startswith(("convlift_dec", "convlift_images"))))
    sys.exit(not is_alive or attack.statuses["500"] > 0 or attack.honest_failed > 0)


if __name__ == "__main__":
    main()
