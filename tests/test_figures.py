from __future__ import annotations

import html
import inspect
import io
import re
import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from faceinpaint import figures
from faceinpaint.completion import CompletedFace, Completer
from faceinpaint.errors import InputError
from faceinpaint.faces.align import aligned_crop
from faceinpaint.generator import Generator, composite

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
BLACK, GREY = (0, 0, 0), (128, 128, 128)


def plain(colour, height=32, width=32):
    """A picture (1, 3, H, W) of one colour."""
    return torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, height, width) / 255


def saved(figure, **options):
    """The figure as a picture."""
    file = io.BytesIO()
    figure.savefig(file, **options)
    return Image.open(file)


def drawn(figure, ax, across, down):
    """The colour drawn at a share of the way across and down an axes."""
    pixels = np.asarray(saved(figure))
    box = ax.get_window_extent()
    row = pixels.shape[0] - box.y1 + down * box.height  # matplotlib counts from below
    return tuple(int(value) for value in pixels[int(row), int(box.x0 + across * box.width), :3])


def points():
    """68 landmarks, each at a place of its own, inside a picture of 32 pixels."""
    index = torch.arange(68.0)
    return torch.stack([3 + index % 9 * 3, 3 + index // 9 * 3], dim=1)


def completed_face(distance=0.1234):
    """A red face whose left half is hidden and comes out green."""
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., :16] = 1
    red = plain(RED)
    landmarks = points()[None] / 100  # out of the way, in a corner
    painted = composite(plain(GREEN), red, mask)
    return CompletedFace(red, mask, landmarks, painted, aligned_crop((32, 32)), distance, 0.5)


def test_row_draws_the_pictures_upright_in_their_order():
    quarters = torch.cat([plain(RED, 8, 8), plain(GREEN, 8, 8)], dim=3)
    quarters = torch.cat([quarters, torch.cat([plain(BLUE, 8, 8), plain(WHITE, 8, 8)], dim=3)], dim=2)
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 4:] = 1
    figure = figures.row([quarters, mask, Image.new("RGB", (20, 20), BLUE)], ["a", "b", "c"])
    first, second, third = figure.axes
    assert drawn(figure, first, 0.25, 0.25) == RED
    assert drawn(figure, first, 0.75, 0.25) == GREEN
    assert drawn(figure, first, 0.25, 0.75) == BLUE
    assert drawn(figure, first, 0.75, 0.75) == WHITE
    assert drawn(figure, second, 0.25, 0.5) == BLACK  # known
    assert drawn(figure, second, 0.75, 0.5) == WHITE  # unknown
    assert drawn(figure, third, 0.5, 0.5) == BLUE
    assert [ax.get_title() for ax in figure.axes] == ["a", "b", "c"]
    assert first.get_window_extent().x1 < second.get_window_extent().x0 < third.get_window_extent().x0


@pytest.mark.parametrize("sizes", [[(32, 32)], [(32, 32)] * 2, [(32, 48), (32, 32), (90, 32)], [(9, 9)] * 6])
def test_row_fits_a_page_and_is_equally_tall(sizes):
    figure = figures.row([plain(RED, *size) for size in sizes])
    assert saved(figure, bbox_inches="tight").width <= 800
    boxes = [ax.get_window_extent() for ax in figure.axes]
    for box, (height, width) in zip(boxes, sizes):
        assert box.height == pytest.approx(boxes[0].height, abs=2)
        assert box.width / box.height == pytest.approx(width / height, rel=0.05)
    if len(sizes) > 1:
        assert boxes[-1].x1 - boxes[0].x0 > 600  # as wide as the others, however many pictures


def test_figures_leave_none_open():
    figures.row([plain(RED)])
    figures.completions([completed_face()], ["half"])
    assert plt.get_fignums() == []


def test_row_refuses_what_it_cannot_draw():
    with pytest.raises(InputError, match="2 pictures have 1 titles"):
        figures.row([plain(RED), plain(BLUE)], ["one"])
    with pytest.raises(InputError, match="0 pictures"):
        figures.row([])
    for shape in [(2, 3, 8, 8), (1, 4, 8, 8), (3, 8, 8)]:
        with pytest.raises(InputError, match="a picture is"):
            figures.row([torch.zeros(shape)])


def test_completions_show_original_hole_and_result():
    figure = figures.completions([completed_face(), completed_face(-1e-8)], ["first", "second"])
    first, seen, completed = figure.axes[:3]
    assert drawn(figure, first, 0.25, 0.5) == drawn(figure, first, 0.75, 0.5) == RED
    assert drawn(figure, seen, 0.25, 0.5) == GREY
    assert drawn(figure, seen, 0.75, 0.5) == RED
    assert drawn(figure, completed, 0.25, 0.5) == GREEN
    assert drawn(figure, completed, 0.75, 0.5) == RED
    assert len(seen.lines) > 0 and not first.lines and not completed.lines
    assert seen.get_xlabel() == "50% hidden"
    assert completed.get_xlabel() == "face distance 0.123"
    assert figure.axes[5].get_xlabel() == "face distance 0.000"  # no minus before it
    assert [figure.axes[row * 3].get_ylabel() for row in range(2)] == ["first", "second"]


@pytest.mark.parametrize("titles", [[], ["one", "two"], "a name"])
def test_completions_refuse_another_number_of_titles(titles):
    with pytest.raises(InputError, match="give one for each"):
        figures.completions([completed_face()], titles)


def test_landmarks_join_all_points_and_only_points():
    ax = figures.row([plain(GREY)]).axes[0]
    limits = ax.get_xlim(), ax.get_ylim()
    figures.landmarks(ax, (points()[None] + 20).requires_grad_())  # partly outside the picture
    on_lines = {tuple(point) for line in ax.lines for point in line.get_xydata().tolist()}
    assert on_lines == {tuple(point) for point in (points() + 20).tolist()}
    assert (ax.get_xlim(), ax.get_ylim()) == limits
    closed = [(line.get_xydata()[0] == line.get_xydata()[-1]).all() for line in ax.lines]
    assert sum(closed) == 4  # two eyes, outer and inner lips


def test_landmarks_are_drawn_where_they_are():
    figure = figures.row([plain(GREY)])
    landmarks = points()
    landmarks[:17] = torch.tensor([[x, 28.0] for x in range(8, 25)])  # a flat jaw below all others
    figures.landmarks(figure.axes[0], landmarks)
    jaw = tuple(int(figures.PARTS["jaw"][0][i : i + 2], 16) for i in (1, 3, 5))
    # The centre of row 28 is 28.5 / 32 = 0.8906 down, whatever the size of the picture.
    assert drawn(figure, figure.axes[0], 0.5, 0.8906) == pytest.approx(jaw, abs=40)  # smoothed
    assert drawn(figure, figure.axes[0], 0.5, 0.87) == drawn(figure, figure.axes[0], 0.5, 0.92) == GREY


def test_landmarks_of_several_faces_are_refused():
    ax = figures.row([plain(GREY)]).axes[0]
    for shape in [(2, 68, 2), (68, 3), (5, 2)]:
        with pytest.raises(InputError, match="of one face"):
            figures.landmarks(ax, torch.zeros(shape))


@pytest.mark.parametrize("code", [composite, Generator, Generator.complete, Completer.locate, InputError])
def test_source_shows_the_very_code(code):
    shown = figures.source(code).data
    text = html.unescape(re.sub(r"<[^>]*>", "", shown))
    original = inspect.unwrap(code)
    assert textwrap.dedent(inspect.getsource(original)).strip() in text
    module = inspect.getmodule(original).__name__.replace(".", "/")
    assert f"{module}.py, line {inspect.getsourcelines(original)[1]}" in text
    assert "color:" in shown


def test_source_of_what_has_none():
    for thing in (len, 3, np.add):
        with pytest.raises(InputError, match="no Python source"):
            figures.source(thing)
