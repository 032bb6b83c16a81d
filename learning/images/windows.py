"""Square windows over images, and images from windows."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Windows:
    """Overlapping windows that cover images; their right and lower edges are replicated where they reach beyond.

    Attributes:
        side: Of a window, in pixels.
        stride: From one window to the next, in pixels.
        height: Of the images.
        width: Of the images.
    """

    side: int
    stride: int
    height: int
    width: int

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of windows."""
        rows, columns = (1 + max(0, -(-(length - self.side) // self.stride)) for length in (self.height, self.width))
        return rows, columns

    def cut(self, images: Tensor) -> Tensor:
        """``[B, C, h, w]`` to ``[B * n, C, side, side]``, those of an image one after another, row by row."""
        high, wide = self._padded
        padded = functional.pad(images, (0, wide - self.width, 0, high - self.height), mode="replicate")
        flat = functional.unfold(padded, self.side, stride=self.stride)
        return flat.transpose(1, 2).reshape(-1, images.shape[1], self.side, self.side)

    def join(self, maps: Tensor) -> Tensor:
        """``[B * n, side, side]`` to ``[B, h, w]``: the mean of the windows that a pixel lies in."""
        rows, columns = self.grid
        flat = maps.reshape(-1, rows * columns, self.side**2).transpose(1, 2)
        added = functional.fold(flat, self._padded, self.side, stride=self.stride)
        times = functional.fold(torch.ones_like(flat[:1]), self._padded, self.side, stride=self.stride)
        return (added / times)[:, 0, : self.height, : self.width]

    @property
    def _padded(self) -> tuple[int, int]:
        rows, columns = self.grid
        return self.side + (rows - 1) * self.stride, self.side + (columns - 1) * self.stride


def random_windows(images: Tensor, side: int, generator: Generator) -> Tensor:
    """One window of each image, anywhere: ``[B, C, h, w]`` to ``[B, C, side, side]``."""
    lacking = [max(0, side - length) for length in images.shape[-2:]]
    images = functional.pad(images, (0, lacking[1], 0, lacking[0]), mode="replicate")
    height, width = images.shape[-2:]
    tops = torch.randint(height - side + 1, (len(images),), generator=generator).tolist()
    lefts = torch.randint(width - side + 1, (len(images),), generator=generator).tolist()
    return torch.stack(
        [image[:, top : top + side, left : left + side] for image, top, left in zip(images, tops, lefts, strict=True)]
    )


def windows_around(images: Tensor, marks: Tensor, side: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """One window of each image that shows some of what is marked in it, and what is marked there.

    Args:
        images: ``[B, C, h, w]``; both sides at least ``side``.
        marks: ``[B, 1, h, w]``, 0 or 1; where nothing is, the window lies anywhere.
        side: In pixels.
        generator: On the CPU.

    Returns:
        ``[B, C, side, side]`` and ``[B, 1, side, side]``.
    """
    height, width = images.shape[-2:]
    cut = []
    for image, mark in zip(images, marks, strict=True):
        places = mark[0].flatten().nonzero()[:, 0]
        drawn = torch.rand(3, generator=generator, dtype=torch.float64).tolist()
        place = int(places[int(drawn[0] * len(places))]) if len(places) else int(drawn[0] * height * width)
        top, left = (
            _begin(at, side, length, draw)
            for at, length, draw in zip(divmod(place, width), (height, width), drawn[1:], strict=True)
        )
        cut.append(torch.cat([image, mark.to(image)])[:, top : top + side, left : left + side])
    both = torch.stack(cut)
    return both[:, :-1], both[:, -1:].to(marks)


def _begin(at: int, side: int, length: int, drawn: float) -> int:
    """Where a window that holds a place begins: anywhere, as far as it lies in the image; ``drawn`` is 0..1."""
    first, last = max(0, at - side + 1), min(at, length - side)
    return first + int(drawn * (last - first + 1))
