"""The processes that decode uploaded images, from the server's side: one image each at a time, replaced when lost."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from convlift.data.readers.source import printable
from convlift.deploy.images import Pixels
from convlift.errors import UnreadableImage
from convlift.serve.bodies import Upload
from convlift.serve.decoder import ASKED, CPU_SECONDS, READY, TOLD, Steps

NAME_BYTES = 800  # of a file's name that are told
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Square(NamedTuple):
    """An image as the network sees it: uint8 (R, R, C), and notes on how its values were read."""

    pixels: Pixels
    notes: tuple[str, ...]


class Decoders:
    """Processes that decode; they belong to the event loop that `start` runs in."""

    def __init__(self, steps: Steps, number: int) -> None:
        self.lost = 0  # processes that an image, or a request that was given up, has cost
        self._steps = steps
        self._number = number
        self._idle: asyncio.LifoQueue[Process] = asyncio.LifoQueue()
        self._all: set[Process] = set()
        self._starting: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Return once all of them are ready."""
        await asyncio.gather(*(self._start_one() for _ in range(self._number)))

    async def stop(self) -> None:
        """End them all, whatever they do."""
        for task in self._starting:
            task.cancel()
        for process in self._all:
            _kill(process)
        await asyncio.gather(*(process.wait() for process in self._all))

    async def read(self, upload: Upload) -> Square:
        """Decode and resize one image, once a process is idle.

        Raises UnreadableImage; also where the image took a process CPU_SECONDS, or ended it. A request that is given up
        while its image is decoded ends the process too.
        """
        process = await self._idle.get()
        try:
            answer = await self._ask(process, upload)
        except (OSError, EOFError) as error:  # it has ended, or closed its pipe
            self._lose(process)
            reason = _fault(await process.wait())
            raise UnreadableImage(
                f"{printable(upload.name)[:200]} cannot be read ({reason}); save it anew with an image editor."
            ) from error
        except BaseException:
            self._lose(process)
            raise
        self._idle.put_nowait(process)
        if isinstance(answer, str):
            raise UnreadableImage(answer)
        return answer

    async def _ask(self, process: Process, upload: Upload) -> Square | str:
        """The pixels, or the sentence that says why there are none."""
        assert process.stdin is not None, "it was made with pipes"
        assert process.stdout is not None, "it was made with pipes"
        name = upload.name.encode("utf-8", "replace")[:NAME_BYTES]
        process.stdin.writelines([ASKED.pack(len(name), len(upload.content)), name, upload.content])
        await process.stdin.drain()
        is_there, notes, size = TOLD.unpack(await process.stdout.readexactly(TOLD.size))
        told, payload = await process.stdout.readexactly(notes), await process.stdout.readexactly(size)
        if not is_there:
            return payload.decode()
        shape = (self._steps.resolution, self._steps.resolution, self._steps.channels)
        return Square(np.frombuffer(payload, np.uint8).reshape(shape), tuple(json.loads(told)))

    def _lose(self, process: Process) -> None:
        _kill(process)
        self.lost += 1
        self._all.discard(process)
        task = asyncio.get_running_loop().create_task(self._start_another())
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _start_another(self) -> None:
        while True:
            try:
                return await self._start_one()
            except (OSError, EOFError):  # no memory or no process is left: somebody may end soon
                await asyncio.sleep(1)

    async def _start_one(self) -> None:
        command = [sys.executable, "-P", "-m", "convlift.serve.decoder", self._steps.to_json()]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=_environment(), start_new_session=True
        )
        self._all.add(process)
        assert process.stdout is not None, "it was made with pipes"
        await process.stdout.readexactly(len(READY))
        self._idle.put_nowait(process)


def _fault(code: int) -> str:
    """What ended a process with this exit code."""
    return f"decoding it takes over {CPU_SECONDS} s" if code == -signal.SIGXCPU else "it breaks the decoder"


def _kill(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()


def _environment() -> Mapping[str, str]:
    path = os.pathsep.join(os.path.abspath(folder) for folder in sys.path)
    return {**os.environ, **dict.fromkeys(THREADS, "1"), "PYTHONPATH": path}
