"""The symmetry prior: the spline, the warp, the smooth fill, and what they restore of a symmetric face."""

from __future__ import annotations

import math

import pytest
import torch
from conftest import canonical_face
from torch import Tensor
from torch.nn import functional as F

from faceinpaint import masks
from faceinpaint.landmarks import MIRROR_ORDER, mirror_landmarks
from faceinpaint.prior import symmetry
from faceinpaint.prior.appearance import AppearanceModel
from faceinpaint.prior.symmetry import smooth_fill, symmetry_prior
from faceinpaint.prior.warps import ThinPlateSpline, pixel_grid, sample, warp_to

SIZE = 128
FACE = canonical_face(SIZE)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def texture(seed: int, size: int = SIZE, cells: int = 16) -> Tensor:
    """Smooth random colours, (1, 3, size, size)."""
    noise = torch.rand(1, 3, cells, cells, generator=seeded(seed))
    return F.interpolate(noise, size=size, mode="bicubic", align_corners=False).clamp(0, 1)


def symmetric(seed: int) -> Tensor:
    picture = texture(seed)
    return (picture + picture.flip(-1)) / 2


def posed(picture: Tensor, landmarks: Tensor, degrees: float, shift: float) -> tuple[Tensor, Tensor]:
    """Picture and landmarks turned about the middle, then moved to the right by `shift` pixels."""
    angle, centre = math.radians(degrees), (SIZE - 1) / 2
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    offset = torch.tensor([centre + shift, centre])
    points = (pixel_grid(SIZE, SIZE, picture) - offset) @ turn + centre
    return sample(picture, points.reshape(1, SIZE, SIZE, 2)), (landmarks - centre) @ turn.T + offset


def psnr(a: Tensor, b: Tensor) -> float:
    return (-10 * (a - b).square().mean().log10()).item()


def jittered(count: int, sigma: float = 1.5) -> Tensor:
    """Different, not quite symmetric faces, (count, 68, 2)."""
    return FACE + sigma * torch.randn(count, 68, 2, generator=seeded(1))


def test_the_mirror_order_is_a_permutation_and_its_own_inverse() -> None:
    assert sorted(MIRROR_ORDER) == list(range(68))
    assert [MIRROR_ORDER[partner] for partner in MIRROR_ORDER] == list(range(68))


def test_a_symmetric_face_is_its_own_mirror_image() -> None:
    assert torch.allclose(mirror_landmarks(FACE, SIZE), FACE, atol=1e-4)
    on_the_midline = [index for index, partner in enumerate(MIRROR_ORDER) if index == partner]
    assert on_the_midline == [8, 27, 28, 29, 30, 33, 51, 57, 62, 66]


def test_mirrored_landmarks_point_at_the_same_spots_of_the_flipped_picture() -> None:
    picture, landmarks = texture(0), jittered(1)
    assert torch.allclose(mirror_landmarks(mirror_landmarks(landmarks, SIZE), SIZE), landmarks, atol=1e-4)
    there = sample(picture, landmarks[:, MIRROR_ORDER, None])
    here = sample(picture.flip(-1), mirror_landmarks(landmarks, SIZE)[:, :, None])
    assert torch.allclose(here, there, atol=1e-4)


def test_a_spline_without_stiffness_carries_its_centres_to_their_targets() -> None:
    source, target = torch.rand(2, 3, 20, 2, generator=seeded(0), dtype=torch.float64)
    assert torch.allclose(ThinPlateSpline.fit(source, target, stiffness=0)(source), target, atol=1e-6)
    smoother = ThinPlateSpline.fit(source, target, stiffness=1)(source)
    assert (smoother - target).abs().max() > 0.05


@pytest.mark.parametrize("stiffness", [0, 1e-3, 1])
def test_a_spline_continues_affine_maps_everywhere(stiffness: float) -> None:
    source = torch.rand(2, 20, 2, generator=seeded(0), dtype=torch.float64)
    linear, constant = torch.tensor([[0.8, -0.3], [0.4, 1.1]], dtype=torch.float64), 0.7
    far = 6 * torch.rand(2, 50, 2, generator=seeded(1), dtype=torch.float64) - 3
    spline = ThinPlateSpline.fit(source, source @ linear + constant, stiffness)
    assert torch.allclose(spline(far), far @ linear + constant, atol=1e-4)


def test_sampling_at_pixel_centres_copies_and_between_them_averages() -> None:
    picture = texture(0, 12)
    grid = pixel_grid(12, 12, picture).reshape(1, 12, 12, 2)
    assert torch.allclose(sample(picture, grid), picture, atol=1e-5)
    between = sample(picture, grid[:, :-1, :-1] + torch.tensor([0.5, 0.0]))
    assert torch.allclose(between, (picture[..., :-1, :-1] + picture[..., :-1, 1:]) / 2, atol=1e-5)
    outside = torch.tensor([[[[-5.0, 3.0], [2.0, 40.0]]]])
    nearest = torch.stack([picture[0, :, 3, 0], picture[0, :, 11, 2]], dim=1)
    assert torch.allclose(sample(picture, outside)[0, :, 0], nearest)
    assert sample(picture, outside, padding="zeros").abs().max() == 0


def test_points_on_one_line_or_in_one_place_are_no_crash() -> None:
    line = torch.linspace(0, 1, 68)[None, :, None].expand(1, 68, 2)
    for points in (line, torch.full((1, 68, 2), 0.5)):
        spline = ThinPlateSpline.fit(points, points)
        assert torch.allclose(spline(points), points, atol=1e-2)


@pytest.mark.parametrize("pixels, size", [(64, 64), (96, 96), (67, 67), (64, 96), (128, 64)])
def test_a_warp_is_exact_for_affine_maps_up_to_the_border(pixels: int, size: int) -> None:
    ramps = pixel_grid(pixels, pixels, FACE).mT.reshape(1, 2, pixels, pixels)  # each pixel shows its position
    source = torch.rand(1, 30, 2, generator=seeded(0))
    mirror = torch.stack([1 - source[..., 0], 0.1 + 0.8 * source[..., 1]], dim=-1)
    moved = warp_to(ramps, ThinPlateSpline.fit(source, mirror), size)
    x, y = (pixel_grid(size, size, FACE).mT.reshape(2, size, size) + 0.5) / size
    expected = torch.stack([1 - x, 0.1 + 0.8 * y]) * pixels - 0.5
    inside = ((expected > 0.1) & (expected < pixels - 1.1)).all(0)  # beyond the picture is zero
    assert (moved[0] - expected)[:, inside].abs().max() < 0.02  # pixels
    assert inside.float().mean() > 0.9


def test_a_warp_equals_the_spline_at_every_pixel() -> None:
    ramps = pixel_grid(SIZE, SIZE, FACE).mT.reshape(1, 2, SIZE, SIZE)
    places, others = (FACE + 0.5) / SIZE, (jittered(1, sigma=0.3) + 0.5) / SIZE
    spline = ThinPlateSpline.fit(places, others, stiffness=1e-3)
    exact = spline((pixel_grid(SIZE, SIZE, FACE) + 0.5) / SIZE) * SIZE - 0.5
    exact = exact.mT.reshape(1, 2, SIZE, SIZE)
    inside = ((exact > 0.3) & (exact < SIZE - 1.3)).all(1, keepdim=True).expand_as(exact)
    assert (warp_to(ramps, spline, SIZE) - exact)[inside].abs().max() < 0.2  # pixels, next to a landmark


@pytest.mark.parametrize("height, width", [(64, 64), (50, 33), (64, 128), (128, 40)])
def test_a_constant_is_filled_with_itself(height: int, width: int) -> None:
    known = torch.zeros(2, 1, height, width)
    known[0, :, -3:, -3:] = 1
    known[1, :, :5] = 1
    picture = torch.tensor([0.2, 0.5, 0.9]).reshape(1, 3, 1, 1).expand(2, 3, height, width)
    assert torch.allclose(smooth_fill(picture * known, known), picture, atol=1e-5)


def test_a_fill_follows_a_ramp_across_a_hole() -> None:
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    known = 1 - masks.block(1, 64, seeded(0))
    assert (smooth_fill(ramp * known, known) - ramp).abs().max() < 0.2


@pytest.mark.parametrize("seed", range(3))
def test_a_fill_keeps_known_pixels_and_invents_no_new_extremes(seed: int) -> None:
    picture, known = texture(seed, 64), 1 - masks.irregular(1, 64, seeded(seed))
    filled = smooth_fill(picture * known, known)
    assert torch.equal(filled * known, picture * known)
    colours = picture.flatten(2)[..., known.flatten() == 1]
    least, most = colours.amin(2)[..., None, None], colours.amax(2)[..., None, None]
    assert (filled >= least - 1e-5).all() and (filled <= most + 1e-5).all()


def test_nothing_known_is_no_crash() -> None:
    assert smooth_fill(torch.zeros(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)).isfinite().all()
    prior = symmetry_prior(texture(0), torch.ones(1, 1, SIZE, SIZE), FACE)
    assert prior.image.isfinite().all() and prior.mirrored.sum() == 0


@pytest.mark.parametrize("degrees, shift", [(0, 0), (0, 9), (12, -5), (-25, 4)])
@pytest.mark.parametrize("name", ["mask01", "mask02", "mask03", "mask10"])
def test_a_hidden_half_of_a_symmetric_face_comes_back(name: str, degrees: float, shift: float) -> None:
    image, landmarks = posed(symmetric(3), FACE, degrees, shift)
    mask = masks.named(name, SIZE, landmarks)
    prior = symmetry_prior(image, mask, landmarks)
    # What the mask hides on both sides of a face off the middle has no partner; most of the face has one.
    hidden_face = mask * masks.face_region(landmarks, SIZE)
    assert (prior.mirrored * hidden_face).sum() > 0.35 * hidden_face.sum()
    restored = prior.mirrored.bool().expand_as(image)
    assert psnr(prior.image[restored], image[restored]) > 42


def test_upright_and_centred_the_restoration_is_nearly_exact() -> None:
    image, mask = symmetric(3), masks.named("mask01", SIZE)
    prior = symmetry_prior(image, mask, FACE)
    assert torch.equal(prior.mirrored, mask)
    assert psnr(prior.image, image) > 60


@pytest.mark.parametrize("name", ["mask01", "mask04", "mask09", "irregular", "face-mask"])
def test_known_pixels_stay_and_hidden_ones_are_never_looked_at(name: str) -> None:
    image, landmarks = texture(5), jittered(1)
    mask = masks.named(name, SIZE, landmarks)
    prior = symmetry_prior(image * (1 - mask), mask, landmarks)
    garbage = symmetry_prior(torch.where(mask > 0, 1000 * torch.rand(image.shape), image), mask, landmarks)
    assert torch.equal(prior.image, garbage.image) and torch.equal(prior.mirrored, garbage.mirrored)
    known = (mask == 0).expand_as(image)
    assert torch.equal(prior.image[known], image[known])
    assert 0 <= prior.image.min() and prior.image.max() <= 1
    assert ((prior.mirrored == 0) | (mask == 1)).all()


def test_where_both_sides_are_hidden_nothing_is_mirrored() -> None:
    image, mask = symmetric(3), torch.zeros(1, 1, SIZE, SIZE)
    mask[..., 80:110, 40:88] = 1  # the mouth, symmetric about the middle
    prior = symmetry_prior(image, mask, FACE)
    assert prior.mirrored.sum() == 0
    hole = mask.bool().expand_as(image)
    assert (prior.image[hole] > 0).all() and psnr(prior.image, image) > 20


@pytest.mark.parametrize("light", [0.06, -0.06])
def test_light_from_one_side_is_carried_into_the_hole(light: float) -> None:
    side = light * torch.linspace(-1, 1, SIZE)
    image = 0.3 + 0.4 * symmetric(3) + side
    mask = torch.zeros(1, 1, SIZE, SIZE)
    mask[..., 50:80, 20:50] = 1  # the cheek in the left of the picture
    hole = mask.bool().expand_as(image)
    mirrored_only = image.flip(-1)
    without = (mirrored_only - image)[hole].abs().mean()
    prior = symmetry_prior(image, mask, FACE)
    assert (prior.image - image)[hole].abs().mean() < 0.1 * without


def test_what_is_only_on_one_side_is_not_taken_for_light() -> None:
    image = 0.3 + 0.4 * symmetric(3)
    mask = torch.zeros(1, 1, SIZE, SIZE)
    mask[..., 50:80, 20:50] = 1
    hole = mask.bool().expand_as(image)
    image[..., :20] += 0.3  # hair beside the cheek
    prior = symmetry_prior(image, mask, FACE)
    assert (prior.image - image)[hole].abs().max() < 0.02


def test_a_face_is_restored_alike_alone_and_in_a_batch() -> None:
    images = torch.cat([texture(seed) for seed in range(3)])
    landmarks = jittered(3)
    mask = masks.irregular(3, SIZE, seeded(0))
    together = symmetry_prior(images, mask, landmarks)
    for index in range(3):
        one = slice(index, index + 1)
        alone = symmetry_prior(images[one], mask[one], landmarks[one])
        assert torch.equal(alone.mirrored, together.mirrored[one])
        assert torch.allclose(alone.image, together.image[one], atol=1e-3)


def test_slivers_go_and_what_is_wider_stays() -> None:
    region = torch.zeros(1, 1, 64, 64)
    region[..., 10:40, 10:40] = 1
    with_line = region.clone()
    with_line[..., 50:53, :] = 1
    assert torch.equal(symmetry._without_slivers(with_line), region)


def test_a_model_looks_at_known_pixels_alone_and_gets_the_details_of_the_other_side() -> None:
    """A model of a flat face: over it stands a spot that is seen on the other side."""
    model = AppearanceModel(components=1, size=48)
    model.fit(torch.full((2, 3, SIZE, SIZE), 0.5), FACE.expand(2, -1, -1))
    image = torch.full((1, 3, SIZE, SIZE), 0.5)
    image[..., 60:70, 80:90] += 0.2
    mask = masks.named("mask01", SIZE)
    assert mask[..., 60:70, 80:90].sum() in (0, 100)
    image = image if mask[..., 65, 85] == 0 else image.flip(-1)
    guess = symmetry_prior(image, mask, FACE, model).image
    assert guess[..., 63:67, 41:45].mean() + guess[..., 63:67, 83:87].mean() == pytest.approx(1.4, abs=0.03)
    assert torch.equal(guess * (1 - mask), image * (1 - mask))
