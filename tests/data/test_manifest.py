"""Tables of paths and labels: columns by their usual names, files that are found, and every faulty row at once."""

import csv
import io
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlift.data.groups import find_groups, names_of_groups
from convlift.data.readers.columns import choose_columns, parse_columns
from convlift.data.readers.recognize import open_images, open_source
from convlift.data.readers.table import Row, Table, read_table
from convlift.data.store import data_fingerprint
from convlift.errors import ConvliftError, DataError

ROWS = tuple((f"{name}/{number}.png", name) for name in ("cats", "dogs") for number in range(3))


@pytest.fixture
def pets(make_folder: Callable[..., Path]) -> Path:
    return make_folder({"cats": 3, "dogs": 3})


def write(folder: Path, lines: list[str], name: str = "images.csv", encoding: str = "utf-8") -> str:
    (folder / name).write_bytes("\n".join(lines).encode(encoding))
    return str(folder / name)


def plain(pets: Path, header: str = "path,label") -> str:
    return write(pets, [header, *(f"{path},{label}" for path, label in ROWS)])


def refusal(where: str, **options: object) -> str:
    with pytest.raises(ConvliftError) as caught:
        open_source(where, **options)  # type: ignore[arg-type]
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_table_of_a_folder_is_the_same_data_as_the_folder(pets: Path) -> None:
    """The order of rows changes nothing either, so the same campaign goes on."""
    table = open_source(plain(pets))
    folder = open_source(str(pets))
    assert (table.classes, table.items) == (folder.classes, folder.items)
    assert data_fingerprint(table) == data_fingerprint(folder)
    turned = write(pets, ["path,label", *(f"{path},{label}" for path, label in reversed(ROWS))])
    assert data_fingerprint(open_source(turned)) == data_fingerprint(folder)


def test_a_changed_table_is_other_data(pets: Path) -> None:
    before = data_fingerprint(open_source(plain(pets)))
    rows = [f"{path},{label}" for path, label in ROWS]
    for changed in (rows[:-1], [*rows[:-1], "dogs/2.png,cats"]):
        assert data_fingerprint(open_images(write(pets, ["path,label", *changed]))) != before


@pytest.mark.parametrize(
    "header",
    [
        "file,class",
        "File Name,Label",
        "image_path,target",
        "IMG,category",
        "imageId,class_name",
        "id,label",
        "path;label",
    ],
)
def test_usual_names_are_known_whatever_their_case(pets: Path, header: str) -> None:
    separator = ";" if ";" in header else ","
    where = write(pets, [header, *(separator.join(row) for row in ROWS)])
    assert [item.label for item in open_source(where).items] == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_whatever_excel_writes_is_read(pets: Path, encoding: str) -> None:
    lines = ["Dateiname;path;label", *(f'"Häuser; ""neu""";{path};Käfer {label}' for path, label in ROWS)]
    source = open_source(write(pets, lines, encoding=encoding))
    assert source.classes == ("Käfer cats", "Käfer dogs")
    assert ("encoding" in [finding.kind for finding in source.findings]) == (encoding == "cp1252")


def test_tabs_quotes_and_empty_rows(pets: Path) -> None:
    tabs = write(pets, ["path\tlabel", "", *("\t".join(row) for row in ROWS), ""], "images.tsv")
    assert len(open_source(tabs).items) == 6
    (pets / "cats" / "a, b.png").write_bytes((pets / "cats" / "0.png").read_bytes() + b"x")
    quoted = write(pets, ["path,label", *(",".join(row) for row in ROWS), '"cats/a, b.png","cats"', ",,"])
    assert open_source(quoted).items[3].key == "cats/a, b.png"


def test_columns_are_given_where_their_names_are_unusual(pets: Path) -> None:
    where = write(pets, ["where,diagnosis,label", *(f"{path},{label},0" for path, label in ROWS)])
    assert open_source(where, columns="path=where, label=diagnosis").classes == ("cats", "dogs")
    assert "no column of image paths by a usual name (path, file, filename" in refusal(where)
    assert "did you mean 'diagnosis'?" in refusal(where, columns="path=where,label=diagnoses")


def test_parts_groups_and_numbers_as_labels(pets: Path) -> None:
    parts, label_of = ("Train", "validation", "TEST"), {"cats": "10", "dogs": "9"}
    lines = ["path,label,split,patient_id"]
    lines += [f"{path},{label_of[label]},{parts[i % 3]},p{i % 2}" for i, (path, label) in enumerate(ROWS)]
    source = open_source(write(pets, lines))
    assert source.classes == ("9", "10")
    assert [item.split for item in source.items] == ["train", "validation", "test"] * 2
    keys = [item.key for item in source.items]
    assert names_of_groups(source, None, keys) == ["p0", "p1"] * 3
    assert names_of_groups(source, "^([^/]+)/", keys) == ["cats"] * 3 + ["dogs"] * 3  # what the user says wins
    without = open_source(write(pets, lines), columns="group=,split=")
    assert find_groups(without, None, keys) is None
    assert {item.split for item in without.items} == {None}


def test_parts_are_told_by_the_first_folder_of_the_paths(make_folder: Callable[..., Path]) -> None:
    root = make_folder({"train/cats": 2, "train/dogs": 2, "test/cats": 1, "test/dogs": 1})
    images = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    where = write(root, ["path,label", *(f"{path},{path.split('/')[1]}" for path in images)])
    assert data_fingerprint(open_source(where)) == data_fingerprint(open_source(str(root)))
    assert {item.split for item in open_source(where, columns="split=").items} == {None}


def test_names_without_folder_or_ending_are_looked_for(make_folder: Callable[..., Path]) -> None:
    root = make_folder({"train/cats": 3, "train/dogs": 3, "test": 1})
    for number, path in enumerate(sorted(root.glob("train/*/*"))):
        path.rename(path.with_name(f"{path.parent.name}é{number}.png"))
    names = sorted(path.name for path in root.glob("train/*/*"))
    for spelled in (names, [name.removesuffix(".png") for name in names]):
        lines = ["id,label", *(f"{unicodedata.normalize('NFD', name)},{name[:4]}" for name in spelled)]
        assert len(open_source(write(root, lines, "train.csv")).items) == 6
    other = root.parent / "elsewhere"
    other.mkdir()
    where = write(other, lines)
    assert "6 of 6 rows" in refusal(where)
    assert len(open_source(where, images=root / "train").items) == 6
    (root / "test" / names[0]).write_bytes(b"")
    assert f"is the name of 2 images, such as test/{names[0]} and train/" in refusal(write(root, lines))


def test_paths_may_be_absolute_lead_up_and_have_backslashes(pets: Path) -> None:
    (pets / "lists").mkdir()
    cells = [str(pets / path) if i % 2 else f"..\\{path}".replace("/", "\\") for i, (path, _) in enumerate(ROWS)]
    lines = ["path,label", *(f"{cell},{label}" for cell, (_, label) in zip(cells, ROWS, strict=True))]
    assert [item.label for item in open_source(write(pets / "lists", lines)).items] == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("begin", ["/home/anna/pets/", "D:\\pets\\", "//server/share/"])
def test_absolute_paths_of_another_machine(pets: Path, begin: str) -> None:
    """What lies beside the table by the end of its path is meant; the name alone is not enough."""
    cells = [begin + (path.replace("/", "\\") if "\\" in begin else path) for path, _ in ROWS]
    lines = ["path,label", *(f"{cell},{label}" for cell, (_, label) in zip(cells, ROWS, strict=True))]
    assert [item.label for item in open_source(write(pets, lines)).items] == [0, 0, 0, 1, 1, 1]
    assert "birds" in refusal(write(pets, [*lines, f"{begin}birds/0.png,dogs"]))


def test_an_image_of_the_same_name_is_not_taken_for_one_of_another_machine(pets: Path) -> None:
    """dogs/9.png is missing here; 9.png beside the folders is another image."""
    (pets / "9.png").write_bytes((pets / "cats" / "0.png").read_bytes())
    lines = ["path,label", *(f"/home/anna/pets/{path},{label}" for path, label in ROWS)]
    said = refusal(write(pets, [*lines, "/home/anna/pets/dogs/9.png,dogs"]))
    assert "row 8 names '/home/anna/pets/dogs/9.png', which is not there, as others of '/home/anna/pets' are" in said
    assert len(open_source(write(pets, [*lines, "/home/anna/pets/9.png,cats"])).items) == 7


def test_all_faulty_rows_are_told_at_once_with_their_numbers(pets: Path) -> None:
    lines = [
        "path,label,split", "cats/0.png,cats,train", "cats/9.png,cats,train", "cats/1.png,,train",
        "dogs/0.png,dogs,tset", "cats/0.png,dogs,train", "cats/0.png,cats,train", "dogs/1.png,dogs,train,more",
        ",dogs,train",
        "https://x.org/1.png,dogs,train", "\0,cats,train", "dogs/2.png,dogs,",
    ]  # fmt: skip
    said = refusal(write(pets, lines))
    assert said.startswith("10 of 11 rows of images.csv are faulty, the header being row 1: row 3 names 'cats/9.png', ")
    assert "row 4 has no label; row 5 has split 'tset', none of train, validation and test" in said
    assert (
        "row 6 labels 'dogs' the image that row 2 labels 'cats'; row 7 names the image of row 2 again; and 5 " in said
    )
    assert said.endswith(f"paths lead from {pets}, or from the folder that --images names.")
    last = ["path,label,split", lines[1], *lines[7:]]
    said = refusal(write(pets, last))
    assert "row 3 has 4 cells, more than the header; row 4 has no path" in said
    assert "row 5 names 'https://x.org/1.png', which is a web address, and nothing is downloaded" in said
    assert "row 6 names '\\x00', which is not there; row 7 has no split" in said
    assert "1 of 2 rows of images.csv is faulty" in refusal(write(pets, [*lines[:2], lines[3]]))


def test_a_row_without_a_group_is_faulty(pets: Path) -> None:
    lines = ["path,label,group", *(f"{path},{label},{'g' if i else ''}" for i, (path, label) in enumerate(ROWS))]
    assert "row 2 has no group" in refusal(write(pets, lines))


@pytest.mark.parametrize(
    ("lines", "options", "words"),
    [
        ([], {}, "its first row has nothing"),
        (["path,label"], {}, "no row below its header"),
        (
            ["cats/0.png,cats", "cats/1.png,cats"],
            {},
            "its first row has 'cats/0.png', 'cats'. Name the columns, such as",
        ),
        (["path,path,label"], {}, "2 columns named 'path'"),
        (["path,label", "x" * 200_000 + ",cats"], {}, "cannot be read"),
        (["path,label"], {"columns": "lable=x"}, "'lable=x' is none of these"),
        (["path,label"], {"columns": "label="}, "names no column for label"),
        (["path,label"], {"columns": "path=path,label=path"}, "names one thing twice"),
        (["path,label"], {"images": Path("nowhere")}, "--images nowhere is no folder"),
    ],
)
def test_what_is_no_table_of_images_is_refused(
    pets: Path, lines: list[str], options: dict[str, object], words: str
) -> None:
    assert words in refusal(write(pets, lines), **options)


def test_bytes_that_are_no_text_are_refused(pets: Path) -> None:
    for content, words in ((b"\x81\x8d,label\n", "neither UTF-8 nor"), (b"PK\3\4\0\0\xff\xff", "it is no text")):
        (pets / "images.csv").write_bytes(content)
        assert words in refusal(str(pets / "images.csv"))


def test_options_of_tables_are_refused_elsewhere(pets: Path) -> None:
    assert "--columns is for tables" in refusal(str(pets), columns="label=x")
    assert "--images is for tables" in refusal("digits", images=pets)


def test_one_class_and_few_images_are_the_usual_refusals(pets: Path) -> None:
    with pytest.raises(DataError, match="one class"):
        open_source(write(pets, ["path,label", "cats/0.png,cats", "cats/1.png,cats"]))
    assert len(open_images(write(pets, ["path,label", "cats/0.png,cats"])).items) == 1


def test_a_folder_without_class_folders_points_to_its_table(pets: Path) -> None:
    for number, path in enumerate(sorted(pets.rglob("*.png"))):
        path.rename(pets / f"{number}.png")
    write(pets, ["path,label"])
    with pytest.raises(DataError, match=r"none in a class folder.*Did you mean .*/pets/images\.csv\?"):
        open_source(str(pets))


def test_metadata_of_an_image_folder(make_folder: Callable[..., Path]) -> None:
    """Hugging Face's layouts: in the root, or in each part."""
    root = make_folder({"train": 4, "test": 2})
    names = {part: sorted(path.name for path in (root / part).iterdir()) for part in ("train", "test")}
    rows = [(part, name, f"class {i % 2}") for part in names for i, name in enumerate(names[part])]
    write(root, ["file_name,label", *(f"{part}/{name},{label}" for part, name, label in rows)], "metadata.csv")
    whole = open_source(str(root))
    (root / "metadata.csv").unlink()
    for part in names:
        lines = [f'{{"file_name": "{name}", "label": "{label}"}}' for of, name, label in rows if of == part]
        write(root / part, lines, "metadata.jsonl")
    parted = open_source(str(root))
    assert whole.items == parted.items
    assert [item.split for item in whole.items] == ["test"] * 2 + ["train"] * 4
    (root / "test" / "metadata.jsonl").unlink()
    with pytest.raises(DataError, match=r"train has a table of labels, and .*test has none"):
        open_source(str(root))


def test_metadata_without_labels_leaves_class_folders_as_they_are(pets: Path) -> None:
    write(pets, ["file_name,text", *(f"{path},a picture" for path, _ in ROWS)], "metadata.csv")
    assert open_source(str(pets)).classes == ("cats", "dogs")


def test_a_parquet_table(pets: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    from pyarrow import parquet

    table = pyarrow.table({"path": [path for path, _ in ROWS], "label": [int(label == "dogs") for _, label in ROWS]})
    parquet.write_table(table, pets / "images.parquet")
    assert open_source(str(pets / "images.parquet")).classes == ("0", "1")
    parquet.write_table(pyarrow.table({"image": [{"bytes": b"x", "path": None}], "label": [0]}), pets / "b.parquet")
    assert "holds images, not their paths" in refusal(str(pets / "b.parquet"))
    (pets / "c.parquet").write_bytes(b"PAR1 no")
    assert "cannot be read" in refusal(str(pets / "c.parquet"))


def test_a_parquet_table_names_the_extra_that_is_missing(pets: Path) -> None:
    from convlift.console.extras import is_installed

    if is_installed("pyarrow"):
        pytest.skip("pyarrow is installed")
    (pets / "images.parquet").write_bytes(b"PAR1")
    assert "needs pyarrow, which is not installed; pip install 'convlift[parquet]'" in refusal(
        str(pets / "images.parquet")
    )


CELL = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp")), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=6),
    separator=st.sampled_from(",;\t|"),
    quoting=st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)),
    ending=st.sampled_from(("\n", "\r\n")),
)
def test_what_a_csv_writer_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], separator: str, quoting: int, ending: str
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, quoting=quoting, lineterminator=ending)  # type: ignore[arg-type]
    writer.writerows([("path", "label"), *rows])
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(text.getvalue().encode())
    table = read_table(path)
    assert table.header == ("path", "label")
    assert [(row.cells["path"], row.cells["label"]) for row in table.rows] == rows
    assert [row.number for row in table.rows] == list(range(2, len(rows) + 2))


def test_the_first_usual_name_counts_and_a_column_has_one_role() -> None:
    table = Table("t.csv", ("id", "class", "label", "set"), (Row(2, {}),))
    assert choose_columns(table, None) == {"path": "id", "label": "label", "split": "set"}
    assert choose_columns(table, "label=class,split=") == {"path": "id", "label": "class"}
    assert choose_columns(table, "path=label,label=class")["path"] == "label"
    assert parse_columns("path=a=b") == {"path": "a=b"}


def test_images_beside_a_table_that_it_does_not_name_are_told(pets: Path) -> None:
    write(pets, ["file_name,label", *(f"{path},{label}" for path, label in ROWS[:5])], "metadata.csv")
    found = next(each for each in open_images(str(pets)).findings if each.kind == "not in the table")
    assert (found.severity, found.items) == ("warning", ("dogs/2.png",))
    assert "--layout class" in found.remedy


def test_whole_numbers_are_one_class_however_they_are_written(pets: Path) -> None:
    labels = ["0", "0.0", "0", "1.0", "1", "1.00"]
    rows = [f"{path},{label}" for (path, _), label in zip(ROWS, labels, strict=True)]
    assert open_source(write(pets, ["path,label", *rows])).classes == ("0", "1")
    named = [f"{path},{label}" for (path, _), label in zip(ROWS, ["007", "007", "007", "7", "7", "7"], strict=True)]
    assert open_source(write(pets, ["path,label", *named])).classes == ("007", "7")


def test_classes_that_differ_in_case_alone_are_told(pets: Path) -> None:
    rows = [f"{path},{label}" for (path, _), label in zip(ROWS, ["a", "A", "a", "b", "b", "b"], strict=True)]
    (found,) = (each for each in open_images(write(pets, ["path,label", *rows])).findings if each.kind != "columns")
    assert (found.kind, found.items) == ("alike classes", ("A = a",))


def test_a_column_that_is_no_part_has_a_remedy(pets: Path) -> None:
    rows = [f"{path},{label},{number}" for number, (path, label) in enumerate(ROWS)]
    assert refusal(write(pets, ["path,label,set", *rows])).endswith("or use no such column with --columns split=.")
    empty = [f"{path},{label}," for path, label in ROWS]
    assert refusal(write(pets, ["path,label,patient", *empty])).endswith("or use no groups with --columns group=.")


def test_groups_of_some_images_alone_are_refused(make_folder: Callable[..., Path]) -> None:
    folder = make_folder({"train": 3, "test": 3})
    write(
        folder / "train", ["file_name,label,patient", *(f"{n}.png,{'ab'[n % 2]},{n}" for n in range(3))], "metadata.csv"
    )
    write(folder / "test", ["file_name,label", *(f"{n}.png,{'ab'[n % 2]}" for n in range(3))], "metadata.csv")
    source = open_images(str(folder))
    with pytest.raises(ConvliftError, match=r"3 of 6 images have no group, such as test/0\.png"):
        names_of_groups(source, None, [item.key for item in source.items])
