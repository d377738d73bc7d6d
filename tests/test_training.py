"""The training stages: they learn, resume exactly, stop in order, and step the two networks in the right order."""

from __future__ import annotations

import hashlib
import os
import signal
from dataclasses import replace
from functools import partial

import pytest
import torch
from accelerate import Accelerator
from conftest import canonical_face, small_features
from PIL import Image
from safetensors.torch import load_file
from test_recognisers_arcface import write_network
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torchvision.models import mobilenet_v2

from faceinpaint import masks, training, weights
from faceinpaint.basics import folding
from faceinpaint.basics.errors import InputError
from faceinpaint.faces.batch import Faces
from faceinpaint.features import Features
from faceinpaint.generator import Generator
from faceinpaint.landmarks import OUTER_EYE_CORNERS, LandmarkPredictor, hidden_landmarks
from faceinpaint.recognisers import HEADS, FaceResNet, MobileFaceNet, Recogniser, load_recogniser
from faceinpaint.training import completion, landmarks, machine, read_log, recogniser as training_of_recognisers, run
from faceinpaint.training.batches import MaskedFaces, Mixture
from faceinpaint.training.presets import PRESETS, CompletionTraining, LandmarkTraining
from faceinpaint.training.recogniser import calibrate
from faceinpaint.training.sources import Need
from faceinpaint.weights import fetch

SMOKE = PRESETS["smoke"]


@pytest.fixture(scope="module")
def folder(face_folder):
    return face_folder(people=3)


EVERY_MASK = completion.VALIDATION_MASKS
pytestmark = pytest.mark.usefixtures("quick_training")


def learn_landmarks(folder, out, resume=False, start=None, **settings):
    chosen = replace(SMOKE.landmarks, batch=4, **settings)
    return training.train_landmarks([folder], chosen, out, resume=resume, start=start)


def learn_completion(folder, out, predictor, recogniser, resume=False, start=None, milestone_faces=0, **settings):
    """milestone_faces: 0, for to measure takes longer than these few steps; `test_training_milestones.py` does."""
    chosen = replace(SMOKE.completion, milestone_faces=milestone_faces, **settings)
    return training.train_completion([folder], chosen, out, predictor, recogniser, resume=resume, start=start)


# ------------------------------------------------------------------------------------------------- stages


def test_landmark_training_starts_at_the_mean_face_and_measures_what_it_wrote(folder, tmp_path):
    path = learn_landmarks(folder, tmp_path, steps=12)
    trained = weights.load(path, LandmarkPredictor)
    faces = Mixture([folder], Need(64)).validation()
    # All three people share their landmarks, so the mean face is theirs.
    assert (trained.mean_face * 64 - 0.5 - faces.landmarks).abs().max() < 0.3
    found, logged = landmarks.landmark_errors(trained, faces), read_log(tmp_path)
    for name, value in found.items():  # the file is in half precision
        assert value == pytest.approx(logged[f"nme_{name}"][1][-1], abs=2e-3)
    assert found["open"] > 0  # it has moved away from the mean face


def test_landmark_training_learns(folder, tmp_path):
    """From a wrong mean face, the right one is found."""
    def wrong(mixture):
        return canonical_face(64) + 6

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(landmarks, "mean_face", wrong)
        learn_landmarks(folder, tmp_path, steps=30, validate_every=15, lr=5e-3, masks="none")
    _, values = read_log(tmp_path)["loss"]
    assert sum(values[-5:]) < 0.6 * sum(values[:5])


def test_completion_trains_and_its_weights_load(folder, tmp_path, predictor, recogniser, monkeypatch):
    monkeypatch.setattr(completion, "VALIDATION_MASKS", EVERY_MASK)
    path = learn_completion(folder, tmp_path, predictor, recogniser, steps=6, milestone_faces=1)
    generator = weights.load(path, Generator)
    assert generator.width == SMOKE.completion.width
    assert any(parameter.abs().sum() > 0 for parameter in generator.paint.parameters())
    log = read_log(tmp_path)
    assert log["discriminator"][0] == [4, 5, 6]  # joins at adversarial_from
    assert log["ssim"][0] == log["face_distance"][0] == log["psnr_mask01"][0] == [5, 6]
    assert log["psnr"][1][-1] == pytest.approx(sum(log[f"psnr_{name}"][1][-1] for name in EVERY_MASK) / 8, rel=1e-4)
    grid = Image.open(tmp_path / "validation" / "step-000005.jpg")
    assert grid.height > 9 * SMOKE.completion.size  # the truth and eight masks
    weights.load(tmp_path / "best.safetensors", Generator)
    assert list((tmp_path / "tensorboard").glob("events*"))


@pytest.mark.parametrize("discriminator", ["projected", "patch"])
def test_optional_terms_and_hinge_join_in_where_they_are_asked_for(
    folder, tmp_path, predictor, recogniser, discriminator
):
    learn_completion(
        folder, tmp_path, predictor, recogniser, steps=2, adversarial_from=1, gan="hinge", r1=1.0, total_variation=0.1,
        style=0.1, symmetry=0.1, texture=1.0, masks="unseen", mirrored=0.3, background=0.3, discriminator=discriminator,
    )
    log = read_log(tmp_path)
    assert {"total_variation", "style", "symmetry", "texture"} <= set(log)
    assert log["discriminator"][0] == [1, 2] and log["discriminator_gradient"][1][0] > 0
    plain = CompletionTraining()
    assert plain.total_variation == plain.style == plain.symmetry == plain.texture == plain.r1 == 0
    assert plain.background == plain.mirrored == 1


def test_a_discriminator_that_nobody_listens_to_is_not_trained(folder, tmp_path, predictor, recogniser):
    learn_completion(folder, tmp_path, predictor, recogniser, steps=2, adversarial=0.0, adversarial_from=0)
    log, state = read_log(tmp_path), torch.load(tmp_path / "checkpoints" / "step-0000002.pt", weights_only=True)
    assert "adversarial" not in log and "discriminator" not in log and log["perceptual"][0] == [1, 2]
    assert state["judge_optimizer"]["state"] == {} != state["optimizer"]["state"]


@pytest.mark.parametrize("discriminator", ["projected", "patch"])
def test_a_step_looks_at_photographs_and_paintings_once_each(
    folder, tmp_path, predictor, recogniser, monkeypatch, discriminator
):
    """Perceptual loss, generator and discriminator share what is seen of them."""
    look, seen = Features.forward, []

    def count(self, images, layers=None):
        seen.append((len(images), torch.is_grad_enabled()))
        return look(self, images, layers)

    def unmeasured(*_):
        return {"perceptual_distance": 0.0}, torch.zeros(1, 3, 64, 64)

    monkeypatch.setattr(completion, "validate", unmeasured)
    monkeypatch.setattr(Features, "forward", count)
    learn_completion(
        folder, tmp_path, predictor, recogniser, steps=3, batch=3, adversarial_from=2, discriminator=discriminator)
    assert [one for one in seen if one[0] == 3] == [(3, False), (3, True)] * 3


def test_a_generator_gets_a_style_code_where_the_settings_say_so(tmp_path):
    chosen = SMOKE.completion
    assert completion.beginning(chosen, None).style is not None and chosen.style == 0
    plain = completion.beginning(replace(chosen, style_code=False, style=0.5, rank=0), None)
    assert plain.style is None and plain.rank == 0


def test_the_discriminator_may_learn_at_another_rate(folder, tmp_path, predictor, recogniser):
    learn_completion(folder, tmp_path, predictor, recogniser, steps=2, adversarial_from=1, discriminator_rate=4.0)
    state = torch.load(tmp_path / "checkpoints" / "step-0000002.pt", weights_only=True)
    mine, judge = (state[name]["param_groups"][0]["lr"] for name in ("optimizer", "judge_optimizer"))
    assert judge == pytest.approx(4 * mine) and mine > 0


def test_the_averaged_generator_ships_and_lags_behind(folder, tmp_path, predictor, recogniser):
    path = learn_completion(folder, tmp_path, predictor, recogniser, steps=3, ema=0.9, lr=1e-2, schedule="constant")
    state = torch.load(tmp_path / "checkpoints" / "step-0000003.pt", weights_only=True)
    last, shipped = state["generator"]["paint.weight"], weights.load(path, Generator).paint.weight
    assert torch.allclose(shipped, state["average"]["module.paint.weight"], atol=1e-4)
    assert (shipped - last).abs().max() > 1e-3


def test_the_averaged_predictor_ships_with_its_statistics(folder, tmp_path):
    path = learn_landmarks(folder, tmp_path, steps=4, ema=0.9, lr=1e-2)
    state = torch.load(tmp_path / "checkpoints" / "step-0000004.pt", weights_only=True)
    shipped = weights.load(path, LandmarkPredictor).state_dict()
    for key in ("head.3.weight", "levels.0.0.1.running_mean"):  # half precision has three digits
        assert torch.allclose(shipped[key], state["average"][f"module.{key}"], rtol=1e-2, atol=1e-4)
        assert (state["average"][f"module.{key}"] - state["predictor"][key]).abs().max() > 1e-4


@pytest.mark.parametrize("decay", [0.3, 0.9])
def test_an_average_follows_closely_at_first_and_then_with_its_full_memory(decay):
    network = nn.Linear(1, 1, bias=False)
    average = AveragedModel(network, multi_avg_fn=machine.rising_average(decay))
    expected = None
    for step, value in enumerate((3.0, -1.0, 2.0, 5.0, 0.0)):
        nn.init.constant_(network.weight, value)
        average.update_parameters(network)
        share = min(decay, (1 + step) / (10 + step))
        expected = value if expected is None else share * expected + (1 - share) * value
        assert average.module.weight.item() == pytest.approx(expected, abs=1e-5)


def test_runs_begin_with_the_weights_that_another_one_ended_with(folder, tmp_path, predictor, recogniser):
    first = learn_landmarks(folder, tmp_path / "a", steps=3, lr=1e-2)
    second = learn_landmarks(folder, tmp_path / "b", steps=1, lr=1e-9, start=first)
    there, here = weights.load(first, LandmarkPredictor), weights.load(second, LandmarkPredictor)
    assert torch.allclose(there.head[-1].weight, here.head[-1].weight, atol=1e-4)
    assert there.head[-1].weight.abs().max() > 1e-3  # which is 0 in a new one

    first = learn_completion(folder, tmp_path / "c", predictor, recogniser, steps=3, lr=1e-2)
    second = learn_completion(folder, tmp_path / "d", predictor, recogniser, steps=1, lr=1e-9, start=first)
    there, here = weights.load(first, Generator), weights.load(second, Generator)
    assert torch.allclose(there.paint.weight, here.paint.weight, atol=1e-4)
    assert there.paint.weight.abs().max() > 1e-3
    assert torch.equal(there.appearance.mean, here.appearance.mean)
    with pytest.raises(InputError, match="is a Generator of another size: begin with one that has the same settings"):
        learn_completion(folder, tmp_path / "e", predictor, recogniser, steps=1, width=6, start=first)


def test_landmark_training_begins_with_imagenets_weights(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    with pytest.raises(InputError, match=r"are not there: get them \(14 MB\) with `faceinpaint fetch mobilenet_v2`"):
        learn_landmarks(folder, tmp_path / "a", start="imagenet")
    assert not (tmp_path / "a").exists()
    published = mobilenet_v2()
    file = fetch.path_of("mobilenet_v2")
    file.parent.mkdir(parents=True)
    torch.save(published.state_dict(), file)
    entry = fetch.published("mobilenet_v2")._replace(
        size=file.stat().st_size, sha256=hashlib.sha256(file.read_bytes()).hexdigest()
    )
    monkeypatch.setitem(fetch.PUBLISHED, "mobilenet_v2", entry)
    made = learn_landmarks(folder, tmp_path / "b", start="imagenet", width=1.0, steps=1, lr=1e-9)
    here, there = weights.load(made, LandmarkPredictor).levels[2][-1].conv, published.features[17].conv
    assert torch.allclose(here[0][0].weight, there[0][0].weight, atol=1e-3)


def test_a_thin_generator_is_trained_on_and_stays_thin(folder, tmp_path, predictor, recogniser):
    torch.manual_seed(0)
    given = Generator(8, rank=4, appearance=(6, 32))
    weights.save(given, given.settings, tmp_path / "thin.safetensors")
    made = learn_completion(folder, tmp_path / "a", predictor, recogniser, steps=1, start=tmp_path / "thin.safetensors")
    assert weights.load(made, Generator).settings == given.settings


def test_hidden_landmarks_are_led_astray_part_by_part_and_visible_ones_never():
    faces = canonical_face(64).expand(300, -1, -1)
    mask = torch.zeros(300, 1, 64, 64)
    mask[..., :32] = 1  # the left half
    torch.manual_seed(0)
    moved = completion.led_astray(faces, mask, 0.05) - faces
    hidden = hidden_landmarks(faces[:1], mask[:1])[0]
    assert moved[:, ~hidden].abs().max() == 0 and hidden.any() and not hidden.all()
    eye = moved[:, 36:42]
    assert torch.allclose(eye, eye[:, :1].expand_as(eye), atol=1e-5)  # its six together
    assert not torch.allclose(eye[:, 0], moved[:, 17], atol=0.1)  # and not with the brow
    left, right = OUTER_EYE_CORNERS
    eyes = (faces[0, left] - faces[0, right]).norm()
    assert (eye[:, 0].std(dim=0) / eyes).tolist() == pytest.approx([0.05, 0.05], rel=0.15)


def test_a_generator_trains_on_landmarks_that_are_led_astray(folder, tmp_path, predictor, recogniser, monkeypatch):
    amounts = []

    def remember(landmarks, mask, amount):
        amounts.append(amount)
        return landmarks

    monkeypatch.setattr(completion, "led_astray", remember)
    learn_completion(folder, tmp_path / "a", predictor, recogniser, steps=1, landmark_noise=0.02)
    learn_completion(folder, tmp_path / "b", predictor, recogniser, steps=1)
    assert amounts == [0.02]


@pytest.mark.parametrize("network, head, kind", [
    ("mobilefacenet", "arcface", MobileFaceNet), ("resnet", "cosface", FaceResNet)
])
def test_a_recogniser_trains_calibrates_and_loads(folder, tmp_path, predictor, network, head, kind):
    settings = replace(SMOKE.recogniser, steps=3, morphs=3, network=network, head=head, embedding=20)
    path = training.train_recogniser([folder], settings, tmp_path, predictor)
    recogniser = load_recogniser(path)
    assert type(recogniser.network) is kind
    assert recogniser.threshold == pytest.approx(1 - read_log(tmp_path)["limit"][1][-1], abs=1e-3)
    assert recogniser.embed(torch.rand(2, 3, 64, 64), canonical_face(64).repeat(2, 1, 1)).shape == (2, 40)
    assert all(value.isfinite().all() for value in recogniser.state_dict().values())
    again = replace(settings, steps=1, lr=1e-9)
    begun = load_recogniser(training.train_recogniser([folder], again, tmp_path / "b", predictor, start=path))
    for name, value in recogniser.network.named_parameters():
        assert torch.allclose(value, begun.network.state_dict()[name], atol=1e-2)
    with pytest.raises(InputError, match="of another size"):
        training.train_recogniser([folder], replace(again, embedding=16), tmp_path / "c", predictor, start=path)


@pytest.mark.parametrize("head", HEADS)
def test_a_recogniser_learns_from_the_people_and_by_the_margin_that_were_asked_for(
    folder, tmp_path, predictor, monkeypatch, head
):
    made, needs = [], []

    class Noted(HEADS[head]):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            made.append(self)

    def noted(faces, need, **options):
        needs.append(need)
        return Mixture(faces, need, **options)

    monkeypatch.setitem(HEADS, head, Noted)
    monkeypatch.setattr(training_of_recognisers, "Mixture", noted)
    settings = replace(SMOKE.recogniser, steps=1, morphs=2, head=head, margin=0.2, validation=2, people=7)
    training.train_recogniser([folder], settings, tmp_path, predictor)
    assert made[0].margin == 0.2 and len(made[0].weight) == 3 + 2
    assert (needs[0].validation, needs[0].morphs, needs[0].people) == (2, 2, 7)


def test_a_recogniser_that_could_not_be_calibrated_is_not_trained(face_folder, tmp_path, predictor):
    with pytest.raises(InputError, match="all of one person, .*raise recogniser.validation, or give a folder"):
        training.train_recogniser([face_folder(people=1)], SMOKE.recogniser, tmp_path, predictor)
    assert not list(tmp_path.iterdir())


def test_rendered_people_have_no_say_in_a_threshold_where_there_are_photographs(
    folder, tmp_path, predictor, monkeypatch
):
    asked = []

    def noted(network, faces):
        asked.append([one.name for one in faces])
        return calibrate(network, faces)

    monkeypatch.setattr(training_of_recognisers, "calibrate", noted)
    settings = replace(SMOKE.recogniser, steps=1, morphs=0, rendered=4, people=2, validate_every=1)
    training.train_recogniser([f"{folder}:0.5", "synthetic:0.5"], settings, tmp_path / "both", predictor)
    training.train_recogniser(["synthetic"], settings, tmp_path / "one", predictor)
    photographs, rendered = asked
    assert len(photographs) == len(rendered) == 1 and not set(photographs[0]) & set(rendered[0])


def test_the_threshold_is_the_mean_of_the_sources_at_one_false_pair_in_a_thousand(monkeypatch):
    random = torch.Generator().manual_seed(0)
    different = [torch.rand(20_000, generator=random) * top for top in (0.4, 0.9, 0.6)]
    same = [torch.full((10,), 0.95), torch.empty(0), torch.tensor([0.95, 0.1])]
    pairs = iter(zip(same, different))
    monkeypatch.setattr(training_of_recognisers, "_cosines", lambda *_: next(pairs))
    threshold, found = calibrate(MobileFaceNet(width=0.125), [None] * 3)
    limits = [cosine.sort(descending=True).values[20].item() for cosine in different]
    assert 1 - threshold == pytest.approx(sum(limits) / 3)
    assert found["limit"] == pytest.approx(1 - threshold)
    assert found["accepted"] == pytest.approx(11 / 12)
    assert found["different"] == pytest.approx((0.2 + 0.45 + 0.3) / 3, abs=0.01)


def people_of_one_colour(people: int, contrast: float) -> Faces:
    """Two photographs each of people who differ in their colour, by `contrast`."""
    random = torch.Generator().manual_seed(people)
    colour = 0.5 + contrast * (torch.rand(people, 3, 1, 1, generator=random) - 0.5)
    identity = torch.arange(people).repeat_interleave(2)
    noise = 0.05 * torch.rand(2 * people, 3, 64, 64, generator=random)
    return Faces(colour[identity] + noise, canonical_face(64).repeat(2 * people, 1, 1), identity, ("",) * 2 * people)


def test_sources_are_calibrated_apart_on_faces_photographed_anew():
    torch.manual_seed(0)
    network = nn.Sequential(nn.AvgPool2d(16), nn.Flatten(), nn.Linear(3 * 7 * 6, 16)).eval()
    sources = [people_of_one_colour(8, contrast=1.0), people_of_one_colour(9, contrast=0.2)]
    alone = [calibrate(network, [faces]) for faces in sources]
    threshold, found = calibrate(network, sources)
    assert threshold == pytest.approx(sum(one for one, _ in alone) / 2)
    assert all(one["same"] > one["different"] for _, one in alone)
    cosines = [training_of_recognisers._cosines(Recogniser("any", network, 0.0), faces) for faces in sources]
    assert [len(same) for same, _ in cosines] == [8 * 2 * 4 * 4, 9 * 2 * 4 * 4]  # never two of the same photograph
    # Were there pairs of one person from each, their cosines would count too.
    different = torch.cat([cosine for _, cosine in cosines])
    assert found["different"] == pytest.approx(different.mean().item())


def test_completion_does_not_train_by_a_recogniser_without_a_gradient(folder, tmp_path, predictor):
    arcface = load_recogniser(write_network(tmp_path / "arcface.onnx"))
    with pytest.raises(InputError, match="no gradient flows through arcface: .*take dlib or facenet"):
        learn_completion(folder, tmp_path / "run", predictor, arcface, steps=1)


def test_a_mixture_of_rendered_people_and_a_folder_trains(folder, tmp_path):
    settings = replace(SMOKE.landmarks, steps=2, batch=4, rendered=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(landmarks.Need, "of", partial(Need.of, validation=2))
        training.train_landmarks(["synthetic:0.5", f"{folder}:0.5"], settings, tmp_path)
    assert read_log(tmp_path)["loss"][0] == [1, 2]


@pytest.mark.parametrize("discriminator", ["projected", "patch"])
def test_the_generator_steps_before_the_discriminator(
    folder, tmp_path, predictor, recogniser, monkeypatch, discriminator
):
    """The known bug of this family: a discriminator that steps first has changed the weights that the generator's
    backward pass, through the same graph, still needs. And the generator's pass must not teach the discriminator.
    """
    events = []
    backward, step = Accelerator.backward, torch.optim.AdamW.step

    def record_backward(self, loss, **options):
        if loss.dim() == 4:
            events.append("through the generator")
        elif any(parameter.requires_grad for parameter in made[0].parameters()):
            events.append("through the discriminator")
        backward(self, loss, **options)

    def record_step(self, *args, **options):
        gradients = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
        planes = {p.shape[1] for group in self.param_groups for p in group["params"] if p.dim() == 4}
        events.append("discriminator steps" if 9 not in planes else "generator steps")
        assert gradients
        return step(self, *args, **options)

    made = []
    original = completion.opponent

    def remember(settings, features):
        made.append(original(settings, features))
        return made[0]

    adversarial = completion.losses.adversarial_loss

    def holds_still(*arguments):
        assert not any(parameter.requires_grad for parameter in made[0].parameters())
        return adversarial(*arguments)

    monkeypatch.setattr(completion, "opponent", remember)
    monkeypatch.setattr(completion.losses, "adversarial_loss", holds_still)
    monkeypatch.setattr(Accelerator, "backward", record_backward)
    monkeypatch.setattr(torch.optim.AdamW, "step", record_step)
    learn_completion(
        folder, tmp_path, predictor, recogniser, steps=2, adversarial_from=1, discriminator=discriminator)
    assert events == [
        "through the generator", "generator steps", "through the discriminator", "discriminator steps"
    ] * 2


def objective_of(recogniser, **settings):
    """The terms of a run with some settings, in full precision and on small features, its machine and a batch."""
    chosen = replace(SMOKE.completion, precision="fp32", **settings)
    torch.manual_seed(0)
    features, device = small_features(4, 8, 8), machine.Machine(chosen)
    objective = completion.Objective(chosen, recogniser, device, features, completion.opponent(chosen, features))
    batch = MaskedFaces(torch.rand(2, 3, 64, 64), canonical_face(64).repeat(2, 1, 1), mask=torch.zeros(2, 1, 64, 64))
    batch.mask[..., :32] = 1
    return objective, device, batch


@pytest.mark.parametrize("discriminator", ["projected", "patch"])
def test_losses_one_after_another_give_the_gradient_of_their_sum(recogniser, discriminator):
    """The loop asks each loss how it would change the pixels, and then goes through the generator once."""
    objective, device, batch = objective_of(recogniser, style=0.1, symmetry=0.1, discriminator=discriminator)
    names = ["reconstruction", "perceptual", "identity", "adversarial", "style", "symmetry"]
    assert list(objective.terms) == names
    together = [["perceptual", "adversarial"]] if discriminator == "projected" else [["perceptual"]]
    assert objective.groups() == together + [[name] for name in names if name not in together[0]]
    assert objective.groups(["perceptual", "adversarial"]) == [[name] for name in names if name[0] in "ris"]
    generator = Generator(8, prior=False)
    objective.discriminator.eval()  # or its spectral norms would go on from call to call

    def gradients(through):
        generator.zero_grad()
        completed = generator.complete(batch.image, batch.mask, batch.landmarks)
        through(completed)
        return [parameter.grad.clone() for parameter in generator.parameters()]

    def together_backward(completed):
        objective.look_at(batch.image, completed)
        values = {name: term(completed, batch) for name, term in objective.terms.items()}
        sum(getattr(objective.settings, name) * value for name, value in values.items()).backward()

    ours = gradients(lambda completed: objective.backward(completed, batch, device))
    for mine, theirs in zip(ours, gradients(together_backward), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-4, atol=1e-6)


def test_the_discriminator_sees_photographs_and_then_what_was_made_of_them(recogniser):
    for kind in ("projected", "patch"):
        objective, device, batch = objective_of(recogniser, discriminator=kind)
        completed = torch.rand(batch.image.shape, requires_grad=True)
        objective.backward(completed, batch, device)
        both, mask = objective.both(batch.image, completed.detach()), batch.mask.repeat(2, 1, 1, 1)
        pictures = torch.cat([batch.image, completed.detach()])
        expected = objective.features(pictures) if kind == "projected" else pictures
        for mine, right in zip(*(one.values() if kind == "projected" else [one] for one in (both, expected))):
            assert not mine.requires_grad and torch.allclose(mine, right, atol=1e-5)
        real, fake = completion.halves(objective.discriminator.eval()(both, mask))
        alone = objective.discriminator(objective.features(batch.image) if kind == "projected" else batch.image,
                                        batch.mask)
        for mine, right in zip(*(one if kind == "projected" else [one] for one in (real, alone)), strict=True):
            assert torch.allclose(mine, right, atol=1e-5)


def test_another_background_weighs_less_and_face_and_what_is_mirrored_do_not(recogniser):
    losses = {}
    for share in (1.0, 0.25):
        objective, _, batch = objective_of(recogniser, background=share)
        everywhere = torch.ones_like(batch.mask)
        mirrored = torch.zeros_like(batch.mask)
        mirrored[..., :8, :8] = 1  # a corner, which is not face
        batch = replace(batch, mask=everywhere, mirrored=mirrored)
        face = masks.face_region(batch.landmarks, 64).expand(2, -1, -1, -1).float()
        assert (face * mirrored).max() == 0 < face.mean() < 0.9
        where = {"face": face, "mirrored": mirrored, "background": 1 - torch.maximum(face, mirrored)}
        losses[share] = {
            name: objective.terms["reconstruction"](batch.image + 0.1 * place, batch).item()
            for name, place in where.items()
        }
    for name, share in (("face", 1), ("mirrored", 1), ("background", 0.25)):
        assert losses[0.25][name] == pytest.approx(share * losses[1.0][name], rel=1e-4) and losses[1.0][name] > 0


# ---------------------------------------------------------------------------------------- stopping, resuming


def stop_at(step, number=signal.SIGTERM):
    """A log that sends this process a signal while a step is under way."""
    original = run.Run.log

    def log(self, at, values):
        original(self, at, values)
        if at == step:
            os.kill(os.getpid(), number)

    return log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_run_after_its_step_with_a_checkpoint(folder, tmp_path, monkeypatch, number):
    monkeypatch.setattr(run.Run, "log", stop_at(3, number))
    before = signal.getsignal(number)
    with pytest.raises(training.Stopped, match="after step 3 of 9: go on with --resume") as stopped:
        learn_landmarks(folder, tmp_path, steps=9)
    assert stopped.value.signal == number and signal.getsignal(number) is before
    assert [file.name for file in (tmp_path / "checkpoints").iterdir()] == ["step-0000003.pt"]


def test_a_stopped_and_resumed_run_is_the_undisturbed_one(folder, tmp_path, predictor, recogniser, monkeypatch):
    """Four steps at once equal two, a stop and two: same losses, same weights, also of what is validated."""
    settings = dict(steps=4, validate_every=2, adversarial_from=1)
    straight = learn_completion(folder, tmp_path / "a", predictor, recogniser, **settings)
    with monkeypatch.context() as patch:
        patch.setattr(run.Run, "log", stop_at(2))
        with pytest.raises(training.Stopped):
            learn_completion(folder, tmp_path / "b", predictor, recogniser, **settings)
    resumed = learn_completion(folder, tmp_path / "b", predictor, recogniser, resume=True, **settings)
    assert (tmp_path / "a" / "log.csv").read_text() == (tmp_path / "b" / "log.csv").read_text()
    for file in (straight.name, "best.safetensors"):
        first, second = load_file(tmp_path / "a" / file), load_file(tmp_path / "b" / file)
        assert all(torch.equal(first[key], second[key]) for key in first)
    assert resumed.parent == tmp_path / "b"


def test_what_was_logged_after_the_last_checkpoint_is_logged_once(folder, tmp_path, monkeypatch):
    """A run that dies between checkpoints repeats its steps, and their rows."""
    class PowerCut(Exception):
        pass

    original = run.Run.log

    def die(self, step, values):
        original(self, step, values)
        if step == 6:
            raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(run.Run, "log", die)
        with pytest.raises(PowerCut):
            learn_landmarks(folder, tmp_path, steps=8, checkpoint_every=4)
    learn_landmarks(folder, tmp_path, steps=8, checkpoint_every=4, resume=True)
    assert read_log(tmp_path)["loss"][0] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_the_last_three_checkpoints_are_kept(folder, tmp_path):
    learn_landmarks(folder, tmp_path, steps=9, checkpoint_every=2, validate_every=100)
    names = sorted(file.name for file in (tmp_path / "checkpoints").iterdir())
    assert names == ["step-0000006.pt", "step-0000008.pt", "step-0000009.pt"]


def test_the_best_weights_are_kept_though_later_ones_are_worse(folder, tmp_path, monkeypatch):
    errors = iter([0.5, 0.2, 0.4])
    monkeypatch.setattr(landmarks, "landmark_errors", lambda *_: {"open": next(errors)})
    learn_landmarks(folder, tmp_path, steps=6, validate_every=2)
    best, last = load_file(tmp_path / "best.safetensors"), load_file(tmp_path / "landmarks.safetensors")
    at_four = torch.load(tmp_path / "checkpoints" / "step-0000004.pt", weights_only=True)["average"]
    assert torch.equal(best["head.0.bias"], at_four["module.head.0.bias"].half())
    assert not torch.equal(best["head.0.bias"], last["head.0.bias"])


def test_a_second_run_in_the_same_folder_is_refused(folder, tmp_path):
    learn_landmarks(folder, tmp_path, steps=1)
    with pytest.raises(InputError, match="--resume"):
        learn_landmarks(folder, tmp_path, steps=1)


def test_resuming_nothing_is_an_error(folder, tmp_path):
    with pytest.raises(InputError, match="no checkpoint"):
        learn_landmarks(folder, tmp_path, steps=1, resume=True)


def test_resuming_with_another_network_is_an_error(folder, tmp_path):
    learn_landmarks(folder, tmp_path, steps=1)
    with pytest.raises(InputError, match="other settings: repeat its --preset"):
        learn_landmarks(folder, tmp_path, steps=2, width=0.5, resume=True)


def test_a_damaged_checkpoint_is_said_and_the_one_before_goes_on(folder, tmp_path):
    learn_landmarks(folder, tmp_path, steps=4, checkpoint_every=2)
    newest = tmp_path / "checkpoints" / "step-0000004.pt"
    newest.write_bytes(newest.read_bytes()[:1000])
    with pytest.raises(InputError, match="step-0000004.pt is damaged: delete it, and --resume goes on"):
        learn_landmarks(folder, tmp_path, steps=4, checkpoint_every=2, resume=True)
    newest.unlink()
    learn_landmarks(folder, tmp_path, steps=4, checkpoint_every=2, resume=True)
    assert newest.is_file()


def test_a_row_that_a_full_disk_has_cut_is_no_row(tmp_path):
    (tmp_path / "log.csv").write_text("step,name,value\n1,loss,0.5\n2,lo")
    assert read_log(tmp_path) == {"loss": ([1], [0.5])}


def test_a_loss_that_is_not_finite_ends_the_run_and_leaves_the_batch(folder, tmp_path, monkeypatch):
    error = landmarks.normalised_mean_error
    calls = []

    def nan_at_three(predicted, true):
        calls.append(predicted)
        return error(predicted, true) * (float("nan") if len(calls) == 3 else 1)

    monkeypatch.setattr(landmarks, "normalised_mean_error", nan_at_three)
    with pytest.raises(InputError, match="the loss of step 3 is not finite; the batch is in .*000003.*--resume"):
        learn_landmarks(folder, tmp_path, steps=9, checkpoint_every=2)
    batch = load_file(next(tmp_path.glob("not-finite-*.safetensors")))
    assert batch["image"].shape == (4, 3, 64, 64) and batch["mask"].shape == (4, 1, 64, 64)
    state = torch.load(tmp_path / "checkpoints" / "step-0000002.pt", weights_only=True)
    assert all(value.isfinite().all() for value in state["predictor"].values())


@pytest.mark.parametrize("from_step, sentence", [
    (99, "the gradient of step 2 is not finite"), (1, "the discriminator gradient of step 2 is not finite")])
def test_a_gradient_that_is_not_finite_never_reaches_the_weights(
    folder, tmp_path, predictor, recogniser, monkeypatch, from_step, sentence
):
    clip, calls = Accelerator.clip_grad_norm_, []

    def broken(self, parameters, *arguments):
        parameters = list(parameters)
        calls.append(parameters)
        if len(calls) == (2 if from_step == 99 else 4):
            parameters[0].grad[...] = float("inf")
        return clip(self, parameters, *arguments)

    monkeypatch.setattr(Accelerator, "clip_grad_norm_", broken)
    with pytest.raises(InputError, match=sentence):
        learn_completion(folder, tmp_path, predictor, recogniser, steps=4, adversarial_from=from_step)
    assert all(parameter.isfinite().all() for parameters in calls for parameter in parameters)


# -------------------------------------------------------------------------------------------------- machine


def test_the_rate_rises_and_falls_along_a_cosine_or_stays():
    cosine, constant = LandmarkTraining(steps=1000), LandmarkTraining(steps=1000, schedule="constant")
    assert machine.share_of_rate(cosine, 1) == pytest.approx(0.01, rel=0.01)
    assert machine.share_of_rate(cosine, 500) == pytest.approx(0.51)
    assert machine.share_of_rate(cosine, 1000) == pytest.approx(0.02)
    assert machine.share_of_rate(constant, 50) == 0.5
    assert machine.share_of_rate(constant, 100) == machine.share_of_rate(constant, 1000) == 1


@pytest.mark.parametrize("precision, kind", [("bf16", torch.bfloat16), ("fp32", torch.float32)])
def test_precision_is_what_the_settings_say(precision, kind):
    with machine.Machine(LandmarkTraining(precision=precision)).autocast():
        assert (torch.ones(4, 4) @ torch.ones(4, 4)).dtype == kind


@pytest.mark.parametrize("word, compiled", [("on", True), ("off", False), ("auto", torch.cuda.is_available())])
def test_networks_are_laid_out_channels_last_and_compiled_on_request(word, compiled):
    network = machine.Machine(LandmarkTraining(compile=word)).quick(nn.Conv2d(4, 4, 3))
    assert network.weight.is_contiguous(memory_format=torch.channels_last)
    assert (network._compiled_call_impl is not None) == compiled


@pytest.mark.parametrize("convolution, last", [
    (nn.Conv2d(15, 4, 1, 2), False), (nn.Conv2d(16, 4, 1, 2), True), (nn.Conv2d(15, 4, 1), True),
    (nn.Conv2d(15, 4, 3, 2), True),
])
def test_channels_stay_first_where_a_processor_would_write_beyond_the_picture(convolution, last):
    network = nn.Sequential(nn.Conv2d(3, convolution.in_channels, 3), convolution)
    assert (machine.layout(network) == torch.channels_last) == last


def test_folding_batch_norms_away_changes_nothing_but_the_network():
    torch.manual_seed(0)
    for network, inputs in (
        (LandmarkPredictor(width=0.35, size=64), (torch.rand(3, 3, 64, 64), torch.zeros(3, 1, 64, 64))),
        (MobileFaceNet(width=0.125), (torch.rand(3, 3, 112, 96),)),
    ):
        for _ in range(3):
            network(*inputs)  # in training mode, so that the batch norms have something to say
        folded = folding.folded(network)
        assert torch.allclose(folded(*inputs), network.eval()(*inputs), rtol=1e-3, atol=1e-3)
        assert not any(isinstance(part, nn.BatchNorm2d | nn.PReLU) for part in folded.modules())
        assert not any(parameter.requires_grad for parameter in folded.parameters())
        assert any(isinstance(part, nn.BatchNorm2d) for part in network.modules())  # it is a copy
        assert all(parameter.requires_grad for parameter in network.parameters())


def test_a_frozen_prelu_is_a_prelu():
    x = torch.randn(2, 3, 4, 5, requires_grad=True)
    theirs = nn.PReLU(3)
    nn.init.uniform_(theirs.weight, -0.5, 1.5)
    ours = folding.FrozenPReLU(theirs.weight)
    assert torch.allclose(ours(x), theirs(x), atol=1e-6)
    slope = torch.randn(x.shape)
    (mine,), (right,) = (torch.autograd.grad(one(x), x, slope) for one in (ours, theirs))
    assert torch.allclose(mine, right, atol=1e-6)
    assert ours(x.bfloat16()).dtype == torch.bfloat16 and not list(ours.parameters())


def test_the_time_of_each_step_is_noted(folder, tmp_path):
    learn_landmarks(folder, tmp_path, steps=4)
    images, waiting = training.read_speed(tmp_path)
    assert images > 0 and 0 < waiting < 1
    assert [row[:2] for row in run.read_rows(tmp_path / "speed.csv")] == [[str(step), "4"] for step in range(1, 5)]
