"""Several answers to one question: different where something is hidden, alike where the visible part settles it."""

from __future__ import annotations

import pytest
import torch
from conftest import canonical_face
from test_appearance import SIZE, family

from faceinpaint import masks
from faceinpaint.completion import Completer
from faceinpaint.landmarks import hidden_landmarks
from faceinpaint.prior.answers import EXPRESSIONS, Style, expressed
from faceinpaint.prior.appearance import AppearanceModel

FACE = canonical_face(128)
EVERYTHING, NOTHING = torch.ones(1, 1, 128, 128), torch.zeros(1, 1, 128, 128)


@pytest.fixture(scope="module")
def model() -> AppearanceModel:
    """Fitted to faces that differ in two ways."""
    model = AppearanceModel(components=4, size=48)
    coefficients = torch.randn(60, 2, generator=torch.Generator().manual_seed(0))
    model.fit(family(coefficients, canonical_face(SIZE)), canonical_face(SIZE).expand(60, -1, -1))
    return model


def one(name: str, amount: float = 1.0) -> torch.Tensor:
    return amount * torch.eye(len(EXPRESSIONS))[EXPRESSIONS.index(name)][None]


def test_visible_landmarks_stay_and_so_does_every_one_of_the_likeliest_answer() -> None:
    expression = torch.ones(1, len(EXPRESSIONS))
    assert torch.equal(expressed(FACE, NOTHING, expression), FACE)
    assert torch.allclose(expressed(FACE, EVERYTHING, 0 * expression), FACE)
    mask = masks.named("face-mask", 128, FACE)
    moved, hidden = expressed(FACE, mask, expression), hidden_landmarks(FACE, mask)
    assert torch.equal(moved[~hidden], FACE[~hidden])
    assert (moved - FACE)[hidden].abs().max() > 1


@pytest.mark.parametrize("name, rising, falling", [
    ("smile", [48, 54], [51, 57]), ("open mouth", [], [57, 66]), ("wide eyes", [37, 43], [41, 47]),
    ("raised brows", [19, 24], []), ("long jaw", [], [8]),
])
def test_expressions_move_what_they_are_called_after(name, rising, falling) -> None:
    up = -(expressed(FACE, EVERYTHING, one(name)) - FACE)[0, :, 1]
    assert (up[rising] > 0.2).all() and (up[falling] < -0.05).all()
    assert (expressed(FACE, EVERYTHING, one(name)) - FACE)[0, :, 0].abs().max() == 0


def test_a_shut_mouth_does_not_turn_inside_out() -> None:
    shut = expressed(FACE, EVERYTHING, one("open mouth", -5.0))
    assert (shut[0, 66, 1] - shut[0, 62, 1]) > -1.5


def test_styles_repeat_by_their_seed_and_come_one_by_one() -> None:
    first, again = (Style.draw(3, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(first.appearance, again.appearance) and torch.equal(first.expression, again.expression)
    assert not torch.equal(first.appearance[0], first.appearance[1])
    assert [tuple(style.expression.shape) for style in first.each()] == [(1, len(EXPRESSIONS))] * 3
    assert Style.draw(0).each() == []


def test_what_is_known_settles_what_another_face_could_be(model) -> None:
    code = torch.randn(1, len(model.variations), generator=torch.Generator().manual_seed(0))
    landmarks = canonical_face(SIZE)
    differences = [
        model.deviation(torch.full((1, 1, SIZE, SIZE), certainty), landmarks, code)[0].abs().mean().item()
        for certainty in (0.0, 0.25, 1.0)
    ]
    assert differences[0] > 1.5 * differences[1] > 1.5 * differences[2] > 0
    twice = model.deviation(torch.zeros(1, 1, SIZE, SIZE), landmarks, 2 * code)[0].abs().mean().item()
    assert twice == pytest.approx(2 * differences[0], rel=1e-4)


def test_a_code_of_another_length_is_cut_or_filled_up(model) -> None:
    code, landmarks = torch.randn(1, 4, generator=torch.Generator().manual_seed(0)), canonical_face(SIZE)
    nothing = torch.zeros(1, 1, SIZE, SIZE)
    exact, longer = (
        model.deviation(nothing, landmarks, one)[0] for one in (code, torch.cat([torch.ones(1, 3), code], dim=1)))
    assert torch.equal(exact, longer)
    shorter, filled = (
        model.deviation(nothing, landmarks, one)[0] for one in (code[:, 2:], code * torch.tensor([0, 0, 1, 1])))
    assert torch.equal(shorter, filled)


def test_draws_are_as_wide_as_the_model_holds_them_to_be(model) -> None:
    """With nothing known, the differences have the spread of the faces that the model was fitted to."""
    codes = torch.randn(400, len(model.variations), generator=torch.Generator().manual_seed(1))
    coefficients = torch.linalg.solve_triangular(
        torch.linalg.cholesky(model._system(torch.zeros(1, 1, model.size, model.size), model.mean[None])[0]).mT,
        codes[..., None], upper=True)[..., 0]
    spread = model._combined(coefficients).std(0)
    wanted = model.variations.square().sum(0).sqrt()
    assert spread.mean() == pytest.approx(wanted.mean().item(), rel=0.1)


# -------------------------------------------------------------------------------------------- completer


def test_answers_differ_in_the_hole_alone_and_the_first_is_the_likeliest(astronaut) -> None:
    completer = Completer.from_pretrained(size=128, device="cpu")
    image = completer(astronaut, "face-mask").faces[0].original
    mask = masks.named("face-mask", 128, completer.locate(image).cpu())
    answers = completer.answers(image, mask, 3, torch.Generator().manual_seed(0))
    again = completer.answers(image, mask, 3, torch.Generator().manual_seed(0))
    assert answers.shape == (3, 1, 3, 128, 128) and torch.equal(answers, again)
    assert torch.equal(answers[0], completer.complete(image, mask)[0])
    known = (mask < 0.5).expand_as(image)
    for answer in answers[1:]:
        assert torch.equal(answer[known], image[known])
        assert (answer - answers[0])[~known].abs().mean() > 0.01
    assert (answers[1] - answers[2])[~known].abs().mean() > 0.01
