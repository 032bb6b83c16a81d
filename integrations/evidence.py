"""What the ledger has for strategies to choose by: embeddings, second opinions, and parts that were answered."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from curation.errors import LedgerError
from learning.images.records import GOOD
from learning.sampling import Known

if TYPE_CHECKING:
    from curation.ledger import Ledger
    from learning.bundle import Bundle

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """As ``learning.sampling.Candidates`` has it, for images in an order.

    Attributes:
        embeddings: ``[N, D]``, or None.
        opinions: ``[N]`` each.
        known: Answered parts.
        trained: ``[T, D]``, or None.
    """

    embeddings: Floats | None
    opinions: list[Floats]
    known: Known | None
    trained: Floats | None


def collect_evidence(ledger: "Ledger", bundle: "Bundle", image_ids: Sequence[str]) -> Evidence:
    """Read it for these images.

    Where the ledger has no embeddings, or their files are gone or damaged, strategies go without: a question that can
    still be asked is asked.

    Args:
        ledger: With scores of the bundle.
        bundle: Whose embeddings they are.
        image_ids: Of the candidates.
    """
    opinions, labels = _opinions(ledger, bundle.fingerprint, image_ids), _labels(ledger)
    try:
        embedded = ledger.embeddings(bundle.fingerprint)
    except LedgerError:
        # Counts of what is confirmed are known all the same.
        return Evidence(None, opinions, Known(np.full((len(labels), 1), np.nan), list(labels.values())), None)
    row = {key: i for i, key in enumerate(embedded[0])}

    def rows(keys: Sequence[str]) -> Floats:
        found = np.full((len(keys), embedded[1].shape[1]), np.nan)
        there = [i for i, key in enumerate(keys) if key in row]
        found[there] = embedded[1][[row[keys[i]] for i in there]]
        return found

    trained = np.asarray(bundle.embeddings("train")[1], dtype=np.float64)
    return Evidence(
        embeddings=rows(image_ids),
        opinions=opinions,
        known=Known(rows(list(labels)), list(labels.values())),
        trained=trained if trained.shape[1:] == embedded[1].shape[1:] else None,
    )


def _labels(ledger: "Ledger") -> dict[str, str]:
    """``good`` or the kind of defect of every image about which inspectors agree; empty where they name no kind."""
    labels = {}
    for one in ledger.resolved():
        if one.state != "unresolved":
            kinds = [verdict.defect_class for verdict in one.verdicts if verdict.defect_class]
            labels[one.image_id] = GOOD if one.state == "good" else (kinds[-1] if kinds else "")
    return labels


def _opinions(ledger: "Ledger", model_id: str, image_ids: Sequence[str]) -> list[Floats]:
    """The detector and its fallback each by itself, where a fallback is on, and every other model of these images."""
    place = {key: i for i, key in enumerate(image_ids)}
    found: dict[str, Floats] = {}
    for row in ledger.scores(latest=False):
        i = place.get(row.image_id)
        if i is None:
            continue
        # Of other models, the detector's: their decision scores differ in scale from threshold to threshold.
        said = {row.model_id: row.score}
        if row.model_id == model_id:
            said = {} if row.fallback_score is None else {"detector": row.score, "fallback": row.fallback_score}
        for name, score in said.items():
            found.setdefault(name, np.full(len(image_ids), np.nan))[i] = score
    return list(found.values())
