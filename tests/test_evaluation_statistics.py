"""How sure is a mean: intervals that hold what they promise, people drawn and not rows, and what chance can do."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import binomtest, nct, t

from faceinpaint.basics.errors import InputError
from faceinpaint.evaluation import Difference, difference, in_words, interval, power
from faceinpaint.evaluation.statistics import RESAMPLES


def experiment(random, people=40, rows=6, mean=0.0):
    """Values of rows that hardly vary within a person, and whose they are."""
    person = np.repeat(np.arange(people), rows)
    return mean + random.normal(size=people)[person] + 0.2 * random.normal(size=len(person)), person.astype(str)


def test_people_are_drawn_not_rows():
    """Of 95 % intervals by person, 95 % hold the true mean; those drawn by rows promise too much."""
    random = np.random.default_rng(0)
    held = {"by person": 0, "by row": 0}
    for _ in range(400):
        values, people = experiment(random, mean=3.0)
        for name, units in (("by person", people), ("by row", np.arange(len(values)).astype(str))):
            found = interval(values, units)
            held[name] += found.low <= 3 <= found.high
    assert 0.91 <= held["by person"] / 400 <= 0.98
    assert held["by row"] / 400 < 0.7


def test_who_has_more_rows_counts_more_and_the_interval_still_holds():
    random, held = np.random.default_rng(1), 0
    rows = np.tile([1, 2, 9], 20)
    person = np.repeat(np.arange(60), rows)
    for _ in range(300):
        values = random.normal(size=60)[person] + random.normal(size=len(person))
        found = interval(values, person.astype(str))
        assert found.mean == pytest.approx(values.mean()) and found.people == 60
        held += found.low <= 0 <= found.high
    assert 0.90 <= held / 300 <= 0.98
    found = interval([0.0, 1, 1, 1] * 30, np.repeat(np.arange(60), [1, 3] * 30))
    assert found.mean == 0.75 and 0.6 < found.low < 0.75 < found.high < 0.9


def test_more_rows_of_the_same_people_make_nothing_surer():
    values, people = experiment(np.random.default_rng(2), people=12)
    once, often = interval(values, people), interval(np.tile(values, 5), np.tile(people, 5))
    assert often == pytest.approx(once)


def test_more_people_do():
    def width(people):
        found = interval(*experiment(np.random.default_rng(3), people=people))
        return found.high - found.low

    assert width(160) < 0.65 * width(40) < 0.65 * 0.65 * width(10)


def test_rows_without_a_number_are_left_out_and_so_is_who_has_no_other():
    values, people = experiment(np.random.default_rng(4), people=8)
    missing = np.where(people == "5", np.nan, values)
    missing[3] = np.nan
    known = ~np.isnan(missing)
    assert interval(missing, people) == interval(values[known], people[known])
    assert interval(missing, people).people == 7


@pytest.mark.parametrize("function", [interval, lambda *given: difference(given[0], np.zeros(3), given[1])])
def test_one_person_has_no_interval_and_nobody_has_no_mean(function):
    alone = function([1.0, 2.0, 6.0], ["a"] * 3)
    assert alone.mean == 3 and alone.people == 1 and np.isnan([alone.low, alone.high]).all()
    nobody = function([np.nan] * 3, ["a", "b", "c"])
    assert nobody.people == 0 and np.isnan([nobody.mean, nobody.low, nobody.high]).all()


@pytest.mark.parametrize("people", [2, 9, 60])
@pytest.mark.parametrize("answer", [0, 1])
def test_a_share_of_all_or_none_is_no_certainty(people, answer):
    """The bootstrap would say 0 to 0; Clopper and Pearson ask how many people were asked, not how many rows."""
    rows = [answer] * 3 * people
    found = interval(rows, [*range(people)] * 3, share=True)
    exact = binomtest(answer * people, people).proportion_ci(0.95, method="exact")
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))
    assert interval(rows, [*range(people)] * 3)[:3] == (answer,) * 3


def test_a_share_in_between_is_drawn_like_any_other_mean():
    values, people = [1, 0, 1, 1, 0, 1], [0, 0, 1, 2, 3, 4]
    assert interval(values, people, share=True) == interval(values, people)
    assert 0 <= interval(values, people, share=True).low < 4 / 6 < interval(values, people, share=True).high <= 1


def test_a_paired_difference_is_found_where_two_intervals_overlap():
    random = np.random.default_rng(5)
    second, people = experiment(random, people=30)
    first = second + 0.15 + 0.1 * random.normal(size=len(second))
    one, other = interval(first, people), interval(second, people)
    assert one.low < other.mean < one.mean < other.high
    found = difference(first, second, people)
    assert found.real and 0.1 < found.low < 0.15 < found.high < 0.2 and found.chance < 0.001
    unpaired = difference(first, random.permutation(second.reshape(30, -1)).ravel(), people)
    assert not unpaired.real and unpaired.chance > 0.05


def test_a_difference_turned_round_is_its_negative():
    random = np.random.default_rng(6)
    (first, people), (second, _) = experiment(random, people=9), experiment(random, people=9)
    there, back = difference(first, second, people), difference(second, first, people)
    assert (there.mean, there.low, there.high) == pytest.approx((-back.mean, -back.high, -back.low), abs=0.02)
    assert there.people == back.people and there.chance == back.chance


def test_a_difference_leaves_out_rows_in_which_either_is_no_number():
    first, second = np.array([1.0, np.nan, 3.0, 5.0]), np.array([0.0, 1.0, np.nan, 1.0])
    found = difference(first, second, ["a", "a", "b", "c"])
    assert found == difference([1.0, 5.0], [0.0, 1.0], ["a", "c"]) and found.people == 2


def test_chance_alone_finds_each_share_of_p_values_as_often():
    random = np.random.default_rng(7)
    chances = []
    for _ in range(400):
        (first, people), (second, _) = experiment(random, people=20), experiment(random, people=20)
        chances.append(difference(first, second, people).chance)
    for level in (0.05, 0.25, 0.5, 0.75):
        assert np.mean(np.array(chances) <= level) == pytest.approx(level, abs=0.07)


def test_chance_is_the_share_of_all_swaps_of_the_two_by_person():
    """Three people can be swapped in eight ways, which are few enough to try."""
    sums, rows = np.array([2.0, -0.5, 3.0]), np.array([1, 3, 2])
    people = np.repeat(["a", "b", "c"], rows)
    first = np.repeat(sums / rows, rows)
    swaps = [abs(np.dot(signs, sums)) for signs in itertools.product([-1, 1], repeat=3)]
    exact = np.mean(np.array(swaps) >= abs(sums.sum()) - 1e-9)
    assert difference(first, np.zeros(6), people).chance == pytest.approx(exact, abs=0.04)


def test_a_large_difference_is_not_left_to_chance_and_none_is():
    values, people = experiment(np.random.default_rng(8), people=25)
    assert difference(values + 9, values, people).chance == 1 / (RESAMPLES + 1)
    none = difference(values, values, people)
    assert none.chance == 1 and not none.real and none[:3] == (0, 0, 0)


def test_the_same_values_give_the_same_answer_in_any_order_and_another_seed_nearly_it():
    random = np.random.default_rng(9)
    values, people = experiment(random, people=15)
    values = (64 * values).round()  # whole numbers, whose sums do not depend on their order
    order = random.permutation(len(values))
    assert interval(values, people) == interval(values, people) == interval(values[order], people[order])
    assert difference(values, 0 * values, people) == difference(values[order], 0 * values, people[order])
    other = interval(values, people, seed=1)
    assert other != interval(values, people)
    assert other == pytest.approx(interval(values, people), abs=6)  # of 64


@pytest.mark.parametrize("found, sentence", [
    (Difference(0.031, 0.012, 0.05, 24, 0.004), "+3.1 points, 95 % 1.2 to 5.0 (24 people, p = 0.004)"),
    (Difference(-0.031, -0.05, -0.012, 24, 0.0005), "-3.1 points, 95 % -5.0 to -1.2 (24 people, p < 0.001)"),
    (Difference(0.01, -0.02, 0.04, 9, 0.31), "+1.0 points, 95 % -2.0 to 4.0 (9 people, p = 0.310); that may be chance"),
    (Difference(0.03, 0.004, 0.06, 8, 0.098), "+3.0 points, 95 % 0.4 to 6.0 (8 people, p = 0.098); that may be chance"),
    (Difference(0.02, np.nan, np.nan, 1, np.nan), "+2.0 points, of 1 person: no interval"),
])
def test_a_difference_in_words(found, sentence):
    assert in_words("identity loss", found, "points", 100) == f"identity loss: {sentence}"


# --------------------------------------------------------------------------------------------------- power


def test_power_is_that_of_a_t_test_of_normal_differences():
    random = np.random.default_rng(10)
    values = random.normal(size=4000)
    values = 2 * (values - values.mean()) / values.std() + 7  # the mean that was measured does not matter
    found = power(values, [*range(4000)], effect=1.0, counts=[5, 20, 40])
    for count, share in found.items():
        limit, shift = t.ppf(0.975, count - 1), np.sqrt(count) / 2
        exact = nct.sf(limit, count - 1, shift) + nct.cdf(-limit, count - 1, shift)
        assert share == pytest.approx(exact, abs=0.04)
    assert power(values, [*range(4000)], 0.0, [20])[20] == pytest.approx(0.05, abs=0.02)


def test_power_takes_the_means_of_people():
    """Where the rows of each person vary among themselves alone, there is little to doubt."""
    means = np.random.default_rng(11).normal(size=20) * 0.2
    values = np.concatenate([means - 5, means + 5])
    assert power(values, [*range(20)] * 2, 0.5, [8], experiments=200)[8] > 0.95
    assert power(values, [*range(40)], 0.5, [8], experiments=200)[8] < 0.3


@pytest.mark.parametrize("people, counts", [([*"aaa"], [5]), ([*"abc"], [5, 1])])
def test_power_needs_two_people(people, counts):
    with pytest.raises(InputError, match="give those of two people or more"):
        power([1.0, 2.0, 3.0], people, 1.0, counts)
