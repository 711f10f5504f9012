"""Somebody's own code: found without running it, loaded with all that it imports, and asked for a network."""

import importlib
import re
import subprocess
import sys
from functools import partial

import pytest
from torch import nn

from convlift.errors import ConvliftError, RecipeError
from convlift.model.source_files import MOST_BYTES, MOST_FILES, code_of, reference_to
from convlift.model.source_loader import PERHAPS, brought_from_outside, load_factory, takes_classes
from convlift.model.trusted_code import check_trust, trust
from own_networks import NONE_ALLOWED, allowed, write

NET = "from torch import nn\n\n\ndef make(num_classes):\n    return nn.Linear(2, num_classes)\n"
MAIN = "what trains or reads arguments belongs under if __name__ == '__main__'"
INSTALL = "install it, or, where it lies in a folder above, name the network as package.module:make from there"
AS_MODULE = "name it as a module of its package, such as package.module:make"
PACKAGE = {
    "pkg/__init__.py": "",
    "pkg/net.py": "from .blocks import block\nfrom . import sizes\n\n\ndef make():\n    return block(sizes.WIDTH)\n",
    "pkg/blocks.py": "from pkg.deep.layers import layer\n\n\ndef block(width):\n    return layer(width)\n",
    "pkg/sizes.py": "WIDTH = 3\n",
    "pkg/other.py": "WIDTH = 4\n",
    "pkg/deep/__init__.py": "",
    "pkg/deep/layers.py": "from ..names import NAME\n\n\ndef layer(width):\n    return NAME * width\n",
    "pkg/names.py": "NAME = 'x'\n",
}


@pytest.fixture(autouse=True)
def _same_after(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv(*NONE_ALLOWED)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(text):
    with pytest.raises(RecipeError) as caught:
        code_of(text)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


# --- what a text names ---


def test_a_file(folder):
    write(folder, {"net.py": NET})
    code = code_of("net.py:make")
    assert (code.text, code.root, code.entry, code.module, code.name) == (
        "net.py:make",
        folder,
        "net.py",
        "net",
        "make",
    )
    assert code.files == {"net.py": NET.encode()}
    assert code.version == ""
    assert code_of(f"{folder}/net.py:make").digest == code.digest


def test_a_module_of_the_current_folder(folder):
    write(folder, {"net.py": NET})
    code = code_of("net:make")
    assert (code.root, code.entry, code.module) == (folder, "net.py", "net")
    assert code.digest == code_of("net.py:make").digest


@pytest.mark.parametrize("place", ["pkg.net", "{}/pkg.net"])
def test_a_module_of_a_package_with_all_that_it_imports(folder, place):
    write(folder, PACKAGE)
    code = code_of(f"{place.format(folder)}:make")
    assert (code.root, code.entry, code.module) == (folder, "pkg/net.py", "pkg.net")
    assert set(code.files) == PACKAGE.keys() - {"pkg/other.py"}


def test_a_module_of_a_folder_without_an_init_file(folder):
    write(folder, {name: text for name, text in PACKAGE.items() if not name.endswith("__init__.py")})
    code = allowed("pkg.net:make")
    assert (code.root, code.entry, code.module) == (folder, "pkg/net.py", "pkg.net")
    assert "pkg/deep/layers.py" in code.files
    assert load_factory(code)() == "xxx"


def test_a_package_itself(folder):
    write(folder, {"pkg/__init__.py": "from pkg.net import make\n", "pkg/net.py": NET})
    code = allowed("pkg:make")
    assert code.entry == "pkg/__init__.py"
    assert set(code.files) == {"pkg/__init__.py", "pkg/net.py"}
    assert load_factory(code)(num_classes=3).out_features == 3


def test_an_installed_package_is_its_version():
    code = allowed("torchvision.models:resnet18")
    assert (code.entry, code.module, code.files) == ("", "torchvision.models", {})
    assert code.version.startswith("torchvision 0.")
    assert code.digest != code_of("timm.models:resnet18").digest
    assert load_factory(code).__name__ == "resnet18"


def test_a_file_among_the_installed_packages_that_none_of_them_brought(folder, monkeypatch):
    write(folder / "packages", {"stray.py": NET})
    monkeypatch.setattr(
        "sysconfig.get_paths", lambda: dict.fromkeys(("purelib", "platlib", "stdlib"), f"{folder}/packages")
    )
    assert code_of(f"{folder}/packages/stray:make").files == {"stray.py": NET.encode()}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("net.py", "names no function of a Python file"),
        ("", "names no function"),
        (":make", "names no function"),
        ("net.py:", "names no function"),
        ("net.py:make()", "names no function"),
        ("net.py:Net.2", "names no function"),
        ("gone.py:make", "there is no file 'gone.py'"),
        ("folder.py:make", "there is no file 'folder.py'"),
        ("gone:make", "there is no module 'gone' here"),
        ("pkg.gone:make", "there is no module 'pkg.gone' here"),
        ("pkg.net.gone:make", "there is no module 'pkg.net.gone' here"),
        ("net.gone:make", "there is no module 'net.gone' here"),
        ("elsewhere/pkg.net:make", "there is no module 'elsewhere/pkg.net' here"),
        ("net-2:make", "is neither a .py file nor a module"),
        ("pkg/:make", "is neither a .py file nor a module"),
        ("os:system", "lies in Python's own library"),
        ("json.decoder:JSONDecoder", "lies in Python's own library"),
        ("sys:exit", "there is no module 'sys' here"),
        ("broken.py:make", r"broken.py is no Python \('\(' was never closed"),
        ("imports_broken.py:make", "broken.py is no Python"),
        ("zeros.py:make", "zeros.py is no Python"),
        ("x" * 5000 + ".py:make", "there is no file 'xxx"),
        ("x" * 5000 + ":make", "there is no module 'xxx"),
        ("a\0b.py:make", "there is no file"),
    ],
)
def test_what_names_no_network_is_refused(folder, text, words):
    write(folder, {**PACKAGE, "net.py": NET, "broken.py": "make(", "imports_broken.py": "import broken\n"})
    write(folder, {"zeros.py": "\0"})
    (folder / "folder.py").mkdir()
    sentence = refusal(text)
    assert sentence.startswith("network '")
    assert re.search(words, sentence)
    assert len(sentence) < 700


def test_code_without_end_is_refused(folder):
    write(folder, {"large.py": "#" * MOST_BYTES + "\n"})
    assert f"are over {MOST_FILES} files or {MOST_BYTES} bytes" in refusal("large.py:make")
    names = [f"m{number}" for number in range(MOST_FILES + 1)]
    write(folder, {"many.py": f"import {', '.join(names)}\n"} | {f"{name}.py": "" for name in names})
    assert "move the network into a file of its own" in refusal("many.py:make")


# --- its digest ---


SIBLINGS = {
    "net.py": "import one\nimport torch\n\n\ndef make():\n    from late import LATE\n    return one.ONE + LATE\n",
    "one.py": "from two import TWO as ONE\n",
    "two.py": "TWO = 2\n",
    "late.py": "LATE = 0\n",
    "unrelated.py": "",
}


@pytest.mark.parametrize("name", ["net.py", "one.py", "two.py", "late.py"])
def test_the_digest_follows_every_file_that_is_imported(folder, name):
    write(folder, SIBLINGS)
    before = code_of("net.py:make").digest
    write(folder, {name: SIBLINGS[name] + "# changed\n"})
    assert code_of("net.py:make").digest != before
    write(folder, {name: SIBLINGS[name]})
    assert code_of("net.py:make").digest == before


@pytest.mark.parametrize("name", sorted(PACKAGE.keys() - {"pkg/other.py"}))
def test_the_digest_of_a_package_follows_relative_imports(folder, name):
    write(folder, PACKAGE)
    before = code_of("pkg.net:make").digest
    write(folder, {name: PACKAGE[name] + "# changed\n"})
    assert code_of("pkg.net:make").digest != before


def test_the_digest_does_not_follow_what_is_not_imported(folder):
    write(folder, {**SIBLINGS, **PACKAGE})
    before = [code_of(text).digest for text in ("net.py:make", "pkg.net:make")]
    write(folder, {"unrelated.py": "1\n", "pkg/other.py": "1\n", "new.py": "", "notes.txt": "x"})
    assert [code_of(text).digest for text in ("net.py:make", "pkg.net:make")] == before


def test_the_digest_follows_the_name(folder):
    """Another function of the same files is other code."""
    write(folder, {"net.py": NET + "\n\ndef other(): pass\n"})
    assert code_of("net.py:make").digest != code_of("net.py:other").digest
    assert code_of("torchvision.models:resnet18").digest != code_of("torchvision.models:resnet34").digest


def test_a_sibling_that_moved_is_another_digest(folder):
    """The same bytes under another name are other code."""
    write(folder, {"net.py": "import a, b\n", "a.py": "X = 1\n", "b.py": ""})
    before = code_of("net.py:make").digest
    write(folder, {"a.py": "", "b.py": "X = 1\n"})
    assert code_of("net.py:make").digest != before


def test_nothing_runs_while_it_is_looked_at(folder):
    raises = "open('ran', 'w').close()\nraise SystemExit('it ran')\n"
    write(folder, {"net.py": f"import sibling\n{raises}", "sibling.py": raises})
    write(folder, {"pkg/__init__.py": raises, "pkg/net.py": f"from . import parts\n{raises}", "pkg/parts.py": raises})
    assert set(code_of("net.py:make").files) == {"net.py", "sibling.py"}
    assert set(code_of("pkg.net:make").files) == {"pkg/__init__.py", "pkg/net.py", "pkg/parts.py"}
    assert not (folder / "ran").exists()


# --- a reference to a function or class ---


def imported(folder, monkeypatch, name):
    """A module of the folder, as somebody's own script would import it."""
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module(name)


def test_a_class_or_function_of_a_file(folder, monkeypatch):
    text = "def make(): return 1\n\n\nclass Net:\n    class Inner: pass\n\n"
    text += "    @classmethod\n    def small(cls): return cls()\n"
    write(folder, {"my_module.py": text})
    module = imported(folder, monkeypatch, "my_module")
    assert reference_to(module.make) == f"{folder}/my_module.py:make"
    assert reference_to(module.Net) == f"{folder}/my_module.py:Net"
    for made, name in ((module.Net.Inner, "Inner"), (module.Net.small, "small")):
        assert reference_to(made) == f"{folder}/my_module.py:Net.{name}"
        assert load_factory(allowed(reference_to(made))).__name__ == name


def test_a_function_of_a_package_with_relative_imports(folder, monkeypatch):
    write(folder, {name.replace("pkg", "my_pkg"): text.replace("pkg", "my_pkg") for name, text in PACKAGE.items()})
    module = imported(folder, monkeypatch, "my_pkg.net")
    code = allowed(reference_to(module.make))
    assert (code.root, code.module, code.name) == (folder, "my_pkg.net", "make")
    assert load_factory(code)() == "xxx"


def test_what_an_installed_package_brought_is_named_without_its_folder():
    """Which another machine has elsewhere; also where the package has wrapped it."""
    from torchvision.models import ResNet, resnet18

    assert reference_to(resnet18) == "torchvision.models.resnet:resnet18"
    assert reference_to(ResNet) == "torchvision.models.resnet:ResNet"
    code = allowed(reference_to(resnet18))
    assert code.version.startswith("torchvision ")
    assert load_factory(code) is resnet18


def test_a_decorated_function_is_found_where_it_is_written(folder, monkeypatch):
    decorator = "from functools import wraps\n\n\ndef loud(f):\n    @wraps(f)\n    def inner(): return f()\n"
    text = "from decorators import loud\n\n\n@loud\ndef make(): return 1\n"
    write(folder, {"decorators.py": decorator + "    return inner\n", "decorated.py": text})
    assert reference_to(imported(folder, monkeypatch, "decorated").make) == f"{folder}/decorated.py:make"


def test_what_workers_could_not_make_is_refused(folder, monkeypatch):
    class Local(nn.Module):
        pass

    namespace = {}
    exec("def typed(): pass", namespace)
    for make, name in (
        (Local, "Local"), (lambda: 1, "<lambda>"), (namespace["typed"], "typed"), (dict, "dict"), (len, "len")
    ):  # fmt: skip
        with pytest.raises(RecipeError, match=rf"^{name} is not written at the top of a .py file, and the worker"):
            reference_to(make)


def test_a_network_in_place_of_its_class_is_refused():
    with pytest.raises(RecipeError, match=r"^a Linear that was made already .* such as current=Linear"):
        reference_to(nn.Linear(1, 1))
    with pytest.raises(RecipeError, match=r"^a partial has no name .*; write a function that fills it in\.$"):
        reference_to(partial(nn.Linear, 1, 1))


# --- what may run ---

UNNAMED = "is Python code that nobody has named here; name it: --model"


def test_code_runs_only_where_it_is_allowed(folder, monkeypatch):
    write(folder, {"net.py": "open('ran', 'w').close()\n" + NET + "\n\ndef other(): pass\n"})
    allowed("net.py:other")
    code = code_of("net.py:make")
    with pytest.raises(RecipeError, match=rf"^network 'net\.py:make' {UNNAMED}"):
        load_factory(code)
    assert not (folder / "ran").exists()
    allowed("net.py:make")
    assert load_factory(code)(3).out_features == 3
    assert (folder / "ran").exists()
    monkeypatch.setenv(*NONE_ALLOWED)  # what has run already is no exception
    with pytest.raises(RecipeError, match=UNNAMED):
        load_factory(code)


def test_what_was_named_before_may_run_in_a_later_process(folder, monkeypatch):
    write(folder, {"net.py": NET, "other.py": NET})
    code, other = code_of("net.py:make"), code_of("other.py:make")
    trust(folder / "cache", code)
    assert load_factory(code)
    monkeypatch.setenv(*NONE_ALLOWED)
    check_trust(folder / "cache", code, "name it")
    assert load_factory(code)
    with pytest.raises(ConvliftError, match=r"has not run here yet, .*; read it, then name it\."):
        check_trust(folder / "cache", other, "name it")
    with pytest.raises(RecipeError, match=UNNAMED):
        load_factory(other)


# --- loading ---


SEEDING = """
import random
import numpy as np
import torch
from torch import nn

torch.manual_seed(0)
random.seed(0)
np.random.seed(0)
kept = nn.Linear(3, 3)
"""
FIRST = """
import random
import sys
import numpy as np
import torch
from convlift.model.source_files import code_of
from convlift.model.source_loader import allow, load_factory

torch.manual_seed(3)
before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
code = code_of("net.py:make")
allow(code)
load_factory(code)
assert torch.equal(torch.get_rng_state(), before[0])
assert (random.getstate(), np.random.get_state()[1].tolist()) == before[1:]
"""


def test_what_it_draws_at_import_leaves_the_generators_as_they_were(folder):
    """Also where nothing has been loaded in the process before."""
    write(folder, {"net.py": SEEDING + NET, "first.py": FIRST})
    ended = subprocess.run([sys.executable, "first.py"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_what_it_prints_is_no_answer(folder, capsys):
    write(folder, {"net.py": "print('hello')\nimport sibling\n" + NET, "sibling.py": "print('and hello')\n"})
    load_factory(allowed("net.py:make"))
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "hello\nand hello\n"


def test_it_runs_once_in_a_process(folder, capsys):
    write(folder, {"net.py": "print('hello')\n" + NET})
    assert load_factory(allowed("net.py:make")) is load_factory(allowed(f"{folder}/net.py:make"))
    assert capsys.readouterr().err == "hello\n"


@pytest.mark.parametrize(
    ("text", "words", "remedy"),
    [
        ("raise SystemExit(3)", "SystemExit: 3", MAIN),
        ("import sys\nsys.exit('usage: net.py DATA')", "SystemExit: usage: net.py DATA", MAIN),
        ("1 / 0", "ZeroDivisionError: division by zero", MAIN),
        ("import a_package_that_is_nowhere", "No module named 'a_package_that_is_nowhere'", INSTALL),
        (
            "import tensorflow.keras",
            "No module named 'tensorflow'",
            "write `import keras`, which is Keras 3, in its place",
        ),
        ("from .blocks import block", "attempted relative import", AS_MODULE),
        ("raise ValueError('two\\nlines')", "ValueError: two lines", MAIN),
        ("raise ValueError('x' * 5000)", "ValueError: xxx", MAIN),
    ],
)
def test_what_fails_at_import_is_one_sentence(folder, text, words, remedy):
    write(folder, {"net.py": text + "\n" + NET})
    code = allowed("net.py:make")
    with pytest.raises(RecipeError) as caught:
        load_factory(code)
    sentence = str(caught.value)
    assert sentence.startswith("network 'net.py:make' cannot be imported (")
    assert words in sentence
    assert sentence.endswith(f"; {remedy}.")
    assert "\n" not in sentence
    assert len(sentence) < 700


def test_two_networks_with_siblings_of_one_name_have_their_own(folder):
    for name in ("one", "two"):
        write(folder / name, {"net.py": "import layers\n\n\ndef make():\n    return layers.NAME\n"})
        write(folder / name, {"layers.py": f"NAME = '{name}'\n"})
    one, two = (load_factory(allowed(f"{name}/net.py:make")) for name in ("one", "two"))
    assert (one(), two(), one()) == ("one", "two", "one")


def test_two_packages_of_one_name_have_their_own(folder):
    for name in ("one", "two"):
        write(folder / name, PACKAGE | {"pkg/names.py": f"NAME = '{name}'\n"})
    one, two = (load_factory(allowed(f"{name}/pkg.net:make")) for name in ("one", "two"))
    assert (one(), two()) == ("one" * 3, "two" * 3)


def test_what_lies_neither_beside_it_nor_in_a_package_is_named(folder, monkeypatch):
    write(folder, {"above/from_above.py": "import deeper_above\n", "above/deeper_above.py": ""})
    write(folder, {"net/net.py": "import layers\nimport from_above\n" + NET, "net/layers.py": ""})
    write(folder, {"net/alone.py": "import layers\nimport wave\n" + NET})
    monkeypatch.syspath_prepend(folder / "above")
    assert brought_from_outside(allowed("net/net.py:make")) == ("deeper_above", "from_above")
    assert brought_from_outside(allowed("net/alone.py:make")) == ()


def test_a_module_that_the_user_has_imported_stays_theirs(folder, monkeypatch):
    write(folder, {"mine/layers.py": "NAME = 'mine'\n", "net/layers.py": "NAME = 'net'\n"})
    write(folder, {"net/net.py": "import layers\n\n\ndef make():\n    return layers.NAME\n"})
    mine = imported(folder / "mine", monkeypatch, "layers")
    assert load_factory(allowed("net/net.py:make"))() == "net"
    assert sys.modules["layers"] is mine
    importlib.reload(mine)
    assert mine.NAME == "mine"


def test_code_that_changed_within_a_second_is_not_what_ran_before(folder, monkeypatch):
    """Neither length nor time tells the files apart, by which Python knows whether its bytecode is of a file."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    for name in ("a", "b"):
        write(folder, {"net.py": f"import layers\n\n\ndef make():\n    return layers.NAME, '{name}'\n"})
        write(folder, {"layers.py": f"NAME = '{name}'\n"})
        assert load_factory(allowed("net.py:make"))() == (name, name)
    assert not (folder / "__pycache__").exists()


def test_bytecode_that_lies_beside_the_code_does_not_run(folder):
    """Only the source was read by whoever trusts it."""
    import py_compile

    write(folder, {"net.py": "import layers\n\n\ndef make():\n    import late\n    return layers.NAME, late.NAME\n"})
    write(folder, dict.fromkeys(("layers.py", "late.py"), "NAME = 'bytecode'\n"))
    for name in ("layers.py", "late.py"):
        py_compile.compile(name, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH, doraise=True)
        write(folder, {name: "NAME = 'source'\n"})
    assert load_factory(allowed("net.py:make"))() == ("source", "source")


def test_a_campaign_that_its_file_starts_is_refused_and_does_not_run_for_ever(folder):
    calls = ("improve('digits', current=make)", "improve('digits')", "train('digits', make)", "preview('digits')")
    for number, call in enumerate(calls):
        write(folder, {f"net{number}.py": f"from convlift import api\n{NET}\n\napi.{call}\n"})
        with pytest.raises(RecipeError, match="RecipeError: it calls convlift itself") as caught:
            load_factory(allowed(f"net{number}.py:make"))
        assert MAIN in str(caught.value)
    assert not (folder / "runs").exists()


def test_a_script_that_improves_its_own_network_ends(folder, monkeypatch):
    """As it is written in a notebook's manner: without a main guard."""
    from convlift import api

    monkeypatch.setenv("CONVLIFT_CACHE", str(folder / "cache"))
    write(folder, {"script.py": "import convlift\n" + NET + "\n\nconvlift.train('digits', make, quiet=True)\n"})
    with pytest.raises(RecipeError, match="it calls convlift itself"):
        api.train("digits", model="script.py:make", recipe="plain", quiet=True)


def test_after_a_failure_campaigns_can_begin(folder):
    from convlift.model.source_loader import refuse_while_loading

    write(folder, {"net.py": "1 / 0\n"})
    with pytest.raises(RecipeError):
        load_factory(allowed("net.py:make"))
    refuse_while_loading()


def test_a_name_that_is_not_there_lists_what_is(folder):
    write(
        folder, {"net.py": "from torch import nn\n\nSIZE = 3\n\n\nclass Net(nn.Module): pass\n\n\ndef make(): pass\n"}
    )
    with pytest.raises(RecipeError, match=r"there is no function or class Nte \(it defines Net, make\)"):
        load_factory(allowed("net.py:Nte"))
    with pytest.raises(RecipeError, match="no function or class SIZE"):
        load_factory(allowed("net.py:SIZE"))
    write(folder, {"nothing.py": "SIZE = 3\n"})
    with pytest.raises(RecipeError, match="it defines no function or class"):
        load_factory(allowed("nothing.py:Net"))


# --- the number of classes ---


def test_how_it_takes_the_number_of_classes():
    def keyword(width=8, num_classes=10): ...
    def needed(n_classes): ...
    def keyword_alone(*, classes): ...
    def positional(outputs, width=8): ...
    def positional_alone(num_classes, /): ...
    def none(): ...
    def optional(pretrained=False, **options): ...
    def any_number(*sizes): ...

    ways = {make.__name__: takes_classes(make) for make in (
        keyword, needed, keyword_alone, positional, positional_alone, none, optional, any_number,
    )}  # fmt: skip
    assert ways == {
        "keyword": "num_classes",
        "needed": "n_classes",
        "keyword_alone": "classes",
        "positional": "",
        "positional_alone": "",
        "none": None,
        "optional": PERHAPS,
        "any_number": None,
    }


def test_a_class_takes_what_its_init_takes():
    class Plain(nn.Module): ...

    class Sized(nn.Module):
        def __init__(self, num_classes): ...

    assert takes_classes(Plain) == PERHAPS, "torch's own __init__ takes anything, and refuses it then"
    assert takes_classes(Sized) == "num_classes"


def test_what_needs_more_than_the_number_of_classes_is_refused():
    def two(width, num_classes): ...
    def unnamed(width, depth): ...
    def keyword(*, width): ...

    for make, needed in ((two, "width"), (unnamed, "width, depth"), (keyword, "width")):
        with pytest.raises(
            RecipeError, match=rf"^{make.__name__}\(\) needs {needed}, and is called with the number of"
        ):
            takes_classes(make)


def test_two_folders_without_init_files_and_of_one_name_give_each_its_own(folder):
    for name, classes in (("one", 3), ("two", 5)):
        source = f"from torch import nn\ndef make(): return nn.Linear(2, {classes})\n"
        write(folder, {f"{name}/pkg/deep/net.py": source})
    made = [load_factory(allowed(f"{folder}/{name}/pkg.deep.net:make"))().out_features for name in ("one", "two")]
    assert made == [3, 5]
