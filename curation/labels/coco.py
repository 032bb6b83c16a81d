"""COCO's detection format (Lin et al., 2014, arXiv 1405.0312)."""

from collections import Counter
from collections.abc import Callable, Iterator
from math import isfinite
from pathlib import Path
from typing import Any

from curation.labels.label import Finder, Found, Label, Reading, Refusal, Region, label_of, read_json
from curation.labels.shapes import from_box, from_polygons, from_rle
from learning.errors import DataError
from learning.images.pixels import read_pixels

_BOX = 4


def files_of(source: Path) -> list[Path]:
    """Annotation files: the source itself, or those in the folder and in its folder ``annotations``.

    Raises:
        DataError: One of them is damaged: without it images could be taken for good, or missed.
    """
    if source.is_file():
        return [source] if source.suffix.lower() == ".json" and _is_coco(source) else []
    found = [file for folder in (source, source / "annotations") for file in sorted(folder.glob("*.json"))]
    return [file for file in found if _is_coco(file)]


def _is_coco(file: Path) -> bool:
    """Whether a JSON file holds images and annotations."""
    content = read_json(file)
    return isinstance(content, dict) and {"images", "annotations"} <= content.keys()


def read_coco(source: Path, reading: Reading, images: Path | None) -> Found:
    """Read images and annotations.

    Args:
        source: A JSON file, or a folder with some.
        reading: How what is ambiguous is read.
        images: Folder of the images, where they do not lie beside the file.

    Raises:
        DataError: There is no such file, or it names no images.
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
    content = read_json(file)
    for part in ("images", "annotations", "categories"):
        if not isinstance(content.get(part, []), list):
            msg = f"{file} is no COCO file: {part} is no list"
            raise DataError(msg)
    if not content["images"]:
        msg = f"{file} names no images"
        raise DataError(msg)
    names = {_key(one["id"]): str(one["name"]) for one in content.get("categories", []) if _has(one, "id", "name")}
    by_image: dict[str, list[dict[str, Any]]] = {}
    for number, annotation in enumerate(content["annotations"]):
        # One that cannot be read otherwise has its image refused: without it the image could be taken for good.
        if _has(annotation, "image_id"):
            by_image.setdefault(_key(annotation["image_id"]), []).append(annotation)
        else:
            yield Refusal(f"annotation {number} of {file.name}", "it has no image_id")
    known = Counter(_key(image["id"]) for image in content["images"] if _has(image, "id", "file_name"))
    for number, image in enumerate(content["images"]):
        if not _has(image, "id", "file_name"):
            yield Refusal(f"image {number} of {file.name}", "it has no id or no file_name")
            continue
        key, name = _key(image["id"]), str(image["file_name"])
        if known[key] > 1:
            yield Refusal(name, "several images have its id, so that nobody can tell whose annotations are whose")
            continue
        path = finder.find(name)
        if path is None:
            yield Refusal(name, "there is no such file, or several: name their folder with --images")
            continue
        try:
            size = _size(image, path)
            regions = [_region(one, size, names) for one in by_image.get(key, [])]
        except DataError as error:
            yield Refusal(name, str(error))
            continue
        yield label_of(path, regions, reading)
    for key in sorted(by_image.keys() - known.keys()):
        yield Refusal(f"image {key}", f"{file.name} has annotations of it, and not the image")


def _has(entry: Any, *keys: str) -> bool:
    """Whether an entry is an object with these keys, whose values can be looked up."""
    return isinstance(entry, dict) and all(isinstance(entry.get(key), str | int | float) for key in keys)


def _key(number: float | str) -> str:
    """An id, whether it is written as 7, 7.0 or "7"."""
    return str(int(number) if isinstance(number, float) and number.is_integer() else number)


def _region(annotation: dict[str, Any], size: Callable[[], tuple[int, int]], names: dict[str, str]) -> Region:
    if not _has(annotation, "category_id"):
        msg = "an annotation has no category_id"
        raise DataError(msg)
    key = _key(annotation["category_id"])
    if names and key not in names:
        msg = f"an annotation is of class {key}, which is not among the file's categories"
        raise DataError(msg)
    name = names.get(key, key)
    shape = annotation.get("segmentation")
    if not shape:
        left, top, wide, high = _box(annotation.get("bbox"))
        _refuse_outside([left, left + wide], [top, top + high], size())
        return Region(name, "boxes", lambda: from_box(left, top, wide, high, *size()))
    if isinstance(shape, dict):
        return Region(name, "RLE", lambda: from_rle(shape, *size()))
    polygons = [_numbers(one, "a polygon is no list of numbers") for one in _listed(shape)]
    corners = [value for polygon in polygons for value in polygon]
    _refuse_outside(corners[::2], corners[1::2], size())
    return Region(name, "polygons", lambda: from_polygons(polygons, *size()))


def _refuse_outside(across: list[float], down: list[float], size: tuple[int, int]) -> None:
    """What juts out of the image is cut off, as COCO's own tools do; what has nothing in it was written wrongly."""
    height, width = size
    if max(across) <= 0 or max(down, default=0) <= 0 or min(across) >= width or min(down) >= height:
        msg = f"an annotation lies outside of the image of {width} × {height} pixels"
        raise DataError(msg)


def _box(values: Any) -> list[float]:
    box = _numbers(values, "an annotation has neither an outline nor a box")
    if len(box) != _BOX or min(box[2:]) <= 0:
        msg = "a box is not of four numbers, of which width and height are above 0"
        raise DataError(msg)
    return box


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _numbers(values: Any, otherwise: str) -> list[float]:
    """A list of finite numbers.

    Raises:
        DataError: It is none, which is said as given.
    """
    if isinstance(values, list) and values and all(isinstance(value, int | float) for value in values):
        found = [float(value) for value in values]
        if all(map(isfinite, found)):
            return found
    raise DataError(otherwise)


def _size(image: dict[str, Any], path: Path) -> Callable[[], tuple[int, int]]:
    """Height and width as the file has them; where it has none, those of the picture.

    Raises:
        DataError: They are no numbers.
    """
    if "height" not in image and "width" not in image:
        return lambda: _size_of(path)
    high, wide = _numbers([image.get("height"), image.get("width")], "its height and width are no numbers")
    return lambda: (int(high), int(wide))


def _size_of(path: Path) -> tuple[int, int]:
    height, width = read_pixels(path).shape[:2]
    return height, width
