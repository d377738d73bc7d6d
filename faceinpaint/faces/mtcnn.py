"""MTCNN (Zhang et al. 2016): three networks that look for faces in a picture, each at what the one before has left.

The weights are facenet-pytorch's, and so are the results, to the last bit. Its code is not imported, for with it comes
torchvision, which takes 150 MB and as long as a completion; and a large picture would take three times the memory.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.metadata import distribution
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

STEP = 0.709  # from one size of faces that is looked for to the next
CELL, STRIDE = 12, 2  # pixels that the first network looks at, and from one look to the next
ROWS = 32  # looks, downwards, that are taken together in a large picture: what they need stays in the caches
LARGE = 1_000_000  # numbers; a few rows of less are computed in another way, whose last digits differ
AT_ONCE = 512  # candidates


@torch.no_grad()
def look(pixels: np.ndarray, smallest: float, thresholds: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """The faces in uint8 pixels (H, W, 3), the largest first.

    Boxes and probabilities (N, 5), left, top, right, bottom and how sure, and points (N, 5, 2), pixels, x then y.
    smallest: pixels of a face. thresholds: how sure the three networks have to be.
    """
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float().contiguous()
    boxes = _proposed(image, CELL / smallest, thresholds[0])

    change, sure = _seen(r_net, image, boxes, 24)
    kept = sure > thresholds[1]
    boxes, change = torch.cat([boxes[kept, :4], sure[kept, None]], dim=1), change[kept]
    kept = _without_twins(boxes, 0.7)
    boxes = _square(_changed(boxes[kept], change[kept], 1))

    change, sure, points = _seen(o_net, image, boxes, 48)
    kept = sure > thresholds[2]
    boxes, change, points = torch.cat([boxes[kept, :4], sure[kept, None]], dim=1), change[kept], points[kept]
    points = points.unflatten(1, (2, 5)).mT * (boxes[:, None, 2:4] - boxes[:, None, :2] + 1) + boxes[:, None, :2] - 1
    boxes = _changed(boxes, change, 1)
    kept = _without_parts(boxes, 0.7)
    boxes, points = boxes[kept], points[kept]
    largest = np.argsort((boxes[:, 2:4] - boxes[:, :2]).prod(dim=1).numpy())[::-1].copy()
    return boxes[largest], points[largest]


# ------------------------------------------------------------------------------------ the networks


@cache
def _weights(name: str) -> dict[str, Tensor]:
    file = distribution("facenet-pytorch").locate_file(f"facenet_pytorch/data/{name}.pt")
    held = torch.load(str(file), weights_only=True)
    return {key: one.contiguous() for key, one in held.items()}


def _features(weights: dict[str, Tensor], image: Tensor, pools: tuple[int, ...]) -> Tensor:
    """Convolutions, each with the pooling of so many pixels (0: none) that follows it."""
    for number, pool in enumerate(pools, start=1):
        image = F.conv2d(image, weights[f"conv{number}.weight"], weights[f"conv{number}.bias"])
        image = F.prelu(image, weights[f"prelu{number}.weight"])
        image = F.max_pool2d(image, pool, 2, ceil_mode=True) if pool else image
    return image


def _dense(weights: dict[str, Tensor], features: Tensor, layer: str) -> Tensor:
    return F.linear(features, weights[f"{layer}.weight"], weights[f"{layer}.bias"])


def p_net(image: Tensor) -> tuple[Tensor, Tensor]:
    """What is to be changed of each look's square, (1, 4, h, w), and scores of no face and of one, (1, 2, h, w)."""
    weights = _weights("pnet")
    features = _features(weights, image, (2, 0, 0))
    score, change = (
        F.conv2d(features, weights[f"{layer}.weight"], weights[f"{layer}.bias"]) for layer in ("conv4_1", "conv4_2")
    )
    return change, score


def r_net(image: Tensor) -> tuple[Tensor, ...]:
    """Of boxes in 24 pixels (N, 3, 24, 24): what is to be changed of each, (N, 4), and how sure it is a face, (N,)."""
    weights = _weights("rnet")
    features = _features(weights, image, (3, 3, 0)).permute(0, 3, 2, 1).flatten(1)
    features = F.prelu(_dense(weights, features, "dense4"), weights["prelu4.weight"])
    return _dense(weights, features, "dense5_2"), _dense(weights, features, "dense5_1").softmax(dim=1)[:, 1]


def o_net(image: Tensor) -> tuple[Tensor, ...]:
    """The same of boxes in 48 pixels, and five points of each, (N, 10), x before y, in fractions of the box."""
    weights = _weights("onet")
    features = _features(weights, image, (3, 3, 2, 0)).permute(0, 3, 2, 1).flatten(1)
    features = F.prelu(_dense(weights, features, "dense5"), weights["prelu5.weight"])
    change, sure, points = (_dense(weights, features, one) for one in ("dense6_2", "dense6_1", "dense6_3"))
    return change, sure.softmax(dim=1)[:, 1], points


def _shrunk(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Means of pixels (1, 3, H, W) up to 255, at another size (height, width), as the networks take them."""
    small = F.interpolate(image, size=size, mode="area").sub_(127.5).mul_(1 / 128)
    return small.contiguous(memory_format=torch.channels_last)


# ------------------------------------------------------------------------------------ boxes


def _proposed(image: Tensor, scale: float, threshold: float) -> Tensor:
    """Squares (N, 5) that may hold a face, at every scale from this one on."""
    height, width = image.shape[-2:]
    least, found = min(height, width) * scale, [torch.zeros(0, 9)]
    while least >= CELL:
        one = _at_scale(_shrunk(image, (int(height * scale + 1), int(width * scale + 1))), scale, threshold)
        found.append(one[_without_twins(one, 0.5)])
        scale, least = scale * STEP, least * STEP
    boxes = torch.cat(found)
    boxes = boxes[_without_twins(boxes, 0.7)]
    return _square(_changed(boxes[:, :5], boxes[:, 5:], 0))


def _at_scale(image: Tensor, scale: float, threshold: float) -> Tensor:
    """Squares of one scale, (N, 9): box, how sure, and what is to be changed of it."""
    looks = -(-(image.shape[-2] - CELL) // STRIDE) + 1
    count = looks // ROWS if image.numel() > LARGE else 1
    edges = [looks * part // count for part in range(count + 1)]
    parts = [p_net(image[:, :, STRIDE * top : STRIDE * (end - 1) + CELL]) for top, end in pairwise(edges)]
    change, score = (torch.cat(one, dim=-2)[0] for one in zip(*parts))
    sure = score.softmax(dim=0)[1]
    there = sure >= threshold
    corner = STRIDE * there.nonzero().flip(1).float()
    ends = ((corner + 1) / scale).floor(), ((corner + CELL) / scale).floor()
    return torch.cat([*ends, sure[there][:, None], change[:, there].T], dim=1)


def _seen(network: Callable[[Tensor], tuple[Tensor, ...]], image: Tensor, boxes: Tensor, side: int) -> list[Tensor]:
    """What a network says of each box, shown in `side` pixels."""
    height, width = image.shape[-2:]
    parts = [torch.zeros(0, 3, side, side)]
    for left, top, right, bottom in boxes[:, :4].int().tolist():
        left, top = min(max(left, 1), width), min(max(top, 1), height)
        right, bottom = max(min(right, width), left), max(min(bottom, height), top)
        parts.append(_shrunk(image[:, :, top - 1 : bottom, left - 1 : right], (side, side)))
    return [torch.cat(one) for one in zip(*map(network, torch.cat(parts).split(AT_ONCE)))]


def _changed(boxes: Tensor, change: Tensor, edge: int) -> Tensor:
    """Boxes (N, 5) moved by shares (N, 4) of their sides, to which an edge is counted."""
    sides = (boxes[:, 2:4] - boxes[:, :2] + edge).repeat(1, 2)
    return torch.cat([boxes[:, :4] + change * sides, boxes[:, 4:]], dim=1)


def _square(boxes: Tensor) -> Tensor:
    """The squares around the middles of boxes (N, 5), of their longer side."""
    sides = boxes[:, 2:4] - boxes[:, :2]
    longer = sides.amax(dim=1, keepdim=True)
    corner = boxes[:, :2] + sides * 0.5 - longer * 0.5
    return torch.cat([corner, corner + longer, boxes[:, 4:]], dim=1)


def _without_twins(boxes: Tensor, most: float) -> list[int]:
    """Which boxes (N, 5 or more) share no more than `most` of their union with a surer one, the surest first."""
    boxes, order = boxes[:, :4].numpy(), boxes[:, 4].argsort(descending=True, stable=True).numpy()
    return _apart(boxes, order, most, 0, lambda one, other, both: one + other - both)


def _without_parts(boxes: Tensor, most: float) -> list[int]:
    """The same, of the smaller box."""
    order = np.argsort(boxes[:, 4].numpy())[::-1]
    return _apart(boxes[:, :4].numpy(), order, most, 1, lambda one, other, both: np.minimum(one, other))


def _apart(
    boxes: np.ndarray, order: np.ndarray, most: float, edge: int,
    whole: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
) -> list[int]:
    """Which boxes share no more than `most` with one before them in the order; whole: of two areas and what they share.
    """
    area, kept = (boxes[:, 2:] - boxes[:, :2] + edge).prod(axis=1), []
    while len(order):
        one, order = order[0], order[1:]
        kept.append(int(one))
        first, last = np.maximum(boxes[one, :2], boxes[order, :2]), np.minimum(boxes[one, 2:], boxes[order, 2:])
        both = np.maximum(last - first + edge, 0).prod(axis=1)
        order = order[both / whole(area[one], area[order], both) <= most]
    return kept
