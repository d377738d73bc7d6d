"""Faces completed by several methods under several masks, and everything that is measured of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from faceinpaint import masks
from faceinpaint.basics.errors import require_known
from faceinpaint.evaluation.detector import detector_measures, find_eyes
from faceinpaint.evaluation.identity import Gallery
from faceinpaint.evaluation.measures import Distance, pixel_measures, skin_measures
from faceinpaint.evaluation.methods import Method
from faceinpaint.faces.batch import Faces
from faceinpaint.landmarks import LandmarkPredictor, normalised_mean_error
from faceinpaint.recognisers import Recogniser

ONE_OF_EACH = ("mask01", "mask03", "mask07", "irregular-40-50", "face-mask", "irregular-60-85")
MEASURES = (
    "psnr", "psnr_hole", "ssim", "cosine_self", "verified_self", "cosine_reference", "verified_reference", "rank1",
    "hole_ratio", "ssim_hole", "sharpness", "seam", "nme", "nme_predicted", "perceptual", "detected", "eye_shift",
    "skin", "skin_open", "lighter",
)
COLUMNS = ("image", "identity", "mask", "weights", *MEASURES)
BATCH = 4  # pictures; with more of them the maps no longer fit into a CPU's cache


HOLE_RATIOS = {f"irregular-{round(100 * low)}-{round(100 * high)}": (low, high)
               for low, high in (*masks.HOLE_RATIO_BINS, masks.LARGE_HOLE)}
FAMILIES = {
    "standard": masks.STANDARD, "irregular": tuple(HOLE_RATIOS)[:-1], "face-mask": ("face-mask",),
    "all": (*masks.STANDARD, *tuple(HOLE_RATIOS)[:-1], "face-mask"), "one-of-each": ONE_OF_EACH,
}


def mask_names(family: str) -> list[str]:
    """The masks of a family; irregular ones by their hole ratio in per cent. InputError for an unknown family."""
    require_known("mask family", family, list(FAMILIES))
    return list(FAMILIES[family])


def mask_for(name: str, landmarks: Tensor, size: int, number: int) -> Tensor:
    """The mask `name` (1, 1, S, S) for photograph `number`, whose landmarks are (1, 68, 2): always the same one."""
    random = torch.Generator().manual_seed(number)
    if name in HOLE_RATIOS:
        return masks.irregular(1, size, random, HOLE_RATIOS[name])
    return masks.named(name, size, landmarks, random)


@dataclass(frozen=True)
class Located:
    """Some photographs of a test, and what is seen in them when nothing is hidden.

    seen: (B, 68, 2) landmarks predicted in the open faces. index: (B,) numbers of the photographs in the test.
    """

    faces: Faces
    seen: Tensor
    index: Tensor

    @property
    def truth(self) -> Tensor:
        """True landmarks (B, 68, 2) where they are known, those seen in the open face otherwise."""
        return torch.where(self.faces.landmarks.isnan(), self.seen, self.faces.landmarks)

    def batches(self) -> Iterator[Located]:
        """The same in pieces of BATCH."""
        for first in range(0, len(self.index), BATCH):
            part = slice(first, first + BATCH)
            yield Located(self.faces[part], self.seen[part], self.index[part])


# Photographs, their masks (B, 1, S, S) and the landmarks predicted from what is visible (B, 68, 2) in, others out.
Guide = Callable[[Located, Tensor, Tensor], Tensor]
# Photographs, their completions (B, 3, S, S) and masks in, measures by name out, (B,) each.
Further = Callable[[Located, Tensor, Tensor], dict[str, Tensor]]


class Examination:
    """Who completes, who finds landmarks, and who judges.

    methods: name -> `Method`. All of them are given the landmarks that the predictor finds in the visible part, or
    what a guide makes of them. The judge looks where the landmarks of the open face are, in the original and in every
    completion of it. detector: let MTCNN look for a face in every completion; otherwise `detected` and `eye_shift` are
    NaN, as `perceptual` is where no distance is given. further: measures beside the MEASURES.
    """

    def __init__(
        self, methods: Mapping[str, Method], predictor: LandmarkPredictor, judge: Recogniser,
        perceptual: Distance | None = None, device: torch.device | str = "cpu", detector: bool = False,
        guide: Guide | None = None, further: Further | None = None,
    ) -> None:
        self.methods, self.perceptual, self.device = dict(methods), perceptual, torch.device(device)
        self.detector, self.guide = detector, guide
        self.further = further or (lambda block, completed, mask: {})
        self.predictor, self.judge = predictor.to(self.device).eval(), judge.to(self.device)
        if perceptual is None:
            self.perceptual = lambda completed, image: torch.full((len(image),), float("nan"))

    @torch.no_grad()
    def locate(self, faces: Faces, index: Tensor) -> Located:
        """Photographs with what is seen in them; index: (B,) their numbers in the test."""
        seen = [self._predict(image, torch.zeros_like(image[:, :1])) for image in faces.image.split(BATCH)]
        return Located(faces, torch.cat(seen), index)

    @torch.no_grad()
    def embed(self, images: Tensor, landmarks: Tensor) -> Tensor:
        """The judge's embeddings (B, D)."""
        pairs = zip(images.split(BATCH), landmarks.split(BATCH))
        return torch.cat([self.judge.embed(*(one.to(self.device) for one in pair)).cpu() for pair in pairs])

    @torch.no_grad()
    def measure(
        self, block: Located, names: Sequence[str], gallery: Gallery
    ) -> tuple[dict[tuple[str, str], dict[str, Tensor]], dict[tuple[str, str], Tensor]]:
        """Complete photographs under masks of some names by every method.

        Returns, for each (mask, method), the MEASURES and the further ones by name, (B,) each, and the judge's
        embeddings (B, D).
        """
        measured, embeddings = {}, {}
        # Once a photograph: a detector takes as long as a completion.
        eyes = find_eyes(block.faces.image) if self.detector else torch.full((len(block.index), 2, 2), float("nan"))
        for name in names:
            for method, found, embedding in self._under(name, block, gallery, eyes):
                measured[name, method] = found
                embeddings[name, method] = embedding
        return measured, embeddings

    @torch.no_grad()
    def complete(self, block: Located, name: str, method: str) -> tuple[Tensor, Tensor]:
        """Photographs completed under a mask by a method, (B, 3, S, S), and the mask, (B, 1, S, S)."""
        mask = self.mask(name, block)
        landmarks = self.landmarks(block, mask)
        return self.methods[method](block.faces.image, mask, landmarks).cpu().float(), mask

    @torch.no_grad()
    def landmarks(self, block: Located, mask: Tensor) -> Tensor:
        """What the methods are told of faces under masks (B, 1, S, S): landmarks (B, 68, 2)."""
        predicted = self._predict(block.faces.image, mask)
        return predicted if self.guide is None else self.guide(block, mask, predicted)

    def mask(self, name: str, block: Located) -> Tensor:
        """The mask of that name for each photograph, (B, 1, S, S)."""
        size = block.faces.image.shape[-1]
        each = zip(block.truth.split(1), block.index.tolist())
        return torch.cat([mask_for(name, landmarks, size, number) for landmarks, number in each])

    def _under(
        self, name: str, block: Located, gallery: Gallery, eyes: Tensor
    ) -> Iterator[tuple[str, dict[str, Tensor], Tensor]]:
        """One mask: for each method, what is measured and the embeddings. eyes: (B, 2, 2), those of the originals."""
        parts = list(block.batches())
        hidden = [(part, self.mask(name, part)) for part in parts]
        predicted = [self.landmarks(part, mask) for part, mask in hidden]
        for method, complete in self.methods.items():
            found, embedded = [], []
            for (part, mask), landmarks, their_eyes in zip(hidden, predicted, eyes.split(BATCH)):
                image = part.faces.image
                completed = complete(image, mask, landmarks).cpu().float()
                embedding = self.embed(completed, part.seen)
                landmarks_after = self._predict(completed, torch.zeros_like(mask))
                identity = gallery.measures(embedding, part.index)
                detection = detector_measures(completed, their_eyes)
                skin = skin_measures(completed, image, mask, part.truth)
                found.append(pixel_measures(completed, image, mask) | identity | detection | skin | {
                    "hole_ratio": masks.hole_ratio(mask),
                    "nme": normalised_mean_error(landmarks_after, part.truth),
                    "nme_predicted": normalised_mean_error(landmarks, part.truth),
                    "perceptual": self.perceptual(completed, image),
                } | self.further(part, completed, mask))
                embedded.append(embedding)
            keys = dict.fromkeys((*MEASURES, *found[0]))
            yield method, {key: torch.cat([one[key] for one in found]) for key in keys}, torch.cat(embedded)

    @torch.no_grad()
    def _predict(self, images: Tensor, mask: Tensor) -> Tensor:
        return self.predictor(images.to(self.device), mask.to(self.device)).cpu()
