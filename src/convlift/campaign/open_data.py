"""From a place where images lie to a data set that is split and whose test is sealed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convlift.campaign.session import Session
from convlift.data.choices import USUAL, Choices
from convlift.data.dataset import Dataset, seal
from convlift.data.groups import check_number, check_official, read_groups
from convlift.data.readers.open import open_source
from convlift.data.splits import SealedLabels, make_splits
from convlift.data.store import ImageStore, open_store
from convlift.errors import Interrupted
from convlift.records.events import ImagesDecoded, ImagesRead, ReadingImages


def open_data(
    where: str,
    root: Path | None,
    seed: int,
    cache: Path,
    session: Session,
    *,
    group_from: str | None = None,
    choices: Choices = USUAL,
) -> tuple[Dataset, SealedLabels]:
    """Read the images (`read_images`), split them, and seal the test; see `Dataset`."""
    store, groups = read_images(where, root, cache, session, group_from=group_from, choices=choices)
    splits = make_splits(store, seed, groups)
    if groups is not None:
        check_number(store.name, groups[splits.test])
    return seal(store, splits, groups)


def read_images(
    where: str,
    root: Path | None,
    cache: Path,
    session: Session,
    *,
    group_from: str | None = None,
    choices: Choices = USUAL,
) -> tuple[ImageStore, NDArray[np.int64] | None]:
    """Read, verify, and decode once. What was found wrong is told.

    group_from: where the images' groups stand, see `data.groups.read_groups`; choices: of the user, where a folder can
    be read in several ways.
    Raises Interrupted where somebody asks to stop while images are decoded, which can take minutes.
    """

    def decoded(done: int, total: int) -> None:
        session.listen(ImagesDecoded(done, total))
        if session.stop():
            raise Interrupted("stopped while the images were decoded; the same command starts again.", session.stop())

    session.listen(ReadingImages())
    source = open_source(where, root=root, layout=choices.layout, follow_links=choices.follow_links)
    store = open_store(source, cache, decoded, choices.alpha)
    groups = None if group_from is None else read_groups(group_from, store.keys)
    if groups is not None:
        store = replace(store, findings=store.findings + check_official(store, groups))
    session.listen(ImagesRead(store.findings))
    return store, groups
