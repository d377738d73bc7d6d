"""What a run sees: shares of a mixture, passes without repeats, and nothing that depends on what came before."""

from __future__ import annotations

import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch

from faceinpaint.basics.errors import InputError
from faceinpaint.faces.batch import Faces
from faceinpaint.training import batches as module
from faceinpaint.training.batches import Mixture, PhotographedAnew, rank_among_equals, shuffled, slots_of
from faceinpaint.training.sources import FaceSpec, Need


class Made:
    """A source of `count` grey faces that are told apart by their names; a new block each period if `fresh`."""

    def __init__(self, face, count, people=3, name="made", fresh=False):
        self.face, self.count, self.people, self.name, self.fresh = face, count, people, name, fresh

    def block(self, period):
        names = tuple(f"{self.name}-{period if self.fresh else 0}-{index}" for index in range(self.count))
        identity = torch.arange(self.count) % self.people
        image = torch.full((self.count, 3, 80, 80), 0.5)
        return Faces(image, self.face.expand(self.count, -1, -1) * 80 / 128, identity, names)

    def validation(self):
        return self.block(0)


@pytest.fixture
def mixture(face, monkeypatch):
    """A mixture of sources that are given, instead of opened."""

    def make(*sources, weights=None, need=Need(64), **options):
        monkeypatch.setattr(module, "open_source", lambda spec, need: sources[int(spec.name)])
        weights = weights or [1] * len(sources)
        return Mixture([f"{index}:{weight}" for index, weight in enumerate(weights)], need, **options)

    return make


def names(batches):
    return [name for batch in batches for name in batch.name]


@pytest.mark.parametrize("text, spec", [
    ("synthetic:0.5", FaceSpec("synthetic", 0.5)), ("data/london", FaceSpec("data/london", 1.0)),
    ("a:b/c:2", FaceSpec("a:b/c", 2.0)), ("C:/faces", FaceSpec("C:/faces")), ("a:b", FaceSpec("a:b")),
])
def test_a_weight_follows_the_last_colon(text, spec):
    assert FaceSpec.parse(text) == spec


@pytest.mark.parametrize("text", ["a:0", "a:-1", "a:nan", "a:inf"])
def test_a_weight_is_above_zero(text):
    with pytest.raises(InputError, match="give a number above 0"):
        FaceSpec.parse(text)


@pytest.mark.parametrize("weights", [[1], [0.5, 0.5], [7, 2, 1], [1, 1, 1]])
def test_slots_come_in_the_shares_of_the_weights(weights):
    counts = np.bincount(slots_of(weights, seed=0))
    assert np.abs(counts / 1000 - np.array(weights) / sum(weights)).max() <= 0.001


def test_a_share_below_a_thousandth_is_refused():
    with pytest.raises(InputError, match="less than a 1000th"):
        slots_of([1, 0.0004], seed=0)


def test_ranks_count_equals_before():
    assert rank_among_equals(np.array([4, 7, 4, 4, 7])).tolist() == [0, 0, 1, 2, 1]


def test_each_pass_has_every_face_once_in_an_order_of_its_own(mixture, face):
    seen = names(mixture(Made(face, 10)).batches(5, 0, 6, 100))
    passes = [seen[:10], seen[10:20], seen[20:]]
    assert all(sorted(one) == sorted(passes[0]) and len(set(one)) == 10 for one in passes)
    assert passes[0] != passes[1] != passes[2]


def test_a_mixture_keeps_to_its_shares(mixture, face):
    made = mixture(Made(face, 40, name="a"), Made(face, 10, name="b"), weights=[3, 1])
    seen = names(made.batches(20, 0, 50, 100))
    assert sum(name.startswith("a") for name in seen) == 750


def test_people_of_two_sources_are_told_apart(mixture, face):
    made = mixture(Made(face, 6, people=3), Made(face, 4, people=2))
    first, second = made.blocks(0)
    assert made.people == 5
    assert set(first.identity.tolist()) == {0, 1, 2} and set(second.identity.tolist()) == {3, 4}
    assert made.validation().identity.unique().tolist() == [0, 1, 2, 3, 4]


def test_a_run_that_goes_on_sees_what_it_would_have_seen(mixture, face):
    made = mixture(Made(face, 7), Made(face, 5, name="other", fresh=True))
    whole = list(made.batches(3, 0, 9, 4))
    for done in (1, 4, 6):
        rest = list(made.batches(3, done, 9, 4))
        assert len(rest) == 9 - done
        for one, other in zip(whole[done:], rest):
            assert one.name == other.name
            assert torch.equal(one.image, other.image) and torch.equal(one.mask, other.mask)


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_share_out_what_one_would_see(mixture, face, processes):
    source = Made(face, 12)
    alone = list(mixture(source).batches(2 * processes, 0, 3, 2))
    parts = [
        list(mixture(source, need=Need(64, rank=rank, processes=processes)).batches(2, 0, 3, 2))
        for rank in range(processes)
    ]
    for step, whole in enumerate(alone):
        together = [part[step] for part in parts]
        assert sum((part.name for part in together), ()) == whole.name
        assert torch.equal(torch.cat([part.image for part in together]), whole.image)
        assert torch.equal(torch.cat([part.mask for part in together]), whole.mask)


def test_workers_change_nothing(mixture, face):
    made = mixture(Made(face, 7))
    for one, other in zip(made.batches(2, 0, 3, 2), made.batches(2, 0, 3, 2, workers=1), strict=True):
        assert one.name == other.name and torch.equal(one.image, other.image)


def test_each_period_has_its_block(mixture, face):
    seen = names(mixture(Made(face, 4, fresh=True)).batches(4, 0, 5, 2))
    assert [name.split("-")[1] for name in seen] == ["0"] * 8 + ["1"] * 8 + ["2"] * 4


def test_the_same_face_is_photographed_anew_each_time(mixture, face):
    first, second = mixture(Made(face, 1)).batches(1, 0, 2, 9)
    assert not torch.equal(first.landmarks, second.landmarks)


def test_without_masks_nothing_is_hidden(mixture, face):
    hidden = [batch.mask.sum() for batch in mixture(Made(face, 4)).batches(4, 0, 2, 9)]
    open_ = [batch.mask.sum() for batch in mixture(Made(face, 4), masks="none").batches(4, 0, 2, 9)]
    assert min(hidden) > 0 and max(open_) == 0


def test_another_seed_is_another_run(mixture, face):
    one, other = (next(iter(mixture(Made(face, 9), need=Need(64, seed)).batches(4, 0, 1, 9))) for seed in (0, 1))
    assert not torch.equal(one.image, other.image)


def test_no_faces_are_refused():
    with pytest.raises(InputError, match="give --faces"):
        Mixture([], Need(64))


def test_orders_of_passes_are_shuffled_alike_every_time():
    assert shuffled(50, 3, 0).tolist() == shuffled.__wrapped__(50, 3, 0).tolist()
    assert sorted(shuffled(50, 3, 0)) == list(range(50))


def test_places_stay_inside_their_blocks(face):
    blocks = [Made(face, 3).block(0), Made(face, 5).block(0)]
    faces = PhotographedAnew(blocks, slots_of([1, 4], 0), 64, 0, "all", False)
    for position in (0, 999, 1000, 10**9, 10**12 + 7):
        source, index = faces.place(position)
        assert 0 <= index < len(blocks[source])


def test_need_knows_how_much_more_training_pictures_show():
    assert replace(Need(128), size=64).wide == 80


def test_faces_of_a_period_are_made_once_and_are_gone_before_the_next_come(mixture, face):
    class Counting(Made):
        alive, made = [], 0

        def block(self, period):
            assert all(reference() is None for reference in self.alive)
            self.made += 1
            block = super().block(period)
            self.alive = [weakref.ref(block.image)]
            return block

    source = Counting(face, 4, fresh=True)
    run = mixture(source)
    run.blocks(0)
    names(run.batches(2, 0, 6, 3))
    assert source.made == 2
