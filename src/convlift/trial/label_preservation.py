"""Whether an augmentation keeps images what they are, by a trained network.

An image that the network still classifies correctly is still what it was. That it gets others wrong shows little: it
was never shown any, and getting used to them is what augmentation is for. So a second question is asked: would learning
that these images carry their labels spoil how untouched ones are told apart, by the features of this network? Its last
layer is fitted twice, to validation images as they are and to the same ones augmented, and each fit classifies
untouched validation images that it was not fitted to. Where a turned 6 carries the label 6, the second fit must give up
on some of the nines.

Validation images, because those that the network was trained on look easier untouched than they are: on CIFAR-10 a
little noise then seemed to cost 2.5 points, and costs none.
"""

import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from scipy.special import bdtrc
from torch import Tensor, nn

from convlift.augment.pipeline import augment, normalize
from convlift.augment.streams import Streams
from convlift.data.dataset import Dataset
from convlift.data.encode import png_of
from convlift.data.normalization import Statistics, of_figures
from convlift.model.build import build_network
from convlift.model.checkpoint import saved_normalization
from convlift.model.placement import lay_on
from convlift.recipe.augmentation import SYMMETRIES, Augmentation
from convlift.recipe.data import Data
from convlift.recipe.recipe import Recipe
from convlift.records.compute_device import CPU, Device
from convlift.records.label_check import Example, LabelCheck
from convlift.train.evaluate import predict_probabilities
from convlift.trial.batches import EVALUATION_BATCH, Indices, chunks, to_tensor
from convlift.trial.calibrate import threads

FOLDS = 10
FIRST_LOOK = 32  # images, to see how long one takes
PENALTY = 0.01  # of the ridge, in units of each feature's variance

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Pixels = NDArray[np.uint8]


class TrainedLabelChecker:
    """Owns a trained network and the validation images that it checks with; see `LabelChecker`."""

    def __init__(
        self,
        network: nn.Module,
        normal: Statistics,
        dataset: Dataset,
        data: Data,
        seed: int,
        *,
        one_thread: bool = False,
    ) -> None:
        self._one_thread = one_thread
        self._network, self._normal, self._seed = network, normal, seed
        self._place = next(network.parameters()).device
        self._dataset, self._data = dataset, data
        for _ in range(2):  # the first look pays for what the next ones find made
            began = time.monotonic()
            self.look_at(FIRST_LOOK)
            self.seconds_per_image = (time.monotonic() - began) / len(self._truth)

    def look_at(self, images: int) -> int:
        """See LabelChecker."""
        assert self._data.resolution is not None, "a trained recipe has its resolution written down"
        labels = self._dataset.labels
        chosen = spread(self._dataset.splits.validation, labels, images, self._seed)
        pixels = self._dataset.store.pixels(self._data.resolution, self._data.preparation)
        self._images, self._truth = np.ascontiguousarray(pixels[chosen]), labels[chosen]
        self._probabilities, self._features = self._predict(normalize(self._images, *self._normal))
        self._folds = np.random.default_rng([self._seed, len(chosen)]).permutation(len(chosen)) % FOLDS
        self._fitted_right = self._classify_refitted([self._features]) == self._truth
        return len(chosen)

    def check(self, augmentation: Augmentation) -> LabelCheck:
        """See LabelChecker. The same draws for every augmentation.

        A mirror image, or a quarter turn, is shown as one; the fit gets it beside the image, as a probability of 1/2
        does. See `surely` for several at once, and for what may be erased.
        """
        mirrored = [name for name in SYMMETRIES if getattr(augmentation, name)]
        whole = surely(augmentation)
        others = augmentation.model_copy(update=dict.fromkeys(mirrored, 0.0))
        probabilities, features = self._predict(self._augmented(whole, 0))
        _, more_features = self._predict(self._augmented(others if mirrored else whole, 1))
        predicted = self._classify_refitted([features, more_features])
        before, after = (each.argmax(axis=1) == self._truth for each in (self._probabilities, probabilities))
        lost = before.astype(float) - after
        right = predicted == self._truth
        spoiled = self._fitted_right & ~right
        return LabelCheck(
            accuracy=float(before.mean()),
            augmented_accuracy=float(after.mean()),
            loss_points=100 * float(lost.mean()),
            standard_error=100 * float(lost.std() / len(lost) ** 0.5),
            recognized=recognized(float(before.mean()), float(after.mean()), self._truth),
            harm_points=100 * float(self._fitted_right.mean() - right.mean()),
            p_value=sign_test(int(spoiled.sum()), int((right & ~self._fitted_right).sum())),
            confused=self._most_confused(spoiled, predicted),
            example=self._example(probabilities, whole),
        )

    def _augmented(
        self, augmentation: Augmentation, draw: int, normal: Statistics | None = None
    ) -> NDArray[np.float32]:
        return augment(self._images, augmentation, *(normal or self._normal), Streams(self._seed, "check", draw))

    def _predict(self, inputs_NHWC: NDArray[np.float32]) -> tuple[NDArray[np.float32], Floats]:
        """(probabilities_NK, what the last linear layer is given_NF; without one, the logits)."""
        features: list[Tensor] = []
        latest: list[Tensor] = []

        def keep(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            latest[:] = [given[0].flatten(1)]

        def end(_: nn.Module, __: object, logits: Tensor) -> None:
            features.append(latest.pop() if latest else logits)

        linear = [module for module in self._network.modules() if isinstance(module, nn.Linear)]
        hooks = [module.register_forward_pre_hook(keep) for module in linear]
        hooks.append(self._network.register_forward_hook(end))
        try:
            batches = (
                to_tensor(inputs_NHWC[part], self._place)
                for part in chunks(np.arange(len(inputs_NHWC)), EVALUATION_BATCH)
            )
            with threads(1) if self._one_thread else nullcontext():
                probabilities = predict_probabilities(self._network, batches)
        finally:
            for hook in hooks:
                hook.remove()
        return probabilities, torch.cat(features).cpu().double().numpy()

    def _classify_refitted(self, copies: list[Floats]) -> Labels:
        """(n,): the classes of untouched images by a last layer fitted to `copies` of the others."""
        predicted = np.zeros(len(self._truth), np.int64)
        for fold in range(FOLDS):
            fitted, left_out = self._folds != fold, self._folds == fold
            given = np.concatenate([features[fitted] for features in copies])
            labels = np.tile(self._truth[fitted], len(copies))
            scores = ridge(given, labels, len(self._dataset.classes), self._features[left_out])
            predicted[left_out] = scores.argmax(axis=1)
        return predicted

    def _most_confused(self, lost: NDArray[np.bool_], predicted: Labels) -> tuple[str, ...]:
        pairs, counts = np.unique(np.stack([self._truth[lost], predicted[lost]], axis=1), axis=0, return_counts=True)
        return tuple(self._dataset.classes[k] for k in pairs[counts.argmax()]) if len(counts) else ()

    def _example(self, probabilities: NDArray[np.float32], augmentation: Augmentation) -> Example | None:
        """The image that the network classified correctly with most confidence, and now wrongly with most."""
        rows = np.arange(len(probabilities))
        was_right = self._probabilities.argmax(axis=1) == self._truth
        telling = self._probabilities[rows, self._truth] * probabilities.max(axis=1)
        telling[~was_right | (probabilities.argmax(axis=1) == self._truth)] = 0.0
        row = int(telling.argmax())
        if not telling[row]:
            return None
        channels = self._images.shape[3]
        shown = self._augmented(augmentation, 0, (np.zeros(channels, np.float32), np.ones(channels, np.float32)))[row]
        return Example(
            before=png_of(self._images[row]),
            after=png_of(np.rint(255 * shown.clip(0, 1)).astype(np.uint8)),
            true_class=self._dataset.classes[self._truth[row]],
            taken_for=self._dataset.classes[int(probabilities[row].argmax())],
            confidence_before=float(self._probabilities[row].max()),
            confidence_after=float(probabilities[row].max()),
        )


def open_label_checker(
    dataset: Dataset, seed: int, weights: Path, recipe: Recipe, *, one_thread: bool = False, device: Device = CPU
) -> TrainedLabelChecker:
    """The network of a finished trial. weights: as the trial saved them; recipe: with its resolution written down;
    one_thread: whether its checks are to be the same however many cores there are; device: where it predicts.

    Raises WeightsError where a backbone's own file is gone by now.
    """
    assert recipe.data.resolution is not None, "a trained recipe has its resolution written down"
    network = build_network(
        recipe.architecture,
        classes=len(dataset.classes),
        channels=dataset.channels,
        resolution=recipe.data.resolution,
    )
    network.load_state_dict(load_file(weights))
    normal = of_figures(*saved_normalization(weights))
    return TrainedLabelChecker(
        lay_on(network, torch.device(device.place)), normal, dataset, recipe.data, seed, one_thread=one_thread
    )


def spread(part: Indices, labels: Labels, count: int, seed: int) -> Indices:
    """At most `count` of the images of `part`, as many of each class as its share, in an order that mixes classes."""
    shuffled = np.random.default_rng([seed, len(part)]).permutation(part)
    classes = labels[shuffled]
    within = np.zeros(len(shuffled))
    for label in np.unique(classes):
        members = np.flatnonzero(classes == label)
        within[members] = (np.arange(len(members)) + 0.5) / len(members)
    return shuffled[np.argsort(within, kind="stable")[:count]]


def surely(augmentation: Augmentation) -> Augmentation:
    """The same with what happens by chance happening. Of several symmetries each is shown alone and with the others:
    all at once, two mirrors would be a half turn and nothing else. One image in nine at most is then as it is."""
    on = [name for name in SYMMETRIES if getattr(augmentation, name)]
    shown = dict.fromkeys(on, 1.0 if len(on) == 1 else 2 / 3)
    if len(on) > 1 and "quarter_turns" in on:
        shown["quarter_turns"] = 6 / 7
    shown |= {name: 1.0 for name in ("greyscale", "trivial_augment") if getattr(augmentation, name)}
    return augmentation.model_copy(update={**shown, "erase_chance": 1.0, "effect_chance": 1.0})


def recognized(accuracy: float, augmented_accuracy: float, labels_N: Labels) -> float:
    """What is left of the accuracy beyond chance, the share of the largest class; 1 where there was none to lose."""
    chance = float(np.bincount(labels_N).max()) / len(labels_N)
    return (augmented_accuracy - chance) / (accuracy - chance) if accuracy > chance else 1.0


def ridge(features_NF: Floats, labels_N: Labels, classes: int, asked_MF: Floats) -> Floats:
    """Scores (M, K) of a ridge regression on class membership (Hoerl and Kennard 1970), features standardized."""
    mean, std = features_NF.mean(axis=0), features_NF.std(axis=0) + 1e-6
    given, asked = (features_NF - mean) / std, (asked_MF - mean) / std
    targets = np.eye(classes)[labels_N]
    centred = targets - targets.mean(axis=0)
    penalty = PENALTY * len(given)
    if len(given) < given.shape[1]:  # the smaller of two systems with the same answer
        weights = given.T @ np.linalg.solve(given @ given.T + penalty * np.eye(len(given)), centred)
    else:
        weights = np.linalg.solve(given.T @ given + penalty * np.eye(given.shape[1]), given.T @ centred)
    scores: Floats = asked @ weights + targets.mean(axis=0)
    return scores


def sign_test(down: int, up: int) -> float:
    """Chance of at least `down` among all changed images, if either way were equally likely (McNemar 1947, exact)."""
    return float(bdtrc(down - 1, down + up, 0.5)) if down else 1.0
