"""Pictures of sweeps: what is in the numbers is in the picture, at its place."""

from __future__ import annotations

import pytest
import torch

from faceinpaint.basics.errors import InputError
from faceinpaint.course import figures
from faceinpaint.course.studies.sweeps import Example, Point
from faceinpaint.evaluation import Difference, Interval


def points(*means, place=10):
    return [Point(f"{place * n}°", place * n, Interval(mean, mean - 1, mean + 2, 5)) for n, mean in enumerate(means)]


def test_curves_have_every_level_and_interval_at_its_place():
    curves = {"generator": points(20.0, 18, 15), "mirror": points(22.0, 12, 11)}
    figure = figures.sweep_curves({"PSNR": curves}, "yaw")
    (ax,) = figure.axes
    lines = {line.get_label(): line for line in ax.get_lines()}
    assert list(lines["generator"].get_ydata()) == [20, 18, 15] and list(lines["mirror"].get_ydata()) == [22, 12, 11]
    assert (lines["mirror"].get_xdata() > lines["generator"].get_xdata()).all()  # beside each other ...
    assert abs(lines["mirror"].get_xdata() - [0, 10, 20]).max() < 1  # ... and near their level
    intervals = [line.get_ydata() for line in ax.get_lines() if len(line.get_ydata()) == 2]
    assert [list(one) for one in intervals] == [[m - 1, m + 2] for m in (20, 18, 15, 22, 12, 11)]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0°", "10°", "20°"]


def test_a_ceiling_is_drawn_where_it_belongs():
    curves = {"generator": points(0.5, 0.4)}
    figure = figures.sweep_curves({"a": curves, "b": curves}, "yaw", {"b": points(0.9, 0.8)})
    labels = [[line.get_label() for line in ax.get_lines()] for ax in figure.axes]
    assert "untouched face" not in labels[0] and "untouched face" in labels[1]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["generator", "untouched face"]


def test_levels_without_an_order_are_not_joined():
    studio, _, shelves, leaves = points(20.0, 18, 15, 17)
    figure = figures.sweep_curves({"PSNR": {"generator": [studio, shelves, leaves]}}, "background", joined=False)
    (line,) = [line for line in figure.axes[0].get_lines() if line.get_label() == "generator"]
    assert line.get_linestyle() == "None" and line.get_marker() == "o" and list(line.get_ydata()) == [20, 15, 17]
    assert list(line.get_xdata()) == [0, 1, 2] == list(figure.axes[0].get_xticks())
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["0°", "20°", "30°"]


@pytest.mark.parametrize("panels", [{}, {"PSNR": {}}, {"PSNR": {"generator": []}}])
def test_nothing_to_draw_is_an_error(panels):
    with pytest.raises(InputError, match="no point"):
        figures.sweep_curves(panels, "yaw")


def test_gaps_are_hollow_where_they_may_be_chance():
    found = {"generator": {"tone": Difference(2.0, 1, 3, 9, 0.001), "sex": Difference(0.5, -1, 2, 9, 0.6)}}
    figure = figures.gaps(found, "dB")
    marks = [line for line in figure.axes[0].get_lines() if line.get_marker() == "o" and len(line.get_xdata()) == 1]
    assert [line.get_xdata()[0] for line in marks] == [2.0, 0.5]
    assert [line.get_markerfacecolor() == "white" for line in marks] == [False, True]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["tone", "sex"]
    with pytest.raises(InputError, match="different comparisons"):
        figures.gaps({"a": found["generator"], "b": {}}, "dB")


def test_along_has_a_column_for_each_level():
    pictures = [torch.rand(1, 3, 8, 8) for _ in range(3)]
    figure = figures.along(["0°", "30°", "60°"], {"original": pictures, "completed": pictures})
    assert [ax.get_title() for ax in figure.axes[:3]] == ["0°", "30°", "60°"]
    assert [figure.axes[at].get_ylabel() for at in (0, 3)] == ["original", "completed"]
    with pytest.raises(InputError, match="every one"):
        figures.along(["0°", "30°"], {"original": pictures})


def test_behind_says_who_it_is():
    picture = torch.rand(1, 3, 8, 8)
    row = {"level": "30°", "mask": "mask01", "cosine_self": 0.25}
    examples = [Example(word, row, picture, picture, picture) for word in ("median", "worst")]
    figure = figures.behind(examples, "cosine_self", "cosine")
    titles = [ax.get_title() for ax in figure.axes]
    assert titles[0].strip() == "median" and titles[3].strip() == "worst"
    assert titles[1].strip() == "30°, mask01" and titles[2] == "cosine\n0.25"
