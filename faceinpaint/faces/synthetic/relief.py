"""The relief of a face on the bare head: sockets, lids, nose, lips, cheeks, folds, wrinkles and pores."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from faceinpaint.faces.synthetic import head as shape
from faceinpaint.faces.synthetic.maths import bump, mix, noise, row_of, smooth_max, smooth_min, step, twins

EYEBALL = 1.55  # cm; larger than life, so that it fills the opening up to its corners
LID = 0.13  # cm, thickness of a lid


@dataclass(frozen=True)
class Relief:
    """The skin of a head as a grid, and where each of its points lies on the face; (B, H, W) each, cm."""

    position: Tensor  # (B, 3, H, W) with expression
    x: Tensor  # on the bare head, before the mouth opens
    y: Tensor
    z: Tensor
    front: Tensor  # 1 on the face, 0 on the sides and the back
    aperture: Tensor  # signed distance to the edge of the eyes' openings, > 0 inside
    along: Tensor  # in the nearer eye, -1 inner corner ... 1 outer
    above: Tensor  # over the line between the corners of that eye
    upper_lid: Tensor  # height of the upper lid's edge over that line
    lower_lid: Tensor
    opening: Tensor  # signed distance to the edge of the open mouth, > 0 inside
    lips: Tensor  # signed distance to the outer edge of the lips, > 0 on lips and opening
    seam: Tensor  # distance to the line between the lips
    across: Tensor  # in the mouth, -1 ... 1 between the corners
    mouth_y: Tensor  # y after the mouth has opened
    lip_top: Tensor  # y of the lips' upper edge
    lip_bottom: Tensor
    nostril: Tensor  # 0 ... 1
    wings: Tensor  # 0 ... 1 on the wings of the nose
    nose: Tensor  # cm that the nose stands out
    smile_fold: Tensor  # 0 ... 1
    fine: Tensor  # noises at three scales, for the skin's colour
    middle: Tensor
    coarse: Tensor

    def places(self, x: Tensor, y: Tensor, heights: Tensor) -> Tensor:
        """Where places x, y (B, N) on the front lie in the grid, for `grid_sample` with aligned corners (B, 1, N, 2).

        heights: (B, H) of the rows, in the sense in which y is meant.
        """
        height, width = self.x.shape[-2:]
        row = row_of(y, heights)
        quarter = width // 4  # x grows with the column only on the front
        batch = torch.arange(len(x), device=x.device)[:, None]
        line = self.x[batch, row.round().long(), quarter : width - quarter].contiguous()  # (B, N, W / 2)
        after = torch.searchsorted(line, x[..., None].contiguous()).clamp(1, line.shape[2] - 1)
        left, right = line.gather(2, after - 1)[..., 0], line.gather(2, after)[..., 0]
        column = quarter + after[..., 0] - 1 + ((x - left) / (right - left).clamp(min=1e-6)).clamp(0, 1)
        return torch.stack([column / (width - 1) * 2 - 1, row / (height - 1) * 2 - 1], -1)[:, None]


def relief(person, pose, rows: int, columns: int) -> Relief:
    """The skin of people with an expression: `person` an Identity, `pose` a Pose of the same length."""
    head, nose, eyes, mouth = person.head, person.nose, person.eyes, person.mouth
    smile, opening, blink, teeth = pose.smile, pose.mouth_open, pose.blink, pose.teeth
    grin, old = smile.clamp(min=0), person.age
    x, y0, z0 = shape.loft(head, rows, columns)
    y0 = y0[:, :, :1]  # the same along a row: what depends on it alone is worked out once a row
    length = head.face_length
    y = y0 / torch.where(y0 < 0, length, torch.ones_like(length))  # heights as on a face of mean length
    side = x.abs()
    front = step(1.0, 4.0, z0)

    u, v = x + person.offset_x * 90, (y + person.offset_y * 90).expand_as(x)
    fine, middle = noise("grain", u / 3.1, v / 3.1), noise("rough", u / 9, v / 9 + z0 / 13)
    coarse = noise("cloudy", u / 30, v / 30 + z0 / 37)

    z = z0 + front * (_skull(head, x, y) + _cheeks(head, grin, old, x, y) + _own_bumps(head, x, y))
    widen = head.jaw_angle * bump(y + 7.0, 1.4) * bump(z0 - 1.2, 2.4)  # the angles of the jaw stand out sideways
    sunk = shape.jaw_sink(y0, opening, length)
    ym = y0 - sunk
    z, nose_out, nostril, wings, spread = _nose(nose, grin, x, y, z, front)

    # ---- lips, drawn where the open mouth has taken them
    top, upper_edge, lower_edge, bottom, across, half = shape.mouth_curves(x, mouth, length, smile, opening, teeth)
    inward = (1 - across.abs()) * half
    gap = torch.minimum(torch.minimum(upper_edge - ym, ym - lower_edge), 0.5 * inward)
    gap = torch.where(front > 0.2, gap, -torch.ones_like(gap))
    lips = torch.minimum(torch.minimum(top - ym, ym - bottom), 0.6 * inward)
    curves = (top, upper_edge, lower_edge, bottom, across)
    z, seam, smile_fold = _mouth(mouth, nose, x, y, ym, z, front, grin, old, curves)
    # ---- lids
    along, above = shape.eye_coordinates(x, y, eyes)
    inside = along.clamp(-1, 1)
    upper_lid, lower_lid = shape.lid_curves(inside, eyes, blink, grin)
    aperture = torch.minimum(torch.minimum(upper_lid - above, above - lower_lid), (1 - along.abs()) * eyes.width * 0.8)
    # In the inner corner the opening may reach past the ball: there the skin stays, as the caruncle.
    aperture = torch.minimum(aperture, 0.96 * EYEBALL - (side - eyes.apart).abs())
    aperture = torch.where(front > 0.2, aperture, -torch.ones_like(aperture))
    z = _lids(eyes, pose, x, y, z, front, along, above, upper_lid, lower_lid)

    z = z + front * _wrinkles(old, pose.brow_raise, grin, eyes, x, y, side, coarse)
    lump = (0.0035 + 0.006 * old) * middle + 0.0010 * fine
    lopsided = head.lopsided * noise("smooth", u / 46 + 0.37, v / 46)
    position = torch.stack([
        x * (1 + widen / 7) + torch.sign(x) * spread + 0.8 * lopsided * front + nose.bend * nose_out / 2.2,
        ym.expand_as(x) + 0.5 * head.lopsided * noise("smooth", u / 40, v / 40 + 0.61) * front,
        z + lump + 0.8 * lopsided * front,
    ], 1)
    return Relief(
        position, x, y.expand_as(x), z0, front, aperture, along, above, upper_lid, lower_lid, gap, lips, seam,
        across, ym.expand_as(x), top, bottom, nostril, wings, nose_out, smile_fold, fine, middle, coarse)


def _skull(head, x: Tensor, y: Tensor) -> Tensor:
    """Brow ridge, sockets, temples, cheekbones and chin, cm towards the camera."""
    ridge = head.brow_ridge * (twins(x, 2.6, 1.5) * bump(y - 1.95, 0.85) + 0.5 * bump(x, 1.4) * bump(y - 1.9, 0.9))
    hollow = 0.80 * twins(x, 3.0, 1.25) * bump(y - 0.2, 0.95) + 0.42 * twins(x, 1.6, 0.55) * bump(y - 0.2, 0.85)
    socket = head.socket * hollow
    outer = 0.45 * twins(x, 5.2, 1.0) * bump(y - 0.3, 1.2)
    cheekbone = head.cheekbone * twins(x, 4.6, 1.4) * bump(y + 1.9, 1.0)
    muzzle = (0.25 + head.muzzle) * bump(x, 2.3) * bump(y + 6.2, 1.9)
    chin = 0.42 * bump(x, 1.35) * bump(y + 10.2, 0.95) - 0.34 * bump(x, 1.8) * bump(y + 8.75, 0.5)
    cleft = head.chin_cleft * bump(x, 0.22) * bump(y + 10.3, 0.7)
    return ridge - socket - outer + cheekbone + muzzle + chin - cleft


def _cheeks(head, grin: Tensor, old: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The soft parts: cheeks that fill or hollow, lifted by a smile, and hanging with age."""
    full = (0.25 + head.cheek) * twins(x, 4.3, 1.5) * bump(y + 5.4, 2.0)
    apple = (0.22 + 0.42 * grin) * twins(x, 3.5, 1.2) * bump(y + 3.3 - 0.5 * grin, 1.15)
    jowl = head.jowl * (0.5 * twins(x, 4.0, 0.9) * bump(y + 8.9, 0.8) - 0.3 * twins(x, 2.7, 0.4) * bump(y + 9.1, 0.8))
    tear = -(0.05 + 0.14 * old) * twins(x, 2.6 + 0.25 * (y + 2), 0.55) * bump(y + 1.6, 0.6)
    return full + apple + jowl + tear


def _own_bumps(head, x: Tensor, y: Tensor) -> Tensor:
    """Smooth bumps on a lattice over the face, mirrored: what no named ratio says about a face."""
    lattice = 0.20 * head.relief.view(len(x), 6, 4)
    rows = torch.cat([bump(y - 5.5 + 3.1 * row, 1.5) for row in range(6)], 2) @ lattice  # (B, H, 4)
    total = rows[:, :, :1] * bump(x, 1.1)
    for column in range(1, 4):
        total = total + rows[:, :, column : column + 1] * twins(x, 1.9 * column, 1.1)
    return total


def _nose(nose, grin, x, y, z, front):
    """A nose put on the face: new z, how far it stands out, nostrils, wings, and how far the wings go sideways."""
    side = x.abs()
    root, (tip_y, base_y) = 0.75, shape.nose_heights(nose)
    t = (root - y) / (root - tip_y)
    t = smooth_min(t, torch.ones_like(t), 0.3).clamp(min=0)
    bridge = (
        nose.bridge_height * step(-0.1, 0.35, t) * (1 - t) + nose.projection * t**1.3 + nose.hump * bump(t - 0.40, 0.17)
    ) * step(1.7, 0.2, y)
    arched = base_y + 0.22 * (side / 1.2).clamp(max=1.6) ** 2  # the base rises from the middle to the wings
    below = ((tip_y - y) / (tip_y - arched + 0.12)).clamp(0, 1)  # 0 at the tip, 1 where the upper lip begins
    profile = bridge * (1 - below**2.2) ** 0.62
    ball = step(0.55, 1.0, t)  # the bridge widens into the ball of the tip
    width = mix(nose.bridge_width * (1.05 + 0.35 * t), 1.12 * nose.tip, ball)
    ridge = profile * torch.exp(-((side / width) ** (2.0 + 0.5 * ball)))
    flank = profile * (0.34 - 0.08 * ball) * bump(side, 0.85 + 0.65 * t)
    wing_x, wing_y = 1.20 * nose.width * (1 + 0.10 * grin), base_y + 0.66
    reach = ((side - wing_x * 0.95) / 0.60) ** 2 + ((y - wing_y) / 0.68) ** 2
    wings = torch.exp(-(reach**1.3))
    out = smooth_max(ridge, flank, 0.25)
    out = smooth_max(out, (0.30 + 0.28 * nose.projection) * wings, 0.30) - 0.05
    beside_tip = bump(side - 0.86 * nose.tip - 0.12, 0.16) * bump(y - wing_y - 0.15, 0.42)
    groove = bump((reach + 1e-6).sqrt() - 1.42, 0.20) * step(0.7, 1.4, side - 0.2) * step(base_y - 0.4, base_y + 0.3, y)
    hole = ((side - 0.62 * nose.width) / (0.36 * nose.nostril)) ** 2
    nostril = torch.exp(-((hole + ((y - base_y - 0.20 - 0.22 * (side - 0.6)) / 0.17) ** 2) ** 1.3))
    out = out * front
    z = z + out - front * (0.22 * nostril + 0.09 * groove + 0.05 * beside_tip)
    return z, out, nostril, wings, 0.10 * wings * front


def _mouth(mouth, nose, x, y, ym, z, front, grin, old, curves):
    """Lips, the seam between them, the groove over and the fold beside them: new z, seam distance, fold."""
    top, upper_edge, lower_edge, bottom, across = curves
    side, arc = x.abs(), (1 - across * across).clamp(min=0)
    middle_upper, middle_lower = 0.55 * upper_edge + 0.45 * top, 0.5 * (bottom + lower_edge)
    roll = mouth.full * (
        0.95 * arc**0.6 * bump(ym - middle_upper, 0.30 * mouth.upper + 0.08)
        + 1.10 * arc**0.5 * bump(ym - middle_lower, 0.33 * mouth.lower + 0.06)
    )
    rim = 0.05 * bump(ym - top, 0.09) * arc**0.5  # the crisp border of the upper lip
    corner_y = 0.5 * (upper_edge + lower_edge)
    seam = (ym - corner_y).abs()
    line = 0.24 * bump(seam, 0.10) * step(0.16, 0.03, upper_edge - lower_edge) * step(1.08, 0.95, across.abs())
    corners = 0.20 * torch.exp(-(((across.abs() - 1.04) / 0.12) ** 2 + ((ym - corner_y) / 0.30) ** 2))
    base_y = -4.46 * nose.length
    groove_zone = step(base_y + 0.05, base_y - 0.4, y) * step(-0.05, 0.35, ym - top)
    philtrum = mouth.philtrum * groove_zone * (-0.075 * bump(x, 0.26) + 0.05 * bump(side - 0.46, 0.18))
    below = -0.10 * bump(x, 1.6) * bump(ym - bottom + 0.30, 0.28)
    # The fold from the wing of the nose past the corner of the mouth, deeper with age and a smile.
    t = (-4.0 - y) / 3.6
    course = 1.95 + 1.35 * t + 0.35 * grin
    fold = bump(side - course, 0.30) * step(-0.05, 0.25, t) * step(1.35, 0.75, t)
    bulge = bump(side - course - 0.55, 0.45) * step(-0.05, 0.3, t) * step(1.25, 0.7, t)
    depth = 0.03 + 0.12 * old + 0.16 * grin
    z = z + front * (roll + rim - line - corners + philtrum + below + depth * (0.9 * bulge - fold))
    return z, seam, fold * depth / 0.31


def _lids(eyes, pose, x, y, z, front, along, above, upper_lid, lower_lid):
    """Lids as a shell over the eyeballs, sunk into the sockets, with their fold; new z."""
    side = x.abs() - eyes.apart
    away = side**2 + y**2
    shell = eyes.depth + ((EYEBALL + LID) ** 2 - away).clamp(min=1e-4).sqrt()
    over_ball = step((EYEBALL + LID) ** 2, 0.8 * EYEBALL**2, away)
    # Near the opening the skin is the shell itself; further off it runs out into the socket.
    weight = torch.exp(-((along / 1.30).abs() ** 4 + ((above - 0.10) / 1.05).abs() ** 4)) * over_ball
    z = smooth_max(z, mix(z - 1.2, shell, weight), 0.45)
    near = torch.exp(-((along / 1.25).abs() ** 4 + ((above - 0.05) / 0.85).abs() ** 4)) * over_ball * front
    z = mix(z, smooth_min(z, shell + 0.04, 0.3), near)
    span = step(1.30, 0.95, along.abs())
    crease_y = upper_lid + eyes.crease * (1 - 0.55 * pose.blink) - 0.14 * along * along + 0.06
    hood = bump(above - crease_y - 0.30, 0.22) * span * (1 - pose.blink * 0.5)
    fold = bump(above - crease_y, 0.075) * span
    swell = 0.05 * bump(above - lower_lid + 0.36, 0.16) - 0.07 * bump(above - lower_lid + 0.62, 0.14)
    bag = eyes.bags * swell * bump(along + 0.1, 0.65)
    rim = 0.035 * bump(above - lower_lid + 0.10, 0.08) * span
    z = z + front * (eyes.fold * (0.75 * hood - fold) + bag + rim)
    # No part of the ball may come through the lids.
    ball = eyes.depth + ((EYEBALL + 0.05) ** 2 - away).clamp(min=0).sqrt()
    return torch.where((away < (EYEBALL + 0.05) ** 2) & (front > 0.2), smooth_max(z, ball, 0.2), z)


def _wrinkles(old, raised, grin, eyes, x, y, side, coarse):
    """Lines across the forehead and beside the eyes."""
    forehead = step(2.9, 3.9, y) * step(7.4, 6.2, y) * bump(x, 3.4)
    lines = torch.sin(y * 5.0 + 0.9 * coarse + 0.02 * x * x).clamp(min=0) ** 2
    crow = bump(side - eyes.apart - 2.3, 0.5) * bump(y + 0.2, 0.8) * torch.sin((y + 0.2) * 8 + side * 3).clamp(min=0)
    deep = (old - 0.25).clamp(min=0)
    return -forehead * lines * (0.045 * deep + 0.06 * raised.clamp(min=0)) - 0.05 * crow * (deep + grin)
