"""Measures of pictures with known answers, each blind where it should be; and a distance that says which one it is."""

from __future__ import annotations

import hashlib
import math

import pytest
import torch
import torchvision
from torchmetrics.functional.image import learned_perceptual_image_patch_similarity

from faceinpaint import masks
from faceinpaint.basics.errors import InputError
from faceinpaint.evaluation import decibels, perceptual_distance, pixel_measures, seam
from faceinpaint.evaluation.measures import frechet_distance, looks
from faceinpaint.features import load_features
from faceinpaint.losses import PerceptualLoss
from faceinpaint.weights import fetch

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


# ------------------------------------------------------------------------------------------------ the seam


def block(size=64, top=20, left=16, tall=24, wide=30):
    """A mask whose hole is one rectangle."""
    mask = torch.zeros(1, 1, size, size)
    mask[..., top : top + tall, left : left + wide] = 1
    return mask


def ramp(along, down, size=64):
    """A picture that brightens evenly, by so much from pixel to pixel."""
    x, y = torch.arange(float(size)).view(1, size), torch.arange(float(size)).view(size, 1)
    return (0.1 + along * x + down * y).expand(1, 3, size, size)


HOLES = {
    "half": HALF, "lower half": HALF.mT, "inside": block(), "at the border": block(left=0),
    "in a corner": block(64, 0, 0), "of blocks": masks.irregular(1, 64, torch.Generator().manual_seed(2), (0.3, 0.4)),
}


def seam_by_hand(picture, hidden, band):
    """The definition, pair by pair, of one picture (3, H, W) and its hole (H, W)."""
    grey, height, width = picture.mean(0), *hidden.shape
    near = [[len(hidden[max(0, y - band) : y + band + 1, max(0, x - band) : x + band + 1].unique()) == 2
             for x in range(width)] for y in range(height)]
    across, expected = [], []
    for down, right in ((0, 1), (1, 0)):
        crossing, around = [], []
        for y in range(height - down):
            for x in range(width - right):
                change = abs(grey[y, x] - grey[y + down, x + right]).item()
                if hidden[y, x] != hidden[y + down, x + right]:
                    crossing.append(change)
                elif near[y][x] and near[y + down][x + right]:
                    around.append(change)
        across += crossing
        expected += [sum(around) / len(around)] * len(crossing) if crossing else []
    return max(sum(across) / len(across), 1 / 255) / max(sum(expected) / len(expected), 1 / 255)


@pytest.mark.parametrize("name", HOLES)
def test_the_seam_is_what_one_counts_pair_by_pair(name):
    picture, mask = pictures(seed=3) + 0.2 * HOLES[name], HOLES[name]
    assert seam(picture, mask).item() == pytest.approx(seam_by_hand(picture[0], mask[0, 0], 4), rel=1e-4)


@pytest.mark.parametrize("slopes", [(0.01, 0.0), (0.0, -0.01), (0.004, 0.01)], ids=str)
@pytest.mark.parametrize("mask", HOLES.values(), ids=HOLES)
def test_an_even_ramp_has_no_seam_whichever_way_it_runs(mask, slopes):
    assert seam(ramp(*slopes), mask).item() == pytest.approx(1, rel=1e-3)


def test_a_step_between_hole_and_surroundings_is_a_seam():
    """On a ramp of 0.01 a pixel that loses 0.1 where the hole, on its left, ends."""
    assert seam(ramp(0.01, 0) + 0.1 * HALF, HALF).item() == pytest.approx(9, rel=1e-3)
    assert seam(ramp(0.01, 0) - 0.1 * HALF, HALF).item() == pytest.approx(11, rel=1e-3)
    noisy = 0.4 + 0.05 * pictures()
    small, large = (seam(noisy + offset * block(), block()).item() for offset in (0.05, 0.2))
    assert 1.5 < small < large / 3


@pytest.mark.parametrize("mask", HOLES.values(), ids=HOLES)
def test_a_whole_noisy_picture_has_no_seam(mask):
    found = seam(pictures(40), mask.expand(40, -1, -1, -1))
    assert found.mean().item() == pytest.approx(1, abs=0.06) and (found - 1).abs().max() < 0.3


def test_in_flat_surroundings_an_offset_is_a_seam_and_rounding_is_none():
    flat = torch.full((1, 3, 64, 64), 0.5)
    assert seam(flat, block()).item() == 1
    assert seam(flat + 0.1 * block(), block()).item() == pytest.approx(25.5, rel=1e-4)
    rounded = flat + pictures() / 255
    assert seam(rounded, block()).item() == 1
    assert 1 < seam(rounded + 0.01 * block(), block()).item() < 4  # two or three grey levels


def test_the_seam_is_the_same_of_a_picture_on_its_side():
    picture = (pictures() * ramp(0.01, 0.002) + 0.1 * block()).clamp(0, 1)
    for mask in HOLES.values():
        for turned in (lambda values: values.mT, lambda values: values.flip(-1), lambda values: values.flip(-2)):
            assert seam(turned(picture), turned(mask)).item() == pytest.approx(seam(picture, mask).item(), rel=1e-5)


def test_the_seam_is_of_the_brightness():
    colours = torch.tensor([0.1, -0.04, -0.06]).view(1, 3, 1, 1)  # the mean stays
    picture = 0.3 + 0.3 * pictures()
    assert seam(picture + colours * block(), block()).item() == pytest.approx(seam(picture, block()).item(), rel=1e-4)


@pytest.mark.parametrize("size, band", [(64, 4), (128, 4), (256, 8), (384, 12)])
def test_the_surroundings_of_a_seam_grow_with_the_picture(size, band):
    """Beside a boundary down the middle the pixel column number `band` counts, and those beyond it do not."""
    picture, edge = ramp(0.01, 0.002, size).clone(), size // 2
    far, near = picture.clone(), picture.clone()
    far[..., edge + band :] = 0.5
    near[..., edge + band - 1] += 0.1
    for mask in (masks.standard("mask01", size), 1 - masks.standard("mask01", size)):  # they are known, or hidden
        assert seam(far, mask).item() == seam(picture, mask).item() == pytest.approx(1, rel=1e-3)
        assert seam(near, mask).item() < 0.7


def test_where_there_is_no_boundary_there_is_no_seam_to_measure():
    masks_of_three = torch.cat([torch.zeros_like(HALF), HALF, torch.ones_like(HALF)])
    found = seam(pictures(3), masks_of_three)
    assert found.isnan().tolist() == [True, False, True]
    assert found[1].item() == pytest.approx(seam(pictures(3)[1:2], HALF).item())


def test_the_seam_is_among_the_measures_and_is_that_of_the_completed_picture():
    image = 0.3 + 0.3 * pictures()
    completed = image + 0.2 * block()
    names = list(pixel_measures(completed, image, block()))
    assert names == ["psnr", "psnr_hole", "ssim", "ssim_hole", "sharpness", "seam"]
    assert torch.equal(pixel_measures(completed, image, block())["seam"], seam(completed, block()))


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


def test_the_frechet_distance_is_that_of_normal_distributions_and_sees_only_the_hole():
    def spread(deviations, mean):
        return torch.randn(20_000, 2, generator=torch.Generator().manual_seed(1)) * torch.tensor(deviations) + mean

    one, other = spread([1.0, 2.0], 0.0), spread([2.0, 2.0], torch.tensor([3.0, 0.0]))
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6)
    # |difference of the means|^2 + the squared differences of the deviations, where the axes agree.
    assert frechet_distance(one, other) == pytest.approx(9 + 1, rel=0.02)
    assert frechet_distance(one, other) == pytest.approx(frechet_distance(other, one))

    images, features = torch.rand(2, 3, 96, 96), load_features()
    left = torch.zeros(2, 1, 96, 96)
    left[..., :32] = 1
    changed = images.clone()
    changed[..., 88:] = 0
    assert looks(images, left, features).shape == (2, 96)
    near = (looks(changed, left, features) - looks(images, left, features)).abs().max()
    assert near < 0.3 * (looks(changed, left.flip(-1), features) - looks(images, left.flip(-1), features)).abs().max()
