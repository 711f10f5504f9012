"""One thread a test process: two processes that spin on two cores are slower than one, and numbers must not vary."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("convlift", deadline=None)  # a busy machine must not fail a test
settings.load_profile("convlift")

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# A shell that starts the tests in the background, or nohup, has them ignore what some of them are about.
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.fixture(scope="session")
def small_backbone(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """timm's name of a backbone that is a tenth of the packaged one, so that a probe of it takes a second, and a file
    of random weights for it."""
    import torch
    from safetensors.torch import save_file

    from convlift.model.backbone import create_backbone

    name = "mobilenetv3_small_050"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # what a campaign finds with it must not depend on the tests before
        network = create_backbone(name, "random").network
    path = tmp_path_factory.mktemp("backbone") / "weights.safetensors"
    save_file({key: tensor.contiguous() for key, tensor in network.state_dict().items()}, path)
    return name, path
