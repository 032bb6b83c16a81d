"""Structural similarity of two images, place by place."""

from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

_DEVIATION, _RADIUS = 1.5, 5
_C1, _C2 = 0.01**2, 0.03**2


def structural_similarity(one: Tensor, other: Tensor) -> Tensor:
    """How alike two images are around each place (SSIM, Wang et al. 2004, equation 13), the mean over channels.

    Mean, variance and covariance are weighted by a Gaussian of 1.5 pixels in a window of 11 × 11, as there; windows at
    the edges see what is reflected.

    Args:
        one: ``[B, C, h, w]``, 0..1; h and w above 5.
        other: The same.

    Returns:
        ``[B, h, w]``, -1..1; 1 where they are equal.
    """

    def local(values: Tensor) -> Tensor:
        return gaussian_blur(values, [2 * _RADIUS + 1] * 2, [_DEVIATION] * 2)

    mean, mean_other = local(one), local(other)
    variance = local(one.square()) - mean.square()
    variance_other = local(other.square()) - mean_other.square()
    covariance = local(one * other) - mean * mean_other
    alike = (2 * mean * mean_other + _C1) * (2 * covariance + _C2)
    return (alike / ((mean.square() + mean_other.square() + _C1) * (variance + variance_other + _C2))).mean(dim=1)
