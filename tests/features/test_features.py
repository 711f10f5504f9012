import hashlib
import json
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from convlift.augment.pipeline import augment, normalize
from convlift.augment.streams import Streams
from convlift.errors import ConvliftError, RecipeError
from convlift.features.cached import draw_rows, extract, rows
from convlift.features.extraction import (
    BATCH,
    VERSION,
    VIEW_SEED,
    Extraction,
    Images,
    inputs,
    make_jobs,
    network_fingerprint,
)
from convlift.model.backbone import split_at
from convlift.model.pretrained import Classifier, Tail
from convlift.recipe.architecture import Pretrained
from convlift.recipe.augmentation import Augmentation
from convlift.recipe.section import without_later_defaults
from resident_pages import needs_proc, resident

COUNT, TRAIN = BATCH + 6, np.arange(1, BATCH + 6, 2)
PLAIN = Extraction(mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
TURNED = replace(PLAIN, augmentation=Augmentation(horizontal_flip=0.5, brightness=0.2), views=2, stages=2)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = Classifier(Pretrained(backbone="resnet10t", weights="random", head_units=0), classes=2)
    network.train()
    with torch.no_grad():
        # batch norms as training leaves them
        for _ in range(3):
            network(torch.randn(8, 3, 48, 48))
    return network.eval()


@pytest.fixture(scope="module")
def images():
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, 48, 48, 3), np.uint8)
    return Images(pixels, "store", "squash", TRAIN)


def end_to_end(network, inputs_NHWC):
    with torch.inference_mode():
        return network.features(torch.from_numpy(inputs_NHWC).permute(0, 3, 1, 2))


def normal(extraction):
    return np.array(extraction.mean, np.float32), np.array(extraction.std, np.float32)


class Calls:
    """Counts the batches that were computed, and says stop after some."""

    def __init__(self, stop_after=10**9):
        self.progress, self.asked, self.stop_after = [], 0, stop_after

    def done(self, done, total):
        self.progress.append((done, total))

    def stop(self):
        self.asked += 1
        return self.asked > self.stop_after


def run(extraction, network, images, folder, calls=None):
    calls = calls or Calls()
    return extract(extraction, network.backbone, images, folder, progress=calls.done, stop=calls.stop)


def test_cached_features_are_those_of_the_network(network, images, tmp_path):
    cached = run(PLAIN, network, images, tmp_path)
    expected = end_to_end(network, normalize(images.pixels, *normal(PLAIN)))
    assert cached.activations is None
    assert cached.features.views == ()
    got = torch.from_numpy(rows(cached.features, np.arange(COUNT)))
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_features_of_several_stages_are_kept_apart_from_those_of_one(images, tmp_path):
    torch.manual_seed(0)
    both = Classifier(Pretrained(backbone="resnet10t", weights="random", head_units=0, pooled_stages=2), classes=2)
    one = run(PLAIN, both.eval(), images, tmp_path).features
    for wanted in (replace(PLAIN, pooled=2), replace(PLAIN, pooled=2, stages=3)):
        two = run(wanted, both, images, tmp_path).features
        expected = end_to_end(both, normalize(images.pixels, *normal(PLAIN)))
        got = torch.from_numpy(rows(two, np.arange(COUNT)))
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))
    assert (one.clean.shape[1], two.clean.shape[1]) == (512, 768)


def test_cached_activations_lead_to_the_same_logits(network, images, tmp_path):
    cached = run(replace(PLAIN, stages=2), network, images, tmp_path)
    chosen = np.array([5, 3, 60])
    stored = rows(cached.activations, chosen)
    assert stored.flags.c_contiguous
    assert stored.dtype == np.float32
    activations = torch.from_numpy(stored).permute(0, 3, 1, 2)
    inputs = torch.from_numpy(normalize(images.pixels[chosen], *normal(PLAIN))).permute(0, 3, 1, 2)
    with torch.inference_mode():
        expected = split_at(network.backbone, 2)[0](inputs)
        torch.testing.assert_close(activations, expected, rtol=1e-2, atol=1e-2)
        torch.testing.assert_close(Tail(network, 2).eval()(activations), network(inputs), rtol=1e-2, atol=1e-2)


def test_views_are_augmented_training_images(network, images, tmp_path):
    cached = run(TURNED, network, images, tmp_path)
    assert len(cached.features.clean) == len(cached.activations.clean) == COUNT
    for number, view in enumerate(cached.features.views, start=1):
        streams = Streams(VIEW_SEED, number)
        pixels = augment(images.pixels[TRAIN], TURNED.augmentation, *normal(TURNED), streams)
        expected = end_to_end(network, pixels)
        torch.testing.assert_close(torch.from_numpy(np.array(view)), expected, rtol=1e-3, atol=1e-3)
    assert len(cached.features.views) == len(cached.activations.views) == 2
    assert not np.allclose(cached.features.views[0], cached.features.views[1])


def test_draws_come_from_the_clean_image_and_every_view_alike(network, images, tmp_path):
    stored = run(TURNED, network, images, tmp_path).features
    sources = np.stack([stored.clean[TRAIN], *stored.views])
    positions = np.repeat(np.arange(len(TRAIN)), 40)
    drawn = draw_rows(stored, positions, Streams(0))
    matches = np.stack([(sources[k][positions] == drawn).all(axis=1) for k in range(3)])
    assert (matches.sum(axis=0) >= 1).all()
    assert np.abs(matches.mean(axis=1) - 1 / 3).max() < 0.06


def test_a_second_look_computes_nothing(network, images, tmp_path):
    first = run(TURNED, network, images, tmp_path)
    calls = Calls()
    second = run(TURNED, network, images, tmp_path, calls)
    assert calls.progress == []
    assert calls.asked == 0
    assert np.array_equal(first.activations.views[1], second.activations.views[1])
    assert isinstance(second.features.clean, np.memmap)


def test_only_what_is_new_is_computed(network, images, tmp_path):
    run(PLAIN, network, images, tmp_path)
    calls = Calls()
    run(replace(TURNED, stages=None, views=1), network, images, tmp_path, calls)
    assert calls.progress[-1] == (len(TRAIN), len(TRAIN))
    calls = Calls()
    run(replace(TURNED, stages=None), network, images, tmp_path, calls)
    assert calls.progress[-1] == (len(TRAIN), len(TRAIN))


@pytest.mark.parametrize("changed", ["mean", "each image", "resize", "store", "weights", "augmentation", "train"])
def test_whatever_decides_the_numbers_is_in_the_key(network, images, tmp_path, changed):
    run(TURNED, network, images, tmp_path)
    files = set(tmp_path.glob("*.npy"))
    extraction = TURNED
    if changed == "mean":
        extraction = replace(TURNED, mean=(0.5, 0.4, 0.2))
    elif changed == "each image":
        extraction = replace(TURNED, mean=(0.0, 0.0, 0.0), std=None)
    elif changed == "augmentation":
        extraction = replace(TURNED, augmentation=Augmentation(horizontal_flip=0.4))
    elif changed == "weights":
        torch.manual_seed(5)
        network = Classifier(Pretrained(backbone="resnet10t", weights="random"), classes=2).eval()
    else:
        changes = {"resize": {"resize": "crop"}, "store": {"fingerprint": "x"}, "train": {"train": TRAIN - 1}}
        images = replace(images, **changes[changed])
    run(extraction, network, images, tmp_path)
    new = set(tmp_path.glob("*.npy")) - files
    # the clean images serve every augmentation and every choice of training images
    assert len(new) == (4 if changed in ("augmentation", "train") else 6)


def test_an_augmentation_that_changes_nothing_has_no_views(network, images, tmp_path):
    cached = run(replace(PLAIN, views=3), network, images, tmp_path)
    assert cached.features.views == ()


def test_stopping_leaves_no_half_and_keeps_what_is_whole(network, images, tmp_path):
    calls = Calls(stop_after=4)
    assert run(TURNED, network, images, tmp_path, calls) is None
    assert len(list(tmp_path.glob("*.npy"))) == 2
    assert not list(tmp_path.glob("*.partial"))
    calls = Calls()
    assert run(TURNED, network, images, tmp_path, calls) is not None
    assert calls.progress[-1] == (2 * len(TRAIN), 2 * len(TRAIN))


def test_a_torn_file_is_made_again(network, images, tmp_path):
    expected = np.array(run(PLAIN, network, images, tmp_path).features.clean)
    path = next(tmp_path.glob("*.npy"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert np.array_equal(run(PLAIN, network, images, tmp_path).features.clean, expected)


def test_two_who_want_the_same_compute_it_once(network, images, tmp_path):
    everyone = [Calls() for _ in range(3)]
    results = [None] * 3

    def work(number):
        results[number] = run(TURNED, network, images, tmp_path, everyone[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    batches = [done for calls in everyone for done, total in calls.progress if done < total]
    assert len(batches) == 4  # two of the clean images, one of each view
    for result in results:
        assert np.array_equal(result.activations.views[0], results[0].activations.views[0])


def test_grey_images_reach_the_backbone_as_colour(network, tmp_path):
    grey = Images(np.full((3, 48, 48, 1), 7, np.uint8), "grey", "squash", np.arange(2))
    cached = run(Extraction(mean=(0.5,), std=(0.5,)), network, grey, tmp_path)
    assert cached.features.clean.shape == (3, 512)


def test_some_of_all_images_are_as_if_they_were_all(network, images, tmp_path):
    some = np.arange(0, COUNT, 3)
    alone = Images(images.pixels[some], "some", "squash", np.arange(4))
    among = replace(alone, pixels=images.pixels, rows=some)
    jobs = [make_jobs(TURNED, each, network.backbone, tmp_path) for each in (alone, among)]
    assert [job.features for job in jobs[0]] == [job.features for job in jobs[1]]
    for one, other in zip(*jobs, strict=True):
        for batches in zip(inputs(TURNED, alone, one), inputs(TURNED, among, other), strict=True):
            assert torch.equal(*batches)


@needs_proc
def test_images_that_were_read_do_not_stay_in_memory(network, images, tmp_path):
    path = tmp_path / "squares.npy"
    np.save(path, images.pixels)
    mapped = replace(images, pixels=np.load(path, mmap_mode="r"))
    assert run(TURNED, network, mapped, tmp_path / "features")
    assert resident(path) == 0


def test_faults_are_explained(network, images, tmp_path):
    with pytest.raises(RecipeError, match="has 4 stages"):
        run(replace(PLAIN, stages=7), network, images, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConvliftError, match="cannot be made"):
        run(PLAIN, network, images, tmp_path / "file")


def test_views_with_noise_of_before_are_made_anew_and_no_others(network, images, tmp_path):
    """Their numbers are others since noise comes from a table."""

    def key_of_before(extraction):
        clean = {
            "version": VERSION,
            "network": network_fingerprint(network.backbone),
            "images": [images.fingerprint, images.resize, *images.pixels.shape],
            "normalization": [extraction.mean, extraction.std],
        }
        train = hashlib.sha256(np.ascontiguousarray(images.train, np.int64).data).hexdigest()
        change = [VIEW_SEED, without_later_defaults(extraction.augmentation), train]
        identity = json.dumps({**clean, "view": [1, *change]}, sort_keys=True)
        return hashlib.sha256(identity.encode()).hexdigest()[:32]

    for augmentation, is_known in ((TURNED.augmentation, True), (Augmentation(noise=0.1), False)):
        extraction = replace(TURNED, augmentation=augmentation)
        _, view, _ = make_jobs(extraction, images, network.backbone, tmp_path)
        assert (view.features.name == f"{key_of_before(extraction)}.features.npy") == is_known
