"""Feature networks of the perceptual loss (equation 3): MobileNetV2 and VGG-19, which tell how alike two pictures look.

    features = load_features()
    maps = features(images)                     # {"1/2": (B, 16, H/2, W/2), "1/4": (B, 24, H/4, W/4), ...}
    maps = features(images, ["1/4", "1/8"])     # no deeper than the deepest that is asked for

The paper takes VGG-19, which is 575 MB large. `imagenet` has learnt from the same pictures and is 1.1 MB: the first
layers of MobileNetV2.
"""

from __future__ import annotations

from pathlib import Path
from typing import Mapping, Sequence

import torch
from torch import Tensor, nn

from faceinpaint import weights
from faceinpaint.basics.errors import InputError, require_known, unknown
from faceinpaint.landmarks import IMAGENET_DEVIATION, IMAGENET_MEAN, mobilenet_v2
from faceinpaint.weights import fetch

NAMES = ("imagenet", "vgg19")

# Convolutions before each of VGG-19's five poolings (Simonyan and Zisserman 2014, table 1, column E).
VGG19_LAYERS = tuple(f"relu{block}_{n}" for block, count in enumerate((2, 2, 4, 4, 4), 1) for n in range(1, count + 1))


class Features(nn.Module):
    """A frozen network that gives feature maps by their layers' names.

    stages: name -> the layers from the stage before it to its own map, shallow to deep. default: what is given
    when nobody asks for layers; all where it is None. mean, deviation: of red, green and blue in [0, 1], by which
    the pixels are normalised.
    """

    def __init__(
        self, stages: Mapping[str, nn.Module], default: Sequence[str] | None = None,
        mean: Sequence[float] = (0.5, 0.5, 0.5), deviation: Sequence[float] = (0.25, 0.25, 0.25),
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleDict(stages)
        self.default = tuple(default or stages)
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(deviation).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor, layers: Sequence[str] | None = None) -> dict[str, Tensor]:
        """The maps (B, C, h, w) of some layers, shallow to deep, of images (B, 3, H, W) in [0, 1].

        Raises InputError for an unknown layer.
        """
        wanted = set(self.checked(layers))
        # Channels last: depth-wise convolutions of large pictures are twice as fast that way.
        x = ((images - self.mean) / self.deviation).contiguous(memory_format=torch.channels_last)
        maps = {}
        for name, stage in self.stages.items():
            x = stage(x)
            if name in wanted:
                maps[name] = x
            if len(maps) == len(wanted):
                break
        return maps

    @property
    def channels(self) -> dict[str, int]:
        """How many channels the default layers' maps have, by their names."""
        with torch.no_grad():
            return {name: maps.shape[1] for name, maps in self(torch.zeros(1, 3, 32, 32).to(self.mean)).items()}

    def checked(self, layers: Sequence[str] | None) -> tuple[str, ...]:
        """The layers as given, the default ones for None; InputError, which names the nearest, for an unknown one."""
        if layers is None:
            return self.default
        for name in layers:
            require_known("layer", name, list(self.stages))
        if not layers:
            raise InputError(f"no layer is chosen: take one or more of {', '.join(self.stages)}")
        return tuple(layers)

    def frozen(self) -> Features:
        """This network, in evaluation mode, its parameters without gradients; pictures still get theirs."""
        return self.eval().requires_grad_(False)


class VGG19(Features):
    """VGG-19 without batch norm (Simonyan and Zisserman 2014); its weights come from `load_features`.

    Layers: relu1_1 ... relu5_4. Without a choice those of EdgeConnect and LaFIn: the first of each block.
    """

    def __init__(self) -> None:
        from torchvision.models import vgg  # late: it takes as long to import as torch

        stages, layers = {}, []
        names = iter(VGG19_LAYERS)
        for layer in vgg.make_layers(vgg.cfgs["E"]):
            if isinstance(layer, nn.ReLU):
                # Not in place: the map before it is wanted for the gradient.
                stages[next(names)] = nn.Sequential(*layers, nn.ReLU())
                layers = []
            else:
                layers.append(layer)
        default = [name for name in VGG19_LAYERS if name.endswith("_1")]
        super().__init__(stages, default, IMAGENET_MEAN, IMAGENET_DEVIATION)

    def load_published(self, state: Mapping[str, Tensor]) -> None:
        """Take the convolutions out of torchvision's state of a whole VGG-19, whose classifier is left behind."""
        # Ours are numbered by stage, theirs from first to last, in the same order.
        theirs = [value for key, value in state.items() if key.startswith("features.")]
        self.load_state_dict(dict(zip(self.state_dict(), theirs, strict=True)))


class ImageNetFeatures(Features):
    """The first fourteen of MobileNetV2's layers (Sandler et al. 2018), which have learnt ImageNet's thousand kinds.

    Layers: 1/2, 1/4, 1/8, 1/16, by the share of the picture's resolution; 16, 24, 32 and 96 channels.
    """

    ENDS = {"1/2": (0, 2), "1/4": (2, 4), "1/8": (4, 7), "1/16": (7, 14)}

    def __init__(self) -> None:
        layers = mobilenet_v2(3)
        stages = {name: layers[first:last] for name, (first, last) in self.ENDS.items()}
        super().__init__(stages, None, IMAGENET_MEAN, IMAGENET_DEVIATION)

    def load_published(self, state: Mapping[str, Tensor]) -> None:
        """Take the layers out of torchvision's state of a whole MobileNetV2."""
        ours = self.state_dict()
        theirs = [value for key, value in state.items() if key.startswith("features.")]
        self.load_state_dict(dict(zip(ours, theirs)))


def load_features(name: str = "imagenet") -> Features:
    """A feature network by name, frozen: `imagenet` (comes with the package) or `vgg19`.

    Raises InputError for an unknown name (the nearest is named) and for missing or damaged weights.
    """
    if name == "imagenet":
        return weights.load("imagenet", ImageNetFeatures)
    if name == "vgg19":
        return load_vgg19()
    raise unknown("feature network", name, NAMES)


def load_vgg19(path: Path | str | None = None) -> VGG19:
    """VGG-19 with the weights that torchvision publishes, trained on ImageNet.

    path: the file; without one, torch's cache is searched. Nothing is downloaded here. Raises InputError when the
    file is missing, cut short or another one.
    """
    path = fetch.checked("vgg19") if path is None else Path(path)
    network = VGG19()
    try:
        # Mapped into memory: the classifier, nine tenths of the file, is never read.
        network.load_published(torch.load(path, map_location="cpu", weights_only=True, mmap=True))
    except Exception as error:  # a damaged pickle may raise anything
        raise InputError(
            f"{path} does not hold VGG-19's weights: delete it and get them with `{fetch.command('vgg19')}`"
        ) from error
    return network.frozen()
