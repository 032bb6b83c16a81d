"""What is known of an image before its pixels are read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

GOOD = "good"
UNLABELLED = "unlabelled"

Split = Literal["train", "test"]


@dataclass(frozen=True)
class ImageRecord:
    """One image of a data set.

    Attributes:
        path: The image file.
        label: ``good``, the name of a defect class, or ``unlabelled``.
        split: ``train``, ``test``, or None where the data set does not say.
        mask: Mask of the defect, of the image's size, or None.
        group: What is independent of other groups: a tile with its exposures, a lot, a day. Promises count groups.
        part: What gets one decision, from all of its images.
        lot: Where known.
        camera: Where known.
        time: When the image was taken, as the data set writes it, where known.
    """

    path: Path
    label: str = UNLABELLED
    split: Split | None = None
    mask: Path | None = None
    group: str = ""
    part: str = ""
    lot: str | None = None
    camera: str | None = None
    time: str | None = None

    def __post_init__(self) -> None:
        # By default an image is a part of its own, and independent.
        object.__setattr__(self, "part", self.part or self.path.as_posix())
        object.__setattr__(self, "group", self.group or self.part)

    @property
    def defective(self) -> bool:
        """Whether the label names a defect."""
        return self.label not in (GOOD, UNLABELLED)
