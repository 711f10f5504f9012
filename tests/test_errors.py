"""One tree of errors: drawn as it is, with the exit codes that it says."""

import inspect
import pickle
import re

import pytest

from convlift import errors
from convlift.errors import ConvliftError, Interrupted

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


def drawn():
    """(name, indentation of the name) of every line of the tree in the module's docstring."""
    lines = (errors.__doc__ or "").splitlines()[2:]
    return [(found[2], len(found[1]) // 4) for line in lines if (found := re.match(r"([ │├└─]*)(\w+) ", line))]


def test_the_tree_is_drawn_as_it_is():
    tree, parents = drawn(), [Exception]
    assert sorted(name for name, _ in tree) == sorted(kind.__name__ for kind in CLASSES)
    for name, depth in tree:
        kind = getattr(errors, name)
        assert kind.__base__ is parents[depth], name
        parents[depth + 1 :] = [kind]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_has_a_word_of_explanation_and_its_exit_code(kind):
    assert issubclass(kind, ConvliftError)
    assert kind.__doc__
    own = {errors.DataError: 3, errors.UnreadableImage: 3, errors.DiskError: 75}
    assert kind.exit_code == own.get(kind, 2)


def test_an_interruption_ends_with_its_signals_code():
    assert Interrupted("stopped.", 2).exit_code == 130
    assert Interrupted("stopped.", 15).exit_code == 143
    assert str(Interrupted("stopped.", 15)) == "stopped."


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if kind is not Interrupted])
def test_a_workers_error_reaches_the_parent_whole(kind):
    there = pickle.loads(pickle.dumps(kind("value, rule, remedy.")))
    assert type(there) is kind
    assert str(there) == "value, rule, remedy."
