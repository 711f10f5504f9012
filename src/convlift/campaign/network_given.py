"""The trained network that the user gives, to be compared with: its file, and the trial that it becomes."""

import hashlib
from pathlib import Path

from convlift.campaign.request import Request
from convlift.data.dataset import Dataset
from convlift.errors import ConvliftError
from convlift.model.source_files import KERAS_FILE
from convlift.recipe.architecture import Own
from convlift.recipe.recipe import Recipe
from convlift.search.context import Search
from convlift.search.decisions import decided, note
from convlift.search.given import GIVEN, given_recipe, predict_given
from convlift.search.start_decisions import Given

CHUNK = 1 << 20


def weights_given(request: Request, baseline: Recipe, dataset: Dataset) -> tuple[Path | None, str]:
    """The file of weights that the user gives with their network, once it was found to fit, and its SHA-256; None and
    "" without. Raises ConvliftError where there is no such network, WeightsError or RecipeError where they are not its.
    """
    path = request.model_weights
    if path is None and (request.model or "").endswith(KERAS_FILE) and request.fold is None and request.pool is None:
        path = Path(request.model or "")  # it holds the weights too
    if path is None:
        return None, ""
    if not isinstance(baseline.architecture, Own):
        raise ConvliftError(
            f"--model-weights {path} are those of a network of your own; name its code with --model, such as --model "
            "net.py:Net. The file of a pretrained backbone is named with --weights."
        )
    # torch comes with it
    from convlift.model.given_weights import as_given, check_file, given_network

    check_file(path)
    side = baseline.data.resolution
    assert side is not None, "the network was looked into"
    given_network(
        as_given(baseline.architecture), path, classes=len(dataset.classes), channels=dataset.channels, resolution=side
    )
    return path, _digest(path)


def read_weights_given(request: Request, search: Search, dataset: Dataset) -> None:
    """Have the given network predict, once; nothing without one."""
    problem, ledger = search.problem, search.ledger
    if problem.given is None or ledger.test_is_open:
        return
    saved = ledger.folder / GIVEN
    if decided(ledger, Given) is None or not (ledger.trials("given") or saved.is_file()):
        from convlift.trial.read_given import read_given

        is_chosen = request.current == "plain"  # of a recipe that is named the scaling is known
        recipe = given_recipe(problem.baseline)
        found = read_given(recipe, problem.given, dataset, saved, chosen=is_chosen, device=request.devices[0])
        note(ledger, Given(found), replace=True)
    predict_given(search)


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()
