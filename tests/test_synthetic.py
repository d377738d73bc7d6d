"""The renderer: people and photographs from integers, and the truth that comes with every picture."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from faceinpaint.faces import synthetic
from faceinpaint.faces.align import five_points
from faceinpaint.faces.synthetic import LABELS, camera, maths, raster
from faceinpaint.landmarks import mirror_landmarks

SIZE = 96


def calm(pose: synthetic.Pose, **changes: float) -> synthetic.Pose:
    """The same photographs from the front, with a neutral face in soft light, and what is asked for."""
    zero = dict.fromkeys(
        ("yaw", "pitch", "roll", "mouth_open", "smile", "teeth", "blink", "brow_raise", "gaze_x", "gaze_y", "glasses",
         "grain", "blur", "shift_x", "shift_y"), 0.0)
    wanted = {**zero, "zoom": 1.0, **changes}
    return replace(pose, **{name: torch.full_like(getattr(pose, name), value) for name, value in wanted.items()})



@pytest.fixture(scope="module")
def people() -> synthetic.Identity:
    return synthetic.identities(range(4))


@pytest.fixture(scope="module")
def frontal(people: synthetic.Identity) -> synthetic.RenderedFaces:
    return synthetic.render(people, calm(synthetic.poses(range(4))), SIZE)


def share(faces: synthetic.RenderedFaces, name: str) -> torch.Tensor:
    """Share of the pixels of each picture that have a label."""
    return (faces.segmentation == LABELS.index(name)).float().mean((1, 2))


def near_label(faces: synthetic.RenderedFaces, names: tuple[str, ...], landmarks: slice, reach: int) -> torch.Tensor:
    """Which landmarks have one of the labels within `reach` pixels, (B, n) bool."""
    wanted = torch.zeros_like(faces.segmentation, dtype=torch.float32)
    for name in names:
        wanted[faces.segmentation == LABELS.index(name)] = 1
    grown = torch.nn.functional.max_pool2d(wanted[:, None], 2 * reach + 1, 1, reach)[:, 0]
    points = faces.landmarks[:, landmarks].round().long().clamp(0, SIZE - 1)
    return torch.stack([grown[b, points[b, :, 1], points[b, :, 0]] > 0 for b in range(len(faces))])


# ------------------------------------------------------------------------------------------ the truth


def test_a_picture_comes_with_everything_that_is_known(frontal):
    assert frontal.image.shape == (4, 3, SIZE, SIZE) and frontal.image.dtype == torch.float32
    assert frontal.image.min() >= 0 and frontal.image.max() <= 1 and frontal.image.std() > 0.05
    assert frontal.landmarks.shape == (4, 68, 2) and frontal.visible.shape == (4, 68)
    assert frontal.segmentation.shape == (4, SIZE, SIZE) and frontal.segmentation.dtype == torch.uint8
    assert frontal.angles.abs().max() == 0
    assert not frontal.image.requires_grad
    assert frontal.identity.tolist() == [0, 1, 2, 3]


def test_landmarks_lie_on_what_they_name(frontal):
    assert near_label(frontal, ("eyes",), slice(36, 48), 2).all()
    assert near_label(frontal, ("mouth",), slice(48, 68), 2).all()
    assert near_label(frontal, ("nose",), slice(28, 36), 2).all()
    assert near_label(frontal, ("brows", "hair"), slice(17, 27), 3).float().mean() > 0.9


def test_the_inside_of_the_eyes_and_the_lips_is_labelled(frontal):
    landmarks = frontal.landmarks
    centres = torch.cat([landmarks[:, 36:42].mean(1, keepdim=True), landmarks[:, 42:48].mean(1, keepdim=True)], 1)
    for person in range(4):
        for x, y in centres[person].round().long():
            assert LABELS[frontal.segmentation[person, y, x]] in ("eyes", "glasses", "hair")
        x, y = landmarks[person, 62].round().long()
        assert LABELS[frontal.segmentation[person, y, x]] == "mouth"


def test_landmarks_are_in_the_order_of_ibug(frontal):
    left, right, nose, mouth_left, mouth_right = five_points(frontal.landmarks).unbind(1)
    assert (left[:, 0] < nose[:, 0]).all() and (nose[:, 0] < right[:, 0]).all()
    assert (left[:, 1] < nose[:, 1]).all() and (nose[:, 1] < mouth_left[:, 1]).all()
    assert (mouth_left[:, 0] < mouth_right[:, 0]).all()
    chin = frontal.landmarks[:, 8]
    assert (chin[:, 1] >= frontal.landmarks[:, :17, 1].max(1).values - 0.01).all()


def test_a_turned_head_hides_the_far_side_of_its_jaw(people):
    faces = synthetic.render(people, calm(synthetic.poses(range(4)), yaw=0.9), SIZE)
    # Turned to the right of the picture, the right end of the jaw goes behind the cheek.
    assert not faces.visible[:, 14:17].any()
    assert faces.visible[:, 2:8].all()
    assert faces.visible[:, 27:31].all()
    assert torch.allclose(faces.angles[:, 0], torch.full((4,), 51.566), atol=0.01)


def test_nothing_of_a_frontal_face_is_hidden(frontal):
    assert frontal.visible[:, 17:].all()
    assert frontal.visible.float().mean() > 0.97


@pytest.mark.parametrize("angle, axis, sign", [("yaw", 0, 1), ("pitch", 1, 1)])
def test_the_nose_goes_where_the_head_turns(people, frontal, angle, axis, sign):
    turned = synthetic.render(people, calm(synthetic.poses(range(4)), **{angle: 0.3}), SIZE)
    def offset(faces):
        eyes = faces.landmarks[:, 36:48].mean(1)
        return (faces.landmarks[:, 30] - eyes)[:, axis]
    assert (sign * (offset(turned) - offset(frontal)) > 1).all()


def test_roll_tilts_the_line_between_the_eyes(people):
    faces = synthetic.render(people, calm(synthetic.poses(range(4)), roll=0.2), SIZE)
    left, right = faces.landmarks[:, 36:42].mean(1), faces.landmarks[:, 42:48].mean(1)
    tilt = torch.atan2(left[:, 1] - right[:, 1], right[:, 0] - left[:, 0])
    assert torch.allclose(tilt, torch.full((4,), 0.2), atol=0.04)


def symmetric(person: synthetic.Identity) -> synthetic.Identity:
    """Without what makes two halves of a face differ."""
    head = replace(person.head, lopsided=person.head.lopsided * 0)
    return replace(person, head=head, nose=replace(person.nose, bend=person.nose.bend * 0))


def test_a_mirrored_pose_gives_mirrored_landmarks_and_segmentation(people):
    person = symmetric(people)
    pose = calm(synthetic.poses(range(4)), yaw=0.35, roll=0.1, gaze_x=0.1)
    other = calm(synthetic.poses(range(4)), yaw=-0.35, roll=-0.1, gaze_x=-0.1)
    one, two = synthetic.render(person, pose, SIZE), synthetic.render(person, other, SIZE)
    assert (mirror_landmarks(one.landmarks, SIZE) - two.landmarks).abs().max() < 0.15
    inner = ("skin", "nose", "mouth", "eyes")  # hair has a parting, clothes have folds
    a, b = one.segmentation.flip(2).long(), two.segmentation.long()
    inside = torch.zeros(len(LABELS), dtype=torch.bool)
    inside[[LABELS.index(name) for name in inner]] = True
    both = inside[a] & inside[b]
    assert (a == b)[both].float().mean() > 0.97


# ------------------------------------------------------------------------------------------ what the parameters do


def test_a_blink_hides_the_eyeballs_and_an_open_mouth_shows_its_inside(people, frontal):
    shut = synthetic.render(people, calm(synthetic.poses(range(4)), blink=1.0), SIZE)
    assert (share(shut, "eyes") < 0.35 * share(frontal, "eyes")).all()
    agape = synthetic.render(people, calm(synthetic.poses(range(4)), mouth_open=0.8), SIZE)
    assert (share(agape, "mouth") > 1.4 * share(frontal, "mouth")).all()
    gap = agape.landmarks[:, 66, 1] - agape.landmarks[:, 62, 1]
    assert (gap > 3).all() and (frontal.landmarks[:, 66, 1] - frontal.landmarks[:, 62, 1] < 1).all()
    assert (agape.landmarks[:, 8, 1] > frontal.landmarks[:, 8, 1] + 2).all()


def test_a_smile_widens_the_mouth_and_lifts_its_corners(people, frontal):
    smiling = synthetic.render(people, calm(synthetic.poses(range(4)), smile=1.0), SIZE)
    width = lambda faces: faces.landmarks[:, 54, 0] - faces.landmarks[:, 48, 0]  # noqa: E731
    assert (width(smiling) > 1.1 * width(frontal)).all()
    lift = lambda faces: faces.landmarks[:, 62, 1] - faces.landmarks[:, [48, 54], 1].mean(1)  # noqa: E731
    assert (lift(smiling) > lift(frontal) + 0.5).all()


def test_only_those_who_wear_glasses_have_them(people, frontal):
    wearing = synthetic.render(people, calm(synthetic.poses(range(4)), glasses=1.0), SIZE)
    assert (share(frontal, "glasses") == 0).all() and (share(wearing, "glasses") > 0.003).all()


def test_light_comes_from_where_it_is_said_to(people):
    pose = calm(synthetic.poses(range(4)))
    keys = [torch.tensor([x, 0.2, 0.4]).view(1, 3, 1, 1).expand_as(pose.key) for x in (-1.0, 1.0)]
    left, right = (replace(pose, key=key) for key in keys)
    bright = []
    for lit in (left, right):
        faces = synthetic.render(people, lit, SIZE)
        cheeks = faces.landmarks[:, [2, 14]] * 0.55 + faces.landmarks[:, [31, 35]] * 0.45
        x, y = cheeks.round().long().unbind(-1)
        grey = faces.image.mean(1)
        bright.append(torch.stack([grey[b, y[b], x[b]] for b in range(4)]))
    assert (bright[0][:, 0] > bright[0][:, 1]).all() and (bright[1][:, 1] > bright[1][:, 0]).all()


# ------------------------------------------------------------------------------------------ integers


def test_the_same_integers_give_the_same_picture_in_any_batch(people):
    poses = synthetic.poses(range(10, 14))
    together = synthetic.render(people, poses, 64)
    for i in (0, 3):
        alone = synthetic.render(synthetic.identities([i]), synthetic.poses([10 + i]), 64)
        assert torch.allclose(alone.landmarks[0], together.landmarks[i], atol=1e-3)
        assert (alone.image[0] - together.image[i]).abs().mean() < 1e-3
        assert (alone.segmentation[0] == together.segmentation[i]).float().mean() > 0.999


def test_photographs_of_a_person_share_the_person(people):
    shared = synthetic.render(people.select(torch.tensor([0, 1])), synthetic.poses(range(6)), 64)
    assert shared.identity.tolist() == [0, 0, 0, 1, 1, 1]
    fifth = synthetic.render(people.select(torch.tensor([1])), synthetic.poses([4]), 64)
    assert (fifth.image[0] - shared.image[4]).abs().mean() < 1e-3


def test_photographs_that_do_not_divide_among_people_are_refused(people):
    with pytest.raises(ValueError, match="5 photographs"):
        synthetic.render(people, synthetic.poses(range(5)), 64)


def test_another_integer_is_another_person():
    one, two = synthetic.identities([1]), synthetic.identities([2])
    assert not torch.equal(one.head.relief, two.head.relief)
    assert torch.equal(one.head.relief, synthetic.identities([2, 1]).head.relief[1:])


def test_yaw_reaches_sixty_degrees_and_stays_within_a_given_limit():
    wide = synthetic.poses(range(400)).yaw
    assert 0.8 < wide.abs().max() <= 1.0473
    assert synthetic.poses(range(400), max_yaw=0.2).yaw.abs().max() <= 0.2001  # not clamped: none piles up at the limit
    assert (synthetic.poses(range(400), max_yaw=0.2).yaw.abs() > 0.199).sum() < 10


def test_parameters_can_be_picked_and_moved(people):
    picked = people.select(torch.tensor([2, 0]))
    assert len(picked) == 2
    assert torch.equal(picked.hair.colour[0], people.hair.colour[2])
    assert torch.equal(picked.to("cpu").nose.width, picked.nose.width)


# ------------------------------------------------------------------------------------------ formulas


def test_smooth_maximum_is_the_maximum_far_from_the_seam_and_above_it_near():
    a, b = torch.linspace(-2, 2, 41), torch.zeros(41)
    smooth = maths.smooth_max(a, b, 0.5)
    assert (smooth >= torch.maximum(a, b)).all()
    assert torch.equal(smooth[a.abs() > 0.51], torch.maximum(a, b)[a.abs() > 0.51])
    assert torch.allclose(maths.smooth_min(a, b, 0.5), -maths.smooth_max(-a, -b, 0.5))


def test_twins_have_no_ridge_on_the_midline():
    x = torch.linspace(-0.2, 0.2, 5, dtype=torch.float64)
    y = maths.twins(x, 1.0, 1.5)
    assert torch.allclose(y, y.flip(0))
    assert (y[3] - y[2]).abs() < 0.4 * (y[4] - y[3]).abs()  # flat in the middle: 1 to 3, not 1 to 1


def test_a_blur_keeps_the_mean_and_a_constant():
    x = torch.rand(1, 2, 20, 20, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(maths.blur(torch.ones_like(x), 3), torch.ones_like(x))
    assert maths.blur(x, 2).std() < 0.5 * x.std()
    assert maths.blur(x, 0) is x


def test_normals_of_a_plane_and_of_a_sphere_point_outwards():
    row, column = torch.meshgrid(torch.linspace(1, -1, 9), torch.linspace(-1, 1, 9), indexing="ij")
    plane = torch.stack([column, row, torch.zeros_like(row)])[None]
    assert torch.allclose(maths.normals(plane)[0, :, 4, 4], torch.tensor([0.0, 0.0, 1.0]), atol=1e-6)
    sphere = torch.stack([column, row, (3 - column**2 - row**2).sqrt()])[None]
    inner = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    assert (maths.dot(maths.normals(sphere), maths.unit(sphere))[inner] > 0.995).all()


def test_noise_has_mean_zero_and_repeats_with_period_one():
    x = torch.rand(1, 50, 50, generator=torch.Generator().manual_seed(0))
    y = x.flip(2)
    for kind in maths.KINDS:
        values = maths.noise(kind, x, y)
        assert torch.allclose(values, maths.noise(kind, x + 3, y - 2), atol=2e-3)
        assert values.mean().abs() < 0.3 and 0.5 < values.std() < 1.5


def test_rotations_are_rotations():
    angles = torch.tensor([0.3, -1.0, 0.8])[:, None, None]
    turn = camera.rotation(angles, 0.5 * angles, -angles)
    assert torch.allclose(turn @ turn.transpose(1, 2), torch.eye(3).expand(3, 3, 3), atol=1e-6)
    assert torch.allclose(torch.linalg.det(turn), torch.ones(3), atol=1e-6)


def drawn(pixel: torch.Tensor, depth: torch.Tensor, colour: torch.Tensor, label: torch.Tensor, size: int):
    """Colours, depths and labels of one picture of loose points."""
    return raster.splat([raster.Points(pixel, depth, colour, label)], 1, size)


def test_the_nearest_point_wins_and_its_neighbours_in_depth_are_averaged():
    pixel = torch.tensor([5, 5, 5, 9])
    depth = torch.tensor([10.0, 10.05, 12.0, 11.0])
    colour = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [1, 1, 1]])
    image, z, label = drawn(pixel, depth, colour, torch.tensor([1.0, 2, 3, 4]), 4)
    assert torch.allclose(image[0, :, 1, 1], torch.tensor([0.5, 0.5, 0.0]))
    assert z[0, 0, 1, 1] == 10 and label[0, 0, 1, 1] == 1 and label[0, 0, 2, 1] == 4
    assert z[0, 0, 3, 3] == raster.FAR


def test_a_pinhole_between_splats_is_closed_and_the_outline_is_not_moved():
    size = 16
    row, column = torch.meshgrid(torch.arange(4, 12), torch.arange(4, 12), indexing="ij")
    pixel = (row * size + column).flatten()
    pixel = pixel[pixel != 8 * size + 8]
    depth, grey = torch.full((len(pixel),), 9.0), torch.full((len(pixel), 3), 0.4)
    image, z, label = drawn(pixel, depth, grey, torch.ones(len(pixel)), size)
    covered = z[0, 0] < raster.FAR
    assert covered.sum() == 64 and covered[8, 8] and label[0, 0, 8, 8] == 1
    assert torch.allclose(image[0, :, 8, 8], torch.tensor(0.4), atol=1e-4)


def test_a_slice_of_rendered_faces_keeps_their_truth(frontal):
    part = frontal[1:3]
    assert isinstance(part, synthetic.RenderedFaces)
    assert torch.equal(part.segmentation, frontal.segmentation[1:3])
    picked = frontal.select(torch.tensor([3, 0]))
    assert torch.equal(picked.visible, frontal.visible[[3, 0]])
    joined = synthetic.RenderedFaces.cat([part, picked])
    assert torch.equal(joined.angles, torch.cat([part.angles, picked.angles])) and len(joined) == 4
