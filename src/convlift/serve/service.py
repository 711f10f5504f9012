"""What the server does with uploads: admitted, decoded, classified together, answered; no HTTP."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from convlift.console.resources import usable_cpus
from convlift.errors import UnreadableImage
from convlift.serve.batcher import Answer, Batcher
from convlift.serve.bodies import Upload
from convlift.serve.counters import Counters
from convlift.serve.decoder import Steps
from convlift.serve.decoders import Decoders, Square
from convlift.serve.limits import Limits
from convlift.serve.refused import Refused

if TYPE_CHECKING:
    from convlift.deploy.classifier import Classifier

Document = dict[str, Any]


class Service:
    """A model behind its limits. threads: that classify at a time, each with one of torch's."""

    def __init__(self, model: "Classifier", limits: Limits, threads: int) -> None:
        self.model = model
        self.limits = limits
        self.counters = Counters()
        config = model.config
        steps = Steps(
            config.channels,
            config.resolution,
            config.preparation,
            config.value_range,
            config.alpha,
            config.side,
            limits.pixels,
        )
        self.decoders = Decoders(steps, limits.decoders or usable_cpus())
        self._threads = threads
        self._batcher: Batcher | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Decoders and classifying threads, ready and warm, until the end of the block."""
        side, channels = self.model.config.resolution, self.model.config.channels
        self._batcher = Batcher(self.model.seen, self._threads, self.counters.add_batch)
        try:
            await self.decoders.start()
            await self._batcher.classify([np.zeros((side, side, channels), np.uint8)] * self._threads)
            yield
        finally:
            self._batcher.stop()
            await self.decoders.stop()

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """A place inside for one request. Raises Refused where all are taken."""
        if self.counters.waiting >= self.limits.waiting:
            raise Refused(503, "too many requests wait already; come again in a second.", hang_up=True)
        self.counters.waiting += 1
        try:
            yield
        finally:
            self.counters.waiting -= 1

    async def answers(self, uploads: Sequence[Upload]) -> list[Document | UnreadableImage]:
        """The prediction of each image, or why there is none. Raises Refused where it takes too long."""
        seconds = self.limits.seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._answers(uploads)
        except TimeoutError:
            raise Refused(503, f"the answer takes over {seconds:g} s; come again later, or with less.") from None

    async def _answers(self, uploads: Sequence[Upload]) -> list[Document | UnreadableImage]:
        read = await asyncio.gather(*(self._read(upload) for upload in uploads))
        squares = [each for each in read if isinstance(each, Square)]
        assert self._batcher is not None, "it answers while it runs"
        found = iter(await self._batcher.classify([each.pixels for each in squares]))
        self.counters.add_images(len(squares), len(read) - len(squares))
        return [
            self._prediction(upload.name, each, next(found)) if isinstance(each, Square) else each
            for upload, each in zip(uploads, read, strict=True)
        ]

    async def _read(self, upload: Upload) -> Square | UnreadableImage:
        try:
            return await self.decoders.read(upload)
        except UnreadableImage as error:
            return error

    def _prediction(self, name: str, square: Square, found: Answer) -> Document:
        """As in the document of `convlift predict --json`."""
        row, distance = found
        best = int(row.argmax())
        return {
            "image": name,
            "label": self.model.classes[best],
            "confidence": float(row[best]),
            "probabilities": dict(zip(self.model.classes, map(float, row), strict=True)),
            "unlike": None if distance is None else distance > 1.0,
            "distance": distance,
            "notes": list(square.notes),
        }
