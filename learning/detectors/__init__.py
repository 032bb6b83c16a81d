"""Detectors by name. Adding one is one package and one line."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from learning.detectors.base import Budget, Detector, DetectorConfig, FitReport, Prediction, Traceable
from learning.errors import ConfigError

if TYPE_CHECKING:
    from learning.images.preprocessing import Preprocessing

__all__ = [
    "DETECTORS",
    "Budget",
    "Detector",
    "DetectorConfig",
    "FitReport",
    "Prediction",
    "Traceable",
    "create",
    "detector_class",
]

DETECTORS: dict[str, str] = {
    "segment": "learning.detectors.segment:Segment",
    "glass": "learning.detectors.glass:Glass",
    "patchcore": "learning.detectors.patchcore:PatchCore",
    "kmeans": "learning.detectors.kmeans:KMeans",
    "birch": "learning.detectors.birch:Birch",
    "autoencoder": "learning.detectors.autoencoder:ConvolutionalAutoencoder",
    "ganomaly": "learning.detectors.ganomaly:Ganomaly",
    "dcgan": "learning.detectors.dcgan:Dcgan",
    "flow": "learning.detectors.flow:Flow",
    "supervised": "learning.detectors.supervised:Supervised",
}


def detector_class(name: str) -> type[Detector]:
    """Find a detector's class.

    Raises:
        ConfigError: If no detector has this name.
    """
    if name not in DETECTORS:
        msg = f"no detector is called {name!r}; there are: {', '.join(sorted(DETECTORS))}"
        raise ConfigError(msg)
    module, attribute = DETECTORS[name].split(":")
    found: type[Detector] = getattr(import_module(module), attribute)
    return found


def create(name: str, config: dict[str, Any], preprocessing: "Preprocessing", device: str = "cpu") -> Detector:
    """Make an untrained detector from its name and the keys of its configuration.

    Raises:
        ConfigError: If there is no such detector, or a key is unknown or out of range.
    """
    found = detector_class(name)
    try:
        validated = found.Config(**config)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        msg = f"configuration of detector {name!r}: {wrong}; keys: {', '.join(found.Config.model_fields)}"
        raise ConfigError(msg) from error
    return found(validated, preprocessing, device)
