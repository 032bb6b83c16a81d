"""Label Studio's JSON export, of any project with an image: choices, brushes, polygons, rectangles and ellipses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from curation.labels.label import DEFECT_NAMES, Finder, Found, Label, Mask, Reading, Refusal, Region, label_of
from curation.labels.shapes import from_box, from_polygons
from integrations.label_studio.masks import decoded
from learning.errors import DataError
from learning.images.pixels import EXTENSIONS

UNSURE = "unsure"
SKIPPED = "skipped by its annotator"
_UPLOADED = re.compile(r"^[0-9a-f]{8}-")
"""What Label Studio puts before the name of a file that was uploaded."""
_SHAPES = {
    "brushlabels": "RLE",
    "polygonlabels": "polygons",
    "rectanglelabels": "boxes",
    "ellipselabels": "ellipses",
}


def is_exported(file: Path) -> bool:
    """Whether a JSON file is a list of tasks."""
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(content, list) and bool(content) and all(isinstance(t, dict) and "data" in t for t in content)


def read_exported(file: Path, reading: Reading, images: Path | None) -> Found:
    """Read tasks with their annotations; what a model had predicted is no label.

    Args:
        file: Of the export called JSON (not JSON-MIN).
        reading: How what is ambiguous is read.
        images: Folder in which the pictures are looked for, by the path or the name that tasks have of them.

    Raises:
        DataError: It is no such file.
    """
    if not file.is_file() or not is_exported(file):
        msg = f"{file} is no export of Label Studio (a JSON list of tasks): export the project as JSON, not JSON-MIN"
        raise DataError(msg)
    finder = Finder(images, file.parent)
    found = Found(root=images or file.parent)
    for task in json.loads(file.read_bytes()):
        if not isinstance(task["data"], dict):
            found.refused.append(Refusal(f"task {task.get('id')}", "its data is no object"))
            continue
        for one in _labels(task, reading, finder):
            (found.labels if isinstance(one, Label) else found.refused).append(one)  # type: ignore[arg-type]
    return found


def _labels(task: dict[str, Any], reading: Reading, finder: Finder) -> Iterator[Label | Refusal]:
    name = _image_of(task["data"])
    what = name or f"task {task.get('id')}"
    annotations = task.get("annotations") or []
    if not all(isinstance(one, dict) for one in annotations):
        yield Refusal(what, "its annotations are not in the export: export as JSON, not JSON-MIN")
        return
    path = None if name is None else _find(name, finder)
    if path is None:
        yield Refusal(what, "there is no such file, or several: name their folder with --images")
        return
    if not annotations:
        yield Refusal(what, "nobody has annotated it")
    for annotation in annotations:
        if annotation.get("was_cancelled"):
            yield Refusal(what, SKIPPED)
            continue
        try:
            yield _label(path, annotation, reading)
        except (KeyError, TypeError, ValueError) as error:
            missing = isinstance(error, KeyError)
            yield Refusal(what, f"an annotation has no {error.args[0]}" if missing else "an annotation is damaged")


def _label(path: Path, annotation: dict[str, Any], reading: Reading) -> Label | Refusal:
    results = annotation.get("result") or []
    said = [str(choice) for one in results for choice in one["value"].get("choices", [])]
    regions = [region for one in results for region in _regions(one)]
    who, at = annotation.get("completed_by"), annotation.get("updated_at") or annotation.get("created_at")
    who = who.get("email") if isinstance(who, dict) else None if who is None else f"annotator {who}"
    about: dict[str, Any] = {"annotator": who, "at": None if at is None else datetime.fromisoformat(at)}
    if UNSURE in {choice.casefold() for choice in said}:
        return Label(path, "unsure", **about)
    good = [choice for choice in said if reading.is_good(choice)]
    if good and (regions or len(good) < len(said)):
        return Refusal(str(path), "one annotation says good, another names a defect")
    if good:
        return Label(path, "good", **about)
    if not regions and said:
        kinds = sorted(choice for choice in set(said) if choice.casefold() not in DEFECT_NAMES)
        return Label(path, "defect", ", ".join(kinds) or None, **about)
    return label_of(path, regions, reading, **about)


def _regions(result: dict[str, Any]) -> Iterator[Region]:
    value = result["value"]
    kind = next((kind for kind in _SHAPES if kind in value), None)
    if kind is None:
        return
    names = value[kind] or ["defect"]
    size = int(result["original_height"]), int(result["original_width"])
    yield Region(str(names[0]), _SHAPES[kind], partial(_drawn, kind, result, *size))


def _drawn(kind: str, result: dict[str, Any], height: int, width: int) -> Mask:
    """The mask of a region.

    Raises:
        DataError: The region is damaged.
    """
    try:
        return _mask(kind, result, height, width)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        msg = f"a region ({_SHAPES[kind]}) is damaged"
        raise DataError(msg) from error


def _mask(kind: str, result: dict[str, Any], height: int, width: int) -> Mask:
    value = result["value"]
    if kind == "brushlabels":
        return decoded(result)
    scale = np.array([width, height]) / 100
    if kind == "polygonlabels":
        return from_polygons([(np.array(value["points"], dtype=float) * scale).ravel().tolist()], height, width)
    x, y = np.array([value["x"], value["y"]]) * scale
    if kind == "rectanglelabels":
        wide, high = np.array([value["width"], value["height"]]) * scale
        angle = np.radians(float(value.get("rotation") or 0))
        if not angle:
            return from_box(x, y, wide, high, height, width)
        # Turned about its upper left corner.
        across, down = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        corners = np.array([(0, 0), (wide, 0), (wide, high), (0, high)])
        turned = np.array([x, y]) + corners[:, :1] * across + corners[:, 1:] * down
        return from_polygons([turned.ravel().tolist()], height, width)
    wide, high = np.array([value["radiusX"], value["radiusY"]]) * scale
    if not (wide > 0 and high > 0):
        msg = "an ellipse has no extent"
        raise DataError(msg)
    angle = np.radians(float(value.get("rotation") or 0))
    rows, columns = np.mgrid[:height, :width] + 0.5
    across = (columns - x) * np.cos(angle) + (rows - y) * np.sin(angle)
    down = -(columns - x) * np.sin(angle) + (rows - y) * np.cos(angle)
    return np.asarray((across / wide) ** 2 + (down / high) ** 2 <= 1)


def _image_of(data: dict[str, Any]) -> str | None:
    """What a task's data calls its picture: the field ``image``, or the first that looks like one."""
    texts = [data.get("image"), *data.values()]
    pictures = [text for text in texts if isinstance(text, str) and _path_in(text).lower().endswith(tuple(EXTENSIONS))]
    return pictures[0] if pictures else None


def _path_in(address: str) -> str:
    """The path within an address; of local files that Label Studio serves it is the parameter ``d``."""
    parts = urlsplit(address)
    return parse_qs(parts.query).get("d", [unquote(parts.path)])[0]


def _find(address: str, finder: Finder) -> Path | None:
    path = _path_in(address).lstrip("/") if urlsplit(address).scheme != "" or "?" in address else _path_in(address)
    if Path(path).is_absolute() and Path(path).is_file():
        return Path(path)
    name = Path(path).name
    plain = _UPLOADED.sub("", name)
    return finder.find(path.lstrip("/")) or finder.find(name) or (finder.find(plain) if plain != name else None)
