"""What campaigns claim where nothing can be gained (A/A tests), beside what keeping the better run would claim there.

Of the recipe everything that is claimed is false. Not so of the network: two trainings of one recipe do differ by their
seeds, and a claim on the network that says so may be true. Gains are in percentage points.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from convlift.records.result import Estimate

Floats = NDArray[np.float64]
SCHEMA_VERSION = 1  # of `plain`


@dataclass(frozen=True)
class NullCampaign:
    """One campaign whose changes all do nothing, so that its true gain is zero.

    changes_proven: how many it called proven.
    total_proven: whether it called the total gain of the recipe proven.
    network_points: gain of the network that ships; 0 where nothing was judged.
    network_proven: whether it called that proven.
    optimism_points: validation less test score of the recipe that it shipped.
    naive: what keep-if-better makes of the same runs.
    """

    seed: int
    trials: int
    changes_proven: int
    gain_points: Estimate | None
    total_proven: bool
    optimism_points: float
    naive: "Naive"
    network_points: Estimate
    network_proven: bool


@dataclass(frozen=True)
class Naive:
    """What keep-if-better, which trusts the best validation score, makes of a campaign's runs.

    claimed_points: best validation score less that of the first baseline run.
    worth_points: test score of that same run less the mean of all baseline runs.
    """

    claimed_points: float
    worth_points: float


@dataclass(frozen=True)
class Rate:
    """hits out of n, with the exact 95% interval (Clopper and Pearson 1934)."""

    hits: int
    n: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share, in [0, 1]; NaN of nothing."""
        return self.hits / self.n if self.n else float("nan")


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over campaigns, in points; the deviation of a single one is NaN."""

    mean: float
    sd: float


@dataclass(frozen=True)
class Tally:
    """The campaigns together.

    covers_zero: 95% intervals of the recipe's gain that include its true value, zero.
    network_proven: claims on the network, of which some may be true.
    naive_claims: how often keep-if-better claims any gain.
    """

    any_change_proven: Rate
    total_proven: Rate
    covers_zero: Rate
    claimed: Spread
    optimism: Spread
    naive_claims: Rate
    naive_claimed: Spread
    naive_worth: Spread
    network_proven: Rate
    network_claimed: Spread


def keep_if_better(baselines: tuple[Floats, Floats], searched: tuple[Floats, Floats]) -> Naive:
    """The usual search on runs that were made anyway: in their order, keep what scored higher than the best so far.

    baselines (P,), searched (R,): (validation, test) scores of the runs in points, test only looked at for the worth.
    """
    validation = np.concatenate([baselines[0][:1], searched[0]])
    test = np.concatenate([baselines[1][:1], searched[1]])
    best = int(validation.argmax())  # the first of equals, as a walk that wants more than the best so far ends there
    return Naive(float(validation[best] - validation[0]), float(test[best] - baselines[1].mean()))


def rate(hits: int, n: int) -> Rate:
    """The rate with its interval; of nothing it may be anything."""
    if not n:
        return Rate(0, 0, 0.0, 1.0)
    low = float(stats.beta.ppf(0.025, hits, n - hits + 1)) if hits else 0.0
    high = float(stats.beta.ppf(0.975, hits + 1, n - hits)) if hits < n else 1.0
    return Rate(hits, n, low, high)


def tally(campaigns: Sequence[NullCampaign]) -> Tally:
    """All campaigns together; at least one."""
    n = len(campaigns)
    gains = [campaign.gain_points for campaign in campaigns if campaign.gain_points is not None]
    return Tally(
        any_change_proven=rate(sum(campaign.changes_proven > 0 for campaign in campaigns), n),
        total_proven=rate(sum(campaign.total_proven for campaign in campaigns), n),
        covers_zero=rate(sum(gain.low <= 0.0 <= gain.high for gain in gains), len(gains)),
        claimed=_spread([gain.value for gain in gains]),
        optimism=_spread([campaign.optimism_points for campaign in campaigns]),
        naive_claims=rate(sum(campaign.naive.claimed_points > 0 for campaign in campaigns), n),
        naive_claimed=_spread([campaign.naive.claimed_points for campaign in campaigns]),
        naive_worth=_spread([campaign.naive.worth_points for campaign in campaigns]),
        network_proven=rate(sum(campaign.network_proven for campaign in campaigns), n),
        network_claimed=_spread([campaign.network_points.value for campaign in campaigns]),
    )


def _spread(values: Sequence[float]) -> Spread:
    if not values:
        return Spread(float("nan"), float("nan"))
    return Spread(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else float("nan"))


def plain(campaigns: Sequence[NullCampaign], tally: Tally, asked: int) -> dict[str, Any]:
    """Plain data for `json.dumps`; gains in points, rates in [0, 1], a deviation of one campaign null.

    asked: how many campaigns there shall be; fewer are listed until all are finished.
    """
    together: dict[str, Any] = {}
    for name, figure in vars(tally).items():
        together[name] = (
            {"share": figure.value if figure.n else None, **asdict(figure)}
            if isinstance(figure, Rate)
            else _plain_spread(figure)
        )
    return {
        "schema_version": SCHEMA_VERSION,
        "campaigns_asked": asked,
        "campaigns_finished": len(campaigns),
        **together,
        "campaigns": [asdict(campaign) for campaign in campaigns],
    }


def _plain_spread(spread: Spread) -> dict[str, float | None]:
    return {name: value if value == value else None for name, value in (("mean", spread.mean), ("sd", spread.sd))}
