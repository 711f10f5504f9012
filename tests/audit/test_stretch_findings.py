"""What is said of a scale that the user chose, in shares that people read."""

from collections.abc import Sequence

import pytest

from convlift.audit.stretch_findings import stretch_findings
from convlift.records.finding import Finding


def told(below: Sequence[int], above: Sequence[int], pixels: int) -> Finding:
    (found,) = stretch_findings(((0.0,), (100.0,)), None, {"a": (below, above, pixels)}, {"a": (200,) * len(below)})
    return found


@pytest.mark.parametrize(
    ("above", "share"), [(0, "0%"), (1, "under 0.001%"), (20, "0.002%"), (12_345, "1.2%"), (998_000, "100%")]
)
def test_shares_are_never_powers_of_ten(above: int, share: str) -> None:
    assert f"0% of the values lie below and {share} above" in told((0,), (above,), 1_000_000).message
    assert "e+" not in told((0,) * 5, (above,) * 5, 1_000_000).message


def test_where_most_is_cut_values_further_apart_are_no_advice() -> None:
    assert told((0,), (6,), 100).remedy.startswith("Give values further apart")
    assert told((60,), (0,), 100).remedy == (
        "Most of them are lost: give values between which they lie, or --value-range percentiles."
    )
