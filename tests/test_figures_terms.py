"""Charts of losses: what they show is there, and what can't be shown is refused in a sentence."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest

from faceinpaint.basics.errors import InputError
from faceinpaint.course import figures
from faceinpaint.course.figures.terms import FALLS, NEITHER, RISES

MEASURED = {"a b": {"a b": [2.0, 1.0, 0.5], "c": [1.0, 3.0, 9.0]}, "c": {"a b": [2.0, 2.1, 2.0], "c": [4.0, 2.0, 0.0]}}


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_descents_are_relative_and_say_where_they_end():
    figure = figures.descents(MEASURED)
    charts = figure.axes
    assert len(charts) == 4 and plt.get_fignums() == []
    assert [texts(ax)[0] for ax in charts] == ["0.25", "9.00", "1.00", "0.00"]
    curves = [ax.lines[1] for ax in charts]
    assert [line.get_color() for line in curves] == [FALLS, RISES, NEITHER, FALLS]
    assert list(curves[0].get_ydata()) == [1, 0.5, 0.25] and list(curves[1].get_ydata()) == [1, 2, 2]  # cut at 2
    assert [ax.get_title() for ax in charts[:2]] == ["a\nb", "c"]
    assert [ax.get_ylabel() for ax in charts[::2]] == ["a\nb", "c"]


def test_the_pull_of_each_term_is_its_gradient_times_its_weight():
    (ax,) = figures.pulls({"a": 0.01, "b": 2.0}, {"a": 50, "b": 0.5}).axes
    assert ax.get_xscale() == "log"
    assert [line.get_xdata()[0] for line in ax.lines] == [0.01, 0.5, 2.0, 1.0]
    assert {"× 50", "× 0.5"} <= set(texts(ax))


def test_a_trade_off_is_drawn_in_order_with_names():
    (ax,) = figures.trade_off({"0": (0.2, 18.0), "1": (0.01, 19.0)}, "distance", "dB", line=0.1).axes
    assert list(ax.lines[0].get_xdata()) == [0.2, 0.01] and ax.get_xscale() == "log"
    assert texts(ax) == ["0", "1", " threshold"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("distance", "dB")


def test_lines_are_told_apart_without_colour():
    (ax,) = figures.lines({"a": ([0, 1], [1, 2]), "b": ([0, 1], [2, 1])}, "x", "y", log=True, line=("limit", 1.5)).axes
    assert len({line.get_linestyle() for line in ax.lines[:2]}) == 2 and ax.get_yscale() == "log"
    assert texts(ax) == ["limit"]


@pytest.mark.parametrize("draw, sentence", [
    (lambda: figures.descents({}), "none: measure the same"),
    (lambda: figures.descents({"a": {"a": [1.0]}, "b": {"c": [1.0]}}), "different measured ones"),
    (lambda: figures.pulls({"a": 1.0}, {"b": 1.0}), "different terms"),
    (lambda: figures.pulls({"a": 0.0}, {"a": 1.0}), "not all above 0"),
    (lambda: figures.trade_off({"a": (0.0, 1.0)}, "x", "y"), "above 0"),
])
def test_what_cannot_be_drawn_is_refused(draw, sentence):
    with pytest.raises(InputError, match=sentence):
        draw()
