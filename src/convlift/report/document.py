"""The result as one JSON document: what `--json` prints and programs read."""

import math
from typing import Any

from convlift.outcome import Estimate, Result

SCHEMA_VERSION = 1


def document(result: Result) -> dict[str, Any]:
    """Plain data for `json.dumps`; a figure that is not finite becomes null, since JSON has no NaN.

    Scores are in [0, 1]; `points`, and the bounds beside them, are percentage points; times are seconds.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "run": result.run,
        "metric": result.metric,
        "baseline": _estimate("score", result.baseline),
        "final": _estimate("score", result.final),
        "gain": _estimate("points", result.gain_points),
        "changes": [
            {
                "name": verdict.name,
                "area": verdict.area,
                **_estimate("points", Estimate(verdict.points, verdict.low, verdict.high)),
                "label": verdict.label,
            }
            for verdict in result.verdicts
        ],
        "trials": result.trials,
        "seconds": _number(result.seconds),
        "budget_seconds": _number(result.budget_seconds),
        "optimism_points": _number(result.optimism_points),
        **({"folds": result.folds} if result.folds else {}),
    }


def _estimate(key: str, estimate: Estimate) -> dict[str, float | None]:
    return {key: _number(estimate.value), "low": _number(estimate.low), "high": _number(estimate.high)}


def _number(value: float) -> float | None:
    # float(): a numpy scalar that slipped into a record would stop json.dumps
    return float(value) if math.isfinite(value) else None
