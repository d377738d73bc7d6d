"""Exercise of chapter 00: equation 1."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from faceinpaint.exercises.exercise import near, require, require_tensor

# ------------------------------------------------------------------------------------------------ 00.1


def put_together(painted: Tensor, image: Tensor, mask: Tensor) -> Tensor:
    """Painted pixels where the mask is 1, those of the image elsewhere: (B, 3, H, W)."""
    return torch.where(mask > 0, painted, image)


def _test_put_together(answer: Callable) -> None:
    generator = torch.Generator().manual_seed(0)
    painted, image = torch.rand(2, 2, 3, 8, 8, generator=generator)
    mask = torch.zeros(2, 1, 8, 8)
    mask[0, :, :4], mask[1, :, :, 5:] = 1, 1
    found = answer(painted.clone(), image.clone(), mask.clone())
    require_tensor(found, (2, 3, 8, 8), "a batch of two pictures")
    right = put_together(painted, image, mask)
    require(not near(found, painted), "this is the painted picture, everywhere; the known pixels should come back.")
    require(not near(found, image), "this is the image as it was; the hole should be painted.")
    require(not near(found, put_together(image, painted, mask)), "the other way round: 1 is unknown.")
    require(not near(found, painted + image), "the two pictures are added; at each pixel only one of them counts.")
    hidden = mask.expand_as(right) > 0
    require((found == image)[~hidden].all(), "some known pixels are not what they were, bit for bit.")
    require(near(found, right), "some pixels of the hole are not the painted ones.")
    broken = torch.where(hidden, painted, torch.nan)  # a painter that fails where nobody asked it
    found = answer(broken, image.clone(), mask.clone())
    require(found.isfinite().all(), "a painted pixel that is no number gets through where the mask is 0: "
            "zero times not-a-number is not a number. Choose, do not multiply.")


EXERCISES = {
    "00.1": (
        ("At each pixel, one of two pictures counts; the mask says which. It has one channel and the pictures have "
         "three: PyTorch stretches it by itself.",
         "<code>torch.where(condition, a, b)</code> takes <code>a</code> where the condition holds and <code>b</code> "
         "elsewhere; <code>mask &gt; 0</code> is a condition."),
        put_together, _test_put_together,
    ),
}
