"""The model of what faces have in common: it learns a family of faces and finishes one from a part."""

from __future__ import annotations

import pytest
import torch
from conftest import canonical_face

from faceinpaint import masks
from faceinpaint.landmarks import mirror_landmarks
from faceinpaint.prior.appearance import AppearanceModel

SIZE = 64


@pytest.fixture(scope="module")
def landmarks():
    return canonical_face(SIZE)


def family(coefficients, landmarks):
    """Faces that differ in two smooth ways, each of which is seen on both halves: (N, 3, SIZE, SIZE)."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, SIZE), torch.linspace(-1, 1, SIZE), indexing="ij")
    first = torch.cos(3 * y).expand(3, -1, -1)
    second = torch.stack([x.square(), -x.square(), 0 * x])
    mean = torch.stack([0.6 - 0.1 * y, 0.5 + 0 * y, 0.4 + 0.1 * x])
    return mean + 0.1 * (coefficients[:, :1, None, None] * first + coefficients[:, 1:, None, None] * second)


@pytest.fixture(scope="module")
def model(landmarks):
    model = AppearanceModel(components=4, size=48)
    coefficients = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    model.fit(family(coefficients, landmarks), landmarks.expand(60, -1, -1))
    return model


def error(face, truth, where):
    return ((face - truth).abs() * where).sum() / (3 * where.sum())


def test_a_model_that_was_not_fitted_says_nothing(landmarks):
    image, mask = torch.rand(2, 3, SIZE, SIZE), torch.zeros(2, 1, SIZE, SIZE)
    _, region = AppearanceModel()(image, mask, landmarks.expand(2, -1, -1))
    assert region.abs().max() == 0


@pytest.mark.parametrize("name", ["mask01", "mask04", "face-mask"])
def test_it_finishes_a_new_face_of_the_family(model, landmarks, name):
    truth = family(torch.tensor([[1.5, -1.0], [-1.0, 2.0]]), landmarks)
    both = landmarks.expand(2, -1, -1)
    mask = masks.named(name, SIZE, both).expand(2, -1, -1, -1)
    face, region = model(truth * (1 - mask), mask, both)
    mean = family(torch.zeros(2, 2), landmarks)
    hidden = mask * (region > 0.9)
    assert hidden.sum() > 100
    assert error(face, truth, hidden) < 0.2 * error(mean, truth, hidden)


def test_what_is_hidden_is_not_looked_at(model, landmarks):
    image, mask = torch.rand(1, 3, SIZE, SIZE), masks.standard("mask01", SIZE)
    garbage = torch.where(mask > 0, 7.0, image)
    assert torch.equal(model(image, mask, landmarks)[0], model(garbage, mask, landmarks)[0])


def test_without_any_visible_pixel_it_shows_the_mean(model, landmarks):
    face, region = model(torch.rand(1, 3, SIZE, SIZE), torch.ones(1, 1, SIZE, SIZE), landmarks)
    assert error(face, family(torch.zeros(1, 2), landmarks), (region > 0.9).float()) < 0.03


def test_it_follows_the_landmarks(model, landmarks):
    """A face moved by eight pixels is finished eight pixels further."""
    truth = family(torch.tensor([[1.5, -1.0]]), landmarks)
    mask = masks.standard("mask01", SIZE)
    here, _ = model(truth, mask, landmarks)
    there, region = model(truth.roll(8, -1), mask.roll(8, -1), landmarks + torch.tensor([8.0, 0.0]))
    inside = (region > 0.99).float()
    assert error(there, here.roll(8, -1), inside) < 0.01


def test_it_learns_from_mirror_images_what_a_mirrored_face_looks_like(landmarks):
    one_sided = family(torch.zeros(8, 2), landmarks)
    one_sided[:, 0] += 0.2 * torch.linspace(0, 1, 8)[:, None, None] * torch.linspace(0, 1, SIZE)
    model = AppearanceModel(components=2, size=48)
    model.fit(one_sided, landmarks.expand(8, -1, -1), mirror_landmarks(landmarks.expand(8, -1, -1), SIZE))
    assert torch.allclose(model.mean, model.mean.flip(-1), atol=1e-3)
    mask = masks.standard("mask04", SIZE)
    face, region = model(one_sided[7:].flip(-1), mask, mirror_landmarks(landmarks, SIZE))
    assert error(face, one_sided[7:].flip(-1), mask * (region > 0.9)) < 0.02


def test_few_faces_leave_the_weakest_variations_empty(landmarks):
    model = AppearanceModel(components=9, size=48)
    model.fit(family(torch.randn(5, 2), landmarks), landmarks.expand(5, -1, -1))
    assert model.variations[:4].abs().max() == 0 and model.variations[-1].abs().max() > 0


def test_the_face_fills_the_model_wherever_it_is_in_the_pictures(landmarks):
    models = [AppearanceModel(components=2, size=48) for _ in range(2)]
    for model, scale in zip(models, (1.0, 0.5)):
        model.fit(torch.rand(4, 3, SIZE, SIZE), (scale * landmarks).expand(4, -1, -1))
    assert torch.allclose(models[0].shape, models[1].shape, atol=0.02)
    rows = (models[0].region[0] > 0.5).any(1).nonzero()
    assert 2 <= rows.min() <= 4 and 43 <= rows.max() <= 45
