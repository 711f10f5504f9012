"""Images that show nearly the same: one photo at two sizes or qualities, mirrored, turned or brightened, or frames of
one moment. A hash proposes pairs, a finer comparison of each decides."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convlift.audit.pictures import SIDE

LEAST_SIDE = 24  # pixels of the smallest image that is looked at: of fewer, two different digits are alike
BITS_APART = 10  # of 64 that hashes may differ in; of changed copies 99% stay within 9 (benchmarks/audit.py)
ALIKE = 0.90  # the least correlation of what two images show
DEVIATIONS = 8.0  # and as many standard deviations above that of other images of a class
ALL_SYMMETRIES = 20_000  # images up to which turned copies are looked for, not mirrored ones alone
_FREQUENCIES = 8  # lowest ones of a cosine transform, the constant left out, down and across: 64 bits
_DETAIL = 3.0  # pixels, of 32: deviation of the Gaussian whose blur is taken off, for light and shade do not count
_FLATTEST = 2.0  # grey levels that what is left must vary by, or nothing is there to be compared
_BLOCK, _PAIRS, _SAMPLE = 256, 4096, 4000

Greys = NDArray[np.uint8]
Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class NearCopies:
    """scenes (N,): a number that images share which show nearly the same, directly or through others in between.

    pairs (P, 2): what links them, one link fewer than a scene has images; likeness (P,): the correlation of each.
    """

    scenes: Indices
    pairs: Indices
    likeness: NDArray[np.float32]


# a grey image, as an array (..., 32, 32), under the symmetries of the square; mirrored ones first
_SYMMETRIES = tuple((turns, is_mirrored) for turns in range(4) for is_mirrored in (False, True))


def near_copies(greys: Greys, labels: Indices, looked_at: Indices) -> NearCopies:
    """Which of these images (N, 32, 32) are nearly the same; looked_at: indices of those that are compared.

    Proposed: pairs whose signs of low-frequency cosine coefficients (Zauner 2010, "pHash") differ in at most 10 of 64,
    in one of the eight symmetries; a change of brightness leaves signs as they are. Decided: a correlation of at least
    .9 of the greys without their low frequencies, and 8 standard deviations above that of pairs of one class, for
    X-rays and icons are all alike. Memory grows with the images, not with the pairs; copies that are linked already are
    not compared again.
    """
    detail, hashes = _describe(greys)
    seen = looked_at[detail[looked_at].any(axis=(1, 2))]
    links = _Links(len(greys))
    if len(seen) > 1:
        least = max(ALIKE, _usual(detail[seen], labels[seen]))
        symmetries = _SYMMETRIES if len(seen) <= ALL_SYMMETRIES else _SYMMETRIES[:2]
        variants = _variants(hashes[seen], symmetries)
        for symmetry, pairs in _proposed(variants, symmetries):
            links.add(seen[pairs], detail, symmetry, least)
    return NearCopies(links.scenes, *links.found())


class _Links:
    """Owns the links between images, which grow into scenes."""

    def __init__(self, images: int) -> None:
        self.scenes: Indices = np.arange(images, dtype=np.int64)
        self._pairs: list[Indices] = []
        self._likeness: list[NDArray[np.float32]] = []

    def add(self, pairs: Indices, detail: NDArray[np.int8], symmetry: tuple[int, bool], least: float) -> None:
        """Compare proposed pairs, few at a time, and link those that are alike."""
        for first in range(0, len(pairs), _PAIRS):
            some = pairs[first : first + _PAIRS]
            some = some[self.scenes[some[:, 0]] != self.scenes[some[:, 1]]]
            if len(some):
                likeness = _likeness(detail[some[:, 0]], _moved(detail[some[:, 1]], symmetry))
                self._link(some[likeness >= least], likeness[likeness >= least])

    def _link(self, pairs: Indices, likeness: NDArray[np.float32]) -> None:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

        if not len(pairs):
            return
        ends, count = self.scenes[pairs], len(self.scenes)
        # of several links between two scenes the likest, then those that a tree needs: distances are positive
        order = np.lexsort((-likeness, ends.max(axis=1), ends.min(axis=1)))
        pairs, likeness, ends = pairs[order], likeness[order], np.sort(ends[order], axis=1)
        is_first = np.r_[True, (ends[1:] != ends[:-1]).any(axis=1)]
        pairs, likeness, ends = pairs[is_first], likeness[is_first], ends[is_first]
        distances = coo_array((1.001 - likeness.clip(max=1.0), (ends[:, 0], ends[:, 1])), shape=(count, count)).tocsr()
        tree = minimum_spanning_tree(distances).tocoo()
        is_kept = np.isin(ends[:, 0] * count + ends[:, 1], tree.row.astype(np.int64) * count + tree.col)
        self._pairs.append(pairs[is_kept])
        self._likeness.append(likeness[is_kept])
        joined = connected_components(distances, directed=False)[1]
        self.scenes = joined[self.scenes].astype(np.int64)

    def found(self) -> tuple[Indices, NDArray[np.float32]]:
        return (
            np.concatenate([np.zeros((0, 2), np.int64), *self._pairs]),
            np.concatenate([np.zeros(0, np.float32), *self._likeness]),
        )


def _describe(greys: Greys) -> tuple[NDArray[np.int8], NDArray[np.uint64]]:
    """Of each image what is left without its low frequencies (N, 32, 32), 0 where that is nothing, and its hash."""
    import cv2

    detail, hashes = np.zeros(greys.shape, np.int8), np.zeros(len(greys), np.uint64)
    waves = np.cos(np.pi * (np.arange(SIDE) + 0.5) * np.arange(1, _FREQUENCIES + 1)[:, None] / SIDE).astype(np.float32)
    for first in range(0, len(greys), _PAIRS):
        some = greys[first : first + _PAIRS].astype(np.float32)
        signs = (waves @ some @ waves.T > 0).reshape(len(some), -1)
        hashes[first : first + _PAIRS] = np.packbits(signs, axis=1, bitorder="little").view("<u8").ravel()
        left = some - np.stack([cv2.GaussianBlur(each, (0, 0), _DETAIL) for each in some])
        spread = left.std(axis=(1, 2), keepdims=True)
        scaled = np.where(spread >= _FLATTEST, left * (24.0 / np.maximum(spread, _FLATTEST)), 0.0)
        detail[first : first + _PAIRS] = np.rint(scaled.clip(-127, 127))
    return detail, hashes


def _variants(hashes: NDArray[np.uint64], symmetries: Sequence[tuple[int, bool]]) -> NDArray[np.uint64]:
    """(S, N): the hash of each image under each symmetry: mirroring changes the signs of odd frequencies, a turn also
    makes down what was across."""
    bits = np.unpackbits(hashes[:, None].view(np.uint8), axis=1, bitorder="little")
    square = 1.0 - 2.0 * bits.reshape(-1, _FREQUENCIES, _FREQUENCIES).astype(np.float32)
    odd = np.where(np.arange(1, _FREQUENCIES + 1) % 2, -1.0, 1.0).astype(np.float32)
    found = []
    for turns, is_mirrored in symmetries:
        moved = square * odd if is_mirrored else square
        for _ in range(turns):  # np.rot90 is a transpose, then upside down
            moved = moved.transpose(0, 2, 1) * odd[:, None]
        signs = (moved < 0).reshape(len(moved), -1)
        found.append(np.packbits(signs, axis=1, bitorder="little").view("<u8").ravel())
    return np.stack(found)


def _moved(images: NDArray[np.int8], symmetry: tuple[int, bool]) -> NDArray[np.int8]:
    turns, is_mirrored = symmetry
    return np.rot90(images[:, :, ::-1] if is_mirrored else images, turns, axes=(1, 2))


def _proposed(
    variants: NDArray[np.uint64], symmetries: Sequence[tuple[int, bool]]
) -> Iterator[tuple[tuple[int, bool], Indices]]:
    """Pairs (i, j), i < j, whose hashes are near in some symmetry of j, a block of rows at a time."""
    plain = variants[0]
    for symmetry, turned in zip(symmetries, variants, strict=True):
        for first in range(0, len(plain), _BLOCK):
            apart = np.bitwise_count(plain[first : first + _BLOCK, None] ^ turned[None, first:])
            near = np.flatnonzero(apart.ravel() <= BITS_APART)
            if len(near):
                rows, columns = np.divmod(near, apart.shape[1])
                later = columns > rows
                yield symmetry, first + np.stack([rows[later], columns[later]], axis=1)


def _likeness(one: NDArray[np.int8], other: NDArray[np.int8]) -> NDArray[np.float32]:
    """The correlation of each pair (P, 32, 32)."""
    a, b = (each.reshape(len(each), -1).astype(np.float32) for each in (one, other))
    a, b = (each - each.mean(axis=1, keepdims=True) for each in (a, b))
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    found: NDArray[np.float32] = ((a * b).sum(axis=1) / np.maximum(norms, 1e-6)).astype(np.float32)
    return found


def _usual(detail: NDArray[np.int8], labels: Indices) -> float:
    """Eight standard deviations above the usual correlation of two images of one class, by Fisher's z."""
    rng = np.random.default_rng(len(labels))
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    one, other = order[:-1], order[1:]
    same = np.flatnonzero(labels[one] == labels[other])
    some = rng.permutation(same)[:_SAMPLE]
    if len(some) < 30:  # too few to know
        return ALIKE
    z = np.arctanh(_likeness(detail[one[some]], detail[other[some]]).clip(-0.999, 0.999))
    # the middle half says what is usual, whatever copies are among the pairs: 1.349 deviations of a Gaussian
    low, middle, high = np.quantile(z, [0.25, 0.5, 0.75])
    return float(min(0.99, np.tanh(middle + DEVIATIONS * (high - low) / 1.349)))
