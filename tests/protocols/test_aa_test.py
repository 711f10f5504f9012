"""The A/A test: campaigns are independent, resumed and read; what the naive search claims is read from their runs."""

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from asked import asked
from rich.console import Console

from convlift.campaign.open_data import open_data
from convlift.campaign.prepare import problem_of
from convlift.campaign.request import Request
from convlift.campaign.session import Session
from convlift.errors import BudgetError, Interrupted
from convlift.evidence.null_campaigns import plain
from convlift.ledger.fingerprint import Identity
from convlift.ledger.ledger import open_ledger, read_ledger
from convlift.protocols.aa_test import SUMMARY, run_aa
from convlift.records.not_shipped import NotShipped
from convlift.records.outcome import Outcome
from convlift.records.result import Estimate, Result, Verdict
from convlift.records.verdict_grounds import Estimated
from convlift.report.terminal import print_tally

BASELINE_RUNS, SEARCHED = 2, 5


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 real digits in official parts."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images[:120] * (255 / 16)).astype(np.uint8)
    parts = {"train": slice(0, 40), "val": slice(40, 80), "test": slice(80, 120)}
    arrays = {f"{part}_images": images[rows] for part, rows in parts.items()}
    arrays |= {f"{part}_labels": digits.target[rows] for part, rows in parts.items()}
    path = tmp_path_factory.mktemp("data") / "few-digits.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture
def request_(data: Path, tmp_path: Path) -> Request:
    return asked(data, tmp_path, "aa", 30.0)


class FakeCampaigns:
    """Campaigns without a training: networks that guess, and a result that the test chose.

    interrupted: the place, counted from 0, at which somebody presses Ctrl-C, once.
    """

    def __init__(self, proven: tuple[int, ...] = (), interrupted: int | None = None) -> None:
        self.asked: list[Request] = []
        self.trained = 0
        self._proven, self._interrupted = proven, interrupted

    def __call__(self, request: Request, session: Session) -> tuple[Path, Result]:
        assert request.out is not None
        self.asked.append(request)
        place = int(request.out.name.removeprefix("campaign-")) - 1
        if place == self._interrupted:
            self._interrupted = None
            raise Interrupted("stopped on request", 2)
        dataset, _ = open_data(request, session)
        problem = problem_of(request, dataset)
        assert not problem.starts
        with open_ledger(
            request.out, Identity(dataset.store.fingerprint, problem.baseline, request.seed, "accuracy")
        ) as ledger:
            rng, sizes = np.random.default_rng(request.seed), (len(dataset.splits.validation), len(dataset.splits.test))
            plans = [problem.plan("baseline", problem.baseline, number) for number in range(BASELINE_RUNS)]
            plans += [problem.plan("search", problem.baseline, number) for number in range(SEARCHED)]
            if not ledger.trials():
                self.trained += 1
                for plan in plans:
                    guesses = (rng.dirichlet(np.ones(10), size).astype(np.float32) for size in sizes)
                    ledger.finish(ledger.claim(plan).id, Outcome("finished", *guesses))
        label = "proven" if place in self._proven else "undecided"
        change = Verdict("data placebo 1", "data", label, 0.0, -1.0, 1.0, 0.5, 3, 1.0, False, Estimated(3))
        low = 0.5 if place in self._proven else -2.0
        score = Estimate(0.1, 0.0, 0.2)
        result = Result(
            run=str(request.out), metric="accuracy", data="few-digits", baseline_name="plain", start_name="baseline",
            baseline=score, final=score, gain_points=Estimate(1.0, low, 4.0), proven=low > 0, verdicts=(change,),
            unexplained_points=0.0, trials=7, seconds=1.0, budget_seconds=30.0, optimism_points=0.3,
        )  # fmt: skip
        return request.out, result


def test_campaigns_differ_by_their_seed_alone_and_their_claims_are_counted(request_: Request) -> None:
    campaigns = FakeCampaigns(proven=(2,))
    found = run_aa(request_, 4, Session(), campaigns)
    assert len({asked.seed for asked in campaigns.asked}) == 4
    assert len({asked.out for asked in campaigns.asked}) == 4
    assert all(asked.pool and {"placebo" in each.name for each in asked.pool} == {True} for asked in campaigns.asked)
    assert (found.tally.any_change_proven.hits, found.tally.total_proven.hits, found.tally.covers_zero.hits) == (
        1,
        1,
        3,
    )
    assert found.tally.optimism.mean == pytest.approx(0.3)


def test_a_campaign_that_judged_nothing_claims_nothing(request_: Request) -> None:
    """The baseline ships, or nothing was compared: no gain is claimed. Without a baseline there is nothing to count."""
    campaigns = FakeCampaigns(proven=(1,))

    def unjudged(request: Request, *rest: object) -> tuple[Path, Result]:
        folder, result = campaigns(request, *rest)  # type: ignore[arg-type]
        place = int(folder.name.removeprefix("campaign-"))
        if place == 1:
            return folder, replace(result, judged=False, gain_points=None, proven=False, verdicts=(), ships="baseline")
        return folder, result if place == 2 else replace(result, baseline=None, gain_points=None, judged=False)

    found = run_aa(request_, 3, Session(), unjudged)
    assert [one.gain_points.value for one in found.campaigns] == [0.0, 1.0]
    assert (found.tally.total_proven.hits, found.tally.total_proven.n, found.tally.covers_zero.hits) == (1, 2, 1)


def test_without_any_baseline_the_budget_is_too_short(request_: Request) -> None:
    campaigns = FakeCampaigns()

    def bare(request: Request, *rest: object) -> tuple[Path, Result]:
        folder, result = campaigns(request, *rest)  # type: ignore[arg-type]
        return folder, replace(
            result, baseline=None, gain_points=None, judged=False, why=NotShipped("no time for the baseline")
        )

    with pytest.raises(BudgetError, match="not one campaign had time to train"):
        run_aa(request_, 2, Session(), bare)


def test_the_naive_claim_is_that_of_the_runs_in_the_ledger(request_: Request) -> None:
    found = run_aa(request_, 1, Session(), FakeCampaigns()).campaigns[0]
    dataset, sealed = open_data(replace(request_, seed=found.seed), Session())
    labels = dataset.labels[dataset.splits.validation], sealed.open()
    with read_ledger(request_.out / "campaign-001") as ledger:  # type: ignore[operator]
        runs = [*ledger.trials("baseline")[:1], *ledger.trials("search")]
        said = [(run.outcome.validation_probabilities, run.outcome.test_probabilities) for run in runs]
        baselines = [run.outcome.test_probabilities for run in ledger.trials("baseline")]
    validation = [100 * float((each[0].argmax(1) == labels[0]).mean()) for each in said]
    best = int(np.argmax(validation))
    base = np.mean([100 * float((each.argmax(1) == labels[1]).mean()) for each in baselines])
    test = 100 * float((said[best][1].argmax(1) == labels[1]).mean())
    assert found.naive.claimed_points == pytest.approx(validation[best] - validation[0])
    assert found.naive.worth_points == pytest.approx(test - base)


def test_interrupted_it_keeps_what_is_finished_and_the_same_call_continues(request_: Request) -> None:
    campaigns = FakeCampaigns(interrupted=2)
    with pytest.raises(Interrupted, match=r"campaign 3 of 4.*the same command continues") as caught:
        run_aa(request_, 4, Session(), campaigns)
    kept = json.loads((request_.out / SUMMARY).read_text())  # type: ignore[operator]
    found = run_aa(request_, 4, Session(), campaigns)
    anew = run_aa(request_, 4, Session(), campaigns)
    assert caught.value.exit_code == 130
    assert (kept["campaigns_finished"], kept["campaigns_asked"]) == (2, 4)
    assert [asdict["seed"] for asdict in kept["campaigns"]] == [each.seed for each in found.campaigns[:2]]
    assert campaigns.trained == 4
    assert anew == found


def test_where_no_campaign_can_begin_no_folder_stays(request_: Request) -> None:
    def too_short(request: Request, *_: object) -> tuple[Path, Result]:
        request.out.mkdir(parents=True)  # type: ignore[union-attr]
        request.out.rmdir()  # type: ignore[union-attr]
        raise BudgetError("budget 1s is too short.")

    with pytest.raises(BudgetError):
        run_aa(request_, 2, Session(), too_short)
    assert not request_.out.exists()  # type: ignore[union-attr]


def test_without_a_folder_the_same_question_has_one_of_its_own(request_: Request, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    folders = [
        run_aa(replace(request_, out=None, **change), 1, Session(), FakeCampaigns()).folder
        for change in ({}, {"workers": 2}, {"seed": 1}, {"budget_seconds": 60.0}, {"current": "residual"})
    ]
    assert folders[0] == folders[1]
    assert len(set(folders)) == 4
    assert all(folder.parent == Path("runs") and folder.name.startswith("few-digits-aa-") for folder in folders)


def test_the_table_fits_a_narrow_terminal_and_the_document_is_plain(request_: Request) -> None:
    found = run_aa(request_, 1, Session(), FakeCampaigns())
    text = StringIO()
    print_tally(found.tally, Console(file=text, width=80))
    assert max(len(line) for line in text.getvalue().splitlines()) <= 80
    assert "0 of 1" in text.getvalue()
    written = json.loads((found.folder / SUMMARY).read_text())
    assert written == json.loads(json.dumps(plain(found.campaigns, found.tally, 1), allow_nan=False))
    assert written["claimed"] == {"mean": 1.0, "sd": None}
