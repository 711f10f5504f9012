"""The service over HTTP: what each address takes and gives."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.requests import ClientDisconnect

from convlift.errors import UnreadableImage
from convlift.serve.bodies import Upload, read_uploads
from convlift.serve.counters import CONTENT_TYPE
from convlift.serve.refused import Refused
from convlift.serve.service import Document, Service

PAGE = Path(__file__).parent / "templates" / "drop.html"
# the page runs its own script and style, shows images that its user chose, and asks this server alone
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src blob:; connect-src 'self'"
GONE = 499  # nginx' status of a client that hung up; nobody reads the answer
_ANY_IMAGE = {"requestBody": {"content": {"image/*": {}, "multipart/form-data": {}}, "required": True}}


def make_app(service: Service, about: Document) -> FastAPI:
    """The application; its lifespan starts and ends the service. about: what /model says."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            yield

    app = FastAPI(title="convlift", lifespan=lifespan, docs_url=None, redoc_url=None)  # these pages load from the web
    page = PAGE.read_text(encoding="utf-8")

    @app.post("/predict", openapi_extra=_ANY_IMAGE)
    async def predict(request: Request) -> Response:
        """Classify one image, sent as the body or as the file of a multipart form."""
        return await _answered(service, request, "/predict", _one)

    @app.post("/predict/batch", openapi_extra=_ANY_IMAGE)
    async def predict_batch(request: Request) -> Response:
        """Classify the files of a multipart form."""
        return await _answered(service, request, "/predict/batch", _several)

    @app.get("/", include_in_schema=False)
    async def show_page() -> Response:
        headers = {"content-security-policy": POLICY, "x-content-type-options": "nosniff"}
        return HTMLResponse(page, headers=headers)

    @app.get("/health")
    async def health() -> Response:
        """Whether the server runs."""
        return JSONResponse({"status": "ok"})

    @app.get("/model")
    async def model() -> Response:
        """What is served."""
        return JSONResponse(about)

    @app.get("/metrics")
    async def metrics() -> Response:
        """Counts and times, for Prometheus."""
        return PlainTextResponse(service.counters.text(service.decoders.lost), media_type=CONTENT_TYPE)

    return app


Answer = Callable[[Service, Request], Awaitable[Document]]


async def _answered(service: Service, request: Request, path: str, answer: Answer) -> Response:
    """The answer within the limits, or the refusal; counted."""
    began, status = time.monotonic(), 500
    try:
        response = await _within_limits(service, request, answer)
        status = response.status_code
    finally:
        service.counters.add_request(path, status, time.monotonic() - began)
    return response


async def _within_limits(service: Service, request: Request, answer: Answer) -> Response:
    try:
        with service.admitted():
            return JSONResponse(await answer(service, request))
    except Refused as refused:
        return _refusal(refused)
    except UnreadableImage as error:
        return _refusal(Refused(422, str(error)))
    except ClientDisconnect:
        return Response(status_code=GONE)


async def _one(service: Service, request: Request) -> Document:
    uploads = await _uploads(service, request, 1)
    answer = (await service.answers(uploads))[0]
    if isinstance(answer, UnreadableImage):
        raise answer
    return answer


async def _several(service: Service, request: Request) -> Document:
    """One image that cannot be read costs the others nothing."""
    uploads = await _uploads(service, request, service.limits.images)
    predictions: list[dict[str, Any]] = []
    unreadable: list[dict[str, Any]] = []
    for index, (upload, answer) in enumerate(zip(uploads, await service.answers(uploads), strict=True)):
        if isinstance(answer, UnreadableImage):
            unreadable.append({"index": index, "image": upload.name, "reason": str(answer)})
        else:
            predictions.append({"index": index, **answer})
    return {"schema_version": 1, "predictions": predictions, "unreadable": unreadable}


async def _uploads(service: Service, request: Request, most: int) -> list[Upload]:
    seconds = service.limits.seconds
    try:
        async with asyncio.timeout(seconds):
            return await read_uploads(request.headers, request.stream(), service.limits, most)
    except TimeoutError:
        raise Refused(408, f"the upload took over {seconds:g} s; send a smaller image.", hang_up=True) from None


def _refusal(refused: Refused) -> Response:
    return JSONResponse({"error": str(refused)}, refused.status, refused.headers)
