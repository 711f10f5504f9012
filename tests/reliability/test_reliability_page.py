"""docs/reliability.md names a test for every fault, and those tests exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAULTS = 68
CAPABILITIES = ("GPU", "Ray", "serving", "export")
ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
ROWS = ROW.findall((ROOT / "docs" / "reliability.md").read_text(encoding="utf-8"))


def test_every_fault_has_its_row() -> None:
    assert [int(number) for number, *_ in ROWS if int(number) <= FAULTS][-FAULTS:] == list(range(1, FAULTS + 1))


@pytest.mark.parametrize(("number", "fault", "happens", "test"), ROWS[-FAULTS:])
def test_its_test_exists_or_it_says_what_it_waits_for(number: str, fault: str, happens: str, test: str) -> None:
    if test == "later":
        assert happens.startswith("later: ")
        assert any(capability in happens for capability in CAPABILITIES)
        return
    path, _, name = test.strip("`").partition("::")
    defined = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    assert name in {each.name for each in defined if isinstance(each, ast.FunctionDef)}, (number, fault)
