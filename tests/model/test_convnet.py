"""The convolutional family: every lever of ConvNet changes what it says it changes."""

import re
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from convlift.errors import RecipeError
from convlift.model.build import build_network
from convlift.model.convnet import ResidualBlock, WhitenedConvolution
from convlift.recipe.architecture import ConvNet, map_sides, why_contradictory, why_impossible


def network(resolution: int = 8, channels: int = 1, **levers: object) -> nn.Module:
    torch.manual_seed(0)
    return build_network(ConvNet.model_validate(levers), classes=10, channels=channels, resolution=resolution).eval()


def modules(of: nn.Module, kind: type[nn.Module]) -> list[nn.Module]:
    return [module for module in of.modules() if isinstance(module, kind)]


def kernels(of: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(module.weight.shape) for module in modules(of, nn.Conv2d)]  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def test_defaults_are_the_tutorial_network() -> None:
    tutorial = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding="same"),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.25),
        nn.Flatten(),
        nn.Linear(32 * 4 * 4, 128),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(128, 10),
    ).eval()
    ours = network(stage_dropout=0.25, dropout=0.5)
    kinds = [type(module) for module in ours.modules() if not list(module.children())]
    convolution, hidden, last = tutorial[0], tutorial[5], tutorial[8]
    weights = list(ours.parameters())
    # ours flattens as Keras does, positions before channels
    channels_first = weights[2].view(128, 4, 4, 32).permute(0, 3, 1, 2).flatten(1)
    copies = [weights[0], weights[1], channels_first, *weights[3:]]
    theirs = [*convolution.parameters(), *hidden.parameters(), *last.parameters()]
    for parameter, copy in zip(theirs, copies, strict=True):
        parameter.copy_(copy)
    images = torch.randn(5, 1, 8, 8)
    torch.testing.assert_close(ours(images), tutorial(images))
    assert [kind.__name__ for kind in kinds] == [
        "Conv2d", "ReLU", "MaxPool2d", "Dropout", "FlattenChannelsLast", "Linear", "ReLU", "Dropout", "Linear",
    ]  # fmt: skip
    assert [module.p for module in modules(ours, nn.Dropout)] == [0.25, 0.5]


@settings(max_examples=25, deadline=None)
@given(levers=st.fixed_dictionaries({
    "stem": st.sampled_from(["small", "large", "whitened", "resnet", "deep", "patch"]),
    "halving": st.sampled_from(["last", "first", "within"]),
    "block": st.sampled_from(["plain", "bottleneck", "inverted_residual", "convnext"]),
    "extra_blocks": st.sampled_from([[], [1]]),
    "shortcut": st.sampled_from(["strided", "pooled"]),
    "blur_pool": st.booleans(),
    "weight_standardization": st.booleans(),
    "attention": st.sampled_from(["none", "eca", "cbam"]),
    "stochastic_depth": st.sampled_from([0.0, 0.2]),
    "stages": st.integers(1, 3),
    "blocks": st.integers(1, 2),
    "width": st.sampled_from([8, 24]),
    "kernel_size": st.sampled_from([1, 3, 5, 7]),
    "pooling": st.sampled_from(["max", "average", "strided"]),
    "normalization": st.sampled_from(["none", "batch", "group", "layer"]),
    "activation": st.sampled_from(["relu", "leaky_relu", "very_leaky_relu", "gelu", "silu"]),
    "residual": st.booleans(),
    "squeeze_excitation": st.booleans(),
    "self_attention": st.booleans(),
    "summary": st.sampled_from(["flatten", "average", "gem"]),
    "head_units": st.sampled_from([0, 16]),
    "stage_dropout": st.sampled_from([0.0, 0.1]),
    "dropout": st.sampled_from([0.0, 0.3]),
}), resolution=st.integers(32, 45), channels=st.sampled_from([1, 3]))  # fmt: skip
def test_every_combination_gives_finite_logits_and_maps_of_its_sides(
    levers: dict, resolution: int, channels: int
) -> None:
    architecture = ConvNet.model_validate(levers)
    # a stage that keeps the size leaves self-attention more positions than are allowed
    if reason := why_contradictory(architecture) or why_impossible(architecture, resolution):
        with pytest.raises(RecipeError, match=re.escape(reason)):
            network(resolution, channels, **levers)
        return
    built = network(resolution, channels, **levers)
    images = torch.randn(2, channels, resolution, resolution)
    logits = built(images)
    assert logits.shape == (2, 10)
    assert logits.isfinite().all()
    assert built.features(images).shape[-1] == map_sides(architecture, resolution)[-1]


def test_depth_and_width() -> None:
    assert kernels(network(16, stages=3, blocks=2, width=16)) == [
        (16, 1, 3, 3), (16, 16, 3, 3), (32, 16, 3, 3), (32, 32, 3, 3), (64, 32, 3, 3), (64, 64, 3, 3),
    ]  # fmt: skip
    # a residual block has two convolutions, a stem before them, and a 1x1 projection where the width changes
    assert kernels(network(16, stages=2, width=16, residual=True)) == [
        (16, 1, 3, 3), (16, 16, 3, 3), (16, 16, 3, 3), (32, 16, 3, 3), (32, 32, 3, 3), (32, 16, 1, 1),
    ]  # fmt: skip


@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
def test_kernel_size_is_the_receptive_field(kernel: int) -> None:
    first = network(16, kernel_size=kernel).features[0]
    image = torch.zeros(1, 1, 16, 16)
    changed = image.clone()
    changed[0, 0, 8, 8] = 1
    rows = (first(changed) - first(image)).abs().sum((0, 1, 3)).nonzero()
    assert len(rows) == kernel
    assert rows.float().mean() == 8


@pytest.mark.parametrize(("stem", "side"), [("small", 32), ("large", 8)])
def test_stem_decides_what_the_first_stage_sees(stem: str, side: int) -> None:
    seen: list[Tensor] = []
    built = network(32, stem=stem, residual=True)
    modules(built, ResidualBlock)[0].register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0]))
    built(torch.zeros(1, 1, 32, 32))
    assert seen[0].shape[-1] == side
    assert kernels(built)[0] == (32, 1, 3, 3) if stem == "small" else (32, 1, 7, 7)


def test_pooling_kinds_differ_as_they_should() -> None:
    patch = torch.tensor([[1.0, 2], [3, 6]]).view(1, 1, 2, 2).expand(1, 32, 2, 2)
    halve = {kind: network(pooling=kind).features[2:] for kind in ("max", "average", "strided")}
    assert (halve["max"](patch) == 6).all()
    assert (halve["average"](patch) == 3).all()
    learned = halve["strided"][0]
    assert isinstance(learned, nn.Conv2d)
    learned.weight.zero_()
    learned.weight[:, 0, 1, 1] = 5
    # only the centre of the kernel is on, so it picks every second pixel
    assert (halve["strided"](patch) == 5).all()


@pytest.mark.parametrize("side", [7, 8, 9])
@pytest.mark.parametrize("pooling", ["max", "average", "strided"])
def test_flattened_size_follows_odd_sides(pooling: str, side: int) -> None:
    assert network(side, pooling=pooling, stages=2)(torch.zeros(1, 1, side, side)).shape == (1, 10)


def test_normalization() -> None:
    images = 3 + 2 * torch.randn(16, 1, 8, 8)
    for kind, over in (("batch", (0, 2, 3)), ("group", (2, 3))):
        layers = network(normalization=kind, width=8).train().features[:2]
        normalized = layers(images)
        if kind == "group":
            # width 8 is one group: each image on its own, over all channels and positions
            normalized = normalized.flatten(1)[:, :, None, None]
            over = (1,)  # type: ignore[assignment]
        torch.testing.assert_close(
            normalized.mean(over).flatten(), torch.zeros(normalized.mean(over).numel()), atol=1e-4, rtol=0
        )
        torch.testing.assert_close(
            normalized.var(over, correction=0).flatten(),
            torch.ones(normalized.mean(over).numel()),
            atol=1e-2,
            rtol=0,
        )
        assert layers[0].bias is None, "a bias before a normalization does nothing"
    assert network(normalization="none").features[0].bias is not None
    assert [m.num_groups for m in modules(network(normalization="group", width=24), nn.GroupNorm)] == [3]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("relu", torch.relu),
        ("leaky_relu", nn.functional.leaky_relu),
        ("very_leaky_relu", nn.LeakyReLU(1 / 5.5)),
        ("gelu", nn.functional.gelu),
        ("silu", nn.functional.silu),
    ],
)
def test_activation(activation: str, function: object) -> None:
    layers = network(activation=activation).features
    images = torch.randn(2, 1, 8, 8)
    torch.testing.assert_close(layers[:2](images), function(layers[0](images)))  # type: ignore[operator]


@pytest.mark.parametrize("normalization", ["none", "batch", "group"])
@pytest.mark.parametrize("squeeze_excitation", [False, True])
def test_residual_block_starts_as_the_identity(normalization: str, squeeze_excitation: bool) -> None:
    built = network(residual=True, normalization=normalization, squeeze_excitation=squeeze_excitation)
    block = modules(built, ResidualBlock)[0]
    images = torch.rand(2, 32, 4, 4)
    torch.testing.assert_close(block(images), images, rtol=0, atol=0)
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter)
    assert not torch.equal(block(images), images), "the branch is dead"


def test_deepest_network_without_normalization_keeps_its_scale() -> None:
    """Thirty blocks: neither the residual nor the plain form may vanish or explode at the start."""
    for residual in (False, True):
        built = network(32, stages=5, blocks=6, width=8, residual=residual, summary="average")
        assert 1e-3 < built(torch.randn(4, 1, 32, 32)).std() < 1e2


def test_first_weights_are_he_normal() -> None:
    weights = network(blocks=2, width=128).features[2].weight
    assert weights.std().item() == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.02)
    # normal, not uniform: kurtosis 3
    assert ((weights / weights.std()) ** 4).mean().item() == pytest.approx(3, abs=0.1)


def test_summary_flatten_knows_positions_and_average_does_not() -> None:
    features = torch.rand(1, 32, 4, 4)
    rolled = features.roll(1, 3)
    flat, average = network(summary="flatten"), network(summary="average")
    assert not torch.equal(flat.summary(features), flat.summary(rolled))
    torch.testing.assert_close(average.summary(features), average.summary(rolled))
    assert flat.summary(features).shape == (1, 512)
    assert average.summary(features).shape == (1, 32)
    channels_last = features.to(memory_format=torch.channels_last)
    assert flat.summary(channels_last).data_ptr() == channels_last.data_ptr(), "flattening copied"


def test_generalized_mean_starts_with_the_power_of_three_and_learns_it() -> None:
    features = torch.rand(2, 32, 4, 4)
    summary = network(summary="gem").summary
    torch.testing.assert_close(summary(features), (features**3).mean((2, 3)) ** (1 / 3))
    summary.power.fill_(1)
    torch.testing.assert_close(summary(features), features.mean((2, 3)))
    assert summary(-features).isfinite().all()
    with torch.enable_grad():
        summary(features * (features > 0.5)).sum().backward()
    assert summary.power.grad.isfinite().all()
    assert summary.power.grad != 0


@pytest.mark.parametrize(("stem", "first"), [
    ("resnet", [(16, 3, 7, 7)]), ("deep", [(8, 3, 3, 3), (8, 8, 3, 3), (16, 8, 3, 3)]), ("patch", [(16, 3, 4, 4)]),
])  # fmt: skip
def test_stems_of_others_quarter_the_image(stem: str, first: list[tuple[int, ...]]) -> None:
    built = network(32, 3, stem=stem, width=16, halving="within", residual=True)
    assert kernels(built)[: len(first)] == first
    assert built.features(torch.zeros(1, 3, 32, 32)).shape[-1] == 8


def test_blocks_may_differ_in_number_from_stage_to_stage() -> None:
    levers = {"stages": 3, "blocks": 1, "extra_blocks": [0, 2], "residual": True, "width": 8}
    assert ConvNet.model_validate(levers).depths == (1, 3, 1)
    assert len(modules(network(32, **levers), ResidualBlock)) == 5


@pytest.mark.parametrize(("halving", "pooling"), [("last", "max"), ("last", "strided"), ("within", "max")])
def test_blurred_halving_answers_a_shift_with_a_shift(halving: str, pooling: str) -> None:
    """One pixel further, the same map changes less than without the blur."""
    image = nn.functional.avg_pool2d(torch.rand(1, 1, 40, 40), 3, 1, 1)
    change = []
    for blur_pool in (False, True):
        built = network(32, halving=halving, pooling=pooling, stages=2, residual=True, blur_pool=blur_pool).features
        here, there = (built(image[..., :32, offset : offset + 32])[..., 2:-2, 2:-2] for offset in (2, 3))
        change.append(((here - there).norm() / here.norm()).item())
    assert change[1] < 0.9 * change[0]


def test_head_units() -> None:
    assert [m.out_features for m in modules(network(head_units=64), nn.Linear)] == [64, 10]  # type: ignore[attr-defined]
    assert [m.out_features for m in modules(network(head_units=0), nn.Linear)] == [10]  # type: ignore[attr-defined]


def test_dropout_rates() -> None:
    built = network(16, stages=2, stage_dropout=0.25, dropout=0.5, head_units=0, summary="average")
    assert [module.p for module in modules(built, nn.Dropout)] == [0.25, 0.25, 0.5]  # type: ignore[attr-defined]
    built.train()
    kept = built.features[3](torch.ones(100_000))
    assert (kept == 0).float().mean().item() == pytest.approx(0.25, abs=0.01)
    assert kept.max().item() == pytest.approx(1 / 0.75), "what is kept must be scaled up"
    assert modules(network(), nn.Dropout) == []


def test_network_is_channels_last_throughout() -> None:
    built = network(16, 3, stages=2, residual=True, normalization="batch", squeeze_excitation=True)
    features = built.features(torch.randn(2, 3, 16, 16).to(memory_format=torch.channels_last))
    assert features.is_contiguous(memory_format=torch.channels_last)
    assert built.features[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_same_seed_gives_the_same_weights() -> None:
    levers = {"residual": True, "self_attention": True, "squeeze_excitation": True}
    one, two = network(**levers).state_dict(), network(**levers).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("stem", ["small", "large"])
@pytest.mark.parametrize("pooling", ["max", "average", "strided"])
@pytest.mark.parametrize("stages", [1, 2, 3, 4, 5])
def test_the_sides_of_maps_are_those_that_a_forward_pass_has(stem: str, pooling: str, stages: int) -> None:
    """At every small resolution: what is possible is built, and its maps have these sides; what is refused would find a
    single position to halve, by the layers of the same network made for large images."""
    levers = {"stem": stem, "pooling": pooling, "stages": stages, "width": 8}
    large = network(256, **levers).features
    for resolution in range(8, 34):
        images, architecture = torch.randn(1, 1, resolution, resolution), ConvNet.model_validate(levers)
        assert map_sides(architecture, resolution) == sides_of(large, images)
        if refusal := why_impossible(architecture, resolution):
            assert len(sides_of(large, images)) <= stages
            with pytest.raises(RecipeError) as caught:
                network(resolution, **levers)
            assert str(caught.value) == f"{refusal}."
        else:
            assert network(resolution, **levers)(images).isfinite().all()


def sides_of(features: nn.Sequential, map_NCHW: Tensor) -> tuple[int, ...]:
    """The sides after the stem and after each stage, by a forward pass that ends before a single position is halved."""
    stem, sides = isinstance(features[0], nn.Conv2d) and features[0].kernel_size == (7, 7), []
    for layer in features:
        halves = isinstance(layer, nn.MaxPool2d | nn.AvgPool2d) or getattr(layer, "stride", None) == (2, 2)
        if halves and not (stem and layer is features[0]):
            sides.append(map_NCHW.shape[-1])
            if map_NCHW.shape[-1] == 1:
                return tuple(sides[1:] if stem else sides)
        map_NCHW = layer(map_NCHW)
    sides.append(map_NCHW.shape[-1])
    return tuple(sides[1:] if stem else sides)


@pytest.mark.parametrize("pooling", ["max", "average", "strided"])
@pytest.mark.parametrize("stem", ["small", "large"])
def test_the_refusal_names_the_least_resolution_and_the_most_stages(stem: str, pooling: str) -> None:
    for resolution in range(8, 34):
        refused = ConvNet.model_validate({"stem": stem, "pooling": pooling, "stages": 5})
        if not (refusal := why_impossible(refused, resolution)):
            continue
        most, least = (int(re.search(words, refusal)[1]) for words in (r"use (\d+) stage", r"resolution of (\d+)"))
        assert not why_impossible(refused.model_copy(update={"stages": most}), resolution)
        assert why_impossible(refused.model_copy(update={"stages": most + 1}), resolution)
        assert not why_impossible(refused, least)
        assert why_impossible(refused, least - 1)


@pytest.mark.parametrize(
    ("levers", "resolution", "words"),
    [
        ({"stages": 4}, 8, ["stages is 4", "8 x 8 pixels", "after 3 stages", "use 3 stages", "resolution of 16"]),
        ({"stages": 2, "stem": "large"}, 8, ["the large stem", "after 1 stage;", "resolution of 15"]),
        ({"stages": 4, "pooling": "strided"}, 8, ["after 3 stages", "resolution of 9"]),
        ({"self_attention": True}, 128, ["64 x 64 positions", "32 is the most", "more architecture.stages"]),
    ],
)  # fmt: skip
def test_refusals_name_value_rule_and_remedy(levers: dict, resolution: int, words: list[str]) -> None:
    with pytest.raises(RecipeError) as caught:
        network(resolution, **levers)
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize("channels", [1, 3])
def test_whitened_stem_has_uncorrelated_outputs_and_keeps_them(channels: int) -> None:
    """Of natural images neighbouring pixels are alike; what the stem makes of them is not."""
    rough = torch.rand(200, channels, 16, 16)
    images = 10 * torch.nn.functional.avg_pool2d(rough, 3, 1, padding=1)
    stem = network(16, channels, stem="whitened", stages=2).features[0]
    assert isinstance(stem, WhitenedConvolution)
    stem.whiten(images)
    inputs = stem(images).permute(1, 0, 2, 3)[: 4 * channels, :, ::2, ::2].flatten(1)
    torch.testing.assert_close(inputs.cov(), torch.eye(4 * channels), atol=0.05, rtol=0)
    assert not stem.weight.requires_grad
    assert stem.bias.requires_grad
    torch.testing.assert_close(stem.weight[: 4 * channels], -stem.weight[4 * channels :])
    kept = stem.weight.clone()
    stem.whiten(images)
    assert torch.equal(stem.weight, kept)


def test_halving_first_convolves_then_halves_then_has_its_blocks() -> None:
    last = network(16, stages=2, blocks=1, width=16, residual=True, normalization="batch")
    first = network(16, stages=2, blocks=1, width=16, residual=True, normalization="batch", halving="first")
    seen: list[int] = []
    for module in modules(first, ResidualBlock):
        module.register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0].shape[-1]))
    first(torch.zeros(1, 1, 16, 16))
    assert seen == [8, 4]
    assert len(kernels(first)) == len(kernels(last)) + 1  # a convolution a stage instead of projections
    assert map_sides(ConvNet(halving="first", stages=2), 16) == (16, 8, 4)
    assert map_sides(ConvNet(stem="whitened", stages=3), 32) == (31, 15, 7, 3)
