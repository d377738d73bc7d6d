"""Ears, neck and clothes, glasses and backgrounds of the rendered faces."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from faceinpaint.faces.synthetic import background, body, camera, ears, glasses
from faceinpaint.faces.synthetic import head as shape
from faceinpaint.faces.synthetic.head import loft
from faceinpaint.faces.synthetic.maths import dot, normals
from faceinpaint.faces.synthetic.people import identities, poses
from faceinpaint.faces.synthetic.relief import EYEBALL, relief
from faceinpaint.faces.synthetic.surface import LABEL

WIDTH = 96  # pixels


@pytest.fixture(scope="module")
def people():
    """Twelve people and a photograph of each, all without glasses."""
    photographs = poses(range(12))
    return identities(range(12)), replace(photographs, glasses=torch.zeros_like(photographs.glasses))


def _wearing(photographs, *wearers: int):
    worn = torch.zeros_like(photographs.glasses)
    worn[list(wearers)] = 1
    return replace(photographs, glasses=worn)


def _facing(photographs, yaw: float, pitch: float, roll: float = 0.0):
    zero = torch.zeros_like(photographs.yaw)
    return replace(photographs, yaw=zero + yaw, pitch=zero + pitch, roll=zero + roll)


def _body(person, photographs):
    return body.body(person, photographs, camera.rotation(photographs.yaw, photographs.pitch, photographs.roll), WIDTH)


# ------------------------------------------------------------------------------------------ ears


def _extreme_ears(person, size: float, flare: float, height: float):
    one = torch.ones_like(person.ears.size)
    return replace(person, ears=replace(person.ears, size=one * size, flare=one * flare, height=one * height))


def test_ears_are_mirror_images(people):
    person, _ = people
    left, right = ears.ears(person, 32)
    mirror = torch.tensor([-1.0, 1.0, 1.0]).view(1, 3, 1, 1)
    torch.testing.assert_close(left.position, right.position * mirror)
    torch.testing.assert_close(left.normal, right.normal * mirror)
    torch.testing.assert_close(left.albedo, right.albedo)


@pytest.mark.parametrize("size,flare,height", [(0.82, 0.25, -0.66), (1.0, 0.45, 0.0), (1.24, 0.62, 0.66)])
def test_ears_spring_from_the_side_of_the_head(people, size, flare, height):
    person = _extreme_ears(people[0], size, flare, height)
    right = ears.ears(person, 48)[1]
    x, y, z = right.position.unbind(1)
    side = ears.side_of_head(person.head, y.flatten(1)).view_as(x)
    # The outline in front and the end of the back lie inside the head, so that no gap is seen.
    outline = round(ears.FACE * (x.shape[1] - 1))
    middle = (ears.PLACE[0] * person.head.face_length + person.ears.height)[:, 0]
    # The lobe hangs free, and so does the top of the rim.
    in_front = (z[:, outline] > ears.PLACE[1] - 0.4) & ((y[:, outline] - middle + 0.6).abs() < 1.3 * size)
    assert in_front.any(1).all() and bool((x < side)[:, outline][in_front].all())
    assert bool((x < side)[:, -1].all())
    # The face of the ear stands off it, by no more than an ear does.
    rise = (x - side)[:, : outline - 6]
    assert 0.0 < rise.amax((1, 2)).min() and rise.max() < 3.5
    assert (rise > 0).float().mean() > 0.8


def test_ears_have_the_size_of_ears_and_face_outwards(people):
    right = ears.ears(_extreme_ears(people[0], 1.0, 0.4, 0.0), 48)[1]
    tall = right.position[:, 1].amax((1, 2)) - right.position[:, 1].amin((1, 2))
    deep = right.position[:, 2].amax((1, 2)) - right.position[:, 2].amin((1, 2))
    assert bool(((tall > 5.4) & (tall < 7.6)).all()) and bool(((deep > 2.4) & (deep < 4.6)).all())
    assert bool((right.normal[:, 0, :30].mean((1, 2)) > 0.3).all())
    assert right.scatter and bool((right.label == LABEL["skin"]).all())


def test_the_concha_is_a_hollow(people):
    x = ears.ears(people[0], 48)[1].position[:, 0]
    assert bool((x[:, 2].mean(1) < x[:, 20].mean(1) - 0.2).all())  # the middle of an ear, and half way to its rim


def test_side_of_head_is_that_of_the_loft(people):
    head = people[0].head
    x, y, _ = loft(head, 57, 181)
    heights = y[:, 12:48, :1].reshape(len(head), -1)
    torch.testing.assert_close(ears.side_of_head(head, heights), x.abs().amax(2)[:, 12:48], atol=0.12, rtol=0)


# ------------------------------------------------------------------------------------------ neck, shoulders, clothes


@pytest.mark.parametrize("yaw,pitch,roll", [(0, 0, 0), (1.05, 0, 0), (-1.05, 0.44, 0.3), (0.6, -0.44, -0.3)])
def test_the_neck_ends_inside_the_head(people, yaw, pitch, roll):
    person, photographs = people
    photographs = _facing(photographs, yaw, pitch, roll)
    turn = camera.rotation(photographs.yaw, photographs.pitch, photographs.roll)
    skin = _body(person, photographs)[0]
    pivot = torch.tensor(camera.PIVOT)
    top = turn.transpose(1, 2) @ (skin.position[:, :, 0] - pivot[:, None]) + pivot[:, None]  # as in a head at rest
    at_rest = _body(person, _facing(photographs, 0, 0))[0].position[:, :, 0]
    torch.testing.assert_close(top, at_rest, atol=1e-3, rtol=0)
    x, y, z = top.unbind(1)
    across = ears.side_of_head(person.head, y)
    front = shape.SECTIONS[:, 2].max() - 1.0
    assert bool((x.abs() < across).all()) and bool((z < front).all()) and bool((z > -9.0).all())
    assert bool((y > -11.0 * person.head.face_length[:, 0]).all())


def test_the_shoulders_stay_while_the_neck_turns(people):
    person, photographs = people
    straight, turned = (_body(person, _facing(photographs, yaw, 0.2))[1].position for yaw in (0.0, 1.0))
    torch.testing.assert_close(straight[:, :, -10:], turned[:, :, -10:], atol=0.02, rtol=0)
    assert (straight[:, :, :3] - turned[:, :, :3]).abs().max() > 0.5


def test_the_figure_is_symmetric(people):
    person, photographs = people
    photographs = _facing(photographs, 0.7, 0.2, 0.1)
    turn = camera.rotation(photographs.yaw, photographs.pitch, photographs.roll)
    mirrored = camera.rotation(-photographs.yaw, photographs.pitch, -photographs.roll)
    figure, other = body._figure(person, turn, 30, 41), body._figure(person, mirrored, 30, 41)
    mirror = torch.tensor([-1.0, 1.0, 1.0]).view(1, 3, 1, 1)
    torch.testing.assert_close(figure.turned, other.turned.flip(3) * mirror, atol=1e-4, rtol=0)
    kind = body._kinds(person, photographs)
    line = body._neckline(kind, photographs, figure)
    torch.testing.assert_close(line, line.flip(2), atol=1e-4, rtol=0)


def test_a_turn_is_shared_out_along_the_neck():
    angle = torch.full((1, 1, 1), 0.8)
    turn = camera.rotation(angle, torch.zeros_like(angle), torch.zeros_like(angle))
    place = torch.randn(1, 3, 3, 5, generator=torch.Generator().manual_seed(1))
    bent = body._bent(place, turn, torch.tensor([0.0, 0.5, 1.0]))
    pivot = torch.tensor(camera.PIVOT).view(1, 3, 1)
    torch.testing.assert_close(bent[:, :, 0], place[:, :, 0])
    turned = turn @ (place[:, :, 1:].flatten(2) - pivot) + pivot
    torch.testing.assert_close(bent[:, :, 1], (place[:, :, 1] + turned[:, :, :5]) / 2)
    torch.testing.assert_close(bent[:, :, 2], turned[:, :, 5:])
    straight = body._bent(place, torch.eye(3)[None], torch.tensor([0.0, 0.5, 1.0]))
    torch.testing.assert_close(straight, place)


@pytest.mark.parametrize("kind", range(len(body.KINDS)))
def test_every_garment_covers_the_shoulders_and_leaves_the_throat(people, kind):
    person, photographs = people
    figure = body._figure(person, torch.eye(3).expand(len(person), -1, -1), 60, 41)
    worn = torch.full_like(photographs.pattern, float(kind))
    below = body._below(worn, photographs, figure)
    assert bool((below[:, -20:] > 0).all())
    assert bool((below[:, figure.ring[0, :, 0] < 1.5] < 0).all())


def test_labels_light_and_size_of_the_body(people):
    person, photographs = people
    skin, garment = _body(person, photographs)
    assert bool((skin.label == LABEL["skin"]).all())
    assert bool((garment.label == LABEL["clothes"]).all())
    for surface in (skin, garment):
        assert bool(surface.position.isfinite().all()) and bool((surface.albedo > 0).all())
        # Dim under the chin, never black.
        assert surface.occlusion.min() > 0.15 and surface.occlusion.max() < 1.15
    at_128 = body.body(person, photographs, torch.eye(3).expand(len(person), -1, -1), 256)
    assert sum(surface.position[0, 0].numel() for surface in at_128) <= 30_000


def test_every_kind_is_worn_by_somebody():
    person, photographs = identities(range(150)), poses(range(150))
    kinds = body._kinds(person, photographs)
    assert set(kinds.flatten().tolist()) == set(map(float, range(len(body.KINDS))))


# ------------------------------------------------------------------------------------------ glasses


def test_no_glasses_where_nobody_wears_any(people):
    person, photographs = people
    assert glasses.glasses(person, photographs, WIDTH) == []


def test_only_wearers_have_a_frame_and_it_does_not_depend_on_the_others(people):
    person, photographs = people
    frame = glasses.glasses(person, _wearing(photographs, 2, 5), WIDTH)[0]
    worn = (frame.keep > 0).flatten(1).any(1)
    assert worn.nonzero()[:, 0].tolist() == [2, 5]
    one = torch.tensor([5])
    alone = glasses.glasses(person.select(one), _wearing(photographs, 5).select(one), WIDTH)[0]
    torch.testing.assert_close(frame.position[5:6], alone.position, atol=1e-4, rtol=0)


def test_glasses_lie_before_the_eyes_and_touch_no_lid(people):
    person, photographs = people
    photographs = _wearing(photographs, *range(12))
    frame = glasses.glasses(person, photographs, WIDTH)[0]
    assert bool((frame.label == LABEL["glasses"]).all()) and bool(frame.position.isfinite().all())
    face = relief(person, photographs, 90, 110)
    rims = glasses.Frame(person, photographs, 9).rim(1.0, 60)[0]  # (B, 3, M, N)
    assert bool((rims[:, 2].amax((1, 2)) > (person.eyes.depth + EYEBALL)[:, 0, 0] + 0.5).all())
    for b in range(len(person)):
        skin = face.position[b].flatten(1)[:, (face.z[b] > 2).flatten()]
        middle = rims[b].mean(1)  # (3, N): the rim's middle line
        apart = torch.cdist(middle[:2].T, skin[:2].T)
        nearest = apart.argmin(1)
        assert bool((middle[2] - skin[2, nearest] > -0.05).all())


def test_glasses_are_symmetric_and_reach_the_ears(people):
    person, photographs = people
    frame = glasses.Frame(person, _wearing(photographs, *range(12)), 8)
    for part in (frame.rim, frame.temple):
        left, right = part(-1.0, 24)[0][:, :, :-1].mean(2), part(1.0, 24)[0][:, :, :-1].mean(2)
        torch.testing.assert_close(left * torch.tensor([-1.0, 1.0, 1.0]).view(1, 3, 1), right, atol=0.05, rtol=0)
    tip = frame.temple(1.0, 24)[0].mean(2)[:, :, -1]
    assert bool((tip[:, 2] < ears.PLACE[1] - 1.0).all())
    bridge = frame.bridge(13)[0][:, :, :-1].mean(2)
    torch.testing.assert_close(bridge[:, 1:], bridge[:, 1:].flip(2), atol=0.03, rtol=0)


def test_tubes_face_outwards():
    t = torch.linspace(0, 6.28, 40)
    line = torch.stack([2 * t.cos(), 2 * t.sin(), 0 * t])[None]
    position, normal = glasses.tube(line, torch.full((1, 40), 0.2), torch.full((1, 40), 0.1), 12)
    assert bool((dot(position - line[:, :, None], normal) > 0).all())
    assert dot(normals(position), normal).abs().mean() > 0.6


# ------------------------------------------------------------------------------------------ backgrounds


def test_backgrounds_follow_from_their_seed_alone():
    seeds = torch.arange(24.0).view(-1, 1, 1)
    pictures = background.backgrounds(seeds, 64)
    assert pictures.shape == (24, 3, 64, 64)
    torch.testing.assert_close(background.backgrounds(seeds[7:8], 64), pictures[7:8])
    assert pictures.min() > 0 and pictures.max() <= 1.6
    means = pictures.mean((2, 3))
    assert torch.pdist(means).min() > 1e-4


def test_backgrounds_are_the_same_picture_at_every_size():
    seeds = torch.arange(12.0).view(-1, 1, 1)
    small, large = background.backgrounds(seeds, 64), background.backgrounds(seeds, 256)
    again = torch.nn.functional.avg_pool2d(large, 4)
    assert (small - again).abs().mean() < 0.01


def test_backgrounds_are_muted():
    pictures = background.backgrounds(torch.arange(60.0).view(-1, 1, 1), 32)
    mean = pictures.mean((2, 3))
    saturation = (mean.amax(1) - mean.amin(1)) / mean.amax(1)
    assert saturation.median() < 0.35
    sky, ground = background.surroundings(pictures)
    assert bool((sky > ground).all()) and sky.min() > 0.5
