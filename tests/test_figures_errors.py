"""Figures of errors: what is drawn where."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.collections import LineCollection

from faceinpaint.basics.errors import InputError
from faceinpaint.course import figures

GROUPS = {"open": torch.tensor([0.02, 0.04]), "half": torch.tensor([0.1, 0.3, 0.2])}
WORSE = {name: 2 * errors for name, errors in GROUPS.items()}


def points():
    """68 landmarks, each at a place of its own, inside a picture of 32 pixels."""
    index = torch.arange(68.0)
    return torch.stack([3 + index % 9 * 3, 3 + index // 9 * 3], dim=1)


def marks(figure):
    """Name and place of each mark that stands alone."""
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 1]
    return [(round(float(line.get_xdata()[0]), 6), round(float(line.get_ydata()[0]), 2)) for line in lines]


def legend_of(figure):
    legends = figure.legends or [figure.axes[0].get_legend()]
    return [text.get_text() for text in legends[0].get_texts()]


def test_misses_lead_from_each_true_landmark_to_the_predicted_one():
    ax = figures.row([torch.zeros(1, 3, 32, 32)]).axes[0]
    limits = ax.get_xlim(), ax.get_ylim()
    true = points()
    predicted = (true + torch.arange(68.0)[:, None] / 10).requires_grad_()  # partly outside the picture
    figures.misses(ax, predicted[None], true)
    between = next(part for part in ax.collections if isinstance(part, LineCollection))
    found = torch.stack([torch.as_tensor(ends) for ends in between.get_segments()]).float()
    assert torch.allclose(found, torch.stack([true, predicted.detach()], dim=1))
    on_lines = {tuple(point) for line in ax.lines[:-1] for point in line.get_xydata().tolist()}
    assert on_lines == {tuple(point) for point in true.tolist()}
    assert (ax.get_xlim(), ax.get_ylim()) == limits


def test_misses_of_several_faces_are_refused():
    ax = figures.row([torch.zeros(1, 3, 32, 32)]).axes[0]
    for predicted, true in [(torch.zeros(2, 68, 2), points()), (points(), torch.zeros(67, 2))]:
        with pytest.raises(InputError, match="of one face"):
            figures.misses(ax, predicted, true)


def test_mean_errors_stand_at_the_means_in_the_rows_of_their_groups():
    figure = figures.mean_errors({"a": GROUPS, "b": WORSE}, "error")
    assert marks(figure) == [(0.03, -0.08), (0.2, 0.92), (0.06, 0.08), (0.4, 1.08)]
    ax = figure.axes[0]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["open", "half"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first group on top
    assert legend_of(figure) == ["a", "b"]
    assert ax.get_xlim()[0] == 0 and ax.get_xlabel() == "error"


def test_the_interval_is_1_96_standard_errors_to_both_sides():
    figure = figures.mean_errors({"a": {"half": GROUPS["half"]}}, "error")
    interval = next(line for line in figure.axes[0].lines if len(line.get_xdata()) == 2)
    around = 1.96 * (0.02 / 3) ** 0.5 / 3**0.5
    assert interval.get_xdata() == pytest.approx([0.2 - around, 0.2 + around])


@pytest.mark.parametrize("methods", [{}, {"a": {}}, {"a": GROUPS, "b": {"open": GROUPS["open"]}}])
def test_methods_with_other_groups_are_refused(methods):
    with pytest.raises(InputError, match="different groups, or none"):
        figures.mean_errors(methods, "error")


def test_cumulative_curves_rise_where_the_errors_are():
    figure = figures.cumulative_errors({"a": torch.tensor([0.02, 0.04, 0.2, 0.25]), "b": torch.full((3,), 9.0)})
    first, second = figure.axes[0].lines[:2]

    def at(curve, error):
        x, y = curve.get_data()
        return float(y[abs(x - error).argmin()])

    assert [at(first, error) for error in (0.01, 0.03, 0.1, 0.22, 0.3)] == [0, 0.25, 0.5, 0.75, 1]
    assert second.get_ydata().max() == 0
    # (0.8 + 0.6) / 4 of the area up to 10 %
    assert legend_of(figure) == ["a: 50% fail, area 0.35", "b: 100% fail, area 0.00"]
    assert list(figure.axes[0].lines[2].get_xdata()) == [0.1, 0.1]


def test_error_curves_have_a_panel_for_each_quantity_and_a_line_for_each_run():
    first = {"nme_open": ([10, 20], [0.2, 0.1]), "nme_mask01": ([10, 20], [0.3, 0.2]), "loss": ([1], [9.0])}
    second = {"nme_open": ([10, 20], [0.1, 0.05]), "nme_mask01": ([10, 20], [0.5, 0.4])}
    figure = figures.error_curves({"a": first, "b": second}, {"nme_open": "open", "nme_mask01": "half"})
    assert [ax.get_title() for ax in figure.axes] == ["open", "half"]
    drawn = [[line.get_xydata().tolist() for line in ax.lines] for ax in figure.axes]
    assert drawn[0] == [[[10, 0.2], [20, 0.1]], [[10, 0.1], [20, 0.05]]]
    assert drawn[1] == [[[10, 0.3], [20, 0.2]], [[10, 0.5], [20, 0.4]]]
    assert legend_of(figure) == ["a", "b"]
    with pytest.raises(InputError, match="lacks loss of b: choose from nme_open"):
        figures.error_curves({"a": first, "b": second}, {"loss": "loss"})


def test_charts_of_errors_fit_a_page_and_leave_none_open():
    curves = {"open": ([1, 2], [0.1, 0.2])}
    for figure in (
        figures.mean_errors({"a": {str(n): GROUPS["half"] for n in range(21)}}, "error"),
        figures.cumulative_errors(GROUPS),
        figures.error_curves({"a": curves}, {"open": "open"}),
    ):
        assert figure.get_figwidth() * figure.dpi <= 750
    assert plt.get_fignums() == []
