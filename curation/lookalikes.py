"""What an image looks like, by the embeddings of the model that saw it: without FiftyOne or a server."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from curation.errors import LedgerError

if TYPE_CHECKING:
    from curation.ledger import Ledger, Resolution, ScoreRow, ThresholdRow


_AT_ONCE = 256
"""Images that are compared with all others in one matrix."""


@dataclass(frozen=True)
class Lookalike:
    """An image that looks like another.

    Attributes:
        image_id: The ledger's id.
        path: Its file.
        distance: 1 - cosine of the angle between the embeddings, 0 to 2.
        verdict: ``good``, ``defect``, ``unresolved``, or None where nobody has said anything.
        decision: ``accept`` or ``reject``, by the model.
    """

    image_id: str
    path: Path
    distance: float
    verdict: str | None
    decision: str | None


@dataclass(frozen=True)
class Reasons:
    """Why an image was decided as it was.

    Attributes:
        image_id: The ledger's id.
        path: Its file.
        score: The latest score.
        threshold: What it was compared with; None where the ledger does not know it.
        good: The nearest image that is good: by a verdict, or where there is none by the model; None without any.
        defect: The nearest image that inspectors confirmed as defective; None without any.
    """

    image_id: str
    path: Path
    score: ScoreRow
    threshold: ThresholdRow | None
    good: Lookalike | None
    defect: Lookalike | None

    @property
    def text(self) -> str:
        """All of it in a few lines."""
        score = self.score
        limit = "" if self.threshold is None else f" of {self.threshold.value:.4g}"
        lines = [
            f"{score.decision}: decision score {score.decision_score:.4g} against threshold "
            f"{score.threshold_version}{limit}"
        ]
        if score.percentile is not None:
            lines.append(f"it scores higher than {score.percentile:.0f} % of the good parts that set the threshold")
        if self.threshold is not None:
            lines.append(f"promise: {self.threshold.promise_text}")
        lines.append(_line("nearest good part", self.good))
        lines.append(_line("nearest confirmed defect", self.defect))
        if self.good is not None and self.defect is not None:
            nearer = "the good part" if self.good.distance < self.defect.distance else "the confirmed defect"
            lines.append(f"it looks more like {nearer}")
        return "\n".join(lines)


def _line(what: str, one: Lookalike | None) -> str:
    if one is None:
        return f"{what}: none among the scored images"
    by = "by a verdict" if one.verdict in ("good", "defect") else "by the model alone, nobody has looked"
    return f"{what}: {one.path} (distance {one.distance:.3f}; {by})"


def find_more(ledger: Ledger, image_id: str, count: int = 25) -> list[Lookalike]:
    """The images most like one, among all that the model that saw it last has seen, the nearest first.

    Args:
        ledger: With embeddings.
        image_id: To what; itself left out.
        count: How many.

    Raises:
        LedgerError: The image is unknown, or has no embedding.
    """
    return _nearest(ledger, image_id, count, None)


def why_decided(ledger: Ledger, image_id: str) -> Reasons:
    """Why an image was rejected or accepted, with the nearest good part and the nearest confirmed defect.

    Args:
        ledger: With scores and embeddings.
        image_id: Which.

    Raises:
        LedgerError: The image is unknown, not scored, or has no embedding.
    """
    score = latest_score(ledger, image_id)
    thresholds = {row.version: row for row in ledger.thresholds(score.model_id)}
    good, accepted, defects = _known(ledger, score.model_id)
    return Reasons(
        image_id=image_id,
        path=ledger.image(image_id).path,
        score=score,
        threshold=thresholds.get(score.threshold_version),
        good=next(iter(_nearest(ledger, image_id, 1, good) or _nearest(ledger, image_id, 1, accepted)), None),
        defect=next(iter(_nearest(ledger, image_id, 1, defects)), None),
    )


def nearest_known(
    ledger: Ledger, image_ids: Sequence[str], model_id: str
) -> dict[str, tuple[Lookalike | None, Lookalike | None]]:
    """For each image the nearest good one and the nearest confirmed defect, of other parts; many at once.

    Args:
        ledger: With verdicts, and embeddings of the model.
        image_ids: Which.
        model_id: By whose embeddings.

    Returns:
        By image id, good and defect as in ``Reasons``; None where there is none, or the image has no embedding.

    Raises:
        LedgerError: If the model has left no embeddings, or their files were changed.
    """
    ids, vectors = ledger.embeddings(model_id)
    place = {key: row for row, key in enumerate(ids)}
    asked = [key for key in image_ids if key in place]
    images = {image.image_id: image for image in ledger.images()}
    decisions = {row.image_id: row.decision for row in ledger.scores(model_id)}
    verdicts = {one.image_id: one.state for one in ledger.resolved()}
    found: dict[str, list[Lookalike | None]] = {key: [None, None] for key in image_ids}
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    good, accepted, defects = ([key for key in sorted(keys) if key in place] for keys in _known(ledger, model_id))
    # What the model alone calls good stands in only where no verdict does.
    for position, groups in ((0, (accepted, good)), (1, (defects,))):
        for among in groups:
            rows, parts = [place[key] for key in among], np.array([images[key].part for key in among])
            for start in range(0, len(asked) if among else 0, _AT_ONCE):
                block = asked[start : start + _AT_ONCE]
                dists = 1 - unit[[place[key] for key in block]] @ unit[rows].T
                dists[np.array([images[key].part for key in block])[:, None] == parts] = np.inf
                for key, nearest, row in zip(block, dists.argmin(axis=1), dists, strict=True):
                    if np.isfinite(row[nearest]):
                        other = among[nearest]
                        found[key][position] = Lookalike(
                            image_id=other,
                            path=images[other].path,
                            distance=float(max(row[nearest], 0)),
                            verdict=verdicts.get(other),
                            decision=decisions.get(other),
                        )
    return {key: (one, other) for key, (one, other) in found.items()}


def _known(ledger: Ledger, model_id: str) -> tuple[set[str], set[str], set[str]]:
    """Images that are good by verdicts, good by the model where nobody has looked, and confirmed defects."""
    states = {one.image_id: one.state for one in ledger.resolved()}
    good = {key for key, state in states.items() if state == "good"}
    accepted = {row.image_id for row in ledger.scores(model_id) if row.decision == "accept"} - set(states)
    return good, accepted, {key for key, state in states.items() if state == "defect"}


def latest_score(ledger: Ledger, image_id: str) -> ScoreRow:
    """What was said of an image last.

    Raises:
        LedgerError: The image is unknown, or was never scored.
    """
    scores = sorted(ledger.history(image_id).scores, key=lambda row: row.recorded_at)
    if not scores:
        msg = f"no model has scored {ledger.image(image_id).path}: flawsmith score BUNDLE IMAGES --ledger …"
        raise LedgerError(msg)
    return scores[-1]


def embedded_with(ledger: Ledger, image_id: str) -> tuple[str, list[str], np.ndarray]:
    """The model that saw an image last, and all that it saw: image ids and embeddings ``[N, D]``.

    Raises:
        LedgerError: The image is unknown, or has no embedding.
    """
    model = latest_score(ledger, image_id).model_id
    ids, vectors = ledger.embeddings(model)
    if image_id not in ids:
        msg = f"model {model} has left no embedding of {ledger.image(image_id).path}: score it again"
        raise LedgerError(msg)
    return model, ids, vectors


def _nearest(ledger: Ledger, image_id: str, count: int, among: Collection[str] | None) -> list[Lookalike]:
    from curation.faiss_index import IndexOptions
    from curation.faiss_store import VectorStore

    model, ids, vectors = embedded_with(ledger, image_id)
    keep = [row for row, key in enumerate(ids) if key != image_id and (among is None or key in among)]
    if not keep:
        return []
    # One question does not pay for an index: search is exact.
    store = VectorStore.build(IndexOptions(), vectors[keep], np.array([ids[row] for row in keep]))
    found, dists = store.nearest(vectors[ids.index(image_id)][None], count)
    pairs = zip(found[0], dists[0], strict=True)
    return described(ledger, model, [(str(store.ids[row]), float(distance)) for row, distance in pairs])


def described(ledger: Ledger, model_id: str, found: Sequence[tuple[str, float]]) -> list[Lookalike]:
    """What is known of images that were found, each with its distance."""
    states: dict[str, Resolution] = {one.image_id: one for one in ledger.resolved()}
    decisions = {row.image_id: row.decision for row in ledger.scores(model_id)}
    return [
        Lookalike(
            image_id=key,
            path=ledger.image(key).path,
            distance=distance,
            verdict=states[key].state if key in states else None,
            decision=decisions.get(key),
        )
        for key, distance in found
    ]
