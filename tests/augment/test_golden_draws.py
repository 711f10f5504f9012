"""The random numbers of an epoch, stream by stream, as they were: neither a refactoring nor a new lever moves them.

`python tests/augment/test_golden_draws.py` writes the file anew; a new lever must add a line and change no other.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from convlift.augment.pipeline import augment
from convlift.augment.streams import Streams
from convlift.recipe.augmentation import Augmentation

GOLDEN = Path(__file__).parents[1] / "golden" / "draws.json"
IMAGES = GOLDEN.with_name("augmented.json")
NAMES = ("order", "view", *Augmentation().strengths)


def draws() -> dict[str, list[float]]:
    streams = Streams(0, "train", 1)
    return {name: streams[name].random(3).tolist() for name in NAMES}


def test_every_stream_repeats_its_numbers() -> None:
    assert draws() == json.loads(GOLDEN.read_text())


def test_images_are_augmented_as_before_there_were_effects() -> None:
    """Values of images that were augmented by all levers that there were at decision 0051, over two batches; noise as
    it is since decision 0064."""
    golden = json.loads(IMAGES.read_text())
    rows, columns = np.indices((16, 16))
    image = np.stack([8 * rows + 4 * columns, 255 - 8 * rows, 10 * columns + 40], -1).clip(0, 255).astype(np.uint8)
    streams, changes = Streams(0, "train", 1), Augmentation(**golden["strengths"])
    normal = np.full(3, 0.5, np.float32), np.full(3, 0.25, np.float32)
    batches = [augment(image[None].repeat(3, axis=0), changes, *normal, streams) for _ in range(2)]
    found = np.concatenate(batches)[:, ::5, ::5].ravel()
    # another release of OpenCV rounds places: some levels, of a deviation of a quarter
    np.testing.assert_allclose(found, golden["values"], rtol=0, atol=0.1)
    assert np.mean(np.abs(found - golden["values"]) < 1e-3) > 0.9


class Asked(Streams):
    """Remembers what was drawn from."""

    def __init__(self, *key: int | str) -> None:
        super().__init__(*key)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> np.random.Generator:
        self.names.add(name)
        return super().__getitem__(name)


def test_how_much_lies_behind_moves_no_number() -> None:
    assert Streams(3, "train", 5, done=0.4)["hue"].random() == Streams(3, "train", 5)["hue"].random()


def test_what_is_off_draws_nothing() -> None:
    streams, image, normal = (
        Asked(0),
        np.zeros((2, 8, 8, 3), np.uint8),
        (np.zeros(3, np.float32), np.ones(3, np.float32)),
    )
    augment(image, Augmentation(rotation=0.1, hue=0.1), *normal, streams)
    assert streams.names == {"rotation", "hue"}


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
