"""Groups: read from a table or from paths, never cut by a split, never in the test and elsewhere."""

import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_splits import parts, store_of

from convlift.data.groups import check_number, check_official, read_groups
from convlift.data.sealed import seal
from convlift.data.splits import make_splits
from convlift.data.store import ImageStore
from convlift.errors import ConvliftError, DataError

KEYS = ("cats/p1_a.png", "cats/p2_a.png", "dogs/p1_b.png", "dogs/p3_a.png")


def pattern(numbers: np.ndarray) -> list[int]:
    """Which numbers are equal: each replaced by the place of its first appearance among the different ones."""
    values = numbers.tolist()
    return [[*dict.fromkeys(values)].index(value) for value in values]


def table(folder: Path, text: str) -> str:
    (folder / "groups.csv").write_text(text, encoding="utf-8")
    return str(folder / "groups.csv")


def test_a_column_names_the_groups(tmp_path: Path) -> None:
    """The images' column is called path or file, else it is the first; order and further rows do not matter."""
    rows = "\n".join(f"{key},{key[5:7]},x" for key in reversed(KEYS))
    for header in ("path,patient,note", "image,patient,note"):
        where = table(tmp_path, f"{header}\n{rows}\nmore.png,p9,x\n")
        assert pattern(read_groups(f"{where}:patient", KEYS)) == [0, 1, 0, 2]
    moved = "\n".join(f"{key[5:7]},./{key}" for key in KEYS)
    found = read_groups(table(tmp_path, f"patient,file\n{moved}\n") + ":patient", KEYS)
    assert pattern(found) == [0, 1, 0, 2]


def test_a_table_may_write_accents_as_macos_does(tmp_path: Path) -> None:
    where = table(tmp_path, f"path,patient\n{unicodedata.normalize('NFD', 'café/1.png')},a\n.\\café\\2.png,b\n")
    assert pattern(read_groups(f"{where}:patient", ("café/1.png", "café/2.png"))) == [0, 1]


def test_anything_else_is_an_expression_on_the_path() -> None:
    assert pattern(read_groups("/(p[0-9]+)_", KEYS)) == [0, 1, 0, 2]
    assert pattern(read_groups("^([^/]+)/", KEYS)) == [0, 0, 1, 1]


def test_a_group_keeps_its_number_when_others_are_added() -> None:
    few, more = (read_groups("(p[0-9]+)_", keys) for keys in (KEYS, ("cats/p0_a.png", *KEYS)))
    assert more[1:].tolist() == few.tolist()
    assert (more >= 0).all()


@pytest.mark.parametrize(
    ("group_from", "message"),
    [
        ("nowhere.csv:patient", r"table of groups nowhere.csv cannot be read \(No such file"),
        ("groups.csv", "groups.csv names no column; write groups.csv:COLUMN"),
        ("p[0-9]+", "has 0 capture groups; exactly one is needed"),
        ("(p)([0-9]+)", "has 2 capture groups"),
        ("p([0-9", "neither FILE.csv:COLUMN nor a regular expression"),
        ("(p1)_", "2 of 4 images have no group .* such as cats/p2_a.png; every image needs one. Mend the expression"),
        ("(x*)p", "4 of 4 images have no group"),
    ],
)
def test_faults_are_one_sentence(group_from: str, message: str) -> None:
    with pytest.raises(ConvliftError, match=message) as caught:
        read_groups(group_from, KEYS)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("path,patient\na,1\n", "camera", "has no column 'camera'; its first line names 'path', 'patient'"),
        ("", "patient", "has no column 'patient'; its first line names none"),
        ("path,patient\na,1\n", "path", "holds the images' paths"),
        ("path,patient\ncats/p1_a.png,1\n", "patient", "3 of 4 images have no group .* Add rows for them"),
        ("path,patient\na,1\na,2\n", "patient", "names two groups for a: '1' and '2'"),
    ],
)
def test_faults_of_a_table_are_one_sentence(tmp_path: Path, text: str, column: str, message: str) -> None:
    with pytest.raises(ConvliftError, match=message):
        read_groups(f"{table(tmp_path, text)}:{column}", KEYS)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 25), st.integers(0, 60)), min_size=20, max_size=90),
    st.integers(0, 3),
)
def test_no_group_and_no_copy_is_cut_and_every_class_is_everywhere(rows: list[tuple[int, int, int]], seed: int) -> None:
    labels, groups = [row[0] for row in rows], np.array([row[1] for row in rows], np.int64)
    store = store_of(labels, [str(row[2]) for row in rows])
    try:
        splits = make_splits(store, seed, groups)
    except DataError:
        return
    assert sorted(np.concatenate(parts(splits)).tolist()) == list(range(len(rows)))
    for values in (groups, store.hashes):
        seen = [set(values[part].tolist()) for part in parts(splits)]
        assert sum(map(len, seen)) == len(set(values.tolist()))


def test_shares_and_classes_are_as_even_as_groups_allow() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(120), rng.integers(1, 20, 120))
    labels = (rng.random(len(groups)) < (0.1 + 0.6 * (groups % 3 == 0))).astype(int)
    splits = make_splits(store_of(labels.tolist()), 0, groups)
    # groups are sealed by hash, as if at random; validation is dealt out evenly from the rest
    for part, share, within in zip(parts(splits), (0.55, 0.2, 0.25), (0.1, 0.02, 0.1), strict=True):
        assert len(part) / len(groups) == pytest.approx(share, abs=within)
        assert labels[part].mean() == pytest.approx(labels.mean(), abs=0.06)


def test_the_same_seed_gives_the_same_splits_of_groups() -> None:
    groups = np.arange(200) // 5
    store = store_of([0, 1] * 100)
    same, again, other = (make_splits(store, seed, groups) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(parts(same), parts(again), strict=True))
    assert not np.array_equal(same.test, other.test)


def test_too_few_groups_of_a_class_are_refused() -> None:
    store = store_of([0] * 50 + [1] * 10)
    with pytest.raises(DataError, match=r"class '1' of made has images of 2 groups; .* need at least 3 groups"):
        make_splits(store, 0, np.arange(60) // 5)


def test_three_groups_that_hold_every_class_become_the_three_parts() -> None:
    splits = make_splits(store_of([0, 1] * 3), 0, np.array([0, 0, 1, 1, 2, 2]))
    assert [len(part) for part in parts(splits)] == [2, 2, 2]


def test_every_class_gets_a_group_in_every_part_or_the_groups_are_refused() -> None:
    """Where each class has three groups a way is found, though some groups hold two classes and some three."""
    labels, groups = [0, 0, 0, 1, 1, 1], np.array([0, 0, 1, 1, 2, 2])
    with pytest.raises(DataError, match="class '0' of made has images of 2 groups"):
        make_splits(store_of(labels), 0, groups)
    labels, groups = [0, 0, 1, 0, 1, 1, 2, 2, 0, 1, 2], np.array([0, 1, 1, 2, 2, 3, 3, 4, 5, 5, 5])
    splits = make_splits(store_of(labels), 0, groups)
    assert all(set(np.array(labels)[part]) == {0, 1, 2} for part in parts(splits))


def official(parts_of: list[str]) -> ImageStore:
    return store_of([0, 1] * (len(parts_of) // 2), official=parts_of)


def test_official_parts_are_kept_and_validation_is_carved_by_group() -> None:
    store = official(["train"] * 40 + ["test"] * 20)
    groups = np.arange(60) // 4
    splits = make_splits(store, 0, groups)
    assert splits.test.tolist() == list(range(40, 60))
    assert not set(groups[splits.train]) & set(groups[splits.validation])
    assert check_official(store, groups) == ()


def test_a_group_in_the_test_and_elsewhere_stops() -> None:
    store = official(["train"] * 4 + ["test"] * 4)
    with pytest.raises(ConvliftError, match="1 of 2 groups of the test part have images in another part too") as caught:
        check_official(store, np.array([0, 0, 1, 1, 1, 1, 2, 2]))
    assert caught.value.exit_code == 2


def test_a_group_in_training_and_validation_is_a_warning() -> None:
    store = official(["train"] * 4 + ["validation"] * 2 + ["test"] * 2)
    (finding,) = check_official(store, np.array([0, 0, 1, 1, 1, 1, 2, 2]))
    assert (finding.kind, finding.severity, finding.items) == ("leak", "warning", ("2",))


def test_a_test_of_one_group_is_refused() -> None:
    with pytest.raises(DataError, match="holds 1 group; at least 2 are needed"):
        check_number("made", np.array([3, 3, 3]))
    check_number("made", np.array([3, 3, 4]))


def test_a_data_set_knows_the_groups_of_its_parts() -> None:
    groups = np.arange(60) // 4
    store = official(["train"] * 40 + ["test"] * 20)
    dataset, _ = seal(replace(store), make_splits(store, 0, groups), groups)
    assert dataset.groups_of(dataset.splits.test).tolist() == groups[40:].tolist()  # type: ignore[union-attr]
    assert seal(store, make_splits(store, 0))[0].groups_of(dataset.splits.test) is None
