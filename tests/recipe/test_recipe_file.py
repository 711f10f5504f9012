"""A recipe file that is none gets one sentence at once: the file, the line, the field; never a hang or a traceback."""

import os
import resource
import subprocess
import sys

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convlift.errors import RecipeError
from convlift.recipe.built_in import BUILT_IN
from convlift.recipe.recipe import load_recipe, parse_recipe
from convlift.recipe.recipe_file import MAX_BYTES, MAX_VALUES


def laughs(levels=12, times=9):
    """Aliases of aliases: 1 kB that means 9^12 values."""
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * times)}]" for n in range(1, levels)]
    return "\n".join(lines)


HOSTILE = {
    "aliases of aliases": (laughs(), f"holds over {MAX_VALUES} values by line 4, aliases counted"),
    "maps of aliases": (
        "\n".join(
            ["a0: &a0 {k: v}"] + [f"a{n}: &a{n} {{x: *a{n - 1}, y: *a{n - 1}, z: *a{n - 1}}}" for n in range(1, 20)]
        ),
        "aliases counted",
    ),
    "merges of merges": (
        "\n".join(
            ["a0: &a0 {k: v}"] + [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 15)]
        ),
        "aliases counted",
    ),
    "an alias within itself": ("data: &a {data: *a}", "an alias in line 1 that stands within what it repeats"),
    "nested lists": ("data: " + "[" * 5000, "nested over 20 deep in line 1; a recipe has three levels"),
    "nested maps": ("data: " + "{a: " * 5000, "nested over 20 deep in line 1"),
    "nested dashes": ("data:\n  " + "- " * 5000 + "x", "nested over 20 deep in line 2"),
    "nested keys": ("? " * 5000 + "x", "nested over 20 deep in line 1"),
    "nested by indentation": ("\n".join(" " * n + f"k{n}:" for n in range(400)), "nested over 20 deep in line 20"),
    "a long number": (
        "training:\n  epochs: " + "9" * 5000,
        "gives 'training.epochs' a number of 5000 characters in line 2; a number has at most 50",
    ),
    "a long hexadecimal": ("training: {epochs: 0x" + "f" * 4200 + "}", "'training.epochs' a number of 4202 characters"),
    "a long float": ("training: {l2: 0." + "1" * 5000 + "}", "'training.l2' a number of 5002 characters"),
    "a long number as a key": ("9" * 900 + ": 1", "has a key 999"),
    "a short hexadecimal": ("training: {epochs: 0x_}", "the number 0x_ in line 1; write it as a plain decimal"),
    "an octal": ("training: {epochs: 010}", "'training.epochs' the number 010 in line 1; write it as a plain decimal"),
    "a time": ("training: {epochs: 1:30}", "'training.epochs' the number 1:30 in line 1"),
    "a key twice": (
        "training:\n  epochs: 3\n  l2: 0.1\n  epochs: 30",
        "gives 'training.epochs' twice, in lines 2 and 4; leave one out",
    ),
    "a section twice": ("data: {}\ntraining: {}\ndata: {}", "gives 'data' twice, in lines 1 and 3"),
    "a key twice, once in quotes": ("data: {}\n'data': {}", "gives 'data' twice, in lines 1 and 2"),
    "a key twice deep down": (
        "data: {augmentation: {zoom: 0.1, zoom: 0.2}}",
        "gives 'data.augmentation.zoom' twice, in lines 1 and 1",
    ),
    "a tag": ("!!python/object/apply:os.system ['touch owned']", "has the tag !!python/object"),
    "a tag on a field": ("training: {epochs: !!python/name:os.system x}", "has the tag !!python/name:os.system"),
    "a tag of one's own": ("data: !include other.yaml", "has the tag !include in line 1; write a plain value"),
    "a set": ("data: !!set {a, b}", "has the tag !!set"),
    "binary": ("architecture: {backbone: !!binary aGVsbG8=}", "has the tag !!binary"),
    "two documents": ("data: {}\n---\ndata: {}", "line 2, column 1: a second document begins with '---'"),
    "tabs": ("training:\n\tepochs: 3", "line 2, column 1: a tab; indent with spaces"),
    "an open bracket": ("data: [", "is not valid YAML: line 1"),
    "an unknown alias": ("data: *nothing", "found undefined alias"),
    "an anchor twice": (
        "data: &a {}\ntraining: &a {}\nx: *a",
        "line 2, column 11: found duplicate anchor 'a'; first occurrence, second occurrence",
    ),
    "empty": ("", "is empty; `convlift recipes --show plain` prints one"),
    "only comments": ("# nothing\n\n   # yet\n", "is empty"),
    "null": ("null", "holds a NoneType; it must be a mapping"),
    "a list": ("- data\n- training", "holds a list; it must be a mapping"),
    "a text": ("hello", "holds a str"),
    "a number": ("42", "holds a int"),
    "a key that is a number": ("1: 2", "has a key 1 in line 1 that is no name"),
    "a key that is true": ("on: 2", "has a key on in line 1 that is no name"),
    "a key that is null": ("~: 2", "has a key ~ in line 1 that is no name"),
    "a key that is a list": ("? [a, b]\n: 2", "has a key in line 1 that is no name"),
    "a zero byte": ("data: {}\0", "is not valid YAML: unacceptable character #x0000"),
    "too large": ("# " + "x" * MAX_BYTES, f"has over {MAX_BYTES} bytes"),
    "NaN": ("training: {learning_rate: .nan}", "'training.learning_rate' is nan: input should be a finite number"),
    "infinity": ("training: {l2: .inf}", "'training.l2' is inf: input should be"),
    "beyond floats": ("training: {l2: 1.0e999}", "'training.l2' is '1.0e999': input should be a finite number"),
    "a text for a number": ("training: {epochs: many}", "'training.epochs' is 'many': input should be a valid integer"),
    "a date for a number": ("training: {epochs: 2020-13-45}", "'training.epochs' is '2020-13-45'"),
    "a list for a number": ("training: {epochs: [1, 2]}", "'training.epochs' is [1, 2]"),
    "null for a number": ("training: {epochs: }", "'training.epochs' is null"),
    "true for a number": ("training: {epochs: true}", "'training.epochs' is true: it is neither true nor false, but 1"),
    "a number for true": (
        "architecture: {kind: convnet, residual: 1}",
        "'architecture.residual' is 1: input should be true or false",
    ),
    "a fraction for a whole number": ("training: {epochs: 1.5}", "'training.epochs' is 1.5: input should be"),
    "a number for a section": ("training: 5", "'training' is 5: it holds keys, such as epochs, batch_size, optimizer"),
    "nothing for a section": ("training:", "'training' is null: it holds keys, such as epochs"),
    "a text for a section": ("data: {augmentation: strong}", "'data.augmentation' is 'strong': it holds keys"),
    "no kind": ("architecture: {width: 8}", "'architecture.kind' is missing (it is convnet, pretrained or own)"),
    "a long text": ("training: {epochs: " + "x" * 9000 + "}", "'training.epochs' is 'xxx"),
    "many faults": ("\n".join(f"key{n}: 1" for n in range(500)), "and 490 faults more"),
}


def refusal(path):
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    said = str(caught.value)
    assert said.startswith(f"recipe {path} ") or said.startswith(f"recipe {path}: ")
    assert said.endswith(".")
    assert "\n" not in said
    assert "object at 0x" not in said
    assert len(said) < 2500
    return said


@pytest.mark.parametrize(("text", "words"), HOSTILE.values(), ids=HOSTILE)
def test_a_file_that_is_no_recipe_gets_one_sentence(tmp_path, text, words):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    assert words in refusal(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"data: {}\nname: caf\xe9", "is no UTF-8 text (byte 19: "),
        (b"\xff\xfeabc", "is no UTF-8 text"),
        (b"\x80\x04\x95", "is no UTF-8 text"),
        (b"\x1f\x8b\x08\0\0", "is no UTF-8 text"),
        (b"PK\x03\x04\0\0", "is not valid YAML: unacceptable character"),
    ],
    ids=["Latin-1", "half a UTF-16", "pickle", "gzip", "zip"],
)
def test_bytes_that_are_no_text_get_one_sentence(tmp_path, content, words):
    path = tmp_path / "recipe.yaml"
    path.write_bytes(content)
    assert words in refusal(path)


def test_what_is_no_file_is_not_opened(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    assert "(it is a folder); give the path of a YAML file" in refusal(tmp_path / "folder")
    assert "(it is no regular file)" in refusal(tmp_path / "pipe")
    assert "symbolic links" in refusal(tmp_path / "loop")
    assert "(No such file or directory)" in refusal(tmp_path / "absent.yaml")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_editors_and_shells_write_is_read(tmp_path, encoding, end):
    path = tmp_path / "recipe.yaml"
    for entry in BUILT_IN:
        path.write_bytes(entry.recipe.to_yaml().replace("\n", end).encode(encoding))
        assert load_recipe(path) == entry.recipe


def test_honest_aliases_and_merges_are_read(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "training: &t {epochs: 7, learning_rate: 1e-2}\n"
        "architecture: {kind: convnet, stage_dropout: &p 0.25, dropout: *p}\n"
        "data: {augmentation: {zoom: .1}}\n"
    )
    assert load_recipe(path).architecture.dropout == 0.25
    path.write_text("training: {<<: {epochs: 7, l2: 0.1}, epochs: 9}\n")
    assert (load_recipe(path).training.epochs, load_recipe(path).training.l2) == (9, 0.1)


def test_python_objects_that_are_no_recipe_get_one_sentence():
    cyclic: dict[str, object] = {}
    cyclic["data"] = cyclic
    deep: object = 1
    for _ in range(5000):
        deep = [deep]
    for document in (
        cyclic,
        {"training": {"epochs": deep}},
        {1: 2},
        {None: 1},
        {"training": {"epochs": 10**5000}},
        None,
    ):
        with pytest.raises(RecipeError) as caught:
            parse_recipe(document)
        assert len(str(caught.value)) < 1000
        assert " at 0x" not in str(caught.value)


ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["convnet", "pretrained", "epochs", "width", "*a", "&a", "!!int", "1e3", "0b_", "<<", "=", "---"]),
)
KEYS = st.one_of(
    st.sampled_from(["data", "architecture", "training", "augmentation", "fine_tuning", "epochs", "kind", "width"]),
    st.text(max_size=8),
)
DOCUMENTS = st.recursive(
    ATOMS, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)), max_leaves=20
)
FUZZ = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(path):
    """A recipe, or one sentence."""
    said = "."
    try:
        load_recipe(path)
    except RecipeError as error:
        said = str(error)
    assert said.endswith(".")
    assert "\n" not in said
    assert len(said) < 2500


@FUZZ
@given(DOCUMENTS)
def test_any_document_is_a_recipe_or_one_sentence(tmp_path, document):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8", errors="replace")
    read(path)


@FUZZ
@given(st.one_of(st.text(alphabet="data: {}[]&*!|>-?'\"\n\t#%@`,x1", max_size=80), st.text(max_size=40)))
def test_any_text_is_a_recipe_or_one_sentence(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    read(path)


@FUZZ
@given(st.integers(0, 10_000), st.binary(max_size=6), st.integers(0, 8))
def test_a_damaged_file_is_a_recipe_or_one_sentence(tmp_path, where, put, less):
    path = tmp_path / "recipe.yaml"
    content = BUILT_IN[-1].recipe.to_yaml().encode()
    where %= len(content)
    path.write_bytes(content[:where] + put + content[where + less :])
    read(path)


def test_the_worst_files_need_little_memory(tmp_path):
    for number, (text, _) in enumerate(HOSTILE.values()):
        (tmp_path / f"{number}.yaml").write_text(text)
    code = (
        "import resource, sys\nfrom pathlib import Path\nfrom convlift.errors import RecipeError\n"
        "from convlift.recipe.recipe import load_recipe\n"
        "for path in Path(sys.argv[1]).iterdir():\n"
        "  try: load_recipe(path)\n  except RecipeError: pass\n"
    )

    def cap():
        resource.setrlimit(resource.RLIMIT_AS, (600 * 2**20, 600 * 2**20))

    found = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], preexec_fn=cap, capture_output=True, check=False
    )
    assert (found.returncode, found.stderr) == (0, b"")
