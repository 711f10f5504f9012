"""What decoding met, as findings."""

import numpy as np
import pytest

from convlift.audit.findings import note_findings


@pytest.mark.parametrize(
    ("note", "one", "several"),
    [
        ("grey", "1 of 4 images is grey among", "2 of 4 images are grey among"),
        ("rotated", "image was turned upright, as its EXIF", "images were turned upright, as their EXIF"),
        ("unit float", "holds floats up to 1 among images of", "hold floats up to 1 among images of"),
    ],
)
def test_one_image_and_several_have_their_own_words(note: str, one: str, several: str) -> None:
    for count, said in ((1, one.replace("image was", "images was")), (2, several)):
        notes = [(note,)] * count + [()] * (4 - count)
        (found,) = note_findings(notes, list("abcd"), np.array([0, 0, 1, 1]), ["x", "y"])
        assert said in found.message
        assert found.items == tuple("abcd"[:count])
