"""Muon, the optimiser of convolutions: a small network learns as much in far fewer steps (docs/detectors.md)."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

_QUINTIC = (3.4445, -4.7750, 2.0315)
"""Five rounds of it bring singular values from about 0.003 up to between 0.7 and 1.2 (Jordan et al., 2024)."""

_ROUNDS = 5

_SHARE = 0.6
"""Root mean square of an update as a share of the learning rate: 0.2 is AdamW's (Liu et al., 2025), and three times
that learns more in few steps (docs/detectors.md)."""


class Muon(torch.optim.Optimizer):
    """Moves a convolution by its momentum with all singular values brought to about one.

    K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024), with the scale and the weight
    decay of Liu et al. (2025, arXiv 2502.16982): ``w <- (1 - lr * decay) * w - lr * 0.6 * sqrt(max(m, n)) * U``, U
    being the nearest orthogonal matrix to Nesterov's momentum as an ``[m, n]`` matrix of outputs by all the rest.
    ``torch.optim.Muon`` takes matrices alone, and computes in bfloat16, which most processors emulate.

    Args:
        parameters: Tensors of two dimensions or more, the first one that of the outputs.
        lr: Learning rate; that of AdamW suits.
        momentum: Decay of the moving average of gradients.
        weight_decay: As AdamW's.

    Raises:
        ValueError: If a tensor has fewer than two dimensions.
    """

    def __init__(
        self, parameters: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.01
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.ndim < 2:
                    msg = f"Muon takes tensors of two dimensions or more, not {tuple(weight.shape)}"
                    raise ValueError(msg)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Move every weight that has a gradient; ``closure`` is not supported, and must be None."""
        assert closure is None
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                state["momentum"].lerp_(weight.grad, 1 - group["momentum"])
                ahead = weight.grad.lerp(state["momentum"], group["momentum"])
                update = orthogonalise(ahead.flatten(1))
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                scale = _SHARE * max(update.shape) ** 0.5
                weight.add_(update.view_as(weight), alpha=-group["lr"] * scale)


def orthogonalise(matrix: Tensor) -> Tensor:
    """Bring the singular values of ``[m, n]`` to about one, those that are next to nothing beside the largest excepted.

    The iteration of Newton and Schulz, ``X <- a X + b (X X') X + c (X X')^2 X``, on ``X X'`` alone, as the factors
    commute: two products with the long side in all, not fifteen.
    """
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide.float() / (torch.linalg.matrix_norm(wide.float()) + 1e-7)
    a, b, c = _QUINTIC
    gram = wide @ wide.T
    one = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    product = one
    for left in reversed(range(_ROUNDS)):
        factor = torch.addmm(a * one + b * gram, gram, gram, alpha=c)
        product = factor @ product
        if left:
            gram = factor @ gram @ factor
    found = product @ wide
    return (found if matrix.shape[0] <= matrix.shape[1] else found.T).to(matrix.dtype)
