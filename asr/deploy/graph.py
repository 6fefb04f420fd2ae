"""An ONNX graph, built node by node."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from asr.common.errors import ConfigError
from asr.common.optional import optional

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

OPSET = 18
IR_VERSION = 8
"""Those of ONNX 1.13: older runtimes read the graphs too."""
MOST_BYTES = 2**31 - 2**20
"""Of constants: a file of ONNX has less than 2 GiB."""

Shape = Sequence[int | str]
"""Sizes, and the names of those that vary."""


class Graph:
    """Nodes and constants, in the order in which they are computed. Values go by their names.

    Calling it with an operator and the names of its inputs adds a node and gives the name of its output.

    Args:
        name: What the names of its values begin with.
        constants: Those of the graph around it.
    """

    def __init__(self, name: str, constants: dict[str, npt.NDArray[Any]] | None = None) -> None:
        self.name = name
        self.nodes: list[NodeProto] = []
        self.constants = {} if constants is None else constants
        self._onnx = optional("onnx", "onnx")

    def __call__(self, operator: str, *inputs: str, out: str | None = None, **attributes: Any) -> str:
        name = out or f"{self.name}.{operator}_{len(self.nodes)}"
        self._add(operator, inputs, [name], attributes)
        return name

    def several(self, operator: str, outputs: int, *inputs: str, **attributes: Any) -> list[str]:
        """Adds a node with several outputs; an input that is left out is an empty name."""
        names = [f"{self.name}.{operator}_{len(self.nodes)}.{number}" for number in range(outputs)]
        self._add(operator, inputs, names, attributes)
        return names

    def constant(self, value: Tensor | npt.NDArray[Any], name: str) -> str:
        """A constant, under its own name."""
        self.constants[name] = np.ascontiguousarray(
            value.detach().cpu().numpy() if isinstance(value, Tensor) else value
        )
        return name

    def integers(self, *values: int) -> str:
        """A constant int64 (values,)."""
        return self.constant(np.array(values, np.int64), f"int64_{'_'.join(map(str, values))}")

    def integer(self, value: int) -> str:
        """A constant int64 without dimensions."""
        return self.constant(np.array(value, np.int64), f"int64_scalar_{value}")

    def number(self, value: float) -> str:
        """A constant float32 without dimensions."""
        return self.constant(np.array(value, np.float32), f"float32_{value}")

    def size(self, value: str, axis: int) -> str:
        """The size of an axis, int64 (1,)."""
        return self("Shape", value, start=axis, end=axis + 1)

    def divided_up(self, value: str, divisor: int) -> str:
        """Integers from 0 divided by another one, rounded up."""
        return self("Div", self("Add", value, self.integers(divisor - 1)), self.integers(divisor))

    def slice(self, value: str, axis: int, start: str, end: str) -> str:
        """A part of an axis; start and end are int64 (1,)."""
        return self("Slice", value, start, end, self.integers(axis))

    def longer(self, value: str, axes: int, axis: int, more: str) -> str:
        """Appends zeros to an axis, int64 (1,) of them."""
        before = self.integers(*[0] * (axes + axis))
        after = [self.integers(*[0] * (axes - axis - 1))] if axis < axes - 1 else []
        return self("Pad", value, self("Concat", before, more, *after, axis=0))

    def zeroed(self, value: str, keep: str, *axes: int) -> str:
        """Puts zeros where a mask is false, which gets the axes that it lacks."""
        return self("Where", self("Unsqueeze", keep, self.integers(*axes)), value, self.number(0.0))

    def within(self, value: str, axis: int, lengths: str) -> str:
        """Which positions of an axis are before the end of each utterance, bool (batch, positions)."""
        return self("Less", self.positions(value, axis), self("Unsqueeze", lengths, self.integers(1)))

    def positions(self, value: str, axis: int) -> str:
        """The numbers of the positions of an axis, int64 (1, positions)."""
        size = self("Gather", self("Shape", value), self.integer(axis))
        return self("Unsqueeze", self("Range", self.integer(0), size, self.integer(1)), self.integers(0))

    def inner(self, inputs: Mapping[str, Shape], outputs: Mapping[str, Shape]) -> "GraphProto":
        """This graph as the body of a loop; all values that it exchanges are float32."""
        helper, float32 = self._onnx.helper, self._onnx.TensorProto.FLOAT
        described = [
            [helper.make_tensor_value_info(name, float32, list(shape)) for name, shape in values.items()]
            for values in (inputs, outputs)
        ]
        body: GraphProto = helper.make_graph(self.nodes, self.name, *described)
        return body

    def model(
        self,
        inputs: Mapping[str, tuple[type[np.generic], Shape]],
        outputs: Mapping[str, tuple[type[np.generic], Shape]],
        metadata: Mapping[str, str],
    ) -> "ModelProto":
        """The whole graph, checked.

        Raises:
            ConfigError: It is too large for a file of ONNX.
        """
        size = sum(value.nbytes for value in self.constants.values())
        if size > MOST_BYTES:
            raise ConfigError(
                f"The weights take {size / 2**30:.1f} GiB, and a file of ONNX holds less than 2 GiB: deploy a smaller "
                "model."
            )
        helper, numpy_helper = self._onnx.helper, self._onnx.numpy_helper
        described = [
            [
                helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(kind)), list(shape))
                for name, (kind, shape) in values.items()
            ]
            for values in (inputs, outputs)
        ]
        weights = [numpy_helper.from_array(value, name) for name, value in self.constants.items()]
        graph = helper.make_graph(self.nodes, self.name, *described, weights)
        opset = helper.make_opsetid("", OPSET)
        model: ModelProto = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="asr")
        helper.set_model_props(model, dict(metadata))
        self._onnx.checker.check_model(model, full_check=True)
        return model

    def _add(self, operator: str, inputs: Sequence[str], outputs: Sequence[str], attributes: Mapping[str, Any]) -> None:
        name = f"{self.name}.{operator}_{len(self.nodes)}"
        self.nodes.append(self._onnx.helper.make_node(operator, inputs, outputs, name=name, **attributes))
