"""A plan as a file: what is written is read back, and every fault is told at once, with its line."""

import re
import string

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from convlift.data.plan_file import read_plan, text_of, write_plan
from convlift.errors import ConvliftError
from convlift.records.data_plan import STATES, DataPlan, Entry

FINGERPRINT = "0123456789abcdef" * 4
PLAN = DataPlan(
    "flowers",
    400,
    FINGERPRINT,
    {"data": "/home/me/my flowers", "alpha": "black"},
    (
        Entry("exclude", "accepted", ("rose/1.jpg",), "The very same: tulip/2.jpg.", beside=("tulip/2.jpg",)),
        Entry("exclude", "to review", ("train/a b.jpg",), "Flat.", part="train"),
        Entry("keep together", "accepted", ("a/1.jpg", "a/2.jpg"), "2 images show nearly the same."),
        Entry("keep together", "to review", (), "Named so.", groups=r"(?i)((?<![a-z])(?:patient)[-_ ]?[a-z]?[0-9]+)"),
        Entry("resplit", "rejected", (), "5 of 150 leak."),
        Entry("relabel", "to review", ("no",), 'Looks like "7", 98%.', label="no", suggested="007"),
    ),
)


def written(tmp_path, text):
    path = tmp_path / "plan.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_is_written_is_read_back_the_same(tmp_path):
    path = write_plan(tmp_path / "plan.yaml", PLAN)
    assert read_plan(path) == PLAN
    text = path.read_text()
    assert text == text_of(PLAN)
    assert "- image: rose/1.jpg\n  beside:\n  - tulip/2.jpg\n" in text
    assert text.startswith("# What `convlift audit` proposes.")
    lines = text.splitlines()
    assert all(lines[each.line - 1].startswith("- ") for each in read_plan(path).entries)


def test_other_programs_read_it_as_the_same_yaml():
    plain = yaml.safe_load(text_of(PLAN))
    assert plain["relabel"] == [
        {"image": "no", "label": "no", "suggested": "007", "reason": 'Looks like "7", 98%.', "state": "to review"}
    ]
    assert plain["read"] == PLAN.reading
    assert list(plain) == ["convlift plan", "data", "images", "fingerprint", "read", *(
        "exclude", "keep together", "resplit", "relabel"
    )]  # fmt: skip


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1) | st.text(
    st.sampled_from(string.printable), min_size=1
)


@given(NAMES, NAMES, st.sampled_from(STATES))
def test_any_name_survives(name, reason, state):
    entry = Entry("exclude", state, (name,), reason, beside=(reason, name))
    text = text_of(DataPlan(name, 1, FINGERPRINT, {}, (entry,)))
    found = yaml.safe_load(text)
    assert found["data"] == name
    (own,) = found["exclude"]
    assert (own["image"], own["reason"], own["beside"], own["state"]) == (name, reason, [reason, name], state)


def test_all_faults_are_told_at_once_with_their_lines(tmp_path):
    faulty = f"""\
convlift plan: 1
data: flowers
images: many
fingerprint: {FINGERPRINT}
exclude:
- image: a.jpg
  state: acepted
- state: accepted
- imag: b.jpg
  state: accepted
keep together:
- images: [a.jpg]
  state: accepted
- images: a.jpg
  state: accepted
relabel:
- image: a.jpg
  label: rose
  suggested: rose
  state: rejected
- image: a.jpg
  image: b.jpg
  state: [accepted]
resplits: []
"""
    with pytest.raises(ConvliftError) as refused:
        read_plan(written(tmp_path, faulty))
    said = str(refused.value)
    told = re.findall(r"line (\d+): ([^;]+)", said)
    assert [int(line) for line, _ in told] == [24, 6, 8, 9, 12, 14, 17, 22, 23, 3]
    assert "did you mean 'resplit'?" in said
    assert "state 'acepted' is not known" in said
    assert "an entry of 'exclude' has no image" in said
    assert "did you mean 'image'?" in said
    assert "'image' stands there twice" in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty"),
        ("recipe: plain\n", "no plan of convlift"),
        ("convlift plan: 9\n", "a plan of version 9"),
        ("convlift plan: [1\n", "is not valid YAML: line 2"),
        ("[" * 5000, "nested too deep"),
        ("- 1\n", "no plan of convlift"),
        ("a: \x00\n", "cannot be read"),
        ("convlift plan: 1\nexclude: 3\nimages: 1\n", "'exclude' is no list"),
        ("convlift plan: 1\nimages: 1\n", "fingerprint is not the 64 characters"),
        ("convlift plan: 1\nexclude: &a [*a]\n", "plan.yaml"),
    ],
)
def test_what_is_no_plan_is_one_sentence(tmp_path, text, said):
    with pytest.raises(ConvliftError, match=re.escape(said)) as refused:
        read_plan(written(tmp_path, text))
    assert "\n" not in str(refused.value)


def test_no_object_is_made_of_a_tag(tmp_path):
    text = text_of(PLAN).replace("data: flowers", "data: !!python/object/apply:os.getcwd []")
    with pytest.raises(ConvliftError, match="a list or fields stand where one value is needed"):
        read_plan(written(tmp_path, text))


def test_what_cannot_be_read_is_said(tmp_path):
    with pytest.raises(ConvliftError, match="No such file"):
        read_plan(tmp_path / "none.yaml")
    with pytest.raises(ConvliftError, match="it is no file"):
        read_plan(tmp_path)
