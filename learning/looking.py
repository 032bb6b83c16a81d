"""How detectors are shown the data they are trained on."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from learning.auto import Look
from learning.bundle import Bundle
from learning.config import AUTO, TrainConfig
from learning.confirmed_pictures import ConfirmedPictures
from learning.detectors import detector_class
from learning.flaw_sources import FlawSources
from learning.images.preprocessing import Preprocessing
from learning.images.records import ImageRecord
from learning.images.view import choose_view
from synth.sources.defects import DefectBank
from synth.sources.folder import TextureFolder


def looks(
    paths: Sequence[Path],
    config: TrainConfig,
    defects: DefectBank,
    pictures: Sequence[ImageRecord],
    start: Bundle | None,
) -> Callable[[str], Look]:
    """How a detector of some name is shown pictures; the same for all of one size.

    Args:
        paths: Good parts, by which the view is chosen where nothing is gone on from.
        config: Says the size, if not the detector, and the view.
        defects: Confirmed ones that training may see.
        pictures: Confirmed ones as they were photographed, with masks where there are any.
        start: The model that is gone on from, which sees as it does.

    Returns:
        From a detector's name to its view and its sources.
    """

    @cache
    def at(size: int, window: int | None) -> Look:
        if start is not None:
            preprocessing = start.preprocessing
        else:
            preprocessing, _ = choose_view(Preprocessing.for_images(paths, size), paths, config.view)
        zoom = 1 / preprocessing.part.reach if preprocessing.part else 1.0
        side, largest = size, None
        if window and window < min(preprocessing.height, preprocessing.width):
            side, zoom, largest = window, zoom * size / window, window
        sources = FlawSources(
            _fitted(defects, preprocessing.channels, side, zoom, largest) if defects else None,
            TextureFolder(config.sources.textures) if config.sources.textures else None,
            ConfirmedPictures(pictures, preprocessing) if pictures else None,
        )
        return Look(preprocessing, sources)

    def look(name: str) -> Look:
        detector = detector_class(name)
        if config.detector == AUTO:
            options = config.auto.options.get(name, {})
        else:
            options = config.detector_config if config.detector == name else {}
        return at(config.size or detector.default_size, getattr(detector.Config(**options), "window", None))

    return look


def _fitted(bank: DefectBank, channels: int, side: int, zoom: float, largest: int | None) -> DefectBank:
    """Defects at the size of what a detector learns from; those that no window holds are left out."""
    fitted = bank.fitted(channels, side, zoom)
    return fitted if largest is None else fitted.where(lambda one: max(one.pixels.shape[-2:]) <= largest)
