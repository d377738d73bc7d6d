"""The 68 landmarks of photographs whose publisher gives none: by another's network, by ours, or left unknown."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from faceinpaint import weights
from faceinpaint.basics.errors import InputError, reason_of, require_known
from faceinpaint.faces import align, detection
from faceinpaint.faces.photos import to_image, to_tensor
from faceinpaint.landmarks import LandmarkPredictor

METHODS = ("auto", "face-alignment", "predictor", "none")
SIZE = 256  # pixels of the upright face in which landmarks are looked for


class Labeller:
    """Finds landmarks by one of METHODS; `method` tells which, and every row records it as `landmarks_by`.

    face-alignment: the 2D network of Bulat & Tzimiropoulos 2017, an optional package that downloads its weights.
    predictor: this package's own, from the shipped weights. auto: the former where it is installed, else the latter.
    Raises InputError for another word, for a package that is not installed and for weights that can't be had.
    """

    def __init__(self, method: str = "auto") -> None:
        require_known("way to find landmarks", method, METHODS)
        installed = find_spec("face_alignment") is not None
        if method == "auto":
            method = "face-alignment" if installed else "predictor"
        if method == "face-alignment" and not installed:
            raise InputError("the package face-alignment is not installed: run `pip install face-alignment`")
        self.method = method
        self._network = None  # loaded now: what it lacks is no fault of a photograph
        if method == "predictor":
            self._network = weights.load("landmarks", LandmarkPredictor)
        if method == "face-alignment":
            self._network = _face_alignment()

    def row(self, photo: Image.Image, crop: align.Crop) -> tuple[Tensor | None, str | None]:
        """Landmarks (68, 2) of the face in a crop, in pixels of the photo, and who found them: None, None if nobody."""
        if self.method == "none":
            return None, None
        face = align.cut(to_tensor(photo), crop, SIZE)
        found = self._predicted(face) if self.method == "predictor" else self._aligned(face)
        if found is None:
            return None, None
        return align.to_photo(found.double(), crop, SIZE), self.method

    @torch.no_grad()
    def _predicted(self, face: Tensor) -> Tensor:
        """(1, 3, SIZE, SIZE) -> (68, 2) by the package's own network."""
        return self._network(face, torch.zeros_like(face[:, :1]))[0]

    def _aligned(self, face: Tensor) -> Tensor | None:
        """(1, 3, SIZE, SIZE) -> (68, 2) by face-alignment; None where it sees no face."""
        faces = self._network.get_landmarks_from_image(np.array(to_image(face))) or []
        middle = (SIZE - 1) / 2
        found = [torch.as_tensor(landmarks) for landmarks in faces]
        return min(found, key=lambda landmarks: float((landmarks.mean(0) - middle).norm()), default=None)


def _face_alignment():
    """The network of the package face-alignment, which is imported here because it is an optional extra."""
    package = import_module("face_alignment")
    try:
        return package.FaceAlignment(package.LandmarksType.TWO_D, device="cpu", flip_input=False, compile=False)
    except Exception as error:  # of its downloads, of many kinds
        reason = reason_of(error)
        raise InputError(
            f"face-alignment could not load its weights ({reason}): check the connection, or try --landmarks predictor"
        ) from None


def largest_face(photo: Image.Image, path: Path) -> Tensor:
    """The five points (5, 2) of the largest face in a photo, as `align.five_points`; InputError without a face."""
    faces = detection.detect(photo)
    if not faces:
        raise InputError(f"{path} shows no face that is found: leave it out, or give one that looks at the camera")
    return faces[0].points
