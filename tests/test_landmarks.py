"""Landmarks: what the predictor may look at, its units, the drawn map and the error measure."""

from __future__ import annotations

import math
from copy import deepcopy
from functools import cache

import pytest
import torch
from conftest import canonical_face
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import mobilenet_v2 as theirs

from faceinpaint import masks
from faceinpaint.basics.errors import InputError
from faceinpaint.landmarks import (
    IMAGENET_DEVIATION, IMAGENET_MEAN, LEFT_EYE, OUTER_EYE_CORNERS, RIGHT_EYE, LandmarkPredictor, area_under_curve,
    cumulative_error, failure_rate, hidden_landmarks, landmark_map, mirror_landmarks, normalised_errors,
    normalised_mean_error
)

FACE = canonical_face(64)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def picture(seed: int, size: int = 64) -> Tensor:
    noise = torch.rand(1, 3, 8, 8, generator=seeded(seed))
    return F.interpolate(noise, size=size, mode="bilinear", align_corners=False)


def untrained() -> LandmarkPredictor:
    torch.manual_seed(0)
    network = LandmarkPredictor(width=0.35, size=64).eval()
    network.set_mean_face(FACE, 64)
    return network


@cache
def predictor() -> LandmarkPredictor:
    """A small predictor that answers to what it sees, as if it had learnt something."""
    network = untrained().train()
    nn.init.normal_(network.head[-1].weight, std=0.3)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0  # take the statistics of the one batch below
    with torch.no_grad():
        network(torch.cat([picture(seed) for seed in range(10, 14)]), masks.irregular(4, 64, seeded(0)))
    return network.eval()


@torch.no_grad()
def test_an_untrained_predictor_says_the_mean_face_at_any_size() -> None:
    network = untrained()
    several = torch.cat([FACE - 1, FACE, FACE + 4])
    network.set_mean_face(several, 64)
    network.train()  # at a single look; the mean with its mirror image would be a face in the middle
    for size in (32, 64, 200):
        image = torch.rand(2, 3, size, size, generator=seeded(size))
        found = network(image, torch.zeros(2, 1, size, size))
        assert found.shape == (2, 68, 2)
        assert torch.allclose(found, canonical_face(size) + size / 64, atol=1e-3)


@torch.no_grad()
def test_a_mirrored_face_has_mirrored_landmarks_once_training_is_over() -> None:
    image, mask = picture(1), masks.irregular(1, 64, seeded(1))
    here, there = predictor()(image, mask), predictor()(image.flip(-1), mask.flip(-1))
    assert torch.allclose(mirror_landmarks(here, 64), there, atol=1e-3)
    looks = [predictor().look(image, mask), mirror_landmarks(predictor().look(image.flip(-1), mask.flip(-1)), 64)]
    assert (looks[0] - looks[1]).abs().max() > 0.5  # one look alone doesn't know this
    assert torch.allclose(here, sum(looks) / 2, atol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("size", [32, 128, 200, 256])
def test_a_larger_picture_has_its_landmarks_at_the_same_places(size: int) -> None:
    network, seen = deepcopy(predictor()), []
    network.levels[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    for pixels in (64, size):
        network(picture(0, pixels), torch.zeros(1, 1, pixels, pixels))
    (small, mirrored), (large, _) = seen  # at one go, picture and mirror image
    assert small.shape == large.shape and (small - large).abs().mean() < 0.02
    assert torch.equal(mirrored, small.flip(-1))
    # A picture of one colour looks the same at every size.
    grey, nothing_hidden = torch.full((1, 3, 256, 256), 0.5), torch.zeros(1, 1, 256, 256)
    small = network(grey[..., :64, :64], nothing_hidden[..., :64, :64])
    large = network(grey[..., :size, :size], nothing_hidden[..., :size, :size])
    assert torch.allclose((small + 0.5) / 64, (large + 0.5) / size, atol=1e-4)


@torch.no_grad()
def test_hidden_pixels_are_never_looked_at_but_visible_ones_and_the_mask_are() -> None:
    network, image = predictor(), picture(0)
    mask = masks.irregular(1, 64, seeded(0))
    found = network(image, mask)
    assert torch.equal(network(torch.where(mask > 0, 100 * torch.rand(image.shape), image), mask), found)
    assert (network(picture(1), mask) - found).abs().max() > 0.01
    hidden = image * (1 - mask)
    assert (network(hidden, torch.zeros_like(mask)) - found).abs().max() > 0.01  # black is not hidden


@torch.no_grad()
def test_a_face_gets_the_same_landmarks_alone_and_in_a_batch() -> None:
    network, images = predictor(), torch.cat([picture(0), picture(1)])
    mask = masks.irregular(2, 64, seeded(0))
    assert torch.allclose(network(images, mask)[:1], network(images[:1], mask[:1]), atol=1e-3)


def test_every_weight_of_the_predictor_learns() -> None:
    network = deepcopy(predictor()).train()
    images = torch.cat([picture(seed) for seed in range(4)])
    (network(images, masks.irregular(4, 64, seeded(0))) - FACE).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.abs().max() > 0, name


@pytest.fixture(scope="module")
def imagenet() -> nn.Module:
    """torchvision's whole network, with weights and statistics drawn at random."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = theirs(width_mult=1.0).eval()
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_(0, 0.1)
                layer.running_var.uniform_(0.5, 1.5)
    return network


def test_it_starts_where_torchvisions_network_is(imagenet: nn.Module) -> None:
    started = LandmarkPredictor(size=64).eval()
    started.start_from_imagenet(imagenet.state_dict())
    image = picture(1, 96)
    mean, deviation = (torch.tensor(numbers).view(1, 3, 1, 1) for numbers in (IMAGENET_MEAN, IMAGENET_DEVIATION))
    hole = torch.zeros(1, 1, 96, 96)
    hole[..., 40:60, 30:50] = 1
    seen_by_theirs = (torch.where(hole > 0.5, mean, image) - mean) / deviation
    with torch.no_grad():
        ours = started.levels[0][0](torch.cat([image * (1 - hole), hole], dim=1))
        right = imagenet.features[0](seen_by_theirs)
        # Beyond the border theirs sees the mean colour and ours black: of the first layer one pixel at two sides.
        assert not torch.allclose(ours, right, atol=1e-4)
        assert torch.allclose(ours[..., 1:, 1:], right[..., 1:, 1:], atol=1e-5)
        layers = [layer for level in started.levels for layer in level]
        for layer, right in zip(layers[1:], imagenet.features[1:]):
            assert torch.equal(layer(ours), right(ours))
            ours = layer(ours)
    assert ours.shape[1] == 320  # to the last level


def test_imagenets_weights_fit_one_width_alone(imagenet: nn.Module) -> None:
    with pytest.raises(InputError, match="of width 1: set landmarks.width=1, or leave out --start"):
        LandmarkPredictor(width=0.5, size=64).start_from_imagenet(imagenet.state_dict())


def test_eyes_lie_left_and_right_in_the_image() -> None:
    assert FACE[0, LEFT_EYE, 0].max() < FACE[0, 27, 0] < FACE[0, RIGHT_EYE, 0].min()
    left, right = OUTER_EYE_CORNERS
    assert FACE[0, left, 0] == FACE[0, 36:48, 0].min() and FACE[0, right, 0] == FACE[0, 36:48, 0].max()


def test_the_map_equals_a_slow_loop() -> None:
    sigma = 17 / 170
    landmarks = 17 * torch.rand(2, 68, 2, generator=seeded(0)) - 0.5
    drawn = landmark_map(landmarks, 17)
    for batch in range(2):
        for row in range(17):
            for column in range(17):
                total = 0.0
                for x, y in landmarks[batch].tolist():
                    total += math.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * sigma**2))
                assert drawn[batch, 0, row, column].item() == pytest.approx(min(total, 1), abs=1e-4)


def test_the_map_peaks_at_the_landmarks_and_is_dark_elsewhere() -> None:
    landmarks = canonical_face(128).round()
    drawn = landmark_map(landmarks, 128)
    assert drawn.shape == (1, 1, 128, 128) and 0 <= drawn.min() and drawn.max() <= 1
    x, y = landmarks[0].long().T
    assert torch.equal(drawn[0, 0, y, x], torch.ones(68))
    assert drawn[0, 0, :20].max() < 1e-6  # nothing above the brows


@pytest.mark.parametrize("size", [128, 256, 512])
def test_dots_keep_their_share_of_the_picture(size: int) -> None:
    apart = torch.stack(torch.meshgrid(torch.arange(1, 9), torch.arange(1, 10), indexing="ij"), dim=-1)
    landmarks = apart.reshape(1, 72, 2)[:, :68] * size / 11.0
    area = landmark_map(landmarks, size).sum().item() / size**2
    assert area == pytest.approx(68 * 2 * math.pi / 170**2, rel=0.01)


def test_landmarks_outside_the_picture_draw_nothing() -> None:
    outside = torch.tensor([-40.0, 30.0]).expand(1, 68, 2)
    assert landmark_map(outside, 64).max() < 1e-6
    assert landmark_map(torch.full((1, 68, 2), 1e6), 64).max() == 0


def test_faces_of_a_batch_are_drawn_apart() -> None:
    both = torch.cat([FACE, FACE + 7])
    assert torch.allclose(landmark_map(both, 64)[1:], landmark_map(FACE + 7, 64))


def test_the_map_tells_its_landmarks_where_to_go() -> None:
    landmarks = (FACE + 0.3).requires_grad_()
    target = landmark_map(FACE, 64)
    before = (landmark_map(landmarks, 64) - target).square().sum()
    before.backward()
    assert landmarks.grad.isfinite().all()
    moved = landmarks.detach() - 0.01 * landmarks.grad
    assert (landmark_map(moved, 64) - target).square().sum() < before


def test_the_error_of_a_shift_is_its_length_over_the_distance_of_the_eyes() -> None:
    scales = torch.tensor([1.0, 2.0, 0.5]).reshape(3, 1, 1)
    true = FACE * scales
    assert torch.equal(normalised_mean_error(true, true), torch.zeros(3))
    eyes = (true[:, 36] - true[:, 45]).norm(dim=-1)
    error = normalised_mean_error(true + torch.tensor([3.0, 4.0]), true)
    assert error.shape == (3,) and torch.allclose(error, 5 / eyes)


def test_the_error_is_normalised_by_the_true_eyes() -> None:
    wrong = FACE.clone()
    wrong[:, 36, 0] -= 17.0  # one predicted corner far off: the error grows, the unit stays
    eyes = (FACE[:, 36] - FACE[:, 45]).norm(dim=-1)
    assert torch.allclose(normalised_mean_error(wrong, FACE), 17 / 68 / eyes)


def test_the_error_of_a_face_is_the_mean_of_those_of_its_landmarks() -> None:
    true = torch.cat([FACE, 2 * FACE])
    moved = true.clone()
    moved[1, 8, 1] += 6.0  # the chin of the second face
    errors = normalised_errors(moved, true)
    eyes = (true[1, 36] - true[1, 45]).norm()
    assert errors.shape == (2, 68) and errors.count_nonzero() == 1
    assert errors[1, 8] == pytest.approx(6.0 / eyes.item())
    assert torch.allclose(normalised_mean_error(moved, true), errors.mean(dim=1))


ERRORS = torch.tensor([0.02, 0.25, 0.06, 0.04])


def test_the_cumulative_curve_counts_the_faces_up_to_each_limit() -> None:
    limits = torch.tensor([0.0, 0.02, 0.05, 0.1, 0.25, 1.0])
    assert cumulative_error(ERRORS, limits).tolist() == [0, 0.25, 0.5, 0.75, 1, 1]


def test_failures_are_the_faces_above_the_limit() -> None:
    assert failure_rate(ERRORS) == 0.25
    assert failure_rate(ERRORS, limit=0.05) == 0.5
    assert failure_rate(torch.tensor([0.125, 0.5]), limit=0.125) == 0.5  # just the limit is no failure


def test_an_error_that_is_no_number_is_a_failure_and_adds_no_area() -> None:
    lost = torch.tensor([0.0, float("nan")])
    assert failure_rate(lost) == 0.5
    assert cumulative_error(lost, torch.tensor([1e9])).tolist() == [0.5]
    assert area_under_curve(lost) == 0.5


@pytest.mark.parametrize("limit", [0.05, 0.1, 0.3])
def test_the_area_is_that_under_the_curve(limit: float) -> None:
    limits = torch.linspace(0, limit, 20001)
    assert area_under_curve(ERRORS, limit) == pytest.approx(cumulative_error(ERRORS, limits).mean().item(), abs=1e-3)
    assert area_under_curve(torch.zeros(3), limit) == 1
    assert area_under_curve(torch.ones(3), limit) == 0


def test_landmarks_are_hidden_where_the_mask_is_1_or_the_picture_ends() -> None:
    mask = torch.zeros(2, 1, 8, 12)  # 8 rows, 12 columns
    mask[0, 0, 2, 9] = 1
    places = [(9.4, 1.6), (2.0, 9.0), (8.4, 2.0), (9.0, 3.0), (-0.6, 2.0), (12.0, 2.0), (9.0, 7.6), (9.0, -40.0)]
    landmarks = torch.tensor(places).expand(2, -1, -1)
    outside = [False, True, False, False, True, True, True, True]
    assert hidden_landmarks(landmarks, mask).tolist() == [[True, *outside[1:]], outside]
