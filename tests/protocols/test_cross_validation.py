"""`improve --cv`: campaigns made up, ledgers, last training and report real."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from asked import asked

from convlift import api
from convlift.campaign.campaign_identity import identity_of
from convlift.campaign.page_material import environment, page_material
from convlift.campaign.prepare import problem_of
from convlift.campaign.request import Request
from convlift.campaign.session import Session
from convlift.catalogue.candidates import CATALOGUE
from convlift.cli import main, with_folds
from convlift.console.progress import Progress
from convlift.data.dataset import Dataset
from convlift.data.sealed import SealedLabels
from convlift.errors import BudgetError, ConvliftError, DataError, Interrupted
from convlift.ledger.ledger import open_ledger, read_ledger
from convlift.protocols.cross_validation import run_folds
from convlift.recipe.recipe import Recipe
from convlift.records.events import FolderOpened
from convlift.records.notes import Detectable, FoldsTested
from convlift.records.outcome import Outcome
from convlift.records.result import Estimate, Result, Verdict
from convlift.records.training_events import TrainedBefore
from convlift.records.verdict_grounds import Estimated
from convlift.report.live import Live
from convlift.report.write import write_when_told
from convlift.search.decisions import SearchNoise, Shipped, Shortlist, note
from convlift.search.result_in_ledger import note_result, note_story
from convlift.search.start_decisions import Start

BASELINE_RUNS, FINALS = 2, 2
CHANGE = "batch size x0.5"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 real digits without official parts, in class folders."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images[:150] * (255 / 16)).astype(np.uint8)
    root = tmp_path_factory.mktemp("data") / "digits"
    for number, (image, label) in enumerate(zip(images, digits.target[:150], strict=True)):
        (root / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(root / str(label) / f"{number}.png")
    return root


@pytest.fixture
def request_(data: Path, tmp_path: Path) -> Request:
    return asked(data, tmp_path, "run", 600.0)


class FakeCampaigns:
    """Finished folds without a training: final networks are right on 9 of 10 images, baselines on 7.

    interrupted: the fold at which somebody presses Ctrl-C, once.
    """

    def __init__(self, interrupted: int = 0) -> None:
        self.asked: list[Request] = []
        self.tested: list[int] = []
        self._interrupted = interrupted

    def __call__(
        self,
        request: Request,
        dataset: Dataset,
        sealed: SealedLabels,
        session: Session,
    ) -> tuple[Path, Result]:
        assert request.out is not None
        assert request.fold is not None
        if request.fold.number == self._interrupted:
            self._interrupted = 0
            raise Interrupted("stopped on request", 2)
        self.asked.append(request)
        self.tested += dataset.splits.test.tolist()
        assert (dataset.labels[dataset.splits.test] == -1).all()
        problem, labels = problem_of(request, dataset), sealed.open()
        rng, classes = np.random.default_rng(request.fold.number), len(dataset.classes)

        def answers(truth: np.ndarray, rate: float) -> np.ndarray:
            named = np.where(rng.random(len(truth)) < rate, truth, rng.integers(0, classes, len(truth)))
            return np.asarray(0.9 * np.eye(classes)[named] + 0.01, np.float32)

        with open_ledger(request.out, identity_of(request, dataset, problem)) as ledger:
            session.listen(FolderOpened(request.out))
            session.listen(TrainedBefore(Path("begun")))
            shipped = _half(problem.baseline)
            plans = [(problem.plan("baseline", problem.baseline, number), 0.7) for number in range(BASELINE_RUNS)]
            for plan, rate in plans:
                outcome = Outcome("finished", *(answers(each, rate) for each in (problem.validation_labels, labels)))
                ledger.finish(ledger.claim(plan).id, outcome)
            note(ledger, Start("baseline", problem.baseline.fingerprint()))
            note(ledger, Shortlist((CHANGE,)))
            ledger.freeze(shipped, (CHANGE,))
            for number in range(FINALS):
                plan = problem.plan("final", shipped, number, (CHANGE,))
                outcome = Outcome("finished", *(answers(each, 0.9) for each in (problem.validation_labels, labels)))
                ledger.finish(ledger.claim(plan).id, replace(outcome, seconds=0.5))
            note(ledger, Shipped("recipe", 3, True, before=(1, 2), after=(3, 4)))
            score = Estimate(0.8, 0.6, 0.9)
            change = Verdict(CHANGE, "training", "proven", 2.0, 1.0, 3.0, 0.9, 3, 1.0, True, Estimated(3))
            result = Result(
                run=str(request.out), metric="accuracy", data="digits", baseline_name="plain", start_name="baseline",
                baseline=score, final=score, gain_points=Estimate(20.0, 9.0, 31.0), proven=True, verdicts=(change,),
                unexplained_points=0.0, trials=4, seconds=1.0, budget_seconds=30.0, optimism_points=0.5,
                counts={name: len(getattr(dataset.splits, name)) for name in ("train", "validation", "test")},
            )  # fmt: skip
            more = {"start_recipe": "", "minimum_detectable_points": 9.0, "environment": environment(0, 1)}
            note_story(ledger, page_material(ledger, list(ledger.trials("final")), dataset, labels, more))
            note(ledger, SearchNoise(0.5))
            note_result(ledger, result)
        return request.out, result


def _half(recipe: Recipe) -> Recipe:
    """The recipe with the change."""
    return next(each for each in CATALOGUE if each.name == CHANGE).edit(recipe)


def heard(progress: Progress) -> Session:
    """A session whose words go to the terminal and whose documents are written."""
    return Session(write_when_told(Live(progress)))


def test_folds_are_judged_together_and_what_they_agree_on_ships(
    request_: Request, capsys: pytest.CaptureFixture[str]
) -> None:
    campaigns, run = FakeCampaigns(interrupted=2), request_.out
    assert run is not None
    stopped = r"fold 2 of 3.*the same command continues"
    with Progress() as progress, pytest.raises(Interrupted, match=stopped) as caught:
        run_folds(request_, 3, heard(progress), campaigns)
    assert caught.value.exit_code == 130
    assert [request.out for request in campaigns.asked] == [run / "fold-1"]
    with Progress() as progress:
        folder, result = run_folds(request_, 3, heard(progress), campaigns)
    assert folder == run
    assert len(campaigns.asked) == 3
    assert sorted(campaigns.tested) == list(range(150))
    assert len({seed_of_its(request) for request in campaigns.asked}) == 3
    # made-up folds take no time, but all are judged as one procedure, and get the same
    given = [request.budget_seconds for request in campaigns.asked]
    assert max(given) - min(given) < 0.1 * max(given)
    assert 150 < given[0] < 200

    assert (result.folds, result.counts["test"], result.trials) == (3, 150, 13)
    assert result.counts["train"] + result.counts["validation"] == 150
    assert 10 < result.gain_points.value < 30
    assert result.proven
    (verdict,) = result.verdicts
    assert (verdict.name, verdict.label, verdict.shipped, verdict.points) == (CHANGE, "likely", True, 2.0)
    assert FoldsTested in map(type, result.notes)
    assert any(isinstance(note, Detectable) and (note.images, note.folds) == (150, 3) for note in result.notes)

    with read_ledger(run) as ledger:
        frozen, (shipped,) = ledger.recall("freeze"), ledger.trials()
    assert frozen["names"] == [CHANGE]
    assert shipped.fingerprint == frozen["sha256"]
    assert shipped.outcome is not None
    assert shipped.outcome.test_probabilities.size == 0
    assert not (run / "trials").exists()
    assert "this network itself was not tested" in (run / "model" / "README.md").read_text()
    page = (run / "report.html").read_text()
    assert "proven on all 150 images in 3 folds" in page
    assert "Every image tested once." in page
    assert page.count('<td class="number secondary">50</td>') == 3
    assert "fold 2 of 3: note: begun" in capsys.readouterr().err
    assert "note: begun" in (run / "fold-2" / "log.txt").read_text()

    before = page.encode()
    with Progress(quiet=True) as progress:
        again = run_folds(request_, 3, heard(progress), campaigns)[1]
    assert len(campaigns.asked) == 3
    assert again == result
    assert api.report(run).result == result
    assert (run / "report.html").read_bytes() == before
    with Progress(quiet=True) as progress, pytest.raises(ConvliftError, match="belongs to another campaign"):
        run_folds(request_, 4, heard(progress), campaign=campaigns)


def seed_of_its(request: Request) -> int:
    from convlift.campaign.request import seed_of

    return seed_of(request)


def test_a_budget_too_short_for_a_fold_is_said_for_the_whole(request_: Request) -> None:
    def too_short(request: Request, *rest: object) -> tuple[Path, Result]:
        raise BudgetError("budget 4s is too short: allow at least 5m.", 300.0)

    with (
        Progress(quiet=True) as progress,
        pytest.raises(
            BudgetError,
            match=r"budget 10m is too short: fold 1 of 5 has 1m\d+s of it and needs 5m; .* --budget 2\dm\d*s does",
        ),
    ):
        run_folds(request_, 5, heard(progress), too_short)
    assert request_.out is not None
    assert not request_.out.exists()


def test_what_no_cross_validation_can_be_made_of_is_refused_first(request_: Request, tmp_path: Path) -> None:
    official = tmp_path / "official.npz"
    images, labels = np.random.default_rng(0).integers(0, 255, (40, 8, 8), np.uint8), np.arange(40) % 2
    np.savez(
        official, train_images=images[:30], train_labels=labels[:30], test_images=images[30:], test_labels=labels[30:]
    )
    with Progress(quiet=True) as progress:
        with pytest.raises(ConvliftError, match=r"brings its own test or validation part.*leave out --cv") as refused:
            run_folds(replace(request_, data=str(official)), 3, heard(progress), campaign=FakeCampaigns())
        assert refused.value.exit_code == 2
        with pytest.raises(ConvliftError, match="give 2 to 10 folds"):
            run_folds(request_, 1, heard(progress), campaign=FakeCampaigns())
        scarce = replace(request_, data=str(_scarce(tmp_path)))
        with pytest.raises(DataError, match="class 'b' of scarce has 4 distinct images; 5 folds need at least 5"):
            run_folds(scarce, 5, heard(progress), campaign=FakeCampaigns())
    assert request_.out is not None
    assert not request_.out.exists()


def _scarce(folder: Path) -> Path:
    from PIL import Image

    rng = np.random.default_rng(0)
    for name, count in (("a", 20), ("b", 4)):
        (folder / "scarce" / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 255, (8, 8), np.uint8)
            Image.fromarray(pixels).save(folder / "scarce" / name / f"{number}.png")
    return folder / "scarce"


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (["improve", "d", "--cv"], ["improve", "d", "--cv", "5"]),
        (["improve", "d", "--cv", "--json"], ["improve", "d", "--cv", "5", "--json"]),
        (["improve", "d", "--cv", "3"], ["improve", "d", "--cv", "3"]),
        (["improve", "--cv", "d"], ["improve", "--cv", "5", "d"]),
        (["improve", "d"], ["improve", "d"]),
    ],
)
def test_a_bare_cv_means_five_folds(given: list[str], read: list[str]) -> None:
    assert with_folds(given) == read


def test_the_command_passes_the_folds_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["improve", "nothing-here", "--cv", "11"])
    assert ended.value.code == 2
    assert "10" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["improve", "nothing-here", "--cv", "--dry-run"])
    assert ended.value.code == 2
    assert "nothing-here" in capsys.readouterr().err


def test_real_campaigns_in_two_folds(data: Path, small_backbone: tuple[str, Path], tmp_path: Path) -> None:
    """Nothing made up: 150 digits, two campaigns of four trainings each, and the training of what ships."""
    run, (name, weights) = tmp_path / "run", small_backbone
    campaign = api.improve(data, trainings=4, cv=2, out=run, workers=1, quiet=True, backbone=name, weights=str(weights))
    result = campaign.result
    assert (result.folds, result.counts["test"]) == (2, 150)
    assert result.trainings == 4
    assert result.baseline.value > 0.5
    assert result.final.value > 0.5
    folds = [api.report(run / f"fold-{number}").result for number in (1, 2)]
    assert sum(fold.counts["test"] for fold in folds) == 150
    if all(fold.judged for fold in folds):
        scores = [fold.final.value * fold.counts["test"] for fold in folds]
        assert result.final.value == pytest.approx(sum(scores) / 150)
    assert result.trials == sum(fold.trials for fold in folds) + 1
    assert len(campaign.model.predict([np.zeros((8, 8), np.uint8)])) == 1
    assert all((each / "report.html").is_file() for each in (run, run / "fold-1", run / "fold-2"))
    assert not list(run.rglob("trials"))
