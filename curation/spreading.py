"""Near twins of an image about which nobody has said anything: a proposal to give them its verdict, never a deed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from curation.errors import LedgerError
from curation.lookalikes import Lookalike, described, embedded_with
from curation.quality.near import similar_from, unusual
from learning.tails import FEWEST

if TYPE_CHECKING:
    from curation.ledger import Ledger

MOST = 200
STRANGERS = "an unrelated image is so near with a chance of 1 in 20 among all"


@dataclass(frozen=True)
class Limit:
    """How near a twin has to be.

    Attributes:
        distance: At most, 0 to 2.
        text: Where it comes from.
    """

    distance: float
    text: str


@dataclass(frozen=True)
class Proposal:
    """What is proposed.

    Attributes:
        image_id: The image whose verdict would spread.
        verdict: ``good`` or ``defect``.
        twins: Images without a verdict that are near enough, the nearest first.
        limit: How near that is.
        judged: Near ones that have a verdict already, or are unresolved.
    """

    image_id: str
    verdict: str
    twins: tuple[Lookalike, ...]
    limit: Limit
    judged: int

    @property
    def text(self) -> str:
        """In words."""
        return (
            f"{len(self.twins)} near twins without a verdict, of an image that is {self.verdict}; {self.judged} near "
            f"ones have one. Near is a distance up to {self.limit.distance:.3f}: {self.limit.text}. Nothing was written"
        )


def propose_twins(ledger: Ledger, image_id: str, most: int = MOST, distance: float | None = None) -> Proposal:
    """Say which images without a verdict could be given that of an image. Nothing is written.

    Distances are 1 - cosine of what is unusual about embeddings within their camera: raw ones of parts that all look
    alike hardly differ. Twins are looked for among all images that the model saw which saw this one last.

    Args:
        ledger: With embeddings, and a verdict on the image.
        image_id: Whose verdict.
        most: At most so many twins.
        distance: How near they have to be, 0 to 2; by default learnt from the ledger, see ``limit_of``.

    Raises:
        LedgerError: The image is unknown, has no verdict that counts, or no embedding; or there are too few images to
            learn from.
    """
    from curation.faiss_index import IndexOptions
    from curation.faiss_store import VectorStore

    states = {one.image_id: one.state for one in ledger.resolved()}
    verdict = states.get(image_id)
    if verdict not in ("good", "defect"):
        said = "inspectors do not agree about" if verdict else "nobody has said anything about"
        msg = f"{said} {ledger.image(image_id).path}, so that there is nothing to spread: mark it first"
        raise LedgerError(msg)
    model, ids, vectors = embedded_with(ledger, image_id)
    if distance is None and len(ids) < FEWEST:
        msg = f"model {model} has seen {len(ids)} images, too few to tell how near twins are: say how near"
        raise LedgerError(msg)
    images = {image.image_id: image for image in ledger.images()}
    if len(ids) >= FEWEST:
        vectors = unusual(vectors, np.array([images[key].camera or "" for key in ids]))
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    groups = np.array([images[key].group for key in ids])
    limit = limit_of(unit, groups) if distance is None else Limit(distance, "as given")
    # One question does not pay for an index: search is exact.
    store = VectorStore.build(IndexOptions(), unit.astype(np.float32), np.array(ids))
    rows, distances = store.nearest(unit[ids.index(image_id)][None].astype(np.float32), len(ids))
    near = [
        (str(store.ids[row]), float(away))
        for row, away in zip(rows[0], distances[0], strict=True)
        if away <= limit.distance and store.ids[row] != image_id
    ]
    free = [(key, away) for key, away in near if key not in states]
    twins = tuple(described(ledger, model, free[:most]))
    return Proposal(image_id, verdict, twins, limit, len(near) - len(free))


def limit_of(unit: NDArray[np.floating], groups: NDArray[np.str_], seed: int = 0) -> Limit:
    """Learn how near twins are, from what is known without any label.

    So near that an unrelated image gets there with a chance of 1 in 20 among all images (``quality.near``); and where
    groups are known, no farther than half of the images of one group (exposures of one part) are from each other.

    Args:
        unit: ``[N, D]`` of length 1.
        groups: ``[N]``.
        seed: Of the pairs that are drawn.
    """
    rng = np.random.default_rng(seed)
    strangers = 1 - similar_from(unit, groups, rng)
    within = _within(unit, groups, rng)
    if len(within) < FEWEST:
        return Limit(strangers, STRANGERS)
    exposures = float(np.median(within))
    if exposures >= strangers:
        return Limit(strangers, STRANGERS)
    return Limit(exposures, f"half of {len(within)} pairs of one group are so near, and hardly any unrelated image")


def _within(unit: NDArray[np.floating], groups: NDArray[np.str_], rng: np.random.Generator) -> NDArray[np.float64]:
    """Distances of pairs of one group, each group by one pair so that large ones do not speak for all."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.r_[True, groups[order][1:] != groups[order][:-1]])
    sizes = np.diff(np.r_[starts, len(order)])
    starts, sizes = starts[sizes > 1], sizes[sizes > 1]
    first = rng.integers(0, sizes)
    second = (first + rng.integers(1, sizes)) % sizes
    a, b = order[starts + first], order[starts + second]
    return np.asarray(1 - np.einsum("nd,nd->n", unit[a], unit[b]), dtype=np.float64)
