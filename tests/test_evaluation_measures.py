"""Measures of pictures with known answers, each blind where it should be; and a distance that says which one it is."""

from __future__ import annotations

import hashlib
import math

import pytest
import torch
import torchvision
from torchmetrics.functional.image import learned_perceptual_image_patch_similarity

from faceinpaint import fetch, masks
from faceinpaint.errors import InputError
from faceinpaint.evaluation import decibels, perceptual_distance, pixel_measures
from faceinpaint.features import load_features
from faceinpaint.losses import PerceptualLoss

HALF = masks.standard("mask01", 64)  # one side is unknown


def pictures(count=1, seed=0):
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(seed))


def test_pixel_measures_of_a_constant_error():
    image = torch.full((1, 3, 64, 64), 0.5)
    found = pixel_measures(image + 0.1 * HALF, image, HALF)
    assert found["psnr_hole"].item() == pytest.approx(20, abs=1e-3)
    assert found["psnr"].item() == pytest.approx(20 + 10 * math.log10(2), abs=1e-3)  # half the pixels are right


def test_identical_pictures_are_perfect():
    image = pictures(2)
    found = pixel_measures(image, image, HALF.expand(2, -1, -1, -1))
    assert found["psnr"].tolist() == found["psnr_hole"].tolist() == [math.inf] * 2
    for name in ("ssim", "ssim_hole", "sharpness"):
        assert found[name].tolist() == pytest.approx([1, 1])


def test_each_picture_of_a_batch_is_measured_alone():
    image = pictures(3)
    completed = image + torch.tensor([0.01, 0.05, 0.2]).view(3, 1, 1, 1) * torch.randn(
        image.shape, generator=torch.Generator().manual_seed(1))
    mask = torch.cat([HALF, masks.standard("mask04", 64), masks.standard("mask05", 64)])
    together = pixel_measures(completed, image, mask)
    for number in range(3):
        part = slice(number, number + 1)
        for name, value in pixel_measures(completed[part], image[part], mask[part]).items():
            assert value.shape == (1,) and value.item() == pytest.approx(together[name][number].item(), rel=1e-5)
    assert together["psnr"].diff().max() < -5 and together["ssim"].diff().max() < 0


@pytest.mark.parametrize("name", ["psnr_hole", "ssim_hole", "sharpness"])
def test_measures_of_the_hole_do_not_see_what_is_far_from_it(name):
    image, mask = pictures(), torch.zeros(1, 1, 64, 64)
    mask[..., 40:60, 40:60] = 1
    far = torch.zeros_like(mask)
    far[..., :30, :30] = 1  # SSIM looks five pixels around
    completed = (image + 0.05 * mask * pictures(seed=1)).clamp(0, 1)
    inside = pixel_measures(completed, image, mask)[name]
    assert torch.equal(pixel_measures(torch.where(far > 0, 0.0, completed), image, mask)[name], inside)
    assert pixel_measures(torch.where(mask > 0, 0.0, completed), image, mask)[name] < 0.8 * inside
    whole = "psnr" if name == "psnr_hole" else "ssim"
    assert pixel_measures(torch.where(far > 0, 0.0, completed), image, mask)[whole] < 0.9 * pixel_measures(
        completed, image, mask)[whole]


def test_ssim_tells_structure_from_brightness():
    """A picture that is a little too bright everywhere loses as many decibels as one with noise, but less SSIM."""
    image = 0.2 + 0.6 * pictures()
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(1))
    noise *= 0.1 / noise.square().mean().sqrt()
    bright, noisy = (pixel_measures(image + error, image, HALF) for error in (0.1, noise))
    assert bright["psnr"].item() == pytest.approx(noisy["psnr"].item(), abs=0.01)
    for name in ("ssim", "ssim_hole"):
        assert bright[name] > 0.9 > noisy[name] + 0.02


@pytest.mark.parametrize("contrast", [0.25, 0.5, 1.5])
def test_sharpness_is_the_contrast_that_is_left_whatever_the_brightness(contrast):
    image = 0.3 + 0.4 * pictures()
    completed = torch.where(HALF > 0, contrast * (image - 0.5) + 0.4, image)
    inner = torch.zeros_like(HALF)
    inner[..., 10:50, :20] = 1
    inner[..., 10:50, 44:] = 1
    inner *= HALF  # without its edge, where completed and known pixels meet
    assert pixel_measures(completed, image, inner)["sharpness"].item() == pytest.approx(contrast, rel=1e-4)


def test_blur_loses_sharpness_inside_the_hole_only():
    image = pictures()
    blurred = torch.nn.functional.avg_pool2d(image, 5, 1, 2)
    assert pixel_measures(blurred, image, HALF)["sharpness"].item() < 0.5
    outside = torch.where(HALF > 0, image, blurred)
    assert pixel_measures(outside, image, HALF)["sharpness"].item() > 0.9


def test_decibels_of_a_tenth_more():
    assert decibels(torch.tensor([1.0, 0.1, 0.001, 0.0])).tolist() == pytest.approx([0, 10, 30, math.inf])


# ------------------------------------------------------------------------------------------ as people see it


@pytest.fixture
def checkpoints(tmp_path, monkeypatch):
    """The folder, empty, where torch would keep fetched weights."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def alexnet(checkpoints, monkeypatch):
    """AlexNet's file with random filters, and small: of its classifier, which nobody asks, there is one number."""
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in torchvision.models.alexnet().state_dict().items()}
    random = torch.Generator().manual_seed(0)
    state = {
        name: torch.zeros(()).expand(shape) if name.startswith("classifier") else
        torch.randn(shape, generator=random) / math.sqrt(max(1, math.prod(shape[1:])))
        for name, shape in shapes.items()
    }
    path = checkpoints / fetch.published("alexnet").file
    torch.save(state, path)
    content = path.read_bytes()
    entry = fetch.published("alexnet")._replace(size=len(content), sha256=hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(fetch.PUBLISHED, "alexnet", entry)
    return path


def check_distance(distance):
    image = 0.2 + 0.6 * pictures(2)
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(1))
    none, little, much = (distance((image + share * noise).clamp(0, 1), image) for share in (0, 0.03, 0.2))
    assert none.tolist() == pytest.approx([0, 0], abs=1e-5)
    assert (none < little).all() and (little < much).all()
    assert distance(image.flip(0), image)[1].item() == pytest.approx(distance(image[:1], image[1:]).item(), rel=1e-5)
    beyond = (image + 0.5 * noise).requires_grad_()  # painted by a network that was not held back
    assert torch.equal(distance(beyond, image), distance(beyond.clamp(0, 1), image))
    assert not distance(beyond, image).requires_grad


def test_without_alexnet_a_stand_in_says_that_it_is_one(checkpoints):
    name, distance = perceptual_distance()
    assert name == "features"
    check_distance(distance)
    image, other = pictures().sqrt(), pictures(seed=1)
    loss = PerceptualLoss(load_features())(image, other).item()
    assert distance(image, other).item() == pytest.approx(loss, rel=0.02)  # it may be in half precision


def test_with_alexnet_it_is_lpips(alexnet):
    name, distance = perceptual_distance()
    assert name == "lpips"
    check_distance(distance)
    image, other = pictures(), pictures(seed=1)
    value = learned_perceptual_image_patch_similarity(2 * image - 1, 2 * other - 1, "alex")  # which wants [-1, 1]
    assert distance(image, other).item() == pytest.approx(value.item(), rel=1e-4)


def test_an_altered_alexnet_is_refused_and_never_replaced_by_the_stand_in(alexnet):
    alexnet.write_bytes(alexnet.read_bytes()[:-1] + b"?")
    with pytest.raises(InputError, match=r"sha256 differs\): get them again with `faceinpaint fetch alexnet`"):
        perceptual_distance()
