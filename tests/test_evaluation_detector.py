"""A detector's word on completed faces: found or not, how far the eyes have moved, which of several faces counts."""

from __future__ import annotations

import math

import pytest
import torch

from faceinpaint.basics.errors import InputError
from faceinpaint.evaluation import detector_measures, find_eyes
from faceinpaint.faces import detection
from faceinpaint.faces.photos import to_tensor

EYES = torch.tensor([[[20.0, 30.0], [40.0, 30.0]]])


@pytest.fixture(scope="module")
def portrait(astronaut):
    """A face of 128 pixels whose middle is about the picture's, (1, 3, 128, 128)."""
    return to_tensor(astronaut.crop((126, 20, 326, 220)).resize((128, 128)))


def face_at(left, top, right, bottom, eyes=EYES[0]):
    """A face in a box, with eyes."""
    points = torch.cat([eyes, torch.zeros(3, 2)]).double()
    return detection.Detection(points, torch.tensor([left, top, right, bottom]).double(), 0.99)


@pytest.fixture
def finds(monkeypatch):
    """Lets the detector find, picture by picture, some faces; returns the sizes of what it has looked at."""
    def finds(*several):
        answers, looked = iter(several), []

        def detect(photo):
            looked.append(photo.size)
            return next(answers)

        monkeypatch.setattr(detection, "detect", detect)
        return looked
    return finds


def test_a_face_is_found_and_its_eyes_lie_where_they_are(portrait):
    found = find_eyes(torch.cat([portrait, torch.full_like(portrait, 0.5), portrait.flip(-1)]))
    assert found.shape == (3, 2, 2) and found.dtype == torch.float32
    assert found[1].isnan().all()  # in a grey picture there is nobody
    left, right = found[0]
    assert 15 < right[0] - left[0] < 50 and (right[1] - left[1]).abs() < 12
    flipped = torch.tensor([[127, 0]]) + found[2].flip(0) * torch.tensor([-1, 1])
    assert (flipped - found[0]).norm(dim=1).max() < 2.5


def test_the_shift_of_a_picture_that_is_moved_is_so_many_pixels(portrait):
    eyes = find_eyes(portrait).repeat(3, 1, 1)
    completed = torch.cat([portrait, portrait.roll((4, -3), (-1, -2)), torch.rand(1, 3, 128, 128) * 0.1])
    found = detector_measures(completed, eyes)
    assert list(found) == ["detected", "eye_shift"] and found["detected"].tolist() == [1, 1, 0]
    apart = (eyes[0, 0] - eyes[0, 1]).norm().item()
    assert found["eye_shift"][:2].tolist() == pytest.approx([0, 5 / apart], abs=1.2 / apart)
    assert found["eye_shift"][0] == 0 and found["eye_shift"][2].isnan()


def test_the_shift_is_the_mean_of_both_eyes_over_the_distance_of_the_originals(finds):
    finds([face_at(10, 10, 50, 60, torch.tensor([[23.0, 34.0], [50.0, 30.0]]))])
    found = detector_measures(torch.rand(1, 3, 64, 64), EYES)
    assert found["eye_shift"].item() == pytest.approx((5 + 10) / 2 / 20) and found["detected"].item() == 1


def test_of_several_faces_the_largest_over_the_middle_counts(finds):
    other, smaller = EYES[0] + 1, EYES[0] + 2
    beside = face_at(33, 0, 63, 63, other)  # large, but right of the middle
    for first, wanted in (([beside, face_at(5, 5, 60, 60), face_at(20, 20, 40, 40, smaller)], EYES[0]),
                          ([face_at(20, 20, 40, 40, smaller), beside], smaller)):
        finds(first)
        assert torch.equal(find_eyes(torch.rand(1, 3, 64, 64))[0], wanted)


@pytest.mark.parametrize("box", [(33, 0, 63, 63), (0, 0, 31, 63), (0, 33, 63, 63), (0, 0, 63, 31)], ids=str)
def test_a_face_beside_the_middle_is_not_the_one(finds, box):
    finds([face_at(*box)], [face_at(*box)])
    assert find_eyes(torch.rand(1, 3, 64, 64)).isnan().all()
    assert detector_measures(torch.rand(1, 3, 64, 64), EYES)["detected"].item() == 0


def test_nobody_looks_where_there_was_no_face_to_begin_with(finds):
    eyes = torch.cat([EYES, torch.full((2, 2, 2), math.nan), EYES])
    looked = finds([], [face_at(0, 0, 63, 63)])
    found = detector_measures(torch.rand(4, 3, 64, 64), eyes)
    assert looked == [(64, 64)] * 2
    assert found["detected"].tolist() == pytest.approx([0, math.nan, math.nan, 1], nan_ok=True)
    assert found["eye_shift"].tolist() == pytest.approx([math.nan, math.nan, math.nan, 0], nan_ok=True)
    looked = finds()
    assert detector_measures(torch.rand(2, 3, 64, 64), eyes[1:3])["detected"].isnan().all() and looked == []


def test_points_that_span_no_face_are_no_face(monkeypatch):
    def detect(photo):
        raise InputError("The eye and mouth points span no square.")

    monkeypatch.setattr(detection, "detect", detect)
    assert find_eyes(torch.rand(2, 3, 64, 64)).isnan().all()
