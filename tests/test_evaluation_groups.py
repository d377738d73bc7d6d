"""Groups of photographed people: who is in which, what is measured of them, and folders that say less."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from faceinpaint import evaluation, masks
from faceinpaint.basics.errors import InputError
from faceinpaint.course.studies import crowd, groups
from faceinpaint.evaluation.measures import skin_beside_white, skin_measures, skin_region
from faceinpaint.faces.photos import FaceFolder
from faceinpaint.faces.sets import find_set
from faceinpaint.faces.synthetic.dataset import write_folder
from faceinpaint.landmarks import LandmarkPredictor

SIZE = 64


class Judge(nn.Module):
    """A recogniser of the picture's colours."""

    name, threshold, fingerprint = "colours", 0.1, "0"

    def embed(self, images, landmarks):
        return nn.functional.normalize(nn.functional.adaptive_avg_pool2d(images, 4).flatten(1) - 0.4, dim=1)


def measured(folder, **options):
    predictor = LandmarkPredictor(width=0.25, size=64).eval()
    methods = {"mirror": evaluation.mirror, "truth": lambda image, mask, landmarks: image}
    return crowd.measured(folder, methods, predictor, Judge(), SIZE, **options)


@pytest.fixture(scope="module")
def rows():
    return measured("portraits", people=12, names=("mask01", "face-mask"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Rendered people, of whom no row tells the sex, a year or a tone; their yaw is in degrees."""
    return write_folder(tmp_path_factory.mktemp("faces"), people=4, photos=1, size=SIZE).parent


@pytest.mark.parametrize("by", groups.GROUPINGS)
def test_groups_hold_everybody_of_whom_something_is_known_once(rows, by):
    key = groups.GROUPINGS[by].key
    numbers = [id(row) for group in groups.grouped(rows, by).values() for row in group]
    assert sorted(numbers) == sorted(id(row) for row in rows if row[key] is not None)


def test_the_edges_are_those_that_are_written_down():
    tones = {"very light": 55.1, "light": 55, "intermediate": 41, "tan": 28, "brown, dark": 10}
    found = groups.grouped([{crowd.TONE: tone} for tone in [*tones.values(), None]], "skin tone")
    assert {name: [row[crowd.TONE] for row in group] for name, group in found.items()} == {
        name: [tone] for name, tone in tones.items()}
    years = groups.grouped([{"born": year} for year in (1949, 1950, 1969, 1970)], "born")
    assert [len(group) for group in years.values()] == [1, 1, 1, 1]


def test_the_people_are_of_the_splits_asked_for_from_the_lightest_to_the_darkest(rows):
    assert {row["split"] for row in rows} == {"val", "test"} and len({row["person"] for row in rows}) == 12
    tones = [row[crowd.TONE] for row in rows]
    everybody = crowd._said(FaceFolder(find_set("portraits"), None, SIZE))
    there = [row[crowd.TONE] for row in everybody if row["split"] in crowd.SPLITS]
    assert (min(tones), max(tones)) == (min(there), max(there))
    assert {row["split"] for row in measured("portraits", people=1, splits=["train"], names=["mask01"])} == {"train"}


def test_the_truth_has_the_skin_of_the_untouched_face_and_is_no_lighter(rows):
    for row in rows:
        if row["method"] == "truth":
            assert row["skin"] == pytest.approx(row["skin_open"]) and abs(row["lighter"]) < 1e-4
            assert row["cosine_self"] == pytest.approx(1, abs=1e-5)
            assert row["cosine_reference"] == pytest.approx(row["cosine_open"], abs=1e-5, nan_ok=True)


def test_a_grey_patch_on_dark_skin_is_far_from_it_and_the_same_skin_is_not():
    face = FaceFolder(find_set("portraits"), "test", 128)[0]
    dark = torch.tensor([0.25, 0.16, 0.12]).view(1, 3, 1, 1).expand(1, 3, 128, 128)
    mask = masks.face_mask(face.landmarks, 128)
    same = skin_measures(dark, dark, mask, face.landmarks)
    grey = skin_measures(torch.where(mask > 0.5, 0.6, dark), dark, mask, face.landmarks)
    assert same["skin"] < 1e-3 and same["lighter"] == 0
    assert grey["skin"] > 40 and grey["lighter"] > 40 and grey["skin_open"] < 1e-3
    assert skin_measures(dark, dark, torch.ones_like(mask), face.landmarks)["skin"].isnan().all()  # nothing beside it
    skin, eyes = skin_region(face.landmarks, 128), face.landmarks[0, 36:48].mean(0).round().long()
    assert 0.1 < skin.mean() < 0.5 and skin[0, 0, eyes[1], face.landmarks[0, 37, 0].long()] == 0


def test_skin_beside_white_knows_no_exposure_and_a_darker_skin():
    face = FaceFolder(find_set("portraits"), "test", 128)[0]
    linear = face.image.double() ** 2.2
    dimmed = skin_beside_white((0.5 * linear).float() ** (1 / 2.2), face.landmarks).item()
    open_face = skin_beside_white(face.image, face.landmarks).item()
    assert dimmed == pytest.approx(open_face, rel=0.03)
    darker = face.image * (1 - 0.5 * skin_region(face.landmarks, 128))
    assert skin_beside_white(darker, face.landmarks).item() < 0.4 * open_face


def test_intervals_hold_their_means_and_gaps_have_a_sign(rows):
    of = [row for row in rows if row["method"] == "mirror"]
    for group in groups.grouped(of, "skin tone").values():
        found = groups.interval_of(group, "psnr_hole")
        assert found.people < 2 or found.low <= found.mean <= found.high
    made = [
        {"person": str(number), "sex": ("female", "male")[number % 2], "skin": 5.0 + number % 2 + number / 100}
        for number in range(20)
    ]
    found = groups.gap(made, "sex", "skin", "men", "women")
    assert found.mean == pytest.approx(1.01) and found.real and found.low <= found.mean <= found.high
    assert groups.gap(made, "sex", "skin", "women", "men").mean == pytest.approx(-1.01)
    assert "| women | 10 | 5.1 (" in groups.table(made, "sex", {"skin": ("skin", 1, 1)})
    assert [point.level for point in groups.points(groups.grouped(made, "sex"), "skin")] == ["women", "men"]
    assert groups.typical(made, "sex", "skin")["men"]["person"] == "11"


def test_a_folder_that_says_less_is_measured_and_grouped_by_what_it_says(folder):
    rows = measured(folder, splits=["train"], names=["mask01"])
    assert all(row["sex"] is row["born"] is row[crowd.TONE] is None for row in rows)
    with pytest.raises(InputError, match="has a born in its row of metadata: group by") as refused:
        groups.grouped(rows, "born")
    assert "\n" not in str(refused.value)
    file = folder / "metadata.jsonl"
    lines = [json.loads(line) | {"born": "1950", crowd.TONE: True, "sex": 3} for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert all(row["born"] is row[crowd.TONE] is None for row in crowd._said(FaceFolder(folder, None, SIZE)))


def test_what_is_not_there_is_told_in_a_sentence(rows):
    for call, said in (
        (lambda: groups.grouped(rows, "tone"), "did you mean 'skin tone'"),
        (lambda: groups.interval_of(rows, "skim"), "did you mean 'skin'"),
        (lambda: groups.gap(rows, "sex", "skin", "woman", "men"), "did you mean 'women'"),
        (lambda: measured("portraits", splits=["tests"]), "did you mean 'test'"),
        (lambda: measured("portraits", people=0), "give 1 or more"),
    ):
        with pytest.raises(InputError, match=said):
            call()
