"""Makes backbones. Nothing is fetched unless pretrained weights are asked for."""

import hashlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import timm
import torch
from huggingface_hub import hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from learning.backbones.config import BackboneConfig, Origin
from learning.errors import ConfigError

_HUB_FILE = "model.safetensors"
_HUB_SECONDS = 5.0
_HUB_ERRORS: tuple[type[BaseException], ...] = (*HfHubHTTPError.__bases__, LocalEntryNotFoundError, OSError, ValueError)
"""The bases are those of the HTTP client that the hub's own client uses, whichever that is."""


@dataclass(frozen=True)
class Backbone:
    """A network and what is known of it.

    Attributes:
        network: ``[B, C, h, w]`` images, 0..1, to a list of feature maps ``[B, D, h / r, w / r]``, one for each level.
        channels: D of each level.
        reductions: r of each level.
        origin: Where its weights come from.
        sha256: Of the file of weights it started from; None when they were drawn.
    """

    network: nn.Module
    channels: tuple[int, ...]
    reductions: tuple[int, ...]
    origin: Origin
    sha256: str | None


class _Normalised(nn.Module):
    """A network that is fed as its weights expect it."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean[:, None, None], persistent=False)
        self.register_buffer("deviation", deviation[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """``[B, C, h, w]``, 0..1, to feature maps."""
        features: list[Tensor] = self.network((images - self.mean) / self.deviation)
        return features


def create_backbone(config: BackboneConfig, in_channels: int, seed: int) -> Backbone:
    """Make a backbone with its weights.

    Args:
        config: Which, and whence its weights.
        in_channels: 1 (grey: the first layer's weights are summed over the colours) or 3.
        seed: Of weights that are drawn at random.

    Raises:
        ConfigError: If the name is unknown, the file missing, of another network or not as its checksum says, or
            pretrained weights cannot be had.
    """
    if config.weights is Origin.SCRATCH:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return bare_backbone(config, in_channels)
    file = _hub_file(config.name) if config.file is None else config.file
    sha256 = _checked_sha256(file, config.sha256)
    return _build(config, in_channels, file, sha256)


def bare_backbone(config: BackboneConfig, in_channels: int) -> Backbone:
    """The network alone, whatever its weights are, for those that are loaded over it afterwards.

    Raises:
        ConfigError: If the name is unknown or has no such levels.
    """
    return _build(config, in_channels, None, None)


def _build(config: BackboneConfig, in_channels: int, file: Path | None, sha256: str | None) -> Backbone:
    _refuse_unknown(config.name)
    try:
        network = timm.create_model(
            config.name,
            pretrained=file is not None,
            # timm loads a given file as it loads its own: the classifier dropped, colours summed for grey images.
            pretrained_cfg_overlay={"file": str(file)} if file else None,
            features_only=True,
            out_indices=config.levels,
            in_chans=in_channels,
        )
    except (IndexError, AssertionError) as error:
        msg = f"backbone {config.name!r} has no levels {config.levels}; try (2, 3)"
        raise ConfigError(msg) from error
    except (RuntimeError, SafetensorError) as error:
        msg = f"{file} does not fit backbone {config.name!r}: {str(error).splitlines()[0]}"
        raise ConfigError(msg) from error
    defaults: Any = network.pretrained_cfg
    information: Any = network.feature_info
    mean, deviation = torch.tensor(defaults["mean"]), torch.tensor(defaults["std"])
    if in_channels == 1:
        mean, deviation = mean.mean(dim=0, keepdim=True), deviation.mean(dim=0, keepdim=True)
    return Backbone(
        network=_Normalised(network, mean, deviation),
        channels=tuple(information.channels()),
        reductions=tuple(information.reduction()),
        origin=config.weights,
        sha256=sha256,
    )


def _refuse_unknown(name: str) -> None:
    if not timm.is_model(name):
        near = timm.list_models(f"*{name.split('.')[0]}*")[:5] or timm.list_models("resnet*")[:5]
        msg = f"timm has no model {name!r}; it has, for example, {', '.join(near)}"
        raise ConfigError(msg)


def _checked_sha256(file: Path, expected: str | None) -> str:
    if not file.is_file():
        msg = f"no file of weights at {file}; give the path of a safetensors state dict"
        raise ConfigError(msg)
    try:
        # Opening reads the header only. Formats that can run code when they are loaded are refused here.
        with safe_open(file, framework="pt"):
            pass
    except SafetensorError as error:
        msg = f"{file} is no safetensors file ({error}); save the state dict with safetensors.torch.save_file"
        raise ConfigError(msg) from error
    with file.open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    if expected not in (None, sha256):
        msg = f"{file} has SHA-256 {sha256}, not {expected}; it is another file, or damaged"
        raise ConfigError(msg)
    return sha256


def _hub_file(name: str) -> Path:
    """The file of pretrained weights, from the local cache or else from the hub."""
    _refuse_unknown(name)
    defaults = timm.get_pretrained_cfg(name)
    repository = defaults.hf_hub_id if defaults else None
    if not repository:
        msg = f"backbone {name!r} has no pretrained weights; choose another, or set `weights: scratch`"
        raise ConfigError(msg)
    cached = try_to_load_from_cache(repository, _HUB_FILE)
    if isinstance(cached, str):
        return Path(cached)
    advice = (
        f"pretrained weights of {name!r} cannot be fetched; set `weights: file` with a safetensors file brought along, "
        "or `weights: scratch`"
    )
    try:
        _reach_hub()
        return Path(hf_hub_download(repository, _HUB_FILE))
    except _HUB_ERRORS as error:
        msg = f"{advice} ({type(error).__name__})"
        raise ConfigError(msg) from error


def _reach_hub() -> None:
    """Fail at once where there is no network: the hub's client retries for most of a minute before it gives up.

    Raises:
        OSError: Neither the hub nor the proxy in front of it accepts a connection.
        ValueError: The address of one of them is none.
    """
    hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    scheme = urlsplit(hub).scheme
    name = urlsplit(hub).hostname or ""
    proxy = "" if proxy_bypass(name) else getproxies().get(scheme, "")
    address = urlsplit(proxy or hub)
    port = address.port or (443 if address.scheme == "https" else 80)
    socket.create_connection((address.hostname or "", port), timeout=_HUB_SECONDS).close()
