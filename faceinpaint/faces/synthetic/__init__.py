"""Rendered faces: people who do not exist, photographed as often as one likes, with the truth about every pixel.

A head is a grid of points in centimetres (`head`, `relief`), coloured (`skin`), with eyeballs, a mouth, ears,
hair, glasses and shoulders; lit (`light`) and drawn point by point (`raster`) as a camera sees it (`camera`).
"""

from faceinpaint.faces.synthetic.people import Identity, Pose, identities, poses
from faceinpaint.faces.synthetic.render import RenderedFaces, render
from faceinpaint.faces.synthetic.surface import LABELS

__all__ = ["LABELS", "Identity", "Pose", "RenderedFaces", "identities", "poses", "render"]
