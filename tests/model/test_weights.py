import json
import pickle
import socket
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from convlift.errors import WeightsError
from convlift.model.backbone import backbone_statistics, create_backbone
from convlift.model.weights import WeightsFile, find_local_weights, read_weights

MOBILENET = Path("../shared/data/weights/mobilenetv2_100_imagenet.safetensors")
TINY = "resnet10t"


def claim(shape, offsets):
    header = json.dumps({"a": {"dtype": "F32", "shape": shape, "data_offsets": offsets}}).encode()
    return len(header).to_bytes(8, "little") + header


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


def pickled(value, path):
    with path.open("wb") as file:
        pickle.dump(value, file)


def zipped(path):
    """A .pth whose zip claims a hundred times what it holds."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(20 * 2**20))


NO_TENSORS = {
    "a program": (lambda path: torch.save({"w": Evil()}, path), "are a Python pickle with "),
    "a bare pickle": (lambda path: pickled({"w": Evil()}, path), "are a Python pickle, which"),
    "a whole network": (
        lambda path: torch.save(torch.nn.Linear(2, 2), path),
        "with torch.nn.modules.linear.Linear in it",
    ),
    "numpy beside tensors": (lambda path: torch.save({"w": np.zeros(3)}, path), "are a Python pickle with numpy"),
    "an optimizer's lambda": (lambda path: torch.save({"f": print}, path), "are a Python pickle with print in it"),
}


@pytest.mark.parametrize(("write", "words"), NO_TENSORS.values(), ids=NO_TENSORS)
def test_a_pickle_is_refused_in_our_own_words_and_never_run(tmp_path, monkeypatch, write, words):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "w.pth")
    with pytest.raises(WeightsError) as caught:
        create_backbone(TINY, "w.pth")
    said = str(caught.value)
    assert said.startswith("weights w.pth ")
    assert words in said
    assert "not opened, since it can run any program" in said
    assert "safetensors.torch.save_file(network.state_dict(), 'weights.safetensors')" in said
    assert "weights_only" not in said
    assert "PyTorch" not in said
    assert "\n" not in said
    assert "\x1b" not in said
    assert said.endswith(".")
    assert not Path("evil").exists()


def test_what_grows_on_opening_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("convlift.model.weights.MAX_BYTES", 2**20)
    zipped(tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="no convolutional network has over"):
        create_backbone(TINY, str(tmp_path / "w.pth"))


def test_quantized_weights_are_not_taken_for_others(tmp_path, state):
    whole = {**state, "layer1.0.conv1.weight": (state["layer1.0.conv1.weight"] * 100).to(torch.int8)}
    with pytest.raises(WeightsError, match=r"'layer1.0.conv1.weight' holds int8, the backbone float32"):
        create_backbone(TINY, saved(tmp_path / "w.safetensors", whole))
    half = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    create_backbone(TINY, saved(tmp_path / "half.safetensors", half))


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"mean": "nan", "std": "1"}, "metadata give 'nan' where a mean or std"),
        ({"mean": "0.5,0.5", "std": "1"}, "metadata give '0.5,0.5'"),
        ({"mean": "0", "std": "0"}, "metadata give the std 0; it must be over 0"),
        ({"mean": "0", "std": "-1,1,1"}, "it must be over 0"),
        ({"mean": "9" * 5000, "std": "1"}, "where a mean or std"),
        ({"create": "timm.create_model('resnet10t', pad_type='same')"}, "pad_type='same', which resnet10t does not"),
    ],
)
def test_metadata_that_make_no_sense_are_refused(tmp_path, state, metadata, words):
    with pytest.raises(WeightsError) as caught:
        create_backbone(TINY, saved(tmp_path / "w.safetensors", state, **metadata))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "call", ["(" * 5000, "-" * 900 + "1", "f(" + "9" * 990 + ")", "f('resnet10t', **x)", "f(*x)", "\0", "é" * 2000]
)
def test_descriptions_that_are_no_call_are_passed_over(tmp_path, state, call):
    assert same(create_backbone(TINY, saved(tmp_path / "w.safetensors", state, create=call)), state)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["w.safetensors", "w.pth", "old.pth"]),
    st.integers(0, 10**6),
    st.binary(max_size=8),
    st.integers(0, 8),
    st.booleans(),
)
def test_damaged_files_are_tensors_or_one_sentence(tmp_path, name, where, put, less, cut):
    tensors = {"a.weight": torch.ones(3, 4), "b": torch.zeros((), dtype=torch.int64)}
    path = tmp_path / name
    if name == "w.safetensors":
        save_file(tensors, path, {"mean": "0.5"})
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=name == "w.pth")
    content = path.read_bytes()
    where %= len(content)
    path.write_bytes(content[:where] + put + (b"" if cut else content[where + less :]))
    said = "."
    try:
        find_local_weights(TINY, str(path))
        read_weights(WeightsFile(path))
    except WeightsError as error:
        said = str(error)
    assert said.endswith(".")
    assert "\n" not in said
    assert "weights_only" not in said


@pytest.mark.parametrize("length", [0, 1, 2**20, 2**31, 2**63, 2**64 - 1])
def test_headers_that_claim_any_length_need_no_memory(tmp_path, length):
    path = tmp_path / "w.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}1234')
    with pytest.raises(WeightsError, match=r"are no \.safetensors file"):
        find_local_weights(TINY, str(path))


@pytest.mark.parametrize(
    ("shape", "offsets"),
    [([2**40], [0, 2**42]), ([-1], [0, 4]), ([2**62, 4], [0, 4]), ([1], [4, 0]), ([1], [0, 2**64])],
)
def test_tensors_that_claim_any_size_need_no_memory(tmp_path, shape, offsets):
    path = tmp_path / "w.safetensors"
    path.write_bytes(claim(shape, offsets) + b"1234")
    with pytest.raises(WeightsError):
        find_local_weights(TINY, str(path))


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
        ("w.safetensors", b"PK\3\4rest", r"but one of torch\.save; give them the ending \.pth"),
        ("w.pth", b"html", "are a text or web page"),
        ("w.pth", b"\n<!doctype html>", "are a text or web page"),
        ("w.pth", b"", "are an empty file"),
        ("w.pth", b"version https://git-lfs.github.com/spec/v1", "a pointer of Git LFS"),
        ("w.pth", claim([1], [0, 4]) + b"1234", r"are a \.safetensors file by their content"),
        ("w.pth", b"\x89PNG", "cannot be read"),
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


def test_without_a_network_the_hub_is_refused_unasked(monkeypatch):
    def connect(*_):
        raise AssertionError("the hub was asked")

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(WeightsError, match=r"tinynet_e .*HF_HUB_OFFLINE.* --weights FILE or --backbone"):
        create_backbone("tinynet_e", "auto")


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
