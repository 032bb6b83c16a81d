"""Confirmed defects as a source: cut out of the image in which an inspector marked them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from synth.blending import membrane
from synth.errors import SynthError
from synth.masks import box_blur

MARGIN = 0.35
"""Surroundings that are cut out with a defect, as a share of its longer side."""

_MARGINS = (4, 48)
"""Least and greatest margin in pixels."""

_BRIDGE = 2
"""Marked regions no further apart than twice this many pixels are one defect: brushes leave gaps in cracks."""

SMALLEST_AREA = 4
"""Pixels that a region has at least."""

LARGEST_SHARE = 0.4
"""A region that covers more of its image has no surroundings to be matched by."""

_NOTICED = (1.0, 2.5)
"""Deviations from the surroundings, in their spreads, at which a pixel begins to count as defective and fully does."""

_LEAST_SPREAD = 1 / 255
"""Spread of surroundings that are quite even: the step between two grey levels."""


@dataclass(frozen=True)
class Defect:
    """One region that an inspector confirmed, with what lies around it.

    Attributes:
        pixels: ``[C, h, w]``, 0..1, C being 1 or 3; slow changes of light are taken out, so that what lies around the
            defect has the same light everywhere.
        mask: ``[1, h, w]``, 0..1, how far each pixel belongs to the defect; 0 along the border, but where the image
            ends.
        light: ``[C]`` median of the surroundings.
        contrast: ``[C]`` their spread (a standard deviation, from the median absolute deviation).
        grain: Size of the grain of the surroundings' texture, in pixels: 1 is noise of single pixels.
        side: Shorter side of the image that it was cut from, in pixels: what gives its size a meaning elsewhere.
        name: Unique within a bank.
        label: Kind of defect in the inspector's words, or empty.
        provenance: Id of the verdict, or whatever the region comes from.
        image: Id of the image: the first 32 hexadecimal digits of the SHA-256 of its file. Empty where there is none.
        group: What the image is not independent of, as ``learning`` has it; empty where it is not known.
        made: Made by a network that learnt from the confirmed defects of its bank, of no image and group of its own.
    """

    pixels: Tensor
    mask: Tensor
    light: Tensor
    contrast: Tensor
    grain: float
    side: int
    name: str
    label: str = ""
    provenance: str = ""
    image: str = ""
    group: str = ""
    made: bool = False


@dataclass(frozen=True)
class DefectBank:
    """Confirmed defects, all with the same number of channels.

    Raises:
        SynthError: If they have different numbers of channels, or two have the same name.
    """

    defects: tuple[Defect, ...]

    def __post_init__(self) -> None:
        if len({len(defect.pixels) for defect in self.defects}) > 1:
            msg = "a bank holds grey defects or coloured ones, not both; convert them by `DefectBank.fitted`"
            raise SynthError(msg)
        if len({defect.name for defect in self.defects}) < len(self.defects):
            msg = "two defects of a bank have the same name; names say which of them a flaw was made from"
            raise SynthError(msg)

    def __len__(self) -> int:
        return len(self.defects)

    @property
    def channels(self) -> int:
        """1 or 3; 0 in an empty bank."""
        return len(self.defects[0].pixels) if self.defects else 0

    def where(self, keep: Callable[[Defect], bool]) -> "DefectBank":
        """Those defects that a condition holds for."""
        return DefectBank(tuple(defect for defect in self.defects if keep(defect)))

    def __add__(self, other: "DefectBank") -> "DefectBank":
        return DefectBank(self.defects + other.defects)

    def fitted(self, channels: int, side: int, zoom: float = 1.0) -> "DefectBank":
        """Bring the defects to images of another kind, so that they keep their share of the part.

        Args:
            channels: 1 or 3, of the images.
            side: Shorter side of the images in pixels.
            zoom: How much larger parts are in them than they are where the defects come from, beyond what the side
                says: where parts are cut out of their pictures.
        """
        zoomed = (_fit(defect, channels, round(side * zoom)) for defect in self.defects)
        return DefectBank(tuple(replace(defect, side=side) for defect in zoomed))


def cut_defects(
    image: Tensor,
    mask: Tensor,
    part: Tensor | None = None,
    *,
    name: str,
    label: str = "",
    provenance: str = "",
    image_id: str = "",
    group: str = "",
) -> list[Defect]:
    """Cut the regions of a mask out of an image, each with a margin.

    A brush is wider than the defect, so that what it covers counts as defective only as far as it differs from the
    surroundings; where hardly anything does, the brush is believed as it is.

    Args:
        image: ``[C, H, W]``, 0..1, C being 1 or 3.
        mask: ``[H, W]`` bool, what the inspector marked.
        part: ``[H, W]`` bool, where the part is, as ``synth.foreground`` finds it: only the part counts as
            surroundings, so that a chip out of its border is what is missing and not a piece of background. None is
            everywhere.
        name: Of the image; defects are called ``name-0`` and so on.
        label: See ``Defect``.
        provenance: See ``Defect``.
        image_id: See ``Defect``.
        group: See ``Defect``.

    Returns:
        One for each connected region; none for a region of fewer than 4 pixels, or one that covers over 40 % of the
        image, which has no surroundings to be matched by.

    Raises:
        SynthError: If shapes do not fit.
    """
    if image.ndim != 3 or image.shape[0] not in (1, 3) or mask.shape != image.shape[-2:]:
        msg = f"a mask {list(mask.shape)} does not fit the image {list(image.shape)} of {name}"
        raise SynthError(msg)
    marked = mask.bool().cpu().numpy()
    sound = ~mask.bool().cpu() & (part.bool().cpu() if part is not None else True)
    joined = ndimage.binary_dilation(marked, ndimage.generate_binary_structure(2, 2), iterations=_BRIDGE)
    regions, count = ndimage.label(joined)
    found: list[Defect] = []
    for number in range(1, count + 1):
        region = marked & (regions == number)
        if SMALLEST_AREA <= region.sum() <= LARGEST_SHARE * region.size:
            cut = _cut(image, torch.from_numpy(region), sound)
            found.append(
                replace(
                    cut,
                    name=f"{name}-{len(found)}",
                    label=label,
                    provenance=provenance,
                    image=image_id,
                    group=group,
                )
            )
    return found


def measure(pixels: Tensor, around: Tensor) -> tuple[Tensor, Tensor, float]:
    """Light, contrast and grain of a surface; see ``Defect``.

    Args:
        pixels: ``[C, h, w]``.
        around: ``[h, w]`` bool, where to look; at least one pixel.
    """
    values = pixels[:, around]
    light = values.median(dim=1).values
    contrast = 1.4826 * (values - light[:, None]).abs().median(dim=1).values
    both = around[:, 1:] & around[:, :-1]
    steps = (pixels[..., 1:] - pixels[..., :-1])[:, both].abs()
    if not both.any():
        return light, contrast, 1.0
    step = 1.4826 * steps.median(dim=1).values
    # Neighbours of uncorrelated noise differ by the square root of two spreads, those of a coarser grain by less.
    grain = 2**0.5 * contrast.mean() / step.mean().clamp_min(1e-6)
    return light, contrast, float(grain.clamp(1, 16)) if contrast.mean() > _LEAST_SPREAD else 1.0


def _cut(image: Tensor, region: Tensor, sound: Tensor) -> Defect:
    height, width = region.shape
    rows, columns = (region.any(dim=dim).nonzero().flatten() for dim in (1, 0))
    longer = max(int(rows[-1] - rows[0]), int(columns[-1] - columns[0])) + 1
    margin = min(max(round(MARGIN * longer), _MARGINS[0]), _MARGINS[1])
    top, left = max(int(rows[0]) - margin, 0), max(int(columns[0]) - margin, 0)
    bottom, right = min(int(rows[-1]) + 1 + margin, height), min(int(columns[-1]) + 1 + margin, width)
    pixels, inside = image[:, top:bottom, left:right].float(), region[top:bottom, left:right]
    around = sound[top:bottom, left:right]
    if not around.any():
        around = ~inside
    light, contrast, grain = measure(pixels, around)
    blurred = _blur_known(pixels[None], around[None, None].float(), max(2, margin // 2))
    slow = membrane(blurred, ~around[None, None])[0]
    flat = (pixels - slow + light[:, None, None]).clamp(0, 1)
    return Defect(
        pixels=flat,
        mask=_soften(flat, inside, light, contrast),
        light=light,
        contrast=contrast,
        grain=grain,
        side=min(height, width),
        name="",
    )


def _blur_known(pixels: Tensor, known: Tensor, radius: int) -> Tensor:
    """Mean of the known pixels around each pixel."""
    return box_blur(pixels * known, radius) / box_blur(known, radius).clamp_min(1e-6)


def _soften(pixels: Tensor, inside: Tensor, light: Tensor, contrast: Tensor) -> Tensor:
    """How far each marked pixel is defective: by its deviation, filled where the outline is closed; ``[1, h, w]``."""
    spread = contrast.clamp_min(_LEAST_SPREAD)[:, None, None]
    deviation = ((pixels - light[:, None, None]).abs() / spread).amax(dim=0)
    deviation = box_blur(deviation[None, None], 1)[0, 0]
    low, high = _NOTICED
    noticed = ((deviation - low) / (high - low)).clamp(0, 1)
    solid = torch.from_numpy(ndimage.binary_fill_holes((noticed > 0.5).numpy() & inside.numpy()))
    if solid.sum() < max(SMALLEST_AREA, 0.05 * int(inside.sum())):
        return _feathered(inside.float())[None]
    return _feathered(torch.maximum(noticed * inside, solid.float()))[None]


def _feathered(mask: Tensor) -> Tensor:
    """Grow a mask by a pixel and let it fade over the next, so that its edge is no step."""
    grown = functional.max_pool2d(mask[None, None], 3, stride=1, padding=1)
    return box_blur(grown, 1)[0, 0]


def _fit(defect: Defect, channels: int, side: int) -> Defect:
    pixels, light, contrast = defect.pixels, defect.light, defect.contrast
    if len(pixels) != channels:
        pixels = pixels.mean(dim=0, keepdim=True) if channels == 1 else pixels.expand(channels, -1, -1)
        light = light.mean()[None] if channels == 1 else light.expand(channels)
        contrast = contrast.mean()[None] if channels == 1 else contrast.expand(channels)
    factor = side / defect.side
    if factor == 1:
        return replace(defect, pixels=pixels, light=light, contrast=contrast)
    both = torch.cat([pixels, defect.mask])[None]
    resized = functional.interpolate(both, size_at(defect, side), mode="bilinear", antialias=True)[0].clamp(0, 1)
    return replace(
        defect,
        pixels=resized[:-1],
        mask=resized[-1:],
        light=light,
        contrast=contrast,
        grain=max(1.0, defect.grain * factor),
        side=side,
    )


def size_at(defect: Defect, side: int) -> tuple[int, int]:
    """Height and width that a defect is brought to in pictures whose shorter side is ``side``."""
    height, width = (max(3, round(length * (side / defect.side))) for length in defect.pixels.shape[-2:])
    return height, width


def bank_in_channels(bank: DefectBank, channels: int) -> DefectBank:
    """Make all defects grey (1) or coloured (3), each of the size that it was cut out with.

    Those that are painted are brought to the picture's size then: a whole bank at 4096² would take gigabytes.
    """
    return DefectBank(tuple(_fit(defect, channels, defect.side) for defect in bank.defects))


def bank_of(cuts: Iterable[Sequence[Defect]]) -> DefectBank:
    """Put what ``cut_defects`` gave for several images into one bank; grey ones become coloured where any is."""
    defects = [defect for cut in cuts for defect in cut]
    channels = max((len(defect.pixels) for defect in defects), default=1)
    return DefectBank(tuple(_fit(defect, channels, defect.side) for defect in defects))


def stacked(defects: Sequence[Defect]) -> tuple[Tensor, Tensor, np.ndarray, np.ndarray]:
    """Defects of different sizes as one batch, each in the middle of a frame as large as the largest.

    Returns:
        ``[N, C, h, w]`` pixels, outside of what was cut out its light; ``[N, 1, h, w]`` masks, 0 there; the sizes of
        what was cut out ``[N, 2]`` (height, width); and how far its middle lies from the frame's ``[N, 2]`` (down,
        across), in pixels: half a pixel up or left where one of the two lengths is odd.
    """
    sizes = np.array([defect.pixels.shape[-2:] for defect in defects])
    height, width = frame_size = sizes.max(axis=0)
    pixels, masks = [], []
    for defect, (own_height, own_width) in zip(defects, sizes, strict=True):
        top, left = (height - own_height) // 2, (width - own_width) // 2
        frame = (left, width - own_width - left, top, height - own_height - top)
        deviation = functional.pad(defect.pixels - defect.light[:, None, None], frame)
        pixels.append(deviation + defect.light[:, None, None])
        masks.append(functional.pad(defect.mask, frame))
    return torch.stack(pixels), torch.stack(masks), sizes, (frame_size - sizes) % 2 / -2
