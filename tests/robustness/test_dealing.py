"""Corruptions are dealt out evenly, and none to those who trained on them."""

from collections import Counter

import pytest

from convlift.recipe.augmentation import Augmentation
from convlift.recipe.recipe import Recipe
from convlift.robustness.corruptions import CORRUPTIONS
from convlift.robustness.dealing import dealt
from convlift.robustness.trained_on import KINDS, OTHERS, trained_on


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 7, 15])
def test_every_corruption_and_severity_falls_to_as_many_images(number: int) -> None:
    names = list(CORRUPTIONS)[:number]
    for copies in {1, (number + 1) // 2, number}:
        images = dealt(names, 5 * number * 4, copies, seed=2)
        assert all(len({name for name, _ in own}) == copies for own in images)
        counts = Counter(copy for own in images for copy in own)
        assert set(counts.values()) == {4 * copies}
        assert len(counts) == 5 * number


def test_a_seed_deals_alike_and_another_one_not() -> None:
    names = list(CORRUPTIONS)
    assert dealt(names, 40, 3, seed=1) == dealt(names, 40, 3, seed=1)
    assert dealt(names, 40, 3, seed=1) != dealt(names, 40, 3, seed=2)


def test_a_recipe_is_not_judged_by_what_it_trains_on() -> None:
    assert trained_on(Recipe()) == frozenset()

    def used(**augmentation: float) -> frozenset[str]:
        return trained_on(Recipe().edit(data={"augmentation": augmentation}))

    assert used(noise=0.05) == {"gaussian_noise", "shot_noise", "impulse_noise"}
    assert used(brightness=0.2, contrast=0.2, rotation=0.1) == {"brightness", "contrast"}
    assert used(elastic=0.02) == {"elastic_transform"}
    assert used(fog=0.3, jpeg=0.5) == {"fog", "contrast", "jpeg_compression"}
    assert {"defocus_blur", "brightness"} <= used(trivial_augment=1.0)
    assert used(aug_mix=3.0) == {"contrast"}
    assert used(channel_gain=0.15) == {"brightness"}  # of grey images it is nothing else


def test_of_every_lever_it_is_known_what_it_trains_on() -> None:
    assert set(KINDS) | OTHERS == set(Augmentation.model_fields)
    assert not set(KINDS) & OTHERS
    assert {name for names in KINDS.values() for name in names} <= set(CORRUPTIONS)
