"""Every bar of the method at full repetitions: `python benchmarks/evidence.py [--json FILE] [--only NAME]`.

The simulated worlds and the rivals lie in `simulation/`; `tests/evidence/` runs the same bars at reduced repetitions.
Prints one line a bar: what was measured, what is asked, and whether it holds. About 40 minutes on one core.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from convlift.evidence import posterior, total_gain
from simulation import classes, folds, networks
from simulation.arms import Arms, rates
from simulation.campaigns import (
    Judged,
    Played,
    best_of_eight,
    covers,
    gains,
    judge,
    keep_if_better,
    play,
)
from simulation.worlds import Setting, World, cheaper, make_world, run

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """One bar. holds: None where nothing is asked and the figure is published as it is."""

    bar: str
    cell: str
    measured: str
    asked: str
    holds: bool | None


def in_parts(
    setting: Setting, campaigns: int, seed: int, part: int = 50
) -> Iterator[tuple[World, np.random.Generator]]:
    """Worlds of `part` campaigns each, so that thousands of images a campaign fit into memory."""
    for number in range(campaigns // part):
        rng = np.random.default_rng([seed, number])
        yield make_world(replace(setting, campaigns=part), rng), rng


def mean(values: Floats) -> str:
    return f"{values.mean():.2f} ± {values.std(ddof=1) / np.sqrt(len(values)):.2f}"


def judged_in_parts(setting: Setting, campaigns: int, seed: int) -> tuple[list[World], list[Played], list[Judged]]:
    worlds, played, judged = [], [], []
    for world, rng in in_parts(setting, campaigns, seed):
        one = play(world, rng)
        judged.append(judge(world, one, rng))
        worlds.append(world)
        played.append(replace(one, test=one.test[:, :0], validation=one.validation[:, :0]))
    return worlds, played, judged


def null_worlds() -> Iterator[Line]:
    """Bar 1: 200 campaigns a cell; any change proven in at most 17, a total gain in at most 17."""
    for n, s, B in ((150, 1.0, 30), (1000, 0.5, 60), (5000, 1.0, 60)):
        part = 10 if n == 5000 else 50
        change = total = 0
        for world, rng in in_parts(Setting(kind="null", n=n, s=s, B=B), 200, 101, part):
            judged = judge(world, play(world, rng), rng)
            change += int(judged.proven.any(axis=1).sum())
            total += int(judged.total_proven.sum())
        for what, hits in (("any change proven", change), ("total proven", total)):
            yield Line("1 null worlds", f"n={n} s={s} B={B}", f"{what} in {hits} of 200", "17 at most", hits <= 17)


def intervals() -> Iterator[Line]:
    """Bars 2, 4 and 8 in the standard world, 300 campaigns a cell."""
    totals, scores, naive, shares = [], [], [], []
    for n, B in ((300, 12), (300, 30), (1000, 60)):
        worlds, played, judged = judged_in_parts(Setting(n=n, B=B), 300, 102)
        cell = f"n={n} B={B}"
        true, gain = np.concatenate([j.true_gain for j in judged]), np.concatenate([j.gain for j in judged])
        true_score, score = np.concatenate([j.true_score for j in judged]), np.concatenate([j.score for j in judged])
        for what, found in (("total", covers(gain, true)), ("score", covers(score, true_score))):
            yield Line("2 coverage", cell, f"{what} {found:.3f}", ".92 or more", found >= 0.92)
        totals.append(gain[:, 0] - true)
        scores.append(score[:, 0] - true_score)
        for world in worlds:
            kept, reported = keep_if_better(world, np.random.default_rng(5))
            naive.append(reported - 100 * world.setting.accuracy - gains(world, kept))
        shares.append(np.concatenate([j.share_covered for j in judged]))
        false = np.concatenate([(j.proven & (w.effects <= 0)).sum(1) for j, w in zip(judged, worlds, strict=True)])
        yield Line("4 false claims", cell, f"{false.mean():.3f} a campaign", ".1 at most", bool(false.mean() <= 0.1))
        if B == 60:
            useless = [
                (posterior.ship(p.belief, np.full(40, -1), 60, "lean") & (w.effects == 0)).sum(1)
                for p, w in zip(played, worlds, strict=True)
            ]
            found = float(np.concatenate(useless).mean())
            yield Line("4 useless changes, lean", cell, f"{found:.2f}", "2.5 at most", found <= 2.5)
    for what, parts in (("total", totals), ("score", scores)):
        errors = np.concatenate(parts)
        yield Line("2 bias", "900 campaigns", f"{what} {mean(errors)}", ".15 at most", abs(errors.mean()) <= 0.15)
    found = np.concatenate(naive)
    yield Line("2 naive optimism", "900 campaigns", mean(found), "+1 or more", bool(found.mean() >= 1.0))
    covered = float(np.concatenate(shares).mean())
    yield Line("8 shares", "900 campaigns", f"{covered:.3f}", ".93 or more", covered >= 0.93)


def against_the_rivals() -> Iterator[Line]:
    """Bars 3 and 5: true gain at equal compute, 300 campaigns a cell, worlds that no other part has seen."""
    standard = [(300, 12, 1.8, 1.0), (300, 20, 1.8, 1.0), (300, 30, 1.8, 1.2), (1000, 60, 1.25, 1.2)]
    cells = [(Setting(n=n, B=B), one, four) for n, B, one, four in standard]
    cells += [(Setting(kind="antagonism", n=1000, B=60), 1.05, None), (Setting(kind="harsh", n=300, B=60), 1.2, None)]
    cells += [(Setting(kind="harsh", n=n, B=B), None, None) for n, B in ((300, 12), (300, 30))]
    cells += [(Setting(kind="harsh", n=n, B=B), None, None) for n, B in ((600, 20), (1000, 12), (1000, 20), (1000, 30))]
    cells += [(Setting(kind="small-harm", K=12, n=360, B=12), None, None)]
    cells += [(Setting(kind="ruinous", n=300, B=B), None, None) for B in (12, 20, 30, 60)]
    cells += [(Setting(kind="small-harm", n=300, B=30), None, None), (Setting(kind="normal", n=300, B=30), None, None)]
    cells += [(Setting(kind="synergy", K=12, n=360, B=B), None, None) for B in (12, 32, 60)]
    cells += [(Setting(kind="all-help", K=12, n=360, B=B), None, None) for B in (12, 32, 60)]
    for setting, over_one, over_four in cells:
        ours, one, four, eight = [], [], [], []
        for world, rng in in_parts(setting, 300, 103):
            ours.append(gains(world, play(world, rng).shipped))
            one.append(gains(world, keep_if_better(world, rng)[0]))
            four.append(gains(world, keep_if_better(world, rng, 4.0)[0]))
            eight.append(gains(world, best_of_eight(world, rng)[0]))
        gain, rival, evo, best = (np.concatenate(part) for part in (ours, one, four, eight))
        measured = f"ours {mean(gain)}, keep-if-better {mean(rival)}, evo4 {mean(evo)}, best of 8 {mean(best)}"
        bars = [(over_one, "keep-if-better", rival), (over_four, "evo4", evo)]
        asked = [f"{factor} x {name}" for factor, name, _ in bars if factor is not None]
        holds = [bool(gain.mean() >= factor * other.mean()) for factor, _, other in bars if factor is not None]
        cell = f"{setting.kind} K={setting.K} n={setting.n} B={setting.B}"
        yield Line("3, 5 gain", cell, measured, " and ".join(asked), all(holds) if holds else None)
    world_of = Setting(kind="harsh", n=300, B=12)
    lean = np.concatenate([gains(w, play(w, rng, rule="lean").shipped) for w, rng in in_parts(world_of, 300, 104)])
    yield Line("5 lean", "harsh n=300 B=12", mean(lean), "-.1 or more", bool(lean.mean() >= -0.1))


def with_priors() -> Iterator[Line]:
    """Bar 6, and priors as widely spread as the effects, which the bar does not ask for."""
    for correlation, least in ((0.0, -0.3), (0.3, None), (0.6, 0.6)):
        differences = []
        for world, _ in in_parts(Setting(B=12, prior_correlation=correlation), 400, 105):
            told, alone = (
                gains(world, play(world, np.random.default_rng(6), use_priors=use).shipped) for use in (True, False)
            )
            differences.append(told - alone)
        found = np.concatenate(differences)
        asked = "" if least is None else f"{least} or more"
        holds = None if least is None else bool(found.mean() >= least)
        yield Line("6 priors", f"correlation {correlation} B=12", mean(found), asked, holds)


def with_low_fidelity() -> Iterator[Line]:
    """What cheaper runs add, by how their effects correlate with those of full runs: true gain in points."""
    tiers = (("60 low-fidelity trials at .02 of a training", 60, 0.02), ("a third of the search at .25", None, 0.25))
    for kind, n, B in (("standard", 600, 10), ("standard", 600, 20), ("harsh", 600, 10), ("standard", 300, 40)):
        for name, count, cost in tiers:
            for correlation in (0.0, 0.3, 0.5, 0.7, 0.9):
                found = []
                for world, rng in in_parts(Setting(kind=kind, n=n, B=B), 200, 106):
                    alone = gains(world, play(world, np.random.default_rng(7)).shipped)
                    tier = cheaper(world, correlation, rng)
                    number = count or int(B / 3 / cost)
                    told = play(world, np.random.default_rng(7), low_fidelity=(tier, number, cost)).shipped
                    found.append(gains(world, told) - alone)
                cell = f"{kind} n={n} B={B}, {name}, correlation {correlation}"
                yield Line("low fidelity", cell, mean(np.concatenate(found)), "", None)


def nested() -> Iterator[Line]:
    """Nested cross-validation (`improve --cv`): coverage of the gain and of the score, 200 campaigns a row, with real
    learners and a search in every fold; for accuracy and for the worst of six metrics."""
    rows = [
        folds.Setting(images=300),
        folds.Setting(images=300, baselines=1, finals=1),
        folds.Setting(images=300, folds=10, baselines=1, finals=1),
        folds.Setting(images=300, folds=2),
        folds.Setting(images=600, folds=3),
        folds.Setting(images=100),
        folds.Setting(images=100, folds=3, baselines=1, finals=1),
        folds.Setting(images=300, group_size=8),
        folds.Setting(images=200, searched=0, baselines=1, finals=1),
        folds.Setting(images=200, rare=10, folds=10, searched=0, baselines=1, finals=1),
        folds.Setting(images=100, rare=5, searched=0, baselines=1, finals=1),
    ]
    for setting in rows:
        found = folds.coverage(setting, 200, 109)
        cell = f"{setting.images} images, {setting.folds} folds, {setting.finals} runs" + (
            f", {setting.rare} of one class" * bool(setting.rare) + ", groups" * (setting.group_size > 1)
        )
        for what in ("gain", "score"):
            each = {metric: getattr(one, what) for metric, one in found.items()}
            worst = min(each, key=lambda metric: each[metric])
            asked, holds = (".92 or more", each["accuracy"] >= 0.92) if what == "gain" else ("", None)
            yield Line(f"nested {what}", cell, f"{each['accuracy']:.3f}, {worst} {each[worst]:.3f}", asked, holds)
        if not setting.searched:
            most = max(found, key=lambda metric: found[metric].proven)
            yield Line(
                "nested, no gain",
                cell,
                f"proven {found['accuracy'].proven:.3f}, {most} {found[most].proven:.3f}",
                "",
                None,
            )


def two_way() -> Iterator[Line]:
    """Bar 8: type I error of a change that only reshuffles, five seeds an arm, 2,000 repetitions a cell."""
    for n, s in ((200, 0.2), (1000, 1.0), (5000, 0.2), (5000, 1.0)):
        hits = mcnemar = 0
        for part in range(40):
            rng = np.random.default_rng([107, part])
            world = make_world(Setting(kind="null", n=1, n_test=n, s=s, K=1, campaigns=50), rng)
            arms = [run(world, np.full((50, 5, 1), on), rng, slice(1, None)) for on in (False, True)]
            for baseline, changed in zip(*arms, strict=True):
                gain = total_gain.judge(total_gain.ArmScores(baseline, changed), 0.5**2, same_start=True).gain_points
                hits += not gain.low <= 0 <= gain.high
                wins, losses = int((changed[0] & ~baseline[0]).sum()), int((baseline[0] & ~changed[0]).sum())
                mcnemar += stats.binomtest(wins, max(wins + losses, 1)).pvalue < 0.05
        rate, other = hits / 2000, mcnemar / 2000
        holds = rate <= 0.075 and (other >= 0.2 if (n, s) == (5000, 1.0) else True)
        asked = ".075 at most" + (", McNemar .2 or more" if (n, s) == (5000, 1.0) else "")
        yield Line("8 two-way", f"n={n} s={s}", f"{rate:.3f}, McNemar {other:.3f}", asked, holds)


def arms() -> Iterator[Line]:
    """Where nothing is gained and arms differ: 5 and 2 runs, 600 images, 12 or 24 search runs; and fewer runs, other
    accuracies, other images, starts chosen by luck. 400 campaigns a cell: .0085 is the standard error of .03."""
    usual = Arms(images=600, K=40)
    noises = {
        "seeds .5": {},
        "seeds 1": {"before": 1, "after": 1},
        "seeds 2": {"before": 2, "after": 2},
        "seeds 4": {"before": 4, "after": 4},
        "falls": {"falls": 1 / 15},
        "baseline 3, final .3": {"before": 3, "after": 0.3},
        "baseline 5, final .5": {"before": 5, "after": 0.5},
        "baseline 8, final 1": {"before": 8, "after": 1},
        "baseline .3, final 3": {"before": 0.3, "after": 3},
    }
    cells = {f"5+2, 12 searched, {name}": (replace(usual, **noise), True) for name, noise in noises.items()}
    cells |= {
        f"5+2, 24 searched, {name}": (replace(usual, searched=24, **noises[name]), True)
        for name in ("seeds 1", "seeds 2", "seeds 4", "baseline .3, final 3")
    }
    cells |= {f"2+2, {name}": (replace(usual, baselines=2, **noise), False) for name, noise in noises.items()}
    cells |= {
        f"one start, 2+2, {name}": (replace(usual, same_start=True, baselines=2, **noises[name]), False)
        for name in ("seeds .5", "seeds 1", "seeds 2", "seeds 4", "falls")
    }
    cells |= {
        f"luck chose, {baselines} baseline runs, {name}": (
            replace(usual, rivals=3, baselines=baselines, **noises[name]),
            baselines > 2,
        )
        for baselines in (2, 5)
        for name in ("seeds .5", "seeds 2", "baseline 3, final .3", "baseline 8, final 1", "falls")
    }
    near = replace(usual, before=0.2, after=0.2)
    cells |= {
        f"accuracy {accuracy}, {images} images": (replace(near, accuracy=accuracy, images=images), True)
        for accuracy, images in ((0.97, 600), (0.98, 600), (0.995, 600), (0.98, 2000))
    }
    cells |= {
        f"list of {listed} for {trainings} trainings": (replace(usual, searched=trainings - 3, K=listed), True)
        for trainings, listed in ((8, 14), (12, 21))
    }
    for seed, (name, (cell, asked)) in enumerate(cells.items()):
        found = rates(cell, 400, 200 + seed)
        measured = (
            f"proven {found.proven:.3f}, worse {found.worse:.3f}, gain covered {found.covers:.3f}, score "
            f"{found.score:.3f}, bias {found.bias:+.2f}, half-width {found.half_width:.2f}"
        )
        holds = max(found.proven, found.worse) <= 0.03 + 2.33 * 0.0085 and found.covers >= 0.94 - 2.33 * 0.012
        target = ".03 a side, .94 covered (99% points)" if asked else ""
        yield Line("arms", name, measured, target, holds if asked else None)


def power() -> Iterator[Line]:
    """How often a true gain is proven near an accuracy of one, 200 campaigns a cell, seeds of .2 points."""
    for baselines, accuracy, gain, images in (
        (2, 0.98, 1.2, 600), (5, 0.98, 1.2, 600), (2, 0.98, 1.2, 2000), (2, 0.97, 1.8, 600), (2, 0.94, 2.0, 600),
    ):  # fmt: skip
        near = Arms(before=0.2, after=0.2, baselines=baselines, accuracy=accuracy, gain=gain, images=images)
        found = rates(near, 200, 300)
        measured = f"proven {found.proven:.3f}, half-width {found.half_width:.2f}, gain covered {found.covers:.3f}"
        yield Line(
            "power", f"accuracy {accuracy}, +{gain} points, {images} images, {baselines} + 2 runs", measured, "", None
        )


def asked_of_the_test() -> Iterator[Line]:
    """What Holm over the frozen recipe alone proves, 100 campaigns a cell, 600 images."""
    for kind in ("standard", "antagonism", "null"):
        for searched in (18, 28, 57):
            cell = Arms(kind=kind, searched=searched, K=40, images=600, finals=2 if searched < 40 else 3)
            found = rates(cell, 100, 400)
            measured = f"{found.changes:.3f} proven a campaign, any false {found.any_false:.3f}"
            holds = found.any_false <= 0.05 + 2.33 * 0.022
            yield Line("changes proven", f"{kind}, {searched} searched", measured, ".05 at most (99% point)", holds)


def network() -> Iterator[Line]:
    """The claim on two networks, by their own truth: 3,000 campaigns a cell (standard errors: .0029 of .025, .004 of
    .95), 1,000 for the recipe's claim and for power. `without the exact test`: what the score interval alone proves."""
    for seed, (name, cell) in enumerate(networks.CELLS.items()):
        found = networks.play(cell, 3000, 500 + seed, recipes=1000)
        measured = (
            f"false {found.false:.4f} ({found.score_alone:.4f} without the exact test), worse {found.false_worse:.4f}, "
            f"covered {found.covers:.3f}, half-width {found.half_width:.2f}, truth's sd {found.truth_sd:.2f}"
        )
        if found.recipe_proven == found.recipe_proven:
            measured += f"; recipe: false {found.recipe_proven:.3f}, covered {found.recipe_covers:.3f}"
        holds = max(found.false, found.false_worse) <= 0.025 + 2.33 * 0.0029 and found.covers >= 0.94 - 2.33 * 0.004
        yield Line("network", name, measured, ".025 a side, .94 covered (99% points)", holds)
    for images in (60, 200, 600):
        shares = [share for share in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4) if share * images >= 1]
        alone, both = np.array([networks.exact_type_one(images, share) for share in shares]).max(axis=0)
        measured = f"false {both:.4f} at worst, {alone:.4f} without the exact test (summed, not simulated)"
        yield Line("network, no gain", f"{images} images", measured, ".025 at most", bool(both <= 0.025))
    yield from network_power()
    four = (0.25,) * 4
    for name, setting in {
        "150 images": classes.Setting(n=150, shares=four), "600 images": classes.Setting(n=600, shares=four),
        "smallest of 4 classes: 10 of 300 images": classes.Setting(n=300, shares=(0.32, 0.32, 0.326, 0.034)),
        "60 groups of about 10": classes.Setting(n=600, shares=four, group_size=10),
        "20 groups of about 15": classes.Setting(n=300, shares=four, group_size=15),
    }.items():  # fmt: skip
        found_by = networks.by_metric(setting, 500, 600)
        measured = ", ".join(f"{metric} {covered:.3f} / {proven:.3f}" for metric, (covered, proven) in found_by.items())
        yield Line("network, by metric", f"{name}: covered / proven of nothing", measured, "", None)


def network_power() -> Iterator[Line]:
    """How often a gain is proven on 650 images, at equal total time: the present rule's two runs an arm, five and two,
    and two networks, whose saved trainings went into a longer one that adds so many points."""
    for seeds in (0.5, 1.0, 2.0):
        for gain in (1.0, 2.0, 3.0, 4.0):
            usual = networks.Networks(before=seeds, after=seeds, images=650, gain=gain)
            two, five = (networks.play(replace(usual, baselines=p, finals=2), 1000, 700, recipes=1000) for p in (2, 5))
            longer = [networks.play(replace(usual, gain=gain + more), 1000, 700).proven for more in (0.0, 0.5, 1.0)]
            measured = (
                f"recipe 2 + 2 {two.recipe_proven:.3f}, 5 + 2 {five.recipe_proven:.3f}; "
                f"networks 1 + 1 {longer[0]:.3f}, +.5 {longer[1]:.3f}, +1 {longer[2]:.3f}; "
                f"networks 2 + 2 {two.proven:.3f}"
            )
            yield Line("network, power", f"+{gain:g} points, seeds {seeds:g}", measured, "", None)


def speed() -> Iterator[Line]:
    """Drawing the next recipe from nothing, as a campaign does: 200 trials, 40 candidates."""
    rng = np.random.default_rng(108)
    on = rng.random((200, 40)) < 0.25
    low_fidelity = posterior.LowFidelityRuns(rng.random((100, 40)) < 0.25, rng.normal(80, 1, 100))
    for name, told in (("", None), (", 100 low-fidelity trials", low_fidelity)):
        trials = posterior.Trials(on, rng.normal(85, 1, 200), 1000, 1275.0, low_fidelity=told)
        took = []
        for _ in range(21):
            began = time.perf_counter()
            posterior.draw(trials, np.zeros(40), np.full(40, -1), rng)
            took.append(1000 * (time.perf_counter() - began))
        middle = float(np.median(took))
        yield Line("draw", f"200 trials, 40 candidates{name}", f"{middle:.1f} ms", "50 ms at most", middle <= 50)


PARTS: tuple[Callable[[], Iterator[Line]], ...] = (
    speed, null_worlds, intervals, against_the_rivals, with_priors, with_low_fidelity, nested, two_way,
    arms, power, asked_of_the_test, network,
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the lines to this file")
    parser.add_argument("--only", choices=[part.__name__ for part in PARTS], help="one part alone")
    options = parser.parse_args()
    lines = []
    for part in PARTS:
        if options.only in (None, part.__name__):
            for line in part():
                lines.append(line)
                verdict = {True: "holds", False: "MISSED", None: ""}[line.holds]
                print(f"{line.bar:24} {line.cell:60} {line.measured} | {line.asked} {verdict}", flush=True)
    if options.json:
        options.json.write_text(json.dumps([line.__dict__ for line in lines], indent=1) + "\n")


if __name__ == "__main__":
    main()
