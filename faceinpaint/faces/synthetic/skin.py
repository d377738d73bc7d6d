"""The skin's colours: tone, redness, shadows of beard and lids, lips, freckles, moles, and its shine."""

from __future__ import annotations

import torch
from torch import Tensor

from faceinpaint.faces.synthetic import head as shape
from faceinpaint.faces.synthetic.beard import beard_zone
from faceinpaint.faces.synthetic.maths import bump, mix, noise, normals, step, vector
from faceinpaint.faces.synthetic.relief import Relief
from faceinpaint.faces.synthetic.scalp_hair import scalp_cover
from faceinpaint.faces.synthetic.surface import LABEL, Surface, crevices


def _tint(amount: Tensor, colour: tuple[float, float, float]) -> Tensor:
    """1 + amount * colour, (B, H, W) -> (B, 3, H, W)."""
    return (amount[:, None] * vector(colour, amount.device)).add_(1)


def skin_surface(person, pose, face: Relief) -> Surface:
    """The head's skin as a surface."""
    normal = normals(face.position)
    radius = max(1, face.x.shape[-1] // 110)
    occlusion = crevices(face.position, normal, radius, 1.9) * (1 - 0.55 * face.nostril[:, None])
    # The open mouth and the eyes' openings are holes: what lies behind is drawn by others.
    keep = -torch.maximum(face.opening, face.aperture)[:, None]
    scalp = scalp_cover(person, face)[:, None]
    brow, brow_hair = painted_brows(person, pose, face)
    albedo = mix(_albedo(person, face), person.hair.brows, brow_hair[:, None])
    albedo = mix(albedo, 0.6 * person.hair.colour, scalp)
    label = torch.where(scalp > 0.5, float(LABEL["hair"]), _labels(face, brow))
    gloss = _gloss(person, face)[:, None] * (1 - 0.8 * scalp)
    return Surface(
        face.position, albedo, label, keep, occlusion, gloss,
        sharpness=22.0, scatter=True, normal=normal)


def _albedo(person, face: Relief) -> Tensor:
    skin, x, y = person.skin, face.x, face.y[:, :, :1]  # y is the same along a row
    side = x.abs()
    u, v = person.offset_x, person.offset_y
    # Blood shows at cheeks, nose, chin and ears; the brow and the middle of the cheeks are yellower.
    red = (
        0.85 * bump(side - 4.2, 1.5) * bump(y + 3.0, 1.5) + 0.8 * bump(x, 1.1) * bump(y + 3.2, 0.9)
        + 0.45 * face.wings + 0.35 * bump(x, 2.0) * bump(y + 10.2, 1.0)
        + 0.3 * bump(side - 7.5, 1.2) * bump(y + 1.0, 3.0)
    ) * face.front.clamp(min=0.3)
    albedo = _tint(red * skin.redness, (0.03, -0.15, -0.13)).mul_(skin.colour)
    uneven = skin.mottle * (0.045 * face.coarse + 0.028 * face.middle)
    albedo.mul_(_tint(uneven, (0.6, 1.0, 1.0))).mul_((0.012 * face.fine[:, None]).add_(1))
    albedo.mul_(_tint(_eye_shadow(person, face), (-0.7, -1.0, -0.85)))
    freckled = bump(side - 2.6, 2.4) * bump(y + 2.2, 2.0)
    freckles = skin.freckles * freckled * step(0.9, 1.9, noise("rough", x / 6 + v, face.y / 6 + u))
    albedo.mul_(_tint(freckles, (-0.30, -0.48, -0.55)))
    albedo.mul_(_tint(_moles(skin.moles, x, y) * face.front, (-0.65, -0.75, -0.78)))
    albedo.mul_(_tint(face.smile_fold.clamp(0, 1), (-0.26, -0.36, -0.36)))
    albedo.mul_(_tint(face.nostril, (-0.72, -0.82, -0.84)))
    albedo = mix(albedo, person.hair.colour * 0.5 + 0.25 * albedo, _stubble(person, face)[:, None])
    return _painted_lips(person, face, albedo)


def _eye_shadow(person, face: Relief) -> Tensor:
    """Darker and redder lids, the lash line, and rings under the eyes."""
    reach = torch.exp(-((face.along / 1.2).abs() ** 4))
    under = bump(face.above - face.lower_lid + 0.45, 0.30) * bump(face.along + 0.15, 0.75)
    under = under * (0.08 + 0.20 * person.eyes.bags)
    over = step(-0.02, 0.1, face.above - face.upper_lid) * bump(face.above - face.upper_lid - 0.15, 0.45)
    line = person.hair.lashes * bump(face.above - face.upper_lid, 0.07) * step(1.12, 0.98, face.along.abs())
    lower_line = bump(face.above - face.lower_lid, 0.04) * step(1.08, 0.9, face.along.abs())
    made_up = person.skin.shadow
    lines = line * (0.65 + 0.25 * made_up) + lower_line * (0.15 + 0.3 * made_up)
    return reach * (under + over * (0.14 + 0.38 * made_up) + lines)


def _moles(moles: Tensor, x: Tensor, y: Tensor) -> Tensor:
    total = torch.zeros_like(x)
    for i in range(0, moles.shape[1], 3):
        mole_x, mole_y, radius = (moles[:, i + k, None, None] for k in range(3))
        total = torch.maximum(total, (1.6 - ((x - mole_x) ** 2 + (y - mole_y) ** 2) / radius**2).clamp(0, 1))
    return total


def _stubble(person, face: Relief) -> Tensor:
    """How much of the skin's colour the roots of a beard take, 0 ... 1 (B, H, W)."""
    beard, moustache = beard_zone(person, face)
    beard = beard * torch.maximum(0.85 * person.hair.beard, 0.32 * person.skin.stubble)
    moustache = moustache * torch.maximum(0.85 * person.hair.moustache, 0.28 * person.skin.stubble)
    dotted = (0.7 + 0.3 * face.fine).clamp(0, 1.3)
    return (torch.maximum(beard, moustache) * dotted).clamp(0, 0.9)


def _painted_lips(person, face: Relief, albedo: Tensor) -> Tensor:
    lips = step(-0.04, 0.07, face.lips)[:, None]
    edge = 1 - 0.066 * step(0.25, 0.0, face.lips)
    painted = person.skin.colour * person.skin.lip_colour * edge[:, None]
    seam = bump(face.seam, 0.055) * step(1.03, 0.95, face.across.abs()) * step(0.1, 0.0, face.opening) * face.front
    return mix(albedo, painted, lips * face.front[:, None]) * _tint(seam, (-0.72, -0.82, -0.82))


def _gloss(person, face: Relief) -> Tensor:
    """The shine: oily forehead and nose, moist lips."""
    oily = bump(face.x, 2.2) * bump(face.y[:, :, :1] - 4.5, 2.4) + 1.2 * step(0.2, 1.4, face.nose) * bump(face.x, 0.8)
    grain = (1 + 0.35 * face.fine).clamp(min=0.2)
    lips = 0.9 * step(0, 0.25, face.lips) * face.front
    return person.skin.shine * (0.55 + 0.45 * oily) * grain * (1 - face.aperture.clamp(0, 1)) + lips


def painted_brows(person, pose, face: Relief) -> tuple[Tensor, Tensor]:
    """Where brows lie, bool, and how much of the skin's colour their hairs take, 0 ... 1; (B, H, W) each."""
    along, height, half = shape.brow_curve(face.x, person.brows, pose.brow_raise)
    off, side = face.y - height, face.x.abs()
    # Hairs lean outwards, and stand up at the inner end.
    lean = face.y - 0.9 * side * step(0.0, 0.3, along)
    hairs = noise("grain", (side + 0.25 * face.y) / 4 + person.offset_x, lean / 9 + person.offset_y)
    across = off.abs() / half.clamp(min=0.05) + 0.22 * hairs
    ends = step(-0.06, 0.10, along) * step(1.08, 0.85, along) * face.front
    covered = (0.55 + 0.4 * person.brows.density) * step(1.55, 0.75, across) * ends
    return (along > 0) & (along < 1) & (off.abs() < half) & (face.front > 0.2), covered


def _labels(face: Relief, brow: Tensor) -> Tensor:
    """Indices into LABELS: skin, nose, mouth (lips), eyes (the line of the lashes) and brows."""
    label = torch.full_like(face.x, float(LABEL["skin"]))
    label = torch.where((face.nose > 0.35) & (face.lips < 0), float(LABEL["nose"]), label)
    label = torch.where((face.lips > 0) & (face.front > 0.2), float(LABEL["mouth"]), label)
    label = torch.where(face.aperture > -0.10, float(LABEL["eyes"]), label)
    return torch.where(brow, float(LABEL["brows"]), label)[:, None]
