"""The model of somebody's own network: its folder holds the code, and no code runs that nobody here has allowed."""

import importlib.util
import json
import py_compile
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import convlift
from command_line import convlift as command
from convlift import api, use
from convlift.deploy.model_folder import read_model_folder, write_model_folder
from convlift.errors import ConvliftError
from convlift.model.trusted_code import FOLDER
from convlift.recipe.built_in import OWN
from own_networks import NONE_ALLOWED, few_digits, module, sequential, write

SHORT = OWN.edit(training={"epochs": 2})
LAYERS = ("layers.grey(8)", "nn.ReLU()", "nn.AdaptiveAvgPool2d(2)", "nn.Flatten()", "nn.Linear(32, num_classes)")
SIBLING = (
    "from deeper import KERNEL\nfrom torch import nn\n\n\ndef grey(width):\n    return nn.Conv2d(1, width, KERNEL)\n"
)
FILES = {
    "net.py": "import layers\n" + sequential(*LAYERS),
    "layers.py": SIBLING,
    "deeper.py": "KERNEL = 3\n",
    "unrelated.py": "",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the data, and with the cache of whoever trained on it."""
    found = tmp_path_factory.mktemp("place")
    few_digits(found / "digits.npz", times=4)
    return found


def trained(place, name, files, model):
    """The run folder of a training by somebody who named the network, from a working folder of its files."""
    (place / name).mkdir()
    work = write(place / name, files)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVLIFT_CACHE", str(place / "cache"))
        patch.setenv(*NONE_ALLOWED)
        patch.chdir(work)
        patch.setattr(sys, "path", [*sys.path])
        return api.train(place / "digits.npz", SHORT, model=model, out=place / f"{name}-run", quiet=True).folder


@pytest.fixture(scope="module")
def run(place):
    """A training of a network of one file, which has a sibling and a sibling's sibling."""
    return trained(place, "file", FILES, "net.py:make")


@pytest.fixture
def here(place, monkeypatch):
    """As whoever trained it."""
    monkeypatch.setenv("CONVLIFT_CACHE", str(place / "cache"))
    monkeypatch.setenv(*NONE_ALLOWED)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return place


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """As somebody to whom the folder is given: an empty cache and an empty working folder."""
    monkeypatch.setenv("CONVLIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(*NONE_ALLOWED)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


@pytest.fixture
def copy(run, elsewhere):
    """The model folder, given to somebody else."""
    compiled = shutil.ignore_patterns("__pycache__")
    return shutil.copytree(run, elsewhere / "run", ignore=compiled) / "model"


@pytest.fixture(scope="module")
def images(place):
    with np.load(place / "digits.npz") as opened:
        return opened["test_images"]


def allowed(cache):
    """The digests of the code that may run."""
    return {path.name for path in (cache / FOLDER).glob("*")}


def refusal(path, **options):
    with pytest.raises(ConvliftError) as caught:
        convlift.load(path, "cpu", **options)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def answers(model, images):
    return np.array([list(each.probabilities.values()) for each in model.predict(list(images))])


def test_the_folder_holds_the_code_with_what_it_imports(run):
    code = run / "model" / "code"
    found = {path.relative_to(code).as_posix(): path.read_text() for path in code.rglob("*") if path.is_file()}
    assert found == {name: text for name, text in FILES.items() if name != "unrelated.py"}


def test_it_predicts_what_the_network_says_that_is_run_by_hand(run, here, images, monkeypatch):
    monkeypatch.syspath_prepend(run / "model" / "code")
    for name in ("layers", "deeper"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    spec = importlib.util.spec_from_file_location("by_hand", run / "model" / "code" / "net.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network = module.make(3)
    network.load_state_dict(load_file(run / "model" / "model.safetensors"))  # its own names, nothing around it
    config = json.loads((run / "model" / "config.json").read_text())
    steps, temperature = config["preprocessing"], config["confidence"]["temperature"]
    assert (steps["resolution"], steps["channels"]) == (32, 1)
    inputs = (torch.from_numpy(images).float()[:, None] / 255 - steps["mean"][0]) / steps["std"][0]
    with torch.no_grad():
        expected = (network.eval()(inputs) / temperature).softmax(1).numpy()
    np.testing.assert_allclose(answers(convlift.load(run, "cpu"), images), expected, atol=1e-5)


def test_the_recipe_is_as_it_was_written(run, here):
    recipe = convlift.load(run, "cpu").recipe
    assert recipe == convlift.load_recipe(run / "model" / "recipe.yaml")
    assert recipe.architecture.code == "net.py:make"
    assert recipe.architecture.digest in allowed(here / "cache")


def test_the_card_says_what_made_it(run):
    assert "made by Python code, `net.py:make`" in (run / "model" / "README.md").read_text()


def test_it_needs_nothing_but_its_folder(run, here, images, tmp_path, monkeypatch):
    """The files that it was trained from may be gone, or others."""
    expected = answers(convlift.load(run, "cpu"), images)
    given = shutil.copytree(run, tmp_path / "given")
    write(tmp_path / "work", {"net.py": "1 / 0\n", "layers.py": "1 / 0\n", "deeper.py": "1 / 0\n"})
    monkeypatch.chdir(tmp_path / "work")
    np.testing.assert_array_equal(answers(convlift.load(given, "cpu"), images), expected)


def test_a_recipe_with_every_change_is_loaded_as_it_was_trained(run, here, images, monkeypatch):
    """What a campaign ships: the network with other layers than its code has."""
    monkeypatch.chdir(here / "file")
    changes = {"dropout": 0.2, "activation": "gelu", "normalization": "batch"}
    recipe = convlift.load_recipe(run / "model" / "recipe.yaml").edit(architecture=changes)
    done = api.train(here / "digits.npz", recipe, out=here / "changed-run", quiet=True)
    assert done.recipe == recipe
    with np.load(here / "digits.npz") as opened:
        held, labels = opened["val_images"], opened["val_labels"]
    found = done.model.predict(list(held))
    right = np.mean([each.label == str(label) for each, label in zip(found, labels, strict=True)])
    assert right == pytest.approx(done.score.value)
    kinds = {type(module).__name__ for module in done.model.network.modules()}
    assert kinds >= {"Dropout", "GELU", "BatchNorm2d"}
    assert "ReLU" not in kinds


def test_code_that_never_ran_here_is_asked_about_once(copy, elsewhere, images):
    sentence = refusal(copy)
    assert f"network '{copy}/code/net.py:make' is Python code that has not run here yet" in sentence
    assert sentence.endswith("then allow it with --trust-code, or convlift.load(..., trust_code=True).")
    assert not allowed(elsewhere / "cache")
    first = answers(convlift.load(copy, "cpu", trust_code=True), images)
    assert len(allowed(elsewhere / "cache")) == 1
    np.testing.assert_array_equal(answers(convlift.load(copy.parent, "cpu"), images), first)


@pytest.mark.parametrize("name", ["net.py", "layers.py", "deeper.py"])
def test_changed_code_is_refused_whoever_trusts_it(copy, elsewhere, name):
    path = copy / "code" / name
    path.write_text(f"open('{elsewhere}/ran', 'w').close()\n" + path.read_text())
    for options in ({}, {"trust_code": True}):
        assert "is not what was trained (it was changed); take the folder" in refusal(copy, **options)
    assert not allowed(elsewhere / "cache")
    assert not (elsewhere / "ran").exists()


def test_missing_code_is_refused(copy, elsewhere):
    (copy / "code" / "deeper.py").unlink()
    assert "is not what was trained" in refusal(copy, trust_code=True)
    (copy / "code" / "net.py").unlink()
    assert "there is no file" in refusal(copy, trust_code=True)
    shutil.rmtree(copy / "code")
    assert "there is no file 'net.py'" in refusal(copy, trust_code=True)
    write(elsewhere, {"net.py": FILES["net.py"], "layers.py": SIBLING, "deeper.py": "KERNEL = 5\n"})
    assert "is not what was trained" in refusal(copy, trust_code=True)
    assert not allowed(elsewhere / "cache")


def check_strange(copy, elsewhere, name):
    """It is refused for what has this name in its code, and nothing runs."""
    said = refusal(copy, trust_code=True)
    assert f"{copy}/code/{name} does not belong to this model, whose code could import it; remove it." in said
    assert not allowed(elsewhere / "cache")
    assert not (elsewhere / "ran").exists()


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("numpy.py", "numpy.py"),
        ("deep/er.py", "deep"),
        ("layers.so", "layers.so"),
        ("os/__init__.py", "os"),
        ("x.pth", "x.pth"),
        ("net.pyc", "net.pyc"),
        ("__pycache__/a.py", "__pycache__/a.py"),
        ("__pycache__/deep/a.pyc", "__pycache__/deep"),
    ],
)
def test_code_that_lies_with_it_and_is_not_its_own_is_refused(copy, elsewhere, name, named):
    write(copy / "code", {name: f"open('{elsewhere}/ran', 'w').close()\n"})
    check_strange(copy, elsewhere, named)


def test_a_folder_that_lies_with_it_is_refused(copy, elsewhere):
    """Also an empty one, in place of a package."""
    (copy / "code" / "numpy").mkdir()
    check_strange(copy, elsewhere, "numpy")


@pytest.mark.parametrize("name", ["numpy.py", "torchvision", "__pycache__", "layers.py", "gone.py"])
def test_a_link_that_lies_with_it_is_refused(copy, elsewhere, name):
    """To a file or a folder, also in place of what belongs: what it leads to may change."""
    write(elsewhere / "other", {"file.py": SIBLING, "folder/__init__.py": ""})
    to = {"numpy.py": "file.py", "layers.py": "file.py", "gone.py": "nowhere.py"}.get(name, "folder")
    (copy / "code" / name).unlink(missing_ok=True)
    (copy / "code" / name).symlink_to(elsewhere / "other" / to)
    check_strange(copy, elsewhere, name)


def test_code_that_is_a_link_is_refused(copy, elsewhere):
    (copy / "code").rename(elsewhere / "moved")
    (copy / "code").symlink_to(elsewhere / "moved")
    assert f"{copy}/code is a link, and code that is loaded must lie in the model folder; copy it there." in refusal(
        copy, trust_code=True
    )
    assert not allowed(elsewhere / "cache")


def test_another_function_of_the_same_code_is_other_code(copy, elsewhere):
    """Its name stands in the recipe, which anybody can change."""
    convlift.load(copy, "cpu", trust_code=True)
    recipe = (copy / "recipe.yaml").read_text()
    weights, read, config = read_model_folder(copy)
    assert "net.py:make" in recipe
    other = read.edit(architecture={"code": "net.py:Ending"})
    files = {name: text.encode() for name, text in FILES.items() if name != "unrelated.py"}
    write_model_folder(elsewhere / "other", weights.rename(elsewhere / "weights"), other, config, files)
    assert "is not what was trained" in refusal(elsewhere / "other", trust_code=True)


@pytest.mark.parametrize("name", ["torch.py", "torch/__init__.py", "torch/nn.py"])
def test_code_in_place_of_a_package_that_it_imports_is_refused(copy, elsewhere, name):
    write(copy / "code", {name: f"open('{elsewhere}/ran', 'w').close()\n"})
    assert "is not what was trained (it was changed)" in refusal(copy, trust_code=True)
    assert not (elsewhere / "ran").exists()


def test_bytecode_that_lies_with_it_does_not_run(copy, elsewhere, images):
    """It may say what the trusted source does not."""
    expected = answers(convlift.load(copy, "cpu", trust_code=True), images)
    other = shutil.copytree(copy, elsewhere / "other")
    for name in ("net.py", "layers.py", "deeper.py"):
        source = (other / "code" / name).read_text()
        write(other / "code", {name: f"open('{elsewhere}/ran', 'w').close()\n" + source})
        py_compile.compile(
            str(other / "code" / name), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
        )
        write(other / "code", {name: source})
    assert len(list((other / "code" / "__pycache__").iterdir())) == 3
    np.testing.assert_array_equal(answers(convlift.load(other, "cpu"), images), expected)
    assert not (elsewhere / "ran").exists()


def test_every_command_asks_before_code_runs(copy, elsewhere, images):
    from PIL import Image

    Image.fromarray(images[0]).save("0.png")
    for call in (("predict", copy, "0.png"), ("evaluate", copy, "digits"), ("export", copy)):
        said = command(*call)
        assert (said.code, said.out) == (2, ""), call
        assert "is Python code that has not run here yet" in said.err, call
    said = command("predict", copy, "0.png", "--trust-code")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("0.png")
    assert command("predict", copy, "0.png").code == 0


def test_evaluate_allows_the_code_of_both_models(copy, elsewhere, place):
    found = use.evaluate(copy, place / "digits.npz", against=copy.parent, trust_code=True, quiet=True)
    assert found.comparison.gain.gain_points.value == 0.0
    assert len(allowed(elsewhere / "cache")) == 1


PACKAGE = {
    "pkg/__init__.py": "",
    "pkg/net.py": "from .parts import layers\n" + sequential(*LAYERS),
    "pkg/parts/layers.py": "from ..sizes import KERNEL\nfrom torch import nn\n\n\n"
    "def grey(width):\n    return nn.Conv2d(1, width, KERNEL)\n",
    "pkg/sizes.py": "KERNEL = 3\n",
    "pkg/other.py": "",
}


def test_a_package_keeps_its_folders(place, elsewhere, images):
    folder = trained(place, "package", PACKAGE, "pkg.net:make")
    code = folder / "model" / "code"
    found = {path.relative_to(code).as_posix() for path in code.rglob("*") if path.is_file()}
    assert found == PACKAGE.keys() - {"pkg/other.py"}
    assert "has not run here yet" in refusal(folder)
    assert answers(convlift.load(folder, "cpu", trust_code=True), images).shape == (50, 3)


def test_a_network_whose_layers_learn_their_size_is_loaded(place, elsewhere, images):
    source = sequential("nn.LazyConv2d(4, 3)", "nn.ReLU()", "nn.Flatten()", "nn.LazyLinear(num_classes)")
    folder = trained(place, "lazy", {"net.py": source}, "net.py:make")
    assert answers(convlift.load(folder, "cpu", trust_code=True), images).shape == (50, 3)


def test_a_network_whose_layers_have_two_names_is_loaded(place, elsewhere, images):
    init = "self.conv, self.bn, self.fc = nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 10)\n"
    init += "self.stem, self.head = nn.Sequential(self.conv, self.bn, nn.ReLU()), nn.Sequential(nn.Flatten(), self.fc)"
    source = module(init, "x = self.head(self.stem(x).mean((2, 3)))", arguments="")
    folder = trained(place, "twice", {"net.py": source}, "net.py:Net")
    model = convlift.load(folder, "cpu", trust_code=True)
    assert model.network.conv is model.network.stem[0]
    assert torch.equal(model.network.fc.weight, load_file(folder / "model" / "model.safetensors")["head.1.weight"])
    assert answers(model, images).shape == (50, 3)


def test_an_installed_package_has_no_code_of_its_own_and_must_be_the_same(place, elsewhere, images):
    folder = trained(place, "installed", {}, "torchvision.models:shufflenet_v2_x0_5")
    assert not (folder / "model" / "code").exists()
    assert "network 'torchvision.models:shufflenet_v2_x0_5' is Python code that has not run" in refusal(folder)
    assert answers(convlift.load(folder, "cpu", trust_code=True), images).shape == (50, 3)
    _, recipe, config = read_model_folder(folder)
    older = recipe.edit(architecture={"digest": "0" * 64})
    write_model_folder(elsewhere / "older", folder / "model" / "model.safetensors", older, config)
    assert "is not what was trained (torchvision 0." in refusal(elsewhere / "older", trust_code=True)


# --- the folder itself ---


def test_another_model_in_its_place_leaves_no_old_code(copy, elsewhere):
    weights, recipe, config = read_model_folder(copy)
    kept = weights.rename(elsewhere / "weights")
    write_model_folder(copy, kept, recipe, config, {"net.py": b"1\n", "a/b.py": b"2\n"})
    assert {path.name for path in (copy / "code").rglob("*.py")} == {"net.py", "b.py"}
    write_model_folder(copy, kept, recipe, replace(config, scores={}))
    assert not (copy / "code").exists()
    assert not [path for path in copy.iterdir() if path.name.startswith(".")]


def test_a_folder_that_cannot_be_written_keeps_its_code(copy, elsewhere, images):
    expected = answers(convlift.load(copy, "cpu", trust_code=True), images)
    weights, recipe, config = read_model_folder(copy)
    (copy / ".recipe.yaml.part").mkdir()  # in the way
    with pytest.raises(ConvliftError):
        write_model_folder(copy, weights, recipe, config, {"net.py": b"1\n"})
    np.testing.assert_array_equal(answers(convlift.load(copy, "cpu"), images), expected)
    assert not (copy / ".code.part").exists()
