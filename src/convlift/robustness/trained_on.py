"""Which corruptions a recipe trains on: a network that has seen them is not judged by them."""

from convlift.recipe.recipe import Recipe


def trained_on(recipe: Recipe) -> frozenset[str]:
    """The corruptions whose operation is among the recipe's augmentations, at whatever strength.

    Gaussian noise in training helps against every noise (Rusak et al. 2020, "A simple way to make neural networks
    robust against diverse image corruptions", section 4), so that it takes all three away; AugMix leaves out operations
    for the same reason (Hendrycks et al. 2020, section 3).
    """
    used = recipe.data.augmentation
    found: list[str] = []
    found += ["gaussian_noise", "shot_noise", "impulse_noise"] if used.noise else []
    found += [
        name
        for name, strength in (
            ("brightness", used.brightness),
            ("contrast", used.contrast),
            ("elastic_transform", used.elastic),
        )
        if strength
    ]
    return frozenset(found)
