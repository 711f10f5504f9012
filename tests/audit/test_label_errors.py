"""Confident learning, against its published rule written out in loops."""

import numpy as np
import pytest

from convlift.audit.label_errors import confident_class, confident_joint, find_label_errors


def made_up(seed, n=300, classes=4, wrong=0.2):
    """Probabilities of a fair classifier, given labels, and which of them are wrong."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    logits = rng.normal(size=(n, classes)) + 3.0 * np.eye(classes)[truth]
    said = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    moved = rng.random(n) < wrong
    return said, np.where(moved, (truth + rng.integers(1, classes, n)) % classes, truth), moved


def by_the_rule(said, labels):
    """Northcutt et al. 2021, equations 1 to 3: thresholds, counts C, joint Q; and the rows off its diagonal."""
    n, classes = said.shape
    bar = [np.mean([said[i, j] for i in range(n) if labels[i] == j]) for j in range(classes)]
    counts, rows = np.zeros((classes, classes)), []
    for i in range(n):
        above = [j for j in range(classes) if said[i, j] >= bar[j]]
        if above:
            likeliest = max(above, key=lambda j: said[i, j])
            counts[labels[i], likeliest] += 1
            if likeliest != labels[i]:
                rows.append(i)
    joint = np.zeros((classes, classes))
    for i in range(classes):
        for j in range(classes):
            joint[i, j] = counts[i, j] / counts[i].sum() * (labels == i).sum()
    return joint / joint.sum(), rows


@pytest.mark.parametrize("seed", range(3))
def test_the_joint_and_the_flagged_are_those_of_the_paper(seed):
    said, labels, _ = made_up(seed)
    joint, rows = by_the_rule(said, labels)
    assert np.allclose(confident_joint(confident_class(said, labels), labels, 4), joint)
    found = find_label_errors(said, labels)
    assert sorted(found.order.tolist()) == rows
    assert found.most == pytest.approx(1 - np.trace(joint))
    given = said[found.order, labels[found.order]]
    assert (np.diff(given) >= 0).all()
    assert (found.suggested == said[found.order].argmax(axis=1)).mean() > 0.9


def test_wrong_labels_come_first_and_their_share_is_bounded():
    said, labels, moved = made_up(7, 4000, wrong=0.15)
    found = find_label_errors(said, labels)
    assert moved[found.order[:200]].mean() > 0.95
    assert found.least <= 0.17
    assert found.least == pytest.approx(0.15, abs=0.05)
    assert found.most >= 0.13


def test_clean_labels_are_hardly_doubted():
    said, labels, _ = made_up(8, 4000, wrong=0.0)
    found = find_label_errors(said, labels)
    assert found.least < 0.01
    assert found.right == pytest.approx(0.95, abs=0.04)


@pytest.mark.parametrize(("classes", "told"), [(2, 0.0), (2, 0.8), (5, 0.5), (10, 0.7)])
def test_a_classifier_that_knows_little_convicts_no_label(classes, told):
    """Labels are right, and what it says is hardly more than noise."""
    rng = np.random.default_rng(9)
    labels = rng.integers(0, classes, 1000)
    logits = rng.normal(size=(1000, classes)) + told * np.eye(classes)[labels]
    found = find_label_errors(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), labels)
    assert (found.knows, found.least) == (False, 0.0)


def test_few_images_and_absent_classes_are_no_fault():
    said = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.9, 0.05, 0.05]])
    found = find_label_errors(said, np.array([0, 1, 1]))
    assert found.order.tolist() == [2]
    assert found.suggested.tolist() == [0]
    assert found.least == 0.0
