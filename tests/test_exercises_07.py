"""Chapter 07: its checks tell typical wrong answers what is wrong."""

from __future__ import annotations

import torch
from exercise_checks import exercise_tests

from faceinpaint import masks
from faceinpaint.course.exercises import chapter_07

STROKE, REPLAY, BACK = chapter_07.stroke_mask, chapter_07.replay, chapter_07.put_back


def dots(points, radius, size):
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    pixels = torch.stack([columns, rows], -1).float()
    return ((pixels[..., None, :] - points).norm(dim=-1) <= radius).any(-1).float()[None, None]


def single_pixels(points, radius, size):
    mask = torch.zeros(1, 1, size, size)
    for x, y in points:
        mask[0, 0, int(y), int(x)] = 1
    return mask


def endless(points, radius, size):
    return chapter_07._lines(points, radius)


def never_empty(actions):
    done = []
    for action in actions:
        done = done[:-1] if action == "undo" else done + [action]
    return [one for one in done if one != "redo"]


def keeps_undone(actions):
    done, undone = [], []
    for action in actions:
        if action == "undo":
            undone += [done.pop()] if done else []
        elif action == "redo":
            done += [undone.pop()] if undone else []
        else:
            done.append(action)
    return done


def first_undone_first(actions):
    done, undone = [], []
    for action in actions:
        if action == "undo":
            undone += [done.pop()] if done else []
        elif action == "redo":
            done += [undone.pop(0)] if undone else []
        else:
            done, undone = done + [action], []
    return done


def empties(actions):
    left = REPLAY(list(actions))
    actions.clear()
    return left


def in_place(photo, completed, mask, top, left):
    return photo.copy_(BACK(photo, completed, mask, top, left))


WRONG = [  # the exercise, a wrong answer, and what its author is told
    ("07.1", single_pixels, "only the pixels of the points"),
    ("07.1", dots, "only the dots"),
    ("07.1", lambda p, r, s: STROKE(p, r, s).mT, "on its side"),
    ("07.1", lambda p, r, s: 1 - STROKE(p, r, s), "other way round"),
    ("07.1", endless, "beyond their ends"),
    ("07.1", lambda p, r, s: STROKE(p, r / 2, s), "half as wide"),
    ("07.1", lambda p, r, s: STROKE(p, r * 2, s), "twice as wide"),
    ("07.1", lambda p, r, s: STROKE(p[:2], r, s), "after the first line"),
    ("07.1", lambda p, r, s: STROKE(torch.cat([p, p[:1]]), r, s), "no ring"),
    ("07.1", lambda p, r, s: 255 * STROKE(p, r, s), "other values"),
    ("07.1", lambda p, r, s: STROKE(p, r, s)[0, 0], "shape"),
    ("07.1", lambda p, r, s: STROKE(p, r, s).roll(3, -1), "of the pixels of your mask are wrong"),
    ("07.1", lambda p, r, s: None, "returns nothing"),
    ("07.1", lambda p, r, s: torch.zeros(1, 1, s, s), "hides nothing yet"),
    ("07.2", lambda a: None, "returns nothing"),
    ("07.2", lambda a: "ab", "return a list"),
    ("07.2", lambda a: [one for one in a if one not in ("undo", "redo")], "takes the last stroke away"),
    ("07.2", never_empty, "brings back what was undone"),
    ("07.2", keeps_undone, "nothing left to redo"),
    ("07.2", first_undone_first, "comes back first"),
    ("07.2", empties, "leave it as it was"),
    ("07.3", lambda p, c, m, t, l: None, "returns nothing"),
    ("07.3", lambda p, c, m, t, l: p, "nothing has been put back"),
    ("07.3", lambda p, c, m, t, l: BACK(p, c, torch.ones_like(m), t, l), "the whole crop"),
    ("07.3", lambda p, c, m, t, l: BACK(p, c, 1 - m, t, l), "what was known"),
    ("07.3", lambda p, c, m, t, l: BACK(p, c, m, l, t), "rows come first"),
    ("07.3", lambda p, c, m, t, l: BACK(p, c, m, 0, 0), "upper left corner"),
    ("07.3", in_place, "begin with a clone"),
    ("07.3", lambda p, c, m, t, l: BACK(p, c, m, t + 1, l), "only the hole's may change"),
]


test_wrong_answers, test_enough_of_them = exercise_tests(chapter_07.EXERCISES, WRONG, times=6)


def test_the_stroke_of_the_exercise_is_that_of_the_studio():
    points = torch.tensor([[10.0, 12.0], [44.0, 20.0], [30.0, 50.0]])
    ours = masks.strokes([[5, points.flatten().tolist()]], 64)
    assert (ours != STROKE(points, 5, 64)).float().mean() < 0.01
