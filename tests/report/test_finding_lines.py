"""What is wrong with the data: named on the screen, and all of it in a file."""

from pathlib import Path

from convlift.records.finding import Finding
from convlift.report.finding_lines import finding_lines, write_findings

BROKEN = Finding("unreadable", "warning", "1 of 121 files cannot be read.", ("a/broken.png",), "Replace it.")
MANY = Finding("duplicates", "warning", "40 images appear twice.", tuple(f"b/{i}.jpg" for i in range(40)))
NOTE = Finding("imbalance", "note", "Fine.", ("c.jpg",))


def test_the_files_are_named_a_few_of_them_at_most() -> None:
    assert finding_lines((BROKEN, NOTE)) == ["warning: 1 of 121 files cannot be read. Replace it. [a/broken.png]"]
    (line,) = finding_lines((MANY,))
    assert line.endswith("[b/0.jpg, b/1.jpg, b/2.jpg, b/3.jpg, b/4.jpg and 35 more, all of them in findings.txt]")


def test_a_file_that_the_message_names_is_not_named_twice() -> None:
    named = Finding("unreadable", "warning", "a/broken.png cannot be read.", ("a/broken.png",))
    assert finding_lines((named,)) == ["warning: a/broken.png cannot be read."]


def test_all_of_them_are_in_the_run_folder(tmp_path: Path) -> None:
    path = write_findings(tmp_path, (BROKEN, MANY, NOTE))
    assert path == tmp_path / "findings.txt"
    text = path.read_text(encoding="utf-8")
    assert "1 file:\n  a/broken.png\n" in text
    assert "  b/39.jpg\n" in text
    assert "note: imbalance. Fine." in text


def test_names_that_cannot_be_written_are_escaped(tmp_path: Path) -> None:
    path = write_findings(tmp_path, (Finding("x", "error", "\udcff", ("\udcff\x1b[2J.jpg",)),))
    assert path is not None
    assert "\\udcff\\x1b[2J.jpg" in path.read_text(encoding="utf-8")


def test_where_nothing_was_found_there_is_no_file(tmp_path: Path) -> None:
    write_findings(tmp_path, (BROKEN,))
    assert write_findings(tmp_path, ()) is None
    assert list(tmp_path.iterdir()) == []
