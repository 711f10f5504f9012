"""The table of accuracies under corruptions, as a terminal shows it."""

import io

import numpy as np
from rich.console import Console

from convlift.evidence.shifted_scores import shift_scores
from convlift.report.shift_lines import shift_table
from convlift.robustness.names import NAMES
from convlift.robustness.strengths import SEVERITIES


def test_all_figures_stand_in_a_terminal_of_eighty_columns() -> None:
    cells = [(name, severity) for name in NAMES for severity in SEVERITIES]
    right = np.random.default_rng(0).random((len(cells), 40)) < 0.7
    scores = shift_scores("model", np.ones(40, bool), right, cells)
    written = io.StringIO()
    Console(file=written, width=80).print(shift_table(scores))
    lines = written.getvalue().splitlines()
    assert "…" not in written.getvalue()
    for name, found in zip(NAMES, scores.by_corruption, strict=True):
        (line,) = [each for each in lines if each.startswith(name.replace("_", " "))]
        assert line.rstrip().endswith(f"{found.accuracy.low:.3f} to {found.accuracy.high:.3f}")
