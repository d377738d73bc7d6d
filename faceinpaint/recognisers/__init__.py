"""Face recognisers: a photograph becomes a unit vector, and one person's vectors lie close together.

Every recogniser has the same face: `embed(images, landmarks)`, `distance(a, b)`, `threshold`. They are
frozen, but gradients flow through them to the image, which is what the identity loss needs; not so ArcFace's.
"""

from faceinpaint.recognisers.alignment import (
    ALIGNED_SIZE, TEMPLATE, align, align_points, crop_face, similarity, standardised, warp,
)
from faceinpaint.recognisers.arcface import OnnxArcFace, load_arcface
from faceinpaint.recognisers.dlib import DlibRecogniser
from faceinpaint.recognisers.loading import JUDGE, LOSS, NAMES, load_facenet, load_network, load_recogniser
from faceinpaint.recognisers.margins import HEADS, ArcFaceHead, CosFaceHead
from faceinpaint.recognisers.networks import NETWORKS, DlibResNet, FaceResNet, MobileFaceNet
from faceinpaint.recognisers.recogniser import FaceNet, Recogniser
