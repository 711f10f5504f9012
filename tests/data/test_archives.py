"""Archives: read as the folder that they hold, and hostile ones refused before anything is written outside."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from convlift.data.readers import archives
from convlift.data.readers.recognize import open_source
from convlift.data.store import data_fingerprint
from convlift.errors import ConvliftError, DataError


@pytest.fixture
def pets(make_folder: Callable[..., Path]) -> Path:
    return make_folder({"cats": 3, "dogs": 3})


def zipped(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, files: dict[str, bytes], *more: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:" + {"gz": "gz", "bz2": "bz2", "xz": "xz"}.get(path.suffix[1:], "")) as archive:
        for info in more:
            archive.addfile(info)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def contents(folder: Path, around: str = "") -> dict[str, bytes]:
    return {
        around + path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def refusal(path: Path | str, cache: Path) -> str:
    """The sentence; nothing may be left in the cache, or appear beside it."""
    with pytest.raises(ConvliftError) as caught:
        open_source(str(path), cache=cache)
    assert caught.value.exit_code in (2, 3)
    assert "\n" not in str(caught.value)
    assert str(cache) not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["pets.zip", "Pets.ZIP", "pets.tar", "pets.tar.gz", "pets.tar.bz2", "pets.tar.xz"])
@pytest.mark.parametrize("around", ["", "pets/", "archive/data/pets/"])
def test_an_archive_is_the_same_data_as_its_folder(pets: Path, tmp_path: Path, name: str, around: str) -> None:
    pack = zipped if name.lower().endswith("zip") else tarred
    path = pack(tmp_path / name, contents(pets, around))
    source = open_source(str(path), cache=tmp_path / "cache")
    assert source.name == name.split(".")[0]
    assert source.items == open_source(str(pets)).items
    assert data_fingerprint(source) == data_fingerprint(open_source(str(pets)))


def test_an_archive_is_unpacked_once_by_its_content(pets: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for name in ("a.zip", "b.zip"):
        open_source(str(zipped(tmp_path / name, contents(pets))), cache=cache)
    assert len(list((cache / "archives").iterdir())) == 1
    assert not any((cache / "unpacking").iterdir())
    changed = contents(pets) | {"dogs/0.png": contents(pets)["cats/0.png"]}
    open_source(str(zipped(tmp_path / "a.zip", changed)), cache=cache)
    assert len(list((cache / "archives").iterdir())) == 2


def test_system_files_are_left_out(pets: Path, tmp_path: Path) -> None:
    files = {f"{where}x.png": b"x" for where in ("__MACOSX/cats/._", "pets/.git/", "pets/cats/.")}
    path = zipped(tmp_path / "pets.zip", contents(pets, "pets/") | files | {"pets/Thumbs.db": b"x"})
    source = open_source(str(path), cache=tmp_path / "cache")
    assert len(source.items) == 6
    assert source.findings == ()


def test_parts_and_the_table_of_an_archive_are_read(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    parted = make_folder({"train/cats": 2, "train/dogs": 2, "test/cats": 1, "test/dogs": 1})
    cache = tmp_path / "cache"
    source = open_source(str(zipped(tmp_path / "parted.zip", contents(parted))), cache=cache)
    assert {item.split for item in source.items} == {"train", "test"}
    images = {f"images/{n}.png": each for n, each in enumerate(contents(parted).values())}
    table = "id,label\n" + "".join(f"{n},{'cats' if n % 2 else 'dogs'}\n" for n in range(6))
    listed = images | {"README.txt": b"text", "labels.csv": table.encode(), "notes.csv": b"a,b\n1,2\n"}
    path = zipped(tmp_path / "listed.zip", listed)
    source = open_source(str(path), cache=cache)
    assert (source.name, len(source.items), source.classes) == ("listed", 6, ("cats", "dogs"))
    assert open_source(f"{path}/labels.csv", cache=cache).items == source.items
    path = zipped(tmp_path / "several.zip", listed | {"sample_submission.csv": table.encode()})
    said = refusal(path, cache)
    assert "holds 2 tables of labels; name one of them, such as " in said
    assert open_source(said.rpartition("such as ")[2].removesuffix("."), cache=cache).items == source.items
    bad = table.replace("0,dogs", "../../secret.png,dogs")
    (cache / "archives" / "secret.png").write_bytes(b"x")
    said = refusal(zipped(tmp_path / "bad.zip", listed | {"labels.csv": bad.encode()}), cache)
    assert f"row 2 names '../../secret.png', which leads out of {tmp_path / 'bad.zip'}" in said
    assert "--images" not in said


def test_a_stray_table_is_passed_over_on_request(pets: Path, tmp_path: Path) -> None:
    broken = contents(pets) | {"notes.csv": b"\x81\x8d,\n"}
    assert len(open_source(str(zipped(tmp_path / "a.zip", broken)), cache=tmp_path / "cache").items) == 6
    path = zipped(tmp_path / "b.zip", contents(pets) | {"boxes.csv": b"image,class\ncats/7.png,cats\n"})
    assert "1 of 1 row of boxes.csv is faulty" in refusal(path, tmp_path / "cache")
    assert len(open_source(str(path), cache=tmp_path / "cache", layout="class").items) == 6


def test_a_folder_in_an_archive_may_be_named(pets: Path, tmp_path: Path) -> None:
    path = zipped(tmp_path / "both.zip", contents(pets, "x/") | contents(pets, "y/"))
    assert open_source(f"{path}/x", cache=tmp_path / "cache").classes == ("cats", "dogs")
    assert f"name it, such as {path}/x." in refusal(path, tmp_path / "cache")
    for inside in ("z", "x/../../..", "x/cats/0.png"):
        assert str(path) in refusal(f"{path}/{inside}", tmp_path / "cache")


@pytest.mark.parametrize(
    "name", ["../evil.png", "cats/../../evil.png", "/tmp/evil.png", "..\\evil.png", "C:/evil.png", "C:\\evil.png"]
)
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_no_path_leads_out(pets: Path, tmp_path: Path, name: str, pack: Callable[..., Path]) -> None:
    path = pack(tmp_path / ("a.zip" if pack is zipped else "a.tar"), contents(pets) | {name: b"evil"})
    before = {each for each in tmp_path.rglob("*") if each.name != "unpacking"}
    assert "which would lie outside of it" in refusal(path, tmp_path / "cache")
    assert not list(tmp_path.rglob("evil.png"))
    assert not [each for each in set(tmp_path.rglob("*")) - before if each.is_file()]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_a_tar_with_links_or_devices_is_refused(pets: Path, tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("cats/link.png")
    info.type, info.linkname = kind, "/etc/passwd"
    said = refusal(tarred(tmp_path / "a.tar", contents(pets), info), tmp_path / "cache")
    assert ("a link, cats/link.png; pack the files" in said) == (kind in (tarfile.SYMTYPE, tarfile.LNKTYPE))


def test_a_zip_with_a_link_is_refused(pets: Path, tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", contents(pets))
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("cats/link.png")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    assert "holds a link, cats/link.png" in refusal(path, tmp_path / "cache")


def test_an_encrypted_zip_is_refused(pets: Path, tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", contents(pets))
    content = bytearray(path.read_bytes())
    for magic, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(magic) + place] |= 1
    path.write_bytes(content)
    assert "is encrypted; unpack it with its password and name the folder" in refusal(path, tmp_path / "cache")


@pytest.mark.parametrize("name", ["bomb.zip", "bomb.tar.gz", "bomb.tar.bz2"])
def test_a_bomb_is_refused_before_the_disk_is_full(tmp_path: Path, name: str) -> None:
    bomb = {"cats/0.png": bytes(archives.FREE_BYTES + 3_000_000)}
    if name.endswith("zip"):
        zipped(tmp_path / name, bomb, zipfile.ZIP_DEFLATED)
    else:
        tarred(tmp_path / name, bomb)
    assert "unpacks to over 200 times its" in refusal(tmp_path / name, tmp_path / "cache")
    assert not [each for each in (tmp_path / "cache").rglob("*") if each.is_file()]


def test_a_header_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, 1 << 32
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.USTAR_FORMAT) + bytes(4096))
    assert "a header of 4,294,967,296 bytes" in refusal(tmp_path / "a.tar", tmp_path / "cache")


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_one_name_twice_is_refused(pets: Path, tmp_path: Path, pack: Callable[..., Path]) -> None:
    path = tmp_path / ("a.zip" if pack is zipped else "a.tar")
    pack(path, contents(pets) | {"./cats/0.png": b"x"})
    assert "holds cats/0.png twice" in refusal(path, tmp_path / "cache")
    pack(path, contents(pets) | {"cats": b"x"})
    assert "a file and a folder of one name" in refusal(path, tmp_path / "cache")


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tar.xz", "a.tar.bz2"])
def test_a_broken_archive_is_never_half_a_data_set(pets: Path, tmp_path: Path, name: str) -> None:
    """Wherever it is cut, and where a byte is flipped in what it holds."""
    whole = (zipped if name == "a.zip" else tarred)(tmp_path / name, contents(pets)).read_bytes()
    used = len(whole) if name != "a.tar" else 6 * 1536  # zeros fill up the rest
    for length in (0, 1, 300, used // 2, used // 2 + 7, used - 30):
        (tmp_path / name).write_bytes(whole[:length])
        assert "cannot be unpacked" in refusal(tmp_path / name, tmp_path / f"cache {length}"), length
    if name in ("a.zip", "a.tar.gz"):
        broken = bytearray(whole)
        broken[len(whole) // 3] ^= 0x10
        (tmp_path / name).write_bytes(broken)
        assert "cannot be unpacked" in refusal(tmp_path / name, tmp_path / "cache flipped")


def test_whatever_a_tar_is_compressed_by_tells_the_content(pets: Path, tmp_path: Path) -> None:
    plain = tarred(tmp_path / "pets.tar", contents(pets)).read_bytes()
    for compress in (gzip.compress, bz2.compress, lzma.compress):
        (tmp_path / "pets.tar").write_bytes(compress(plain))
        assert len(open_source(str(tmp_path / "pets.tar"), cache=tmp_path / "cache").items) == 6


def test_a_zip_that_lies_about_a_size_is_refused(pets: Path, tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", contents(pets))
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\1\2") + 24  # the size in the directory, which is the one that is believed
    content[place : place + 4] = struct.pack("<I", 5)
    path.write_bytes(content)
    assert "cannot be unpacked" in refusal(path, tmp_path / "cache")


def test_archives_of_other_kinds_say_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "a.rar").write_bytes(b"Rar!")
    assert "unpack it and name the folder" in refusal(tmp_path / "a.rar", tmp_path / "cache")


def test_an_archive_without_images_is_named_as_the_user_named_it(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"README.txt": b"text"})
    with pytest.raises(DataError, match=r"a\.zip holds no image"):
        open_source(str(path), cache=tmp_path / "cache")
