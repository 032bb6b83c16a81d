"""YOLO segmentation as Ultralytics reads it: ``labels/<name>.txt`` beside ``images``, and ``data.yaml``.

A line is one piece of a flaw: the number of its family, and a polygon in fractions of width and height. Polygons run
along the pixels' edges: pixels whose centres lie inside are the flaw's. Readers that draw the outline as well, as
OpenCV does, add at most a pixel to the right and below.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import yaml

from synth.export.base import Layout, Sample
from synth.files import write_file
from synth.outlines import outlines

DATA = "data.yaml"


class Yolo(Layout):
    """A text file for each image, and one that names the families."""

    name: ClassVar[str] = "yolo"

    def add(self, folder: Path, sample: Sample, families: Sequence[str]) -> tuple[dict[str, str], Any]:
        """Write the labels of one image."""
        lines = []
        for family, instance in zip(sample.families, sample.instances, strict=True):
            size = np.array(instance.shape[::-1])
            for polygon in outlines(instance):
                corners = " ".join(f"{value:.8g}" for value in (polygon / size).ravel())
                lines.append(f"{families.index(family)} {corners}\n")
        file = f"labels/{sample.name}.txt"
        return {file: write_file(folder / file, "".join(lines).encode())}, None

    def finish(self, folder: Path, added: Iterable[tuple[str, Any]], families: Sequence[str]) -> dict[str, str]:
        """Name the families. Training and validation are the same images here: a split is the user's to make."""
        content = {"train": "images", "val": "images", "names": dict(enumerate(families))}
        return {DATA: write_file(folder / DATA, yaml.safe_dump(content, sort_keys=False).encode())}
