"""The networks as ONNX graphs: ONNX Runtime completes as PyTorch does."""

from __future__ import annotations

import hashlib
import json
import sys
from functools import cache
from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import Tensor

from faceinpaint import completion, masks
from faceinpaint.basics.errors import InputError
from faceinpaint.cli import commands
from faceinpaint.completion import Completer
from faceinpaint.faces import mtcnn
from faceinpaint.faces.photos import to_tensor
from faceinpaint.studio import portraits
from faceinpaint.studio.export import Graph, export, recorded

STEP = 1 / 255


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("graphs")
    export(place)
    return place


@pytest.fixture(scope="module")
def completer() -> Completer:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(completion, "quick_bfloat16", lambda device: False)  # graphs compute in 32 bits
        return Completer.from_pretrained()


@pytest.fixture(scope="module")
def face() -> Tensor:
    return to_tensor(portraits.portrait("portrait 1")[0].resize((256, 256)))


@cache
def session(model: Path | bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def ran(model: Path | bytes, **inputs: Tensor) -> list[Tensor]:
    given = {name: one.numpy() for name, one in inputs.items()}
    return [torch.from_numpy(one) for one in session(model).run(None, given)]


@pytest.mark.parametrize("mask", ["mask01", "mask07", "irregular", "face-mask"])
def test_a_face_is_completed_as_by_pytorch(folder, face, completer, mask):
    for image in (face, face.mean(1, keepdim=True).expand_as(face).contiguous()):  # in colour, and without
        hole = masks.named(mask, 256, completer.locate(image), generator=torch.Generator().manual_seed(3))
        wanted, points = completer.complete(image, hole)
        (landmarks,) = ran(folder / "landmarks.onnx", image=image, mask=hole)
        assert torch.allclose(landmarks, points, atol=1e-3)
        (painted,) = ran(folder / "generator.onnx", image=image, mask=hole, landmarks=landmarks)
        assert (painted - wanted).abs().max() < STEP
        known = (hole < 0.5).expand_as(image)
        assert torch.equal(painted[known], image[known]) and (painted - image).abs().max() > 10 * STEP
        (embedding,) = ran(folder / "recogniser.onnx", image=painted, landmarks=landmarks)
        assert torch.allclose(embedding, completer.embed(wanted, points), atol=1e-3)


@pytest.mark.parametrize(("name", "network", "shape"), [
    ("p", mtcnn.p_net, (1, 3, 61, 84)), ("r", mtcnn.r_net, (5, 3, 24, 24)), ("o", mtcnn.o_net, (3, 3, 48, 48)),
])
def test_the_detector_sees_the_same_in_pictures_of_any_size(folder, name, network, shape):
    pixels = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = network(pixels)
    for one, other in zip(ran(folder / f"detector-{name}.onnx", pixels=pixels), wanted, strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_the_manifest_names_every_graph_as_it_is(folder, completer):
    about = json.loads((folder / "manifest.json").read_text())
    assert about["threshold"] == completer.recogniser.threshold
    assert {path.name for path in folder.glob("*.onnx")} == set(about["graphs"])
    for name, entry in about["graphs"].items():
        content = (folder / name).read_bytes()
        assert entry["bytes"] == len(content) and entry["sha256"] == hashlib.sha256(content).hexdigest()
        assert entry["licence"]


def test_systems_are_solved_whose_first_pivot_is_nought():
    draw = torch.Generator().manual_seed(0)
    system, right = torch.randn(1, 5, 5, generator=draw), torch.randn(1, 5, 2, generator=draw)
    system[0, 0, 0] = system[0, 2, 2] = 0
    inputs = {"system": system, "right": right}
    model = recorded(Graph(lambda *given: torch.linalg.solve_ex(*given).result, inputs, ["x"], ""))
    assert torch.allclose(system @ ran(model, **inputs)[0], right, atol=1e-5)


def test_medians_are_of_numbers_alone():
    values = torch.tensor([[3.0, torch.nan, 1.0, 2.0, 9.0], [torch.nan] * 5, [4.0, 4.0, torch.nan, 1.0, 9.0]])
    model = recorded(Graph(lambda rows: rows.nanmedian(dim=1).values, {"rows": values}, ["median"], ""))
    assert torch.equal(ran(model, rows=values)[0].nan_to_num(-1), torch.tensor([2.0, -1.0, 4.0]))


def test_without_its_packages_export_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "faceinpaint.studio.export")
    monkeypatch.delattr("faceinpaint.studio.export")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(InputError, match=r"pip install 'faceinpaint\[export\]'"):
        commands.export(tmp_path / "graphs", "generator")
    assert not list(tmp_path.iterdir())
