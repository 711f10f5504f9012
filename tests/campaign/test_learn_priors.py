"""From the ledgers of finished campaigns to a priors file that the next campaign reads."""

import dataclasses
import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from convlift import api
from convlift.campaign.learn_priors import gather
from convlift.campaign.open_data import open_data
from convlift.campaign.request import request_of
from convlift.campaign.session import Session
from convlift.catalogue.candidates import CATALOGUE
from convlift.catalogue.priors import CATALOGUE_SD, load_expectations
from convlift.cli import main
from convlift.errors import ConvliftError, LedgerError
from convlift.ledger.fingerprint import Identity
from convlift.ledger.ledger import LEDGER_FILE, open_ledger
from convlift.recipe.built_in import built_in
from convlift.recipe.recipe import Recipe
from convlift.records.result import START, Estimate, Result, Verdict
from convlift.records.verdict_grounds import Estimated
from convlift.search.result_in_ledger import note_result

SCORE = Estimate(0.8, 0.7, 0.9)
PRIORS = {each.name: each.prior for each in CATALOGUE}


def verdict(name: str, points: float, half_width: float = 1.0, trials: int = 8) -> Verdict:
    return Verdict(
        name, "data", "likely", points, points - half_width, points + half_width, 0.9, trials, 60.0, True, Estimated(9)
    )


def campaign(
    folder: Path,
    *verdicts: Verdict,
    recipe: Recipe = built_in("plain"),
    metric: str = "accuracy",
    ended: bool = True,
    data: str = "",
    folds: int = 0,
) -> Path:
    """A run folder with as much of a finished campaign as is read here."""
    result = Result(
        run=str(folder),
        metric=metric,
        data=f"images of {folder.name}",
        baseline_name="plain",
        start_name="baseline",
        baseline=SCORE,
        final=SCORE,
        gain_points=Estimate(1.0, 0.5, 1.5),
        proven=True,
        verdicts=verdicts,
        unexplained_points=0.0,
        trials=10,
        seconds=600.0,
        budget_seconds=700.0,
        optimism_points=0.1,
        folds=folds,
    )
    identity = Identity(data or f"fingerprint of {folder.name}", Recipe(), 0, metric)
    with open_ledger(folder, identity, heartbeat=600.0) as ledger:
        if ended:
            ledger.freeze(recipe, ())
            note_result(ledger, result)
    return folder


def said_by(*arguments: object) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    return int(end.value.code or 0), out.getvalue(), err.getvalue()


def test_shares_of_two_campaigns_and_the_catalogue_meet_in_the_middle(tmp_path: Path) -> None:
    one = campaign(tmp_path / "one", verdict("horizontal flip", 3.0), verdict("zoom 15%", -1.0))
    two = campaign(tmp_path / "two", verdict("horizontal flip", 2.0))
    found = gather([one, two])
    flip = found.of("convnet", "horizontal flip")
    assert flip is not None
    assert PRIORS["horizontal flip"] < flip.points < 2.5
    assert flip.campaigns == 2
    assert flip.sd < CATALOGUE_SD
    zoom = found.of("convnet", "zoom 15%")
    assert zoom is not None
    assert -1.0 < zoom.points < PRIORS["zoom 15%"]
    origin = found.origins[1]
    assert (origin.run, origin.data, origin.fingerprint, origin.changes) == (
        "two",
        "images of two",
        "fingerprint of two",
        1,
    )


def test_only_what_was_tried_and_is_in_the_catalogue_counts(tmp_path: Path) -> None:
    folder = campaign(
        tmp_path / "one",
        verdict("horizontal flip", 3.0, trials=0),
        verdict(f"{START}residual", 9.0),
        verdict("zoom 15%, at half strength", 1.0),
        verdict("placebo 3", 1.0),
    )
    found = gather([folder])
    assert not any(found.learned.values())
    assert found.origins[0].changes == 0


def test_networks_from_scratch_and_pretrained_ones_are_kept_apart(tmp_path: Path) -> None:
    scratch = campaign(tmp_path / "one", verdict("epochs x2", 3.0))
    transfer = campaign(tmp_path / "two", verdict("epochs x2", -3.0), recipe=built_in("transfer"))
    found = gather([scratch, transfer])
    from_scratch, pretrained = found.of("convnet", "epochs x2"), found.of("pretrained", "epochs x2")
    assert from_scratch is not None
    assert pretrained is not None
    assert pretrained.points < PRIORS["epochs x2"] < from_scratch.points


def test_a_campaign_counts_once_however_it_is_named(tmp_path: Path) -> None:
    folder = campaign(tmp_path / "one", verdict("horizontal flip", 3.0))
    assert gather([folder, folder / LEDGER_FILE, tmp_path / "one" / "." / ""]) == gather([folder])


def test_what_is_no_finished_campaign_of_accuracy_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"holds no ledger\.sqlite"):
        gather([tmp_path])
    with pytest.raises(LedgerError, match="half holds a campaign that is not finished; finish it, or leave it out"):
        gather([campaign(tmp_path / "half", ended=False)])
    with pytest.raises(LedgerError, match="other was judged by log-loss, and priors are points of accuracy"):
        gather([campaign(tmp_path / "other", verdict("horizontal flip", 3.0), metric="log-loss")])


def test_the_command_writes_the_file_that_improve_reads(tmp_path: Path) -> None:
    folder = campaign(tmp_path / "one", verdict("horizontal flip", 3.0))
    path = tmp_path / "priors.json"
    code, out, err = said_by("priors", folder, "--out", path)
    assert (code, err) == (0, "")
    assert "horizontal flip" in out
    assert "from one: images of one, 1 change" in out
    assert load_expectations(path) == api.learn_priors([folder])
    code, out, _ = said_by("priors", folder, "--json")
    assert json.loads(out)["from"][0]["run"] == "one"
    assert json.loads(out) == json.loads(path.read_text())


def test_faults_are_one_sentence_and_exit_code_two(tmp_path: Path) -> None:
    code, out, err = said_by("priors", tmp_path / "nowhere")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    folder = campaign(tmp_path / "one", verdict("horizontal flip", 3.0))
    code, out, err = said_by("priors", folder, "--out", tmp_path / "no" / "such" / "priors.json")
    assert (code, out) == (2, "")
    assert "cannot be written" in err
    (tmp_path / "bad.json").write_text("[]")
    code, _, err = said_by("improve", "digits", "--priors", tmp_path / "bad.json", "--out", tmp_path / "run")
    assert code == 2
    assert "bad.json is no priors file of schema version 1" in err
    assert not (tmp_path / "run").exists()


def test_priors_that_saw_the_labels_of_these_images_are_refused(tmp_path: Path) -> None:
    digits, _ = open_data(request_of("digits", None, api.cache_folder()), Session())
    folder = campaign(tmp_path / "one", verdict("horizontal flip", 3.0), data=digits.store.fingerprint)
    path = tmp_path / "priors.json"
    api.learn_priors([folder], out=path)
    code, _, err = said_by("improve", "digits", "--priors", path, "--out", tmp_path / "run")
    assert code == 2
    assert "were learned from one, a campaign on these very images" in err
    assert not (tmp_path / "run").exists()


def test_of_a_nested_cross_validation_the_folds_are_read(tmp_path: Path) -> None:
    nest = campaign(tmp_path / "nest", verdict("horizontal flip", 9.0), folds=2)
    for number in (1, 2):
        campaign(nest / f"fold-{number}", verdict("horizontal flip", 3.0))
    found = gather([nest, nest / "fold-1"])
    assert [origin.run for origin in found.origins] == ["fold-1", "fold-2"]
    flip = found.of("convnet", "horizontal flip")
    assert flip is not None
    assert flip.points < 3.0


def test_a_damaged_share_does_not_weigh_without_bound(tmp_path: Path) -> None:
    """An interval of no width would otherwise be an infinite weight."""
    sharp = dataclasses.replace(verdict("horizontal flip", 3.0), low=3.0, high=3.0)
    flip = gather([campaign(tmp_path / "one", sharp)]).of("convnet", "horizontal flip")
    assert flip is not None
    assert flip.points < 3.0


def test_a_file_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    folder = campaign(tmp_path / "one", verdict("horizontal flip", 3.0))
    with pytest.raises(ConvliftError, match="name another file"):
        api.learn_priors([folder], out=tmp_path)
