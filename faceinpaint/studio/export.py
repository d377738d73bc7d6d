"""The networks as ONNX graphs, for whoever completes faces without PyTorch: a browser, or a program of ONNX Runtime.

    export(Path("runs/onnx"))

A graph is for one face of 256 pixels and computes what `Completer` does, prior, grain and seam included. Weights are
stored in the 16 bits that they are shipped in, and computed with in 32.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxscript
import torch
from onnx import helper, numpy_helper
from onnxscript import FLOAT
from onnxscript import opset18 as op
from torch import Tensor, nn

from faceinpaint import weights
from faceinpaint.basics.files import write_whole
from faceinpaint.faces import mtcnn
from faceinpaint.generator import Generator
from faceinpaint.landmarks import LandmarkPredictor
from faceinpaint.prior.tone import toned
from faceinpaint.recognisers import JUDGE, load_recogniser

OPSET, SIZE = 18, 256
SMALL = 256  # numbers of a tensor, below which half precision saves nothing


class Graph(NamedTuple):
    """What is recorded: a function of tensors, the names of what it takes and gives, and its weights' licence."""

    function: Callable[..., Tensor | tuple[Tensor, ...]]
    inputs: dict[str, Tensor]  # examples
    outputs: list[str]
    licence: str
    varying: tuple[int, ...] = ()  # axes of the input whose size is not fixed


class Recorded(nn.Module):
    """A function as the module that PyTorch wants to export."""

    def __init__(self, function: Callable[..., Tensor | tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        return self.function(*inputs)


def export(folder: Path, generator: str | Path = "generator") -> list[Path]:
    """Write all graphs, and `manifest.json` with their sizes, sha256 and licences, into a folder; returns the files.

    generator: shipped weights by name, or a .safetensors file. Raises InputError as `weights.load`.
    """
    contents = {f"{name}.onnx": (recorded(graph), graph.licence) for name, graph in graphs(generator).items()}
    about = {
        "size": SIZE, "opset": OPSET, "threshold": load_recogniser().threshold,
        "graphs": {
            name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "licence": licence}
            for name, (content, licence) in contents.items()
        },
    }
    for name, (content, _) in contents.items():
        write_whole(folder / name, content)
    write_whole(folder / "manifest.json", json.dumps(about, indent=2).encode() + b"\n")
    return [folder / name for name in (*contents, "manifest.json")]


def graphs(generator: str | Path = "generator") -> dict[str, Graph]:
    """All graphs by name: what `Completer` does to one face, and MTCNN's three networks."""
    painter, recogniser = weights.load(generator, Generator), load_recogniser()
    painter.whole = True  # a graph has one shape

    def paint(image: Tensor, mask: Tensor, landmarks: Tensor) -> Tensor:
        return toned(painter.complete(image, mask, landmarks), image, mask)

    face = {"image": torch.rand(1, 3, SIZE, SIZE), "mask": torch.zeros(1, 1, SIZE, SIZE)}
    face["mask"][..., : SIZE // 2] = 1
    landmarks = {"landmarks": torch.rand(1, 68, 2) * SIZE}
    terms = {name: entry["licence"] for name, entry in weights.manifest().items()}
    ours, theirs = terms.get(str(generator), "its trainer's"), "MIT, facenet-pytorch's"
    predictor, looks = weights.load("landmarks", LandmarkPredictor), ["change", "score"]
    return {
        "landmarks": Graph(predictor, face, ["landmarks"], terms["landmarks"]),
        "generator": Graph(paint, face | landmarks, ["painted"], ours),
        "recogniser": Graph(recogniser.embed, {"image": face["image"]} | landmarks, ["embedding"], terms[JUDGE]),
        "detector-p": Graph(mtcnn.p_net, {"pixels": torch.rand(1, 3, 48, 64)}, looks, theirs, (2, 3)),
        "detector-r": Graph(mtcnn.r_net, {"pixels": torch.rand(2, 3, 24, 24)}, looks, theirs, (0,)),
        "detector-o": Graph(mtcnn.o_net, {"pixels": torch.rand(2, 3, 48, 48)}, [*looks, "points"], theirs, (0,)),
    }


@torch.no_grad()
def recorded(graph: Graph) -> bytes:
    """A graph as the content of an .onnx file."""
    inputs = tuple(graph.inputs.values())
    graph.function(*inputs)  # what is made once and kept, grain for one, is then a constant
    varying = tuple({axis: torch.export.Dim.DYNAMIC for axis in graph.varying} for _ in inputs)
    program = torch.onnx.export(
        Recorded(graph.function).eval(), inputs, dynamo=True, opset_version=OPSET, input_names=list(graph.inputs),
        output_names=graph.outputs, dynamic_shapes=(varying,), custom_translation_table=TRANSLATIONS, optimize=False,
        verbose=False,
    )
    model = program.model_proto
    for part in (*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output, model.graph):
        del part.metadata_props[:]  # where in the code it comes from: as much as the weights
    _halve(model.graph)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _halve(graph: onnx.GraphProto) -> None:
    """Store in half precision what loses nothing by it, as shipped weights don't; it is cast where it is used."""
    casts = []
    for tensor in graph.initializer:
        numbers = numpy_helper.to_array(tensor)
        if numbers.dtype != np.float32 or numbers.size < SMALL:
            continue
        half = numbers.astype(np.float16)
        if np.array_equal(half, numbers):
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
            casts.append(helper.make_node("Cast", [tensor.name], [name], to=onnx.TensorProto.FLOAT))
    for cast in reversed(casts):
        graph.node.insert(0, cast)


# ------------------------------------------------------------------------------------ what ONNX has no word for


@onnxscript.script()
def _solve(system: FLOAT, right: FLOAT) -> FLOAT:
    """x of system x = right, (1, N, N) and (1, N, K): Gauss and Jordan, with pivots."""
    count = op.Shape(system, start=1, end=2)
    places = op.Unsqueeze(op.Range(0, op.Squeeze(count), 1), 1)
    rows = op.Cast(op.Concat(op.Squeeze(system, [0]), op.Squeeze(right, [0]), axis=1), to=11)
    for step in range(op.Squeeze(count)):
        column = op.Gather(rows, op.Reshape(step, [1]), axis=1)
        size = op.Where(places < step, op.Cast(-1.0, to=11), op.Abs(column))
        chosen = op.ArgMax(size, axis=0)
        pivot = op.Gather(rows, op.Squeeze(chosen, [1]), axis=0)
        former = op.Gather(rows, op.Reshape(step, [1]), axis=0)
        rows = op.Where(places == chosen, former, rows)
        pivot = pivot / op.Gather(pivot, op.Reshape(step, [1]), axis=1)
        column = op.Gather(rows, op.Reshape(step, [1]), axis=1)
        rows = op.Where(places == step, pivot, rows - column * pivot)
    end = op.Shape(rows, start=1, end=2)
    return op.Cast(op.Unsqueeze(op.Slice(rows, count, end, [1]), [0]), to=1)


@onnxscript.script()
def _nanmedian(values: FLOAT) -> FLOAT:
    """The median of the numbers in each row of (B, N), (B,); of the two in the middle the lower one."""
    unknown = op.IsNaN(values)
    count = op.ReduceSum(op.Cast(op.Not(unknown), to=7), [1])
    infinite = op.Where(unknown, op.Constant(value_float=float("inf")), values)
    ordered, _ = op.TopK(infinite, op.Shape(values, start=1, end=2), axis=1, largest=0)
    middle = op.GatherElements(ordered, op.Max((count - 1) / 2, 0), axis=1)
    return op.Squeeze(op.Where(count == 0, op.Constant(value_float=float("nan")), middle), [1])


def _solve_ex(system: FLOAT, right: FLOAT, *, left: bool = True, check_errors: bool = False) -> tuple[FLOAT, ...]:
    unused = op.Constant(value_ints=[0])
    return _solve(system, right), system, unused, unused


def _nanmedian_dim(values: FLOAT, dim: int, keepdim: bool = False) -> tuple[FLOAT, ...]:
    return _nanmedian(values), op.Constant(value_ints=[0])


TRANSLATIONS: dict = {
    torch.ops.aten._linalg_solve_ex.default: _solve_ex,
    torch.ops.aten.nanmedian.dim: _nanmedian_dim,
}
