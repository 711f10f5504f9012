"""From a recipe file to plain data: YAML in which every key stands once and nothing is larger than a recipe can be.

PyYAML alone lets the last of two equal keys win, copies aliases of aliases without end, and ends in a traceback for a
file that is nested too deep or holds a number that is too long.
"""

import codecs
import re
import stat
from pathlib import Path
from typing import Any

import yaml

from convlift.errors import RecipeError

MAX_BYTES = 100_000  # a recipe with every lever written down has 2,000
MAX_DEPTH = 20  # data.augmentation.x is 3 deep
MAX_VALUES = 2_000  # of a file with its aliases written out; a recipe has 60
MAX_DIGITS = 50
_CORE = "tag:yaml.org,2002:"
_PLAIN = frozenset(_CORE + kind for kind in ("str", "int", "float", "bool", "null", "map", "seq", "merge"))
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9_]*)")


class _Fault(Exception):
    """What is wrong with the file, in words that follow its name."""


def read_recipe_file(path: Path) -> Any:
    """The plain data in a recipe file. Raises RecipeError: the file, the line, the field, and what to do."""
    try:
        text = _text(path)
    except _Fault as fault:
        raise RecipeError(f"recipe {_word(str(path))} {fault}.") from None
    return read_recipe_text(text, str(path))


def read_recipe_text(text: str, name: str) -> Any:
    """The plain data in the text of a recipe file, or of what else has this name. Raises RecipeError."""
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except _Fault as fault:
        raise RecipeError(f"recipe {_word(name)} {fault}.") from None
    except yaml.MarkedYAMLError as error:
        raise RecipeError(f"recipe {_word(name)} is not valid YAML: {_fault_of_the_yaml(error)}.") from None
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split()).replace(' in "<unicode string>"', "")
        raise RecipeError(f"recipe {_word(name)} is not valid YAML: {reason}.") from None


def _text(path: Path) -> str:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe or device may never end
            what = "is a folder" if stat.S_ISDIR(status.st_mode) else "is no regular file"
            raise _Fault(f"cannot be read (it {what}); give the path of a YAML file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise _Fault(f"cannot be read ({reason}); give the path of a YAML file") from None
    if len(content) > MAX_BYTES:
        raise _Fault(f"has over {MAX_BYTES} bytes, the most that a recipe may have; is it another file?")
    # a file that PowerShell's > has written is UTF-16
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise _Fault(f"is no UTF-8 text (byte {error.start + 1}: {error.reason}); save it as UTF-8") from None
    if not any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines()):
        raise _Fault("is empty; `convlift recipes --show plain` prints one to start from")
    return text


class _Loader(yaml.SafeLoader):
    """Refuses, while it reads, what no recipe holds; what it has not read yet costs nothing."""

    yaml_implicit_resolvers = {  # a date is a text here, so that its field's own error tells what it takes
        first: [(tag, pattern) for tag, pattern in resolvers if tag != f"{_CORE}timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._path: list[str] = []
        self._values = 0
        self._sizes: dict[int, int] = {}  # of every finished node, its aliases written out

    def compose_node(self, parent: Any, index: Any) -> Any:
        """A node of the file, as PyYAML composes it; the path of keys leads to it."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1
        is_value = isinstance(index, yaml.Node)
        if is_value:
            self._check_key(parent, index)
        self._path.append(_word(index.value) if is_value else "" if index is None else str(index))
        if len(self._path) > MAX_DEPTH:
            raise _Fault(f"is nested over {MAX_DEPTH} deep in line {line}; a recipe has three levels")
        before = self._values
        node: Any = super().compose_node(parent, index)
        if isinstance(event, yaml.AliasEvent):
            if id(node) not in self._sizes:
                raise _Fault(f"has an alias in line {line} that stands within what it repeats; write it out")
            self._values += self._sizes[id(node)]
        else:
            if is_value or not isinstance(parent, yaml.MappingNode):  # a key is checked with its value
                self._check_value(node, line)
            self._values += 1
            self._sizes[id(node)] = self._values - before
        if self._values > MAX_VALUES:
            raise _Fault(f"holds over {MAX_VALUES} values by line {line}, aliases counted; a recipe has about 60")
        self._path.pop()
        return node

    def _check_key(self, mapping: Any, key: Any) -> None:
        line = key.start_mark.line + 1
        if key.tag not in (f"{_CORE}str", f"{_CORE}merge"):
            shown = f" {_word(key.value)}" if isinstance(key, yaml.ScalarNode) else ""
            raise _Fault(f"has a key{shown} in line {line} that is no name; keys are names of levers")
        for other, _ in mapping.value:
            if other.value == key.value:
                first, name = other.start_mark.line + 1, self._field(_word(key.value))
                raise _Fault(f"gives '{name}' twice, in lines {first} and {line}; leave one out")

    def _check_value(self, node: Any, line: int) -> None:
        name = self._field()
        if node.tag not in _PLAIN:
            raise _Fault(f"has the tag {_word(node.tag.replace(_CORE, '!!'))} in line {line}; write a plain value")
        if node.tag in (f"{_CORE}int", f"{_CORE}float"):
            if len(node.value) > MAX_DIGITS:
                raise _Fault(
                    f"gives '{name}' a number of {len(node.value)} characters in line {line}; "
                    f"a number has at most {MAX_DIGITS}"
                )
            if ":" in node.value or (node.tag.endswith("int") and not _DECIMAL.fullmatch(node.value)):
                # YAML 1.1 reads 010 as 8 and 1:30 as 90
                raise _Fault(f"gives '{name}' the number {node.value} in line {line}; write it as a plain decimal")

    def _field(self, last: str = "") -> str:
        return ".".join(part for part in (*self._path, last) if part) or "recipe"


def _fault_of_the_yaml(error: yaml.MarkedYAMLError) -> str:
    told = [" ".join(part.split()) for part in (error.context, error.problem) if part]
    problem = told[-1] if told else "it cannot be understood"
    mark = error.problem_mark or error.context_mark
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    if problem == "but found another document":
        return f"{where}a second document begins with '---'; a recipe is one document"
    if "'\\t'" in problem:
        return f"{where}a tab; indent with spaces"
    whole = ", ".join(told) or problem
    return where + (whole if len(whole) <= 200 else f"{whole[:200]}...")


def _word(text: Any) -> str:
    """A name from the file on one line, and not longer than a reader wants it."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text)[:120])
    return shown if len(shown) <= 100 else f"{shown[:100]}..."
