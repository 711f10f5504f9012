"""What finished trials say of the machine's speed."""

import numpy as np
import pytest

from convlift.ledger.trials import TrialRecord
from convlift.recipe.built_in import built_in
from convlift.recipe.trial_spec import TrialSpec
from convlift.records.outcome import EpochReport, Outcome
from convlift.search.timing import timed
from made_up import FACTS

TUNE = built_in("fine-tune").at(128)


def ended(head: list[float], tuned: list[float]) -> TrialRecord:
    phases = (("head", head), ("fine-tune", tuned))
    curve = tuple(
        EpochReport(phase, number, len(taken), 0.5, 0.8, 0.6, 0.8, 1e-3, seconds)  # type: ignore[arg-type]
        for phase, taken in phases
        for number, seconds in enumerate(taken)
    )
    said = np.full((2, 2), 0.5, np.float32)
    outcome = Outcome("finished", said, said, curve, 4.0 + sum(head) + sum(tuned))
    return TrialRecord(1, 1, "start", TrialSpec(TUNE, 1), "", ("fine-tune",), 1, outcome)


def test_what_a_process_loads_once_is_not_taken_for_the_training() -> None:
    """As on an H200: the first epoch of either size of image takes ten seconds, all others .3 and .7."""
    record = ended([0.3] + [0.02] * 9, [9.4, *[0.34] * 5, 9.9, *[0.68] * 9])
    found = timed(record, FACTS)
    assert found is not None
    assert found.in_tuning == pytest.approx(16 * 0.6, abs=1.5)
    assert found.in_epochs == pytest.approx(found.in_tuning + 0.2)
    assert found.seconds - found.in_epochs == pytest.approx(4.0)  # the extraction of features


def test_epochs_that_a_busy_machine_slows_down_count_as_they_are() -> None:
    found = timed(ended([1.0] * 4, [2.0, 4.0, 5.5, 4.0]), FACTS)
    assert found is not None
    assert (found.in_epochs, found.in_tuning) == (19.5, 15.5)
