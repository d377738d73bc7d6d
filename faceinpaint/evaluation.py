"""How good is a completion: right pixels, sharp pixels, the same person, beside what simple methods reach."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Callable

import cv2
import numpy as np
import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure
from tqdm.auto import tqdm

from faceinpaint import masks as mask_module
from faceinpaint import weights as weight_files
from faceinpaint.completion import Completer
from faceinpaint.errors import InputError
from faceinpaint.faces.batch import Faces
from faceinpaint.faces.photos import FaceFolder
from faceinpaint.files import write_csv, write_whole
from faceinpaint.generator import Generator, composite
from faceinpaint.landmarks import LandmarkPredictor, normalised_mean_error
from faceinpaint.priors import symmetry_prior
from faceinpaint.recognisers import load_recogniser

COLUMNS = (
    "image", "identity", "mask", "weights", "psnr", "psnr_hole", "ssim", "sharpness", "nme",
    "cosine_self", "verified_self", "cosine_reference", "verified_reference", "rank1",
)
FAMILIES = ("standard", "irregular", "face-mask", "all")
BATCH = 4

# Aligned images, masks and predicted landmarks in, completed images out.
Method = Callable[[Tensor, Tensor, Tensor], Tensor]


def evaluate(
    folder: Path, out: Path, weights: list[str], family: str = "all", split: str = "test",
    recogniser: str = "embedded", device: str = "auto", size: int = 256, labelled: bool = False,
) -> str:
    """Complete every face of a split under every mask by every method; write metrics.csv and tables.md.

    weights: generators by name or file. recogniser: the judge of identity. labelled: only photographs whose
    landmarks are known. Returns the tables. Raises InputError for an unknown family and whatever does not load.
    """
    if family not in FAMILIES:
        raise InputError(f"there is no mask family '{family}': choose one of {', '.join(FAMILIES)}")
    predictor, judge = weight_files.load("landmarks", LandmarkPredictor), load_recogniser(recogniser)
    completers = {
        Path(name).stem: Completer(weight_files.load(name, Generator), predictor, judge, size, device)
        for name in weights
    }
    methods = {name: completer.paint for name, completer in completers.items()} | BASELINES
    data = FaceFolder(folder, split, size)
    rows = [index for index, row in enumerate(data.rows) if row.landmarks is not None or not labelled]
    faces = Faces.cat([data[index] for index in tqdm(rows, desc="reading faces", leave=False)])

    first = next(iter(completers.values()))
    open_landmarks = first.locate(faces.image).cpu()
    gallery = Gallery(first, faces, open_landmarks)
    records = []
    for name in tqdm(mask_names(family), desc="masks"):
        mask = masks_for(name, faces, open_landmarks)
        predicted = torch.cat([first.predict(*batch).cpu() for batch in _batches(faces.image, mask)])
        nme = normalised_mean_error(predicted, faces.landmarks)  # NaN where the truth is not known
        for method_name, method in methods.items():
            completed = torch.cat([method(*batch).cpu() for batch in _batches(faces.image, mask, predicted)])
            measured = pixel_measures(completed, faces.image, mask) | gallery.measures(completed) | {"nme": nme}
            for index in range(len(faces)):
                values = {key: value[index].item() for key, value in measured.items()}
                identity = data.identities[faces.identity[index]]
                row = dict(image=faces.name[index], identity=identity, mask=name, weights=method_name)
                records.append(row | values)
    tables = summary(records, len(faces), judge.name)
    out = Path(out)
    write_csv(out / "metrics.csv", COLUMNS, [{key: _cell(record[key]) for key in COLUMNS} for record in records])
    write_whole(out / "tables.md", tables.encode())
    return tables


def mask_names(family: str) -> list[str]:
    """The masks of a family; irregular ones by their hole ratio in percent."""
    irregular = [f"irregular-{round(100 * low)}-{round(100 * high)}" for low, high in mask_module.HOLE_RATIO_BINS]
    names = {"standard": list(mask_module.STANDARD), "irregular": irregular, "face-mask": ["face-mask"]}
    return sum(names.values(), []) if family == "all" else names[family]


def masks_for(name: str, faces: Faces, open_landmarks: Tensor) -> Tensor:
    """The mask `name` for every face, (B, 1, S, S), the same at every call."""
    size = faces.image.shape[-1]
    if name.startswith("irregular"):
        hole_ratio = mask_module.HOLE_RATIO_BINS[mask_names("irregular").index(name)]
        return mask_module.irregular(len(faces), size, torch.Generator().manual_seed(0), hole_ratio)
    # True landmarks where they are known, those seen in the open face otherwise.
    landmarks = torch.where(faces.landmarks.isnan(), open_landmarks, faces.landmarks)
    return mask_module.named(name, size, landmarks).expand(len(faces), -1, -1, -1)


def pixel_measures(completed: Tensor, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """PSNR of the image and of its hole (dB), SSIM, sharpness; (B,) each, from (B, 3, H, W) in [0, 1].

    Sharpness is the mean gradient magnitude inside the hole over the truth's: below 1 is blurred.
    """
    squared = (completed - image).square()
    whole = squared.mean(dim=(1, 2, 3))
    hole = (squared * mask).sum(dim=(1, 2, 3)) / (3 * mask.sum(dim=(1, 2, 3)))
    ssim = structural_similarity_index_measure(completed, image, data_range=1.0, reduction="none")
    return {
        "psnr": decibels(whole),
        "psnr_hole": decibels(hole),
        "ssim": ssim.reshape(-1),
        "sharpness": _gradient(completed, mask) / _gradient(image, mask),
    }


def decibels(mean_squared_error: Tensor) -> Tensor:
    """Peak signal-to-noise ratio for values in [0, 1]; identical pictures have an infinite one."""
    return -10 * mean_squared_error.log10()


def _gradient(image: Tensor, mask: Tensor) -> Tensor:
    """Mean gradient magnitude of the brightness inside the hole (B,)."""
    grey = image.mean(1, keepdim=True)
    dx, dy = grey[..., :-1, 1:] - grey[..., :-1, :-1], grey[..., 1:, :-1] - grey[..., :-1, :-1]
    inside = mask[..., :-1, :-1]
    return ((dx.square() + dy.square()).sqrt() * inside).sum(dim=(1, 2, 3)) / inside.sum(dim=(1, 2, 3))


class Gallery:
    """The people of a test: who is on each photograph, and another photograph of the same person where there is one."""

    def __init__(self, completer: Completer, faces: Faces, landmarks: Tensor) -> None:
        self.completer, self.landmarks, self.identity = completer, landmarks, faces.identity
        self.originals = self._embed(faces.image)
        same = self.identity[:, None] == self.identity[None]
        same.fill_diagonal_(False)
        self.has_reference = same.any(1)
        self.reference = same.int().argmax(1)  # index of the other photograph

    def measures(self, completed: Tensor) -> dict[str, Tensor]:
        """Cosines with, and verification against, the original and the other photograph; rank 1; (B,) each."""
        embedding = self._embed(completed)
        cosine_self = (embedding * self.originals).sum(-1)
        cosine_reference = (embedding * self.originals[self.reference]).sum(-1)
        # Rank 1: among all other photographs, the original itself left out, is the nearest one the same person?
        scores = embedding @ self.originals.T
        scores.fill_diagonal_(-2)
        rank1 = (self.identity[scores.argmax(1)] == self.identity).float()

        def where_reference(values: Tensor) -> Tensor:
            return torch.where(self.has_reference, values, float("nan"))

        threshold = 1 - self.completer.recogniser.threshold
        return {
            "cosine_self": cosine_self,
            "verified_self": (cosine_self >= threshold).float(),
            "cosine_reference": where_reference(cosine_reference),
            "verified_reference": where_reference((cosine_reference >= threshold).float()),
            "rank1": where_reference(rank1),
        }

    def _embed(self, images: Tensor) -> Tensor:
        return torch.cat([self.completer.embed(*batch).cpu() for batch in _batches(images, self.landmarks)])


# ------------------------------------------------------------------------------------ methods


def mirror(image: Tensor, mask: Tensor, landmarks: Tensor) -> Tensor:
    """The hole filled from the flipped image; where that is hidden too, with the mean colour."""
    flipped_known = 1 - mask.flip(-1)
    filled = torch.where(flipped_known > 0.5, image.flip(-1), _mean_of_known(image, mask))
    return composite(filled, image, mask)


def mean_colour(image: Tensor, mask: Tensor, landmarks: Tensor) -> Tensor:
    """The hole filled with the mean of the known pixels."""
    return composite(_mean_of_known(image, mask).expand_as(image), image, mask)


def prior_alone(image: Tensor, mask: Tensor, landmarks: Tensor) -> Tensor:
    """The symmetry prior without a network."""
    return composite(symmetry_prior(image, mask, landmarks).image, image, mask)


def telea(image: Tensor, mask: Tensor, landmarks: Tensor) -> Tensor:
    """Fast marching inpainting of Telea 2004, by OpenCV with a radius of 3 pixels."""
    return torch.stack([_telea_one(*pair) for pair in zip(image, mask)])


def _telea_one(image: Tensor, mask: Tensor) -> Tensor:
    pixels = (image.permute(1, 2, 0) * 255).round().byte().numpy()
    hole = mask[0].byte().numpy()
    pixels = pixels * (1 - hole[..., None])  # OpenCV looks at what it should not see
    filled = cv2.inpaint(np.ascontiguousarray(pixels), hole, 3, cv2.INPAINT_TELEA)
    return composite(torch.from_numpy(filled).permute(2, 0, 1).float() / 255, image, mask)


def _mean_of_known(image: Tensor, mask: Tensor) -> Tensor:
    known = 1 - mask
    return (image * known).sum(dim=(2, 3), keepdim=True) / known.sum(dim=(2, 3), keepdim=True)


BASELINES: dict[str, Method] = {
    "mirror": mirror, "telea": telea, "mean colour": mean_colour, "prior alone": prior_alone,
}


# ------------------------------------------------------------------------------------ reports


def summary(records: list[dict], faces: int, judge: str) -> str:
    """Markdown tables of the means by mask and method, one table a measure."""
    titles = {
        "psnr": "PSNR, whole image (dB)", "psnr_hole": "PSNR, hole only (dB)", "ssim": "SSIM",
        "sharpness": "Gradient in the hole over the truth's", "nme": "Landmark error over inter-ocular distance",
        "cosine_self": f"Cosine with the original ({judge})",
        "verified_reference": f"Same person as on another photograph ({judge})",
    }
    masks = list(dict.fromkeys(record["mask"] for record in records))
    methods = list(dict.fromkeys(record["weights"] for record in records))
    lines = [f"{faces} photographs. Means over all of them; `mean 1-12` is over the standard masks."]
    for measure, title in titles.items():
        cells = defaultdict(list)
        for record in records:
            cells[record["mask"], record["weights"]].append(record[measure])
        mean = {key: float(np.nanmean(values)) for key, values in cells.items() if not np.isnan(values).all()}
        if not mean:
            continue
        lines += ["", f"## {title}", "", f"| mask | {' | '.join(methods)} |", "|---|" + "---|" * len(methods)]
        for mask in masks:
            lines.append(f"| {mask} | " + " | ".join(f"{mean.get((mask, m), np.nan):.3f}" for m in methods) + " |")
        standard = [mask for mask in masks if mask in mask_module.STANDARD]
        if standard:
            means = [np.mean([mean.get((mask, m), np.nan) for mask in standard]) for m in methods]
            lines.append("| mean 1-12 | " + " | ".join(f"{value:.3f}" for value in means) + " |")
    return "\n".join(lines) + "\n"


def _cell(value: str | float) -> str:
    """Numbers with six digits; nothing where there is nothing to measure."""
    if isinstance(value, str):
        return value
    return "" if np.isnan(value) else f"{value:.6g}"


def _batches(*tensors: Tensor):
    """The tensors cut into pieces of BATCH along the first axis, together."""
    return zip(*(tensor.split(BATCH) for tensor in tensors))
