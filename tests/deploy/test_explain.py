"""A prediction with its heat map, from Python."""

import numpy as np
import pytest

from convlift.deploy.classifier import Classifier
from convlift.deploy.explain import explain_all
from convlift.deploy.predict import Unreadable, load
from convlift.errors import ConvliftError, UnreadableImage


def test_one_image_is_explained_as_it_is_predicted(colour):
    model, image = load(colour.folder), colour.images[0]
    found = model.explain(image)
    assert found.prediction == model.predict(image)
    assert found.label == found.prediction.label
    np.testing.assert_array_equal(found.image, image)
    assert (found.heat_map.shape, found.heat_map.dtype) == (image.shape[:2], np.float32)
    assert 0 <= found.heat_map.min() <= found.heat_map.max() <= 1


def test_the_map_of_another_class_is_another_one(grey):
    model, image = load(grey.folder), grey.images[0]
    one, other = model.explain(image, label="3"), model.explain(image, label="4")
    assert (one.label, other.label, one.prediction.label) == ("3", "4", other.prediction.label)
    assert (one.heat_map != other.heat_map).any()
    with pytest.raises(ConvliftError, match="'seven' is none of the model's classes; give one of 0, 1, "):
        model.explain(image, label="seven")


def test_without_a_network_there_is_a_sentence(grey):
    exported = Classifier(load(grey.folder).recipe, load(grey.folder).config)
    with pytest.raises(
        ConvliftError, match=r"^a heat map is made with the network, .*pip install 'convlift\[train\]'\.$"
    ):
        exported.explain(grey.images[0])


def test_what_cannot_be_read_keeps_its_place(grey):
    model = load(grey.folder)
    found = list(explain_all(model, [grey.images[0], b"<html>", grey.images[1]], batch=2))
    assert [isinstance(each, Unreadable) for each in found] == [False, True, False]
    assert [each.prediction.image for each in found[::2]] == ["array 0", "array 2"]
    assert found[2].prediction.probabilities == pytest.approx(model.predict(grey.images[1]).probabilities, abs=1e-6)
    with pytest.raises(UnreadableImage, match="HTML page"):
        model.explain(b"<html>")
