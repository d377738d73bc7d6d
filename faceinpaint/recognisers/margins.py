"""ArcFace and CosFace heads, which ask for a margin between people; used in training only."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MarginHead(nn.Module):
    """Softmax with a margin: one direction per person, and the cosine with one's own is lowered by a margin.

    So the network must bring an embedding closer than plain softmax asks. scale: of the cosines.
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
        return self.scale * cosine.scatter(1, identity[:, None], self.understated(target))

    def understated(self, cosine: Tensor) -> Tensor:
        """The cosines with the own person's direction, lowered by the margin; any shape."""
        raise NotImplementedError


class ArcFaceHead(MarginHead):
    """Additive angular margin (Deng et al. 2019, eq. 3): `margin` radians are added to the angle."""

    def understated(self, cosine: Tensor) -> Tensor:
        # sine by Pythagoras; the floor keeps the square root's gradient finite at cosine = 1
        sine = (1 - cosine.square()).clamp(min=1e-6).sqrt()
        enlarged = cosine * math.cos(self.margin) - sine * math.sin(self.margin)  # cos(angle + margin)
        # Beyond angle + margin = pi the cosine would rise again: go on falling along a straight line.
        beyond = cosine - self.margin * math.sin(self.margin)
        return torch.where(cosine > math.cos(math.pi - self.margin), enlarged, beyond)


class CosFaceHead(MarginHead):
    """Additive cosine margin (Wang et al. 2018, CosFace, eq. 4): `margin` is taken off the cosine."""

    def understated(self, cosine: Tensor) -> Tensor:
        return cosine - self.margin


HEADS = {"arcface": ArcFaceHead, "cosface": CosFaceHead}
