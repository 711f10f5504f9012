"""What is worth a line before anything is trained: the disk, the cache, the user's own network."""

from convlift.records.events import CachePlaced, DiskTight
from convlift.records.given_network import GivenNetwork
from convlift.records.training_events import DiagnosisPlanned, Looking, OwnNetworkSeen, TryingAccused
from convlift.report.wording.phrases import counted, duration, printable, shorten
from convlift.report.wording.recipe_faults import fault_in_words

_ENDS = {
    "probabilities": "It ends with probabilities, whose logarithm the loss is computed from",
    "sigmoids": "It ends with a sigmoid for each class; the values before them are taken as its logits",
    "one_logit": "Its one output is read as the logit of the second class",
    "one_probability": "Its one output is read as the probability of the second class",
}


def own_network_seen(event: OwnNetworkSeen) -> str:
    """What was found of the user's own network, and what of it is changed."""
    parts = [
        f"Your network {printable(event.code)} has {event.weights:,} weights and gets images of {event.channels} x "
        f"{event.side} x {event.side}."
    ]
    if event.replaced:
        parts.append(
            f"Its last layer, {printable(event.replaced)}, is replaced by one with {counted(event.classes, 'output')}."
        )
    if event.outputs in _ENDS:
        parts.append(f"{_ENDS[event.outputs]}.")
    if event.is_fixed:
        parts.append("Its first weights are the same in every training, whatever the seed.")
    if event.outside:
        parts.append(f"It imports {shorten(', '.join(event.outside), 100)}, which no copy is kept of.")
    if event.unread:
        parts.append(f"What it says of {', '.join(event.unread)} is passed over.")
    return " ".join(parts)


_SCALINGS = {
    "unit": "from 0 to 1",
    "standardize": "to mean 0 and deviation 1",
    "imagenet": "by ImageNet's mean and deviation",
    "symmetric": "from -1 to 1",
    "bytes": "from 0 to 255",
    "its recipe's": "as its recipe says",
}
HARDLY = 1.1  # times the share that guessing gets


def given_network(found: GivenNetwork) -> str:
    """What the headline compares with, where that is the user's own trained network."""
    best = f", which fits best of {found.tried} usual ways" if found.tried > 1 else ""
    parts = [
        "The baseline's network is your own, with the weights that you gave. Its pixels are scaled "
        f"{_SCALINGS[found.scaling]}{best}."
    ]
    if found.right <= HARDLY * found.chance:
        parts.append(
            f"It gets only {100 * found.right:.0f}% of the training and validation images right; see whether its "
            "outputs follow the class names in alphabetical order."
        )
    elif found.may_know_test:
        parts.append(
            "If it learned from images that are now in the sealed test, its score there is too high and the gain is "
            "larger than it looks; a folder with train/ and test/ rules that out."
        )
    return " ".join(parts)


def diagnosing(event: DiagnosisPlanned | TryingAccused) -> str:
    """How long a diagnosis takes, before it begins; that a second training begins, and why."""
    if isinstance(event, TryingAccused):
        return (
            f"The recipe may be {fault_in_words(event.fault)}: it is trained once more with that undone, in about "
            f"{duration(event.seconds)}."
        )
    looks = f"the looks at its images and labels {duration(event.looks)} more"
    if not event.training:
        said = f"Nothing is trained; the looks at its images and labels take about {duration(event.looks)}."
    else:
        said = f"One training of this recipe takes about {duration(event.training)} here, {looks}."
    if event.again:
        said += (
            f" Where it accuses a setting of the recipe, that is undone and trained once more (about "
            f"{duration(event.again)}; --once leaves it out)."
        )
    if event.budget_seconds < event.training + event.looks:
        said += f" The budget of {duration(event.budget_seconds)} is shorter: what it has no room for is left out."
    return said


_LOOKING = {
    "time": "timing some steps of the training",
    "network": "asking the network about training images",
    "labels": "looking at the labels",
    "resolution": "looking at smaller images",
}


def looking(event: Looking) -> str:
    """What a diagnosis looks at now."""
    return _LOOKING[event.at]


def disk_tight(event: DiskTight) -> str:
    """That the disk may become full."""
    return (
        f"The disk at {printable(event.disk)} has {_megabytes(event.free)} free; a campaign like this one usually "
        f"takes {_megabytes(event.usual)}. Where it becomes full the campaign stops, loses nothing, and goes on once "
        "there is room."
    )


def _megabytes(number: float) -> str:
    return f"{number / 1e6:,.0f} MB"


def cache_placed(event: CachePlaced) -> str:
    """Where images are cached, and why there."""
    why = "this user has no home folder" if event.usual is None else f"{event.usual} cannot be written"
    said = f"note: images are cached in {event.folder}, since {why}; set CONVLIFT_CACHE to keep them elsewhere."
    return printable(said)
