"""The guard against augmentations that do not keep images what they are: the start's own network is asked about each,
before any trial is spent on it.

An augmentation is refused where the network recognizes fewer than RECOGNIZED of its images, and learning them costs
untouched validation images at least LEAST_POINTS of accuracy, which chance alone would with a probability of at most
LARGEST_P; `trial/label_preservation.py` says how that is measured. What is refused is tried without mirror images, then
at half and at a quarter of its strength: the first that passes is what the search gets, and where none does the
candidate is left out. So is what could not be asked about: the guard fails closed, and what destroys most is asked
about first.
"""

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any

from convlift.catalogue.candidates import Candidate
from convlift.catalogue.starting_points import StartingPoint
from convlift.errors import WeightsError
from convlift.ledger.trials import TrialRecord
from convlift.recipe.augmentation import MIRRORS, PROBABILITIES, SYMMETRIES, Augmentation
from convlift.recipe.recipe import Recipe
from convlift.records.label_check import Example, LabelCheck
from convlift.search.context import Search
from convlift.search.decisions import AskedAbout, GuardReport, decided, settle
from convlift.search.label_checker import LOOKS, LabelChecker

SHARE = 0.04  # of the budget's wall clock, for all questions together
LEAST_IMAGES, MOST_IMAGES = 150, 800  # validation images asked about: with fewer, hardly any harm is beyond chance
AGAIN = 0.5  # of the questions are followed by one about something weaker
# Chosen on digits, Fashion-MNIST, CIFAR-10 and chest X-rays against real trainings: docs/method.md has the figures
RECOGNIZED = 0.6
LARGEST_P = 0.1
LEAST_POINTS = 1.0

GEOMETRY = (
    "rotation", "zoom", "translation", "aspect", "shear", "crop", "perspective", "elastic", "erase", "cutout",
    "rand_augment", "trivial_augment", "aug_mix",
)  # fmt: skip
AS_IT_IS = "as it is"
WEAKER = {"without mirror images": 1.0, "at half strength": 0.5, "at a quarter of its strength": 0.25}

Strengths = dict[str, float]
Ask = Callable[[Augmentation], LabelCheck]


@dataclass(frozen=True)
class Decision:
    """What becomes of a candidate. way: AS_IT_IS, one of WEAKER, or None where it is left out; answers: to the
    questions about it, with the strengths asked about."""

    way: str | None
    answers: tuple[tuple[Strengths, LabelCheck], ...]


def guard(search: Search, start: StartingPoint, candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """The candidates, those augmentations weakened or left out that do not keep images what they are.

    Settled once: the ledger keeps what was asked, answered and decided, and a resumed campaign makes the same
    candidates from it. A pool that somebody asked for is not guarded, and nothing is where there is no search.
    """
    if search.problem.pool is not None or not candidates:
        return candidates
    if search.problem.ask is None and decided(search.ledger, GuardReport) is None:
        return candidates
    settled = settle(search.ledger, GuardReport, lambda: _report(search, start, candidates))
    return guarded(settled, start.recipe, candidates)


def guarded(settled: GuardReport, start: Recipe, candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The candidates as the guard left them. What it was never asked about, as a change that a later version brought,
    is left out where it augments."""
    ways = {entry.name: entry.way for entry in settled.asked} | dict.fromkeys(settled.not_asked)

    def way_of(candidate: Candidate) -> str | None:
        unasked = None if added(start, candidate.intervention.edit(start)) else AS_IT_IS
        return ways.get(candidate.name, unasked)

    return tuple(weakened(candidate, start, way) for candidate in candidates if (way := way_of(candidate)) is not None)


def added(start: Recipe, edited: Recipe) -> Strengths:
    """What an edit adds to a recipe's augmentation: the strengths that it raises."""
    old, new = start.data.augmentation.strengths, edited.data.augmentation.strengths
    return {name: value for name, value in new.items() if value > old[name]}


def weakened(candidate: Candidate, start: Recipe, way: str) -> Candidate:
    """The candidate in one of the WEAKER ways; whatever else it changes stays."""
    if way == AS_IT_IS:
        return candidate
    intervention, old = candidate.intervention, start.data.augmentation.strengths
    strengths = {
        name: _weaker(name, value, old[name], way) for name, value in added(start, intervention.edit(start)).items()
    }

    def edit(recipe: Recipe) -> Recipe:
        return intervention.edit(recipe).edit(data={"augmentation": strengths})

    return replace(candidate, intervention=replace(intervention, name=f"{intervention.name}, {way}", edit=edit))


def _weaker(name: str, value: float, old: float, way: str) -> float:
    """A strength in one of the WEAKER ways: an image is mirrored, turned by a quarter or made grey, or it is not."""
    if name in MIRRORS or (name in PROBABILITIES and WEAKER[way] < 1.0):
        return old
    return max(old, float(f"{value * WEAKER[way]:.10g}"))


def decide(ask: Ask, start: Recipe, candidate: Candidate, others: Sequence[Candidate]) -> Decision:
    """Ask about the candidate, then about its weaker ways until one passes. One that leaves the start as it is, or
    makes it what another candidate makes it, is nothing to try."""
    taken = [start, *(other.intervention.edit(start) for other in others if other is not candidate)]
    answers: list[tuple[Strengths, LabelCheck]] = []
    for way in _ways(added(start, candidate.intervention.edit(start))):
        edited = weakened(candidate, start, way).intervention.edit(start)
        if way != AS_IT_IS and edited in taken:
            continue
        strengths = added(start, edited)
        if not strengths:
            return Decision(way, tuple(answers))  # the rest of a bundle
        answer = ask(Augmentation.model_validate({**strengths, **edited.data.augmentation.settings}))
        answers.append((strengths, answer))
        if not refused(answer):
            return Decision(way, tuple(answers))
    return Decision(None, tuple(answers))


def refused(answer: LabelCheck) -> bool:
    """Whether an augmentation makes other images of the images, and not merely unfamiliar ones."""
    return answer.recognized < RECOGNIZED and answer.harm_points >= LEAST_POINTS and answer.p_value <= LARGEST_P


def _ways(strengths: Strengths) -> Iterator[str]:
    yield AS_IT_IS
    mirrors = strengths.keys() & set(MIRRORS)
    for way in WEAKER:
        if mirrors if way == "without mirror images" else strengths.keys() - set(PROBABILITIES):
            yield way


def _report(search: Search, start: StartingPoint, candidates: tuple[Candidate, ...]) -> GuardReport:
    adding = [candidate for candidate in candidates if added(start.recipe, candidate.intervention.edit(start.recipe))]
    allowed = min(SHARE * search.budget_seconds, search.left())
    latest = search.ledger.seconds_used() + allowed
    checker, note = _call(search, start) if adding else (None, "")
    asked = []
    if checker is not None:
        left, questions = latest - search.ledger.seconds_used(), (1 + AGAIN) * len(adding) + 1
        images = left / questions / max(LOOKS * checker.seconds_per_image, 1e-9)
        looked_at = checker.look_at(int(min(max(images, LEAST_IMAGES), MOST_IMAGES)))
        seconds = LOOKS * checker.seconds_per_image * looked_at
        ask = cache(checker.check)  # bundles of changes often hold the same augmentation
        for candidate in sorted(adding, key=lambda candidate: _destruction(start.recipe, candidate), reverse=True):
            if latest - search.ledger.seconds_used() < seconds:
                note = "no time"
                break
            asked.append(_entry(candidate, decide(ask, start.recipe, candidate, candidates)))
    names = {entry.name for entry in asked}
    return GuardReport(note, tuple(asked), tuple(each.name for each in adding if each.name not in names))


def _destruction(start: Recipe, candidate: Candidate) -> tuple[int, float]:
    """How much an augmentation may turn images into others: mirrors and quarter turns first, then geometry, then
    colour, each by its strength."""
    strengths = added(start, candidate.intervention.edit(start))
    if mirrors := [value for name, value in strengths.items() if name in SYMMETRIES]:
        return 2, sum(mirrors)
    moved = [value for name, value in strengths.items() if name in GEOMETRY]
    return (1, sum(moved)) if moved else (0, sum(strengths.values()))


def checker_of(search: Search, record: TrialRecord) -> LabelChecker | None:
    """A finished trial's network to ask; None where there is none."""
    if search.problem.ask is None or not search.has_network(record):
        return None
    try:
        return search.problem.ask(search.dispatcher.weights_of(record), record.recipe)
    except WeightsError:
        return None


def _call(search: Search, start: StartingPoint) -> tuple[LabelChecker | None, str]:
    """The start's own network, or None and why there is none to ask."""
    saved = [
        search.dispatcher.weights_of(record)
        for role in ("start", "baseline")
        for record in search.ledger.trials(role)
        if record.recipe == start.recipe and record.status == "finished" and search.has_network(record)
    ]
    if search.problem.ask is None or not saved:
        return None, "no network"
    try:
        return search.problem.ask(saved[0], start.recipe), ""
    except WeightsError as error:
        return None, str(error)


def _entry(candidate: Candidate, decision: Decision) -> AskedAbout:
    first = decision.answers[0][1]
    is_kept = decision.way == AS_IT_IS
    return AskedAbout(
        name=candidate.name,
        area=candidate.area,
        verdict="kept" if is_kept else "weakened" if decision.way else "left out",
        way=decision.way,
        answers=tuple(
            {"strengths": strengths, **{key: value for key, value in asdict(answer).items() if key != "example"}}
            for strengths, answer in decision.answers
        ),
        example=None if is_kept or first.example is None else _plain(first.example),
    )


def _plain(example: Example) -> dict[str, Any]:
    pictures = {"before": example.before, "after": example.after}
    return {**asdict(example), **{name: base64.b64encode(png).decode() for name, png in pictures.items()}}
