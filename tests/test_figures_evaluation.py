"""Charts of evaluations: each mark stands where its number says, with its interval, and nothing is left open."""

from __future__ import annotations

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from faceinpaint.basics.errors import InputError
from faceinpaint.course import figures
from faceinpaint.evaluation import Interval, roc

NAN = float("nan")
BARS = {
    "ours": {"mask01": Interval(20.0, 18.0, 21.0, 9), "mask02": Interval(30.0, 29.0, 33.0, 9)},
    "theirs": {"mask01": Interval(15.0, 14.0, 17.0, 9), "mask02": Interval(25.0, NAN, NAN, 1)},
}


def drawn():
    """Every kind of chart once."""
    pair = (Interval(20.0, 18.0, 21.0, 9), Interval(0.7, 0.6, 0.75, 9))
    bins = [(0.1, Interval(0.9, 0.85, 0.95, 9)), (0.4, Interval(0.5, 0.4, 0.6, 9))]
    return {
        "bars": figures.interval_bars(BARS, "PSNR (dB)"),
        "quality": figures.quality_identity({"ours": [pair, pair], "theirs": [pair]}),
        "ratio": figures.by_hole_ratio({"ours": bins, "theirs": bins}),
        "roc": figures.roc_curves({"open": roc([0.1, 0.4], [0.5, 0.6]), "done": roc([0.3, 0.5], [0.4, 0.6])}, 0.45),
        "power": figures.power_curve({"small": {5: 0.1, 40: 0.5}, "large": {5: 0.6, 40: 1.0}}),
    }


def legend(figure):
    """What the legend names, beside the figure or in it."""
    there = figure.legends or [figure.axes[0].get_legend()]
    return [text.get_text() for text in there[0].get_texts()]


@pytest.mark.parametrize("name", ["bars", "quality", "ratio", "roc", "power"])
def test_charts_fit_a_page_name_their_axes_and_are_closed(name):
    figure = drawn()[name]
    file = io.BytesIO()
    figure.savefig(file, bbox_inches="tight")
    assert 500 < Image.open(file).width <= 800
    (ax,) = figure.axes
    assert ax.get_xlabel() and (ax.get_ylabel() or name == "bars")
    assert len(legend(figure)) == 2 and plt.get_fignums() == []


def test_the_same_numbers_draw_the_same_picture():
    for first, second in zip(drawn().values(), drawn().values()):
        files = [io.BytesIO(), io.BytesIO()]
        for figure, file in zip((first, second), files):
            figure.savefig(file)
        assert files[0].getvalue() == files[1].getvalue()


def test_bars_end_at_the_mean_and_lines_at_the_interval():
    (ax,) = figures.interval_bars(BARS, "PSNR (dB)").axes
    means = [[bar.get_x() + bar.get_width() for bar in bars] for bars in ax.containers]
    assert means == [pytest.approx([20, 30]), pytest.approx([15, 25])]
    assert [list(line.get_xdata()) for line in ax.lines[:3]] == [[18, 21], [29, 33], [14, 17]]
    assert np.isnan(ax.lines[3].get_xdata()).all()  # one person has none
    for bar, line in zip([bar for bars in ax.containers for bar in bars], ax.lines):
        assert bar.get_y() < line.get_ydata()[0] < bar.get_y() + bar.get_height()


def test_bars_stand_in_groups_from_above_in_their_order_and_do_not_overlap():
    (ax,) = figures.interval_bars(BARS, "").axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["mask01", "mask02"] and ax.yaxis_inverted()
    heights = {
        (group, name): (bar.get_y(), bar.get_y() + bar.get_height())
        for name, bars in zip(BARS, ax.containers) for group, bar in enumerate(bars)
    }
    for group in (0, 1):
        assert np.mean([heights[group, name] for name in BARS]) == pytest.approx(group)  # around its name
    order = sorted(heights, key=heights.get)
    assert order == [(0, "ours"), (0, "theirs"), (1, "ours"), (1, "theirs")]
    ends = [heights[one] for one in order]
    assert all(end <= begin for (_, end), (begin, _) in zip(ends, ends[1:]))


@pytest.mark.parametrize("values, zero", [
    ([(0.5, 0.4, 0.6), (0.9, 0.8, 0.95)], True), ([(0.95, 0.94, 0.96), (0.96, 0.95, 0.97)], False),
    ([(-0.2, -0.3, -0.1), (0.5, 0.4, 0.6)], False), ([(20, 19, 21)], False), ([(1, NAN, NAN)], True),
])
def test_bars_begin_at_zero_unless_all_are_far_from_it_and_never_hide_an_interval(values, zero):
    groups = {str(number): Interval(*value, 9) for number, value in enumerate(values)}
    (ax,) = figures.interval_bars({"one": groups}, "").axes
    left, right = ax.get_xlim()
    assert (left == 0) == zero and (left == 0 or left < np.nanmin(values)) and right >= np.nanmax(values)
    assert all(bar.get_x() == left for bar in ax.containers[0])


def test_shares_are_read_in_per_cent():
    share = {"one": {"mask01": Interval(0.5, 0.4, 0.6, 9)}}
    charts = {yes: figures.interval_bars(share, "", share=yes) for yes in (True, False)}
    written = {yes: chart.axes[0].xaxis.get_major_formatter()(0.5) for yes, chart in charts.items()}
    assert written[True].startswith("50") and written[True].endswith("%") and "%" not in written[False]


@pytest.mark.parametrize("methods", [{}, {"one": {}}, {"one": BARS["ours"], "two": {"mask01": Interval(1, 0, 2, 3)}}])
def test_methods_without_common_groups_are_refused(methods):
    with pytest.raises(InputError, match="different groups, or none: give each an interval for every group"):
        figures.interval_bars(methods, "")


def test_quality_and_identity_have_a_mark_and_a_cross_for_each_group():
    first = Interval(20, 18, 21, 9), Interval(0.7, 0.6, 0.75, 9)
    groups = [first, (Interval(25, 24, 26, 9), Interval(0.8, 0.7, 0.9, 9))]
    (ax,) = figures.quality_identity({"ours": groups}).axes
    (marks,) = [line for line in ax.lines if line.get_marker() not in ("None", "")]
    assert list(marks.get_xdata()) == [20, 25] and list(marks.get_ydata()) == [0.7, 0.8]
    crosses = {(*line.get_xdata(), *line.get_ydata()) for line in ax.lines if line is not marks}
    assert crosses == {(18, 21, 0.7, 0.7), (20, 20, 0.6, 0.75), (24, 26, 0.8, 0.8), (25, 25, 0.7, 0.9)}


def test_identity_by_hole_ratio_has_a_curve_within_a_band():
    bins = [(0.1, Interval(0.9, 0.85, 0.95, 9)), (0.4, Interval(0.5, 0.4, 0.6, 9))]
    (ax,) = figures.by_hole_ratio({"ours": bins}).axes
    (line,) = ax.lines
    assert list(line.get_xdata()) == [0.1, 0.4] and list(line.get_ydata()) == [0.9, 0.5] and ax.get_xlim()[0] == 0
    (band,) = ax.collections
    corners = {tuple(corner) for corner in band.get_paths()[0].vertices.round(6).tolist()}
    assert {(0.1, 0.85), (0.1, 0.95), (0.4, 0.4), (0.4, 0.6)} <= corners


def test_a_roc_is_drawn_with_the_judges_threshold_on_it():
    curve = roc([0.1, 0.2, 0.3, 0.6], [0.25, *np.linspace(0.7, 1, 9)])
    (ax,) = figures.roc_curves({"open": curve}, threshold=0.3).axes
    steps, mark = ax.lines
    assert list(steps.get_ydata()) == list(curve.true_accepts)
    assert list(steps.get_xdata()) == [max(share, 1e-3) for share in curve.false_accepts]
    assert (mark.get_xdata()[0], mark.get_ydata()[0]) == pytest.approx((0.1, 0.75))
    assert ax.get_xscale() == "log" and ax.get_ylim()[0] < 0.5 < ax.get_ylim()[1]
    assert len(figures.roc_curves({"open": curve}).axes[0].lines) == 1


def test_without_a_curve_the_figure_says_why():
    figure = figures.roc_curves({}, threshold=0.3)
    assert [text.get_text() for text in figure.axes[0].texts] == ["nobody has two photographs here"]


def test_power_has_a_curve_for_each_difference_and_a_line_at_what_is_wanted():
    (ax,) = figures.power_curve({"small": {5: 0.1, 40: 0.5}, "large": {5: 0.6, 40: 1.0}}, wanted=0.7).axes
    small, large, wanted = ax.lines
    assert list(small.get_xdata()) == [5, 40] and list(large.get_ydata()) == [0.6, 1.0]
    assert set(wanted.get_ydata()) == {0.7}
    assert [label.get_text() for label in ax.get_xticklabels()] == ["5", "40"]
