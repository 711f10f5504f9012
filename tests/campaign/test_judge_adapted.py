"""What ships with batch norms adapted to shifted images: the figures of its own predictions, and it stays as it is."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_digits

from convlift import api
from convlift.campaign.judge_adapted import Adapted, adapted_to_corruptions, judge_adapted
from convlift.deploy.adapt_batch_norm import MOST_IMAGES, adapted_statistics, using
from convlift.deploy.predict import Model, load
from convlift.deploy.shifted_images import Copy
from convlift.errors import ConvliftError, Interrupted
from convlift.recipe.recipe import Recipe
from convlift.records.result import AdaptedScore, Estimate, NetworkGain, ShiftGain
from convlift.report.documents import _shift
from convlift.report.shift_lines import shift_gain_sentences
from convlift.robustness.corruptions import corrupt
from convlift.robustness.dealing import dealt

IMAGES = np.rint(load_digits().images[:60] * (255 / 16)).astype(np.uint8)[..., None]
GAIN = NetworkGain(*(Estimate(each, each - 0.1, each + 0.1) for each in (0.4, 0.6, 20.0)), True)


def model_of(normalization: str, place: Path) -> Model:
    architecture = {"width": 8, "normalization": normalization}
    recipe = Recipe().edit(architecture=architecture, training={"epochs": 1})
    return load(api.train("digits", recipe, out=place / normalization, quiet=True).folder)


@pytest.fixture(scope="module")
def model(place: Path) -> Model:
    return model_of("batch", place)


def test_each_corruption_is_adapted_to_by_its_own_copies(model: Model) -> None:
    deal = [[Copy(*each) for each in own] for own in dealt(("fog", "contrast", "snow"), len(IMAGES), 2)]
    before = model.probabilities([model.prepared(image) for image in IMAGES])
    fewest, found = adapted_to_corruptions(model, lambda row: IMAGES[row], deal)
    assert found.shape == (2, len(IMAGES), 10)
    places = [(d, i) for i in range(len(IMAGES)) for d in range(2) if deal[i][d].name == "contrast"]
    squares = [model.prepared(corrupt(IMAGES[i], *deal[i][d])) for d, i in places]
    with using(model, adapted_statistics(model, squares, 16)):
        wanted = model.probabilities(squares)
    assert_allclose([found[d, i] for d, i in places], wanted, atol=1e-6)
    assert fewest == len(places) == 40
    assert_allclose(model.probabilities([model.prepared(image) for image in IMAGES]), before)
    assert not np.allclose(wanted, model.probabilities(squares))


def test_every_copy_is_made_once_and_statistics_are_of_so_many_at_most(model: Model) -> None:
    """What the report says of it is how many images the statistics are of, however many copies there are."""
    images, made, heard = np.resize(IMAGES, (MOST_IMAGES + 20, 8, 8, 1)), list[int](), list[tuple[int, int]]()

    def image(row: int) -> np.ndarray:
        made.append(row)
        return images[row]

    deal = [[Copy("fog", 1 + row % 5)] for row in range(len(images))]
    fewest, found = adapted_to_corruptions(model, image, deal, lambda done, total: heard.append((done, total)))
    assert fewest == MOST_IMAGES
    assert sorted(made) == list(range(len(images)))
    assert heard[-1] == (len(images), len(images))
    np.testing.assert_allclose(found.sum(axis=2), 1.0, atol=1e-5)


def test_without_batch_norm_nobody_is_asked(place: Path) -> None:
    def asked() -> tuple[int, NetworkGain]:
        raise AssertionError("there is nothing to adapt")

    assert judge_adapted(model_of("none", place), asked) == Adapted()


def test_a_fault_costs_this_line_alone(model: Model) -> None:
    def fails() -> tuple[int, NetworkGain]:
        raise ConvliftError("no room.")

    def stops() -> tuple[int, NetworkGain]:
        raise Interrupted("stopped", 2)

    assert judge_adapted(model, fails) == Adapted(fault="no room.")
    with pytest.raises(Interrupted):
        judge_adapted(model, stops)
    found = judge_adapted(model, lambda: (40, GAIN)).score
    assert found == AdaptedScore(16, 40, GAIN.baseline, GAIN.final, GAIN.gain_points)


def test_words_and_document_say_it_instead_of_what(model: Model) -> None:
    adapted = AdaptedScore(16, 40, Estimate(0.6, 0.5, 0.7), Estimate(0.65, 0.6, 0.7), Estimate(5.0, 2.0, 8.0))
    both = ShiftGain("corruptions", "", 60, 2, GAIN, ("fog",), adapted=adapted)
    said = " ".join(shift_gain_sentences(both, "accuracy"))
    assert "adapted to 40 or more images of each corruption" in said
    assert "accuracy 0.650 instead of 0.600, +5.0 points (95% interval +2.0 to +8.0)" in said
    assert _shift(both)["adapted"]["adapted"] == {"score": 0.65, "low": 0.6, "high": 0.7}
    lost = ShiftGain("images", "dark", 60, 1, GAIN, not_adapted="no room.")
    assert "No score with adapted batch norms: no room." in " ".join(shift_gain_sentences(lost, "accuracy"))
    assert _shift(lost)["adapted"] is None
