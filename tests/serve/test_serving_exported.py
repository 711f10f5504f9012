"""A server that answers by an exported file."""

import json
import re
import signal
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path

import pytest

from command_line import convlift
from convlift.console.resources import usable_cpus
from convlift.deploy.onnx_classifier import load_onnx
from convlift.serve.server import classifying_threads
from onnx_files import config_of, folder_of, hiding_torch


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """A run folder whose weights torch cannot read, so that nothing but the exported file can answer."""
    return folder_of(tmp_path / "run", config_of(1, 28, "squash"))


@pytest.mark.parametrize("has_torch", [True, False])
def test_it_answers_with_torch_and_without(exported: Path, digits: list[bytes], has_torch: bool) -> None:
    serve = ("from convlift.cli import main", f"main(['serve', {str(exported)!r}, '--port', '0', '--decoders', '1'])")
    command = [sys.executable, "-c", "\n".join(serve)] if has_torch else hiding_torch(*serve)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        port = re.search(r"127\.0\.0\.1:(\d+)", line)
        assert port, line + process.stderr.read()
        client = HTTPConnection("127.0.0.1", int(port[1]))
        client.request("POST", "/predict", digits[0])
        said = json.loads(client.getresponse().read())["probabilities"]
        client.close()
        assert said == pytest.approx(load_onnx(exported).predict(digits[0]).probabilities, abs=1e-6)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_each_core_has_a_thread_that_classifies(exported: Path) -> None:
    assert classifying_threads(load_onnx(exported, threads=1)) == usable_cpus()


def test_a_file_that_resizes_squares_once_more_is_refused(tmp_path: Path) -> None:
    run = folder_of(tmp_path / "run", config_of(3, 300, "crop"))
    said = convlift("serve", run / "model" / "model.onnx", "--port", 0)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "resizes images of 300 pixels itself" in said.err
