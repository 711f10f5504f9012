"""A plan as a file: YAML that a person reads and edits, checked entry by entry, with all faults told at once.

The text is composed into nodes by PyYAML's safe loader and never made into objects: a name such as `no` or `007` stays
the text that stands there, and every fault knows its line.
"""

import difflib
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import yaml

from convlift.audit.plan_reasons import HEADER
from convlift.console.atomic import write_text
from convlift.data.readers.source import printable
from convlift.errors import ConvliftError
from convlift.records.data_plan import KINDS, STATES, DataPlan, Entry, Kind, State

VERSION = "1"
MAX_BYTES = 50_000_000  # 20,000 images, each doubted, take 6 MB
_TOLD = 50  # faults in one message
_HEAD = ("convlift plan", "data", "images", "fingerprint", "names", "read")
_LISTS = ("images", "beside")
_FIELDS: dict[Kind, tuple[str, ...]] = {
    "exclude": ("image", "part", "beside", "reason", "state"),
    "keep together": ("images", "groups", "reason", "state"),
    "resplit": ("reason", "state"),
    "relabel": ("image", "label", "suggested", "reason", "state"),
}
# what YAML reads back as the very text, whatever it is; all else is quoted
_PLAIN = re.compile(r"(?=[^0-9\s])[\w./()-][\w ./()+<>=;,%'-]*(?<! )")
_TAKEN = re.compile(r"(?i)-.*|\..*|true|false|yes|no|on|off|y|n|null|.* #.*")


class _Faults(list[str]):
    """What is wrong with a file, each with its line."""

    def add(self, node: yaml.Node, said: str) -> None:
        self.append(f"line {node.start_mark.line + 1}: {said}")


def read_plan(path: Path) -> DataPlan:
    """The plan in a file. Raises ConvliftError with every fault of it, each with its line."""
    root = _root(path)
    faults = _Faults()
    fields = _mapping(root, faults, (*_HEAD, *KINDS), "the plan")
    version = _text(fields.get("convlift plan"), faults)
    if version != VERSION:
        said = f"a plan of version {version}" if version else "no plan of convlift"
        raise ConvliftError(f"{_shown(path)} is {said}; `convlift audit DATA --fix {path.name}` writes one.")
    entries = [entry for kind in KINDS for entry in _entries(kind, fields.get(kind), faults)]
    data, images = (_text(fields.get(name), faults) for name in ("data", "images"))
    if not images.isdecimal():
        faults.add(fields.get("images", root), "images is no number; it is how many the data set has")
    fingerprint = _text(fields.get("fingerprint"), faults)
    if not re.fullmatch(r"[0-9a-f]{64}", fingerprint):
        faults.add(
            fields.get("fingerprint", root), "fingerprint is not the 64 characters that tell which data it is for"
        )
    read = fields.get("read")
    reading = {} if read is None else _mapping(read, faults, None, "read")
    plan_reading = {name: _text(value, faults) for name, value in reading.items()}
    names = _text(fields.get("names"), faults)
    refuse_faults(path, faults)
    return DataPlan(data, int(images), fingerprint, plan_reading, tuple(entries), names)


def refuse_faults(path: Path, faults: list[str]) -> None:
    """Raise ConvliftError with all of them, where there are any; path: the file of the plan."""
    if faults:
        more = f"; and {len(faults) - _TOLD} more" if len(faults) > _TOLD else ""
        raise ConvliftError(f"plan {_shown(path)} cannot be used: {'; '.join(faults[:_TOLD])}{more}. Mend the file.")


def write_plan(path: Path, plan: DataPlan) -> Path:
    """Write a plan, whole or not at all; the same plan always gives the same text. Raises DiskError."""
    return write_text(path, text_of(plan))


def text_of(plan: DataPlan) -> str:
    """A plan as the text of its file."""
    lines = [HEADER.rstrip(), f"convlift plan: {VERSION}", f"data: {_scalar(plan.data)}", f"images: {plan.images}"]
    lines += [f"fingerprint: {_scalar(plan.fingerprint)}"]
    lines += [f"names: {_scalar(plan.names)}"] if plan.names else []
    if plan.reading:
        lines += ["read:", *(f"  {_scalar(name)}: {_scalar(value)}" for name, value in sorted(plan.reading.items()))]
    for kind in KINDS:
        if own := [entry for entry in plan.entries if entry.kind == kind]:
            lines += ["", f"{kind}:"]
            for entry in own:
                lines += _lines(entry)
    return "\n".join(lines) + "\n"


def _lines(entry: Entry) -> Iterator[str]:
    values: dict[str, Any] = {
        "image": entry.images[0] if entry.images else "",
        "images": entry.images,
        **{
            name: getattr(entry, name) for name in ("label", "suggested", "part", "groups", "beside", "reason", "state")
        },
    }
    bullet = "- "
    for name in _FIELDS[entry.kind]:
        if not (value := values[name]):
            continue
        if name in _LISTS:
            yield f"{bullet}{name}:"
            yield from (f"  - {_scalar(each)}" for each in value)
        else:
            yield f"{bullet}{name}: {_scalar(value)}"
        bullet = "  "


def _scalar(text: str) -> str:
    """A text as YAML reads it back, plain where nothing in it has another meaning."""
    if _PLAIN.fullmatch(text) and not _TAKEN.fullmatch(text) and text.isprintable():
        return text
    quoted = "".join(
        f"\\{c}" if c in '"\\' else c if c.isprintable() and c != "\ufeff" else f"\\U{ord(c):08x}" for c in text
    )
    return f'"{quoted}"'


def _root(path: Path) -> yaml.Node:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe may never end
            raise ValueError("it is no file")
        if status.st_size > MAX_BYTES:
            raise ValueError(f"it takes {status.st_size / 1e6:.0f} MB, and at most {MAX_BYTES / 1e6:.0f} MB are read")
        text = path.read_text(encoding="utf-8-sig")
        root: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is None:
            raise ValueError("it is empty")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        raise ConvliftError(f"plan {_shown(path)} is not valid YAML: {where}{error.problem}; mend the line.") from None
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else printable(str(error))
        if isinstance(error, RecursionError):
            reason = "it is nested too deep"
        raise ConvliftError(
            f"plan {_shown(path)} cannot be read ({reason}); `convlift audit DATA --fix {path.name}` writes one."
        ) from None
    return root


def _mapping(node: yaml.Node, faults: _Faults, known: tuple[str, ...] | None, what: str) -> dict[str, yaml.Node]:
    """The values of a mapping by name; a fault where a name is unknown or there twice."""
    if not isinstance(node, yaml.MappingNode):
        faults.add(node, f"{what} has no fields; write NAME: VALUE")
        return {}
    found: dict[str, yaml.Node] = {}
    for key, value in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else "?"
        if name in found:
            faults.add(key, f"'{printable(name)}' stands there twice; leave one out")
        elif known is not None and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(known)}"
            faults.add(key, f"{what} has no '{printable(name[:60])}'; {hint}")
        else:
            found[name] = value
    return found


def _entries(kind: Kind, node: yaml.Node | None, faults: _Faults) -> Iterator[Entry]:
    if node is None or _is_nothing(node):
        return
    if not isinstance(node, yaml.SequenceNode):
        faults.add(node, f"'{kind}' is no list; begin each entry with '- '")
        return
    for each in node.value:
        before = len(faults)
        fields = _mapping(each, faults, _FIELDS[kind], f"an entry of '{kind}'")
        lists = {name: _list(fields.get(name), faults) for name in _LISTS}
        texts = {name: _text(fields.get(name), faults) for name in _FIELDS[kind] if name not in _LISTS}
        if len(faults) == before:
            _check(kind, texts, lists, each, faults)
        if len(faults) > before:
            continue
        image, state = texts.pop("image", ""), cast(State, texts.pop("state"))
        yield Entry(
            kind, state, (image,) if image else lists["images"], beside=lists["beside"], line=each.start_mark.line + 1,
            **texts,
        )  # fmt: skip


def _check(
    kind: Kind, texts: dict[str, str], lists: dict[str, tuple[str, ...]], node: yaml.Node, faults: _Faults
) -> None:
    """What must be there of an entry."""
    state = texts["state"]
    if state not in STATES:
        said = f"state '{printable(state[:60])}' is not known" if state else "there is no state"
        faults.add(node, f"{said}; it is {', '.join(STATES[:-1])} or {STATES[-1]}")
    needed = {"exclude": ("image",), "relabel": ("image", "label", "suggested")}.get(kind, ())
    if missing := [name for name in needed if not texts[name]]:
        faults.add(node, f"an entry of '{kind}' has no {' and no '.join(missing)}; add it or remove the entry")
    if kind == "keep together" and (len(set(lists["images"])) > 1) == bool(texts["groups"]):
        faults.add(node, "an entry of 'keep together' needs two images or more, or 'groups', and not both")
    if kind == "relabel" and texts["label"] == texts["suggested"] != "":
        faults.add(
            node, f"label and suggested are both '{printable(texts['label'])}'; name another or remove the entry"
        )


def _text(node: yaml.Node | None, faults: _Faults) -> str:
    if node is None or _is_nothing(node):
        return ""
    if not isinstance(node, yaml.ScalarNode):
        faults.add(node, "a list or fields stand where one value is needed")
        return ""
    return str(node.value)


def _list(node: yaml.Node | None, faults: _Faults) -> tuple[str, ...]:
    if node is None or _is_nothing(node):
        return ()
    if not isinstance(node, yaml.SequenceNode):
        faults.add(node, "one value stands where a list is needed; write [VALUE, VALUE]")
        return ()
    return tuple(_text(each, faults) for each in node.value)


def _is_nothing(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.value in ("", "null", "~") and node.style is None


def _shown(path: Path) -> str:
    return printable(str(path))
