"""What was made quicker gives what its plain form gives."""

from __future__ import annotations

import pytest
import torch
from test_generator import LargestTensor, attention, explicit_attention, features, generator, scene
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.models import mobilenet_v2 as theirs

from faceinpaint import masks
from faceinpaint.generator import Generator, Paint, Window, _around, _fading, window_of
from faceinpaint.landmarks import mobilenet_v2
from faceinpaint.prior.grain import blurred
from faceinpaint.prior.symmetry import eroded, shrunk
from faceinpaint.prior.warps import ThinPlateSpline, resized


@pytest.mark.parametrize("pixels", [1, 3])
def test_eroding_is_the_smallest_value_around(pixels):
    region = torch.rand(2, 1, 20, 17)
    wide = 2 * pixels + 1
    least = -F.max_pool2d(-region, wide, 1, padding=pixels)
    assert torch.equal(eroded(region, pixels), least)
    assert torch.equal(shrunk(region), -F.max_pool2d(-region, 3, 1))  # what graphics processors erode by


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (24, 18)])
def test_pictures_are_enlarged_as_by_pytorch(size):
    x = torch.rand(2, 4, *size)
    right = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
    assert torch.allclose(resized(x, *right.shape[-2:]), right, atol=1e-6)
    assert resized(x.requires_grad_(), *right.shape[-2:]).requires_grad


def test_a_blur_is_the_convolution_by_a_bell():
    x = torch.rand(2, 1, 20, 17)
    line = torch.exp(-torch.arange(-5, 6).square() / (2 * 1.4**2))
    kernel = line.outer(line)[None, None] / line.sum() ** 2
    right = F.conv2d(F.pad(x, [5] * 4, mode="reflect"), kernel)
    assert torch.allclose(blurred(x, 1.4), right, atol=1e-6)


def test_what_fades_from_the_edge_counts_its_steps_inwards():
    """One that is all hole, where no edge is, too."""
    hidden = torch.stack([(torch.rand(1, 40, 33) > 0.01).float(), torch.ones(1, 40, 33)])
    depth = hidden + sum(eroded(hidden, steps) for steps in range(1, 10))
    right = torch.where((depth > 0) & (depth < 10), torch.exp((1 - depth) / 3), 0.0)
    assert torch.allclose(_fading(hidden, 3.0), right)


def test_the_sum_around_is_nine_times_the_mean():
    x = torch.rand(2, 3, 9, 12)
    assert torch.allclose(_around(x), 9 * F.avg_pool2d(x, 3, 1, padding=1), atol=1e-5)


def test_painting_four_pixels_at_once_is_the_convolution():
    torch.manual_seed(0)
    paint = Paint(5, 4, 5).double()
    x = torch.randn(2, 5, 8, 12, dtype=torch.double, requires_grad=True)
    plain = F.conv2d(F.pad(x, [2] * 4, mode="reflect"), paint.weight, paint.bias)
    assert torch.allclose(paint(x), plain, atol=1e-12)
    slope = torch.randn_like(plain)
    for mine, right in zip(*(torch.autograd.grad(one, (x, paint.weight), slope) for one in (paint(x), plain))):
        assert torch.allclose(mine, right, atol=1e-12)


def test_a_spline_maps_as_its_formula_says():
    source = torch.rand(1, 6, 2, dtype=torch.double)
    spline = ThinPlateSpline.fit(source, source + 0.1 * torch.rand(1, 6, 2, dtype=torch.double))
    point = torch.tensor([0.3, 0.7], dtype=torch.double)
    squared = (point - source[0]).square().sum(-1)
    right = torch.cat([squared * torch.log(squared + 1e-9), torch.ones(1).double(), point]) @ spline.weights[0]
    assert torch.allclose(spline(point[None, None])[0, 0], right, atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("heads", [1, 4])
def test_attention_in_half_precision_equals_the_explicit_matrix(heads):
    module, (x, encoded, known) = attention(heads=heads), features(size=24)  # more positions than rows at a time
    right = explicit_attention(module, x, encoded, known)
    found = module.bfloat16()(x.bfloat16(), encoded.bfloat16(), known)
    assert found.dtype == torch.bfloat16
    assert (found - right).abs().mean() < 0.02 * right.abs().mean()


@torch.no_grad()
def test_attention_in_half_precision_takes_memory_in_proportion_to_the_positions():
    elements = []
    for size in (32, 64):
        x = torch.rand(1, 16, size, size).bfloat16()
        with LargestTensor() as largest:
            attention().bfloat16()(x, x, torch.ones(1, 1, size, size))
        elements.append(largest.elements)
    assert elements[1] == 4 * elements[0]


def test_the_window_holds_the_hole_and_what_the_decoder_sees_of_it():
    mask = torch.zeros(2, 1, 128, 128)
    mask[0, 0, 40:50, 100] = 1
    mask[1, 0, 64, 88] = 1
    assert window_of(mask) == Window(0, 12, 8, 16)  # 3 to 11 and 9 to 15, in steps
    assert window_of(torch.ones(1, 1, 64, 64)) == Window(0, 8, 0, 8)
    assert window_of(mask).cut(mask, 8).sum() == mask.sum()


class Shapes(TorchDispatchMode):
    """Notes what shapes are multiplied."""

    def __init__(self) -> None:
        super().__init__()
        self.met = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten.bmm.default:
            self.met.add(tuple(tuple(matrix.shape) for matrix in args))
        return function(*args, **kwargs or {})


@torch.no_grad()
def test_holes_drawn_by_hand_bring_few_shapes():
    """What a CPU's library keeps of each would fill the memory."""
    windows, multiplied, attend = set(), Shapes(), attention().bfloat16()
    for seed in range(40):
        hole = masks.named("irregular", 256, generator=torch.Generator().manual_seed(seed))
        top, bottom, left, right = window = window_of(hole)
        windows.add((bottom - top, right - left))
        x = torch.rand(1, 16, 32, 32).bfloat16()
        with multiplied:
            attend(x, x, F.avg_pool2d(1 - hole, 8), window=window)
    assert len(windows) < 12 and len(multiplied.met) < 40


@torch.no_grad()
@pytest.mark.parametrize("prior", [True, False])
@pytest.mark.parametrize("corner", [0, 88])
def test_the_hole_is_the_same_whether_or_not_the_rest_is_painted(prior, corner):
    network, (image, _, landmarks) = generator(prior), scene(2, 128)
    mask = torch.zeros(2, 1, 128, 128)
    mask[..., corner : corner + 40, 40:70] = 1
    part = network.complete(image, mask, landmarks)
    network.whole = True
    assert torch.allclose(part, network.complete(image, mask, landmarks), atol=1e-5)


def test_the_backbone_is_that_of_torchvision():
    ours, right = mobilenet_v2(3, 0.35).eval(), theirs(width_mult=0.35).features[:18].eval()
    ours.load_state_dict(right.state_dict())
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(ours(x), right(x))


def test_a_mask_without_a_hole_leaves_the_picture():
    image, _, landmarks = scene(1)
    assert torch.equal(Generator(width=4).complete(image, torch.zeros(1, 1, 64, 64), landmarks), image)
