"""Images that wait are classified together, and each gets its own answer."""

import asyncio
import threading

import numpy as np
import pytest

from convlift.serve.batcher import MOST, Batcher


def squares(count):
    return [np.full((2, 2, 1), n, np.uint8) for n in range(count)]


def values_of(pixels):
    """A network whose only probability is the first pixel, at a distance of a tenth of it."""
    return np.array([[each[0, 0, 0]] for each in pixels], np.float32), [each[0, 0, 0] / 10 for each in pixels]


@pytest.mark.parametrize("threads", [1, 2])
def test_every_image_gets_its_own_answer(threads):
    batcher = Batcher(values_of, threads)

    async def several():
        return await asyncio.gather(*(batcher.classify(squares(200)[n : n + 3]) for n in range(0, 198, 3)))

    found = [(float(row[0]), float(distance)) for rows in asyncio.run(several()) for row, distance in rows]
    batcher.stop()
    assert found == [(n, n / 10) for n in range(198)]


def test_what_waits_is_taken_together_and_no_more_than_a_batch():
    free, sizes = threading.Event(), []

    def slow(pixels):
        free.wait(30)
        return values_of(pixels)

    batcher = Batcher(slow, 1, sizes.append)

    async def ask():
        first = asyncio.create_task(batcher.classify(squares(1)))
        await asyncio.sleep(0)
        rest = [asyncio.create_task(batcher.classify(squares(1))) for _ in range(MOST + 5)]
        await asyncio.sleep(0)
        free.set()
        await asyncio.gather(first, *rest)

    asyncio.run(ask())
    batcher.stop()
    assert sum(sizes) == MOST + 6
    assert max(sizes) == MOST


def test_a_network_that_fails_fails_its_images_alone():
    def fussy(pixels):
        if pixels[0][0, 0, 0] == 9:
            raise RuntimeError("no memory")
        return values_of(pixels)

    batcher = Batcher(fussy, 1)

    async def ask():
        with pytest.raises(RuntimeError, match="no memory"):
            await batcher.classify([np.full((2, 2, 1), 9, np.uint8)])
        return await batcher.classify(squares(2))

    assert [row[0] for row, _ in asyncio.run(ask())] == [0, 1]
    batcher.stop()


def test_no_image_is_no_work():
    batcher = Batcher(values_of, 1)
    assert asyncio.run(batcher.classify([])) == []
    batcher.stop()
