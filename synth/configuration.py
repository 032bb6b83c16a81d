"""Configurations from YAML files, validated, with errors that name the file, the key and what is allowed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from synth.errors import SynthError

M = TypeVar("M", bound=BaseModel)


def read_config(path: Path, model: type[M]) -> M:
    """Read a configuration.

    Args:
        path: A YAML file with the keys of ``model``; an empty one means all defaults. Validators find its folder as
            ``info.context["folder"]``.
        model: What it must fit.

    Raises:
        SynthError: Naming the file, the key and what is allowed.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        msg = f"{path} does not exist; configurations are in configs/"
        raise SynthError(msg) from error
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        msg = f"{path} is not YAML: {' '.join(str(error).split())}"
        raise SynthError(msg) from error
    if content is not None and not isinstance(content, dict):
        msg = f"{path} must hold keys and values; keys are {', '.join(model.model_fields)}"
        raise SynthError(msg)
    try:
        return model.model_validate(content or {}, context={"folder": path.parent})
    except ValidationError as error:
        msg = f"{path}: {describe(error, model)}"
        raise SynthError(msg) from error


def describe(error: ValidationError, model: type[BaseModel], prefix: str = "") -> str:
    """Say in one line which keys are wrong and what is allowed."""
    lines = []
    for wrong in error.errors():
        key = prefix + ".".join(str(step) for step in wrong["loc"])
        text = wrong["msg"].removeprefix("Value error, ")
        if wrong["type"] == "extra_forbidden":
            beside = prefix + "".join(f"{step}." for step in wrong["loc"][:-1])
            fields = ", ".join(beside + name for name in _model_at(model, wrong["loc"][:-1]).model_fields)
            lines.append(f"{key} is not a key; keys are {fields}")
        elif wrong["type"] == "value_error" and isinstance(wrong["input"], dict):
            lines.append(f"{key}: {text}" if key else text)
        else:
            lines.append(f"{key} is {wrong['input']!r}: {text}")
    return "; ".join(lines)


def _model_at(model: type[BaseModel], steps: Sequence[int | str]) -> type[BaseModel]:
    """The model that a place in a configuration belongs to; containers and options are looked through."""
    for step in steps:
        field = model.model_fields.get(str(step))
        if field is not None:
            model = _model_in(field.annotation) or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _model_in(inner))), None)
