"""What a flaw family is: drawing parameters is apart from applying them, and the mask is what changed."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Generator, Tensor

from synth.errors import SynthError
from synth.masks import column, mean_inside

VISIBLE = 3
"""A pixel belongs to the mask when some channel changed by at least this many of 255 grey levels."""

SMALLEST_SIDE = 8
"""Images need at least this many pixels along both sides."""


@dataclass(frozen=True)
class Context:
    """What families may use beside the image.

    Attributes:
        foreground: ``[B, 1, H, W]``, where flaws are allowed; None is everywhere.
        sources: ``[S, C, h, w]``, 0..1: other good parts or textures to take content from; None is the image itself.
    """

    foreground: Tensor | None = None
    sources: Tensor | None = None


NO_CONTEXT = Context()

P = TypeVar("P")


class Family(ABC, Generic[P]):
    """Base of the flaw families: a subclass says how to draw parameters and how to paint."""

    name: ClassVar[str]
    parameters_class: ClassVar[type[Any]]

    @abstractmethod
    def draw(self, generator: Generator, count: int) -> P:
        """Draw parameters for ``count`` images; the same generator state gives the same flaws."""

    @abstractmethod
    def paint(self, images: Tensor, parameters: P, foreground: Tensor, sources: Tensor | None) -> Tensor:
        """Paint one flaw on each image ``[B, C, H, W]``; what falls outside 0..1 or the foreground is cut by others."""

    def apply(self, images: Tensor, parameters: P, context: Context = NO_CONTEXT) -> tuple[Tensor, Tensor]:
        """Put one flaw on each image.

        Args:
            images: ``[B, C, H, W]``, float, 0..1, any device; sides of at least 8 pixels.
            parameters: One flaw for each image.
            context: Foreground and sources.

        Returns:
            The flawed images, and ``[B, 1, H, W]`` masks (0 or 1) of the pixels that visibly changed.

        Raises:
            SynthError: If the images or the context cannot be used.
        """
        foreground = check(images, context)
        flawed = confine(images, self.paint(images, parameters, foreground, context.sources), foreground)
        return flawed, visible_change(images, flawed)


def check(images: Tensor, context: Context = NO_CONTEXT) -> Tensor:
    """Refuse what flaws cannot be put on.

    Returns:
        The foreground ``[B, 1, H, W]``, 0 or 1, of the images' type and on their device.

    Raises:
        SynthError: If shape, type or range of the images, the foreground or the sources is wrong.
    """
    _check_pictures(images, "images")
    if min(images.shape[-2:]) < SMALLEST_SIDE:
        height, width = images.shape[-2:]
        msg = (
            f"images of {height}×{width} pixels are too small for a flaw; {SMALLEST_SIDE}×{SMALLEST_SIDE} is the least"
        )
        raise SynthError(msg)
    if context.sources is not None:
        _check_pictures(context.sources, "sources")
        if context.sources.shape[1] != images.shape[1]:
            msg = f"sources have {context.sources.shape[1]} channels and images {images.shape[1]}; convert one of them"
            raise SynthError(msg)
    if context.foreground is None:
        return torch.ones_like(images[:, :1])
    if context.foreground.shape != (images.shape[0], 1, *images.shape[-2:]):
        msg = f"foreground of shape {list(context.foreground.shape)} does not fit images {list(images.shape)}"
        raise SynthError(msg)
    foreground = (context.foreground.to(images.device) > 0.5).to(images)
    empty = (foreground.flatten(1).amax(dim=1) == 0).nonzero().flatten().tolist()
    if empty:
        msg = f"foreground of image {empty[0]} is empty; give one with at least a pixel, or None for the whole image"
        raise SynthError(msg)
    return foreground


def _check_pictures(pictures: Tensor, what: str) -> None:
    if pictures.ndim != 4 or pictures.shape[1] not in (1, 3) or 0 in pictures.shape:
        msg = f"{what} must be [B, C, H, W] with 1 or 3 channels, not {list(pictures.shape)}"
        raise SynthError(msg)
    if not pictures.is_floating_point():
        msg = f"{what} must be floating point in 0..1, not {pictures.dtype}; divide 8-bit values by 255"
        raise SynthError(msg)
    low, high = (float(value) for value in pictures.aminmax())
    if not (low >= 0 and high <= 1):
        msg = f"{what} must lie in 0..1, not in {low:g}..{high:g}"
        raise SynthError(msg)


def confine(images: Tensor, painted: Tensor, foreground: Tensor) -> Tensor:
    """Cut what was painted to 0..1 and to the foreground."""
    return torch.where(foreground > 0, painted.clamp(0, 1), images)


def visible_change(before: Tensor, after: Tensor) -> Tensor:
    """Where some channel changed by at least ``VISIBLE`` levels once both are rounded to 8 bit; ``[B, 1, H, W]``."""
    levels = (after * 255).round() - (before * 255).round()
    return (levels.abs().amax(dim=1, keepdim=True) >= VISIBLE).to(before)


def shade(images: Tensor, profile: Tensor, amount: Tensor) -> Tensor:
    """Make images darker (amount below 0) or brighter (above 0) where a profile is high.

    Darkening takes a share of the brightness, brightening a share of what is missing to white. Where a part is almost
    black or white already, the other direction is taken, as the flaw could not be seen.

    Args:
        images: ``[B, C, H, W]``.
        profile: ``[B, 1, H, W]``.
        amount: ``[B]``, -1..1.
    """
    level = mean_inside(images.mean(dim=1, keepdim=True), profile.clamp_min(0))
    amounts = column(amount, images)
    wrong = ((amounts < 0) & (level < 0.12)) | ((amounts > 0) & (level > 0.88))
    amounts = torch.where(wrong, -amounts, amounts)
    return torch.where(amounts < 0, images, 1 - images).mul_(amounts).mul_(profile).add_(images)


def select(parameters: P, rows: Tensor | Sequence[int]) -> P:
    """Parameters of some of the images."""
    index = torch.as_tensor(rows, dtype=torch.int64)
    return type(parameters)(**{f.name: getattr(parameters, f.name)[index] for f in fields(parameters)})  # type: ignore[arg-type]


def to_plain(parameters: Any, row: int) -> dict[str, Any]:
    """Parameters of one image as numbers and lists, fit for JSON; float32 survives exactly."""
    return {f.name: getattr(parameters, f.name)[row].tolist() for f in fields(parameters)}


def from_plain(parameters_class: type[P], rows: Sequence[dict[str, Any]]) -> P:
    """Parameters back from ``to_plain``, a row for each.

    Raises:
        SynthError: If a row has other names than the parameters have.
    """
    names = [f.name for f in fields(parameters_class)]  # type: ignore[arg-type]
    for row in rows:
        if set(row) != set(names):
            msg = f"{parameters_class.__name__} need {', '.join(names)}, not {', '.join(sorted(row))}"
            raise SynthError(msg)
    return parameters_class(**{name: torch.tensor([row[name] for row in rows]) for name in names})
