"""How much disk a campaign takes: told before it begins, refused where it cannot fit."""

import shutil
from pathlib import Path

import pytest

from convlift.campaign.footprint import Footprint, check_disk, footprint
from convlift.errors import DiskError

PLENTY = 10**18  # no disk has an exabyte


def test_it_grows_with_images_resolution_and_network() -> None:
    small = footprint(1000, 3, [32, 64], [10_000, 1_000_000])
    assert small.cache_least == 1000 * 3 * 32 * 32
    assert small.cache_usual >= 1000 * 3 * 64 * 64
    assert small.run_usual >= 4 * 1_000_000
    assert all(more > less for more, less in zip(footprint(10_000, 3, [64], [10**7]), small, strict=True))


@pytest.mark.parametrize("needed", [Footprint(PLENTY, PLENTY, 0, 0), Footprint(0, 0, PLENTY, PLENTY)])
def test_what_cannot_fit_is_refused_with_the_folder_and_what_is_free(needed: Footprint, tmp_path: Path) -> None:
    with pytest.raises(DiskError, match=r"needs about 1000000000000 MB, but the disk at .* has \d+ MB free") as caught:
        check_disk(tmp_path / "run", tmp_path / "cache", needed)
    assert caught.value.exit_code == 75
    assert list(tmp_path.iterdir()) == []


def test_what_may_become_tight_is_told(tmp_path: Path) -> None:
    told = check_disk(tmp_path / "run", tmp_path / "cache", Footprint(0, PLENTY, 0, 0))
    assert told is not None
    assert 0 < told.free < told.usual == PLENTY
    assert check_disk(tmp_path / "run", tmp_path / "cache", Footprint(0, 0, 0, 0)) is None


def test_run_and_cache_on_one_disk_share_it(tmp_path: Path) -> None:
    half = int(shutil.disk_usage(tmp_path).free * 0.6)
    with pytest.raises(DiskError):
        check_disk(tmp_path / "run", tmp_path / "cache", Footprint(half, half, half, half))
