"""A generator made thin: nothing lost at full rank, the best of its rank below, and the same file twice."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from conftest import canonical_face
from torch import Tensor
from torch.nn import functional as F

from faceinpaint import masks, weights
from faceinpaint.errors import InputError
from faceinpaint.factoring import APPEARANCE, factor, factored, seen_by_the_blocks
from faceinpaint.generator import Generator, ThinResidual
from faceinpaint.landmarks import LandmarkPredictor
from faceinpaint.training.batches import MaskedFaces

WIDTH, CHANNELS = 8, 32
SIZE = 64


@pytest.fixture(scope="module")
def generator() -> Generator:
    """One whose blocks do something: at first their last convolutions are nearly nothing."""
    torch.manual_seed(0)
    made = Generator(WIDTH)
    for block in made.residual:
        block.last.weight.data.mul_(10)
    made.paint.weight.data.normal_(0, 0.05)
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def seen() -> Tensor:
    """Features as the first block gets them, of a few directions that vary much and many that vary little."""
    random = torch.Generator().manual_seed(1)
    mixing = torch.randn(CHANNELS, CHANNELS, generator=random) * 0.8 ** torch.arange(CHANNELS)
    return torch.einsum("oc,nchw->nohw", mixing, torch.randn(4, CHANNELS, 16, 16, generator=random))


def test_convolutions_that_are_products_already_lose_nothing(generator: Generator, seen: Tensor) -> None:
    torch.manual_seed(4)
    products, whole = Generator(WIDTH, rank=5), deepcopy(generator)
    for thin, block in zip(products.residual, whole.residual):
        for (narrow, wide), convolution in ((thin.dilated, block.dilated), (thin.convolution, block.convolution)):
            product = torch.einsum("or,rihw->oihw", wide.weight[:, :, 0, 0], narrow.weight)
            convolution.weight.copy_(product.detach())
            convolution.bias.uniform_(-1, 1)
    made = factored(whole, 5, seen).residual(seen)
    assert torch.allclose(made, whole.residual(seen), rtol=1e-3, atol=1e-3 * made.std().item())


def test_the_less_rank_the_less_weights_and_the_further_from_the_whole(generator: Generator, seen: Tensor) -> None:
    whole = generator.residual(seen)
    thins = [factored(generator, rank, seen) for rank in (24, 12, 4)]
    errors = [(whole - thin.residual(seen)).square().mean().item() for thin in thins]
    assert errors == sorted(errors) and errors[0] < 0.5 * errors[2]
    counts = [sum(value.numel() for value in thin.parameters()) for thin in thins]
    assert counts == sorted(counts, reverse=True)


def test_no_other_pair_of_the_rank_is_nearer(generator: Generator, seen: Tensor) -> None:
    whole = generator.residual[0].dilated
    pair = factored(generator, 6, seen).residual[0].dilated
    error = (whole(seen) - pair(seen)).square().mean()
    random = torch.Generator().manual_seed(2)
    for _ in range(5):  # directions near the ones found
        turned, _ = torch.linalg.qr(pair[1].weight[:, :, 0, 0] + 0.1 * torch.randn(CHANNELS, 6, generator=random))
        outputs = whole(seen) - whole(seen).mean((0, 2, 3), keepdim=True)
        kept = torch.einsum("or,pr,nphw->nohw", turned, turned, outputs)
        assert error <= (outputs - kept).square().mean()


def test_everything_but_the_blocks_stays(generator: Generator, seen: Tensor) -> None:
    thin = factored(generator, 8, seen)
    assert all(isinstance(block, ThinResidual) for block in thin.residual) and thin.settings["rank"] == 8
    kept = thin.state_dict()
    for key, value in generator.state_dict().items():
        assert key.startswith(("residual.", "appearance.")) or torch.equal(value, kept[key])


def test_a_thin_copy_has_the_style_code_of_the_whole_one_or_none(generator: Generator, seen: Tensor) -> None:
    torch.manual_seed(5)
    styled = Generator(WIDTH, style=True)
    styled.style.layers[-1].weight.data.normal_()
    thin = factored(styled, 8, seen)
    assert thin.settings["style"] and factored(generator, 8, seen).style is None
    for key, value in styled.style.state_dict().items():
        assert torch.equal(thin.style.state_dict()[key], value)


def test_what_the_blocks_see_is_what_the_encoder_gives(generator: Generator) -> None:
    random = torch.Generator().manual_seed(3)
    landmarks = canonical_face(SIZE).expand(2, -1, -1)
    batch = MaskedFaces(
        torch.rand(2, 3, SIZE, SIZE, generator=random), landmarks, torch.arange(2), ("a", "b"),
        masks.named("mask01", SIZE).expand(2, -1, -1, -1),
    )
    seen = seen_by_the_blocks(generator, lambda image, mask: landmarks, [batch, batch])
    assert seen.shape == (4, CHANNELS, SIZE // 8, SIZE // 8) and torch.equal(seen[:2], seen[2:])
    assert not generator.down3._forward_hooks  # nothing is left behind
    assert not torch.equal(seen[0], seen[1])


@pytest.mark.parametrize("rank", [0, CHANNELS, 100])
def test_a_rank_that_makes_nothing_thin_is_refused(generator: Generator, seen: Tensor, rank: int) -> None:
    with pytest.raises(InputError, match="rank from 1 to 31"):
        factored(generator, rank, seen)


def test_a_thin_one_is_not_made_thinner(generator: Generator, seen: Tensor) -> None:
    with pytest.raises(InputError, match="not thin yet"):
        factored(factored(generator, 8, seen), 4, seen)


def test_a_thin_file_says_what_the_whole_one_said_and_is_the_same_twice(generator: Generator, tmp_path: Path) -> None:
    given = tmp_path / "whole.safetensors"
    weights.save(generator, generator.settings, given, identity_recogniser="somebody")
    torch.manual_seed(0)
    predictor = LandmarkPredictor(0.35, 32).eval()
    files = [
        factor(given, 8, ["synthetic"], predictor, tmp_path / name / "thin.safetensors", SIZE)
        for name in ("once", "again")
    ]
    assert files[0].read_bytes() == files[1].read_bytes() and files[0].stat().st_size < given.stat().st_size
    assert weights.about(files[0], "identity_recogniser") == "somebody"
    thin = {"rank": 8, "appearance": list(APPEARANCE)}
    assert weights.load(files[0], Generator).settings == generator.settings | thin


def test_a_thin_generator_learns_from_nothing_too() -> None:
    torch.manual_seed(0)
    thin = Generator(WIDTH, rank=8)
    x = torch.randn(1, CHANNELS, 16, 16)
    thin.residual(x).square().mean().backward()
    gradients = [value.grad.abs().sum() for value in thin.residual.parameters()]
    assert all(gradients) and F.mse_loss(thin.residual(x), x) < x.square().mean()
