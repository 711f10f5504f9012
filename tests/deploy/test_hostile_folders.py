"""A model folder that was damaged or made to harm gets one sentence: no hang, no traceback, no memory."""

import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from convlift.deploy.predict import load
from convlift.errors import ConvliftError

SIGNED = ["model.safetensors", "recipe.yaml", "config.json"]
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def folder(grey, tmp_path):
    """A copy to be damaged."""
    return shutil.copytree(grey.folder, tmp_path / "run") / "model"


def sign(folder):
    """Make the checksums right again, as one who tampers would."""
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in SIGNED]
    (folder / "SHA256SUMS").write_text("".join(lines))


def refusal(folder):
    with pytest.raises(ConvliftError) as caught:
        load(folder)
    return checked(str(caught.value))


def checked(said):
    assert "\n" not in said
    assert said.endswith(".")
    assert "object at 0x" not in said
    assert len(said) < 1500
    return said


def edited(folder, **changes):
    """Change the config's fields, by their dotted path written with two underscores."""
    path = folder / "config.json"
    document = json.loads(path.read_text())
    for key, value in changes.items():
        *outer, last = key.split("__")
        target = document
        for part in outer:
            target = target[part]
        target[last] = value
    path.write_text(json.dumps(document))
    sign(folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classes": []}, "classes: Tuple should have at least 1 item"),
        ({"classes": "0123456789"}, "classes: Input should be a valid"),
        ({"classes": list(range(10))}, "classes.0: Input should be a valid string"),
        ({"classes": ["a"] * 10}, "a class is named twice"),
        ({"classes": [str(n) for n in range(11)]}, "they differ in"),
        ({"classes": [str(n) for n in range(3_000_000)]}, "config.json has"),
        ({"preprocessing__channels": 0}, "channels are 1 to 16"),
        ({"preprocessing__channels": 17}, "channels are 1 to 16"),
        ({"preprocessing__channels": True}, "preprocessing.channels"),
        ({"preprocessing__channels": 3}, "mean and std need 3 numbers each"),
        ({"preprocessing__resolution": 0}, "preprocessing.resolution"),
        ({"preprocessing__resolution": -8}, "preprocessing.resolution"),
        ({"preprocessing__resolution": 10**9}, "preprocessing.resolution"),
        ({"preprocessing__resolution": 8.5}, "preprocessing.resolution"),
        ({"preprocessing__resolution": "8"}, "preprocessing.resolution"),
        ({"preprocessing__resize": "stretch"}, "preprocessing.resize"),
        ({"preprocessing__mean": [0.5, 0.5]}, "mean and std need 1 numbers each"),
        ({"preprocessing__mean": [None]}, "preprocessing.mean.0"),
        ({"preprocessing__mean": [float("nan")]}, "preprocessing.mean.0"),
        ({"preprocessing__std": [0.0]}, "preprocessing.std.0"),
        ({"preprocessing__std": [float("inf")]}, "preprocessing.std.0"),
        ({"preprocessing__value_range": 0}, "preprocessing.value_range"),
        ({"preprocessing__value_range": "4095"}, "preprocessing.value_range"),
        ({"preprocessing__value_range": [4095.0, 255.0]}, "value_range needs 1 numbers, or one for all"),
        ({"preprocessing": []}, "preprocessing"),
        ({"schema_version": 2}, "schema version 2, and this convlift reads 1; update convlift"),
        ({"schema_version": None}, "schema_version"),
        ({"scores": 5}, "scores"),
    ],
)
def test_a_config_with_a_wrong_field_is_refused_with_its_path(folder, changes, words):
    edited(folder, **changes)
    assert words in refusal(folder)


def test_a_config_of_an_older_version_is_read(folder):
    path = folder / "config.json"
    document = json.loads(path.read_text())
    del document["preprocessing"]["value_range"]
    document["notes"] = "mine"
    path.write_text(json.dumps(document))
    sign(folder)
    assert load(folder).config.value_range is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 5000,
        b'{"schema_version": ' + b"9" * 5000 + b"}",
        b"\xff\xfe\x00",
        b"\xef\xbb\xbf{}",
        b'"\\ud800"',
        b"nan",
    ],
)
def test_a_config_that_is_no_document_is_refused(folder, content):
    (folder / "config.json").write_bytes(content)
    sign(folder)
    assert "config.json is damaged" in refusal(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 512, "stages": 3, "blocks": 6, "residual": True},
        {"head_units": 4096},
        {"kind": "pretrained", "backbone": "resnet10t"},
    ],
)
def test_a_recipe_of_a_huge_or_another_network_is_refused_before_it_is_built(folder, changes):
    path = folder / "recipe.yaml"
    document = yaml.safe_load(path.read_text())
    document["architecture"] = changes if "kind" in changes else {**document["architecture"], **changes}
    path.write_text(yaml.safe_dump(document))
    sign(folder)
    assert "take all three from the same training" in refusal(folder)


def test_files_that_are_none_are_not_opened(folder):
    for name in (*SIGNED, "SHA256SUMS"):
        kept = (folder / name).read_bytes()
        (folder / name).unlink()
        os.mkfifo(folder / name)
        assert f"{name} is missing" in refusal(folder)
        (folder / name).unlink()
        (folder / name).mkdir()
        assert f"{name} is missing" in refusal(folder)
        (folder / name).rmdir()
        (folder / name).write_bytes(kept)
    load(folder)


@pytest.mark.parametrize("name", [*SIGNED, "SHA256SUMS"])
def test_a_file_that_claims_a_huge_size_is_not_read(folder, name):
    with (folder / name).open("r+b") as file:
        file.truncate(2**36)  # takes no room on the disk
    assert f"{name} has {2**36} bytes, which no file of convlift has" in refusal(folder)


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000, "/dev/null", "/proc/self/mem"])
def test_a_path_that_cannot_be_a_folder_is_refused(path):
    refusal(path)


@pytest.mark.parametrize("length", [0, 1, 2**20, 2**31, 2**63, 2**64 - 1])
def test_a_header_of_any_length_is_refused(folder, length):
    path = folder / "model.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + path.read_bytes()[8:])
    sign(folder)
    assert "is no weights file of convlift" in refusal(folder)


@pytest.mark.parametrize(
    "described", [None, "", "{}", "[]", "null", "[" * 100_000, '{"padding": []}', '{"padding": "evil", "mean": 3}']
)
def test_weights_that_say_nonsense_of_themselves_are_no_traceback(folder, described):
    path = folder / "model.safetensors"
    save_file(load_file(path), path, None if described is None else {"convlift": described})
    sign(folder)
    try:
        load(folder)
    except ConvliftError as error:
        said = str(error)
    else:
        said = "."
    checked(said)


@FUZZ
@given(st.sampled_from([*SIGNED, "SHA256SUMS"]), st.integers(0, 10**7), st.binary(max_size=8), st.integers(0, 60))
def test_any_damage_gets_one_sentence_or_changes_nothing(grey, tmp_path_factory, name, where, put, less):
    folder = shutil.copytree(grey.folder / "model", tmp_path_factory.mktemp("fuzz") / "model")
    content = (folder / name).read_bytes()
    # most of what matters stands in the first bytes of the weights
    where %= min(len(content), 2000)
    (folder / name).write_bytes(content[:where] + put + content[where + less :])
    if name != "SHA256SUMS":
        sign(folder)
    said = "."
    try:
        load(folder)
    except ConvliftError as error:
        said = str(error)
    checked(said)


ATOMS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10))
VALUES = st.recursive(
    ATOMS,
    lambda v: st.one_of(st.lists(v, max_size=3), st.dictionaries(st.text(max_size=5), v, max_size=3)),
    max_leaves=6,
)
FIELDS = ["channels", "resolution", "resize", "mean", "std", "value_range", "grey", "contrast"]


@FUZZ
@given(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=3), st.dictionaries(st.text(max_size=5), VALUES))
def test_any_config_gets_one_sentence_or_a_model(grey, tmp_path_factory, steps, more):
    folder = shutil.copytree(grey.folder / "model", tmp_path_factory.mktemp("fuzz") / "model")
    edited(folder, **{f"preprocessing__{key}": value for key, value in steps.items()}, **more)
    said = "."
    try:
        load(folder)
    except ConvliftError as error:
        said = str(error)
    checked(said)


def test_a_hostile_folder_needs_little_memory(folder):
    path = folder / "recipe.yaml"
    document = yaml.safe_load(path.read_text())
    document["architecture"] |= {"width": 512, "stages": 3, "blocks": 6}
    path.write_text(yaml.safe_dump(document))
    sign(folder)
    code = (
        "import resource, sys\nfrom convlift.deploy.predict import load\nfrom convlift.errors import ConvliftError\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: load(sys.argv[1])\nexcept ConvliftError: pass\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    )
    found = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    assert int(found.stdout) < 200  # MB; its network would have 2 GB


def test_the_process_has_no_limit_left(folder):
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    load(folder)
