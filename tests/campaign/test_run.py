"""`improve` as a process: killed, interrupted, continued; and the small decisions on its way to a run folder."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from convlift.campaign.campaign_identity import folder_for
from convlift.campaign.detectable_gain import power_before
from convlift.campaign.open_data import open_data
from convlift.campaign.prepare import problem_of
from convlift.campaign.request import Request
from convlift.campaign.run import run_campaign
from convlift.campaign.session import STARTUP_SECONDS, Session, seconds_of_startup
from convlift.errors import BudgetError, ConvliftError, Interrupted, LedgerError
from convlift.ledger.ledger import read_ledger
from convlift.recipe.recipe import Recipe
from convlift.report.write import REPORT
from convlift.trial.worker_task import prepare

TRAININGS = 8
TENS = "^(.*?)[0-9]?$"  # ten images a group, by the number in their names
PATIENCE = 240.0  # seconds that a busy machine is given before a test is called failed

Request_ = Callable[..., Request]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """400 real digits with official splits, so few that a training takes a second."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images[:400] * (255 / 16)).astype(np.uint8)
    parts = {"train": slice(0, 200), "val": slice(200, 290), "test": slice(290, 400)}
    arrays = {f"{part}_images": images[rows] for part, rows in parts.items()}
    arrays |= {f"{part}_labels": digits.target[:400][rows] for part, rows in parts.items()}
    path = tmp_path_factory.mktemp("data") / "few-digits.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture
def request_for(data: Path, tmp_path: Path) -> Request_:
    def make(**changes: object) -> Request:
        usual = {
            "data": str(data),
            "budget_seconds": 60.0,
            "current": "plain",
            "out": None,
            "backbone": None,
            "weights": None,
            "root": None,
            "seed": 0,
            "ship": "auto",
            "workers": 2,
            "cache": tmp_path / "cache",
        }
        return Request(**(usual | changes))  # type: ignore[arg-type]

    return make


class Improve:
    """`convlift improve` on the data, in a session of its own, as a terminal would start it."""

    def __init__(self, data: Path, small_backbone: tuple[str, Path], folder: Path, workers: int = 2) -> None:
        self.run = folder / "run"
        self.errors = folder / "stderr.txt"
        self._folder = folder
        self._command = [sys.executable, "-c", "from convlift.cli import main; main()", "improve", str(data)]
        self._command += ["--trainings", str(TRAININGS), "--out", str(self.run), "--workers", str(workers)]
        self._command += ["--backbone", small_backbone[0], "--weights", str(small_backbone[1])]

    @contextmanager
    def started(self) -> Iterator["subprocess.Popen[bytes]"]:
        environment = {**os.environ, "CONVLIFT_CACHE": str(self._folder / "cache")}
        with (
            self.errors.open("wb") as errors,
            (self._folder / "stdout.txt").open("wb") as output,
            subprocess.Popen(
                self._command, env=environment, stdout=output, stderr=errors, start_new_session=True
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    def ended(self) -> dict[int, tuple[int, float, bytes]]:
        """What may never change: seed, seconds and probabilities of every trial that has ended, by its id."""
        try:
            with read_ledger(self.run) as ledger:
                return {
                    trial.id: (trial.seed, trial.outcome.seconds, trial.outcome.validation_probabilities.tobytes())
                    for trial in ledger.trials()
                    if trial.outcome is not None
                }
        except LedgerError:  # not there yet
            return {}

    def wait_for(self, process: "subprocess.Popen[bytes]", trials: int) -> list[int]:
        """Wait until so many trials have ended; the workers' process ids."""
        until(lambda: len(self.ended()) >= trials or process.poll() is not None)
        assert process.poll() is None, self.errors.read_text()
        return children(process.pid)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="worker processes are found in /proc")


@needs_proc
def test_killed_at_a_random_moment_the_same_command_finishes(
    data: Path, small_backbone: tuple[str, Path], tmp_path: Path
) -> None:
    improve, chance = Improve(data, small_backbone, tmp_path), random.Random()
    with improve.started() as process:
        workers = improve.wait_for(process, chance.randint(1, 8))
        time.sleep(chance.random())
        process.kill()
        process.wait()
    assert len(workers) == 2
    until(lambda: not any(alive(pid) for pid in workers))
    before = improve.ended()
    assert before
    with improve.started() as process:
        code = process.wait(PATIENCE)
    assert code in (0, 4), improve.errors.read_text()
    after = improve.ended()
    assert before.items() <= after.items()
    with read_ledger(improve.run) as ledger:
        trials, result, frozen = ledger.trials(), ledger.recall("result"), ledger.recall("freeze")
        assert len(ledger.history("test opened")) == ledger.recall("result")["judged"]
    assert [trial.id for trial in trials] == sorted(after)
    assert len({trial.seed for trial in trials}) == len(trials)
    assert all(trial.attempt <= 2 for trial in trials)
    assert {trial.attempt for trial in trials if trial.id in before} == {1}
    assert frozen["sha256"] in {t.fingerprint for t in trials if t.role == "final"} or not frozen["names"]
    assert result["trials"] == len(trials)
    assert result["trainings"] == TRAININGS
    assert (improve.run / REPORT).stat().st_size > 10_000
    assert (improve.run / "model" / "recipe.yaml").is_file()
    assert not (improve.run / "trials").exists()


@needs_proc
def test_interrupted_it_leaves_a_model_and_the_same_command_continues(
    data: Path, small_backbone: tuple[str, Path], tmp_path: Path
) -> None:
    improve = Improve(data, small_backbone, tmp_path, workers=1)
    with improve.started() as process:
        workers = improve.wait_for(process, 1)
        os.killpg(process.pid, signal.SIGINT)  # a terminal's Ctrl-C reaches the worker, too
        code = process.wait(PATIENCE)
    assert code == 130, improve.errors.read_text()
    *_, last = improve.errors.read_text().splitlines()
    assert last.startswith("convlift: stopped after ")
    assert last.endswith("and the same command continues.")
    assert (improve.run / "model" / "recipe.yaml").is_file()
    until(lambda: not any(alive(pid) for pid in workers))
    before = improve.ended()
    with improve.started() as process:
        improve.wait_for(process, len(before) + 1)
        process.terminate()
        code = process.wait(PATIENCE)
    assert code == 143
    assert before.items() < improve.ended().items()
    with read_ledger(improve.run) as ledger:
        assert {trial.attempt for trial in ledger.trials() if trial.outcome is not None} == {1}
        assert ledger.recall("freeze") is None


def test_too_short_a_budget_leaves_no_folder(request_for: Request_, tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match=r"over before .* --budget \d+\w* goes on"):
        run_campaign(request_for(budget_seconds=0.5, out=tmp_path / "run", workers=1), Session())
    assert not (tmp_path / "run").exists()


def test_a_folder_that_was_there_before_stays(request_for: Request_, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(BudgetError):
        run_campaign(request_for(budget_seconds=0.5, out=tmp_path / "run", workers=1), Session())
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_a_request_to_stop_is_heard_while_images_are_decoded(request_for: Request_) -> None:
    with pytest.raises(Interrupted, match="the same command starts again") as caught:
        open_data(request_for(), Session(stop=lambda: signal.SIGINT))
    assert caught.value.exit_code == 130
    dataset, _ = open_data(request_for(), Session())
    assert len(dataset.splits.test) == 110


def test_a_start_equal_to_the_baseline_is_not_tried_twice(request_for: Request_, tmp_path: Path) -> None:
    dataset, _ = open_data(request_for(), Session())
    plain = problem_of(request_for(), dataset)
    for point in plain.starts:
        problem = problem_of(request_for(current=point.recipe), dataset)
        assert [other.name for other in problem.starts] == [p.name for p in plain.starts if p.name != point.name]
        assert problem.baseline_name == "your recipe"


def test_the_same_question_has_the_same_folder_whatever_the_budget(request_for: Request_, tmp_path: Path) -> None:
    dataset, _ = open_data(request_for(), Session())

    def folder(**changes: object) -> Path:
        request = request_for(**changes)
        return folder_for(request, dataset, problem_of(request, dataset))

    usual = folder()
    assert usual.parent == Path("runs")
    assert usual.name.startswith("few-digits-")
    assert folder(budget_seconds=9999.0, workers=7) == usual
    others = {folder(seed=1), folder(current="residual"), folder(current=Recipe()), usual}
    assert len(others) == 4


def test_metric_and_groups_are_part_of_the_question(request_for: Request_, tmp_path: Path) -> None:
    """Another metric or other groups: another folder, and nothing is mixed up in a folder that is named."""
    folders = set()
    for changes in ({}, {"metric": "kappa"}, {"group_from": TENS}, {"group_from": "^(.*)$"}):
        request = request_for(**changes)
        dataset, _ = open_data(request, Session())
        folders.add(folder_for(request, dataset, problem_of(request, dataset)))
    assert len(folders) == 4


def test_groups_reach_the_splits_of_the_workers_and_the_problem(request_for: Request_, tmp_path: Path) -> None:
    request = request_for(group_from=TENS)
    dataset, _ = open_data(request, Session())
    problem = problem_of(request, dataset)
    assert problem.test_groups is not None
    assert len(np.unique(problem.test_groups)) == 11
    worker = prepare(dataset.store.folder, 0, tmp_path / "cache", dataset.groups).dataset
    assert np.array_equal(worker.splits.train, dataset.splits.train)
    assert not set(dataset.groups[worker.splits.train]) & set(dataset.groups[worker.splits.validation])  # type: ignore[index]
    power = power_before(problem, dataset)
    assert power.groups == pytest.approx(11, abs=0.1)
    assert power.n_test == pytest.approx(110 / (1 + 9 * 0.2), rel=0.02)
    assert power.points > power_before(problem, replace(dataset, groups=None)).points


def test_an_unknown_metric_is_refused_before_anything_is_read(request_for: Request_, tmp_path: Path) -> None:
    request = request_for(metric="f1", data=str(tmp_path / "nowhere"))
    with pytest.raises(ConvliftError, match="there is no metric 'f1'"):
        run_campaign(request, Session())


def test_the_budget_counts_from_the_process_start_but_not_from_a_notebooks() -> None:
    assert 0.0 <= seconds_of_startup() <= STARTUP_SECONDS
    program = "from convlift.campaign.session import seconds_of_startup as s; print(s())"
    fresh = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert float(fresh.stdout) > 0.0
    old = "import convlift.campaign.session as c; c.STARTUP_SECONDS = 0.0; print(c.seconds_of_startup())"
    assert float(subprocess.run([sys.executable, "-c", old], capture_output=True, text=True, check=True).stdout) == 0.0
