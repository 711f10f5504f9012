"""What past campaigns lead one to expect: the formulas by hand, and the file."""

import json
import math

import numpy as np
import pytest

from convlift.catalogue.priors import (
    CATALOGUE_SD,
    TAU_BEFORE,
    TAU_WEIGHT,
    Expectations,
    Learned,
    Observation,
    Origin,
    between_variance,
    document,
    learn,
    load_expectations,
    parse_expectations,
    shipped_expectations,
)
from convlift.errors import ConvliftError

CATALOGUE = {"flip": 0.5, "smoothing": 0.2}


def seen(points, error, name="flip", kind="convnet"):
    return Observation(kind, name, points, error)


def test_one_campaign_is_weighed_against_the_catalogue():
    learned = learn([seen(3.0, 0.5)], [], CATALOGUE).of("convnet", "flip")
    ours, theirs = CATALOGUE_SD**-2, 1 / (0.5**2 + TAU_BEFORE**2)
    assert learned.points == pytest.approx((ours * 0.5 + theirs * 3.0) / (ours + theirs), abs=1e-3)
    assert learned.sd == pytest.approx((ours + theirs) ** -0.5, abs=1e-3)
    assert learned.campaigns == 1


def test_a_change_that_nobody_tried_keeps_its_catalogue_prior():
    found = learn([seen(3.0, 0.5), seen(9.0, 0.1, name="a change of another version")], [], CATALOGUE)
    assert found.of("convnet", "smoothing") is None
    assert found.of("pretrained", "flip") is None
    assert list(found.learned["convnet"]) == ["flip"]


def test_many_campaigns_outweigh_the_catalogue_and_sharp_ones_the_vague():
    many = learn([seen(2.0, 0.4)] * 40, [], CATALOGUE).of("convnet", "flip")
    assert many.points == pytest.approx(2.0, abs=0.05)
    mixed = learn([seen(2.0, 0.2), seen(-2.0, 4.0)], [], CATALOGUE).of("convnet", "flip")
    assert mixed.points > 1.0


def test_the_moment_estimate_of_two_equal_errors_is_the_sample_variance_less_their_own():
    """With k campaigns of equal error s, DerSimonian and Laird's tau^2 is the sample variance of y less s^2."""
    values = [0.0, 1.0, 5.0, -2.0]
    raw = np.var(values, ddof=1) - 0.5**2
    expected = (TAU_WEIGHT * TAU_BEFORE**2 + 3 * raw) / (TAU_WEIGHT + 3)
    assert between_variance([[seen(value, 0.5) for value in values]]) == pytest.approx(expected)


def test_campaigns_that_agree_bring_tau_down_and_a_single_one_leaves_it():
    assert between_variance([[seen(1.0, 0.5)]]) == TAU_BEFORE**2
    alike = between_variance([[seen(1.0, 0.5)] * 13])
    assert alike == pytest.approx(TAU_WEIGHT * TAU_BEFORE**2 / (TAU_WEIGHT + 12))


def test_pooling_recovers_a_planted_mean_and_spread():
    """400 changes of mean 1, spread 0.8 between campaigns, six campaigns each."""
    rng = np.random.default_rng(0)
    names = {f"change {k}": 1.0 for k in range(400)}
    found = [seen(1.0 + 0.8 * rng.normal() + 0.5 * rng.normal(), 0.5, name) for name in names for _ in range(6)]
    groups = [found[start : start + 6] for start in range(0, len(found), 6)]
    assert math.sqrt(between_variance(groups)) == pytest.approx(0.8, abs=0.05)
    learned = learn(found, [], names).learned["convnet"].values()
    errors = [(each.points - 1.0) / each.sd for each in learned]
    assert np.std(errors) < 1.1, "the stated standard deviations are honest"


def test_a_file_gives_back_what_was_written(tmp_path):
    origin = Origin("photos-1a2b", "photos", "f" * 64, 12)
    found = learn([seen(1.0, 0.5), seen(-1.0, 0.5, kind="pretrained")], [origin], CATALOGUE)
    path = tmp_path / "priors.json"
    path.write_text(json.dumps(document(found)))
    assert load_expectations(path) == found


def test_the_packaged_file_is_valid_and_says_where_it_comes_from():
    shipped = shipped_expectations()
    assert bool(shipped.origins) == any(shipped.learned.values())


GOOD = document(Expectations((), {"convnet": {"flip": Learned(1.0, 0.5, 2)}}))


@pytest.mark.parametrize(
    ("found", "match"),
    [
        ([], "no priors file of schema version 1"),
        ({**GOOD, "schema_version": 2}, "no priors file of schema version 1"),
        ({"schema_version": 1}, "lacks a field"),
        ({**GOOD, "expected": {"convnet": {"flip": {"points": 1.0}}}}, "lacks a field"),
        ({**GOOD, "from": [{"run": "a", "who": "b"}]}, "lacks a field or has one too many"),
        ({**GOOD, "expected": []}, "lacks a field"),
        (
            {**GOOD, "expected": {"convnet": {"flip": {"points": 1e9, "sd": 1, "campaigns": 1}}}},
            r"'flip' \(convnet\) is expected to gain 1000000000.0 points; it must be a number from -10 to 10",
        ),
        (
            {**GOOD, "expected": {"convnet": {"flip": {"points": "much", "sd": 1, "campaigns": 1}}}},
            "is expected to gain 'much' points",
        ),
        (
            {**GOOD, "expected": {"convnet": {"flip": {"points": float("nan"), "sd": 1, "campaigns": 1}}}},
            "is expected to gain nan points",
        ),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(found, match):
    with pytest.raises(ConvliftError, match=match) as caught:
        parse_expectations(found, "mine.json")
    assert caught.value.exit_code == 2
    assert "mine.json" in str(caught.value)


@pytest.mark.parametrize(("text", "match"), [(None, "cannot be read"), ("{", "is not JSON"), ("\x00", "is not JSON")])
def test_a_file_that_is_none_is_refused(tmp_path, text, match):
    path = tmp_path / "priors.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConvliftError, match=match):
        load_expectations(path)
