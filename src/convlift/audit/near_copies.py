"""Images that show nearly the same: one photo at two sizes or qualities, mirrored, turned, cropped or brightened, or
frames of one moment. A hash proposes pairs, a finer comparison of each decides."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from convlift.audit.pictures import SIDE

LEAST_SIDE = 24  # pixels of the smallest image that is looked at: of fewer, two different digits are alike
BITS_APART = 10  # of 64 that hashes may differ in; of changed copies 99% stay within 9 (benchmarks/audit.py)
ALIKE = 0.90  # the least correlation of what two images show
DEVIATIONS = 8.0  # and as many standard deviations above that of other images of a class
# of an image with little on it: 3,000 tiles with a cell or two had 1,561 pairs by .9, and have none (decision 0056)
SPARSE, FULL, SPARSE_ALIKE = 75.0, 110.0, 0.99
CROPS = (1.0, 2.25)  # pixels, of 32, that are taken off each side: each finds crops that differ from it by .6 at most
ALL_SYMMETRIES = 20_000  # images up to which turned and cropped copies are looked for, not mirrored ones alone
_FREQUENCIES = 8  # lowest ones of a cosine transform, the constant left out, down and across: 64 bits
_DETAIL = 3.0  # pixels, of 32: deviation of the Gaussian whose blur is taken off, for light and shade do not count
_FLATTEST = 2.0  # grey levels that what is left must vary by, or nothing is there to be compared
_BLOCK, _PAIRS, _SAMPLE = 256, 4096, 4000
_ROWS = 512  # images, or pairs of them, that are in memory as floats at a time
_HASHES = 1 << 19  # pairs whose hashes are compared at a time

Greys = NDArray[np.uint8]
Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class NearCopies:
    """scenes (N,): a number that images share which show nearly the same, directly or through others in between.

    pairs (P, 2): what links them, the first image first, one link fewer than a scene has images; likeness (P,): the
    correlation of each.
    """

    scenes: Indices
    pairs: Indices
    likeness: NDArray[np.float32]


# a grey image, as an array (..., 32, 32), under the symmetries of the square; mirrored ones first
_SYMMETRIES = tuple((turns, is_mirrored) for turns in range(4) for is_mirrored in (False, True))


def near_copies(greys: Greys, labels: Indices, looked_at: Indices) -> NearCopies:
    """Which of these images (N, 32, 32) are nearly the same; looked_at: indices of those that are compared.

    Proposed: pairs whose signs of low-frequency cosine coefficients (Zauner 2010, "pHash") differ in at most 10 of 64,
    in one of the eight symmetries, or once one of them is cropped at the middle; a change of brightness leaves signs as
    they are. Decided: a correlation of at least .9 of the greys without their low frequencies, and 8 standard
    deviations above that of pairs of one class, for X-rays and icons are all alike; more where there is little on one
    of them (`_bars`). Memory grows with the images, not with the pairs; copies that are linked already are not compared
    again.
    """
    detail, hashes = _describe(greys)
    seen = looked_at[detail[looked_at].any(axis=(1, 2))]
    links = _Links(len(greys))
    if len(seen) > 1:
        bars = np.maximum(_bars(detail), _usual(detail[seen], labels[seen]))
        are_few, plain = len(seen) <= ALL_SYMMETRIES, hashes[seen]
        symmetries = _SYMMETRIES if are_few else _SYMMETRIES[:2]
        for symmetry, turned in zip(symmetries, _variants(plain, symmetries), strict=True):
            other = partial(_moved_of, detail, symmetry)
            for pairs in _proposed(plain, turned):
                links.add(seen[pairs], detail, other, bars)
        for pixels in CROPS if are_few else ():
            cropped, near = _describe(_cropped(greys, pixels))
            for pairs in _proposed(plain, near[seen], both_ways=True):
                links.add(seen[pairs], detail, cropped.__getitem__, bars)
    return NearCopies(links.scenes, *links.found())


def alike(one: Greys, other: Greys) -> tuple[float, str]:
    """How alike two greys (32, 32) are, as a correlation in the symmetry or crop that fits best, and whether that is
    "mirrored", "turned" or "cropped"; "" where it is neither."""
    both = np.stack([one, other])
    detail, _ = _describe(both)
    found = [(float(_likeness(detail[:1], _moved(detail[1:], each))[0]), _how(each)) for each in _SYMMETRIES]
    for cropped in (_describe(_cropped(both, pixels))[0] for pixels in CROPS):
        likeness = _likeness(detail, cropped[::-1])
        found.append((float(likeness.max()), "cropped"))
    return max(found, key=lambda each: each[0])


def _how(symmetry: tuple[int, bool]) -> str:
    turns, is_mirrored = symmetry
    return "turned" if turns else "mirrored" if is_mirrored else ""


class _Links:
    """Owns the links between images, which grow into scenes."""

    def __init__(self, images: int) -> None:
        self.scenes: Indices = np.arange(images, dtype=np.int64)
        self._pairs: list[Indices] = []
        self._likeness: list[NDArray[np.float32]] = []

    def add(
        self,
        pairs: Indices,
        detail: NDArray[np.int8],
        other: Callable[[Indices], NDArray[np.int8]],
        bars: NDArray[np.float32],
    ) -> None:
        """Compare proposed pairs, few at a time, and link those that are alike. other: the second images of pairs, as
        they are compared; bars (N,): the least likeness to each image."""
        for first in range(0, len(pairs), _PAIRS):
            some = pairs[first : first + _PAIRS]
            some = some[self.scenes[some[:, 0]] != self.scenes[some[:, 1]]]
            if len(some):
                likeness = _likeness(detail[some[:, 0]], other(some[:, 1]))
                is_alike = likeness >= bars[some].max(axis=1)
                self._link(some[is_alike], likeness[is_alike])

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
        self._pairs.append(np.sort(pairs[is_kept], axis=1))
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
    for first in range(0, len(greys), _ROWS):
        some = greys[first : first + _ROWS].astype(np.float32)
        signs = (waves @ some @ waves.T > 0).reshape(len(some), -1)
        hashes[first : first + _ROWS] = np.packbits(signs, axis=1, bitorder="little").view("<u8").ravel()
        left = some - np.stack([cv2.GaussianBlur(each, (0, 0), _DETAIL) for each in some])
        spread = left.std(axis=(1, 2), keepdims=True)
        scaled = np.where(spread >= _FLATTEST, left * (24.0 / np.maximum(spread, _FLATTEST)), 0.0)
        detail[first : first + _ROWS] = np.rint(scaled.clip(-127, 127))
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


def _cropped(greys: Greys, pixels: float) -> Greys:
    """Greys (N, 32, 32) without so many pixels of each side, as large as before."""
    import cv2

    scale = 1.0 - 2.0 * pixels / SIDE
    offset = pixels - 0.5 + 0.5 * scale  # centres of pixels lie at a half
    onto = np.array([[scale, 0.0, offset], [0.0, scale, offset]], np.float32)
    how, found = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, np.empty_like(greys)
    for row, grey in enumerate(greys):
        cv2.warpAffine(grey, onto, (SIDE, SIDE), found[row], flags=how, borderMode=cv2.BORDER_REPLICATE)
    return found


def _moved_of(detail: NDArray[np.int8], symmetry: tuple[int, bool], rows: Indices) -> NDArray[np.int8]:
    return _moved(detail[rows], symmetry)


def _moved(images: NDArray[np.int8], symmetry: tuple[int, bool]) -> NDArray[np.int8]:
    turns, is_mirrored = symmetry
    return np.rot90(images[:, :, ::-1] if is_mirrored else images, turns, axes=(1, 2))


def _proposed(plain: NDArray[np.uint64], changed: NDArray[np.uint64], *, both_ways: bool = False) -> Iterator[Indices]:
    """Pairs (i, j), i < j, where i as it is and j as it was changed have near hashes, a block of rows at a time.
    both_ways: also i > j, for a change that is not its own inverse."""
    block = max(1, min(_BLOCK, _HASHES // max(1, len(plain))))
    for first in range(0, len(plain), block):
        begin = 0 if both_ways else first
        apart = np.bitwise_count(plain[first : first + block, None] ^ changed[None, begin:])
        near = np.flatnonzero(apart.ravel() <= BITS_APART)
        if len(near):
            rows, columns = np.divmod(near, apart.shape[1])
            rows, columns = rows + first, columns + begin
            kept = columns != rows if both_ways else columns > rows
            yield np.stack([rows[kept], columns[kept]], axis=1)


def _bars(detail: NDArray[np.int8]) -> NDArray[np.float32]:
    """(N,): the least likeness to each image (N, 32, 32): .9, and up to .99 where what it shows is on few pixels.

    A cell on an empty tile is a place and a size, so that of many such tiles two agree by chance; two photos agree in
    hundreds of pixels or not at all. How many count is the participation ratio, (sum of squares)^2 / sum of fourth
    powers: 290 in the median of flowers, under 82 in 1%; 30 to 77 of tiles with a cell or two.
    """
    found = np.empty(len(detail), np.float32)
    for first in range(0, len(detail), _ROWS):
        squares = detail[first : first + _ROWS].reshape(-1, SIDE * SIDE).astype(np.float32) ** 2
        counting = squares.sum(axis=1) ** 2 / np.maximum((squares**2).sum(axis=1), 1.0)
        found[first : first + _ROWS] = np.interp(counting, [SPARSE, FULL], [SPARSE_ALIKE, ALIKE])
    return found


def _likeness(one: NDArray[np.int8], other: NDArray[np.int8]) -> NDArray[np.float32]:
    """The correlation of each pair (P, 32, 32)."""
    found = np.empty(len(one), np.float32)
    for first in range(0, len(one), _ROWS):
        pair = (each[first : first + _ROWS] for each in (one, other))
        a, b = (each.reshape(len(each), -1).astype(np.float32) for each in pair)
        a, b = (each - each.mean(axis=1, keepdims=True) for each in (a, b))
        norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        found[first : first + _ROWS] = (a * b).sum(axis=1) / np.maximum(norms, 1e-6)
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
