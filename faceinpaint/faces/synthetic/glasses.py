"""Glasses: rims, bridge and temples as tubes, fitted to the face of whoever wears them.

The rims lie in a sheet before the face that bends back to the sides and leans with its upper edge forward. Lenses
are left out: a surface here is either there or not.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from faceinpaint.faces.synthetic.ears import PLACE, side_of_head
from faceinpaint.faces.synthetic.maths import mix, step, unit
from faceinpaint.faces.synthetic.relief import EYEBALL, relief
from faceinpaint.faces.synthetic.surface import Surface, label_map

WRAP = 0.014  # cm back for each square cm off the midline
TILT = 0.12  # cm forward for each cm up
CLEAR = 0.12  # cm between a frame and the face


def glasses(person, pose, points: int) -> list[Surface]:
    """The frame in head space as one grid of tubes; nothing where nobody of the batch wears any.

    points: the picture's width in pixels. Those without glasses get a frame with `keep` below 0 everywhere.
    """
    if not bool((pose.glasses > 0).any()):
        return []
    frame, count = Frame(person, pose, max(7, points // 28)), max(24, points // 4)
    tubes = [frame.bridge(max(10, points // 16))]
    for side in (-1.0, 1.0):
        tubes += [frame.rim(side, count), frame.temple(side, count)]
    # Side by side as one surface; the columns where one tube ends and the next begins are not there.
    position, normal = (
        torch.cat([F.pad(part, (1, 1, 0, 0), mode="replicate") for part in parts], 3) for parts in zip(*tubes))
    there = torch.cat([F.pad(torch.ones_like(part[:, :1]), (1, 1), value=-1.0) for part, _ in tubes], 3)
    keep = torch.minimum(there, 2 * pose.glasses[:, None] - 1)
    metal = frame.metal[..., None, None]
    silver = pose.rim_colour * 1.5 + 0.06 + 0.10 * (pose.rim_colour > 0.05)
    albedo = mix(pose.rim_colour, silver, metal).expand_as(position)
    gloss = (2.0 + 3.0 * metal).expand_as(keep)
    return [Surface(
        position, albedo, label_map("glasses", position), keep, torch.ones_like(keep), gloss, sharpness=90.0,
        normal=normal)]


class Frame:
    """The measures of a batch of frames on their faces; numbers are (B, 1), cm."""

    def __init__(self, person, pose, around: int) -> None:
        self.person, self.around = person, around  # points round a tube
        self.half_width, self.half_height, self.thick = (
            v[:, :, 0] for v in (pose.rim_width, pose.rim_height, pose.rim_thick))
        self.power = 2.1 + 3.4 * (1 - pose.rim_round[:, :, 0])  # of the superellipse: round ... square
        self.metal = step(0.13, 0.10, self.thick)
        self.centre_x = torch.maximum(person.eyes.apart[:, :, 0] + 0.05, self.half_width + 0.78 + self.thick)
        self.centre_y = -0.30 - 0.15 * (self.half_height - 1.6)
        self.width = self.half_width * (7.3 / (self.centre_x + self.half_width)).clamp(max=1)
        self.bridge_y = self.centre_y + 0.42 * self.half_height
        self._fit(pose)

    def _fit(self, pose) -> None:
        """How far forward the sheet of the rims and the bridge have to lie so as to touch nothing."""
        face = relief(self.person, pose, 56, 64)
        x, y, z = face.position.flatten(2).unbind(1)
        across = (x.abs() - self.centre_x) / (self.width + self.thick)
        up = (y - self.centre_y) / (self.half_height + self.thick)
        reach = (across.abs() ** self.power + up.abs() ** self.power) ** (1 / self.power)

        def foremost(where: Tensor, depth: Tensor) -> Tensor:
            return torch.where(where & (z > 2.0), depth, -50.0).amax(1, keepdim=True)

        needed = foremost((reach - 1).abs() < 0.22, z - self._bend(x, y))
        eyes = self.person.eyes.depth[:, :, 0] + EYEBALL + 0.85
        self.depth = torch.maximum(needed + CLEAR + 0.5 * self.thick, eyes)
        nose = foremost((x.abs() < 0.5) & ((y - self.bridge_y - 0.1).abs() < 0.35 + self.thick), z)
        self.bridge_z = torch.maximum(nose + CLEAR + self.thick, self._sheet(torch.zeros_like(nose), self.bridge_y))

    def _bend(self, x: Tensor, y: Tensor) -> Tensor:
        return TILT * (y - self.centre_y) - WRAP * x * x

    def _sheet(self, x: Tensor, y: Tensor) -> Tensor:
        """z of the sheet of the rims at x, y (B, N)."""
        return self.depth + self._bend(x, y)

    def rim(self, side: float, count: int) -> tuple[Tensor, Tensor]:
        """One rim, a closed tube."""
        angle = torch.linspace(0, 2 * torch.pi, count, device=self.thick.device)[None]
        cos, sin, p = angle.cos(), angle.sin(), self.power
        radius = ((cos.abs() / self.width) ** p + (sin.abs() / self.half_height) ** p) ** (-1 / p)
        x, y = side * (self.centre_x + radius * cos), self.centre_y + radius * sin
        # Plastic rims are heavier above than below.
        heavy = self.thick * (1 + 0.35 * (1 - self.metal) * sin)
        return tube(torch.stack([x, y, self._sheet(x, y)], 1), heavy, 0.07 + 0.45 * self.thick, self.around)

    def bridge(self, count: int) -> tuple[Tensor, Tensor]:
        """From rim to rim over the nose."""
        t = torch.linspace(-1, 1, count, device=self.thick.device)[None]
        x, y = (self.centre_x - 0.96 * self.width) * t, self.bridge_y + 0.18 * (1 - t * t)
        z = mix(self.bridge_z.expand_as(x), self._sheet(x, y), t.abs() ** 2.5)
        size = self.thick * (0.95 - 0.25 * (1 - t * t) * self.metal)
        return tube(torch.stack([x, y, z], 1), size, 0.06 + 0.4 * size, self.around)

    def temple(self, side: float, count: int) -> tuple[Tensor, Tensor]:
        """From the rim's outer end back over the ear."""
        ears, length = self.person.ears, self.person.head.face_length
        hinge_y, outer = self.centre_y + 0.48 * self.half_height, self.centre_x + self.width * 0.97
        hinge_z = self._sheet(outer, hinge_y)
        ear_y = (PLACE[0] * length + ears.height + 2.25 * ears.size)[:, :, 0]
        ear_x = side_of_head(self.person.head, ear_y) + 0.12
        ear_z = torch.full_like(ear_x, PLACE[1] - 0.9)
        corner = torch.maximum(outer + 0.25 + self.thick, ear_x * 0.90)
        corners = [
            (outer, hinge_y, hinge_z), (corner, hinge_y, hinge_z - 0.4),
            (0.45 * corner + 0.55 * ear_x + 0.30, 0.6 * hinge_y + 0.4 * ear_y, 0.5 * hinge_z + 0.5 * ear_z),
            (ear_x, ear_y, ear_z), (ear_x - 0.3, ear_y - 2.0, ear_z - 1.5)]
        path = torch.stack([torch.stack([side * x, y, z], 1) for x, y, z in corners], 3)[:, :, 0]
        line = F.interpolate(path, size=count, mode="linear", align_corners=True)
        return tube(line, 0.06 + 0.75 * self.thick, 0.04 + 0.35 * self.thick, self.around, upright=True)


def tube(line: Tensor, high: Tensor, deep: Tensor, around: int, upright: bool = False) -> tuple[Tensor, Tensor]:
    """A tube round a line (B, 3, N): positions and normals (B, 3, M, N) with M points round it.

    high: half its thickness (B, N) or (B, 1) in the sheet of the rims (`upright`: along y), deep: half across that.
    """
    steps = line[:, :, 1:] - line[:, :, :-1]
    along = unit(F.pad(steps, (1, 0), mode="replicate") + F.pad(steps, (0, 1), mode="replicate"))
    base = torch.tensor([0.0, 1.0, 0.0] if upright else [0.0, 0.0, 1.0], device=line.device)
    other = unit(torch.linalg.cross(base.view(1, 3, 1).expand_as(line), along, dim=1))  # across the line and the base
    base = torch.linalg.cross(along, other, dim=1)
    first, second = (base, other) if upright else (other, base)
    angle = torch.linspace(0, 2 * torch.pi, around, device=line.device).view(1, 1, -1, 1)
    cos, sin = angle.cos(), angle.sin()
    radius = (cos**4 + sin**4) ** -0.25  # a rounded box rather than a circle: the flat sides catch the light
    a, b = high[:, None, None], deep[:, None, None]
    position = line[:, :, None] + radius * (a * cos * first[:, :, None] + b * sin * second[:, :, None])
    normal = unit(cos**3 * first[:, :, None] / a + sin**3 * second[:, :, None] / b)
    return position, normal
