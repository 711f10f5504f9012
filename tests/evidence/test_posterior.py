"""The sampler against closed forms, and the rules of drawing and shipping."""

from dataclasses import replace

import numpy as np
import pytest

from convlift.evidence import gibbs, multi_fidelity, posterior, spike_and_slab
from convlift.evidence.image_variance import accuracy_variance
from convlift.evidence.posterior import Belief, Trials

NONE = np.full(8, -1)


def trials(runs: int, seed: int = 0, n_images: int = 1000) -> Trials:
    rng = np.random.default_rng(seed)
    on = rng.random((runs, 8)) < 0.4
    effects = np.array([2.0, 1.0, -2.0, 0, 0, 0, 0, 0])
    return Trials(on, 85 + on @ effects + rng.normal(0, 1, runs), n_images, accuracy_variance(0.85))


def belief(mean: list[float], probability: list[float], n_images: int = 1000) -> Belief:
    numbers = np.array(mean)
    return Belief(numbers, np.ones_like(numbers), np.array(probability), np.array(85.0), np.array(1.0), n_images)


def test_with_every_effect_in_the_slab_the_posterior_is_conjugate_regression() -> None:
    """pi -> 1 and the hyperparameters held: the mean of the effects is the normal equations' solution."""
    data = trials(30)
    rng = np.random.default_rng(1)
    design = spike_and_slab.Design(
        data.on.astype(float), data.score_points, np.zeros(8), np.ones(len(data.on)), 1000, accuracy_variance(0.85)
    )
    start = spike_and_slab.first_chain(design, rng)
    centred, scores = data.on - data.on.mean(0), data.score_points - data.score_points.mean()
    variance, noise, mean = np.array([0.05**2, 1.5**2]) + design.reshuffle, 1.3, -0.3
    precision = centred.T @ centred / noise + np.eye(8) / variance[1]
    expected = np.linalg.solve(precision, centred.T @ scores / noise + mean / variance[1])
    total, effect = np.zeros(8), start.effect
    sweeps = 4000
    for _ in range(sweeps):
        chain = spike_and_slab.Chain(
            effect,
            effect,
            effect,
            np.array(1 - 1e-12),
            np.array(mean),
            np.array(1.5**2),
            np.array(0.0),
            np.array(noise),
            np.array(0.7),
            np.array(0.5),
            np.array(noise),
        )
        components = np.stack([np.zeros(8), np.full(8, mean)]), variance
        cheaper = multi_fidelity.draw_cheaper_effects(design, chain, rng)
        effect = gibbs._effects(centred.T @ centred, centred.T @ scores, chain, components, cheaper, rng).effect
        total += effect
    assert np.allclose(total / sweeps, expected, atol=4 * np.sqrt(np.diag(np.linalg.inv(precision)) / sweeps).max() * 2)


def test_a_clear_effect_is_found_and_learned_quantities_are_sane() -> None:
    found = posterior.believe(trials(120), np.zeros(8), np.random.default_rng(2), sweeps=400)
    assert found.probability[0] > 0.95
    assert found.probability[2] < 0.05
    assert np.all(np.abs(found.probability[3:] - 0.5) < 0.35)
    assert found.intercept == pytest.approx(85, abs=1.2)
    assert 0.3 < found.noise < 3


def test_campaigns_side_by_side_do_not_mix() -> None:
    """One campaign of great effects beside one without any."""
    good, flat = trials(60), np.full(60, 85.0)
    both = Trials(np.stack([good.on, good.on]), np.stack([good.score_points, flat]), 1000, accuracy_variance(0.85))
    found = posterior.believe(both, np.zeros(8), np.random.default_rng(3), sweeps=200)
    assert found.probability[0, 0] > 0.9
    assert np.all(np.abs(found.mean[1]) < 0.5)


def test_one_campaign_is_computed_as_many_are() -> None:
    """With numbers in place of arrays, and to the last bit but those of the products of matrices."""
    data = trials(25)
    alone = posterior.believe(data, np.zeros(8), np.random.default_rng(5))
    row = replace(data, on=data.on[None], score_points=data.score_points[None])
    beside = posterior.believe(row, np.zeros((1, 8)), np.random.default_rng(5))
    assert beside.mean[0] == pytest.approx(alone.mean, abs=1e-9)
    assert beside.probability[0] == pytest.approx(alone.probability, abs=1e-9)
    assert beside.noise[0] == pytest.approx(alone.noise, abs=1e-9)


@pytest.mark.parametrize("runs", [0, 1, 2, 7])
def test_drawing_works_from_the_first_run_on(runs: int) -> None:
    on, state = posterior.draw(trials(runs), np.zeros(8), NONE, np.random.default_rng(4))
    assert on.shape == (8,)
    again, _ = posterior.draw(trials(runs), np.zeros(8), NONE, np.random.default_rng(5), state)
    assert again.dtype == np.bool_


def test_without_runs_the_priors_decide() -> None:
    priors = np.array([6.0, 6.0, 6.0, 6.0, -6.0, -6.0, -6.0, -6.0])
    rng = np.random.default_rng(6)
    drawn = np.mean([posterior.draw(trials(0), priors, NONE, rng)[0] for _ in range(60)], axis=0)
    assert drawn[:4].mean() > drawn[4:].mean() + 0.15


def test_no_candidates_is_the_bare_starting_point() -> None:
    empty = Trials(np.zeros((3, 0), bool), np.full(3, 80.0), 100, accuracy_variance(0.8))
    on, _ = posterior.draw(empty, np.zeros(0), np.zeros(0, int), np.random.default_rng(0))
    assert on.shape == (0,)
    assert posterior.believe(empty, np.zeros(0), np.random.default_rng(0)).intercept == pytest.approx(80)


def test_at_most_twelve_changes_and_one_level_a_factor() -> None:
    many = Trials(np.zeros((0, 60), bool), np.zeros(0), 300, accuracy_variance(0.85))
    groups = np.concatenate([np.repeat(np.arange(15), 2), np.full(30, -1)])
    rng, state = np.random.default_rng(7), None
    for _ in range(40):
        on, state = posterior.draw(many, np.ones(60), groups, rng, state)
        assert on.sum() <= 12
        assert max(on[groups == group].sum() for group in range(15)) <= 1


def test_the_same_generator_gives_the_same_recipe() -> None:
    first, second = (posterior.draw(trials(9), np.zeros(8), NONE, np.random.default_rng(8))[0] for _ in range(2))
    assert np.array_equal(first, second)


def test_dear_changes_are_drawn_less_often() -> None:
    rng = np.random.default_rng(9)
    cost = np.array([3.0, 3, 3, 3, 0, 0, 0, 0])
    costly = Trials(np.zeros((0, 8), bool), np.zeros(0), 300, accuracy_variance(0.85), cost)
    drawn = np.mean([posterior.draw(costly, np.zeros(8), NONE, rng)[0] for _ in range(60)], axis=0)
    assert drawn[:4].mean() < drawn[4:].mean() - 0.1


def test_runs_far_from_the_mode_count_less() -> None:
    on = np.zeros((8, 3))
    on[0] = 1
    mode = np.array([-4.0, -1.0, -0.5])
    weights = gibbs.run_weights(on, mode)
    assert weights[0] == pytest.approx(1 / (1 + (3.5 / 5) ** 2))
    assert np.all(weights[1:] == 1)
    assert np.all(gibbs.run_weights(on[:6], mode) == 1)


@pytest.mark.parametrize(
    ("rule", "runs", "n_images", "expected"),
    [
        ("lean", 12, 100, [True, False, False, False]),
        ("best", 90, 5000, [True, True, False, False]),
        ("auto", 12, 5000, [True, True, False, False]),
        ("auto", 60, 1000, [True, True, False, False]),
        ("auto", 60, 2000, [True, False, False, False]),
    ],
)
def test_shipping_rules(rule: str, runs: int, n_images: int, expected: list[bool]) -> None:
    known = belief([1.0, 0.2, 0.02, -1.0], [0.7, 0.55, 0.55, 0.1], n_images)
    assert posterior.ship(known, np.full(4, -1), runs, rule).tolist() == expected  # type: ignore[arg-type]


def test_what_ships_from_a_harmful_pool_must_be_surer() -> None:
    """The first of five changes helps with .53; among harmful ones that is not enough, beside a single one it is."""

    def shipped(*others: float) -> bool:
        mean = np.array([[0.4, *others]])
        chance = np.array([[0.53, 0.2, 0.2, 0.2, 0.2]])
        belief = Belief(mean, mean * 0 + 1, chance, np.array([85.0]), np.array([1.0]), 300)
        return bool(posterior.ship(belief, np.full(5, -1), 20)[0, 0])

    assert shipped(-0.4, -0.4, -0.4, -0.4)
    assert not shipped(-0.8, -0.8, -0.8, -0.8)
    assert shipped(-9.0, 0.0, 0.0, 0.0)


def test_short_lists_expect_no_loss() -> None:
    assert (
        spike_and_slab.slab_mean(spike_and_slab.SHORT_LIST),
        spike_and_slab.slab_mean(spike_and_slab.SHORT_LIST + 1),
    ) == (0.0, -0.3)


def test_shipping_takes_the_best_level_of_a_factor() -> None:
    known = belief([0.5, 0.9, 0.4, 0.3], [0.9, 0.8, 0.7, 0.7])
    assert posterior.ship(known, np.array([0, 0, 0, -1]), 12).tolist() == [False, True, False, True]
