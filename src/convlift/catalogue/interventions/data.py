"""Changes to the images before any chance comes in: normalization, resizing, resolution."""

from convlift.catalogue.intervention import Edit, Intervention, sets
from convlift.catalogue.symptoms import Symptom
from convlift.catalogue.unfit import EnoughContrast, FewPixels, NoMoreDetail, Unfit, Unmet
from convlift.recipe.architecture import Pretrained
from convlift.recipe.data import is_bands
from convlift.recipe.recipe import Recipe
from convlift.records.facts import Facts


def _colour(recipe: Recipe, facts: Facts) -> Unfit | None:
    return Unmet("colour statistics") if facts.channels != 3 else None


def _no_bands(recipe: Recipe, facts: Facts) -> Unfit | None:
    """Of bands every backbone's statistics are the training images' own."""
    return Unmet("colour statistics") if is_bands(facts.channels) else None


def _oblong(recipe: Recipe, facts: Facts) -> Unfit | None:
    square = facts.aspect is not None and facts.aspect < 1.05
    return Unmet("square images") if square else None


def _without_colour(recipe: Recipe, facts: Facts) -> Unfit | None:
    return Unmet("no colour") if facts.channels == 1 else None


def _low_contrast(recipe: Recipe, facts: Facts) -> Unfit | None:
    """Contrast can be raised in images that are dark, flat, or grey with tones of all kinds, as X-rays are."""
    tones = facts.tones
    if tones is None:
        return Unmet("tones not measured")
    if tones.even > EVEN:
        return Unmet("even ground")
    if facts.channels == 3 and tones.brightness >= DARK and tones.spread >= FLAT:
        return EnoughContrast(tones.brightness, tones.spread)
    return None


def has_detail(recipe: Recipe, facts: Facts) -> Unfit | None:
    """Whether larger images would show more, as a reason against them where not."""
    # pretrained features gain from enlarged images up to the size they were made for; fresh ones find nothing new there
    side = recipe.data.resolution
    pretrained = isinstance(recipe.architecture, Pretrained)
    if side is None:
        return Unmet("open resolution")
    if side * 1.25 > (max(224, facts.native_resolution) if pretrained else facts.native_resolution):
        return NoMoreDetail(side)
    return None


def _can_shrink(recipe: Recipe, facts: Facts) -> Unfit | None:
    side = recipe.data.resolution
    if side is None:
        return Unmet("open resolution")
    smallest = 96 if isinstance(recipe.architecture, Pretrained) else 24
    return FewPixels(side) if side * 0.75 < smallest else None


def resized(factor: float) -> Edit:
    """The edit that multiplies the resolution."""

    # multiples of 8 divide evenly through three halvings
    def edit(recipe: Recipe) -> Recipe:
        side = recipe.data.resolution
        return recipe if side is None else recipe.edit(data={"resolution": round(side * factor / 8) * 8})

    return edit


# Photographs have a luma of .43 to .46 with a deviation of .19 to .21, digits an even ground of .48 (decision 0061)
DARK, FLAT, EVEN = 0.25, 0.15, 0.3

DATA: tuple[Intervention, ...] = (
    Intervention(
        name="standardize",
        area="data",
        claim="Inputs of mean 0 and variance 1 make every direction equally easy to learn.",
        source="LeCun et al. 1998, Efficient BackProp, section 4.3",
        helps=(Symptom.UNDERFIT, Symptom.UNDER_TRAINED),
        edit=sets("data", normalization="standardize"),
        prior=0.2,
        group="normalization",
        networks=("convnet", "own"),
    ),
    Intervention(
        name="ImageNet statistics",
        area="data",
        claim="Fixed mean and deviation of natural photos, whatever this sample holds.",
        source="He et al. 2019, section 2.1",
        helps=(Symptom.UNDERFIT,),
        edit=sets("data", normalization="imagenet"),
        prior=0.0,
        group="normalization",
        networks=("convnet", "own"),
        unfit=_colour,
    ),
    Intervention(
        name="the backbone's own statistics",
        area="data",
        claim="Pretrained features are right only for inputs scaled as in training.",
        source="Corley et al. 2023, on resizing and normalization",
        helps=(Symptom.UNDERFIT,),
        edit=sets("data", normalization="pretrained"),
        prior=1.0,
        group="normalization",
        networks=("pretrained",),
        unfit=_no_bands,
        reported="+11 (EuroSAT) to +32 (So2Sat), together with the right size (Corley et al. 2023)",
    ),
    Intervention(
        name="per-image standardization",
        area="data",
        claim="Exposure and contrast differ from image to image; each by its own mean and deviation differs no more.",
        source="Goodfellow et al. 2016, section 12.2.1.1 (global contrast normalization)",
        helps=(Symptom.UNDERFIT, Symptom.UNDER_TRAINED),
        edit=sets("data", normalization="image"),
        prior=0.0,
        group="normalization",
        networks=("convnet", "own"),
    ),
    Intervention(
        name="grey images",
        area="data",
        claim="Where colour tells of the camera or the stain and not of the class, shapes and textures remain.",
        source="Kanan and Cottrell 2012; Funt and Zhu 2018",
        helps=(Symptom.OVERFIT, Symptom.DATA_LIMITED),
        edit=sets("data", grey=True),
        prior=-0.5,
        group="grey",
        unfit=_without_colour,
        hurts=(Symptom.UNDERFIT, Symptom.WEAK_CLASS),
        reported="12% more errors on ImageNet, whose colours tell classes (ResNet-50; Funt and Zhu 2018)",
    ),
    Intervention(
        name="CLAHE",
        area="data",
        claim="Every part of a dark or flat image gets contrast of its own, and noise three times as much at most.",
        source="Zuiderveld 1994 (Graphics Gems IV)",
        helps=(Symptom.UNDERFIT, Symptom.WEAK_CLASS),
        edit=sets("data", contrast="clahe"),
        prior=0.0,
        group="contrast of the images",
        unfit=_low_contrast,
        reported="+3.5 on 2,623 chest X-rays, one training each way (Salma and Kusuma 2025)",
    ),
    Intervention(
        name="equalized images",
        area="data",
        claim="One histogram for all images: how they were exposed is no longer seen.",
        source="Pizer et al. 1987, section 1",
        helps=(Symptom.UNDERFIT, Symptom.WEAK_CLASS),
        edit=sets("data", contrast="equalize"),
        prior=-0.2,  # of all parts of an image alike, which CLAHE was made to mend
        group="contrast of the images",
        unfit=_low_contrast,
    ),
    Intervention(
        name="centre crop",
        area="data",
        claim="Cropping the centre keeps proportions true and drops the margin.",
        source="Krizhevsky et al. 2012, section 2",
        helps=(Symptom.UNDERFIT,),
        edit=sets("data", resize="crop"),
        prior=0.1,
        group="resize",
        unfit=_oblong,
    ),
    Intervention(
        name="letterbox",
        area="data",
        claim="Padding keeps proportions true and the whole object in sight.",
        source="Hashemi 2019, J. Big Data 6:98 (no loss against interpolation)",
        helps=(Symptom.UNDERFIT,),
        edit=sets("data", resize="letterbox"),
        prior=0.0,
        group="resize",
        unfit=_oblong,
        reported="0: no difference from interpolation",
    ),
    Intervention(
        name="higher resolution",
        area="data",
        claim="More pixels show finer detail, at a cost that grows with their number.",
        source="Tan and Le 2019, section 3.2; Cui et al. 2018, section 3 (rare and similar classes)",
        helps=(Symptom.UNDERFIT, Symptom.WEAK_CLASS),
        edit=resized(1.25),
        prior=0.5,
        group="resolution",
        unfit=has_detail,
        repeats=True,
        hurts=(Symptom.DATA_LIMITED,),
        reported="+1.5 to +2.8 on ImageNet at twice the side; +3.4 on iNaturalist from 299 to 448 pixels",
    ),
    Intervention(
        name="lower resolution",
        area="data",
        claim="Fewer pixels, fewer details to learn by heart, and each step is cheaper.",
        source="Tan and Le 2019, section 3.2 (the other way)",
        helps=(Symptom.OVERFIT, Symptom.DATA_LIMITED),
        edit=resized(0.75),
        prior=-0.5,
        group="resolution",
        unfit=_can_shrink,
        repeats=True,
        hurts=(Symptom.UNDERFIT, Symptom.WEAK_CLASS),
    ),
)
