"""The register of opened tests: a test is known by its images; nothing that is wrong with it stops a campaign."""

import json
import os
import threading
from pathlib import Path

import pytest

from convlift.ledger.fingerprint import Identity
from convlift.ledger.ledger import Ledger, open_ledger
from convlift.ledger.openings import FOLDER, SKETCH, Opening, Openings, notes_of_openings, register_opening, shared
from convlift.recipe.recipe import Recipe
from convlift.report.wording.note_sentences import note_sentence


def hashes(first: int, last: int) -> list[str]:
    return [f"{number:064x}" for number in range(first, last)]


def campaign(folder: Path, metric: str = "accuracy") -> Ledger:
    return open_ledger(folder, Identity(data="d" * 64, baseline=Recipe(), seed=0, metric=metric))


def opened(tmp_path: Path, name: str, images: list[str], metric: str = "accuracy") -> Openings:
    with campaign(tmp_path / name, metric) as ledger:
        return register_opening(ledger, tmp_path / "cache", "photos", images)


def test_a_second_campaign_on_the_same_sealed_images_is_known(tmp_path: Path) -> None:
    """Another metric, another run folder, one image added or a few dropped: still the same test."""
    assert opened(tmp_path, "a", hashes(0, 100)).number == 1
    second = opened(tmp_path, "b", hashes(0, 101)[::-1], "kappa")
    assert second.number == 2
    assert (second.before[0].metric, Path(second.before[0].run).name) == ("accuracy", "a")
    assert opened(tmp_path, "c", hashes(20, 120)).number == 3
    assert opened(tmp_path, "other", hashes(200, 300)).number == 1
    assert opened(tmp_path, "a fifth", hashes(80, 180)).before == (opened(tmp_path, "c", hashes(20, 120)).before[:0])


def test_a_resumed_campaign_opens_once(tmp_path: Path) -> None:
    """It says again what it said, even when another campaign has opened the test meanwhile."""
    first = opened(tmp_path, "a", hashes(0, 50))
    opened(tmp_path, "b", hashes(0, 50))
    assert opened(tmp_path, "a", hashes(0, 50)) == first
    assert len(list((tmp_path / "cache" / FOLDER).iterdir())) == 2
    assert opened(tmp_path, "c", hashes(0, 50)).number == 3


def test_a_run_folder_that_was_erased_and_made_again_is_a_second_opening(tmp_path: Path) -> None:
    opened(tmp_path, "a", hashes(0, 50))
    for path in (tmp_path / "a").iterdir():
        path.unlink()
    assert opened(tmp_path, "a", hashes(0, 50)).number == 2


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"not json",
        b"[1, 2]",
        b"null",
        b'{"version": 2}',
        b'{"version": 1, "campaign": 5}',
        b'{"version": 1, "campaign": "x", "run": "r", "data": "d", "metric": "m", "at": "t", "images": "many", '
        b'"sketch": []}',
        b'{"version": 1, "sketch": 3}',
        b"[" * 100_000,
        b"\xff\xfe\x00",
        b" " * 2_000_000,
    ],
    ids=range(11),
)
def test_a_damaged_file_is_said_and_stops_nothing(tmp_path: Path, damage: bytes) -> None:
    opened(tmp_path, "a", hashes(0, 50))
    (tmp_path / "cache" / FOLDER / "damaged.json").write_bytes(damage)
    found = opened(tmp_path, "b", hashes(0, 50))
    assert found.number == 2
    assert (found.trouble.trouble, found.trouble.files) == ("files unreadable", 1)
    words = note_sentence(notes_of_openings(found, 1.0)[-1])
    assert "is not known for sure: 1 file of the register of opened tests in " in words


def test_a_register_that_cannot_be_written_is_said_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file stands where the folder should be")
    found = opened(tmp_path, "a", hashes(0, 50))
    assert found.number == 1
    assert found.trouble.trouble == "not writable"
    assert found.trouble.reason


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_register_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    opened(tmp_path, "a", hashes(0, 50))
    path = next((tmp_path / "cache" / FOLDER).iterdir())
    path.chmod(0)
    assert opened(tmp_path, "b", hashes(0, 50)).trouble.files == 1


def test_campaigns_that_end_together_lose_nothing(tmp_path: Path) -> None:
    """Eight at once: each has written its file, so that the next one counts them all."""
    ledgers = [campaign(tmp_path / str(number)) for number in range(8)]
    found: list[Openings] = []

    def work(ledger: Ledger) -> None:
        found.append(register_opening(ledger, tmp_path / "cache", "photos", hashes(0, 60)))

    for ledger in ledgers:
        ledger.close()

    def one(number: int) -> None:
        with campaign(tmp_path / str(number)) as ledger:
            work(ledger)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(each.number for each in found) == 8
    assert not any(each.trouble for each in found)
    assert opened(tmp_path, "last", hashes(0, 60)).number == 9


def test_of_large_tests_a_sample_is_kept(tmp_path: Path) -> None:
    """10,000 images; half of the second test are those of the first: .5 give or take the sample's error of .015."""
    opened(tmp_path, "a", hashes(0, 10_000))
    path = next((tmp_path / "cache" / FOLDER).iterdir())
    kept = json.loads(path.read_text())
    assert (kept["images"], len(kept["sketch"])) == (10_000, SKETCH)
    assert path.stat().st_size < 50_000
    opened(tmp_path, "b", hashes(5000, 15_000))
    one, two = (
        Opening(**{**each, "sketch": tuple(each["sketch"])})
        for each in (
            {k: v for k, v in json.loads(p.read_text()).items() if k != "version"}
            for p in (tmp_path / "cache" / FOLDER).iterdir()
        )
    )
    assert shared(one, two) == pytest.approx(0.5, abs=0.06)
    assert opened(tmp_path, "c", hashes(100, 10_100)).number >= 2


def test_the_words_name_who_and_by_how_much(tmp_path: Path) -> None:
    assert notes_of_openings(opened(tmp_path, "a", hashes(0, 50)), 1.0) == []
    (note,) = notes_of_openings(opened(tmp_path, "b", hashes(0, 50)), 1.3)
    words = note_sentence(note)
    assert words.startswith("This test was opened twice: before this campaign by a (accuracy, 20")
    assert "keeps the best of 2 sees a score that is up to 1.3 points too good by chance alone" in words
    for name in "cde":
        found = opened(tmp_path, name, hashes(0, 50))
    (note,) = notes_of_openings(found, 1.3)
    words = note_sentence(note)
    assert "opened 5 times" in words
    assert "and 1 more" in words
