"""Weights of others that are too large to come with the package, or not ours to pass on: fetched once, checked always.

    faceinpaint fetch vgg19

They go where torch keeps such files ($TORCH_HOME/hub/checkpoints, in the home folder ~/.cache/torch), so that what
another program has fetched already is found.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch

from faceinpaint.basics import download
from faceinpaint.basics.errors import InputError, require_known


class Published(NamedTuple):
    """A file of weights as its authors publish it."""

    url: str
    size: int  # bytes
    sha256: str
    terms: str

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2]


PUBLISHED = {
    "vgg19": Published(
        "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth", 574_673_361,
        "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
        "torchvision, BSD 3-Clause; trained on ImageNet, whose pictures are for research",
    ),
    "alexnet": Published(
        "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth", 244_408_911,
        "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
        "torchvision, BSD 3-Clause; trained on ImageNet, whose pictures are for research",
    ),
    "mobilenet_v2": Published(
        "https://download.pytorch.org/models/mobilenet_v2-b0353104.pth", 14_212_972,
        "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        "torchvision, BSD 3-Clause; trained on ImageNet, whose pictures are for research",
    ),
    "facenet": Published(
        "https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/20180402-114759-vggface2.pt",
        111_898_327, "281cebca8662831adb987a874bdcb36e73f5b1c6dc5ee5878f305e985625d99b",
        "facenet-pytorch, MIT; trained on VGGFace2, whose pictures are for research",
    ),
}


def fetch_weights(name: str) -> Path:
    """Download published weights by name, unless they are there already; returns their file.

    The file appears whole and checked or not at all. Raises InputError for an unknown name (the nearest is named)
    and when the file can't be had.
    """
    entry = published(name)
    return download.fetch([entry.url], path_of(name), entry.size, entry.sha256)


def checked(name: str) -> Path:
    """The file of published weights; InputError, with the command that gets it, where it is missing or altered."""
    entry, path = published(name), path_of(name)
    if not path.is_file():
        size = f"{entry.size / 1e6:.0f} MB"
        raise InputError(f"the weights {path} are not there: get them ({size}) with `{command(name)}`")
    fault = download.fault_of(path, entry.size, entry.sha256, None)
    if fault is not None:
        raise InputError(f"the weights are not those published, {path} {fault}: get them again with `{command(name)}`")
    return path


def path_of(name: str) -> Path:
    """Where torch keeps the file of published weights, there or not."""
    return Path(torch.hub.get_dir()) / "checkpoints" / published(name).file


def command(name: str) -> str:
    """What to type to get published weights."""
    return f"faceinpaint fetch {name}"


def published(name: str) -> Published:
    """The entry of a name; InputError, which names the nearest, for an unknown one."""
    require_known("published weight file", name, list(PUBLISHED))
    return PUBLISHED[name]
