"""What faces have in common: a mean face and its main variations, fitted to whatever part of a face is visible.

Eigenfaces (Turk and Pentland 1991) on pictures brought to one shape by their landmarks, as in active appearance
models (Cootes et al. 2001). Where both sides of a face are hidden and symmetry has nothing to say, this says
where a nose is and how its shading should look, given the rest of the face.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from faceinpaint.masks import face_region
from faceinpaint.warps import ThinPlateSpline, warp_to

NOISE = 0.05  # how far a pixel may be from what the model can show, in [0, 1]


class AppearanceModel(nn.Module):
    """Mean and `components` variations of faces of `size` pixels in their mean shape.

    Called with image (B, 3, H, W) in [0, 1], mask (B, 1, H, W), 1 = unknown, and landmarks (B, 68, 2) pixels, it
    returns the most probable whole face given the visible part, (B, 3, H, W), and where it says anything,
    (B, 1, H, W) in [0, 1]. Before `fit` it says nothing anywhere.
    """

    def __init__(self, components: int = 48, size: int = 96) -> None:
        super().__init__()
        self.size = size
        # In fractions of the picture; before fitting any 68 places that a warp can start from.
        self.register_buffer("shape", torch.cartesian_prod(torch.linspace(0.1, 0.9, 17), torch.linspace(0.1, 0.9, 4)))
        self.register_buffer("region", torch.zeros(1, size, size))
        self.register_buffer("mean", torch.zeros(3, size, size))
        self.register_buffer("variations", torch.zeros(components, 3, size, size))  # one standard deviation each

    @torch.no_grad()
    def fit(self, image: Tensor, landmarks: Tensor) -> None:
        """Learn from faces (N, 3, H, H) with known landmarks (N, 68, 2), N at least the number of components."""
        pixels = image.shape[-1]
        shape = landmarks.mean(0)
        self.shape.copy_((shape + 0.5) / pixels)
        here = self.shape * self.size - 0.5
        # Feathered at the rim, so that hair and background, which no model knows, fade in smoothly.
        hull = face_region(here[None], self.size)[0]
        self.region.copy_(F.avg_pool2d(F.pad(hull[None], [4] * 4), 9, 1)[0])
        faces = self._to_shape(image, landmarks)
        self.mean.copy_(faces.mean(0))
        centred = (faces - self.mean).flatten(1) * (self.region > 0).expand_as(self.mean).flatten()
        # Few faces, many pixels: the eigenvectors of the small Gram matrix give those of the large covariance.
        values, vectors = torch.linalg.eigh(centred @ centred.T)
        strongest = vectors[:, -len(self.variations) :].T
        self.variations.copy_((strongest @ centred / len(faces) ** 0.5).reshape_as(self.variations))

    def forward(self, image: Tensor, mask: Tensor, landmarks: Tensor) -> tuple[Tensor, Tensor]:
        image, landmarks = image.float(), landmarks.float()
        known = 1 - mask.float()
        both = self._to_shape(torch.cat([image * known, known], dim=1), landmarks)
        weight = (both[:, 3:] > 0.999) * self.region  # (B, 1, S, S)
        residual = (both[:, :3] - self.mean) * weight
        # The most probable coefficients: least squares on the visible pixels, drawn to the mean by the variations'
        # own spread. A face has few degrees of freedom, so neighbouring pixels are counted as one in 64.
        strength = 64 * NOISE**2
        variations = self.variations.flatten(1)  # K, 3 S S
        weights = weight.expand(-1, 3, -1, -1).flatten(1)  # B, 3 S S
        system = (variations * weights[:, None]) @ variations.T / strength  # B, K, K
        system = system + torch.eye(len(variations), device=image.device)
        right = residual.flatten(1) @ variations.T / strength
        coefficients = torch.linalg.solve(system, right)
        face = self.mean + (coefficients @ variations).reshape(-1, *self.mean.shape)
        region = self.region.expand(len(face), -1, -1, -1)
        return self._from_shape(torch.cat([face, region], dim=1), landmarks, image.shape[-1]).split([3, 1], dim=1)

    def _to_shape(self, image: Tensor, landmarks: Tensor) -> Tensor:
        """(B, C, H, W) warped so that the landmarks fall on the mean shape: (B, C, size, size)."""
        unit = float(image.shape[-1])
        shape = self.shape.expand(len(image), -1, -1)
        return warp_to(image, ThinPlateSpline.fit(shape, (landmarks + 0.5) / unit), self.size)

    def _from_shape(self, image: Tensor, landmarks: Tensor, pixels: int) -> Tensor:
        """The way back, at `pixels`."""
        shape = self.shape.expand(len(image), -1, -1)
        return warp_to(image, ThinPlateSpline.fit((landmarks + 0.5) / pixels, shape), pixels)
