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

from faceinpaint.basics.errors import InputError
from faceinpaint.completion import CompletedFace, Completer
from faceinpaint.course import figures
from faceinpaint.faces import synthetic
from faceinpaint.faces.align import aligned_crop, crop_from_points, to_photo
from faceinpaint.faces.detection import Detection
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
    assert "word-break: normal" in shown  # JupyterLab breaks words otherwise
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


def colour_of(name):
    return tuple(int(name[i : i + 2], 16) for i in (1, 3, 5))


def test_board_draws_rows_of_columns_and_leaves_the_rest_empty():
    colours = [RED, GREEN, BLUE, WHITE, BLACK]
    figure = figures.board([plain(colour) for colour in colours], ["a", "b", "c"], columns=3, beside=["one", "two"])
    axes = figure.axes[:5]
    assert [drawn(figure, ax, 0.5, 0.5) for ax in axes] == colours
    assert [ax.get_title() for ax in axes] == ["a", "b", "c", "", ""]
    assert axes[0].get_ylabel() == "one" and axes[3].get_ylabel() == "two"
    assert not figure.axes[5].axison
    boxes = [ax.get_window_extent() for ax in axes]
    assert boxes[0].y0 > boxes[3].y1 and boxes[0].x1 < boxes[1].x0
    assert boxes[0].x0 == pytest.approx(boxes[3].x0, abs=1)


@pytest.mark.parametrize("count, columns", [(12, 6), (12, 4), (15, 5), (24, 6), (3, 3)])
def test_board_fits_a_page_and_wastes_no_room(count, columns):
    figure = figures.board([plain(RED)] * count, ["title"] * count, columns)
    assert saved(figure, bbox_inches="tight").width <= 800
    boxes = [ax.get_window_extent() for ax in figure.axes]
    assert all(box.width == pytest.approx(box.height, rel=0.03) for box in boxes)
    assert boxes[-1].x1 - boxes[0].x0 > 600
    assert plt.get_fignums() == []


@pytest.mark.parametrize("title", ["", "one line", "two\nlines"])
def test_titles_of_a_board_touch_neither_the_pictures_above_nor_the_edge(title):
    figure = figures.board([plain(RED)] * 12, [title] * 12, columns=6)
    figure.draw_without_rendering()
    boxes = [ax.get_window_extent() for ax in figure.axes]
    assert all(box.width == pytest.approx(box.height, rel=0.03) for box in boxes)
    assert boxes[5].x1 - boxes[0].x0 > 700  # nor make them smaller
    if title:
        titles = [ax.title.get_window_extent() for ax in figure.axes]
        assert max(box.y1 for box in titles[:6]) <= figure.bbox.y1
        assert max(box.y1 for box in titles[6:]) < boxes[0].y0


def test_board_refuses_other_numbers_of_titles_and_names():
    six = [plain(RED)] * 6
    with pytest.raises(InputError, match="6 pictures have 2 titles"):
        figures.board(six, ["a", "b"], columns=3)
    with pytest.raises(InputError, match="2 rows have 3 names"):
        figures.board(six, columns=3, beside=["a", "b", "c"])
    with pytest.raises(InputError, match="0 pictures"):
        figures.board([])


def test_tinted_changes_hidden_pixels_only_and_lets_them_shine_through():
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1
    tinted = figures.tinted(image, mask)
    assert (tinted[..., 4:] == image[..., 4:]).all()
    hidden, hole = tinted[..., :4], torch.tensor(colour_of(figures.HOLE)).view(1, 3, 1, 1) / 255
    assert ((hidden - hole).abs() < (image[..., :4] - hole).abs()).all()
    assert hidden.flatten(2).std(dim=2).min() > 0.05  # of each colour, over the pixels


def rendered(angles=(30.0, -6.0, 0.0), hidden=()):
    """A grey face of 32 pixels with made-up truth; landmarks lie apart from each other."""
    visible = torch.ones(1, 68, dtype=torch.bool)
    visible[:, list(hidden)] = False
    segmentation = torch.zeros(1, 32, 32, dtype=torch.uint8)
    segmentation[:, 16:] = synthetic.LABELS.index("hair")
    landmarks = points()[None].clone()
    landmarks[:, 30] = 16
    return synthetic.RenderedFaces(
        plain(GREY), landmarks, segmentation=segmentation, visible=visible, angles=torch.tensor([angles])
    )


def test_truth_shows_parts_in_their_colours_with_a_legend_of_those_there():
    figure = figures.truth(rendered())
    parts = figure.axes[2]
    assert drawn(figure, parts, 0.5, 0.25) == colour_of(figures.SEGMENTS["background"])
    assert drawn(figure, parts, 0.5, 0.75) == colour_of(figures.SEGMENTS["hair"])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["background", "hair"]
    assert figure.axes[3].get_title() == "yaw +30°, pitch −6°, roll +0°"
    assert saved(figure, bbox_inches="tight").width <= 800


def test_every_label_of_the_renderer_has_a_colour_of_its_own():
    assert set(figures.SEGMENTS) == set(synthetic.LABELS)
    assert len(set(figures.SEGMENTS.values())) == len(figures.SEGMENTS)


def test_truth_marks_hidden_landmarks_with_crosses():
    hidden = (0, 8, 30, 45)
    face = rendered(hidden=hidden)
    figure = figures.truth(face)
    marked = {"o": set(), "x": set()}
    for line in figure.axes[1].lines:
        marked[line.get_marker()] |= {tuple(point) for point in line.get_xydata().tolist()}
    where = [tuple(point) for point in face.landmarks[0].tolist()]
    assert marked["x"] == {where[index] for index in hidden}
    assert marked["o"] == set(where) - marked["x"]
    assert figure.axes[1].get_title() == "landmarks, 4 of 68 hidden"


def ends(face):
    """Where the arrows right, up and ahead end, seen from the tip of the nose."""
    dots = [line for line in figures.truth(face).axes[3].lines if line.get_marker() == "o"]
    return [line.get_xydata()[0] - face.landmarks[0, 30].numpy() for line in dots]


def test_truth_turns_its_arrows_with_the_head():
    right, up, ahead = ends(rendered((0, 0, 0)))
    assert right[0] > 5 and abs(right[1]) < 1e-6
    assert up[1] < -5 and abs(up[0]) < 1e-6  # y grows downwards
    assert np.abs(ahead).max() < 1e-6  # into the camera
    assert ends(rendered((40, 0, 0)))[2][0] > 3  # positive yaw looks to the right
    assert ends(rendered((0, 20, 0)))[2][1] > 1  # positive pitch looks down
    real = synthetic.render(synthetic.identities([1]), synthetic.poses([5], max_yaw=0.6), 64, supersample=1)
    right = ends(real)[0]
    eyes = (real.landmarks[0, 42:48].mean(0) - real.landmarks[0, 36:42].mean(0)).numpy()
    assert np.dot(right, eyes) / np.linalg.norm(right) / np.linalg.norm(eyes) > 0.95


def test_truth_is_about_one_face():
    two = synthetic.RenderedFaces(torch.cat([plain(RED)] * 2))
    with pytest.raises(InputError, match="2 faces"):
        figures.truth(two)


def test_found_draws_box_points_and_the_square_of_the_crop():
    figure = figures.row([plain(GREY, 64, 64)])
    five = torch.tensor([[24.0, 26.0], [40.0, 30.0], [31.0, 38.0], [24.0, 44.0], [36.0, 47.0]])
    crop = crop_from_points(five)
    figures.found(figure.axes[0], Detection(five, torch.tensor([20.0, 16.0, 44.0, 56.0]), 1.0), crop)
    box, square = (patch.get_xy()[:4] for patch in figure.axes[0].patches)
    assert box.min(0).tolist() == [20, 16] and box.max(0).tolist() == [44, 56]
    # the corners of a crop of S pixels lie half a pixel outside the centres of its corner pixels
    corners = torch.tensor([[-0.5, -0.5], [63.5, -0.5], [63.5, 63.5], [-0.5, 63.5]], dtype=torch.float64)
    assert np.allclose(square, to_photo(corners, crop, 64).numpy())
    assert figure.axes[0].lines[0].get_xydata().tolist() == five.tolist()


def test_spread_draws_every_number_and_writes_the_means():
    groups = {"near": torch.tensor([0.1, 0.2, 0.6]), "far": torch.linspace(0.5, 1.5, 200)}
    figure = figures.spread(groups, "distance", {"threshold": 0.4})
    ax = figure.axes[0]
    dots = [line.get_xydata() for line in ax.lines if line.get_marker() == "o"]
    for height, (values, group) in enumerate(zip(groups.values(), dots)):
        assert np.allclose(group[:, 0], values)
        assert (abs(group[:, 1] - height) < 0.4).all()  # no group runs into the next
    written = [text.get_text().strip() for text in ax.texts]
    assert {"0.30", "1.00", "threshold", "mean"} <= set(written)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["near", "far"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first group is on top
    assert ax.get_xlabel() == "distance"
    assert saved(figure, bbox_inches="tight").width <= 800
