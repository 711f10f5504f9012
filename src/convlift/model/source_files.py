"""The user's own Python code that makes a network: where it lies, which files it is made of, and what it gives.

Which files belong to it is read from its import statements without running it, so that it can be compared with what was
trained before anything of it runs.
"""

import ast
import functools
import hashlib
import inspect
import json
import sys
import sysconfig
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from convlift.errors import RecipeError

MOST_BYTES = 2**20  # of a source file
MOST_FILES = 200
KERAS_FILE, KERAS_CONFIG = ".keras", "network.json"  # what Keras saves, and the part of it that describes the layers
REMEDY = "give FILE.py:NAME or PACKAGE.MODULE:NAME, such as net.py:make"


@dataclass(frozen=True)
class Code:
    """Code that makes a network.

    text: as the user named it; root: the folder that its own imports start from; entry: the file in it, "" for an
    installed package, KERAS_CONFIG for a model that Keras saved; module: its name for Python; name: of the function or
    class.
    files: contents of its files by their path below root, with the entry and what it imports from there; of an
    installed package nothing, but `version`.
    """

    text: str
    root: Path
    entry: str
    module: str
    name: str
    files: dict[str, bytes]
    version: str = ""

    @property
    def is_keras_file(self) -> bool:
        """Whether it is no code but what Keras wrote of a model's layers."""
        return self.entry == KERAS_CONFIG

    @property
    def digest(self) -> str:
        """SHA-256 of the name, and of all files and their names, or of the version of an installed package."""
        found = hashlib.sha256(f"{self.entry or self.module}:{self.name} {self.version}".encode())
        for path, content in sorted(self.files.items()):
            found.update(f"\0{path}\0{len(content)}\0".encode() + content)
        return found.hexdigest()


def code_of(text: str) -> Code:
    """What `text` names, found without running any of it. Raises RecipeError: the value, the rule and the remedy."""
    if text.endswith((KERAS_FILE, f"/{KERAS_CONFIG}")):
        return _saved_by_keras(text)
    place, colon, name = text.rpartition(":")
    if not colon or not place or not all(part.isidentifier() for part in name.split(".")):
        raise RecipeError(f"network {shown(text)} names no function of a Python file; {REMEDY}.")
    if place.endswith(".py"):
        path = _file_at(place)
        if path is None:
            raise RecipeError(f"network {shown(text)}: there is no file {shown(place)}; {REMEDY}.")
        root, entry, module = path.resolve().parent, path.name, path.stem
    elif all(part.isidentifier() for part in place.rpartition("/")[2].split(".")):
        folder, _, module = place.rpartition("/")
        found = _module_file(module, [folder] if folder else [str(Path.cwd()), *sys.path])
        if found is None:
            raise RecipeError(f"network {shown(text)}: there is no module {shown(place)} here; {REMEDY}.")
        root, path = found
        entry = path.relative_to(root).as_posix()
        if version := _version_if_installed(text, path, module):
            return Code(text, root, "", module, name, {}, version)
    else:
        raise RecipeError(f"network {shown(text)} is neither a .py file nor a module; {REMEDY}.")
    return Code(text, root, entry, module, name, _files(root, entry, text))


def _saved_by_keras(text: str) -> Code:
    """The layers in a file that Keras saved, or in what is kept of one beside a model. Raises RecipeError."""
    path = _file_at(text)
    if path is None:
        raise RecipeError(f"network {shown(text)}: there is no such file; {REMEDY}, or a .keras file.")
    try:
        if path.name == KERAS_CONFIG:
            content = path.read_bytes()
        else:
            with zipfile.ZipFile(path) as archive, archive.open("config.json") as config:
                content = config.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES or not isinstance(json.loads(content), dict):
            raise ValueError("its config.json describes no model")
    except (OSError, KeyError, ValueError, RecursionError, zipfile.BadZipFile, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:100]
        raise RecipeError(
            f"network {shown(text)} is no model that Keras 3 saved ({reason}); save it with model.save('net.keras')."
        ) from None
    return Code(text, path.resolve().parent, KERAS_CONFIG, "", "make", {KERAS_CONFIG: content})


def reference_to(make: Callable[..., Any]) -> str:
    """FILE.py:NAME or MODULE:NAME of a function or class. Raises RecipeError where no file has it, as in a notebook."""
    if isinstance(make, functools.partial):
        raise RecipeError("a partial has no name that workers could find it by; write a function that fills it in.")
    if not inspect.isclass(make) and not inspect.isroutine(make):
        kind = type(make).__name__
        raise RecipeError(
            f"a {kind} that was made already cannot be trained anew from other first weights; give what makes it, such "
            f"as current={kind}."
        )
    name = getattr(make, "__qualname__", "")
    module = sys.modules.get(getattr(make, "__module__", None) or "")  # not that of a decorator around it
    path = Path(getattr(module, "__file__", None) or "")
    if path.suffix != ".py" or not path.is_file() or "<" in name:
        raise RecipeError(
            f"{getattr(make, '__name__', type(make).__name__)} is not written at the top of a .py file, and the worker "
            "processes could not make it; write it into one and give its place, such as net.py:make."
        )
    spec = getattr(module, "__spec__", None)
    dotted = spec.name if spec else path.stem
    above = dotted.count(".") + (path.name == "__init__.py")
    if not above:
        return f"{path}:{name}"
    # by its whole name, which its relative imports need
    is_installed = _version_if_installed(dotted, path.resolve(), dotted)
    return f"{dotted}:{name}" if is_installed else f"{path.parents[above]}/{dotted}:{name}"


def _file_at(place: str) -> Path | None:
    try:
        path = Path(place).expanduser()
        return path if path.is_file() else None
    except (OSError, RuntimeError):  # longer than a name may be, or of a user whom there is not
        return None


def _module_file(name: str, places: list[str]) -> tuple[Path, Path] | None:
    """(folder above the top package, file) of a module in one of `places`, by a look at folders alone; None where there
    is none."""
    top, *rest = name.split(".")
    spec = PathFinder.find_spec(top, places)
    if spec is None:
        return None
    if not spec.submodule_search_locations:
        origin = Path(spec.origin or "").resolve()
        return (origin.parent, origin) if not rest and origin.is_file() else None
    for place in spec.submodule_search_locations:  # several, of a package without __init__.py
        folder = Path(place).resolve()
        below = folder.joinpath(*rest)
        for file in (below / "__init__.py", *([below.with_suffix(".py")] if rest else [])):
            if file.is_file():
                return folder.parent, file
    return None


def _version_if_installed(text: str, path: Path, module: str) -> str:
    """Name and version of the distribution that a file was installed by; "" for somebody's own code.

    Raises RecipeError for Python's own modules, which make no networks.
    """
    if is_installed(path, by_pip=True):
        named = metadata.packages_distributions().get(module.split(".")[0], [])
        return ", ".join(f"{each} {metadata.version(each)}" for each in sorted(set(named)))
    if is_installed(path):
        raise RecipeError(f"network {shown(text)} lies in Python's own library, which makes no networks; {REMEDY}.")
    return ""


def is_installed(path: Path, *, by_pip: bool = False) -> bool:
    """Whether a file belongs to an installed package, or to Python itself. by_pip: the first alone."""
    kinds = ("purelib", "platlib") if by_pip else ("purelib", "platlib", "stdlib", "platstdlib")
    return any(path.is_relative_to(Path(sysconfig.get_paths()[kind]).resolve()) for kind in kinds)


def _files(root: Path, entry: str, text: str) -> dict[str, bytes]:
    """The entry and every file below `root` that it imports, and these import."""
    found: dict[str, bytes] = {}
    waiting = [entry, *_parents(entry)]
    while waiting:
        path = waiting.pop()
        if path in found or not (root / path).is_file():
            continue
        content = (root / path).read_bytes()
        if len(content) > MOST_BYTES or len(found) == MOST_FILES:
            raise RecipeError(
                f"network {shown(text)}: {path} and what it imports are over {MOST_FILES} files or {MOST_BYTES} bytes "
                "of one; move the network into a file of its own."
            )
        found[path] = content
        try:
            tree = ast.parse(content)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise RecipeError(f"network {shown(text)}: {path} is no Python ({error}).") from None
        for name in _imports(tree, module_name(path), is_package=path.endswith("__init__.py")):
            below = name.replace(".", "/")
            waiting += [f"{below}.py", f"{below}/__init__.py", *_parents(below)]
    return found


def _parents(path: str) -> list[str]:
    """The files of the packages that a path lies in."""
    parts = path.split("/")[:-1]
    return ["/".join([*parts[:depth], "__init__.py"]) for depth in range(1, len(parts) + 1)]


def module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _imports(tree: ast.Module, module: str, *, is_package: bool) -> Iterator[str]:
    """The names of modules that the import statements of a file may mean."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *(node.module.split(".") if node.module else [])])
            if base:
                yield base
            yield from (f"{base}.{alias.name}" if base else alias.name for alias in node.names)


def shown(text: str) -> str:
    return repr(text[:200])
