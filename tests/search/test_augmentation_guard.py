"""The guard in a campaign: what it asks, what it decides, and that a resumed campaign decides the same."""

from dataclasses import replace
from pathlib import Path

import pytest

from convlift.catalogue.candidates import Candidate
from convlift.catalogue.intervention import Edit, Intervention, sets
from convlift.catalogue.starting_points import StartingPoint
from convlift.errors import WeightsError
from convlift.recipe.augmentation import Augmentation
from convlift.recipe.recipe import Recipe
from convlift.records.label_check import Example, LabelCheck
from convlift.records.result import Area
from convlift.search.augmentation_guard import added, decide, guard, guarded, refused, weakened
from convlift.search.context import Search
from convlift.search.decisions import GuardReport, decided
from convlift.search.problem import BASELINE as START
from convlift.search.start import choose_start
from made_up import BASELINE, World, desk_in, problem_of

POINT = StartingPoint(START, BASELINE, "the recipe to be improved")
FINE = LabelCheck(0.9, 0.9, 0.0, 0.0, 1.0, 0.0, 1.0, (), None)
BAD = LabelCheck(0.9, 0.3, 60.0, 2.0, 0.25, 4.0, 0.001, ("6", "9"), Example(b"a", b"b", "6", "9", 0.99, 0.97))


def changing(name: str, edit: Edit, prior: float = 0.0, area: Area = "data") -> Candidate:
    change = Intervention(name=name, area=area, claim="a claim", source="a source", helps=(), edit=edit, prior=prior)
    return Candidate(change, prior)


def made(name: str, prior: float = 0.0, **strengths: float) -> Candidate:
    return changing(name, sets("data", augmentation=strengths), prior)


FLIP = made("flip", 0.5, horizontal_flip=0.5)
TURN = made("turn", 0.1, rotation=0.4)
BOTH = made("both", 0.3, horizontal_flip=0.5, zoom=0.3)
LONGER = changing("longer", sets("training", epochs=30), 0.2, "training")


class Judge:
    """A checker that finds mirror images, and turns beyond a tenth, to be bad."""

    def __init__(self, seconds_per_image: float = 1e-6) -> None:
        self.seconds_per_image = seconds_per_image
        self.asked: list[Augmentation] = []

    def look_at(self, images: int) -> int:
        self.images = images
        return images

    def check(self, augmentation: Augmentation) -> LabelCheck:
        self.asked.append(augmentation)
        return BAD if augmentation.horizontal_flip or augmentation.rotation > 0.11 else FINE


def problem_with(judge: object, **changes: object):
    return replace(problem_of(World()), ask=lambda weights, recipe: judge, **changes)


@pytest.fixture
def desk(tmp_path: Path):
    with desk_in(tmp_path / "run", World(), 20) as desk:
        choose_start(Search(problem_of(World()), desk))
        yield desk


def test_only_what_loses_images_and_harms_others_is_refused():
    assert refused(BAD)
    assert not refused(FINE)
    assert not refused(replace(BAD, recognized=0.7))
    assert not refused(replace(BAD, p_value=0.2))
    assert not refused(replace(BAD, harm_points=0.5))


def test_candidates_are_kept_weakened_or_left_out(desk):
    judge = Judge()
    kept = guard(Search(problem_with(judge), desk), POINT, (FLIP, TURN, LONGER, BOTH))
    assert [each.name for each in kept] == [
        "turn, at a quarter of its strength",
        "longer",
        "both, without mirror images",
    ]
    turned, longer, both = (each.intervention.edit(BASELINE).data.augmentation for each in kept)
    assert turned == Augmentation(rotation=0.1)
    assert longer == BASELINE.data.augmentation
    assert both == Augmentation(zoom=0.3)
    report = decided(desk.ledger, GuardReport)
    assert [entry.name for entry in report.asked] == ["flip", "both", "turn"]  # the most destructive first
    assert report.not_asked == ()
    assert report.note == ""
    flip = report.asked[0]
    assert [entry.verdict for entry in report.asked] == ["left out", "weakened", "weakened"]
    assert flip.way is None
    assert flip.answers[0]["harm_points"] == 4.0
    assert tuple(flip.answers[0]["confused"]) == ("6", "9")
    assert flip.example["taken_for"] == "9"
    assert [answer["strengths"] for answer in report.asked[-1].answers] == [
        {"rotation": 0.4},
        {"rotation": 0.2},
        {"rotation": 0.1},
    ]


def test_a_resumed_campaign_decides_the_same_and_asks_nobody(desk):
    candidates = (FLIP, TURN, LONGER, BOTH)
    first = guard(Search(problem_with(Judge()), desk), POINT, candidates)
    again = guard(Search(replace(problem_of(World()), ask=None), desk), POINT, candidates)
    assert [each.name for each in again] == [each.name for each in first]
    for one, other in zip(first, again, strict=True):
        assert one.intervention.edit(BASELINE) == other.intervention.edit(BASELINE)
        assert (one.prior, one.cost, one.area) == (other.prior, other.cost, other.area)


def test_what_makes_no_images_stronger_is_not_asked_about(desk):
    judge = Judge()
    start = replace(POINT, recipe=BASELINE.edit(data={"augmentation": {"horizontal_flip": 0.5}}))
    none = made("no flip", horizontal_flip=0.0)
    for candidate in (none, LONGER, FLIP):
        assert added(start.recipe, candidate.intervention.edit(start.recipe)) == {}
    assert guard(Search(problem_with(judge), desk), start, (none, LONGER)) == (none, LONGER)
    assert not judge.asked


def test_a_weaker_way_that_is_there_already_is_not_tried_twice():
    judge = Judge()
    tilt = made("tilt", rotation=0.1)
    assert decide(judge.check, BASELINE, TURN, (TURN, tilt)).way is None
    assert decide(judge.check, BASELINE, BOTH, (BOTH, made("zoom", zoom=0.3))).way == "at half strength"


def test_a_bundle_loses_its_mirror_images_and_keeps_the_rest():
    edit = sets("data", views=2, augmentation={"horizontal_flip": 0.5})
    bundle = changing("mirrored views", edit)
    decision = decide(Judge().check, BASELINE, bundle, (bundle, FLIP))
    assert decision.way == "without mirror images"
    assert weakened(bundle, BASELINE, decision.way).intervention.edit(BASELINE) == BASELINE.edit(data={"views": 2})
    assert decide(Judge().check, BASELINE, FLIP, (bundle, FLIP)).way is None


def test_quarter_turns_are_kept_or_left_out_and_asked_about_without_mirrors():
    square = made("square", horizontal_flip=0.5, quarter_turns=0.75)
    decision = decide(Judge().check, BASELINE, square, (square,))
    assert decision.way == "without mirror images"
    left = weakened(square, BASELINE, decision.way).intervention.edit(BASELINE).data.augmentation
    assert left == Augmentation(quarter_turns=0.75)
    asked: list[Augmentation] = []

    def refuse(augmentation: Augmentation) -> LabelCheck:
        asked.append(augmentation)
        return BAD

    turned = made("turned", quarter_turns=0.75, crop=0.6)
    assert decide(refuse, BASELINE, turned, (turned,)).way is None
    halved = [Augmentation(crop=0.3), Augmentation(crop=0.15)]
    assert asked == [Augmentation(quarter_turns=0.75, crop=0.6), *halved]


def test_effects_are_halved_and_probabilities_are_kept_or_left_out():
    asked = []

    def ask(augmentation: Augmentation) -> LabelCheck:
        asked.append(augmentation)
        return BAD if augmentation.fog > 0.3 or augmentation.greyscale or augmentation.trivial_augment else FINE

    foggy = made("foggy", fog=0.5, effect_chance=0.8)
    decision = decide(ask, BASELINE, foggy, ())
    assert decision.way == "at half strength"
    assert [(each.fog, each.effect_chance) for each in asked] == [(0.5, 0.8), (0.25, 0.8)]
    for candidate in (made("grey", greyscale=0.2), made("trivial", trivial_augment=1.0)):
        decision = decide(ask, BASELINE, candidate, ())
        assert decision.way is None
        assert len(decision.answers) == 1


def test_a_course_over_the_training_adds_nothing_to_be_asked_about():
    assert added(BASELINE, made("course", grows_until=0.5, off_for_last=0.1).intervention.edit(BASELINE)) == {}


def test_an_augmentation_is_asked_about_as_it_fills_and_erases():
    asked: list[Augmentation] = []
    filled = changing("filled", sets("data", augmentation={"rotation": 0.05, "fill_mode": "constant"}))
    decide(lambda each: (asked.append(each), FINE)[1], BASELINE, filled, (filled,))
    assert asked == [Augmentation(rotation=0.05, fill_mode="constant")]
    assert added(BASELINE, filled.intervention.edit(BASELINE)) == {"rotation": 0.05}


def test_weakening_leaves_the_rest_of_an_edit_and_of_a_recipe_alone():
    views = changing("views", sets("data", views=3, augmentation={"zoom": 0.3, "hue": 0.0}))
    other = BASELINE.edit(data={"augmentation": {"noise": 0.1}})
    made_of = weakened(views, BASELINE, "at half strength").intervention.edit(other)
    assert made_of == other.edit(data={"views": 3, "augmentation": {"zoom": 0.15}})


def test_a_question_is_asked_once_however_many_candidates_it_concerns(desk):
    judge = Judge()
    zoomed, longer = made("zoomed", zoom=0.2), made("zoomed for longer", zoom=0.2)
    assert guard(Search(problem_with(judge), desk), POINT, (zoomed, longer)) == (zoomed, longer)
    assert judge.asked == [Augmentation(zoom=0.2)]


def test_what_the_time_leaves_unasked_is_not_tried(desk):
    dear = Judge(seconds_per_image=0.9 * 0.04 * desk.budget_seconds / 2 / 150)
    slow = problem_with(dear)
    began = desk.ledger.seconds_used()
    dear.check = lambda augmentation: (desk.ledger.add_seconds(dear.seconds_per_image * 300), FINE)[1]
    assert guard(Search(slow, desk), POINT, (FLIP, TURN, LONGER)) == (FLIP, LONGER)
    report = decided(desk.ledger, GuardReport)
    assert [entry.name for entry in report.asked] == ["flip"]
    assert report.not_asked == ("turn",)
    assert "time" in report.note
    assert desk.ledger.seconds_used() - began < 0.041 * desk.budget_seconds


def test_without_a_network_to_ask_no_augmentation_is_tried(desk, tmp_path):
    def gone(weights: Path, recipe: Recipe) -> Judge:
        raise WeightsError("the weights are gone.")

    problem = replace(problem_of(World()), ask=gone)
    assert guard(Search(problem, desk), POINT, (FLIP, LONGER)) == (LONGER,)
    assert decided(desk.ledger, GuardReport) == GuardReport("the weights are gone.", not_asked=("flip",))


def test_a_pool_of_ones_own_is_not_guarded(desk):
    judge = Judge()
    assert guard(Search(problem_with(judge, pool=(FLIP,)), desk), POINT, (FLIP,)) == (FLIP,)
    assert not judge.asked


def test_what_it_was_never_asked_about_does_not_augment():
    """A campaign that goes on with a later version finds changes that its guard never saw."""
    assert guarded(GuardReport(), BASELINE, (FLIP, LONGER, TURN)) == (LONGER,)
