"""The desk joins ledger and executor: what is claimed, begun, begun again, written down, and cut off."""

import signal
from collections.abc import Iterator
from pathlib import Path

import executor_fakes as fakes
import pytest

from convlift.errors import Interrupted
from convlift.execute.inline import InlineExecutor
from convlift.execute.job import Ended, Job, Running, lost
from convlift.ledger.fingerprint import Identity
from convlift.ledger.ledger import Ledger, open_ledger
from convlift.ledger.trials import Plan, Role
from convlift.recipe.recipe import Recipe
from convlift.recipe.trial_spec import TrialSpec
from convlift.records.outcome import NO_PROBABILITIES, EpochReport, Outcome
from convlift.search.dispatcher import GRACE_SECONDS, Dispatcher

HOUR = 3600.0


class Scripted:
    """An executor whose jobs end when and how the test says; `prompt`: at the next look, with a crash or without."""

    def __init__(self, capacity: int = 2, prompt: bool = False) -> None:
        self.capacity = capacity
        self.prompt = prompt
        self.submitted: list[Job] = []
        self.cancelled: list[tuple[int, str]] = []
        self._jobs: dict[int, Job] = {}
        self._ended: list[Ended] = []

    def submit(self, job: Job) -> None:
        self.submitted.append(job)
        self._jobs[job.id] = job

    def running(self) -> tuple[Running, ...]:
        return tuple(Running(job, 0.0) for job in self._jobs.values())

    def progress(self) -> tuple[tuple[Job, EpochReport], ...]:
        return ()

    def wait(self, timeout: float | None = None) -> tuple[Ended, ...]:
        for trial in list(self._jobs) if self.prompt else []:
            self.end(trial)
        ended, self._ended = self._ended, []
        return tuple(ended)

    def cancel(self, job: Job, reason: str) -> None:
        if job.id not in self._jobs:
            return
        self.cancelled.append((job.id, reason))
        self._ended.append(lost(self._jobs.pop(job.id), "stopped", reason, 1.0))

    def close(self, kill: bool = False) -> tuple[Ended, ...]:
        return ()

    def __enter__(self) -> "Scripted":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def end(self, trial: int, *, crashed: bool = False) -> None:
        job = self._jobs.pop(trial)
        outcome = Outcome("finished", NO_PROBABILITIES, NO_PROBABILITIES, seconds=2.0)
        self._ended.append(lost(job, "failed", "worker died", 1.0, crashed=True) if crashed else Ended(job, outcome))


def open_here(folder: Path) -> Ledger:
    return open_ledger(folder, Identity("data", Recipe(), 0, "accuracy"), heartbeat=600.0)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_here(tmp_path / "run") as made:
        yield made


def plan(number: int, role: Role = "search", fidelity: float = 1.0) -> Plan:
    return Plan(role, TrialSpec(Recipe(), 100 + number, fidelity))


def allowed(job: Job) -> float:
    return job.limits.seconds


def test_a_plan_is_claimed_run_and_written_down(ledger: Ledger) -> None:
    executor = Scripted()
    desk = Dispatcher(ledger, executor, HOUR)
    desk.begin(plan(1), 60.0)
    assert (desk.running, desk.free) == (1, 1)
    assert ledger.trials()[0].status == "claimed"
    assert desk.collect() == ()
    executor.end(1)
    (record,) = desk.collect()
    assert (record.id, record.status, record.seed) == (1, "finished", 101)
    assert (desk.running, desk.free) == (0, 2)
    (job,) = executor.submitted
    assert (job.spec.seed, job.spec.fidelity) == (101, 1.0)
    assert Path(job.limits.save_to) == desk.weights_of(record)
    assert 50.0 < allowed(job) <= 60.0


def test_complete_runs_what_is_missing_in_order_and_no_more_at_once_than_fit(ledger: Ledger) -> None:
    ran: list[int] = []

    def run(job: Job, context: object, report: object) -> Outcome:
        ran.append(job.spec.seed)
        assert len(ledger.trials()) == len(ran)  # claimed only when it can begin
        return Outcome("finished", NO_PROBABILITIES, NO_PROBABILITIES)

    with InlineExecutor(run, lambda: None) as executor:
        desk = Dispatcher(ledger, executor, HOUR)
        plans = [plan(number, "baseline") for number in range(3)]
        first = desk.complete(plans[1:2], lambda plan: 60.0)
        records = desk.complete(plans, lambda plan: 60.0)
    assert ran == [101, 100, 102]
    assert [record.seed for record in records] == [100, 101, 102]
    assert records[1].id == first[0].id
    assert len(ledger.trials()) == 3


def test_whether_a_plan_begins_is_asked_once_a_worker_is_free_for_it(ledger: Ledger) -> None:
    ran: list[int] = []
    asked: list[tuple[int, int]] = []

    def run(job: Job, context: object, report: object) -> Outcome:
        ran.append(job.spec.seed)
        return Outcome("finished", NO_PROBABILITIES, NO_PROBABILITIES)

    def may_begin(wanted: Plan) -> bool:
        asked.append((wanted.spec.seed, len(ran)))
        return wanted.spec.seed != 101

    with InlineExecutor(run, lambda: None) as executor:
        desk = Dispatcher(ledger, executor, HOUR)
        records = desk.complete([plan(number, "final") for number in range(4)], lambda plan: 60.0, may_begin)
    assert ran == [record.seed for record in records] == [100, 102, 103]
    assert [seed for seed, _ in asked] == [100, 101, 102, 103]
    assert [done for _, done in asked] == sorted(done for _, done in asked)
    assert asked[-1][1] > 0
    assert len(ledger.trials()) == 3  # what does not begin is not claimed


def test_what_ended_is_written_down_before_a_request_to_stop_is_obeyed(ledger: Ledger) -> None:
    executor, watched = Scripted(), list[int]()
    desk = Dispatcher(
        ledger, executor, HOUR, stop=lambda: signal.SIGTERM, watch=lambda desk: watched.append(desk.running)
    )
    desk.begin(plan(1), 60.0)
    desk.begin(plan(2), 60.0)
    executor.end(1)
    with pytest.raises(Interrupted) as caught:
        desk.collect()
    assert caught.value.exit_code == 128 + signal.SIGTERM
    assert [trial.status for trial in ledger.trials()] == ["finished", "claimed"]
    assert watched == [1]


def test_what_was_left_behind_waits_until_it_is_asked_for_and_told_its_time(tmp_path: Path) -> None:
    with open_here(tmp_path / "run") as ledger:
        desk = Dispatcher(ledger, Scripted(), HOUR)
        desk.begin(plan(1, "baseline"), 60.0)
        desk.begin(plan(2), 60.0)
    with open_here(tmp_path / "run") as ledger:
        executor = Scripted(3)
        desk = Dispatcher(ledger, executor, HOUR)
        assert (desk.running, executor.submitted) == (0, [])
        desk.take_up("search", 20.0)
        desk.take_up("search", 20.0)  # it has been taken up already
        assert [(job.id, job.spec.seed) for job in executor.submitted] == [(2, 102)]
        assert allowed(executor.submitted[0]) <= 20.0
        executor.prompt = True
        (record,) = desk.complete([plan(1, "baseline")], lambda plan: 30.0)
        assert (record.id, record.attempt, record.status) == (1, 1, "finished")
        assert [job.id for job in executor.submitted] == [2, 1]
        assert 20.0 < allowed(executor.submitted[1]) <= 30.0
        assert [trial.status for trial in ledger.trials()] == ["finished", "finished"]


def test_a_probe_is_found_again_where_another_budget_gives_it_another_fidelity(ledger: Ledger) -> None:
    executor = Scripted(prompt=True)
    desk = Dispatcher(ledger, executor, HOUR)
    (first,) = desk.complete([plan(1, "start", fidelity=0.3)], lambda plan: 60.0)
    (again,) = desk.complete([plan(1, "start", fidelity=0.5)], lambda plan: 60.0)
    assert (again.id, again.fidelity) == (first.id, 0.3)
    assert len(executor.submitted) == 1


def test_a_crash_is_tried_again_by_the_same_deadline_and_three_are_a_failure(ledger: Ledger) -> None:
    executor = Scripted()
    desk = Dispatcher(ledger, executor, HOUR)
    desk.begin(plan(1), 60.0)
    for attempt in (2, 3):
        executor.end(1, crashed=True)
        assert desk.collect() == ()
        assert desk.running == 1
        assert ledger.trial(1).attempt == attempt
    assert len(executor.submitted) == 3
    assert len({(job.id, job.spec, job.limits.save_to) for job in executor.submitted}) == 1
    first, second, third = (job.limits.seconds for job in executor.submitted)
    assert first == 60.0 >= second >= third > 0.0
    executor.end(1, crashed=True)
    (record,) = desk.collect()
    assert (record.status, desk.running) == ("failed", 0)
    assert record.outcome is not None
    assert "3 attempts" in record.outcome.reason
    assert len(ledger.trials()) == 1


def test_a_trial_that_hangs_is_cut_off_long_after_its_deadline(ledger: Ledger) -> None:
    executor = Scripted()
    desk = Dispatcher(ledger, executor, 2 * GRACE_SECONDS)
    desk.begin(plan(1), -GRACE_SECONDS + 5.0)  # late, but it may still be writing down what it has
    desk.begin(plan(2), -GRACE_SECONDS - 1.0)
    assert desk.collect() == ()
    (record,) = desk.collect()
    assert [trial for trial, _ in executor.cancelled] == [2]
    assert (record.id, record.status) == (2, "stopped")
    assert desk.running == 1


def test_the_grace_of_a_long_campaign_is_longer(ledger: Ledger) -> None:
    executor = Scripted()
    desk = Dispatcher(ledger, executor, 10 * HOUR)
    desk.begin(plan(1), -1000.0)
    desk.begin(plan(2), -2000.0)
    desk.collect()
    assert [trial for trial, _ in executor.cancelled] == [2]


def test_the_budget_counts_every_process(tmp_path: Path) -> None:
    with open_here(tmp_path / "run") as ledger:
        ledger.add_seconds(1000.0)
        assert 2590.0 < Dispatcher(ledger, Scripted(), HOUR).left() <= 2600.0
    with open_here(tmp_path / "run") as ledger:
        ledger.add_seconds(500.0)
        assert 2090.0 < Dispatcher(ledger, Scripted(), HOUR).left() <= 2100.0


def test_weights_of_ended_search_runs_and_probes_go_except_the_best(ledger: Ledger) -> None:
    executor = Scripted(5, prompt=True)
    desk = Dispatcher(ledger, executor, HOUR)
    roles: tuple[Role, ...] = ("baseline", "start", "search", "search")
    for number, role in enumerate(roles):
        desk.begin(plan(number, role), 60.0)
    desk.collect()
    executor.prompt = False
    desk.begin(plan(9), 60.0)
    for record in ledger.trials():
        desk.weights_of(record).parent.mkdir(exist_ok=True)
        desk.weights_of(record).touch()
    desk.discard_weights(keep=[ledger.trial(3)])
    left = [record.id for record in ledger.trials() if desk.weights_of(record).exists()]
    assert left == [1, 3, 5]  # the run of the baseline, the one kept, the one that still runs


def test_real_failures_are_outcomes(ledger: Ledger, tmp_path: Path) -> None:
    with InlineExecutor(fakes.run, fakes.prepare_in(tmp_path)) as executor:
        desk = Dispatcher(ledger, executor, HOUR)
        plans = [Plan("search", TrialSpec(Recipe(), kind)) for kind in (fakes.FINE, fakes.RAISES, fakes.DIVERGES)]
        records = desk.complete(plans, lambda plan: 60.0)
    assert [record.status for record in records] == ["finished", "failed", "diverged"]


class Telling(Scripted):
    """Reports whatever the test puts into `told`."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[Job, EpochReport]] = []

    def progress(self) -> tuple[tuple[Job, EpochReport], ...]:
        told, self.told = self.told, []
        return tuple(told)


def epoch_of(number: int, phase: str = "train") -> EpochReport:
    return EpochReport(phase, number, 10, 1.0, 0.5, 1.0, 0.5, 1e-3, 1.0)  # type: ignore[arg-type]


def test_a_slower_machine_shows_in_the_epochs_of_what_runs(ledger: Ledger) -> None:
    executor = Telling()
    desk = Dispatcher(ledger, executor, HOUR)
    desk.begin(plan(1), HOUR)
    assert desk.slowdown(lambda record: 1e-9) == 1.0  # nothing was reported yet
    (job,) = executor.submitted
    executor.told = [(job, epoch_of(0))]
    desk.collect()
    assert desk.heard == ((job, epoch_of(0)),)
    assert desk.slowdown(lambda record: 1e-9) == 1.0  # a tenth says too little
    executor.told = [(job, epoch_of(5))]
    desk.collect()
    assert desk.slowdown(lambda record: 1e-9) > 1.0
    assert desk.slowdown(lambda record: HOUR) == 1.0  # quicker than predicted is no slowdown
    executor.told = [(job, epoch_of(9, "head"))]
    desk.collect()
    assert desk.heard[0][1].phase == "head"


def test_the_trials_of_a_role_are_stopped_and_no_others(ledger: Ledger) -> None:
    executor = Telling()
    desk = Dispatcher(ledger, executor, HOUR)
    desk.begin(plan(1, "search"), HOUR)
    desk.begin(plan(2, "baseline"), HOUR)
    desk.cancel("search", "the machine became slower")
    (record,) = desk.collect()
    assert (record.role, record.status) == ("search", "stopped")
    assert desk.running == 1


def test_where_the_budget_is_no_time_no_trial_has_a_limit(ledger: Ledger) -> None:
    executor = Telling()
    desk = Dispatcher(ledger, executor, float("inf"))
    desk.begin(plan(1), float("inf"))
    assert [job.limits.seconds for job in executor.submitted] == [float("inf")]
    desk.collect()
    assert desk.left() == float("inf")
