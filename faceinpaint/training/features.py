"""The embedded network of the perceptual loss: learn to see what a picture of a face shows.

Rendered people come with the part of the face that each pixel shows. A network that can name the parts, whatever the
light, has features for brows, lids and lips. But it may name them in a blurred picture as well as in a sharp one, and
a loss must not overlook blur; so it has a second task, to tell how blurred each pixel is.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms.functional import gaussian_blur

from faceinpaint import masks, weights
from faceinpaint.errors import InputError, reason_of
from faceinpaint.faces.batch import Faces
from faceinpaint.faces.photos import METADATA, read_metadata, read_photo, to_image, to_tensor
from faceinpaint.faces.synthetic import LABELS
from faceinpaint.features import FeatureNetwork
from faceinpaint.files import in_sole_use
from faceinpaint.presets import FeatureTraining, Training
from faceinpaint.training.machine import Machine, set_rate
from faceinpaint.training.run import Run

NOT_ASKED = 255  # the label of a pixel that is hidden, or beyond the rendered picture


@dataclass(frozen=True)
class ParsedFaces(Faces):
    """Faces and what there is to say about each pixel.

    label: (B, H, W), which part of the face it shows, an index into LABELS, or NOT_ASKED. blur: (B, H, W),
    log(1 + sigma) of the blur that was laid over it, sigma in pixels. Pictures that are kept for training are uint8.
    """

    label: Tensor | None = None
    blur: Tensor | None = None


class Parser(nn.Module):
    """The encoder with a light head, which exists in training only.

    images (B, 3, H, W) in [0, 1] -> a logit for each of LABELS (B, 10, H, W) and the blur (B, H, W).
    """

    def __init__(self, features: FeatureNetwork, channels: int = 32) -> None:
        super().__init__()
        self.features = features
        widths = [stage[-2].out_channels for stage in features.stages.values()]
        self.reduce = nn.ModuleList([nn.Conv2d(width, channels, 1) for width in widths])
        self.mix = nn.Conv2d(channels, channels, 3, padding=1)
        self.label = nn.Conv2d(channels, len(LABELS), 1)
        self.blur = nn.Conv2d(channels, 1, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        size = [length // 2 for length in images.shape[-2:]]
        x = 0
        for reduce, level in zip(self.reduce, self.features(images).values()):
            level = reduce(level)
            bring = F.adaptive_avg_pool2d if level.shape[-1] > size[-1] else _enlarged
            x = x + bring(level, size)
        x = F.leaky_relu(self.mix(F.leaky_relu(x, 0.2)), 0.2)
        return _enlarged(self.label(x), images.shape[-2:]), _enlarged(self.blur(x), images.shape[-2:])[:, 0]


def _enlarged(x: Tensor, size: list[int] | torch.Size) -> Tensor:
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


@in_sole_use
def train_features(
    folders: Sequence[str | Path], settings: FeatureTraining, out: Path, seed: int = 0, resume: bool = False,
    machine_of: Callable[[Training], Machine] = Machine,
) -> Path:
    """The feature network from folders of rendered people, as `faceinpaint data synthetic` writes them.

    Returns the file of the weights. Raises InputError and Stopped as `train_landmarks`.
    """
    machine = machine_of(settings)
    accelerator = machine.accelerator
    faces = ParsedFaces.cat([read_parsed_faces(Path(folder), "train") for folder in folders])
    validation = ParsedFaces.cat([read_parsed_faces(Path(folder), "val") for folder in folders])
    torch.manual_seed(seed)
    widths = [settings.width * factor for factor in (1, 2, 4, 6, 8)]
    network = FeatureNetwork(widths)
    parser = machine.quick(Parser(network))
    optimizer = machine.adam(parser.parameters(), decay=1e-2)
    run = Run(out, settings, resume, machine, parser=parser, optimizer=optimizer)
    model, optimizer = accelerator.prepare(parser, optimizer)
    rare = label_weights(faces.label).to(machine.device)

    def save(path: Path) -> None:
        weights.save(network, {"widths": widths}, path)

    with run:
        for step, batch in run.steps(tasks(faces, settings, seed, run.done, machine), seed):
            set_rate(optimizer, settings, step)
            with machine.autocast():
                logits, blur = model(batch.image)
            wrong = F.smooth_l1_loss(blur.float(), batch.blur, reduction="none")
            losses = {
                "parsing": F.cross_entropy(logits.float(), batch.label, rare, ignore_index=NOT_ASKED),
                "sharpness": wrong[batch.label != NOT_ASKED].mean(),
            }
            accelerator.backward(losses["parsing"] + settings.sharpness * losses["sharpness"])
            gradient = accelerator.clip_grad_norm_(model.parameters(), settings.clip)
            row = run.check(step, losses | {"gradient": gradient}, batch)
            optimizer.step()
            optimizer.zero_grad()

            if run.validates(step):
                measured = validate(parser, validation, settings.size)
                row |= measured
                run.keep_if_best(step, -measured["iou"], save)
            run.log(step, row)

    if machine.first:
        save(out / "features.safetensors")
    return out / "features.safetensors"


def tasks(
    faces: ParsedFaces, settings: FeatureTraining, seed: int, done: int, machine: Machine
) -> Iterator[ParsedFaces]:
    """What this process sees at each step after `done`; it follows from the step alone."""
    for step in range(done, settings.steps):
        number = step * machine.processes + machine.rank
        yield make_task(faces, settings, torch.Generator().manual_seed(seed * 1_000_000_007 + number))


def read_parsed_faces(folder: Path, split: str) -> ParsedFaces:
    """All rendered faces of one split of a face folder; InputError where it has no such faces or no segmentation."""
    if not os.path.isfile(folder / METADATA):
        raise InputError(f"{folder} holds no {METADATA}: render one with `faceinpaint data synthetic --out {folder}`")
    files = [folder / row.file_name for row in read_metadata(folder) if row.split == split]
    parts = [folder / "segmentation" / f"{file.stem}.png" for file in files]
    if not files or not all(part.is_file() for part in parts):
        raise InputError(
            f"{folder} has no faces in the split '{split}' with their segmentation: "
            "render people with `faceinpaint data synthetic`"
        )
    try:
        image = np.stack([np.array(read_photo(file)) for file in files])
        label = np.stack([np.array(Image.open(part)) for part in parts])
    except (OSError, SyntaxError, ValueError) as error:  # damaged, or of different sizes
        raise InputError(f"{folder} can't be learnt from ({reason_of(error)}): render it again") from None
    return ParsedFaces(torch.from_numpy(image).permute(0, 3, 1, 2).contiguous(), label=torch.from_numpy(label))


def label_weights(label: Tensor) -> Tensor:
    """What a pixel of each label counts: one over the root of how common it is, 1 on average over the pixels."""
    share = torch.bincount(label.flatten().long(), minlength=len(LABELS)).float() / label.numel()
    return share.clamp_min(1e-6).rsqrt() / share.sqrt().sum()


def make_task(faces: ParsedFaces, settings: FeatureTraining, random: torch.Generator) -> ParsedFaces:
    """Some of the faces photographed anew: framed, lit, partly blurred and partly hidden."""
    chosen = torch.randint(len(faces.image), (settings.batch,), generator=random)
    image, label = framed(faces.image[chosen].float() / 255, faces.label[chosen], settings.size, random)
    image = relit(image, random)
    image, blur = blurred(image, random)
    noise = settings.noise * torch.rand(len(image), 1, 1, 1, generator=random).square()
    image = (image + noise * torch.randn(image.shape, generator=random)).clamp(0, 1)
    image = torch.stack([compressed(one, random) if some(0.25, random) else one for one in image])
    hole = torch.cat([training_hole(settings.size, random) for _ in image])
    # Grey, a colour or noise: what is in the hole is never asked for.
    paint = torch.rand(len(image), 3, 1, 1, generator=random) + 0.2 * torch.randn(image.shape, generator=random)
    image = torch.where(hole > 0, paint.clamp(0, 1), image)
    return ParsedFaces(image, label=label.masked_fill(hole[:, 0] > 0, NOT_ASKED), blur=blur)


def some(share: float, random: torch.Generator) -> bool:
    """True in so large a share of the calls."""
    return torch.rand((), generator=random).item() < share


def framed(image: Tensor, label: Tensor, size: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pictures and labels turned, scaled, shifted and flipped alike, at `size` pixels."""
    batch, pixels = len(image), image.shape[-1]
    angle = 0.25 * (2 * torch.rand(batch, generator=random) - 1)
    zoom = size / pixels * torch.exp(0.7 * torch.rand(batch, generator=random) - 0.45)  # 0.64 to 1.28 of the picture
    flip = torch.where(torch.rand(batch, generator=random) < 0.5, -1.0, 1.0)
    shift = 0.3 * (2 * torch.rand(batch, 2, generator=random) - 1)
    cos, sin = zoom * angle.cos(), zoom * angle.sin()
    matrix = torch.stack([flip * cos, -flip * sin, shift[:, 0], sin, cos, shift[:, 1]], 1).view(-1, 2, 3)
    grid = F.affine_grid(matrix, [batch, 3, size, size], align_corners=False)
    image = F.grid_sample(image, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    # One more, so that what lies beyond the picture is 0; reflected faces have no true label.
    label = F.grid_sample(label[:, None].float() + 1, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    label = label[:, 0].round().long() - 1
    return image, torch.where(label < 0, NOT_ASKED, label)


def relit(image: Tensor, random: torch.Generator) -> Tensor:
    """Other exposure, contrast, colour and saturation; one picture in seven without colour."""
    def vary(sigma: float, channels: int = 1) -> Tensor:
        return sigma * torch.randn(len(image), channels, 1, 1, generator=random)

    image = image.clamp(1e-4, 1) ** torch.exp(vary(0.3)) * torch.exp(vary(0.2) + vary(0.1, 3))
    grey = image.mean(1, keepdim=True)
    colourless = torch.rand(len(image), 1, 1, 1, generator=random) < 0.15
    saturation = torch.where(colourless, torch.zeros(()), (1 + vary(0.3)).clamp_min(0))
    image = grey + (image - grey) * saturation
    middle = image.mean(dim=(1, 2, 3), keepdim=True)
    return (middle + (image - middle) * torch.exp(vary(0.15))).clamp(0, 1)


def blurred(image: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Three of four pictures blurred, wholly or in a part, by 0.3 to 4 pixels; and log(1 + sigma) for each pixel."""
    size = image.shape[-1]
    pictures, amounts = [], []
    for one in image.split(1):
        where = torch.zeros(1, 1, size, size)
        sigma = 0.3 * math.exp(2.6 * torch.rand((), generator=random).item())
        if some(0.75, random):
            where = torch.ones_like(where) if some(0.4, random) else masks.irregular(1, size, random, (0.2, 0.6))
        kernel = 2 * math.ceil(2.5 * sigma) + 1
        pictures.append(torch.where(where > 0, gaussian_blur(one, [kernel] * 2, [sigma] * 2), one))
        amounts.append(where[:, 0] * math.log1p(sigma))
    return torch.cat(pictures), torch.cat(amounts)


def compressed(image: Tensor, random: torch.Generator) -> Tensor:
    """(3, H, W) after JPEG of a quality from 30 to 95."""
    file = io.BytesIO()
    to_image(image[None]).save(file, "jpeg", quality=int(torch.randint(30, 96, (), generator=random)))
    return to_tensor(Image.open(file))[0]


def training_hole(size: int, random: torch.Generator) -> Tensor:
    """No hole for one face in two, else an irregular one or a block, (1, 1, H, W)."""
    if some(0.5, random):
        return torch.zeros(1, 1, size, size)
    return masks.irregular(1, size, random, (0.05, 0.3)) if some(0.5, random) else masks.block(1, size, random)


@torch.no_grad()
def validate(parser: Parser, faces: ParsedFaces, size: int) -> dict[str, float]:
    """Intersection over union of each label over whole pictures scaled to `size`, and their mean over the labels."""
    together, either = torch.zeros(len(LABELS)), torch.zeros(len(LABELS))
    device = next(parser.parameters()).device
    for image, label in zip(faces.image.split(16), faces.label.split(16)):
        small = F.interpolate(image.float() / 255, size=[size] * 2, mode="bilinear", antialias=True)
        logits, _ = parser(small.to(device))
        found = F.interpolate(logits, size=label.shape[-2:], mode="bilinear").argmax(1).cpu()
        for name in range(len(LABELS)):
            ours, theirs = found == name, label == name
            together[name] += (ours & theirs).sum()
            either[name] += (ours | theirs).sum()
    union = together / either
    named = {f"iou_{name}": value.item() for name, value in zip(LABELS, union) if value.isfinite()}
    return named | {"iou": union[union.isfinite()].mean().item()}
