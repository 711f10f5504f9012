"""Draw the pictures of docs/augmentation.md: what each lever makes of one image.

    python docs/draw_augmentation.py

The image is drawn here too, so that the pictures depend on this file and the code alone.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from convlift.augment.pipeline import augment
from convlift.augment.streams import Streams
from convlift.augment.weather_and_light import NAMES as WEATHER
from convlift.recipe.augmentation import Augmentation
from convlift.recipe.image_effects import Effects
from convlift.recipe.published_policies import Policies

FOLDER = Path(__file__).parent / "augmentation"
SIDE, DRAWS, GAP, LARGER = 112, 6, 6, 4
FEW, MANY = 40, 96  # colours of a picture: of what moves or erases, and of what changes light and quality
LEVELS = (0.3, 0.6, 1.0)  # of a lever whose picture shows several strengths
Pixels = NDArray[np.uint8]

Changes = dict[str, float | str]
ALWAYS: Changes = {"effect_chance": 1.0}
PICTURES: dict[str, Changes] = {
    "mirrors": {"horizontal_flip": 0.5, "vertical_flip": 0.5},
    "quarter-turns": {"horizontal_flip": 0.5, "quarter_turns": 0.75},
    "rotation": {"rotation": 0.2},
    "full-turns": {"rotation": 0.5},
    "zoom": {"zoom": 0.3},
    "translation": {"translation": 0.125},
    "aspect": {"aspect": 0.2},
    "shear": {"shear": 0.15},
    "crop": {"crop": 0.65},
    "perspective": {"perspective": 0.1},
    "elastic": {"elastic": 0.03},
    "fill-edge": {"rotation": 0.2, "fill_mode": "edge"},
    "fill-constant": {"rotation": 0.2, "fill_mode": "constant"},
    "erase": {"erase": 0.4},
    "cutout": {"cutout": 0.5},
    "gamma": {"gamma": 0.5},
    "channel-gain": {"channel_gain": 0.3},
    "greyscale": {"greyscale": 0.5},
    "equalize": {"equalize": 1.0, **ALWAYS},
    "solarize": {"solarize": 0.6, **ALWAYS},
    "posterize": {"posterize": 7.0, **ALWAYS},
    "sharpness": {"sharpness": 1.0, **ALWAYS},
    "blur": {"blur": 0.03, **ALWAYS},
    "shot-noise": {"shot_noise": 0.15, **ALWAYS},
    "jpeg": {"jpeg": 0.95, **ALWAYS},
    "rand-augment": {"rand_augment": 9.0},
    "trivial-augment": {"trivial_augment": 1.0},
    "aug-mix": {"aug_mix": 3.0},
}


def scene() -> Pixels:
    """A house beside a tree: something with an upright, straight edges and round ones."""
    large = SIDE * LARGER
    picture = Image.new("RGB", (large, large), "#9cc7e8")
    pen = ImageDraw.Draw(picture)

    def at(*places: float) -> list[float]:
        return [place * large for place in places]

    pen.ellipse(at(0.72, 0.06, 0.9, 0.24), "#f6d25b")
    pen.polygon(at(0.0, 0.62, 0.3, 0.5, 0.65, 0.6, 1.0, 0.52, 1.0, 1.0, 0.0, 1.0), "#7fae62")
    pen.rectangle(at(0.14, 0.44, 0.56, 0.82), "#e9dcc6")
    pen.polygon(at(0.08, 0.46, 0.35, 0.2, 0.62, 0.46), "#a8493b")
    pen.rectangle(at(0.46, 0.22, 0.52, 0.36), "#8a3c31")
    pen.rectangle(at(0.2, 0.6, 0.31, 0.82), "#5b4636")
    pen.rectangle(at(0.38, 0.54, 0.5, 0.66), "#4f7288")
    pen.line(at(0.44, 0.54, 0.44, 0.66), "#e9dcc6", 4)
    pen.line(at(0.38, 0.6, 0.5, 0.6), "#e9dcc6", 4)
    pen.rectangle(at(0.76, 0.6, 0.81, 0.84), "#6b4a32")
    pen.ellipse(at(0.64, 0.32, 0.94, 0.66), "#3f7d46")
    pen.polygon(at(0.2, 0.82, 0.31, 0.82, 0.46, 1.0, 0.18, 1.0), "#cdb991")
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def strip(image: Pixels, parts: list[Changes]) -> Image.Image:
    """The image, then draws of it: as many of each part."""
    zero, one, copies = np.zeros(3, np.float32), np.ones(3, np.float32), DRAWS // len(parts)
    seen = [
        augment(image[None].repeat(copies, axis=0), Augmentation.model_validate(each), zero, one, Streams(7))
        for each in parts
    ]
    tiles = [image, *np.rint(255 * np.concatenate(seen).clip(0, 1)).astype(np.uint8)]
    gap = np.full((SIDE, GAP, 3), 255, np.uint8)
    whole = np.concatenate([part for tile in tiles for part in (gap, tile)][1:], axis=1)
    is_light = any(name in {**Effects.model_fields, **Policies.model_fields} for each in parts for name in each)
    return Image.fromarray(whole).quantize(MANY if is_light else FEW, dither=Image.Dither.NONE)


def main() -> None:
    """Write the pictures."""
    FOLDER.mkdir(exist_ok=True)
    pictures: dict[str, list[Changes]] = {name: [changes] for name, changes in PICTURES.items()}
    for name in WEATHER:
        pictures[name.replace("_", "-")] = [{name: level, **ALWAYS} for level in LEVELS]
    for name, parts in pictures.items():
        strip(scene(), parts).save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
