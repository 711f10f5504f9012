"""The code of a model folder whose network is the user's own: found in the folder, and run only if that is allowed."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from convlift.console.cache_folder import cache_folder
from convlift.deploy.model_folder import CODE, read_model_folder
from convlift.errors import ConvliftError
from convlift.model.source_files import KERAS_CONFIG, KERAS_FILE, Code, code_of
from convlift.model.trusted_code import check_trust, trust
from convlift.recipe.architecture import Own
from convlift.recipe.recipe import Recipe

CACHE = "__pycache__"  # Python's folder of bytecode
REMEDY = "allow it with --trust-code, or convlift.load(..., trust_code=True)"


def allow_code(path: Path) -> None:
    """Let the code of a model folder or run folder run from now on, where it has any. Raises ConvliftError."""
    weights, recipe, _ = read_model_folder(path)
    if isinstance(recipe.architecture, Own):
        trust(cache_folder(), _code_of(recipe.architecture, weights.parent))


def with_its_code(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe, with the place of its network's code in the model folder; other recipes as they are.

    Raises ConvliftError where the code is missing or another one than trained, or nobody here has named or allowed it
    before.
    """
    own = recipe.architecture
    if not isinstance(own, Own):
        return recipe
    code = _code_of(own, folder)
    check_trust(cache_folder(), code, REMEDY)
    return recipe.model_copy(update={"architecture": own.model_copy(update={"code": code.text})})


def _code_of(own: Own, folder: Path) -> Code:
    """The code beside a model, or the installed package that made its network. Raises ConvliftError where it is another
    one than trained, or other code lies with it, which its imports could find first."""
    inside = folder / CODE
    if inside.is_symlink():
        raise ConvliftError(f"{inside} is a link, and code that is loaded must lie in the model folder; copy it there.")
    if inside.is_dir():  # an installed package has none
        place, _, name = own.code.rpartition(":")
        of_python = f"{place.rpartition('/')[2]}:{name}"  # FILE.py, or the module
        is_keras = own.code.endswith((KERAS_FILE, f"/{KERAS_CONFIG}"))
        code = code_of(f"{inside.resolve()}/{KERAS_CONFIG if is_keras else of_python}")
    else:
        code = code_of(own.code)
    if code.digest != own.digest:
        what = f"{code.version} is installed" if code.version else "it was changed"
        raise ConvliftError(
            f"the code of the network in {folder} is not what was trained ({what}); take the folder, and the packages, "
            "as they were."
        )
    if strange := next(_strange(inside, set(code.files)), None):
        raise ConvliftError(f"{strange} does not belong to this model, whose code could import it; remove it.")
    return code


def _strange(inside: Path, known: set[str]) -> Iterator[Path]:
    """What lies beside the code and is not of it: other files, links, folders of neither; bytecode is not looked at by
    anybody."""
    parents = {parent.as_posix() for path in known for parent in PurePosixPath(path).parents}
    for here, folders, files in os.walk(inside):
        is_cache = Path(here).name == CACHE
        for name in [*folders, *files]:
            path = Path(here, name)
            relative, is_folder = path.relative_to(inside).as_posix(), name in folders
            is_bytecode = not is_folder and name.endswith(".pyc") if is_cache else is_folder and name == CACHE
            if path.is_symlink() or not (is_bytecode or relative in (parents if is_folder else known)):
                yield path
