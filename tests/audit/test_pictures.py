"""Odd images are named, and what is usual in a data set is not odd."""

import cv2
import numpy as np

from convlift.audit.pictures import picture_findings, picture_of
from convlift.audit.traits import Traits


def kinds(images, traits=None):
    pictures = [picture_of(np.ascontiguousarray(image)) for image in images]
    keys = [f"{row}.png" for row in range(len(images))]
    return {each.kind: each.items for each in picture_findings(pictures, traits or [None] * len(images), keys)}


def test_dark_bright_and_blurred_images_are_named(photos):
    rng = np.random.default_rng(0)
    sharp = [np.clip(image + rng.normal(0, 25, image.shape), 0, 255).astype(np.uint8) for image in photos(60)]
    soft = [cv2.GaussianBlur(sharp[0], (0, 0), 3)]
    odd = [(sharp[1] * 0.1).astype(np.uint8), (235 + sharp[2] * 0.07).astype(np.uint8)]
    assert kinds([*sharp, *soft, *odd]) == {"blurred": ("60.png",), "dark": ("61.png",), "bright": ("62.png",)}


def test_what_all_images_are_is_not_odd(photos):
    assert not kinds([(image * 0.1).astype(np.uint8) for image in photos(60)])
    assert not kinds([cv2.GaussianBlur(image, (0, 0), 4) for image in photos(60)])
    assert not kinds(photos(10))


def test_one_of_another_size_or_shape_is_named(photos):
    traits = [Traits("PNG", "RGB", 64, 64, None) for _ in range(60)]
    traits[3], traits[5] = Traits("PNG", "RGB", 640, 640, None), Traits("PNG", "RGB", 300, 64, None)
    assert kinds(photos(60), traits) == {"odd size": ("3.png", "5.png")}


def test_small_and_grey_images_have_pictures_too():
    for shape in ((1, 1, 1), (2, 9, 1), (5, 300, 3)):
        assert picture_of(np.zeros(shape, np.uint8)).grey.shape == (32, 32)
        assert picture_of(np.zeros(shape, np.uint8)).sharpness == 0.0
