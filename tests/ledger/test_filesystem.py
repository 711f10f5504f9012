"""Run folders on network file systems are refused, by what the kernel says of the mounts."""

from pathlib import Path

import pytest

from convlift.errors import LedgerError
from convlift.ledger.filesystem import filesystem_of, refuse_remote


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    here = str(tmp_path.resolve())
    odd = f"{here}/my\\040photos"
    lines = [
        "21 1 253:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw",
        f"30 21 0:40 / {here}/home rw,relatime - nfs4 server:/home rw,vers=4.2",
        f"31 30 0:41 / {here}/home/scratch rw - xfs /dev/sdb1 rw",
        f"32 21 0:42 / {odd} rw - cifs //server/photos rw",
        f"33 21 0:43 / {here}/twice rw - nfs server:/old rw",
        f"34 21 0:44 / {here}/twice rw - ext4 /dev/sdc1 rw",
        f"35 21 0:45 / {here}/cluster rw - lustre 10.0.0.1@tcp:/fs rw",
        "a line that is none",
    ]
    (tmp_path / "mountinfo").write_text("\n".join(lines))
    return tmp_path / "mountinfo"


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("run", "ext4"),
        ("home", "nfs4"),
        ("home/me/run", "nfs4"),
        ("home/scratch/run", "xfs"),
        ("homes/run", "ext4"),
        ("my photos/run", "cifs"),
        ("twice/run", "ext4"),
    ],
)
def test_the_innermost_mount_decides(folder: str, kind: str, mounts: Path, tmp_path: Path) -> None:
    assert filesystem_of(tmp_path / folder, mounts)[0] == kind


def test_a_link_leads_to_where_the_folder_is(mounts: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "home")
    with pytest.raises(LedgerError, match=r"link/run lies on a network file system \(nfs4 at .*/home\).*--out"):
        refuse_remote(tmp_path / "link" / "run", mounts)


def test_local_and_cluster_file_systems_are_fine(mounts: Path, tmp_path: Path) -> None:
    for folder in ("run", "home/scratch", "cluster/run"):
        refuse_remote(tmp_path / folder, mounts)
    refuse_remote(tmp_path, tmp_path / "there are no mounts here")
    refuse_remote(tmp_path)  # that of this machine
