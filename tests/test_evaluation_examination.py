"""Masks that are always the same, and an examination in which nobody sees what is hidden and the truth is perfect."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from faceinpaint import masks, weights
from faceinpaint.basics.errors import InputError
from faceinpaint.evaluation import MEASURES, Examination, Gallery, examination, mask_for, mask_names
from faceinpaint.faces import detection
from faceinpaint.faces.batch import Faces
from faceinpaint.faces.photos import FaceFolder
from faceinpaint.landmarks import LandmarkPredictor, normalised_mean_error
from faceinpaint.recognisers import MobileFaceNet, Recogniser

IRREGULAR = mask_names("irregular")


@pytest.fixture(scope="module")
def faces(people):
    """Six photographs of three people, the landmarks of number 4 not known."""
    data = FaceFolder(people, "test", 64)
    return Faces.cat([data[index] for index in range(len(data))])


@pytest.fixture(scope="module")
def judge():
    torch.manual_seed(0)
    return Recogniser("small", MobileFaceNet(width=0.125), threshold=0.5)


@pytest.fixture
def examine(faces, judge):
    """Examines all photographs by some methods under a mask; returns what was measured and the photographs."""
    def examine(methods, names=("face-mask",), shown=faces, perceptual=None, detector=False):
        predictor = weights.load("landmarks", LandmarkPredictor)
        one = Examination(methods, predictor, judge, perceptual, detector=detector)
        located = one.locate(shown, torch.arange(len(shown)))
        gallery = Gallery(one.embed(shown.image, located.seen), shown.identity, judge.threshold)
        return *one.measure(located, names, gallery), located, gallery
    return examine


def hide(image, mask, landmarks):
    """The hole in grey."""
    return torch.where(mask > 0.5, 0.5, image)


# --------------------------------------------------------------------------------------------------- masks


def test_families_are_made_of_masks_that_exist():
    assert mask_names("standard") == list(masks.STANDARD) and len(IRREGULAR) == len(masks.HOLE_RATIO_BINS)
    assert IRREGULAR[0] == "irregular-1-10" and mask_names("face-mask") == ["face-mask"]
    assert mask_names("all") == [*mask_names("standard"), *IRREGULAR, "face-mask"]
    mask_names("all").clear()  # a caller's list is its own
    assert len(mask_names("all")) == len(masks.STANDARD) + len(IRREGULAR) + 1


def test_one_of_each_is_one_mask_of_each_kind_and_a_hole_larger_than_any_bin():
    chosen, limit = mask_names("one-of-each"), masks.HOLE_RATIO_BINS[-1][1]
    every = mask_names("all")
    assert len(set(chosen)) == len(chosen) < len(every)
    assert [name for name in chosen if name not in every] == chosen[-1:]
    assert {"face-mask", *IRREGULAR} & set(chosen) and set(masks.STANDARD) & set(chosen)
    for number in range(8):
        hole = mask_for(chosen[-1], torch.zeros(1, 68, 2), 64, number)
        assert limit <= masks.LARGE_HOLE[0] < masks.hole_ratio(hole).item() <= masks.LARGE_HOLE[1]
        assert torch.equal(hole, mask_for(chosen[-1], torch.zeros(1, 68, 2), 64, number))


def test_an_unknown_family_is_answered_with_all():
    with pytest.raises(InputError, match="no mask family 'face': did you mean .* standard, irregular, .*, one-of-each"):
        mask_names("face")


@pytest.mark.parametrize("name, limits", list(zip(IRREGULAR, masks.HOLE_RATIO_BINS)), ids=IRREGULAR)
def test_irregular_masks_lie_in_their_bins(name, limits):
    for number in range(8):
        ratio = masks.hole_ratio(mask_for(name, torch.zeros(1, 68, 2), 64, number)).item()
        assert limits[0] < ratio <= limits[1]


@pytest.mark.parametrize("name", [IRREGULAR[3], "mask09", "face-mask"])
def test_the_mask_of_a_photograph_does_not_depend_on_who_is_beside_it(examine, faces, judge, name):
    *_, located, _ = examine({})
    one = Examination({}, weights.load("landmarks", LandmarkPredictor), judge)
    every = one.mask(name, located)
    assert every.shape == (6, 1, 64, 64)
    for part in (slice(0, 1), slice(2, 5), slice(5, 6)):
        alone = examination.Located(faces[part], located.seen[part], located.index[part])
        assert torch.equal(one.mask(name, alone), every[part])
    if name.startswith("irregular"):
        assert len({mask.numpy().tobytes() for mask in every}) == 6


# --------------------------------------------------------------------------------------------- what is measured


def test_everything_is_measured_for_each_mask_and_method(examine):
    measured, embeddings, *_ = examine({"one": hide, "two": hide}, ["mask01", "face-mask"])
    assert list(measured) == list(embeddings) == [
        ("mask01", "one"), ("mask01", "two"), ("face-mask", "one"), ("face-mask", "two")]
    for found in measured.values():
        assert tuple(found) == MEASURES and all(values.shape == (6,) for values in found.values())
    assert (measured["mask01", "one"]["hole_ratio"] == 0.5).all()
    for name in ("perceptual", "detected", "eye_shift"):
        assert measured["mask01", "one"][name].isnan().all()  # nobody was asked


def test_who_gives_back_the_original_is_perfect(examine):
    measured, embeddings, _, gallery = examine({"truth": lambda image, mask, landmarks: image, "grey": hide})
    found, grey = measured["face-mask", "truth"], measured["face-mask", "grey"]
    assert (found["psnr"] == math.inf).all() and (found["verified_self"] == 1).all()
    for name in ("cosine_self", "ssim", "ssim_hole", "sharpness"):
        assert found[name].tolist() == pytest.approx([1] * 6)
    assert torch.allclose(embeddings["face-mask", "truth"], gallery.originals, atol=1e-6)
    for name in ("psnr_hole", "ssim", "ssim_hole", "cosine_self"):
        assert (grey[name] < found[name]).all()
    assert found["nme"][4].item() == 0  # against what was seen in the open face
    assert (found["nme"][:4] > 0).all()  # against the landmarks of the folder


def test_the_error_of_predicted_landmarks_is_the_predictors_and_no_methods(examine):
    methods = {"truth": lambda image, mask, landmarks: image, "grey": hide}
    measured, _, located, _ = examine(methods, ["mask01", "mask03"])
    predictor = weights.load("landmarks", LandmarkPredictor)
    for name in ("mask01", "mask03"):
        mask = masks.standard(name, 64).expand(6, -1, -1, -1)
        error = normalised_mean_error(predictor(located.faces.image, mask), located.truth)
        found = [measured[name, method]["nme_predicted"] for method in ("truth", "grey")]
        assert torch.equal(*found) and torch.allclose(found[0], error, atol=1e-4)
        assert (error > 0).all() and not torch.allclose(error, measured[name, "truth"]["nme"], rtol=0.01)


def test_landmarks_that_nobody_knows_are_those_seen_in_the_open_face(examine, faces):
    *_, located, _ = examine({})
    assert torch.equal(located.truth[4], located.seen[4]) and not located.truth.isnan().any()
    known = [0, 1, 2, 3, 5]
    assert torch.equal(located.truth[known], faces.landmarks[known])


def test_a_method_learns_nothing_of_what_is_hidden(examine, faces):
    """Its landmarks are those found in the visible part: other pixels in the hole move none of them."""
    given = []

    def note(image, mask, landmarks):
        given.append(landmarks)
        return image

    mask = examination.mask_for("mask02", faces.landmarks[:1], 64, 0)
    other = Faces(torch.where(mask > 0, 1 - faces.image, faces.image), faces.landmarks, faces.identity, faces.name)
    *_, located, _ = examine({"note": note}, ["mask02"])
    examine({"note": note}, ["mask02"], shown=other)
    half = len(given) // 2
    assert half == 2 and all(torch.equal(one, same) for one, same in zip(given[:half], given[half:]))
    assert not torch.allclose(torch.cat(given[:half]), located.seen, atol=0.5)  # what one sees without a mask


def test_the_judge_looks_at_completions_where_the_open_face_is(examine, judge, monkeypatch):
    looked = []
    embed = Recogniser.embed

    def note(self, images, landmarks):
        looked.append(landmarks)
        return embed(self, images, landmarks)

    monkeypatch.setattr(Recogniser, "embed", note)
    *_, located, _ = examine({"grey": hide}, ["mask01", "mask02"])
    looked = torch.cat(looked)
    assert torch.equal(looked, located.seen.repeat(3, 1, 1))  # the originals, and twice their completions


def test_the_perceptual_distance_that_is_given_is_asked(examine):
    def largest(completed, image):
        return (completed - image).abs().amax((1, 2, 3))

    measured, _, located, _ = examine({"grey": hide}, ["mask01"], perceptual=largest)
    expected = (located.faces.image[..., :32] - 0.5).abs().amax((1, 2, 3))  # the left half is hidden
    assert torch.allclose(measured["mask01", "grey"]["perceptual"], expected)


def test_a_detector_that_is_asked_looks_once_at_each_original_and_at_each_completion(examine, faces, monkeypatch):
    """One that sees the eyes further right the brighter a picture is, and nobody in a dark one."""
    looked = []

    def brightness(image):
        return (image * 255).round().mean().item()

    def detect(photo):
        (width, height), bright = photo.size, np.asarray(photo).mean().item()
        looked.append(round(bright, 2))
        points = torch.zeros(5, 2)
        points[0], points[1] = torch.tensor([bright, 30.0]), torch.tensor([bright + 20, 30.0])
        face = detection.Detection(points, torch.tensor([0.0, 0.0, width, height]), 0.99)
        return [face] if bright > dark else []

    originals = [brightness(image) for image in faces.image]
    dark = sorted(originals)[0] + 0.1  # one original has no face
    monkeypatch.setattr(detection, "detect", detect)
    methods = {"truth": lambda image, mask, landmarks: image, "grey": hide}
    measured, _, located, _ = examine(methods, ["mask01", "mask03"], detector=True)
    assert looked[:6] == [round(bright, 2) for bright in originals]
    assert len(looked) == 6 + 5 * 2 * 2 and all(looked.count(bright) >= 3 for bright in looked[:6] if bright > dark)
    none = [bright < dark for bright in originals]
    assert sum(none) == 1
    for mask in ("mask01", "mask03"):
        found = measured[mask, "truth"]
        assert found["detected"].isnan().tolist() == found["eye_shift"].isnan().tolist() == none
        assert set(found["detected"][~torch.tensor(none)].tolist()) == {1}
        assert found["eye_shift"].nan_to_num().tolist() == [0] * 6
        hidden = [brightness(image) for image in hide(faces.image, masks.standard(mask, 64), None)]
        grey = measured[mask, "grey"]
        for number, (before, after) in enumerate(zip(originals, hidden)):
            shift = math.nan if before < dark or after < dark else abs(after - before) / 20
            assert grey["eye_shift"][number].item() == pytest.approx(shift, rel=1e-3, nan_ok=True)
            seen = math.nan if before < dark else float(after > dark)
            assert grey["detected"][number].item() == pytest.approx(seen, nan_ok=True)


def test_photographs_come_in_batches_that_fit_a_cache(examine):
    sizes = []

    def note(image, mask, landmarks):
        sizes.append(len(image))
        return image

    *_, located, _ = examine({"note": note})
    assert sizes == [len(part.index) for part in located.batches()] == [4, 2]
    assert torch.cat([part.faces.image for part in located.batches()]).equal(located.faces.image)


def test_a_completion_that_is_shown_is_the_one_that_was_measured(examine, faces, judge):
    measured, _, located, _ = examine({"grey": hide}, ["mask03"])
    one = Examination({"grey": hide}, weights.load("landmarks", LandmarkPredictor), judge)
    shown = examination.Located(faces[2:3], located.seen[2:3], located.index[2:3])
    completed, mask = one.complete(shown, "mask03", "grey")
    error = (completed - faces.image[2]).square().mean()
    assert -10 * error.log10().item() == pytest.approx(measured["mask03", "grey"]["psnr"][2].item(), abs=1e-3)
    assert torch.equal(completed, hide(faces.image[2:3], mask, None))
