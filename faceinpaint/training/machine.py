"""Devices, mixed precision, memory layout, compilation, optimiser, EMA and learning rate, the same for every stage."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from faceinpaint.basics.folding import folded
from faceinpaint.completion import find_device, quick_bfloat16
from faceinpaint.training.presets import Training

LONG = 1000  # steps from which the minutes of compilation are won back


class Machine:
    """Devices and processes as `torchrun` or `accelerate launch` have set them up, or this computer's own.

    accelerator: moves data and networks, and joins the gradients of all processes.
    """

    def __init__(self, settings: Training) -> None:
        self.settings = settings
        # Precision is not left to it: in the loops one shall see what is calculated how.
        self.accelerator = Accelerator(mixed_precision="no", cpu=find_device().type == "cpu")
        self.device = self.accelerator.device
        self.rank, self.processes = self.accelerator.process_index, self.accelerator.num_processes
        self.first = self.accelerator.is_main_process  # the one that writes

    def autocast(self) -> torch.autocast:
        """Convolutions and matrix products in bfloat16 inside `with`, where the settings or the machine say so.

        It halves what has to be moved through the memory. bfloat16 has the range of float32, so that gradients need
        no scaling, but two to three digits only: sums over pixels, and positions, the networks keep in float32.
        """
        precision = self.settings.precision
        bfloat16 = precision == "bf16" or precision == "auto" and quick_bfloat16(self.device)
        return torch.autocast(self.device.type, torch.bfloat16, enabled=bfloat16)

    def quick(self, network: nn.Module) -> nn.Module:
        """The same network on the device, laid out and compiled for it.

        Channels last: the values of all channels of a pixel lie side by side, as convolutions read them; see `layout`.
        Compilation fuses what lies between the convolutions; it pays on a GPU, on a CPU it did not.
        """
        network = network.to(self.device, memory_format=layout(network))
        on_gpu = self.device.type == "cuda"
        if self.processes > 1 and on_gpu:
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # statistics of the whole batch, not of a part
        long = self.settings.steps >= LONG
        if self.settings.compile == "on" or self.settings.compile == "auto" and on_gpu and long:
            network.compile()
        return network

    def frozen(self, network: nn.Module) -> nn.Module:
        """A copy of a network that does not learn, as `quick`, with less to do: its batch norms are folded away."""
        return self.quick(folded(network))

    def watched(self, step: int) -> AbstractContextManager:
        """Every step runs inside this; a place for whoever wants to look on, such as a profiler."""
        return nullcontext()

    def adam(
        self, parameters: Iterable[nn.Parameter], decay: float = 0.0, betas: tuple[float, float] = (0.9, 0.999)
    ) -> torch.optim.Optimizer:
        """Adam with decoupled weight decay; fused, one pass over each parameter instead of a dozen."""
        return torch.optim.AdamW(parameters, lr=self.settings.lr, betas=betas, weight_decay=decay, fused=True)


def layout(network: nn.Module) -> torch.memory_format:
    """Channels last, but for networks that a CPU would not live through.

    Backwards through a 1 x 1 convolution that skips pixels, oneDNN writes whole vectors of channels, also where the
    picture has fewer, and so beyond its end: fewer than 8 on processors with AVX2, fewer than 16, in larger pictures,
    with AVX-512 (torch 2.14). Channels first, it takes another way.
    """
    risky = any(
        isinstance(part, nn.Conv2d) and part.kernel_size == (1, 1) and max(part.stride) > 1 and part.in_channels < 16
        for part in network.modules()
    )
    return torch.contiguous_format if risky else torch.channels_last


def rising_average(decay: float) -> Callable[[list[Tensor], list[Tensor], Tensor], None]:
    """Exponential moving average (EMA) of weights, for an `AveragedModel`, whose decay rises to the full one.

    With the full decay from the first step on, the average of a short run would still be where the run began.
    """

    def follow(averages: list[Tensor], values: list[Tensor], steps: Tensor) -> None:
        now = min(decay, (1 + int(steps)) / (10 + int(steps)))
        get_ema_multi_avg_fn(now)(averages, values, steps)

    return follow


def set_rate(optimizer: torch.optim.Optimizer, settings: Training, step: int, times: float = 1.0) -> None:
    """The learning rate of a step: a warm-up of at most a hundred steps, then constant, or cosine decay to 2 %.

    times: a factor for all steps. It depends on nothing but the step, so that a run can be resumed with more steps
    than it was planned for.
    """
    for group in optimizer.param_groups:
        group["lr"] = times * settings.lr * share_of_rate(settings, step)


def share_of_rate(settings: Training, step: int) -> float:
    """The rate of a step over the full one."""
    rise = min(1.0, step / min(100, settings.steps / 10))
    if settings.schedule == "constant":
        return rise
    return rise * (0.51 + 0.49 * math.cos(math.pi * step / settings.steps))
