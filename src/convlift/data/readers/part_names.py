"""Which official part the name of a folder stands for: "seg_train" is a training part, of something called seg."""

import re
import unicodedata

from convlift.data.readers.source import Split

_WORDS: dict[str, Split] = {
    **dict.fromkeys(("train", "training", "trn", "trainval"), "train"),
    **dict.fromkeys(("val", "vali", "valid", "validation", "validate", "dev", "devel", "development"), "validation"),
    **dict.fromkeys(("eval", "evaluation"), "validation"),
    **dict.fromkeys(("test", "testing", "tst", "testdev", "holdout", "heldout"), "test"),
}
_FILLERS = (
    *("set", "sets", "subset", "data", "dataset", "datasets", "split", "part", "partition", "folder", "dir", "files"),
    *("image", "images", "img", "imgs", "picture", "pictures", "pic", "pics", "photo", "photos", "sample", "samples"),
)


def part_of(name: str) -> tuple[Split, str] | None:
    """The part that a folder's name stands for, and the rest of the name: "seg_train" -> ("train", "seg").

    Any case, with or without set, data, images and the like, with or without a number behind: train, TrainingSet,
    test-data, val2017, hold_out. None where the name stands for no part, or for several.
    """
    words = _words(name)
    found = [(place, split) for place, word in enumerate(words) if (split := _split(word))]
    splits = {split for _, split in found}
    if splits == {"train", "validation"}:  # train_val is both together
        splits = {"train"}
    if len(splits) != 1:
        return None
    places, last = {place for place, _ in found}, found[-1][0]
    rest = [word for place, word in enumerate(words) if place not in places and word not in _FILLERS]
    if rest and rest[0].isdecimal() and not set(rest) & set(words[:last]):
        rest = rest[1:]
    return splits.pop(), " ".join(rest)


def _words(name: str) -> list[str]:
    plain = re.sub(r"(?i)h[eo]ld[\W_]*out", "holdout", unicodedata.normalize("NFC", name))
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])", " ", plain)
    return [word for word in re.split(r"[\W_]+", apart.lower()) if word]


def _split(word: str) -> Split | None:
    if word in _WORDS:
        return _WORDS[word]
    return next(
        (_WORDS[word[: -len(tail)]] for tail in _FILLERS if word.endswith(tail) and word[: -len(tail)] in _WORDS), None
    )
