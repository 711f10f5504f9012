"""The process that listens: one address, one model, until somebody ends it; requests that run then are answered."""

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from convlift.console.resources import usable_cpus
from convlift.deploy.onnx_classifier import OnnxClassifier
from convlift.errors import ConvliftError
from convlift.records.serving import Address
from convlift.serve.app import make_app
from convlift.serve.limits import Limits
from convlift.serve.service import Document, Service

if TYPE_CHECKING:
    from convlift.deploy.classifier import Classifier

KEEP_ALIVE_SECONDS = 5  # that a connection may be idle between two requests, as uvicorn has it
SILENT_SECONDS = 30.0  # that one may take until its request has begun


def listen(host: str, port: int) -> tuple[socket.socket, Address]:
    """A socket bound to an address, and the address; port 0 gets a free one.

    Raises ConvliftError where the name is none of this machine's, or the port is taken or not allowed.
    """
    if not 0 <= port <= 65535:
        raise ConvliftError(f"port {port} is none; give one from 1 to 65535, or 0 for any that is free.")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.create_server(address[:2], family=family, backlog=128)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConvliftError(
            f"cannot listen at port {port} of {host} ({reason}); name another with --port, 0 for any that is free, or "
            "another --host."
        ) from error
    number = found.getsockname()[1]
    return found, Address(host, number, is_local=ipaddress.ip_address(address[0]).is_loopback)


def run(model: "Classifier", limits: Limits, bound: socket.socket, about: Document, ready: Callable[[], None]) -> None:
    """Serve until Ctrl-C or SIGTERM, then finish what runs; a second signal ends it at once.

    about: what /model says. ready: is called once requests are answered.
    """
    service = Service(model, limits, classifying_threads(model))
    config = uvicorn.Config(
        make_app(service, about),
        http=_Listening,  # h11: its heads are limited to 64 KB, httptools' are not
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",  # a request that is no HTTP is its client's fault, and no news
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(limits.seconds) + 1,
    )
    _Server(config, ready).run(sockets=[bound])


def classifying_threads(model: "Classifier") -> int:
    """How many threads classify. On a CPU one a core, each with one of torch's: keeps torch to that; an exported file
    is loaded for one thread a batch (`use.serve`). A GPU and somebody's own code have one."""
    if isinstance(model, OnnxClassifier):
        return usable_cpus()
    places = {each.device.type for each in model.network.parameters()}
    if model.recipe.architecture.kind == "own" or not places <= {"cpu"}:
        return 1
    from convlift.model.threads import keep_to

    keep_to(1)
    return usable_cpus()


class _Server(uvicorn.Server):
    """uvicorn's, which tells when it listens, and for which being ended is no fault."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.should_exit, self.force_exit = True, self.should_exit


class _Listening(H11Protocol):
    """A connection that is closed where its client is silent: uvicorn's waits for a request for ever."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._answered: Any = None
        self.loop.call_later(SILENT_SECONDS, self._look)

    def _look(self) -> None:
        """Close it where nothing is asked, and nothing was since the last look."""
        is_idle = self.cycle is None or self.cycle.response_complete
        if is_idle and self.cycle is self._answered:
            self.transport.close()
        elif not self.transport.is_closing():
            self._answered = self.cycle if is_idle else None
            self.loop.call_later(SILENT_SECONDS, self._look)
