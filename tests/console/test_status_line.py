"""How far a command is stands on stderr, and nowhere else."""

import os
import pty
import subprocess
import sys

CODE = """
from convlift.console.status_line import StatusLine
line = StatusLine()
line.show("1 of 2")
print("an answer")
line.show("2 of 2")
line.clear()
"""


def test_on_a_terminal_each_line_replaces_the_last_and_answers_are_left_alone():
    ours, theirs = pty.openpty()
    found = subprocess.run([sys.executable, "-c", CODE], stdout=subprocess.PIPE, stderr=theirs, text=True, check=True)
    os.close(theirs)
    assert found.stdout == "an answer\n"
    assert os.read(ours, 1000) == b"\r\x1b[K1 of 2\r\x1b[K2 of 2\r\x1b[K"
    os.close(ours)


def test_in_a_file_there_is_none_in_the_first_half_minute():
    found = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert (found.stdout, found.stderr) == ("an answer\n", "")
