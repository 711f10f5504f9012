"""Draw the picture of docs/robustness.md: every corruption at every severity, of one photo.

    python docs/draw_corruptions.py

The photo is scikit-learn's `flower.jpg` (by vultilion at Flickr, CC BY 2.0), cut to a square.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_sample_image

from convlift.robustness.corruptions import CORRUPTIONS, corrupt
from convlift.robustness.strengths import SEVERITIES

PICTURE = Path(__file__).parent / "robustness" / "corruptions.jpg"
SIDE, SHOWN, GAP, NAME = 224, 112, 4, 130
Pixels = NDArray[np.uint8]


def photo() -> Pixels:
    """The middle of the photo, (SIDE, SIDE, 3)."""
    whole = Image.fromarray(load_sample_image("flower.jpg"))
    return np.asarray(whole.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=(130, 10, 530, 410)))


def sheet() -> Image.Image:
    """A row a corruption: its name, the photo, and severities 1 to 5."""
    step, image = SHOWN + GAP, photo()
    size = NAME + (1 + len(SEVERITIES)) * step, len(CORRUPTIONS) * step
    page = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(page)
    for row, name in enumerate(CORRUPTIONS):
        pen.text((4, row * step + SHOWN // 2 - 6), name.replace("_", " "), "black", ImageFont.load_default(13))
        for column, pixels in enumerate([image, *(corrupt(image, name, severity) for severity in SEVERITIES)]):
            shown = Image.fromarray(pixels).resize((SHOWN, SHOWN), Image.Resampling.BOX)
            page.paste(shown, (NAME + column * step, row * step))
    return page


if __name__ == "__main__":
    sheet().save(PICTURE, quality=80)
