"""Face recognisers: a photograph becomes a unit vector, and one person's vectors lie close together.

Every recogniser has the same face: `embed(images, landmarks)`, `distance(a, b)`, `threshold`. They are
frozen, but gradients flow through them to the image, which is what the identity loss needs.
"""

from __future__ import annotations

import difflib
import math
from pathlib import Path
from typing import Sequence

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from faceinpaint import fetch, weights
from faceinpaint.errors import InputError
from faceinpaint.faces.align import five_points
from faceinpaint.features import RecogniserFeatures

# Where the five points come to lie (x, y) in an aligned face of 112 x 96 (H x W) pixels: the eye on the
# left of the picture, the eye on the right, the tip of the nose, the left and the right mouth corner.
TEMPLATE = ((30.29, 51.70), (65.53, 51.50), (48.03, 71.74), (33.55, 92.37), (62.73, 92.20))
ALIGNED_SIZE = (112, 96)

# Inverted residuals of MobileFaceNet (table 1): expansion, channels, repeats, stride of the first.
BLOCKS = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))

# For a file that brings none, the published ArcFace one: 0.1 % false accepts (15,332 pairs of 108 people).
MOBILEFACENET_THRESHOLD = 0.58
# The paper's rule of thumb ("less than 0.5 ... the same person"): these weights are not ours to calibrate.
FACENET_THRESHOLD = 0.5

NAMES = ("embedded", "facenet")


# ------------------------------------------------------------------------------------------------ alignment


def similarity(source: Tensor, target: Tensor) -> Tensor:
    """The rotation, scale and shift that bring `source` closest to `target` in least squares.

    source, target: (B, N, 2) points. Returns (B, 2, 3): [:, :, :2] · source + [:, :, 2] ≈ target.
    Umeyama (1991), eq. 40-42, without reflection: in the plane its singular value decomposition comes
    down to one division of complex numbers, so it has a gradient everywhere.
    """
    source_mean, target_mean = source.mean(1), target.mean(1)
    p, q = source - source_mean[:, None], target - target_mean[:, None]
    spread = p.square().sum((1, 2))
    cos = (p * q).sum((1, 2)) / spread  # scale times cosine of the angle
    sin = (p[..., 0] * q[..., 1] - p[..., 1] * q[..., 0]).sum(1) / spread
    rotation = torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2)
    # Sums of products instead of `@`: autocast would do a matrix product in 16 bits, pixels off.
    shift = target_mean - (rotation * source_mean[:, None]).sum(2)
    return torch.cat([rotation, shift[:, :, None]], 2)


def warp(images: Tensor, matrix: Tensor, size: tuple[int, int]) -> Tensor:
    """Sample `images` where `matrix` sends the pixels of an output of `size`; differentiable.

    images: (B, 3, H, W). matrix: (B, 2, 3), output pixel (x, y) -> image pixel (x, y). size: (height, width).
    Returns (B, 3, *size). Against aliasing each output pixel is the mean of a fixed number of samples
    for the image's size (2 x 2 at 256 pixels), so that a face's result never depends on its batch.
    Outside the image the edge is repeated.
    """
    height, width = images.shape[-2:]
    samples = min(math.ceil(max(height, width) / 128), 8)
    y = (torch.arange(size[0] * samples, device=images.device)[:, None] + 0.5) / samples - 0.5
    x = (torch.arange(size[1] * samples, device=images.device) + 0.5) / samples - 0.5
    by_x, by_y, shift = matrix[..., None, None].unbind(2)  # B, 2, 1, 1 each
    source = (by_x * x + by_y * y + shift).permute(0, 2, 3, 1)  # B, h, w, 2
    grid = (2 * source + 1) / source.new_tensor([width, height]) - 1  # pixel centres at whole numbers
    sampled = F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return F.avg_pool2d(sampled, samples)


def align_points(images: Tensor, points: Tensor) -> Tensor:
    """Faces turned, scaled and shifted so that their five points fall on the template.

    images: (B, 3, H, W) in [0, 1]. points: (B, 5, 2) pixels in the order of `TEMPLATE`.
    Returns (B, 3, 112, 96) float32. Raises InputError when points are unknown (NaN) or all in one place.
    """
    images, points = images.float(), points.to(images.device, torch.float32)
    matrix = similarity(points, points.new_tensor(TEMPLATE).expand_as(points))
    rotation, shift = matrix[:, :, :2], matrix[:, :, 2]
    inverse = rotation.mT / rotation[:, 0].square().sum(1)[:, None, None]  # of a rotation times a scale
    inverse = torch.cat([inverse, -(inverse * shift[:, None]).sum(2, keepdim=True)], 2)
    _require_finite(inverse)
    return warp(images, inverse, ALIGNED_SIZE)


def align(images: Tensor, landmarks: Tensor) -> Tensor:
    """Faces aligned by their landmarks for a recogniser; gradients flow to the images.

    images: (B, 3, H, W) in [0, 1]. landmarks: (B, 68, 2) pixels. Returns (B, 3, 112, 96).
    Raises InputError when landmarks are unknown (NaN) or all in one place.
    """
    return align_points(images, five_points(landmarks))


def standardised(images: Tensor) -> Tensor:
    """Pixels in [0, 1] as every recogniser here wants them, about -1 to 1: (x - 127.5) / 128 of 8-bit values."""
    return (images * 255 - 127.5) / 128


def crop_face(images: Tensor, landmarks: Tensor, size: int = 160, margin: float = 14) -> Tensor:
    """The upright crop that the MTCNN detector would have made, the kind that FaceNet was trained on.

    images: (B, 3, H, W) in [0, 1]. landmarks: (B, 68, 2) pixels. margin: pixels of the crop, both sides
    together, as in facenet-pytorch. Returns (B, 3, size, size) float32, sides scaled separately like
    MTCNN's. The detector's box is the hull of the landmarks with a forehead of 0.36 of its height
    (mean over 90 photographs; standard deviation 0.04). Raises InputError as `align`.
    """
    images, landmarks = images.float(), landmarks.to(images.device, torch.float32)
    low, high = landmarks.amin(1), landmarks.amax(1)  # B, 2
    low = low - (high - low) * low.new_tensor([0.0, 0.36])
    side = (high - low) * size / (size - margin)
    scale = side / size
    shift = (low + high) / 2 - scale * (size - 1) / 2  # centre to centre
    matrix = torch.cat([torch.diag_embed(scale), shift[:, :, None]], 2)
    _require_finite(matrix / scale[:, :, None])
    return warp(images, matrix, (size, size))


def _require_finite(matrix: Tensor) -> None:
    if not matrix.isfinite().all():
        raise InputError(
            "a face has unknown landmarks, or all of them in one place, so it cannot be aligned: "
            "give 68 finite points or predict them first"
        )


# -------------------------------------------------------------------------------------------- MobileFaceNet


class ConvBlock(nn.Module):
    """Convolution, batch norm and, unless `linear`, PReLU. (B, inputs, H, W) -> (B, outputs, H', W')."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int | tuple[int, int], stride: int = 1, padding: int = 0,
        groups: int = 1, linear: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.prelu = nn.Identity() if linear else nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.prelu(self.bn(self.conv(x)))


class InvertedResidual(nn.Module):
    """MobileNetV2's block with PReLU: expand, filter each channel, project without activation."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.PReLU(hidden),
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
            nn.PReLU(hidden),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileFaceNet(nn.Module):
    """Chen et al. (2018), MobileFaceNets, table 1: a face recogniser of one million parameters.

    blocks: (expansion, channels, repeats, stride) each. width: multiplies all channels but the embedding's.
    threshold: of the cosine distance, once calibrated; a setting, so that it stays with its weights.
    forward: (B, 3, 112, 96) RGB in [-1, 1], aligned -> (B, embedding_size), not normalised.
    """

    def __init__(
        self, blocks: Sequence[Sequence[int]] = BLOCKS, embedding_size: int = 128, width: float = 1.0,
        threshold: float | None = None,
    ) -> None:
        super().__init__()
        self.threshold = threshold
        channels, features = round(64 * width), round(512 * width)
        self.conv1 = ConvBlock(3, channels, 3, stride=2, padding=1)  # 112x96 -> 56x48
        self.dw_conv1 = ConvBlock(channels, channels, 3, padding=1, groups=channels)
        layers, (height, breadth) = [], (56, 48)
        for expansion, outputs, repeats, stride in blocks:
            outputs = round(outputs * width)
            for repeat in range(repeats):
                layers.append(InvertedResidual(channels, outputs, stride if repeat == 0 else 1, expansion))
                channels = outputs
            height, breadth = math.ceil(height / stride), math.ceil(breadth / stride)
        self.blocks = nn.Sequential(*layers)  # 56x48 -> 7x6
        self.conv2 = ConvBlock(channels, features, 1)
        # A weighted mean over positions instead of a plain one: corners of a face say less than its middle.
        self.linear7 = ConvBlock(features, features, (height, breadth), groups=features, linear=True)
        self.linear1 = ConvBlock(features, embedding_size, 1, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.dw_conv1(self.conv1(x)))
        return self.linear1(self.linear7(self.conv2(x))).flatten(1)


def load_mobilefacenet(path: Path | str) -> MobileFaceNet:
    """MobileFaceNet from a file of ours (settings inside) or, without settings, of the paper's architecture.

    Returns it frozen, in evaluation mode. Raises InputError when the file is missing, damaged or another's.
    """
    if not Path(path).is_file():
        raise InputError(f"there is no recogniser file {path}: give the path of a .safetensors file")
    try:
        with safe_open(path, framework="pt") as file:
            if "architecture" in (file.metadata() or {}):
                return weights.load(Path(path), MobileFaceNet)
            state = {key: file.get_tensor(key) for key in file.keys()}
        network = MobileFaceNet()
        network.load_state_dict(state)
    except SafetensorError as error:
        raise InputError(f"{path} is not a whole .safetensors file: fetch or write it again") from error
    except (RuntimeError, TypeError, KeyError) as error:
        raise InputError(f"{path} holds another network: give the weights of a MobileFaceNet") from error
    return network.eval().requires_grad_(False)


# ---------------------------------------------------------------------------------------------- recognisers


class Recogniser(nn.Module):
    """A frozen network that says how alike two faces are.

    name: for reports. threshold: the cosine distance up to which two faces count as the same person.
    network: aligned faces (B, 3, 112, 96) in [-1, 1] -> (B, D / 2); it is frozen here, so give a copy
    of one that is still learning.
    """

    def __init__(self, name: str, network: nn.Module, threshold: float) -> None:
        super().__init__()
        self.name = name
        self.network = network
        self.threshold = threshold
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> Recogniser:
        """Stays in evaluation mode, also when the model around it trains: batch norm must not learn."""
        return super().train(False)

    def embed(self, images: Tensor, landmarks: Tensor) -> Tensor:
        """Unit vectors of the faces, differentiable with respect to the images.

        images: (B, 3, H, W) in [0, 1]. landmarks: (B, 68, 2) pixels. Returns (B, D) float32.
        Raises InputError as `align`.
        """
        return self.embed_aligned(self.align(images, landmarks))

    def align(self, images: Tensor, landmarks: Tensor) -> Tensor:
        """The faces as the network wants them, (B, 3, 112, 96) in [0, 1]; arguments as in `embed`."""
        return align(images, landmarks)

    def embed_aligned(self, aligned: Tensor) -> Tensor:
        """(B, D) from what `align` returned: the embeddings of face and mirror image, joined, of length 1."""
        pixels = standardised(aligned)
        face, mirrored = self.network(torch.cat([pixels, pixels.flip(3)])).float().chunk(2)
        return F.normalize(torch.cat([face, mirrored], 1), dim=1)

    @property
    def features(self) -> RecogniserFeatures:
        """The first layers, as a feature network for a perceptual loss; InputError where they are not usable."""
        return RecogniserFeatures(self.network).to(next(self.network.parameters()).device).frozen()

    @staticmethod
    def distance(a: Tensor, b: Tensor) -> Tensor:
        """Cosine distance 1 - cos(a, b): 0 the same, 1 unrelated, 2 opposite. (..., D) twice -> (...)."""
        return 1 - F.cosine_similarity(a, b, dim=-1)


class FaceNet(Recogniser):
    """FaceNet (Schroff et al. 2015) as an Inception-ResNet-v1: the network of the paper's identity loss.

    network: crops (B, 3, 160, 160), standardised -> (B, 512). No mirror image here.
    """

    def align(self, images: Tensor, landmarks: Tensor) -> Tensor:
        """Upright crops (B, 3, 160, 160) in [0, 1]; see `crop_face`."""
        return crop_face(images, landmarks)

    def embed_aligned(self, aligned: Tensor) -> Tensor:
        """(B, 512) of length 1 from crops (B, 3, 160, 160) in [0, 1]."""
        return F.normalize(self.network(standardised(aligned)).float(), dim=1)


def load_facenet(path: Path | str | None = None) -> FaceNet:
    """FaceNet with the weights trained on VGGFace2 that facenet-pytorch publishes.

    path: the file; without one, torch's cache is searched. Nothing is downloaded here.
    Raises InputError when the file is missing, damaged or of another network.
    """
    from facenet_pytorch import InceptionResnetV1  # late: importing it takes a second

    path = _facenet_path() if path is None else Path(path)
    if not path.is_file():
        raise InputError(f"there is no file of FaceNet weights {path}: get them with `{fetch.command('facenet')}`")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        # The classifier over the training people is published too; the embedding has no use for it.
        state = {key: value for key, value in state.items() if not key.startswith("logits.")}
        network = InceptionResnetV1(pretrained=None)
        network.load_state_dict(state)
    except Exception as error:  # a damaged pickle may raise anything
        raise InputError(
            f"{path} does not hold FaceNet's weights: delete it and get them with `{fetch.command('facenet')}`"
        ) from error
    return FaceNet("facenet", network, FACENET_THRESHOLD)


def _facenet_path() -> Path:
    """FaceNet's file, checked, or one that facenet-pytorch has downloaded to where torch's hub does not look."""
    theirs = Path(torch.hub.get_dir()).parent / "checkpoints" / fetch.published("facenet").file
    there = theirs.is_file() and not fetch.path_of("facenet").is_file()
    return theirs if there else fetch.checked("facenet")


def load_recogniser(name_or_path: str | Path = "embedded") -> Recogniser:
    """A recogniser by name (`embedded`: comes with the package, `facenet`) or by a MobileFaceNet's file.

    Raises InputError for an unknown name (the nearest is named) and for missing or unfit weights.
    """
    name = str(name_or_path)
    if name == "facenet":
        return load_facenet()
    if name == "embedded":
        return _from_file(name, weights.path_of("recogniser"))
    if name.endswith(".safetensors") or Path(name).is_file():
        return _from_file(Path(name).stem, Path(name))
    nearest = difflib.get_close_matches(name, NAMES, n=1, cutoff=0)[0]
    raise InputError(f"there is no recogniser {name!r}: say {nearest!r}, or the path of a .safetensors file")


def _from_file(name: str, path: Path) -> Recogniser:
    network = load_mobilefacenet(path)
    calibrated = network.threshold is not None
    return Recogniser(name, network, network.threshold if calibrated else MOBILEFACENET_THRESHOLD)


# ------------------------------------------------------------------------------------ learning to recognise


class ArcFaceHead(nn.Module):
    """Additive angular margin (Deng et al. 2019, eq. 3): one direction per person, used in training only.

    The angle between an embedding and its own person's direction is enlarged by `margin` radians, so
    the network must bring it closer than plain softmax asks. scale: of the cosines.
    """

    def __init__(self, embedding_size: int, people: int, scale: float = 64.0, margin: float = 0.5) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_normal_(torch.empty(people, embedding_size)))
        self.scale = scale
        self.margin = margin

    def forward(self, embeddings: Tensor, identity: Tensor) -> Tensor:
        """Logits (B, people) of embeddings (B, D), any length, and identity (B,) int64 below `people`."""
        with torch.autocast(embeddings.device.type, enabled=False):  # 64 times a bf16 cosine is too coarse
            cosine = F.linear(F.normalize(embeddings.float()), F.normalize(self.weight.float()))
        target = cosine.gather(1, identity[:, None])
        # sine by Pythagoras; the floor keeps the square root's gradient finite at cosine = 1
        sine = (1 - target.square()).clamp(min=1e-6).sqrt()
        enlarged = target * math.cos(self.margin) - sine * math.sin(self.margin)  # cos(angle + margin)
        # Beyond angle + margin = pi the cosine would rise again: go on falling along a straight line.
        beyond = target - self.margin * math.sin(self.margin)
        enlarged = torch.where(target > math.cos(math.pi - self.margin), enlarged, beyond)
        return self.scale * cosine.scatter(1, identity[:, None], enlarged)

    def loss(self, embeddings: Tensor, identity: Tensor) -> Tensor:
        """Cross-entropy of the logits, a scalar; arguments as in `forward`."""
        return F.cross_entropy(self(embeddings, identity), identity)
