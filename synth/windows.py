"""Windows: flaws are painted in a box around each, so that a small flaw costs little and a large picture no memory."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from synth.compiled import kernels, usable
from synth.devices import boxed, onto, places, together, widening
from synth.ground import Ground, mean_inside
from synth.noise import Numbers

SIDES = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192)
"""Sides that windows have: few, so that flaws of about one size are painted together."""

_SIDES = np.array(SIDES)

_TILE = 1024
"""Windows with a longer side are painted by tiles of this one."""

_STEP = 8
"""Sides of what is painted are whole numbers of so many pixels."""

_SLACK = 1.05
"""What is painted, over how far flaws reach."""

_LOOKED_AT = 24
"""Places along a side at which the colour around a flaw is taken."""


@dataclass(frozen=True)
class Window:
    """A box of the same size on each of some images, and what a family may know when it paints there.

    Attributes:
        images: ``[B, C, h, w]``, 0..1, the pixels in the windows, not to be written to; earlier flaws are on them.
        batch: ``[N, C, H, W]``, whole good pictures, without any flaw.
        of: ``[B]`` int64, which of them each image is of.
        allowed: ``[B, 1, h, w]``, 0 or 1, where flaws may be; None is everywhere.
        left: ``[B]`` int64, the boxes' first columns.
        top: ``[B]`` int64, the boxes' first rows.
        centre: ``[B, 2]`` (x, y) of each flaw, in pixels of the whole picture.
        boxes: ``[B, 4]`` int64: left, top, width, height of all that each flaw may change, which the window is a part
            of, or surrounds.
        size: Height and width of the whole picture.
        level: ``[B, C]`` mean colour around the flaw, float32.
        background: ``[B, C]`` mean colour outside the part; only for families that paint at the contour, empty for
            others.
        has_background: ``[B]`` bool, there is something outside the part; only for those too.
        inward: ``[B]`` direction from the contour at the flaw into the part, radians; only for those too.
    """

    images: Tensor
    batch: Tensor
    of: Numbers
    allowed: Tensor | None
    left: Numbers
    top: Numbers
    centre: Numbers
    boxes: Numbers
    size: tuple[int, int]
    level: Numbers
    background: Numbers
    has_background: Numbers
    inward: Numbers

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

    @property
    def pixels(self) -> Numbers:
        """The boxes themselves, ``[B, 4]`` int64: left, top, width, height."""
        height, width = self.shape
        return np.stack([self.left, self.top, *np.full((2, len(self.of)), [[width], [height]])], axis=1)

    @cached_property
    def good(self) -> Tensor:
        """The window on the good pictures, ``[B, C, h, w]``; not to be written to."""
        return cut_out(self.batch, self.of, self.pixels)

    @cached_property
    def _lines(self) -> tuple[Numbers, Numbers]:
        """Distance of columns ``[B, 1, 1, w]`` and rows ``[B, 1, h, 1]`` from the flaw's centre, in pixels."""
        return self._lines_from(self.centre)

    def _lines_from(self, points: Numbers) -> tuple[Numbers, Numbers]:
        height, width = self.shape
        x = (self.left - points[:, 0])[:, None, None, None] + np.arange(width)
        y = (self.top - points[:, 1])[:, None, None, None] + np.arange(height)[:, None]
        return x.astype(np.float32), y.astype(np.float32)

    def offsets_from(self, points: Numbers) -> tuple[Tensor, Tensor]:
        """As ``offsets``, from points ``[B, 2]`` (x, y) in pixels of the whole picture."""
        if usable(self.images):
            x, y = self._lines_from(points)
            return self.tensor(x), self.tensor(y)
        height, width = self.shape
        device = self.images.device
        corners = onto(np.stack([self.left, self.top]) - points.T.astype(np.float64), device)[..., None, None, None]
        down, across = (torch.arange(length, dtype=torch.float64, device=device) for length in (height, width))
        return (corners[0] + across).to(self.images), (corners[1] + down[:, None]).to(self.images)

    def plane(self, across: Numbers, down: Numbers, start: Numbers | float = 0.0) -> Tensor:
        """What changes evenly over the picture, ``[B, 1, h, w]``.

        Args:
            across: ``[B]`` change from a column to the next.
            down: ``[B]`` change from a row to the next.
            start: ``[B]`` value at the flaw's centre.
        """
        if not usable(self.images):
            there = [offset * self.column(by) for offset, by in zip(self.offsets, (across, down), strict=True)]
            return there[0].add_(start if isinstance(start, float) else self.column(start)) + there[1]
        x, y = self._lines
        along = x * _cell(across)
        if not isinstance(start, float):
            along += _cell(start)
        return self.tensor(along) + self.tensor(y * _cell(down))

    def moved(self, by: Numbers) -> "Window":
        """The box of the same pixels moved by ``[B, 2]`` (x, y) pixels: what fields are there; ``images`` stay."""
        return replace(self, left=self.left + by[:, 0], top=self.top + by[:, 1])

    def column(self, values: Numbers) -> Tensor:
        """Give one number per image the shape ``[B, 1, 1, 1]``, type and device of the images."""
        return self.tensor(_cell(values))

    def colours(self, values: Numbers) -> Tensor:
        """Give colours ``[B, C]`` the shape ``[B, C, 1, 1]``, type and device of the images."""
        return self.tensor(values[:, :, None, None])

    def tensor(self, values: Numbers) -> Tensor:
        """Numbers as a tensor of the type and on the device of the images."""
        if usable(self.images):
            return torch.from_numpy(values.astype(np.float32, copy=False))
        return onto(values.astype(np.float32, copy=False), self.images.device).to(self.images.dtype)

    def rows(self, index: Numbers) -> "Window":
        """The window on some of the images, in their order; views of them where they follow each other."""
        if len(index) == len(self.images):
            return self
        there = run(index)
        return replace(
            self,
            images=self.images[there],
            of=self.of[there],
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


def _cell(values: Numbers) -> Numbers:
    return values.reshape(-1, 1, 1, 1)


def run(index: Numbers) -> slice | Numbers:
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

    flaws: Numbers
    window: Window
    boxes: list[list[int]]


def boxes(centre: Numbers, half: Numbers, size: tuple[int, int]) -> Numbers:
    """Boxes around flaws: squares of one of ``SIDES``, moved and cut so that they lie in the picture.

    Args:
        centre: ``[N, 2]`` (x, y) in pixels.
        half: ``[N, 2]`` how far each flaw reaches along x and y.
        size: Height and width of the picture.

    Returns:
        ``[N, 4]`` int64: left, top, width, height.
    """
    whole = np.array(size[::-1])
    needed = np.minimum(2 * np.ceil(half.max(axis=1)) + 3, whole.max())
    side = _SIDES[np.minimum(_SIDES.searchsorted(needed), len(_SIDES) - 1)]
    sides = np.minimum(side[:, None], whole)
    start = np.floor(centre - sides / 2).astype(np.int64)
    return np.concatenate([np.minimum(np.maximum(start, 0), whole - sides), sides], axis=1)


def trimmed(boxes: Numbers, centre: Numbers, half: Numbers) -> Numbers:
    """What of boxes ``[N, 4]`` flaws may change: rectangles as long and as wide as they are; arguments as ``boxes``."""
    start, end = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    # Noise seldom moves an outline farther than its reach, and then by little.
    far = _SLACK * half + 2
    low = np.maximum(np.floor(centre - far), start).astype(np.int64)
    high = np.minimum(np.ceil(centre + far) + 1, end).astype(np.int64)
    sides = np.minimum(-(-(high - low) // _STEP) * _STEP, boxes[:, 2:])
    return np.concatenate([np.minimum(low, end - sides), sides], axis=1)


def cuts(
    images: Tensor,
    good: Tensor,
    ground: Ground,
    rows: Numbers,
    centre: Numbers,
    boxes: Numbers,
    painted: Numbers,
    margin: int,
    *,
    contour: bool,
    tiled: bool = True,
) -> Iterator[Cut]:
    """Cut windows out of images, flaws of about one size together; the caller writes back before it takes the next.

    Args:
        images: ``[B, C, H, W]``, of which windows are cut; contiguous.
        good: The same without any flaw.
        ground: Where flaws are allowed.
        rows: ``[N]`` int64, the image of each flaw; no image twice.
        centre: ``[N, 2]`` (x, y) of each flaw in pixels.
        boxes: ``[N, 4]`` int64: left, top, width, height.
        painted: As boxes, what of them is painted.
        margin: Pixels that painting needs to see around what it paints.
        contour: Whether the background's colour is wanted.
        tiled: Whether large windows may be cut in pieces, and small ones be widened to be painted with others.
    """
    level = box_levels(images, ground, rows, boxes)
    most = widening(images.device, len(rows)) if tiled else 0
    for (width, height), kind in _kinds(painted[:, 2:].tolist(), most):
        pieces = tiled and max(width, height) > _TILE
        at_once = 1 if pieces else max(1, together(images.device) // (width * height * images.shape[1]))
        for first in range(0, len(kind), at_once):
            flaws = np.array(kind[first : first + at_once])
            some = rows[flaws], centre[flaws], boxes[flaws], level[run(flaws)]
            cutter = Cutter(images, good, ground, *some, contour=contour)
            own = painted[flaws]
            if pieces:
                yield from _tiles(cutter, flaws, own[0].tolist(), margin)
            else:
                yield Cut(flaws, cutter.window(_widened(own, width, height, ground.size).tolist()), own.tolist())


def _kinds(sizes: list[list[int]], most: int) -> list[tuple[tuple[int, int], list[int]]]:
    """Width and height of windows, and which flaws to paint in such: few, and none of them much too large.

    Args:
        sizes: Width and height of what is painted of each flaw.
        most: Flaws join others if together they cost fewer pixels more than this; 0 lets only those of one size join,
            so that what is solved in a window is the same in every batch.
    """
    kinds: list[tuple[tuple[int, int], list[int]]] = []
    for flaw in sorted(range(len(sizes)), key=lambda flaw: -sizes[flaw][0] * sizes[flaw][1]):
        own_width, own_height = sizes[flaw]
        for number, ((width, height), members) in enumerate(kinds):
            wide, high = max(width, own_width), max(height, own_height)
            count = len(members)
            more = (count + 1) * wide * high - count * width * height - own_width * own_height
            if not more or (more < most and max(wide, high) <= _TILE):
                members.append(flaw)
                kinds[number] = (wide, high), members
                break
        else:
            kinds.append(((own_width, own_height), [flaw]))
    return [(size, sorted(members)) for size, members in kinds]


def _widened(boxes: Numbers, width: int, height: int, size: tuple[int, int]) -> Numbers:
    """Boxes of one size around smaller ones ``[N, 4]``, inside the picture."""
    side = np.array([width, height])
    start = boxes[:, :2] - (side - boxes[:, 2:]) // 2
    start = np.minimum(np.maximum(start, 0), np.array([size[1], size[0]]) - side)
    wide = boxes.copy()
    wide[:, :2], wide[:, 2:] = start, side
    return wide


def _tiles(cutter: "Cutter", flaws: Numbers, box: list[int], margin: int) -> Iterator[Cut]:
    """Tiles of a box. Their margins show what was there before: strips of what is painted already are kept for that."""
    left, top, width, height = box
    # What is painted with a margin takes more memory for its size.
    side = max(_TILE // 2, margin) if margin else _TILE
    first, _, wide, _ = with_margin([left, top, width, 1], margin, cutter.ground.size)
    # Of a box that is lower than its margin there is no strip, and no row below that would need one.
    above = below = beside = None
    for down in range(0, height, side):
        high = min(side, height - down)
        if 0 < margin <= high:
            below = cutter.pixels([first, top + down + high - margin, wide, margin])
        for across in range(0, width, side):
            inner = [left + across, top + down, min(side, width - across), high]
            outer = with_margin(inner, margin, cutter.ground.size)
            window = cutter.window([outer])
            x, y = inner[0] - outer[0], inner[1] - outer[1]
            if above is not None:
                window.images[..., :y, :] = above[..., outer[0] - first : outer[0] - first + outer[2]]
            if beside is not None and across:
                window.images[..., y : y + high, :x] = beside
            if 0 < margin <= inner[2]:
                beside = window.images[..., y : y + high, x + inner[2] - margin : x + inner[2]].clone()
            yield Cut(flaws, window, [inner])
        if margin:
            above = below


def with_margin(box: list[int], margin: int, size: tuple[int, int]) -> list[int]:
    """A box with a margin, as far as the picture reaches."""
    left, top, width, height = box
    x, y = max(left - margin, 0), max(top - margin, 0)
    return [x, y, min(left + width + margin, size[1]) - x, min(top + height + margin, size[0]) - y]


class Cutter:
    """Cuts windows for some flaws; what holds for all of a flaw's tiles is worked out once."""

    def __init__(
        self,
        images: Tensor,
        good: Tensor,
        ground: Ground,
        rows: Numbers,
        centre: Numbers,
        boxes: Numbers,
        level: Numbers,
        *,
        contour: bool,
    ) -> None:
        self.ground, self.centre, self.boxes, self.level = ground, centre, boxes, level
        self.images, self.rows = images, rows
        self.of = rows
        self.good = good
        if contour:
            self.background, self.has_background = ground.background(images, rows)
            self.inward = ground.inward(rows, centre, boxes[:, 2:].max(axis=1) // 4)
        else:
            self.background = self.has_background = level[:, :0]
            self.inward = np.zeros(len(rows))

    def pixels(self, box: list[int]) -> Tensor:
        """What is in a box now, a copy, ``[1, C, h, w]``."""
        return cut_out(self.images, self.rows, np.array([box]))

    def window(self, boxes: list[list[int]]) -> Window:
        """The window in boxes of one size."""
        corners = np.array(boxes)
        return Window(
            images=cut_out(self.images, self.rows, corners),
            batch=self.good,
            of=self.of,
            allowed=None if self.ground.mask is None else cut_out(self.ground.mask, self.of, corners),
            left=corners[:, 0],
            top=corners[:, 1],
            centre=self.centre,
            boxes=self.boxes,
            size=self.ground.size,
            level=self.level,
            background=self.background,
            has_background=self.has_background,
            inward=self.inward,
        )


def cut_out(images: Tensor, rows: Numbers, boxes: Numbers) -> Tensor:
    """Boxes of one size ``[N, 4]`` of some images of a batch, ``[N, C, h, w]``."""
    if not usable(images):
        return images[boxed(images, rows, boxes)]
    width, height = boxes[0, 2:].tolist()
    pixels = np.empty((len(rows), images.shape[1], height, width), np.float32)
    kernels().cut(images.numpy(), rows, boxes, pixels)
    return torch.from_numpy(pixels)


def box_levels(images: Tensor, ground: Ground, rows: Numbers, boxes: Numbers) -> Numbers:
    """Mean colour of the allowed pixels in each box, ``[N, C]``, from some hundred of them."""
    if usable(images):
        mask = images[:0] if ground.mask is None else ground.mask
        means = np.empty((len(rows), images.shape[1]), np.float32)
        kernels().mean_levels(images.numpy(), mask.numpy(), rows, boxes, _LOOKED_AT, means)
        return means
    x, y = looked_at(boxes)
    pixels = images[places(images, rows, y, x)].double()
    if ground.mask is None:
        return pixels.mean(dim=(-2, -1)).float().cpu().numpy()
    # Where the few pixels looked at are all forbidden, the others count.
    there = ground.mask[places(ground.mask, rows, y, x)]
    return mean_inside(pixels, there + 1e-6).flatten(1).float().cpu().numpy()


def looked_at(boxes: Numbers) -> tuple[Numbers, Numbers]:
    """Columns and rows at which statistics of boxes ``[N, 4]`` are taken, ``[N, 24]`` int64 both."""
    place = ((np.arange(_LOOKED_AT) + 0.5) / _LOOKED_AT).astype(np.float32)
    start, side = boxes[:, :2].astype(np.float32), boxes[:, 2:].astype(np.float32)
    x, y = ((start[:, i, None] + place * side[:, i, None]).astype(np.int64) for i in (0, 1))
    return x, y
