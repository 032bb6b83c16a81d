"""Image-level anomaly synthesis: several flaws of several families on every image of a batch, with exact masks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from synth.errors import SynthError
from synth.families import ANYWHERE, FAMILIES
from synth.families.base import NO_CONTEXT, Canvas, Context, Family, select
from synth.families.plain import from_plain, to_plain
from synth.noise import Numbers


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
    images: Numbers
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
        groups: list[Group] = []
        for group in self.groups:
            rows = np.flatnonzero(group.images == image)
            if len(rows):
                groups.append(Group(group.order, group.family, np.zeros(1, np.int64), select(group.parameters, rows)))
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
                    np.array([flaw.image for flaw in members]),
                    from_plain(family_class(family).parameters_class, [flaw.parameters for flaw in members]),
                )
                for (order, family), members in sorted(together.items(), key=lambda item: item[0])
            ),
        )


@dataclass(frozen=True)
class Odds:
    """How often families and severities are drawn, relative to each other.

    Attributes:
        table: For each family its odds by severity: as many numbers as there are bins, the same for all families,
            evenly from barely visible to gross; at least 0, not all of them 0.
    """

    table: Mapping[str, Sequence[float]]

    def __post_init__(self) -> None:
        numbers = [value for row in self.table.values() for value in row]
        if len({len(row) for row in self.table.values()}) != 1 or not numbers:
            msg = "odds need the same number of severity bins, at least one, for every family, and at least one family"
            raise SynthError(msg)
        if not all(0 <= value < float("inf") for value in numbers) or not any(numbers):
            msg = "odds must be finite numbers of at least 0, not all of them 0"
            raise SynthError(msg)


class Synthesizer:
    """Draws recipes and applies them.

    Args:
        families: Families to draw from, by name or as they are, equally often; None is all of them but those that need
            confirmed defects.
        flaws_per_image: Least and greatest number of flaws on an image.
        severity: Least and greatest severity, 0 (barely visible) to 1 (gross).
        odds: Of the families named; None draws all of them equally often and severities uniformly.

    Example:
        >>> synthesizer = Synthesizer(["crack", "blob"])
        >>> recipe = synthesizer.draw(torch.Generator().manual_seed(0), count=4)
        >>> images, masks = synthesizer.apply(torch.full((4, 1, 64, 64), 0.5), recipe)
        >>> images.shape, masks.shape
        (torch.Size([4, 1, 64, 64]), torch.Size([4, 1, 64, 64]))

    Raises:
        SynthError: If a family is unknown or named twice, the numbers make no range, or odds are of other families.
    """

    def __init__(
        self,
        families: Sequence[str | Family[Any]] | None = None,
        flaws_per_image: tuple[int, int] = (1, 3),
        severity: tuple[float, float] = (0.0, 1.0),
        odds: Odds | None = None,
    ) -> None:
        if families is not None and not families:
            msg = f"no flaw family is named; choose some of {', '.join(FAMILIES)}"
            raise SynthError(msg)
        if not 1 <= flaws_per_image[0] <= flaws_per_image[1]:
            msg = f"flaws per image must be a range from 1 upwards, not {flaws_per_image[0]}..{flaws_per_image[1]}"
            raise SynthError(msg)
        if not 0 <= severity[0] <= severity[1] <= 1:
            msg = f"severities must be a range within 0..1, not {severity[0]:g}..{severity[1]:g}"
            raise SynthError(msg)
        chosen = [family_class(f)() if isinstance(f, str) else f for f in families or ANYWHERE]
        self.families: dict[str, Family[Any]] = {family.name: family for family in chosen}
        if len(self.families) < len(chosen):
            msg = "a flaw family is named twice; use odds to draw it more often"
            raise SynthError(msg)
        self.flaws_per_image = flaws_per_image
        self.severity = severity
        self.odds = odds or Odds(dict.fromkeys(self.families, (1.0,)))
        if set(self.odds.table) != set(self.families):
            msg = f"odds are of {', '.join(sorted(self.odds.table))}; families are {', '.join(sorted(self.families))}"
            raise SynthError(msg)

    def draw(self, generator: Generator, count: int) -> Recipe:
        """Draw flaws for ``count`` images of whatever size; the same generator state gives the same recipe."""
        least, most = self.flaws_per_image
        numbers = torch.randint(least, most + 1, (count, 1), generator=generator)
        odds = torch.tensor([self.odds.table[name] for name in self.families], dtype=torch.float64)
        bins = odds.shape[1]
        drawn = torch.multinomial(odds.flatten(), count * most, replacement=True, generator=generator).view(count, most)
        place = (drawn % bins + torch.rand(count, most, generator=generator)) / bins
        severities = (self.severity[0] + (self.severity[1] - self.severity[0]) * place).numpy()
        of_family = torch.where(torch.arange(most) < numbers, drawn // bins, -1).numpy()
        names = list(self.families)
        groups: list[Group] = []
        # A family at a time, in an order drawn anew for each batch: few large groups are painted faster than many.
        for index in torch.randperm(len(names), generator=generator).tolist():
            chosen = of_family == index
            repeats = chosen.cumsum(axis=1) * chosen
            for repeat in range(1, int(repeats.max()) + 1):
                images, slots = np.nonzero(repeats == repeat)
                severity = torch.from_numpy(severities[images, slots])
                parameters = self.families[names[index]].draw(generator, len(images), severity)
                groups.append(Group(len(groups), names[index], images, parameters))
        return Recipe(count, tuple(groups))

    @staticmethod
    def apply(images: Tensor, recipe: Recipe, context: Context = NO_CONTEXT) -> tuple[Tensor, Tensor]:
        """Put the flaws of a recipe on a batch of good parts.

        Args:
            images: ``[B, C, H, W]``, float, 0..1, any device; sides of at least 8 pixels.
            recipe: For B images; of any families.
            context: Foreground, sources, textures and confirmed defects, all optional.

        Returns:
            The flawed images, and ``[B, 1, H, W]`` masks (0 or 1) of the pixels that visibly differ from the good ones.

        Raises:
            SynthError: If the images or the context cannot be used, or the recipe is for another number of images.
        """
        canvas = Canvas(images, context)
        if recipe.count != len(images):
            msg = f"the recipe is for {recipe.count} images, not for {len(images)}"
            raise SynthError(msg)
        for group in recipe.groups:
            canvas.paint(family_class(group.family)(), group.parameters, group.images)
        return canvas.finish()


def family_class(name: str) -> type[Family[Any]]:
    """Look a family up by its name.

    Raises:
        SynthError: If there is none of that name.
    """
    if name not in FAMILIES:
        msg = f"there is no flaw family {name!r}; choose some of {', '.join(FAMILIES)}"
        raise SynthError(msg)
    return FAMILIES[name]
