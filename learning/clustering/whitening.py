"""Principal components of unit variance: distances in them are Mahalanobis distances of what is kept."""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import Tensor


@dataclass(frozen=True)
class Whitening:
    """An affine map into principal components.

    Attributes:
        mean: ``[D]``.
        axes: ``[d, D]`` principal axes, each divided by the deviation along it; the widest first.
    """

    mean: Tensor
    axes: Tensor

    def apply(self, rows: Tensor) -> Tensor:
        """``[N, D]`` to ``[N, d]``."""
        return (rows - self.mean) @ self.axes.T


def fit_whitening(rows: Tensor, dimensions: int) -> Whitening:
    """Find the principal components of rows.

    Args:
        rows: ``[N, D]``.
        dimensions: d, at most; fewer where there are fewer rows or dimensions, or some of them never vary.
    """
    wanted = min(dimensions, *rows.shape)
    found = PCA(wanted, svd_solver="full" if len(rows) < rows.shape[1] else "covariance_eigh").fit(
        rows.double().numpy()
    )
    deviation = np.sqrt(np.maximum(found.explained_variance_, 0))
    # What hardly varies is rounding: divided by its deviation it would drown the rest.
    real = deviation > 1e-4 * max(deviation.max(), 1e-12)
    axes = found.components_[real] / deviation[real, None]
    return Whitening(torch.from_numpy(found.mean_).float(), torch.from_numpy(axes).float())
