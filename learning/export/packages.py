"""Whether what an export takes is installed; it is an optional part of the installation."""

from importlib.util import find_spec

from learning.errors import ExportError
from learning.export.record import Format, Precision
from learning.machine import installed_versions

PACKAGES = ("onnx", "onnxscript", "onnxruntime", "openvino", "nncf")
"""Of the optional part ``export`` of the installation."""

_TO_RUN = {Format.ONNX: ("onnxruntime",), Format.TENSORRT: ("onnxruntime",), Format.OPENVINO: ("openvino",)}
_TENSORRT = "TensorrtExecutionProvider"


def require_to_run(format: Format) -> None:  # noqa: A002
    """Refuse to run an exported model without what runs it.

    Raises:
        ExportError: Naming what is missing and how to install it.
    """
    _require(_TO_RUN[format], f"a model exported to {format}")
    if format is Format.TENSORRT and not has_tensorrt():
        msg = (
            "there is no TensorRT on this machine: it takes an NVIDIA GPU, TensorRT and onnxruntime-gpu; "
            "export with --format onnx or openvino to run on the CPU"
        )
        raise ExportError(msg)


def require_to_export(format: Format, precision: Precision) -> None:  # noqa: A002
    """Refuse an export that cannot be made here.

    Raises:
        ExportError: If the format has no such precision, or a package is missing.
    """
    if precision is Precision.INT8 and format is not Format.OPENVINO:
        msg = f"--precision int8 is made for --format openvino only; {format} is exported in fp32"
        raise ExportError(msg)
    _require(("onnx", "onnxscript"), "an export")
    require_to_run(format)
    if precision is Precision.INT8:
        _require(("nncf",), "an export in INT8")


def has_tensorrt() -> bool:
    """Whether ONNX Runtime finds a TensorRT to run models by."""
    if find_spec("onnxruntime") is None:
        return False
    import onnxruntime

    return _TENSORRT in onnxruntime.get_available_providers()


def tool_versions() -> dict[str, str]:
    """Versions of those packages that are installed."""
    return installed_versions(PACKAGES)


def _require(names: tuple[str, ...], what: str) -> None:
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        msg = f"{what} takes {', '.join(missing)}, not installed here; run make env, or install flawsmith[export]"
        raise ExportError(msg)
