"""An inspector who answers from a known truth, through the same interface as a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from integrations.label_studio.client import ONCE, list_tasks, server_errors, url_of
from integrations.label_studio.masks import region
from integrations.label_studio.page import DEFECT_CLASS, IMAGE, KNOWN_CLASS, SEVERITY, VERDICT
from learning.progress import Progress, silent

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio


@dataclass(frozen=True)
class Answer:
    """What the inspector says of one image.

    Attributes:
        verdict: ``good``, ``defect``, ``unsure`` or ``skipped``.
        mask: ``[H, W]`` bool, of the image's own size, where a defect is painted.
        defect_class: Free text.
        severity: ``critical`` or ``not critical``.
        known_class: A kind that the page offers.
    """

    verdict: str
    mask: NDArray[np.bool_] | None = None
    defect_class: str | None = None
    severity: str | None = None
    known_class: str | None = None


@dataclass
class InspectorReport:
    """What the inspector did.

    Attributes:
        answered: Tasks that got an answer.
        unknown: Tasks of which the truth says nothing; left open.
    """

    answered: int = 0
    unknown: int = 0


def answer_tasks(
    client: LabelStudio, project: int, truth: Mapping[str, Answer], progress: Progress = silent
) -> InspectorReport:
    """Answer every task that has no answer yet.

    Args:
        client: The connection; its user is the inspector.
        project: From ``ensure_project``.
        truth: By ask id, image id (the ledger's), or part.
        progress: Told the number of tasks.

    Raises:
        ServerError: If the server fails.
    """
    report = InspectorReport()
    with server_errors(url_of(client)):
        include = "id,data,total_annotations,cancelled_annotations"
        tasks = [
            task
            for task in list_tasks(client, project, include)
            if not (task.total_annotations or task.cancelled_annotations)
        ]
        for number, task in enumerate(tasks):
            progress(number, len(tasks), "the scripted inspector answers")
            answer = _look_up(truth, task.data)
            if answer is None:
                report.unknown += 1
                continue
            skipped = answer.verdict == "skipped"
            client.annotations.create(
                task.id, result=annotation_result(answer), was_cancelled=skipped, request_options=ONCE
            )
            report.answered += 1
        progress(len(tasks), len(tasks), "the scripted inspector answers")
    return report


def annotation_result(answer: Answer) -> list[dict[str, Any]]:
    """An answer as Label Studio keeps it."""
    if answer.verdict == "skipped":
        return []
    base = {"to_name": IMAGE}
    chosen = {VERDICT: answer.verdict, SEVERITY: answer.severity, KNOWN_CLASS: answer.known_class}
    result: list[dict[str, Any]] = [
        {**base, "id": name, "from_name": name, "type": "choices", "value": {"choices": [choice]}}
        for name, choice in chosen.items()
        if choice
    ]
    if answer.defect_class:
        value = {"text": [answer.defect_class]}
        result.append({**base, "id": DEFECT_CLASS, "from_name": DEFECT_CLASS, "type": "textarea", "value": value})
    if answer.mask is not None and answer.mask.any():
        result.append(region(answer.mask, "painted"))
    return result


def _look_up(truth: Mapping[str, Answer], data: Mapping[str, Any]) -> Answer | None:
    names = (data.get("external_id"), data.get("image_id"), data.get("part"))
    return next((truth[name] for name in names if name and name in truth), None)
