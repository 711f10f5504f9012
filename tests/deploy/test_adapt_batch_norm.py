"""Statistics of batch norms: the published mixture of training's and the images' own, layer after layer."""

import numpy as np
import pytest
import torch
from PIL import Image

from command_line import convlift
from convlift.deploy.adapt_batch_norm import adaptable, adapted_statistics, take, using
from convlift.deploy.classifier import Classifier
from convlift.deploy.predict import load
from convlift.errors import ConvliftError
from convlift.recipe.recipe import Recipe


@pytest.fixture(scope="module")
def normalized(train, digits, tmp_path_factory):
    """A small network with batch norm on digits."""
    architecture = {"kind": "convnet", "blocks": 1, "normalization": "batch"}
    return train(*digits, tmp_path_factory.mktemp("normalized"), architecture=architecture, training={"epochs": 3})


def layers(model):
    return [each for each in model.network.modules() if isinstance(each, torch.nn.BatchNorm2d)]


def test_the_first_layer_has_the_mixture_of_both_means_and_variances(normalized):
    model = load(normalized.folder)
    squares = [model.prepared(image[..., None]) for image in normalized.held_out()[:40]]
    first, inputs = layers(model)[0], []
    hook = first.register_forward_pre_hook(lambda module, given: inputs.append(given[0].clone()))
    model.probabilities(squares)
    hook.remove()
    values, before = inputs[0], (first.running_mean.clone(), first.running_var.clone())
    for pseudo in (0, 16, 10**9):
        mean, variance = adapted_statistics(model, squares, pseudo)[0]
        share = 40 / (pseudo + 40)
        torch.testing.assert_close(mean, (1 - share) * before[0] + share * values.mean((0, 2, 3)))
        own = values.var((0, 2, 3), unbiased=False)
        torch.testing.assert_close(variance, (1 - share) * before[1] + share * own)


def test_with_no_pseudo_image_the_network_says_what_it_says_in_training(normalized):
    """torch's own batch statistics, in training mode, are those of the images alone."""
    model = load(normalized.folder)
    squares = [model.prepared(image[..., None]) for image in normalized.held_out()[:40]]
    with using(model, adapted_statistics(model, squares, 0)):
        adapted = model.probabilities(squares)
    for layer in layers(model):
        layer.train()
        layer.momentum = 0.0
    np.testing.assert_allclose(adapted, model.probabilities(squares), atol=1e-5)


def test_the_network_is_left_as_it_was_unless_it_takes_them(normalized):
    model = load(normalized.folder)
    squares = [model.prepared(255 - image[..., None]) for image in normalized.held_out()[:40]]
    before = model.probabilities(squares)
    statistics = adapted_statistics(model, squares, 4)
    assert (model.probabilities(squares) == before).all()
    take(model, statistics)
    assert (model.probabilities(squares) != before).any()


def test_a_network_without_batch_norm_and_an_exported_file_are_refused(train, digits, tmp_path):
    plain = train(*digits, tmp_path, architecture={"normalization": "none"}, training={"epochs": 1})
    with pytest.raises(ConvliftError, match="has no batch norm to adapt"):
        adaptable("plain", load(plain.folder))
    with pytest.raises(ConvliftError, match="is an exported file"):
        adaptable("model.onnx", Classifier(Recipe(), load(plain.folder).config))


def test_predict_adapts_to_the_images_that_it_is_given(normalized, tmp_path):
    for number, image in enumerate(normalized.held_out()[:12]):
        Image.fromarray(255 - image).save(tmp_path / f"{number:02}.png")
    plain = convlift("predict", normalized.folder, tmp_path, "--csv")
    adapted = convlift("predict", normalized.folder, tmp_path, "--csv", "--adapt-batch-norm", "0")
    assert plain.out != adapted.out
    assert "true" not in adapted.out, "what is usual was learned from the network as it was"
    assert convlift("predict", normalized.folder, tmp_path, "--csv", "--adapt-batch-norm", "1000000000").code == 0
    refused = convlift("predict", normalized.folder, "-", "--adapt-batch-norm", "16")
    assert refused.code == 2
    assert "stdin is read once" in refused.err
