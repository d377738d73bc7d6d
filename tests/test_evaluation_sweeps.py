"""Sweeps: a factor changes itself alone, the same people stand at every level, and what is measured is what is said."""

from __future__ import annotations

from dataclasses import fields

import pytest
import torch
from torch import nn

from faceinpaint import evaluation, masks
from faceinpaint.basics.errors import InputError
from faceinpaint.course.studies import factors, sweeps
from faceinpaint.evaluation.examination import Located
from faceinpaint.faces import synthetic
from faceinpaint.faces.batch import Faces
from faceinpaint.faces.synthetic.background import scene_of
from faceinpaint.faces.synthetic.dataset import split_of
from faceinpaint.faces.synthetic.parameters import Parameters
from faceinpaint.landmarks import LandmarkPredictor, hidden_landmarks

SIZE = 64
CHANGES = {  # which parameters of a person or a photograph a factor may change
    "yaw": {"yaw"}, "pitch": {"pitch"}, "light": {"key"}, "landmarks": set(), "people": set(),
    "glasses": {"glasses"}, "background": {"seed"}, "tone": {"tone", "skin.colour"},
    "age": {"age", "hair.grey", "hair.colour", "hair.brows"},
    "beard": {"hair.beard", "hair.moustache", "hair.goatee", "hair.beard_length", "hair.moustache_length",
              "skin.stubble"},
}


def differing(one: Parameters, other: Parameters, above: str = "") -> set[str]:
    """The names of the parameters in which two batches differ."""
    found = set()
    for field in fields(one):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, Parameters):
            found |= differing(a, b, f"{field.name}.")
        elif not torch.allclose(a, b):
            found.add(above + field.name)
    return found


class Judge(nn.Module):
    """A recogniser of the picture's colours."""

    name, threshold, fingerprint = "colours", 0.1, "0"

    def embed(self, images, landmarks):
        return nn.functional.normalize(nn.functional.adaptive_avg_pool2d(images, 4).flatten(1) - 0.4, dim=1)


@pytest.fixture(scope="module")
def predictor():
    return LandmarkPredictor(width=0.25, size=64).eval()


def truth(image, mask, landmarks):
    return image


@pytest.fixture(scope="module")
def sweeper(predictor):
    methods = {"mirror": evaluation.mirror, "warped-mirror": evaluation.warped_mirror, "truth": truth}
    return sweeps.Sweeper(methods, predictor, Judge(), SIZE)


@pytest.fixture(scope="module")
def glasses(sweeper):
    return sweeper.sweep(factors.factor("glasses"), 3)


@pytest.mark.parametrize("name", factors.FACTORS)
def test_a_factor_changes_itself_alone(name):
    people = factors.strangers(12, factors.factor(name).feminine)
    person, pose = synthetic.identities(people), factors.plain_poses(people)
    changed = set()
    for level in factors.factor(name).levels:
        changed |= differing(level.person(person), person) | differing(level.pose(pose), pose)
    assert changed == CHANGES[name]
    assert any(level.guide for level in factors.factor(name).levels) == (name == "landmarks")


def test_the_people_are_of_the_test_and_of_the_presentation_asked_for():
    people = factors.strangers(4, feminine=False)
    assert all(split_of(person) == "test" for person in people)
    assert synthetic.identities(people).feminine.sum() == 0
    assert factors.strangers(3) == factors.strangers(6)[:3]
    assert not set(factors.strangers(6)) & set(factors.strangers(6, seed=1))
    with pytest.raises(InputError, match="give 1 or more"):
        factors.strangers(0)


def test_plain_conditions_are_plain():
    people = factors.strangers(3)
    pose = factors.plain_poses(people)
    for name in ("yaw", "pitch", "roll", "smile", "glasses", "rim"):
        assert (getattr(pose, name) == 0).all(), name
    assert [scene_of(int(seed)) for seed in pose.seed.flatten()] == ["studio"] * 3


def test_the_first_background_is_the_plain_one_and_the_others_are_what_they_are_called():
    pose = factors.plain_poses(factors.strangers(2))
    for level in factors.factor("background").levels:
        assert {scene_of(int(seed)) for seed in level.pose(pose).seed.flatten()} == {level.name}
    assert torch.equal(factors.before(pose, "studio").seed, pose.seed)


def test_faces_are_aligned_and_the_same_person_turns():
    people = factors.strangers(1)
    yaw = factors.factor("yaw").at("0°", "30°")
    front, turned = (factors.at_level(people, level, SIZE) for level in yaw.levels)
    assert front.image.shape == (1, 3, SIZE, SIZE)
    eyes = front.landmarks[0, 36:48].mean(0)
    assert abs(eyes[0] - (SIZE - 1) / 2) < 2 and 0.35 * SIZE < eyes[1] < 0.55 * SIZE
    nose = [one.landmarks[0, 30, 0] - one.landmarks[0, 36:48, 0].mean() for one in (front, turned)]
    assert nose[1] - nose[0] > 2  # to the right of the picture
    assert torch.equal(front.identity, turned.identity)


def test_another_tone_is_the_same_as_none_at_the_persons_own_and_darker_above_it():
    person = synthetic.identities(factors.strangers(3))
    for index in range(3):
        one = person.select(torch.tensor([index]))
        same = factors.with_tone(one, one.tone.item())
        assert torch.allclose(same.skin.colour, one.skin.colour, atol=1e-6)
    dark, light = (factors.with_tone(person, tone).skin.colour.mean() for tone in (6, 0))
    assert dark < 0.3 * light


def test_age_turns_hair_grey_and_back():
    person = synthetic.identities(factors.strangers(2))
    old = factors.with_age(person, 75)
    young = factors.with_age(old, 20)
    assert (old.hair.colour > 0.35).all() and torch.allclose(young.hair.colour, person.hair.natural)
    assert (old.age == 1).all() and (young.age == 0).all()


@pytest.fixture(scope="module")
def block():
    faces = factors.at_level(factors.strangers(2), factors.factor("people").levels[0], SIZE)
    return Located(faces, faces.landmarks, faces.identity)


def test_a_shift_of_nothing_is_the_predicted_one_and_another_moves_what_is_hidden_by_so_much(block):
    mask = masks.standard("mask01", SIZE).expand(2, -1, -1, -1)
    predicted = block.truth + 1
    assert torch.equal(factors.hidden_shifted(0.0, block, mask, predicted), predicted)
    moved = factors.hidden_shifted(0.08, block, mask, predicted) - predicted
    hidden = hidden_landmarks(block.truth, mask)
    inter_ocular = (block.truth[:, 36] - block.truth[:, 45]).norm(dim=1, keepdim=True).expand(-1, 68)
    assert (moved[~hidden] == 0).all() and 20 < hidden[0].sum() < 48
    assert torch.allclose(moved.norm(dim=-1)[hidden], 0.08 * inter_ocular[hidden], rtol=1e-3)
    assert torch.allclose(factors.hidden_shifted(0.04, block, mask, predicted) - predicted, moved / 2, atol=1e-5)
    told = sweeps.error_of_hidden(block.truth + moved, block.truth, mask)
    assert torch.allclose(told, torch.full((2,), 0.08), atol=1e-5)


def test_true_landmarks_and_the_mean_face(block):
    mask, predicted = masks.standard("mask01", SIZE), block.truth + 3
    assert torch.equal(factors.true_landmarks(block, mask, predicted), block.truth)
    mean = factors.mean_face(block, mask, predicted)
    assert torch.equal(mean[0], mean[1])
    assert 0 < sweeps.error_of_hidden(mean, block.truth, mask.expand(2, -1, -1, -1)).max() < 0.2


def test_what_the_methods_are_told_is_what_the_level_says(sweeper):
    rows = sweeper.sweep(factors.factor("landmarks").at("true", "predicted", "16 % off"), 2, ["mask01"])
    told = {level: sweeps.interval_of(sweeps.select(rows, level=level), "nme_told").mean
            for level in ("true", "predicted", "16 % off")}
    assert told["true"] < 1e-6 < told["predicted"]
    psnr = {level: [row["psnr"] for row in sweeps.select(rows, level=level, method="mirror")] for level in told}
    assert psnr["true"] == psnr["predicted"] == psnr["16 % off"]  # a mirror takes no notice
    warped = sweeps.select(rows, method="warped-mirror", level="true")
    astray = sweeps.select(rows, method="warped-mirror", level="16 % off")
    assert [row["psnr"] for row in warped] != [row["psnr"] for row in astray]


def test_the_same_people_stand_at_every_level_with_the_same_masks(glasses):
    at = [sweeps.select(glasses, level=level, method="mirror", mask="mask05") for level in ("none", "glasses")]
    assert [row["person"] for row in at[0]] == [row["person"] for row in at[1]]
    assert len(glasses) == 2 * 3 * 2 * 3  # levels, people, masks, methods
    assert [row["hole_ratio"] for row in at[0]] == [row["hole_ratio"] for row in at[1]]


def test_a_person_is_measured_alike_whoever_else_is(sweeper, glasses):
    fewer = sweeper.sweep(factors.factor("glasses"), 1)
    person = [row for row in glasses if row["person"] == fewer[0]["person"]]
    for one, other in zip(fewer, person, strict=True):
        assert one["psnr_hole"] == pytest.approx(other["psnr_hole"], rel=1e-3)
        assert one["cosine_reference"] == pytest.approx(other["cosine_reference"], abs=1e-3)


def test_the_truth_is_perfect_and_as_alike_to_the_other_photograph_as_the_open_face(glasses):
    for row in sweeps.select(glasses, method="truth"):
        assert row["cosine_self"] == pytest.approx(1, abs=1e-5)
        assert row["cosine_reference"] == pytest.approx(row["cosine_open"], abs=1e-5)
        assert row["sharpness"] == pytest.approx(1)
    assert all(row["cosine_self"] < 0.9999 for row in sweeps.select(glasses, method="mirror"))


def test_all_of_the_glasses_are_painted_by_the_truth_and_none_by_a_bare_face(glasses):
    worn = sweeps.select(glasses, method="truth", level="glasses")
    assert [row["painted"] for row in worn] == pytest.approx([1.0] * 6, abs=1e-4)
    assert all(row["painted"] != row["painted"] for row in sweeps.select(glasses, level="none"))  # NaN


def test_painted_is_nothing_for_the_bare_face_half_for_a_ghost_and_nothing_for_a_dark_hole():
    added = torch.zeros(2, 3, 32, 32)
    added[:, :, 10:14, 4:12] = -0.3
    mask = torch.zeros(2, 1, 32, 32)
    mask[..., :16] = 1
    for made, right in ((added, 1), (0 * added, 0), (added / 2, 0.5), (0 * added - 0.2, 0), (added - 0.2, 1)):
        assert sweeps.painted(made, added, mask) == pytest.approx(torch.full((2,), float(right)), abs=1e-4)
    elsewhere = torch.zeros_like(mask)
    elsewhere[..., 20:] = 1
    assert sweeps.painted(added, added, elsewhere).isnan().all()


def test_a_method_that_paints_the_same_whatever_there_was_paints_nothing_of_it(predictor):
    def always_grey(image, mask, landmarks):
        return torch.where(mask > 0.5, 0.3, image)

    methods = {"grey": always_grey, "mirror": evaluation.mirror}
    rows = sweeps.Sweeper(methods, predictor, Judge(), SIZE).sweep(factors.factor("beard"), 5, ["mask01"])
    worn = sweeps.select(rows, level="full")
    assert all(row["painted"] == pytest.approx(0, abs=1e-5) for row in sweeps.select(worn, method="grey"))
    assert all(0.2 < row["painted"] < 1.3 for row in sweeps.select(worn, method="mirror"))


def test_regions_are_told_apart(block):
    image, mask = block.faces.image, torch.ones(2, 1, SIZE, SIZE)
    face = masks.face_region(block.truth, SIZE)
    found = sweeps.regions(image + 0.1 * face + 0.01 * (1 - face), image, mask, block.truth)
    assert torch.allclose(found["psnr_face"], torch.full((2,), 20.0), atol=1e-3)
    assert torch.allclose(found["psnr_around"], torch.full((2,), 40.0), atol=1e-2)
    assert sweeps.regions(image, image, mask * face, block.truth)["psnr_around"].isnan().all()


def made_up(values, level="none", mask="mask01"):
    """Rows of a factor with a PSNR each."""
    blank = {key: float("nan") for key in (*sweeps.SWEPT, *sweeps.ABOUT)}
    return [
        blank | {"factor": "glasses", "level": level, "person": str(number), "mask": mask, "method": "one",
                 "psnr": value, "tone": float(number % 6), "feminine": float(number % 2), "age": 0.5}
        for number, value in enumerate(values)
    ]


def test_a_curve_has_a_point_for_each_level_whose_interval_covers_its_mean():
    rows = made_up([20.0, 21, 22, 23]) + made_up([10.0, 11, 12, float("inf")], "glasses")
    first, second = sweeps.curve(rows, "psnr", "one", "mask01")
    assert (first.level, first.place, second.level, second.place) == ("none", 0, "glasses", 1)
    assert first.found.low < 21.5 < first.found.high and first.found.mean == 21.5
    assert second.found.mean == 11 and second.found.people == 3  # what is infinite is left out
    assert sweeps.curve(rows, "ssim", "one") == []  # nothing was measured


def test_a_change_is_paired():
    before, after = [10.0, 20, 30, 40, 50, 60, 70, 80], [11.0, 21, 31, 41, 51, 61, 71, 81.5]
    found = sweeps.change(made_up(before) + made_up(after, "glasses"), "psnr", "one", "none", "glasses")
    assert found.mean == pytest.approx(8.5 / 8) and found.low >= 1 and found.real


def test_unknown_names_are_told_the_nearest(sweeper):
    rows = made_up([1.0, 2.0])
    for call, nearest in (
        (lambda: factors.factor("yav"), "yaw"), (lambda: factors.factor("yaw").at("3°"), "30°"),
        (lambda: sweeps.curve(rows, "pnsr", "one"), "psnr"), (lambda: sweeps.curve(rows, "psnr", "on"), "one"),
        (lambda: sweeps.select(rows, level="non"), "none"),
        (lambda: sweeper.complete(factors.factor("people").levels[0], 2, "mask01", ["miror"]), "mirror"),
    ):
        with pytest.raises(InputError, match=f"did you mean '{nearest}'"):
            call()


def test_rows_survive_their_file(glasses, tmp_path):
    sweeps.write_sweep(tmp_path / "rows.csv", glasses)
    again = sweeps.read_sweep(tmp_path / "rows.csv")
    assert len(again) == len(glasses)
    for row, other in zip(glasses, again):
        for key in (*sweeps.NAMES, "painted", "psnr_hole", "tone"):
            right = row[key] if key in sweeps.NAMES else pytest.approx(row[key], rel=1e-5, nan_ok=True)
            assert other[key] == right, key


def test_what_is_kept_is_found_again_and_another_method_is_measured_anew(predictor, tmp_path):
    varied, called = factors.factor("people"), []

    def counted(image, mask, landmarks):
        called.append(len(image))
        return evaluation.mirror(image, mask, landmarks)

    def sweep(method):
        return sweeps.Sweeper({"one": method}, predictor, Judge(), SIZE, keep=tmp_path).sweep(varied, 1, ["mask01"])

    first = sweep(counted)
    measured = len(called)
    second = sweep(counted)
    assert len(called) == measured + 1  # it has left its trace once more, and no more
    assert second[0]["psnr"] == pytest.approx(first[0]["psnr"], rel=1e-5)
    sweep(lambda image, mask, landmarks: 1 - evaluation.mirror(image, mask, landmarks))
    assert len(list(tmp_path.glob("people-*.csv"))) == 2


def test_behind_a_point_are_the_median_and_the_worst_person(sweeper, glasses):
    median, worst = sweeper.behind(glasses, "glasses", "mirror", "mask01", "psnr")
    values = sorted(row["psnr"] for row in sweeps.select(glasses, level="glasses", method="mirror", mask="mask01"))
    assert (worst.row["psnr"], median.row["psnr"]) == (values[0], values[1])
    hole = masks.standard("mask01", SIZE) > 0
    assert torch.equal(worst.completed.masked_select(~hole), worst.original.masked_select(~hole))
    found = evaluation.pixel_measures(worst.completed, worst.original, hole.float())["psnr"].item()
    assert found == pytest.approx(worst.row["psnr"], abs=0.01)


def test_along_a_factor_is_one_person_completed_at_every_level(sweeper):
    varied = factors.factor("yaw").few(2)
    rows = sweeper.along(varied, "mask02", ["mirror", "truth"])
    assert list(rows) == ["original", "masked", "mirror", "truth"] and {len(row) for row in rows.values()} == {2}
    assert torch.equal(rows["truth"][0], rows["original"][0])
    known = rows["masked"][1][..., : SIZE // 2]
    assert torch.equal(known, rows["mirror"][1][..., : SIZE // 2])
    assert (rows["masked"][1][..., SIZE // 2 :] == 0.5).all()


def test_panels_have_a_curve_for_each_method_and_the_ceiling_of_the_untouched_face(glasses):
    drawn, ceilings = sweeps.panels(glasses, ["psnr_hole", "cosine_reference"], "mask01")
    assert [list(curves) for curves in drawn.values()] == [["mirror", "warped-mirror", "truth"]] * 2
    ceiling, truth = ceilings["cosine, another photograph"], drawn["cosine, another photograph"]["truth"]
    assert [one.found.mean for one in ceiling] == pytest.approx([one.found.mean for one in truth], abs=1e-5)


def test_a_guide_changes_what_methods_are_told_and_further_measures_come_along(predictor, block):
    told = []

    def method(image, mask, landmarks):
        told.append(landmarks)
        return evaluation.mirror(image, mask, landmarks)

    examination = evaluation.Examination(
        {"one": method}, predictor, Judge(), guide=lambda block, mask, predicted: predicted + 7,
        further=lambda block, completed, mask: {"mean": completed.mean(dim=(1, 2, 3))},
    )
    faces = Faces(block.faces.image, block.faces.landmarks, torch.arange(2), block.faces.name)
    located = examination.locate(faces, torch.arange(2))
    gallery = evaluation.Gallery(examination.embed(faces.image, located.seen), torch.arange(2), 0.1)
    measured, _ = examination.measure(located, ["mask01"], gallery)
    examination.complete(located, "mask01", "one")
    mask = examination.mask("mask01", located)
    with torch.no_grad():
        right = predictor(faces.image, mask) + 7
    assert all(torch.allclose(one, right) for one in told) and len(told) == 2
    assert measured["mask01", "one"]["mean"].shape == (2,)
    assert set(evaluation.MEASURES) < set(measured["mask01", "one"])


def test_a_contrast_is_of_people_and_covers_the_truth():
    first, second = [5.0, 5, 5, 7, 6], [1.0, 2, 3, 2]
    people, others = ["a", "a", "a", "b", "c"], list("defg")
    found = evaluation.contrast(first, people, second, others)
    assert found.mean == pytest.approx(28 / 5 - 2) and found.people == 7
    assert found.low < found.mean < found.high and found.low > 0
    other_way = evaluation.contrast(second, others, first, people)
    assert other_way.mean == pytest.approx(-found.mean)
    alike = evaluation.contrast([1.0, 2, 3, 4], list("abcd"), [1.0, 2, 3, 4], list("efgh"))
    assert alike.mean == 0 and alike.chance == 1 and not alike.real
    alone = evaluation.contrast([1.0], ["a"], second, others)
    assert alone.low != alone.low and not alone.real
