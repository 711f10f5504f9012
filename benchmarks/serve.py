"""Requests a second and their latency: `convlift serve` beside a FastAPI example as tutorials have it, one network.

    tutorial      benchmarks/users/fastapi_tutorial.py: async def, PIL, torch with its default threads, one image a time
    tutorial, 1   the same with torch.set_num_threads(1), which its author would have to know of
    convlift      `convlift serve` as it is

Command: python benchmarks/serve.py MODEL IMAGES [--clients 8] [--rounds 5] [--seconds 8] [--json FILE]
IMAGES: a folder. All servers run throughout; each round asks one after the other, so that what else the machine does
meets all of them. p50 and p99 are of all requests of all rounds; CPU: milliseconds of processor time a request, of the
server and its decoders, which another load changes little.

Result (two cores to itself, 8 clients, the model exported; requests/s, p50, p99, CPU ms):
  flowers 128 px, Lite0   tutorial 43, 177, 338, 43.9; 1 thread 48, 142, 320, 19.3; convlift 203, 38, 74, 8.1
  digits 8 px, tiny CNN   tutorial 730, 10, 22, 2.5; 1 thread 826, 9, 23, 1.2; convlift 637, 11, 26, 1.9
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

HERE = Path(__file__).parent
BOUNDARY = "------convlift"


@dataclass
class Server:
    """A server under test: how it is started, and what was measured."""

    name: str
    command: list[str]
    environment: dict[str, str]
    port: int
    process: "subprocess.Popen[bytes] | None" = None
    rates: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    failed: int = 0
    cpu_seconds: float = 0.0

    def start(self) -> None:
        environment = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}
        self.process = subprocess.Popen(self.command, env={**environment, **self.environment}, cwd=HERE / "users")

    def wait(self) -> None:
        for _ in range(600):
            try:
                with urlopen(f"http://127.0.0.1:{self.port}/openapi.json", timeout=60):
                    return
            except OSError:
                time.sleep(0.5)
        raise SystemExit(f"{self.name} did not start")


def servers(model: str) -> list[Server]:
    tutorial = [sys.executable, "-m", "uvicorn", "fastapi_tutorial:app", "--log-level", "warning", "--port"]
    convlift = [sys.executable, "-c", "from convlift.cli import main; main()", "serve", model, "--port"]
    made = []
    for name, command, more in (
        ("tutorial", tutorial, {}),
        ("tutorial, 1", tutorial, {"THREADS": "1"}),
        ("convlift", convlift, {}),
    ):
        port = free_port()
        made.append(Server(name, [*command, str(port)], {"MODEL": model, **more}, port))
    return made


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def request(content: bytes) -> bytes:
    """A photo as a browser's form sends it."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="photo.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    ).encode()
    body = head + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    return (
        f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


async def client(server: Server, requests: list[bytes], until: float, first: int) -> int:
    """Ask again and again over one connection; how many answers came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    done = 0
    while time.monotonic() < until:
        began = time.monotonic()
        writer.write(requests[(first + done * 7) % len(requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
        server.latencies.append(time.monotonic() - began)
        server.failed += b" 200 " not in head.split(b"\r\n")[0]
        done += 1
    writer.close()
    return done


def cpu_seconds(pid: int) -> float:
    """Of a process and its children."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            told = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if pid in (int(path.parent.name), int(told[1])):
            ticks += int(told[11]) + int(told[12])
    return ticks / os.sysconf("SC_CLK_TCK")


async def ask(server: Server, requests: list[bytes], clients: int, seconds: float) -> None:
    assert server.process is not None
    used, began = cpu_seconds(server.process.pid), time.monotonic()
    done = await asyncio.gather(*(client(server, requests, began + seconds, 31 * n) for n in range(clients)))
    server.rates.append(sum(done) / (time.monotonic() - began))
    server.cpu_seconds += cpu_seconds(server.process.pid) - used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("images")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    files = sorted(path for path in Path(arguments.images).rglob("*") if path.is_file())[:200]
    requests = [request(path.read_bytes()) for path in files]
    tested = servers(str(Path(arguments.model).resolve()))
    load_before = os.getloadavg()
    try:
        for server in tested:
            server.start()
        for server in tested:
            server.wait()
            asyncio.run(ask(server, requests, arguments.clients, 2.0))  # warm
            server.rates, server.latencies, server.cpu_seconds = [], [], 0.0
        for _ in range(arguments.rounds):
            for server in tested:
                asyncio.run(ask(server, requests, arguments.clients, arguments.seconds))
    finally:
        for server in tested:
            if server.process is not None:
                server.process.terminate()
                server.process.wait()
    report(tested, load_before, arguments.json)


def report(tested: list[Server], load: tuple[float, float, float], path: str | None) -> None:
    print(f"load before and after: {load[0]:.1f}, {os.getloadavg()[0]:.1f}")
    print(f"{'server':<14}{'requests/s':>12}{'rounds':>20}{'p50 ms':>9}{'p99 ms':>9}{'CPU ms':>9}{'failed':>8}")
    rows = []
    for server in tested:
        times = sorted(server.latencies)
        p50, p99 = (1000 * times[int(share * (len(times) - 1))] for share in (0.5, 0.99))
        rate = statistics.median(server.rates)
        spread = f"{min(server.rates):.1f} to {max(server.rates):.1f}"
        cpu = 1000 * server.cpu_seconds / len(times)
        print(f"{server.name:<14}{rate:>12.1f}{spread:>20}{p50:>9.0f}{p99:>9.0f}{cpu:>9.1f}{server.failed:>8}")
        row = {"server": server.name, "rates": server.rates, "p50_ms": p50, "p99_ms": p99, "cpu_ms": cpu}
        rows.append({**row, "failed": server.failed})
    if path:
        Path(path).write_text(json.dumps({"schema_version": 1, "servers": rows}, indent=1))


if __name__ == "__main__":
    main()
