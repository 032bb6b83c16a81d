"""Good parts as points of a linear subspace: what a part would look like if it were good, as it lies and is lit.

Turk and Pentland (1991), Eigenfaces for recognition; Murase and Nayar (1995), Visual learning and recognition of
3-D objects from appearance: what turns, rolls or is lit from another side moves within few dimensions. A matt surface
under any one light needs three (Shashua, 1997), a pattern that slides along a part two, sine and cosine.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_NUMBERS = (0, 2, 4, 8, 16)
"""Dimensions that are tried."""

_AS_GOOD = 1.03
"""Fewer dimensions are taken that leave so many times the least of what good parts differ by."""

_FOLDS = 4
_MOST_VALUES = 12_000_000
"""Of all directions together: a subspace is stored with every model."""

_LEAST = 1e-12


@dataclass(frozen=True)
class Subspace:
    """Mean and directions.

    Attributes:
        mean: ``[...]``, of a part.
        directions: ``[q, ...]``, orthonormal; q may be 0.
    """

    mean: Tensor
    directions: Tensor

    def nearest(self, parts: Tensor) -> Tensor:
        """The point of the subspace that is nearest to each part: ``[B, ...]`` to ``[B, ...]``."""
        if not len(self.directions):
            return self.mean.expand_as(parts)
        base, differing = self.directions.flatten(1), (parts - self.mean).flatten(1)
        if torch.compiler.is_exporting():
            base = base.expand(len(parts), -1, -1)
            found = torch.bmm(torch.bmm(differing[:, None], base.transpose(1, 2)), base)
        else:
            # One by one: a product of a batch depends on how many it has, in its last bits.
            found = torch.stack([torch.mv(base.T, torch.mv(base, one)) for one in differing])
        return self.mean + found.view_as(parts)

    def to(self, device: str) -> "Subspace":
        """The same on a device."""
        return Subspace(self.mean.to(device), self.directions.to(device))


@dataclass(frozen=True)
class Apart:
    """Subspaces that leave parts out, for those parts: they would know them by heart.

    Attributes:
        subspaces: Of the folds.
        folds: ``[N]``, the fold of each part; -1 for those that no subspace knows.
    """

    subspaces: Sequence[Subspace]
    folds: Tensor

    def nearest(self, whole: Subspace, parts: Tensor, which: Tensor) -> Tensor:
        """As ``Subspace.nearest``, for parts ``[B, ...]`` whose numbers are ``[B]``; -1 for others."""
        found = torch.empty_like(parts)
        folds = torch.where(which >= 0, self.folds[which], -1)
        for fold in folds.unique().tolist():
            rows = (folds == fold).nonzero()[:, 0].to(parts.device)
            found[rows] = (whole if fold < 0 else self.subspaces[fold]).nearest(parts[rows])
        return found


def fit_subspace(parts: Tensor, groups: Sequence[str]) -> tuple[Subspace, Sequence[Subspace], Tensor, Tensor]:
    """Choose the number of dimensions by parts that are left out in turn, and fit.

    All that is left to choose is worked out from the products of the parts with each other.

    Args:
        parts: ``[n, ...]``; centred in place.
        groups: Of each part: those of one group are left out together.

    Returns:
        The subspace, those of the folds (none of a single group), the fold of each part ``[n]``, and the mean square of
        what is left of parts that were left out, ``[...]``.
    """
    count, shape = len(parts), parts.shape[1:]
    numbered = {group: i for i, group in enumerate(dict.fromkeys(groups))}
    mean = parts.mean(dim=0, dtype=torch.float64).float()
    parts -= mean
    flat = parts.flatten(1)
    folds = torch.tensor([numbered[group] % _FOLDS for group in groups])
    if len(numbered) < 2:
        return Subspace(mean, flat[:0].view(0, *shape)), [], torch.full_like(folds, -1), torch.zeros(shape)
    products = (flat @ flat.T).double()
    numbers = [number for number in _NUMBERS if number * flat.shape[1] <= _MOST_VALUES] or [0]
    left = torch.zeros(len(numbers), dtype=torch.float64)
    for fold in folds.unique():
        left += _left_out(products, folds != fold, numbers)
    left = left.clamp_min(0)  # of parts that are all the same, rounding errors are left
    number = next(
        one for one, value in zip(numbers, left.tolist(), strict=True) if value <= _AS_GOOD * float(left.min())
    )
    squares = torch.zeros(shape, dtype=torch.float64)
    subspaces = []
    for fold in folds.unique():
        one = _fitted(flat[folds != fold], products[folds != fold][:, folds != fold], number, shape)
        others = parts[folds == fold]
        squares += (others - one.nearest(others)).double().square().sum(dim=0)
        subspaces.append(Subspace(mean + one.mean, one.directions))
    whole = _fitted(flat, products, number, shape)
    return Subspace(mean, whole.directions), subspaces, folds, (squares / count).float()


def _left_out(products: Tensor, known: Tensor, numbers: Sequence[int]) -> Tensor:
    """Squares that are left of the parts that are not known, for each number of dimensions."""
    inner, across = products[known][:, known], products[~known][:, known]
    grand, means = inner.mean(), inner.mean(dim=0)
    values, vectors = _eigen(inner)
    along = (across - across.mean(dim=1, keepdim=True) - means + grand) @ vectors / values.sqrt()
    squares = products.diagonal()[~known] - 2 * across.mean(dim=1) + grand
    return torch.stack([(squares - along[:, :number].square().sum(dim=1)).sum() for number in numbers])


def _eigen(inner: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, the highest first, and vectors of products of parts, once these are centred."""
    centred = inner - inner.mean(dim=0) - inner.mean(dim=1, keepdim=True) + inner.mean()
    values, vectors = torch.linalg.eigh(centred)
    values, vectors = values.flip(0)[:-1], vectors.flip(1)[:, :-1]
    kept = values > _LEAST * values.sum().clamp_min(_LEAST)
    return values[kept], vectors[:, kept]


def _fitted(flat: Tensor, inner: Tensor, number: int, shape: torch.Size) -> Subspace:
    values, vectors = _eigen(inner)
    mean = flat.mean(dim=0)
    weights = (vectors[:, :number] / values[:number].sqrt()).float()
    # The weights of a direction sum to zero, so that the mean need not be taken off. Stored in 16 bits.
    directions = (weights.T @ flat).half().float()
    return Subspace(mean.view(shape), directions.view(-1, *shape))
