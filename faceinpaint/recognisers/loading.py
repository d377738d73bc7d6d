"""Recognisers by name or file: what comes with the package, what others publish, what one has trained."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import torch

from faceinpaint import weights
from faceinpaint.basics.errors import InputError, unknown
from faceinpaint.recognisers.arcface import load_arcface
from faceinpaint.recognisers.dlib import DLIB_THRESHOLD, DlibRecogniser
from faceinpaint.recognisers.networks import NETWORKS, DlibResNet, MobileFaceNet
from faceinpaint.recognisers.recogniser import FaceNet, Recogniser
from faceinpaint.weights import fetch

# For a file that brings none, the published ArcFace one: 0.1 % false accepts (15,332 pairs of 108 people).
MOBILEFACENET_THRESHOLD = 0.58
# The paper's rule of thumb ("less than 0.5 ... the same person"): these weights are not ours to calibrate.
FACENET_THRESHOLD = 0.5

LOSS, JUDGE = "dlib", "embedded-judge"
SHIPPED = (LOSS, JUDGE)
NAMES = (*SHIPPED, "facenet", "arcface")


def load_recogniser(name_or_path: str | Path = JUDGE) -> Recogniser:
    """A recogniser by name or by the file of one.

    `dlib`, by King (2017), and `embedded-judge` come with the package, the first for the identity loss, the second for
    measuring; `facenet` and `arcface` are others' and have to be fetched. A file: .safetensors of `train recogniser`
    or of a published MobileFaceNet, .pt of a FaceNet by facenet-pytorch (VGGFace2 or CASIA-WebFace), .onnx of an
    ArcFace. Raises InputError for an unknown name (the nearest is named) and for missing or unfit weights.
    """
    name = str(name_or_path)
    if name == "facenet" or name.endswith(".pt"):
        return load_facenet(None if name == "facenet" else name)
    if name == "arcface" or name.endswith(".onnx"):
        return load_arcface(None if name == "arcface" else name)
    if name in SHIPPED:
        return _from_file(name, weights.path_of(name))
    if name.endswith(".safetensors") or os.path.isfile(name):
        return _from_file(Path(name).stem, Path(name))
    raise unknown("recogniser", name, [*NAMES, "FILE.safetensors"])


ROUNDING = 1e-3  # by which a cosine of a network that tells nobody from another is beyond 1


def _from_file(name: str, path: Path) -> Recogniser:
    network = load_network(path)
    kind, usual = Recogniser, MOBILEFACENET_THRESHOLD
    if isinstance(network, DlibResNet):
        kind, usual = DlibRecogniser, DLIB_THRESHOLD
    threshold = usual if network.threshold is None else network.threshold
    if type(threshold) not in (int, float) or not -ROUNDING <= threshold <= 2 + ROUNDING:
        raise InputError(f"{path} has a threshold that is no cosine distance, from 0 to 2: train or fetch it again")
    return kind(name, network, threshold)


def load_network(path: Path | str) -> torch.nn.Module:
    """A network from a file of ours (class and settings inside) or, without them, a MobileFaceNet as in its paper.

    Returns it frozen, in evaluation mode. Raises InputError when the file is missing, damaged or another's.
    """
    if not os.path.isfile(path):
        raise InputError(f"there is no recogniser file {path}: give the path of a .safetensors file")
    metadata, state = weights.content_of(Path(path))
    if "architecture" in metadata:
        return weights.load(Path(path), NETWORKS.get(metadata["architecture"], MobileFaceNet))
    network = MobileFaceNet()
    try:
        network.load_state_dict(state)
    except (RuntimeError, TypeError, KeyError) as error:
        raise InputError(f"{path} holds another network: give the weights of a MobileFaceNet") from error
    return network.eval().requires_grad_(False)


def load_facenet(path: Path | str | None = None) -> FaceNet:
    """FaceNet with weights that facenet-pytorch publishes.

    path: the file, of those trained on VGGFace2 or on CASIA-WebFace; without one, torch's cache is searched for the
    former. Nothing is downloaded here.
    Raises InputError when the file is missing, damaged or of another network.
    """
    from facenet_pytorch import InceptionResnetV1  # late: importing it takes a second

    name = "facenet" if path is None else Path(path).stem
    path = _facenet_path() if path is None else Path(path)
    if not os.path.isfile(path):
        raise InputError(f"there is no file of FaceNet weights {path}: get them with `{fetch.command('facenet')}`")
    try:
        _require_stored(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
        # The classifier over the training people is published too; the embedding has no use for it.
        state = {key: value for key, value in state.items() if not key.startswith("logits.")}
        network = InceptionResnetV1(pretrained=None)
        network.load_state_dict(state)
    except Exception as error:  # a damaged pickle may raise anything
        raise InputError(
            f"{path} does not hold FaceNet's weights: delete it and get them with `{fetch.command('facenet')}`"
        ) from error
    return FaceNet(name, network, FACENET_THRESHOLD)


def _require_stored(path: Path) -> None:
    """Raise ValueError for a zip that unpacks to more than it is: torch doesn't pack numbers, but would unpack any."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > path.stat().st_size:
                raise ValueError(f"{path} is packed")


def _facenet_path() -> Path:
    """FaceNet's file, checked, or one that facenet-pytorch has downloaded to where torch's hub does not look."""
    theirs = Path(torch.hub.get_dir()).parent / "checkpoints" / fetch.published("facenet").file
    there = theirs.is_file() and not fetch.path_of("facenet").is_file()
    return theirs if there else fetch.checked("facenet")
