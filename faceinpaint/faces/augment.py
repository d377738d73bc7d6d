"""Augmentation, new photographs from few: other framing, light, colour, and slightly other heads and expressions.

A few dozen people are all that a small data set has. Each of them is photographed anew at every step:
the head turns a little, the face changes its proportions, light falls from elsewhere. All warps act on
image and landmarks alike, so the truth stays the truth.
"""

from __future__ import annotations

import cv2
import torch
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from faceinpaint.faces.batch import Faces
from faceinpaint.landmarks import mirror_landmarks
from faceinpaint.prior.warps import ThinPlateSpline, dense_map, sample

# Depth of the landmarks towards the camera, in face widths: enough for a small turn of the head.
_NOSE_DEPTH = {27: 0.08, 28: 0.13, 29: 0.18, 30: 0.22, 31: 0.08, 32: 0.11, 33: 0.12, 34: 0.11, 35: 0.08}


def augment(faces: Faces, size: int, generator: torch.Generator, same_person: bool = False) -> Faces:
    """Photograph `faces` anew at `size` pixels: flip, frame, turn, change expression and proportions, relight, degrade.

    With `same_person` the proportions of the face stay, since they are part of who it is.

    The images should show more than the aligned crop, since framing shifts by up to 8 %; their centre is kept.
    Landmarks must be known. Random numbers come from `generator` alone. Images are (B, 3, H, H) in [0, 1].
    """
    image, landmarks = _flip(faces.image, faces.landmarks, generator)
    image, landmarks = _reshape_and_frame(image, landmarks, size, generator, same_person)
    return Faces(_degrade(_relight(image, generator), generator), landmarks, faces.identity, faces.name)


def _normal(shape: tuple[int, ...], sigma: float, generator: torch.Generator) -> Tensor:
    return (torch.randn(shape, generator=generator) * sigma).clamp(-2.5 * sigma, 2.5 * sigma)


def _flip(image: Tensor, landmarks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    flip = torch.rand(len(image), generator=generator) < 0.5
    image = torch.where(flip[:, None, None, None], image.flip(-1), image)
    mirrored = mirror_landmarks(landmarks, image.shape[-1])
    return image, torch.where(flip[:, None, None], mirrored, landmarks)


def _reshape_and_frame(
    image: Tensor, landmarks: Tensor, size: int, generator: torch.Generator, same_person: bool
) -> tuple[Tensor, Tensor]:
    """One resampling for everything geometric: head and expression by landmarks, then the camera."""
    batch, pixels = len(image), image.shape[-1]
    reshaped = _new_head(landmarks, generator, same_person)
    anchors = _border(pixels).expand(batch, -1, -1)
    unit = float(pixels)
    spline = ThinPlateSpline.fit(
        torch.cat([reshaped, anchors], 1) / unit, torch.cat([landmarks, anchors], 1) / unit, stiffness=1e-4
    )

    # Camera: rotation, zoom and shift about the centre of the picture.
    angle = _normal((batch,), 0.07, generator)
    zoom = 1 + _normal((batch, 1, 1), 0.05, generator)
    shift = _normal((batch, 1, 2), 0.025 * size, generator) + (size - 1) / 2
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], -1).reshape(-1, 2, 2)
    centre = (pixels - 1) / 2

    def to_photograph(points: Tensor) -> Tensor:
        return spline((((points - shift) / zoom) @ turn + centre) / unit) * unit

    image = sample(image, dense_map(to_photograph, size, image), padding="reflection")
    return image, (reshaped - centre) @ turn.mT * zoom + shift


def _border(pixels: int) -> Tensor:
    """Sixteen points around the picture that stay where they are, (1, 16, 2)."""
    side = torch.linspace(0, pixels - 1, 5)[:4]
    zero, full = torch.zeros(4), torch.full((4,), float(pixels - 1))
    corners = [(side, zero), (full, side), (pixels - 1 - side, full), (zero, pixels - 1 - side)]
    return torch.cat([torch.stack(edge, dim=-1) for edge in corners])[None]


def _new_head(landmarks: Tensor, generator: torch.Generator, same_person: bool) -> Tensor:
    """Turn the head a little, change expression and, unless it must stay the same person, proportions.

    landmarks (B, 68, 2) pixels in and out.
    """
    batch = len(landmarks)
    centre = landmarks[:, 27:31].mean(1, keepdim=True)
    width = (landmarks[:, 16] - landmarks[:, 0]).norm(dim=-1)[:, None]
    x, y = ((landmarks - centre) / width[..., None]).unbind(-1)  # in face widths

    def vary(sigma: float) -> Tensor:
        return _normal((batch, 1), sigma, generator)

    def stretch(values: Tensor, indices: slice, sigma: float) -> None:
        middle = values[:, indices].mean(1, keepdim=True)
        values[:, indices] = middle + (values[:, indices] - middle) * (1 + vary(sigma))

    depth = -1.2 * x.square()
    for index, height in _NOSE_DEPTH.items():
        depth[:, index] += height
    yaw, pitch = vary(0.17), vary(0.1)  # radians
    x, y = x * yaw.cos() + depth * yaw.sin(), y * pitch.cos() + depth * pitch.sin()

    mouth, eyes = slice(48, 68), (slice(36, 42), slice(42, 48))
    y[:, 17:27] += vary(0.015)  # brows up or down
    openness = 1 + vary(0.12)  # both eyes alike
    for eye in eyes:
        middle = y[:, eye].mean(1, keepdim=True)
        y[:, eye] = middle + (y[:, eye] - middle) * openness
    # A smile lifts what is far from the middle of the mouth; its corners are at about 0.17 face widths.
    offset = x[:, mouth] - x[:, mouth].mean(1, keepdim=True)
    y[:, mouth] -= vary(0.8) * (offset.square() - 0.01)
    stretch(x, mouth, 0.05)

    if not same_person:
        y[:, :17] = y[:, :17] * (1 + vary(0.03))  # length of the jaw
        x[:, 3:14] = x[:, 3:14] * (1 + vary(0.04))  # its width
        stretch(x, slice(31, 36), 0.08)  # width of the nose
        y[:, 29:36] += vary(0.01)  # its length
        stretch(x, mouth, 0.07)
        stretch(y, mouth, 0.12)
        y[:, mouth] += vary(0.012)
    return torch.stack([x, y], dim=-1) * width[..., None] + centre


def _relight(image: Tensor, generator: torch.Generator) -> Tensor:
    """Exposure, contrast, colour, side light and sensor noise; (B, 3, H, W) in [0, 1]."""
    batch, _, height, width = image.shape
    gamma = torch.exp(_normal((batch, 1, 1, 1), 0.18, generator))
    colour = torch.exp(_normal((batch, 3, 1, 1), 0.06, generator))
    grey = image.mean(1, keepdim=True)
    saturation = 1 + _normal((batch, 1, 1, 1), 0.2, generator)
    image = (grey + (image - grey) * saturation).clamp(0, 1)
    x = torch.linspace(-1, 1, width).expand(height, width)
    y = torch.linspace(-1, 1, height)[:, None].expand(height, width)
    slope = _normal((batch, 2, 1, 1), 0.12, generator)
    light = torch.exp(slope[:, :1] * x + slope[:, 1:] * y)
    image = (image.clamp_min(1e-4) ** gamma * colour * light).clamp(0, 1)
    return (image + torch.randn(image.shape, generator=generator) * 0.004).clamp(0, 1)


POOR = 0.12  # of the photographs are out of focus, and as many are strongly compressed


def _degrade(image: Tensor, generator: torch.Generator) -> Tensor:
    """Some photographs out of focus, some strongly compressed; (B, 3, H, W) in [0, 1].

    Most stay as sharp as they are: a generator that often sees blurred skin paints blurred skin.
    """
    chance = torch.rand(len(image), 4, generator=generator)
    blurred, compressed = chance[:, 0] < POOR, chance[:, 1] < POOR
    strength = image.shape[-1] / 256 * (0.5 + chance[:, 2])  # standard deviation in pixels
    quality = (30 + 60 * chance[:, 3]).int()
    degraded = image.clone()
    for index in blurred.nonzero()[:, 0].tolist():
        degraded[index] = gaussian_blur(degraded[index], 9, strength[index].item())
    for index in compressed.nonzero()[:, 0].tolist():
        degraded[index] = _compressed(degraded[index], int(quality[index]))
    return degraded


def _compressed(image: Tensor, quality: int) -> Tensor:
    """A picture (3, H, W) as JPEG keeps it at a quality of up to 100."""
    pixels = (image * 255).round().byte().flip(0).permute(1, 2, 0).contiguous().numpy()  # blue comes first
    _, file = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return torch.from_numpy(cv2.imdecode(file, cv2.IMREAD_COLOR)).permute(2, 0, 1).flip(0).float() / 255
