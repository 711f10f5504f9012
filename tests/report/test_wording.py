"""Every kind of record that a room below hands up has its words, and comes back from the ledger as it was."""

import dataclasses
import json
from typing import Any, Literal, get_args, get_type_hints

import pytest
from pydantic import TypeAdapter

from convlift.catalogue.diagnose import Diagnosis
from convlift.catalogue.reasons import NotTried, Why
from convlift.catalogue.symptoms import Symptom
from convlift.catalogue.unfit import Condition, InvalidRecipe, Misfit, Unfit, Unmet
from convlift.records.confidence import FittedOn
from convlift.records.evidence_of_checks import Look
from convlift.records.evidence_of_symptoms import Evidence, FewImages, LossNotFinite, LossStillFalls
from convlift.records.given_network import Scaling
from convlift.records.goal import Goal
from convlift.records.not_shipped import NotShipped, Shortened
from convlift.records.notes import Arm, Detectable, LostRuns, NotAsked, Note, RegisterTrouble, SlowPrediction
from convlift.records.recipe_findings import (
    Confirmed,
    Fault,
    FewEpochs,
    OverAugmented,
    OverRegularized,
    RecipeFinding,
    Strengths,
    Suspected,
    WrongLearningRate,
)
from convlift.records.result import Result, Verdict
from convlift.records.verdict_grounds import (
    Estimated,
    Ground,
    NeverOn,
    OverFolds,
    ProvenOnTheTest,
    Ruinous,
    StartedFrom,
    Unexplained,
)
from convlift.report.wording.checks_in_words import look_in_words
from convlift.report.wording.choice_of_changes import not_tried_in_words, unfit_in_words, why_in_words
from convlift.report.wording.diagnoses import evidence_in_words, sentence
from convlift.report.wording.headline import shortened_phrase, why_sentence
from convlift.report.wording.note_sentences import note_sentence
from convlift.report.wording.recipe_faults import fault_in_words, finding_in_words
from convlift.report.wording.verdict_reasons import reason_in_words, unexplained_in_words

WHY = Why((Symptom.OVERFIT,), (Symptom.UNDERFIT,), 0.25, 7)
# a value for every type that a field may have; figures that can be found again in the words
VALUES: dict[Any, Any] = {
    int: 12,
    float: 0.125,
    str: "a name",
    tuple[str, ...]: ("convnet",),
    Strengths: (("rotation", 0.125),),
    Condition: "no change",
    Why: WHY,
    Arm: "baseline",
    Literal["folder unreadable", "files unreadable", "not writable"]: "not writable",
    bool: True,
    float | None: 0.125,
    tuple[tuple[str, str, str], ...]: (("digits-1", "accuracy", "2026-01-02"),),
    tuple[tuple[str, int], ...]: (("transfer", 3), ("residual", 2)),
    tuple[float | None, ...]: (0.5, None),
    Literal["dropout", "activation", "normalization"]: "dropout",
    Literal["no time", "arrays", "no predictions"]: "arrays",
    Fault: FewEpochs(1, 4),
    Evidence: FewImages(12.0),
    FittedOn: "validation",
    Scaling: "unit",
    int | None: 12,
    Goal: "shifted",
}


def of_kind(record: type) -> Any:
    """A record of that kind, made from the types of its fields."""
    fields = (field for field in dataclasses.fields(record) if field.name != "kind")
    return record(*("log-loss" if field.name == "metric" else VALUES[field.type] for field in fields))


UNIONS = {
    "evidence": (Evidence, evidence_in_words),
    "look": (Look, look_in_words),
    "fault": (Fault, fault_in_words),
    "recipe finding": (RecipeFinding, finding_in_words),
    "unfit": (Unfit, unfit_in_words),
    "not tried": (NotTried, not_tried_in_words),
    "note": (Note, note_sentence),
    "ground": (Ground, lambda ground: reason_in_words(verdict(ground))),
}
KINDS = [
    pytest.param(*UNIONS[name], kind, id=f"{name} {kind.__name__}")
    for name in UNIONS
    for kind in get_args(UNIONS[name][0])
]


def verdict(ground: Ground, label: str = "undecided", points: float = 0.9, trials: int = 14) -> Verdict:
    return Verdict(
        "flip",
        "data",
        label,
        points,
        points - 1,
        points + 1,
        0.85,
        trials,
        1.0,
        False,
        ground,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(("union", "in_words", "kind"), KINDS)
def test_every_kind_has_words_and_comes_back(union: Any, in_words: Any, kind: type) -> None:
    record = of_kind(kind)
    words = in_words(record)
    assert words.strip() == words != ""
    assert not words.endswith("..")
    plain = json.loads(json.dumps(dataclasses.asdict(record), allow_nan=False))
    assert TypeAdapter(union).validate_python(plain) == record
    assert type(TypeAdapter(union).validate_python(plain)) is kind


@pytest.mark.parametrize("union", [union for union, _ in UNIONS.values()], ids=list(UNIONS))
def test_kinds_of_one_union_are_told_apart(union: Any) -> None:
    kinds = [kind.__dataclass_fields__["kind"].default for kind in get_args(union)]
    assert len(set(kinds)) == len(kinds)


def test_what_the_unions_hold_in_common_is_the_same() -> None:
    assert set(get_args(Misfit)) <= set(get_args(Unfit)) <= set(get_args(NotTried))


@pytest.mark.parametrize("condition", get_args(Condition))
def test_every_condition_has_words(condition: Condition) -> None:
    assert unfit_in_words(Unmet(condition))


@pytest.mark.parametrize("symptom", Symptom)
def test_every_symptom_is_named(symptom: Symptom) -> None:
    diagnosis = Diagnosis(symptom, FewImages(12.0))
    assert sentence(diagnosis) == f"{symptom.value}: 12 training images a class"
    plain = json.loads(json.dumps(dataclasses.asdict(diagnosis)))
    assert TypeAdapter(Diagnosis).validate_python(plain) == diagnosis


def test_a_message_is_passed_on_as_it_is() -> None:
    assert evidence_in_words(LossNotFinite("the loss became nan")) == "the loss became nan"
    assert evidence_in_words(LossNotFinite("")) == "the loss stopped being finite"
    assert not_tried_in_words(InvalidRecipe("width 0 is too small")) == "width 0 is too small"


def test_one_epoch_is_singular() -> None:
    assert evidence_in_words(LossStillFalls(0.5, 0.4, 1)).endswith("0.500 to 0.400 in the last epoch")
    found = finding_in_words(Confirmed(FewEpochs(1, 4), 0.88, 0.939))
    assert (
        found
        == "Your recipe is trained for too few epochs: 0.880 after 1 epoch, 0.939 after 4, on the validation images."
    )


def test_a_suspicion_says_how_to_find_out() -> None:
    cases = {
        FewEpochs(1, 4): "train it for 4 epochs.",
        WrongLearningRate(1e-5, 1e-4): "train it at 0.0001.",
        OverAugmented((("rotation", 0.2),)): "train it without its augmentation.",
        OverRegularized((("stage_dropout", 0.9), ("l2", 0.1))): "train it without regularization.",
    }
    for fault, remedy in cases.items():
        said = finding_in_words(Suspected(fault, FewImages(12)))
        assert said == f"Your recipe may be {fault_in_words(fault)}: 12 training images a class. To find out, {remedy}"


def test_a_learning_rate_is_wrong_on_the_side_of_the_other_one() -> None:
    assert fault_in_words(WrongLearningRate(0.1, 0.01)) == "trained with a learning rate that is too high"
    assert fault_in_words(WrongLearningRate(1e-5, 1e-4)) == "trained with a learning rate that is too low"


def test_why_a_change_is_tried_names_symptoms_and_source() -> None:
    assert why_in_words(WHY) == "for it: overfit; against it: underfit; expected +0.25 points (7 past campaigns)"
    assert why_in_words(Why((), (), -0.1, 1)).endswith("expected -0.10 points (1 past campaign)")
    assert why_in_words(Why((), (), 0.2, 0, "+0.2 on ImageNet")).endswith("(published: +0.2 on ImageNet)")
    assert why_in_words(None) == ""


def test_a_verdict_s_reason_has_its_figures() -> None:
    share = "+0.9 points, interval -0.1 to +1.9"
    seen, helps = "switched on in 14 of 30 trials", "helps with probability 0.85"
    cases = [
        (Estimated(30), "undecided", f"{seen}; {share}; the interval includes zero"),
        (Estimated(30), "likely", f"{seen}; {share}; {helps}, but the sealed test alone does not prove it"),
        (Estimated(30), "harmful", f"{seen}; {share}; {helps} only"),
        (Ruinous(30), "harmful", f"{seen}; every run with it failed to learn, and nothing else explains that"),
        (
            ProvenOnTheTest(30, 1.9, 0.01, 2),
            "proven",
            f"{seen}; +1.9 points on the sealed test (p = 0.010 after correction for the 2 changes that ship). Its "
            f"share, {share}, also allows for interactions with other changes",
        ),
        (StartedFrom(), "proven", f"every one of the 14 trials started from it; {share}; the interval lies above zero"),
        (
            OverFolds(2, 3, 1),
            "likely",
            f"searched in 2 of 3 folds and shipped in 1; mean share {share}; helps with probability 0.85 on average",
        ),
    ]  # fmt: skip
    for ground, label, words in cases:
        assert reason_in_words(verdict(ground, label)) == words
    sure = dataclasses.replace(verdict(Estimated(30)), low=0.1)
    assert reason_in_words(sure).endswith("helps with probability 0.85: too little to call")
    nothing = "never switched on, so nothing is known of it"
    assert reason_in_words(verdict(NeverOn(), trials=0)) == nothing
    assert reason_in_words(verdict(OverFolds(1, 3, 1), trials=0)).endswith(f"shipped in 1; {nothing}")
    assert "p < 0.001 after correction for the one change" in reason_in_words(
        verdict(ProvenOnTheTest(30, 1.9, 1e-9, 1))
    )
    assert "the one trial started" in reason_in_words(verdict(StartedFrom(), trials=1))
    assert "-0.0" not in reason_in_words(verdict(Estimated(30), points=-0.01))


def test_a_large_remainder_is_a_warning() -> None:
    assert unexplained_in_words(Unexplained(6.0, 9.0)).startswith("+6.0 of +9.0 points are not explained by the shares")


REASONS_NOT_TO_SHIP = get_args(get_type_hints(NotShipped)["why"])
NEVER_JUDGED = ("baseline failed", "no time for the baseline", "final runs failed, unjudged", "no time for final runs")
TROUBLES = get_args(get_type_hints(RegisterTrouble)["trouble"])


@pytest.mark.parametrize("why", REASONS_NOT_TO_SHIP)
def test_every_reason_not_to_ship_has_a_sentence(why: Any) -> None:
    said = why_sentence(NotShipped(why, "the loss became nan"))
    assert said[0].isupper()
    assert said.endswith(".")
    # a reader must not wait for a proof that nobody has made, and the headline says so once
    assert said.startswith("Not judged") == (why in NEVER_JUDGED)
    assert "()" not in why_sentence(NotShipped(why))
    assert NotShipped(why).wants_time == said.startswith("Not judged: no time")


@pytest.mark.parametrize("kind", get_args(Note), ids=lambda kind: kind.__name__)
def test_every_note_is_made_of_whole_sentences(kind: type) -> None:
    said = note_sentence(of_kind(kind))
    assert said[0].isupper() or said[0].isdigit() or said.startswith(("log-loss", "+"))
    assert said.endswith(".")


@pytest.mark.parametrize("trouble", TROUBLES)
def test_every_trouble_with_the_register_has_a_sentence(trouble: Any) -> None:
    said = note_sentence(RegisterTrouble(trouble, "/home/me/.cache", "Permission denied", 1))
    assert "the register of opened tests in /home/me/.cache" in said
    assert ("Permission denied" in said) == (trouble != "files unreadable")
    assert said.endswith(".")
    assert not said.endswith("..")


def test_a_result_comes_back_with_every_kind_of_record_that_it_may_hold(result: Result) -> None:
    notes = tuple(of_kind(kind) for kind in get_args(Note))
    found = tuple(of_kind(kind) for kind in get_args(RecipeFinding))
    verdicts = tuple(verdict(of_kind(kind)) for kind in get_args(Ground))
    for why in REASONS_NOT_TO_SHIP:
        whole = dataclasses.replace(
            result,
            notes=notes,
            recipe_findings=found,
            verdicts=verdicts,
            why=NotShipped(why, "the loss became nan"),
            shortened=Shortened(3.5, 10, fine_tuning=True),
        )
        plain = json.loads(json.dumps(dataclasses.asdict(whole), allow_nan=False))
        back = TypeAdapter(Result).validate_python(plain)
        assert back == whole
        assert [type(note) for note in back.notes] == list(get_args(Note))


def test_one_of_something_is_singular() -> None:
    assert note_sentence(NotAsked(("hue",))).startswith("1 augmentation was not tried")
    assert note_sentence(SlowPrediction(41.26, 20.0)) == (
        "One network takes 41.26 ms for an image here, more than the 20 ms that were asked for. A smaller --backbone, "
        "or a recipe of a lower resolution, may be faster."
    )
    assert "1 baseline run and 3 final runs" in note_sentence(Detectable(60, 1, 3, 4.0, 6.0, folds=2))


def test_runs_that_were_lost_for_no_known_reason_have_no_empty_brackets() -> None:
    assert "failed to learn. The figures" in note_sentence(LostRuns(1, 6, ""))
    assert "failed to learn (the loss became nan). The figures" in note_sentence(LostRuns(1, 6, "the loss became nan"))


def test_a_shortened_training_is_told_in_epochs() -> None:
    assert shortened_phrase(Shortened(3.5, 10)) == "3.5 of its 10 epochs"
    assert shortened_phrase(Shortened(0.04, 10, fine_tuning=True)) == "less than 0.1 of its 10 epochs of fine-tuning"
