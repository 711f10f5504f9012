"""Somebody's own network is theirs where nothing is changed, and every change is really there."""

import importlib.util
import sys
from types import ModuleType

import pytest
import torch
from torch import nn

from convlift.cost.multiply_adds import cost
from convlift.errors import RecipeError
from convlift.model.build import build_network
from convlift.model.look_into import look_into
from convlift.model.own_network import Adapted, as_logits, build_own, make_network, with_channels
from convlift.model.source_files import code_of
from convlift.model.source_loader import allow
from convlift.recipe.architecture import Own
from own_networks import ADAPTIVE, NONE_ALLOWED, TUTORIAL, allowed, looked_into, module, sequential, small, write

CLASSES = 3


@pytest.fixture(autouse=True)
def _nothing_is_allowed(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv(*NONE_ALLOWED)


@pytest.fixture
def own(tmp_path):
    """own(source, name="make", **of look_into) -> what is found of the network."""

    def found(source, name="make", *, classes=CLASSES, channels=1, side=32):
        write(tmp_path, {"net.py": source})
        return looked_into(f"{tmp_path}/net.py:{name}", classes=classes, channels=channels, side=side).own

    return found


def theirs(own, *arguments):
    """What the user's own code makes when it is called by hand, from the same first weights as `ours`."""
    place, _, name = own.code.rpartition(":")
    spec = importlib.util.spec_from_file_location("by_hand", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    torch.manual_seed(0)
    torch.manual_seed(int(torch.randint(2**31, ())))
    return getattr(module, name)(*arguments)


def ours(own, classes=CLASSES, *, seed=0, channels=1, side=32, **changes):
    torch.manual_seed(seed)
    return build_own(own.model_copy(update=changes), classes=classes, channels=channels, resolution=side)


def modules(of, kind):
    return [module for module in of.modules() if isinstance(module, kind)]


def check_runs_and_learns(network, images, classes=CLASSES):
    """One step, by which every weight gets a gradient that is finite and not all zero."""
    logits = network.train()(images)
    assert logits.shape == (len(images), classes)
    nn.functional.cross_entropy(logits, torch.arange(len(images)) % classes).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert any(parameter.grad.abs().sum() > 0 for parameter in network.parameters())


def test_where_nothing_is_adapted_it_is_their_own_module(own):
    for source, name, arguments, channels in ((ADAPTIVE, "make", (CLASSES,), 1), (TUTORIAL, "Net", (), 3)):
        found = own(source, name, classes=CLASSES if arguments else 10, channels=channels)
        made, by_hand = ours(found, CLASSES if arguments else 10), theirs(found, *arguments)
        assert type(made).__name__ == type(by_hand).__name__
        assert made.training
        assert list(made.state_dict()) == list(by_hand.state_dict())
        for key, tensor in by_hand.state_dict().items():
            assert torch.equal(made.state_dict()[key], tensor), key
        images = torch.rand(4, channels, 32, 32)
        torch.testing.assert_close(made.eval()(images), by_hand.eval()(images))


def test_another_seed_gives_other_first_weights_whoever_draws_them(own):
    drawn = "\n\n\nmake_it = make\n\n\ndef make(num_classes):\n    import random\n    made = make_it(num_classes)\n"
    drawn += "    made[-1].bias.data[:] = random.random()\n    return made\n"
    found = own(ADAPTIVE + drawn)
    one, again = ours(found), ours(found)
    other = ours(found, seed=1)
    assert torch.equal(one[-1].bias, again[-1].bias)
    assert not torch.equal(one[0].weight, other[0].weight)
    assert not torch.equal(one[-1].bias, other[-1].bias)


def test_code_that_changed_or_whose_sibling_did_is_refused(tmp_path):
    write(
        tmp_path, {"net.py": "import sizes\n" + small("num_classes", end="x * sizes.SCALE"), "sizes.py": "SCALE = 1\n"}
    )
    found = looked_into(f"{tmp_path}/net.py:make").own
    assert ours(found)(torch.rand(1, 1, 32, 32)).shape == (1, CLASSES)
    for name in ("sizes.py", "net.py"):
        before = (tmp_path / name).read_text()
        write(tmp_path, {name: before + "# changed\n"})
        with pytest.raises(RecipeError, match=r"is not the code that was looked into: .* begin anew with --model"):
            ours(found)
        write(tmp_path, {name: before})
        ours(found)
    (tmp_path / "sizes.py").unlink()
    with pytest.raises(RecipeError, match="is not the code that was looked into"):
        ours(found)


def test_a_recipe_that_nobody_looked_into_is_not_built(own):
    found = own(ADAPTIVE)
    with pytest.raises(RecipeError, match="is not the code that was looked into"):
        ours(Own(code=found.code))


def test_code_that_nobody_named_is_neither_built_nor_counted_nor_looked_into(tmp_path):
    """Whatever a recipe says of it, and whoever asks."""
    write(tmp_path, {"net.py": f"open('{tmp_path}/ran', 'w').close()\n" + ADAPTIVE})
    code = code_of(f"{tmp_path}/net.py:make")
    recipe, sizes = Own(code=code.text, digest=code.digest), {"classes": CLASSES, "channels": 1}
    for call in (
        lambda: cost(recipe, **sizes, resolution=32),
        lambda: build_network(recipe, **sizes, resolution=32),
        lambda: ours(recipe),
        lambda: make_network(code, CLASSES),
        lambda: look_into(code.text, **sizes, side=32),
    ):
        with pytest.raises(RecipeError, match="is Python code that nobody has named here; name it: --model"):
            call()
    assert not (tmp_path / "ran").exists()
    allow(code)
    assert cost(recipe, **sizes, resolution=32).parameters == 80 + 584 + 387
    assert (tmp_path / "ran").exists()


def test_a_seed_that_the_code_sets_is_not_that_of_what_comes_after(own):
    """Batches are drawn after the network is made."""
    found = own(ADAPTIVE.replace("    return", "    import torch; torch.manual_seed(7)\n    return"))
    one, after = ours(found), torch.rand(5)
    again, after_again = ours(found), torch.rand(5)
    other, after_other = ours(found, seed=1), torch.rand(5)
    assert torch.equal(one[0].weight, again[0].weight)
    assert torch.equal(one[0].weight, other[0].weight)
    assert torch.equal(after, after_again)
    assert not torch.equal(after, after_other)


def test_networks_whose_siblings_have_one_name_have_their_own_when_they_are_called(tmp_path):
    """Imported only then, of a file and of a package."""
    late = "from torch import nn\n\n\ndef make(num_classes):\n    from {}late import WIDTH\n"
    late += "    return nn.Linear(2, WIDTH)\n"
    for width, name in enumerate(("one", "two"), 3):
        for folder, dot in (("", ""), ("pkg/", ".")):
            files = {"__init__.py": "", "net.py": late.format(dot), "late.py": f"WIDTH = {width}\n"}
            write(tmp_path / name, {f"{folder}{file}": text for file, text in files.items()})
    for place in ("net.py", "pkg.net"):
        one, two = (allowed(f"{tmp_path}/{name}/{place}:make") for name in ("one", "two"))
        assert [make_network(each, CLASSES).out_features for each in (one, two, one, two)] == [3, 4, 3, 4]


def test_a_sibling_that_is_imported_when_it_is_called_leaves_the_users_own_of_that_name(tmp_path, monkeypatch):
    mine = ModuleType("late_layers")
    monkeypatch.setitem(sys.modules, "late_layers", mine)
    late = "from torch import nn\n\n\ndef make(num_classes):\n    import late_layers\n    return late_layers.LAYER\n"
    write(tmp_path, {"net.py": late, "late_layers.py": "from torch import nn\n\nLAYER = nn.Linear(2, 3)\n"})
    code = allowed(f"{tmp_path}/net.py:make")
    assert make_network(code, CLASSES) is make_network(code, CLASSES)  # it runs once
    assert sys.modules["late_layers"] is mine


# --- changes of architecture ---


def test_dropout_comes_before_the_last_layer(own):
    found = own(ADAPTIVE)
    network = ours(found, dropout=0.4)
    last = network[-1]
    assert isinstance(last, nn.Sequential)
    assert [type(layer) for layer in last] == [nn.Dropout, nn.Linear]
    assert last[0].p == 0.4
    images = torch.rand(4, 1, 32, 32)
    torch.testing.assert_close(network.eval()(images), ours(found).eval()(images))  # the weights are its own
    assert not torch.equal(network.train()(images), network(images))
    check_runs_and_learns(network, images)


@pytest.mark.parametrize(
    ("activation", "kind"),
    [
        ("relu", nn.ReLU),
        ("leaky_relu", nn.LeakyReLU),
        ("very_leaky_relu", nn.LeakyReLU),
        ("gelu", nn.GELU),
        ("silu", nn.SiLU),
    ],
)
def test_every_activation_is_replaced(own, activation, kind):
    source = sequential("nn.Conv2d(1, 8, 3)", "nn.ELU()", "nn.Sequential(nn.Conv2d(8, 8, 3), nn.ReLU(True))",
                        "nn.AdaptiveAvgPool2d(1)", "nn.Sigmoid()", "nn.Flatten()",
                        "nn.Linear(8, num_classes)")  # fmt: skip
    found = own(source)
    network, images = ours(found, activation=activation), torch.rand(4, 1, 32, 32)
    assert len(modules(network, kind)) == 2
    assert not modules(network, nn.ELU)
    assert len(modules(network, nn.Sigmoid)) == 1  # a gate
    assert not torch.equal(network(images), ours(found)(images))
    check_runs_and_learns(network, images)
    assert list(network.state_dict()) == list(ours(found).state_dict())


def test_an_activation_that_is_used_twice_is_one_layer_again(own):
    source = ADAPTIVE.replace("    return", "    bend = nn.ReLU()\n    return").replace("nn.ReLU(),", "bend,")
    network = ours(own(source), activation="gelu")
    assert network[1] is network[3]
    assert isinstance(network[1], nn.GELU)


def test_batch_norm_comes_after_every_convolution(own):
    found = own(ADAPTIVE)
    network, images = ours(found, normalization="batch"), torch.rand(8, 1, 32, 32)
    assert [[type(layer) for layer in network[place]] for place in (0, 2)] == [[nn.Conv2d, nn.BatchNorm2d]] * 2
    check_runs_and_learns(network, images)
    with torch.no_grad():
        network.train()
        maps = network[0](images)
    torch.testing.assert_close(maps.mean((0, 2, 3)), torch.zeros(8), atol=1e-5, rtol=0)
    torch.testing.assert_close(maps.std((0, 2, 3)), torch.ones(8), atol=1e-2, rtol=0)


def test_batch_norm_leaves_alone_the_convolution_that_gives_the_scores(own):
    source = sequential("nn.Conv2d(1, 8, 3)", "nn.ReLU()", "nn.Conv2d(8, num_classes, 3)", end="x.mean((2, 3))")
    network = ours(own(source), normalization="batch")
    assert len(modules(network, nn.BatchNorm2d)) == 1
    assert isinstance(network.inner[2], nn.Conv2d)
    check_runs_and_learns(network, torch.rand(4, 1, 32, 32))


def test_a_new_last_layer_has_an_output_a_class(own):
    found = own(TUTORIAL, "Net", classes=4, channels=3)
    network, by_hand = ours(found, 4), theirs(found)
    assert network.fc3.weight.shape == (4, 84)
    assert network.fc3.bias.shape == (4,)
    for name in ("conv1", "conv2", "fc1", "fc2"):
        assert torch.equal(getattr(network, name).weight, getattr(by_hand, name).weight)
    check_runs_and_learns(network, torch.rand(4, 3, 32, 32), 4)


TWICE = module(
    """
    self.stem, self.fc = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(4)), nn.Linear(128, 10)
    self.head = nn.Sequential(nn.Flatten(), self.fc)
    """,
    "x = {}(self.stem(x))",
    arguments="",
)


@pytest.mark.parametrize("head", ["self.head", "(lambda x: self.fc(x.flatten(1)))"])
def test_a_last_layer_with_two_names_is_changed_in_both_places(own, head):
    found = own(TWICE.format(head), "Net")
    for changes in ({}, {"dropout": 0.3}):
        network = ours(found, **changes)
        assert network.fc is network.head[1]
        assert isinstance(network.fc, nn.Sequential if changes else nn.Linear)
        check_runs_and_learns(network, torch.rand(4, 1, 32, 32))


def test_a_new_last_layer_has_no_bias_where_the_old_one_had_none(own):
    bare = small("10", arguments="").replace("nn.Linear(128, 10)", "nn.Linear(128, 10, bias=False)")
    network = ours(own(bare))
    assert network[-1].bias is None
    assert network[-1].weight.shape == (CLASSES, 128)


def test_all_changes_together(own):
    found = own(ADAPTIVE.replace("num_classes=10", "").replace("num_classes", "10"), channels=3)
    assert (found.channels, found.new_last_layer) == (1, True)
    network = ours(found, dropout=0.2, activation="silu", normalization="batch")
    inner = network.network
    assert len(modules(inner, nn.BatchNorm2d)) == len(modules(inner, nn.SiLU)) == 2
    assert [type(layer) for layer in inner[-1]] == [nn.Dropout, nn.Linear]
    check_runs_and_learns(network, torch.rand(4, 3, 32, 32))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"last_layer": "head.fc", "dropout": 0.1}, "'architecture.last_layer' is 'head.fc': there is no such layer"),
        ({"last_layer": "1", "dropout": 0.1}, "'architecture.last_layer' is '1': it must be a linear layer"),
        ({"last_layer": "9", "new_last_layer": True}, "there is no such layer"),
    ],
)
def test_a_change_without_its_layer_is_refused(own, changes, words):
    with pytest.raises(RecipeError, match=words):
        ours(own(ADAPTIVE), **changes)


# --- how images come in, and scores go out ---


def test_plain_memory_gives_the_same_logits(own):
    found = own(ADAPTIVE)
    images = torch.rand(4, 1, 32, 32)
    fast, plain = ours(found), ours(found, memory="plain")
    assert isinstance(plain, Adapted)
    expected = theirs(found, CLASSES)(images)
    for given in (images, images.contiguous(memory_format=torch.channels_last)):
        torch.testing.assert_close(fast(given), expected)
        torch.testing.assert_close(plain(given), expected)
    assert fast[2].weight.is_contiguous(memory_format=torch.channels_last)
    assert plain.network[2].weight.is_contiguous()


def test_probabilities_come_out_as_the_networks_own(own):
    found = own(small(end="(5 * x).softmax(1)"))
    assert found.outputs == "probabilities"
    images = torch.rand(6, 1, 32, 32)
    logits, expected = ours(found)(images), theirs(found, CLASSES)(images)
    torch.testing.assert_close(logits.softmax(1), expected, atol=1e-6, rtol=1e-5)
    check_runs_and_learns(ours(found), images)


def test_one_output_is_the_second_class(own):
    images = torch.rand(6, 1, 32, 32)
    found = own(small("1", arguments=""), classes=2)
    torch.testing.assert_close(ours(found, 2)(images).softmax(1)[:, 1:], theirs(found)(images).sigmoid())
    check_runs_and_learns(ours(found, 2), images, 2)
    found = own(small("1", arguments="", end="x.sigmoid()"), classes=2)
    torch.testing.assert_close(ours(found, 2)(images).softmax(1)[:, 1:], theirs(found)(images))
    check_runs_and_learns(ours(found, 2), images, 2)


def test_scores_by_hand():
    rows = torch.tensor([[0.25, 0.75], [0.0, 1.0]])
    torch.testing.assert_close(as_logits(rows, "logits", 2), rows)
    torch.testing.assert_close(as_logits(rows.view(2, 2, 1, 1), "inner_logits", 2), rows)
    torch.testing.assert_close(as_logits(rows, "probabilities", 2).softmax(1), rows, atol=1e-6, rtol=0)
    one = torch.tensor([[2.0], [-1.0]])
    assert as_logits(one, "one_logit", 2).tolist() == [[0.0, 2.0], [0.0, -1.0]]
    half = torch.tensor([0.5, 1.0])  # a row without a dimension of its own
    assert as_logits(half, "one_probability", 2).isfinite().all()


def test_grey_images_become_three_equal_channels(own):
    found = own(small(channels=3))
    assert found.channels == 3
    images = torch.rand(4, 1, 32, 32)
    expected = theirs(found, CLASSES)(torch.cat([images, images, images], dim=1))
    torch.testing.assert_close(ours(found)(images), expected)


def test_colour_images_become_their_luma(own):
    found = own(small(channels=1), channels=3)
    assert found.channels == 1
    images = torch.rand(4, 3, 32, 32)
    luma = 0.299 * images[:, 0] + 0.587 * images[:, 1] + 0.114 * images[:, 2]
    torch.testing.assert_close(with_channels(images, 1)[:, 0], luma)
    torch.testing.assert_close(ours(found)(images), theirs(found, CLASSES)(luma[:, None]))
    assert with_channels(images, 0) is with_channels(images, 3) is images


def test_the_networks_of_a_recipe_are_these(own):
    found = own(ADAPTIVE)
    torch.manual_seed(0)
    network = build_network(found, classes=CLASSES, channels=1, resolution=32)
    images = torch.rand(2, 1, 32, 32)
    torch.testing.assert_close(network(images), ours(found)(images))


def test_half_precision_becomes_whole(own):
    found = own(ADAPTIVE.replace("num_classes),\n    )", "num_classes),\n    ).double()"))
    assert {parameter.dtype for parameter in ours(found).parameters()} == {torch.float32}
