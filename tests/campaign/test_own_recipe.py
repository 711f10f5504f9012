"""The recipe of somebody's own network, whose code runs only where they have named it; and whole campaigns with it."""

import importlib
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from command_line import convlift
from convlift import api
from convlift.campaign.artifacts import write_model
from convlift.campaign.campaign_identity import folder_for
from convlift.campaign.open_data import open_data
from convlift.campaign.own_recipe import recipe_of
from convlift.campaign.prepare import problem_of
from convlift.campaign.request import request_of
from convlift.campaign.session import Session
from convlift.errors import ConvliftError, RecipeError
from convlift.ledger.ledger import read_ledger
from convlift.model.build import build_network
from convlift.model.checkpoint import save_network
from convlift.recipe.built_in import OWN, built_in
from convlift.recipe.recipe import load_recipe
from convlift.records.training_events import OwnNetworkSeen
from convlift.report.wording.before_training import own_network_seen
from own_networks import ADAPTIVE, NONE_ALLOWED, TUTORIAL, few_digits, small, write

SHORT = OWN.edit(training={"epochs": 2})


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """200 real digits of three classes."""
    return few_digits(tmp_path_factory.mktemp("data") / "few-digits.npz")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working folder with a network in it, and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONVLIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(*NONE_ALLOWED)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return write(tmp_path, {"net.py": ADAPTIVE, "tutorial.py": TUTORIAL})


@pytest.fixture
def found_for(digits, place):
    """found_for(**options of improve) -> the recipe that is to be improved, and what is told of its network."""

    def made(**options):
        request = request_of(digits, "1m", place / "cache", **options)
        return recipe_of(request, open_data(request, Session())[0])

    return made


@pytest.fixture
def recipe_for(found_for):
    """recipe_for(**options of improve) -> the recipe alone."""
    return lambda **options: found_for(**options)[0]


def imported(folder, monkeypatch, name, text):
    """A module of the folder, as somebody's own script would import it."""
    write(folder, {f"{name}.py": text})
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module(name)


# --- what was asked for ---


def test_a_class_or_function_is_named_by_its_place(place, monkeypatch):
    module = imported(place, monkeypatch, "my_net", ADAPTIVE)
    for given in ({"current": module.make}, {"model": module.make}, {"model": f"{place}/my_net.py:make"}):
        request = request_of("digits", None, place, **given)
        assert (request.model, request.current) == (f"{place}/my_net.py:make", "plain")
    request = request_of("digits", None, place, model=module.make, current=SHORT)
    assert request.current == SHORT


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "gone.py:make"}, "there is no file 'gone.py'"),
        ({"model": "net.py"}, "names no function of a Python file"),
        ({"model": ""}, "names no function of a Python file"),
        ({"model": "net.py:make", "current": sum}, "current and model both name a network"),
        ({"model": sum, "current": sum}, "current and model both name a network"),
        ({"current": lambda classes: None}, "is not written at the top of a .py file"),
        ({"current": sum}, "sum is not written at the top of a .py file"),
        ({"keep_network": True, "backbone": "resnet18"}, "--keep-network tries no other network, and --backbone"),
        ({"keep_network": True, "weights": "mine.pt"}, "--keep-network tries no other network"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_read(place, options, words):
    with pytest.raises(ConvliftError, match=words):
        request_of("digits", None, place / "cache", **options)
    assert not (place / "cache").exists()


def test_the_command_line_says_it_in_one_sentence(place):
    for call in (("improve", "digits", "--model", "gone.py:Net"), ("train", "digits", "--model", "gone.py:Net")):
        said = convlift(*call)
        assert (said.code, said.out) == (2, "")
        assert said.err.startswith("convlift: network 'gone.py:Net': there is no file 'gone.py'; give FILE.py:NAME")
        assert said.err.count("\n") == 1


# --- its recipe ---


def test_a_network_alone_is_trained_by_adam(recipe_for):
    recipe = recipe_for(model="net.py:make")
    assert recipe.training == OWN.training
    assert recipe.data.resolution == 32
    own = recipe.architecture
    assert (own.kind, own.code, own.last_layer, len(own.digest)) == ("own", "net.py:make", "6", 64)


def test_a_network_is_trained_as_the_recipe_says(recipe_for, place):
    asked = built_in("residual").edit(training={"epochs": 7}, data={"resolution": 40})
    (place / "mine.yaml").write_text(asked.to_yaml())
    for current in (asked, "mine.yaml"):
        recipe = recipe_for(model="net.py:make", current=current)
        assert (recipe.training, recipe.data) == (asked.training, asked.data)
        assert recipe.architecture.kind == "own"


def test_the_size_that_it_takes_is_written_down(recipe_for):
    recipe = recipe_for(model="tutorial.py:Net")
    assert (recipe.data.resolution, recipe.architecture.side, recipe.architecture.channels) == (32, 32, 3)
    with pytest.raises(RecipeError, match=r"'data\.resolution' is 40, and network .* takes images of 32 x 32"):
        recipe_for(model="tutorial.py:Net", current=SHORT.edit(data={"resolution": 40}))


def test_a_pretrained_recipe_trains_no_network_of_somebodys_own(recipe_for):
    with pytest.raises(
        RecipeError, match=r"--model net\.py:make is trained from its first weights, and the recipe frozen"
    ):
        recipe_for(model="net.py:make", current="frozen")


def test_what_it_is_is_told(found_for):
    weights = 62_006 - (10 - 3) * (84 + 1)  # the last layer has three outputs
    told = OwnNetworkSeen("tutorial.py:Net", weights, 3, 32, "logits", "fc3", 3)
    assert found_for(model="tutorial.py:Net")[1] == told
    assert found_for(current="plain")[1] is None


def test_what_is_told_of_it_has_words(found_for, place, monkeypatch):
    write(place, {"above/helper_of_it.py": "", "plain.py": ADAPTIVE})
    fixed = "import helper_of_it\nimport torch\n" + ADAPTIVE.replace(
        "    return", "    torch.manual_seed(7)\n    return"
    )
    write(place, {"fixed.py": fixed})
    monkeypatch.syspath_prepend(place / "above")
    seen, plain = (found_for(model=f"{name}.py:make")[1] for name in ("fixed", "plain"))
    assert (seen.is_fixed, seen.outside, seen.unread) == (True, ("helper_of_it",), ())
    assert (plain.is_fixed, plain.outside, plain.unread) == (False, (), ())
    first = "Your network fixed.py:make has 1,051 weights and gets images of 1 x 32 x 32."
    fixed_words = "Its first weights are the same in every training, whatever the seed."
    assert own_network_seen(seen) == f"{first} {fixed_words} It imports helper_of_it, which no copy is kept of."
    assert own_network_seen(plain) == first.replace("fixed", "plain")
    told = own_network_seen(replace(plain, unread=("loss_weights", "callbacks")))
    assert told == f"{own_network_seen(plain)} What it says of loss_weights, callbacks is passed over."
    many = own_network_seen(replace(plain, outside=tuple(f"module{number}" for number in range(100))))
    assert len(many) < 300


def test_a_place_may_be_a_path(place):
    request = request_of("digits", None, place, model=Path("net.py:make"))
    assert (request.model, request.current) == ("net.py:make", "plain")


# --- a recipe file that names code ---


def test_a_recipe_file_whose_code_nobody_has_named_is_refused(recipe_for, place):
    write(place, {"net.py": f"open('{place}/ran', 'w').close()\n" + ADAPTIVE})
    given = SHORT.edit(architecture={"kind": "own", "code": "net.py:make"})
    (place / "given.yaml").write_text(given.to_yaml())
    for current in (given, "given.yaml"):
        with pytest.raises(
            ConvliftError, match=r"has not run here yet.*read it, then name it yourself: --model net.py:make"
        ):
            recipe_for(current=current)
    assert not (place / "ran").exists()
    named = recipe_for(model="net.py:make")
    assert (place / "ran").exists()
    assert recipe_for(current="given.yaml").architecture == named.architecture


def test_a_recipe_file_whose_code_has_changed_is_refused(recipe_for, place):
    (place / "mine.yaml").write_text(recipe_for(model="net.py:make").to_yaml())
    assert recipe_for(current="mine.yaml") == load_recipe(place / "mine.yaml")
    write(place, {"net.py": "import sibling\n" + ADAPTIVE, "sibling.py": ""})
    changed = r"is no longer the code that this recipe was written for; name it anew with --model net\.py:make"
    with pytest.raises(RecipeError, match=changed):
        recipe_for(current="mine.yaml")
    recipe_for(model="net.py:make")  # to trust it is not to say that it is that recipe's
    with pytest.raises(RecipeError, match=changed):
        recipe_for(current="mine.yaml")
    assert recipe_for(current="mine.yaml", model="net.py:make").architecture.digest
    write(place, {"sibling.py": "1\n"})
    with pytest.raises(RecipeError, match=changed):
        recipe_for(current="mine.yaml")


def test_a_recipe_file_whose_code_was_named_elsewhere_is_refused(recipe_for, place, monkeypatch):
    """Its digest tells what it is, not whether it may run."""
    (place / "mine.yaml").write_text(recipe_for(model="net.py:make").to_yaml())
    monkeypatch.setenv(*NONE_ALLOWED)
    assert recipe_for(current="mine.yaml")  # named here before
    monkeypatch.setenv(*NONE_ALLOWED)
    shutil.rmtree(place / "cache" / "trusted-code")
    with pytest.raises(ConvliftError, match=r"has not run here yet.*name it yourself: --model net\.py:make"):
        recipe_for(current="mine.yaml")


def test_changes_that_a_recipe_file_has_stay(recipe_for, place):
    changed = recipe_for(model="net.py:make").edit(
        architecture={"dropout": 0.3, "activation": "gelu", "normalization": "batch"}, data={"resolution": 24}
    )
    (place / "mine.yaml").write_text(changed.to_yaml())
    assert recipe_for(current="mine.yaml") == changed
    assert recipe_for(current="mine.yaml", model="net.py:make") == changed


def test_what_a_recipe_file_says_of_its_network_is_found_anew(recipe_for, place):
    """It may be of another data set, or written by hand."""
    recipe_for(model="net.py:make")
    document = {"architecture": {"kind": "own", "code": "net.py:make", "outputs": "probabilities", "channels": 3}}
    (place / "mine.yaml").write_text(yaml.safe_dump(document))
    own = recipe_for(current="mine.yaml").architecture
    assert (own.outputs, own.channels, own.last_layer) == ("logits", 0, "6")


# --- one training ---


def weights(training):
    return (training.folder / "model" / "model.safetensors").read_bytes()


def test_the_same_seed_gives_the_same_network(digits, place, monkeypatch):
    draws = small(end="x + 0 * torch.rand(1)").replace("nn.Flatten()", "nn.Flatten(), nn.Dropout(0.2)")
    module = imported(place, monkeypatch, "drawing", draws)

    def train(seed, out, recipe=SHORT):
        return api.train(digits, recipe, model=module.make, seed=seed, out=place / out, quiet=True)

    one, again, other = train(0, "one"), train(0, "again"), train(1, "other")
    assert weights(one) == weights(again) != weights(other)
    assert one.score == again.score
    assert one.recipe.architecture.code == f"{place}/drawing.py:make"


def test_a_training_of_a_class_says_what_it_is(digits, place, monkeypatch, capfd):
    module = imported(place, monkeypatch, "tutorial", TUTORIAL)
    done = api.train(digits, module.Net, out=place / "run")
    told = "".join(capfd.readouterr().err.split())  # a long path is broken anywhere
    assert "tutorial.py:Nethas61,411weightsandgetsimagesof3x32x32." in told
    assert "Itslastlayer,fc3,isreplacedbyonewith3outputs." in told
    assert done.recipe.training == OWN.training
    assert done.score.value > 0.8
    assert sum(done.model.predict(np.zeros((8, 8), np.uint8)).probabilities.values()) == pytest.approx(1)


def test_probabilities_and_one_output_are_trained_as_well(digits, place, tmp_path_factory):
    """A fast learner of each kind, which a wrong reading of its outputs would keep from learning."""
    two = few_digits(tmp_path_factory.mktemp("data") / "two-digits.npz", classes=2)
    quick = SHORT.edit(training={"epochs": 12, "learning_rate": 0.01})
    for number, (data, source) in enumerate((
        (digits, small(end="x.softmax(1)")),
        (two, small("1", arguments="")),
        (two, small("1", arguments="", end="x.sigmoid()")),
    )):  # fmt: skip
        write(place, {f"net{number}.py": source})
        done = api.train(data, quick, model=f"net{number}.py:make", out=place / f"run{number}", quiet=True)
        assert done.score.value > 0.85, source


def test_the_command_line_trains_and_predicts(digits, place):
    (place / "short.yaml").write_text(SHORT.to_yaml())
    said = convlift("train", digits, "--model", "net.py:make", "--recipe", "short.yaml", "--out", "run", "--quiet")
    assert (said.code, said.err) == (0, "")
    assert load_recipe(place / "run" / "model" / "recipe.yaml").architecture.code == "net.py:make"
    assert convlift("evaluate", "run", digits, "--quiet").code == 0
    shutil.rmtree(place / "cache" / "trusted-code")
    said = convlift("evaluate", "run", digits, "--quiet")
    assert said.code == 2
    assert "has not run here yet" in said.err


def test_code_that_changed_while_it_was_trained_is_not_handed_over(found_for, digits, place):
    recipe, _ = found_for(model="net.py:make")
    dataset, _ = open_data(request_of(digits, "1m", place / "cache"), Session())
    network = build_network(recipe.architecture, classes=3, channels=1, resolution=32)
    save_network(place / "trained", network, (np.float32([0.5]), np.float32([0.25])))
    write_model(place / "model", place / "trained", recipe, dataset, {})
    assert (place / "model" / "code" / "net.py").read_text() == ADAPTIVE
    write(place, {"net.py": ADAPTIVE + "# changed\n"})
    with pytest.raises(RecipeError, match=r"has changed since it was trained; give the code as it was, and the same"):
        write_model(place / "other", place / "trained", recipe, dataset, {})
    assert not (place / "other").exists()


# --- a campaign ---


def test_another_network_is_tried_unless_it_is_kept(digits, place):
    asked = {"model": "net.py:make", "trainings": 5}
    free, kept = (request_of(digits, None, place / "cache", keep_network=keep, **asked) for keep in (False, True))
    dataset, _ = open_data(free, Session())
    one, other = problem_of(free, dataset), problem_of(kept, dataset)
    assert one.baseline == other.baseline
    assert one.baseline_name == other.baseline_name == "net.py:make"
    assert {"frozen", "residual"} <= {start.name for start in one.starts}
    assert other.starts == ()
    assert folder_for(free, dataset, one) != folder_for(kept, dataset, other)


@pytest.fixture(scope="module")
def campaign(digits, tmp_path_factory):
    """A campaign of a class, whose trainings run in a worker process."""
    place = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("CONVLIFT_CACHE", str(place / "cache"))
        patch.setenv(*NONE_ALLOWED)
        patch.setattr(sys, "path", [*sys.path])
        layers = "from torch import nn\n\n\ndef grey(*sizes, **more): return nn.Conv2d(1, *sizes, **more)\n"
        printing = "print('hello from the network')\n" + ADAPTIVE.replace("nn.Conv2d(1, 8", "layers.grey(8")
        write(place, {"layers.py": layers})
        counted = f"    with open('{place}/made', 'a') as made:\n        made.write('.')\n    return"
        counting = printing.replace("    return", counted)
        module = imported(place, patch, "my_network", "import layers\n" + counting)
        yield api.improve(
            digits, current=SHORT, model=module.make, keep_network=True, trainings=4, workers=1, out=place / "run",
            quiet=True,
        )  # fmt: skip


def test_a_campaign_keeps_the_network(campaign):
    own = campaign.recipe.architecture
    assert own.kind == "own"
    assert own.code.endswith("/my_network.py:make")
    assert campaign.result.baseline_name == own.code
    assert campaign.report.is_file()
    with read_ledger(campaign.folder) as ledger:
        trials = ledger.trials()
    assert {trial.status for trial in trials} <= {"finished", "diverged"}
    assert {trial.recipe.architecture.kind for trial in trials} == {"own"}
    assert [trial.role for trial in trials].count("baseline") >= 1
    assert len({trial.fingerprint for trial in trials}) > 1  # something was tried


def test_its_model_holds_the_code_and_predicts(campaign, digits):
    code = campaign.folder / "model" / "code"
    assert {path.name for path in code.rglob("*.py")} == {"my_network.py", "layers.py"}
    with np.load(digits) as opened:
        part = "test" if campaign.result.judged else "val"
        images, labels = opened[f"{part}_images"], opened[f"{part}_labels"]
    found = campaign.model.predict(list(images))
    right = np.mean([each.label == str(label) for each, label in zip(found, labels, strict=True)])
    assert right == pytest.approx(campaign.test_score.value)


def test_the_workers_log_has_what_the_network_prints(campaign):
    """And so the trainings ran there."""
    assert "hello from the network" in (campaign.folder / "workers.log").read_text()


def test_the_same_command_reads_the_result(campaign, digits, monkeypatch):
    monkeypatch.chdir(campaign.folder.parent)
    monkeypatch.setenv("CONVLIFT_CACHE", str(campaign.folder.parent / "cache"))
    again = api.improve(
        digits, current=SHORT, model=f"{campaign.folder.parent}/my_network.py:make", keep_network=True, trainings=4,
        workers=1, out=campaign.folder, quiet=True,
    )  # fmt: skip
    assert again.result == campaign.result


@pytest.fixture
def theirs(campaign, tmp_path, monkeypatch):
    """The campaign of somebody else, given to me: the code lies where they have it, and I have named none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONVLIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(*NONE_ALLOWED)
    return shutil.copytree(campaign.folder, tmp_path / "theirs")


@pytest.fixture
def made(campaign):
    """made() -> how often their code has made a network."""
    file = campaign.folder.parent / "made"
    return lambda: len(file.read_text())


@pytest.mark.parametrize(
    ("recipe", "words"),
    [((), "theirs belongs to another campaign: baseline."), (("--current", "theirs/model/recipe.yaml"), "has not run")],
    ids=["plain", "theirs"],
)
def test_the_campaign_of_somebody_else_does_not_run_their_code(theirs, made, digits, recipe, words):
    before = made()
    for length in (("--trainings", 4), ()):
        said = convlift("improve", digits, "--out", theirs, "--keep-network", *recipe, *length, "--workers", 1)
        assert (said.code, said.out) == (2, "")
        assert words in said.err
    assert made() == before > 0
    assert not (theirs.parent / "cache" / "trusted-code").exists()
