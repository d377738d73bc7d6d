"""A published ArcFace network, run by onnxruntime: it measures, but no gradient flows through it."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceinpaint import weights
from faceinpaint.basics import download
from faceinpaint.basics.errors import InputError
from faceinpaint.faces.align import five_points
from faceinpaint.recognisers.alignment import align_points
from faceinpaint.recognisers.recogniser import Recogniser

# Where insightface lays the five points (x, y) in its aligned faces (`arcface_dst`), and their size.
ARCFACE_TEMPLATE = (
    (38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)
)
ARCFACE_SIZE = (112, 112)
EMBEDDING = 512

# insightface's own demonstration of the published file (web-demos/src_recognition) calls two faces the same person
# from a cosine of 0.28 upwards; these weights are not ours to calibrate.
ARCFACE_THRESHOLD = 0.72

PLACE = Path(".insightface", "models", "buffalo_l", "w600k_r50.onnx")  # in the home folder, as insightface has it
BYTES = 174_383_860
SHA256 = "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43"
REMEDY = (
    "get the pack buffalo_l of insightface's model zoo (https://github.com/deepinsight/insightface, "
    f"for non-commercial research only) and put its {PLACE.name} there"
)


class OnnxNetwork(nn.Module):
    """The network of an .onnx file: (B, 3, 112, 112) RGB in [-1, 1], aligned -> (B, 512), not normalised.

    It runs on the CPU and returns on the device of the faces, which must not want a gradient. Raises InputError
    without onnxruntime and for a file that is damaged or of another network.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.session = _session(path)
        self.sha256 = weights.sha256(path)
        taken, given = self.session.get_inputs(), self.session.get_outputs()
        shapes = [(one.type, one.shape[1:]) for one in (*taken, *given)]
        batch = taken[0].shape[0] if taken and taken[0].shape else None
        self.one_by_one = batch == 1
        if shapes != [("tensor(float)", [3, *ARCFACE_SIZE]), ("tensor(float)", [EMBEDDING])] or (
            isinstance(batch, int) and not self.one_by_one  # any number of faces has a name, or None
        ):
            raise InputError(
                f"{path} holds another network: give one that takes (N, 3, 112, 112) and returns (N, {EMBEDDING}), "
                "like those of insightface's packs"
            )
        self.input = taken[0].name

    def forward(self, faces: Tensor) -> Tensor:
        parts = faces.float().cpu().split(1 if self.one_by_one else len(faces))
        given = [torch.from_numpy(self.session.run(None, {self.input: part.numpy()})[0]) for part in parts]
        return torch.cat(given).to(faces.device)

    def __deepcopy__(self, memo: dict) -> OnnxNetwork:
        return self  # a session can't be copied, and nothing in it ever changes


class OnnxArcFace(Recogniser):
    """ArcFace (Deng et al. 2019) as insightface publishes it, for measuring alone: it has no gradient.

    network: an `OnnxNetwork`. No mirror image here.
    """

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the file: its parameters are not to be seen from here."""
        return self.network.sha256

    def align(self, images: Tensor, landmarks: Tensor) -> Tensor:
        """The faces as insightface aligns them, (B, 3, 112, 112) in [0, 1]; arguments as in `embed`."""
        return align_points(images, five_points(landmarks), ARCFACE_TEMPLATE, ARCFACE_SIZE)

    def embed_aligned(self, aligned: Tensor) -> Tensor:
        """(B, 512) of length 1 from what `align` returned; InputError where a gradient is wanted."""
        pixels = 2 * aligned - 1  # (x - 127.5) / 127.5 of 8-bit values
        if pixels.requires_grad:
            raise InputError(
                f"no gradient flows through {self.name}: measure with it, and take dlib or facenet "
                "for the identity loss"
            )
        return F.normalize(self.network(pixels), dim=1)


def load_arcface(path: str | Path | None = None) -> OnnxArcFace:
    """ArcFace as insightface publishes it in the pack buffalo_l (for non-commercial research only).

    path: a file of that kind; without one, the file is taken from where insightface keeps it, and checked. Nothing
    is downloaded here. Raises InputError when the file is missing, altered, damaged or of another network, and
    without onnxruntime.
    """
    if path is None:
        return OnnxArcFace("arcface", OnnxNetwork(_published()), ARCFACE_THRESHOLD)
    path = Path(path)
    if not os.path.isfile(path):
        raise InputError(f"there is no recogniser file {path}: give the path of an .onnx file")
    return OnnxArcFace(path.stem, OnnxNetwork(path), ARCFACE_THRESHOLD)


def _published() -> Path:
    path = Path.home() / PLACE
    if not path.is_file():
        raise InputError(f"there is no ArcFace network {path}: {REMEDY}")
    fault = download.fault_of(path, BYTES, SHA256, None)
    if fault is not None:
        raise InputError(f"the ArcFace network is not the one published, {path} {fault}: {REMEDY}")
    return path


def _session(path: Path):
    """A session of onnxruntime, which is imported here because it is an optional extra."""
    try:
        runtime = import_module("onnxruntime")
    except ImportError:
        raise InputError(
            "ArcFace is run by onnxruntime, which is not installed: run `pip install 'faceinpaint[arcface]'`"
        ) from None
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors alone: the published file claims to return one vector, whatever the batch
    try:
        return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # a damaged file may raise anything
        raise InputError(f"{path} is not a whole .onnx file: get it again") from error
