"""The clock and the curve that a trial keeps."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from convlift.records.outcome import EpochReport
from convlift.train.micro_batches import MicroBatches

Report = Callable[[EpochReport], None]


@dataclass
class TrialClock:
    """Owns a trial's clock and its curve: training asks it for time and tells it every epoch."""

    seconds: float
    report: Report
    curve: list[EpochReport] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    stopped: bool = False
    gives_up: bool = False
    kept: float = 0.0  # seconds at the end for predicting the held-out images
    slower: float = 1.0  # times as long as when `kept` was measured a step takes by now: others use the machine too
    validated: float = 0.0  # seconds in which it was validated, so that no step was taken
    micro: MicroBatches = field(default_factory=MicroBatches)  # of all its phases
    hurried: bool = False  # its schedule was shortened to fit the time, so that it is not the recipe as written

    def late(self) -> bool:
        """Whether the time is over; from then on the trial counts as stopped."""
        self.stopped = self.stopped or self.elapsed() > self.to_train
        return self.stopped

    @property
    def to_train(self) -> float:
        """Seconds since the trial began until its training must end."""
        return self.seconds - self.slower * self.kept

    def note(self, epoch: EpochReport) -> None:
        """Keep an epoch's report and pass it on."""
        self.curve.append(epoch)
        self.report(epoch)

    def elapsed(self) -> float:
        """Seconds since the trial began."""
        return time.monotonic() - self.started
