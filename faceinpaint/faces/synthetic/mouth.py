"""Inside the mouth: teeth, tongue and the dark behind them, seen through the opening between the lips."""

from __future__ import annotations

import torch
from torch import Tensor

from faceinpaint.faces.synthetic.head import JAW_DROP, MOUTH, mouth_half_width
from faceinpaint.faces.synthetic.maths import bump, mix, step, vector
from faceinpaint.faces.synthetic.surface import Surface, label_map

TOOTH = (0.84, 0.66, 0.78, 0.70, 0.66, 0.9)  # cm, widths of the upper teeth from the middle outwards


def inside(person, pose, points: int) -> Surface:
    """Teeth, tongue and dark as one grid behind the lips."""
    device = person.device
    x = torch.linspace(-3.0, 3.0, points, device=device).view(1, 1, -1).expand(len(person), points, -1)
    y = torch.linspace(1.4, -4.4, points, device=device).view(1, -1, 1).expand(len(person), -1, points)
    drop = pose.mouth_open * JAW_DROP * 0.85
    border, middle = _tooth_borders(x)
    upper_edge = -0.10 + 0.10 * middle**4 + 0.04 * step(0.8, 1.0, x.abs())
    upper = step(-0.03, 0.03, y - upper_edge)
    lower_edge = -0.14 - drop
    lower = step(0.03, -0.03, y - lower_edge) * step(-0.85, -0.75, y - lower_edge)
    teeth = torch.maximum(upper, lower)
    arch = 0.15 * x * x
    z = 7.75 + person.head.muzzle * 0.6 - arch - 0.06 * middle**6 - 1.6 * (1 - teeth)
    position = torch.stack([x, MOUTH * person.head.face_length + person.mouth.height + y, z], 1)
    tongue = step(0.25, -0.3, y - lower_edge - 0.15) * (1 - teeth) * bump(x, 1.6)
    flesh = vector((0.24, 0.075, 0.065), device)
    enamel = vector((0.60, 0.54, 0.45), device) * (1 - 0.15 * person.age[:, None])
    deep = vector((0.030, 0.009, 0.008), device)
    gums = step(0.75, 1.0, y)
    albedo = mix(mix(deep, flesh, 0.7 * tongue[:, None]), mix(enamel, flesh, gums[:, None]), teeth[:, None])
    albedo = albedo * (1 - 0.55 * border * teeth)[:, None]
    # The lips and the cheeks keep light from the corners and from far inside.
    open_ = pose.mouth_open + 0.35 * pose.teeth
    occlusion = (step(2.9, 0.6, x.abs()) * (0.35 + 0.65 * teeth) * (0.35 + 0.65 * open_).clamp(max=1))[:, None]
    half = mouth_half_width(person.mouth, pose.smile, pose.mouth_open)
    # Beyond the lips it would come through cheeks and chin.
    keep = torch.minimum(half - x.abs(), y + 0.6 + JAW_DROP * pose.mouth_open)[:, None]
    return Surface(
        position, albedo * occlusion, label_map("mouth", position), keep, occlusion, 0.8 * teeth[:, None],
        sharpness=60.0)


def _tooth_borders(x: Tensor) -> tuple[Tensor, Tensor]:
    """1 on the lines between teeth; and the place across a tooth, 0 in its middle, 1 at its borders."""
    side, start = x.abs(), 0.0
    border, middle = torch.zeros_like(x), torch.zeros_like(x)
    for width in TOOTH:
        place = (side - start) / width
        on = (place >= 0) & (place < 1)
        middle = torch.where(on, (2 * place - 1).abs(), middle)
        border = torch.maximum(border, bump(side - start, 0.03))
        start += width
    return border, middle
