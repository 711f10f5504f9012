"""Which file system a run folder lies on: SQLite's write-ahead log needs memory that only one machine's processes
share, and locks that hold (https://sqlite.org/wal.html, https://sqlite.org/howtocorrupt.html, section 2.1)."""

import re
from pathlib import Path

from convlift.errors import LedgerError

MOUNTS = Path("/proc/self/mountinfo")
REMOTE = (
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "afs",
    "ncpfs",
    "fuse.sshfs",
    "fuse.s3fs",
    "fuse.rclone",
    "fuse.gcsfuse",
)
"""File systems whose locks or memory maps do not hold between machines. Cluster file systems (Lustre, GPFS, CephFS,
BeeGFS) promise both and are not among them."""


def refuse_remote(folder: Path, mounts: Path = MOUNTS) -> None:
    """Raise LedgerError where the folder lies on a network file system, on which a ledger can be torn."""
    kind, place = filesystem_of(folder, mounts)
    if kind in REMOTE:
        raise LedgerError(
            f"{folder} lies on a network file system ({kind} at {place}), where SQLite loses what two machines write; "
            "name a folder on a local disk with --out, and copy it when the campaign has ended."
        )


def filesystem_of(folder: Path, mounts: Path = MOUNTS) -> tuple[str, Path]:
    """(type, mount point) of the file system that holds the folder; ("", /) where the system does not tell."""
    path, found = folder.resolve(), ("", Path("/"))
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return found
    for line in lines:
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if not separator or len(fields) < 5:
            continue
        place = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4]))
        # of two file systems mounted on one place the later one is seen
        if path.is_relative_to(place) and len(place.parts) >= len(found[1].parts):
            found = (after.split(" ")[0], place)
    return found
