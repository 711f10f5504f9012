"""Why a change was tried, or why it was not, in sentences without a full stop."""

from typing import assert_never

from convlift.catalogue.reasons import JointChange, NoPlace, NotTried, OtherArea, OtherLevel, TooDear, Why
from convlift.catalogue.unfit import (
    CoarseStem,
    Condition,
    DearAttention,
    EnoughContrast,
    EvenClasses,
    FewBatches,
    FewPixels,
    InvalidRecipe,
    JudgedBy,
    NoMoreDetail,
    NotInNetwork,
    OneSize,
    OtherNetwork,
    TooManyHalvings,
    Unfit,
    Unmet,
)
from convlift.report.wording.phrases import counted

_CONDITIONS: dict[Condition, str] = {
    "augmented alike": "features are cached: all strengths change together",
    "augmented in views": "features are cached: augmentation comes as cached views",
    "augmented afresh": "no features are cached: each image is augmented afresh",
    "no augmentation": "the recipe does not augment",
    "no mixing": "the recipe does not mix images",
    "no colour": "the images have no colour",
    "colour statistics": "ImageNet's statistics are those of colour images",
    "colours of bands": "it is defined on red, green and blue, and the images have other bands",
    "tones not measured": "nobody measured how bright and contrasty the images are",
    "even ground": "many pixels have one and the same tone, as in drawings",
    "square images": "the images are square already",
    "open resolution": "the resolution is not settled yet",
    "not fine-tuned": "the backbone is not fine-tuned",
    "fine-tuned": "the backbone is fine-tuned already",
    "averaged": "the weights of fine-tuning are averaged already",
    "not averaged": "the weights of fine-tuning are not averaged",
    "early stopping": "with early stopping the best epoch's own weights ship, and none are averaged",
    "two phases": "the batches of fine-tuning decide more",
    "one stage": "one stage's few channels are too little for an average",
    "no penalty": "the weights carry no penalty",
    "adam": "Adam and AdamW differ by decoupled decay alone, which is a factor of its own",
    "warmed up": "the learning rate is warmed up already",
    "no normalization": "without normalization the dropout does no such harm",
    "no 7x7 stem": "the network does not begin with a 7x7 convolution that this could replace",
    "no strided shortcut": "no shortcut of this network passes a stride",
    "few blocks": "a network of fewer than eight blocks with shortcuts has none to spare",
    "regularized": "the recipe is regularized so already",
    "few stages trained": "a head reads only stages that are trained, and here these are fewer than three",
    "images counted": "the score counts images, and common classes have more of them",
    "no change": "it would change nothing in this recipe",
}


def why_in_words(why: Why | None) -> str:
    """Which symptoms call for a change or speak against it, what is expected of it, and where that comes from; "" where
    nobody asked."""
    if why is None:
        return ""
    said = [f"for it: {', '.join(symptom.value for symptom in why.called)}"] if why.called else []
    said += [f"against it: {', '.join(symptom.value for symptom in why.warned)}"] if why.warned else []
    origin = f"published: {why.reported}" if why.reported else "no published gain; default"
    if why.campaigns:
        origin = counted(why.campaigns, "past campaign")
    symptoms = "; ".join(said) or "no symptom for or against it"
    return f"{symptoms}; expected {why.points:+.2f} points ({origin})"


def not_tried_in_words(reason: NotTried) -> str:
    """Why a change was not tried."""
    match reason:
        case JointChange(places, needed):
            return f"there is room for {places} changes; joint changes, whose runs take longer, need room for {needed}"
        case TooDear(times, most):
            return f"a run would take {times:.2f} times as long as one of the start; at most {most:g} times is allowed"
        case OtherLevel(places, why):
            place = f"a list of {places} changes holds one level of a factor first, and another one promises more"
            return f"{place}: {why_in_words(why)}"
        case OtherArea(places, why):
            place = f"of {places} changes each area holds a fifth, and this one's place went to another area"
            return f"{place}: {why_in_words(why)}"
        case NoPlace(places, why):
            place = f"there is room for {places} changes now, and others promise more for what they cost"
            return f"{place}: {why_in_words(why)}"
        case _:
            return unfit_in_words(reason)


_KINDS = {"convnet": "convnet", "pretrained": "pretrained", "own": "user's own"}
_NOT_IN_NETWORK = {
    "dropout": "this network's last layer is no linear one",
    "activation": "this network has no activation layers; it calls functions for that",
    "normalization": "this network normalizes already, or has no convolutions",
}


def unfit_in_words(unfit: Unfit) -> str:  # noqa: C901 - one case a record
    """Why a change does not fit the recipe or the data."""
    match unfit:
        case Unmet(condition):
            return _CONDITIONS[condition]
        case OtherNetwork(networks):
            return f"meant for a {' or '.join(_KINDS[name] for name in networks)} network"
        case InvalidRecipe(message):
            return message
        case TooManyHalvings(side, halvings):
            return f"{side} pixels cannot be halved {halvings} times"
        case DearAttention(side):
            return f"self-attention over a map of {side} x {side} is too costly"
        case OneSize(side):
            return f"this network takes images of {side} x {side} pixels alone"
        case NotInNetwork(change):
            return _NOT_IN_NETWORK[change]
        case FewBatches(images, batches):
            return f"{images} images would leave fewer than {batches} batches an epoch"
        case CoarseStem(side):
            return f"a stem that quarters {side} pixels throws detail away"
        case NoMoreDetail(side):
            return f"the images hold no detail beyond {side} pixels"
        case FewPixels(side):
            return f"{side} pixels are few already"
        case EvenClasses(ratio, uneven):
            return f"the largest class has {ratio:.1f} times the images of the smallest; {uneven:g} would be uneven"
        case EnoughContrast(brightness, spread):
            return f"colour images neither dark (luma {brightness:.2f} of 1) nor flat (its deviation {spread:.2f})"
        case JudgedBy(lever):
            return f"it trains on images like those by which recipes are compared ({lever.replace('_', ' ')})"
    assert_never(unfit)
