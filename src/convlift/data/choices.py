"""What the user decides where a data set can be read in several ways."""

from dataclasses import dataclass

from convlift.data.decode import Alpha
from convlift.data.readers.layout import Layout


@dataclass(frozen=True)
class Choices:
    """layout: which folders are classes (`readers/layout.py`); alpha: what becomes of transparency (`decode.py`);
    follow_links: whether links may lead out of the folder.

    All of them change the data set's fingerprint where they change what is read.
    """

    layout: Layout = "auto"
    alpha: Alpha = "white"
    follow_links: bool = False


USUAL = Choices()
