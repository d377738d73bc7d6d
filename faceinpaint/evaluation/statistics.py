"""Bootstrap intervals and permutation tests, by person: how sure is a mean, or a difference?

Photographs of one person, and masks on one photograph, are no independent witnesses. So people are drawn, not rows:
who is drawn brings all of their rows along (the cluster bootstrap; Davison and Hinkley 1997, section 3.8).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.stats import ttest_1samp

from faceinpaint.basics.errors import InputError

RESAMPLES = 2000
LEVEL = 0.95


class Interval(NamedTuple):
    """A mean, and where it lies with a probability of 95 %; all NaN where there is nothing to average."""

    mean: float
    low: float
    high: float
    people: int


class Difference(NamedTuple):
    """A mean paired difference with its interval, and how often chance alone would make one as large."""

    mean: float
    low: float
    high: float
    people: int
    chance: float

    @property
    def real(self) -> bool:
        """Whether the interval leaves out zero, and chance alone would do it in fewer than one of twenty cases.

        Both, for with a dozen people the bootstrap is a little too sure of itself.
        """
        return (self.low > 0 or self.high < 0) and self.chance < 1 - LEVEL


def interval(values: Sequence[float], people: Sequence[str], share: bool = False, seed: int = 0) -> Interval:
    """The mean of values with a 95 % bootstrap interval by person; NaN values are left out.

    values, people: one each of every row. share: the values are 0 or 1; where all of them are alike, which a bootstrap
    takes for certainty, the interval is that of Clopper and Pearson 1934 for as many people. With one person alone
    there is no interval: low and high are NaN.
    """
    sums, counts = _by_person(values, people)
    if not len(sums):
        return Interval(np.nan, np.nan, np.nan, 0)
    mean = sums.sum() / counts.sum()
    if len(sums) == 1:
        return Interval(mean, np.nan, np.nan, 1)
    drawn = _draws(len(sums), seed)
    means = (drawn @ sums) / (drawn @ counts)
    edge = 50 * (1 - LEVEL)
    low, high = np.percentile(means, [edge, 100 - edge])
    if share and mean in (0, 1):
        least = ((1 - LEVEL) / 2) ** (1 / len(sums))  # of the share, when each of so many people agrees
        low, high = (least, 1.0) if mean == 1 else (0.0, 1 - least)
    return Interval(float(mean), float(low), float(high), len(sums))


def difference(first: Sequence[float], second: Sequence[float], people: Sequence[str], seed: int = 0) -> Difference:
    """First minus second, row by row; rows in which either is NaN are left out.

    chance: share of random swaps of the two, person by person, that make a mean difference at least as large (the
    permutation test of Fisher 1935, over 2000 swaps, the one that was found counted in).
    """
    values = np.asarray(first, float) - np.asarray(second, float)
    found = interval(values, people, seed=seed)
    sums, counts = _by_person(values, people)
    if len(sums) < 2:
        return Difference(*found, np.nan)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (RESAMPLES, len(sums)))
    swapped = np.abs(signs @ sums) / counts.sum()
    as_large = (swapped >= abs(found.mean) * (1 - 1e-9)).sum()
    return Difference(*found, float((as_large + 1) / (RESAMPLES + 1)))


def contrast(
    first: Sequence[float], people: Sequence[str], second: Sequence[float], others: Sequence[str], seed: int = 0
) -> Difference:
    """Mean of some people's values minus that of others'; they are not paired. NaN values are left out.

    Each group is resampled by person, apart from the other. chance: share of 2000 random ways to divide all the people
    into two groups of these sizes that make a difference of people's means at least as large (the permutation test of
    Fisher 1935). With one person in a group there is no interval, and no chance.
    """
    sums, counts = zip(_by_person(first, people), _by_person(second, others))
    sizes = [len(one) for one in sums]
    if min(sizes) == 0:
        return Difference(np.nan, np.nan, np.nan, sum(sizes), np.nan)
    mean = sums[0].sum() / counts[0].sum() - sums[1].sum() / counts[1].sum()
    if min(sizes) == 1:
        return Difference(float(mean), np.nan, np.nan, sum(sizes), np.nan)
    drawn = [_draws(size, seed + number) for number, size in enumerate(sizes)]
    means = [(draw @ total) / (draw @ count) for draw, total, count in zip(drawn, sums, counts)]
    low, high = np.percentile(means[0] - means[1], [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    each = np.concatenate(sums) / np.concatenate(counts)
    shuffled = np.random.default_rng(seed).permuted(np.tile(each, (RESAMPLES, 1)), axis=1)
    apart = shuffled[:, : sizes[0]].mean(1) - shuffled[:, sizes[0] :].mean(1)
    found = each[: sizes[0]].mean() - each[sizes[0] :].mean()
    as_large = (np.abs(apart) >= abs(found) * (1 - 1e-9)).sum()
    return Difference(float(mean), float(low), float(high), sum(sizes), float((as_large + 1) / (RESAMPLES + 1)))


def power(
    values: Sequence[float], people: Sequence[str], effect: float, counts: Sequence[int], experiments: int = 2000,
    seed: int = 0,
) -> dict[int, float]:
    """How many of some experiments would find a mean difference of `effect`, by the number of people in them.

    values, people: paired differences that were measured, one each of every row. From their people's means, moved so
    that their mean is the effect, each experiment draws as many people as `counts` says, and finds it if a t-test says
    that the mean is not 0 (p < 0.05). Raises InputError for fewer than two people.
    """
    sums, rows = _by_person(values, people)
    if len(sums) < 2 or min(counts) < 2:
        raise InputError("a difference varies from person to person: give those of two people or more")
    means = sums / rows
    means = means - means.mean() + effect
    random = np.random.default_rng(seed)
    found = {}
    for count in counts:
        drawn = random.choice(means, (experiments, count))
        found[count] = float((ttest_1samp(drawn, 0, axis=1).pvalue < 1 - LEVEL).mean())
    return found


def in_words(name: str, found: Difference, unit: str, scale: float = 1.0) -> str:
    """A difference as a sentence: `identity loss: +3.1 points, 95 % 1.2 to 5.0`."""
    if np.isnan(found.low):
        return f"{name}: {scale * found.mean:+.1f} {unit}, of {found.people} person: no interval"
    values = f"{scale * found.mean:+.1f} {unit}, 95 % {scale * found.low:.1f} to {scale * found.high:.1f}"
    verdict = "" if found.real else "; that may be chance"
    chance = f"p = {found.chance:.3f}" if found.chance >= 0.001 else "p < 0.001"  # which is never 0
    return f"{name}: {values} ({found.people} people, {chance}){verdict}"


def in_cell(found: Interval, scale: float = 1.0, digits: int = 2) -> str:
    """A mean with its interval, as a table has it: `0.62 (0.47 to 0.77)`; empty without values."""
    if not found.people:
        return ""
    mean, low, high = (f"{scale * value:.{digits}f}" for value in found[:3])
    return mean if found.people == 1 else f"{mean} ({low} to {high})"


def _by_person(values: Sequence[float], people: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Sum and number of each person's values that are numbers; people without any are left out."""
    values = np.asarray(values, float)
    known = ~np.isnan(values)
    _, person = np.unique(np.asarray(people)[known], return_inverse=True)
    return np.bincount(person, values[known]), np.bincount(person).astype(float)


@lru_cache(maxsize=8)
def _draws(people: int, seed: int) -> np.ndarray:
    """How often each person is drawn in each resample: (RESAMPLES, people)."""
    return np.random.default_rng(seed).multinomial(people, np.full(people, 1 / people), RESAMPLES)
