import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from convlift.errors import WeightsError
from convlift.model.backbone import backbone_statistics, create_backbone

MOBILENET = Path("../shared/data/weights/mobilenetv2_100_imagenet.safetensors")
TINY = "resnet10t"


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {k: v.clone() for k, v in create_backbone(TINY, "random").network.state_dict().items()}


def saved(path: Path, state: dict[str, torch.Tensor], **metadata: str) -> str:
    save_file({key: value.contiguous() for key, value in state.items()}, path, metadata)
    return str(path)


def same(backbone: torch.nn.Module, state: dict[str, torch.Tensor]) -> bool:
    own = backbone.network.state_dict()
    return all(torch.equal(own[key], value) for key, value in state.items() if key in own)


def test_a_file_fills_the_network_and_its_classifier_is_dropped(tmp_path, state):
    classifier = {"fc.weight": torch.ones(7, 512), "fc.bias": torch.ones(7)}
    path = saved(tmp_path / "w.safetensors", {**state, **classifier})
    assert same(create_backbone(TINY, path), state)


@pytest.mark.parametrize("wrap", [dict, lambda state: {"state_dict": dict(state)}])
def test_pth_files_of_tensors_are_read(tmp_path, state, wrap):
    torch.save(wrap(state), tmp_path / "w.pth")
    assert same(create_backbone(TINY, str(tmp_path / "w.pth")), state)


class Evil:
    def __reduce__(self):
        return (Path.touch, (Path("evil"),))


def test_a_pickle_that_runs_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"w": Evil()}, "w.pth")
    with pytest.raises(WeightsError, match="cannot be read"):
        create_backbone(TINY, "w.pth")
    assert not Path("evil").exists()


def test_faults_name_the_key(tmp_path, state):
    wrong = {**state, "layer1.0.conv1.weight": torch.zeros(3, 3)}
    with pytest.raises(WeightsError, match=r"'layer1.0.conv1.weight' has shape \(3, 3\), the backbone's"):
        create_backbone(TINY, saved(tmp_path / "a.safetensors", wrong))
    lacking = {key: value for key, value in state.items() if key != "bn1.weight"}
    with pytest.raises(WeightsError, match=r"lack 'bn1.weight'"):
        create_backbone(TINY, saved(tmp_path / "b.safetensors", lacking))
    with pytest.raises(WeightsError, match=r"hold 'layer9.weight'"):
        create_backbone(TINY, saved(tmp_path / "c.safetensors", {**state, "layer9.weight": torch.zeros(1)}))


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("w.bin", b"", "neither auto, random nor"),
        ("w.safetensors", b"html", "no .safetensors"),
        ("w.pth", b"html", "cannot be read"),
        ("w.pth", None, "not there"),
    ],
)
def test_files_that_are_no_weights_are_refused(tmp_path, name, content, reason):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=reason):
        create_backbone(TINY, str(tmp_path / name))


def test_metadata_say_how_the_file_wants_to_be_used(tmp_path):
    plain = create_backbone("mobilenetv2_035", "random").network.state_dict()
    path = saved(
        tmp_path / "w.safetensors",
        plain,
        mean="0.5",
        std="[0.1, 0.2, 0.3]",
        create="timm.create_model('mobilenetv2_035', pad_type='same')",
    )
    padded = create_backbone("mobilenetv2_035", path).network
    assert type(padded.conv_stem).__name__ == "Conv2dSame"
    assert backbone_statistics("mobilenetv2_035", path) == ((0.5,) * 3, (0.1, 0.2, 0.3))
    with pytest.raises(WeightsError, match="name mobilenetv2_035 as the backbone"):
        create_backbone(TINY, path)


def test_metadata_that_are_code_are_not_run(tmp_path, state, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path / "w.safetensors", state, create="open('evil', 'w').write('x')", mean="x", std="1")
    with pytest.raises(WeightsError, match="metadata give 'x'"):
        create_backbone(TINY, path)
    assert not Path("evil").exists()


def test_without_a_network_the_hub_is_refused_at_once(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    start = time.monotonic()
    with pytest.raises(WeightsError, match=r"tinynet_e .*HF_HUB_OFFLINE.* --weights FILE or --backbone"):
        create_backbone("tinynet_e", "auto")
    assert time.monotonic() - start < 5


def test_the_package_fills_every_tensor_of_lite0():
    torch.manual_seed(0)
    random = create_backbone("tf_efficientnet_lite0", "random").network.state_dict()
    packaged = create_backbone("tf_efficientnet_lite0", "auto").network.state_dict()
    unchanged = [
        key for key, value in packaged.items() if value.ndim and value.numel() > 1 and torch.equal(value, random[key])
    ]
    assert len(packaged) == 294
    assert not unchanged
    assert backbone_statistics("tf_efficientnet_lite0") == ((127 / 255,) * 3, (128 / 255,) * 3)


@pytest.mark.skipif(not MOBILENET.exists(), reason=f"{MOBILENET} is not there")
def test_a_users_file_works_under_the_plain_name():
    backbone = create_backbone("mobilenetv2_100", str(MOBILENET))
    assert type(backbone.network.conv_stem).__name__ == "Conv2dSame"
    assert backbone_statistics("mobilenetv2_100", str(MOBILENET)) == ((0.5,) * 3, (0.5,) * 3)
