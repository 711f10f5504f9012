"""The recipe that is to be improved, where the user's own code makes its network."""

from typing import TYPE_CHECKING

from convlift.campaign.request import Request
from convlift.data.dataset import Dataset
from convlift.errors import RecipeError
from convlift.recipe.architecture import Own
from convlift.recipe.built_in import OWN, recipe_from
from convlift.recipe.data import refuse_tones_of_bands
from convlift.recipe.recipe import Recipe
from convlift.records.training_events import OwnNetworkSeen

if TYPE_CHECKING:
    from convlift.model.look_into import LookedInto

USUAL = ("plain", "transfer")  # what --current and --recipe are where nothing is said


def recipe_of(request: Request, dataset: Dataset) -> tuple[Recipe, OwnNetworkSeen | None]:
    """`request.current`, with the network that `request.model` names, looked into, and what to tell of that; its
    resolution is written down.

    Code runs only where the user has named it, now or before. Raises RecipeError, ConvliftError.
    """
    recipe, seen = _recipe_of(request, dataset)
    refuse_tones_of_bands(recipe.data, dataset.channels)
    return recipe, seen


def _recipe_of(request: Request, dataset: Dataset) -> tuple[Recipe, OwnNetworkSeen | None]:
    is_usual = isinstance(request.current, str) and request.current in USUAL
    asked = OWN if request.model and is_usual else recipe_from(request.current, dataset.channels)
    named, own = request.model, asked.architecture
    if named is None and not isinstance(own, Own):
        return asked.at(dataset.store.native_resolution), None
    if own.kind == "pretrained":
        raise RecipeError(
            f"--model {named} is trained from its first weights, and the recipe {request.current} trains a pretrained "
            "network; give --current a recipe that trains one from scratch, or none."
        )
    text = named or own.code  # type: ignore[union-attr]
    _allow(request, text, own.digest if isinstance(own, Own) and not named else "")
    plain = asked.edit(architecture={"kind": "own", "code": text, "side": 0})
    side = plain.at(dataset.store.native_resolution).data.resolution
    assert side is not None, "Recipe.at() wrote the resolution down"
    # torch takes seconds to import
    from convlift.model.look_into import look_into

    classes, channels = len(dataset.classes), dataset.channels
    found = look_into(text, classes=classes, channels=channels, side=side)
    if asked.data.resolution not in (None, found.side):
        raise RecipeError(
            f"'data.resolution' is {asked.data.resolution}, and network {text!r} takes images of {found.side} x "
            f"{found.side} pixels; leave it out."
        )
    kept = {n: getattr(own, n) for n in ("dropout", "activation", "normalization")} if isinstance(own, Own) else {}
    whole = asked.edit(architecture=found.own.model_dump() | kept, data={"resolution": found.side})
    if found.told.augmentation and not asked.data.augmentation.active:
        whole = whole.edit(data={"augmentation": found.told.augmentation})
    if found.told.training and is_usual:
        whole = whole.edit(training=found.told.training)
    return whole, _told(found, classes, channels)


def _allow(request: Request, text: str, digest: str) -> None:
    """Let code run that is named in this call. digest: of a recipe's code, which must have been named before; "" where
    it is named now, or was never looked into."""
    from convlift.model.source_files import code_of
    from convlift.model.trusted_code import check_trust, trust

    code = code_of(text)
    if request.model:
        trust(request.cache, code)
        return
    if digest and digest != code.digest:
        raise RecipeError(
            f"network {text!r} is no longer the code that this recipe was written for; name it anew with --model "
            f"{text}, or give the code as it was."
        )
    check_trust(request.cache, code, f"name it yourself: --model {text}")


def _told(found: "LookedInto", classes: int, channels: int) -> OwnNetworkSeen:
    from convlift.cost.multiply_adds import cost  # torch comes with it

    own = found.own
    return OwnNetworkSeen(
        code=own.code,
        weights=cost(own, classes=classes, channels=channels, resolution=found.side).parameters,
        channels=own.channels or channels,
        side=found.side,
        outputs=own.outputs,
        replaced=own.last_layer if own.new_last_layer else "",
        classes=classes,
        is_fixed=found.is_fixed,
        outside=found.outside,
        unread=found.told.unread,
    )
