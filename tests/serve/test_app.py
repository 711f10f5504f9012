"""`convlift serve` over HTTP, in this process: what each address answers, and what it refuses."""

import re

import numpy as np
import pytest
from asking import FORM, Answered, as_png, form
from asking import ask as ask_app

from convlift.report.serving_lines import model_document
from convlift.serve.app import make_app
from convlift.serve.limits import Limits
from convlift.serve.service import Service


def post(ask, content, path="/predict", **headers) -> Answered:
    return ask("POST", path, [content], **{"content_type": "image/png", **headers})


def test_one_image_gets_the_prediction_of_the_model(ask, digits, model):
    answered = post(ask, digits[0])
    expected = model.predict(digits[0])
    assert answered.status == 200
    assert answered.json["label"] == expected.label
    assert answered.json["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)
    assert answered.json["confidence"] == max(answered.json["probabilities"].values())
    assert (answered.json["unlike"], answered.json["distance"]) == (expected.unlike, pytest.approx(expected.distance))
    assert answered.json["notes"] == []


@pytest.mark.parametrize("kind", ["application/octet-stream", "", "application/x-www-form-urlencoded", "text/html"])
def test_a_body_is_an_image_whatever_its_type_is_said_to_be(ask, digits, kind):
    assert post(ask, digits[1], content_type=kind).status == 200


def test_the_file_of_a_form_is_the_image(ask, digits):
    answered = post(ask, form(("three.png", digits[3])), content_type=FORM)
    assert answered.json["image"] == "three.png"
    assert answered.json["label"] == post(ask, digits[3]).json["label"]


def test_several_images_cost_each_other_nothing(ask, digits, model):
    files = (("0.png", digits[0]), ("notes.txt", b"hello"), ("2.png", digits[2]))
    answered = post(ask, form(*files), "/predict/batch", content_type=FORM)
    assert answered.status == 200
    found = answered.json
    assert [(each["index"], each["image"]) for each in found["predictions"]] == [(0, "0.png"), (2, "2.png")]
    assert [each["label"] for each in found["predictions"]] == [model.predict(digits[n]).label for n in (0, 2)]
    (unreadable,) = found["unreadable"]
    assert (unreadable["index"], unreadable["image"]) == (1, "notes.txt")
    assert unreadable["reason"].startswith("notes.txt cannot be read (text file, not one of JPEG, PNG")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"hello", "the image cannot be read (text file, not one of JPEG, PNG, GIF"),
        (b"PK\3\4" + bytes(50), "ZIP archive"),
        (b"<svg/>", "SVG drawing"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "broken PNG"),
        (b"\0" * 900, "unknown kind of file"),
    ],
)
def test_what_is_no_image_is_refused_in_a_sentence(ask, content, says):
    answered = post(ask, content)
    assert answered.status == 422
    assert says in answered.json["error"]
    assert answered.json["error"].endswith("repair it or leave it out.")


def test_an_image_of_too_many_pixels_is_not_decoded(ask):
    answered = post(ask, as_png(np.zeros((600, 1000), np.uint8)))
    assert answered.status == 422
    assert "1000 x 600: over 0.5 million pixels" in answered.json["error"]


def test_more_than_so_many_images_are_refused(ask, digits):
    four = form(*((f"{n}.png", digits[n]) for n in range(4)))
    answered = post(ask, four, "/predict/batch", content_type=FORM)
    assert (answered.status, answered.json["error"]) == (
        413, "the form holds more than 3 images; send them in several requests.",
    )  # fmt: skip
    answered = post(ask, form(("a", digits[0]), ("b", digits[1])), content_type=FORM)
    assert (answered.status, answered.json["error"]) == (
        413, "the form holds more than 1 image; send them in several requests.",
    )  # fmt: skip


def test_a_large_body_is_refused_before_it_is_read(ask):
    answered = ask("POST", "/predict", [b"x"] * 5, content_length="60000")
    assert (answered.status, answered.read) == (413, 0)
    assert answered.headers["connection"] == "close"
    assert answered.json["error"] == "the body has over 0.05 MB, the most that is read; send less."


def test_a_body_that_grows_too_large_is_not_read_to_its_end(ask):
    answered = ask("POST", "/predict", [bytes(10_000)] * 50)
    assert (answered.status, answered.read) == (413, 6)


def test_a_client_that_hangs_up_gets_no_error(ask):
    assert ask("POST", "/predict", [b"x", b"y"][:0]).status == 499


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary="])
def test_a_form_without_boundary_is_refused(ask, kind):
    assert post(ask, b"", content_type=kind).status == 400


def test_nothing_is_refused(ask):
    answered = post(ask, b"")
    assert (answered.status, answered.json["error"].partition(";")[0]) == (400, "the body is empty")


def test_a_form_without_file_is_refused(ask):
    answered = post(ask, form(), content_type=FORM)
    assert (answered.status, answered.json["error"].partition(";")[0]) == (400, "the form holds no file")


def test_who_comes_when_all_places_are_taken_is_told_to_come_again(ask, digits, running):
    with running.service.admitted(), running.service.admitted():
        answered = ask("POST", "/predict", [digits[0]])
        assert ask("GET", "/health").status == 200
    assert (answered.status, answered.read) == (503, 0)
    assert answered.headers["retry-after"] == "1"
    assert post(ask, digits[0]).status == 200


def test_an_upload_that_takes_too_long_is_refused(model, running):
    service = Service(model, Limits(seconds=0.01), threads=1)
    app = make_app(service, {})
    answered = running.run(ask_app(app, "POST", "/predict", [b"x", None, b"y"]))
    assert (answered.status, answered.headers["connection"]) == (408, "close")


def test_the_page_needs_nothing_from_elsewhere(ask):
    answered = ask("GET", "/")
    assert answered.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answered.headers["content-security-policy"]
    assert re.findall(rb"https?://|//[a-z]|@import", answered.content) == []


def test_the_model_is_described(ask, model):
    found = ask("GET", "/model").json
    assert found == model_document("run", model.recipe, model.config)
    assert found["classes"] == list("0123456789")
    assert (found["network"], found["resolution"]) == ("convolutional network from scratch", 8)
    assert found["scores"]["metric"] == "accuracy"


def test_what_was_asked_is_counted(ask, digits):
    def counted():
        text = ask("GET", "/metrics").content.decode()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line[0] != "#"}

    post(ask, b"hello")
    before = counted()
    post(ask, digits[0])
    post(ask, b"no image")
    after = counted()
    more = {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)}
    assert more['convlift_requests_total{path="/predict",status="200"}'] == 1
    assert more['convlift_requests_total{path="/predict",status="422"}'] == 1
    assert more['convlift_images_total{outcome="classified"}'] == 1
    assert more['convlift_images_total{outcome="unreadable"}'] == 1
    assert more['convlift_request_seconds_count{path="/predict"}'] == 2
    assert more['convlift_request_seconds_bucket{path="/predict",le="+Inf"}'] == 2
    assert after["convlift_requests_waiting"] == 0


def test_addresses_that_there_are_not(ask):
    assert ask("GET", "/../../etc/passwd").status == 404
    assert ask("GET", "/predict").status == 405
    assert ask("GET", "/docs").status == 404  # its page would load scripts from the web
    assert set(ask("GET", "/openapi.json").json["paths"]) == {
        "/predict", "/predict/batch", "/health", "/model", "/metrics",
    }  # fmt: skip
