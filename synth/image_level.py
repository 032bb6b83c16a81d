"""Image-level anomaly synthesis: several flaws of several families on every image of a batch, with exact masks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from synth.errors import SynthError
from synth.families import FAMILIES
from synth.families.base import (
    NO_CONTEXT,
    Context,
    Family,
    check,
    confine,
    from_plain,
    select,
    to_plain,
    visible_change,
)


@dataclass(frozen=True)
class Flaw:
    """One flaw as plain data.

    Attributes:
        image: Which image of the batch.
        order: Flaws of an image are painted in this order.
        family: Name of the family.
        parameters: Numbers and lists by name.
    """

    image: int
    order: int
    family: str
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Group:
    """Flaws of one family that are painted at once, at most one on each image.

    Attributes:
        order: Groups of a lower order are painted first.
        family: Name of the family.
        images: ``[N]`` int64, which image of the batch each flaw is for.
        parameters: The family's parameters, N rows.
    """

    order: int
    family: str
    images: Tensor
    parameters: Any


@dataclass(frozen=True)
class Recipe:
    """Flaws for a batch; the same recipe on the same images gives the same pixels.

    Attributes:
        count: Number of images.
        groups: In the order in which they are painted.
    """

    count: int
    groups: tuple[Group, ...]

    def flaws(self) -> list[Flaw]:
        """All flaws as plain data, image by image, in the order in which they are painted."""
        flaws = [
            Flaw(image, group.order, group.family, to_plain(group.parameters, row))
            for group in self.groups
            for row, image in enumerate(group.images.tolist())
        ]
        return sorted(flaws, key=lambda flaw: (flaw.image, flaw.order))

    def of_image(self, image: int) -> "Recipe":
        """The flaws of one image, as a recipe for a batch of one."""
        groups = []
        for group in self.groups:
            rows = (group.images == image).nonzero().flatten()
            if len(rows):
                groups.append(
                    Group(group.order, group.family, torch.zeros(1, dtype=torch.int64), select(group.parameters, rows))
                )
        return Recipe(1, tuple(groups))

    @classmethod
    def from_flaws(cls, flaws: Sequence[Flaw], count: int) -> "Recipe":
        """Rebuild a recipe from plain data.

        Raises:
            SynthError: If a family is unknown, its parameters have other names, or an image is not in the batch.
        """
        together: dict[tuple[int, str], list[Flaw]] = {}
        for flaw in flaws:
            if not 0 <= flaw.image < count:
                msg = f"a flaw is for image {flaw.image}, but there are {count} images"
                raise SynthError(msg)
            together.setdefault((flaw.order, flaw.family), []).append(flaw)
        return cls(
            count,
            tuple(
                Group(
                    order,
                    family,
                    torch.tensor([flaw.image for flaw in members]),
                    from_plain(family_class(family).parameters_class, [flaw.parameters for flaw in members]),
                )
                for (order, family), members in sorted(together.items(), key=lambda item: item[0])
            ),
        )


class Synthesizer:
    """Draws recipes and applies them.

    Args:
        families: Names of the families to draw from, equally often; None is all of them.
        flaws_per_image: Least and greatest number of flaws on an image.

    Example:
        >>> synthesizer = Synthesizer(["crack", "blob"])
        >>> recipe = synthesizer.draw(torch.Generator().manual_seed(0), count=4)
        >>> images, masks = synthesizer.apply(torch.full((4, 1, 64, 64), 0.5), recipe)
        >>> images.shape, masks.shape
        (torch.Size([4, 1, 64, 64]), torch.Size([4, 1, 64, 64]))

    Raises:
        SynthError: If a family is unknown or the numbers make no range.
    """

    def __init__(self, families: Sequence[str] | None = None, flaws_per_image: tuple[int, int] = (1, 3)) -> None:
        if families is not None and not families:
            msg = f"no flaw family is named; choose some of {', '.join(FAMILIES)}"
            raise SynthError(msg)
        if not 1 <= flaws_per_image[0] <= flaws_per_image[1]:
            msg = f"flaws per image must be a range from 1 upwards, not {flaws_per_image[0]}..{flaws_per_image[1]}"
            raise SynthError(msg)
        self.families: dict[str, Family[Any]] = {name: family_class(name)() for name in families or FAMILIES}
        self.flaws_per_image = flaws_per_image

    def draw(self, generator: Generator, count: int) -> Recipe:
        """Draw flaws for ``count`` images of whatever size; the same generator state gives the same recipe."""
        least, most = self.flaws_per_image
        numbers = torch.randint(least, most + 1, (count,), generator=generator)
        names = list(self.families)
        groups = []
        for order in range(most):
            chosen = torch.randint(len(names), (count,), generator=generator)
            for index, name in enumerate(names):
                images = ((chosen == index) & (numbers > order)).nonzero().flatten()
                if len(images):
                    groups.append(Group(order, name, images, self.families[name].draw(generator, len(images))))
        return Recipe(count, tuple(groups))

    @staticmethod
    def apply(images: Tensor, recipe: Recipe, context: Context = NO_CONTEXT) -> tuple[Tensor, Tensor]:
        """Put the flaws of a recipe on a batch of good parts.

        Args:
            images: ``[B, C, H, W]``, float, 0..1, any device; sides of at least 8 pixels.
            recipe: For B images; of any families.
            context: Foreground ``[B, 1, H, W]`` and sources ``[S, C, h, w]``, both optional.

        Returns:
            The flawed images, and ``[B, 1, H, W]`` masks (0 or 1) of the pixels that visibly differ from the good ones.

        Raises:
            SynthError: If the images or the context cannot be used, or the recipe is for another number of images.
        """
        foreground = check(images, context)
        if recipe.count != len(images):
            msg = f"the recipe is for {recipe.count} images, not for {len(images)}"
            raise SynthError(msg)
        flawed = images.clone()
        for group in recipe.groups:
            rows = group.images.to(images.device)
            family = family_class(group.family)()
            before, allowed = flawed[rows], foreground[rows]
            flawed[rows] = confine(before, family.paint(before, group.parameters, allowed, context.sources), allowed)
        return flawed, visible_change(images, flawed)


def family_class(name: str) -> type[Family[Any]]:
    """Look a family up by its name.

    Raises:
        SynthError: If there is none of that name.
    """
    if name not in FAMILIES:
        msg = f"there is no flaw family {name!r}; choose some of {', '.join(FAMILIES)}"
        raise SynthError(msg)
    return FAMILIES[name]
