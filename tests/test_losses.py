"""The losses: zero where they should be, blind where they should be, and pulling the right way."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import pytest
import torch
from conftest import small_features
from torch import Tensor, nn
from torch.nn import functional as F

from faceinpaint import masks
from faceinpaint.basics.errors import InputError
from faceinpaint.discriminator import Discriminator
from faceinpaint.features import Features
from faceinpaint.losses import (
    KINDS, PerceptualLoss, StyleLoss, _UnitDistance, adversarial_loss, discriminator_loss, gram_matrix, identity_loss,
    r1_penalty, reconstruction_loss, symmetry_loss, texture_loss, total_variation_loss
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


def test_pixels_of_the_hole_may_count_less() -> None:
    image, mask = torch.zeros(1, 3, 4, 4), torch.zeros(1, 1, 4, 4)
    mask[..., :2, :2] = 1
    counts = torch.ones_like(mask)
    counts[..., 0, 1], counts[..., 1, :2] = 0.5, 0
    wrong = (image + 0.2).requires_grad_()
    loss = reconstruction_loss(wrong, image, mask, counts)
    assert loss.item() == pytest.approx(0.04 * (1 + 0.5) / 4)  # over all four pixels of the hole
    loss.backward()
    assert torch.allclose(wrong.grad[0, 0, :2, :2], 2 * 0.2 / 12 * torch.tensor([[1, 0.5], [0, 0]]))
    assert (wrong.grad * (1 - mask)).abs().max() == 0
    assert reconstruction_loss(wrong, image, mask, torch.ones_like(mask)) == reconstruction_loss(wrong, image, mask)


def feature_network() -> Features:
    """Five levels of frozen random features."""
    return small_features(4, 8, 8, 8, 8)


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


def shouting(network: Features, layer: str = "1/2") -> Features:
    """The network with the maps of one layer a thousand times larger, for whoever looks at them."""
    forward = network.forward

    def louder(images: Tensor, layers: list[str] | None = None) -> dict[str, Tensor]:
        return {name: one * (1000 if name == layer else 1) for name, one in forward(images, layers).items()}

    network.forward = louder
    return network


@pytest.mark.parametrize("loss", [PerceptualLoss, StyleLoss])
def test_no_layer_of_the_networks_shouts(loss: type) -> None:
    image, other = pictures(), pictures().flip(0)
    plain, loud = loss(feature_network())(image, other), loss(shouting(feature_network()))(image, other)
    assert torch.allclose(plain, loud, rtol=1e-3)


@pytest.mark.parametrize("loss", [PerceptualLoss, StyleLoss])
def test_layers_are_chosen_by_name(loss: type) -> None:
    network, image, other = feature_network(), pictures(), pictures().flip(0)
    one, another = loss(network, ["1/2"])(image, other), loss(network, ["1/8"])(image, other)
    assert one > 0 and another > 0
    assert torch.allclose(loss(network, ["1/2", "1/8"])(image, other), one + another)
    with pytest.raises(InputError, match=r"no layer '1/3': did you mean '1/\d+'\? \(all: 1/1, 1/2, "):
        loss(network, ["1/3"])


def test_the_perceptual_loss_is_the_sum_of_its_layers() -> None:
    loss, image, other = PerceptualLoss(feature_network()), pictures(), pictures().flip(0)
    terms = loss.by_layer(image, other)
    assert list(terms) == ["1/1", "1/2", "1/4", "1/8", "1/16"]
    assert torch.allclose(loss(image, other), sum(terms.values()))


def test_a_picture_without_features_has_a_finite_slope() -> None:
    network = feature_network()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.zero_()
    image = pictures().requires_grad_()
    PerceptualLoss(network)(image, pictures().flip(0)).backward()
    assert image.grad.isfinite().all()


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_distances_of_directions_have_the_gradient_that_pytorch_finds(kind: torch.dtype) -> None:
    ours = torch.randn(2, 5, 3, 4, generator=seeded(0))
    truth = ours + 0.3 * torch.randn(2, 5, 3, 4, generator=seeded(1))
    ours[0, :, 0] *= 1e-6  # below the floor
    ours[0, :, 1] = truth[1, :, 0] = 0  # nothing fires
    truth[1, :, 1] = ours[1, :, 1]  # the same: nothing to learn
    ours, truth = ours.to(kind).requires_grad_(), truth.to(kind)
    plain = ours.detach().float().requires_grad_()
    expected = F.normalize(plain, dim=1, eps=1e-4) - F.normalize(truth.float(), dim=1, eps=1e-4)
    expected = expected.square().sum(1)
    found = _UnitDistance.apply(ours, truth)
    assert torch.allclose(found, expected, atol=1e-6)
    slope = torch.rand(found.shape, generator=seeded(2))
    (mine,), (right,) = torch.autograd.grad(found, ours, slope), torch.autograd.grad(expected, plain, slope)
    assert mine.dtype == kind and torch.allclose(mine.float(), right, rtol=1e-2, atol=1e-5)
    assert (mine[1, :, 1] == 0).all()


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


# ------------------------------------------------------------------------------------ hinge and R1


def test_the_hinge_rests_beyond_its_margin_and_the_papers_never() -> None:
    mask, sure = torch.ones(1, 1, 64, 64), torch.full((1, 1, 6, 6), 1.5)
    assert discriminator_loss(sure, -sure, mask, "hinge") == 0
    assert discriminator_loss(sure, -sure, mask, "paper") > 0
    undecided = torch.zeros_like(sure)
    assert discriminator_loss(undecided, undecided, mask, "hinge") == 2  # 1 for each side
    assert discriminator_loss(-sure, sure, mask, "hinge") == 5


@pytest.mark.parametrize("logit", [-8.0, 0.0, 8.0])
def test_the_generator_has_a_slope_where_the_discriminator_is_sure(logit: float) -> None:
    mask = torch.ones(1, 1, 64, 64)
    slopes = {}
    for kind in KINDS:
        fake = torch.full((1, 1, 6, 6), logit).requires_grad_()
        adversarial_loss(fake, mask, kind).backward()
        slopes[kind] = fake.grad.sum().item()
    assert slopes["hinge"] == pytest.approx(-1)
    # 1 where it is sure that this is paint, and nothing where it is fooled: -sigmoid(-logit)
    assert slopes["paper"] == pytest.approx(-1 / (1 + 2.718281828**logit), rel=1e-3)


def test_patches_may_count_less_for_the_generator() -> None:
    mask = torch.ones(1, 1, 64, 64)
    counts = torch.ones_like(mask)
    counts[..., 32:] = 0.25
    fake = torch.zeros(1, 1, 8, 8, requires_grad=True)
    adversarial_loss(fake, mask, counts=counts).backward()
    assert torch.allclose(fake.grad[..., 4:], 0.25 * fake.grad[..., :4])
    assert torch.equal(adversarial_loss(fake, mask, counts=torch.ones_like(mask)), adversarial_loss(fake, mask))


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_over_several_scales_is_the_mean_of_theirs(kind: str) -> None:
    mask, counts = masks.irregular(2, 64, seeded(0)), torch.rand(2, 1, 64, 64, generator=seeded(1))
    real, fake = ([torch.randn(2, 1, side, side, generator=seeded(side + more)) for side in (32, 16, 6)]
                  for more in (0, 1))
    each = [adversarial_loss(one, mask, kind) for one in fake]
    assert torch.allclose(adversarial_loss(fake, mask, kind), sum(each) / 3) and each[0] != each[2]
    less = [adversarial_loss(one, mask, kind, counts) for one in fake]
    assert torch.allclose(adversarial_loss(fake, mask, kind, counts), sum(less) / 3) and less != each
    pairs = [discriminator_loss(*pair, mask, kind) for pair in zip(real, fake)]
    assert torch.allclose(discriminator_loss(real, fake, mask, kind), sum(pairs) / 3)


@pytest.mark.parametrize("loss", [adversarial_loss, partial(discriminator_loss, torch.zeros(1, 1, 6, 6))])
def test_an_unknown_kind_names_the_nearest(loss: object) -> None:
    with pytest.raises(InputError, match="no adversarial loss 'hing': did you mean 'hinge'"):
        loss(torch.zeros(1, 1, 6, 6), torch.ones(1, 1, 64, 64), kind="hing")


def linear_judge(slope: Tensor) -> object:
    """A discriminator of 6 x 6 patches whose every logit is the picture's product with `slope` (3, H, W)."""
    return lambda image, mask: (image * slope).sum(dim=(1, 2, 3)).view(-1, 1, 1, 1).expand(-1, 1, 6, 6)


def test_r1_is_the_squared_slope_at_photographs() -> None:
    image, mask = pictures(), torch.ones(2, 1, 64, 64)
    slope = torch.randn(3, 64, 64, generator=seeded(3))
    penalty = r1_penalty(linear_judge(slope), image, mask)
    assert penalty.item() == pytest.approx(slope.square().sum().item(), rel=1e-4)
    assert r1_penalty(lambda image, mask: torch.ones(2, 1, 6, 6) + 0 * image.sum(), image, mask) == 0
    judge = linear_judge(slope)
    both = r1_penalty(lambda image, mask: [judge(image, mask), 2 * judge(image, mask)], image, mask)
    assert both.item() == pytest.approx(9 * penalty.item(), rel=1e-4)  # the verdicts of all scales together


def test_r1_teaches_the_discriminator_and_leaves_the_picture_alone() -> None:
    torch.manual_seed(0)
    judge = Discriminator(8)
    image, mask = pictures().requires_grad_(), masks.standard("mask03", 64).expand(2, -1, -1, -1)
    penalty = r1_penalty(judge, image, mask)
    penalty.backward()
    gradients = [parameter.grad for name, parameter in judge.named_parameters() if not name.endswith("bias")]
    assert all(gradient.isfinite().all() for gradient in gradients) and gradients[0].abs().max() > 0
    assert image.grad is None
    assert r1_penalty(judge, image, 0 * mask) == 0  # no hole, no verdict


# ------------------------------------------------------------------------------------ optional terms


def test_total_variation_counts_pairs_that_touch_the_hole() -> None:
    mask = torch.zeros(1, 1, 6, 6)
    mask[..., 2:4, 2:4] = 1
    picture = torch.zeros(1, 3, 6, 6)
    picture[..., 2, 2] = 0.5  # differs from its four neighbours; a hole of 4 pixels is in 4 + 8 pairs
    assert total_variation_loss(picture, mask).item() == pytest.approx(0.5 * 4 / 12)
    outside = torch.zeros(1, 3, 6, 6)
    outside[..., 0, 0] = outside[..., 5, 5] = 1
    assert total_variation_loss(outside, mask) == 0
    beside = torch.zeros(1, 3, 6, 6)
    beside[..., 1, 2] = 0.5  # a known pixel at the edge: its seam with the hole counts
    assert total_variation_loss(beside, mask).item() == pytest.approx(0.5 / 12)


def test_total_variation_is_least_for_a_flat_hole() -> None:
    mask = masks.standard("mask03", 64)
    noise = 0.1 * torch.randn(1, 3, 64, 64, generator=seeded(0))
    flat = torch.full((1, 3, 64, 64), 0.5)
    assert total_variation_loss(flat, mask) == 0 < total_variation_loss(flat + noise, mask)


def test_a_gram_matrix_is_the_mean_product_of_channels() -> None:
    maps = torch.randn(2, 3, 4, 5, generator=seeded(0))
    gram = gram_matrix(maps)
    assert gram.shape == (2, 3, 3) and torch.allclose(gram, gram.mT)
    assert gram[1, 0, 2].item() == pytest.approx((maps[1, 0] * maps[1, 2]).mean().item(), rel=1e-4)


def test_style_does_not_care_where_a_texture_is() -> None:
    network, image = feature_network(), pictures()
    rolled = image.roll((16, 32), dims=(2, 3))  # whole cells of the coarsest level
    style, place = StyleLoss(network), PerceptualLoss(network)
    other = 0.2 + 0.6 * torch.rand(image.shape, generator=seeded(9)).round()
    assert style(image, image) == 0
    assert style(rolled, image) < 0.05 * style(other, image)
    assert place(rolled, image) > 0.3 * place(other, image)


def test_style_teaches_its_first_argument_only() -> None:
    completed, image = pictures().requires_grad_(), pictures().flip(0).requires_grad_()
    StyleLoss(feature_network())(completed, image).backward()
    assert completed.grad.abs().sum() > 0 and completed.grad.isfinite().all() and image.grad is None


def test_a_symmetric_face_has_no_symmetry_loss_and_a_patch_on_one_cheek_has(face: Tensor) -> None:
    half = torch.rand(1, 3, 128, 64, generator=seeded(0))
    half = F.avg_pool2d(F.pad(half, [4] * 4, mode="reflect"), 9, stride=1)  # smooth, so that half a pixel is nothing
    picture = torch.cat([half, half.flip(3)], dim=3)
    mask = masks.standard("mask07", 128, face)
    clean = symmetry_loss(picture, mask, face)
    assert clean < 0.01
    spotted = picture.clone()
    spotted[..., 76:92, 36:52] += 0.5  # in the hole
    assert symmetry_loss(spotted, mask, face) > clean + 0.02


def test_symmetry_is_asked_for_on_the_face_and_in_the_hole_alone(face: Tensor) -> None:
    picture = 0.5 + 0.1 * torch.randn(1, 3, 128, 128, generator=seeded(0))
    picture = picture.requires_grad_()
    mask = masks.standard("mask01", 128)
    symmetry_loss(picture, mask, face).backward()
    region = masks.face_region(face, 128)
    assert ((picture.grad != 0).any(1, keepdim=True) & (mask * region > 0)).any()
    corner = (1 - region) * (mask > 0)  # background in the hole
    assert (picture.grad * corner).abs().max() == 0
    assert symmetry_loss(picture, 0 * mask, face) == 0
    with pytest.raises(InputError, match="NaN"):
        symmetry_loss(picture, mask, face * float("nan"))


def test_texture_minds_how_much_there_is_and_not_how_it_lies() -> None:
    random = seeded(0)
    image, other = (0.5 + 0.1 * torch.randn(1, 3, 128, 128, generator=random) for _ in range(2))
    mask = torch.zeros(1, 1, 128, 128)
    mask[..., 32:96, 32:96] = 1
    smooth = F.avg_pool2d(F.pad(other, [2] * 4, mode="reflect"), 5, 1)
    assert texture_loss(image, image, mask) == 0
    assert texture_loss(other, image, mask) < 0.2 * texture_loss(smooth, image, mask)
    assert texture_loss(image.flip(3), image, mask) < 0.2 * texture_loss(smooth, image, mask)


def test_a_flat_hole_is_led_towards_texture_and_known_pixels_do_not_count() -> None:
    image = 0.5 + 0.1 * torch.randn(1, 3, 64, 64, generator=seeded(0))
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 20:44, 20:44] = 1
    noise = torch.randn(image.shape, generator=seeded(1))
    completed = torch.where(mask > 0, 0.5 + 0.01 * noise, image).requires_grad_()
    loss = texture_loss(completed, image, mask)
    loss.backward()
    assert completed.grad.isfinite().all()
    assert texture_loss(completed.detach() - 0.5 * completed.grad, image, mask) < loss
    far = F.max_pool2d(mask, 3, 1, 1) == 0  # a hidden pixel is compared with the known one beside it
    assert (completed.grad * far).abs().max() == 0
    assert texture_loss(torch.full_like(image, 0.5, requires_grad=True), image, 0 * mask) == 0


# ------------------------------------------------------------------------------------ one face and another


@pytest.fixture(scope="module")
def batch() -> SimpleNamespace:
    """Three faces with holes of different sizes, the last without one, and what the losses want to know of them."""
    torch.manual_seed(0)
    mask = torch.zeros(3, 1, 64, 64)
    mask[0, :, 8:16, 8:16] = mask[1, :, :, 20:] = 1
    landmarks = 8 + 48 * torch.rand(3, 68, 2, generator=seeded(5))
    unit = F.normalize(torch.randn(2, 3, 16, generator=seeded(1)), dim=2)
    return SimpleNamespace(
        image=pictures(3), completed=pictures(3).flip(0), mask=mask, landmarks=landmarks, judge=Discriminator(4).eval(),
        real=torch.randn(3, 1, 6, 6, generator=seeded(2)), fake=torch.randn(3, 1, 6, 6, generator=seeded(3)),
        counts=torch.rand(3, 1, 64, 64, generator=seeded(4)), a=unit[0], b=unit[1],
        perceptual=PerceptualLoss(feature_network()), style=StyleLoss(feature_network()),
    )


LOSSES = {  # each as a function of the batch and of the faces of it that count
    "reconstruction": lambda b, i: reconstruction_loss(b.completed[i], b.image[i], b.mask[i]),
    "reconstruction, partly": lambda b, i: reconstruction_loss(b.completed[i], b.image[i], b.mask[i], b.counts[i]),
    "perceptual": lambda b, i: b.perceptual(b.completed[i], b.image[i]),
    "identity": lambda b, i: identity_loss(b.a[i], b.b[i]),
    "adversarial": lambda b, i: adversarial_loss(b.fake[i], b.mask[i]),
    "adversarial, hinge": lambda b, i: adversarial_loss(b.fake[i], b.mask[i], "hinge"),
    "discriminator": lambda b, i: discriminator_loss(b.real[i], b.fake[i], b.mask[i]),
    "discriminator, hinge": lambda b, i: discriminator_loss(b.real[i], b.fake[i], b.mask[i], "hinge"),
    "r1": lambda b, i: r1_penalty(b.judge, b.image[i], b.mask[i]),
    "total variation": lambda b, i: total_variation_loss(b.completed[i], b.mask[i]),
    "style": lambda b, i: b.style(b.completed[i], b.image[i]),
    "texture": lambda b, i: texture_loss(b.completed[i], b.image[i], b.mask[i]),
    "adversarial, partly": lambda b, i: adversarial_loss(b.fake[i], b.mask[i], counts=b.counts[i]),
    "adversarial, scales": lambda b, i: adversarial_loss([b.fake[i], b.fake[i][..., ::2, ::2]], b.mask[i]),
    "symmetry": lambda b, i: symmetry_loss(b.completed[i], b.mask[i], b.landmarks[i]),
}


@pytest.mark.parametrize("name", LOSSES)
def test_the_loss_of_a_batch_is_the_mean_of_its_faces(name: str, batch: SimpleNamespace) -> None:
    """So that two processes with half a batch each have the gradient of one with the whole."""
    loss = LOSSES[name]
    each = [loss(batch, slice(n, n + 1)).item() for n in range(3)]
    assert loss(batch, slice(0, 3)).item() == pytest.approx(sum(each) / 3, rel=1e-4)
    assert max(each) > min(each)  # the faces do differ
    of_the_hole = name not in ("perceptual", "identity", "style")
    assert (each[2] == 0) == of_the_hole  # a face without a hole adds nothing
