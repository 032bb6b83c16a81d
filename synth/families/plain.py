"""Parameters of flaws as plain data, for recipes and manifests."""

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from synth.errors import SynthError
from synth.noise import Numbers

if TYPE_CHECKING:
    from synth.masks import FlawParameters

P = TypeVar("P", bound="FlawParameters")


def to_plain(parameters: Any, row: int) -> dict[str, Any]:
    """Parameters of one image as numbers and lists, fit for JSON; float32 survives exactly."""
    return {f.name: getattr(parameters, f.name)[row].tolist() for f in fields(parameters)}


def from_plain(parameters_class: type[P], rows: Sequence[dict[str, Any]]) -> P:
    """Parameters back from ``to_plain``, a row for each.

    Raises:
        SynthError: If a row has other names than the parameters have.
    """
    names = [f.name for f in fields(parameters_class)]
    for row in rows:
        if set(row) != set(names):
            msg = f"{parameters_class.__name__} need {', '.join(names)}, not {', '.join(sorted(row))}"
            raise SynthError(msg)
    return parameters_class(**{name: _single(np.array([row[name] for row in rows])) for name in names})


def _single(values: Numbers) -> Numbers:
    """Parameters that are no whole numbers are kept in single precision."""
    return values.astype(np.float32) if values.dtype == np.float64 else values
