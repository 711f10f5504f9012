"""A network's graph in smaller numbers: half precision, or eight bits calibrated on images."""

import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16

from convlift.interchange.preprocessing_graph import INPUTS

# what is computed in eight bits; the softmax, and what a network does beside these, stay as they are
OPERATORS = ["Conv", "Gemm", "MatMul", "Add", "Relu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool"]
LEAST_WEIGHTS = 256  # below, the nodes that bring them back take more room than they spare


def in_float16(network: ModelProto) -> ModelProto:
    """The same graph with weights and arithmetic of half precision; what goes in and comes out stays float32."""
    with _silent():
        made = ONNXModel(convert_float_to_float16(network, keep_io_types=True))
        made.topological_sort()  # its casts stand at the end
    found: ModelProto = made.model
    return found


def in_int8(network: ModelProto, inputs: Iterable[NDArray[np.float32]]) -> ModelProto:
    """Weights of eight bits for each channel, activations of eight bits in the range that they have on the inputs, each
    (1, C, R, R): static quantization (Jacob et al. 2018, arXiv:1712.05877).

    Weights use seven of their bits: with eight, processors without VNNI overflow, and the file would predict
    otherwise there than here (onnxruntime's documentation of `reduce_range`).
    """
    with _silent(), TemporaryDirectory() as folder:
        given, prepared, quantized = (Path(folder) / f"{name}.onnx" for name in ("given", "prepared", "quantized"))
        onnx.save(network, given)
        quant_pre_process(str(given), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(quantized),
            _Inputs(inputs),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=OPERATORS,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(quantized)


def with_int8_weights(network: ModelProto) -> ModelProto:
    """Weights of eight bits for each channel, symmetric about 0, that become float32 when the file is loaded: it is as
    small, and computes as before."""
    made = ModelProto()
    made.CopyFrom(network)
    weights = {each.name: each for each in made.graph.initializer}
    first = []  # the nodes that make them float32 stand before all others
    for name, axis in _weights_of(made).items():
        values = numpy_helper.to_array(weights[name]).astype(np.float64)
        others = tuple(place for place in range(values.ndim) if place != axis)
        scales = np.maximum(np.abs(values).max(axis=others), 1e-12) / 127.0
        shaped = scales.reshape([-1 if place == axis else 1 for place in range(values.ndim)])
        parts = {
            "int8": np.rint(values / shaped).astype(np.int8),
            "scale": scales.astype(np.float32),
            "zero": np.zeros(len(scales), np.int8),
        }
        made.graph.initializer.extend(numpy_helper.from_array(part, f"{name}.{end}") for end, part in parts.items())
        made.graph.initializer.remove(weights[name])
        first.append(helper.make_node("DequantizeLinear", [f"{name}.{end}" for end in parts], [name], axis=axis))
    nodes = [*first, *made.graph.node]
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    return made


def _weights_of(network: ModelProto) -> dict[str, int]:
    """The initializers that are weights of some size, with the axis of their channels."""
    sizes = {each.name: (list(each.dims), each.data_type) for each in network.graph.initializer}
    found = {}
    for node in network.graph.node:
        if node.op_type not in ("Conv", "Gemm", "MatMul") or len(node.input) < 2 or node.input[1] not in sizes:
            continue
        dims, kind = sizes[node.input[1]]
        is_turned = any(each.name == "transB" and each.i for each in node.attribute)
        if kind == TensorProto.FLOAT and len(dims) > 1 and np.prod(dims) >= LEAST_WEIGHTS:
            found[node.input[1]] = 0 if node.op_type == "Conv" or is_turned else len(dims) - 1
    return found


class _Inputs(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    """One input after another, as the calibration asks for them."""

    def __init__(self, inputs: Iterable[NDArray[np.float32]]) -> None:
        self._inputs = iter(inputs)

    def get_next(self) -> dict[str, Any] | None:
        found = next(self._inputs, None)
        return None if found is None else {INPUTS: found}


@contextmanager
def _silent() -> Iterator[None]:
    """onnxruntime's tools advise on steps of their own."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.disable(before)
