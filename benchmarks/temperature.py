"""What a temperature is worth, by the rule that chooses it: `python benchmarks/temperature.py RUN...`.

The validation predictions of finished campaigns (run folders), of up to 12 networks each, are cut at random: a rule
fits the temperature on m images and is measured on the others. Prints the mean change of the log-loss, the share of the
cuts that are worse by over .002 nats, and the worst. 48 campaigns on flowers, hymenoptera, pneumonia, CIFAR-10, Fashion
and digits: docs/decisions/0046-probabilities-at-a-temperature.md.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from convlift.evidence.temperature import BOUNDS, log_loss
from convlift.ledger.ledger import read_ledger
from convlift.search.decisions import STORY

SIZES, CUTS, NETWORKS, NOTICED = (30, 60, 120, 240, 480), 4, 12, 0.002
SPREADS = (None, 0.25, 0.5, 1.0)

Rows = NDArray[np.float32]
Labels = NDArray[np.int64]


def fitted(said: Rows, labels: Labels, spread: float | None) -> float:
    """The temperature of least log-loss, drawn towards 1 by a prior of this spread; None for none."""

    def badness(log_t: float) -> float:
        drawn = 0.0 if spread is None else log_t**2 / (2 * spread**2)
        return float(log_loss(said, labels, np.exp(log_t)).sum()) + drawn

    return float(np.exp(minimize_scalar(badness, bounds=np.log(BOUNDS), method="bounded").x))


def rules(said: Rows, labels: Labels) -> Iterator[tuple[str, float]]:
    """Every rule with its temperature; the second of each kind is 1 where it gains less than a standard error."""
    for spread in SPREADS:
        temperature = fitted(said, labels, spread)
        gained = log_loss(said, labels) - log_loss(said, labels, temperature)
        is_sure = gained.mean() > gained.std(ddof=1) / np.sqrt(len(gained))
        name = "least log-loss" if spread is None else f"drawn, {spread:g}"
        yield name, temperature
        yield f"{name}, over one standard error", temperature if is_sure else 1.0


def networks_of(run: Path) -> tuple[list[Rows], Labels]:
    """What a campaign's networks say of its validation images, and the labels."""
    with read_ledger(run) as ledger:
        labels = np.array((ledger.recall(STORY) or {}).get("validation_labels", []))
        ended = [record for record in ledger.trials() if record.status == "finished"]
        said = [record.unseen for record in ended if len(record.unseen) == len(labels) > 0]
    learned = [each for each in said if (each.argmax(1) == labels).mean() > 1.5 / each.shape[1]]
    return learned[:NETWORKS], labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    rng, found = np.random.default_rng(0), defaultdict(list)
    for run in parser.parse_args().runs:
        said, labels = networks_of(run)
        of_run = defaultdict(list)
        for each in said:
            for m in (m for m in SIZES if m <= 0.67 * len(labels)):
                for cut in (rng.permutation(len(labels)) for _ in range(CUTS)):
                    own, other = cut[:m], cut[m:]
                    for rule, temperature in rules(each[own], labels[own]):
                        after = log_loss(each[other], labels[other], temperature)
                        of_run[m, rule].append(float((after - log_loss(each[other], labels[other])).mean()))
        for key, changes in of_run.items():
            found[key].append((np.mean(changes), np.mean(np.array(changes) > NOTICED), np.max(changes)))
    for (m, rule), rows in sorted(found.items(), key=lambda row: row[0][0]):
        mean, worse, _ = np.mean(rows, axis=0)
        print(f"{m:4} images, {rule:40} {mean:+.3f} / {worse:.2f} / {np.max(rows, axis=0)[2]:.2f}  ({len(rows)} runs)")


if __name__ == "__main__":
    main()
