"""What a flaw family is: drawing parameters is apart from applying them, and the mask is what changed."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from synth.compiled import kernels, usable
from synth.devices import boxed, lines, onto, together
from synth.errors import SynthError
from synth.ground import Ground
from synth.noise import Numbers
from synth.pieces import LARGEST, Pieces
from synth.sources.defects import DefectBank
from synth.spots import Spots
from synth.windows import Cut, Cutter, Window, box_levels, boxes, cuts, trimmed

if TYPE_CHECKING:
    from synth.masks import FlawParameters

VISIBLE = 3
"""A pixel belongs to the mask when some channel changed by at least this many of 255 grey levels."""

SMALLEST_SIDE = 8
"""Images need at least this many pixels along both sides."""

EVERYWHERE = float("inf")
"""Reach of a flaw that covers the whole picture."""


@dataclass(frozen=True)
class Context:
    """What families may use beside the image.

    Attributes:
        foreground: ``[B, 1, H, W]``, where flaws are allowed; None is everywhere.
        sources: ``[S, C, h, w]``, 0..1: other good parts to take content from; None is the image itself.
        textures: ``[T, C, h, w]``, 0..1: pictures of surfaces to take content from; None is procedural ones.
        defects: Confirmed defects, for the family that blends them in.
        depth: Bits of the pictures that the images came from and will be written as; changes are seen after rounding.
    """

    foreground: Tensor | None = None
    sources: Tensor | None = None
    textures: Tensor | None = None
    defects: DefectBank | None = None
    depth: Literal[8, 16] = 8


NO_CONTEXT = Context()


@dataclass(frozen=True)
class Content:
    """What a flaw shows.

    Attributes:
        kind: ``own``: the part's own pixels, shaded or moved; ``procedural``: a texture that was made up; ``part``: one
            of the context's sources, or another place of the same part where there are none; ``texture``: one of its
            textures; ``defect``: one of its defects.
        place: Which of them, 0..1 over all.
    """

    kind: Literal["own", "procedural", "part", "texture", "defect"] = "own"
    place: float = 0.0


P = TypeVar("P", bound="FlawParameters")


class Family(ABC, Generic[P]):
    """Base of the flaw families: a subclass says how to draw parameters, where flaws lie, and how to paint.

    Attributes:
        name: By which configurations and manifests know it.
        parameters_class: Parameters of this family.
        at_contour: Flaws lie at the contour of the part, and painting is told the background's colour.
        needs_defects: Nothing can be painted without ``Context.defects``; only drawn from where it is asked for.
    """

    name: ClassVar[str]
    parameters_class: ClassVar[type[Any]]
    at_contour: ClassVar[bool] = False
    needs_defects: ClassVar[bool] = False

    @abstractmethod
    def draw(self, generator: Generator, count: int, severity: Tensor | None = None) -> P:
        """Draw parameters for ``count`` images; the same generator state gives the same flaws.

        Args:
            generator: On the CPU.
            count: Number of flaws.
            severity: ``[count]``, 0 (barely visible) to 1 (gross); None draws it uniformly.
        """

    @abstractmethod
    def reach(self, parameters: P, size: tuple[int, int]) -> Numbers:
        """How far flaws reach from their centre along x and y, in pixels of pictures of that size, ``[B, 2]``.

        What is painted farther away is lost. ``EVERYWHERE`` is the whole picture.
        """

    def reach_with(self, parameters: P, size: tuple[int, int], context: Context) -> Numbers:
        """As ``reach``; for a family whose flaws are as large as what the context gives."""
        return self.reach(parameters, size)

    @abstractmethod
    def paint(self, window: Window, parameters: P, context: Context) -> Tensor:
        """Paint one flaw on each image of a window.

        Args:
            window: Boxes around the flaws.
            parameters: A row for each.
            context: Sources and textures, brought to the size of the pictures; the foreground is not in it.

        Returns:
            ``[B, C, h, w]``, which may be written to; what falls outside 0..1 or the foreground is cut by others.
        """

    def fractions(self, parameters: P) -> Numbers:
        """Where flaws lie, (x, y) in 0..1 of the part, ``[B, 2]``; see ``Ground.place``."""
        return parameters.centre  # type: ignore[attr-defined]

    def locate(self, parameters: P, ground: Ground, pictures: Tensor, rows: Numbers) -> Numbers:
        """Centres of flaws in pixels, ``[N, 2]`` (x, y); a family may look at the pictures for that.

        Args:
            parameters: N rows.
            ground: Where flaws are allowed.
            pictures: ``[B, C, H, W]``, good.
            rows: ``[N]`` int64, the picture of each flaw.
        """
        place = ground.place_at_border if self.at_contour else ground.place
        return place(rows, self.fractions(parameters))

    def shown(self, parameters: P, context: Context) -> list[Content]:
        """What each flaw shows, for the manifest; a family that borrows pixels says from where."""
        return [Content() for _ in parameters.severity]

    def paint_in_place(self, spots: Spots, parameters: P, context: Context) -> Numbers:
        """As ``paint``, within 1/255, by a compiled loop that needs no windows; for ``usable`` images.

        Args:
            spots: Where.
            parameters: A row for each.
            context: As for ``paint``.

        Returns:
            Which flaws are left to ``paint``, int64: all of them where a family has no such loop.
        """
        return np.arange(len(spots.rows))

    def margin(self, parameters: P, size: tuple[int, int]) -> int:
        """Pixels around a window that painting it needs to see, in pictures of that size."""
        return 0

    def apply(self, images: Tensor, parameters: P, context: Context = NO_CONTEXT) -> tuple[Tensor, Tensor]:
        """Put one flaw on each image.

        Args:
            images: ``[B, C, H, W]``, float, 0..1, any device; sides of at least 8 pixels.
            parameters: One flaw for each image.
            context: Foreground, sources and textures.

        Returns:
            The flawed images, and ``[B, 1, H, W]`` masks (0 or 1) of the pixels that visibly changed.

        Raises:
            SynthError: If the images or the context cannot be used.
        """
        canvas = Canvas(images, context)
        canvas.paint(self, parameters, np.arange(len(images)))
        return canvas.finish()


class SolvedFamily(Family[P]):
    """A family whose flaws are solved as a whole: no tile of one can be painted without seeing the others."""

    @abstractmethod
    def paint_pieces(
        self, pieces: Pieces, parameters: P, context: Context
    ) -> Iterator[tuple[list[int], Window, Tensor]]:
        """As ``paint``, of one flaw that is too large to be held: looked at, and then painted, piece by piece.

        Args:
            pieces: Of the flaw.
            parameters: One row.
            context: As for ``paint``.

        Yields:
            The box of a piece, the window on just that, and its new pixels; pieces that do not change may be left out.
            It is written to the picture before the next one is asked for.
        """


class Canvas:
    """Copies of good images on which flaws are painted, one family after the other.

    Args:
        images: ``[B, C, H, W]``, float, 0..1.
        context: Of these images.

    Raises:
        SynthError: If the images or the context cannot be used.
    """

    def __init__(self, images: Tensor, context: Context) -> None:
        loops = usable(images) and images.is_contiguous()
        # By NumPy, which asks for large pages, as being handed small ones takes longer than writing to them.
        flawed = torch.from_numpy(np.empty(images.shape, np.float32)) if loops else None
        mask = check(images, context, flawed)
        self._ground = Ground(mask, (images.shape[-2], images.shape[-1]))
        self._context = Context(
            sources=_fit(context.sources, images),
            textures=_fit(context.textures, images),
            defects=context.defects,
            depth=context.depth,
        )
        self._images = images
        self._flawed = images.clone(memory_format=torch.contiguous_format) if flawed is None else flawed
        self._touched: list[list[list[int]]] = [[] for _ in images]

    @property
    def flawed(self) -> Tensor:
        """``[B, C, H, W]`` as it is painted so far; painting goes on in it."""
        return self._flawed

    @torch.inference_mode()
    def paint(self, family: Family[Any], parameters: Any, rows: Numbers) -> None:
        """Paint a flaw on each of some images.

        Args:
            family: Of the flaws.
            parameters: N rows.
            rows: ``[N]`` int64, which images; none twice.

        Raises:
            SynthError: If the family needs confirmed defects and there are none.
        """
        ground = self._ground
        rows = np.ascontiguousarray(rows)  # loops are compiled anew for numbers that lie apart
        if family.needs_defects and not self._context.defects:
            msg = f"the flaw family {family.name} needs confirmed defects, and there are none; give a bank with some"
            raise SynthError(msg)
        centre = family.locate(parameters, ground, self._images, rows)
        reach = family.reach_with(parameters, ground.size, self._context)
        around = boxes(centre, reach, ground.size)
        painted = around if isinstance(family, SolvedFamily) else trimmed(around, centre, reach)
        for row, box in zip(rows.tolist(), painted.tolist(), strict=True):
            self._touched[row].append(box)
        if usable(self._flawed):
            spots = Spots(self._flawed, self._images, ground, rows, centre, around, painted)
            left = family.paint_in_place(spots, parameters, self._context)
            if not len(left):
                return
            parameters = select(parameters, left)
            rows, centre, around, painted = (values[left] for values in (rows, centre, around, painted))
        if isinstance(family, SolvedFamily):
            large = around[:, 2:].max(axis=1) > LARGEST
            for flaw in np.flatnonzero(large).tolist():
                self._paint_large(family, select(parameters, [flaw]), rows[[flaw]], centre[[flaw]], around[[flaw]])
            small = np.flatnonzero(~large)
            if not len(small):
                return
            if large.any():
                parameters = select(parameters, small)
                rows, centre, around, painted = (values[small] for values in (rows, centre, around, painted))
        where = rows, centre, around, painted, family.margin(parameters, ground.size)
        kind: dict[str, Any] = {"contour": family.at_contour, "tiled": not isinstance(family, SolvedFamily)}
        for cut in cuts(self._flawed, self._images, ground, *where, **kind):
            window = cut.window
            chosen = parameters if len(cut.flaws) == len(rows) else select(parameters, cut.flaws)
            self._put_back(family.paint(window, chosen, self._context), window, cut, rows[cut.flaws])

    def _paint_large(
        self, family: SolvedFamily[Any], parameters: Any, row: Numbers, centre: Numbers, box: Numbers
    ) -> None:
        """Paint one flaw piece by piece."""
        level = box_levels(self._flawed, self._ground, row, box)
        cutter = Cutter(self._flawed, self._images, self._ground, row, centre, box, level, contour=family.at_contour)
        pieces = Pieces(cutter, box[0].tolist())
        for inner, window, content in family.paint_pieces(pieces, parameters, self._context):
            self._put_back(content, window, Cut(np.zeros(1, np.int64), window, [inner]), row)

    def _put_back(self, content: Tensor, window: Window, cut: Cut, rows: Numbers) -> None:
        """Write what was painted in a window to the images, where flaws are allowed."""
        if usable(self._flawed):
            allowed = content[:0] if window.allowed is None else window.allowed
            corners = np.stack([window.left, window.top], axis=1)
            where = corners, np.array(cut.boxes), rows
            kernels().put_back(content.contiguous().numpy(), allowed.numpy(), *where, self._flawed.numpy())
            return
        spots = boxed(self._flawed, rows, window.pixels)
        inside = _inside(window, np.array(cut.boxes), self._flawed.device)
        if window.allowed is not None:
            inside = inside & (window.allowed > 0)
        # Read anew, as what was painted beside it meanwhile is not in the window.
        self._flawed[spots] = torch.where(inside, content.clamp_(0, 1), self._flawed[spots])

    def finish(self) -> tuple[Tensor, Tensor]:
        """The flawed images, and ``[B, 1, H, W]`` masks (0 or 1) of the pixels that visibly changed."""
        # Made here, as nothing can be trained on what is made in inference mode.
        masks = torch.zeros_like(self._images[:, :1])
        self._find_changes(masks)
        return self._flawed, masks

    @torch.inference_mode()
    def _find_changes(self, masks: Tensor) -> None:
        if usable(self._images) and self._images.is_contiguous():
            levels = 2**self._context.depth - 1
            seen = np.float32(levels), np.float32(VISIBLE * levels // 255)
            arrays = self._images.numpy(), self._flawed.numpy(), masks.numpy()
            for row, touched in enumerate(self._touched):
                for box in _together(touched):
                    kernels().find_changes(*arrays, row, *box, *seen)
            return
        count, channels, height, width = self._images.shape
        at_once = together(self._images.device)
        bands = max(1, at_once // (channels * width))
        batch = max(1, bands // height)
        for row, top in product(range(0, count, batch), range(0, height, bands)):
            part = (slice(row, row + batch), slice(None), slice(top, top + bands))
            masks[part] = visible_change(self._images[part], self._flawed[part], self._context.depth)


def _inside(window: Window, boxes: Numbers, device: torch.device) -> Tensor:
    """Which pixels of a window lie in boxes ``[B, 4]`` of the picture, ``[B, 1, h, w]`` bool."""
    down, across = (
        (place >= boxes[:, i, None]) & (place < boxes[:, i, None] + boxes[:, i + 2, None])
        for i, place in zip((1, 0), lines(window.pixels), strict=True)
    )
    return onto(down, device)[:, None, :, None] & onto(across, device)[:, None, None, :]


def _together(touched: list[list[int]]) -> list[list[int]]:
    """Boxes (left, top, width, height) that hold all that was touched: those given, or one around them if smaller."""
    if len(touched) < 2:
        return touched
    left, top = (min(box[i] for box in touched) for i in (0, 1))
    width, height = (max(box[i] + box[i + 2] for box in touched) - low for i, low in ((0, left), (1, top)))
    whole = [left, top, width, height]
    return [whole] if width * height <= sum(box[2] * box[3] for box in touched) else touched


def check(images: Tensor, context: Context = NO_CONTEXT, copy: Tensor | None = None) -> Tensor | None:
    """Refuse what flaws cannot be put on.

    Args:
        images: ``[B, C, H, W]``.
        context: Of these images.
        copy: The images are copied to it meanwhile; only for ``usable`` ones, contiguous as it is.

    Returns:
        The foreground ``[B, 1, H, W]``, 0 or 1, of the images' type and on their device; None is everywhere.

    Raises:
        SynthError: If shape, type or range of the images, the foreground, the sources or the textures is wrong.
    """
    _check_pictures(images, "images", copy)
    if min(images.shape[-2:]) < SMALLEST_SIDE:
        height, width = images.shape[-2:]
        msg = (
            f"images of {height}×{width} pixels are too small for a flaw; {SMALLEST_SIDE}×{SMALLEST_SIDE} is the least"
        )
        raise SynthError(msg)
    for pictures, what in ((context.sources, "sources"), (context.textures, "textures")):
        if pictures is not None:
            _check_pictures(pictures, what)
            if pictures.shape[1] != images.shape[1]:
                msg = f"{what} have {pictures.shape[1]} channels and images {images.shape[1]}; convert one of them"
                raise SynthError(msg)
    if context.defects and context.defects.channels != images.shape[1]:
        channels = context.defects.channels
        msg = f"confirmed defects have {channels} channels and images {images.shape[1]}; use `DefectBank.fitted`"
        raise SynthError(msg)
    if context.foreground is None:
        return None
    if context.foreground.shape != (images.shape[0], 1, *images.shape[-2:]):
        msg = f"foreground of shape {list(context.foreground.shape)} does not fit images {list(images.shape)}"
        raise SynthError(msg)
    foreground, found = _whole(context.foreground.to(images.device).to(images))
    empty = np.flatnonzero(~found)
    if len(empty):
        msg = f"foreground of image {empty[0]} is empty; give one with at least a pixel, or None for the whole image"
        raise SynthError(msg)
    return foreground


def _whole(mask: Tensor) -> tuple[Tensor, Numbers]:
    """Masks as 0 and 1, themselves if they are that already; and which of them have a pixel, ``[B]`` bool."""
    if usable(mask) and mask.is_contiguous():
        found = np.empty(len(mask), bool)
        if kernels().look_at_masks(mask.flatten(1).numpy(), found):
            return mask, found
    whole = (mask > 0.5).to(mask)
    return whole, (whole.flatten(1).amax(dim=1) > 0).cpu().numpy()


def _in_range(pictures: Tensor, copy: Tensor | None) -> bool:
    """Whether all numbers lie in 0..1; copies them meanwhile, which reads them once and not twice."""
    if copy is not None:
        return bool(kernels().copy_in_range(pictures.flatten().numpy(), copy.view(-1).numpy()))
    if usable(pictures) and pictures.is_contiguous():
        return bool(kernels().in_range(pictures.flatten().numpy()))
    low, high = (float(value) for value in pictures.aminmax())
    return low >= 0 and high <= 1


def _check_pictures(pictures: Tensor, what: str, copy: Tensor | None = None) -> None:
    if pictures.ndim != 4 or pictures.shape[1] not in (1, 3) or 0 in pictures.shape:
        msg = f"{what} must be [B, C, H, W] with 1 or 3 channels, not {list(pictures.shape)}"
        raise SynthError(msg)
    if not pictures.is_floating_point():
        msg = f"{what} must be floating point in 0..1, not {pictures.dtype}; divide 8-bit values by 255"
        raise SynthError(msg)
    if not _in_range(pictures, copy):
        low, high = (float(value) for value in pictures.aminmax())
        msg = f"{what} must lie in 0..1, not in {low:g}..{high:g}"
        raise SynthError(msg)


def _fit(pictures: Tensor | None, images: Tensor) -> Tensor | None:
    """Bring pictures to the images' size, type and device."""
    if pictures is None or pictures.shape[-2:] == images.shape[-2:]:
        return None if pictures is None else pictures.to(images)
    size = (images.shape[-2], images.shape[-1])
    return functional.interpolate(pictures.to(images), size, mode="bilinear", antialias=True).clamp(0, 1)


def visible_change(before: Tensor, after: Tensor, depth: int = 8) -> Tensor:
    """Where some channel changed by at least ``VISIBLE`` of 255 of the range, once both are rounded; ``[B, 1, H, W]``.

    Args:
        before: ``[B, C, H, W]``, 0..1.
        after: The same shape.
        depth: Bits that both are rounded to.
    """
    levels = 2**depth - 1
    change = (after * levels).round_().sub_((before * levels).round_()).abs_()
    return change.amax(dim=1, keepdim=True).ge_(VISIBLE * levels // 255)


def select(parameters: P, rows: Numbers | Sequence[int]) -> P:
    """Parameters of some of the images."""
    index = np.asarray(rows, dtype=np.int64)
    return type(parameters)(**{name: values[index] for name, values in vars(parameters).items()})
