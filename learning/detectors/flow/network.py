"""A normalising flow over feature maps of three scales that see each other (Rudolph et al., WACV 2022), on FrEIA."""

from collections.abc import Iterable, Sequence

import torch
from FrEIA import framework, modules
from torch import Tensor, nn
from torch.nn import functional

SCALES = 3
"""Each is taken from the image at half the resolution of the one before."""

_CLAMP = 3.0
_ARCTAN = 0.636
"""Soft clamping by 0.636 arctan(s / α), nearly 2 / π, as in Real NVP's successors."""


class CrossScaleConvolutions(nn.Module):
    """What couples scales: a convolution of each scale, then of each with its finer and its coarser neighbour.

    Args:
        inputs: Channels of each scale that comes in.
        hidden: Channels in between.
        outputs: Channels of each scale that goes out.
        kernel: Side of the convolutions.

    Shape:
        Three maps ``[B, inputs, h_i, w_i]`` to three ``[B, outputs, h_i, w_i]``.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, kernel: int) -> None:
        super().__init__()
        pad = kernel // 2
        self.first = nn.ModuleList(nn.Conv2d(inputs, hidden, kernel, padding=pad) for _ in range(SCALES))
        self.same = nn.ModuleList(nn.Conv2d(hidden, outputs, kernel, padding=pad) for _ in range(SCALES))
        self.down = nn.ModuleList(nn.Conv2d(hidden, outputs, 3, padding=1, stride=2) for _ in range(SCALES - 1))
        self.up = nn.ModuleList(nn.Conv2d(hidden, outputs, 3, padding=1) for _ in range(SCALES - 1))
        # With gains of zero every coupling starts as the identity, and the flow as a Gaussian.
        self.gain = nn.Parameter(torch.zeros(SCALES))

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """The finest scale first."""
        hidden = [functional.leaky_relu(first(level), 0.1) for first, level in zip(self.first, levels, strict=True)]
        out = []
        for i in range(SCALES):
            size = hidden[i].shape[-2:]
            total = self.same[i](hidden[i])
            if i > 0:
                total = total + _resized(self.down[i - 1](hidden[i - 1]), size)
            if i < SCALES - 1:
                total = total + _resized(self.up[i](hidden[i + 1]), size)
            out.append(total * self.gain[i])
        return out


class CrossScaleCoupling(modules.InvertibleModule):
    """Affine coupling of all scales at once, after a fixed permutation of the channels.

    With x cut into halves (x1, x2) at every scale, and s, t from cross-scale convolutions of the other half,

        y1 = x1 exp s(x2) + t(x2)        y2 = x2 exp s(y1) + t(y1)

    Args:
        dims_in: ``(D, h_i, w_i)`` of each scale.
        dims_c: None; what the flow depends on.
        hidden: Channels within the convolutions.
        kernel: Side of the convolutions.
        seed: Of the permutation.
    """

    order: Tensor

    def __init__(
        self, dims_in: Sequence[tuple[int, ...]], dims_c: None = None, *, hidden: int, kernel: int, seed: int
    ) -> None:
        super().__init__(dims_in, dims_c)
        width = dims_in[0][0]
        self.cut = width // 2
        self.register_buffer("order", torch.randperm(width, generator=torch.Generator().manual_seed(seed)))
        self.from_second = CrossScaleConvolutions(width - self.cut, hidden, 2 * self.cut, kernel)
        self.from_first = CrossScaleConvolutions(self.cut, hidden, 2 * (width - self.cut), kernel)

    def forward(
        self, x_or_z: Iterable[Tensor], c: object = None, rev: bool = False, jac: bool = True
    ) -> tuple[list[Tensor], Tensor]:
        """Three maps to three maps, and the logarithm of the determinant ``[B]``."""
        if rev:
            return self._back(list(x_or_z))
        halves = [self._halves(level[:, self.order]) for level in x_or_z]
        first, gained = _transform([one for one, _ in halves], self.from_second([two for _, two in halves]))
        second, gained_too = _transform([two for _, two in halves], self.from_first(first))
        return _joined(first, second), gained + gained_too

    def _back(self, levels: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        halves = [self._halves(level) for level in levels]
        second, lost = _undo([two for _, two in halves], self.from_first([one for one, _ in halves]))
        first, lost_too = _undo([one for one, _ in halves], self.from_second(second))
        return [level[:, self.order.argsort()] for level in _joined(first, second)], lost + lost_too

    def _halves(self, level: Tensor) -> tuple[Tensor, Tensor]:
        return level[:, : self.cut], level[:, self.cut :]

    def output_dims(self, input_dims: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """As they come in."""
        return input_dims


class CrossScaleFlow(nn.Module):
    """Coupling blocks one after another.

    Args:
        dims: ``(D, h_i, w_i)`` of each of the three scales, the finest first.
        blocks: How many.
        hidden: Channels within their convolutions.
        seed: Of the permutations.
    """

    def __init__(self, dims: Sequence[tuple[int, int, int]], blocks: int, hidden: int, seed: int = 0) -> None:
        super().__init__()
        inputs = [framework.InputNode(*size, name=f"scale {i}") for i, size in enumerate(dims)]
        nodes = list(inputs)
        outputs = [node.out0 for node in inputs]
        for block in range(blocks):
            # Wider windows in the last block, as in the paper.
            options = {"hidden": hidden, "kernel": 5 if block == blocks - 1 else 3, "seed": seed + block}
            node = framework.Node(outputs, CrossScaleCoupling, options, name=f"block {block}")
            nodes.append(node)
            outputs = [getattr(node, f"out{i}") for i in range(SCALES)]
        nodes += [framework.OutputNode(out, name=f"out {i}") for i, out in enumerate(outputs)]
        self.graph = framework.GraphINN(nodes)

    def forward(self, levels: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Feature maps to latent maps of the same sizes, and the logarithm of the determinant ``[B]``."""
        latent, gained = self.graph(list(levels))
        return list(latent), gained

    def inverse(self, latent: Sequence[Tensor]) -> list[Tensor]:
        """Feature maps that latent maps come from."""
        levels, _ = self.graph(list(latent), rev=True)
        return list(levels)


def negative_log_likelihood(latent: Sequence[Tensor], gained: Tensor, dimensions: int) -> Tensor:
    """``(|z|² / 2 - log |det J|) / dimensions``, the mean over a batch; the constant is left out."""
    energy = sum(level.square().flatten(1).sum(dim=1) for level in latent)
    return ((0.5 * energy - gained) / dimensions).mean()


def _scales(raw: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Logarithms of the factors, softly clamped, and shifts."""
    pairs = [level.float().chunk(2, dim=1) for level in raw]
    return [(_CLAMP * _ARCTAN * torch.atan(s / _CLAMP), t) for s, t in pairs]


def _transform(levels: list[Tensor], raw: list[Tensor]) -> tuple[list[Tensor], Tensor]:
    pairs = _scales(raw)
    out = [level * s.exp() + t for level, (s, t) in zip(levels, pairs, strict=True)]
    return out, torch.stack([s.flatten(1).sum(dim=1) for s, _ in pairs]).sum(dim=0)


def _undo(levels: list[Tensor], raw: list[Tensor]) -> tuple[list[Tensor], Tensor]:
    pairs = _scales(raw)
    out = [(level - t) * (-s).exp() for level, (s, t) in zip(levels, pairs, strict=True)]
    return out, -torch.stack([s.flatten(1).sum(dim=1) for s, _ in pairs]).sum(dim=0)


def _joined(first: list[Tensor], second: list[Tensor]) -> list[Tensor]:
    return [torch.cat(pair, dim=1) for pair in zip(first, second, strict=True)]


def _resized(features: Tensor, size: torch.Size) -> Tensor:
    if features.shape[-2:] == size:
        return features
    return functional.interpolate(features, list(size), mode="bilinear", align_corners=False)
