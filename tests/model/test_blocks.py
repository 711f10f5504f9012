"""Every block against timm's with the same weights, and what stochastic depth leaves out."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from convlift.cost.multiply_adds import cost
from convlift.model.blocks import LayerScale, ResidualBlock, StochasticDepth, block
from convlift.model.build import build_network
from convlift.model.checkpoint import save_network
from convlift.model.operators import declare_missing_operators
from convlift.recipe.architecture import ConvNet
from convlift.recipe.built_in import built_in
from convlift.recipe.recipe import Recipe

declare_missing_operators()
import timm  # noqa: E402 - what timm imports needs them
from timm.layers import BlurPool2d, EcaModule, SEModule, StdConv2d  # noqa: E402
from timm.models._efficientnet_blocks import InvertedResidual  # noqa: E402
from timm.models.convnext import ConvNeXt, ConvNeXtBlock  # noqa: E402
from timm.models.resnet import BasicBlock, Bottleneck, ResNet, downsample_avg, downsample_conv  # noqa: E402

BATCH = {"normalization": "batch", "halving": "within"}
CONVNEXT = {"block": "convnext", "normalization": "layer", "activation": "gelu", "kernel_size": 7, "halving": "within"}

CONVNEXT_FORM = {"stem": "patch", "blocks": 1, "extra_blocks": [0, 1]}
CONVNEXT_TINY = {"blocks": 3, "extra_blocks": [0, 0, 6], "width": 96}


@pytest.fixture(autouse=True)
def _without_gradients() -> Iterator[None]:
    with torch.no_grad():
        torch.manual_seed(0)
        yield


def ours(levers: dict, inputs: int, width: int, *, halves: bool = False) -> nn.Module:
    architecture = ConvNet.model_validate(levers)
    return nn.Sequential(*block(architecture, inputs, width, halves=halves, skipped=0.0)).eval()


def tensors_of(network: nn.Module) -> list[Tensor]:
    """In our order: timm registers the layer scale of a ConvNeXt block before its layers."""
    found: list[Tensor] = []
    scale: list[Tensor] = []
    for name, tensor in network.state_dict().items():
        if name.endswith("gamma"):
            scale = [tensor]
        else:
            found += [tensor]
            if name.endswith("mlp.fc2.bias"):
                found += scale
    return found


def give_weights(theirs: nn.Module, to: nn.Module) -> None:
    """Random ones, as of a trained network, in both."""
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.uniform_(0.5, 1.5)
        elif isinstance(module, ConvNeXtBlock):
            module.gamma.uniform_(0.5, 1.5)
    for tensor, copy in zip(to.state_dict().values(), tensors_of(theirs), strict=True):
        tensor.copy_(copy.reshape(tensor.shape))


def assert_same(theirs: nn.Module, mine: nn.Module, images: Tensor) -> None:
    give_weights(theirs.eval(), mine)
    expected = theirs(images)
    assert (mine(images) - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert expected.std() > 1e-3


@pytest.mark.parametrize("side", [14, 9])
@pytest.mark.parametrize(
    ("levers", "pool"),
    [({}, None), ({"blur_pool": True}, BlurPool2d), ({"shortcut": "pooled"}, None), ({"attention": "eca"}, None)],
)
def test_bottleneck_and_basic_block_are_timms(side: int, levers: dict, pool: type | None) -> None:
    for kind, theirs, outputs in (
        ({"block": "bottleneck"}, Bottleneck, 64),
        ({"block": "plain", "residual": True}, BasicBlock, 16),
    ):
        attention = EcaModule if "attention" in levers else None
        if pool:
            shortcut = nn.Sequential(BlurPool2d(24), *downsample_conv(24, outputs, 1, 1))
        else:
            shortcut = (downsample_avg if "shortcut" in levers else downsample_conv)(24, outputs, 1, 2)
        reference = theirs(24, 16, 2, shortcut, aa_layer=pool, attn_layer=attention)
        assert_same(reference, ours(BATCH | kind | levers, 24, 16, halves=True), torch.randn(2, 24, side, side))


@pytest.mark.parametrize(("kernel", "expansion", "halves", "blur"), [
    (3, 6, False, False), (5, 4, True, False), (3, 3, True, True),
])  # fmt: skip
@pytest.mark.parametrize("outputs", [16, 24])
def test_inverted_residual_is_timms(kernel: int, expansion: int, halves: bool, blur: bool, outputs: int) -> None:
    aliased = {"aa_layer": BlurPool2d} if blur else {}
    reference = InvertedResidual(
        16, outputs, kernel, 2 if halves else 1, exp_ratio=expansion, act_layer=nn.SiLU,
        se_layer=lambda channels, **_rest: SEModule(channels, rd_channels=8), **aliased,
    )  # fmt: skip
    levers = {"block": "inverted_residual", "kernel_size": kernel, "expansion": expansion, "blur_pool": blur}
    levers |= {"activation": "silu", "squeeze_excitation": True}
    mine = ours(BATCH | levers, 16, outputs, halves=halves)
    assert isinstance(mine[0], ResidualBlock) is (outputs == 16 and not halves)
    assert_same(reference, mine, torch.randn(2, 16, 9, 9))


def test_convnext_block_is_timms() -> None:
    mine = ours(CONVNEXT, 16, 16)
    assert_same(ConvNeXtBlock(16), mine, torch.randn(2, 16, 8, 8))
    assert [float(m.scale_C[0]) for m in ours(CONVNEXT, 16, 16).modules() if isinstance(m, LayerScale)] == [
        pytest.approx(1e-6)
    ]


def test_standardized_bottleneck_is_timms() -> None:
    standardized = partial(StdConv2d, bias=False)
    reference = Bottleneck(24, 16, 1, nn.Sequential(standardized(24, 64, 1), nn.BatchNorm2d(64)))
    for name, (inputs, width, kernel) in {"conv1": (24, 16, 1), "conv2": (16, 16, 3), "conv3": (16, 64, 1)}.items():
        setattr(reference, name, standardized(inputs, width, kernel))
    levers = {"block": "bottleneck", "weight_standardization": True}
    assert_same(reference, ours(BATCH | levers, 24, 16), torch.randn(2, 24, 8, 8))


TINY = CONVNEXT | {"stem": "patch", "stages": 4, "blocks": 3, "extra_blocks": [0, 0, 6], "width": 96}
SMALLER = {"stages": 3, "blocks": 1, "extra_blocks": [0, 1], "width": 16}
RESNET_D = {"stem": "deep", "shortcut": "pooled", "blocks": 1, "stages": 3}


def resnet_d() -> nn.Module:
    """The smallest of ImageNet form with a deep stem and pooled shortcuts."""
    return ResNet(BasicBlock, (1, 1, 1, 1), stem_type="deep", stem_width=32, avg_down=True)


@pytest.mark.parametrize(("theirs", "levers", "side"), [
    (partial(timm.create_model, "resnet18"), {}, 224),
    (partial(timm.create_model, "resnet50"), {"block": "bottleneck", "blocks": 3, "extra_blocks": [0, 1, 3, 0]}, 224),
    (partial(ConvNeXt, depths=(1, 2, 1, 1), dims=(8, 16, 32, 64)), {**CONVNEXT, **CONVNEXT_FORM, "width": 8}, 64),
    (resnet_d, {"blocks": 1, "stem": "deep", "shortcut": "pooled"}, 64),
])  # fmt: skip
def test_whole_networks_are_timms(theirs: Callable[[], nn.Module], levers: dict, side: int) -> None:
    architecture = built_in("resnet18").edit(architecture=levers).architecture
    mine = build_network(architecture, classes=1000, channels=3, resolution=side).eval()
    assert_same(theirs(), mine, torch.randn(1, 3, side, side))


@pytest.mark.parametrize(("recipe", "parameters"), [
    (built_in("resnet18"), 11_689_512),
    (built_in("resnet50"), 25_557_032),
    (built_in("resnet18").edit(architecture=CONVNEXT | CONVNEXT_FORM | CONVNEXT_TINY), 28_589_128),
])  # fmt: skip
def test_whole_networks_have_the_published_size(recipe: Recipe, parameters: int) -> None:
    assert cost(recipe.architecture, classes=1000, channels=3, resolution=224).parameters == parameters


@pytest.mark.parametrize("kind", ["plain", "bottleneck", "inverted_residual", "convnext"])
def test_a_saved_network_of_every_block_comes_back(kind: str, tmp_path: Path) -> None:
    levers = {"block": kind, "residual": True, "normalization": "batch", "stages": 2, "blocks": 2, "width": 16}
    levers |= {"attention": "cbam", "summary": "gem", "blur_pool": True, "weight_standardization": True}
    networks = [
        build_network(ConvNet.model_validate(levers), classes=3, channels=1, resolution=16).eval() for _ in range(2)
    ]
    save_network(tmp_path / "network", networks[0], (np.zeros(1, np.float32), np.ones(1, np.float32)))
    networks[1].load_state_dict(load_file(tmp_path / "network"))
    images = torch.randn(2, 1, 16, 16)
    assert torch.equal(networks[0](images), networks[1](images))


def test_stochastic_depth_skips_images_and_keeps_the_expectation() -> None:
    depth = StochasticDepth(0.25).train()
    ones = torch.ones(4000, 2, 3, 3)
    seen = depth(ones)
    assert sorted(seen.unique().tolist()) == pytest.approx([0, 1 / 0.75])
    assert seen.mean().item() == pytest.approx(1, abs=0.03)
    assert torch.equal(seen, seen[:, :1, :1, :1].expand_as(seen)), "an image is skipped whole"
    assert torch.equal(depth.eval()(ones), ones)


def test_stochastic_depth_rises_to_the_last_block() -> None:
    levers = {"residual": True, "stages": 2, "blocks": 2, "stochastic_depth": 0.4, "width": 8}
    built = build_network(ConvNet.model_validate(levers), classes=2, channels=1, resolution=8)
    skipped = [module.skipped for module in built.modules() if isinstance(module, StochasticDepth)]
    assert skipped == pytest.approx([0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize("kind", ["bottleneck", "inverted_residual", "convnext"])
def test_blocks_with_shortcuts_start_as_the_identity(kind: str) -> None:
    """As ConvNeXt's do, to a millionth; a bottleneck activates its sum."""
    levers = {"block": kind, "normalization": "batch", "stages": 1, "blocks": 2, "width": 16}
    built = build_network(ConvNet.model_validate(levers), classes=2, channels=1, resolution=8).eval()
    last = [module for module in built.modules() if isinstance(module, ResidualBlock)][-1]
    images = torch.rand(2, 64 if kind == "bottleneck" else 16, 4, 4)
    torch.testing.assert_close(last(images), images, atol=1e-4, rtol=0)
