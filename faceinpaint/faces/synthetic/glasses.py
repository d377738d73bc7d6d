"""Glasses: rims, bridge, temples and nose pads as tubes, fitted to the face of whoever wears them.

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
    wearers = (pose.glasses[:, 0, 0] > 0).nonzero()[:, 0]
    everyone = len(pose)
    if len(wearers) == 0:
        return []
    person, pose = person.select(wearers), pose.select(wearers)
    frame = _Frame(person, pose, max(7, points // 28))
    count = max(24, points // 4)
    tubes = []
    for side in (-1.0, 1.0):
        tubes.append(frame.rim(side, count))
        tubes.append(frame.temple(side, count))
        tubes.append(frame.pad(side, max(6, points // 40)))
        tubes.append(frame.pad_arm(side, max(6, points // 40)))
    tubes.append(frame.bridge(max(10, points // 16)))
    return [_joined(pose, tubes, wearers, everyone)]


class _Frame:
    """The measures of a batch of frames on their faces; numbers are (B, 1), cm."""

    def __init__(self, person, pose, around: int) -> None:
        self.around = around  # points round a tube
        self.half_width, self.half_height, self.thick = (
            v[:, :, 0] for v in (pose.rim_width, pose.rim_height, pose.rim_thick))
        self.power = 2.1 + 3.4 * (1 - pose.rim_round[:, :, 0])  # of the superellipse: round ... square
        self.metal = step(0.13, 0.10, self.thick)
        self.centre_x = torch.maximum(person.eyes.apart[:, :, 0] + 0.05, self.half_width + 0.78 + self.thick)
        self.centre_y = torch.full_like(self.thick, -0.30) - 0.15 * (self.half_height - 1.6)
        self.width = self.half_width * (7.3 / (self.centre_x + self.half_width)).clamp(max=1)
        self.bridge_y = self.centre_y + 0.42 * self.half_height
        self.person = person
        self._fit(person, pose)

    def _fit(self, person, pose) -> None:
        """How far forward the sheet of the rims and the bridge have to lie so as to touch nothing."""
        face = relief(person, pose, 56, 64)
        x, y, z = face.position.flatten(2).unbind(1)
        seen = z > 2.0
        across = (x.abs() - self.centre_x) / (self.width + self.thick)
        up = (y - self.centre_y) / (self.half_height + self.thick)
        reach = (across.abs() ** self.power + up.abs() ** self.power) ** (1 / self.power)
        under_rim = seen & ((reach - 1).abs() < 0.22)
        needed = torch.where(under_rim, z - self._bend(x, y), torch.full_like(z, -50.0)).amax(1, keepdim=True)
        eyes = person.eyes.depth[:, :, 0] + EYEBALL + 0.85
        self.depth = torch.maximum(needed + CLEAR + 0.5 * self.thick, eyes)
        on_bridge = seen & (x.abs() < 0.5) & ((y - self.bridge_y - 0.1).abs() < 0.35 + self.thick)
        nose = torch.where(on_bridge, z, torch.full_like(z, -50.0)).amax(1, keepdim=True)
        self.bridge_z = torch.maximum(nose + CLEAR + self.thick, self._sheet(torch.zeros_like(nose), self.bridge_y))
        beside = seen & ((x.abs() - 0.85).abs() < 0.3) & ((y - self.centre_y + 0.3).abs() < 0.4)
        self.flank_z = torch.where(beside, z, torch.full_like(z, -50.0)).amax(1, keepdim=True)

    def _bend(self, x: Tensor, y: Tensor) -> Tensor:
        return TILT * (y - self.centre_y) - WRAP * x * x

    def _sheet(self, x: Tensor, y: Tensor) -> Tensor:
        """z of the sheet of the rims at x, y (B, N)."""
        return self.depth + self._bend(x, y)

    def _outline(self, angle: Tensor) -> tuple[Tensor, Tensor]:
        """A rim's middle line at angles (1, N) from its outer end upwards: cm from its centre, outwards and up."""
        cos, sin = angle.cos(), angle.sin()
        p = self.power
        radius = ((cos.abs() / self.width) ** p + (sin.abs() / self.half_height) ** p) ** (-1 / p)
        out, up = radius * cos, radius * sin
        return out * (1 + 0.05 * up / self.half_height), up * (1 + 0.04 * out / self.width)

    def rim(self, side: float, count: int):
        """One rim, a closed tube."""
        angle = torch.linspace(0, 2 * torch.pi, count, device=self.thick.device)[None]
        out, up = self._outline(angle)
        x, y = side * (self.centre_x + out), self.centre_y + up
        line = torch.stack([x, y, self._sheet(x, y)], 1)
        # Plastic rims are heavier above than below.
        heavy = self.thick * (1 + 0.35 * (1 - self.metal) * angle.sin())
        return _tube(line, heavy, 0.07 + 0.45 * self.thick.expand_as(heavy), self.around)

    def bridge(self, count: int):
        """From rim to rim over the nose."""
        t = torch.linspace(-1, 1, count, device=self.thick.device)[None]
        inner = self.centre_x - 0.96 * self.width
        x = inner * t
        y = self.bridge_y + 0.18 * (1 - t * t)
        z = mix(self.bridge_z.expand_as(x), self._sheet(x, y), t.abs() ** 2.5)
        size = self.thick * (0.95 - 0.25 * (1 - t * t) * self.metal)
        return _tube(torch.stack([x, y, z], 1), size, 0.06 + 0.4 * size, self.around)

    def temple(self, side: float, count: int):
        """From the rim's outer end back over the ear and down behind it."""
        person = self.person
        hinge_y = self.centre_y + 0.48 * self.half_height
        outer = self.centre_x + self.width * 0.97
        hinge_z = self._sheet(outer, hinge_y)
        ear_y = (PLACE[0] * person.head.face_length + person.ears.height + 2.25 * person.ears.size)[:, :, 0]
        ear_x = side_of_head(person.head, ear_y) + 0.06
        ear_z = torch.full_like(ear_x, PLACE[1] - 0.9)
        corner = torch.maximum(outer + 0.25 + self.thick, ear_x * 0.90)
        corners = [
            (outer, hinge_y, hinge_z), (corner - 0.12, hinge_y, hinge_z - 0.05), (corner, hinge_y, hinge_z - 0.5),
            (0.45 * corner + 0.55 * ear_x + 0.30, 0.6 * hinge_y + 0.4 * ear_y, 0.5 * hinge_z + 0.5 * ear_z),
            (ear_x + 0.12, ear_y, ear_z), (ear_x - 0.05, ear_y - 1.0, ear_z - 1.1),
            (ear_x - 0.3, ear_y - 3.0, ear_z - 1.7)]
        points = torch.stack([torch.stack([side * x, y, z], 1) for x, y, z in corners], 3)[:, :, 0]  # (B, 3, 7)
        line = _rounded(points, count)
        place = torch.linspace(0, 1, count, device=line.device)[None]
        high = mix(0.06 + 0.9 * self.thick, 0.06 + 0.55 * self.thick, place)
        return _tube(line, high, 0.04 + 0.35 * self.thick.expand_as(high), self.around, upright=True)

    def pad(self, side: float, count: int):
        """A pad that rests on the flank of the nose: a short fat tube."""
        t = torch.linspace(-1, 1, count, device=self.thick.device)[None]
        x = side * (0.82 - 0.18 * t + 0 * self.thick)
        y = self.centre_y - 0.25 + 0.42 * t
        z = self.flank_z + 0.10 - 0.08 * t
        size = (1 - t * t).clamp(min=0.02).sqrt() * (0.10 + 0.12 * self.metal)
        line = torch.stack([x, y, torch.minimum(z, self._sheet(x, y))], 1)
        return _tube(line, size, 0.5 * size, self.around)

    def pad_arm(self, side: float, count: int):
        """The wire, or the plastic, between rim and pad."""
        t = torch.linspace(0, 1, count, device=self.thick.device)[None]
        inner = self.centre_x - self.width
        x = side * mix(inner.expand(-1, count), torch.full_like(inner, 0.86).expand(-1, count), t)
        y = self.centre_y - 0.05 - 0.2 * t + 0 * inner
        sheet = self._sheet(x, y)
        z = mix(sheet, torch.minimum(sheet, self.flank_z + 0.12), t)
        size = mix(0.09 + 0.9 * self.thick, torch.full_like(self.thick, 0.05), self.metal).expand_as(x)
        return _tube(torch.stack([x, y, z], 1), size, size, self.around)


def _rounded(corners: Tensor, count: int) -> Tensor:
    """`count` points at even distances along a path of corners (B, 3, K), its bends rounded: (B, 3, count)."""
    length = F.pad((corners[:, :, 1:] - corners[:, :, :-1]).norm(dim=1).cumsum(1), (1, 0))  # (B, K)
    wanted = torch.linspace(0, 1, 2 * count, device=corners.device) * length[:, -1:]
    i = torch.searchsorted(length, wanted.contiguous(), right=True).clamp(1, corners.shape[2] - 1)
    before, after = length.gather(1, i - 1), length.gather(1, i)
    share = ((wanted - before) / (after - before).clamp(min=1e-4)).clamp(0, 1)[:, None]
    place = i[:, None].expand(-1, 3, -1)
    line = mix(corners.gather(2, place - 1), corners.gather(2, place), share)
    reach = max(1, count // 14)
    smooth = F.avg_pool1d(F.pad(line, (reach, reach), mode="replicate"), 2 * reach + 1, 1)
    return F.interpolate(smooth, size=count, mode="linear", align_corners=True)


def _tube(line: Tensor, high: Tensor, deep: Tensor, around: int, upright: bool = False) -> tuple[Tensor, Tensor]:
    """A tube round a line (B, 3, N): positions and normals (B, 3, M, N) with M points round it.

    high: half its thickness (B, N) in the sheet of the rims (`upright`: along y), deep: half of it across that.
    """
    steps = line[:, :, 1:] - line[:, :, :-1]
    along = unit(F.pad(steps, (1, 0), mode="replicate") + F.pad(steps, (0, 1), mode="replicate"))
    base = torch.tensor([0.0, 1.0, 0.0] if upright else [0.0, 0.0, 1.0], device=line.device)
    base = base.view(1, 3, 1).expand_as(line)
    other = unit(torch.linalg.cross(base, along, dim=1))  # across the line and the base
    base = torch.linalg.cross(along, other, dim=1)
    first, second = (base, other) if upright else (other, base)
    angle = torch.linspace(0, 2 * torch.pi, around, device=line.device).view(1, 1, -1, 1)
    cos, sin = angle.cos(), angle.sin()
    # A rounded box rather than a circle: the flat sides catch the light.
    radius = (cos**4 + sin**4) ** -0.25
    a, b = high[:, None, None], deep[:, None, None]
    position = line[:, :, None] + radius * (a * cos * first[:, :, None] + b * sin * second[:, :, None])
    normal = unit(cos**3 * first[:, :, None] / a + sin**3 * second[:, :, None] / b)
    return position, normal


def _joined(pose, tubes: list[tuple[Tensor, Tensor]], wearers: Tensor, everyone: int) -> Surface:
    """All tubes side by side as one surface; the columns where one ends and the next begins are not there."""
    position = torch.cat([F.pad(position, (1, 1, 0, 0), mode="replicate") for position, _ in tubes], 3)
    normal = torch.cat([F.pad(normal, (1, 1, 0, 0), mode="replicate") for _, normal in tubes], 3)
    keep = torch.cat([F.pad(torch.ones_like(position[:, :1]), (1, 1), value=-1.0) for position, _ in tubes], 3)
    metal = step(0.13, 0.10, pose.rim_thick)[:, None]
    silver = pose.rim_colour * 1.5 + 0.06 + 0.10 * (pose.rim_colour > 0.05)
    albedo = mix(pose.rim_colour, silver, metal).expand_as(position)
    gloss = (2.0 + 3.0 * metal).expand_as(keep)

    def among_all(worn: Tensor, otherwise: float) -> Tensor:
        """The wearers' values in their places of the whole batch."""
        values = torch.full((everyone, *worn.shape[1:]), otherwise, device=worn.device)
        return values.index_copy_(0, wearers, worn.contiguous())

    position = among_all(position, 0.0)
    return Surface(
        position, among_all(albedo, 0.0), label_map("glasses", position), among_all(keep, -1.0), None,
        among_all(gloss, 0.0), sharpness=90.0, normal=among_all(normal, 1.0))
