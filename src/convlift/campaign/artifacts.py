"""What a campaign leaves in its run folder: the model, the result, and what the page is made of."""

import math
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlift.campaign.detectable_gain import half_width
from convlift.campaign.effects_under_shift import effects_under_shift
from convlift.campaign.judge import Judgement
from convlift.campaign.labels_as_filed import with_as_filed
from convlift.campaign.page_material import class_scores, environment, page_material, seen_by
from convlift.campaign.result_notes import calibrated, notes_of, notes_of_the_test
from convlift.data.dataset import Dataset
from convlift.deploy.model_folder import ModelConfig, write_model_folder
from convlift.errors import RecipeError
from convlift.evidence.total_gain import FEWEST_RUNS, one_network
from convlift.ledger.openings import Openings
from convlift.ledger.trials import TRAINED, TrialRecord
from convlift.model.source_files import code_of
from convlift.recipe.recipe import Recipe
from convlift.records.compute_device import Device
from convlift.records.confidence import AS_GIVEN, Confidence
from convlift.records.events import CampaignEnded, Listener
from convlift.records.plan_applied import AsFiled
from convlift.records.result import ClassScore, Estimate, NetworkGain, Result, ShiftGain
from convlift.search.context import Search
from convlift.search.decisions import SearchNoise, note
from convlift.search.diagnose_baseline import found_of_the_baseline
from convlift.search.dispatcher import WEIGHTS
from convlift.search.fit_confidence import confidence_of
from convlift.search.result_in_ledger import note_result, note_story
from convlift.search.shipment import Shipment


@dataclass(frozen=True)
class Opened:
    """What the sealed test said of the recipes, its labels (nt,), who opened it before, None where that is not
    registered, what it said of the two networks, of these by the labels as they were filed, and on shifted images."""

    judged: Judgement
    test_labels: NDArray[np.int64]
    openings: Openings | None = None
    network: NetworkGain | None = None
    filed: AsFiled | None = None
    shifts: tuple[ShiftGain, ...] = ()


def hand_over(
    search: Search, dataset: Dataset, shipment: Shipment, listen: Listener, opened: Opened | None = None, *, device: str
) -> None:
    """Write the model that ships, what the page is made of, and the result. opened: None where the sealed test stayed
    closed; the scores are then of validation images; device: what the networks ran on."""
    judged, test_labels = (opened.judged, opened.test_labels) if opened else (None, None)
    network, ledger, problem = shipment.network, search.ledger, search.problem
    more: dict[str, Any] = {
        "start_recipe": shipment.frozen.start.recipe.to_yaml(),
        "minimum_detectable_points": half_width(opened.network) if opened and opened.network else 0.0,
        "environment": environment(problem.seed, search.workers, device),
        "seen": seen_by(network, dataset, problem.seed),
    }
    shown = list(shipment.after) if shipment.ships != "baseline" and shipment.after else [network]
    # a kill between the two leaves the material alone, and the next process may have other workers to tell of
    material = page_material(ledger, shown, dataset, test_labels, more)
    material |= {"runs": list(judged.arms)} if judged else {}
    note_story(ledger, material)
    confidence = confidence_of(problem, ledger, network, dataset.classes)
    result = result_from(search, dataset, shipment, opened, class_scores(material))
    result = replace(result, notes=(*result.notes, calibrated(search, network, confidence, test_labels)))
    weights = search.dispatcher.weights_of(network)
    write_model(ledger.folder / "model", weights, network.recipe, dataset, scores_of(result), confidence)
    if judged is not None:
        note(ledger, SearchNoise(judged.search_seed_variance), replace=True)
    note_result(ledger, result)
    if judged is not None or problem.trainings:  # else a longer budget goes on with them
        shutil.rmtree(ledger.folder / WEIGHTS, ignore_errors=True)
    listen(CampaignEnded(ledger.folder, result=result))


def result_from(
    search: Search,
    dataset: Dataset,
    shipment: Shipment,
    opened: Opened | None = None,
    classes: tuple[ClassScore, ...] = (),
) -> Result:
    """The end of a campaign, with the circumstances that a reader needs. classes: the scores a class."""
    problem, ledger = search.problem, search.ledger
    judged, openings = (opened.judged, opened.openings) if opened else (None, None)
    notes = notes_of(search, shipment, judged, openings)
    if opened is not None:
        notes += notes_of_the_test(search, dataset, opened.judged, opened.test_labels, opened.network)
    return Result(
        run=str(ledger.folder),
        metric=problem.metric.name,
        data=dataset.name,
        baseline_name=problem.baseline_name,
        start_name=shipment.frozen.start.name,
        **(_scores(judged) if judged else _validation_scores(search, shipment)),
        trials=sum(record.role in TRAINED for record in ledger.trials()),
        seconds=ledger.seconds_used(),
        budget_seconds=0.0 if problem.trainings else search.budget_seconds,
        findings=dataset.store.findings,
        notes=tuple(notes),
        counts=dataset.splits.counts,
        ships=shipment.ships,
        judged=opened is not None,
        network=opened.network if opened else None,
        shifts=opened.shifts if opened else (),
        goal=problem.goal,
        effects=effects_under_shift(search, shipment.frozen) if opened else (),
        why=shipment.why,
        shortened=shipment.shortened,
        trainings=problem.trainings,
        recipe_findings=found_of_the_baseline(search),
        opened=openings.number if openings else 1,
        plan=with_as_filed(dataset.store.plan, opened.filed if opened else None),
        classes=classes,
        baseline_recipe=problem.baseline.to_yaml(),
        start_recipe=shipment.frozen.start.recipe.to_yaml(),
    )


def _scores(judged: Judgement) -> dict[str, Any]:
    return {
        "baseline": judged.final.baseline,
        "final": judged.final.final,
        # of a recipe that was trained once nobody knows what another seed would have done
        "gain_points": judged.final.gain_points if min(judged.arms) >= FEWEST_RUNS else None,
        "proven": judged.final.proven,
        "verdicts": judged.verdicts,
        "unexplained_points": judged.unexplained_points,
        "optimism_points": judged.optimism_points,
    }


def _validation_scores(search: Search, shipment: Shipment) -> dict[str, Any]:
    problem = search.problem

    def estimate(record: TrialRecord) -> Estimate:
        assert record.outcome is not None, "what ships has ended"
        points = search.scores.clean_points(record.outcome.validation_probabilities)
        return one_network(points / 100.0, problem.validation_groups, lowest=problem.metric.lowest)

    best = max(shipment.before, key=search.scores.score_points, default=None)
    return {
        "baseline": estimate(best) if best else None,
        "final": estimate(shipment.network),
        "gain_points": None,
        "proven": False,
        "verdicts": (),
        "unexplained_points": 0.0,
        "optimism_points": 0.0,
    }


def write_model(
    folder: Path,
    weights: Path,
    recipe: Recipe,
    dataset: Dataset,
    scores: dict[str, Any],
    confidence: Confidence = AS_GIVEN,
) -> None:
    """A model folder of trained weights; recipe: with its resolution written down."""
    from convlift.model.checkpoint import saved_normalization  # torch comes with it

    assert recipe.data.resolution is not None, "a trained recipe has its resolution written down"
    mean, std = saved_normalization(weights)
    store = dataset.store
    config = ModelConfig(
        classes=dataset.classes,
        channels=dataset.channels,
        resolution=recipe.data.resolution,
        resize=recipe.data.resize,
        grey=recipe.data.grey,
        contrast=recipe.data.contrast,
        mean=mean,
        std=std,
        scores=scores,
        value_range=store.value_range,
        alpha=store.alpha,
        side=store.side,
        confidence=confidence,
    )
    write_model_folder(folder, weights, recipe, config, _code_of(recipe))


def note_likeness(folder: Path, recipe: Recipe, dataset: Dataset, device: Device) -> None:
    """Add to a model folder what tells images unlike those of training from others, where there is ground for it: what
    is usual is learned from validation images. They are looked at without their labels, and no test image is."""
    from convlift.deploy.learn_likeness import learn_likeness_if_possible  # torch comes with it

    assert recipe.data.resolution is not None, "a trained recipe has its resolution written down"
    pixels, splits = dataset.store.pixels(recipe.data.resolution, recipe.data.preparation), dataset.splits
    learn_likeness_if_possible(folder, pixels, splits.train, splits.validation, device)


def _code_of(recipe: Recipe) -> dict[str, bytes]:
    """The files that make the recipe's network, where it is the user's own."""
    own = recipe.architecture
    if own.kind != "own":
        return {}
    code = code_of(own.code)
    if code.digest != own.digest:
        raise RecipeError(
            f"network {own.code!r} has changed since it was trained; give the code as it was, and the same command "
            "writes the model."
        )
    return code.files


def keep_best(search: Search, dataset: Dataset) -> bool:
    """Write the model folder of the best network so far by validation; whether there is one. A run that was cut short
    counts only where nothing else is there."""
    ended = [r for r in search.ledger.trials() if r.status in ("finished", "stopped") and search.has_network(r)]
    # of the search only the run that is believed to be the best has kept its weights, so its luck is that of one; what
    # has learned from the validation images has no score
    saved = [record for record in ended if search.scores.rank(record) > -math.inf]
    best = max(saved, key=lambda r: (r.status == "finished", search.scores.score_points(r)), default=None)
    if best is None or not best.has_trained:
        return False
    score, images = search.scores.clean_score_points(best) / 100, len(dataset.splits.validation)
    scores = {"metric": search.problem.metric.name, "of": "validation", "images": images, "unconfirmed": score}
    confidence = confidence_of(search.problem, search.ledger, best, dataset.classes)
    weights = search.dispatcher.weights_of(best)
    write_model(search.ledger.folder / "model", weights, best.recipe, dataset, scores, confidence)
    return True


def scores_of(result: Result) -> dict[str, Any]:
    """What the model's `config.json` says of how good it is: scores in [0, 1], gains in points, intervals of 95%.

    final, baseline, gain_points, proven: of this network and of the baseline's; with folds, and where nothing was
        judged, of the recipes.
    recipe: the gain of the recipe, trained again; null where that is not known.
    of: the images that the scores are of. A figure that is not finite is null, since JSON has no NaN.
    """
    claim = result.claim
    recipe = result.recipe_claim
    of = "folds" if result.folds else "sealed test" if result.judged else "validation"
    return {
        "metric": result.metric,
        "of": of,
        "images": result.counts["validation" if of == "validation" else "test"],
        "final": _finite(claim.final if claim else result.final),
        "baseline": _finite(claim.baseline if claim else result.baseline),
        "gain_points": _finite(claim.gain_points if claim else None),
        "proven": bool(claim and claim.proven),
        "recipe": {"gain_points": _finite(recipe.gain_points), "proven": recipe.proven} if recipe else None,
    }


def _finite(estimate: Estimate | None) -> dict[str, float | None] | None:
    if estimate is None:
        return None
    return {name: value if math.isfinite(value) else None for name, value in asdict(estimate).items()}
