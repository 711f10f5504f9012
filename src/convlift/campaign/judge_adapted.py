"""What ships, once more on the shifted images: with batch norms that took these images' statistics, without labels.

Schneider et al. 2020, "Improving robustness against common corruptions by covariate shift adaptation". From predictions
alone: nothing is trained, nothing is decided, and the network in the run folder stays as it is.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from convlift.deploy.adapt_batch_norm import (
    MOST_IMAGES,
    USUAL_PSEUDO,
    adapted_statistics,
    has_batch_norm,
    using,
)
from convlift.deploy.classifier import BATCH
from convlift.deploy.evaluate_model import Images, Named, Seen, see
from convlift.deploy.evaluate_shift import adapted, spread
from convlift.deploy.images import Pixels
from convlift.deploy.predict import Model
from convlift.deploy.shifted_images import Copy, Rows, Told
from convlift.errors import ConvliftError, Interrupted
from convlift.records.result import AdaptedScore, NetworkGain
from convlift.robustness.corruptions import corrupt, framed

Image = Callable[[int], Pixels]  # number of a test image -> its pixels, as stored
Place = tuple[int, int]  # which copy of which image


class Adapted(NamedTuple):
    """What came of it: a score, why there is none, or neither where the network has no batch norm."""

    score: AdaptedScore | None = None
    fault: str = ""


def judge_adapted(model: Model, ask: Callable[[], tuple[int, NetworkGain]]) -> Adapted:
    """The network's score with adapted batch norms beside that without; a fault in it costs no other answer.

    ask: gives the fewest images of an adaptation, and the gain of it over none. Raises Interrupted."""
    if not has_batch_norm(model):
        return Adapted()
    try:
        images, gain = ask()
    except Interrupted:
        raise
    except Exception as error:
        return Adapted(fault=" ".join(str(error).split()) if isinstance(error, ConvliftError) else f"{error!r}")
    return Adapted(AdaptedScore(USUAL_PSEUDO, images, gain.baseline, gain.final, gain.gain_points))


def adapted_to_corruptions(
    model: Model, image: Image, copies_nD: Sequence[Sequence[Copy]], told: Told = lambda done, total: None
) -> tuple[int, Rows]:
    """The fewest copies of one corruption that statistics are of, MOST_IMAGES at most, and the probabilities (D, n, K)
    of all copies, adapted to those of the same corruption, whatever their severity: so weather comes, of one kind and
    now stronger, now weaker. told: how many copies of how many are done."""
    names = dict.fromkeys(copy.name for own in copies_nD for copy in own)
    found: Rows | None = None
    fewest, done, total = MOST_IMAGES, 0, sum(map(len, copies_nD))

    def square_of(place: Place) -> Pixels:
        d, i = place
        return model.prepared(corrupt(framed(image(i)), *copies_nD[i][d]))

    for name in names:
        places = [(d, i) for i, own in enumerate(copies_nD) for d, copy in enumerate(own) if copy.name == name]
        chosen = [places[k] for k in np.linspace(0, len(places) - 1, min(len(places), MOST_IMAGES)).round().astype(int)]
        kept = {place: square_of(place) for place in chosen}  # each is predicted too
        fewest = min(fewest, len(kept))
        with using(model, adapted_statistics(model, list(kept.values()), USUAL_PSEUDO)):
            for first in range(0, len(places), BATCH):
                batch = places[first : first + BATCH]
                said = model.probabilities([kept[each] if each in kept else square_of(each) for each in batch])
                if found is None:
                    found = np.zeros((len(copies_nD[0]), len(copies_nD), said.shape[1]), np.float32)
                found[[d for d, _ in batch], [i for _, i in batch]] = said
                done += len(batch)
                told(done, total)
    assert found is not None, "there is an image, and a copy of it"
    return fewest, found


def adapted_to_folder(named: Named, images: Images, told: Told) -> tuple[int, Seen]:
    """How many images of a folder the batch norms were adapted to, and what the network says of all of them then."""
    with adapted(named, images, USUAL_PSEUDO):
        return len(spread(images, MOST_IMAGES).places), see(named, images, told)
