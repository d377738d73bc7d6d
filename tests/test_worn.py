"""A face mask that is worn in a photo is found with its rim, and taken off."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from test_detection import completer, portrait  # noqa: F401, fixtures

from faceinpaint import masks
from faceinpaint.basics.errors import InputError
from faceinpaint.completion import NO_VERDICT, Completer
from faceinpaint.faces import align
from faceinpaint.faces.photos import to_image, to_tensor
from faceinpaint.faces.worn import worn_mask

WORN = {"white": "surgical", "steelblue": "cloth", "black": "scarf", "crimson": "ffp2"}


def dressed(image: torch.Tensor, completer: Completer, colour: str, larger: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A face (1, 3, S, S) that wears a mask of a colour, a little larger than it fits, and what that hides."""
    size = image.shape[-1]
    worn = masks.face_mask(completer.locate(image), size, WORN[colour])
    worn = torch.nn.functional.interpolate(worn, scale_factor=larger, mode="nearest")
    first = (worn.shape[-1] - size) // 2
    worn = worn[..., first : first + size, first : first + size]
    cloth = to_tensor(Image.new("RGB", (size, size), colour)) * torch.linspace(0.8, 1.0, size)
    return torch.where(worn > 0.5, cloth, image), worn > 0.5


@pytest.mark.parametrize("larger", [1.0, 1.1])
@pytest.mark.parametrize("colour", WORN)
def test_the_whole_mask_is_found_and_the_eyes_stay(portrait, completer, colour, larger):
    image = align.cut(to_tensor(portrait), completer.find(portrait)[0], 256)
    shown, worn = dressed(image, completer, colour, larger)
    found = worn_mask(shown, completer.predict) > 0.5
    assert (worn & ~found).sum() < 0.01 * worn.sum()
    assert (found & ~worn).sum() < 0.75 * worn.sum()
    eyes = completer.locate(image)[0, 36:48].round().long()
    assert not found[0, 0, eyes[:, 1], eyes[:, 0]].any()


def test_a_worn_mask_is_taken_off_a_photo_without_a_verdict(portrait, completer):
    crop = completer.find(portrait)[0]
    shown, worn = dressed(align.cut(to_tensor(portrait), crop, 256), completer, "crimson", 1.0)
    photo = to_image(align.paste(to_tensor(portrait), shown, align.mask_to_photo(worn.float(), crop, (256, 256)), crop))
    result = completer(photo, "worn-mask")
    assert result.faces[0].distance is None and result.notes == [NO_VERDICT]
    red, green, _ = np.asarray(result.photo).astype(int).transpose(2, 0, 1)
    before = np.asarray(photo).astype(int)
    assert ((before[..., 0] - before[..., 1]) > 150).sum() > 3000 > 30 > ((red - green) > 150).sum()


def test_nobody_wears_a_mask(portrait, completer):
    with pytest.raises(InputError, match="nobody in the photo wears"):
        completer(portrait, "worn-mask")
