"""The images that a network gets wrong although it is sure, as plain data for the ledger."""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlift.data.dataset import Dataset

HARD_IMAGES = 12


def hard_images(
    said: NDArray[np.float32], dataset: Dataset, indices: NDArray[np.int64], labels: NDArray[np.int64]
) -> list[dict[str, Any]]:
    """The images that are taken for what they are not with the most confidence, as plain data.

    said (n, K): probabilities for the images at `indices` (n,), whose labels (n,) are given.
    """
    from PIL import Image

    sure = np.where(said.argmax(axis=1) == labels, -1.0, said.max(axis=1))
    found = []
    for row in np.argsort(-sure, kind="stable")[:HARD_IMAGES]:
        if sure[row] < 0:
            break
        pixels = dataset.store.image(int(indices[row]))
        buffer = io.BytesIO()
        Image.fromarray(pixels.squeeze(-1) if pixels.shape[2] == 1 else pixels).save(buffer, "PNG")
        found.append(
            {
                "png": base64.b64encode(buffer.getvalue()).decode(),
                "true_class": dataset.classes[labels[row]],
                "predicted_class": dataset.classes[int(said[row].argmax())],
                "confidence": float(sure[row]),
            }
        )
    return found
