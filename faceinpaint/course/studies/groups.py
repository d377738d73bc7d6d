"""For whom is completion how good? Groups of people by what a face folder tells of them, their means and differences.

    rows = crowd.measured("portraits", methods, predictor, judge)
    for group, of in grouped(rows, "skin tone").items():
        interval_of(of, "skin")  # a mean with its interval, by person

Rows are those of `crowd.measured`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import NamedTuple

from faceinpaint.basics.errors import InputError, require_known
from faceinpaint.course.studies.crowd import BESIDE, MEASURED, TONE
from faceinpaint.course.studies.sweeps import Point
from faceinpaint.evaluation.statistics import Difference, Interval, contrast, in_cell, interval


class Grouping(NamedTuple):
    """A key of the metadata, and by group what stands there: a word, or a number above the one and up to the other."""

    key: str
    groups: Mapping[str, str | tuple[float, float]]


GROUPINGS = {
    "sex": Grouping("sex", {"women": "female", "men": "male"}),
    "born": Grouping("born", {
        "before 1950": (-inf, 1949), "1950–59": (1949, 1959), "1960–69": (1959, 1969), "1970 or later": (1969, inf)}),
    "skin beside white": Grouping(BESIDE, {
        "to 0.35": (-inf, 0.35), "to 0.5": (0.35, 0.5), "to 0.7": (0.5, 0.7), "above 0.7": (0.7, inf)}),
    # Individual typology angle: classes of Chardon et al. 1991; the last two of Del Bino and Bernerd 2013 are one here.
    "skin tone": Grouping(TONE, {
        "very light": (55, inf), "light": (41, 55), "intermediate": (28, 41), "tan": (10, 28),
        "brown, dark": (-inf, 10)}),
    "yaw": Grouping("yaw", {"to 0.1": (-inf, 0.1), "to 0.2": (0.1, 0.2), "above 0.2": (0.2, inf)}),  # without its sign
}


def grouped(rows: Sequence[Mapping], by: str) -> dict[str, list[Mapping]]:
    """Rows by the groups of a name in GROUPINGS; of whom nothing is known is in none.

    InputError, which names the nearest, for another name, and where nothing is known of anybody.
    """
    require_known("grouping", by, list(GROUPINGS))
    key, groups = GROUPINGS[by]
    known = [row for row in rows if row[key] is not None]
    if not known:
        raise InputError(f"no photograph here has a {key} in its row of metadata: group by what the folder does tell")
    return {name: [row for row in known if _is_in(row[key], limits)] for name, limits in groups.items()}


def by_mask(rows: Sequence[Mapping]) -> dict[str, list[Mapping]]:
    """Rows by their masks; irregular ones go by the per cent that they hide."""
    names = dict.fromkeys(row["mask"] for row in rows)
    return {name.removeprefix("irregular-"): [row for row in rows if row["mask"] == name] for name in names}


def interval_of(rows: Sequence[Mapping], measure: str) -> Interval:
    """The mean of a measure with its 95 % interval by person; InputError for an unknown one."""
    require_known("measure", measure, MEASURED)
    return interval([row[measure] for row in rows], [row["person"] for row in rows])


def gap(rows: Sequence[Mapping], by: str, measure: str, first: str, second: str) -> Difference:
    """A measure's mean over the first group minus that over the second, with an interval by person.

    Whose photographs are in both groups, as heads that turn may be, counts in each as somebody of its own.
    """
    require_known("measure", measure, MEASURED)
    groups = grouped(rows, by)
    for name in (first, second):
        require_known(f"group by {by}", name, list(groups))
    values = [[[row[key] for row in groups[name]] for key in (measure, "person")] for name in (first, second)]
    return contrast(*values[0], *values[1])


def points(groups: Mapping[str, Sequence[Mapping]], measure: str) -> list[Point]:
    """A measure in each group of rows as `figures.sweep_curves` draws it; groups without it are out."""
    found = {name: interval_of(rows, measure) for name, rows in groups.items()}
    return [Point(name, place, one) for place, (name, one) in enumerate(found.items()) if one.people]


def table(rows: Sequence[Mapping], by: str, columns: Mapping[str, tuple]) -> str:
    """A Markdown table: a row for each group of people, and for each column a measure with its 95 % interval.

    columns: heading -> (measure, factor to print it by, digits).
    """
    lines = [f"| {by} | people | {' | '.join(columns)} |", "|---" * (len(columns) + 2) + "|"]
    for name, group in grouped(rows, by).items():
        cells = [in_cell(interval_of(group, measure), *how) for measure, *how in columns.values()]
        lines.append(f"| {name} | {len({row['person'] for row in group})} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def typical(rows: Sequence[Mapping], by: str, measure: str) -> dict[str, Mapping]:
    """The row in the middle of each group by a measure; groups without it are out."""
    ranked = {
        name: sorted([row for row in group if row[measure] == row[measure]], key=lambda row: row[measure])
        for name, group in grouped(rows, by).items()
    }
    return {name: group[len(group) // 2] for name, group in ranked.items() if group}


def _is_in(value: str | float, limits: str | tuple[float, float]) -> bool:
    return value == limits if isinstance(limits, str) else limits[0] < value <= limits[1]

