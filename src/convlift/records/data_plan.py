"""What is to be changed about a data set before anything is learned from it: entries that somebody decides on.

No file of the user's is changed by a plan: it says how the images are read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

State = Literal["accepted", "to review", "rejected"]
STATES: tuple[State, ...] = ("accepted", "to review", "rejected")

# an entry is of one of these kinds, which are the sections of the file, in this order
Kind = Literal["exclude", "keep together", "resplit", "relabel"]
KINDS: tuple[Kind, ...] = ("exclude", "keep together", "resplit", "relabel")


@dataclass(frozen=True)
class Entry:
    """One thing to decide. Only what is accepted changes anything.

    images: their paths as the data set names them: one of exclude and relabel, at least two of keep together; () where
        `groups` says which, and of resplit.
    reason: a sentence, with its figures.
    part: the official part of the image that is to be excluded, "" where there are none.
    beside: images of which the reason speaks, such as the copy that stays.
    groups: of keep together, an expression as `--group-from` takes it.
    label, suggested: of relabel, the class as it is and as it would be.
    line: where it stands in its file, 0 where it was not read.
    """

    kind: Kind
    state: State
    images: tuple[str, ...] = ()
    reason: str = ""
    part: str = ""
    beside: tuple[str, ...] = ()
    groups: str = ""
    label: str = ""
    suggested: str = ""
    line: int = field(default=0, compare=False)

    @property
    def about(self) -> tuple[object, ...]:
        """What the entry is about: the same for the same question, whatever was decided and why it was asked."""
        return (self.kind, tuple(sorted(self.images)), self.groups)

    @property
    def shown(self) -> tuple[str, ...]:
        """The images to be looked at before it is decided."""
        return (*self.images, *self.beside)


@dataclass(frozen=True)
class DataPlan:
    """What was found of a data set, to be decided entry by entry.

    data: its name; images: how many it has, unreadable ones counted.
    fingerprint: of the data that it is for (`data.store.data_fingerprint`), with `reading["alpha"]`.
    names: digest of the names of the images (`data.store.names_digest`), by which entries call them; "" of plans that
        do not tell.
    reading: where the data lie (`data`, "" in memory) and the options by which they were read that are not usual.
    """

    data: str
    images: int
    fingerprint: str
    reading: Mapping[str, str] = field(default_factory=dict)
    entries: tuple[Entry, ...] = ()
    names: str = ""

    def of(self, kind: Kind, state: State = "accepted") -> tuple[Entry, ...]:
        """The entries of a kind in a state."""
        return tuple(each for each in self.entries if each.kind == kind and each.state == state)

    def in_state(self, state: State) -> int:
        """How many entries are in it."""
        return sum(each.state == state for each in self.entries)
