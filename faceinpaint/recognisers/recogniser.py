"""One interface for all recognisers: align, embed, compare by cosine distance."""

from __future__ import annotations

import hashlib

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceinpaint.recognisers.alignment import align, crop_face, standardised


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

    def verdict(self, distance: float) -> str:
        """What the distance of two faces means to this recogniser, in words."""
        same = "yes" if distance <= self.threshold else "no"
        return f"same person: {same} (distance {distance:z.3f}, threshold {self.threshold:.3f})"

    @property
    def fingerprint(self) -> str:
        """A SHA-256 of the parameters in half precision: the same network has the same, whatever its file is called."""
        digest = hashlib.sha256()
        for value in self.network.state_dict().values():
            digest.update(value.detach().cpu().half().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @staticmethod
    def distance(a: Tensor, b: Tensor) -> Tensor:
        """Cosine distance 1 - cos(a, b): 0 the same, 1 at right angles, 2 opposite. (..., D) twice -> (...)."""
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
