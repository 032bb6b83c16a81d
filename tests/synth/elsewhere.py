"""A device that stands for a GPU where there is none: it works on the CPU, and refuses what a GPU would refuse."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from synth.families.base import Canvas

DEVICE = torch.device("meta")
"""What the tensors say that they are on; torch itself keeps nothing there, and asks for no driver."""

_MOVES = ("aten::_to_copy", "aten::copy_", "aten::to.device")
_INDEXED = ("aten::index.Tensor", "aten::index_put_", "aten::_index_put_impl_")
"""Take indices from the CPU too."""


class _There(Tensor):
    """A tensor that says it is on the device; what it holds is on the CPU."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "_There":
        looks = {"strides": held.stride(), "storage_offset": held.storage_offset(), "dtype": held.dtype}
        tensor: _There = torch.Tensor._make_wrapper_subclass(cls, held.shape, device=DEVICE, **looks)  # type: ignore[attr-defined]
        tensor.held = held
        return tensor

    @classmethod
    def __torch_dispatch__(cls, operation: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        msg = f"{operation} outside of the device"
        raise RuntimeError(msg)


class Elsewhere(TorchDispatchMode):
    """Within it ``DEVICE`` can be used.

    Attributes:
        calls: How often each operation was called there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def __torch_dispatch__(
        self, operation: Any, types: Any, arguments: Iterable[Any] = (), named: Mapping[str, Any] | None = None
    ) -> Any:
        given, name = (tuple(arguments), dict(named or {})), operation.name()
        tensors = [value for value in tree_leaves(given) if isinstance(value, Tensor)]
        there = [tensor for tensor in tensors if isinstance(tensor, _There)]
        here = [list(tensor.shape) for tensor in tensors if not isinstance(tensor, _There) and tensor.ndim]
        if there and here and name not in _MOVES + _INDEXED:
            msg = f"{name} was given tensors on the device and, of shapes {here}, on the CPU"
            raise RuntimeError(msg)
        wanted = [value for value in tree_leaves(given) if isinstance(value, torch.device)]
        stays = DEVICE in wanted if wanted else bool(there)
        self.calls[name] += stays
        held, named = tree_map(_on_cpu, given)
        found = operation(*held, **named)
        # What is written to in place is given back as it was given.
        written = {id(tensor.held): tensor for tensor in there}

        def wrap(value: Any) -> Any:
            return written.get(id(value), _There(value)) if isinstance(value, Tensor) else value

        return tree_map(wrap, found) if stays else found


def _on_cpu(value: Any) -> Any:
    """What an operation is given instead."""
    if isinstance(value, _There):
        return value.held
    return torch.device("cpu") if isinstance(value, torch.device) else value


@contextmanager
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[Elsewhere]:
    """Synthesis on ``DEVICE``; in inference mode, which tensors like these cannot be in, it records nothing either."""
    with monkeypatch.context() as patched, torch.no_grad(), Elsewhere() as mode:
        for name in ("paint", "_find_changes"):
            patched.setattr(Canvas, name, getattr(Canvas, name).__wrapped__)
        yield mode
