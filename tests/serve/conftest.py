"""A small model that was really trained, and its service with a decoder that really runs."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asking import as_png
from asking import ask as ask_app
from sklearn.datasets import load_digits

from convlift import api
from convlift.deploy.predict import Model, load
from convlift.recipe.recipe import Recipe
from convlift.report.serving_lines import model_document
from convlift.serve.app import make_app
from convlift.serve.limits import Limits
from convlift.serve.service import Service

DIGITS = np.rint(load_digits().images[:8] * (255 / 16)).astype(np.uint8)
LIMITS = Limits(megabytes=0.05, megapixels=0.5, images=3, seconds=20, waiting=2, decoders=1)


@pytest.fixture(scope="session")
def digits() -> list[bytes]:
    """PNG files of digits."""
    return [as_png(pixels) for pixels in DIGITS]


@pytest.fixture(scope="session")
def served_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with a network for digits."""
    folder = tmp_path_factory.mktemp("served") / "run"
    recipe = Recipe().edit(architecture={"width": 8, "head_units": 16}, training={"epochs": 1})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVLIFT_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        api.train("digits", recipe, out=folder, quiet=True)
    return folder


@pytest.fixture(scope="session")
def model(served_run: Path) -> Model:
    return load(served_run)


class Running:
    """An application with its service, on an event loop of its own."""

    def __init__(self, service: Service, app: Any, runner: asyncio.Runner) -> None:
        self.service, self.app, self._runner = service, app, runner

    def run(self, coroutine: Any) -> Any:
        return self._runner.run(coroutine)


@pytest.fixture(scope="session")
def running(model: Model) -> Iterator[Running]:
    """With LIMITS; its one decoder starts once for all tests."""
    service = Service(model, LIMITS, threads=2)
    app = make_app(service, model_document("run", model.recipe, model.config))
    with asyncio.Runner() as runner:
        block = service.running()
        runner.run(block.__aenter__())
        yield Running(service, app, runner)
        runner.run(block.__aexit__(None, None, None))


@pytest.fixture
def ask(running: Running) -> Callable[..., Any]:
    """ask(method, path, pieces, **headers) -> Answered."""
    return lambda *given, **headers: running.run(ask_app(running.app, *given, **headers))
