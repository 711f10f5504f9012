"""Metrics: values against scikit-learn, per-image scores against what a metric's influence means, and hand numbers."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sklearn_metrics
from typer.utils import get_params_from_function

from convlift.cli import improve, train
from convlift.errors import ConvliftError
from convlift.evidence.image_variance import image_part
from convlift.evidence.metrics import (
    ACCURACY,
    LEAST_PROBABILITY,
    METRICS,
    Metric,
    metric_named,
    title_of,
    typical_run,
)
from simulation.classes import Coverage, Setting, coverage

CAMPAIGNS = 100
NAMES = [metric.name for metric in METRICS]


def a_run(n: int, classes: int, seed: int, skill: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (n, K) of a middling network, and labels in which every class is there twice at least."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.repeat(np.arange(classes), 2), rng.choice(classes, n - 2 * classes)])
    logits = rng.normal(size=(n, classes)) + skill * np.eye(classes)[labels]
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), labels


def by_scikit_learn(name: str, said: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> float:
    classes, named = said.shape[1], said.argmax(axis=1)
    if name == "accuracy":
        return float(sklearn_metrics.accuracy_score(labels, named, sample_weight=weights))
    if name == "balanced-accuracy":
        return float(sklearn_metrics.balanced_accuracy_score(labels, named, sample_weight=weights))
    if name == "macro-f1":
        return float(
            sklearn_metrics.f1_score(labels, named, average="macro", labels=np.unique(labels), sample_weight=weights)
        )
    if name == "log-loss":
        clipped = np.clip(said[np.arange(len(labels)), labels], LEAST_PROBABILITY, 1.0)
        both = np.stack([clipped, 1.0 - clipped], axis=1)
        loss = sklearn_metrics.log_loss(np.zeros(len(labels)), both, labels=[0, 1], sample_weight=weights)
        return float(1.0 - loss / np.log(classes))
    if name == "auroc":
        scores = said[:, 1] if classes == 2 else said
        return float(sklearn_metrics.roc_auc_score(labels, scores, multi_class="ovr", sample_weight=weights))
    return float(sklearn_metrics.cohen_kappa_score(labels, named, sample_weight=weights))


@pytest.mark.parametrize("metric", METRICS, ids=NAMES)
@settings(max_examples=25, deadline=None)
@given(st.integers(2, 5), st.integers(12, 90), st.integers(0, 10**6))
def test_the_mean_over_images_is_scikit_learns_value(metric: Metric, classes: int, n: int, seed: int) -> None:
    said, labels = a_run(n, classes, seed)
    assert metric.score(said, labels) == pytest.approx(by_scikit_learn(metric.name, said, labels), abs=1e-9)


@pytest.mark.parametrize("metric", METRICS, ids=NAMES)
@pytest.mark.parametrize("classes", [2, 4])
def test_an_images_score_says_what_the_metric_would_gain_by_more_of_it(metric: Metric, classes: int) -> None:
    """Influence: d score / d weight of image i is (z_i - score) / n, up to the stretch of small classes."""
    said, labels = a_run(120, classes, 3)
    points, n = metric.points(said, labels) / 100, len(labels)
    stretched = metric.name in ("balanced-accuracy", "auroc")
    for i in range(0, n, 7):
        weights = np.ones(n)
        weights[i] += 1e-4
        slope = n * (by_scikit_learn(metric.name, said, labels, weights) - metric.score(said, labels)) / 1e-4
        assert points[i] - points.mean() == pytest.approx(slope, rel=0.05 if stretched else 1e-3, abs=1e-3)


def test_aurocs_variance_is_delongs() -> None:
    said, labels = a_run(80, 2, 5)
    positive, negative = said[labels == 1, 1], said[labels == 0, 1]
    above = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    by_hand = above.mean(axis=1).var(ddof=1) / len(positive) + above.mean(axis=0).var(ddof=1) / len(negative)
    assert image_part(metric_named("auroc").points(said, labels)) / 1e4 == pytest.approx(by_hand, rel=0.02)


def test_balanced_accuracys_variance_is_that_of_the_recalls() -> None:
    """Not that of right * n / (C n_c), which counts the classes' uneven numbers as noise."""
    labels = np.repeat([0, 1], [180, 20])
    right = np.concatenate([np.arange(180) < 162, np.arange(20) < 16])
    said = np.eye(2)[np.where(right, labels, 1 - labels)]
    recalls = 0.9 * 0.1 / 179 + 0.8 * 0.2 / 19
    assert image_part(metric_named("balanced-accuracy").points(said, labels)) / 1e4 == pytest.approx(
        recalls / 4, rel=0.01
    )


@pytest.mark.parametrize("metric", METRICS, ids=NAMES)
@pytest.mark.parametrize("groups_a_class", [(1, 1, 1, 1), (1, 2, 5, 6), (2, 2, 2, 6), (4, 4, 4, 4)])
def test_groups_change_no_score(metric: Metric, groups_a_class: tuple[int, ...]) -> None:
    said, labels = a_run(200, 4, 4)
    place = np.concatenate([np.arange((labels == c).sum()) for c in range(4)])
    order = np.argsort(labels, kind="stable")
    groups = np.empty(200, np.int64)
    groups[order] = 10 * labels[order] + place % np.array(groups_a_class)[labels[order]]
    assert metric.points(said, labels, groups).mean() == pytest.approx(metric.points(said, labels).mean())


def test_with_one_group_a_class_recalls_differ_as_groups_do() -> None:
    """By hand: the mean of four recalls, each of one group, has the variance of four means."""
    said, labels = a_run(200, 4, 6)
    recalls = [float((said[labels == c].argmax(axis=1) == c).mean()) for c in range(4)]
    points = metric_named("balanced-accuracy").points(said, labels, labels)
    assert image_part(points, labels) / 1e4 == pytest.approx(np.var(recalls, ddof=1) / 4, rel=0.05)  # uneven classes
    taken_off = metric_named("balanced-accuracy").points(said, labels)
    assert image_part(taken_off, labels) == pytest.approx(0.0, abs=1e-9)
    for name in ("macro-f1", "auroc"):
        metric = metric_named(name)
        assert image_part(metric.points(said, labels, labels), labels) > image_part(metric.points(said, labels), labels)


@pytest.mark.parametrize("metric", METRICS, ids=NAMES)
def test_perfect_is_one_and_nothing_is_better(metric: Metric) -> None:
    labels = np.array([0, 1, 2, 2, 1, 0])
    assert metric.score(np.eye(3)[labels], labels) == pytest.approx(1.0)
    worst = metric.score(np.eye(3)[(labels + 1) % 3], labels)
    assert metric.lowest <= worst < 0.5
    assert np.isnan(metric.score(np.zeros((0, 3)), np.zeros(0, np.int64)))


@pytest.mark.parametrize("metric", METRICS, ids=NAMES)
def test_classes_that_are_absent_are_left_out(metric: Metric) -> None:
    """Of four classes a split holds two; where it holds one, there is a score all the same."""
    said, labels = a_run(60, 4, 8)
    some = labels < 2
    assert np.isfinite(metric.points(said[some], labels[some])).all()
    if metric.name == "balanced-accuracy":
        recalls = [float((said[labels == c].argmax(axis=1) == c).mean()) for c in (0, 1)]
        assert metric.score(said[some], labels[some]) == pytest.approx(np.mean(recalls))
    one = labels == 0
    assert np.isfinite(metric.points(said[one], labels[one])).all()
    all_right = np.eye(4)[labels[one]]
    assert metric.score(all_right, labels[one]) == {"auroc": 0.5, "kappa": 0.0}.get(metric.name, 1.0)


def test_ties_count_half() -> None:
    said = np.full((4, 2), 0.5)
    assert metric_named("auroc").score(said, np.array([0, 1, 0, 1])) == 0.5


def test_log_loss_skill_by_hand() -> None:
    """A guess is worth 0; a mistake however sure costs no more than one with a thousandth for the truth."""
    skill = metric_named("log-loss")
    labels = np.array([0, 1])
    assert skill.score(np.full((2, 4), 0.25), labels) == pytest.approx(0.0)
    sure = np.array([[1.0, 0, 0, 0], [1.0, 0, 0, 0]])
    assert skill.points(sure, labels).tolist() == pytest.approx([100.0, 100 * (1 + np.log(0.001) / np.log(4))])


def test_a_point_of_kappa_on_two_even_classes_is_half_a_point_of_accuracy() -> None:
    said, labels = a_run(4000, 2, 1)
    assert metric_named("kappa").unit([said], labels) == pytest.approx(2.0, rel=0.03)
    assert ACCURACY.unit([said], labels) == 1.0
    assert metric_named("auroc").unit([said], labels) < 1.0
    assert metric_named("kappa").unit([], labels) == 1.0


@pytest.mark.parametrize("classes", [2, 10])
def test_the_run_to_plan_with_scores_as_asked(classes: int) -> None:
    labels = np.arange(2000) % classes
    said = typical_run(labels, classes)
    assert ACCURACY.score(said, labels) == pytest.approx(0.9, abs=0.02)
    assert said.sum(axis=1) == pytest.approx(1.0)
    assert np.array_equal(said, typical_run(labels, classes))


def test_names_are_those_of_the_command_line() -> None:
    for command in (improve, train):
        assert list(get_args(get_params_from_function(command)["metric"].annotation)) == NAMES
    assert metric_named("macro-f1").title == title_of("macro-f1") == "macro F1"
    assert title_of("of another version") == "of another version"
    with pytest.raises(ConvliftError, match=r"no metric 'f1'; choose one of accuracy, balanced-accuracy, macro-f1"):
        metric_named("f1")


@pytest.fixture(scope="module")
def simulated() -> dict[str, dict[str, Coverage]]:
    """100 campaigns of 2 and 3 networks each, with a gain and without; uneven classes in the second."""
    uneven = (0.3, 0.3, 0.3, 0.1)
    return {
        "gain": coverage(Setting(n=300, added=0.15), CAMPAIGNS, 1),
        "no gain": coverage(Setting(n=300, shares=uneven, added=0.0), CAMPAIGNS, 2),
    }


@pytest.mark.simulated
@pytest.mark.parametrize("name", NAMES)
def test_intervals_of_every_metric_cover(simulated: dict[str, dict[str, Coverage]], name: str) -> None:
    """Bar: gain and score covered by 92%, a gain proven where there is none in at most 5% (99% points)."""
    misses, false = (stats.binom.ppf(0.99, CAMPAIGNS, rate) for rate in (0.08, 0.05))
    for world in simulated.values():
        assert (1 - world[name].gain) * CAMPAIGNS <= misses
        assert (1 - world[name].score) * CAMPAIGNS <= misses
    assert simulated["no gain"][name].proven * CAMPAIGNS <= false
