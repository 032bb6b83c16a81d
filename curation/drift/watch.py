"""All cameras of a ledger watched; the same ledger says the same of any time that is past."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from curation.drift.cameras import Rules, watch_camera
from curation.drift.reading import models_at, read_embeddings, read_stream
from curation.drift.reference import Reference, calibration_reference, no_reference, scale_of, wanted_by
from curation.drift.states import CameraState
from curation.errors import LedgerError
from curation.ledger import Ledger
from curation.looks import complete_looks
from learning.bundle import Bundle
from learning.drift.watching import share_of
from learning.errors import BundleError
from learning.progress import Progress, silent


def watch_ledger(
    ledger: Ledger,
    rules: Rules,
    *,
    camera: str | None = None,
    until: datetime | None = None,
    measure: bool = True,
    progress: Progress = silent,
) -> list[CameraState]:
    """Say of each camera whether its production still looks like what its model was calibrated on.

    Args:
        ledger: With scores.
        rules: How cameras are watched.
        camera: Only this one. Its share of the rate of false alarms stays what it is among all.
        until: As it would have been said then.
        measure: Whether pictures that were never measured are read, as far as they are there.
        progress: Told the number of pictures.

    Raises:
        LedgerError: If there is no score, none of that camera, or no picture since watching begins.
    """
    models = models_at(ledger, until)
    if camera is not None and camera not in models:
        known = ", ".join(sorted(name for name in models if name)) or "none has a name"
        msg = f"the ledger has no scored pictures of camera {camera!r}; it has: {known}"
        raise LedgerError(msg)
    if not models:
        then = f" until {until:%Y-%m-%d %H:%M} UTC" if until else ""
        msg = f"the ledger has no scored pictures{then}; score some with: flawsmith score BUNDLE IMAGES --ledger …"
        raise LedgerError(msg)
    if measure:
        complete_looks(ledger, [score.image_id for score in ledger.scores()], progress)
    folders = {row.model_id: row.path for row in ledger.models()}
    states, last = [], []
    for place, (name, model_id) in enumerate(models.items()):
        if camera is not None and name != camera:
            continue
        embeddings, trouble = read_embeddings(ledger, model_id)
        stream = read_stream(ledger, name, model_id, until, embeddings)
        last += [shot.at for shot in stream.shots[-1:]]
        alone = sum(model == model_id for model in models.values()) == 1
        reference, note = _reference(ledger, model_id, folders, alone, rules)
        state = watch_camera(stream, reference, rules, rules.rate * share_of(place))
        states.append(replace(state, notes=[text for text in (note, trouble, *state.notes) if text]))
    if rules.since is not None and last and max(last) < rules.since:
        whose = f" of camera {camera}" if camera else ""
        msg = (
            f"no scored picture{whose} lies after {rules.since:%Y-%m-%d %H:%M} UTC, so that nothing can be "
            f"said of it; the last one is of {max(last):%Y-%m-%d %H:%M} UTC"
        )
        raise LedgerError(msg)
    return states


def _reference(
    ledger: Ledger, model_id: str, folders: Mapping[str, Path | None], alone: bool, rules: Rules
) -> tuple[Reference, str]:
    """What a camera is compared with, and why it is not the calibration parts, in words."""
    folder = folders.get(model_id)
    if folder is None:
        return no_reference(), "the ledger does not know where the model is: the first units are the reference"
    try:
        bundle = Bundle.load(folder)
    except (BundleError, OSError) as error:
        return no_reference(), f"the model cannot be read, so the first units are the reference ({error})"
    if bundle.fingerprint != model_id:
        return no_reference(), f"{folder} holds another model by now: the first units are the reference"
    if rules.first is not None or rules.kind == "lot":
        return no_reference(wanted_by(bundle), scale_of(bundle)), ""
    if not alone:
        reference = no_reference(wanted_by(bundle), scale_of(bundle))
        return reference, "several cameras share the model, and nobody knows which calibration parts are whose"
    return calibration_reference(ledger, bundle), ""
