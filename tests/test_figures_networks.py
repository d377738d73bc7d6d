"""Pictures of the inside of networks: what is drawn where, and what is refused."""

from __future__ import annotations

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from faceinpaint.basics.errors import InputError
from faceinpaint.course import figures
from faceinpaint.course.figures.networks import KINDS, MARK, NOTHING, OTHER, short
from faceinpaint.course.inspection import Stage

STAGES = [
    Stage("inputs", (9, 64, 64), 0, 500), Stage("down1", (8, 32, 32), 1000, 3000),
    Stage("residual", (16, 32, 32), 3000, 500), Stage("up1", (4, 64, 64), 0, 1000),
]
pytestmark = pytest.mark.filterwarnings("error")  # a layout that does not fit warns


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    yield
    assert plt.get_fignums() == []


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def pictures(figure: Figure) -> list:
    """The axes that show a picture, without colour bars."""
    return [ax for ax in figure.axes if ax.images]


def drawn(figure: Figure) -> np.ndarray:
    """Its pixels, as a page would show them; a layout that does not fit warns here."""
    file = io.BytesIO()
    figure.savefig(file)
    return np.asarray(Image.open(file).convert("RGB"))


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts if text.get_text()]


# ------------------------------------------------------------------------------------ stages


def test_architecture_is_to_scale() -> None:
    figure = figures.architecture(STAGES)
    drawn(figure)
    (ax,) = figure.axes
    boxes = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    assert [box.get_height() for box in boxes] == [1, 0.5, 0.5, 1]
    widths = [box.get_width() for box in boxes]
    assert widths[2] == pytest.approx(2 * widths[1]) == pytest.approx(4 * widths[3])
    assert [to_hex(box.get_facecolor()) for box in boxes] == [OTHER, KINDS["down"], KINDS["residual"], KINDS["up"]]
    assert texts(ax)[:3] == ["inputs\n9 × 64²", "down1\n8 × 32²", "residual\n16 × 32²"]


def test_skips_begin_at_their_stage_and_end_before_the_next() -> None:
    ax = figures.architecture(STAGES, [("down1", "up1")], {"prior": ("inputs", "up1")}).axes[0]
    above, below = ax.lines
    assert (above.get_xdata()[0], 2 < above.get_xdata()[-1] < 3) == (1, True) and max(above.get_ydata()) > 0.25
    assert (below.get_xdata()[0], below.get_xdata()[-1]) == (0, 3) and min(below.get_ydata()) < -0.5
    assert "prior" in texts(ax)


@pytest.mark.parametrize("options", [{"skips": [("down1", "up9")]}, {"below": {"x": ("up9", "up1")}}])
def test_a_skip_from_nowhere_is_refused(options) -> None:
    with pytest.raises(InputError, match="no stage 'up9': did you mean 'up1'. .*inputs, down1, residual, up1"):
        figures.architecture(STAGES, **options)


def test_costs_are_bars_with_shares() -> None:
    figure = figures.costs(STAGES)
    drawn(figure)
    parameters, operations = figure.axes
    assert [bar.get_width() for bar in parameters.patches] == [0, 1000, 3000, 0]
    assert [bar.get_width() for bar in operations.patches] == [500, 3000, 500, 1000]
    assert texts(parameters) == [" none", " 25.0%", " 75.0%", " none"]
    assert texts(operations) == [" 10.0%", " 60.0%", " 10.0%", " 20.0%"]
    assert [label.get_text() for label in parameters.get_yticklabels()] == [stage.name for stage in STAGES]
    assert parameters.get_ylim()[0] > parameters.get_ylim()[1]  # the first stage on top
    for ax in (parameters, operations):
        assert ax.get_xlim()[1] > max(bar.get_width() for bar in ax.patches)


def test_costs_of_nothing_are_drawn() -> None:
    drawn(figures.costs([Stage("a", (1, 2, 2), 0, 0)]))


@pytest.mark.parametrize("number, text", [
    (0, "0"), (999, "999"), (999.7, "1 k"), (1000, "1 k"), (4_647_552, "4.65 M"), (999_999, "1 M"), (3.572e9, "3.57 G"),
])
def test_large_numbers_are_short(number, text) -> None:
    assert short(number) == text


# ------------------------------------------------------------------------------------ heat maps


def test_heats_share_their_colours() -> None:
    low, high = torch.full((4, 4), 0.25), torch.full((4, 6), 2.0)
    figure = figures.heats([low, high], ["a", "b"], "weight")
    drawn(figure)
    axes = pictures(figure)
    assert [ax.get_title() for ax in axes] == ["a", "b"]
    assert [ax.images[0].get_clim() for ax in axes] == [(0, 2), (0, 2)]
    assert [np.asarray(ax.images[0].get_array()).tolist() for ax in axes] == [low.tolist(), high.tolist()]
    assert "weight" in [ax.get_ylabel() for ax in figure.axes]


@pytest.mark.parametrize("values, reach", [((-0.1, 0.4), 0.4), ((-3.0, 0.4), 3.0), ((0.0, 0.0), 1.0)])
def test_heats_with_a_middle_are_symmetric(values, reach) -> None:
    figure = figures.heats([torch.tensor([values])], ["a"], "x", middle=0)
    assert pictures(figure)[0].images[0].get_clim() == pytest.approx((-reach, reach))
    assert pictures(figures.heats([torch.tensor([[1.0, 4.0]])], ["a"], "x", middle=2))[0].images[0].get_clim() == (0, 4)


def test_what_is_no_number_is_left_grey() -> None:
    figure = figures.heats([torch.tensor([[float("nan"), 1.0]])], ["a"], "x")
    pixels = drawn(figure)
    box = pictures(figure)[0].get_window_extent()
    row = pixels.shape[0] - round((box.y0 + box.y1) / 2)
    left, right = (pixels[row, round(box.x0 + share * box.width)].tolist() for share in (0.25, 0.75))
    assert left == [round(255 * float(NOTHING))] * 3 and len(set(right)) == 3


def test_heats_are_laid_in_rows() -> None:
    figure = figures.heats([noise(3, 3)] * 5, list("abcde"), "x", columns=2)
    places = {ax.get_title(): ax.get_subplotspec() for ax in pictures(figure)}
    assert [(places[name].rowspan.start, places[name].colspan.start) for name in "abcde"] == [
        (0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]


def test_fields_are_relative_and_framed_by_the_formula() -> None:
    gradient = torch.zeros(9, 9)
    gradient[3:6, 3:6] = 0.02
    gradient[4, 4] = 0.2
    figure = figures.fields([gradient, 5 * gradient], [3, 5], ["a", "b"])
    drawn(figure)
    one, other = pictures(figure)
    for ax, side in ((one, 3), (other, 5)):
        shown = np.ma.masked_invalid(ax.images[0].get_array())
        assert shown.max() == 1 and shown.min() == pytest.approx(0.1) and shown.mask.sum() == 81 - 9
        (frame,) = [patch for patch in ax.patches if to_hex(patch.get_edgecolor()) == MARK]
        assert frame.get_width() == side and frame.get_x() + side / 2 == 4  # around the middle position


PLACES = {"eye": (3, 12), "chin": (20, 30)}


def attention_of(count: int = 2, size: int = 32):
    image, mask = noise(1, 3, size, size), torch.zeros(1, 1, size, size)
    mask[..., : size // 2] = 1
    known = torch.cat([torch.zeros(4, 2), torch.ones(4, 2)], dim=1)
    maps = noise(count, 4, 4) * known
    return image, mask, image, maps / maps.sum((1, 2), keepdim=True), known


@pytest.mark.parametrize("count", [1, 2, 3])
def test_attention_is_drawn_over_even_weights(count: int) -> None:
    image, mask, completed, maps, known = attention_of(count)
    places = dict(list((PLACES | {"lip": (8, 20)}).items())[:count])
    figure = figures.attention(image, mask, completed, places, maps, known)
    drawn(figure)
    axes = pictures(figure)
    assert len(axes) == 2 * (1 + count)
    above, below = axes[1 : 1 + count], axes[2 + count :]
    assert [ax.get_title() for ax in above] == [f"{n}: {name}" for n, name in enumerate(places, start=1)]
    highest = float(maps.max() * 8)  # of eight known positions
    for ax, own, weights in zip(above, below, maps):
        assert ax.images[0].get_clim() == pytest.approx((0, highest))
        shown = np.ma.masked_invalid(ax.images[0].get_array())
        assert shown.mask[:, :2].all() and not shown.mask[:, 2:].any()
        assert shown.mean() == pytest.approx(1, rel=1e-4)
        assert own.images[0].get_clim() == pytest.approx((shown.min(), shown.max()))
        assert float(shown.max()) == pytest.approx(float(weights.max()) * 8)


def test_spots_lie_at_the_same_place_in_pixels_and_positions() -> None:
    image, mask, completed, maps, known = attention_of()
    axes = pictures(figures.attention(image, mask, completed, PLACES, maps, known))
    at = [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in axes[0].lines]
    assert at == list(PLACES.values())
    eye = axes[1].lines[0].get_xydata()[0]
    assert eye.tolist() == [3.5 / 8 - 0.5, 12.5 / 8 - 0.5]  # the centre of the first pixel is 0, on both scales


# ------------------------------------------------------------------------------------ patches


def picture_axes(size: int = 64):
    return figures.row([noise(1, 3, size, size)]).axes[0]


def test_the_grid_of_patches_is_to_scale() -> None:
    ax = picture_axes(64)
    limits = ax.get_xlim(), ax.get_ylim()
    counted = torch.zeros(6, 6)
    counted[1, 4] = 1
    figures.patch_grid(ax, 64, counted, chosen=(2, 3))
    upright = [line.get_xdata()[0] for line in ax.lines if line.get_xdata()[0] == line.get_xdata()[1]]
    assert upright == [7.5 + 8 * n for n in range(7)]
    filled, middle, field = ax.patches
    assert (filled.get_x(), filled.get_y(), filled.get_width()) == (7.5 + 32, 7.5 + 8, 8)
    assert (middle.get_x(), middle.get_y(), middle.get_width()) == (7.5 + 24, 7.5 + 16, 8)
    assert (field.get_x(), field.get_y(), field.get_width()) == (24 - 23.5, 16 - 23.5, 70)
    assert (ax.get_xlim(), ax.get_ylim()) == limits


def scored(count: int = 4, size: int = 64):
    holes = torch.zeros(1, 1, size, size)
    holes[..., 8:24, 8:40] = 1
    scores = [noise(1, 1, size // 8 - 2, size // 8 - 2) * factor for factor in (-1, 3, 2, 0.5)]
    return [noise(1, 3, size, size)] * count, [holes] * count, scores[:count]


def test_scores_lie_where_their_patches_are_in_colours_of_their_column() -> None:
    figure = figures.patch_scores(*scored(), ["left", "right"], beside=["a", "b"])
    drawn(figure)
    axes = pictures(figure)
    assert [ax.get_title() for ax in axes[:2]] == ["left", "right"]
    assert [ax.get_ylabel() for ax in axes[::2]] == ["a", "b"]
    scores = scored()[2]
    for column in (0, 1):
        reach = max(float(one.abs().max()) for one in scores[column::2])
        for ax, one in zip(axes[column::2], scores[column::2]):
            overlay = ax.images[1]
            assert overlay.get_clim() == pytest.approx((-reach, reach))
            assert list(overlay.get_extent()) == [7.5, 55.5, 55.5, 7.5]
            assert np.allclose(overlay.get_array(), one[0, 0])


def test_scores_of_a_map_lie_over_the_whole_picture() -> None:
    images, holes, _ = scored(1)
    overlay = pictures(figures.patch_scores(images, holes, [noise(1, 1, 16, 16)], ["a"]))[0].images[1]
    assert list(overlay.get_extent()) == [-0.5, 63.5, 63.5, -0.5]


@pytest.mark.parametrize("value", [0, 1])
def test_a_face_without_a_seam_is_drawn_too(value: int) -> None:
    images, holes, scores = scored(1)
    drawn(figures.patch_scores(images, [torch.full_like(holes[0], value)], scores, ["a"]))
    drawn(figures.patch_scores(images, holes, [torch.zeros_like(scores[0])], ["a"]))


@pytest.mark.parametrize("draw, sentence", [
    (lambda: figures.heats([], [], "x"), "0 maps have 0 titles: give one for each"),
    (lambda: figures.heats([noise(3, 3)], ["a", "b"], "x"), "1 maps have 2 titles: give one for each"),
    (lambda: figures.fields([noise(3, 3)], [3], []), "1 maps have 0 titles: give one for each"),
    (lambda: figures.fields([noise(3, 3)] * 2, [3], ["a", "b"]), "2 maps have 1 sides: give one for each"),
    (lambda: figures.attention(*attention_of(1)[:3], PLACES, *attention_of(1)[3:]), "2 places have 1 maps: give one"),
    (lambda: figures.attention(*attention_of(1)[:3], {}, *attention_of(1)[3:]), "0 places have 1 maps: give one"),
    (lambda: figures.patch_scores([], [], [], []), "0 pictures have 0 holes and 0 scores"),
    (lambda: figures.patch_scores(scored()[0], scored()[1], scored(3)[2], []), "4 pictures have 4 holes and 3 scores"),
])
def test_what_cannot_be_drawn_is_refused(draw, sentence) -> None:
    with pytest.raises(InputError, match=sentence):
        draw()
