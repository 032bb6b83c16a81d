"""What the models in use propose for tasks: regions and a score, never a verdict."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# With torch, before anything is asked: Label Studio waits for three seconds.
from integrations.label_studio.pictures import read_map
from integrations.label_studio.tasks import proposal, version_of
from integrations.recording import models_by_camera, models_in_use
from integrations.succession import load_model
from learning.bundle import Bundle
from learning.errors import DataError
from learning.images.records import ImageRecord
from learning.scoring import ScoreFailure, grey_map, score_records

if TYPE_CHECKING:
    from curation.ledger import ImageRow, Ledger

_log = logging.getLogger(__name__)

_Proposed = tuple[NDArray[np.uint8], float]
"""An anomaly map ``[H, W]``, 0 to 255, and the detector's score."""


class Predictor:
    """Predicts with the model that decides at the camera of each image; for many threads, one at a time.

    What is predicted is not written into the ledger: it is about images that were chosen, and would look like drift.
    """

    def __init__(self, ledger: Ledger, device: str = "cpu") -> None:
        self._ledger = ledger
        self._device = device
        self._bundles: dict[str, Bundle] = {}
        self._alone = threading.Lock()

    def version(self) -> str:
        """What predictions are called now; another one as soon as another model decides.

        Raises:
            DataError: If no model decides yet.
        """
        return version_of(self._models())

    def predict(self, tasks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Predict tasks as Label Studio sends them.

        Args:
            tasks: With ``data``, in which ``external_id`` names an ask.

        Returns:
            As many, in this order: ``result``, ``score`` and ``model_version``. Empty, and a line in the log, for
            tasks of no ask of the ledger, and for images that cannot be read.

        Raises:
            DataError: If no model decides yet.
            BundleError: If a model is damaged.
        """
        version = self.version()
        asked = [self._ask_of(task) for task in tasks]
        with self._alone:
            proposed = self._propose({image_id for _, image_id in filter(None, asked)})
        results = []
        for found in asked:
            prediction: dict[str, Any] = {"result": [], "model_version": version}
            if found is not None and found[1] in proposed:
                anomaly_map, score = proposed[found[1]]
                prediction |= {"result": proposal(found[0], anomaly_map), "score": score}
            results.append(prediction)
        return results

    def _models(self) -> list[str]:
        models = models_in_use(self._ledger)
        if not models:
            msg = "no model decides yet: score images into the ledger first"
            raise DataError(msg)
        return models

    def _ask_of(self, task: Mapping[str, Any]) -> tuple[str, str] | None:
        """Ask and image of a task."""
        name = task.get("data", {}).get("external_id")
        ask = self._ledger.ask(str(name)) if name else None
        if ask is None:
            _log.warning("task %s shows no question of this ledger: no prediction", task.get("id"))
            return None
        return ask.ask_id, ask.image_id

    def _propose(self, image_ids: set[str]) -> dict[str, _Proposed]:
        deciding = models_by_camera(self._ledger)
        images: dict[str, list[ImageRow]] = {}
        for image in self._ledger.images() if image_ids else ():
            model = deciding.get(image.camera or "", deciding.get(""))
            if image.image_id in image_ids and model is not None:
                images.setdefault(model, []).append(image)
        proposed: dict[str, _Proposed] = {}
        for model, own in images.items():
            known = self._recorded(model, own)
            proposed |= known
            proposed |= self._scored(model, [image for image in own if image.image_id not in known])
        self._bundles = {model: bundle for model, bundle in self._bundles.items() if model in deciding.values()}
        return proposed

    def _recorded(self, model: str, images: Sequence[ImageRow]) -> dict[str, _Proposed]:
        """What the ledger has of these images under a model, where the map is still there."""
        scores = {score.image_id: score for score in self._ledger.scores(model_id=model)}
        found = {}
        for image in images:
            score = scores.get(image.image_id)
            if score is None or score.map_path is None or not score.map_path.is_file():
                continue
            try:
                with Image.open(image.path) as opened:
                    width, height = opened.size
                found[image.image_id] = read_map(score.map_path, (height, width)), score.score
            except (OSError, DataError) as error:
                _log.warning("the ledger's map of %s is no help (%s): it is scored again", image.path, error)
        return found

    def _scored(self, model: str, images: Sequence[ImageRow]) -> dict[str, _Proposed]:
        if not images:
            return {}
        bundle = self._bundle(model)
        ids = {image.path: image.image_id for image in images}
        found = {}
        for outcome in score_records(bundle, [ImageRecord(path=path) for path in ids]):
            if isinstance(outcome, ScoreFailure):
                _log.warning("no prediction: %s", outcome.reason)
                continue
            found[ids[outcome.record.path]] = grey_map(outcome.map, bundle.map_range), outcome.score
        return found

    def _bundle(self, model: str) -> Bundle:
        if model not in self._bundles:
            self._bundles[model] = load_model(self._ledger, model, self._device)
        return self._bundles[model]
