"""The file that a detector keeps its weights in."""

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

_FILE = "weights.safetensors"


def write_weights(folder: Path, arrays: Mapping[str, Tensor]) -> None:
    """Write ``weights.safetensors``: a network's state, and what else was learnt, by name."""
    save_file({name: value.contiguous() for name, value in arrays.items()}, folder / _FILE)


def read_weights(folder: Path, device: str) -> dict[str, Tensor]:
    """Read what ``write_weights`` wrote.

    Raises:
        OSError: If there is no such file.
        SafetensorError: If it is damaged.
    """
    return load_file(folder / _FILE, device=device)


def restore(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give a network its state, to predict with.

    Raises:
        RuntimeError: If the state is another network's.
    """
    network.load_state_dict(state)
    network.eval()
