"""The ledger: the only truth; FiftyOne and Label Studio are views that can be lost and rebuilt from it."""

from curation.errors import LedgerError
from curation.ledger.entries import (
    AskEntry,
    AskState,
    Decision,
    ImageEntry,
    ModelEntry,
    ScoreEntry,
    Verdict,
    VerdictEntry,
)
from curation.ledger.files import image_id_of
from curation.ledger.ledger import Ledger
from curation.ledger.rows import (
    AskRow,
    Event,
    History,
    ImageRow,
    ModelRow,
    Resolution,
    ScoreRow,
    TagRow,
    ThresholdRow,
    VerdictRow,
)

__all__ = [
    "AskEntry",
    "AskRow",
    "AskState",
    "Decision",
    "Event",
    "History",
    "ImageEntry",
    "ImageRow",
    "Ledger",
    "LedgerError",
    "ModelEntry",
    "ModelRow",
    "Resolution",
    "ScoreEntry",
    "ScoreRow",
    "TagRow",
    "ThresholdRow",
    "Verdict",
    "VerdictEntry",
    "VerdictRow",
    "image_id_of",
]
