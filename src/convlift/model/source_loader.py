"""Running the user's own code: its module, imported from source files alone, and the function in it that makes the
network.

Bytecode that lies beside source files would run in their place, and Python tells whether it is theirs by their time and
size, or not at all: it may be older, or somebody else's.
"""

import contextlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from convlift.errors import RecipeError
from convlift.model.source_files import Code, module_name, shown

CLASSES = ("num_classes", "classes", "n_classes", "nb_classes", "number_of_classes", "class_count")

PERHAPS = "num_classes, perhaps"

_loaded: dict[tuple[str, str, str], ModuleType] = {}
_is_loading = False


def load_factory(code: Code) -> Callable[..., Any]:
    """The function or class itself; its module runs, once in a process, with what it prints on stderr.

    Raises RecipeError where it cannot be imported or holds no such name.
    """
    key = (code.digest, str(code.root), code.entry or code.module)
    if key not in _loaded:
        from convlift.model.operators import declare_missing_operators  # torch comes with it

        declare_missing_operators()
        os.environ.setdefault("KERAS_BACKEND", "torch")  # of a network in Keras, unless somebody chose another one
        with speaking_aside(), _loading():
            _loaded[key] = _imported(code)
    found: Any = _loaded[key]
    for part in code.name.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        named = sorted(n for n, value in vars(_loaded[key]).items() if callable(value) and _is_own(value, _loaded[key]))
        known = f"it defines {', '.join(named[:8])}" if named else "it defines no function or class"
        raise RecipeError(f"network {shown(code.text)}: there is no function or class {code.name} ({known}).")
    return found


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


def _imported(code: Code) -> ModuleType:
    """The module, with what it imports from its own folder read afresh: another network's `layers.py` may be loaded."""
    own = {module_name(path) for path in code.files} - {module_name(code.entry)} if code.entry else set()
    put_aside = {name: sys.modules.pop(name) for name in own & sys.modules.keys()}
    sys.path.insert(0, str(code.root))
    import_from_source({code.root, *((code.root / path).parent for path in code.files)} if code.entry else ())
    try:
        if not code.entry or "/" in code.entry:
            sys.modules.pop(code.module, None) if code.entry else None
            return importlib.import_module(code.module)
        # under a name of its own, which no other file's is
        name = f"convlift_own_{code.digest[:12]}"
        loader = SourceAlone(name, str(code.root / code.entry))
        spec = importlib.util.spec_from_file_location(name, loader=loader)
        assert spec is not None, "the file is there"
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        loader.exec_module(module)
        return module
    except (Exception, SystemExit) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        remedy = "what trains or reads arguments belongs under if __name__ == '__main__'"
        if "relative import" in str(error):
            remedy = "name it as a module of its package, such as package.module:make"
        elif isinstance(error, ModuleNotFoundError):
            is_tensorflow = (error.name or "").startswith("tensorflow")
            remedy = "write `import keras`, which is Keras 3, in its place" if is_tensorflow else "install it"
        raise RecipeError(f"network {shown(code.text)} cannot be imported ({reason}); {remedy}.") from error
    finally:
        sys.path.remove(str(code.root))
        sys.path.append(str(code.root))  # for what it imports only once it is called
        sys.modules.update(put_aside)


def _is_own(value: Any, module: ModuleType) -> bool:
    return getattr(value, "__module__", "") == module.__name__
