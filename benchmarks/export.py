"""Whether exported files answer as convlift does: networks of every family, trained a little, on real images.

Command: python benchmarks/export.py DATA [--images 48] [--families NAME ...] [--json FILE]
DATA: a folder of class folders. Every family is trained for an epoch, exported, and asked about images of the folder in
their own size, squeezed to 97 x 160 and enlarged to 400 x 300 pixels, in batches of 1, 5 and 16. Prints, of each family
and size, the share of equal labels and the largest difference of a probability; those of one image never depend on its
batch by more than the last column.

The own size of an image is that of the first one; onnxruntime with one thread.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image, ImageOps

from convlift import api
from convlift.deploy.predict import Model, load
from convlift.interchange.onnx_file import onnx_model
from convlift.model.together import Together
from convlift.recipe.built_in import built_in
from convlift.recipe.recipe import Recipe

USERS = Path(__file__).parent / "users"
SIZES = {"own": None, "97 x 160": (97, 160), "400 x 300": (400, 300)}
BATCHES = (1, 5, 16)
Pixels = NDArray[np.uint8]


def of_blocks(block: str, **levers: Any) -> Recipe:
    """A network from scratch of one kind of block, with what the field sets around it."""
    usual = {"normalization": "batch", "summary": "average", "head_units": 0, "halving": "within", "block": block}
    return Recipe().edit(architecture={**usual, "stages": 3, "width": 16, **levers}, data={"resolution": 64})


def families() -> dict[str, Any]:
    """What is trained, by name: recipes, and networks of somebody's own."""
    return {
        "plain": built_in("plain").edit(data={"resolution": 64, "resize": "crop"}),
        "residual": built_in("residual"),
        "residual-quick": built_in("residual-quick").edit(data={"resize": "letterbox"}),
        "residual-photos": built_in("residual-photos").edit(data={"resolution": 96}),
        "resnet18": built_in("resnet18").edit(data={"resolution": 96}),
        "bottleneck": of_blocks("bottleneck", stem="deep", blur_pool=True, attention="cbam"),
        "inverted residual": of_blocks("inverted_residual", attention="eca", summary="gem"),
        "convnext": of_blocks("convnext", normalization="layer"),
        "frozen": built_in("frozen"),
        "transfer": built_in("transfer"),
        "fine-tune": built_in("fine-tune"),
        "pytorch tutorial": f"{USERS}/pytorch_tutorial.py:Net",
        "keras tutorial": f"{USERS}/keras_tutorial.py:make",
        "timm resnet18": f"{USERS}/timm_resnet18.py:make",
    }


def trained(data: str, asked: Any, out: Path) -> Model:
    """After one epoch."""
    if isinstance(asked, Recipe):
        api.train(data, asked.edit(training={"epochs": 1}), out=out, quiet=True)
    else:
        api.train(data, model=asked, out=out, quiet=True)
    return load(out)


def sized(paths: list[Path], size: tuple[int, int] | None) -> Pixels:
    """The images (N, H, W, 3); in the size of the first one where none is given."""
    found: list[Pixels] = []
    for path in paths:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened).convert("RGB")
        whole = size or (image.size if not found else found[0].shape[1::-1])
        found.append(np.asarray(image if image.size == tuple(whole) else image.resize(whole, Image.Resampling.BICUBIC)))
    return np.stack(found)


def compared(model: Model, paths: list[Path]) -> Iterator[dict[str, Any]]:
    """One line for each size."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(onnx_model(model).SerializeToString(), options)
    for name, size in SIZES.items():
        images = sized(paths, size)
        ours = np.array([list(each.probabilities.values()) for each in model.predict(list(images))])
        theirs = {
            batch: np.concatenate(
                [
                    session.run(["probabilities"], {"images": images[first : first + batch]})[0]
                    for first in range(0, len(images), batch)
                ]
            )
            for batch in BATCHES
        }
        yield {
            "size": name,
            "equal_labels": float(np.mean([(ours.argmax(1) == each.argmax(1)).mean() for each in theirs.values()])),
            "difference": float(max(np.abs(each - ours).max() for each in theirs.values())),
            "of_batch": float(max(np.abs(each - theirs[1]).max() for each in theirs.values())),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--images", type=int, default=48)
    parser.add_argument("--families", nargs="+", default=[*families(), "mirrored pair"])
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    every = sorted(path for path in Path(asked.data).rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    paths = every[:: max(1, len(every) // asked.images)][: asked.images]
    lines: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for family in asked.families:
            own = families().get(family)
            model = trained(asked.data, own or built_in("residual"), Path(folder) / family.replace(" ", "-"))
            if own is None:  # of two networks, on images and their mirror images
                together = Together([model.network, model.network], mirrored=True)
                model = Model(together, model.recipe, model.config)
            for line in compared(model, paths):
                lines.append({"family": family, **line})
                print(
                    f"{family:<20}{line['size']:<12}{line['equal_labels']:>8.4f}{line['difference']:>10.1e}"
                    f"{line['of_batch']:>10.1e}",
                    flush=True,
                )
    if asked.json:
        asked.json.write_text(json.dumps({"images": len(paths), "batches": BATCHES, "lines": lines}, indent=1) + "\n")


if __name__ == "__main__":
    main()
