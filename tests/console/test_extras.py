"""What is missing is named with what brings it."""

import tomllib
from pathlib import Path

from convlift.console.extras import TRAIN, fault_of, is_installed
from convlift.errors import ConvliftError

IMPORTED_AS = {"scikit-learn": "sklearn", "opencv-python-headless": "cv2"}


def test_a_package_of_the_extra_train_is_named_with_it() -> None:
    said = fault_of(ModuleNotFoundError("No module named 'scipy.stats'", name="scipy.stats"))
    assert isinstance(said, ConvliftError)
    assert str(said) == "this needs scipy, which is not installed; pip install 'convlift[train]'."


def test_another_package_is_our_own_fault() -> None:
    error = ModuleNotFoundError("No module named 'convlift.nothing'", name="convlift.nothing")
    assert fault_of(error) is error


def test_every_package_of_the_extra_is_known() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    names = [each.partition(">=")[0] for each in project["optional-dependencies"]["train"]]
    assert {IMPORTED_AS.get(name, name.replace("-", "_")) for name in names} == {*TRAIN} - {"torchvision"}


def test_what_is_not_there_is_not_installed() -> None:
    assert is_installed("numpy")
    assert not is_installed("no_such_package")
