"""Light, tones, picture quality and weather beyond a colour matrix.

No figure is known of any of them alone, on images of all kinds: they come from sets of changes. So their priors are
low, as those of `geometric`, and the label guard asks about each before it is tried.
"""

from convlift.catalogue.intervention import Intervention, Predicate, augmented_afresh, augments
from convlift.catalogue.symptoms import Symptom
from convlift.catalogue.unfit import Unfit, Unmet
from convlift.recipe.recipe import Recipe
from convlift.records.facts import Facts

_FEW = (Symptom.OVERFIT, Symptom.DATA_LIMITED)
_AGAINST = (Symptom.UNDERFIT, Symptom.OVER_AUGMENTED)


def fresh_colour(recipe: Recipe, facts: Facts) -> Unfit | None:
    """For changes of colour images in every epoch."""
    return Unmet("no colour") if facts.channels == 1 else augmented_afresh(recipe, facts)


def _change(
    name: str,
    claim: str,
    source: str,
    group: str,
    prior: float,
    *,
    unfit: Predicate = augmented_afresh,
    **levers: float,
) -> Intervention:
    return Intervention(
        name=name,
        area="data",
        claim=claim,
        source=source,
        helps=_FEW,
        edit=augments(**levers),
        prior=prior,
        group=group,
        unfit=unfit,
        hurts=_AGAINST,
    )


COLOUR_AND_QUALITY: tuple[Intervention, ...] = (
    _change(
        "gamma",
        "Exposure and development move the middle tones, and leave black and white.",
        "Isensee et al. 2021, supplement (nnU-Net)",
        "gamma",
        -0.2,  # beside brightness and contrast, which have a figure, it adds little
        gamma=0.3,
    ),
    _change(
        "colour of the light",
        "Each channel brighter or darker, as light of another colour makes it.",
        "Finlayson et al. 1994; Krizhevsky et al. 2012, section 4.1, for shifts of colour",
        "channel gain",
        -0.2,  # Krizhevsky's shifts along the colours' main directions brought a point on ImageNet; these are others
        unfit=fresh_colour,
        channel_gain=0.15,
    ),
    _change(
        "sometimes grey",
        "A fifth of the images without colours: shapes must tell the classes.",
        "Chen et al. 2020, appendix A",
        "greyscale",
        -0.2,  # made for learning without labels; where colour tells classes it harms
        unfit=fresh_colour,
        greyscale=0.2,
    ),
    _change(
        "equalized tones",
        "Histograms between the image's own and an even one: tones mean less, edges more.",
        "Cubuk et al. 2019, table 6",
        "equalize",
        -0.2,  # known only as a part of policies
        equalize=1.0,
    ),
    _change(
        "inverted lights",
        "The brightest pixels as in a solarized print: far from any photo, and a strong regularizer.",
        "Cubuk et al. 2019, table 6",
        "solarize",
        -0.3,  # known only as a part of policies, and unlike every test image
        solarize=0.5,
    ),
    _change(
        "fewer levels",
        "Pixels of four to seven bits: faint textures are no longer there to be learned by heart.",
        "Cubuk et al. 2019, table 6",
        "posterize",
        -0.2,  # known only as a part of policies
        posterize=4.0,
    ),
    _change(
        "sharper or softer",
        "Cameras sharpen their pictures, each in its own way.",
        "Cubuk et al. 2019, table 6",
        "sharpness",
        -0.2,  # known only as a part of policies
        sharpness=0.8,
    ),
    _change(
        "blur",
        "Pictures out of focus, so that no class is told by its finest texture.",
        "Chen et al. 2020, appendix A",
        "blur",
        -0.2,  # made for learning without labels
        blur=0.015,
    ),
    _change(
        "shot noise",
        "The grain of pictures taken in little light, strongest where they are bright.",
        "Hendrycks and Dietterich 2019",
        "noise",
        -0.2,  # a likeness of bad pictures, which the validation images may not hold; below pixel noise
        shot_noise=0.1,
    ),
    _change(
        "JPEG compression",
        "Blocks and blurred colours, as pictures have that were saved and sent more than once.",
        "Hendrycks and Dietterich 2019",
        "JPEG",
        -0.2,  # a likeness of bad pictures, which the validation images may not hold
        jpeg=0.8,
    ),
    _change(
        "haze",
        "Air between camera and scene, as in aerial and landscape pictures of other days.",
        "He et al. 2009, section 2, for its law",
        "haze and fog",
        -0.2,  # no figure known; for what is taken outdoors alone, where the guard can tell least
        unfit=fresh_colour,
        haze=0.5,
    ),
    _change(
        "fog",
        "What is far is hidden, and colours are faint, as on a foggy day.",
        "Hendrycks and Dietterich 2019 (fog)",
        "haze and fog",
        -0.3,  # stronger than haze, and rarer outdoors
        unfit=fresh_colour,
        fog=0.5,
    ),
    _change(
        "clouds and their shadows",
        "Parts of the ground in cloud or in shade, as satellites and drones see it.",
        "Hendrycks and Dietterich 2019 (fog), for noise of several scales",
        "clouds",
        -0.3,  # for pictures taken from above alone
        unfit=fresh_colour,
        clouds=0.4,
        cloud_shadow=0.6,
    ),
    _change(
        "low sun",
        "Warm light from one side, as early and late in the day.",
        "Buslaev et al. 2020 (Albumentations), for changes of light as weather",
        "daylight",
        -0.2,  # no figure known; near to a contrast and a colour of light
        unfit=fresh_colour,
        low_sun=0.6,
    ),
    _change(
        "dusk and night",
        "Little light and hardly a colour, as cameras meet that run all day.",
        "Buslaev et al. 2020 (Albumentations), for changes of light as weather",
        "daylight",
        -0.3,  # far from pictures that were taken by day
        unfit=fresh_colour,
        night=0.6,
    ),
)
