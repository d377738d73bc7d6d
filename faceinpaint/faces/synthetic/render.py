"""`render`: people and photographs in, pictures with their truth out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from faceinpaint.faces.batch import Faces
from faceinpaint.faces.synthetic import background, body, camera, ears, glasses, light, openings, raster
from faceinpaint.faces.synthetic.beard import beard
from faceinpaint.faces.synthetic.landmarks import landmark_places
from faceinpaint.faces.synthetic.maths import dot, unit
from faceinpaint.faces.synthetic.people import Identity, Pose
from faceinpaint.faces.synthetic.relief import relief
from faceinpaint.faces.synthetic.scalp_hair import scalp_hair
from faceinpaint.faces.synthetic.skin import skin_surface
from faceinpaint.faces.synthetic.surface import LABELS, Surface

SAMPLES_AT_ONCE = 3 * 512**2  # on a CPU: three photographs of 256 px at once, supersampled twice
FINER = 2  # surfaces are shaded at about the pixels' distance, and diced that much finer to be drawn


@dataclass(frozen=True)
class RenderedFaces(Faces):
    """Rendered faces and what is known about them.

    segmentation: (B, H, W) uint8, indices into LABELS. visible: (B, 68) bool, False for landmarks that the head
    itself hides. angles: (B, 3) yaw, pitch, roll in degrees.
    """

    segmentation: Tensor | None = None
    visible: Tensor | None = None
    angles: Tensor | None = None


@torch.no_grad()
def render(identity: Identity, pose: Pose, size: int, supersample: int = 2) -> RenderedFaces:
    """Photographs of people, `size` pixels square, on the parameters' device.

    With k times as many poses as people, person i is on photographs i k ... i k + k - 1. On a CPU a large batch is
    drawn in parts, which bounds the memory and is faster. Raises ValueError where the poses can't be shared out.
    """
    photos, rest = divmod(len(pose), len(identity))
    if rest:
        raise ValueError(f"{len(pose)} photographs can't be shared out among {len(identity)} people")
    index = torch.arange(len(identity), device=identity.device).repeat_interleave(photos)
    fine = size * supersample
    part = len(pose) if index.is_cuda else max(1, SAMPLES_AT_ONCE // fine**2)
    parts = []
    for some in torch.arange(len(pose), device=index.device).split(part):
        people, photo_of = index[some].unique(return_inverse=True)
        parts.append(_render(identity.select(people), photo_of, pose.select(some), size, supersample))
    return replace(RenderedFaces.cat(parts), identity=index)


def _render(identity: Identity, index: Tensor, pose: Pose, size: int, supersample: int) -> RenderedFaces:
    """Photographs of the people at `index` (B,), all at once."""
    person = identity.select(index)
    fine = size * supersample
    rows, columns = round(0.70 * fine), round(0.90 * fine)
    face = relief(person, pose, rows, columns)
    head = [skin_surface(person, pose, face)]
    for side in (-1, 1):
        head.append(openings.eyeball(person, pose, side, max(16, fine // 5)))
    head.append(openings.mouth(person, pose, max(16, fine // 6)))
    head += ears.ears(person, max(16, fine // 4)) + glasses.glasses(person, pose, fine)
    head += [scalp_hair(identity, fine).select(index), *beard(person, face, fine)]
    turn = camera.rotation(pose.yaw, pose.pitch, pose.roll)
    pivot = torch.tensor(camera.PIVOT, device=turn.device)
    surfaces = [surface.turned(turn, pivot) for surface in head]
    surfaces += body.body(person, pose, turn, fine)

    backdrop = background.backgrounds(pose.seed, fine)
    sky, ground = background.surroundings(backdrop)
    eye = camera.place(turn, pose)
    lights = light.make_lights(pose, surfaces, sky, ground, eye, size)
    points = [_points(surface, lights, pose, eye, fine) for surface in surfaces]
    colour, depth, label = raster.splat(points, len(pose), fine)
    there = (depth < raster.FAR).float()
    picture = light.develop(torch.where(there > 0, colour, backdrop), _exposure(person, pose))
    picture = _lens(F.avg_pool2d(picture, supersample), pose, size)
    marks, visible = _seen_landmarks(landmark_places(person, pose, face), surfaces[0], pose, eye, size)
    degrees = torch.rad2deg(torch.cat([pose.yaw, pose.pitch, pose.roll], 1)[..., 0])
    return RenderedFaces(
        picture, marks, index, None, _majority(label * there, supersample), visible, degrees)


def _points(surface: Surface, lights: light.Lights, pose: Pose, eye: Tensor, size: int) -> raster.Points:
    """The points of a surface that fall into the picture, shaded; those that face away are left out."""
    factor = 1 if surface.strands else FINER
    x, y, depth = camera.project(raster.dice(surface.position, factor), pose, eye, size)
    there = torch.ones_like(x, dtype=torch.bool)
    if surface.keep is not None:
        there &= raster.dice(surface.keep, factor)[:, 0] > 0
    if not surface.strands:
        away = dot(surface.normal, eye - surface.position)
        there &= raster.dice(away, factor)[:, 0] > -0.5
    index, pixel = raster.pixels_of(x, y, there, size)
    colour = raster.dice(light.shade(surface, lights), factor).permute(0, 2, 3, 1).reshape(-1, 3)
    label = raster.dice(surface.label, factor, smooth=False).flatten()
    return raster.Points(pixel, *(values.index_select(0, index) for values in (depth.flatten(), colour, label)))


def _exposure(person: Identity, pose: Pose) -> Tensor:
    """What a camera's meter would choose, (B, 1, 1, 1): dark skin gets a little more light."""
    skin = person.skin.colour.mean(1, keepdim=True)
    return pose.exposure[:, None] * 0.58 * (skin / 0.30) ** -0.40


def _majority(label: Tensor, supersample: int) -> Tensor:
    """The label that most samples of a pixel have, (B, S, S) uint8."""
    votes = [F.avg_pool2d((label == name).float(), supersample) for name in range(len(LABELS))]
    return torch.cat(votes, 1).argmax(1).to(torch.uint8)


def _lens(picture: Tensor, pose: Pose, size: int) -> Tensor:
    """Blur of the lens and grain of the sensor."""
    soft = F.avg_pool2d(F.pad(picture, (1, 1, 1, 1), mode="replicate"), 3, 1)
    amount = (pose.blur[:, None] * size / 128 * 0.7).clamp(0, 0.8)
    picture = picture + (soft - picture) * amount
    grain = torch.stack([
        torch.randn(picture.shape[1:], generator=torch.Generator().manual_seed(int(seed)))
        for seed in pose.seed.flatten()
    ]).to(picture.device)
    return (picture + pose.grain[:, None] * grain).clamp(0, 1)


def _seen_landmarks(place: Tensor, skin: Surface, pose: Pose, eye: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Landmarks in pixels (B, 68, 2), and which of them the head itself does not hide (B, 68)."""
    point = F.grid_sample(skin.position, place, align_corners=True)  # (B, 3, 1, 68)
    normal = F.grid_sample(skin.normal, place, align_corners=True)
    x, y, depth = camera.project(point, pose, eye, size)
    column, row, far = camera.project(skin.position, pose, eye, size)
    chosen, pixel = raster.pixels_of(column, row, torch.ones_like(column, dtype=torch.bool), size)
    buffer = raster.nearest(pixel, far.flatten().index_select(0, chosen), len(pose) * size * size)
    buffer = buffer.view(-1, 1, size, size)
    # The farthest skin of nine pixels: on a contour a landmark may not be hidden by its own neighbourhood.
    buffer = F.max_pool2d(torch.where(buffer < raster.FAR, buffer, 0.0), 3, 1, 1)
    grid = torch.stack([(2 * x + 1) / size - 1, (2 * y + 1) / size - 1], -1)
    before = F.grid_sample(buffer, grid, mode="nearest", padding_mode="border", align_corners=False)[:, 0]
    # On the contour the skin falls away steeply, so the jaw's landmarks may lie deeper than their pixels.
    slack = torch.full((68,), 0.9, device=depth.device)
    slack[:17] = 2.5
    facing = dot(unit(normal), unit(eye - point))[:, 0] > -0.2
    return torch.stack([x, y], -1)[:, 0], (facing & (depth <= before + slack))[:, 0]
