"""Images are decoded in processes of their own, which may be lost."""

import asyncio
import os
import signal

import numpy as np
import pytest

from convlift.deploy.images import Origin, read_image
from convlift.errors import UnreadableImage
from convlift.serve.bodies import Upload
from convlift.serve.decoders import Decoders
from convlift.serve.limits import Limits


def endless() -> bytes:
    """A plain PPM of comments, which takes Pillow a minute; its CPU limit is not waited for here."""
    return b"P3\n100 100\n255\n" + b"#\n" * 400_000 + b"1 " * 30_000


def test_a_decoder_sees_what_predict_sees(running, digits):
    square = running.run(running.service.decoders.read(Upload("a.png", digits[0])))
    assert (square.pixels == read_image(digits[0], "a.png", Origin()).pixels).all()
    assert square.notes == ()


def test_notes_come_along(running):
    from asking import as_png

    content = as_png(np.full((9, 9), 40_000, np.uint16))
    (note,) = running.run(running.service.decoders.read(Upload("deep.png", content))).notes
    assert note.startswith("16 bit, read as 0 to 65535")


def test_a_decoder_that_dies_is_replaced_and_says_so(running, digits):
    """The second image waits for the new process."""
    decoders: Decoders = running.service.decoders
    lost = decoders.lost

    async def ask():
        (process,) = decoders._all
        os.kill(process.pid, signal.SIGSTOP)  # it is in the middle of the image
        asked = asyncio.create_task(decoders.read(Upload("bad.jpg", digits[0])))
        await asyncio.sleep(0)
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(UnreadableImage, match=r"bad.jpg cannot be read \(it breaks the decoder\); save it anew"):
            await asked
        return await decoders.read(Upload("good.png", digits[0]))

    assert running.run(ask()).pixels.shape == (8, 8, 1)
    assert decoders.lost == lost + 1


def test_a_request_that_is_given_up_ends_its_decoder(running, digits):
    decoders: Decoders = running.service.decoders
    lost = decoders.lost

    async def ask():
        asked = asyncio.create_task(decoders.read(Upload("slow.ppm", endless())))
        while decoders._idle.qsize():
            await asyncio.sleep(0)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        return await decoders.read(Upload("good.png", digits[0]))

    assert running.run(ask()).pixels.shape == (8, 8, 1)
    assert decoders.lost == lost + 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"megapixels": 65}, "megapixels is 65, and convlift decodes no image of more than 64"),
        ({"seconds": 0}, "seconds is 0, and a limit is above 0"),
        ({"waiting": -1}, "waiting is -1"),
        ({"megabytes": float("nan")}, "megabytes is nan"),
    ],
)
def test_a_limit_that_cannot_be_kept_is_an_error(changes, says):
    from convlift.errors import ConvliftError

    with pytest.raises(ConvliftError, match=says):
        Limits(**changes)
