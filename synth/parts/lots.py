"""What the parts of one production lot have in common."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Lot:
    """How one lot differs from the next; every value is about 1 or about 0.

    Attributes:
        gain: Exposure, relative: the lamp ages, the camera is set anew.
        tone: Brightness of the material, relative.
        grain: Size of its texture, relative.
        contrast: Strength of its texture, relative.
        wear: State of the tool or of the printing head, 0 (new) to 1.
    """

    gain: float
    tone: float
    grain: float
    contrast: float
    wear: float


def draw_lot(rng: np.random.Generator) -> Lot:
    """Draw a lot."""
    return Lot(
        gain=float(np.exp(rng.normal(0, 0.05))),
        tone=float(np.exp(rng.normal(0, 0.06))),
        grain=float(np.exp(rng.normal(0, 0.15))),
        contrast=float(np.exp(rng.normal(0, 0.2))),
        wear=float(rng.random()),
    )
