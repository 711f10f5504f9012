"""The random numbers of an epoch, stream by stream, as they were: neither a refactoring nor a new lever moves them.

`python tests/augment/test_golden_draws.py` writes the file anew; a new lever must add a line and change no other.
"""

import json
from pathlib import Path

import pytest

from convlift.augment.streams import Streams
from convlift.recipe.augmentation import Augmentation

GOLDEN = Path(__file__).parents[1] / "golden" / "draws.json"
NAMES = ("order", "view", *Augmentation().strengths)


def draws() -> dict[str, list[float]]:
    streams = Streams(0, "train", 1)
    return {name: streams[name].random(3).tolist() for name in NAMES}


def test_every_stream_repeats_its_numbers() -> None:
    assert draws() == json.loads(GOLDEN.read_text())


def test_streams_differ_by_name_and_by_every_part_of_the_key() -> None:
    keys = [(0, "train", 0), (1, "train", 0), (0, "head", 0), (0, "train", 1), (2**62, "train", 0), (0, 0)]
    first = {Streams(*key)[name].random() for key in keys for name in NAMES}
    assert len(first) == len(keys) * len(NAMES)


@pytest.mark.parametrize("name", ["rotation", "noise"])
def test_a_stream_does_not_depend_on_what_was_asked_for_before(name: str) -> None:
    one, other = Streams(7), Streams(7)
    other["hue"].random(5)
    assert one[name].random() == other[name].random()


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(json.dumps(draws(), indent=1) + "\n")
