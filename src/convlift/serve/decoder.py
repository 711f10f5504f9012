"""A process that turns the bytes of images into pixels, and may be lost: what breaks or blocks a decoder ends it alone.

Started by decoders.py as `python -m convlift.serve.decoder STEPS`, never by a person.
"""

import json
import math
import resource
import struct
import sys
import warnings
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, Self, cast

from convlift.data.decode import Alpha
from convlift.data.depth import Range, as_range
from convlift.data.square import square
from convlift.deploy.images import Origin, read_image
from convlift.errors import UnreadableImage
from convlift.recipe.data import Preparation

CPU_SECONDS = 10  # for one image; 25 million pixels take 1.5 at most where nobody made the file to be slow
BYTES_A_PIXEL, MORE_BYTES = 32, 512 * 2**20  # that it may take beyond what it has at the start
ASKED = struct.Struct(">II")  # bytes of the name and of the content, which follow
TOLD = struct.Struct(">?II")  # whether there are pixels; bytes of the notes (JSON) and of the pixels or the sentence
READY = b"!"


@dataclass(frozen=True)
class Steps:
    """From a file to what the network sees; the fields of `ModelConfig` that say so, and the most pixels of a file."""

    channels: int
    resolution: int
    preparation: Preparation
    value_range: Range
    alpha: str
    side: int
    most_pixels: int

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of_json(cls, text: str) -> Self:
        """What `to_json` gave."""
        told = json.loads(text)
        read = {"preparation": Preparation(*told["preparation"]), "value_range": as_range(told["value_range"])}
        return cls(**told | read)


def main() -> None:
    """Answer one image after another until the parent closes the pipe, or dies."""
    warnings.simplefilter("ignore")  # of Pillow, about files that are somebody's
    steps = Steps.of_json(sys.argv[1])
    if steps.preparation.contrast == "clahe":
        import cv2  # noqa: F401  # before memory is limited by what this process has
    _limit_memory(steps.most_pixels)
    asked, told = sys.stdin.buffer, sys.stdout.buffer
    told.write(READY)
    told.flush()
    while head := asked.read(ASKED.size):
        sizes = ASKED.unpack(head)
        name, content = asked.read(sizes[0]).decode("utf-8", "replace"), asked.read(sizes[1])
        _limit_seconds()
        _answer(told, steps, name, content)


def _answer(told: BinaryIO, steps: Steps, name: str, content: bytes) -> None:
    try:
        origin = Origin(steps.value_range, cast(Alpha, steps.alpha), steps.side, steps.channels)
        seen = read_image(content, name, origin, steps.most_pixels)
        is_there, notes = True, json.dumps(seen.notes).encode()
        payload = square(seen.pixels, steps.channels, steps.resolution, steps.preparation).tobytes()
    except UnreadableImage as error:
        is_there, notes, payload = False, b"[]", str(error).encode("utf-8", "replace")
    told.write(TOLD.pack(is_there, len(notes), len(payload)) + notes + payload)
    told.flush()


def _limit_seconds() -> None:
    """The kernel ends this process where the next image takes it longer (setrlimit(2), SIGXCPU): processor time, so
    that a busy machine does not make a large image a hostile one."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime) + CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _limit_memory(most_pixels: int) -> None:
    """An allocation beyond what the largest image takes fails, in place of others' memory; not on macOS."""
    with suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + BYTES_A_PIXEL * most_pixels + MORE_BYTES
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


if __name__ == "__main__":
    main()
