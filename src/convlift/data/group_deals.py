"""Whole groups dealt out to parts, so that classes are as even between the parts as groups allow."""

import numpy as np
from numpy.typing import NDArray

from convlift.audit.findings import duplicate_groups
from convlift.data.groups import LEFT_OUT
from convlift.data.store import ImageStore
from convlift.errors import DataError

_ORDERS, _MOST_DEALT = 20, 20_000  # orders in which groups are dealt out, fewer where that were more deals than this


def deal_groups(
    store: ImageStore,
    inside: NDArray[np.int64],
    fractions: tuple[float, ...],
    rng: np.random.Generator,
    groups: NDArray[np.int64],
) -> list[NDArray[np.int64]]:
    """`inside` cut into one part a fraction, then the rest, whole groups at a time.

    Groups are dealt out, the largest first, each to the part whose classes it brings closest to their shares; of
    several orders the evenest deal counts. Unlike scikit-learn's StratifiedGroupKFold, whose parts are equal folds, the
    shares are free, copies of an image never part groups, and no class is missing anywhere.
    Raises DataError where a class has fewer groups than there are parts.
    """
    # a copy in another part would leak, so what is dealt are groups joined by their copies
    copies, owners = duplicate_groups(store.hashes[inside], store.labels[inside])
    units = together(groups, copies)
    table = np.zeros((int(units.max()) + 1, len(store.classes)))
    np.add.at(table, (units, owners[copies]), 1.0)
    table = table[:, table.any(axis=0)]
    shares = np.array([*fractions, 1.0 - sum(fractions)])
    if (scarce := np.flatnonzero((table > 0).sum(axis=0) < len(shares))).size:
        present = np.unique(owners)
        raise DataError(
            f"class {store.classes[present[scarce[0]]]!r} of {store.name} has images of "
            f"{int((table[:, scarce[0]] > 0).sum())} groups; no group is cut, so {len(shares)} parts need at least "
            f"{len(shares)} groups of every class. Add images of more groups, or leave out {LEFT_OUT}."
        )
    # dealing is greedy, and chance orders groups of one size: the evenest of several deals is near the best
    orders = max(1, min(_ORDERS, _MOST_DEALT // len(table)))
    deals = [_deal_groups(table, shares, rng) for _ in range(orders)]
    part = min(deals, key=lambda deal: _unevenness(table, shares, deal))
    if _absent(table, part, len(shares)):
        raise DataError(
            f"no way was found to cut the groups of {store.name} into {len(shares)} parts with every class in each; "
            f"add images of more groups, try another --seed, or leave out {LEFT_OUT}."
        )
    return [inside[part[units] == number] for number in range(len(shares))]


def together(groups: NDArray[np.int64], copies: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,): images are one unit where they share a group, or are copies, or a chain of both links them."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    _, ours = np.unique(groups, return_inverse=True)
    count = int(ours.max()) + 1
    size = count + int(copies.max()) + 1
    links = coo_array((np.ones(len(ours)), (ours, count + copies)), shape=(size, size))
    units: NDArray[np.int64] = connected_components(links, directed=False)[1][ours].astype(np.int64)
    return np.unique(units, return_inverse=True)[1].astype(np.int64)


def _deal_groups(
    table: NDArray[np.float64], shares: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """The part of each group; table (G, C): its images by class. Ties in size fall to the random order."""
    # large groups first, while every part still has room for them; small ones then fill what is missing (the rule of
    # longest processing time first, Graham 1969)
    order = rng.permutation(len(table))
    order = order[np.argsort(-table[order].sum(axis=1), kind="stable")]
    wanted = shares[:, None] * table.sum(axis=0)
    missing, part = wanted.copy(), np.zeros(len(table), np.int64)
    for group in order:
        # each part's distance from its share is a chi-square, the sum over classes of missing^2 / wanted; this is by
        # how much it falls where the part takes the group: (missing^2 - (missing - group)^2) / wanted
        relief = ((2.0 * missing - table[group]) * table[group] / wanted).sum(axis=1)
        part[group] = int(relief.argmax())
        missing[part[group]] -= table[group]
    # even in sum may still be none of a rare class in a small part; one loan mends one (part, class), and a loan may be
    # impossible, so tries are counted
    for _ in range(len(shares) * table.shape[1]):
        if not (absent := _absent(table, part, len(shares))):
            break
        _lend(table, part, *absent[0])
    return part


def _absent(table: NDArray[np.float64], part: NDArray[np.int64], parts: int) -> list[tuple[int, int]]:
    """(part, class) where a part holds no image of a class."""
    return [(p, c) for p in range(parts) for c in np.flatnonzero(table[part == p].sum(axis=0) == 0).tolist()]


def _lend(table: NDArray[np.float64], part: NDArray[np.int64], to: int, label: int) -> None:
    """Give a part without a class the smallest group with it whose own part can spare all its classes, in place."""
    for group in sorted(np.flatnonzero(table[:, label] > 0), key=lambda g: table[g].sum()):
        left = table[(part == part[group]) & (np.arange(len(part)) != group)].sum(axis=0)
        if (left[table[group] > 0] > 0).all():
            part[group] = to
            return


def _unevenness(table: NDArray[np.float64], shares: NDArray[np.float64], part: NDArray[np.int64]) -> tuple[int, float]:
    """How many classes are absent somewhere, then chi-square of the parts' classes against their shares."""
    counts = np.array([table[part == number].sum(axis=0) for number in range(len(shares))])
    wanted = shares[:, None] * table.sum(axis=0)
    return int((counts == 0).sum()), float(((counts - wanted) ** 2 / wanted).sum())
