"""What a task shows: made from the ledger, with its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.by_hand import BY_HAND, GOLD, SECOND_LOOK
from curation.errors import LedgerError
from integrations.label_studio.masks import propose_regions, region
from integrations.label_studio.page import IMAGE, NEAR_DEFECT, NEAR_GOOD, OVERLAY, check_task
from integrations.label_studio.pictures import write_pictures, write_placeholder, write_reference
from learning.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from curation.ledger import AskRow, ImageRow, Ledger, Resolution, ScoreRow
    from curation.lookalikes import Lookalike
    from integrations.label_studio.gallery import Gallery

PREDICTIONS = "map "
"""What names of predictions begin with."""

_AUDIT = "A random audit: asked about whatever its score."
_REASONS = {
    BY_HAND: "Somebody looking through the images chose this one.",
    "borderline": "Asked because the detector's score is close to its threshold.",
    "rejected": "Asked as a check on decisions of which the detector is sure.",
    "diverse": "Asked because it looks unlike the parts that were asked about so far.",
    "disagreement": "Asked because detectors disagree about it.",
    "change": "Asked because the answer may change how parts like it are decided on.",
    "balance": "Asked so that there are answers about parts of all kinds.",
    "returned": "A customer sent this part back: mark where the defect is, if there is one.",
    "audit": _AUDIT,
    "random": _AUDIT,
    SECOND_LOOK: "A second look: the answers so far do not settle what this part is.",
    # As any other: who knows that he is tested is another inspector.
    GOLD: _AUDIT,
}


class TaskBuilder:
    """Looks up what tasks show; the ledger is read once for all of them."""

    def __init__(self, ledger: Ledger, asks: Sequence[AskRow], gallery: Gallery, predictions: str = "") -> None:
        """Read the ledger.

        Args:
            ledger: With images, and scores and embeddings of the models that were shown.
            asks: All that tasks will be made of.
            gallery: Where pictures are shown.
            predictions: What Label Studio calls the proposed regions, from ``predictions_of``; which model it was, the
                ledger knows by the ask.
        """
        self.predictions = predictions
        self.gallery = gallery
        self.folder = gallery.folder
        self.images: dict[str, ImageRow] = {}
        self.scores: dict[tuple[str, str], ScoreRow] = {}
        self.near: dict[tuple[str, str], tuple[Lookalike | None, Lookalike | None]] = {}
        self.confirmed: dict[str, Resolution] = {}
        self._references: dict[str, Path] = {}
        if not asks:
            return
        self.images = {image.image_id: image for image in ledger.images()}
        self.confirmed = {one.image_id: one for one in ledger.resolved() if one.state == "defect"}
        for model_id in {ask.model_id for ask in asks}:
            self.scores |= {(model_id, score.image_id): score for score in ledger.scores(model_id=model_id)}
            self._find_near(ledger, model_id, [ask.image_id for ask in asks if ask.model_id == model_id])

    def _find_near(self, ledger: Ledger, model_id: str, image_ids: Sequence[str]) -> None:
        from curation.lookalikes import nearest_known

        try:
            found = nearest_known(ledger, image_ids, model_id)
        except LedgerError:
            return  # a model without embeddings: there is nothing to compare with, as the page says
        self.near |= {(model_id, key): pair for key, pair in found.items()}

    def task(self, ask: AskRow) -> dict[str, Any]:
        """Write the pictures of an ask and describe its task.

        Raises:
            DataError: If the image or its map cannot be read.
        """
        image = self.images[ask.image_id]
        score = self.scores.get((ask.model_id, ask.image_id))
        map_path = Path(score.map_path) if score and score.map_path else None
        pictures = write_pictures(self.folder, ask.ask_id, Path(image.path), map_path)
        task: dict[str, Any] = {
            "data": {
                "external_id": ask.ask_id,
                "image_id": ask.image_id,
                "part": str(image.part),
                "why": why(ask.reason),
                IMAGE: self.gallery.address(ask.ask_id, IMAGE, pictures.image),
                OVERLAY: self.gallery.address(ask.ask_id, OVERLAY, pictures.overlay),
                **self._beside(ask),
            }
        }
        result = proposal(ask.ask_id, pictures.anomaly_map) if pictures.anomaly_map is not None else []
        if result:
            task["predictions"] = [{"model_version": self.predictions, "result": result}]
        check_task(task)
        return task

    def _beside(self, ask: AskRow) -> dict[str, str]:
        """The pictures for comparison, and what they are."""
        good, defect = self.near.get((ask.model_id, ask.image_id), (None, None))
        good_note, defect_note = "No good part to compare with yet", "No confirmed defect to compare with yet"
        if good is not None:
            among = "good parts" if good.verdict == "good" else "accepted parts with low scores, not checked by anybody"
            good_note = f"Most alike among {among}: {Path(self.images[good.image_id].part).name}"
        if defect is not None:
            from curation.defect_classes import class_of

            kind = class_of(self.confirmed[defect.image_id])
            defect_note = f"Most alike among confirmed defects: {kind or 'kind not named'}"
        shown = {NEAR_GOOD: (good, good_note), NEAR_DEFECT: (defect, defect_note)}
        beside = {
            name: self.gallery.address(ask.ask_id, name, self._reference(one)) for name, (one, _) in shown.items()
        }
        return beside | {f"{name}_note": note for name, (_, note) in shown.items()}

    def _reference(self, one: Lookalike | None) -> Path:
        if one is None:
            return write_placeholder(self.folder)
        if one.image_id not in self._references:
            confirmed = self.confirmed.get(one.image_id)
            mask = confirmed.mask_path if confirmed is not None else None
            try:
                path = write_reference(self.folder, one.image_id, one.path, mask)
            except DataError:
                # The file of another part is gone: no reason not to ask about this one.
                path = write_placeholder(self.folder)
            self._references[one.image_id] = path
        return self._references[one.image_id]


def proposal(ask_id: str, anomaly_map: NDArray[np.uint8]) -> list[dict[str, Any]]:
    """Regions of a map ``[H, W]``, 0 to 255, as a prediction has them; the verdict is never proposed."""
    return [region(mask, f"{ask_id[:12]}-{number}") for number, mask in enumerate(propose_regions(anomaly_map))]


def version_of(models: Sequence[str]) -> str:
    """What predictions of these models are called in Label Studio, which tells by it what is out of date."""
    return f"{PREDICTIONS}{'+'.join(model[:12] for model in models)}"


def why(reason: str) -> str:
    """Say to an inspector why an image is asked about, without a hint at the answer."""
    return _REASONS.get(reason, f"Asked because: {reason}.")
