"""What was drawn for an image, and what an augmentation is, in words."""

from collections.abc import Callable, Mapping
from itertools import groupby

from convlift.recipe.augmentation import SETTINGS, Augmentation
from convlift.recipe.published_policies import OPERATIONS
from convlift.records.contact_sheet import Sheet
from convlift.report.wording.phrases import counted

Figures = tuple[float, ...]


def draw_in_words(levers: Mapping[str, Figures]) -> str:
    """One draw, such as "mirrored, turned 12° to the left, size ×1.15"; what changed next to nothing is left out."""
    said = [DRAWN[name](levers[name]) for name in DRAWN if name in levers]
    return ", ".join(filter(None, said)) or "as it is"


def _turned(figures: Figures) -> str:
    degrees = round(360 * figures[0])
    return f"turned {abs(degrees)}° to the {'left' if degrees > 0 else 'right'}" if degrees else ""


def _quarters(figures: Figures) -> str:
    return {1: "a quarter turn to the left", 2: "a half turn", 3: "a quarter turn to the right"}[int(figures[0])]


def _moved(figures: Figures) -> str:
    right, down = (round(each) for each in figures)
    said = [f"{abs(right)} px {'right' if right > 0 else 'left'}"] if right else []
    said += [f"{abs(down)} px {'down' if down > 0 else 'up'}"] if down else []
    return " and ".join(said)


def _sheared(figures: Figures) -> str:
    said = [f"{each:+.2f} along {axis}" for each, axis in zip(figures, "xy", strict=True) if abs(each) >= _LEAST]
    return f"sheared {' and '.join(said)}" if said else ""


def _cropped(figures: Figures) -> str:
    share, aspect = figures
    return f"{100 * share:.0f}% of it enlarged, {_factor('its width')((aspect,))}".removesuffix(", ")


def _factor(what: str) -> Callable[[Figures], str]:
    return lambda figures: f"{what} ×{figures[0]:.2f}" if abs(figures[0] - 1) >= _LEAST else ""


def _added(what: str) -> Callable[[Figures], str]:
    return lambda figures: f"{what} {figures[0]:+.2f}" if abs(figures[0]) >= _LEAST else ""


def _hue(figures: Figures) -> str:
    degrees = round(360 * figures[0])
    return f"hue {degrees:+d}°" if degrees else ""


def _share(what: str) -> Callable[[Figures], str]:
    return lambda figures: f"{what} {float(f'{100 * figures[0]:.2g}'):g}%"


def _gains(figures: Figures) -> str:
    bands = [f"band {number + 1}" for number in range(len(figures))]
    names = {1: ["light"], 3: ["red", "green", "blue"]}.get(len(figures), bands)
    said = [f"{name} ×{each:.2f}" for name, each in zip(names, figures, strict=True) if abs(each - 1) >= _LEAST]
    return ", ".join(said)


def _operations(what: str) -> Callable[[Figures], str]:
    """Pairs of an operation and its strength, which is a share of its range."""

    def said(figures: Figures) -> str:
        shown = [_operation(*pair) for pair in zip(figures[::2], figures[1::2], strict=True)]
        return f"{what}: {' and '.join(shown)}"

    return said


def _operation(which: float, level: float) -> str:
    name, percent = OPERATIONS[int(which)], round(100 * level)
    return name if name in _WHOLE else f"{name} {percent:{'' if name in _ONE_WAY else '+'}d}%"


def _aug_mix(figures: Figures) -> str:
    """Chains of an image's mix, each with its part of it, but for those of next to none; the rest of the mix is the
    image."""
    triples = list(zip(figures[::3], figures[1::3], figures[2::3], strict=True))
    chains = [
        f"{100 * part:.0f}% of it {' and '.join(_operation(which, level) for _, which, level in chain)}"
        for part, chain in groupby(triples, key=lambda triple: triple[0])
        if part >= _LEAST
    ]
    return f"AugMix: {'; '.join(chains)}" if chains else ""


_WHOLE = ("stretch", "equalize")  # operations without a strength
_ONE_WAY = ("solarize", "posterize")  # and without a direction
_LEAST = 0.005  # what two decimals show
DRAWN: dict[str, Callable[[Figures], str]] = {
    "quarter_turns": _quarters,
    "aspect": _factor("width"),
    "shear": _sheared,
    "horizontal_flip": lambda figures: "mirrored",
    "vertical_flip": lambda figures: "upside down",
    "rotation": _turned,
    "zoom": _factor("size"),
    "translation": _moved,
    "crop": _cropped,
    "perspective": _share("corners off by"),
    "elastic": _share("bent by"),
    "cloud_shadow": _share("shade of clouds"),
    "clouds": _share("clouds"),
    "haze": _share("haze"),
    "fog": _share("fog"),
    "low_sun": _share("low sun"),
    "night": _share("night"),
    "blur": lambda figures: f"blurred over {figures[0]:.1f} px",
    "shot_noise": lambda figures: f"shot noise {figures[0]:g}",
    "gamma": _factor("gamma"),
    "equalize": _share("equalized by"),
    "solarize": lambda figures: f"inverted from {figures[0]:.0f} up",
    "posterize": lambda figures: counted(round(figures[0]), "bit"),
    "sharpness": _factor("sharpness"),
    "jpeg": lambda figures: f"JPEG of quality {figures[0]:.0f}",
    "channel_gain": _gains,
    "greyscale": lambda figures: "grey",
    "brightness": _added("brightness"),
    "contrast": _factor("contrast"),
    "saturation": _factor("saturation"),
    "hue": _hue,
    "noise": lambda figures: f"noise {figures[0]:g}",
    "rand_augment": _operations("RandAugment"),
    "trivial_augment": _operations("TrivialAugment"),
    "aug_mix": _aug_mix,
    "erase": _share("erased:"),
    "cutout": _share("cut out:"),
}


def levers_in_words(sheet: Sheet) -> list[tuple[str, str, str]]:
    """Each lever that is on: its name, its value, and what that means, as the levers' own page has it."""
    values = {name: f"{value:g}" for name, value in sheet.strengths.items()}
    if not values:
        return []
    fields = Augmentation.model_fields
    usual = {name: fields[name].default for name in SETTINGS}
    values |= {name: str(value) for name, value in sheet.settings.items() if value != usual[name]}
    return [(name, value, fields[name].description or "") for name, value in values.items()]


def sheet_in_words(sheet: Sheet) -> str:
    """How the network meets these images, and which of their bands the pictures show."""
    return _met(sheet) + _shown(sheet.channels)


def _shown(channels: int) -> str:
    if channels in (1, 3):
        return ""
    which = "the first three as red, green and blue" if channels > 3 else "the first as grey"
    return f" Its images have {channels} bands; the pictures show {which}, whatever colours they are."


def _met(sheet: Sheet) -> str:
    if not sheet.strengths:
        return "This recipe does not augment: its network sees every image as it is, in every epoch."
    met = {
        "afresh": "The network sees every training image with new draws in every epoch.",
        "views": "The network's features are stored: of each training image, and of "
        f"{counted(sheet.views, 'copy', 'copies')} of it that {'is' if sheet.views == 1 else 'are'} drawn once.",
        "never": "The network's features are stored, of the images as they are, so this recipe's augmentation does "
        "nothing: set data.views, or fine-tune.",
    }[sheet.way]
    return f"{met} Validation, test and prediction see it as it is."
