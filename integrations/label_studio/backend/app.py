"""The protocol of Label Studio's ML backends, and pictures at signed addresses."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import FileResponse, JSONResponse
from PIL import Image
from pydantic import BaseModel
from starlette.middleware.trustedhost import TrustedHostMiddleware

from curation.ledger import AskRow, Ledger
from curation.ledger.resolution import counted
from integrations.asking import OPEN
from integrations.label_studio.backend.errands import Errands
from integrations.label_studio.backend.predictions import Predictor
from integrations.label_studio.gallery import SignedPictures
from learning.errors import UserError

_log = logging.getLogger(__name__)

ANSWERS = ("ANNOTATION_CREATED", "ANNOTATIONS_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_DELETED")
"""Events that a webhook tells of."""
START_TRAINING = "START_TRAINING"


class PredictRequest(BaseModel):
    """What Label Studio sends for predictions, as far as it matters here."""

    tasks: list[dict[str, Any]]


class WebhookRequest(BaseModel):
    """What happened; what else is in it is not believed: answers are fetched."""

    action: str


def make_app(
    predictor: Predictor,
    errands: Errands,
    pictures: SignedPictures,
    ledger: Ledger,
    inspectors: Callable[[], int],
    origins: Sequence[str],
    hosts: Sequence[str],
) -> FastAPI:
    """Put the server together.

    Args:
        predictor: Answers ``/predict``.
        errands: Are told of ``/webhook``.
        pictures: Shown below ``/pictures``.
        ledger: Says which asks are open.
        inspectors: How many answer each task: so long it stays open.
        origins: Of Label Studio, such as ``http://127.0.0.1:8090``: pages that may read pictures.
        hosts: Names by which the server may be called: no page can reach it under a name of its own.
    """
    app = FastAPI(title="flawsmith", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(CORSMiddleware, allow_origins=list(origins), allow_methods=["GET"])
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))

    @app.exception_handler(UserError)
    def _cannot(request: Request, error: UserError) -> JSONResponse:
        _log.warning("%s", error)
        return JSONResponse({"detail": str(error)}, status_code=503)

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "UP", "model_class": "flawsmith"}

    # What it is sent, a token among it, is not read: nothing here depends on it.
    @app.post("/setup")
    def setup() -> dict[str, str]:
        return {"model_version": predictor.version()}

    @app.post("/predict")
    def predict(request: PredictRequest) -> dict[str, Any]:
        return {"results": predictor.predict(request.tasks)}

    @app.post("/webhook")
    def webhook(request: WebhookRequest) -> dict[str, str]:
        if request.action != START_TRAINING and request.action not in ANSWERS:
            return {"status": "ignored"}
        errands.wake(train=request.action == START_TRAINING)
        return {"status": "noted"}

    @app.get("/pictures/{ask_id}/{name}")
    def picture(ask_id: str, name: str, expires: int, signature: Annotated[str, Query(max_length=64)]) -> FileResponse:
        # First of all: what follows is about names that were ours.
        if not pictures.signer.signed(ask_id, name, expires, signature):
            raise HTTPException(404, "there is no such picture")
        ask = ledger.ask(ask_id)
        if expires < time.time() or ask is None or not _open(ledger, ask, inspectors()):
            raise HTTPException(410, "the question is closed, or the address has expired")
        file = pictures.find(ask.ask_id, name)
        if file is None:
            raise HTTPException(404, "there is no such picture")
        headers = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}
        return FileResponse(file, media_type=_media_type(file), headers=headers)

    return app


def _open(ledger: Ledger, ask: AskRow, inspectors: int) -> bool:
    """Whether somebody is still to answer: in the ledger an ask is answered by its first answer."""
    if ask.state in OPEN:
        return True
    return ask.state == "answered" and len(counted(ledger.verdicts(ask_id=ask.ask_id))) < inspectors


def _media_type(file: Path) -> str:
    """By what is in it, not by its name."""
    with Image.open(file) as opened:
        return Image.MIME[opened.format or "PNG"]
