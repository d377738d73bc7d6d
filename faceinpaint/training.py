"""Learning to see, learning to paint: one flat loop per stage.

    faceinpaint train landmarks  --faces FOLDER --out runs/landmarks
    faceinpaint train recogniser --faces FOLDER --out runs/recogniser
    faceinpaint train completion --faces FOLDER --out runs/completion

Every step draws its random numbers from a seed of its own, so that a run that was stopped and resumed
goes on exactly as if it had never stopped.
"""

from __future__ import annotations

import csv
import io
from copy import deepcopy
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Iterator

import torch
from accelerate import Accelerator
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torchvision.utils import save_image
from tqdm.auto import tqdm

from faceinpaint import masks, weights
from faceinpaint.appearance import AppearanceModel
from faceinpaint.completion import find_device, quick_bfloat16
from faceinpaint.discriminator import Discriminator
from faceinpaint.errors import InputError
from faceinpaint.faces.augment import augment
from faceinpaint.faces.batch import Faces
from faceinpaint.faces.morph import morphed_people
from faceinpaint.faces.photos import FaceFolder
from faceinpaint.faces.shards import ShardedFaces, is_sharded
from faceinpaint.files import write_whole
from faceinpaint.generator import Generator, composite
from faceinpaint.landmarks import LandmarkPredictor, normalised_mean_error
from faceinpaint.losses import (
    PerceptualLoss,
    adversarial_loss,
    discriminator_loss,
    identity_loss,
    reconstruction_loss,
)
from faceinpaint.presets import CompletionTraining, LandmarkTraining, RecogniserTraining
from faceinpaint.recognisers import ArcFaceHead, MobileFaceNet, Recogniser, align, standardised

MARGIN = 1.25  # training pictures show this much more than the aligned crop, so that framing can vary
SAMPLE = 512  # faces of shards that are in memory, where all of a folder would be


def make_accelerator() -> Accelerator:
    """Devices and precision: bfloat16 where the machine is quick at it."""
    return Accelerator(mixed_precision="bf16" if quick_bfloat16(find_device()) else "no")


def load_faces(
    folders: list[Path], split: str, size: int, margin: float = 1.0, labelled: bool = False
) -> Faces:
    """All faces of one split of some face folders in memory, as one batch of `size` pixels; of shards a sample.

    Landmarks that nobody knows are NaN; with `labelled`, such faces are left out.
    """
    faces, people = [], 0
    for folder in folders:
        if is_sharded(folder):
            data = ShardedFaces(folder, split, size, margin, labelled, rank=0, world_size=1)
            found = list(islice(data, SAMPLE))
        else:
            data = FaceFolder(folder, split, size, margin)
            rows = [index for index, row in enumerate(data.rows) if row.landmarks is not None or not labelled]
            found = [data[index] for index in tqdm(rows, desc=f"reading {split} faces", leave=False)]
        faces += [replace(face, identity=face.identity + people) for face in found]
        people += len(data.identities)  # each folder counts its people from 0
    return Faces.cat(faces)


def open_shards(
    folders: list[Path], size: int, accelerator: Accelerator, seed: int, labelled: bool = False
) -> ShardedFaces | None:
    """This process's part of the training faces where they lie in shards, to be streamed; None for face folders."""
    if not any(map(is_sharded, folders)):
        return None
    if len(folders) > 1:
        raise InputError("shards are streamed alone: give one folder of shards, or only folders of images")
    rank, processes = accelerator.process_index, accelerator.num_processes
    return ShardedFaces(folders[0], "train", round(size * MARGIN), MARGIN, labelled, seed, rank, processes)


def stream(
    shards: ShardedFaces, batch: int, done: int, predictor: LandmarkPredictor | None = None
) -> Iterator[Faces]:
    """The batches of a run that has `done` some already; the predictor fills in landmarks that nobody knows."""
    for faces in shards.batches(batch, done):
        if predictor is not None and faces.landmarks.isnan().any():
            device = next(predictor.parameters()).device
            faces = fill_landmarks(faces.to(device), predictor).to("cpu")
        yield faces


@torch.no_grad()
def fill_landmarks(faces: Faces, predictor: LandmarkPredictor) -> Faces:
    """Predict the landmarks that nobody knows from the whole, unhidden face.

    The predictor was trained on aligned crops, so it looks at the middle of pictures that show more.
    """
    pixels = faces.image.shape[-1]
    inner = round(pixels / MARGIN)
    border = (pixels - inner) // 2
    image = faces.image[..., border : border + inner, border : border + inner]
    predicted = predictor(image, torch.zeros_like(image[:, :1])) + border
    return replace(faces, landmarks=torch.where(faces.landmarks.isnan(), predicted, faces.landmarks))


def random_batch(
    faces: Faces | Iterator[Faces], count: int, size: int, generator: torch.Generator, same_person: bool = False
) -> Faces:
    """`count` faces at random, or the next of a stream of such batches, photographed anew at `size` pixels."""
    if isinstance(faces, Faces):
        chosen = faces.select(torch.randint(len(faces), (count,), generator=generator))
    else:
        chosen = next(faces)
    return augment(chosen, size, generator, same_person)


def train_landmarks(
    folders: list[Path], settings: LandmarkTraining, out: Path, seed: int = 0, resume: bool = False
) -> Path:
    """Stage 1: predict landmarks of faces under every kind of mask. Returns the file of the weights.

    The loss is the measure that is reported, the normalised mean error.
    """
    accelerator = make_accelerator()
    shards = open_shards(folders, settings.size, accelerator, seed, labelled=True)
    source = load_faces(folders, "train", round(settings.size * MARGIN), MARGIN, labelled=True)
    validation = load_faces(folders, "val", settings.size, labelled=True).to(accelerator.device)
    torch.manual_seed(seed)
    predictor = LandmarkPredictor(settings.width, settings.size).to(memory_format=torch.channels_last)
    border = (source.image.shape[-1] - settings.size) / 2
    predictor.set_mean_face(source.landmarks - border, settings.size)
    optimizer = torch.optim.AdamW(predictor.parameters(), lr=settings.lr, weight_decay=1e-2)
    run = Run(out, resume, predictor=predictor, optimizer=optimizer)
    model, optimizer = accelerator.prepare(predictor, optimizer)
    if shards is not None:
        source = stream(shards, settings.batch, run.done)

    model.train()
    for step, generator in run.steps(settings.steps, seed):
        faces = random_batch(source, settings.batch, settings.size, generator)
        mask = masks.random_training_mask(faces.landmarks, settings.size, generator)
        faces, mask = faces.to(accelerator.device), mask.to(accelerator.device)
        loss = normalised_mean_error(model(faces.image, mask), faces.landmarks).mean()
        accelerator.backward(loss)
        set_rate(optimizer, settings.lr * decay(step, settings.steps))
        optimizer.step()
        optimizer.zero_grad()
        row = {"loss": loss.item()}
        if step % 500 == 0 or step == settings.steps:
            row |= {f"nme_{name}": value for name, value in landmark_errors(predictor, validation).items()}
            model.train()
        run.log(step, row)

    path = out / "landmarks.safetensors"
    weights.save(predictor, {"width": settings.width, "size": settings.size}, path)
    return path


@torch.no_grad()
def landmark_errors(predictor: LandmarkPredictor, faces: Faces) -> dict[str, float]:
    """Mean NME on `faces` with nothing, a quarter, half the face and a face mask hidden."""
    predictor.eval()
    size = faces.image.shape[-1]
    errors = {"open": normalised_mean_error(predictor(faces.image, 0 * faces.image[:, :1]), faces.landmarks).mean()}
    for name in ("mask01", "mask02", "mask03", "mask04", "face-mask"):
        mask = masks.named(name, size, faces.landmarks).expand(len(faces), -1, -1, -1).to(faces.image.device)
        errors[name] = normalised_mean_error(predictor(faces.image, mask), faces.landmarks).mean()
    return {name: value.item() for name, value in errors.items()}


def train_recogniser(
    folders: list[Path], settings: RecogniserTraining, out: Path, predictor: LandmarkPredictor, seed: int = 0,
    resume: bool = False,
) -> Path:
    """The embedded recogniser: tell real and morphed people apart (ArcFace). Returns the file of the weights.

    A few dozen people are too few to learn what makes a person; their morphs are many. The threshold for
    "same person" is set where one pair of different validation people in a thousand would pass.
    """
    accelerator = make_accelerator()
    size = 128
    shards = open_shards(folders, size, accelerator, seed)
    validation = fill_landmarks(load_faces(folders, "val", round(size * MARGIN), MARGIN), predictor)
    if shards is not None:  # people enough without morphs
        people = len(shards.identities)
    else:
        source = fill_landmarks(load_faces(folders, "train", round(size * MARGIN), MARGIN), predictor)
        if settings.morphs:
            source = Faces.cat([source, morphed_people(source, settings.morphs, torch.Generator().manual_seed(seed))])
        _, person = source.identity.unique(return_inverse=True)
        source, people = replace(source, identity=person), int(person.max()) + 1
    torch.manual_seed(seed)
    network = MobileFaceNet(width=settings.width, embedding_size=settings.embedding)
    head = ArcFaceHead(settings.embedding, people, scale=32.0, margin=settings.margin)
    parameters = [*network.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=settings.lr, weight_decay=5e-2)
    run = Run(out, resume, network=network, head=head, optimizer=optimizer)
    model, judge, optimizer = accelerator.prepare(network.to(memory_format=torch.channels_last), head, optimizer)
    if shards is not None:
        source = stream(shards, settings.batch, run.done, predictor)

    model.train()
    for step, generator in run.steps(settings.steps, seed):
        faces = random_batch(source, settings.batch, size, generator, same_person=True)
        faces = faces.to(accelerator.device)
        aligned = standardised(align(faces.image, faces.landmarks))
        loss = F.cross_entropy(judge(model(aligned), faces.identity), faces.identity)
        accelerator.backward(loss)
        set_rate(optimizer, settings.lr * decay(step, settings.steps))
        optimizer.step()
        optimizer.zero_grad()
        row = {"loss": loss.item()}
        if step % 250 == 0 or step == settings.steps:
            network.threshold, found = calibrate(network, validation)
            row |= found
            model.train()
        run.log(step, row)

    path = out / "recogniser.safetensors"
    architecture = {"width": settings.width, "embedding_size": settings.embedding, "threshold": network.threshold}
    weights.save(network, architecture, path)
    return path


FALSE_ACCEPTS = 0.001


@torch.no_grad()
def calibrate(network: MobileFaceNet, faces: Faces) -> tuple[float, dict[str, float]]:
    """The threshold of cosine distance at a false-accept rate of 0.1 %, and how well it tells `faces` apart.

    Each face is photographed anew eight times, so that a few people give enough pairs.
    """
    recogniser = Recogniser("trained", deepcopy(network), threshold=0.0)
    embeddings, device = [], next(network.parameters()).device
    for number in range(8):
        seen = augment(faces, 128, torch.Generator().manual_seed(number), same_person=True).to(device)
        embeddings.append(recogniser.embed(seen.image, seen.landmarks).cpu())
    embedding, person = torch.cat(embeddings), faces.identity.repeat(8)
    photograph = torch.arange(len(faces)).repeat(8)
    cosine = embedding @ embedding.T
    different = cosine[person[:, None] != person]
    # The same person on another photograph, not on the same one seen anew.
    same = cosine[(person[:, None] == person) & (photograph[:, None] != photograph)]
    limit = torch.quantile(different, 1 - FALSE_ACCEPTS).item()
    found = {"different": different.mean().item(), "same": same.mean().item(), "limit": limit}
    return 1 - limit, found | {"accepted": (same >= limit).float().mean().item()}


def train_completion(
    folders: list[Path], settings: CompletionTraining, out: Path, predictor: LandmarkPredictor,
    recogniser: Recogniser, seed: int = 0, resume: bool = False,
) -> Path:
    """Stage 2: the generator against the discriminator. Returns the file of the averaged generator's weights.

    The generator sees predicted landmarks, as it will in use. `recogniser` is the frozen network of the
    identity loss; its early layers are the features of the perceptual loss.
    """
    accelerator = make_accelerator()
    shards = open_shards(folders, settings.size, accelerator, seed)
    source = fill_landmarks(load_faces(folders, "train", round(settings.size * MARGIN), MARGIN), predictor)
    validation = load_faces(folders, "val", settings.size)
    torch.manual_seed(seed)
    generator = Generator(settings.width, settings.prior).to(memory_format=torch.channels_last)
    if generator.appearance is not None:
        fit_appearance(generator.appearance, source, settings.size, seed)
    discriminator = Discriminator(settings.discriminator_width).to(memory_format=torch.channels_last)
    average = AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(settings.ema))
    generator_optimizer = torch.optim.Adam(generator.parameters(), lr=settings.lr, betas=(0.5, 0.99))
    discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), lr=settings.lr, betas=(0.5, 0.99))
    run = Run(
        out, resume, generator=generator, discriminator=discriminator, average=average,
        generator_optimizer=generator_optimizer, discriminator_optimizer=discriminator_optimizer,
    )
    model, judge, generator_optimizer, discriminator_optimizer = accelerator.prepare(
        generator, discriminator, generator_optimizer, discriminator_optimizer
    )
    device = accelerator.device
    predictor, average = predictor.to(device).eval(), average.to(device)
    recogniser = recogniser.to(device, memory_format=torch.channels_last)
    perceptual = PerceptualLoss(recogniser.features)
    if shards is not None:
        source = stream(shards, settings.batch, run.done, predictor)

    for step, random in run.steps(settings.steps, seed):
        for optimizer in (generator_optimizer, discriminator_optimizer):
            set_rate(optimizer, settings.lr * decay(step, settings.steps))
        faces = random_batch(source, settings.batch, settings.size, random)
        mask = masks.random_training_mask(faces.landmarks, settings.size, random).to(device)
        faces = faces.to(device)
        with torch.no_grad():
            landmarks = predictor(faces.image, mask)
            original = recogniser.embed(faces.image, faces.landmarks)
        completed = composite(model(faces.image, mask, landmarks), faces.image, mask)

        # The generator's step comes first, through a judge that holds still: a judge that had already stepped
        # would have changed the very weights that this backward pass needs.
        with accelerator.autocast():
            losses = {
                "reconstruction": reconstruction_loss(completed, faces.image, mask),
                "perceptual": perceptual(completed, faces.image),
                "identity": identity_loss(recogniser.embed(completed, faces.landmarks), original),
            }
            if step >= settings.adversarial_from:
                discriminator.requires_grad_(False)
                losses["adversarial"] = adversarial_loss(judge(completed, mask), mask)
        total = sum(getattr(settings, name) * loss for name, loss in losses.items())
        accelerator.backward(total)
        nn.utils.clip_grad_norm_(generator.parameters(), 1.0)
        generator_optimizer.step()
        generator_optimizer.zero_grad()
        average.update_parameters(generator)

        if step >= settings.adversarial_from:
            discriminator.requires_grad_(True)
            real, fake = judge(torch.cat([faces.image, completed.detach()]), mask.repeat(2, 1, 1, 1)).chunk(2)
            losses["discriminator"] = discriminator_loss(real, fake, mask)
            accelerator.backward(losses["discriminator"])
            discriminator_optimizer.step()
            discriminator_optimizer.zero_grad()

        row = {name: loss.item() for name, loss in losses.items()}
        if step % settings.validate_every == 0 or step == settings.steps:
            row |= validate_completion(average.module, predictor, validation, out / f"validation-{step:06d}.png")
        run.log(step, row)

    path = out / "generator.safetensors"
    weights.save(average.module, {"width": settings.width, "prior": settings.prior}, path)
    return path


def decay(step: int, steps: int) -> float:
    """Share of the full rate: rises for at most a hundred steps, stays, falls in a line to 0.02 in the second half.

    It depends on nothing but the step, so that a run can be resumed with more steps than it was planned for.
    """
    rise = min(100, steps / 10)
    return min(step / rise, 1.0, 1.0 - 0.98 * (2 * step / steps - 1))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def fit_appearance(model: AppearanceModel, faces: Faces, size: int, seed: int) -> None:
    """Fit the model of what faces have in common to 640 new photographs of `faces`."""
    random = torch.Generator().manual_seed(seed)
    seen = Faces.cat([random_batch(faces, 16, size, random, same_person=True) for _ in range(40)])
    model.fit(seen.image, seen.landmarks)


VALIDATION_MASKS = ("mask01", "mask02", "mask03", "mask04", "mask07", "mask10", "irregular", "face-mask")


@torch.no_grad()
def validate_completion(
    generator: Generator, predictor: LandmarkPredictor, faces: Faces, picture: Path
) -> dict[str, float]:
    """Mean PSNR (dB, whole image) by mask over `faces`, and a picture of the first ones beside the truth."""
    rows, values = [faces.image[:4]], {}
    device = next(generator.parameters()).device
    for name in VALIDATION_MASKS:
        completed = []
        for index in range(0, len(faces), 4):
            batch = faces[index : index + 4].to(device)
            # Masks cut to the face follow what the predictor sees, since not every photograph has true landmarks.
            found = predictor(batch.image, torch.zeros_like(batch.image[:, :1]))
            mask = masks.named(name, batch.image.shape[-1], found).expand(len(batch), -1, -1, -1).to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=quick_bfloat16(device)):
                completed.append(generator.complete(batch.image, mask, predictor(batch.image, mask)).cpu())
        error = (torch.cat(completed) - faces.image).square().mean(dim=(1, 2, 3))
        values[f"psnr_{name}"] = (-10 * error.log10()).mean().item()
        rows.append(completed[0])
    save_image(torch.cat(rows), picture, nrow=4)
    return values


class Run:
    """An output folder: a log, a checkpoint of everything that learns, and the steps that are left to do."""

    def __init__(self, out: Path, resume: bool, checkpoint_every: int = 250, **parts: nn.Module) -> None:
        self.out, self.parts, self.checkpoint_every = out, parts, checkpoint_every
        self.checkpoint, self.done = out / "checkpoint.pt", 0
        out.mkdir(parents=True, exist_ok=True)
        if resume:
            self._load()
        elif self.checkpoint.exists():
            raise InputError(f"{out} already holds a run: continue it with --resume or choose another --out")

    def steps(self, total: int, seed: int) -> Iterator[tuple[int, torch.Generator]]:
        """The numbers of the steps left to do, each with random numbers of its own; checkpoints in between."""
        with tqdm(total=total, initial=self.done, desc=self.out.name, mininterval=5) as bar:
            for step in range(self.done + 1, total + 1):
                torch.manual_seed(seed * 1_000_003 + step)
                yield step, torch.Generator().manual_seed(seed * 1_000_003 + step)
                bar.update()
                self.done = step
                if step % self.checkpoint_every == 0 or step == total:
                    self._save()

    def log(self, step: int, values: dict[str, float]) -> None:
        """Append one row per value to `log.csv`: step, name, value."""
        with open(self.out / "log.csv", "a", newline="") as file:
            csv.writer(file).writerows([step, name, f"{value:.6g}"] for name, value in values.items())

    def _save(self) -> None:
        content = io.BytesIO()
        torch.save({"step": self.done} | {name: part.state_dict() for name, part in self.parts.items()}, content)
        write_whole(self.checkpoint, content.getvalue())

    def _load(self) -> None:
        if not self.checkpoint.is_file():
            raise InputError(f"{self.out} holds no checkpoint to resume from: leave --resume out to begin there")
        state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        self.done = state["step"]
        for name, part in self.parts.items():
            part.load_state_dict(state[name])
