"""The cache folder is found on machines without a home folder too."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from convlift.console.cache_folder import cache_folder
from convlift.errors import DiskError
from convlift.records.events import CachePlaced


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """No variable that names a cache; temporary files in a folder of the test."""
    for name in ("CONVLIFT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    return tmp_path


def found():
    """(the cache folder, what was told of it)."""
    told = []
    return cache_folder(told.append), told


def test_a_named_folder_comes_first(monkeypatch, bare):
    monkeypatch.setenv("XDG_CACHE_HOME", str(bare / "xdg"))
    monkeypatch.setenv("CONVLIFT_CACHE", str(bare / "own"))
    assert found() == (bare / "own", [])
    monkeypatch.setenv("CONVLIFT_CACHE", "")
    assert found() == (bare / "xdg" / "convlift", [])


def test_a_tilde_that_no_shell_expanded_is_the_home(monkeypatch, bare):
    monkeypatch.setenv("HOME", str(bare))
    monkeypatch.setenv("CONVLIFT_CACHE", "~/own")
    assert found() == (bare / "own", [])


def test_usually_it_lies_in_the_home(monkeypatch, bare):
    monkeypatch.setenv("HOME", str(bare / "home"))
    assert found() == (bare / "home" / ".cache" / "convlift", [])
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/passed/over")
    assert found() == (bare / "home" / ".cache" / "convlift", [])


def test_a_home_that_cannot_be_written_is_told_and_passed_over(monkeypatch, bare):
    (bare / "file").touch()
    for home in (bare / "file", bare / "file" / "deeper", Path("/proc/nobody")):
        monkeypatch.setenv("HOME", str(home))
        folder, told = found()
        assert folder == bare / "tmp" / f"convlift-{os.getuid()}"
        assert told == [CachePlaced(folder, home / ".cache" / "convlift")]


def test_a_folder_that_others_can_write_is_not_trusted(monkeypatch, bare):
    monkeypatch.setenv("HOME", "/proc/nobody")
    planted = bare / "tmp" / f"convlift-{os.getuid()}"
    planted.mkdir()
    planted.chmod(0o777)
    assert found()[0] != planted
    planted.rmdir()
    planted.symlink_to(bare)
    folder, _ = found()
    assert folder.parent == bare / "tmp"
    assert not folder.is_symlink()


def test_where_nothing_can_be_written_one_sentence_says_so(monkeypatch, bare):
    monkeypatch.setenv("HOME", "/proc/nobody")
    monkeypatch.setattr(tempfile, "tempdir", "/proc/nowhere")
    with pytest.raises(DiskError, match=r"no folder can be written for the image cache \(.*\); set CONVLIFT_CACHE"):
        found()


@pytest.mark.skipif(os.getuid() != 0, reason="only an administrator can become a user that is in no password file")
def test_a_user_without_a_name_and_home_gets_a_folder_of_its_own(bare):
    code = "import os; import convlift.console.cache_folder as c; os.setuid(54321); print(c.cache_folder(print))"
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": "/tmp"}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    own = Path("/tmp/convlift-54321")
    assert found.stdout.splitlines() == [repr(CachePlaced(own, None)), str(own)]
    own.rmdir()
