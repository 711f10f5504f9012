"""A .zip or .tar archive, unpacked once into the cache, under limits, so that it is read as a folder."""

import bz2
import gzip
import hashlib
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Generator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple, cast

from convlift.console.atomic import publish, sweep, temporary_beside
from convlift.console.disk import is_disks_fault, refusal, writing_into
from convlift.data.readers.source import printable
from convlift.data.readers.tree import is_junk
from convlift.errors import ConvliftError, DataError

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MAX_FILES = 5_000_000
MAX_BYTES = 1_000_000_000_000  # of everything unpacked
MAX_RATIO = 200  # bytes unpacked to a byte of the archive: deflate comes to 1,032, photographs stay under 2
FREE_BYTES = 20_000_000  # up to which no ratio is asked for: a small archive of flat drawings is harmless
MAX_HEADER = 1_000_000  # bytes of a name or of attributes in a tar, which are held in memory
_CHUNK = 1 << 20
_WHOLE = ".whole"  # written last: what lies beside it is all of the archive
_DECOMPRESS = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open))

# what zipfile, tarfile and the decompressors raise on broken archives, which is nearly anything
_BROKEN = (
    *(OSError, EOFError, ValueError, KeyError, IndexError, OverflowError, MemoryError, RuntimeError),
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, NotImplementedError),
)


class _Member(NamedTuple):
    """A file in an archive. read: bytes that were unpacked until there, headers among them, as far as that is known."""

    name: str
    content: IO[bytes]
    read: int = 0


def is_archive(path: Path) -> bool:
    return path.name.lower().endswith(ARCHIVES)


def stem_of(path: Path) -> str:
    """The name of an archive without its ending."""
    ending = max((each for each in ARCHIVES if path.name.lower().endswith(each)), key=len)
    return path.name[: -len(ending)]


def unpacked(path: Path, cache: Path) -> Path:
    """The folder under `cache` that holds what is in the archive: unpacked now, unless its content was before.

    Hidden and system files are left out. Raises DataError where the archive is broken, encrypted, or too large once
    unpacked, or holds what no archive of images needs: links, devices, absolute paths, or paths with "..".
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{printable(str(path))} cannot be read ({error.strerror or error}).") from error
    folder, temporary = cache / "archives" / digest[:32], temporary_beside(cache / "unpacking" / digest[:32])
    if not _is_whole(folder):
        with writing_into(cache):
            folder.parent.mkdir(parents=True, exist_ok=True)
            temporary.parent.mkdir(exist_ok=True)
            sweep(temporary.parent)
            (temporary / "files").mkdir(parents=True)
        try:
            _unpack(path, temporary / "files")
            with writing_into(cache):
                (temporary / _WHOLE).touch()
                publish(temporary, folder, _is_whole)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return folder / "files"


def _is_whole(folder: Path) -> bool:
    return (folder / _WHOLE).is_file()


def _unpack(path: Path, folder: Path) -> None:
    shown, size = printable(str(path)), path.stat().st_size
    members = _of_zip(path) if path.name.lower().endswith(".zip") else _of_tar(path)
    taken, seen = 0, set[str]()
    try:
        with closing(members):
            for member in members:
                name = checked_name(member.name, shown)
                taken = max(taken, member.read)
                _check_size(taken, size, shown)
                if any(is_junk(part) for part in PurePosixPath(name).parts):
                    continue
                if name in seen:
                    raise DataError(f"{shown} holds {printable(name)} twice; pack it anew.")
                seen.add(name)
                if len(seen) > MAX_FILES:
                    raise DataError(f"{shown} holds over {MAX_FILES:,} files; unpack it yourself and name the folder.")
                taken = _write(member.content, folder / name, taken, size, shown)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise DataError(f"{shown} holds a file and a folder of one name; pack it anew.") from error
    except ConvliftError:
        raise
    except _BROKEN as error:
        if isinstance(error, OSError) and is_disks_fault(error):
            raise refusal(folder, error) from error
        reason = getattr(error, "strerror", None) or " ".join(printable(str(error)).split()) or type(error).__name__
        raise DataError(f"{shown} cannot be unpacked ({reason}); download or pack it anew.") from error


def _write(content: IO[bytes], target: Path, taken: int, size: int, shown: str) -> int:
    """Write one file; the bytes unpacked until then. What an archive promises of its files is not relied on."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        while part := content.read(_CHUNK):
            taken += len(part)
            _check_size(taken, size, shown)
            file.write(part)
    return taken


def _check_size(taken: int, size: int, shown: str) -> None:
    if taken > MAX_BYTES:
        raise DataError(f"{shown} unpacks to over {MAX_BYTES / 1e9:,g} GB; unpack it yourself and name the folder.")
    if taken > FREE_BYTES and taken > MAX_RATIO * size:
        raise DataError(
            f"{shown} unpacks to over {MAX_RATIO} times its {size / 1e6:.2g} MB, as no photographs do; "
            "if you trust it, unpack it yourself and name the folder."
        )


def checked_name(name: str, shown: str) -> str:
    """The path of a file in the archive `shown`, with slashes. Raises DataError where it is absolute or leads out."""
    plain = name.replace("\\", "/")
    if plain.startswith("/") or plain[1:3] == ":/" or ".." in plain.split("/") or "\0" in plain:
        raise DataError(f"{shown} holds '{printable(name)}', which would lie outside of it; pack it anew without that.")
    return PurePosixPath(plain).as_posix()


def _of_zip(path: Path) -> Generator[_Member]:
    shown = printable(str(path))
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            kind = info.external_attr >> 28  # the type of a Unix file, where the archive has it
            checked_name(info.filename, shown)
            # older programs on Windows end a folder's name with a backslash
            if info.is_dir() or (info.filename.endswith("\\") and not info.file_size):
                continue
            if info.flag_bits & 1:
                raise DataError(f"{shown} is encrypted; unpack it with its password and name the folder.")
            if kind not in (0, 8):
                raise _no_file(shown, info.filename, is_link=kind == 10)
            with archive.open(info) as content:
                yield _Member(info.filename, content)


def _of_tar(path: Path) -> Generator[_Member]:
    """Read in one go, to the end of the compressed file: its checksum stands there."""
    shown = printable(str(path))
    with path.open("rb") as file:
        head = file.read(8)
    decompress = next((each for magic, each in _DECOMPRESS if head.startswith(magic)), None)
    with cast(IO[bytes], decompress(path) if decompress else path.open("rb")) as stream:
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header) as archive:
            for info in archive:
                checked_name(info.name, shown)
                if info.isdir():
                    continue
                if not info.isreg():
                    raise _no_file(shown, info.name, is_link=info.issym() or info.islnk())
                content = archive.extractfile(info)
                assert content is not None  # as of what is no file
                with content:
                    yield _Member(info.name, content, info.offset)
        while stream.read(_CHUNK):
            _check_size(stream.tell(), path.stat().st_size, shown)


class _Header(tarfile.TarInfo):
    """A header of a tar, without leave to end the archive early or to fill the memory."""

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> "_Header":
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:  # by itself tarfile takes whatever is broken for the end
            raise tarfile.ReadError("it is no whole tar archive") from error

    def _proc_member(self, tarfile_: tarfile.TarFile) -> "_Header":
        if self.type not in (*tarfile.REGULAR_TYPES, tarfile.DIRTYPE) and self.size > MAX_HEADER:
            raise tarfile.ReadError(f"a header of {self.size:,} bytes")
        return super()._proc_member(tarfile_)  # type: ignore[misc,no-any-return]


def _no_file(shown: str, name: str, *, is_link: bool) -> DataError:
    remedy = "pack the files that links lead to (tar --dereference --hard-dereference)" if is_link else "pack it anew"
    kind = "link" if is_link else "device or pipe"
    return DataError(f"{shown} holds a {kind}, {printable(name)}; {remedy}.")
