"""From a place where images lie to a data set that is split and whose test is sealed."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from convlift.audit.natural_groups import NATURAL_GROUPS
from convlift.campaign.own_recipe import recipe_of
from convlift.campaign.request import Request
from convlift.campaign.session import Session
from convlift.data.dataset import Dataset
from convlift.data.decode import SHORTER_SIDE, WIDE
from convlift.data.groups import check_number, check_official, find_groups
from convlift.data.intake import Way
from convlift.data.readers.recognize import open_source
from convlift.data.revised import load_plan, revise
from convlift.data.sealed import SealedLabels, seal
from convlift.data.splits import make_splits
from convlift.data.square import CROP
from convlift.data.store import ImageStore, open_store
from convlift.errors import Interrupted
from convlift.recipe.built_in import recipe_from
from convlift.recipe.data import Data
from convlift.records.events import ImagesDecoded, ImagesRead, ReadingImages


def open_data(request: Request, session: Session) -> tuple[Dataset, SealedLabels]:
    """Read the images (`read_images`), split them, and seal the test; see `Dataset`.

    Where the user's own network sees more of larger images than is usually kept, they are read once more: it is looked
    into with the number of classes, which the images tell. Raises what `recipe_of` raises there.
    """
    asked = recipe_from(request.current)
    found = _opened(request, session, side_for(asked.data))
    store = found[0].store
    if (request.model or asked.architecture.kind == "own") and store.native_resolution >= store.side == SHORTER_SIDE:
        side = side_for(recipe_of(request, found[0])[0].data)
        return found if side == SHORTER_SIDE else _opened(request, session, side)
    return found


def _opened(request: Request, session: Session, side: int) -> tuple[Dataset, SealedLabels]:
    store, groups = read_images(request, session, side)
    splits = make_splits(store, request.seed, groups)
    if groups is not None:
        check_number(store.name, groups[splits.test])
    return seal(store, splits, groups)


def side_for(data: Data) -> int:
    """Of the images that are kept: more than usual where a recipe with these steps sees more."""
    seen = (data.resolution or 0) / (CROP if data.resize == "crop" else 1.0)
    return WIDE if seen > SHORTER_SIDE else SHORTER_SIDE


def read_images(
    request: Request, session: Session, side: int = SHORTER_SIDE
) -> tuple[ImageStore, NDArray[np.int64] | None]:
    """Read, verify, and decode once: the images, and the groups (n,) that they come in. What was found wrong is told.

    side: pixels of the shorter side that are kept at most.

    Raises Interrupted where somebody asks to stop while images are decoded, which can take minutes.
    """

    def decoded(done: int, total: int) -> None:
        session.listen(ImagesDecoded(done, total))
        if session.stop():
            raise Interrupted("stopped while the images were decoded; the same command starts again.", session.stop())

    plan = load_plan(request.plan) if request.plan else None  # a fault in it is said before the images are read
    way = Way(request.alpha, side, request.value_range)
    session.listen(ReadingImages())
    source = open_source(
        request.data, root=request.root, layout=request.layout, follow_links=request.follow_links,
        columns=request.columns, images=request.images, cache=request.cache, as_they_are=way.is_stretched,
    )  # fmt: skip
    revised = revise(source, request.plan, plan) if request.plan and plan else None
    if revised is None:
        store = open_store(source, request.cache, decoded, way)
        groups = find_groups(source, request.group_from, store.keys)
    else:
        store = open_store(revised.source, request.cache, decoded, way, revised.ties)
        store = replace(store, plan=revised.applied)
        groups = revised.groups(request.group_from, store.keys)
    if groups is not None:
        found = tuple(each for each in store.findings if each.kind != NATURAL_GROUPS)
        store = replace(store, findings=found + check_official(store, groups))
    session.listen(ImagesRead(store.findings))
    return store, groups
