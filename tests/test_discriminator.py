"""The discriminators: what each of their patches sees, their spectral norm, and which patches count."""

from __future__ import annotations

import pytest
import torch
from conftest import small_features
from torch import Tensor, nn

from faceinpaint import masks
from faceinpaint.discriminator import Discriminator, ProjectedDiscriminator, hole_patches

SIZES = [(64, 64), (128, 128), (96, 160)]


def discriminator() -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(width=4).eval()


def seen_by(row: int, column: int) -> tuple[slice, slice]:
    """The 70 pixels square that a patch looks at, cut to the picture by slicing; all strides make up 8."""
    return slice(max(8 * row - 23, 0), 8 * row + 47), slice(max(8 * column - 23, 0), 8 * column + 47)


@torch.no_grad()
@pytest.mark.parametrize("height, width", [*SIZES, (32, 32)])
def test_one_logit_per_patch(height: int, width: int) -> None:
    logits = discriminator()(torch.rand(2, 3, height, width), torch.zeros(2, 1, height, width))
    assert logits.shape == (2, 1, height // 8 - 2, width // 8 - 2) and logits.dtype == torch.float32


@pytest.mark.parametrize("row, column", [(6, 9), (0, 13), (4, 0)])
def test_a_patch_sees_70_pixels_square(row: int, column: int) -> None:
    image = torch.rand(1, 3, 128, 128, requires_grad=True)
    discriminator()(image, torch.zeros(1, 1, 128, 128))[0, 0, row, column].backward()
    looked_at = image.grad.abs().sum(1)[0] > 0
    expected = torch.zeros(128, 128, dtype=torch.bool)
    expected[seen_by(row, column)] = True
    assert torch.equal(looked_at, expected)


@torch.no_grad()
def test_the_mask_is_seen_too() -> None:
    network, image = discriminator(), torch.rand(1, 3, 64, 64)
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 20:40, 20:40] = 1
    assert (network(image, mask) - network(image, 0 * mask)).abs().max() > 1e-4


FEATURES = small_features(4, 6, 8)


def projected(width: int = 8) -> ProjectedDiscriminator:
    torch.manual_seed(0)
    return ProjectedDiscriminator(FEATURES.channels, width).eval()


@torch.no_grad()
@pytest.mark.parametrize("height, width", SIZES)
def test_a_projected_one_gives_one_logit_per_position_of_each_map(height: int, width: int) -> None:
    logits = projected()(FEATURES(torch.rand(2, 3, height, width)), torch.zeros(2, 1, height, width))
    assert [tuple(one.shape) for one in logits] == [(2, 1, height // 2**n, width // 2**n) for n in range(3)]
    assert all(one.dtype == torch.float32 for one in logits)


@torch.no_grad()
def test_a_projected_one_sees_the_mask_at_every_scale_and_where_it_is() -> None:
    network, maps = projected(), FEATURES(torch.rand(1, 3, 64, 64))
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 20:40, 20:40] = 1
    for with_hole, without in zip(network(maps, mask), network(maps, 0 * mask)):
        changed = (with_hole - without).abs()
        assert changed.max() > 1e-4 and (changed[..., 0, 0] == 0).all()


def test_a_projected_one_learns_its_heads_alone_and_its_slope_reaches_the_picture() -> None:
    network, image = projected(), torch.rand(1, 3, 32, 32, requires_grad=True)
    sum(one.mean() for one in network(FEATURES(image), torch.ones(1, 1, 32, 32))).backward()
    assert image.grad.isfinite().all() and image.grad.abs().max() > 0
    assert all(parameter.grad is None for parameter in FEATURES.parameters())
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())
    assert {key.split(".")[0] for key in network.state_dict()} == {"heads"}
    width, deeper = 8, projected(16)
    by_hand = sum(9 * (count + 1) * width + 9 * width**2 + 3 * width + 1 for count in (4, 6, 8))
    assert sum(parameter.numel() for parameter in network.parameters()) == by_hand
    assert [head[0].out_channels for head in deeper.heads] == [8, 12, 16]  # no wider than twice the map


@torch.no_grad()
@pytest.mark.parametrize("kind, count", [("patch", 5), ("projected", 9)])
def test_every_convolution_is_spectrally_normal_after_some_steps(kind: str, count: int) -> None:
    network = discriminator() if kind == "patch" else projected()
    picture = torch.rand(1, 3, 32, 32)
    for parameter in network.parameters():
        parameter.mul_(10)  # as large weights would be after long training
    network.train()
    for _ in range(30):
        network(picture if kind == "patch" else FEATURES(picture), torch.zeros(1, 1, 32, 32))
    network.eval()
    convolutions = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == count
    for convolution in convolutions:
        largest = torch.linalg.matrix_norm(convolution.weight.flatten(1), ord=2).item()
        assert largest == pytest.approx(1, abs=0.03)


def patches(mask: Tensor) -> Tensor:
    """Which patches count, (B, rows, columns) bool."""
    logits = torch.zeros(len(mask), 1, mask.shape[-2] // 8 - 2, mask.shape[-1] // 8 - 2)
    marked = hole_patches(mask, logits)
    assert marked.shape == logits.shape and set(marked.unique().tolist()) <= {0.0, 1.0}
    return marked[:, 0].bool()


@pytest.mark.parametrize("height, width", SIZES)
def test_without_a_hole_no_patch_counts_and_with_nothing_else_all_do(height: int, width: int) -> None:
    assert not patches(torch.zeros(1, 1, height, width)).any()
    assert patches(torch.ones(1, 1, height, width)).all()


@pytest.mark.parametrize("height, width", SIZES)
@pytest.mark.parametrize("seed", range(3))
def test_each_patch_that_counts_sees_the_hole(height: int, width: int, seed: int) -> None:
    mask = masks.block(1, (height, width), torch.Generator().manual_seed(seed))
    for row, column in patches(mask)[0].nonzero().tolist():
        assert mask[0, 0][seen_by(row, column)].any()


@pytest.mark.parametrize("height, width", SIZES)
def test_each_pixel_of_a_hole_makes_a_patch_count(height: int, width: int) -> None:
    pixels = torch.cartesian_prod(torch.arange(0, height, 7), torch.arange(0, width, 7))
    mask = torch.zeros(len(pixels), 1, height, width)
    mask[torch.arange(len(pixels)), 0, pixels[:, 0], pixels[:, 1]] = 1
    assert patches(mask).flatten(1).any(1).all()


def test_patches_far_from_the_hole_do_not_count_and_faces_stay_apart() -> None:
    mask = torch.zeros(2, 1, 256, 256)
    mask[0, :, 10:30, 10:30] = 1
    counted = patches(mask)
    assert counted[0, 1, 1] and not counted[0, 8:].any() and not counted[0, :, 8:].any()
    assert not counted[1].any()
