"""Stage 2, adversarial training: the generator against the discriminator."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from faceinpaint import losses, masks, weights
from faceinpaint.basics.files import in_sole_use
from faceinpaint.discriminator import Discriminator, ProjectedDiscriminator
from faceinpaint.evaluation.measures import pixel_measures
from faceinpaint.faces.batch import Faces
from faceinpaint.features import Features, load_features
from faceinpaint.generator import Generator, composite
from faceinpaint.landmarks import OUTER_EYE_CORNERS, LandmarkPredictor, hidden_landmarks, mirror_landmarks
from faceinpaint.prior.appearance import AppearanceModel
from faceinpaint.recognisers import Recogniser
from faceinpaint.training.batches import MaskedFaces, Mixture
from faceinpaint.training.machine import Machine, rising_average, set_rate
from faceinpaint.training.milestones import Milestones
from faceinpaint.training.presets import CompletionTraining, Training
from faceinpaint.training.run import Run
from faceinpaint.training.sources import Need

BETAS = (0.5, 0.99)  # less inertia than usual: the opponent moves


@in_sole_use
def train_completion(
    faces: Sequence[str | Path], settings: CompletionTraining, out: Path, predictor: LandmarkPredictor,
    recogniser: Recogniser, seed: int = 0, resume: bool = False, start: str | Path | None = None,
    machine_of: Callable[[Training], Machine] = Machine,
) -> Path:
    """Train the generator against the discriminator; returns the file of the averaged generator's weights.

    faces: `NAME` or `NAME:WEIGHT` each, see `sources`. The generator sees predicted landmarks, as it will in use.
    recogniser: the frozen network of the identity loss. start: a generator to begin with, a name or a file.
    Raises InputError and Stopped as `train_landmarks`.
    """
    machine = machine_of(settings)
    accelerator = machine.accelerator
    predictor = machine.frozen(predictor)
    mixture = Mixture(faces, Need.of(settings, machine, settings.size, seed, predictor=predictor), settings.masks)
    torch.manual_seed(seed)
    generator = beginning(settings, start)
    if generator.appearance is not None and not start and not resume:
        fit_appearance(generator.appearance, mixture)
    generator = machine.quick(generator)
    features = machine.frozen(load_features(settings.features))
    discriminator = machine.quick(opponent(settings, features))
    average = AveragedModel(generator, multi_avg_fn=rising_average(settings.ema))
    optimizer = machine.adam(generator.parameters(), betas=BETAS)
    judge_optimizer = machine.adam(discriminator.parameters(), betas=BETAS)
    run = Run(
        out, settings, resume, machine, generator=generator, discriminator=discriminator, average=average,
        optimizer=optimizer, judge_optimizer=judge_optimizer,
    )
    model, judge, optimizer, judge_optimizer = accelerator.prepare(
        generator, discriminator, optimizer, judge_optimizer
    )
    objective = Objective(settings, recogniser, machine, features, discriminator)
    batches = mixture.batches(settings.batch, run.done, settings.steps, settings.refresh, settings.workers)
    if machine.first:
        validation = mixture.validation()
        milestones = Milestones(out, settings, validation, predictor, recogniser, machine)

    def save(path: Path) -> None:
        weights.save(
            average.module, average.module.settings, path,
            identity_recogniser=recogniser.name if settings.identity else "none",
            identity_fingerprint=recogniser.fingerprint if settings.identity else "none",
        )

    with run:
        for step, batch in run.steps(batches, seed):
            set_rate(optimizer, settings, step)
            set_rate(judge_optimizer, settings, step, settings.discriminator_rate)
            against = settings.adversarial > 0 and step >= settings.adversarial_from

            # The generator's step comes first, through a judge that holds still: a judge that had already stepped
            # would have changed the very weights that this backward pass needs.
            with machine.autocast():
                with torch.no_grad():
                    landmarks = predictor(batch.image, batch.mask)
                if settings.landmark_noise:
                    landmarks = led_astray(landmarks, batch.mask, settings.landmark_noise)
                prior = generator.first_guess(batch.image, batch.mask, landmarks)
                batch = replace(batch, mirrored=None if prior is None else prior.mirrored)
                painted = model(batch.image, batch.mask, landmarks, prior)
                completed = composite(painted, batch.image, batch.mask)

            discriminator.requires_grad_(False)
            told = objective.backward(completed, batch, machine, () if against else ("adversarial",))
            discriminator.requires_grad_(True)
            told["gradient"] = accelerator.clip_grad_norm_(model.parameters(), settings.clip)
            row = run.check(step, told, batch)
            optimizer.step()
            optimizer.zero_grad()
            average.update_parameters(generator)

            if against:
                with machine.autocast():
                    logits = judge(objective.both(batch.image, completed.detach()), batch.mask.repeat(2, 1, 1, 1))
                    loss = losses.discriminator_loss(*halves(logits), batch.mask, settings.gan)
                    if settings.r1:
                        verdict = judge if settings.discriminator == "patch" else lambda image, mask: judge(
                            features(image), mask)
                        loss = loss + settings.r1 / 2 * losses.r1_penalty(verdict, batch.image, batch.mask)
                accelerator.backward(loss)
                gradient = accelerator.clip_grad_norm_(judge.parameters(), settings.clip)
                row |= run.check(step, {"discriminator": loss, "discriminator_gradient": gradient}, batch)
                judge_optimizer.step()
                judge_optimizer.zero_grad()

            if run.validates(step):
                with machine.autocast():
                    measured, pictures = validate(average.module, predictor, objective, validation)
                row |= measured
                run.picture(step, pictures, columns=min(SHOWN, len(validation)))
                run.keep_if_best(step, measured["perceptual_distance"], save)
            if machine.first:
                milestones.measure(step, average.module, save)
            run.log(step, row)

    if machine.first:
        save(out / "generator.safetensors")
    return out / "generator.safetensors"


def beginning(settings: CompletionTraining, start: str | Path | None) -> Generator:
    """A new generator, or the one to begin with, whose blocks may be thin; InputError where it is another kind."""
    if not start:
        return Generator(settings.width, settings.prior, settings.rank, style=settings.style_code)
    generator = weights.load(start, Generator)
    if (generator.width, generator.prior) != (settings.width, settings.prior):
        raise weights.of_another_size(start, Generator)
    return generator.train().requires_grad_(True)


PARTS = ((0, 17), (17, 22), (22, 27), (27, 36), (36, 42), (42, 48), (48, 68))  # jaw, brows, nose, eyes, mouth


def led_astray(landmarks: Tensor, mask: Tensor, amount: float) -> Tensor:
    """Predicted landmarks (B, 68, 2) with the hidden ones of each part of the face moved together at random.

    amount: the standard deviation in each direction, over the distance of the outer eye corners. A predictor knows
    the people it has learnt from; of others it is further off, and a generator that has never seen that believes it.
    """
    left, right = OUTER_EYE_CORNERS
    unit = (landmarks[:, left] - landmarks[:, right]).norm(dim=-1)[:, None, None]
    shifts = torch.randn(len(landmarks), len(PARTS), 2, device=landmarks.device) * amount * unit
    counts = torch.tensor([end - first for first, end in PARTS], device=landmarks.device)
    hidden = hidden_landmarks(landmarks, mask)[..., None]
    return landmarks + hidden * shifts.repeat_interleave(counts, dim=1)


def opponent(settings: CompletionTraining, features: Features) -> Discriminator | ProjectedDiscriminator:
    """A new discriminator of the kind that the settings say."""
    if settings.discriminator == "patch":
        return Discriminator(settings.discriminator_width)
    return ProjectedDiscriminator(features.channels, settings.discriminator_width)


def halves(logits: losses.Logits) -> tuple[losses.Logits, losses.Logits]:
    """The logits of the first and of the second half of a batch, at one scale or several."""
    if isinstance(logits, Tensor):
        return logits.chunk(2)
    return tuple(zip(*(one.chunk(2) for one in logits)))


class Objective:
    """What the generator is told about its completed faces.

    terms: name -> loss of completed pictures (B, 3, H, W) of a batch. The names are those of the settings, and terms
    whose weight is 0 are left out. features: of the perceptual loss. discriminator: the one that it plays against; a
    projected one looks at the same features, which are worked out once for both and for its own step.
    """

    def __init__(
        self, settings: CompletionTraining, recogniser: Recogniser, machine: Machine, features: Features,
        discriminator: Discriminator | ProjectedDiscriminator,
    ) -> None:
        self.recogniser = deepcopy(recogniser).to(machine.device)
        self.recogniser.network = machine.frozen(recogniser.network)
        self.settings, self.features, self.discriminator = settings, features, discriminator
        self.projected = settings.discriminator == "projected"
        self.looking = ("perceptual", "adversarial") if self.projected else ("perceptual",)  # at the features
        self.truth, self.ours = {}, {}  # maps of a step's photographs and of its completed pictures
        self.perceptual = losses.PerceptualLoss(features)
        self.style = losses.StyleLoss(features)
        every: dict[str, Callable[[Tensor, MaskedFaces], Tensor]] = {
            "reconstruction": self.reconstruction,
            "perceptual": lambda completed, batch: sum(self.perceptual.between(self.ours, self.truth).values()),
            "identity": lambda completed, batch: losses.identity_loss(
                self.embed(completed, batch.landmarks), self.embedded(batch)),
            "adversarial": self.adversarial,
            "total_variation": lambda completed, batch: losses.total_variation_loss(completed, batch.mask),
            "style": lambda completed, batch: self.style(completed, batch.image),
            "symmetry": lambda completed, batch: losses.symmetry_loss(completed, batch.mask, batch.landmarks),
            "texture": lambda completed, batch: losses.texture_loss(completed, batch.image, batch.unseen),
        }
        self.terms = {name: term for name, term in every.items() if getattr(settings, name)}

    def backward(
        self, completed: Tensor, batch: MaskedFaces, machine: Machine, without: Collection[str] = ()
    ) -> dict[str, Tensor]:
        """Add up the gradients of all terms but those `without`, and return the terms' values by name.

        Each says at once how it would change the pixels, and is forgotten before the next one is begun: otherwise all
        that their networks keep for the backward pass would be in memory together. Those that look at the same features
        are one group.
        """
        pixels = completed.detach().requires_grad_()
        told = {}
        for group in self.groups(without):
            with machine.autocast():
                values = self.values(group, pixels, batch)
            machine.accelerator.backward(sum(getattr(self.settings, name) * value for name, value in values.items()))
            self.ours = {name: maps.detach() for name, maps in self.ours.items()}
            told |= {name: value.detach() for name, value in values.items()}
        machine.accelerator.backward(completed, gradient=pixels.grad)
        return told

    def groups(self, without: Collection[str] = ()) -> list[list[str]]:
        """The names of all terms but those `without`: those that look at the features together, each other alone."""
        wanted = [name for name in self.terms if name not in without]
        looking = [name for name in wanted if name in self.looking]
        return [group for group in (looking, *([name] for name in wanted if name not in looking)) if group]

    def values(self, group: Sequence[str], completed: Tensor, batch: MaskedFaces) -> dict[str, Tensor]:
        """The terms of a group by name, of completed pictures."""
        if group[0] in self.looking:
            self.look_at(batch.image, completed)
        return {name: self.terms[name](completed, batch) for name in group}

    def look_at(self, image: Tensor, completed: Tensor) -> None:
        """Work out the features of a step's photographs and of what was made of them."""
        with torch.no_grad():
            self.truth = self.features(image)
        self.ours = self.features(completed)

    def both(self, image: Tensor, completed: Tensor) -> Tensor | dict[str, Tensor]:
        """What the discriminator sees in its own step: photographs, then completed pictures, or their features."""
        if not self.projected:
            return torch.cat([image, completed])
        return {name: torch.cat([self.truth[name], self.ours[name]]) for name in self.truth}

    def reconstruction(self, completed: Tensor, batch: MaskedFaces) -> Tensor:
        """Equation 2, in which another background than the true one weighs less."""
        counts = None
        if self.settings.background < 1:
            inside = masks.face_region(batch.landmarks, completed.shape[-1]).to(completed)
            counts = torch.maximum(inside, batch.mask - batch.unseen).clamp_min(self.settings.background)
        return losses.reconstruction_loss(completed, batch.image, batch.mask, counts)

    def adversarial(self, completed: Tensor, batch: MaskedFaces) -> Tensor:
        """Equation 5 as the generator sees it."""
        counts = batch.unseen + self.settings.mirrored * (batch.mask - batch.unseen)
        seen = self.ours if self.projected else completed
        return losses.adversarial_loss(self.discriminator(seen, batch.mask), batch.mask, self.settings.gan, counts)

    def embed(self, image: Tensor, landmarks: Tensor) -> Tensor:
        """Embeddings (B, D) of pictures, by the recogniser of the identity loss."""
        return self.recogniser.embed(image, landmarks)

    @torch.no_grad()
    def embedded(self, batch: Faces) -> Tensor:
        """Embeddings of the original pictures."""
        return self.embed(batch.image, batch.landmarks)


def fit_appearance(model: AppearanceModel, mixture: Mixture, photographs: int = 2000) -> None:
    """Fit the model of what faces have in common to the first training faces, at most so many, and their mirror images.

    As they are: photographed anew, they differ by what no person's own visible part could tell.
    """
    random = torch.Generator().manual_seed(mixture.need.seed)
    faces = Faces.cat(mixture.blocks(0))
    if len(faces) > photographs:
        faces = faces.select(torch.randperm(len(faces), generator=random)[:photographs])
    model.fit(faces.image, faces.landmarks, mirror_landmarks(faces.landmarks, faces.image.shape[-1]))


VALIDATION_MASKS = ("mask01", "mask02", "mask03", "mask04", "mask07", "mask10", "irregular", "face-mask")
SHOWN = 4  # faces in the grid of pictures
AT_ONCE = 8


@torch.no_grad()
def validate(
    generator: nn.Module, predictor: LandmarkPredictor, objective: Objective, faces: Faces
) -> tuple[dict[str, float], Tensor]:
    """How well the faces are completed under some masks, and pictures of the first ones below the truth.

    psnr (dB, whole image, for each mask and the mean), ssim, face_distance (1 - cosine of the embeddings) and
    perceptual_distance, of which less is better.
    """
    device = next(generator.parameters()).device
    parts = [faces[first : first + AT_ONCE].to(device) for first in range(0, len(faces), AT_ONCE)]
    originals = [objective.embedded(part) for part in parts]  # once for all masks
    measured, pictures = {}, [faces.image[:SHOWN]]
    ssim, distance, perceptual = [], [], []
    for name in VALIDATION_MASKS:
        psnr = []
        for part, original in zip(parts, originals):
            mask = masks.named(name, part.image.shape[-1], part.landmarks).expand(len(part), -1, -1, -1).to(device)
            completed = generator.complete(part.image, mask, predictor(part.image, mask))
            pixels = pixel_measures(completed, part.image, mask)
            psnr.append(pixels["psnr"])
            ssim.append(pixels["ssim"])
            distance.append(objective.recogniser.distance(objective.embed(completed, part.landmarks), original))
            perceptual.append(objective.perceptual(completed, part.image).expand(len(part)))
            if part is parts[0]:
                pictures.append(completed[:SHOWN].cpu())
        measured[f"psnr_{name}"] = torch.cat(psnr).mean().item()
    measured["psnr"] = sum(measured.values()) / len(measured)
    summary = {"ssim": ssim, "face_distance": distance, "perceptual_distance": perceptual}
    measured |= {name: torch.cat(values).mean().item() for name, values in summary.items()}
    return measured, torch.cat(pictures)
