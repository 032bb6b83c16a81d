"""Confirmed defects as they were photographed, with the masks that inspectors drew, where they drew any."""

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Generator, Tensor

from learning.augmentation import augment
from learning.images.image_set import ImageSet
from learning.images.pixels import read_image, read_mask
from learning.images.preprocessing import Preprocessing
from learning.images.records import ImageRecord


class ConfirmedPictures:
    """Defective pictures to learn from, as a detector sees them.

    Args:
        records: With a mask of the picture's size, or with none where nobody said where the defect is.
        preprocessing: Of the detector.
    """

    def __init__(self, records: Sequence[ImageRecord], preprocessing: Preprocessing) -> None:
        self.images = ImageSet(records, preprocessing)

    def __len__(self) -> int:
        return len(self.images)

    def marked(self) -> "ConfirmedPictures | None":
        """Those of which it is known where the defect is; None where there are none."""
        if len(self._only_marked) == len(self):
            return self
        return self._only_marked if len(self._only_marked) else None

    @cached_property
    def _only_marked(self) -> "ConfirmedPictures":
        some = [record for record, marked in zip(self.images.records, self._marked.tolist(), strict=True) if marked]
        return ConfirmedPictures(some, self.images.preprocessing)

    def draw(self, generator: Generator, count: int, flips: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Draw pictures, each equally often, and vary them as good parts are.

        Args:
            generator: On the CPU.
            count: How many.
            flips: Whether they may be mirrored.

        Returns:
            Images ``[count, C, h, w]``, 0..1, masks ``[count, 1, h, w]``, 0 or 1, and whether each has a mask,
            ``[count]`` bool; where it has none, the one given is empty and says nothing.

        Raises:
            DataError: If a picture or its mask cannot be read, or they differ in size.
        """
        chosen = torch.randint(len(self), (count,), generator=generator)
        images, masks = augment(self.images.batch(chosen.tolist()), self._masks[chosen].float(), generator, flips)
        return images, masks, self._marked[chosen]

    @cached_property
    def _marked(self) -> Tensor:
        """``[N]`` bool; a mask that is empty, or so where the detector looks, says as little as none."""
        return self._masks.flatten(1).any(dim=1)

    @cached_property
    def _masks(self) -> Tensor:
        """``[N, 1, h, w]`` bool."""
        preprocessing = self.images.preprocessing
        masks = torch.zeros(len(self), 1, preprocessing.height, preprocessing.width, dtype=torch.bool)
        for i, record in enumerate(self.images.records):
            if record.mask is not None:
                picture = read_image(record.path)
                mask = read_mask(record.mask, (picture.shape[-2], picture.shape[-1])).numpy()
                masks[i, 0] = torch.from_numpy(preprocessing.look(picture).from_picture(mask))
        return masks
