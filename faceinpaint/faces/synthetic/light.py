"""Shading: a key light with soft shadows, a fill, a rim and ambient light, on skin, hair and other matter.

Colours are linear; `develop` makes a picture of them, by tone mapping.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from faceinpaint.faces.synthetic.maths import blur, dot, mix, step, unit, vector
from faceinpaint.faces.synthetic.raster import nearest, pixels_of
from faceinpaint.faces.synthetic.surface import Surface

REACH = 19.0  # cm around the head's centre that a shadow map covers
UP = (0.0, 1.0, 0.0)


@dataclass(frozen=True)
class Lights:
    """The lights of a batch in world space; directions to the light and colours (B, 3, 1, 1)."""

    key: Tensor
    key_colour: Tensor
    fill: Tensor
    fill_colour: Tensor
    rim: Tensor
    rim_colour: Tensor
    sky: Tensor
    ground: Tensor
    camera: Tensor  # (B, 3, 1, 1) cm
    shadow_map: Tensor  # (B, 2, S, S) mean height over the key's plane and mean square, cm
    across: Tensor  # (B, 3, 1, 1) axes of the shadow map
    upward: Tensor


def make_lights(pose, surfaces: Sequence[Surface], sky: Tensor, ground: Tensor, camera: Tensor, size: int) -> Lights:
    """The lights of photographs; sky and ground are the colours (B, 3, 1, 1) of the surroundings."""
    key = unit(pose.key)
    up = vector(UP, key.device).expand_as(key)
    across = unit(torch.linalg.cross(up, key, dim=1))
    upward = torch.linalg.cross(key, across, dim=1)
    flip = vector((-1.0, 0.4, 1.2), key.device)
    behind = vector((-1.0, 0.5, -0.6), key.device)
    scale = pose.ambient[:, None]
    lights = Lights(
        key, pose.key_colour * (1.75 * (1.25 - 0.55 * scale)), unit(key * flip), sky * pose.fill[:, None] * 1.2,
        unit(torch.cat([torch.sign(key[:, :1] + 1e-3) * behind[:, :1], behind[:, 1:].expand(len(key), -1, -1, -1)], 1)),
        sky * pose.rim[:, None] * 2.2, sky * scale * 0.85, ground * scale * 0.62, camera,
        torch.empty(0), across, upward)
    return replace(lights, shadow_map=_shadow_map(lights, pose.key_softness, surfaces, size))


def _light_plane(lights: Lights, position: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Place of points in the shadow map (-1 ... 1 each way) and height towards the key, cm; (B, 1, H, W)."""
    low = 2.0  # the map's centre lies below the eyes, to catch the neck
    u, v = dot(position, lights.across) / REACH, (dot(position, lights.upward) + low) / REACH
    return u, v, dot(position, lights.key)


def _shadow_map(lights: Lights, softness: Tensor, surfaces: Sequence[Surface], size: int) -> Tensor:
    """Variance shadow map (Donnelly & Lauritzen 2006): mean and mean square of the heights nearest to the key."""
    batch, pixel, height = len(lights.key), [], []
    for surface in surfaces:
        # Every other point: the map is coarser than the surfaces are.
        u, v, h = _light_plane(lights, surface.position[:, :, :, ::2])
        there = torch.ones_like(u, dtype=torch.bool) if surface.keep is None else surface.keep[:, :, :, ::2] > 0
        chosen, where = pixels_of((u + 1) * size / 2 - 0.5, (v + 1) * size / 2 - 0.5, there, size)
        pixel.append(where)
        height.append(h.flatten().index_select(0, chosen))
    top = -nearest(torch.cat(pixel), -torch.cat(height), batch * size * size).view(batch, 1, size, size)
    top = torch.maximum(top, -F.max_pool2d(-F.max_pool2d(top, 3, 1, 1), 3, 1, 1)).clamp(min=-25.0)
    moments = torch.cat([top, top * top], 1)
    sharp = blur(moments, max(1, size // 110))
    return mix(sharp, blur(sharp, max(1, size // 40)), softness[:, None])


def shadow(lights: Lights, position: Tensor) -> Tensor:
    """Share of the key's light that arrives, (B, 1, H, W)."""
    u, v, height = _light_plane(lights, position)
    grid = torch.cat([u, v], 1).permute(0, 2, 3, 1)
    mean, square = F.grid_sample(lights.shadow_map, grid, align_corners=False, padding_mode="border").split(1, 1)
    variance = (square - mean * mean).clamp(min=0.06)
    below = (mean - height - 0.30).clamp(min=0)
    return step(0.12, 0.95, variance / (variance + below * below))


def wrapped(cosine: Tensor, wrap: float) -> Tensor:
    """Lambert's cosine that reaches a little round the edge, as light does under skin."""
    return ((cosine + wrap) / (1 + wrap)).clamp(min=0)


def shade(surface: Surface, lights: Lights) -> Tensor:
    """Linear colours (B, 3, H, W) of a surface."""
    return _shade_hair(surface, lights) if surface.strands else _shade_solid(surface, lights)


def _shade_solid(surface: Surface, lights: Lights) -> Tensor:
    normal, occlusion = surface.normal, surface.occlusion
    view = unit(lights.camera - surface.position)
    lit, facing = shadow(lights, surface.position), dot(normal, lights.key)
    everywhere = mix(lights.ground, lights.sky, 0.5 + 0.5 * normal[:, 1:2]) * occlusion
    fill = lights.fill_colour * wrapped(dot(normal, lights.fill), 0.3) * occlusion
    direct = _scattered(facing, lit) if surface.scatter else wrapped(facing, 0.05) * lit
    colour = surface.albedo * (direct * lights.key_colour + fill + everywhere)
    edge = 1 - dot(normal, view).clamp(0, 1)
    rim = (surface.albedo + 0.04) * edge**2 * dot(normal, lights.rim).clamp(min=0) * lights.rim_colour
    # The highlight: Blinn's two lobes with Schlick's Fresnel, and the sky seen at grazing angles.
    half = unit(lights.key + view)
    cosine = dot(normal, half).clamp(0, 1)
    fresnel = 0.035 + 0.965 * (1 - dot(view, half).clamp(0, 1)) ** 5
    lobes = (surface.sharpness + 2) / 8 * cosine**surface.sharpness + 0.9 * cosine ** (0.25 * surface.sharpness)
    highlight = fresnel * lobes * facing.clamp(min=0) * lit * lights.key_colour
    return colour + rim + surface.gloss * (highlight + 0.25 * edge**4 * lights.sky * occlusion)


def _scattered(facing: Tensor, lit: Tensor) -> Tensor:
    """Subsurface scattering of the key's light: red spreads far, green less, blue hardly (d'Eon & Luebke 2007)."""
    texels = max(1, round(facing.shape[-1] / 140))
    red = wrapped(facing, 0.22) * lit**0.8
    return torch.cat([0.4 * red + 0.6 * blur(red, texels), wrapped(facing, 0.10) * lit, wrapped(facing, 0.05) * lit], 1)


def _shade_hair(surface: Surface, lights: Lights) -> Tensor:
    """Hair by Kajiya and Kay (1989): bright where it runs across the light; one white, one tinted highlight."""
    longer = F.pad(surface.position, (0, 1, 0, 0), mode="replicate")
    tangent, outward = unit(longer[..., 1:] - surface.position), surface.normal
    view = unit(lights.camera - surface.position)
    facing = wrapped(dot(outward, lights.key), 0.5) * (shadow(lights, surface.position) * 0.85 + 0.15)
    sky = mix(lights.ground, lights.sky, 0.5 + 0.5 * outward[:, 1:2])
    across_key = (1 - dot(tangent, lights.key) ** 2).clamp(min=0).sqrt()
    direct = across_key * 0.55 * facing * lights.key_colour
    colour = surface.albedo * (direct + (sky + 0.5 * lights.fill_colour) * 0.75)
    slant = dot(tangent, unit(lights.key + view))
    white, tinted = (1 - slant**2).clamp(min=0) ** 40, (1 - (slant + 0.14) ** 2).clamp(min=0) ** 9
    shine = (0.055 * white + surface.albedo * 0.75 * tinted) * facing * lights.key_colour
    rim = (1 - dot(outward, view).clamp(0, 1)) ** 2 * dot(outward, lights.rim).clamp(min=0)
    rim = (surface.albedo + 0.03) * rim * lights.rim_colour
    return (colour + surface.gloss * shine + rim) * surface.occlusion


def develop(colour: Tensor, exposure: Tensor) -> Tensor:
    """Tone mapping of linear colours to a picture in [0, 1]: exposure, a film's shoulder, and the sRGB curve."""
    x = colour.clamp(min=0) * exposure
    filmic = (x * (2.2 * x + 0.05) / (x * (2.05 * x + 0.62) + 0.12)).clamp(0, 1)
    return torch.where(filmic <= 0.0031308, 12.92 * filmic, 1.055 * filmic.clamp(min=1e-6) ** (1 / 2.4) - 0.055)
