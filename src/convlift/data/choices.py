"""What the user decides where a data set can be read in several ways."""

from dataclasses import dataclass

from convlift.data.decode import Alpha
from convlift.data.readers.layout import Layout


@dataclass(frozen=True)
class Choices:
    """How the files of a data set are to be read. All of it changes the fingerprint where it changes what is read.

    layout: which folders are classes (`readers/layout.py`).
    alpha: what becomes of transparency (`decode.py`).
    follow_links: whether links may lead out of the folder.
    """

    layout: Layout = "auto"
    alpha: Alpha = "white"
    follow_links: bool = False


USUAL = Choices()
