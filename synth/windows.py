"""Windows: flaws are painted in a box around each, so that a small flaw costs little and a large picture no memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

SIDES = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192)
"""Sides that windows have: few, so that flaws of about one size are painted together."""

_TILE = 1024
"""Windows with a longer side are painted by tiles of this one."""

_TOGETHER = 2**19
"""Numbers painted at once (pixels times channels); more do not stay in a processor's cache."""

_SEEN_AROUND = 8
"""Steps from a place at the contour outwards, to see where the part is."""

_CALL = 2**15
"""Pixels that cost about as much as painting once more: windows smaller by less are painted with the larger ones."""

_LOOKED_AT = 24
"""Places along a side at which the colour around a flaw is taken."""

_BACKGROUND = 64
"""Places along a side at which the background's colour is taken."""


class Ground:
    """Where flaws are allowed on each image of a batch.

    Args:
        mask: ``[B, 1, H, W]``, 0 or 1, each with at least a pixel; None is everywhere.
        size: Height and width.
    """

    def __init__(self, mask: Tensor | None, size: tuple[int, int]) -> None:
        self.mask = mask
        self.size = size

    @cached_property
    def _mass(self) -> Tensor:
        """Pixels in all rows up to each, ``[B, H]``."""
        assert self.mask is not None
        return self.mask[:, 0].sum(dim=2).double().cumsum(dim=1).cpu()

    def place(self, rows: Tensor, fractions: Tensor) -> Tensor:
        """Turn fractions into places where flaws are allowed: uniformly if the fractions are uniform.

        Args:
            rows: ``[N]`` int64, which images.
            fractions: ``[N, 2]`` (x, y) in 0..1.

        Returns:
            ``[N, 2]`` (x, y) in pixels, on the CPU.
        """
        height, width = self.size
        if self.mask is None:
            return (fractions.double().clamp(0, 1 - 1e-9) * torch.tensor([width, height])).floor().float()
        return _place(self.mask[:, 0], self._mass, rows, fractions)

    def place_at_border(self, rows: Tensor, fractions: Tensor) -> Tensor:
        """As ``place``, on the outermost pixels: those beside the background or at the picture's border."""
        mask = torch.ones(1, 1, *self.size) if self.mask is None else self.mask
        ring = border(mask if self.mask is None else mask[rows.to(mask.device)])[:, 0]
        mass = ring.sum(dim=2).double().cumsum(dim=1).cpu()
        which = torch.zeros_like(rows) if self.mask is None else torch.arange(len(rows))
        return _place(ring, mass, which, fractions)

    def background(self, images: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Mean colour ``[N, C, 1, 1]`` of what is outside, and whether there is any, ``[N, 1, 1, 1]`` bool."""
        some = images[rows.to(images.device)]
        if self.mask is None:
            colour = torch.zeros_like(some[:, :, :1, :1])
            return colour, torch.zeros_like(colour[:, :1], dtype=torch.bool)
        step = max(1, min(self.size) // _BACKGROUND)
        outside = 1 - self.mask[rows.to(images.device)][:, :, ::step, ::step]
        colour = mean_inside(some[:, :, ::step, ::step], outside)
        return colour, outside.amax(dim=(-2, -1), keepdim=True) > 0

    def inward(self, rows: Tensor, centre: Tensor, reach: Tensor) -> Tensor:
        """Direction from places at the contour into the part.

        Args:
            rows: ``[N]`` int64, which images.
            centre: ``[N, 2]`` (x, y) in pixels, on the contour.
            reach: ``[N]`` how far around to look, in pixels.

        Returns:
            ``[N]`` radians, on the CPU.
        """
        grid = torch.linspace(-1, 1, 2 * _SEEN_AROUND + 1)
        x, y = ((centre[:, i, None] + grid * reach.clamp_min(2)[:, None]).round().long() for i in (0, 1))
        height, width = self.size
        inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None, :]
        if self.mask is not None:
            mask, (y, x) = self.mask[:, 0], (y.clamp(0, height - 1), x.clamp(0, width - 1))
            there = (index.to(mask.device) for index in (rows[:, None, None], y[:, :, None], x[:, None, :]))
            inside = inside & (mask[tuple(there)] > 0).cpu()
        near = inside & (grid[:, None].square() + grid.square() <= 1)
        across, down = (near.float().sum(dim=axis) @ grid for axis in (1, 2))
        return torch.atan2(down, across)


def _place(masks: Tensor, mass: Tensor, rows: Tensor, fractions: Tensor) -> Tensor:
    wanted = fractions.double().clamp(0, 1 - 1e-9)
    down = mass[rows]
    y = torch.searchsorted(down, wanted[:, 1:] * down[:, -1:], right=True).clamp_max(masks.shape[1] - 1)[:, 0]
    across = masks[rows.to(masks.device), y.to(masks.device)].double().cumsum(dim=1).cpu()
    x = torch.searchsorted(across, wanted[:, :1] * across[:, -1:], right=True).clamp_max(masks.shape[2] - 1)[:, 0]
    return torch.stack([x, y], dim=1).float()


@dataclass(frozen=True)
class Window:
    """A box of the same size on each of some images, and what a family may know when it paints there.

    Attributes:
        images: ``[B, C, h, w]``, 0..1, the pixels in the windows, not to be written to; earlier flaws are on them.
        pictures: The whole good pictures, ``[C, H, W]`` each, without any flaw.
        allowed: ``[B, 1, h, w]``, 0 or 1, where flaws may be; None is everywhere.
        left: ``[B]`` int64 on the CPU, the boxes' first columns.
        top: ``[B]`` int64 on the CPU, the boxes' first rows.
        centre: ``[B, 2]`` (x, y) of each flaw, in pixels of the whole picture, on the CPU.
        boxes: ``[B, 4]`` int64 on the CPU: left, top, width, height of all that each flaw may change, which the window
            is a part of, or surrounds.
        size: Height and width of the whole picture.
        level: ``[B, C, 1, 1]`` mean colour around the flaw.
        background: ``[B, C, 1, 1]`` mean colour outside the part; only for families that paint at the contour,
            empty for others.
        has_background: ``[B, 1, 1, 1]`` bool, there is something outside the part; only for those too.
        inward: ``[B]`` direction from the contour at the flaw into the part, radians, on the CPU; only for those too.
    """

    images: Tensor
    pictures: Sequence[Tensor]
    allowed: Tensor | None
    left: Tensor
    top: Tensor
    centre: Tensor
    boxes: Tensor
    size: tuple[int, int]
    level: Tensor
    background: Tensor
    has_background: Tensor
    inward: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the window."""
        return self.images.shape[-2], self.images.shape[-1]

    @property
    def side(self) -> int:
        """The picture's shorter side, the unit of lengths."""
        return min(self.size)

    @cached_property
    def offsets(self) -> tuple[Tensor, Tensor]:
        """Distance of every pixel from the flaw's centre: x ``[B, 1, 1, w]`` and y ``[B, 1, h, 1]``, in pixels."""
        return self.offsets_from(self.centre)

    @cached_property
    def good(self) -> Tensor:
        """The window on the good pictures, ``[B, C, h, w]``; not to be written to."""
        height, width = self.shape
        corners = zip(self.left.tolist(), self.top.tolist(), strict=True)
        return _gather(self.pictures, torch.tensor([[x, y, width, height] for x, y in corners]))

    def offsets_from(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """As ``offsets``, from points ``[B, 2]`` (x, y) in pixels of the whole picture."""
        height, width = self.shape
        x = (self.left[:, None] + torch.arange(width) - points[:, :1]).to(self.images)
        y = (self.top[:, None] + torch.arange(height) - points[:, 1:]).to(self.images)
        return x[:, None, None, :], y[:, None, :, None]

    def moved(self, by: Tensor) -> "Window":
        """The box of the same pixels moved by ``[B, 2]`` (x, y) pixels: what fields are there; ``images`` stay."""
        return replace(self, left=self.left + by[:, 0], top=self.top + by[:, 1])

    def column(self, values: Tensor) -> Tensor:
        """Give one number per image the shape ``[B, 1, 1, 1]``, type and device of the images."""
        return values.to(self.images).view(-1, 1, 1, 1)

    def rows(self, index: Tensor) -> "Window":
        """The window on some of the images, in their order; views of them where they follow each other."""
        if len(index) == len(self.images):
            return self
        there = run(index)
        return replace(
            self,
            images=self.images[there],
            pictures=[self.pictures[row] for row in index.tolist()],
            allowed=None if self.allowed is None else self.allowed[there],
            left=self.left[there],
            top=self.top[there],
            centre=self.centre[there],
            boxes=self.boxes[there],
            level=self.level[there],
            background=self.background[there],
            has_background=self.has_background[there],
            inward=self.inward[there],
        )


def run(index: Tensor) -> slice | Tensor:
    """Rows ``[N]``, as a slice where they follow each other: that takes a view, and is written to at once."""
    places = index.tolist()
    return slice(places[0], places[-1] + 1) if places and places == list(range(places[0], places[-1] + 1)) else index


@dataclass(frozen=True)
class Cut:
    """A window, and what of it is to be written back.

    Attributes:
        flaws: ``[N]`` int64, which of the flaws.
        window: On their images.
        boxes: For each flaw left, top, width, height of what is written back, in pixels of the picture.
    """

    flaws: Tensor
    window: Window
    boxes: list[list[int]]


def boxes(centre: Tensor, half: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes around flaws: squares of one of ``SIDES``, moved and cut so that they lie in the picture.

    Args:
        centre: ``[N, 2]`` (x, y) in pixels.
        half: ``[N, 2]`` how far each flaw reaches along x and y.
        size: Height and width of the picture.

    Returns:
        ``[N, 4]`` int64: left, top, width, height.
    """
    height, width = size
    needed = (2 * half.amax(dim=1).ceil() + 3).clamp_max(max(size)).long()
    sides = torch.tensor(SIDES)
    side = sides[torch.searchsorted(sides, needed).clamp_max(len(SIDES) - 1)]
    w, h = side.clamp_max(width), side.clamp_max(height)
    left = (centre[:, 0] - w / 2).floor().long().clamp_min(0).minimum(width - w)
    top = (centre[:, 1] - h / 2).floor().long().clamp_min(0).minimum(height - h)
    return torch.stack([left, top, w, h], dim=1)


def cuts(
    images: Tensor,
    good: Tensor,
    ground: Ground,
    rows: Tensor,
    centre: Tensor,
    boxes: Tensor,
    margin: int,
    *,
    contour: bool,
    tiled: bool = True,
) -> Iterator[Cut]:
    """Cut windows out of images, flaws of about one size together; the caller writes back before it takes the next.

    Args:
        images: ``[B, C, H, W]``, of which windows are cut.
        good: The same without any flaw.
        ground: Where flaws are allowed.
        rows: ``[N]`` int64, the image of each flaw; no image twice.
        centre: ``[N, 2]`` (x, y) of each flaw in pixels.
        boxes: ``[N, 4]`` int64: left, top, width, height.
        margin: Pixels that painting needs to see around what it paints.
        contour: Whether the background's colour is wanted.
        tiled: Whether large windows may be cut in pieces, and small ones be widened to be painted with others.
    """
    level = _level(images, ground, rows, boxes)
    for (width, height), kind in _kinds(boxes, together=tiled):
        pieces = tiled and max(width, height) > _TILE
        together = 1 if pieces else max(1, _TOGETHER // (width * height * images.shape[1]))
        for flaws in kind.split(together):
            some = rows[flaws], centre[flaws], boxes[flaws], level[flaws.to(level.device)]
            cutter = _Cutter(images, good, ground, *some, contour=contour)
            if pieces:
                yield from _tiles(cutter, flaws, boxes[flaws[0]], margin)
            else:
                own = boxes[flaws].tolist()
                same = all(box[2:] == [width, height] for box in own)
                around = cutter.boxes if same else _widened(cutter.boxes, width, height, ground.size)
                yield Cut(flaws, cutter.window(around), own)


def _kinds(boxes: Tensor, *, together: bool) -> Iterator[tuple[tuple[int, int], Tensor]]:
    """Width and height of windows, and which flaws to paint in such: few, and none of them much too large.

    Not ``together``, every flaw is painted in its own box, so that what is solved in it is the same in every batch.
    """
    by_size: dict[tuple[int, int], list[int]] = {}
    for flaw, (width, height) in enumerate(boxes[:, 2:].tolist()):
        by_size.setdefault((width, height), []).append(flaw)
    sizes = sorted(by_size)
    waiting: list[int] = []
    for size, larger in zip(sizes, [*sizes[1:], None], strict=True):
        waiting += by_size[size]
        if (
            together
            and larger
            and len(waiting) * (larger[0] * larger[1] - size[0] * size[1]) < _CALL
            and max(larger) <= _TILE
        ):
            continue
        yield size, torch.tensor(sorted(waiting))
        waiting = []


def _widened(boxes: Tensor, width: int, height: int, size: tuple[int, int]) -> Tensor:
    """Boxes of one size around smaller ones ``[N, 4]``, inside the picture."""
    side = torch.tensor([width, height])
    start = boxes[:, :2] - (side - boxes[:, 2:]) // 2
    start = start.clamp_min(0).minimum(torch.tensor([size[1], size[0]]) - side)
    return torch.cat([start, side.expand_as(start)], dim=1)


def _tiles(cutter: "_Cutter", flaws: Tensor, box: Tensor, margin: int) -> Iterator[Cut]:
    if margin:
        cutter.keep()
    left, top, width, height = box.tolist()
    for down, across in product(range(0, height, _TILE), range(0, width, _TILE)):
        inner = [left + across, top + down, min(_TILE, width - across), min(_TILE, height - down)]
        yield Cut(flaws, cutter.window(_with_margin(torch.tensor(inner), margin, cutter.ground.size)[None]), [inner])


def _with_margin(box: Tensor, margin: int, size: tuple[int, int]) -> Tensor:
    """A box ``[4]`` with a margin, as far as the picture reaches."""
    low = (box[:2] - margin).clamp_min(0)
    high = (box[:2] + box[2:] + margin).minimum(torch.tensor([size[1], size[0]]))
    return torch.cat([low, high - low])


class _Cutter:
    """Cuts windows for some flaws; what holds for all of a flaw's tiles is worked out once."""

    def __init__(
        self,
        images: Tensor,
        good: Tensor,
        ground: Ground,
        rows: Tensor,
        centre: Tensor,
        boxes: Tensor,
        level: Tensor,
        *,
        contour: bool,
    ) -> None:
        self.ground, self.centre, self.boxes, self.level = ground, centre, boxes, level
        self.good = [good[row] for row in rows.tolist()]
        self.pictures = [images[row] for row in rows.tolist()]
        self.masks = None if ground.mask is None else [ground.mask[row] for row in rows.tolist()]
        if contour:
            self.background, self.has_background = ground.background(images, rows)
            self.inward = ground.inward(rows, centre, boxes[:, 2:].amax(dim=1) // 4)
        else:
            self.background = self.has_background = self.level[:, :0]
            self.inward = torch.zeros(len(rows))

    def keep(self) -> None:
        """Cut from the pictures as they are now: tiles with a margin must not see what was painted beside them."""
        self.pictures = [picture.clone() for picture in self.pictures]

    def window(self, boxes: Tensor) -> Window:
        """The window in boxes ``[N, 4]`` of one size."""
        return Window(
            images=_gather(self.pictures, boxes),
            pictures=self.good,
            allowed=None if self.masks is None else _gather(self.masks, boxes),
            left=boxes[:, 0],
            top=boxes[:, 1],
            centre=self.centre,
            boxes=self.boxes,
            size=self.ground.size,
            level=self.level,
            background=self.background,
            has_background=self.has_background,
            inward=self.inward,
        )


def _gather(pictures: Sequence[Tensor], boxes: Tensor) -> Tensor:
    parts = [
        picture[:, y : y + height, x : x + width]
        for picture, (x, y, width, height) in zip(pictures, boxes.tolist(), strict=True)
    ]
    return parts[0][None] if len(parts) == 1 else torch.stack(parts)


def _level(images: Tensor, ground: Ground, rows: Tensor, boxes: Tensor) -> Tensor:
    """Mean colour of the allowed pixels in each box, ``[N, C, 1, 1]``, from some hundred of them."""
    x, y = (places.to(images.device) for places in looked_at(boxes))
    row = rows.to(images.device)[:, None, None]
    pixels = images.movedim(1, 3)[row, y[:, :, None], x[:, None, :]].movedim(3, 1).double()
    if ground.mask is None:
        return pixels.mean(dim=(-2, -1), keepdim=True).to(images)
    # Where the few pixels looked at are all forbidden, the others count.
    weights = ground.mask[:, 0][row, y[:, :, None], x[:, None, :]][:, None] + 1e-6
    return mean_inside(pixels, weights).to(images)


def looked_at(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Columns and rows at which statistics of boxes ``[N, 4]`` are taken, ``[N, 24]`` int64 both."""
    place = (torch.arange(_LOOKED_AT) + 0.5) / _LOOKED_AT
    x, y = ((boxes[:, i, None] + place * boxes[:, i + 2, None]).long() for i in (0, 1))
    return x, y


def border(foreground: Tensor) -> Tensor:
    """Outermost pixels of the foreground, the image's border included; ``[B, 1, H, W]``, 0 or 1."""
    around = functional.pad(foreground, (1, 1, 1, 1))
    # Of lines of three, then of columns of them: much faster than pooling.
    for axis in (-2, -1):
        length = around.shape[axis] - 2
        lines = (around.narrow(axis, start, length) for start in range(3))
        around = reduce(torch.minimum, lines)
    return foreground - around


def mean_inside(images: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of each channel, ``[B, C, 1, 1]``; summed in double precision so that a batch changes nothing."""
    total = weights.double().sum(dim=(-2, -1), keepdim=True).clamp_min(1e-9)
    return ((images * weights).double().sum(dim=(-2, -1), keepdim=True) / total).to(images)
