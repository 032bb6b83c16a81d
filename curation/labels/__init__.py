"""Labels that somebody made elsewhere, read from the formats that they come in, and recorded as verdicts."""

from curation.labels.label import Found, Label, Reading, Refusal
from curation.labels.record import Imported, Origin, import_labels

__all__ = ["Found", "Imported", "Label", "Origin", "Reading", "Refusal", "import_labels"]
