"""Hair of rendered people: on the head, outside the skull, where brows are, and the same every time."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from faceinpaint.faces.synthetic import head as shape
from faceinpaint.faces.synthetic.beard import beard, beard_zone
from faceinpaint.faces.synthetic.hair_looks import STYLES, HairLook, _style, sample_hair
from faceinpaint.faces.synthetic.maths import normals
from faceinpaint.faces.synthetic.parameters import Draw
from faceinpaint.faces.synthetic.people import Identity, Pose, identities, poses
from faceinpaint.faces.synthetic.relief import Relief, relief
from faceinpaint.faces.synthetic.scalp_hair import loft_grid, scalp_cover, scalp_hair
from faceinpaint.faces.synthetic.skin import painted_brows
from faceinpaint.faces.synthetic.surface import LABEL, Surface

DETAIL = 64


def styled(name: str, people: int = 2, **changes: float) -> Identity:
    """People who all wear one style."""
    person = identities(range(people))
    values = {**_style(name, Draw(3)), "hairline": 7.2, "ring": 30.0, **changes}
    numbers = {key: torch.full((people, 1, 1), float(value)) for key, value in values.items()}
    return replace(person, hair=replace(person.hair, **numbers))


def calm(count: int, **changes: float) -> Pose:
    """Photographs from the front, without expression."""
    pose = poses(range(count))
    names = ("smile", "teeth", "mouth_open", "blink", "brow_raise")
    numbers = {**dict.fromkeys(names, 0.0), **changes}
    return replace(pose, **{name: torch.full((count, 1, 1), value) for name, value in numbers.items()})


def face_of(person: Identity, pose: Pose) -> Relief:
    return relief(person, pose, 112, 144)


def there(surface: Surface) -> Tensor:
    """Which points are drawn, (B, H, W)."""
    keep = torch.ones_like(surface.position[:, 0]) if surface.keep is None else surface.keep[:, 0]
    return keep.expand_as(surface.position[:, 0]) > 0


@pytest.mark.parametrize("name", ["long", "curls", "tied", "buzz"])
def test_nobodys_hair_depends_on_who_else_is_there(name: str) -> None:
    person = styled(name, 3)
    wave = person.hair.wave + torch.tensor([0, 0.1, 0.2]).view(3, 1, 1)
    person = replace(person, hair=replace(person.hair, wave=wave))
    pose = calm(3)
    together = [scalp_hair(person, DETAIL), *beard(person, face_of(person, pose), DETAIL)]
    one = torch.tensor([2])
    alone, pose = person.select(one), pose.select(one)
    apart = [scalp_hair(alone, DETAIL), *beard(alone, face_of(alone, pose), DETAIL)]
    for many, single in zip(together, apart):
        torch.testing.assert_close(many.position[2], single.position[0], atol=1e-3, rtol=0)
        torch.testing.assert_close(many.albedo[2], single.albedo[0], atol=1e-4, rtol=0)
        assert (there(many)[2] == there(single)[0]).float().mean() > 0.999


def test_the_same_person_has_the_same_hair_and_others_have_other_hair() -> None:
    person = identities([5, 5, 6])
    hairs = scalp_hair(person, DETAIL)
    assert torch.equal(hairs.position[0], hairs.position[1])
    assert (hairs.position[0] - hairs.position[2]).abs().mean() > 0.1


@pytest.mark.parametrize("name", sorted(STYLES))
def test_hair_stays_outside_the_head(name: str) -> None:
    person = styled(name, 1)
    hairs, grid = scalp_hair(person, 2 * DETAIL), loft_grid(person, 90, 120)
    outward, points = normals(grid)[0].flatten(1).T, hairs.position[0].permute(1, 2, 0)[there(hairs)[0]][::37]
    points = points[points[:, 1] > 0]  # below, hair hangs beside the jaw
    assert len(points) and points.isfinite().all()
    nearest = torch.cdist(points, grid[0].flatten(1).T).argmin(1)
    height = ((points - grid[0].flatten(1).T[nearest]) * outward[nearest]).sum(1)
    assert (height > -0.30).float().mean() > 0.96, name
    assert height.max() < (12 if name in ("long", "waves", "tied", "afro", "curls") else 7)


def test_long_hair_reaches_the_shoulders_and_leaves_the_face_free() -> None:
    hairs = scalp_hair(styled("long"), DETAIL)
    x, y, z = hairs.position.unbind(1)
    drawn = there(hairs)
    assert y[drawn].min() < -11
    before_face = (x.abs() < 3) & (y > -9) & (y < 3) & (z > 5)
    assert (before_face & drawn).float().sum() < 0.002 * drawn.float().sum()


def test_a_fringe_covers_the_forehead_but_not_the_eyes() -> None:
    hairs = scalp_hair(styled("fringe", hairline=7.0), 2 * DETAIL)
    x, y, z = hairs.position.unbind(1)
    middle = there(hairs) & (x.abs() < 3.5) & (z > 4.5)
    forehead = int((middle & (y > 4) & (y < 6)).sum())
    eyes = int((middle & (y < 1.0) & (y > -9)).sum())
    assert forehead > 150
    assert eyes < 0.02 * forehead


def test_bald_people_have_no_hair_on_top() -> None:
    shaved, ringed = styled("ring", ring=-30.0), styled("ring", ring=5.0, hairline=12.5)
    assert not there(scalp_hair(shaved, DETAIL)).any()
    hairs = scalp_hair(ringed, DETAIL)
    heights = hairs.position[:, 1] / ringed.head.height
    assert there(hairs).any()
    assert (heights[there(hairs)] > 7.5).float().mean() < 0.05 and heights[there(hairs)].max() < 9.0
    face = face_of(shaved, calm(2))
    assert scalp_cover(shaved, face).max() == 0
    assert scalp_cover(ringed, face)[:, :8].max() == 0


def test_the_scalp_is_covered_at_the_crown_and_not_on_the_face() -> None:
    person = styled("parted")
    face = face_of(person, calm(2))
    cover = scalp_cover(person, face)
    assert cover.min() >= 0 and cover.max() <= 1
    assert cover[face.y.expand_as(cover) > 9.5].min() > 0.8
    assert cover[((face.nose > 0.2) | (face.lips > 0)) & (face.front > 0.5)].max() == 0
    receding = styled("parted", recession=3.0)
    assert scalp_cover(receding, face).sum() < cover.sum()


def test_points_grow_with_the_pictures_area() -> None:
    coarse, fine = (scalp_hair(styled("long"), detail) for detail in (DETAIL, 2 * DETAIL))
    assert 2.4 < there(fine).sum() / there(coarse).sum() < 5.0


def test_points_of_a_hair_lie_closer_than_a_pixel() -> None:
    for name in ("long", "parted", "buzz", "waves"):
        hairs = scalp_hair(styled(name), 128)
        step = (hairs.position[..., 1:] - hairs.position[..., :-1]).norm(dim=1)
        both = there(hairs)[..., 1:] & there(hairs)[..., :-1]
        pixel = 2 * 15.2 / 128  # cm
        assert step[both].quantile(0.95) < 1.15 * pixel, name


def test_brows_lie_on_their_curve_and_rise() -> None:
    person, pose = identities(range(4)), calm(4)
    face = face_of(person, pose)
    label, covered = painted_brows(person, pose, face)
    along, height, half = shape.brow_curve(face.x, person.brows, pose.brow_raise)
    dark = covered > 0.3
    assert dark.any(2).any(1).all() and ((along > -0.1) & (along < 1.1))[dark].all()
    assert ((face.y - height).abs() < 2.2 * half)[dark].all()
    assert label[dark].float().mean() > 0.7 and (face.x > 0)[dark].float().mean().sub(0.5).abs() < 0.05
    raised = painted_brows(person, calm(4, brow_raise=1.0), face)[1] > 0.3
    for person in range(4):
        assert face.y[person][raised[person]].mean() > face.y[person][dark[person]].mean() + 0.2


def test_beards_grow_where_the_look_says() -> None:
    person, pose = styled("crop", beard=0.0, moustache=0.0, goatee=0.0), calm(2)
    face = face_of(person, pose)
    assert beard(person, face, DETAIL) == []
    counts = {}
    for name, goatee, moustache in (("full", 0.0, 1.0), ("goatee", 1.0, 0.0)):
        bearded = styled("crop", beard=1.0, moustache=moustache, goatee=goatee, beard_length=1.0, moustache_length=0.8)
        hairs = beard(bearded, face, DETAIL)[0]
        x, y = hairs.position[:, 0, :, 0], hairs.position[:, 1, :, 0]
        drawn = there(hairs)[..., 0]
        assert (hairs.label == LABEL["beard"]).all()
        assert y[drawn].max() < 1.0
        counts[name] = int(drawn.sum())
        zone = beard_zone(bearded, face)[0]
        assert zone.min() >= 0 and zone.max() <= 1
        if name == "goatee":
            assert x[drawn].abs().max() < 4.5
            wide = calm(2, mouth_open=1.0)
            lower = beard(bearded, face_of(bearded, wide), DETAIL)[0]
            assert lower.position[:, 1, :, 0][there(lower)[..., 0]].mean() < y[drawn].mean() - 0.5
    assert counts["full"] > 1.5 * counts["goatee"] > 0


def test_a_mixed_batch_gives_a_shaven_person_no_beard() -> None:
    person = identities(range(2))
    dense = torch.tensor([1.0, 0.0]).view(2, 1, 1)
    person = replace(person, hair=replace(person.hair, beard=dense, moustache=dense))
    grown = beard(person, face_of(person, calm(2)), DETAIL)[0]
    assert there(grown)[0].any() and not there(grown)[1].any()


def test_colours_are_reflectances_and_age_brings_grey() -> None:
    person, pose = identities(range(24)), calm(24)
    for surface in [scalp_hair(person, 32), *beard(person, face_of(person, pose), 32)]:
        assert surface.albedo.isfinite().all() and surface.albedo.min() >= 0 and surface.albedo.max() <= 1.2
        assert surface.occlusion.min() >= 0 and surface.occlusion.max() <= 1.001
    grey = {age: sum(sample_hair(Draw(i), 0.0, age, 1.0)["grey"] for i in range(100)) / 100 for age in (0.0, 0.9)}
    assert grey[0.0] < 0.05 and grey[0.9] > 0.4


def test_looks_are_drawn_from_the_seed_and_fit_the_person() -> None:
    assert sample_hair(Draw(1), 1.0, 0.2, 2.0) == sample_hair(Draw(1), 1.0, 0.2, 2.0)
    women = [sample_hair(Draw(i), 1.0, 0.5, 2.0) for i in range(60)]
    men = [sample_hair(Draw(i), 0.0, 0.5, 2.0) for i in range(60)]
    assert not any(look["beard"] or look["moustache"] for look in women) and sum(look["beard"] > 0 for look in men) > 10
    assert all(look["ring"] > 20 for look in women) and 2 < sum(look["ring"] < 20 for look in men) < 30
    assert sum(look["side"] for look in women) > 2 * sum(look["side"] for look in men)
    dark = [sample_hair(Draw(i), 0.0, 0.0, 5.0)["natural"] for i in range(40)]
    light = [sample_hair(Draw(i), 0.0, 0.0, 0.5)["natural"] for i in range(40)]
    assert sum(c[0] for c in dark) < 0.5 * sum(c[0] for c in light)
    assert len(HairLook.stack(men)) == 60
