import subprocess
import sys
from dataclasses import replace

import pytest

from convlift.catalogue.candidates import CATALOGUE
from convlift.catalogue.intervention import misfit, why_unfit
from convlift.catalogue.starting_points import residual_start, starting_points
from convlift.catalogue.unfit import Unmet
from convlift.recipe.recipe import Recipe
from convlift.records.facts import Facts
from starts import DIGITS, FLOWERS, TILES


@pytest.mark.parametrize("side", [8, 9, 12, 16, 28, 32, 48, 64, 128, 500])
def test_the_residual_start_fits_every_image_size(side):
    recipe = residual_start(Facts(1000, 10, native_resolution=side))
    assert recipe.data.resolution == min(side, 64)
    assert not misfit(recipe)
    halvings = recipe.architecture.stages + 2 * (recipe.architecture.stem == "large")
    assert recipe.data.resolution // 2**halvings >= 2


def test_digits_are_trained_at_their_own_eight_pixels():
    scratch = starting_points(DIGITS)[0].recipe
    assert (scratch.data.resolution, scratch.architecture.stages) == (8, 2)


def test_the_starting_points_of_flowers():
    points = starting_points(FLOWERS, backbone="resnet50", weights="resnet50.safetensors")
    assert [point.name for point in points] == [
        "residual",
        "frozen",
        "transfer",
        "fine-tune",
    ]
    assert all(point.reason and point.recipe.data.resolution for point in points)
    assert {point.recipe.architecture.backbone for point in points[1:]} == {"resnet50"}


@pytest.mark.parametrize(
    ("stages", "expected"),
    [(7, {"transfer": 2, "fine-tune": 3}), (4, {"transfer": 2, "fine-tune": 3}),
     (3, {"transfer": 2, "fine-tune": None}), (2, {"fine-tune": None}), (1, {"fine-tune": None})],
)  # fmt: skip
def test_a_backbone_of_few_stages_is_trained_wholly(stages, expected):
    points = starting_points(FLOWERS, backbone="hrnet_w18", stages=stages)
    tuned = {point.name: point.recipe.training.fine_tuning for point in points if point.recipe.training.fine_tuning}
    assert {name: each.stages for name, each in tuned.items()} == expected


@pytest.mark.parametrize(("imbalance", "alike", "expected"), [(3.0, True, 1.0), (3.0, False, 0.0), (1.2, True, 0.0)])
def test_a_score_of_classes_starts_with_adjusted_logits_where_they_are_uneven(imbalance, alike, expected):
    facts = replace(FLOWERS, imbalance=imbalance, classes_alike=alike)
    assert {point.recipe.training.logit_adjustment for point in starting_points(facts)} == {expected}
    change = next(each for each in CATALOGUE if each.name == "logit adjustment")
    assert (why_unfit(change, Recipe(), facts) is None) == (expected > 0)


def test_without_weights_only_networks_from_scratch_are_probed():
    assert [point.name for point in starting_points(FLOWERS, pretrained=False)] == ["residual"]


def test_starts_and_changes_for_bands_know_no_colours():
    unfit = set()
    for point in starting_points(TILES):
        assert not point.recipe.data.of_colours
        fitting = {each.name for each in CATALOGUE if not why_unfit(each, point.recipe, TILES)}
        assert not any(each.edit(point.recipe).data.of_colours for each in CATALOGUE if each.name in fitting)
        unfit |= {each.name for each in CATALOGUE if why_unfit(each, point.recipe, TILES) == Unmet("colours of bands")}
        assert "the backbone's own statistics" not in fitting
        assert {"standardize", "ImageNet statistics"} & fitting <= {"standardize"}
    assert {"saturation", "hue", "sometimes grey", "JPEG compression", "haze", "fog", "grey images"} <= unfit
    whole = next(point.recipe for point in starting_points(TILES) if point.name == "fine-tune")
    assert whole.training.fine_tuning.stages is None, "the first convolution was adapted, and is trained"
    asked = {each.name for each in CATALOGUE if not why_unfit(each, whole, TILES)}
    assert {"gamma", "colour of the light", "blur", "half the colour changes", "RandAugment"} <= asked


def test_the_room_imports_nothing_heavy():
    code = (
        "import sys, convlift.catalogue.candidates, convlift.catalogue.diagnose, convlift.cost.work, "
        "convlift.catalogue.starting_points; "
        "print([name for name in ('torch', 'timm', 'sklearn', 'cv2', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
