"""Where plans become trials: claimed in the ledger, handed to the executor, and written down when they end."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from convlift.errors import Interrupted
from convlift.execute.job import Ended, Executor, Job, after
from convlift.ledger.ledger import Ledger
from convlift.ledger.trials import Plan, Role, TrialRecord
from convlift.recipe.combination import Combination
from convlift.recipe.trial_spec import Limits
from convlift.records.outcome import EpochReport
from convlift.search.timing import loading

WEIGHTS = "trials"  # folder of the trials' weights, inside the run folder
LEAST_DONE = 0.5  # of a trial's epochs, before they tell how fast it is: at first the start of it counts too much
POLL_SECONDS = 0.25  # how long a request to stop can wait
GRACE_SECONDS, GRACE_SHARE = 15.0, 0.05  # and of the budget: a trial this late does not stop by itself any more


class Dispatcher:
    """Owns the traffic between ledger and executor, and the campaign's clock.

    budget_seconds: wall clock of the whole campaign, earlier processes included; infinite where it is as long as its
    number of trainings says. stop: gives the number of the signal that asked to stop, or 0. watch: called at every
    poll. begun, heard, ended: the trials and epochs since the last poll.
    Trials that an earlier process left behind wait until `complete` or `take_up` asks for them, and says how long they
    may take.
    """

    def __init__(
        self,
        ledger: Ledger,
        executor: Executor,
        budget_seconds: float,
        *,
        stop: Callable[[], int] = lambda: 0,
        watch: Callable[["Dispatcher"], None] = lambda dispatcher: None,
    ) -> None:
        self.ledger = ledger
        self.executor = executor
        self.budget_seconds = budget_seconds
        self._stop = stop
        self._watch = watch
        self.begun: list[TrialRecord] = []
        self.heard: tuple[tuple[Job, EpochReport], ...] = ()
        self.ended: tuple[TrialRecord, ...] = ()
        self._jobs: dict[int, Job] = {}
        self._began: dict[int, float] = {}
        self._handed: dict[int, float] = {}  # the same on the campaign's clock
        self._phase_began: dict[int, float] = {}  # of the only or second phase: what comes before it tells nothing
        self._epochs: dict[int, list[float]] = {}  # seconds of each that was reported of that phase
        self._done: dict[int, float] = {}
        self._left_behind = {record.id: record for record in ledger.resume()}

    def left(self) -> float:
        """Seconds of the budget that are left; infinitely many where it is no time."""
        return self.budget_seconds - self.ledger.seconds_used()

    @property
    def running(self) -> int:
        """How many trials have been handed over and have not come back."""
        return len(self._jobs)

    @property
    def free(self) -> int:
        """How many more trials could run at once."""
        return max(0, self.executor.capacity - self.running)

    def begin(self, plan: Plan, seconds: float) -> None:
        """Claim a trial and hand it over; it stops by itself after `seconds`."""
        self._submit(self.ledger.claim(plan), seconds)

    def take_up(self, role: Role, seconds: float) -> None:
        """Begin again the trials of a role that an earlier process left behind."""
        for record in [record for record in self._left_behind.values() if record.role == role]:
            self._submit(record, seconds)

    def collect(self) -> tuple[TrialRecord, ...]:
        """The trials that ended within one poll, written down. Raises Interrupted where somebody asked to stop."""
        ended = self.executor.wait(POLL_SECONDS)
        self._listen()
        records = tuple(record for one in ended if (record := self._write_down(one)) is not None)
        self._end_what_hangs()
        self.ended = records
        self._watch(self)
        self.begun = []
        if self._stop():
            raise Interrupted("stopped on request", self._stop())
        return records

    def complete(
        self,
        plans: Iterable[Plan],
        seconds: Callable[[Plan], float],
        may_begin: Callable[[Plan], bool] = lambda plan: True,
    ) -> tuple[TrialRecord, ...]:
        """Run whatever of the plans the ledger does not hold yet; those that there are then, ended, in their order.

        seconds: what a trial of a plan is allowed that begins now; may_begin: asked when a worker is free for it,
        whether it begins at all.
        """
        wanted = list(plans)
        waiting = [plan for plan in wanted if self._is_to_begin(self._find(plan))]
        while waiting or self.running:
            while waiting and self.free:
                plan = waiting.pop(0)
                if not may_begin(plan):
                    continue
                self._submit(self._find(plan) or self.ledger.claim(plan), seconds(plan), plan.combination)
            self.collect()
        found = (self._find(plan) for plan in wanted)
        return tuple(record for record in found if record is not None and record.outcome is not None)

    def start(self, plan: Plan, seconds: Callable[[Plan], float]) -> None:
        """Begin a plan whose trial has not ended, if it is not running; `complete` waits for it."""
        record = self._find(plan)
        if self._is_to_begin(record):
            self._submit(record or self.ledger.claim(plan), seconds(plan))

    def first(self, plan: Plan, seconds: Callable[[Plan], float]) -> tuple[TrialRecord, ...]:
        """Run one plan to its end, if the ledger does not hold it yet, while what runs beside it goes on; its trial.
        There must be a free worker."""
        self.start(plan, seconds)
        while not self.has(plan) and self.running:
            self.collect()
        record = self._find(plan)
        return (record,) if record is not None else ()

    def has(self, plan: Plan) -> bool:
        """Whether the plan's trial has ended."""
        record = self._find(plan)
        return record is not None and record.outcome is not None

    def weights_of(self, record: TrialRecord) -> Path:
        """Where a trial's weights are saved."""
        return self.ledger.folder / WEIGHTS / f"{record.id}.safetensors"

    def discard_weights(self, keep: Iterable[TrialRecord]) -> None:
        """Delete the weights of search runs and first runs that have ended, except those of `keep`."""
        kept = {record.id for record in keep}
        for record in self.ledger.trials():
            if record.outcome is not None and record.role in ("search", "start") and record.id not in kept:
                self.weights_of(record).unlink(missing_ok=True)

    def _find(self, plan: Plan) -> TrialRecord | None:
        """The plan's trial. Its fidelity may have been another one: it follows from a budget that may have changed."""
        for record in self.ledger.trials(plan.role):
            if record.seed == plan.spec.seed and record.recipe == plan.spec.recipe:
                return record
        return None

    def _is_to_begin(self, record: TrialRecord | None) -> bool:
        return record is None or record.id in self._left_behind

    def _submit(self, record: TrialRecord, seconds: float, combination: Combination | None = None) -> None:
        self._left_behind.pop(record.id, None)
        save_to = "" if record.role == "low-fidelity" else str(self.weights_of(record))
        limits = Limits(seconds, save_to, gives_up=record.role in ("low-fidelity", "search"))
        self._hand_over(Job(record.id, record.spec, limits, combination=combination))
        self.begun.append(record)

    def _hand_over(self, job: Job) -> None:
        self._jobs[job.id] = job
        self._began[job.id] = time.monotonic()
        self._handed[job.id] = self.ledger.seconds_used()
        self._done.pop(job.id, None)
        self._phase_began.pop(job.id, None)
        self._epochs.pop(job.id, None)
        self.executor.submit(job)

    def slowdown(self, predict: Callable[[TrialRecord], float]) -> float:
        """How many times as long as predicted the running trials take, by the epochs that they have reported; at least
        1, and 1 where none has reported any. predict: seconds of a whole trial."""
        found = [
            self._spent(id_) / max(predict(self.ledger.trial(id_)) * self._done[id_], 1e-9)
            for id_ in self._jobs
            if self._done.get(id_, 0.0) >= LEAST_DONE
        ]
        return max([1.0, *found])

    def _spent(self, id_: int) -> float:
        """Seconds of the longest phase of a trial that runs, without what its process loaded for it."""
        return time.monotonic() - self._phase_began[id_] - loading(self._epochs[id_])

    def cancel(self, role: Role, reason: str) -> None:
        """Stop the running trials of a role at once; they come back as stopped."""
        for job in [job for job in self._jobs.values() if self.ledger.trial(job.id).role == role]:
            self.executor.cancel(job, reason)

    def _listen(self) -> None:
        self.heard = self.executor.progress()
        for job, epoch in self.heard:
            if epoch.phase != "head":  # of two phases the first is the shorter one, and no measure of the second
                self._phase_began.setdefault(job.id, max(time.monotonic() - epoch.seconds, self._began[job.id]))
                self._done[job.id] = (epoch.epoch + 1) / epoch.epochs
                self._epochs.setdefault(job.id, []).append(epoch.seconds)

    def _end_what_hangs(self) -> None:
        """The executor enforces no limit, and a trial that hangs would hold the campaign for ever."""
        latest = time.monotonic() - max(GRACE_SECONDS, GRACE_SHARE * self.budget_seconds)
        for job in self._jobs.values():
            if self._began[job.id] + job.limits.seconds < latest:
                self.executor.cancel(job, "it went on long after its time was over")

    def _write_down(self, ended: Ended) -> TrialRecord | None:
        job = self._jobs.pop(ended.job.id)
        if not ended.crashed:
            return self.ledger.finish(job.id, ended.outcome)
        again = self.ledger.retry(job.id, ended.outcome.reason, ended.cause)
        if again.outcome is None:
            self._hand_over(after(job, self.ledger.seconds_used() - self._handed[job.id]))  # a crash gains no time
            return None
        return again
