"""The generator: shapes, what it may look at, what it keeps, and its attention."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conftest import canonical_face
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from faceinpaint import masks, weights
from faceinpaint.generator import (
    GIVEN_WAY, Bounded, Generator, LongShortTermAttention, StyleCode, Up, composite, without_seam
)
from faceinpaint.landmarks import landmark_map
from faceinpaint.prior.grain import with_grain
from faceinpaint.prior.symmetry import symmetry_prior

SIZE = 64
FACE = canonical_face(SIZE)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def awake(network: nn.Module, seed: int = 0) -> nn.Module:
    """The network with its zero layers filled at random, as if it had learnt something."""
    for parameter in network.parameters():
        if parameter.abs().max() == 0:
            nn.init.normal_(parameter, std=0.2, generator=seeded(seed))
    return network


def generator(prior: bool = True, trained: bool = True) -> Generator:
    torch.manual_seed(0)
    network = Generator(width=8, prior=prior).eval()
    if trained and prior:
        network.appearance.region.fill_(0.5)
        network.appearance.mean.uniform_(0, 1)
        network.appearance.variations.normal_(0, 0.1)
    return awake(network) if trained else network


def scene(count: int = 1, size: int = SIZE) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures, irregular masks and landmarks."""
    image = torch.rand(count, 3, size, size, generator=seeded(0))
    return image, masks.irregular(count, size, seeded(1)), canonical_face(size).expand(count, -1, -1)


def test_a_pixel_that_has_overshot_finds_back():
    x = torch.tensor([-0.5, -0.5, 0.5, 0.5, 1.5, 1.5], requires_grad=True)
    bounded = Bounded.apply(x)
    assert bounded.tolist() == [0, 0, 0.5, 0.5, 1, 1]
    slope = torch.tensor([-1.0, 1.0, -1.0, 1.0, -1.0, 1.0])  # up, down: a step goes against the slope
    (found,) = torch.autograd.grad(bounded, x, slope)
    assert found.tolist() == [-1, 0, -1, 1, 0, 1]


@pytest.mark.parametrize("height, width", [(8, 8), (5, 7), (1, 3)])
def test_enlarging_is_doubling_every_pixel_and_a_convolution(height, width):
    torch.manual_seed(0)
    up = Up(12, 8, 6).double()
    x = torch.randn(2, 6, height, width, dtype=torch.double, requires_grad=True)

    def doubled(x):
        # Written out, since a picture of one row can't be reflected where it is not yet doubled.
        wide = F.pad(x.repeat_interleave(2, 2).repeat_interleave(2, 3), [1, 1, 1, 1], mode="reflect")
        return F.conv2d(wide, up.convolution.weight, up.convolution.bias)

    ours, plain = up.enlarge(x), doubled(x)
    assert ours.shape == (2, 6, 2 * height, 2 * width)
    assert torch.allclose(ours, plain, atol=1e-12)
    slope = torch.randn_like(ours)
    wanted = (x, up.convolution.weight, up.convolution.bias)
    for mine, theirs in zip(torch.autograd.grad(ours, wanted, slope), torch.autograd.grad(plain, wanted, slope)):
        assert torch.allclose(mine, theirs, atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("prior", [True, False])
@pytest.mark.parametrize("size", [64, 128, 192])
def test_a_picture_of_the_same_size_and_range_comes_out(size: int, prior: bool) -> None:
    painted = generator(prior)(*scene(2, size))
    assert painted.shape == (2, 3, size, size) and painted.dtype == torch.float32
    assert 0 <= painted.min() and painted.max() <= 1 and painted.std() > 0.001


@torch.no_grad()
@pytest.mark.parametrize("prior", [True, False])
@pytest.mark.parametrize("autocast", [False, True])
def test_known_pixels_are_kept_bit_for_bit(prior: bool, autocast: bool) -> None:
    image, mask, landmarks = scene(2)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        network = generator(prior)
        completed = network.complete(image, mask, landmarks)
        painted = network(image, mask, landmarks)
    known = (mask == 0).expand_as(image)
    assert completed.dtype == torch.float32
    assert torch.equal(completed[known], image[known])
    guess = network.first_guess(image, mask, landmarks)
    unseen = mask if guess is None else mask * (1 - guess.mirrored)
    mended = without_seam(with_grain(painted, image, mask, landmarks, unseen), image, mask)
    assert torch.equal(completed[~known], mended[~known])
    assert not torch.equal(painted[known], image[known])  # so keeping them is not for free


@torch.no_grad()
@pytest.mark.parametrize("prior", [True, False])
def test_what_the_hole_holds_is_never_looked_at(prior: bool) -> None:
    network = generator(prior)
    image, mask, landmarks = scene()
    garbage = torch.where(mask > 0, 1000 * torch.rand(image.shape), image)
    assert torch.equal(network(image, mask, landmarks), network(garbage, mask, landmarks))
    assert not torch.equal(network(1 - image, mask, landmarks), network(image, mask, landmarks))


@torch.no_grad()
@pytest.mark.parametrize("prior", [True, False])
def test_landmarks_and_mask_matter(prior: bool) -> None:
    network = generator(prior)
    image, mask, landmarks = scene()
    painted = network(image, mask, landmarks)
    assert (network(image, mask, landmarks + 3) - painted).abs().max() > 1e-3
    black = image * (1 - mask)
    assert (network(black, torch.zeros_like(mask), landmarks) - painted).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("prior", [True, False])
def test_the_encoder_sees_what_it_should_in_full_precision(prior: bool, autocast: bool) -> None:
    network, (image, mask, landmarks) = generator(prior), scene(2)
    seen = []
    network.down1.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        network(image, mask, landmarks)
    planes = [image * (1 - mask), mask, landmark_map(landmarks, SIZE)]
    if prior:
        planes += symmetry_prior(image, mask, landmarks, network.appearance)
    assert torch.equal(seen[0], torch.cat(planes, dim=1))


@torch.no_grad()
def test_an_untrained_generator_trusts_the_prior() -> None:
    image, mask, landmarks = scene(2)
    image = F.avg_pool2d(image, 9, stride=1, padding=4, count_include_pad=False)
    prior = symmetry_prior(image, mask, landmarks).image
    painted = generator(trained=False)(image, mask, landmarks)
    assert -10 * (painted - prior).square().mean().log10() > 30


@torch.no_grad()
def test_without_a_prior_it_is_another_and_smaller_network() -> None:
    plain, with_prior = generator(prior=False), generator(prior=True)
    assert plain.down1.convolution.in_channels == 5 and plain.paint.out_channels == 3
    assert with_prior.down1.convolution.in_channels == 9 and with_prior.paint.out_channels == 4
    assert (plain(*scene()) - with_prior(*scene())).abs().max() > 0.01


@torch.no_grad()
def test_the_same_seed_gives_the_same_network_and_the_same_picture() -> None:
    first, second = generator(), generator()
    assert torch.equal(first(*scene()), second(*scene()))
    assert torch.equal(first(*scene()), first(*scene()))


@torch.no_grad()
def test_a_face_is_painted_alike_alone_and_in_a_batch() -> None:
    network, (image, mask, landmarks) = generator(), scene(3)
    together = network(image, mask, landmarks)
    assert torch.allclose(network(image[1:2], mask[1:2], landmarks[1:2]), together[1:2], atol=1e-3)


@pytest.mark.parametrize("prior", [True, False])
def test_every_weight_learns(prior: bool) -> None:
    network = generator(prior).train()
    (network(*scene(2)) - 0.3).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.abs().max() > 0, name


@torch.no_grad()
def test_features_of_the_hole_are_not_passed_on_by_skips() -> None:
    network, (image, mask, landmarks) = generator(), scene()
    mask = torch.zeros_like(mask)
    mask[..., 8:40, 16:48] = 1
    skips = {}
    for name in ("up1", "up2", "up3"):
        up = getattr(network, name)
        up.register_forward_pre_hook(lambda _, inputs, name=name: skips.update({name: inputs[1]}))
    network(image, mask, landmarks)
    for name, factor in (("up1", 2), ("up2", 4), ("up3", 8)):
        known = F.avg_pool2d(1 - mask, factor).expand_as(skips[name])
        assert (skips[name][known == 0] == 0).all() and (skips[name][known == 1].abs() > 0).all()


def test_a_step_at_the_holes_edge_is_made_good_and_what_lies_deep_inside_is_left_alone() -> None:
    size = 256
    image = torch.linspace(0.2, 0.6, size).expand(1, 3, size, size).contiguous()
    mask = torch.zeros(1, 1, size, size)
    mask[..., 60:200, 100:180] = 1
    painted = image + 0.1  # too bright
    wrong = without_seam(painted, image, mask) - image
    assert wrong[..., 130, 100] == pytest.approx(0.1 * (1 - GIVEN_WAY), abs=0.01)
    middle = wrong[..., 130, 100:140].mean(1)[0]
    assert (middle.diff() > -1e-4).all()  # less and less
    assert torch.allclose(wrong[..., 115:145, 130:150], torch.tensor(0.1), atol=1e-4)
    assert torch.allclose(without_seam(image, image, mask), image, atol=2e-3)  # no step, nothing to mend


def test_without_anything_known_there_is_no_edge_to_mend() -> None:
    painted = torch.rand(2, 3, SIZE, SIZE, generator=seeded(0))
    nothing = torch.full_like(painted, float("nan"))  # what the hole holds is never looked at
    assert torch.equal(without_seam(painted, nothing, torch.ones(2, 1, SIZE, SIZE)), painted)
    assert torch.equal(without_seam(painted, painted / 2, torch.zeros(2, 1, SIZE, SIZE)), painted)


def test_composite_is_equation_1() -> None:
    image, mask, _ = scene(2)
    painted = torch.rand(image.shape, generator=seeded(5))
    assert torch.equal(composite(painted, image, mask), painted * mask + image * (1 - mask))


# ------------------------------------------------------------------------------------------- the style code


@torch.no_grad()
def test_a_style_code_changes_nothing_at_first_and_then_all_of_the_picture() -> None:
    torch.manual_seed(0)
    plain, (image, mask, landmarks) = awake(Generator(width=8, prior=False, style=False)).eval(), scene()
    styled = Generator(width=8, prior=False).eval()
    missing, unexpected = styled.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected and missing == [key for key in styled.state_dict() if key.startswith("style.")]
    assert torch.equal(styled(image, mask, landmarks), plain(image, mask, landmarks))
    awake(styled.style)
    assert (styled(image, mask, landmarks) != plain(image, mask, landmarks)).float().mean() > 0.9


@torch.no_grad()
def test_a_style_code_is_the_mean_of_what_is_known() -> None:
    torch.manual_seed(0)
    code = awake(StyleCode(12, (6, 4)))
    x, known = torch.randn(2, 12, 8, 8, generator=seeded(0)), torch.ones(2, 1, 8, 8)
    known[..., :4] = 0
    styles = code(x, known)
    assert [tuple(one.shape) for one in styles] == [(2, 12, 1, 1), (2, 8, 1, 1)]
    hidden, shuffled = torch.where(known > 0, x, 1000.0), x.flip(2)  # elsewhere, and where it is not known
    for other in (hidden, shuffled):
        assert all(torch.allclose(mine, its, atol=1e-5) for mine, its in zip(styles, code(other, known)))
    assert all((mine - its).abs().max() > 0.01 for mine, its in zip(styles, code(-x, known)))
    assert all(one.isfinite().all() for one in code(x, 0 * known))


@torch.no_grad()
@pytest.mark.parametrize("autocast", [False, True])
def test_a_style_code_is_saved_and_loaded_and_paints_alike_in_a_window(tmp_path: Path, autocast: bool) -> None:
    torch.manual_seed(0)
    network = awake(Generator(width=8, prior=False)).eval()
    weights.save(network, network.settings, tmp_path / "styled.safetensors")
    loaded = weights.load(tmp_path / "styled.safetensors", Generator)
    assert loaded.settings == network.settings and loaded.settings["style"]
    image, _, landmarks = scene(size=128)
    mask = torch.zeros(1, 1, 128, 128)
    mask[..., 8:32, 8:32] = 1
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        there, here = loaded.complete(image, mask, landmarks), network.complete(image, mask, landmarks)
        network.whole = True
        whole = network.complete(image, mask, landmarks)
    assert torch.allclose(there, here, atol=0.05 if autocast else 0.01)  # saved in half precision
    assert torch.allclose(whole, here, atol=0.05 if autocast else 1e-4)


def attention(channels: int = 16, heads: int = 4) -> LongShortTermAttention:
    torch.manual_seed(0)
    return awake(LongShortTermAttention(channels, heads).eval())


def features(channels: int = 16, size: int = 8) -> tuple[Tensor, Tensor, Tensor]:
    """Features, encoder features and shares of known pixels, with a hole of zeros."""
    x, encoded = torch.randn(2, 2, channels, size, size, generator=seeded(0))
    known = torch.rand(2, 1, size, size, generator=seeded(1))
    known[:, :, 2:5, 3:7] = 0
    return x, encoded, known


def explicit_attention(module: LongShortTermAttention, x: Tensor, encoded: Tensor, known: Tensor) -> Tensor:
    """The same by the whole matrix: softmax(q k / sqrt(d)) v, in the long term over known positions only."""
    batch, channels, height, width = x.shape
    depth = channels // module.heads
    query = module.query(x).reshape(batch, module.heads, depth, -1)
    results = []
    for source, layer, allowed in (
        (x, module.short_key_value, torch.ones_like(known)),
        (encoded, module.long_key_value, known),
    ):
        key, value = layer(source).reshape(batch, 2, module.heads, depth, -1).unbind(1)
        scores = torch.einsum("bhdi,bhdj->bhij", query, key) / depth**0.5
        scores = scores.masked_fill(allowed.reshape(batch, 1, 1, -1) == 0, -torch.inf)
        read = torch.einsum("bhij,bhdj->bhdi", scores.softmax(-1), value)
        results.append(read.reshape(batch, channels, height, width))
    return x + module.merge(torch.cat(results, dim=1))


@torch.no_grad()
@pytest.mark.parametrize("heads", [1, 4])
def test_attention_equals_the_explicit_matrix(heads: int) -> None:
    module, inputs = attention(heads=heads), features()
    assert torch.allclose(module(*inputs), explicit_attention(module, *inputs), atol=1e-4)
    assert (module(*inputs) - inputs[0]).abs().max() > 0.1


@torch.no_grad()
def test_unknown_positions_have_no_weight_in_the_long_term() -> None:
    module, (x, encoded, known) = attention(), features()
    changed = torch.where(known == 0, 100 * torch.rand(encoded.shape), encoded)
    assert torch.equal(module(x, changed, known), module(x, encoded, known))
    partly = torch.where(known == 0, 1e-3, known)  # a single known pixel is enough to be read
    assert not torch.allclose(module(x, changed, partly), module(x, encoded, partly), atol=1e-2)


@torch.no_grad()
def test_nothing_known_is_no_division_by_zero() -> None:
    module, (x, encoded, known) = attention(), features()
    for dtype in (torch.float32, torch.bfloat16):
        assert module.to(dtype)(x.to(dtype), encoded.to(dtype), 0 * known.to(dtype)).isfinite().all()


def test_untrained_attention_passes_features_unchanged() -> None:
    x, encoded, known = features()
    assert torch.equal(Generator(width=4).attention(x, encoded, known), x)


class LargestTensor(TorchDispatchMode):
    """Notes the size of the largest tensor that any operation returns."""

    elements = 0

    def __torch_dispatch__(self, operation, types, inputs=(), options=None):
        results = operation(*inputs, **(options or {}))
        sizes = [result.numel() for result in tree_leaves(results) if isinstance(result, Tensor)]
        self.elements = max([self.elements, *sizes])
        return results


@pytest.mark.parametrize("learning", [False, True])
def test_the_attention_matrix_is_never_formed(learning: bool) -> None:
    module = attention(channels=4, heads=1)
    x, encoded, _ = features(4, size=48)
    known = torch.ones(2, 1, 48, 48)
    with torch.set_grad_enabled(learning), LargestTensor() as largest:
        painted = module(x, encoded, known)
        if learning:
            painted.sum().backward()
    # Keys and values together are the largest thing there is; the matrix would be 2 x 2304 x 2304.
    assert largest.elements == 2 * x.numel()
