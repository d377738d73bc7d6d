"""Batch normalisation folded into convolutions: frozen networks that compute the same with less to do."""

from __future__ import annotations

from copy import deepcopy

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval


def folded(network: nn.Module) -> nn.Module:
    """A frozen copy of a network, in evaluation mode, that does the same with less to do.

    In evaluation a batch norm is a factor and an offset for each channel, as are a convolution's weights and bias: it
    is folded into the convolution before it. A PReLU becomes a `FrozenPReLU`.
    """
    network = deepcopy(network).eval().requires_grad_(False)
    for part in list(network.modules()):
        children = list(part.named_children())
        for (name, convolution), (name_after, norm) in zip(children, children[1:]):
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(part, name, fuse_conv_bn_eval(convolution, norm))
                setattr(part, name_after, nn.Identity())
        for name, activation in children:
            if isinstance(activation, nn.PReLU):
                setattr(part, name, FrozenPReLU(activation.weight))
    return network


class FrozenPReLU(nn.Module):
    """PReLU whose slopes (C,) no longer learn, of maps (B, C, H, W).

    PyTorch's own backward pass works out gradients of the slopes, whether they are wanted or not; on a CPU it takes
    ten times as long as this one.
    """

    def __init__(self, slope: Tensor) -> None:
        super().__init__()
        self.register_buffer("slope", slope.detach().view(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        slope = self.slope.to(x.dtype)  # or half precision would end here
        return slope * x + (1 - slope) * F.relu(x)
