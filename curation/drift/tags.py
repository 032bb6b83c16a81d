"""Pictures that show an alarm best, as tags of the ledger; the FiftyOne view "drift" shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from curation.drift.states import CameraState
from curation.drift.words import plain_tag
from curation.ledger import Ledger

PREFIX = "drift:"
"""Begins the tags; what follows is the statistic."""
WHO = "drift"
VIEW = "drift"
"""Name of the saved view."""


def tag_pictures(ledger: Ledger, states: Sequence[CameraState]) -> int:
    """Tag the pictures that show alarms best; tags of earlier alarms of the same cameras are taken away. Repeatable.

    Returns:
        How many pictures are tagged.
    """
    cameras = {state.camera for state in states}
    of = {image.image_id: image.camera or "" for image in ledger.images()}
    wanted = {
        (key, PREFIX + plain_tag(found.statistic))
        for state in states
        for found in state.findings
        for key in found.pictures
    }
    held = {
        (row.image_id, row.tag)
        for row in ledger.tags()
        if row.who == WHO and row.tag.startswith(PREFIX) and of.get(row.image_id) in cameras
    }
    for key, tag in sorted(wanted - held):
        ledger.add_tag(key, tag, WHO)
    for key, tag in sorted(held - wanted):
        ledger.remove_tag(key, tag, WHO)
    return len({key for key, _ in wanted})


def save_drift_view(dataset: Any, ledger: Ledger) -> None:
    """Show the tagged pictures as the saved view "drift" of a FiftyOne data set; without any the view goes.

    Args:
        dataset: A ``fiftyone.Dataset`` of the ledger.
        ledger: With the tags.
    """
    from fiftyone import ViewField

    shown = sorted({row.image_id for row in ledger.tags() if row.who == WHO and row.tag.startswith(PREFIX)})
    if shown:
        view = dataset.match(ViewField("image_id").is_in(shown))
        dataset.save_view(VIEW, view, description="flawsmith drift --tag", overwrite=True)
    elif dataset.has_saved_view(VIEW):
        dataset.delete_saved_view(VIEW)
