"""Going on from a model that is there: what its weights have learnt from never calibrates what comes of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from learning.errors import ConfigError, DataError
from learning.images.records import ImageRecord
from learning.manifest import Started
from learning.splits import refuse_leaks

if TYPE_CHECKING:
    from learning.bundle import Bundle
    from learning.config import TrainConfig


def check_continuable(start: "Bundle", config: "TrainConfig") -> None:
    """Refuse to go on from a model that cannot be gone on from, or not so.

    Raises:
        ConfigError: If its detector learns in one go, or another detector or size is configured.
    """
    if not start.detector.tunable:
        msg = f"{start.detector.name} cannot go on from weights that are there: train it from scratch"
        raise ConfigError(msg)
    own = start.manifest.config
    kept = ("detector", "detector_config", "size")
    differing = [name for name in kept if getattr(config, name) != getattr(own, name)]
    if differing:
        msg = (
            f"a model that goes on from another is as that one is; {', '.join(differing)} would differ: "
            "leave the configuration out, or train from scratch"
        )
        raise ConfigError(msg)


def split_as(start: "Bundle", good: Sequence[ImageRecord]) -> dict[str, list[ImageRecord]]:
    """Divide good parts as they were divided for a model: its calibration and selection groups stay what they are.

    All others train, those that are new too: of what is not known to have been held out, its weights may have learnt.

    Args:
        start: The model that is gone on from.
        good: Good parts, those that it was trained on among them.

    Returns:
        Records by ``train``, ``selection`` and ``calibration``.

    Raises:
        DataError: If none of the parts that calibrated it, selected for it or trained it are there.
    """
    # The later one counts: a group that has set scales does not calibrate, and one that has trained does neither.
    held = {"calibration": start.calibration, "selection": start.selection}
    images = {name: {_resolved(image) for image in table["image"]} for name, table in held.items()}
    groups = {name: set(table["group"]) for name, table in held.items()}
    trained = {_resolved(image) for image in start.embeddings("train")[0]}
    paths = [_resolved(record.path) for record in good]
    role = {
        record.group: name
        for name in held
        for record, path in zip(good, paths, strict=True)
        if record.group in groups[name] or path in images[name]
    }
    role |= {record.group: "train" for record, path in zip(good, paths, strict=True) if path in trained}
    parts: dict[str, list[ImageRecord]] = {"train": [], "selection": [], "calibration": []}
    for record in good:
        parts[role.get(record.group, "train")].append(record)
    missing = [name for name, records in parts.items() if not records]
    if missing:
        msg = (
            f"there are none of the good parts that were for {', '.join(missing)} of {start.fingerprint}: give those "
            "that it was trained on, and new ones beside them, or train from scratch"
        )
        raise DataError(msg)
    refuse_leaks(parts)
    return parts


def started_from(start: "Bundle") -> Started:
    """What a bundle says of the model that it went on from."""
    own = start.manifest
    before = own.started.training_sets if own.started else ()
    return Started(model=start.fingerprint, training_sets=(*before, *([own.training_set] if own.training_set else [])))


def _resolved(image: str | Path) -> Path:
    return Path(image).resolve()
