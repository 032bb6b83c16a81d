"""From a detector's module to files that other runtimes read: traced once, to ONNX, and from there on."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from learning.detectors.base import Traceable
from learning.errors import ExportError
from learning.images.preprocessing import Preprocessing

if TYPE_CHECKING:
    import openvino

INPUT = "images"
OUTPUTS = ("scores", "maps", "embeddings")
ONNX_FILE = "model.onnx"
OPENVINO_FILE = "model.xml"


def write_onnx(module: Traceable, preprocessing: Preprocessing, folder: Path) -> Path:
    """Trace a module and write it as ONNX, weights included.

    Args:
        module: From ``Detector.exportable``, on the CPU.
        preprocessing: Says how large its images are.
        folder: For ``model.onnx``.

    Returns:
        The file, of one image at a time, which is quickest: ``images`` ``[1, C, h, w]`` to ``scores`` ``[1]``, ``maps``
        ``[1, h, w]`` and ``embeddings`` ``[1, D]``.

    Raises:
        ExportError: If it does something that ONNX cannot say.
    """
    from torch.onnx import OnnxExporterError

    # Of one image: with their number left open, the exporter writes that of the example into some resizings still.
    example = torch.rand(1, preprocessing.channels, preprocessing.height, preprocessing.width)
    try:
        with warnings.catch_warnings(), quiet("torch.onnx", "torch.export", "onnxscript"):
            warnings.simplefilter("ignore")  # of the exporter's own code; what counts is compared afterwards
            program = torch.onnx.export(
                module,
                (example,),
                dynamo=True,
                input_names=[INPUT],
                output_names=list(OUTPUTS),
                verbose=False,
                optimize=False,  # what runs it does that itself, far sooner
            )
    except OnnxExporterError as error:
        first = str(error).strip().splitlines()[0]
        msg = f"this detector cannot be traced to ONNX ({first}); score with the bundle"
        raise ExportError(msg) from error
    assert program is not None
    file = folder / ONNX_FILE
    program.save(file, external_data=False)
    return file


@lru_cache(maxsize=1)
def openvino_core() -> "openvino.Core":
    """OpenVINO, once for the process.

    Each core that loads the processor's plugin puts a stack for signals in the place of the one before, and puts that
    back when it ends, whether it is still there or not. Where cores ended in the order in which they began, the next
    signal, a Ctrl-C for one, was a segmentation fault.
    """
    import openvino

    return openvino.Core()


def read_openvino(file: Path, preprocessing: Preprocessing) -> "openvino.Model":
    """Read ONNX or OpenVINO's own format as a model of one image, ``[1, C, h, w]``.

    Normalisations become part of the convolutions before them, as quantisation corrects biases of convolutions only.
    """
    from openvino._offline_transformations import apply_moc_transformations

    model = openvino_core().read_model(file)
    model.reshape([1, preprocessing.channels, preprocessing.height, preprocessing.width])
    # What openvino.convert_model does too; but that function reports each use to its makers.
    apply_moc_transformations(model, cf=False, smart_reshape=False)
    return model


def write_openvino(model: "openvino.Model", folder: Path) -> Path:
    """Write ``model.xml`` and ``model.bin``; FP32 stays FP32."""
    import openvino

    file = folder / OPENVINO_FILE
    openvino.save_model(model, file, compress_to_fp16=False)
    return file


@contextmanager
def quiet(*names: str) -> Iterator[None]:
    """Silence loggers that report every step of a conversion as if it were news."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
