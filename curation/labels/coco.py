"""COCO's detection format (Lin et al., 2014, arXiv 1405.0312)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from curation.labels.label import Finder, Found, Label, Reading, Refusal, Region, label_of
from curation.labels.shapes import from_box, from_polygons, from_rle
from learning.errors import DataError


def files_of(source: Path) -> list[Path]:
    """Annotation files: the source itself, or those in the folder and in its folder ``annotations``."""
    if source.is_file():
        return [source] if source.suffix.lower() == ".json" and is_coco(source) else []
    found = [file for folder in (source, source / "annotations") for file in sorted(folder.glob("*.json"))]
    return [file for file in found if is_coco(file)]


def is_coco(file: Path) -> bool:
    """Whether a JSON file holds images and annotations."""
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and {"images", "annotations"} <= content.keys()


def read_coco(source: Path, reading: Reading, images: Path | None) -> Found:
    """Read images and annotations.

    Args:
        source: A JSON file, or a folder with some.
        reading: How what is ambiguous is read.
        images: Folder of the images, where they do not lie beside the file.

    Raises:
        DataError: There is no such file.
    """
    files = files_of(source)
    if not files:
        msg = f"{source} holds no COCO annotations (a JSON object with images and annotations)"
        raise DataError(msg)
    root = source if source.is_dir() else source.parent
    finder = Finder(images, root)
    found = Found(root=images or root)
    for file in files:
        for one in _read(file, reading, finder):
            (found.labels if isinstance(one, Label) else found.refused).append(one)  # type: ignore[arg-type]
    return found


def _read(file: Path, reading: Reading, finder: Finder) -> Iterator[Label | Refusal]:
    content = json.loads(file.read_bytes())
    for part in ("images", "annotations", "categories"):
        if not isinstance(content.get(part, []), list):
            msg = f"{file} is no COCO file: {part} is no list"
            raise DataError(msg)
    names = {one["id"]: str(one["name"]) for one in content.get("categories", []) if _has(one, "id", "name")}
    by_image: dict[Any, list[dict[str, Any]]] = {}
    for number, annotation in enumerate(content["annotations"]):
        # One that cannot be read otherwise has its image refused: without it the image could be taken for good.
        if _has(annotation, "image_id"):
            by_image.setdefault(annotation["image_id"], []).append(annotation)
        else:
            yield Refusal(f"annotation {number} of {file.name}", "it has no image_id")
    known = set()
    for number, image in enumerate(content["images"]):
        if not _has(image, "id", "file_name"):
            yield Refusal(f"image {number} of {file.name}", "it has no id or no file_name")
            continue
        known.add(image["id"])
        name = str(image["file_name"])
        path = finder.find(name)
        if path is None:
            yield Refusal(name, "there is no such file, or several: name their folder with --images")
            continue
        try:
            regions = [_region(one, image, names) for one in by_image.get(image["id"], [])]
        except (KeyError, TypeError, ValueError) as error:
            yield Refusal(name, f"an annotation cannot be read: {error!r}")
            continue
        yield label_of(path, regions, reading)
    for key in by_image.keys() - known:
        yield Refusal(f"image {key}", f"{file.name} has annotations of it, and not the image")


def _has(entry: Any, *keys: str) -> bool:
    """Whether an entry is an object with these keys, whose values can be looked up."""
    return isinstance(entry, dict) and all(isinstance(entry.get(key), str | int) for key in keys)


def _region(annotation: dict[str, Any], image: dict[str, Any], names: dict[Any, str]) -> Region:
    name = names.get(annotation["category_id"], str(annotation["category_id"]))
    shape = annotation.get("segmentation")
    if not shape:
        left, top, wide, high = map(float, annotation["bbox"])
        return Region(name, "boxes", lambda: from_box(left, top, wide, high, *_size(image)))
    if isinstance(shape, dict):
        return Region(name, "RLE", lambda: from_rle(shape, *_size(image)))
    return Region(name, "polygons", lambda: from_polygons(shape, *_size(image)))


def _size(image: dict[str, Any]) -> tuple[int, int]:
    try:
        return int(image["height"]), int(image["width"])
    except (KeyError, TypeError, ValueError) as error:
        msg = "the annotation file does not tell the image's height and width"
        raise DataError(msg) from error
