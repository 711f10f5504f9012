"""A source as a plan has it: what is left out, relabelled, kept together; and no file changed."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from convlift.data.plan_file import read_plan, write_plan
from convlift.data.readers.recognize import open_source
from convlift.data.revised import revise
from convlift.data.splits import make_splits
from convlift.data.store import data_fingerprint, names_digest, open_store, reopen_store
from convlift.errors import ConvliftError
from convlift.records.data_plan import DataPlan, Entry

RNG = np.random.default_rng(3)


def texture(side=40):
    field = cv2.GaussianBlur(RNG.normal(size=(side, side)).astype(np.float32), (0, 0), 2)
    return Image.fromarray(np.clip(128 + 60 * field / field.std(), 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """24 images of either class; b/1.png is a/0.png turned, a/2.png is a/1.png brightened."""
    root = tmp_path_factory.mktemp("revised") / "tiles"
    for name in "ab":
        (root / name).mkdir(parents=True)
        for row in range(24):
            texture().save(root / name / f"{row}.png")
    with Image.open(root / "a" / "1.png") as image:
        image.point(lambda value: min(255, value + 9)).save(root / "a" / "2.png")
    return root


def plan_for(folder, tmp_path, *entries, **changed):
    source = open_source(folder)
    plan = DataPlan("tiles", len(source.items), data_fingerprint(source), {}, entries)
    path = write_plan(tmp_path / "plan.yaml", replace(plan, **changed))
    return source, path, read_plan(path)


def test_only_what_is_accepted_changes_anything(folder, tmp_path):
    entries = [
        Entry("exclude", "to review", ("a/0.png",)),
        Entry("exclude", "rejected", ("a/3.png",)),
        Entry("relabel", "to review", ("b/0.png",), label="b", suggested="a"),
        Entry("resplit", "to review"),
    ]
    source, *plan = plan_for(folder, tmp_path, *entries)
    revised = revise(source, *plan)
    assert revised.source.items == source.items
    assert revised.applied.digest == ""
    assert (revised.applied.waiting, revised.applied.rejected) == (3, 1)
    assert data_fingerprint(revised.source) == data_fingerprint(source)


def test_what_is_accepted_is_gone_or_of_its_new_class(folder, tmp_path):
    entries = [
        Entry("exclude", "accepted", ("a/0.png",)),
        Entry("exclude", "accepted", ("b/5.png",)),
        Entry("relabel", "accepted", ("b/0.png",), label="b", suggested="a"),
        Entry("relabel", "accepted", ("b/5.png",), label="b", suggested="a"),  # left out as well: that wins
    ]
    source, *plan = plan_for(folder, tmp_path, *entries)
    revised = revise(source, *plan)
    keys = [item.key for item in revised.source.items]
    assert len(keys) == 46
    assert not {"a/0.png", "b/5.png"} & set(keys)
    assert revised.source.classes[revised.source.items[keys.index("b/0.png")].label] == "a"
    for index, key in enumerate(keys):
        assert revised.source.read(index) == (folder / key).read_bytes()
    assert [each.images for each in revised.applied.of("relabel")] == [("b/0.png",)]
    assert data_fingerprint(revised.source) != data_fingerprint(source)


def test_a_plan_is_refused_once_files_were_renamed(folder, tmp_path):
    """Each file one number up: the same images in the same order, and a/3.png is another one than the plan means."""
    moved = tmp_path / "tiles"
    for path in sorted(folder.rglob("*.png")):
        target = moved / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    order = sorted(path.name for path in (moved / "a").iterdir())
    for name, after in zip(reversed(order), reversed([*order[1:], "99.png"]), strict=True):
        (moved / "a" / name).rename(moved / "a" / after)
    source, renamed = open_source(folder), open_source(moved)
    assert data_fingerprint(source) == data_fingerprint(renamed)
    out = Entry("exclude", "accepted", ("a/3.png",))
    _, *plan = plan_for(folder, tmp_path, out, names=names_digest(source))
    assert revise(source, *plan).source.items
    with pytest.raises(ConvliftError, match=r"for other data: .* the names of tiles are others"):
        revise(renamed, *plan)
    _, *plan = plan_for(folder, tmp_path, out)  # an older plan, which tells no names
    assert revise(renamed, *plan).source.items


def test_another_plan_has_another_digest_and_the_same_decisions_the_same(folder, tmp_path):
    one = Entry("exclude", "accepted", ("a/0.png",), "because")
    digests = []
    for entries in ([one], [replace(one, reason="why not")], [replace(one, images=("a/3.png",))]):
        source, *plan = plan_for(folder, tmp_path, *entries)
        digests.append(revise(source, *plan).applied.digest)
    assert digests[0] == digests[1] != digests[2]


def test_no_split_cuts_what_is_kept_together(folder, tmp_path):
    together = ("a/7.png", "a/9.png", "b/3.png")
    source, *plan = plan_for(folder, tmp_path, Entry("keep together", "accepted", together))
    revised = revise(source, *plan)
    plain = open_store(source, tmp_path / "cache")
    store = reopen_store(open_store(revised.source, tmp_path / "cache", ties=revised.ties).folder)
    place = {key: row for row, key in enumerate(store.keys)}
    rows = [place[key] for key in together]
    was_cut = False
    for seed in range(12):
        before, splits = make_splits(plain, seed), make_splits(store, seed)
        parts = [set(rows) & set(part.tolist()) for part in (splits.train, splits.validation, splits.test)]
        assert sorted(map(len, parts)) == [0, 0, 3]
        was_cut |= len(set(rows) & set(before.test.tolist())) not in (0, 3)
        # only they, and what the quotas of their classes give or take, have moved
        assert len(set(before.test.tolist()) ^ set(splits.test.tolist())) <= 4
    assert was_cut


def test_near_copies_that_were_rejected_may_be_cut(folder, tmp_path):
    pair = ("a/1.png", "a/2.png")
    for state, apart in (("accepted", False), ("to review", False), ("rejected", True)):
        source, *plan = plan_for(folder, tmp_path, Entry("keep together", state, pair))
        revised = revise(source, *plan)
        store = open_store(revised.source, tmp_path / "cache", ties=revised.ties)
        one, other = (store.scenes[store.keys.index(key)] for key in pair)
        assert (one != other) == apart
        assert bool(revised.applied.digest) == (state != "to review")


def test_groups_are_named_by_the_plan_and_joined_by_it(folder, tmp_path):
    entries = [
        Entry("keep together", "accepted", (), groups=r"/([0-9]+)[.]png"),
        Entry("keep together", "accepted", ("a/1.png", "b/2.png")),
        Entry("keep together", "accepted", ("b/2.png", "a/3.png")),
    ]
    source, *plan = plan_for(folder, tmp_path, *entries)
    revised = revise(source, *plan)
    keys = [item.key for item in source.items]
    groups = revised.groups(None, keys)
    assert len(np.unique(groups)) == 24 - 2
    joined = {keys[row] for row in np.flatnonzero(groups == groups[keys.index("a/1.png")])}
    assert joined == {f"{name}/{row}.png" for name in "ab" for row in (1, 2, 3)}
    with pytest.raises(ConvliftError, match="both say which images belong together"):
        revised.groups("(a|b)/", keys)
    source, *plan = plan_for(folder, tmp_path, *entries[1:])
    assert revise(source, *plan).groups(None, keys) is None  # the split keeps them together by itself
    assert len(np.unique(revise(source, *plan).groups("/([0-9]+)", keys))) == 22


def test_a_plan_for_other_data_is_refused_in_one_sentence(folder, tmp_path):
    entry = Entry("exclude", "accepted", ("nowhere.png",))
    source, *plan = plan_for(folder, tmp_path, entry, images=47)
    with pytest.raises(ConvliftError, match=r"made of tiles with 47 images, and tiles has 48; make one"):
        revise(source, *plan)
    source, *plan = plan_for(folder, tmp_path, entry, fingerprint="0" * 64)
    with pytest.raises(ConvliftError, match=r"for other data: .* the files, labels or parts of tiles are others;"):
        revise(source, *plan)


def test_entries_that_the_data_do_not_know_are_told_all_at_once(folder, tmp_path):
    entries = [
        Entry("exclude", "rejected", ("a/00.png",)),
        Entry("keep together", "accepted", ("a/1.png", "gone")),
        Entry("keep together", "accepted", (), groups="(.)/"),
        Entry("keep together", "accepted", (), groups="/(.)"),
        Entry("relabel", "accepted", ("a/1.png",), label="a", suggested="bb"),
        Entry("relabel", "to review", ("a/2.png",), label="b", suggested="a"),
        Entry("relabel", "accepted", ("a/1.png",), label="a", suggested="b"),
    ]
    source, *plan = plan_for(folder, tmp_path, *entries)
    with pytest.raises(ConvliftError) as refused:
        revise(source, *plan)
    said = str(refused.value)
    for part in (
        "there is no image a/00.png; did you mean a/0.png?",
        "there is no image gone",
        "there is no class 'bb'; did you mean 'b'?",
        "a/2.png is labelled 'a', not 'b'",
        "a/1.png is given another class than in line",
        "groups are named in line",
    ):
        assert part in said
    assert said.count("line ") >= 6


def test_a_new_split_puts_official_parts_aside(tmp_path):
    for part, count in (("train", 12), ("test", 6)):
        for name in "ab":
            (tmp_path / "parts" / part / name).mkdir(parents=True)
            for row in range(count):
                texture().save(tmp_path / "parts" / part / name / f"{row}.png")
    source, *plan = plan_for(tmp_path / "parts", tmp_path, Entry("resplit", "accepted"))
    assert {item.split for item in source.items} == {"train", "test"}
    assert {item.split for item in revise(source, *plan).source.items} == {None}
