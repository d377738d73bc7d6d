"""Masks: orientation, coverage of the face, hole ratios, reproducibility."""

from __future__ import annotations

import math

import pytest
import torch
from conftest import canonical_face
from torch import Tensor

from faceinpaint import masks
from faceinpaint.basics.errors import InputError

SIZE = 256


def turned(landmarks: Tensor, degrees: float, scale: float) -> Tensor:
    """The landmarks turned and scaled about the image's centre."""
    angle, centre = math.radians(degrees), (SIZE - 1) / 2
    matrix = scale * torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return (landmarks - centre) @ matrix.T + centre


def at(mask: Tensor, points: Tensor) -> Tensor:
    """The values of one mask at points (N, 2)."""
    x, y = points.round().long().T
    return mask[0, 0, y, x]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


FACE = canonical_face()
POSES = {"upright": FACE, "turned": turned(FACE, 20, 0.8), "upside down": turned(FACE, 180, 0.7)}


def test_the_canonical_face_has_68_distinct_points() -> None:
    assert FACE.shape == (1, 68, 2) and len(torch.unique(FACE[0], dim=0)) == 68


@pytest.mark.parametrize("size", [64, 65, (48, 80)])
def test_halves_are_complementary_and_quarters_tile_the_image(size: int | tuple[int, int]) -> None:
    half = [masks.standard(name, size) for name in ("mask01", "mask02")]
    quarter = {name: masks.standard(name, size) for name in ("mask03", "mask04", "mask05", "mask06")}
    assert (half[0] + half[1] == 1).all()
    assert (sum(quarter.values()) == 1).all()
    assert torch.equal(quarter["mask03"] + quarter["mask04"], half[0])
    assert torch.equal(quarter["mask05"] + quarter["mask06"], half[1])


def test_standard_masks_lie_where_their_names_say() -> None:
    corners = {"mask03": (0, 0), "mask04": (63, 0), "mask05": (0, 63), "mask06": (63, 63)}
    for name, corner in corners.items():
        mask = masks.standard(name, 64)[0, 0]
        hidden = [other for other, (row, column) in corners.items() if mask[row, column] == 1]
        assert hidden == [name] and mask[corner] == 1 and mask.mean() == 0.25
    left, right = masks.standard("mask01", 64), masks.standard("mask02", 64)
    assert left[0, 0, :, 0].all() and not left[0, 0, :, -1].any()
    assert torch.equal(left.flip(-1), right)


@pytest.mark.parametrize("landmarks", POSES.values(), ids=POSES)
def test_masks_7_to_12_are_1_to_6_within_the_face(landmarks: Tensor) -> None:
    region = masks.face_region(landmarks, SIZE)
    for plain, on_face in zip(masks.STANDARD[:6], masks.STANDARD[6:]):
        mask = masks.standard(on_face, SIZE, landmarks)
        assert torch.equal(mask, masks.standard(plain, SIZE) * region)
        assert 0 < mask.sum() < masks.standard(plain, SIZE).sum()


@pytest.mark.parametrize("landmarks", POSES.values(), ids=POSES)
def test_the_face_region_holds_every_landmark_and_a_forehead(landmarks: Tensor) -> None:
    region, points = masks.face_region(landmarks, SIZE), landmarks[0]
    assert at(region, points).all()
    up = points[36:48].mean(0) - points[48:68].mean(0)
    between_brows = points[21:23].mean(0)
    assert at(region, (between_brows + 0.6 * up)[None]).all()
    assert not at(region, (between_brows + 0.9 * up)[None]).any()


def test_every_name_gives_a_binary_float32_mask() -> None:
    for name in masks.NAMES:
        mask = masks.named(name, 96, FACE * 96 / SIZE)
        assert mask.shape == (1, 1, 96, 96) and mask.dtype == torch.float32
        assert set(mask.unique().tolist()) == {0.0, 1.0}, name


def test_masks_follow_each_face_of_a_batch() -> None:
    batch = torch.cat(list(POSES.values()))
    for name in masks.STANDARD[6:] + ("face-mask",):
        together = masks.named(name, SIZE, batch)
        assert torch.equal(together, torch.cat([masks.named(name, SIZE, face) for face in batch.split(1)]))
    assert len(masks.named("irregular", 64, batch)) == len(masks.named("block", 64, batch)) == 3
    assert len(masks.random_training_mask(batch, 64, seeded(0))) == 3


@pytest.mark.parametrize("kind", ["irregular", "block", "random_training_mask"])
def test_seeds_reproduce_and_differ(kind: str) -> None:
    def draw(seed: int) -> Tensor:
        first = FACE.expand(5, -1, -1) if kind == "random_training_mask" else 5
        return getattr(masks, kind)(first, SIZE, seeded(seed))

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))
    assert len(torch.unique(draw(1), dim=0)) > 3  # and one batch is not one mask over again


@pytest.mark.parametrize("size", [64, 256])
@pytest.mark.parametrize("low, high", masks.HOLE_RATIO_BINS)
def test_every_hole_ratio_bin_is_reached(size: int, low: float, high: float) -> None:
    for seed in range(20):
        ratio = masks.hole_ratio(masks.irregular(1, size, seeded(seed), (low, high)))
        assert low < ratio.item() <= high


@pytest.mark.parametrize("low, high", [(0.3, 0.301), (0.999, 1.0), (0.0, 0.001), (0.0998, 0.1)])
def test_narrow_hole_ratios_are_reached_too(low: float, high: float) -> None:
    for seed in range(10):
        ratio = masks.hole_ratio(masks.irregular(1, 100, seeded(seed), (low, high)))
        assert low < ratio.item() <= high


@pytest.mark.parametrize("interval", [(0.5, 0.4), (0.3, 0.3), (-0.1, 0.2), (0.9, 1.2), (0.30001, 0.30002)])
def test_an_impossible_hole_ratio_is_said(interval: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="HOLE_RATIO_BINS"):
        masks.irregular(1, 64, seeded(0), interval)


def test_irregular_masks_without_a_ratio_reach_every_bin() -> None:
    ratios = masks.hole_ratio(masks.irregular(60, 64, seeded(0)))
    for low, high in masks.HOLE_RATIO_BINS:
        assert ((ratios > low) & (ratios <= high)).any()


def test_blocks_are_one_rectangle_of_a_quarter_to_half_the_side() -> None:
    for mask in masks.block(50, (64, 128), seeded(0))[:, 0]:
        rows, columns = mask.any(1).sum().item(), mask.any(0).sum().item()
        assert 16 <= rows <= 32 and 32 <= columns <= 64
        assert mask.sum() == rows * columns


@pytest.mark.parametrize("shape", masks.FACE_MASK_SHAPES)
@pytest.mark.parametrize("pose", POSES)
def test_a_face_mask_covers_nose_mouth_and_chin_but_not_the_eyes(shape: str, pose: str) -> None:
    landmarks = POSES[pose]
    mask = masks.face_mask(landmarks, SIZE, shape)
    nose_mouth_chin = landmarks[0, [30, 31, 33, 35, *range(48, 68), 7, 8, 9]]
    assert at(mask, nose_mouth_chin).all()
    eyes_and_brows = landmarks[0, [*range(36, 48), *range(17, 27)]]
    assert not at(mask, eyes_and_brows).any()


@pytest.mark.parametrize("shape", masks.FACE_MASK_SHAPES)
def test_a_face_mask_turns_and_grows_with_the_face(shape: str) -> None:
    upright = turned(FACE, 0, 0.8) - torch.tensor([0, 20])  # higher, so that the scarf's end is inside
    mask = masks.face_mask(upright, SIZE, shape)
    turned_mask = masks.face_mask(turned(upright, 20, 0.8), SIZE, shape)
    # The pixels of the turned mask, looked up in the upright one.
    rows, columns = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    pixels = torch.stack([columns, rows], dim=-1).reshape(1, -1, 2).float()
    source = turned(pixels, -20, 1 / 0.8)[0].clamp(0, SIZE - 1)
    expected = at(mask, source).reshape(1, 1, SIZE, SIZE)
    overlap = (turned_mask * expected).sum() / torch.maximum(turned_mask, expected).sum()
    assert overlap > 0.97


def test_face_mask_shapes_are_really_different() -> None:
    drawn = [masks.face_mask(FACE, SIZE, shape) for shape in masks.FACE_MASK_SHAPES]
    assert len(drawn) >= 3
    for i, one in enumerate(drawn):
        for other in drawn[:i]:
            assert (one * other).sum() / torch.maximum(one, other).sum() < 0.9


@pytest.mark.parametrize("radius", [1.5, 4, 10, 25])
def test_a_dot_has_the_area_of_its_disc(radius: float) -> None:
    mask = masks.strokes([[radius, [60.0, 70.0]]], (128, 160))
    assert mask.shape == (1, 1, 128, 160)
    assert mask.sum().item() == pytest.approx(math.pi * radius**2, rel=0.08, abs=2)
    rows, columns = mask[0, 0].nonzero().float().mean(0).tolist()
    assert (columns, rows) == pytest.approx((60, 70), abs=0.3)


@pytest.mark.parametrize("end", [(90, 30), (30, 90), (80, 75)])
def test_a_line_has_the_area_of_a_capsule(end: tuple[int, int]) -> None:
    length = math.dist((30, 30), end)
    mask = masks.strokes([[6, [30, 30, *end]]], 128)
    assert mask.sum().item() == pytest.approx(12 * length + math.pi * 36, rel=0.04)
    assert mask[0, 0, 30, 30] == mask[0, 0, end[1], end[0]] == 1


def test_strokes_add_up_and_have_round_joints() -> None:
    first, second = [5, [20, 20, 60, 20, 60, 60]], [3, [100, 100]]
    both = masks.strokes([first, second], 128)
    assert torch.equal(both, torch.maximum(masks.strokes([first], 128), masks.strokes([second], 128)))
    assert both[0, 0, 17, 63] == 1 and both[0, 0, 16, 64] == 0  # the corner is rounded, not cut, not square
    assert masks.strokes([], 128).sum() == 0
    assert masks.strokes([[5, [500, 500]]], 128).sum() == 0  # outside: nothing to draw, no error


@pytest.mark.parametrize(
    "stroke", [[5], [5, [1]], [0, [1, 1]], [5, []], [5, [1, math.nan]], ["a", [1, 1]], 3]
)
def test_a_malformed_stroke_is_said(stroke: list) -> None:
    with pytest.raises(InputError, match=r"\[radius, \[x, y"):
        masks.strokes([stroke], 64)


@pytest.mark.parametrize(
    "wrong, nearest",
    [("mask1", "mask01"), ("mask7", "mask07"), ("iregular", "irregular"), ("facemask", "face-mask")],
)
def test_an_unknown_name_gets_the_nearest_and_all_names(wrong: str, nearest: str) -> None:
    with pytest.raises(InputError) as error:
        masks.named(wrong, 64)
    assert f"did you mean {nearest!r}" in str(error.value)
    assert all(name in str(error.value) for name in masks.NAMES)


def test_other_bad_input_is_said() -> None:
    with pytest.raises(InputError, match="did you mean 'surgical'"):
        masks.face_mask(FACE, 64, "surgicl")
    for name in masks.STANDARD[6:] + ("face-mask",):
        with pytest.raises(InputError, match="needs its landmarks"):
            masks.named(name, 64)
    with pytest.raises(InputError, match="NaN"):
        masks.face_region(torch.full((1, 68, 2), math.nan), 64)
    with pytest.raises(InputError, match=r"\(B, 68, 2\)"):
        masks.face_region(torch.zeros(68, 2), 64)
    with pytest.raises(InputError, match="too small"):
        masks.standard("mask01", 0)


def test_named_without_a_generator_is_always_the_same() -> None:
    for name in ("irregular", "block"):
        assert torch.equal(masks.named(name, 64), masks.named(name, 64))
        assert not torch.equal(masks.named(name, 64), masks.named(name, 64, generator=seeded(7)))


def test_training_masks_mix_every_kind_and_survive_unknown_landmarks() -> None:
    assert sum(masks.TRAINING_MIX.values()) == pytest.approx(1)
    size = 64
    faces = (FACE * size / SIZE).expand(300, -1, -1)
    drawn = masks.random_training_mask(faces, size, seeded(0))
    fixed = [masks.standard(name, size, faces[:1]) for name in masks.STANDARD]
    fixed += [masks.face_mask(faces[:1], size, shape) for shape in masks.FACE_MASK_SHAPES]
    for mask in fixed:
        assert (drawn == mask).flatten(1).all(1).any()
    assert 0 < drawn.flatten(1).sum(1).min()
    unknown = masks.random_training_mask(torch.full((50, 68, 2), math.nan), size, seeded(0))
    assert (masks.hole_ratio(unknown) > 0).all()


def test_large_training_holes_leave_little() -> None:
    drawn = masks.random_training_mask(FACE.expand(60, -1, -1), SIZE, seeded(0), {"large": 1.0})
    ratios = masks.hole_ratio(drawn)
    blocks = [mask.sum() == mask.any(1).sum() * mask.any(0).sum() for mask in drawn[:, 0]]
    low, high = masks.LARGE_HOLE
    for ratio, is_block in zip(ratios.tolist(), blocks):
        assert 0.58**2 < ratio < 0.94**2 if is_block else low < ratio <= high
    assert ((drawn == 0) | (drawn == 1)).all() and drawn.dtype == torch.float32
    assert 5 < sum(blocks) < 35 and len(torch.unique(drawn, dim=0)) == 60


@pytest.mark.parametrize("pose", POSES)
@pytest.mark.parametrize("points", masks.PARTS, ids=["eyes", "mouth"])
def test_a_hidden_part_covers_its_landmarks_and_little_more(pose: str, points: slice) -> None:
    landmarks, (other,) = POSES[pose], [part for part in masks.PARTS if part != points]
    narrow, wide = (masks.part(landmarks, SIZE, points, margin) for margin in (0.1, 0.4))
    for mask in (narrow, wide):
        assert mask.shape == (1, 1, SIZE, SIZE) and ((mask == 0) | (mask == 1)).all()
        assert (at(mask, landmarks[0, points]) == 1).all() and (at(mask, landmarks[0, other]) == 0).all()
    assert (narrow <= wide).all() and narrow.sum() < wide.sum()


def test_training_hides_eyes_and_mouth_unless_nobody_knows_where_they_are() -> None:
    drawn = masks.random_training_mask(FACE.expand(40, -1, -1), SIZE, seeded(0), {"part": 1.0})
    hidden = [[(at(mask[None], FACE[0, points]) == 1).all().item() for points in masks.PARTS] for mask in drawn]
    assert all(sum(parts) == 1 for parts in hidden) and len(set(map(tuple, hidden))) == 2
    unknown = masks.random_training_mask(torch.full((4, 68, 2), math.nan), SIZE, seeded(0), {"part": 1.0})
    assert (masks.hole_ratio(unknown) > 0).all()


def test_where_little_is_seen_face_masks_are_frequent() -> None:
    assert sum(masks.UNSEEN_MIX.values()) == pytest.approx(1) and set(masks.UNSEEN_MIX) == set(masks.TRAINING_MIX)
    size = 32
    faces = (FACE * size / SIZE).expand(400, -1, -1)
    worn = [masks.face_mask(faces[:1], size, shape) for shape in masks.FACE_MASK_SHAPES]
    for mix in (masks.TRAINING_MIX, masks.UNSEEN_MIX):
        drawn = masks.random_training_mask(faces, size, seeded(0), mix)
        share = sum((drawn == mask).flatten(1).all(1).float().mean().item() for mask in worn)
        assert share == pytest.approx(mix["face-mask"], abs=0.07)


@pytest.mark.parametrize("slope", [0.1, 0.35, 1.0])
def test_a_smoothed_mask_has_no_steps_and_is_nowhere_smaller(slope: float) -> None:
    x, y = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="xy")
    steps = (slope * (x - 20) + 0.3 < y - 20).float()[None, None]
    large = masks.smoothed(steps, 8)
    assert (large >= steps.repeat_interleave(8, 2).repeat_interleave(8, 3)).all()
    assert torch.equal(masks.smoothed(steps, 1), steps)
    edge = large[0, 0, 80:-80].sum(0)
    edge = edge[(edge > 0) & (edge < 160)].diff()  # from a column to the next, which steps would make 8 or 0
    assert len(edge) > 50 and (edge + slope).abs().max() <= 1 + 0.5 * slope
