"""Images per second of training augmentation: one resampling and one colour matrix, against the usual ways.

The job, for colour images of 32, 64 and 224 px, one core: mirror, rotation by up to 20 degrees, zoom by a fifth,
translation by a tenth, brightness, contrast, saturation, noise in every pixel (or, with --hue, hue in its place) and
normalization, each image with its own draw, bytes in, float32 out.

    steps with cv2    the same changes one after another, each with cv2's or numpy's best call
    torch batch       our maps and matrices, carried out by grid_sample and a batched matrix product
    torchvision v2    RandomHorizontalFlip, RandomAffine, ColorJitter, Normalize, image by image
    kornia            AugmentationSequential on the batch (where it is installed)
    albumentations    Compose, image by image (where it is installed)

And with --effects: what each lever that is no matrix adds to the time of normalizing one colour image of 64 px that is
drawn for it, in microseconds of the processor, least of the rounds: image by image (convlift), and a batch at once in
torch, as on a GPU, but on this CPU.

Contenders take turns in every round, with one thread; time is the processor's, and a ratio the median over rounds of
(its time / our time) in one round.

Command: OMP_NUM_THREADS=1 python benchmarks/augment.py [--hue] [--json] [--rounds 15]
kornia and albumentations: pip install kornia "albumentations==2.0.8" (the last one under the MIT licence)
Last result: docs/LOG.md, "Augmentation"

Last result with --effects --rounds 31, of one core that others used too; a rotation for comparison:

    rotation 17 (torch 40), gamma 11 (55), channel gain and greyscale 0, equalize 71 (92), solarize 17 (54), posterize
    16 (51), sharpness 25 (46), blur 14 (448), shot noise 28 (136), JPEG 58 (76), cloud shadow 87 (75), clouds 156
    (120), haze 49 (50), fog 129 (99), low sun 118 (85), night 81 (93)
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from convlift.augment import colour, geometry
from convlift.augment.batched import augment_batch
from convlift.augment.moves import draw_moves, maps_of
from convlift.augment.pipeline import augment
from convlift.augment.streams import Streams
from convlift.augment.weather_and_light import NAMES
from convlift.model.memory import keep_freed_memory
from convlift.model.operators import declare_missing_operators
from convlift.recipe.augmentation import Augmentation

USUAL = Augmentation(
    horizontal_flip=0.5,
    rotation=20 / 360,
    zoom=0.2,
    translation=0.1,
    brightness=0.2,
    contrast=0.2,
    saturation=0.3,
    noise=0.05,
)
WITH_HUE = USUAL.model_copy(update={"noise": 0.0, "hue": 0.05})
EFFECTS = {"rotation": 0.05, "gamma": 0.3, "channel_gain": 0.15, "greyscale": 0.2, "equalize": 1.0, "solarize": 0.5}
EFFECTS |= {"posterize": 4.0, "sharpness": 0.8, "blur": 0.015, "shot_noise": 0.1, "jpeg": 0.8}
EFFECTS |= dict.fromkeys(NAMES, 0.6)
MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
WARP = {"flags": cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, "borderMode": cv2.BORDER_REFLECT_101}
OURS = "convlift"

Images = NDArray[np.uint8]
Contender = Callable[[Images], object]


def ours(a: Augmentation) -> Contender:
    streams = Streams(0)
    return lambda images: augment(images, a, MEAN, STD, streams)


def steps_with_cv2(a: Augmentation) -> Contender:
    rng = np.random.default_rng(0)

    def change(image: Images) -> NDArray[np.float32]:
        size = image.shape[:2]
        if rng.random() < a.horizontal_flip:
            image = cv2.flip(image, 1)
        for step in (
            geometry.affine(size, rotation=rng.uniform(-a.rotation, a.rotation)),
            geometry.affine(size, scale=(1 - a.zoom) ** rng.uniform(-1, 1)),
            geometry.affine(size, shift_xy=np.rint(rng.uniform(-a.translation, a.translation, 2) * size)),
        ):
            image = cv2.warpAffine(image, step, size[::-1], **WARP)
        pixels = image.astype(np.float32) / 255
        saturation = rng.uniform(1 - a.saturation, 1 + a.saturation)
        grey = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        pixels = np.clip(cv2.addWeighted(pixels, saturation, grey, 1 - saturation, 0), 0, 1)
        if a.hue:
            hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
            hsv[..., 0] = (hsv[..., 0] + 360 * rng.uniform(-a.hue, a.hue)) % 360
            pixels = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
        pixels = (pixels - 0.5) * np.float32(rng.uniform(1 - a.contrast, 1 + a.contrast)) + 0.5
        pixels = pixels + np.float32(rng.uniform(-a.brightness, a.brightness))
        if a.noise:
            pixels = pixels + np.float32(a.noise) * rng.standard_normal(pixels.shape, np.float32)
        return (pixels - MEAN) / STD

    return lambda images: np.stack([change(image) for image in images])


def torch_batch(a: Augmentation) -> Contender:
    streams = Streams(0)

    def change(images: Images) -> torch.Tensor:
        count, height, width, channels = images.shape
        affine_N23 = maps_of(draw_moves(a, streams, count, (height, width)), (height, width))
        colours = colour.draw_colours(a, streams, count, channels)
        matrices = torch.from_numpy(colour.normalized(*colours, MEAN, STD)).float()
        # pixels to grid_sample's [-1, 1], where the ends are the outermost pixel centres
        half = np.array([(width - 1) / 2, (height - 1) / 2])
        theta = affine_N23.copy()
        theta[:, :, 2] += affine_N23[:, :, :2] @ half - half
        theta[:, :, :2] *= half / half[:, None]
        theta[:, :, 2] /= half
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
        grid = torch.nn.functional.affine_grid(torch.from_numpy(theta).float(), list(pixels.shape), align_corners=True)
        moved = torch.nn.functional.grid_sample(pixels, grid, padding_mode="reflection", align_corners=True).flatten(2)
        coloured = torch.baddbmm(matrices[:, :, 3:], matrices[:, :, :3], moved).view(pixels.shape)
        if a.noise:
            coloured += torch.randn_like(coloured) * (a.noise / torch.from_numpy(STD)).view(1, 3, 1, 1)
        return coloured

    return change


def torchvision_v2(a: Augmentation) -> Contender:
    declare_missing_operators()
    from torchvision.transforms import v2

    change = v2.Compose(
        [
            v2.RandomHorizontalFlip(a.horizontal_flip),
            v2.RandomAffine(
                degrees=360 * a.rotation,
                translate=(a.translation, a.translation),
                scale=(1 - a.zoom, 1 / (1 - a.zoom)),
                interpolation=v2.InterpolationMode.BILINEAR,
            ),
            v2.ColorJitter(a.brightness, a.contrast, a.saturation, a.hue),
            v2.ToDtype(torch.float32, scale=True),
            *([v2.GaussianNoise(sigma=a.noise, clip=False)] if a.noise else []),
            v2.Normalize(MEAN.tolist(), STD.tolist()),
        ]
    )
    return lambda images: torch.stack([change(image) for image in torch.from_numpy(images).permute(0, 3, 1, 2)])


def kornia_batch(a: Augmentation) -> Contender:
    import kornia.augmentation as K

    change = K.AugmentationSequential(
        K.RandomHorizontalFlip(p=a.horizontal_flip),
        K.RandomAffine(
            degrees=360 * a.rotation,
            translate=(a.translation, a.translation),
            scale=(1 - a.zoom, 1 / (1 - a.zoom)),
            padding_mode="reflection",
            p=1.0,
        ),
        K.ColorJiggle(a.brightness, a.contrast, a.saturation, a.hue, p=1.0),
        *([K.RandomGaussianNoise(std=a.noise, p=1.0)] if a.noise else []),
        K.Normalize(torch.from_numpy(MEAN), torch.from_numpy(STD)),
    )
    return lambda images: change(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255)


def albumentations_compose(a: Augmentation) -> Contender:
    import albumentations as A

    change = A.Compose(
        [
            A.HorizontalFlip(p=a.horizontal_flip),
            A.Affine(
                rotate=(-360 * a.rotation, 360 * a.rotation),
                scale=(1 - a.zoom, 1 / (1 - a.zoom)),
                translate_percent=(-a.translation, a.translation),
                p=1.0,
            ),
            A.ColorJitter(a.brightness, a.contrast, a.saturation, a.hue, p=1.0),
            *([A.GaussNoise(std_range=(a.noise, a.noise), p=1.0)] if a.noise else []),
            A.Normalize(MEAN.tolist(), STD.tolist()),
        ]
    )
    return lambda images: np.stack([change(image=image)["image"] for image in images])


CONTENDERS = {
    OURS: ours,
    "steps with cv2": steps_with_cv2,
    "torch batch": torch_batch,
    "torchvision v2": torchvision_v2,
    "kornia": kornia_batch,
    "albumentations": albumentations_compose,
}


def available(a: Augmentation) -> dict[str, Contender]:
    made = {}
    for name, make in CONTENDERS.items():
        try:
            made[name] = make(a)
        except (ImportError, RuntimeError):  # torchvision raises the latter beside a torch it does not fit
            continue
    return made


def seconds(contender: Contender, images: Images) -> float:
    start = time.process_time()
    contender(images)
    return time.process_time() - start


def race(contenders: dict[str, Contender], side: int, rounds: int) -> list[dict[str, object]]:
    count = max(32, 2**18 // side**2)
    images = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    for contender in contenders.values():
        contender(images)
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            times[name].append(seconds(contender, images))
    return [
        {
            "side": side,
            "name": name,
            "images_per_second": count / statistics.median(measured),
            "times_our_time": statistics.median(
                theirs / mine for theirs, mine in zip(measured, times[OURS], strict=True)
            ),
        }
        for name, measured in times.items()
    ]


def cost_of_effects(rounds: int, side: int = 64, count: int = 64) -> list[dict[str, object]]:
    """Microseconds of the processor that each effect adds to one image that is drawn for it, least of the rounds."""
    images = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    sent = torch.from_numpy(images)
    ways: dict[str, Callable[[Augmentation, Streams], object]] = {
        OURS: lambda changes, streams: augment(images, changes, MEAN, STD, streams),
        "torch": lambda changes, streams: augment_batch(sent, changes, MEAN, STD, streams),
    }
    rows: list[dict[str, object]] = []
    for name, strength in EFFECTS.items():
        off, on = Augmentation(), Augmentation.model_validate({name: strength, "effect_chance": 1.0})
        row: dict[str, object] = {"side": side, "name": name}
        for way, change in ways.items():
            streams, taken = Streams(0), {on: [], off: []}
            change(on, streams)
            for _ in range(rounds):
                for changes, times in taken.items():
                    start = time.process_time()
                    change(changes, streams)
                    times.append(time.process_time() - start)
            row[way] = 1e6 * (min(taken[on]) - min(taken[off])) / count
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", action="store_true", help="one document instead of the table")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--sides", type=int, nargs="+", default=[32, 64, 224], help="of the images, in pixels")
    parser.add_argument("--hue", action="store_true", help="hue in place of noise")
    parser.add_argument("--effects", action="store_true", help="what each effect costs, instead of the race")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    keep_freed_memory()  # as every training has it; all contenders gain by it
    if options.effects:
        costs = cost_of_effects(options.rounds)
        if options.json:
            print(json.dumps({"schema_version": 1, "rows": costs}, indent=2))
            return
        print(f"{'us an image of 64 px':<22}{OURS:>10}{'torch':>10}")
        for row in costs:
            print(f"{row['name']:<22}{row[OURS]:>10.0f}{row['torch']:>10.0f}")
        return
    contenders = available(WITH_HUE if options.hue else USUAL)
    rows = [row for side in options.sides for row in race(contenders, side, options.rounds)]
    versions = {name: version(name) for name in ("numpy", "torch", "opencv-python-headless")}
    if options.json:
        machine = f"{platform.system()} {platform.machine()}"
        document = {"schema_version": 1, "machine": machine, "versions": versions, "rows": rows}
        print(json.dumps(document, indent=2))
        return
    print(f"{'px':>4}  {'':<16}{'images/s':>10}{'times our time':>16}")
    for row in rows:
        print("{side:>4}  {name:<16}{images_per_second:>10,.0f}{times_our_time:>16.1f}".format(**row))
    missing = [name for name in CONTENDERS if name not in contenders]
    if missing:
        print(f"not installed: {', '.join(missing)}")


if __name__ == "__main__":
    main()
