"""Runs an exported graph, one image at a time: maps take little memory, and a batch gives what its images give."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from learning.errors import ExportError
from learning.export.graph import INPUT, ONNX_FILE, OPENVINO_FILE, OUTPUTS, openvino_core, read_openvino
from learning.export.packages import require_to_run
from learning.export.record import Format
from learning.images.preprocessing import Preprocessing

Floats = NDArray[np.float32]
Runtime = Callable[[Floats], tuple[Floats, Floats, Floats]]
"""``[1, C, h, w]`` to scores ``[1]``, maps ``[1, h, w]`` and embeddings ``[1, D]``."""

_PROVIDERS = {
    Format.ONNX: ["CPUExecutionProvider"],
    Format.TENSORRT: ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"],
}


def open_runtime(folder: Path, format: Format, preprocessing: Preprocessing, threads: int) -> Runtime:  # noqa: A002
    """Load the model that lies in a folder.

    Args:
        folder: With ``model.onnx``, or with ``model.xml`` and ``model.bin``.
        format: What runs it.
        preprocessing: Says how large images are.
        threads: To compute with.

    Raises:
        ExportError: If what runs it is not installed, or cannot read the file.
    """
    require_to_run(format)
    try:
        if format is Format.OPENVINO:
            return _openvino(folder / OPENVINO_FILE, preprocessing, threads)
        return _onnxruntime(folder / ONNX_FILE, _PROVIDERS[format], threads)
    except _errors(format) as error:
        first = str(error).strip().splitlines()[0]
        msg = f"{folder} cannot be run by the {format} that is installed here ({first}); export the bundle again"
        raise ExportError(msg) from error


def _openvino(file: Path, preprocessing: Preprocessing, threads: int) -> Runtime:
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        # By itself it takes bfloat16 where the processor has it: scores would depend on the machine.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled = openvino_core().compile_model(read_openvino(file, preprocessing), "CPU", settings)

    def run(images: Floats) -> tuple[Floats, Floats, Floats]:
        found = compiled(images)
        scores, maps, embeddings = (np.array(found[name]) for name in OUTPUTS)
        return scores, maps, embeddings

    return run


def _onnxruntime(file: Path, providers: list[str], threads: int) -> Runtime:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(file, options, providers=providers)

    def run(images: Floats) -> tuple[Floats, Floats, Floats]:
        scores, maps, embeddings = session.run(OUTPUTS, {INPUT: images})
        return scores, maps, embeddings

    return run


def _errors(format: Format) -> tuple[type[Exception], ...]:  # noqa: A002
    """What a runtime raises at a file that it cannot read."""
    if format is Format.OPENVINO:
        return (RuntimeError,)
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return (state.Fail, state.InvalidGraph, state.InvalidProtobuf, state.NoSuchFile, state.NotImplemented)
