"""INT8 by post-training quantisation (NNCF), of the network alone."""

import io
import logging
import os
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from learning.export.graph import quiet

if TYPE_CHECKING:
    import openvino

_CONVOLUTIONS = frozenset({"Convolution", "GroupConvolution", "ConvolutionBackpropData"})
_LAYERS = _CONVOLUTIONS | {"MatMul"}
"""Operations with weights: what INT8 makes faster."""

_MOST = 127  # of 8 bits with a sign

_MOVING = frozenset({"Reshape", "Transpose"})
"""What only moves values: ranges are passed through it, so that it moves 8 bits."""


def quantise(model: "openvino.Model", images: Iterable[Tensor]) -> "openvino.Model":
    """Bring the layers of a network to INT8, by the ranges that they take on some images.

    Weights are symmetric and by channel, activations asymmetric; biases are corrected for the rounding (NNCF's
    MinMax and FastBiasCorrection). What comes before the first layer and after the last stays in FP32: variances and
    probabilities are lost in 256 steps. Ranges are the widest that any image takes, not a mean over them: what speaks
    of a flaw is rare, and would be clipped.

    Args:
        model: Of one image, ``[1, C, h, w]``.
        images: Good training parts, and some with flaws, ``[C, h, w]`` each; see docs/export.md.
    """
    nncf = _import_nncf()
    _settle_shapes(model)
    outside = outside_of_layers(model)
    widest = nncf.quantization.range_estimator.RangeEstimatorParametersSet.MINMAX
    examples = nncf.Dataset([image[None].numpy() for image in images])
    with redirect_stdout(io.StringIO()):  # where it draws bars of its own
        quantised: openvino.Model = nncf.quantize(
            model,
            examples,
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=examples.get_length(),
            ignored_scope=nncf.IgnoredScope(names=outside, validate=False),
            advanced_parameters=nncf.AdvancedQuantizationParameters(activations_range_estimator_params=widest),
        )
    for operation in quantised.get_ordered_ops():
        if operation.get_type_name() == "MatMul" and operation.get_friendly_name() in outside:
            store_in_8_bits(operation)
    return quantised


def outside_of_layers(model: "openvino.Model") -> list[str]:
    """Names of the operations that do not lie between two layers with weights.

    A product before the first convolution is no layer: it finds what a good part would look like, and the little that
    a part differs from that by would be lost.
    """
    operations = model.get_ordered_ops()  # inputs before what takes them
    convolutions = {one.get_friendly_name() for one in operations if one.get_type_name() in _CONVOLUTIONS}
    convolving = _reached(operations, convolutions)
    layers = {
        operation.get_friendly_name()
        for operation in operations
        if operation.get_type_name() in _LAYERS
        and (operation.get_type_name() != "MatMul" or not convolving or operation.get_friendly_name() in convolving)
    }
    after = _reached(operations, layers)
    before: set[str] = set()
    for operation in reversed(operations):
        targets = {
            i.get_node().get_friendly_name() for output in operation.outputs() for i in output.get_target_inputs()
        }
        if targets & (before | layers):
            before.add(operation.get_friendly_name())
    between = (after & before) | layers
    return [
        operation.get_friendly_name()
        for operation in operations
        if operation.get_type_name() not in {"Constant", "Parameter", "Result"} | _MOVING
        and operation.get_friendly_name() not in between
    ]


def _settle_shapes(model: "openvino.Model") -> None:
    """Write shapes out: else weights are kept in FP32 beside INT8, to ask them for theirs."""
    from openvino import opset13 as opset
    from openvino.passes import ConstantFolding, Manager

    for operation in model.get_ops():
        if operation.get_type_name() == "ShapeOf":
            shape = opset.constant(list(operation.get_input_shape(0)), operation.get_output_element_type(0))
            operation.output(0).replace(shape.output(0))
    folding = Manager()
    folding.register_pass(ConstantFolding())
    folding.run_passes(model)


def store_in_8_bits(product: "openvino.Node") -> None:
    """Keep the constant that a product is with in 8 bits, with a scale for each value that comes of it.

    The product itself stays in FP32. It takes most of its time to read the constant.
    """
    from openvino import opset13 as opset

    constant = product.input_value(1).get_node()
    if constant.get_type_name() != "Constant" or constant.get_output_element_type(0).get_type_name() != "f32":
        return
    weights = constant.data
    if not product.get_attributes()["transpose_b"]:
        weights = np.ascontiguousarray(weights.swapaxes(-1, -2))
    scales = np.maximum(np.abs(weights).max(axis=-1, keepdims=True), np.finfo(np.float32).tiny) / _MOST
    rounded = opset.convert(opset.constant(np.round(weights / scales).astype(np.int8)), np.float32)
    known = opset.multiply(rounded, opset.constant(scales))
    replaced = opset.matmul(product.input_value(0), known, product.get_attributes()["transpose_a"], True)
    replaced.set_friendly_name(product.get_friendly_name())
    product.output(0).replace(replaced.output(0))


def _reached(operations: Sequence["openvino.Node"], names: set[str]) -> set[str]:
    """Names of operations, given in order, that one of these goes before."""
    found: set[str] = set()
    for operation in operations:
        sources = {i.get_source_output().get_node().get_friendly_name() for i in operation.inputs()}
        if sources & (names | found):
            found.add(operation.get_friendly_name())
    return found


def _import_nncf() -> Any:
    # NNCF reports each use to its makers, unless this is set before it is imported.
    os.environ.setdefault("NNCF_CI", "1")
    with quiet("torch.utils.cpp_extension"):
        import nncf

    nncf.set_log_level(logging.ERROR)
    return nncf
