"""Folders, shards and the renderer as sources of a run."""

from __future__ import annotations

from dataclasses import replace
import pytest
import torch
from conftest import canonical_face

from faceinpaint.basics.errors import InputError
from faceinpaint.faces import sets
from faceinpaint.faces.batch import Faces
from faceinpaint.faces.shards import write_shards
from faceinpaint.faces.synthetic.dataset import person_of, split_of
from faceinpaint.landmarks import LandmarkPredictor
from faceinpaint.training import sources
from faceinpaint.training.sources import FaceSpec, Need, RenderedPeople, fill_landmarks, open_source


@pytest.fixture
def folder(face_folder):
    return face_folder(people=4)


def test_a_folder_in_memory_is_one_block_for_ever(folder):
    source = open_source(FaceSpec(str(folder)), Need(64))
    block = source.block(0)
    assert block is source.block(7)
    assert block.image.shape == (4, 3, 80, 80) and source.people == 4
    assert len(source.validation()) == 4 and source.validation().image.shape[-1] == 64


def test_a_folder_larger_than_memory_comes_in_parts(folder, monkeypatch):
    monkeypatch.setattr(sources, "MEMORY", 2 * 3 * 4 * 80**2)  # two faces
    source = open_source(FaceSpec(str(folder)), Need(64))
    parts = [source.block(period).name for period in range(4)]
    assert all(len(part) == 2 for part in parts)
    assert len({*parts[0], *parts[1]}) == len({*parts[2], *parts[3]}) == 4  # a pass has everyone
    again = open_source(FaceSpec(str(folder)), Need(64))
    assert again.block(3).name == parts[3]  # whatever was read before


def test_morphs_are_people_of_their_own(folder):
    source = open_source(FaceSpec(str(folder)), Need(64, morphs=3))
    identity = source.block(0).identity
    assert source.people == 7 and identity.unique().tolist() == list(range(7))


def test_some_faces_come_once_more_before_another_background(folder, monkeypatch):
    def before_black(faces, count, random):
        chosen = faces.select(torch.randint(len(faces), (count,), generator=random))
        return replace(chosen, image=torch.zeros_like(chosen.image))

    monkeypatch.setattr(sources, "before_other_backgrounds", before_black)
    source = open_source(FaceSpec(str(folder)), Need(64, morphs=2, backdrops=5))
    block = source.block(0)
    black = block.image.flatten(1).amax(dim=1) == 0
    assert len(block) == 4 + 2 + 5 and black.sum() == 5
    for index in black.nonzero()[:, 0].tolist():
        original = block.name.index(block.name[index])
        assert not black[original] and block.identity[original] == block.identity[index]
        assert torch.equal(block.landmarks[original], block.landmarks[index])


def test_as_many_faces_are_validated_as_are_asked_for(folder, tmp_path):
    source = open_source(FaceSpec(str(folder)), Need(64, validation=2))
    assert source.validation().identity.tolist() == [0, 3]  # spread over the folder
    write_shards(folder, tmp_path / "shards")
    assert len(open_source(FaceSpec(str(tmp_path / "shards")), Need(64, validation=3)).validation()) == 3
    assert RenderedPeople(Need(48, validation=4)).validation().identity.tolist() == [0, 0, 1, 1]
    assert len(RenderedPeople(Need(48, validation=1)).validation()) > 0


def test_shards_are_streamed_from_any_period(folder, tmp_path):
    write_shards(folder, tmp_path / "shards", images_per_shard=2)
    need = Need(64, rendered=3)
    source = open_source(FaceSpec(str(tmp_path / "shards")), need)
    blocks = [source.block(period) for period in range(3)]
    assert [len(block) for block in blocks] == [3, 3, 3]
    later = open_source(FaceSpec(str(tmp_path / "shards")), need).block(2)
    assert later.name == blocks[2].name and torch.equal(later.image, blocks[2].image)


def test_a_set_is_found_by_its_name(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    monkeypatch.setattr(sets, "SETS", folder.parent)
    monkeypatch.chdir("/")
    assert open_source(FaceSpec(folder.name), Need(64)).root == folder


def test_faces_that_are_nowhere_are_said():
    with pytest.raises(InputError, match="no faces nowhere: give a face folder, a set .*portraits.*synthetic"):
        open_source(FaceSpec("nowhere"), Need(64))


@pytest.fixture(scope="module")
def rendered():
    return RenderedPeople(Need(48, rendered=8)).block(0)


def test_rendered_faces_are_laid_like_those_of_a_folder(rendered):
    assert rendered.image.shape == (8, 3, 60, 60)
    assert rendered.identity.tolist() == [0] * 4 + [1] * 4
    eyes = rendered.landmarks[:, 36:48].mean(1)
    assert (eyes[:, 0] - 29.5).abs().max() < 6 and (eyes[:, 1] - 29.5).abs().max() < 6
    slope = (rendered.landmarks[:, 42:48].mean(1) - rendered.landmarks[:, 36:42].mean(1))
    assert (slope[:, 1] / slope[:, 0]).abs().max() < 0.2  # upright, however the head is tilted


def test_rendered_people_of_training_are_never_those_of_validation(rendered):
    source = RenderedPeople(Need(48, rendered=4))
    train = {source.block(period).name[0][:6] for period in range(3)}
    val = {name[:6] for name in source.validation().name}
    assert len(train) == 3 and not train & val
    assert {split_of(int(name)) for name in train} == {"train"} and {split_of(int(name)) for name in val} == {"val"}


def test_processes_render_different_people():
    names = [
        name for rank in range(2) for period in range(2)
        for name in RenderedPeople(Need(48, rendered=4, rank=rank, processes=2)).block(period).name
    ]
    assert len(set(names)) == len(names)


def test_a_limited_number_of_people_comes_back_on_other_photographs():
    source = RenderedPeople(Need(48, rendered=4, people=2))
    blocks = [source.block(period) for period in range(4)]
    assert [int(block.identity[0]) for block in blocks] == [0, 1, 0, 1]
    assert not set(blocks[0].name) & set(blocks[2].name) and source.people == 2


def test_numbers_of_people_and_splits_go_together():
    for split in ("train", "val", "test"):
        numbers = [person_of(split, index) for index in range(60)]
        assert len(set(numbers)) == 60 and {split_of(number) for number in numbers} == {split}
    assert sorted(person_of("train", index) for index in range(36)) == [n for n in range(40) if n % 20 not in (1, 2)]


def test_unknown_landmarks_are_predicted_in_the_middle_of_wide_pictures():
    predictor = LandmarkPredictor(width=0.35, size=64).eval()
    predictor.set_mean_face(canonical_face(64), 64)  # untrained, it predicts just that
    landmarks = torch.full((2, 68, 2), float("nan"))
    landmarks[1] = 7.0
    filled = fill_landmarks(Faces(torch.rand(2, 3, 80, 80), landmarks), predictor)
    assert torch.allclose(filled.landmarks[0], canonical_face(64)[0] + 8, atol=1e-3)
    assert (filled.landmarks[1] == 7).all()
