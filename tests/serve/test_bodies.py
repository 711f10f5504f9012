"""Multipart forms, as browsers and programs write them."""

import asyncio
from contextlib import suppress

import pytest
from asking import FORM, form
from hypothesis import given
from hypothesis import strategies as st

from convlift.serve.bodies import UNNAMED, Upload, read_uploads
from convlift.serve.limits import Limits
from convlift.serve.refused import Refused


def uploads(body: bytes, content_type: str = FORM, most: int = 5) -> list[Upload]:
    async def chunks():
        for start in range(0, len(body), 7):
            yield body[start : start + 7]

    return asyncio.run(read_uploads({"content-type": content_type}, chunks(), Limits(), most))


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=5))
def test_files_come_out_as_they_went_in(contents):
    files = [(f"{n}.png", content) for n, content in enumerate(contents)]
    assert uploads(form(*files)) == [Upload(*each) for each in files]


@given(st.binary(max_size=200))
def test_no_body_is_an_error_of_ours(body):
    for tail in (b"", b"--a-boundary\r\n", b'--a-boundary\r\nContent-Disposition: form-data; filename="x"'):
        with suppress(Refused):
            uploads(tail + body + tail)


@pytest.mark.parametrize(
    ("named", "name"),
    [
        ("C:\\photos\\a.png", "a.png"),
        ("../../etc/passwd", "passwd"),
        ('a\\"b.png', 'a"b.png'),
        ("Blüte.jpg", "Blüte.jpg"),
        ("", UNNAMED),
    ],
)
def test_a_name_is_that_of_a_file(named, name):
    assert uploads(form((named, b"x")))[0].name == name


@pytest.mark.parametrize("kind", ['multipart/form-data; boundary="a-boundary"', "Multipart/Mixed;BOUNDARY=a-boundary"])
def test_a_boundary_may_be_quoted(kind):
    assert uploads(form(("a", b"x")), kind) == [Upload("a", b"x")]


def test_many_empty_parts_take_no_time():
    with pytest.raises(Refused, match="holds no file"):
        uploads(b"--a-boundary\r\n" * 100_000)
