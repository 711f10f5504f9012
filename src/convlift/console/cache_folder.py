"""Where image stores and features are kept, on machines without a home folder too."""

import os
import stat
import tempfile
from pathlib import Path

from convlift.errors import DiskError
from convlift.records.events import CachePlaced, Listener, unheard


def cache_folder(listen: Listener = unheard) -> Path:
    """$CONVLIFT_CACHE, else convlift in the user's cache folder, else one among the temporary files, which is told.

    The last for users without a home, and for homes that cannot be written, as containers have them. Raises DiskError
    where nothing can be written anywhere. A named folder is not checked: what is wrong with it shows when something is
    written there.
    """
    if own := os.environ.get("CONVLIFT_CACHE"):
        return _expanded(Path(own))
    usual = _usual()
    if usual is not None and _can_be_written(usual):
        return usual
    found = _among_temporary_files()
    listen(CachePlaced(found, usual))
    return found


def _usual() -> Path | None:
    shared = Path(os.environ.get("XDG_CACHE_HOME") or "")
    if shared.is_absolute():  # else it is to be passed over (XDG Base Directory Specification 0.8)
        return shared / "convlift"
    home = _expanded(Path("~"))
    return home / ".cache" / "convlift" if home.is_absolute() else None


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # neither $HOME nor an entry of the user in the password file
        return path


def _can_be_written(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def _among_temporary_files() -> Path:
    try:
        folder = Path(tempfile.gettempdir()) / f"convlift-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        # what others may write to, they may fill with images of theirs
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022:
            return folder
        return Path(tempfile.mkdtemp(prefix="convlift-"))
    except OSError as error:
        raise DiskError(
            f"no folder can be written for the image cache ({error.strerror or error}); set CONVLIFT_CACHE to "
            "one that can."
        ) from error
