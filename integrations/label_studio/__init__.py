"""Label Studio: asks go out to inspectors, their verdicts come back.

The ledger is the truth; a Label Studio project is a view of it that can be lost and rebuilt. Everything here can be
killed at any moment and run again.
"""

from integrations.label_studio.client import connect, external_server
from integrations.label_studio.inspector import Answer, InspectorReport, answer_tasks
from integrations.label_studio.project import ensure_project
from integrations.label_studio.pull import PullReport, pull
from integrations.label_studio.push import PushReport, push
from integrations.label_studio.server import LabelStudioServer, label_studio
from integrations.label_studio.status import ReviewStatus, review_status

__all__ = [
    "Answer",
    "InspectorReport",
    "LabelStudioServer",
    "PullReport",
    "PushReport",
    "ReviewStatus",
    "answer_tasks",
    "connect",
    "ensure_project",
    "external_server",
    "label_studio",
    "pull",
    "push",
    "review_status",
]
