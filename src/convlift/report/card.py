"""The model card: what the network in a model folder is, how good it is, how to use it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from convlift.data.stretch import Stretch
from convlift.deploy.model_folder import RECIPE, ModelConfig
from convlift.evidence.metrics import title_of
from convlift.recipe.recipe import Recipe
from convlift.records.confidence import Calibrated
from convlift.records.notes import Combined, Refitted
from convlift.records.result import Estimate, Result
from convlift.report.wording.goal_in_words import GUIDES
from convlift.report.wording.headline import proof, recipe_line, shipped_network, warnings_of, why_sentence
from convlift.report.wording.note_sentences import note_sentence

MOST_CLASSES = 20


JUDGED = "It has been judged only on images like those it was trained with."
UNJUDGED = "This network itself was not judged: it has learned from every image that there was."


def card(recipe: Recipe, config: ModelConfig, figures: Mapping[str, str], closing: str = JUDGED) -> str:
    """As Markdown; figures: name -> value, a row each; closing: the last line."""
    kind = _kind(recipe)
    calibrated = note_sentence(Calibrated(config.confidence.temperature, config.confidence.fitted_on))
    rows = "\n".join(f"| {name} | {value} |" for name, value in figures.items())
    prepared = config.resize + _tones(config)
    more = ", ..." if len(config.classes) > MOST_CLASSES else ""
    named = ", ".join(config.classes[:MOST_CLASSES]) + more
    return f"""# Image classifier

Made by convlift. It sorts an image into one of {len(config.classes)} classes: {named}.

- Network: {kind}; input {config.channels} x {config.resolution} x {config.resolution}, resized by {prepared}.
- Pixels are scaled to [0, 1]{_white(config)}, then {_normalized(config)}.
- {calibrated}
- How it was trained: `{RECIPE}`. Nothing in this folder is a pickle.

| figure | value |
|---|---|
{rows}

Use it: `convlift predict THIS_FOLDER photo.jpg`, or `convlift.load("THIS_FOLDER").predict("photo.jpg")`.
{closing}
"""


def _tones(config: ModelConfig) -> str:
    """What else is done to an image before its pixels are scaled."""
    more = {"none": "", "equalize": ", its luma equalized", "clahe": ", its luma equalized part by part (CLAHE)"}
    return (", seen as grey (luma in all channels)" if config.grey else "") + more[config.contrast]


def _white(config: ModelConfig) -> str:
    """What becomes 1 of values of more than 8 bits, where training saw such."""
    if config.value_range is None:
        return ""
    found = config.value_range
    if isinstance(found, Stretch):
        ends = [f"{low:.10g} to {high:.10g}" for low, high in zip(found.low, found.high, strict=True)]
        return f" (of files of more than 8 bits from {', '.join(ends)}{_each(ends)})"
    tops = [f"{top:.10g}" for top in (found if isinstance(found, tuple) else (found,))]
    return f" (of files of more than 8 bits by {', '.join(tops)}{_each(tops)})"


def _each(figures: Sequence[str]) -> str:
    return " band by band" if len(figures) > 1 else ""


def _normalized(config: ModelConfig) -> str:
    if config.std is None:
        return "each image less its own mean, over its own deviation (of all its values)"
    return f"(pixel - mean) / std per channel: mean {_numbers(config.mean)}, std {_numbers(config.std)}"


def _kind(recipe: Recipe) -> str:
    network = recipe.architecture
    if network.kind == "pretrained":
        return f"pretrained {network.backbone}"
    if network.kind == "own":
        return f"made by Python code, `{network.code}`"
    return "convolutional network from scratch"


def figures_of(result: Result, scores: Mapping[str, Any]) -> dict[str, str]:
    """The rows of a campaign's model; scores: of the model's own `config.json`."""
    title = title_of(result.metric)
    more = {"note": shipped_network(result)} if shipped_network(result) else {}
    if made_of := [note_sentence(note) for note in result.notes if isinstance(note, Combined)]:
        more["made of"] = made_of[0]
    if learned_from := [note_sentence(note) for note in result.notes if isinstance(note, Refitted)]:
        more["learned from"] = learned_from[0]
    if probabilities := [note_sentence(note) for note in result.notes if isinstance(note, Calibrated) and note.images]:
        more["probabilities"] = probabilities[0]
    more |= {f"warning {number}": warning for number, warning in enumerate(warnings_of(result), 1)}
    claim = result.claim
    before = claim.baseline if claim else result.baseline
    baseline = {f"{title} of the baseline there": _score(before)} if before else {}
    if claim is None:
        chosen = GUIDES[result.goal].chosen.format(what="it was")
        images = f"{result.counts['validation']} validation images{chosen}"
        why = why_sentence(result.why, result.goal) if result.why else ""
        return {f"{title} on {images}": _score(result.final), "not judged": why, **baseline, **more}
    gain = claim.gain_points
    gained = f"{gain.value:+.1f} (95% interval {gain.low:+.1f} to {gain.high:+.1f}), {proof(result)}"
    if not result.folds:
        where = f"{title} on {result.counts['test']} sealed test images"
        recipe = {"the recipe": said} if (said := recipe_line(result)) else {}
        return {where: _score(claim.final), **baseline, "gain in points": gained, **recipe, **more}
    where = f"nested estimate over {result.folds} folds, {result.counts['test']} images"
    own = f"{title} of this network on {result.counts['validation']} validation images"
    return {
        f"{title} ({where}; of the procedure, this network itself was not tested)": _score(result.final),
        **baseline,
        "gain in points": gained,
        **({own: f"{scores['validation']:.3f}"} if "validation" in scores else {}),
        **more,
    }


def learned_from_all(images: int, judged: str) -> dict[str, str]:
    """The first row of a model that nobody can judge; judged: the folder of the one that was."""
    said = f"all {images:,} images, those of the test too; every figure below is of the network in `{judged}`"
    return {"learned from": said}


def figures_before_the_end(scores: Mapping[str, Any]) -> dict[str, str]:
    """The rows of a model that nothing is judged of: the best so far of a campaign, or that of one training."""
    title = title_of(scores["metric"])
    if "unconfirmed" in scores:
        return {f"validation {title}": f"{scores['unconfirmed']:.4f} (unconfirmed: the sealed test is still closed)"}
    return {f"{title} on {scores['images']} validation images": _score(Estimate(**scores["final"]))}


def _numbers(values: Iterable[float]) -> str:
    return "[" + ", ".join(f"{value:.4g}" for value in values) + "]"


def _score(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} (95% interval {estimate.low:.3f} to {estimate.high:.3f})"
