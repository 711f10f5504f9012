"""Running the user's own code: its module, imported from source files alone, and the function in it that makes the
network.

Bytecode that lies beside source files would run in their place, and Python tells whether it is theirs by their time and
size, or not at all: it may be older, or somebody else's.
"""

import contextlib
import importlib.util
import inspect
import json
import os
import random
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import numpy as np

from convlift.errors import RecipeError
from convlift.model.source_files import Code, is_installed, module_name, shown

CLASSES = ("num_classes", "classes", "n_classes", "nb_classes", "number_of_classes", "class_count")

PERHAPS = "num_classes, perhaps"
ALLOWED = "CONVLIFT_ALLOWED_CODE"  # of the environment, which workers inherit: digests that may run

_loaded: dict[tuple[str, str, str], "Loaded"] = {}
_is_loading = False


@dataclass(frozen=True)
class Loaded:
    """A module that ran, and those from its own folder that it imported, by their names.

    outside: other modules that it brought, of neither an installed package nor its own folder: nobody keeps them.
    """

    module: ModuleType
    siblings: dict[str, ModuleType]
    outside: tuple[str, ...] = ()


def allow(code: Code) -> None:
    """Let this code run in this process and in the workers that it starts; whoever calls it has asked whether it may
    (`trusted_code.py`)."""
    os.environ[ALLOWED] = " ".join({*os.environ.get(ALLOWED, "").split(), code.digest})


def load_factory(code: Code) -> Callable[..., Any]:
    """The function or class itself; its module runs, once in a process, with what it prints on stderr.

    The random generators are left as they were. Raises RecipeError where the code may not run, cannot be imported or
    holds no such name.
    """
    loaded = _load(code)
    found: Any = loaded.module
    for part in code.name.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        own = vars(loaded.module)
        named = sorted(name for name, value in own.items() if callable(value) and _is_own(value, loaded.module))
        known = f"it defines {', '.join(named[:8])}" if named else "it defines no function or class"
        raise RecipeError(f"network {shown(code.text)}: there is no function or class {code.name} ({known}).")
    return found


def brought_from_outside(code: Code) -> tuple[str, ...]:
    """See `Loaded.outside`."""
    return _load(code).outside


@contextlib.contextmanager
def among_its_siblings(code: Code) -> Iterator[None]:
    """While it is called, what it imports by name is what lies beside it, whatever else has that name here."""
    if code.is_keras_file:
        yield
        return
    siblings, own = _load(code).siblings, _own_modules(code)
    before = {name: sys.modules.pop(name) for name in own & sys.modules.keys()}
    sys.modules.update(siblings)
    sys.path.insert(0, str(code.root))
    try:
        yield
    finally:
        sys.path.remove(str(code.root))
        siblings |= {name: sys.modules.pop(name) for name in own & sys.modules.keys()}
        sys.modules.update(before)


@contextlib.contextmanager
def random_as_it_was() -> Iterator[None]:
    """Python's, numpy's and torch's generators are put back."""
    import torch

    before, before_numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(before)
        np.random.set_state(before_numpy)


def _load(code: Code) -> Loaded:
    if code.digest not in os.environ.get(ALLOWED, "").split():
        raise RecipeError(f"network {shown(code.text)} is Python code that nobody has named here; name it: --model.")
    key = (code.digest, str(code.root), code.entry or code.module)
    if key not in _loaded:
        from convlift.model.operators import declare_missing_operators  # torch comes with it

        declare_missing_operators()
        os.environ.setdefault("KERAS_BACKEND", "torch")  # of a network in Keras, unless somebody chose another one
        with speaking_aside(), _loading(), random_as_it_was():
            _loaded[key] = _of_keras(code) if code.is_keras_file else _imported(code)
    return _loaded[key]


def takes_classes(make: Callable[..., Any]) -> str | None:
    """How `make` takes the number of classes: the name of its argument, "" for its only positional one, None for not at
    all, PERHAPS where it takes arguments of any name. Raises RecipeError where it needs more than that."""
    try:
        parameters = list(inspect.signature(make).parameters.values())
    except (TypeError, ValueError):
        return None
    needed = [each for each in parameters if each.default is each.empty and each.kind not in _ANY_NUMBER]
    by_name = [each.name for each in parameters if each.kind is not inspect.Parameter.POSITIONAL_ONLY]
    named = next((each for each in by_name if each in CLASSES), None)
    others = [each.name for each in needed if each.name != named]
    if named is None and len(others) == 1 and needed[0].kind is not inspect.Parameter.KEYWORD_ONLY:
        return ""
    if others:
        raise RecipeError(
            f"{getattr(make, '__name__', 'the network')}() needs {', '.join(others)}, and is called with the number of "
            "classes alone; give the others defaults, or name a function that fills them in."
        )
    if named is None and not others and any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters):
        return PERHAPS
    return named


_ANY_NUMBER = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class SourceAlone(SourceFileLoader):
    """A loader that neither reads bytecode nor writes any."""

    def get_code(self, fullname: str) -> CodeType:
        """Compiled from the file as it is now."""
        path = self.get_filename(fullname)
        compiled: CodeType = self.source_to_code(self.get_data(path), path)
        return compiled


def import_from_source(folders: Iterable[Path]) -> None:
    """Let modules right in these folders be made from their source, now and whenever they are imported."""
    for folder in folders:
        sys.path_importer_cache[str(folder)] = FileFinder(
            str(folder), (ExtensionFileLoader, EXTENSION_SUFFIXES), (SourceAlone, SOURCE_SUFFIXES)
        )


def refuse_while_loading() -> None:
    """Raise RecipeError where a network's own file starts a campaign while it is imported, which would never end."""
    if _is_loading:
        raise RecipeError("it calls convlift itself")


@contextlib.contextmanager
def _loading() -> Iterator[None]:
    global _is_loading
    before, _is_loading = _is_loading, True
    try:
        yield
    finally:
        _is_loading = before


@contextlib.contextmanager
def speaking_aside() -> Iterator[None]:
    """What somebody else's code prints goes to stderr: stdout is for answers."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def _imported(code: Code) -> Loaded:
    """The module, with what it imports from its own folder read afresh: another network's `layers.py` may be loaded."""
    own = _own_modules(code)
    put_aside = {name: sys.modules.pop(name) for name in own & sys.modules.keys()}
    known = set(sys.modules)
    sys.path.insert(0, str(code.root))
    import_from_source({code.root, *((code.root / path).parent for path in code.files)} if code.entry else ())
    try:
        module = _executed(code)
        siblings = {name: sys.modules[name] for name in own & sys.modules.keys()}
        return Loaded(module, siblings, tuple(_outside(code, set(sys.modules) - known)))
    except (Exception, SystemExit) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise RecipeError(f"network {shown(code.text)} cannot be imported ({reason}); {_remedy(error)}.") from error
    finally:
        sys.path.remove(str(code.root))
        sys.path.append(str(code.root))  # for what it imports only once it is called
        sys.modules.update(put_aside)


def _of_keras(code: Code) -> Loaded:
    """A module whose `make` makes the model that a file of Keras describes, with new weights; nothing is unpickled."""
    module = ModuleType("saved_by_keras")
    described = json.loads(code.files[code.entry])

    def make() -> Any:
        import keras

        return keras.saving.deserialize_keras_object(described, safe_mode=True)

    module.make = make  # type: ignore[attr-defined]
    return Loaded(module, {})


def _own_modules(code: Code) -> set[str]:
    """The names of its files as modules, and of the packages that they lie in, but for its own."""
    names = {module_name(path) for path in code.files}
    names |= {name.rsplit(".", depth)[0] for name in names for depth in range(1, name.count(".") + 1)}
    return names - {module_name(code.entry)} if code.entry else set()


def _executed(code: Code) -> ModuleType:
    if not code.entry:
        return importlib.import_module(code.module)
    if "/" in code.entry:
        sys.modules.pop(code.module, None)
        module = importlib.import_module(code.module)
        if Path(module.__file__ or "").resolve() != (code.root / code.entry).resolve():
            raise ImportError(f"{module.__file__} came in its place")
        return module
    # under a name of its own, which no other file's is
    name = f"convlift_own_{code.digest[:12]}"
    loader = SourceAlone(name, str(code.root / code.entry))
    spec = importlib.util.spec_from_file_location(name, loader=loader)
    assert spec is not None, "the file is there"
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    loader.exec_module(module)
    return module


def _remedy(error: BaseException) -> str:
    if "relative import" in str(error):
        return "name it as a module of its package, such as package.module:make"
    if isinstance(error, ModuleNotFoundError):
        if (error.name or "").startswith("tensorflow"):
            return "write `import keras`, which is Keras 3, in its place"
        return "install it, or, where it lies in a folder above, name the network as package.module:make from there"
    return "what trains or reads arguments belongs under if __name__ == '__main__'"


def _outside(code: Code, names: Iterable[str]) -> Iterator[str]:
    """Of the modules that were imported now, those that lie neither beside the code nor in an installed package."""
    own = {(code.root / path).resolve() for path in code.files}
    for name in sorted(names):
        file = getattr(sys.modules.get(name), "__file__", None)
        if not file or name.split(".")[0] == "convlift" or not str(file).endswith(".py"):
            continue
        path = Path(file).resolve()
        if path not in own and not is_installed(path):
            yield name


def _is_own(value: Any, module: ModuleType) -> bool:
    return getattr(value, "__module__", "") == module.__name__
