"""Confirmed defects as they were photographed, each with the mask that an inspector drew."""

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Generator, Tensor

from learning.augmentation import augment
from learning.images.image_set import ImageSet
from learning.images.pixels import read_image, read_mask
from learning.images.preprocessing import Preprocessing
from learning.images.records import ImageRecord


class MarkedPictures:
    """Defective pictures to learn from, as a detector sees them.

    Args:
        records: Each with a mask, of the picture's size.
        preprocessing: Of the detector.
    """

    def __init__(self, records: Sequence[ImageRecord], preprocessing: Preprocessing) -> None:
        self.images = ImageSet(records, preprocessing)

    def __len__(self) -> int:
        return len(self.images)

    def draw(self, generator: Generator, count: int, flips: bool) -> tuple[Tensor, Tensor]:
        """Draw pictures, each equally often, and vary them as good parts are.

        Args:
            generator: On the CPU.
            count: How many.
            flips: Whether they may be mirrored.

        Returns:
            Images ``[count, C, h, w]``, 0..1, and masks ``[count, 1, h, w]``, 0 or 1.

        Raises:
            DataError: If a picture or its mask cannot be read, or they differ in size.
        """
        chosen = torch.randint(len(self), (count,), generator=generator)
        return augment(self.images.batch(chosen.tolist()), self._masks[chosen].float(), generator, flips)

    @cached_property
    def _masks(self) -> Tensor:
        """``[N, 1, h, w]`` bool."""
        masks = []
        for record in self.images.records:
            assert record.mask is not None
            picture = read_image(record.path)
            mask = read_mask(record.mask, (picture.shape[-2], picture.shape[-1])).numpy()
            masks.append(torch.from_numpy(self.images.preprocessing.look(picture).from_picture(mask)))
        return torch.stack(masks)[:, None]
