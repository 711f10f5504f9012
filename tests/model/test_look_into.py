"""What is found of somebody's own network by showing it images."""

import random
import sys

import numpy as np
import pytest
import torch

from convlift.errors import RecipeError
from convlift.model.build import build_network
from convlift.model.own_network import as_logits
from own_networks import ADAPTIVE, MNIST, NONE_ALLOWED, TUTORIAL, looked_into, module, sequential, small, write

# its last layer has two names
TWICE = module(
    """
    self.fc = nn.Linear(128, 10)
    self.stem = nn.Sequential(nn.Conv2d(1, 8, 3), nn.AdaptiveAvgPool2d(4))
    self.head = nn.Sequential(nn.Flatten(), self.fc)
    """,
    "x = self.head(self.stem(x))",
    arguments="width=8",
)
# squeeze and excitation (Hu et al. 2018) right before the end
GATED = module(
    "self.maps, self.gate = nn.Conv2d(1, num_classes, 3), nn.Linear(num_classes, num_classes)",
    "x = self.maps(x)\nx = x * self.gate(x.mean((2, 3))).sigmoid()[:, :, None, None]\nx = x.mean((2, 3))",
)


@pytest.fixture(autouse=True)
def _nothing_is_allowed(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv(*NONE_ALLOWED)


@pytest.fixture
def whole(tmp_path):
    """whole(source, name="make", classes=3, channels=1, side=32) -> all that is found."""

    def looked(source, name="make", **data):
        write(tmp_path, {"net.py": source})
        return looked_into(f"{tmp_path}/net.py:{name}", **data)

    return looked


@pytest.fixture
def look(whole):
    """look(source, name="make", classes=3, channels=1, side=32) -> its architecture, and the side of its images."""
    return lambda *source, **data: whole(*source, **data)[:2]


def levers(own, *names):
    return {name: getattr(own, name) for name in names}


def logits(own, classes, channels, side):
    torch.manual_seed(0)
    network = build_network(own, classes=classes, channels=channels, resolution=side)
    return network(torch.rand(4, channels, side, side))


def test_the_tutorial_network_for_grey_digits_of_8_pixels(look):
    own, side = look(TUTORIAL, "Net", classes=10, channels=1, side=8)
    assert side == 32
    assert levers(own, "channels", "side", "memory", "outputs", "last_layer", "new_last_layer", "changes") == {
        "channels": 3,
        "side": 32,
        "memory": "channels_last",
        "outputs": "logits",
        "last_layer": "fc3",
        "new_last_layer": False,
        "changes": ("dropout", "normalization"),  # its activations are functions
    }
    assert logits(own, 10, 1, 32).shape == (4, 10)


def test_a_network_for_bands_takes_as_many_as_there_are(look):
    own, side = look(small(channels=6), channels=6)
    assert (own.channels, side) == (0, 32)
    assert logits(own, 3, 6, 32).shape == (4, 3)
    for channels, said in ((3, "3 channels"), (1, "1 channel,")):
        with pytest.raises(RecipeError, match=rf"takes images of {said}.* the data have 6 bands; .* take 6,"):
            look(small(channels=channels), channels=6)


def test_the_tutorial_network_for_two_classes_of_colour(look):
    own, side = look(TUTORIAL, "Net", classes=2, channels=3, side=32)
    assert (side, own.channels, own.new_last_layer, own.last_layer) == (32, 0, True, "fc3")
    assert logits(own, 2, 3, 32).shape == (4, 2)


def test_the_mnist_example(look):
    own, side = look(MNIST, "Net", classes=10, channels=1, side=28)
    assert (side, own.side, own.channels) == (28, 28, 0)
    assert (own.outputs, own.last_layer, own.new_last_layer) == ("logits", "fc2", False)  # those of log_softmax


def test_the_mnist_example_for_images_of_another_size_and_other_classes(look):
    own, side = look(MNIST, "Net", classes=4, channels=3, side=64)
    assert (side, own.side, own.channels, own.new_last_layer) == (28, 28, 1, True)
    rows = logits(own, 4, 3, 28).exp().sum(dim=1)
    torch.testing.assert_close(rows, torch.ones(4))  # log_softmax comes after the new layer


def test_a_network_that_takes_any_size(look):
    for side in (8, 32, 50):
        own, taken = look(ADAPTIVE, side=side)
        assert (taken, own.side) == (side, 0)
        assert own.changes == ("dropout", "activation", "normalization")


def test_a_network_that_takes_large_images_alone_gets_the_nearest(look):
    source = sequential("nn.AvgPool2d(64)", "nn.Conv2d(1, 4, 1)", "nn.AdaptiveAvgPool2d(1)", "nn.Flatten()",
                        "nn.Linear(4, num_classes)")  # fmt: skip
    own, side = look(source, side=8)
    assert (side, own.side) == (64, 0)


def test_a_view_that_needs_plain_memory(look):
    own, _ = look(small(end="x.view(x.size(0), -1)"))
    assert own.memory == "channels_last"
    source = sequential("nn.Conv2d(1, 4, 3)", end="x.view(x.size(0), -1)[:, :3]", arguments="")
    own, side = look(source)
    assert own.memory == "plain"
    images = torch.rand(2, 1, side, side).contiguous(memory_format=torch.channels_last)
    assert build_network(own, classes=3, channels=1, resolution=side)(images).shape == (2, 3)


def test_the_old_tutorial_whose_view_takes_batches_apart_has_one_size(look):
    """`x.view(-1, 400)` of larger images makes more rows, not an error."""
    own, side = look(TUTORIAL.replace("torch.flatten(x, 1)", "x.view(-1, 16 * 5 * 5)"), "Net", classes=10, side=64)
    assert (side, own.side, own.memory) == (32, 32, "plain")


@pytest.mark.parametrize("end", ["x.softmax(1)", "torch.softmax(x, dim=1)", "nn.Softmax(dim=1)(x)"])
def test_a_network_that_ends_with_softmax(look, end):
    assert look(small(end=end))[0].outputs == "probabilities"
    assert look(small(end=end), classes=2)[0].outputs == "probabilities"
    own, _ = look(small("10", end=end, arguments=""))
    assert (own.outputs, own.new_last_layer) == ("probabilities", True)


@pytest.mark.parametrize("bias", [-0.5, 0.3, 0.9])
def test_one_output_of_two_classes(look, bias):
    """Whatever its first weights are: those of a new network lie in [0, 1] by chance."""
    biased = small("1", arguments="").replace("    return nn", "    made = nn")
    biased += "    made[-1].bias.data[:] = {}\n    return made\n"
    own, side = look(biased.format(bias), classes=2)
    assert (own.outputs, own.new_last_layer) == ("one_logit", False)
    assert logits(own, 2, 1, side).shape == (4, 2)
    assert look(small("1", end="x.sigmoid()", arguments=""), classes=2)[0].outputs == "one_probability"


@pytest.mark.parametrize("end", ["x.mean((2, 3))", "x.mean((2, 3)) + 0.5", "x.mean((2, 3)) - 0.5"])
def test_one_output_that_no_linear_layer_gives(look, end):
    layers = ("nn.Conv2d(1, 8, 3)", "nn.ReLU()", "nn.Conv2d(8, 1, 3)")
    assert look(sequential(*layers, end=end, arguments=""), classes=2)[0].outputs == "one_logit"
    bounded = sequential(*layers, end=f"({end}).sigmoid()", arguments="")
    assert look(bounded, classes=2)[0].outputs == "one_probability"


@pytest.mark.parametrize(
    ("end", "kind"), [("x.mean((2, 3))", "one_logit"), ("x.mean((2, 3)).sigmoid()", "one_probability"),
                      ("0.05 * x.mean((2, 3)) + 0.5", "one_logit"), ("x.sigmoid().mean((2, 3))", "one_probability")]
)  # fmt: skip
def test_one_output_whose_scale_is_normalized_away(look, end, kind):
    """Whatever images it is shown: only other weights tell."""
    normal = ("nn.Conv2d(1, 8, 3)", "nn.GroupNorm(2, 8)", "nn.ReLU()", "nn.Conv2d(8, 1, 1)")
    assert look(sequential(*normal, end=end, arguments=""), classes=2)[0].outputs == kind


@pytest.mark.parametrize(
    ("end", "kind"), [("x.mean((2, 3))", "logits"), ("x.mean((2, 3)).softmax(1)", "probabilities"),
                      ("x.softmax(1).mean((2, 3))", "probabilities"), ("x.mean((2, 3)).sigmoid()", "sigmoids")]
)  # fmt: skip
def test_outputs_that_no_linear_layer_gives(look, end, kind):
    normal = ("nn.Conv2d(1, 8, 3)", "nn.GroupNorm(2, 8)", "nn.ReLU()", "nn.Conv2d(8, num_classes, 1)")
    assert look(sequential(*normal, end=end))[0].outputs == kind


@pytest.mark.parametrize(
    "source",
    [
        sequential("nn.Conv2d(1, 8, 3)", "nn.ReLU()", "nn.Conv2d(8, num_classes, 1)", "nn.AdaptiveAvgPool2d(1)"),
        small(end="__import__('types').SimpleNamespace(logits=x)"),
    ],
    ids=["maps of one position", "as transformers gives them"],
)
def test_logits_in_another_form_come_out_as_rows(look, source):
    own, side = look(source)
    assert own.outputs == "inner_logits"
    assert logits(own, 3, 1, side).shape == (4, 3)


@pytest.mark.parametrize("squeezed", ["x.squeeze(1)", "x.squeeze()", "x.squeeze(-1).sigmoid()", "x[:, 0]"])
def test_one_output_in_a_row_of_its_own(look, squeezed):
    own, side = look(small("1", end=squeezed, arguments=""), classes=2)
    assert own.outputs == ("one_probability" if "sigmoid" in squeezed else "one_logit")
    assert logits(own, 2, 1, side).shape == (4, 2)
    network = build_network(own, classes=2, channels=1, resolution=side).eval()
    images = torch.rand(4, 1, side, side)
    torch.testing.assert_close(network(images[:1]), network(images)[:1])  # of one image, too


def test_scores_whose_row_is_squeezed_away_with_one_image(look):
    maps = sequential("nn.Conv2d(1, 8, 3)", "nn.ReLU()", "nn.Conv2d(8, num_classes, 1)", "nn.AdaptiveAvgPool2d(1)",
                      end="x.squeeze()")  # fmt: skip
    own, side = look(maps)
    network = build_network(own, classes=3, channels=1, resolution=side).eval()
    images = torch.rand(4, 1, side, side)
    torch.testing.assert_close(network(images[:1]), network(images)[:1])


LAZY = ("nn.LazyConv2d(4, 3)", "nn.ReLU()", "nn.LazyConv2d(4, 3)")


def test_layers_that_leave_their_sizes_open_take_any_size_and_number_of_classes(look):
    pooled = sequential(*LAZY, "nn.AdaptiveAvgPool2d(2)", "nn.Flatten()", "nn.LazyLinear(10)", arguments="")
    flat = sequential(*LAZY, "nn.Flatten()", "nn.LazyLinear(10)", arguments="")
    for source in (pooled, flat):
        for channels, wanted in ((1, 8), (3, 40)):
            own, side = look(source, channels=channels, side=wanted)
            assert (side, own.side, own.channels) == (wanted, 0, 0)
            assert (own.new_last_layer, own.changes) == (True, ("dropout", "activation", "normalization"))
            for other in (side, side + 6):
                assert logits(own, 3, channels, other).shape == (4, 3)


def test_the_channels_of_the_data_are_tried_first(look):
    """Whatever its first convolution is for."""
    init = "self.gate, self.stem, self.fc = nn.Conv2d(1, 1, 1), nn.Conv2d({}, 8, 3), nn.Linear(8, num_classes)"
    forward = "x = self.stem(x)\nx = x * self.gate(x.mean(1, keepdim=True)).sigmoid()\nx = self.fc(x.mean((2, 3)))"
    for takes, channels, found in ((3, 3, 0), (3, 1, 3), (1, 1, 0), (1, 3, 1)):
        own, side = look(module(init.format(takes), forward), "Net", channels=channels)
        assert own.channels == found
        assert logits(own, 3, channels, side).shape == (4, 3)


def test_layers_that_learn_their_size_from_the_first_images_have_it(look):
    own, side = look(sequential("nn.Conv2d(1, 4, 3)", "nn.ReLU()", "nn.Flatten()", "nn.LazyLinear(num_classes)"))
    network = build_network(own, classes=3, channels=1, resolution=side)
    assert network.training
    assert sum(parameter.numel() for parameter in network.parameters()) == 40 + 3 * (4 * 30 * 30 + 1)


def test_what_it_can_have_changed(look):
    assert look(small())[0].changes == ("dropout", "activation", "normalization")
    normalizes = sequential("nn.Conv2d(1, 8, 3)", "nn.BatchNorm2d(8)", "nn.ReLU()", "nn.AdaptiveAvgPool2d(1)",
                            "nn.Flatten()", "nn.Linear(8, num_classes)")  # fmt: skip
    assert look(normalizes)[0].changes == ("dropout", "activation")
    dense = sequential("nn.Flatten()", "nn.Linear(1024, 8)", "nn.GELU()", "nn.Linear(8, num_classes)")
    assert look(dense)[0].changes == ("dropout", "activation")
    gates = sequential("nn.Conv2d(1, 8, 3)", "nn.Sigmoid()", "nn.Conv2d(8, 3, 3)", end="x.mean((2, 3))")
    assert look(gates)[0].changes == ("normalization",)
    one = sequential("nn.Conv2d(1, 3, 3)", end="x.mean((2, 3))")
    assert look(one)[0].changes == ()


def test_an_installed_network_of_a_thousand_classes(tmp_path):
    own, side = looked_into("torchvision.models:shufflenet_v2_x0_5", classes=5, side=64)[:2]
    assert (side, own.side, own.channels) == (64, 0, 3)
    assert (own.last_layer, own.new_last_layer, own.changes) == ("fc", False, ("dropout", "activation"))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (sequential("nn.AdaptiveAvgPool2d(1)", "nn.Flatten()"), "has no weights that can be trained"),
        (
            small().replace("    return nn", "    made = nn") + "    return made.requires_grad_(False)\n",
            "has no weights",
        ),
        (small(end="(x, x)"), "gives a tuple; let it give scores alone"),
        (small(end="x.argmax(1)"), "gives a tensor of torch.int64; let it give scores"),
        (small(end="x.mean()"), r"of 4 images it gives scores of \(\)"),
        (small(end="x.no_such_thing()"), "AttributeError: .*no_such_thing"),
        (sequential("nn.Conv2d(1, 7, 3)", end="x.mean((2, 3))"), "gives 7 scores, and the data have 3 classes; let it"),
        ("def make(num_classes): return num_classes\n", "makes a int; it must make a torch"),
        ("from torch import nn\nmake = nn.Linear\n", r"Linear\(\) needs in_features, out_features, and is called"),
        ("def make(num_classes): 1 / 0\n", "cannot be made .ZeroDivisionError.*with the number of classes"),
        ("def make(): raise SystemExit\n", "cannot be made .SystemExit.*with nothing"),
        (small(end="x.detach()"), "cannot be trained .RuntimeError: element 0 of tensors does not require grad"),
        (
            small(end="torch.cat([x, x]) if self.training else x"),
            r"it gives \(8, 3\) in training, and \(4, 3\) are needed",
        ),
        (small(end="x[:, :2] if self.training else x"), r"it gives \(4, 2\) in training, and \(4, 3\) are needed"),
        (small(end="(x, x) if self.training else x"), "cannot be trained .ValueError: it gives a tuple in training"),
    ],
)
def test_what_cannot_be_trained_is_refused(look, source, words):
    with pytest.raises(RecipeError, match=words) as caught:
        look(source)
    assert "\n" not in str(caught.value)


def test_looking_leaves_every_random_generator_and_says_nothing_on_stdout(look, capsys):
    source = small().replace("def make", "print('at import')\n\n\ndef make")
    source = source.replace("    return nn", "    print('made')\n    return nn").replace(
        "x = self", "print('ran')\n        x = self"
    )
    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    look(source.replace("return nn", "import random\n    random.random()\n    return nn"))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before[1:]
    said = capsys.readouterr()
    assert said.out == ""
    assert "made" in said.err


@pytest.mark.parametrize(
    ("outputs", "end", "kind"),
    [("1", "", "logits"), ("1", "x.sigmoid()", "sigmoids"), ("7", "x.softmax(1)", "probabilities"),
     ("7", "x.sigmoid()", "sigmoids"), ("7", "x.log_softmax(1)", "logits")],
)  # fmt: skip
def test_with_a_new_last_layer_its_outputs_are_read_anew(look, outputs, end, kind):
    own, side = look(small(outputs, end=end, arguments=""))
    assert (own.outputs, own.new_last_layer) == (kind, True)
    assert logits(own, 3, 1, side).shape == (4, 3)


def test_a_last_layer_with_two_names_is_replaced_in_both_places(look):
    own, side = look(TWICE, "Net")
    assert (own.last_layer, own.new_last_layer, "dropout" in own.changes) == ("fc", True, True)
    assert logits(own, 3, 1, side).shape == (4, 3)


@pytest.mark.parametrize("end", ["", "x.softmax(1)", "x.log_softmax(1)", "x.sigmoid()", "3 * x"])
def test_a_last_layer_that_decides_is_the_last_one(look, end):
    own = look(small(end=end))[0]
    assert own.last_layer == ("inner.4" if end else "4")
    assert "dropout" in own.changes


def test_a_gate_that_ran_last_is_not_the_last_layer(look):
    own, side = look(GATED, "Net")
    assert (own.last_layer, own.new_last_layer) == ("", False)
    assert "dropout" not in own.changes
    assert logits(own, 3, 1, side).shape == (4, 3)
    with pytest.raises(RecipeError, match="gives 5 scores, and the data have 3 classes; let it take the number of"):
        look(GATED.replace("num_classes=10", "width=5").replace("num_classes", "width"), "Net")


# --- changes that cannot be made ---


def test_a_layer_whose_weight_is_read_by_name_is_left_alone(look):
    forward = "x = self.c2(self.bend(self.c1(x))).mean((2, 3))\nx = self.fc(x)"
    init = "self.c1, self.c2 = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3)\nself.bend, self.fc = nn.ReLU(), nn.Linear(8, 3)"

    def changes(more):
        return look(module(init, f"{forward} + 0 * {more}.sum()"), "Net")[0].changes

    assert changes("x") == ("dropout", "activation", "normalization")
    assert changes("self.fc.weight") == ("activation", "normalization")
    assert changes("self.c2.weight") == ("dropout", "activation")
    assert changes("float(self.bend.inplace) + x") == ("dropout", "activation", "normalization")  # SiLU has it, too


def test_a_layer_that_takes_no_part_is_no_change(look):
    init = "self.c1, self.fc, self.bend = nn.Conv2d(1, 8, 3), nn.Linear(8, 3), nn.ReLU()"
    source = module(init, "x = self.fc(self.c1(x).relu().mean((2, 3)))")
    assert look(source, "Net")[0].changes == ("dropout", "normalization")
    used = module(init, "x = self.fc(self.bend(self.c1(x)).mean((2, 3)))")
    assert look(used, "Net")[0].changes == ("dropout", "activation", "normalization")


# --- first weights ---


def test_first_weights_that_no_seed_changes(whole):
    own = small()
    assert not whole(own).is_fixed
    assert whole(own.replace("    return nn", "    torch.manual_seed(7)\n    return nn")).is_fixed
    assert not whole(own.replace("    return nn", "    torch.rand(7)\n    return nn")).is_fixed


def test_what_it_imports_from_elsewhere_is_named(whole, tmp_path, monkeypatch):
    write(tmp_path / "above", {"helper_above.py": ""})
    monkeypatch.syspath_prepend(tmp_path / "above")
    assert whole("import helper_above\n" + small()).outside == ("helper_above",)
    assert whole("import json\n" + small()).outside == ()


def test_looking_twice_finds_the_same(look):
    assert look(ADAPTIVE) == look(ADAPTIVE)


def test_a_sigmoid_for_each_class_is_read_as_the_logits_before_it(look):
    own = look(small(end="x.sigmoid()"))[0]
    assert own.outputs == "sigmoids"
    logits = torch.tensor([[-3.0, 0.0, 2.0]])
    assert torch.allclose(as_logits(logits.sigmoid(), "sigmoids", 1), logits, atol=1e-5)


def test_auxiliary_outputs_in_training_are_left_out(look):
    both = "import torch\nfrom collections import namedtuple\nBoth = namedtuple('Both', 'logits aux')\n"
    source = small(end="x if not self.training else Both(x, 2 * x)").replace("import torch\n", both, 1)
    assert look(source)[0].outputs == "inner_logits"
