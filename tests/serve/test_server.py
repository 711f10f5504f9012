"""The command itself: it listens, answers, and ends when it is told to."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from http.client import HTTPConnection

import pytest

from command_line import convlift
from convlift.console.resources import usable_cpus
from convlift.errors import ConvliftError
from convlift.records.serving import Address
from convlift.report.serving_lines import started_lines
from convlift.serve.server import classifying_threads, listen


def test_the_command_serves_until_it_is_ended(served_run, digits):
    command = [sys.executable, "-c", "from convlift.cli import main; main()", "serve", str(served_run)]
    options = ["--port", "0", "--decoders", "1", "--device", "cpu"]
    process = subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        found = re.fullmatch(r"convlift: (.*) \(convolutional network from scratch, 10 classes\) is served at http://127\.0\.0\.1:(\d+); Ctrl-C ends it\.\n", line)  # fmt: skip  # noqa: E501
        assert found, line
        assert found[1] == str(served_run)
        client = HTTPConnection("127.0.0.1", int(found[2]))
        client.request("POST", "/predict", digits[0])
        assert set(json.loads(client.getresponse().read())["probabilities"]) == set("0123456789")
        # a request that runs is answered: its head is there, its body comes after the signal
        client.putrequest("POST", "/predict")
        client.putheader("Content-Length", str(len(digits[1])))
        client.endheaders(digits[1][:20])
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        other = HTTPConnection("127.0.0.1", int(found[2]))
        other.request("GET", "/metrics")  # once this is answered, the first one is inside
        assert b"convlift_requests_waiting 1" in other.getresponse().read()
        os.kill(process.pid, signal.SIGTERM)
        client.send(digits[1][20:])
        assert client.getresponse().status == 200
        client.close()
        other.close()
        assert process.wait(60) == 0
        assert process.stderr.read() == ""
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_a_port_that_is_taken_is_an_error(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = convlift("serve", tmp_path, "--port", port)
    assert said.code == 2
    assert said.err.startswith(f"convlift: cannot listen at port {port} of 127.0.0.1 (")
    assert len(said.err.splitlines()) == 1


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none_is_an_error(port):
    with pytest.raises(ConvliftError, match=f"port {port} is none"):
        listen("127.0.0.1", port)


def test_no_model_is_an_error(tmp_path):
    said = convlift("serve", tmp_path, "--port", 0)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "holds no model" in said.err


def test_who_may_come_is_said(model):
    local, open_to_all = Address("127.0.0.1", 80, is_local=True), Address("::", 80, is_local=False)
    assert len(started_lines("run", model.recipe, model.config, local)) == 1
    first, second = started_lines("run", model.recipe, model.config, open_to_all)
    assert "http://[::]:80" in first
    assert second == "Anybody who reaches port 80 can use it: there is no password and no encryption."


def test_an_address_is_known_as_local_or_not():
    for host, is_local in (("127.0.0.1", True), ("localhost", True), ("0.0.0.0", False)):
        bound, address = listen(host, 0)
        bound.close()
        assert (address.is_local, address.port > 0) == (is_local, True)


def test_a_core_has_a_thread_that_classifies(model):
    import torch

    assert classifying_threads(model) == usable_cpus()
    assert torch.get_num_threads() == 1
