"""What is inside a network: the shapes that flow through it, what they cost, what an output sees, where it attends.

Nothing here is typed in. Shapes are caught by hooks in a real forward pass, costs are counted as operations run, and
what an output sees is its gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from faceinpaint.basics.errors import InputError
from faceinpaint.generator import Generator, known_bias
from faceinpaint.prior.symmetry import symmetry_prior

# ------------------------------------------------------------------------------------ shapes and costs


class Call(NamedTuple):
    """What went into a module, and what came out."""

    inputs: tuple
    output: Tensor | Sequence[Tensor]


@torch.no_grad()
def record(network: nn.Module, *inputs: Tensor) -> dict[str, Call]:
    """Run a network once: name -> call of each of its direct parts, in the order in which they ran."""
    calls: dict[str, Call] = {}

    def catch(name: str) -> Callable:
        return lambda _, given, output: calls.update({name: Call(given, output)})

    hooks = [part.register_forward_hook(catch(name)) for name, part in network.named_children()]
    try:
        network(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return calls


class Stage(NamedTuple):
    """One part of a network: the shape of what it returns, how much it has to learn and how much it computes."""

    name: str
    shape: tuple[int, ...]  # without the batch: (C, H, W)
    parameters: int
    flops: int  # for the whole batch; a multiplication with its addition counts 2


def stages(network: nn.Module, *inputs: Tensor) -> list[Stage]:
    """The parts of a network that learn, in the order in which they run, measured in one forward pass.

    The first stage, `inputs`, is what enters the first of them, and all that is computed outside of them.
    """
    calls = record(network, *inputs)
    parts = dict(network.named_children())
    learning = [name for name in calls if any(True for _ in parts[name].parameters())]
    counted = count_flops(network, *inputs)
    rest = counted[""] - sum(counted.get(name, 0) for name in learning)
    first = Stage("inputs", tuple(calls[learning[0]].inputs[0].shape[1:]), 0, rest)
    return [first] + [
        Stage(name, _shape(calls[name].output), parameters(parts[name]), counted.get(name, 0)) for name in learning
    ]


def _shape(output: Tensor | Sequence[Tensor]) -> tuple[int, ...]:
    """Of what a part returns, without the batch; several results count as one, with the channels of all."""
    if isinstance(output, Tensor):
        return tuple(output.shape[1:])
    return sum(one.shape[1] for one in output), *output[0].shape[2:]


def parameters(network: nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(parameter.numel() for parameter in network.parameters())


@torch.no_grad()
def count_flops(network: nn.Module, *inputs: Tensor) -> dict[str, int]:
    """Floating-point operations of one forward pass, by the names of the modules; "" is the whole network.

    Convolutions, matrix products and attention are counted, 2 for each multiply-add. Additions of biases,
    activations, resampling and warps are not: they are few beside them.
    """
    # On a CPU attention runs as an operation of its own, which PyTorch's counter passes over.
    on_cpu = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: attention_flops}
    with FlopCounterMode(display=False, custom_mapping=on_cpu) as counter:
        network(*inputs)
    root = type(network).__name__
    counted = {"": counter.get_total_flops()}
    for name, operations in counter.get_flop_counts().items():
        if name.startswith(f"{root}."):
            counted[name.removeprefix(f"{root}.")] = sum(operations.values())
    return counted


def attention_flops(query: tuple[int, ...], key: tuple[int, ...], *_: object, **__: object) -> int:
    """Of softmax(q k) v, for shapes (B, heads, N, D) and (B, heads, M, D): two products of N x D x M."""
    batch, heads, queries, depth = query
    return 2 * 2 * batch * heads * queries * depth * key[2]


def attention_bytes(positions: int, channels: int, heads: int) -> tuple[int, int]:
    """Memory of one attention in float32: with its matrix written out, and for query, key, value and result alone.

    The matrix holds heads x positions x positions weights; without it memory grows only linearly with positions
    (Rabe and Staats 2021; Dao et al. 2022).
    """
    alone = 4 * 4 * positions * channels
    return alone + 4 * heads * positions**2, alone


class _Largest(TorchDispatchMode):
    """Notes the bytes of the largest tensor that any operation returns."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, operation, types, inputs=(), options=None):
        results = operation(*inputs, **(options or {}))
        self.bytes = max([self.bytes, *(r.nbytes for r in tree_leaves(results) if isinstance(r, Tensor))])
        return results


@torch.no_grad()
def largest_tensor(network: nn.Module, *inputs: Tensor) -> int:
    """Bytes of the largest tensor that a forward pass makes."""
    with _Largest() as largest:
        network(*inputs)
    return largest.bytes


# ------------------------------------------------------------------------------------ what an output sees


class Field(NamedTuple):
    """The receptive field of one output: pixels on a side, and how far that of its neighbour is shifted."""

    size: int
    stride: int


def receptive_field(convolutions: Iterable[nn.Conv2d]) -> Field:
    """The receptive field of convolutions one after another, by formula (Dumoulin and Visin 2016, section 5).

    Each widens the field by (kernel - 1) dilation, in units of what it reads: pixels of the input times all strides
    before. What is added around a block (a residual connection) changes nothing.
    """
    size, stride = 1, 1
    for convolution in convolutions:
        size += (convolution.kernel_size[0] - 1) * convolution.dilation[0] * stride
        stride *= convolution.stride[0]
    return Field(size, stride)


def convolutions(network: nn.Module) -> list[nn.Conv2d]:
    """All convolutions of a network, in the order of their definition."""
    return [module for module in network.modules() if isinstance(module, nn.Conv2d)]


def centre_gradient(make: Callable[[], nn.Module], channels: int, size: int, draws: int = 8, seed: int = 0) -> Tensor:
    """How much one output in the middle depends on each input position: (size, size), with the sum 1.

    make: returns the network, (1, channels, size, size) -> (1, C, H, W); with new weights each time, if these are to
    be averaged over too. Mean over `draws` of random inputs and mixtures of output channels, of the gradient's
    absolute value summed over input channels (Luo et al. 2016).
    """
    total = torch.zeros(size, size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for _ in range(draws):
            network = make()
            x = torch.randn(1, channels, size, size, requires_grad=True)
            y = network(x)
            mixture = torch.randn(y.shape[1])
            middle = mixture @ y[0, :, y.shape[2] // 2, y.shape[3] // 2]
            total += torch.autograd.grad(middle, x)[0].abs().sum((0, 1))
    return total / total.sum()


def side_holding(gradient: Tensor, share: float = 0.95) -> int:
    """Side of the smallest square around the middle of (S, S) that holds a share of the gradient, in positions."""
    middle = gradient.shape[0] // 2
    for radius in range(middle):
        around = slice(middle - radius, middle + radius + 1)
        if gradient[around, around].sum() >= share * gradient.sum():
            return 2 * radius + 1
    return gradient.shape[0]


def pixel_gradient(
    generator: Generator, image: Tensor, mask: Tensor, landmarks: Tensor, place: tuple[int, int]
) -> Tensor:
    """How much one painted pixel depends on each pixel of the image: (H, W), with the sum 1.

    image (1, 3, H, W), mask (1, 1, H, W), landmarks (1, 68, 2); place: x, y of the painted pixel. The absolute
    gradient of the sum of its colours, summed over the image's.
    """
    x, y = _inside(place, image)
    image = image.detach().requires_grad_()
    painted = generator(image, mask, landmarks)
    gradient = torch.autograd.grad(painted[0, :, y, x].sum(), image)[0].abs().sum((0, 1))
    return gradient / gradient.sum()


# ------------------------------------------------------------------------------------ inside the generator


class AttentionMaps(NamedTuple):
    """Where some positions attend: weights that sum to 1 over the last two dimensions."""

    long: Tensor  # (N, heads, h, w), over the encoder's features; 0 where nothing is known
    short: Tensor  # (N, heads, h, w), over the features themselves
    known: Tensor  # (h, w), the share of known pixels below each feature


@torch.no_grad()
def attention_maps(
    generator: Generator, image: Tensor, mask: Tensor, landmarks: Tensor, places: Iterable[tuple[int, int]]
) -> AttentionMaps:
    """The attention weights of the features at N `places` (x, y in pixels) of one picture.

    image (1, 3, H, W), mask (1, 1, H, W), landmarks (1, 68, 2). The generator itself never forms the matrix; here
    only the rows that are asked for are. Raises InputError for more than one picture and for a place outside.
    """
    if len(image) != 1:
        raise InputError(f"these are {len(image)} pictures: take one out of the batch with image[:1]")
    places = [_inside(place, image) for place in places]
    attention = generator.attention
    x, encoded, known = record(generator, image, mask, landmarks)["attention"].inputs
    height, width = x.shape[-2:]
    factor = image.shape[-1] // width
    rows = [y // factor * width + x // factor for x, y in places]
    query = attention.tokens(attention.query(x))[:, :, rows]
    maps = []
    for source, layer, bias in (
        (encoded, attention.long_key_value, known_bias(known, query)), (x, attention.short_key_value, 0.0),
    ):
        key = attention.tokens(layer(source).chunk(2, dim=1)[0])
        weights = (query @ key.mT / query.shape[-1] ** 0.5 + bias).float().softmax(dim=-1)
        maps.append(weights[0].transpose(0, 1).unflatten(-1, (height, width)))
    return AttentionMaps(*maps, known[0, 0])


def effective_positions(weights: Tensor) -> Tensor:
    """Over how many positions attention weights (..., h, w) spread: (...).

    The exponential of the entropy: 1 where all weight lies on one position, n where n have the same.
    """
    flat = weights.flatten(-2)
    return torch.special.entr(flat).sum(-1).exp()


class Painting(NamedTuple):
    """What a generator with a prior makes its picture of: prior * gate + residual, cut to [0, 1]."""

    prior: Tensor  # (B, 3, H, W)
    mirrored: Tensor  # (B, 1, H, W), 1 where the prior is the other side of the face
    gate: Tensor  # (B, 1, H, W) in [0, 1]
    residual: Tensor  # (B, 3, H, W)
    painted: Tensor  # (B, 3, H, W)


@torch.no_grad()
def painting(generator: Generator, image: Tensor, mask: Tensor, landmarks: Tensor) -> Painting:
    """The parts of a painted picture; InputError for a generator without a prior, which has only the whole."""
    if not generator.prior:
        raise InputError("this generator has no prior: load or build one with prior=True")
    output = record(generator, image, mask, landmarks)["paint"].output.float()
    prior = symmetry_prior(image, mask, landmarks, generator.appearance)
    gate, residual = torch.sigmoid(output[:, 3:] + 4), output[:, :3]
    painted = (prior.image * gate + residual).clamp(0, 1)
    return Painting(prior.image, prior.mirrored, gate, residual, painted)


def rim(mask: Tensor, width: int) -> Tensor:
    """The seam of a hole, (B, 1, H, W): pixels nearer than `width` to one of the other kind."""
    side = 2 * width - 1
    near_hole = F.max_pool2d(mask, side, stride=1, padding=width - 1)
    near_known = F.max_pool2d(1 - mask, side, stride=1, padding=width - 1)
    return near_hole * near_known


def _inside(place: tuple[int, int], image: Tensor) -> tuple[int, int]:
    x, y = (int(value) for value in place)
    height, width = image.shape[-2:]
    if not (0 <= x < width and 0 <= y < height):
        raise InputError(f"x = {x}, y = {y} is not in a picture of {width} x {height} pixels: choose a place inside")
    return x, y
