"""Where faces come from: photographs, their alignment, and the batch they travel in."""

from faceinpaint.faces.batch import Faces

__all__ = ["Faces"]
