"""COCO (Lin et al., 2014, arXiv 1405.0312): ``annotations.json`` with an annotation for each flaw, by family.

Segmentations are polygons along the pixels' edges. Filled by COCO's own rule they give back the flaw's pixels exactly,
holes and all; see ``synth.outlines``.
"""

import json
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from synth.export.base import Layout, Sample
from synth.files import sha256_of, whole_file
from synth.outlines import outlines

ANNOTATIONS = "annotations.json"


class Coco(Layout):
    """One JSON file; file names in it are relative to ``images``."""

    name: ClassVar[str] = "coco"

    def add(self, folder: Path, sample: Sample, families: Sequence[str]) -> tuple[dict[str, str], Any]:
        """Outline the flaws; nothing is written yet."""
        height, width = sample.instances[0].shape
        annotations = [
            {"category": family, **_annotation(instance)}
            for family, instance in zip(sample.families, sample.instances, strict=True)
            if instance.any()
        ]
        return {}, {"height": height, "width": width, "annotations": annotations}

    def finish(self, folder: Path, added: Iterable[tuple[str, Any]], families: Sequence[str]) -> dict[str, str]:
        """Write the annotations of all images, one after the other."""
        numbers = {family: number for number, family in enumerate(families, start=1)}
        categories = [{"id": n, "name": family, "supercategory": "flaw"} for family, n in numbers.items()]
        about = {"description": "synthetic flaws", "version": f"flawsmith {version('flawsmith')}"}
        images: list[dict[str, Any]] = []
        count = 0
        with whole_file(folder / ANNOTATIONS) as write:
            write(f'{{"info": {json.dumps(about)}, "licenses": [], "categories": {json.dumps(categories)},\n')
            write('"annotations": [')
            for name, record in added:
                image = {"file_name": f"{name}.png", "height": record["height"], "width": record["width"]}
                images.append({"id": len(images) + 1, **image})
                for annotation in record["annotations"]:
                    count += 1
                    shown = {key: value for key, value in annotation.items() if key != "category"}
                    numbered = {"id": count, "image_id": len(images), "category_id": numbers[annotation["category"]]}
                    write(("," if count > 1 else "") + "\n" + json.dumps({**numbered, **shown, "iscrowd": 0}))
            write("\n],\n" + f'"images": {json.dumps(images)}}}\n')
        return {ANNOTATIONS: sha256_of(folder / ANNOTATIONS)}


def _annotation(mask: NDArray[np.bool_]) -> dict[str, Any]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    left, top = int(columns[0]), int(rows[0])
    return {
        "segmentation": [polygon.ravel().tolist() for polygon in outlines(mask)],
        "bbox": [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top],
        "area": int(mask.sum()),
    }
