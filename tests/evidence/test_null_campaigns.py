"""A/A campaigns added up: exact intervals, and the naive walk over the same runs."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from convlift.evidence.null_campaigns import Naive, NullCampaign, keep_if_better, plain, rate, tally
from convlift.records.result import Estimate


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (0, 20), (1, 20), (7, 20), (20, 20)])
def test_a_rate_has_the_exact_interval(hits: int, n: int) -> None:
    expected = binomtest(hits, n).proportion_ci(method="exact")
    found = rate(hits, n)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.value == hits / n


def walk(validation: list[float]) -> int:
    """Keep-if-better, step by step."""
    best = 0
    for place, score in enumerate(validation):
        if score > validation[best]:
            best = place
    return best


def test_keep_if_better_claims_what_a_walk_would_and_the_test_says_what_it_is_worth() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        baselines = rng.integers(80, 90, (2, 3)).astype(float)
        searched = rng.integers(80, 90, (2, 12)).astype(float)
        validation, test = (np.append(baselines[row, 0], searched[row]) for row in (0, 1))
        best = walk(validation.tolist())
        found = keep_if_better((baselines[0], baselines[1]), (searched[0], searched[1]))
        assert found == Naive(validation[best] - validation[0], test[best] - baselines[1].mean())


def test_a_search_that_found_nothing_claims_nothing() -> None:
    found = keep_if_better((np.array([90.0, 80.0]), np.array([86.0, 84.0])), (np.array([85.0]), np.array([99.0])))
    assert found == Naive(0.0, 1.0)


def test_on_noise_the_naive_claim_is_luck_and_its_worth_is_none() -> None:
    rng = np.random.default_rng(1)
    found = [
        keep_if_better(
            (rng.normal(80, 1, 2), rng.normal(80, 1, 2)),
            (rng.normal(80, 1, 20), rng.normal(80, 1, 20)),
        )
        for _ in range(400)
    ]
    assert np.mean([each.claimed_points for each in found]) > 1.5
    assert abs(np.mean([each.worth_points for each in found])) < 0.2


def campaign(gain: Estimate, proven: int = 0, claimed: float = 1.0) -> NullCampaign:
    network = Estimate(gain.value + 1.0, gain.low + 1.0, gain.high + 1.0)
    return NullCampaign(0, 10, proven, gain, gain.low > 0, 0.5, Naive(claimed, 0.0), network, network.low > 0)


def test_campaigns_are_added_up() -> None:
    found = tally(
        [
            campaign(Estimate(1.0, -1.0, 3.0)),
            campaign(Estimate(3.0, 1.0, 5.0), proven=2, claimed=3.0),
            campaign(Estimate(-4.0, -5.0, -3.0), claimed=0.0),
            campaign(Estimate(0.0, -1.0, 1.0), proven=1, claimed=2.0),
        ]
    )
    assert (found.any_change_proven.hits, found.any_change_proven.n) == (2, 4)
    assert (found.total_proven.hits, found.covers_zero.hits, found.naive_claims.hits) == (1, 2, 3)
    assert (found.network_proven.hits, found.network_claimed.mean) == (1, 1.0)
    assert (found.claimed.mean, found.naive_claimed.mean, found.optimism.mean) == (0.0, 1.5, 0.5)
    assert found.claimed.sd == pytest.approx(np.std([1, 3, -4, 0], ddof=1))


def test_a_single_campaign_has_no_deviation() -> None:
    assert np.isnan(tally([campaign(Estimate(1.0, -1.0, 3.0))]).claimed.sd)


def test_of_recipes_that_were_trained_once_nothing_is_counted() -> None:
    known = campaign(Estimate(1.0, -1.0, 3.0))
    unknown = replace(known, gain_points=None)
    found = tally([known, unknown])
    assert (found.covers_zero.hits, found.covers_zero.n, found.claimed.mean) == (1, 1, 1.0)
    assert found.network_proven.n == 2
    nothing = tally([unknown])
    assert (nothing.covers_zero.low, nothing.covers_zero.high) == (0.0, 1.0)
    assert plain([unknown], nothing, 1)["claimed"] == {"mean": None, "sd": None}
