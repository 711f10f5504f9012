"""Training images that are made of two, with a target that is made of both labels."""

from convlift.recipe.section import Section, lever

MOST = 0.9  # of the images: the others tell how a training goes


class Mixing(Section):
    """Where both kinds are on, each mixed image is of either kind with the same chance.

    What is mixed is what the trained part of the network reads: images, or what the frozen stages make of them (Verma
    et al. 2019, "Manifold mixup"). Stored features have no place for a patch: there either kind is a mixture of both.
    """

    mixup: float = lever(
        0.0,
        "two images shown through each other, the fainter one with a part of Beta(a, a); 0: off",
        "Zhang et al. 2018, section 2",
        ge=0,
        le=10,
    )
    cutmix: float = lever(
        0.0,
        "a patch of another image, which covers a part of Beta(a, a) of this one; 0: off",
        "Yun et al. 2019, section 3.1",
        ge=0,
        le=10,
    )
    share: float = lever(
        0.7,
        "of the images of a batch that are mixed; the others tell how the training goes",
        "Yun et al. 2019, section 4.1 (half of them on CIFAR, all on ImageNet)",
        gt=0,
        le=MOST,
    )

    @property
    def active(self) -> bool:
        """Whether anything is mixed."""
        return self.mixup > 0 or self.cutmix > 0
