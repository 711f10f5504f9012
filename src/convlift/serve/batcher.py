"""Images that wait are classified together: threads that each take what is there, as soon as they are free."""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from threading import Condition, Thread
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from convlift.deploy.images import Pixels

MOST = 16  # images at once: more are hardly faster for each, and the first of them would wait for the last
Seen = Callable[[Sequence[Pixels]], tuple[NDArray[np.float32], Sequence[float | None]]]


class Answer(NamedTuple):
    """Class probabilities (K,), and the distance from the images of training where the model tells it."""

    row: NDArray[np.float32]
    distance: float | None


class _Asked(NamedTuple):
    pixels: Pixels
    loop: asyncio.AbstractEventLoop
    answer: "asyncio.Future[Answer]"


class Batcher:
    """Threads that classify. No image waits for others to come: a thread that is free takes its share of what waits.

    seen: probabilities and distances of squares (R, R, C) uint8, called by `threads` threads at a time.
    taken: is told the number of images of every batch, in the thread that classified it.
    """

    def __init__(self, seen: Seen, threads: int, taken: Callable[[int], None] = lambda images: None) -> None:
        self._seen = seen
        self._taken = taken
        self._waiting: deque[_Asked] = deque()
        self._changed = Condition()
        self._idle = 0
        self._is_open = True
        self._threads = [Thread(target=self._run, name=f"classify-{n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    async def classify(self, squares: Sequence[Pixels]) -> list[Answer]:
        """What is said of each image. Raises whatever the network raises."""
        loop = asyncio.get_running_loop()
        asked = [_Asked(pixels, loop, loop.create_future()) for pixels in squares]
        with self._changed:
            self._waiting.extend(asked)
            self._changed.notify(len(asked))
        return list(await asyncio.gather(*(each.answer for each in asked)))

    def stop(self) -> None:
        """Classify what waits, then end the threads."""
        with self._changed:
            self._is_open = False
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while batch := self._next():
            try:
                found = [Answer(*each) for each in zip(*self._seen([each.pixels for each in batch]), strict=True)]
            except Exception as error:
                _tell(batch, error)
                continue
            self._taken(len(batch))
            _tell(batch, found)

    def _next(self) -> list[_Asked]:
        """This thread's share of what waits; none once the batcher is closed and nothing is left."""
        with self._changed:
            self._idle += 1
            while not self._waiting and self._is_open:
                self._changed.wait()
            share = min(MOST, math.ceil(len(self._waiting) / self._idle))
            self._idle -= 1
            return [self._waiting.popleft() for _ in range(share)]


def _tell(batch: list[_Asked], found: list[Answer] | Exception) -> None:
    """Hand the answers to the event loops that wait for them, once for each run of images of one loop."""

    def tell() -> None:
        for place, each in enumerate(batch):
            if each.answer.done():  # its request was given up
                continue
            if isinstance(found, Exception):
                each.answer.set_exception(found)
            else:
                each.answer.set_result(found[place])

    batch[0].loop.call_soon_threadsafe(tell)
