"""What `import convlift` offers, and that it costs nothing."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import convlift
from convlift import api

PUBLIC = [
    "Campaign",
    "ConvliftError",
    "Recipe",
    "audit",
    "built_in",
    "diagnose",
    "evaluate",
    "export",
    "improve",
    "load",
    "load_recipe",
    "parse_recipe",
    "review",
    "train",
]


def test_the_public_names_are_these():
    assert convlift.__all__ == PUBLIC == sorted(PUBLIC)
    assert set(convlift._HOMES) == set(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there_and_documented(name):
    assert getattr(convlift, name).__doc__


def test_every_public_name_is_listed_before_it_is_used():
    code = "import convlift; print(*dir(convlift))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert set(PUBLIC) <= set(found.stdout.split())
    assert dir(convlift) == sorted(dir(convlift))


def test_train_stays_the_function_whatever_is_imported():
    import convlift.train.fit
    from convlift import train
    from convlift.train import schedules

    assert convlift.train is train is api.train
    assert schedules is sys.modules["convlift.train.schedules"]


def test_review_stays_the_function_whatever_is_imported():
    from convlift import review
    from convlift.review import loopback

    assert convlift.review is review is api.review
    assert loopback.HOST == "127.0.0.1"


def test_audit_stays_the_function_whatever_is_imported():
    from convlift import audit
    from convlift.audit import findings

    assert convlift.audit is audit is api.audit
    assert findings is sys.modules["convlift.audit.findings"]


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'convlift' has no attribute 'imporve'"):
        convlift.imporve  # noqa: B018


def test_the_version_is_the_packages():
    pyproject = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    assert convlift.__version__ == pyproject["project"]["version"]


@pytest.mark.parametrize("call", ["improve", "preview", "aa", "train", "audit"])
def test_an_option_that_there_is_not_is_a_type_error(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = ("digits", "plain") if call == "train" else ("digits",)
    with pytest.raises(TypeError, match=r"there is no option .budgte.; there are .*root"):
        getattr(api, call)(*data, budgte="1m")
    assert not list(tmp_path.iterdir())


def test_a_training_has_no_options_of_a_search(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TypeError, match="there is no option 'workers'"):
        convlift.train("digits", "plain", workers=2)


def test_importing_the_package_imports_nothing_else():
    heavy = {"torch", "timm", "pydantic", "yaml", "numpy", "scipy", "sklearn", "cv2", "PIL"}
    code = f"import sys, convlift; from convlift import ConvliftError; print(*({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.split() == []
