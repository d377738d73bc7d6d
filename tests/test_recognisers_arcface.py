"""A published ArcFace network: small ones stand in for it, which onnxruntime runs as torch runs their like."""

from __future__ import annotations

import sys
from copy import deepcopy
from pathlib import Path

import onnx
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from test_recognisers import coordinate_image, face_landmarks, smooth_images
from torch import Tensor

from faceinpaint import recognisers, weights
from faceinpaint.basics.errors import InputError
from faceinpaint.faces.align import five_points
from faceinpaint.recognisers import OnnxArcFace, arcface, load_arcface, load_recogniser

PLACE = Path(".insightface") / "models" / "buffalo_l" / "w600k_r50.onnx"


def weights_of(embedding: int = 512) -> tuple[Tensor, Tensor]:
    """Weight and bias of the small network's only layer, (embedding, 3 * 8 * 8) and (embedding,)."""
    random = torch.Generator().manual_seed(0)
    return torch.randn(embedding, 192, generator=random), torch.randn(embedding, generator=random)


def write_network(
    path: Path, batch: int | str | None = "None", size: tuple[int, ...] = (3, 112, 112), embedding: int = 512,
    given: int | str = 1, kind: int = TensorProto.FLOAT, inputs: int = 1,
) -> Path:
    """Mean colours of 8 x 8 fields and one layer, as an ONNX file.

    As in the published file the first axis has a name going in and is 1 coming out, whatever goes in.
    """
    weight, bias = (numpy_helper.from_array(one.numpy(), name) for one, name in zip(weights_of(embedding), "wb"))
    field = [size[1] // 8, size[2] // 8]
    nodes = [
        helper.make_node("Cast", ["in0"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("AveragePool", ["float"], ["fields"], kernel_shape=field, strides=field),
        helper.make_node("Flatten", ["fields"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w", "b"], ["out"], transB=1),
    ]
    taken = [helper.make_tensor_value_info(f"in{n}", kind, [batch, *size]) for n in range(inputs)]
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [given, embedding])
    graph = helper.make_graph(nodes, "small", taken, [out], [weight, bias])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def by_torch(aligned: Tensor) -> Tensor:
    """What the small network makes of aligned faces in [0, 1], by torch alone."""
    weight, bias = weights_of()
    return F.normalize(F.linear(F.avg_pool2d((aligned * 255 - 127.5) / 127.5, 14).flatten(1), weight, bias))


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    return write_network(tmp_path_factory.mktemp("onnx") / "small.onnx")


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A home folder without insightface's files."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def published(home, monkeypatch) -> Path:
    """The small network in the place of the published one, whose size and sum it has."""
    path = write_network(home / PLACE)
    monkeypatch.setattr(arcface, "BYTES", path.stat().st_size)
    monkeypatch.setattr(arcface, "SHA256", weights.sha256(path))
    return path


# alignment


def test_the_template_is_the_other_recognisers_moved_into_the_middle_of_a_square():
    assert arcface.ARCFACE_SIZE == (112, 112)
    moved = torch.tensor(recognisers.TEMPLATE) + torch.tensor([8.0, 0.0])  # 96 columns there
    assert torch.allclose(torch.tensor(arcface.ARCFACE_TEMPLATE), moved, atol=0.01)


def test_the_five_points_land_on_insightfaces_template(file):
    torch.manual_seed(0)
    landmarks = face_landmarks(1, 200)
    aligned = load_arcface(file).align(coordinate_image(200, 200), landmarks)
    assert aligned.shape == (1, 3, 112, 112)
    template = [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
    grid = (2 * torch.tensor([[template]]) + 1) / 112 - 1
    read = F.grid_sample(aligned, grid, align_corners=False)[0, :2, 0].T  # coordinates below the template's points
    assert (read - five_points(landmarks)[0]).abs().max() < 0.5  # the face is not quite the template's


def test_landmarks_that_nobody_knows_are_refused(file):
    with pytest.raises(InputError, match="unknown landmarks"):
        load_arcface(file).embed(smooth_images(1, 64), torch.full((1, 68, 2), float("nan")))


# embedding


@pytest.mark.parametrize("batch, given", [("None", 1), (None, "N"), (1, 1)], ids=["as published", "any", "one by one"])
def test_embeddings_are_those_of_the_same_network_in_torch(tmp_path, batch, given):
    torch.manual_seed(1)
    images, landmarks = smooth_images(3, 160), face_landmarks(3, 160)
    recogniser = load_arcface(write_network(tmp_path / "small.onnx", batch, given=given))
    aligned = recognisers.align_points(
        images, five_points(landmarks), arcface.ARCFACE_TEMPLATE, arcface.ARCFACE_SIZE
    )
    found = recogniser.embed(images, landmarks)
    assert found.shape == (3, 512) and found.dtype == torch.float32
    assert torch.allclose(found.norm(dim=1), torch.ones(3), atol=1e-5)
    assert torch.allclose(found, by_torch(aligned), atol=1e-5)
    assert torch.allclose(recogniser.embed(images[1:2], landmarks[1:2]), found[1:2], atol=1e-6)
    assert recogniser.distance(found, found.roll(1, 0)).min() > 0.01  # they are not all one


def test_red_comes_first(file):
    """insightface reads blue first and turns it round; a recogniser's faces are red first already."""
    red = torch.zeros(1, 3, 112, 112)
    red[:, 0] = 1
    weight, bias = weights_of()
    plane = weight.view(512, 3, 64).sum(2) @ torch.tensor([1.0, -1.0, -1.0])
    assert torch.allclose(load_arcface(file).embed_aligned(red)[0], F.normalize(plane + bias, dim=0), atol=1e-5)


def test_nothing_is_said_about_batches_that_the_file_does_not_announce(file, capfd):
    load_arcface(file).embed_aligned(smooth_images(4, 112))
    assert capfd.readouterr() == ("", "")


def test_a_gradient_is_refused_and_nothing_else(file):
    recogniser = load_arcface(file)
    images, landmarks = smooth_images(1, 96).requires_grad_(), face_landmarks(1, 96)
    with pytest.raises(InputError) as error:
        recogniser.embed(images, landmarks)
    assert str(error.value) == (
        "no gradient flows through small: measure with it, and take dlib or facenet for the identity loss"
    )
    measured = recogniser.embed(images.detach(), landmarks)
    with torch.no_grad():  # who measures during training wants none
        assert torch.equal(recogniser.embed(images, landmarks), measured)


def test_it_is_a_recogniser_like_any_other(file):
    torch.manual_seed(2)
    recogniser, faces = load_arcface(str(file)), smooth_images(2, 112)
    before = recogniser.embed_aligned(faces)
    assert isinstance(recogniser, OnnxArcFace) and recogniser.name == "small"
    assert not list(recogniser.parameters()) and recogniser.threshold == arcface.ARCFACE_THRESHOLD == 0.72
    model = torch.nn.ModuleDict({"recogniser": recogniser}).train().to("cpu", torch.float64).eval()
    assert not any(module.training for module in recogniser.modules())
    assert model.state_dict() == {}
    for same in (recogniser.to("cpu"), recogniser.train(), deepcopy(recogniser)):
        assert torch.equal(same.embed_aligned(faces), before)


class Elsewhere:
    """Faces on a device that keeps no values, as far as a network looks at them."""

    device = torch.device("meta")

    def __len__(self) -> int:
        return 2

    def float(self) -> Elsewhere:
        return self

    def cpu(self) -> Tensor:
        return smooth_images(2, 112)


def test_what_comes_back_is_on_the_device_of_the_faces(file):
    found = load_arcface(file).network(Elsewhere())
    assert found.device.type == "meta" and found.shape == (2, 512)


# where it comes from


def test_names_and_files_lead_to_it(file, published):
    assert load_recogniser(file).name == "small"
    assert load_recogniser("arcface").name == "arcface"
    assert isinstance(load_recogniser(str(published)), OnnxArcFace)
    assert load_recogniser("arcface").embed_aligned(smooth_images(1, 112)).shape == (1, 512)


def test_a_missing_published_file_says_where_to_get_it_and_on_what_terms(home):
    with pytest.raises(InputError) as error:
        load_recogniser("arcface")
    for word in (str(home / PLACE), "buffalo_l", "insightface's model zoo", "non-commercial research only", "put its"):
        assert word in str(error.value)


@pytest.mark.parametrize("change, fault", [(lambda whole: whole[:-1], "bytes instead of"),
                                           (lambda whole: whole[::-1], "sha256 differs")], ids=["short", "other"])
def test_an_altered_published_file_is_refused(published, change, fault):
    published.write_bytes(change(published.read_bytes()))
    with pytest.raises(InputError, match=f"not the one published, .*{fault}.*get the pack buffalo_l"):
        load_arcface()


def test_the_published_file_is_checked_but_not_one_that_is_given(home):
    path = write_network(home / PLACE)
    with pytest.raises(InputError, match="bytes instead of 174383860"):
        load_arcface()
    assert load_arcface(path).name == "w600k_r50"


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(InputError, match="there is no recogniser file .*none.onnx: give the path of an .onnx file"):
        load_recogniser(tmp_path / "none.onnx")


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.999])
def test_a_damaged_file_is_refused(file, tmp_path, keep):
    content = file.read_bytes()
    path = tmp_path / "damaged.onnx"
    path.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(InputError, match="damaged.onnx is not a whole .onnx file: get it again"):
        load_arcface(path)
    path.write_bytes(b"<html>Not Found</html>")
    with pytest.raises(InputError, match="damaged.onnx is not a whole .onnx file: get it again"):
        load_arcface(path)


@pytest.mark.parametrize("changes", [
    {"size": (3, 128, 128)}, {"size": (3, 112, 96)}, {"embedding": 128}, {"batch": 4, "given": 4}, {"inputs": 2},
    {"kind": TensorProto.DOUBLE},
], ids=str)
def test_a_network_of_another_shape_is_refused(tmp_path, changes):
    path = write_network(tmp_path / "other.onnx", **changes)
    with pytest.raises(InputError, match=r"holds another network: give one that takes \(N, 3, 112, 112\)"):
        load_arcface(path)


def test_without_onnxruntime_it_says_what_to_install(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError) as error:
        load_arcface(file)
    assert "run `pip install 'faceinpaint[arcface]'`" in str(error.value)
