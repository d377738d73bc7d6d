"""Appearance model (eigenfaces): a mean face and its principal components, fitted to whatever part is visible.

Eigenfaces (Turk and Pentland 1991) on pictures brought to one shape by their landmarks, as in active appearance
models (Cootes et al. 2001). Where both sides of a face are hidden and symmetry has nothing to say, this says
where a nose is and how its shading should look, given the rest of the face.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceinpaint.masks import face_region
from faceinpaint.prior.warps import ThinPlateSpline, map_of, warp_to, warped

NOISE = 0.05  # how far a pixel may be from what the model can show, in [0, 1]
COMPONENTS, SIZE = 96, 80  # beyond these, and the margin below, real people gain less than 0.05 dB
MARGIN = 0.06  # of the face, on each side of it: room to fade out
APART = 1 / 12  # of the width: a face has few degrees of freedom, so pixels nearer than that are counted as one


class AppearanceModel(nn.Module):
    """Mean and `components` variations of faces of `size` pixels in their mean shape.

    Called with image (B, 3, H, W) in [0, 1], mask (B, 1, H, W), 1 = unknown, and landmarks (B, 68, 2) pixels, it
    returns the most probable whole face given the visible part, (B, 3, H, W), and where it says anything,
    (B, 1, H, W) in [0, 1]. Before `fit` it says nothing anywhere. places: where each pixel of the picture lies in the
    mean shape, as `map_of` has it, if that is known already.
    """

    def __init__(self, components: int = COMPONENTS, size: int = SIZE) -> None:
        super().__init__()
        self.size = size
        self.strength = (APART * size * NOISE) ** 2
        # In fractions of the picture; before fitting any 68 places that a warp can start from.
        self.register_buffer("shape", torch.cartesian_prod(torch.linspace(0.1, 0.9, 17), torch.linspace(0.1, 0.9, 4)))
        self.register_buffer("region", torch.zeros(1, size, size))
        self.register_buffer("mean", torch.zeros(3, size, size))
        self.register_buffer("variations", torch.zeros(components, 3, size, size))  # one standard deviation each

    @torch.no_grad()
    def fit(self, image: Tensor, landmarks: Tensor, mirrored: Tensor | None = None) -> None:
        """Learn from faces (N, 3, H, H) with known landmarks (N, 68, 2), as many variations as there can be.

        mirrored: the landmarks of their mirror images, (N, 68, 2), if these are to be learnt from as well.
        """
        shape = torch.cat([landmarks] if mirrored is None else [landmarks, mirrored]).mean(0)
        self.shape.copy_(_framed((shape + 0.5) / image.shape[-1]))
        here = self.shape * self.size - 0.5
        # Feathered at the rim, so that hair and background, which no model knows, fade in smoothly.
        hull = face_region(here[None], self.size)[0]
        self.region.copy_(F.avg_pool2d(F.pad(hull[None], [4] * 4), 9, 1)[0])
        # Some at a time: the warps of thousands, and a mirrored copy of all, would take gigabytes.
        faces = [self._to_shape(*some) for some in zip(image.split(64), landmarks.split(64))]
        if mirrored is not None:
            faces += [self._to_shape(some.flip(-1), there) for some, there in zip(image.split(64), mirrored.split(64))]
        faces = torch.cat(faces)
        self.mean.copy_(faces.mean(0))
        centred = faces.sub_(self.mean).mul_(self.region > 0).flatten(1)
        # Few faces, many pixels: the eigenvectors of the small Gram matrix give those of the large covariance.
        values, vectors = torch.linalg.eigh(centred @ centred.T)
        strongest = vectors[:, -len(self.variations) :].T @ centred / len(faces) ** 0.5
        self.variations.zero_()[-len(strongest) :] = strongest.unflatten(1, self.mean.shape)

    def forward(
        self, image: Tensor, mask: Tensor, landmarks: Tensor, places: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        seen, weight = self._seen(image.float(), 1 - mask.float(), landmarks.float())
        # The most probable coefficients: least squares on the visible pixels, drawn to the mean by the variations'
        # own spread.
        coefficients = torch.linalg.solve_ex(*self._system(weight, seen - self.mean)).result[..., 0]
        return self._painted(self.mean + self._combined(coefficients), landmarks.float(), image.shape[-1], places)

    def deviation(
        self, certainty: Tensor, landmarks: Tensor, code: Tensor, places: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """How another face with the same visible part may differ from the most probable one: difference and region.

        certainty (B, 1, H, W): 1 where pixels are known, 0 where nothing is known of them, less than 1 where they are
        known by hearsay; landmarks (B, 68, 2); code (B, any number), of which the last are those of the strongest
        variations: those that the model lacks are left out, and what the code lacks is 0. Codes drawn from a standard
        normal distribution give differences as probable as the model holds them to be: small where the visible part
        settles the matter.
        """
        certainty, landmarks = certainty.float(), landmarks.float()
        weight = self._to_shape(certainty, landmarks) * self.region
        code = F.pad(code.float(), [len(self.variations) - code.shape[-1], 0])  # a negative number cuts
        # L L^T is the precision, so L^-T code has its inverse as covariance.
        triangle = torch.linalg.cholesky(self._system(weight, self.mean[None])[0])
        coefficients = torch.linalg.solve_triangular(triangle.mT, code[..., None], upper=True)[..., 0]
        return self._painted(self._combined(coefficients), landmarks, certainty.shape[-1], places)

    def _seen(self, image: Tensor, known: Tensor, landmarks: Tensor) -> tuple[Tensor, Tensor]:
        """The visible pixels in the mean shape, and how much each counts, (B, 3, S, S) and (B, 1, S, S)."""
        both = self._to_shape(torch.cat([image * known, known], dim=1), landmarks)
        return both[:, :3], (both[:, 3:] > 0.999) * self.region

    def _system(self, weight: Tensor, difference: Tensor) -> tuple[Tensor, Tensor]:
        """Inverse covariance of the coefficients (B, K, K), and what a difference from the mean asks of them (B, K, 1).

        Pixels count as weight (B, 1, S, S) says; difference is (B or 1, 3, S, S).
        """
        there = weight.flatten(1).amax(0).nonzero()[:, 0]  # under a half mask two thirds don't count for anything
        variations = self.variations.flatten(2).index_select(2, there)  # K, 3, N
        weighted = (variations * weight.flatten(2)[:, None, :, there]).flatten(2) / self.strength  # B, K, 3 N
        right = weighted @ difference.flatten(2)[..., there].flatten(1)[..., None]
        return weighted @ variations.flatten(1).T + torch.eye(len(variations), device=weight.device), right

    def _combined(self, coefficients: Tensor) -> Tensor:
        return (coefficients @ self.variations.flatten(1)).reshape(-1, *self.mean.shape)

    def _painted(
        self, face: Tensor, landmarks: Tensor, pixels: int, places: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """A face in the mean shape and the region that the model knows, brought to the landmarks' shape."""
        if places is None:
            shape = self.shape.expand(len(face), -1, -1)
            places = map_of(ThinPlateSpline.fit((landmarks + 0.5) / pixels, shape), pixels, face)
        region = self.region.expand(len(face), -1, -1, -1)
        return warped(torch.cat([face, region], dim=1), places).split([3, 1], dim=1)

    def _to_shape(self, image: Tensor, landmarks: Tensor) -> Tensor:
        """(B, C, H, W) warped so that the landmarks fall on the mean shape: (B, C, size, size)."""
        unit = float(image.shape[-1])
        shape = self.shape.expand(len(image), -1, -1)
        return warp_to(image, ThinPlateSpline.fit(shape, (landmarks + 0.5) / unit), self.size)


def _framed(shape: Tensor) -> Tensor:
    """A shape (68, 2) in fractions of a picture, moved and scaled until its face fills another but for the margin."""
    face = face_region((512 * shape - 0.5)[None], 512)[0, 0].nonzero().to(shape).flip(-1)
    low, high = face.amin(0) / 512, (face.amax(0) + 1) / 512
    return (shape - (low + high) / 2) / ((1 + 2 * MARGIN) * (high - low).max()) + 0.5
