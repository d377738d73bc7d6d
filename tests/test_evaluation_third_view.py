"""What a second photograph is worth, judged by a third one."""

from __future__ import annotations

import pytest
import torch

from faceinpaint.basics.errors import InputError
from faceinpaint.completion import Completer
from faceinpaint.course.studies import third_view
from faceinpaint.course.studies.third_view import WITH, WITHOUT, Sighting, Trios, distance_at, gain, sightings
from faceinpaint.faces.batch import Faces
from faceinpaint.recognisers import load_recogniser


def sighting(person: int, method: str, cosine: float, mask: str = "mask01") -> Sighting:
    return Sighting(person, mask, method, 20.0, 1.0, cosine, 1.0)


def test_the_gain_counts_acceptances_person_by_person() -> None:
    seen = [sighting(person, WITHOUT, cosine) for person, cosine in enumerate([0.9, 0.2, 0.2, 0.2])]
    seen += [sighting(person, WITH, cosine) for person, cosine in enumerate([0.9, 0.9, 0.2, 0.1])]
    seen += [sighting(person, method, 0.9, "face-mask") for person in range(4) for method in (WITHOUT, WITH)]
    found = gain(seen, ["mask01"], threshold=0.3)
    assert found.mean == pytest.approx(0.25) and found.people == 4
    assert gain(seen, ["face-mask"], threshold=0.3).mean == 0


@pytest.fixture(scope="module")
def trios() -> Trios:
    return Trios.rendered([0, 1, 2], size=64)


def test_trios_are_three_photographs_of_the_same_people(trios) -> None:
    people = trios.photo.identity
    assert torch.equal(people, trios.reference.identity) and torch.equal(people, trios.third.identity)
    assert len(people.unique()) == 3
    assert len({*trios.photo.name, *trios.reference.name, *trios.third.name}) == 9


def test_photographed_people_are_judged_by_their_untouched_photograph() -> None:
    pairs = Trios.photographed(size=64, people=2)
    assert torch.equal(pairs.photo.identity, pairs.reference.identity) and len(pairs.photo.identity.unique()) == 2
    assert pairs.third is pairs.photo and not set(pairs.photo.name) & set(pairs.reference.name)
    with pytest.raises(InputError, match="nobody has two photographs"):
        Trios.photographed(size=64, splits=["none"])


def test_the_gain_is_in_cosine_where_no_threshold_is_given() -> None:
    seen = [sighting(person, method, cosine) for person in range(4) for method, cosine in ((WITHOUT, 0.5), (WITH, 0.6))]
    assert gain(seen, ["mask01"]).mean == pytest.approx(0.1)


def test_every_completion_is_seen_without_and_with_its_reference(trios) -> None:
    completer, judge = Completer.from_pretrained(size=64, device="cpu"), load_recogniser("embedded-judge")
    seen = sightings(trios, completer, judge, ["face-mask"])
    assert [one.method for one in seen] == [WITHOUT] * 3 + [WITH] * 3
    without, guided = seen[:3], seen[3:]
    assert [one.person for one in without] == trios.photo.identity.tolist()
    assert all(a.cosine_open == b.cosine_open and a.cosine != b.cosine for a, b in zip(without, guided))
    open_face = judge.embed(trios.photo.image[:1], trios.photo.landmarks[:1])
    third = judge.embed(trios.third.image[:1], trios.third.landmarks[:1])
    assert seen[0].cosine_open == pytest.approx((open_face * third).sum().item(), abs=1e-5)


def test_a_threshold_lets_no_more_strangers_pass_than_asked(trios, monkeypatch) -> None:
    """Three people whose faces are numbers: the distances of different ones are 0.1, 0.2 and more."""
    points = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 1.0]]), dim=1)
    monkeypatch.setattr(third_view, "_embed", lambda judge, faces, images: points)
    assert distance_at(trios, None, 0.0) == pytest.approx(0.0, abs=1e-6)
    assert distance_at(trios, None, 0.4) == pytest.approx(0.2, abs=1e-6)  # two of six pairs


def test_faces_of_a_trio_lie_as_training_faces_do(trios) -> None:
    assert isinstance(trios.photo, Faces)
    eyes = trios.photo.landmarks[:, 36:48].mean(1)
    assert ((eyes[:, 0] - 32).abs() < 8).all() and ((eyes[:, 1] - 28).abs() < 8).all()
