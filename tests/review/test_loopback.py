"""The page of a plan: who gets in, what is served, and that every decision is in the file."""

import http.client
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image

from convlift.campaign.audit_data import audit_data
from convlift.campaign.look_at_plan import look_at_plan
from convlift.campaign.propose_plan import leave_plan
from convlift.campaign.request import request_of
from convlift.campaign.session import Session
from convlift.data.plan_file import read_plan, write_plan
from convlift.errors import ConvliftError
from convlift.records.data_plan import DataPlan, Entry
from convlift.review.loopback import HOST, ReviewServer
from convlift.review.plan_under_review import edition


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Noise of three classes; a/0.png and b/0.png are one image."""
    root, rng = tmp_path_factory.mktemp("data") / "noise", np.random.default_rng(0)
    for name in "abc":
        (root / name).mkdir(parents=True)
        for row in range(6):
            Image.fromarray(rng.integers(0, 255, (32, 32), dtype=np.uint8)).save(root / name / f"{row}.png")
    (root / "b" / "0.png").write_bytes((root / "a" / "0.png").read_bytes())
    return root


@pytest.fixture
def plan(folder, cache, tmp_path):
    found = audit_data(request_of(str(folder), None, cache), Session(), label_errors=False, with_plan=True)
    relabels = tuple(Entry("relabel", "to review", (f"c/{row}.png",), label="c", suggested="a") for row in range(3))
    odd = Entry("exclude", "to review", ("b/1.png",), "</script><b>odd</b>")
    entries = (*found.plan.entries, odd, *relabels)
    leave_plan(tmp_path / "plan.yaml", DataPlan(**{**vars(found.plan), "entries": entries}))
    return tmp_path / "plan.yaml"


@pytest.fixture
def server(plan, cache):
    with ReviewServer(look_at_plan(plan, None, cache, Session())) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def asked(server, method, path, body=None, **headers):
    """(status, headers, content) of a path below the token, or of one that begins with /."""
    own = path if path.startswith("/") else f"/{server.desk.token}/{path}"
    connection = http.client.HTTPConnection(HOST, server.server_port, timeout=10)
    sent = {"Content-Type": "application/json"} if body is not None else {}
    connection.request(method, own, body, {**sent, **{name.replace("_", "-"): each for name, each in headers.items()}})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers, content


def edition_now(server):
    return edition(server.desk.decisions.plan)


def decide(server, entry, state, **more):
    body = {"of": edition_now(server), "entry": entry, "state": state, **more}
    status, _, content = asked(server, "POST", "decide", json.dumps(body))
    return status, content.decode()


def undo(server):
    return json.loads(asked(server, "POST", "undo", json.dumps({"of": edition_now(server)}))[2])


def image(server, number):
    return asked(server, "GET", f"image/{edition_now(server)}/{number}")


def states(plan):
    return [each.state for each in read_plan(plan).entries]


def test_the_page_shows_the_plan_and_runs_its_own_script_alone(server):
    status, headers, content = asked(server, "GET", "")
    page = content.decode()
    assert status == 200
    nonce = re.search(r"script-src 'nonce-([^']+)'", headers["Content-Security-Policy"])[1]
    assert page.count(f'<script nonce="{nonce}">') == 1
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    told = json.loads(re.search(r'<script type="application/json" id="told">(.*?)</script>', page, re.DOTALL)[1])
    assert [each["images"] for each in told["entries"]][:2] == [["a/0.png"], ["b/0.png"]]
    assert told["entries"][2]["reason"] == "</script><b>odd</b>"
    assert "<b>odd</b>" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert nonce not in asked(server, "GET", "")[2].decode()


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", {}, 403),
        ("GET", "/wrong/", {}, 403),
        ("GET", "//", {}, 403),
        ("GET", "/%C3%A9/", {}, 403),
        ("GET", "", {"Host": "example.org"}, 403),
        ("POST", "decide", {"Host": "example.org:80"}, 403),
        ("GET", "image", {}, 404),
        ("GET", "image/", {}, 404),
        ("GET", "image/0", {}, 404),
        ("GET", "image/0/..", {}, 409),
        ("GET", "image/0/0", {}, 409),
        ("GET", "image/../../etc/passwd", {}, 404),
        ("GET", "image/%2e%2e%2fetc%2fpasswd", {}, 404),
        ("GET", "plan.yaml", {}, 404),
        ("GET", "decide", {}, 404),
        ("POST", "", {}, 404),
        ("POST", "other", {}, 404),
        ("DELETE", "", {}, 501),
    ],
)
def test_nothing_else_is_served(server, method, path, headers, status):
    assert asked(server, method, path, "{}" if method == "POST" else None, **headers)[0] == status


@pytest.mark.parametrize("number", ["99", "-1", "%C2%B2", "..", ""])
def test_there_is_no_such_image(server, number):
    assert image(server, number)[0] == 404


def test_the_images_are_those_that_the_plan_names(server, folder):
    status, headers, content = image(server, 2)
    assert (status, headers["Content-Type"]) == (200, "image/png")
    assert headers["X-Content-Type-Options"] == "nosniff"
    with Image.open(io.BytesIO(content)) as seen, Image.open(folder / "b" / "1.png") as there:
        assert np.array_equal(np.asarray(seen.convert("L")), np.asarray(there))
    named = {key for each in server.desk.decisions.plan.entries for key in each.shown}
    assert len(named) == 6
    assert image(server, 5)[0] == 200
    assert image(server, 6)[0] == 404


def test_a_decision_is_in_the_file_when_it_is_answered_and_can_be_taken_back(server, plan):
    assert states(plan) == ["accepted", "accepted", *4 * ["to review"]]
    assert decide(server, 3, "accepted")[0] == 200
    assert states(plan)[3] == "accepted"
    status, said = decide(server, 4, "accepted", suggested="b")
    assert (status, json.loads(said)["entry"]["suggested"]) == (200, "b")
    assert read_plan(plan).entries[4].suggested == "b"
    assert decide(server, 0, "rejected")[0] == 200
    for number, state in ((0, "accepted"), (4, "to review"), (3, "to review")):
        answer = undo(server)
        assert (answer["number"], answer["entry"]["state"]) == (number, state)
        assert states(plan)[number] == state
    assert read_plan(plan).entries[4].suggested == "a"
    assert undo(server) == {}
    assert not list(plan.parent.glob(".plan*"))  # nothing half-written is left


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"entry": 99, "state": "accepted"}, "there is no entry 99"),
        ({"entry": -1, "state": "accepted"}, "there is no entry -1"),
        ({"entry": 2, "state": "yes"}, "there is no such state"),
        ({"entry": 3, "state": "accepted", "suggested": "d"}, "cannot be given that class"),
        ({"entry": 3, "state": "accepted", "suggested": "c"}, "cannot be given that class"),
        ({"entry": 2, "state": "accepted", "suggested": "a"}, "cannot be given that class"),
        ({"entry": "3", "state": "accepted"}, "by its number"),
        ({"entry": 3, "state": "accepted", "of": None}, "names the edition"),
        ([], "names the edition"),
    ],
)
def test_a_decision_that_makes_no_sense_changes_nothing(server, plan, body, said):
    before = plan.read_bytes()
    body = {"of": edition_now(server), **body} if isinstance(body, dict) else body
    status, _, content = asked(server, "POST", "decide", json.dumps(body))
    assert (status, said in content.decode()) == (400, True)
    assert plan.read_bytes() == before


def test_what_a_form_of_another_page_can_send_is_refused(server, plan):
    before = plan.read_bytes()
    body = json.dumps({"entry": 3, "state": "accepted"})
    assert asked(server, "POST", "decide", body, Content_Type="text/plain")[0] == 415
    assert asked(server, "POST", "decide", "x" * 20_000)[0] == 413
    assert asked(server, "POST", "decide", "[" * 9_000)[0] == 400
    assert plan.read_bytes() == before


def test_edits_by_hand_are_seen_and_others_ask_for_a_new_page(server, plan):
    known = read_plan(plan)
    entries = list(known.entries)
    entries[3] = Entry(**{**vars(entries[3]), "state": "rejected"})
    write_plan(plan, DataPlan(**{**vars(known), "entries": tuple(entries)}))
    assert decide(server, 4, "accepted")[0] == 200
    assert states(plan)[3:5] == ["rejected", "accepted"]  # both
    write_plan(plan, DataPlan(**{**vars(known), "entries": known.entries[1:]}))
    before = plan.read_bytes()
    old = edition(known)
    status, said = decide(server, 4, "accepted", of=old)
    assert (status, "load the page again" in said) == (409, True)
    assert plan.read_bytes() == before
    assert decide(server, 3, "accepted")[0] == 200
    plan.write_text("convlift plan: 1\n")
    assert asked(server, "GET", "")[0] == 500
    assert b"fingerprint" in asked(server, "GET", "")[2]


def test_a_page_never_decides_on_an_entry_that_it_does_not_show(server, plan):
    """An older page asks for its images, or another one is opened, after an entry went from the file: numbers mean
    others by then."""
    known = read_plan(plan)
    old = edition(known)
    write_plan(plan, DataPlan(**{**vars(known), "entries": known.entries[1:]}))
    before = plan.read_bytes()
    assert asked(server, "GET", f"image/{old}/3")[0] == 409
    assert asked(server, "GET", "")[0] == 200
    for what, body in (("decide", {"entry": 3, "state": "accepted"}), ("undo", {})):
        assert asked(server, "POST", what, json.dumps({"of": old, **body}))[0] == 409
    assert plan.read_bytes() == before


def test_what_is_accepted_is_the_class_that_the_page_shows(server, plan):
    old = edition_now(server)
    known = read_plan(plan)
    entries = [*known.entries[:4], Entry(**{**vars(known.entries[4]), "suggested": "b"}), *known.entries[5:]]
    write_plan(plan, DataPlan(**{**vars(known), "entries": tuple(entries)}))
    assert decide(server, 4, "accepted", suggested="a", of=old)[0] == 200
    assert read_plan(plan).entries[4].suggested == "a"
    page = asked(server, "GET", "")[2].decode()
    assert 'state === "accepted" ? entry.suggested' in page
    assert "event.repeat" in page  # a key that is held down would accept what nobody has looked at


def test_undo_leaves_what_somebody_else_decided(server, plan):
    assert decide(server, 3, "accepted")[0] == 200
    assert decide(server, 4, "accepted")[0] == 200
    known = read_plan(plan)
    entries = [*known.entries[:4], Entry(**{**vars(known.entries[4]), "state": "rejected"}), *known.entries[5:]]
    write_plan(plan, DataPlan(**{**vars(known), "entries": tuple(entries)}))
    assert undo(server)["number"] == 3
    assert states(plan)[3:5] == ["to review", "rejected"]


def test_the_command_tells_where_the_page_is_and_ends_with_how_far_one_came(plan, cache):
    command = [sys.executable, "-c", "from convlift.cli import main; main()", "review", str(plan), "--quiet"]
    environment = os.environ | {"CONVLIFT_CACHE": str(cache)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=plan.parent
    ) as process:
        said = process.stderr.readline()
        port, token = re.search(r"http://127\.0\.0\.1:([0-9]+)/([\w-]+)/ \(only this machine can", said).groups()
        connection = http.client.HTTPConnection(HOST, int(port), timeout=10)
        connection.request("GET", f"/{token}/image/{edition(read_plan(plan))}/0")
        assert connection.getresponse().status == 200
        connection.close()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "2 entries decided, 4 to review\n", "")


def test_it_listens_on_this_machine_alone(server, plan, cache):
    assert server.server_address[0] == "127.0.0.1"
    assert re.fullmatch(rf"http://127\.0\.0\.1:{server.server_port}/[\w-]{{22}}/", server.address)
    with pytest.raises(ConvliftError, match=r"port \d+ of this machine cannot be had .*; choose another --port"):
        ReviewServer(server.desk.looked, server.server_port)


def test_the_images_may_lie_elsewhere_and_must_be_the_same(plan, folder, cache, tmp_path):
    moved = tmp_path / "noise"
    folder_of = {path: moved / path.relative_to(folder) for path in folder.rglob("*.png")}
    for path, to in folder_of.items():
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(path.read_bytes())
    assert look_at_plan(plan, str(moved), cache, Session()).picture("a/0.png")
    (moved / "a" / "5.png").write_bytes((folder / "a" / "4.png").read_bytes())
    with pytest.raises(ConvliftError, match=r"is for other data: .* parts of noise are others"):
        look_at_plan(plan, str(moved), cache, Session())
    known = read_plan(plan)
    write_plan(plan, DataPlan(**{**vars(known), "reading": {}}))
    with pytest.raises(ConvliftError, match="of a data set in memory; give it, too"):
        look_at_plan(plan, None, cache, Session())
    write_plan(plan, DataPlan(**{**vars(known), "reading": {"data": str(folder), "colour": "red"}}))
    with pytest.raises(ConvliftError, match="'colour', which is no option"):
        look_at_plan(plan, None, cache, Session())
