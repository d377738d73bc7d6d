"""Who is it still: a judge's answers against loops over every pair, and a judge that nobody has learnt to please."""

from __future__ import annotations

import math
import shutil

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from faceinpaint import weights
from faceinpaint.basics.errors import InputError
from faceinpaint.evaluation import Gallery, pairs, require_independent, roc
from faceinpaint.recognisers import MobileFaceNet, load_recogniser

PEOPLE = (0, 0, 0, 1, 1, 2, 3, 3, 4)  # with three, two and one photographs
THRESHOLD = 0.6


@pytest.fixture(scope="module")
def gallery():
    """Nine photographs of five people, hardly alike."""
    random = torch.Generator().manual_seed(0)
    identity = torch.tensor(PEOPLE)
    person = torch.randn(5, 8, generator=random)[identity]
    return Gallery(F.normalize(person + torch.randn(9, 8, generator=random), dim=1), identity, THRESHOLD)


@pytest.fixture(scope="module")
def completed(gallery):
    """The faces of the gallery after something was done to them."""
    noise = torch.randn(gallery.originals.shape, generator=torch.Generator().manual_seed(1))
    return F.normalize(gallery.originals + 0.3 * noise, dim=1)


def one_by_one(gallery, embedding, number):
    """The measures of one completed face, by looking at every photograph in turn."""
    cosines = [float(embedding @ original) for original in gallery.originals]
    others = [one for one in range(9) if one != number]
    references = [cosines[one] for one in others if PEOPLE[one] == PEOPLE[number]]
    nearest = max(others, key=lambda one: cosines[one])
    found = {"cosine_self": cosines[number], "verified_self": float(1 - cosines[number] <= THRESHOLD)}
    if not references:
        return found | dict.fromkeys(("cosine_reference", "verified_reference", "rank1"), math.nan)
    return found | {
        "cosine_reference": np.mean(references),
        "verified_reference": np.mean([1 - cosine <= THRESHOLD for cosine in references]),
        "rank1": float(PEOPLE[nearest] == PEOPLE[number]),
    }


def test_the_measures_are_those_of_a_loop_over_all_photographs(gallery, completed):
    index = torch.tensor([5, 0, 8, 3, 2, 1, 7])  # some, in any order
    found = gallery.measures(completed[index], index)
    for place, number in enumerate(index.tolist()):
        for name, value in one_by_one(gallery, completed[number], number).items():
            assert found[name][place].item() == pytest.approx(value, abs=1e-5, nan_ok=True), name
    values = torch.stack(list(found.values()))
    assert len({*found["verified_reference"].nan_to_num(9).tolist()}) > 2 and len({*found["rank1"].tolist()}) > 1
    assert values.isnan().sum() == 2 * 3  # the two people with one photograph, but not of themselves


def test_who_has_one_photograph_has_no_reference(gallery):
    assert gallery.references.tolist() == [PEOPLE.count(one) > 1 for one in PEOPLE]


def test_the_original_is_neither_reference_nor_nearest(gallery, completed):
    """Faces that were left as they are would find themselves; none of what is asked of others may see that."""
    index = torch.arange(9)
    asked = ("cosine_reference", "verified_reference", "rank1")
    for number in index.tolist():
        elsewhere = gallery.originals.clone()
        elsewhere[number] = -elsewhere[number]
        moved = Gallery(elsewhere, gallery.identity, THRESHOLD)
        one = index[number : number + 1]
        before, after = (some.measures(gallery.originals[one], one) for some in (gallery, moved))
        assert before["cosine_self"].item() == pytest.approx(1) and after["cosine_self"].item() == pytest.approx(-1)
        for name in asked:
            assert torch.equal(before[name].nan_to_num(9), after[name].nan_to_num(9))


def test_a_pair_at_the_threshold_is_the_same_person():
    originals = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    gallery = Gallery(originals, torch.tensor([0, 0, 1]), threshold=0.4)
    assert gallery.measures(originals[:1], torch.tensor([0]))["verified_reference"].item() == 1
    stricter = Gallery(originals, torch.tensor([0, 0, 1]), threshold=0.39)
    assert stricter.measures(originals[:1], torch.tensor([0]))["verified_reference"].item() == 0


def test_pairs_are_all_but_a_face_with_its_own_original(gallery, completed):
    same, different = [], []
    for face in range(9):
        for photograph in range(9):
            distance = 1 - float(completed[face] @ gallery.originals[photograph])
            if PEOPLE[face] != PEOPLE[photograph]:
                different.append(distance)
            elif face != photograph:
                same.append(distance)
    found = pairs(completed, gallery.originals, gallery.identity)
    for ours, theirs in zip(found, (same, different)):
        assert sorted(ours.tolist()) == pytest.approx(sorted(theirs), abs=1e-6)


@pytest.fixture(scope="module")
def distances():
    """Distances of a few pairs, rounded so that some are alike, of the same person and of two."""
    random = np.random.default_rng(2)
    return random.normal(0.5, 0.2, 60).round(2), random.normal(0.8, 0.2, 200).round(2)


def test_a_roc_is_what_counting_finds(distances):
    same, different = distances
    curve = roc(torch.tensor(same), different)
    for threshold in [-1, *np.linspace(0, 1.5, 40), same[7], different[7], same.min(), different.max()]:
        true, false = curve.at(threshold)
        assert true == pytest.approx(np.mean(same <= threshold)), threshold
        assert false == pytest.approx(np.mean(different <= threshold)), threshold
    assert (np.diff(curve.thresholds) > 0).all()
    assert (np.diff(curve.true_accepts) >= 0).all() and (np.diff(curve.false_accepts) >= 0).all()
    assert curve.true_accepts[-1] == curve.false_accepts[-1] == 1


@pytest.mark.parametrize("allowed", [0, 0.004, 0.005, 0.01, 0.1, 0.33, 1])
def test_the_threshold_of_a_share_of_false_accepts_is_the_largest_that_keeps_to_it(distances, allowed):
    curve = roc(*distances)
    found = curve.threshold_at(allowed)
    assert curve.at(found)[1] <= allowed
    larger = [one for one in np.concatenate(distances) if one > found]
    assert all(np.mean(distances[1] <= one) > allowed for one in larger)


def test_no_threshold_keeps_to_a_share_where_two_people_are_nearest():
    assert roc([0.5, 0.6], [0.4, 0.7]).threshold_at(0.1) == 0
    assert roc([0.5, 0.6], [0.4, 0.7]).threshold_at(0.5) == 0.6


@pytest.mark.parametrize("same, different", [([], [0.5]), ([0.5], [])])
def test_a_roc_needs_both_kinds_of_pairs(same, different):
    with pytest.raises(InputError, match="needs pairs of the same person and of different people"):
        roc(same, different)


# --------------------------------------------------------------------------------------- an independent judge


@pytest.fixture
def recogniser_file(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "mine.safetensors"
    weights.save(MobileFaceNet(width=0.125, threshold=0.5), {"width": 0.125, "threshold": 0.5}, path)
    return path


def test_a_judge_is_known_by_its_parameters_whatever_its_file_is_called(recogniser_file, tmp_path):
    trained_by = load_recogniser(recogniser_file).fingerprint
    renamed = tmp_path / "quite-another-one.safetensors"
    shutil.copy(recogniser_file, renamed)
    judge = load_recogniser(renamed)
    with pytest.raises(InputError, match="gen has learnt to please quite-another-one, .*--recogniser.*flattering"):
        require_independent(judge, "gen", trained_by)


def test_a_judge_says_what_a_distance_means_to_it(recogniser_file):
    judge = load_recogniser(recogniser_file)
    assert judge.verdict(0.5) == "same person: yes (distance 0.500, threshold 0.500)"
    assert judge.verdict(0.5011) == "same person: no (distance 0.501, threshold 0.500)"


def test_another_network_and_one_that_is_not_known_may_judge(recogniser_file):
    judge = load_recogniser(recogniser_file)
    own = judge.fingerprint
    for other in (None, "none", load_recogniser("embedded-judge").fingerprint):
        require_independent(judge, "gen", other)
    with torch.no_grad():
        next(judge.network.parameters()).flatten()[0] += 0.5
    require_independent(judge, "gen", own)
