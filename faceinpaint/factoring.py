"""A generator made thin: its residual blocks, most of its work, as products of two thin convolutions each.

What a convolution that has learnt puts out varies mostly in a few directions. Kept to these it is a convolution to few
channels and a mixing of them (Zhang et al. 2016, *Accelerating very deep convolutional networks*, section 3), which
paints nearly the same with a fraction of the weights and of the work, and nothing has to be learnt anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceinpaint import weights
from faceinpaint.errors import InputError
from faceinpaint.generator import Generator
from faceinpaint.landmarks import LandmarkPredictor
from faceinpaint.training.batches import MaskedFaces, Mixture
from faceinpaint.training.sources import Need

APPEARANCE = (40, 64)  # components and pixels of its appearance model, which loses nothing that one could measure
FACES = 64  # on which the directions are measured: 64 x 32 x 32 outputs for at most a few hundred of them


def factor(
    name_or_path: str | Path, rank: int, faces: Sequence[str], predictor: LandmarkPredictor, path: Path,
    size: int = 256, seed: int = 0,
) -> Path:
    """Write the thin copy of a generator, a name or a file, measured on training faces under all kinds of masks.

    faces: `NAME` or `NAME:WEIGHT` each, see `training.sources`. size: pixels. Returns `path`. Raises InputError as
    `weights.load`, and as `factored`.
    """
    generator = weights.load(name_or_path, Generator)
    need = Need(size, seed, predictor=predictor, rendered=FACES)
    mixture = Mixture(faces, need)
    batches = mixture.batches(8, 0, FACES // 8, FACES)
    thin = factored(generator, rank, seen_by_the_blocks(generator, predictor, batches))
    metadata, _ = weights.content_of(weights.file_of(name_or_path))
    weights.save(thin, thin.settings, path, **weights.said_beside(metadata))
    return path


@torch.no_grad()
def seen_by_the_blocks(generator: Generator, predictor: LandmarkPredictor, batches: Sequence[MaskedFaces]) -> Tensor:
    """What the first residual block gets to see of masked faces: (N, 4 width, H/8, W/8)."""
    seen: list[Tensor] = []
    hook = generator.down3.register_forward_hook(lambda part, given, features: seen.append(features))
    try:
        for batch in batches:
            generator(batch.image, batch.mask, predictor(batch.image, batch.mask))
    finally:
        hook.remove()
    return torch.cat(seen)


@torch.no_grad()
def factored(generator: Generator, rank: int, seen: Tensor) -> Generator:
    """A thin copy of a generator: each convolution of its residual blocks as two with `rank` channels between them.

    seen: (N, 4 width, H, W), what the first block gets to see. Raises InputError for a generator that is thin already,
    and for a rank that is not below the number of channels.
    """
    channels = 4 * generator.width
    if generator.rank or not 0 < rank < channels:
        raise InputError(f"a generator of {channels} channels can't be given the rank {rank}: "
                         f"take one that is not thin yet, and a rank from 1 to {channels - 1}")
    thin = Generator(generator.width, generator.prior, rank, APPEARANCE, style=generator.style is not None)
    for name, part in generator.named_children():
        if name == "appearance":
            thin.appearance = part.smaller(*APPEARANCE)
        elif name != "residual":
            thin.get_submodule(name).load_state_dict(part.state_dict())
    for whole, block in zip(generator.residual, thin.residual):
        hidden = F.leaky_relu(_factor(whole.dilated, block.dilated, seen), 0.2)
        seen = seen + _factor(whole.convolution, block.convolution, hidden)
    return thin.eval().requires_grad_(False)


def _factor(whole: nn.Conv2d, pair: nn.Sequential, seen: Tensor) -> Tensor:
    """Give a pair of convolutions what the whole one knows; returns the pair's output for what it has seen.

    With the mean m of the outputs and the directions U of their largest variances, y = W x + c becomes
    m + U (U^T W x + U^T (c - m)): no other pair of this rank is nearer to the outputs seen, in least squares.
    """
    outputs = whole(seen).transpose(0, 1).flatten(1)  # channels, positions
    mean = outputs.mean(1)
    centred = outputs - mean[:, None]
    directions = torch.linalg.eigh(centred @ centred.T).eigenvectors[:, -pair[0].out_channels :]
    pair[0].weight.copy_(torch.einsum("or,oihw->rihw", directions, whole.weight))
    pair[0].bias.copy_(directions.T @ (whole.bias - mean))
    pair[1].weight.copy_(directions[:, :, None, None])
    pair[1].bias.copy_(mean)
    return pair(seen)
