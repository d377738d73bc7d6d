"""dlib's face recogniser (King 2017), which knows real people, and the reader of the file that it is published in."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceinpaint import weights
from faceinpaint.basics import download
from faceinpaint.basics.errors import InputError
from faceinpaint.recognisers.alignment import align_points
from faceinpaint.recognisers.networks import DlibResNet
from faceinpaint.recognisers.recogniser import Recogniser

DLIB_SIZE = 150  # pixels of a face chip, each way
PADDING = 0.25  # of the face around it, each way
# Where dlib lays five points (x, y) of a face without padding (`get_face_chip_details`), by their number in iBUG's 68:
# the outer and the inner corner of the eye on the right, those of the eye on the left, the base of the nose.
POINTS = (45, 42, 36, 39, 33)
FACE = (
    (0.8595674595992, 0.2134981538014), (0.6460604764104, 0.2289674387677), (0.1205750620789, 0.2137274526848),
    (0.3340850613712, 0.2290642403242), (0.4901123135679, 0.6277975316475),
)
# dlib counts from the corner of the first pixel, we from its centre.
DLIB_TEMPLATE = tuple(
    tuple((value + PADDING) / (2 * PADDING + 1) * DLIB_SIZE - 0.5 for value in point) for point in FACE
)
MEAN = (122.782, 117.001, 104.298)  # of red, green and blue in 8 bits (`input_rgb_image_sized`)

# Of 0.1 % false accepts, as ours: 0.071 by the 15,332 pairs of 108 photographed people (see the model card), and 0.071
# without the 13 test people, of whom it takes none for another. All 68 pairs of a neutral and a smiling photograph of
# one person are within 0.028. dlib's own rule, a Euclidean distance of 0.6 between vectors that are not normalised
# (their lengths are 1.48, with a deviation of 0.06), decides most nearly like a cosine distance of 0.081, and takes
# 0.6 % of these strangers for one person. Vectors of strangers are alike here: 0.16 apart, not 1.
DLIB_THRESHOLD = 0.07

NAME = "dlib_face_recognition_resnet_model_v1.dat"
BYTES = 22_466_066
SHA256 = "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"


class DlibRecogniser(Recogniser):
    """dlib's recogniser (King 2017), trained on about three million photographs from the web.

    network: face chips (B, 3, 150, 150), standardised as dlib's -> (B, 128). No mirror image here.
    """

    def align(self, images: Tensor, landmarks: Tensor) -> Tensor:
        """The faces as dlib's `get_face_chip` cuts them, (B, 3, 150, 150) in [0, 1]; arguments as in `embed`."""
        return align_points(images, landmarks[:, list(POINTS)], DLIB_TEMPLATE, (DLIB_SIZE, DLIB_SIZE))

    def embed_aligned(self, aligned: Tensor) -> Tensor:
        """(B, 128) of length 1 from what `align` returned."""
        pixels = (aligned * 255 - aligned.new_tensor(MEAN).view(3, 1, 1)) / 256
        return F.normalize(self.network(pixels).float(), dim=1)


def convert(published: str | Path, path: str | Path) -> None:
    """Write dlib's published file (CC0 1.0) as one of ours, in half precision; the two agree to 2e-4.

    published: `NAME`, unpacked, of dlib-models or out of the package face-recognition-models. Raises
    InputError where it is missing or, by size and sha256, another one.
    """
    published = Path(published)
    if not published.is_file():
        raise InputError(f"there is no file {published}: give the {NAME} of dlib-models")
    fault = download.fault_of(published, BYTES, SHA256, None)
    if fault is not None:
        raise InputError(f"dlib's recogniser is not the one published, {published} {fault}: get {NAME} of dlib-models")
    network = network_of(published.read_bytes(), published)
    settings = {"width": network.layers[0].out_channels, "embedding_size": network.linear.out_features}
    weights.save(network, settings | {"threshold": DLIB_THRESHOLD}, Path(path))


def network_of(content: bytes, name: str | Path) -> DlibResNet:
    """The network in the bytes that dlib's `serialize` makes of an `anet_type`.

    Each affine layer is folded into the convolution before it. name: for the message of the InputError that is raised
    for all other bytes.
    """
    try:
        file = Serialised(content)
        convolutions = [file.convolution() for _ in range(1 + 2 * sum(DlibResNet.REPEATS))]
        linear = file.linear()
        network = DlibResNet(len(convolutions[0][1]), len(linear))
        layers = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
        for layer, (weight, bias) in zip(layers, convolutions, strict=True):
            layer.load_state_dict({"weight": weight, "bias": bias})
        network.linear.load_state_dict({"weight": linear})
    except (ValueError, IndexError, OverflowError, RuntimeError):
        raise InputError(f"{name} is not a whole file of dlib's face recogniser: get {NAME} of dlib-models") from None
    return network.eval().requires_grad_(False)


class Serialised:
    """dlib's serialisation of a network, read from its first layer to its last.

    A layer is its kind, a string, and its tensor; from one to the next stand learning rates and empty gradients, which
    are passed over. Raises ValueError, IndexError, OverflowError or RuntimeError where
    something else stands there.
    """

    def __init__(self, content: bytes) -> None:
        self.content, self.place = content, 0

    def convolution(self) -> tuple[Tensor, Tensor]:
        """Weight (outputs, inputs, height, width) and bias of the next convolution and the affine layer behind it."""
        self.go_behind(b"con_4")
        numbers = self.tensor()
        outputs, height, width = self.integer(), self.integer(), self.integer()
        weight, bias = numbers[:-outputs].view(outputs, -1, height, width), numbers[-outputs:]
        self.go_behind(b"affine_")
        gamma, beta = self.tensor().view(2, outputs)
        return weight * gamma.view(-1, 1, 1, 1), bias * gamma + beta

    def linear(self) -> Tensor:
        """Weight (outputs, inputs) of the next fully connected layer, which has no bias."""
        self.go_behind(b"fc_2")
        outputs, inputs = self.integer(), self.integer()
        return self.tensor().view(inputs, outputs).T

    def go_behind(self, kind: bytes) -> None:
        """Go on behind the name of the next layer of a kind."""
        self.place = self.content.index(kind, self.place) + len(kind)

    def tensor(self) -> Tensor:
        """The numbers of a tensor in one row: version 2, its four sizes, then floats, their lowest byte first."""
        if self.integer() != 2:
            raise ValueError("a tensor of another version")
        count = math.prod(self.integer() for _ in range(4))
        self.place += 4 * count
        return torch.from_numpy(np.frombuffer(self.content, "<f4", count, self.place - 4 * count).copy())

    def integer(self) -> int:
        """A number of dlib's: how many bytes it has (and, as the highest bit, its sign), then these, lowest first."""
        length = self.content[self.place] & 15
        self.place += 1 + length
        return int.from_bytes(self.content[self.place - length : self.place], "little")
