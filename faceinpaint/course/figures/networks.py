"""Networks from the inside: stages drawn to scale, what these cost, what an output sees, attends to and judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import CenteredNorm, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from faceinpaint.basics.errors import InputError, require_known
from faceinpaint.evaluation.pictures import FONT, WIDTH, drawn, show, tinted, to_pixels

if TYPE_CHECKING:
    from faceinpaint.course.inspection import Stage

# A stage's colour, by how its name begins.
KINDS = {
    "down": "#56b4e9", "residual": "#e69f00", "style": "#d55e00", "attention": "#cc79a7", "up": "#009e73",
    "paint": "#f0e442",
}
OTHER = "#bbbbbb"
HEAT = "cividis"  # dark is little; to be read in grey and by colour-blind people
EITHER_SIDE = "PuOr"  # orange is below the middle, violet above
NOTHING = "0.88"
MARK = "#d55e00"


# ------------------------------------------------------------------------------------ stages


@drawn
def architecture(
    stages: Sequence[Stage], skips: Sequence[tuple[str, str]] = (), below: Mapping[str, tuple[str, str]] | None = None
) -> Figure:
    """The stages from left to right: as tall as their resolution, as wide as they have channels.

    skips: pairs of stages, joined above the others; a line ends before the second, where it enters. below: label of a
    line from one stage to another, under the others. Raises InputError for the name of a stage that is not there.
    """
    names = [stage.name for stage in stages]
    below = below or {}
    for name in {name for pair in [*skips, *below.values()] for name in pair}:
        require_known("stage", name, names)
    largest = max(stage.shape[1] for stage in stages)
    figure, ax = plt.subplots(figsize=(WIDTH, 3.3))
    tall = {stage.name: stage.shape[1] / largest / 2 for stage in stages}  # half of it; the tallest is 1
    widest = max(stage.shape[0] for stage in stages)
    for place, (before, stage) in enumerate(zip([None, *stages], stages)):
        half = max(0.36 * stage.shape[0] / widest, 0.012)
        if before is not None:
            start = place - 1 + max(0.36 * before.shape[0] / widest, 0.012)
            ax.annotate("", (place - half, 0), (start, 0), arrowprops={"arrowstyle": "-|>", "color": "0.45"})
        box = Rectangle((place - half, -tall[stage.name]), 2 * half, 2 * tall[stage.name], facecolor=_colour(stage),
                        edgecolor="0.2", linewidth=0.8, zorder=3)
        ax.add_patch(box)
        channels, height = stage.shape[:2]
        ax.text(place, -0.74, f"{stage.name}\n{channels} × {height}²", ha="center", va="top", fontsize=FONT - 2)
    for first, last in skips:
        start, end = names.index(first), names.index(last) - 0.46
        height = tall[first] + 0.1
        ax.plot([start, start, end], [tall[first], height, height], color="#0072b2", linewidth=1.5)
        ax.annotate("", (end, 0), (end, height), arrowprops={"arrowstyle": "-|>", "color": "#0072b2", "shrinkA": 0,
                                                             "shrinkB": 0, "linewidth": 1.5})
    for label, (first, last) in below.items():
        start, end = names.index(first), names.index(last)
        height = -max(tall[first], tall[last]) - 0.1
        ax.plot([start, start, end], [-tall[first], height, height], color=MARK, linewidth=1.5, linestyle="--")
        ax.annotate("", (end, -tall[last]), (end, height), arrowprops={"arrowstyle": "-|>", "color": MARK, "shrinkA": 0,
                                                                       "shrinkB": 0, "linewidth": 1.5})
        ax.text((start + end) / 2, height + 0.015, label, ha="center", va="bottom", fontsize=FONT - 2, color=MARK)
    ax.set(xlim=(-0.5, len(stages) - 0.5), ylim=(-0.95, 0.58))
    ax.set_axis_off()
    return figure


@drawn
def costs(stages: Sequence[Stage]) -> Figure:
    """Parameters and floating-point operations of each stage as bars, with its share of all."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 0.27 * len(stages) + 0.8), sharey=True)
    for ax, quantity, label in zip(axes, ("parameters", "flops"), ("parameters", "operations (FLOPs)")):
        values = [getattr(stage, quantity) for stage in stages]
        ax.barh(range(len(values)), values, color=[_colour(stage) for stage in stages], edgecolor="0.2", linewidth=0.6)
        for height, value in enumerate(values):
            text = f" {value / sum(values):.1%}" if value else " none"
            ax.text(value, height, text, va="center", fontsize=FONT - 2)
        ax.set(xlim=(0, 1.22 * max(values) or 1), ylim=(len(values) - 0.4, -0.6), yticks=range(len(values)),
               yticklabels=[stage.name for stage in stages], xlabel=label)
        ax.xaxis.set_major_formatter(lambda value, _: short(value))
    return figure


def short(number: float) -> str:
    """A large number with k, M or G for thousands, millions and billions: 4.65 M."""
    number = float(f"{number:.3g}")  # 999,999 is 1 M
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g} {letter}"
    return f"{number:.3g}"


def _colour(stage: Stage) -> str:
    return next((colour for kind, colour in KINDS.items() if stage.name.startswith(kind)), OTHER)


# ------------------------------------------------------------------------------------ heat maps


@drawn
def heats(
    maps: Sequence[Tensor], titles: Sequence[str], label: str, columns: int = 4, middle: float | None = None
) -> Figure:
    """Maps (H, W) of numbers side by side, in rows of `columns`, with one colour bar for all.

    label: beside the colour bar. middle: the number that is white, for maps with two sides. A place that holds no
    number is grey. Raises InputError unless each map has its title.
    """
    _check_titles(maps, titles)
    arrays = [_array(one) for one in maps]
    low, high = (float(pick([pick(a) for a in arrays])) for pick in (np.nanmin, np.nanmax))
    colours = Normalize(min(low, 0), high) if middle is None else CenteredNorm(
        middle, max(abs(low - middle), abs(high - middle)) or 1)
    figure, grid = _grid(len(maps), columns)
    for ax, array, title in zip(grid.flat, arrays, titles):
        _heat(ax, array, colours, HEAT if middle is None else EITHER_SIDE)
        ax.set_title(title)
    _bar(figure, grid, colours, HEAT if middle is None else EITHER_SIDE, label)
    return figure


@drawn
def fields(maps: Sequence[Tensor], sides: Sequence[int], titles: Sequence[str], decades: int = 4) -> Figure:
    """What the middle output sees of each input position: (S, S) gradients, on a logarithmic scale.

    sides: of the theoretical receptive field, drawn as a square. Grey is exactly zero. Each map is relative to its
    highest value, and what is more than `decades` powers of ten below has the darkest colour. Raises InputError unless
    each map has its side and title.
    """
    _check_titles(maps, titles)
    if len(sides) != len(maps):
        raise InputError(f"{len(maps)} maps have {len(sides)} sides: give one for each")
    colours = LogNorm(10.0**-decades, 1, clip=True)
    figure, grid = _grid(len(maps), columns=len(maps))
    for ax, one, side, title in zip(grid.flat, maps, sides, titles):
        array = _array(one / one.max())
        _heat(ax, np.where(array > 0, array, np.nan), colours, HEAT)
        corner = array.shape[0] // 2 - side / 2
        ax.add_patch(Rectangle((corner, corner), side, side, fill=False, edgecolor=MARK, linewidth=1.6))
        ax.set_title(title)
    _bar(figure, grid, colours, HEAT, "gradient, highest = 1")
    return figure


@drawn
def attention(
    image: Tensor, mask: Tensor, completed: Tensor, places: Mapping[str, tuple[int, int]], maps: Tensor, known: Tensor
) -> Figure:
    """Where some hidden places look: attention weights over the weight that each known position would have evenly.

    image, completed (1, 3, H, W); mask (1, 1, H, W); places: name -> x, y in pixels; maps (N, h, w), of the places in
    their order, with the sum 1; known (h, w): grey where nothing is. Above, colours begin at 0; below, at the lowest
    weight of the map. Raises InputError unless there are places, and a map for each.
    """
    if not places or len(maps) != len(places):
        raise InputError(f"{len(places)} places have {len(maps)} maps: give one for each")
    columns = 1 + len(places)
    side = min(WIDTH / columns, WIDTH / 3)
    figure, grid = plt.subplots(
        2, columns, figsize=(side * columns + 0.7 * (columns < 3), 2 * side + 0.75), layout="compressed"
    )
    for ax, picture, title in zip(grid[:, 0], (tinted(image, mask), completed), ("hidden places", "completed")):
        show(ax, to_pixels(picture))
        ax.set_title(title)
    relative = maps.detach().cpu().float() * (known > 0).sum().item()
    arrays = np.where(_array(known) > 0, relative.numpy(), np.nan)
    colours = Normalize(0, np.nanmax(arrays))
    factor = image.shape[-1] / maps.shape[-1]
    for number, ((name, (x, y)), array) in enumerate(zip(places.items(), arrays), start=1):
        for ax in grid[:, 0]:
            _spot(ax, x, y, str(number))
        low, high = np.nanmin(array), np.nanmax(array)
        for ax, scale in zip(grid[:, number], (colours, Normalize(low, high))):
            _heat(ax, array, scale, HEAT)
            _spot(ax, (x + 0.5) / factor - 0.5, (y + 0.5) / factor - 0.5, str(number))
        grid[0, number].set_title(f"{number}: {name}")
        grid[1, number].set_title(f"{low:.2f} to {high:.2f}")
    _bar(figure, grid[:1], colours, HEAT, "times even")
    return figure


# ------------------------------------------------------------------------------------ patches


def patch_grid(ax: Axes, size: int, counted: Tensor | None = None, chosen: tuple[int, int] | None = None) -> None:
    """Draw on `ax`, which shows a picture of `size` pixels, the middles of the discriminator's patches, to scale.

    counted (h, w): those that are not 0 get a cross-hatching. chosen: row and column of a patch whose whole field of
    70 pixels is drawn.
    """
    patches = size // 8 - 2
    for line in 7.5 + 8 * np.arange(patches + 1):
        for points in (([line, line], [7.5, size - 8.5]), ([7.5, size - 8.5], [line, line])):
            ax.plot(*points, color="white", linewidth=0.7, alpha=0.8)
    if counted is not None:
        for row, column in counted.nonzero().tolist():
            ax.add_patch(Rectangle((8 * column + 7.5, 8 * row + 7.5), 8, 8, facecolor="#f0e44270", edgecolor="none"))
    if chosen is not None:
        row, column = chosen
        for corner, side in ((7.5, 8), (-23.5, 70)):
            ax.add_patch(Rectangle((8 * column + corner, 8 * row + corner), side, side, fill=False, edgecolor=MARK,
                                   linewidth=2))


@drawn
def patch_scores(
    images: Sequence[Tensor], holes: Sequence[Tensor], scores: Sequence[Tensor], titles: Sequence[str],
    columns: int = 2, beside: Sequence[str] = (), label: str = "logit",
) -> Figure:
    """Logits of patches laid over faces, each where the middle of its patch is; the line goes around the hole.

    images (1, 3, H, W), holes (1, 1, H, W), scores (1, 1, h, w), of patches of 70 pixels or all over the picture;
    titles: of the first row. Violet is photograph,
    orange is paint, and white is undecided. Colours are common to each column. Raises InputError unless each picture
    has its hole and scores.
    """
    if not len(images) or not len(images) == len(holes) == len(scores):
        raise InputError(f"{len(images)} pictures have {len(holes)} holes and {len(scores)} scores: give one for each")
    figure, grid = _grid(len(images), columns)
    for column, axes in enumerate(grid.T):
        furthest = max(float(one.abs().max()) for one in scores[column::columns])
        colours = CenteredNorm(0, furthest or 1)
        of_column = zip(axes, images[column::columns], holes[column::columns], scores[column::columns])
        for ax, image, hole, score in of_column:
            size = image.shape[-1]
            grey = image.mean(1, keepdim=True).expand(-1, 3, -1, -1)
            show(ax, to_pixels(0.5 + 0.5 * grey))
            low = 7.5 if score.shape[-1] == size // 8 - 2 else -0.5
            ax.imshow(_array(score[0, 0]), norm=colours, cmap=EITHER_SIDE, alpha=0.65,
                      extent=(low, size - 1 - low, size - 1 - low, low), interpolation="nearest")
            ax.contour(_array(hole[0, 0]), [0.5], colors="black", linewidths=1.3)
        _bar(figure, axes[:, None], colours, EITHER_SIDE, label, "bottom")
    for ax, title in zip(grid[0], titles):
        ax.set_title(title)
    for ax, name in zip(grid[:, 0], beside):
        ax.set_ylabel(name)
    return figure


# ------------------------------------------------------------------------------------ what all of these share


def _check_titles(maps: Sequence[Tensor], titles: Sequence[str]) -> None:
    if not len(maps) or len(maps) != len(titles):
        raise InputError(f"{len(maps)} maps have {len(titles)} titles: give one for each")


def _grid(count: int, columns: int) -> tuple[Figure, np.ndarray]:
    columns = min(count, columns)
    rows = -(-count // columns)
    side = min(WIDTH / columns, WIDTH / 2.6)
    figure, grid = plt.subplots(
        rows, columns, squeeze=False, figsize=(side * columns, rows * (side * 0.9 + 0.2) + 0.2),
        layout="compressed",
    )
    for ax in grid.flat[count:]:
        ax.set_axis_off()
    return figure, grid


def _array(values: Tensor) -> np.ndarray:
    return values.detach().cpu().float().numpy()


def _heat(ax: Axes, array: np.ndarray, colours: Normalize, names: str) -> None:
    ax.set_facecolor(NOTHING)
    ax.imshow(array, norm=colours, cmap=names, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color="0.7", linewidth=0.6)
    ax.autoscale(False)


def _spot(ax: Axes, x: float, y: float, text: str) -> None:
    """A numbered dot."""
    ax.plot(x, y, "o", color=MARK, markeredgecolor="white", markersize=10)
    ax.text(x, y, text, color="white", ha="center", va="center_baseline", fontsize=FONT - 3, weight="bold")


def _bar(figure: Figure, axes: np.ndarray, colours: Normalize, names: str, label: str, side: str = "right") -> None:
    figure.colorbar(ScalarMappable(colours, names), ax=axes, location=side, shrink=0.9, pad=0.02, label=label)
