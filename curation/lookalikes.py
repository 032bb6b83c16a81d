"""What an image looks like, by the embeddings of the model that saw it: without FiftyOne or a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from curation.errors import LedgerError
from curation.likeness import Seen, drawn
from learning.tails import FEWEST

if TYPE_CHECKING:
    from curation.ledger import Ledger, ScoreRow, ThresholdRow

ASKED = 1000
"""Judged images that say how much a difference means; where there are more, as many are drawn."""
WRONG = 0.05
"""Share of them that may be something else than they look like."""


@dataclass(frozen=True)
class Lookalike:
    """An image that looks like another.

    Attributes:
        image_id: The ledger's id.
        path: Its file.
        distance: 1 - cosine, 0 to 2: of the embeddings where ``find_more`` found it, else of what is unusual about
            them beside good parts (``curation.likeness``), where 1 is nothing in common.
        verdict: ``good``, ``defect``, ``unresolved``, or None where nobody has said anything.
        decision: ``accept`` or ``reject``, by the model.
    """

    image_id: str
    path: Path
    distance: float
    verdict: str | None
    decision: str | None


@dataclass(frozen=True)
class Leaning:
    """What it means that an image looks more like a defect than like a good part, or the other way round.

    Attributes:
        towards: Which is nearer: ``good`` or ``defect``.
        judged: Other images with a verdict that lean there as much; at least ``FEWEST``, those that lean most.
        agreed: Those of them whose verdict it is.
        others: Images with the other verdict, wherever they lean.
    """

    towards: str
    judged: int
    agreed: int
    others: int

    @property
    def enough(self) -> bool:
        """Whether there are enough verdicts to tell."""
        return min(self.judged, self.others) >= FEWEST

    @property
    def clear(self) -> bool:
        """Whether it means something: few that lean so are otherwise, also as a share of all that are otherwise."""
        return self.enough and self.judged - self.agreed <= WRONG * min(self.judged, self.others)


@dataclass(frozen=True)
class Reasons:
    """Why an image was decided as it was.

    Attributes:
        image_id: The ledger's id.
        path: Its file.
        score: The latest score.
        threshold: What it was compared with; None where the ledger does not know it.
        promise: What that promises of the image; empty where the ledger does not know it.
        good: The nearest image of another group that is good by a verdict, or where there is none, of the half that the
            model accepted with the lowest scores; None without any.
        defect: The nearest image of another group that inspectors confirmed as defective; None without any.
        leaning: What the difference of the two means; None where verdicts do not know both.
    """

    image_id: str
    path: Path
    score: ScoreRow
    threshold: ThresholdRow | None
    promise: str
    good: Lookalike | None
    defect: Lookalike | None
    leaning: Leaning | None

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
        if self.promise:
            lines.append(f"promise: {self.promise}")
        lines.append(_line("nearest good part", self.good))
        lines.append(_line("nearest confirmed defect", self.defect))
        if self.good is not None and self.defect is not None:
            lines.append(_compared(self.leaning))
        return "\n".join(lines)


def _compared(leaning: Leaning | None) -> str:
    if leaning is None or not leaning.enough:
        return "which of the two it is more like cannot be said yet: too few images have a verdict"
    nearer, are = ("the good part", "good") if leaning.towards == "good" else ("the confirmed defect", "defective")
    counted = f"{leaning.judged} others with a verdict do so about as much, and {leaning.agreed} of them are {are}"
    if leaning.clear:
        return f"it looks more like {nearer}: {counted}"
    return f"which of the two it is more like says little: it is nearer to {nearer}, but {counted}"


def _line(what: str, one: Lookalike | None) -> str:
    if one is None:
        return f"{what}: none among the scored images"
    by = "by a verdict" if one.verdict in ("good", "defect") else "accepted with a low score, nobody has looked"
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
    model, ids, vectors = embedded_with(ledger, image_id)
    own = ids.index(image_id)
    lengths = np.maximum(np.linalg.norm(vectors, axis=1), np.finfo(np.float32).tiny)
    distances = 1 - vectors @ (vectors[own] / lengths[own]) / lengths
    distances[own] = np.inf
    nearest = np.argsort(distances, kind="stable")[: min(count, len(ids) - 1)]
    found = {ids[row]: max(float(distances[row]), 0.0) for row in nearest}
    states = {one.image_id: one.state for one in ledger.resolved(list(found))}
    return described(ledger, found, states, ledger.decisions(model))


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
    seen = Seen(ledger, score.model_id)
    image = ledger.image(image_id)
    if image_id not in seen.embedded:
        raise LedgerError(_no_embedding(score.model_id, image.path))
    threshold = thresholds.get(score.threshold_version)
    good, defect = _beside(ledger, seen, [image_id])[image_id]
    return Reasons(
        image_id=image_id,
        path=image.path,
        score=score,
        threshold=threshold,
        promise="" if threshold is None else threshold.about(image),
        good=good,
        defect=defect,
        leaning=_leaning(seen, image_id, good, defect),
    )


def nearest_known(
    ledger: Ledger, image_ids: Sequence[str], model_id: str
) -> dict[str, tuple[Lookalike | None, Lookalike | None]]:
    """For each image the nearest good one and the nearest confirmed defect, of other groups; many at once.

    Args:
        ledger: With verdicts, and embeddings of the model.
        image_ids: Which.
        model_id: By whose embeddings.

    Returns:
        By image id, good and defect as in ``Reasons``; None where there is none, or the image has no embedding.

    Raises:
        LedgerError: If the model has left no embeddings, or their files were changed.
    """
    return _beside(ledger, Seen(ledger, model_id), image_ids)


def _beside(
    ledger: Ledger, seen: Seen, image_ids: Sequence[str]
) -> dict[str, tuple[Lookalike | None, Lookalike | None]]:
    good = seen.nearest(image_ids, seen.good)
    # What the model alone calls good stands in only where no verdict does, and only what it has least doubt about.
    good |= seen.nearest([key for key in image_ids if key not in good], seen.unquestioned)
    defects = seen.nearest(image_ids, seen.defects)
    others = {other: away for found in (good, defects) for other, away in found.values()}
    known = {one.image_id: one for one in described(ledger, others, seen.states, seen.decisions)}

    def other(found: Mapping[str, tuple[str, float]], key: str) -> Lookalike | None:
        return replace(known[found[key][0]], distance=found[key][1]) if key in found else None

    return {key: (other(good, key), other(defects, key)) for key in image_ids}


def _leaning(seen: Seen, image_id: str, good: Lookalike | None, defect: Lookalike | None) -> Leaning | None:
    """Learn from images with a verdict what it means to be as much nearer to one of the two."""
    if good is None or defect is None or good.verdict is None or not seen.standardised:
        return None
    judged = [key for key in (*seen.good, *seen.defects) if seen.groups[key] != seen.groups[image_id]]
    judged = [judged[place] for place in drawn(len(judged), ASKED, np.random.default_rng(0))]
    to_good, to_defect = seen.nearest(judged, seen.good), seen.nearest(judged, seen.defects)
    judged = [key for key in judged if key in to_good and key in to_defect]
    own = good.distance - defect.distance
    towards, side = ("defect", 1) if own > 0 else ("good", -1)
    leans = np.array([side * (to_good[key][1] - to_defect[key][1]) for key in judged])
    is_so = np.array([seen.states[key] == towards for key in judged], dtype=bool)
    least = min(abs(own), *np.sort(leans)[-FEWEST:][:1])
    as_much = (leans >= least) & (leans > 0)
    return Leaning(towards, int(as_much.sum()), int(is_so[as_much].sum()), int((~is_so).sum()))


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
        raise LedgerError(_no_embedding(model, ledger.image(image_id).path))
    return model, ids, vectors


def _no_embedding(model_id: str, path: Path) -> str:
    return f"model {model_id} has left no embedding of {path}: score it again"


def described(
    ledger: Ledger, found: Mapping[str, float], states: Mapping[str, str], decisions: Mapping[str, str]
) -> list[Lookalike]:
    """What is known of images that were found.

    Args:
        ledger: With the images.
        found: Distances by image id.
        states: What verdicts come to, by image id.
        decisions: Of a model, by image id.
    """
    images = ledger.images_of(list(found))
    return [
        Lookalike(key, images[key].path, distance, states.get(key), decisions.get(key))
        for key, distance in found.items()
    ]
