"""Layouts that other tools read, beside ``images``, ``masks`` and the manifest that every set has."""

from synth.export.base import Layout, Sample
from synth.export.coco import Coco
from synth.export.mvtec import Mvtec
from synth.export.yolo import Yolo

FORMATS: dict[str, Layout] = {layout.name: layout for layout in (Mvtec(), Coco(), Yolo())}
"""Every layout by its name; adding one is a module and a word here."""

__all__ = ["FORMATS", "Layout", "Sample"]
