"""Charts of training runs: what they show is there, and what can't be shown is refused in a sentence."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest

from faceinpaint.basics.errors import InputError
from faceinpaint.course import figures

LOG = {"loss": ([1, 2, 3, 4, 5], [5.0, 3.0, 2.0, 2.0, 1.0]), "psnr": ([2, 4], [10.0, 12.0])}
OTHER = {"loss": ([1, 2], [4.0, 4.0])}


def legend_of(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_curves_have_a_panel_for_each_quantity_and_a_line_for_each_run_that_has_it():
    figure = figures.curves({"a": LOG, "b": OTHER}, {"loss": "the loss", "psnr": "PSNR"})
    loss, psnr = figure.axes
    assert (loss.get_title(), psnr.get_title()) == ("the loss", "PSNR")
    assert [list(line.get_ydata()) for line in loss.lines] == [LOG["loss"][1], OTHER["loss"][1]]
    assert len({(line.get_color(), line.get_linestyle()) for line in loss.lines}) == 2
    assert len(psnr.lines) == 1 and legend_of(figure) == ["a", "b"]


def test_the_lines_of_a_run_look_alike_in_every_panel_and_one_run_needs_no_legend():
    figure = figures.curves({"b": OTHER, "a": LOG}, {"loss": "", "psnr": ""})
    assert figure.axes[0].lines[1].get_color() == figure.axes[1].lines[0].get_color()
    assert not figures.curves({"a": LOG}, {"loss": ""}).legends


def test_smooth_curves_are_means_of_so_many_in_a_row():
    log = {"loss": (range(1, 18), [float(step % 2) for step in range(1, 18)])}
    (line,) = figures.curves({"a": log}, {"loss": ""}, smooth=2).axes[0].lines
    assert list(line.get_xdata()) == [*(step + 0.5 for step in range(1, 17, 2)), 17]
    assert list(line.get_ydata()) == [0.5] * 8 + [1] and line.get_marker() in ("", "None")


def test_few_values_are_drawn_as_they_are_with_a_dot_for_each():
    (line,) = figures.curves({"a": LOG}, {"psnr": ""}, smooth=10).axes[0].lines
    assert list(line.get_ydata()) == LOG["psnr"][1] and line.get_marker() == "o"


def test_bars_of_throughput_stand_in_groups_and_do_not_overlap():
    (ax,) = figures.throughput({"fp32": {1: 2.0, 8: 4.0}, "bf16": {1: 3.0, 8: 8.0}}).axes
    heights = [[bar.get_height() for bar in container] for container in ax.containers]
    assert heights == [[2, 4], [3, 8]]
    places = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for bars in ax.containers for bar in bars)
    assert all(end <= begin for (_, end), (begin, _) in zip(places, places[1:]))
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "8"]
    assert {"2", "4", "3", "8"} <= {text.get_text() for text in ax.texts}


def test_time_spent_is_sorted_by_the_first_way_and_says_shares_and_sums():
    figure = figures.time_spent({"plain": {"b": 0.1, "a": 0.3}, "ours": {"a": 0.05, "c": 0.05}})
    (ax,) = figure.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"]
    assert [[bar.get_width() for bar in bars] for bars in ax.containers] == [[300, 100, 0], [50, 0, 50]]
    assert ["75%", "25%", "0%", "50%", "0%", "50%"] == [text.get_text() for text in ax.texts]
    assert legend_of(figure) == ["plain: 400 ms", "ours: 100 ms"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first kind on top


def test_charts_of_runs_fit_a_page_and_leave_none_open():
    kinds = {str(number): 0.1 for number in range(10)}
    for figure in (
        figures.curves({"a": LOG}, {name: name for name in LOG}, columns=1),
        figures.throughput({str(way): {1: 1.0, 4: 2.0, 16: 3.0} for way in range(4)}),
        figures.time_spent({"plain": kinds, "ours": kinds}),
    ):
        assert figure.get_figwidth() * figure.dpi <= 750
    assert plt.get_fignums() == []


@pytest.mark.parametrize("draw, sentence", [
    (lambda: figures.curves({"a": LOG}, {"ssim": ""}), "no run has logged 'ssim': choose from loss, psnr"),
    (lambda: figures.throughput({}), "or none: measure the same"),
    (lambda: figures.throughput({"a": {1: 2.0}, "b": {2: 2.0}}), "different batch sizes"),
    (lambda: figures.time_spent({}), "profile a step first"),
    (lambda: figures.time_spent({"a": {}}), "profile a step first"),
])
def test_what_cannot_be_drawn_is_refused(draw, sentence):
    with pytest.raises(InputError, match=sentence):
        draw()
