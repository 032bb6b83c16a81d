"""Plans of single boards: the product's layout, and the play that placing, printing and materials have."""

from dataclasses import dataclass

import numpy as np

from synth.parts.board.layout import Footprint, footprints
from synth.parts.lots import Lot
from synth.parts.scene import Pose

_PLAY = {"chip": 0.14, "connector": 0.16, "can": 0.25, "crystal": 0.3, "sticker": 0.9}
"""Standard deviation of where a part is placed, in units; small parts have ``_SMALL``."""

_SMALL = 0.3


@dataclass(frozen=True)
class Bend:
    """A lead that is not as it should be.

    Attributes:
        lead: Its number, in the order of ``layout.leads``.
        aside: How far its tip lies aside, in units.
        left: Share of its length that is left, 0..1; the rest has broken off.
        up: How far its tip stands up, in units.
    """

    lead: int
    aside: float
    left: float
    up: float


@dataclass(frozen=True)
class Placed:
    """One part as it was placed.

    Attributes:
        item: What and where it is, with this board's play.
        marking: Seed of what is printed on it.
        there: False where the part is missing.
        raised: Angle at which it stands up on one of its ends, in radians; 0 lies flat, its sign says which end.
        bends: Leads that are not as they should be.
    """

    item: Footprint
    marking: int
    there: bool = True
    raised: float = 0.0
    bends: tuple[Bend, ...] = ()


@dataclass(frozen=True)
class Board:
    """Plan of one board; lengths in units of 1/256 of the image's side, positions from the board's centre.

    Attributes:
        pose: Where it lies.
        print: How far the print is off, in u and v.
        mask: Albedo of the solder mask.
        cloudy: Strength of its cloudiness, relative.
        solder: Gloss of the solder, relative.
        parts: What is on it, in the order of ``layout.footprints``.
        seed: Of the textures.
    """

    pose: Pose
    print: tuple[float, float]
    mask: float
    cloudy: float
    solder: float
    parts: tuple[Placed, ...]
    seed: int


def draw(rng: np.random.Generator, lot: Lot) -> Board:
    """Draw a good board of a lot."""
    parts = []
    # Reels are changed from lot to lot: all parts of a sort have one tone.
    reels = {"resistor": lot.tone**0.5, "capacitor": lot.tone**-0.8, "diode": lot.contrast**0.2}
    for number, item in enumerate(footprints()):
        play = _PLAY.get(item.shape, _SMALL)
        placed = Footprint(
            shape=item.shape,
            u=item.u + rng.normal(0, play),
            v=item.v + rng.normal(0, play),
            angle=item.angle + rng.normal(0, 0.06 * play),
            length=item.length,
            width=item.width,
            height=item.height,
            tone=item.tone * reels.get(item.shape, 1.0) * float(np.exp(rng.normal(0, 0.03))),
            pins=item.pins,
            pitch=item.pitch,
        )
        # Serial numbers change with every board; what a chip says does not.
        parts.append(Placed(placed, int(rng.integers(2**32)) if item.shape == "sticker" else 1000 + number))
    return Board(
        pose=Pose(rng.normal(0, 2), rng.normal(0, 2), rng.normal(0, 0.012)),
        print=(rng.normal(0, 0.35), rng.normal(0, 0.35)),
        mask=0.15 * lot.tone * float(np.exp(rng.normal(0, 0.03))),
        cloudy=lot.contrast * float(np.exp(rng.normal(0, 0.1))),
        solder=(1.1 - 0.25 * lot.wear) * float(np.exp(rng.normal(0, 0.04))),
        parts=tuple(parts),
        seed=int(rng.integers(2**32)),
    )
