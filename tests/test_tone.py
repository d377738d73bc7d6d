"""Painted pixels of a black-and-white or toned photograph have its colours."""

from __future__ import annotations

import io

import pytest
import torch
from PIL import Image, ImageOps

from faceinpaint.faces.photos import to_tensor
from faceinpaint.prior.tone import toned

TONES = {
    "grey": ("black", None, "white"), "sepia": ((30, 20, 10), (150, 125, 90), (250, 240, 215)),
    "blue": ("black", (60, 80, 130), (230, 240, 255)),
}


def in_tone(photo: Image.Image, tone: str, quality: int) -> Image.Image:
    """A photo in shades of one tone, as a JPEG gives it back."""
    black, mid, white = TONES[tone]
    content = io.BytesIO()
    ImageOps.colorize(photo.convert("L"), black, white, mid).save(content, "jpeg", quality=quality)
    return Image.open(content)


@pytest.mark.parametrize("quality", [50, 95])
@pytest.mark.parametrize("tone", TONES)
def test_paint_takes_the_tone_of_the_photograph(astronaut, tone, quality):
    photo = astronaut.crop((96, 0, 352, 256))
    image, mask = to_tensor(in_tone(photo, tone, quality)), torch.zeros(1, 1, 256, 256)
    mask[..., 100:200, 60:180] = 1
    painted = torch.where(mask > 0.5, to_tensor(photo), image)  # red lips, in colour
    done = toned(painted, image, mask)
    assert torch.equal(done[(mask < 0.5).expand_as(done)], image[(mask < 0.5).expand_as(done)])
    inside = (mask > 0.5).expand_as(done)
    brightness = painted.mean(1, keepdim=True).expand_as(done)
    wanted = to_tensor(in_tone(Image.fromarray((brightness[0, 0] * 255).byte().numpy()), tone, 95))
    assert (painted - wanted)[inside].abs().mean() > 0.04
    assert (done - done.mean(1, keepdim=True) - wanted + wanted.mean(1, keepdim=True))[inside].abs().mean() < 0.012


def test_a_photograph_in_colour_stays_as_it_is(astronaut):
    image = to_tensor(astronaut.crop((96, 0, 352, 256)))
    mask = torch.zeros(1, 1, 256, 256)
    mask[..., :128] = 1
    assert torch.equal(toned(image.flip(3), image, mask), image.flip(3))


@pytest.mark.parametrize("hidden", [0.0, 1.0])
def test_nothing_hidden_and_nothing_visible_are_no_trouble(hidden):
    image = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(toned(image, image, torch.full((2, 1, 16, 16), hidden)), image)
