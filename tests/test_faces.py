"""Batches of faces, their new photographs and their invented children."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from conftest import canonical_face
from torch import Tensor
from torch.nn import functional as F

from faceinpaint.faces import augment as augment_module
from faceinpaint.faces.augment import augment
from faceinpaint.faces.batch import Faces
from faceinpaint.faces.morph import morph, morphed_people
from faceinpaint.landmarks import MIRROR_ORDER, mirror_landmarks
from faceinpaint.masks import face_region

PIXELS, SIZE = 160, 128  # of the source pictures, and of the crops that `augment` makes of them
FACE = canonical_face(SIZE) + (PIXELS - SIZE) / 2
# Landmarks far enough from each other to be found again, and the same set after a flip.
APART = [3, 6, 8, 10, 13, 19, 24, 30, 36, 39, 42, 45, 48, 54]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def people(count: int = 4, photographs: int = 1, pixels: int = 32) -> Faces:
    """Random pictures of `count` people with `photographs` each, landmarks a little different."""
    total = count * photographs
    generator = seeded(0)
    image = torch.rand(total, 3, pixels, pixels, generator=generator)
    landmarks = canonical_face(pixels) + 0.5 * torch.randn(total, 68, 2, generator=generator)
    identity = 10 + torch.arange(count).repeat_interleave(photographs)
    return Faces(image, landmarks, identity, tuple(f"person-{number}" for number in identity.tolist()))


def same(a: Faces, b: Faces) -> bool:
    """Whether all fields are equal."""
    for field in fields(Faces):
        ours, theirs = getattr(a, field.name), getattr(b, field.name)
        if isinstance(ours, Tensor) != isinstance(theirs, Tensor):
            return False
        if not (torch.equal(ours, theirs) if isinstance(ours, Tensor) else ours == theirs):
            return False
    return True


# --- batches


@pytest.mark.parametrize("field", ["landmarks", "identity", "name"])
def test_fields_of_other_lengths_are_refused(field: str) -> None:
    faces = people()
    with pytest.raises(ValueError, match=f"{field} has 3 entries for 4 images"):
        replace(faces, **{field: getattr(faces, field)[:3]})
    assert getattr(replace(faces, **{field: None}), field) is None


@pytest.mark.parametrize("cut", range(5))
def test_a_batch_cut_in_two_and_joined_is_the_same(cut: int) -> None:
    faces = people()
    first, second = faces[:cut], faces[cut:]
    assert (len(first), len(second)) == (cut, 4 - cut)
    assert same(Faces.cat([first, second]), faces)
    assert same(faces[cut:], faces.select(torch.arange(cut, 4)))


def test_selecting_keeps_the_fields_of_a_face_together() -> None:
    faces = people()
    chosen = faces.select(torch.tensor([2, 0, 2]))
    assert chosen.name == ("person-12", "person-10", "person-12") and chosen.identity.tolist() == [12, 10, 12]
    for field in ("image", "landmarks"):
        assert torch.equal(getattr(chosen, field)[1], getattr(faces, field)[0])
        assert torch.equal(getattr(chosen, field)[2], getattr(faces, field)[2])
    order = torch.randperm(4, generator=seeded(0))
    assert same(faces.select(order).select(order.argsort()), faces)


def test_joining_keeps_what_all_have() -> None:
    joined = Faces.cat([people(), replace(people(), landmarks=None), replace(people(), name=None)])
    assert len(joined) == 12 and joined.landmarks is None and joined.name is None
    assert joined.identity.tolist() == people().identity.tolist() * 3


def test_an_index_is_refused_with_the_slice_to_write() -> None:
    with pytest.raises(TypeError, match=r"faces\[2:3\]"):
        people()[2]


def test_moving_takes_every_tensor_along() -> None:
    moved = replace(people(), landmarks=None).to("meta")
    assert moved.image.device.type == moved.identity.device.type == "meta"
    assert moved.landmarks is None and moved.name == people().name


# --- new photographs


def dots(landmarks: Tensor) -> Tensor:
    """Grey pictures with a white dot at each of the landmarks (B, N, 2)."""
    axis = torch.arange(PIXELS).float()
    along = torch.exp(-(axis - landmarks[..., None]).square() / (2 * 1.5**2))
    drawn = torch.einsum("bnh,bnw->bhw", along[:, :, 1], along[:, :, 0])
    return (0.2 + 0.6 * drawn)[:, None].expand(-1, 3, -1, -1).clamp(0, 1)


def found(image: Tensor, landmarks: Tensor) -> Tensor:
    """Centres of brightness around landmarks (B, N, 2) of (B, 3, H, W) pictures."""
    grey = image.mean(1)
    axis = torch.arange(image.shape[-1]).float()
    offset = axis - landmarks[..., None]  # (B, N, 2, W)
    near = (offset[:, :, 1, :, None].abs() <= 6) & (offset[:, :, 0, None, :].abs() <= 6)
    weight = torch.where(near, grey[:, None], 0)
    background = torch.where(near, grey[:, None], torch.inf).amin((-1, -2), keepdim=True)
    highest = weight.amax((-1, -2), keepdim=True)
    weight = (weight - background - 0.3 * (highest - background)).clamp_min(0)
    total = weight.sum((-1, -2))
    x, y = (weight.sum(-2) * axis).sum(-1) / total, (weight.sum(-1) * axis).sum(-1) / total
    return torch.stack([x, y], dim=-1)


@pytest.mark.parametrize("same_person", [False, True])
def test_landmarks_follow_the_pixels(same_person: bool) -> None:
    landmarks = FACE.expand(24, -1, -1)
    seen = augment(Faces(dots(landmarks[:, APART]), landmarks), SIZE, seeded(0), same_person)
    there = seen.landmarks[:, APART]
    inside = ((there > 7) & (there < SIZE - 8)).all(-1)
    error = (found(seen.image, there) - there).norm(dim=-1)[inside]
    assert inside.float().mean() > 0.9
    assert error.mean() < 0.15 and error.max() < 1  # pixels


def plain_faces(count: int) -> Faces:
    noise = torch.rand(count, 3, 10, 10, generator=seeded(3))
    image = F.interpolate(noise, size=PIXELS, mode="bilinear")
    names = tuple("abcdefghijkl"[:count])
    return Faces(image, FACE.expand(count, -1, -1).clone(), torch.arange(count), names)


def test_a_seed_gives_the_same_photographs_and_another_seed_others() -> None:
    faces = plain_faces(6)
    assert same(augment(faces, SIZE, seeded(1)), augment(faces, SIZE, seeded(1)))
    torch.manual_seed(99)  # the global random numbers have no part in it
    assert same(augment(faces, SIZE, seeded(1)), augment(faces, SIZE, seeded(1)))
    first, other = augment(faces, SIZE, seeded(1)), augment(faces, SIZE, seeded(2))
    assert (other.image - first.image).abs().mean() > 0.01
    assert (other.landmarks - first.landmarks).abs().mean() > 0.5


@pytest.mark.parametrize("size", [64, 96, 128])
def test_photographs_have_the_size_asked_for_and_keep_the_names(size: int) -> None:
    faces = plain_faces(6)
    before = plain_faces(6)
    seen = augment(faces, size, seeded(0))
    assert seen.image.shape == (6, 3, size, size) and seen.landmarks.shape == (6, 68, 2)
    assert 0 <= seen.image.min() and seen.image.max() <= 1 and seen.image.isfinite().all()
    assert torch.equal(seen.identity, faces.identity) and seen.name == faces.name
    assert same(faces, before)  # nothing is changed in place
    middle = seen.landmarks[:, 27:31].mean(1) - FACE[:, 27:31].mean(1) + (PIXELS - size) / 2
    assert middle.abs().max() < 0.15 * PIXELS  # the middle of the picture stays the middle


def test_about_half_are_flipped_and_left_stays_left_in_the_image() -> None:
    marked = FACE.expand(64, -1, -1)
    image = torch.zeros(64, 3, PIXELS, PIXELS)
    image[..., : PIXELS // 2] = 0.9  # bright on the left of the picture
    seen = augment(Faces(image, marked), SIZE, seeded(0))
    flipped = seen.image[..., :40].mean((1, 2, 3)) < seen.image[..., -40:].mean((1, 2, 3))
    assert 16 < flipped.sum() < 48
    middle = seen.landmarks[:, 27:31, 0].mean(1)
    for left in (*range(8), *range(17, 22), *range(36, 42), 31, 48):
        assert (seen.landmarks[:, left, 0] < seen.landmarks[:, MIRROR_ORDER[left], 0]).all()
    assert (seen.landmarks[:, 36:42, 0].mean(1) < middle).all()
    assert (seen.landmarks[:, 42:48, 0].mean(1) > middle).all()


def test_the_same_person_keeps_the_proportions() -> None:
    landmarks = (canonical_face(32) + 4).expand(200, -1, -1)
    faces = Faces(torch.zeros(200, 3, 40, 40), landmarks)

    def spreads(same_person: bool) -> Tensor:
        """How much length of nose, mouth and jaw vary, in distances of the eyes."""
        points = augment(faces, 32, seeded(0), same_person).landmarks
        eyes = (points[:, 39] - points[:, 42]).norm(dim=-1)
        pairs = ((31, 35), (51, 57), (4, 12))
        return torch.stack([((points[:, a] - points[:, b]).norm(dim=-1) / eyes).std() for a, b in pairs])

    assert (spreads(False) > 1.3 * spreads(True)).all()


def test_light_and_colour_vary_but_the_picture_remains() -> None:
    faces = plain_faces(8)
    grey = replace(faces, image=torch.full_like(faces.image, 0.5))
    seen = augment(grey, SIZE, seeded(0)).image
    brightness = seen.mean((1, 2, 3))
    assert 0.3 < brightness.min() and brightness.max() < 0.7 and brightness.std() > 0.02
    assert (seen[:, 0] - seen[:, 2]).mean((1, 2)).abs().max() > 0.01  # not grey any more
    assert seen[..., 2:-2, 2:-2].diff(dim=-1).abs().max() < 0.1  # no edges out of nowhere


def test_some_photographs_are_out_of_focus_and_some_compressed_and_most_neither() -> None:
    checks = ((torch.arange(SIZE)[:, None] + torch.arange(SIZE)) % 2).float().expand(200, 3, -1, -1)
    seen = augment_module._degrade(checks, seeded(0))
    contrast = seen.std(dim=(1, 2, 3))
    untouched = (seen == checks).flatten(1).all(dim=1)
    assert 0.6 < untouched.float().mean() < 0.9
    assert (contrast < 0.35).float().mean() == pytest.approx(augment_module.POOR, abs=0.06)  # blurred
    compressed = ~untouched & (contrast > 0.35)
    assert compressed.float().mean() == pytest.approx(augment_module.POOR, abs=0.06)
    assert same(Faces(seen), Faces(augment_module._degrade(checks, seeded(0))))


# --- children


def test_a_face_morphed_with_itself_is_itself() -> None:
    faces = plain_faces(3)
    child = morph(faces, faces)
    assert torch.allclose(child.landmarks, faces.landmarks)
    assert torch.allclose(child.image, faces.image, atol=1e-3)


def test_a_child_is_half_way_in_shape_and_colour() -> None:
    mother, father = FACE - 3, FACE + 3 + 1.5 * torch.randn(1, 68, 2, generator=seeded(0))
    a = Faces(dots(mother[:, APART]), mother)
    b = Faces(dots(father[:, APART]), father)
    child = morph(a, b)
    assert torch.allclose(child.landmarks, (mother + father) / 2)
    there = child.landmarks[:, APART]
    assert (found(child.image, there) - there).norm(dim=-1).max() < 1  # both dots lie on one another
    white = Faces(torch.ones(1, 3, PIXELS, PIXELS), mother)
    black = Faces(torch.zeros(1, 3, PIXELS, PIXELS), father)
    child = morph(white, black)
    column, row = child.landmarks[0, 33].round().long()  # below the nose
    assert (child.image[..., row, column] - 0.5).abs().max() < 0.02


def test_mother_and_father_count_alike_in_shape_and_face_and_hair_is_the_mothers() -> None:
    a, b = people(pixels=128)[:2], people(pixels=128)[2:]
    ours, other = morph(a, b), morph(b, a)
    assert torch.allclose(ours.landmarks, other.landmarks)
    face = face_region(ours.landmarks, 128, forehead=0.2)
    middle = -F.max_pool2d(-face, 41, 1, padding=20) > 0
    assert middle.any()
    assert (ours.image - other.image).abs().mul(middle).max() < 0.05
    outside = F.max_pool2d(face, 41, 1, padding=20) == 0
    alone = morph(a, Faces(torch.zeros_like(b.image), b.landmarks))
    assert (ours.image - alone.image).abs().mul(outside).max() < 1e-3


@pytest.mark.parametrize("photographs", [1, 2])
def test_children_are_numbered_on_from_the_people(photographs: int) -> None:
    faces = people(4, photographs)
    children = morphed_people(faces, 6, seeded(0))
    assert len(children) == 6 * photographs
    numbers = torch.arange(14, 20).repeat_interleave(photographs)
    assert torch.equal(children.identity, numbers)
    assert children.name == tuple(f"morph-{number - 14}" for number in numbers.tolist())
    assert same(children, morphed_people(faces, 6, seeded(0)))
    # Each photograph of a child has two different people for parents, the same ones in all its photographs.
    pairs = [(i, j) for i in range(len(faces)) for j in range(i) if faces.identity[i] != faces.identity[j]]
    between = torch.stack([(faces.landmarks[i] + faces.landmarks[j]) / 2 for i, j in pairs])
    parents = {}
    for landmarks, number in zip(children.landmarks, numbers.tolist()):
        distance = (between - landmarks).abs().amax((1, 2))
        assert distance.min() < 1e-4
        i, j = pairs[distance.argmin()]
        parents.setdefault(number, set()).add(frozenset(faces.identity[[i, j]].tolist()))
    assert all(len(pair) == 1 for pair in parents.values())
    assert len(set.union(*parents.values())) > 2  # and not one pair over again


def test_a_person_with_one_photograph_has_children_with_one() -> None:
    faces = people(3, 2)[1:]  # the first person is left with one photograph
    children = morphed_people(faces, 12, seeded(0))
    counts = children.identity.unique(return_counts=True)[1]
    assert set(counts.tolist()) == {1, 2}


def test_flipping_landmarks_agrees_with_flipping_pixels() -> None:
    lopsided = FACE + 2 * torch.randn(1, 68, 2, generator=seeded(0))
    flipped = mirror_landmarks(lopsided, PIXELS)
    there = flipped[:, [MIRROR_ORDER[index] for index in APART]]
    assert (found(dots(lopsided[:, APART]).flip(-1), there) - there).norm(dim=-1).max() < 0.3
