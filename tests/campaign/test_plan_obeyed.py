"""From an audit by way of a plan to a campaign that obeys it: who is in which part, what it is called, what is told."""

import contextlib
import hashlib
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from command_line import convlift
from convlift import api, use
from convlift.campaign.open_data import open_data
from convlift.campaign.propose_plan import leave_plan
from convlift.campaign.request import request_of
from convlift.campaign.session import Session
from convlift.data.plan_file import read_plan, write_plan
from convlift.errors import ConvliftError
from convlift.ledger.ledger import read_ledger
from convlift.protocols.aa_test import _folder_for
from convlift.recipe.recipe import Recipe
from convlift.records.data_plan import Entry

LIGHT = {"dark": 70, "light": 180}
SMALL = Recipe().edit(data={"resolution": 16}, training={"epochs": 2})
CHANGED = "test/dark/3.png"  # which the plan calls light, although it is not


def digest_of(folder):
    files = sorted(folder.rglob("*.png"))
    return hashlib.sha256(b"".join(str(path).encode() + path.read_bytes() for path in files)).hexdigest()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """40 training and 20 test images of either class. train/dark/0 is test/dark/0, train/dark/1 is test/dark/1
    mirrored; train/light/5 and train/dark/5 are one image."""
    root, rng = tmp_path_factory.mktemp("plan") / "tiles", np.random.default_rng(1)
    for part, count in (("train", 40), ("test", 20)):
        for name, light in LIGHT.items():
            (root / part / name).mkdir(parents=True)
            for row in range(count):
                field = cv2.GaussianBlur(rng.normal(size=(32, 32)).astype(np.float32), (0, 0), 2)
                pixels = np.clip(light + 40 * field / field.std(), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{row}.png")
    for row, mirrored in ((0, False), (1, True)):
        with Image.open(root / "test" / "dark" / f"{row}.png") as image:
            copy = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else image.copy()
        copy.save(root / "train" / "dark" / f"{row}.png")
    (root / "train" / "light" / "5.png").write_bytes((root / "train" / "dark" / "5.png").read_bytes())
    return root


@pytest.fixture(scope="module")
def place(place):
    """It is the working folder, too."""
    with contextlib.chdir(place):
        yield place


@pytest.fixture(scope="module")
def proposed(folder, place):
    return api.audit(folder, fix=place / "proposed.yaml", label_errors=False, quiet=True)


@pytest.fixture(scope="module")
def plan(proposed, place):
    """All that was proposed but the new split accepted, and a label changed."""
    known = read_plan(place / "proposed.yaml")
    relabel = Entry("relabel", "accepted", (CHANGED,), "by hand", label="dark", suggested="light")
    entries = [replace(each, state="rejected" if each.kind == "resplit" else "accepted") for each in known.entries]
    return write_plan(place / "plan.yaml", replace(known, entries=(*entries, relabel)))


@pytest.fixture(scope="module")
def campaign(folder, plan, place):
    before = digest_of(folder)
    done = api.improve(
        folder, trainings=4, current=SMALL, keep_network=True, workers=1, plan=plan, quiet=True, device="cpu"
    )
    assert digest_of(folder) == before
    return done


def opened(folder, place, **options):
    return open_data(request_of(str(folder), None, place / "cache", **options), Session())[0]


def test_the_audit_proposes_what_was_planted(proposed, folder, place):
    plan = read_plan(place / "proposed.yaml")
    assert plan == proposed.plan
    assert [(each.kind, each.state, each.images) for each in plan.entries] == [
        ("exclude", "accepted", ("train/dark/0.png",)),
        ("exclude", "accepted", ("train/dark/5.png",)),
        ("exclude", "accepted", ("train/light/5.png",)),
        ("exclude", "to review", ("train/dark/1.png",)),
        ("resplit", "to review", ()),
    ]
    assert plan.reading == {"data": str(folder.resolve())}
    assert (plan.data, plan.images) == ("tiles", 120)


def test_the_same_audit_writes_the_same_file_and_keeps_decisions(proposed, folder, place):
    path, other = place / "proposed.yaml", place / "again.yaml"
    api.audit(folder, fix=other, label_errors=False, quiet=True)
    assert other.read_bytes() == path.read_bytes()
    decided = replace(proposed.plan, entries=(replace(proposed.plan.entries[0], state="rejected"),))
    write_plan(other, decided)
    assert leave_plan(other, proposed.plan).entries[0].state == "rejected"
    assert read_plan(other).entries[1:] == proposed.plan.entries[1:]
    write_plan(other, replace(decided, fingerprint="0" * 64))
    before = other.read_bytes()
    with pytest.raises(ConvliftError, match="holds a plan for other data than tiles; it stays as it is"):
        leave_plan(other, proposed.plan)
    assert other.read_bytes() == before
    with pytest.raises(ConvliftError, match="leave out --plan or --fix"):
        api.audit(folder, fix=path, plan=other, quiet=True)


def test_what_is_left_out_is_in_no_part_and_the_rest_where_it_was(folder, plan, place):
    plain, planned = opened(folder, place), opened(folder, place, plan=plan)
    parts = [
        {data.store.keys[row]: part for part in ("train", "validation", "test") for row in getattr(data.splits, part)}
        for data in (plain, planned)
    ]
    gone = {f"train/{key}.png" for key in ("dark/0", "dark/1", "dark/5", "light/5")}
    assert set(parts[0]) - set(parts[1]) == gone
    moved = {key for key in parts[1] if parts[0][key] != parts[1][key]}
    assert len(moved) <= 2  # the quota of a class that lost images
    assert not any(key.startswith("test") for key in moved)
    assert planned.store.findings != plain.store.findings
    assert {each.kind for each in planned.store.findings} & {"leak", "near-copy leak", "label conflict"} == set()


def test_the_plan_is_told_wherever_the_result_is(campaign, plan):
    applied = campaign.result.plan
    assert (len(applied.of("exclude")), len(applied.of("relabel")), applied.rejected) == (4, 1, 1)
    page = campaign.report.read_text(encoding="utf-8")
    section = page[page.index('<section id="plan">') :]
    for said in ("left out 4 images and gave 1 image another class", "train/light/5.png", "dark became light"):
        assert said in section
    assert "1 of the 40 test images carries a label that the plan changed" in section
    assert api.report(campaign.folder).result.plan == applied  # from the ledger


def test_the_test_is_judged_by_the_new_labels_and_told_by_the_old_ones(campaign):
    filed, claim = campaign.result.plan.as_filed, campaign.result.claim
    assert (filed.changed, filed.images) == (1, 40)
    # one image of forty is right by the one label where it is wrong by the other
    assert abs(filed.final - claim.final.value) == pytest.approx(1 / 40)
    assert abs(filed.baseline - claim.baseline.value) == pytest.approx(1 / 40)


def test_another_plan_is_another_question(campaign, plan, folder, place):
    with read_ledger(campaign.folder) as ledger:
        identity = ledger.identity
    assert identity.plan == campaign.result.plan.digest
    assert identity.data == opened(folder, place, plan=plan).store.fingerprint
    with pytest.raises(ConvliftError, match=r"belongs to another campaign: .*plan was"):
        api.improve(
            folder, trainings=4, current=SMALL, keep_network=True, workers=1, out=campaign.folder, quiet=True,
            device="cpu",
        )  # fmt: skip


def test_one_training_obeys_it_too(folder, plan, place):
    done = api.train(folder, SMALL, plan=plan, quiet=True, device="cpu")
    assert done.story.counts == {"train": 64, "validation": 12, "test": 40}
    assert 'id="plan"' in (done.folder / "report.html").read_text(encoding="utf-8")
    question = json.loads((done.folder / "training.json").read_text(encoding="utf-8"))["question"]
    assert question["plan"] == done.story.plan.digest


def test_an_evaluation_counts_the_new_labels(campaign, folder, plan):
    found = use.evaluate(campaign.folder, folder, plan=plan, quiet=True)
    (answer,) = [each for each in found.answers if each.image == CHANGED]
    assert answer.label == "light"
    assert found.plan.digest == campaign.result.plan.digest
    assert found.scores["accuracy"].value == pytest.approx(campaign.result.claim.final.value)
    everything = use.evaluate(campaign.folder, folder, part="all", plan=plan, quiet=True)
    assert everything.images == 116
    assert everything.learned_from == (str(campaign.folder),)  # known as the data that it was trained on


def test_the_data_are_known_again_without_their_plan(campaign, folder, plan, place):
    """Who evaluates on what a network learned from is told so, whether a plan changed the data then or now."""
    everything = use.evaluate(campaign.folder, folder, part="all", quiet=True)
    assert everything.images == 120
    assert everything.learned_from == (str(campaign.folder),)
    assert use.evaluate(campaign.folder, folder, quiet=True).learned_from == ()  # the test stayed sealed
    bare = api.train(folder, SMALL, quiet=True, device="cpu").folder
    assert use.evaluate(bare, folder, part="train", plan=plan, quiet=True).learned_from == (str(bare),)
    assert use.evaluate(bare, folder, plan=plan, quiet=True).learned_from == ()


def test_the_official_test_is_no_test_once_a_plan_put_it_aside(folder, plan, place):
    known = read_plan(plan)
    entries = [replace(each, state="accepted") if each.kind == "resplit" else each for each in known.entries]
    path = write_plan(place / "anew.yaml", replace(known, entries=tuple(entries)))
    done = api.train(folder, SMALL, plan=path, quiet=True, device="cpu")
    assert sum(done.story.counts.values()) == 116
    found = use.evaluate(done.folder, folder, quiet=True)
    assert (found.part, found.learned_from) == ("test", (str(done.folder),))


def test_an_audit_of_what_the_plan_leaves(folder, plan, place):
    found = api.audit(folder, place / "left.html", plan=plan, label_errors=False, quiet=True)
    assert found.images == 116
    assert "left out 4 images" in (place / "left.html").read_text(encoding="utf-8")


def test_a_fault_in_the_plan_is_said_before_the_images_are_read(place):
    (place / "no.yaml").write_text("convlift plan: 1\n")
    with pytest.raises(ConvliftError, match="fingerprint"):
        api.train(place / "nowhere", plan=place / "no.yaml", quiet=True)


@pytest.mark.parametrize("command", ["improve", "train", "diagnose", "preview", "aa", "audit"])
def test_every_command_that_reads_images_takes_a_plan(command, place):
    (place / "no.yaml").write_text("convlift plan: 1\n")
    said = convlift(command, str(place / "nowhere"), "--plan", str(place / "no.yaml"))
    assert said.code == 2
    assert "fingerprint" in said.err


def test_an_ab_test_in_which_images_are_kept_together_has_a_folder_of_its_own(proposed, folder, place):
    known = read_plan(place / "proposed.yaml")
    together = Entry("keep together", "accepted", ("train/dark/10.png", "train/dark/11.png"), "by hand")
    ties = write_plan(place / "ties.yaml", replace(known, entries=(together,)))
    asked = [request_of(str(folder), "30s", place / "cache", plan=each) for each in (None, ties)]
    names = {_folder_for(each, Session()).name for each in asked}
    assert len(names) == 2
