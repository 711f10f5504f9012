"""The page of a plan on this machine: its entries, the images that they name, and decisions on them.

Nothing is served but to who knows the token in the address, and no request names a file: images are asked for by their
number in the plan, as it was when the page was shown. Only the standard library is needed.
"""

import hmac
import json
import secrets
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

from convlift.campaign.look_at_plan import Looked
from convlift.errors import ConvliftError
from convlift.report.review_page import entry_shown, render_review, shown_images
from convlift.review.plan_under_review import ChangedMeanwhile, Decisions, edition

HOST = "127.0.0.1"
LARGEST = 10_000  # bytes of a request's body; a decision has 60
SECONDS = 10.0  # that a client may be silent


class Refused(Exception):
    """A request that gets no answer but its status."""

    def __init__(self, status: HTTPStatus, said: str = "") -> None:
        super().__init__(said)
        self.status = status


class Desk:
    """What a request may reach: a plan's page, its images, its decisions. token: what the address begins with."""

    def __init__(self, looked: Looked, token: str) -> None:
        self.looked, self.token = looked, token
        self.decisions = Decisions(looked.path, looked.store.classes)

    def page(self, nonce: str) -> str:
        """The page as it stands."""
        plan = self.decisions.plan
        return render_review(plan, self.looked.path, self.looked.store.classes, edition(plan), nonce)

    def image(self, of: str, number: str) -> bytes:
        """The image of this number among those that this edition of the plan names. Raises Refused."""
        plan = self.decisions.plan
        keys = shown_images(plan)
        if of != edition(plan):  # by now the number is another image's
            raise Refused(HTTPStatus.CONFLICT)
        if not (number.isascii() and number.isdecimal() and len(number) < 9 and int(number) < len(keys)):
            raise Refused(HTTPStatus.NOT_FOUND)
        picture = self.looked.picture(keys[int(number)])
        if picture is None:
            raise Refused(HTTPStatus.NOT_FOUND)
        return picture

    def change(self, what: str, body: Any) -> dict[str, Any]:
        """Decide, or take the last decision back. Raises Refused."""
        try:
            if not isinstance(body, dict) or not isinstance(of := body.get("of"), str):
                raise Refused(HTTPStatus.BAD_REQUEST, "a decision names the edition of the plan that it is of")
            if what == "undo":
                undone = self.decisions.undo(of)
                return {"number": undone[0], "entry": entry_shown(undone[1])} if undone else {}
            if not isinstance(number := body.get("entry"), int):
                raise Refused(HTTPStatus.BAD_REQUEST, "a decision names an entry by its number")
            entry = self.decisions.decide(of, number, str(body.get("state")), str(body.get("suggested") or ""))
            return {"number": number, "entry": entry_shown(entry)}
        except ChangedMeanwhile as error:
            raise Refused(HTTPStatus.CONFLICT, str(error)) from error
        except ConvliftError as error:
            raise Refused(HTTPStatus.BAD_REQUEST, str(error)) from error


class _Handler(BaseHTTPRequestHandler):
    timeout = SECONDS
    server_version, sys_version = "convlift", ""

    def __init__(self, desk: Desk, *rest: Any) -> None:
        self._desk = desk
        super().__init__(*rest)

    def do_GET(self) -> None:  # the name is http.server's
        """The page, or an image of it."""
        self._answer(self._get)

    def do_POST(self) -> None:  # the name is http.server's
        """A decision, or one taken back."""
        self._answer(self._post)

    def _get(self) -> tuple[str, bytes, str]:
        match self._asked():
            case [""]:
                nonce = secrets.token_urlsafe(16)
                return "text/html; charset=utf-8", self._desk.page(nonce).encode(), nonce
            case ["image", of, number]:
                return "image/png", self._desk.image(of, number), ""
        raise Refused(HTTPStatus.NOT_FOUND)

    def _post(self) -> tuple[str, bytes, str]:
        match self._asked():
            case [("decide" | "undo") as what]:
                said = json.dumps(self._desk.change(what, self._body()))
                return "application/json", said.encode(), ""
        raise Refused(HTTPStatus.NOT_FOUND)

    def _asked(self) -> list[str]:
        """What follows the token in the path. Raises Refused where it is another, or the request is for another host:
        a page of somebody else's may have this machine's address by a name of its own."""
        port = cast(ReviewServer, self.server).server_port
        if self.headers.get("Host") not in (f"{HOST}:{port}", f"localhost:{port}"):
            raise Refused(HTTPStatus.FORBIDDEN)
        begin, token, *rest = [*self.path.partition("?")[0].split("/"), "", ""]
        rest = rest[:-2]
        if begin or not hmac.compare_digest(token.encode(), self._desk.token.encode()):
            raise Refused(HTTPStatus.FORBIDDEN)
        return rest

    def _body(self) -> Any:
        length = self.headers.get("Content-Length", "")
        if self.headers.get("Content-Type") != "application/json":  # which a form of another page cannot send
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        if not (length.isascii() and length.isdecimal() and int(length) <= LARGEST):
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        try:
            return json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError) as error:
            raise Refused(HTTPStatus.BAD_REQUEST, "the body is no JSON") from error

    def _answer(self, ask: Callable[[], tuple[str, bytes, str]]) -> None:
        try:
            kind, content, nonce = ask()
            status = HTTPStatus.OK
        except Refused as refused:
            status, kind, nonce = refused.status, "text/plain; charset=utf-8", ""
            content = (str(refused) or status.phrase).encode()
        except ConvliftError as error:  # the plan's file was spoilt, or the disk is full
            status, kind, nonce = HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", ""
            content = str(error).encode()
        self.send_response(status)
        for name, value in {**_HEADERS, "Content-Security-Policy": _policy(nonce), "Content-Type": kind}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are nobody's news, and their addresses hold the token."""


_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


def _policy(nonce: str) -> str:
    script = f"script-src 'nonce-{nonce}'; " if nonce else ""
    return (
        f"default-src 'none'; {script}style-src 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


class ReviewServer(ThreadingHTTPServer):
    """Owns the port. address: of the page, token and all."""

    daemon_threads = True

    def __init__(self, looked: Looked, port: int = 0) -> None:
        desk = Desk(looked, secrets.token_urlsafe(16))
        try:
            super().__init__((HOST, port), partial(_Handler, desk))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ConvliftError(
                f"port {port} of this machine cannot be had ({reason}); choose another --port."
            ) from error
        self.address = f"http://{HOST}:{self.server_port}/{desk.token}/"
        self.desk = desk

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nobody's news."""


def serve_review(looked: Looked, port: int, tell: Callable[[str], None]) -> Path:
    """Serve the page until Ctrl-C; tell: is given its address. The plan's path. Raises ConvliftError."""
    with ReviewServer(looked, port) as server:
        tell(server.address)
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            return looked.path
    return looked.path
