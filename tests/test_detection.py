"""Faces are found as they lie, by what is visible of them, and what is taken for one is not believed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image
from test_align import psnr
from torch import Tensor

from faceinpaint.completion import Completer
from faceinpaint.faces import align, detection, mtcnn
from faceinpaint.faces.align import Crop
from faceinpaint.faces.photos import to_image, to_tensor


@pytest.fixture(scope="module")
def found(astronaut) -> detection.Detection:
    """The astronaut's face as it is detected."""
    return detection.detect(astronaut)[0]


@pytest.fixture(scope="module")
def completer() -> Completer:
    return Completer.from_pretrained()


@pytest.fixture(scope="module")
def portrait(astronaut) -> Image.Image:
    return astronaut.crop((96, 0, 352, 256))


def rectangle(left: int, top: int, right: int, bottom: int, size: int = 256) -> Tensor:
    mask = torch.zeros(1, 1, size, size)
    mask[..., top:bottom, left:right] = 1
    return mask


def apart(first: Crop, second: Crop) -> float:
    """How far two crops lie apart, and differ in size, over the half side of the first."""
    return math.dist(first.centre, second.centre) / first.half_side + abs(second.half_side / first.half_side - 1)


# ------------------------------------------------------------------------------------ detection


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("side, smallest, thresholds", [
    (512, 20, detection.THRESHOLDS), (300, 40, detection.OF_PARTS), (1000, 20, detection.THRESHOLDS),
])
def test_the_networks_say_what_their_authors_code_says(astronaut, side, smallest, thresholds):
    from facenet_pytorch import MTCNN

    pixels = np.array(astronaut.resize((side, side)))
    theirs = MTCNN(min_face_size=smallest, factor=mtcnn.STEP, keep_all=True, thresholds=thresholds, device="cpu").eval()
    boxes, sure, points = (np.asarray(one, np.float32) for one in theirs.detect(pixels, landmarks=True))
    ours = mtcnn.look(pixels, smallest, thresholds)
    assert np.allclose(ours[0], np.column_stack([boxes, sure]), rtol=0, atol=1e-3)
    assert np.allclose(ours[1], points, rtol=0, atol=1e-3)
    assert len(mtcnn.look(np.zeros_like(pixels), smallest, thresholds)[0]) == 0


def test_astronaut_is_found(astronaut):
    mtcnn._weights.cache_clear()
    before = torch.random.get_rng_state()
    faces = detection.detect(astronaut)
    assert torch.equal(torch.random.get_rng_state(), before)  # loading the detector draws no random numbers
    assert len(faces) == 1
    assert faces[0].probability > 0.99
    expected = torch.tensor([[203.0, 101.0], [246.0, 102.0], [224.0, 128.0], [201.0, 139.0], [244.0, 141.0]])
    assert (faces[0].points - expected).norm(dim=1).max() < 4
    left, top, right, bottom = faces[0].box.tolist()
    assert 170 < left < 190 and 50 < top < 75 and 255 < right < 275 and 160 < bottom < 185


def test_detection_repeats_itself(astronaut, found):
    again = detection.detect(astronaut)
    assert torch.equal(again[0].points, found.points) and torch.equal(again[0].box, found.box)


def test_detected_crop_has_level_eyes_in_its_upper_middle(found):
    points = found.points
    left_eye, right_eye = align.to_crop(points, align.crop_from_points(points), 256)[:2].tolist()
    assert abs(left_eye[1] - right_eye[1]) < 4
    assert left_eye[0] == pytest.approx(96, abs=6) and right_eye[0] == pytest.approx(160, abs=6)
    assert left_eye[1] == pytest.approx(121, abs=6)


@pytest.mark.parametrize("degrees", [-40, 30])
def test_tilted_photo_is_cut_upright(astronaut, found, degrees):
    tilted = astronaut.crop((96, 0, 352, 256)).rotate(degrees, Image.Resampling.BICUBIC)
    crops = [align.crop_from_points(points) for points in (found.points, detection.detect(tilted)[0].points)]
    first = align.cut(to_tensor(astronaut), crops[0], 256)
    second = align.cut(to_tensor(tilted), crops[1], 256)
    assert crops[1].half_side == pytest.approx(crops[0].half_side, rel=0.03)
    angles = [math.degrees(math.atan2(crop.axis_x[1], crop.axis_x[0])) for crop in crops]
    assert angles[1] - angles[0] == pytest.approx(-degrees, abs=2)
    assert psnr(first[..., 64:-48, 64:-64], second[..., 64:-48, 64:-64]) > 23


def test_large_photo_has_its_points_in_its_own_pixels(astronaut, found):
    large = detection.detect(astronaut.crop((0, 0, 300, 300)).resize((1200, 1200)))[0]
    assert ((large.points + 0.5) / 4 - 0.5 - found.points).norm(dim=1).max() < 2.5
    assert ((large.box + 0.5) / 4 - 0.5 - found.box).abs().max() < 8


def test_largest_face_comes_first(astronaut):
    face = astronaut.crop((130, 20, 330, 220))
    both = Image.new("RGB", (360, 200))
    both.paste(face.resize((150, 150)), (0, 0))
    both.paste(face, (160, 0))
    first, second = detection.detect(both)
    assert first.points[2, 0] > 160 > second.points[2, 0]


def test_neighbour_is_not_taken_for_the_face_itself(astronaut, monkeypatch):
    points = torch.tensor([[88.0, 80], [112, 80], [100, 92], [90, 104], [110, 104]])
    face = detection.Detection(points, torch.zeros(4), 1.0)
    beside = face._replace(points=face.points + 110)
    answers = iter([[face], [beside]])
    monkeypatch.setattr(detection, "_mtcnn", lambda *given: next(answers))
    (found,) = detection.detect(astronaut.crop((0, 0, 200, 200)))
    assert torch.equal(found.points, face.points)


@pytest.mark.parametrize("size", [(32, 32), (300, 200), (3000, 40), (40, 1500)])
def test_no_face_is_an_empty_list(size):
    assert detection.detect(Image.new("RGB", size, "grey")) == []


# ------------------------------------------------------------------------------------ who is believed

HOLES = {  # in `portrait`, whose face reaches from 80 to 180 and from 55 to 190
    "left half": (0, 0, 128, 256), "right half": (128, 0, 256, 256), "eyes": (85, 80, 175, 122),
    "mouth and chin": (70, 128, 190, 200),
}


@pytest.mark.parametrize("hole", HOLES)
def test_what_is_hidden_has_no_influence_on_where_a_face_is_found(portrait, completer, hole):
    """Noise, one colour, or the picture itself upside down beneath a mask: the same crop to the last digit."""
    mask = rectangle(*HOLES[hole])
    pixels, random = to_tensor(portrait), torch.Generator().manual_seed(0)
    beneath = torch.rand(pixels.shape, generator=random), torch.zeros_like(pixels), pixels.flip(2)
    photos = [to_image(torch.where(mask > 0.5, one, pixels)) for one in beneath]
    first, *others = [completer.find(photo, mask)[0] for photo in photos]
    assert others == [first, first]
    assert apart(completer.find(portrait)[0], first) < 0.15


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_face_is_found_as_it_lies(portrait, completer, quarters):
    ways = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
    upright, lying = completer.find(portrait)[0], completer.find(portrait.transpose(ways[quarters - 1]))[0]
    assert lying.half_side == pytest.approx(upright.half_side, rel=0.02)
    angles = [math.degrees(math.atan2(crop.axis_x[1], crop.axis_x[0])) for crop in (upright, lying)]
    assert (angles[0] - angles[1]) % 360 == pytest.approx(90 * quarters, abs=3)


def test_who_is_not_confirmed_by_landmarks_is_not_believed(portrait):
    """MTCNN finds the face, and landmarks that lie elsewhere make it none; those that agree make it one."""
    pixels = to_tensor(portrait)
    points = detection.detect(portrait)[0].points
    crop = align.crop_from_points(points)
    there = align.to_crop(points.double(), crop, detection.GLANCE_SIDE).float()

    def predict(shift: float):
        def landmarks(image: Tensor, mask: Tensor) -> Tensor:
            found = torch.zeros(1, 68, 2)
            for where, point in zip((slice(36, 42), slice(42, 48), 30, 48, 54), there):
                found[:, where] = point + shift
            return found
        return landmarks

    assert detection.find(portrait, pixels, None, predict(0.0), None) == [crop]
    assert detection.find(portrait, pixels, None, predict(0.1 * detection.GLANCE_SIDE), None) == []


def test_a_small_face_in_a_large_photo_is_found_by_a_closer_look(portrait, completer):
    large = Image.new("RGB", (6000, 4000), (90, 110, 90))
    large.paste(portrait.resize((160, 160)), (4200, 1700))  # its face has some 60 pixels
    assert detection.detect(large) == []
    (crop,) = completer.find(large)
    assert math.dist(crop.centre, (4280, 1770)) < 40


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_points_of_a_turned_picture_are_turned_back(turn):
    """A bright pixel of the turned picture lies where it says."""
    picture = torch.zeros(5, 7)
    picture[3, 1] = 1
    row, column = torch.rot90(picture, turn).nonzero()[0].tolist()
    assert detection._turned_back(torch.tensor([[float(column), float(row)]]), turn, (7, 5)).tolist() == [[1.0, 3.0]]
