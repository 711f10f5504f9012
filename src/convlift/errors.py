"""Every error that a user can cause, in one tree.

ConvliftError              exit code 2: a sentence with the value, the rule and the remedy
├── RecipeError            an unknown key, a wrong type, a value out of range
├── DataError              exit code 3: the images or labels are at fault
│   └── UnreadableImage    one image that cannot be decoded; listed, never replaced
├── BudgetError            the time allowed is too short for what was asked
├── WeightsError           pretrained weights that are not there or do not fit
├── DiskError              exit code 75: a disk that is full or cannot be written; nothing is wrong with the data
├── LedgerError            a run folder that cannot be read, or belongs to another campaign
├── Diverged               the loss stopped being finite (a trial's fate, never a campaign's)
└── Interrupted            exit code 130, 143 or 129: Ctrl-C, SIGTERM or a closed terminal
"""


class ConvliftError(Exception):
    """A fault the user can act on; its text is the whole message."""

    exit_code = 2


class RecipeError(ConvliftError):
    """A recipe that cannot be used as written."""


class DataError(ConvliftError):
    """Images or labels that no honest model can be trained on."""

    exit_code = 3


class UnreadableImage(DataError):
    """One image that cannot be decoded."""


class BudgetError(ConvliftError):
    """A budget too small for the work. needed_seconds: what would do; None where that is not known."""

    def __init__(self, message: str, needed_seconds: float | None = None) -> None:
        super().__init__(message)
        self.needed_seconds = needed_seconds


class WeightsError(ConvliftError):
    """Pretrained weights that are missing or do not fit the network."""


class DiskError(ConvliftError):
    """A disk that is full, or a folder that cannot be written; the same command goes on once there is room."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: try again later


class LedgerError(ConvliftError):
    """A ledger that cannot be read or continued."""


class Diverged(ConvliftError):
    """The loss stopped being finite."""


class Interrupted(ConvliftError):
    """Somebody asked to stop (Ctrl-C, SIGTERM, a closed terminal); what was finished is on disk."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number
