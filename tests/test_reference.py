"""A second photograph of the same person: warped, given the light of the first, and believed where it deserves it."""

from __future__ import annotations

import pytest
import torch
from conftest import canonical_face
from torch import Tensor

from faceinpaint import masks, weights
from faceinpaint.basics.errors import InputError
from faceinpaint.completion import Completer
from faceinpaint.generator import Generator
from faceinpaint.landmarks import LandmarkPredictor
from faceinpaint.prior.reference import BELIEF, Reference, low_frequencies, mean_over, warped_reference, with_reference
from faceinpaint.prior.symmetry import symmetry_prior
from faceinpaint.studio import portraits

SIZE = 64
FACE = canonical_face(SIZE)
HALF = masks.named("mask01", SIZE, FACE)


def portrait(brightness: float = 1.0) -> Tensor:
    """A face-like picture that is different left and right."""
    x = torch.linspace(0, 1, SIZE)
    picture = 0.3 + 0.2 * torch.stack([x.expand(SIZE, SIZE), x[:, None].expand(SIZE, SIZE), 0 * x.expand(SIZE, SIZE)])
    picture[:, 27:31, 18:22] = 0.1  # an eye on the hidden side alone
    return (picture[None] * brightness).clamp(0, 1)


def given(image: Tensor, landmarks: Tensor = FACE) -> Reference:
    return Reference(image, landmarks)


def prior_of(image: Tensor):
    return symmetry_prior(image, HALF, FACE)


def test_the_same_photo_as_reference_shows_what_is_hidden() -> None:
    image = portrait()
    warped, region = warped_reference(prior_of(image), image, HALF, FACE, given(image))
    face = masks.face_region(FACE, SIZE) * HALF
    assert (region[face > 0].mean() > 0.9) and region[..., :4, :].max() == 0
    # The eye on the hidden side, which the mirror does not know, is there.
    assert warped[0, :, 28:30, 19:21].mean() < prior_of(image).image[0, :, 28:30, 19:21].mean() - 0.1


def test_a_darker_reference_is_given_the_light_of_the_face() -> None:
    image = portrait()
    bright = warped_reference(prior_of(image), image, HALF, FACE, given(image))[0]
    dark = warped_reference(prior_of(image), image, HALF, FACE, given(portrait(0.5)))[0]
    inside = (masks.face_region(FACE, SIZE) > 0).expand_as(bright)
    assert (bright - dark)[inside].abs().max() < 0.02
    assert (image - portrait(0.5))[inside].abs().mean() > 0.15


def test_the_reference_is_warped_to_the_landmarks() -> None:
    """Moved by some pixels, image and landmarks alike, it says the same."""
    image = portrait()
    moved = given(image.roll((3, 5), (2, 3)), FACE + torch.tensor([5.0, 3.0]))
    there = warped_reference(prior_of(image), image, HALF, FACE, moved)[0]
    here = warped_reference(prior_of(image), image, HALF, FACE, given(image))[0]
    inside = (masks.face_region(FACE, SIZE) > 0).expand_as(here)
    assert (here - there)[inside].abs().max() < 0.03


def test_what_the_hole_holds_is_never_looked_at() -> None:
    image = portrait()
    other = torch.where(HALF > 0.5, torch.rand(1, 3, SIZE, SIZE), image)
    first = with_reference(prior_of(image), image, HALF, FACE, given(portrait(0.8)))
    second = with_reference(prior_of(other), other, HALF, FACE, given(portrait(0.8)))
    assert torch.equal(first.image, second.image)


def test_the_hidden_part_of_the_face_is_the_references_and_the_rest_the_priors() -> None:
    image = portrait()
    prior, reference = prior_of(image), given(portrait(0.7))
    better = with_reference(prior, image, HALF, FACE, reference)
    warped, region = warped_reference(prior, image, HALF, FACE, reference)
    inside = ((HALF > 0.5) & (region > 0.999)).expand_as(image)
    assert torch.allclose(better.image[inside], torch.lerp(prior.image, warped, BELIEF)[inside], atol=1e-5)
    untouched = ((HALF < 0.5) | (region == 0)).expand_as(image)
    assert torch.equal(better.image[untouched], prior.image[untouched])
    assert better.mirrored is prior.mirrored


def test_what_the_reference_shows_edge_on_is_not_believed() -> None:
    """Its left half is squeezed to a tenth: of what is there, there is next to nothing to be seen."""
    image, middle = portrait(), 31.5
    x = FACE[..., 0]
    squeezed = torch.where(x < middle, middle + (x - middle) / 10, x)
    turned = Reference(image, torch.stack([squeezed, FACE[..., 1]], -1))
    region = warped_reference(prior_of(image), image, HALF, FACE, turned)[1]
    open_region = warped_reference(prior_of(image), image, HALF, FACE, given(image))[1]
    cheek, other = (..., slice(34, 44), slice(18, 24)), (..., slice(34, 44), slice(40, 46))
    assert region[cheek].mean() < 0.2 and region[other].mean() > 0.9
    assert open_region[cheek].mean() > 0.9


def test_low_frequencies_of_a_constant_are_the_constant_and_details_vanish() -> None:
    region = masks.face_region(FACE, SIZE)
    constant = torch.full((1, 3, SIZE, SIZE), 0.3)
    assert torch.allclose(low_frequencies(constant, region), constant, atol=1e-5)
    stripes = (torch.arange(SIZE) % 2).float().expand(1, 1, SIZE, SIZE) - 0.5
    assert low_frequencies(stripes, torch.ones(1, 1, SIZE, SIZE)).abs().max() < 0.01


def test_the_mean_over_an_empty_region_is_a_number() -> None:
    image = portrait()
    assert mean_over(image, torch.zeros(1, 1, SIZE, SIZE)).isfinite().all()
    everywhere = torch.ones(1, 1, SIZE, SIZE)
    assert torch.allclose(mean_over(image, everywhere), image.mean(dim=(2, 3), keepdim=True))


# -------------------------------------------------------------------------------------------- completer


@pytest.fixture(scope="module")
def completer():
    return Completer.from_pretrained(size=128, device="cpu")


def test_with_a_reference_only_the_hole_changes(completer, astronaut) -> None:
    errors = []
    for photo in (astronaut, *(portraits.portrait(f"portrait {number}")[0] for number in (2, 3))):
        face = completer.reference(photo)
        image, mask = face.image, masks.named("face-mask", 128, face.landmarks.cpu())
        without, landmarks = completer.complete(image, mask)
        other = completer.reference_from(image)
        completed, same = completer.complete(image, mask, other)
        assert torch.equal(landmarks, same)
        known = (mask < 0.5).expand_as(image)
        assert torch.equal(completed[known], image[known])
        errors.append([(one - image).square().mean() for one in (completed, without)])
    # The reference is the very person: it brings the completion nearer to the truth.
    assert all(with_it < without_it for with_it, without_it in errors)
    with_all, without_any = torch.tensor(errors).mean(dim=0)
    assert with_all < 0.8 * without_any


def test_photos_and_files_are_references(completer, astronaut, tmp_path) -> None:
    file = tmp_path / "other.png"
    astronaut.transpose(0).save(file)
    plain = completer(astronaut, "face-mask")
    guided = completer(astronaut, "face-mask", reference=file)
    assert guided.faces[0].completed.shape == plain.faces[0].completed.shape
    assert (guided.faces[0].completed - plain.faces[0].completed).abs().max() > 0.05
    assert guided.faces[0].distance < plain.faces[0].distance


def test_bad_references_are_told_in_a_sentence(completer, astronaut, tmp_path) -> None:
    from PIL import Image

    with pytest.raises(InputError, match="the reference is no good: no face was found"):
        completer(astronaut, "mask01", reference=Image.new("RGB", (200, 200), "grey"))
    with pytest.raises(InputError, match="one face at a time"):
        completer(astronaut, "mask01", all_faces=True, reference=astronaut)
    with pytest.raises(InputError):
        completer(astronaut, "mask01", reference=tmp_path / "missing.png")
    predictor = weights.load("landmarks", LandmarkPredictor)
    plain = Completer(Generator(8, prior=False), predictor, completer.recogniser, 128)
    with pytest.raises(InputError, match="no first guess"):
        plain(astronaut, "mask01", reference=astronaut)
