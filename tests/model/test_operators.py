import pytest
import torch

import convlift.model.backbone  # noqa: F401  (declares the operators, then imports timm and torchvision)
from convlift.model.operators import declare_missing_operators, operators_missing


def refuse(path: str) -> None:
    raise OSError(f"{path} needs libcudart")


def test_torchvision_has_its_operators_one_way_or_the_other():
    for name in ("nms", "qnms"):
        schema = str(getattr(torch.ops.torchvision, name).default._schema)
        assert schema.endswith("(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def test_a_whole_torchvision_misses_nothing():
    loaded: list[str] = []
    assert not operators_missing(load=loaded.append)
    assert len(loaded) == 1


def test_a_library_that_cannot_be_loaded_is_missed():
    assert operators_missing(load=refuse)


@pytest.mark.parametrize("again", [1, 2])
def test_declaring_again_changes_nothing(again: int):
    assert declare_missing_operators() == operators_missing()
