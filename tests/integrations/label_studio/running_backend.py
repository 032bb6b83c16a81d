"""A backend on the ledger and the project of a review."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from integrations.label_studio import pull
from integrations.label_studio.backend import Errands, Predictor, connect_backend, make_app, origins_of
from integrations.label_studio.gallery import SignedPictures
from integrations.serving import serving

from .conftest import Review


@dataclass
class Running:
    """A backend that runs, and what it was asked to do."""

    url: str
    pictures: SignedPictures
    trained: list[float]


@contextmanager
def running(review: Review, port: int = 0) -> Iterator[Running]:
    trained: list[float] = []

    def train() -> bool:
        trained.append(time.monotonic())
        return True

    errands = Errands(
        lambda: pull(review.ledger, review.client, review.project, review.masks), lambda: False, train, quiet=0.3
    )
    pictures = SignedPictures.of(review.ledger.place, review.folder)
    origins, hosts = origins_of(review.server.url), ["127.0.0.1"]
    app = make_app(Predictor(review.ledger), errands, pictures, review.ledger, lambda: 1, origins, hosts)
    with serving(app, port=port) as url, errands:
        connect_backend(review.client, review.project, url)
        yield Running(url, SignedPictures.of(review.ledger.place, review.folder, url), trained)
