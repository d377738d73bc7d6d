"""The losses: zero where they should be, blind where they should be, and pulling the right way."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceinpaint import masks
from faceinpaint.losses import (
    PerceptualLoss,
    adversarial_loss,
    discriminator_loss,
    identity_loss,
    reconstruction_loss,
)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int = 2, size: int = 64) -> Tensor:
    return 0.2 + 0.6 * torch.rand(count, 3, size, size, generator=seeded(0))


@pytest.mark.parametrize("ratio", [(0.01, 0.1), (0.2, 0.3), (0.5, 0.6)])
def test_the_reconstruction_loss_is_the_same_for_all_sizes_of_hole(ratio: tuple[float, float]) -> None:
    image, mask = pictures(), masks.irregular(2, 64, seeded(0), ratio)
    assert reconstruction_loss(image + 0.1, image, mask).item() == pytest.approx(0.01, rel=1e-3)
    assert reconstruction_loss(image, image, mask) == 0


def test_a_small_hole_counts_like_a_large_one_in_the_same_batch() -> None:
    image, mask = pictures(), torch.zeros(2, 1, 64, 64)
    mask[0, :, :4, :4] = 1
    mask[1] = 1
    error = torch.tensor([0.1, 0.3]).reshape(2, 1, 1, 1)
    loss = reconstruction_loss(image + error, image, mask)
    assert loss.item() == pytest.approx((0.01 + 0.09) / 2, rel=1e-3)


def test_the_reconstruction_loss_ignores_known_pixels() -> None:
    image, mask = pictures(), masks.irregular(2, 64, seeded(0))
    completed = torch.where(mask > 0, image + 0.1, torch.rand(image.shape)).requires_grad_()
    loss = reconstruction_loss(completed, image, mask)
    loss.backward()
    assert loss.item() == pytest.approx(0.01, rel=1e-3)
    assert ((completed.grad != 0) == (mask > 0)).all()


def test_no_hole_adds_nothing() -> None:
    image, mask = pictures(), torch.zeros(2, 1, 64, 64)
    completed = (image + 0.1).requires_grad_()
    loss = reconstruction_loss(completed, image, mask)
    loss.backward()
    assert loss == 0 and (completed.grad == 0).all()


def feature_network() -> nn.Module:
    """Two levels of frozen random features."""

    class Levels(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.second = nn.Conv2d(3, 8, 3, stride=2), nn.Conv2d(8, 16, 3, stride=2)

        def forward(self, x: Tensor) -> list[Tensor]:
            first = F.leaky_relu(self.first(x))
            return [first, self.second(first)]

    return Levels().requires_grad_(False)


def test_the_perceptual_loss_is_zero_for_the_same_picture_and_grows_with_the_difference() -> None:
    loss, image = PerceptualLoss(feature_network()), pictures()
    assert loss(image, image) == 0
    noise = torch.randn(image.shape, generator=seeded(1))
    small, large = loss(image + 0.02 * noise, image), loss(image + 0.2 * noise, image)
    assert 0 < small < large


def test_the_perceptual_loss_teaches_its_first_argument_only() -> None:
    loss = PerceptualLoss(feature_network())
    completed, image = pictures().requires_grad_(), pictures().flip(0).requires_grad_()
    loss(completed, image).backward()
    assert completed.grad.abs().sum() > 0 and completed.grad.isfinite().all()
    assert image.grad is None


def test_no_layer_of_the_perceptual_loss_shouts() -> None:
    network = feature_network()

    def shouting(x: Tensor) -> list[Tensor]:
        first, second = network(x)
        return [first * 1000, second]

    image, other = pictures(), pictures().flip(0)
    assert torch.allclose(PerceptualLoss(network)(image, other), PerceptualLoss(shouting)(image, other))


def test_the_identity_loss_is_the_distance_of_embeddings() -> None:
    person = F.normalize(torch.randn(4, 16, generator=seeded(0)), dim=1)
    assert identity_loss(person, person).item() == pytest.approx(0, abs=1e-3)
    assert identity_loss(-person, person).item() == pytest.approx(2, abs=1e-3)
    orthogonal = torch.eye(16)
    assert identity_loss(orthogonal[:4], orthogonal[4:8]).item() == pytest.approx(2**0.5, abs=1e-3)


def test_the_identity_loss_has_a_finite_slope_even_at_the_same_person() -> None:
    person = F.normalize(torch.randn(4, 16, generator=seeded(0)), dim=1)
    same = person.clone().requires_grad_()
    identity_loss(same, person).backward()
    assert same.grad.isfinite().all()
    other = person.flip(0).requires_grad_()
    before = identity_loss(other, person)
    before.backward()
    assert identity_loss(other - 0.1 * other.grad, person) < before


def test_generator_and_discriminator_pull_the_logits_opposite_ways() -> None:
    real, fake = torch.randn(2, 2, 1, 6, 6, generator=seeded(0)).unbind()
    mask = torch.ones(2, 1, 64, 64)
    assert adversarial_loss(fake + 1, mask) < adversarial_loss(fake, mask)
    assert discriminator_loss(real, fake + 1, mask) > discriminator_loss(real, fake, mask)
    assert discriminator_loss(real + 1, fake, mask) < discriminator_loss(real, fake, mask)


def test_an_undecided_judge_costs_log_2_per_side() -> None:
    logits, mask = torch.zeros(2, 1, 6, 6), torch.ones(2, 1, 64, 64)
    assert adversarial_loss(logits, mask).item() == pytest.approx(0.6931, abs=1e-3)
    assert discriminator_loss(logits, logits, mask).item() == pytest.approx(2 * 0.6931, abs=1e-3)


def test_extreme_logits_stay_finite() -> None:
    logits, mask = torch.full((1, 1, 6, 6), 1e4), torch.ones(1, 1, 64, 64)
    for sign in (1, -1):
        assert adversarial_loss(sign * logits, mask).isfinite()
        assert discriminator_loss(sign * logits, logits, mask).isfinite()


def test_patches_without_a_hole_teach_nobody() -> None:
    mask = torch.zeros(2, 1, 256, 256)
    mask[0, :, 16:48, 16:48] = 1  # the second face is whole
    real, fake = torch.randn(2, 2, 1, 30, 30, generator=seeded(0)).requires_grad_().unbind()
    far = torch.zeros(2, 1, 30, 30)
    far[0, :, 12:, 12:] = far[1] = 5
    assert torch.equal(adversarial_loss(fake + far, mask), adversarial_loss(fake, mask))
    assert torch.equal(discriminator_loss(real + far, fake - far, mask), discriminator_loss(real, fake, mask))
    near = torch.zeros(2, 1, 30, 30)
    near[0, :, 3, 3] = 5
    assert adversarial_loss(fake + near, mask) < adversarial_loss(fake, mask)
    assert adversarial_loss(fake, 0 * mask) == 0


def test_the_adversarial_loss_is_a_mean_over_the_patches_that_count() -> None:
    large, small = torch.ones(1, 1, 128, 128), torch.zeros(1, 1, 128, 128)
    small[..., 60:68, 60:68] = 1
    logits = torch.full((1, 1, 14, 14), 0.7)
    assert torch.allclose(adversarial_loss(logits, large), adversarial_loss(logits, small))
