"""Logging and checkpoints of a training run: what lies in its folder, and how it stops and goes on.

    log.csv            step, name, value of everything measured; the same for TensorBoard in tensorboard/
    speed.csv          step, images, seconds of the step, and how many of them its batch was waited for
    checkpoints/       the last three, from which --resume goes on
    best.safetensors   the weights that were best on the validation faces
    validation/        a grid of pictures each time
"""

from __future__ import annotations

import csv
import io
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from statistics import median
from types import FrameType

import torch
from safetensors.torch import save as serialised
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter
from torchvision.transforms.functional import to_pil_image
from torchvision.utils import make_grid
from tqdm.auto import tqdm

from faceinpaint.basics.errors import InputError
from faceinpaint.basics.files import unwritable, write_whole
from faceinpaint.faces.batch import Faces
from faceinpaint.training.machine import Machine
from faceinpaint.training.presets import Training

KEPT = 3  # checkpoints
COLUMNS = ["step", "name", "value"]
SPEED_COLUMNS = ["step", "images", "seconds", "waited"]


class Stopped(Exception):
    """A run that was told to stop, by Ctrl-C or SIGTERM, and wrote its checkpoint. signal: the signal's number."""

    def __init__(self, number: int, sentence: str) -> None:
        super().__init__(sentence)
        self.signal = number


class Run:
    """An output folder, the steps that are left, and everything that has to survive a stop: `with Run(...) as run:`.

    parts: whatever learns, with a `state_dict`. With several processes all of them read the checkpoint and the
    first one alone writes. Raises InputError where `out` holds a run and `resume` is False, or the other way round.
    """

    def __init__(
        self, out: Path, settings: Training, resume: bool, machine: Machine, **parts: nn.Module
    ) -> None:
        self.out, self.settings, self.machine, self.parts = out, settings, machine, parts
        self.accelerator = machine.accelerator
        self.checkpoints = out / "checkpoints"
        self.done, self.best = 0, math.inf
        self._signal: int | None = None
        self._handlers: dict[int, object] = {}
        self._checkpoint_due = False
        if resume:
            self._load()
        elif self._newest() is not None:
            raise InputError(f"{out} already holds a run: continue it with --resume or choose another --out")
        if machine.first:
            self._open_logs()
        self.accelerator.wait_for_everyone()

    def __enter__(self) -> Run:
        """From here on SIGTERM and Ctrl-C are noted, and the run leaves after the step that is under way."""
        for number in (signal.SIGTERM, signal.SIGINT):
            try:
                self._handlers[number] = signal.signal(number, self._told)
            except ValueError:  # not the main thread: whoever runs that one decides
                break
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        """Whatever can't be written, by TensorBoard too, is one sentence: nothing but files is written in between."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        try:
            if self.accelerator.is_main_process:
                self.board.close()
        except OSError as failure:
            error = error or failure
        threading.excepthook = threading.__excepthook__
        if isinstance(error, OSError):
            raise unwritable(Path(error.filename or self.out), error) from None

    # -------------------------------------------------------------------------------------- steps

    def steps(self, batches: Iterator[Faces], seed: int) -> Iterator[tuple[int, Faces]]:
        """The numbers of the steps left to do with their batches, on the accelerator; checkpoints in between.

        Random numbers that a network draws itself, such as those of dropout, depend on nothing but the step.
        """
        total, batch = self.settings.steps, self.settings.batch * self.accelerator.num_processes
        bar = tqdm(
            total=total * batch, initial=self.done * batch, desc=self.out.name, unit=" images", mininterval=2,
            disable=not self.accelerator.is_main_process,
        )
        with bar:
            while self.done < total:
                step, begin = self.done + 1, time.perf_counter()
                faces = next(batches).to(self.accelerator.device)
                waited = time.perf_counter() - begin
                torch.manual_seed(seed * 1_000_003 + step)
                with self.machine.watched(step):
                    yield step, faces
                bar.update(batch)
                self.done = step
                self._log_speed(batch, time.perf_counter() - begin, waited)
                self._leave_if_told()
                if self._checkpoint_due or step % self.settings.checkpoint_every == 0 or step == total:
                    self._save()

    def validates(self, step: int) -> bool:
        """Whether it is time to measure; the last step always is, if any, and only one process does it."""
        every = self.settings.validate_every
        due = every > 0 and (step % every == 0 or step == self.settings.steps)
        return due and self.accelerator.is_main_process

    def check(self, step: int, losses: dict[str, Tensor], faces: Faces) -> dict[str, float]:
        """Losses, and lengths of gradients, as numbers; one that is not finite ends the run, so ask before the step.

        Raises InputError, and leaves the batch in the run's folder, to be looked at.
        """
        # All at once: a GPU is waited for each time that a number is asked of it.
        values = dict(zip(losses, torch.stack([loss.detach().float() for loss in losses.values()]).tolist()))
        wrong = [name.replace("_", " ") for name, value in values.items() if not math.isfinite(value)]
        if not wrong:
            return values
        what = wrong[0] if wrong[0].endswith(("loss", "gradient")) else f"{wrong[0]} loss"
        file = self.out / f"not-finite-{step:06d}-{self.accelerator.process_index}.safetensors"
        tensors = {field.name: getattr(faces, field.name) for field in fields(faces)}
        write_whole(file, serialised({
            name: value.cpu().contiguous() for name, value in tensors.items() if isinstance(value, Tensor)
        }))
        raise InputError(
            f"the {what} of step {step} is not finite; the batch is in {file}: look at it, "
            f"or go on from the last checkpoint with --resume and a lower rate"
        )

    # ---------------------------------------------------------------------------------------- log

    def log(self, step: int, values: dict[str, float]) -> None:
        """Append to log.csv and to TensorBoard, by the first process alone."""
        if not self.accelerator.is_main_process:
            return
        self._append("log.csv", [[step, name, f"{value:.6g}"] for name, value in values.items()])
        for name, value in values.items():
            self.board.add_scalar(name, value, step)

    def picture(self, step: int, images: Tensor, columns: int) -> None:
        """Keep pictures (N, 3, H, W) as a grid of some columns: validation/step-000500.jpg, and in TensorBoard."""
        grid, content = make_grid(images, nrow=columns), io.BytesIO()
        to_pil_image(grid).save(content, "jpeg", quality=92)
        write_whole(self.out / "validation" / f"step-{step:06d}.jpg", content.getvalue())
        self.board.add_image("validation", grid, step)

    def keep_if_best(self, step: int, value: float, save: Callable[[Path], None]) -> None:
        """Save the weights as best.safetensors if `value`, of which less is better, is the least so far."""
        if value < self.best:
            self.best = value
            save(self.out / "best.safetensors")
            self._checkpoint_due = True  # so that a resumed run remembers

    def _log_speed(self, images: int, seconds: float, waited: float) -> None:
        if self.accelerator.is_main_process:
            self._append("speed.csv", [[self.done, images, f"{seconds:.4f}", f"{waited:.4f}"]])
            self.board.add_scalar("images_a_second", images / seconds, self.done)

    def _append(self, name: str, rows: list[list]) -> None:
        try:
            with open(self.out / name, "a", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(rows)
        except OSError as error:
            raise unwritable(self.out / name, error) from None

    def _open_logs(self) -> None:
        """Logs with their headings. What was logged after the checkpoint will be done, and logged, again."""
        for name, columns in (("log.csv", COLUMNS), ("speed.csv", SPEED_COLUMNS)):
            rows = [row for row in read_rows(self.out / name) if int(row[0]) <= self.done]
            lines = io.StringIO()
            csv.writer(lines).writerows([columns, *rows])
            write_whole(self.out / name, lines.getvalue().encode())
        threading.excepthook = _hear  # now, for its thread writes at once
        try:
            self.board = SummaryWriter(self.out / "tensorboard", purge_step=self.done + 1)
        except OSError as error:
            raise unwritable(self.out / "tensorboard", error) from None

    # -------------------------------------------------------------------------------- checkpoints

    def _save(self) -> None:
        self._checkpoint_due = False
        if not self.accelerator.is_main_process:
            return
        content = io.BytesIO()
        state = {"step": self.done, "best": self.best}
        torch.save(state | {name: part.state_dict() for name, part in self.parts.items()}, content)
        write_whole(self._file(self.done), content.getbuffer())
        for old in sorted(self.checkpoints.glob("step-*.pt"))[:-KEPT]:
            old.unlink()

    def _load(self) -> None:
        file = self._newest()
        if file is None:
            raise InputError(f"{self.out} holds no checkpoint to resume from: leave --resume out to begin there")
        try:
            state = torch.load(file, map_location="cpu", weights_only=True)
        except Exception:  # a damaged pickle may raise anything
            raise InputError(f"{file} is damaged: delete it, and --resume goes on from the one before") from None
        try:
            self.done, self.best = state["step"], state["best"]
            for name, part in self.parts.items():
                part.load_state_dict(state[name])
        except (KeyError, RuntimeError, ValueError):
            raise InputError(f"{file} is of a run with other settings: repeat its --preset and --set") from None

    def _newest(self) -> Path | None:
        return max(self.checkpoints.glob("step-*.pt"), default=None)

    def _file(self, step: int) -> Path:
        return self.checkpoints / f"step-{step:07d}.pt"

    # ------------------------------------------------------------------------------------ signals

    def _told(self, number: int, frame: FrameType | None) -> None:
        self._signal = number

    def _leave_if_told(self) -> None:
        """Once any process was told to stop, all of them leave after the same step; the first one saves."""
        told = torch.tensor([self._signal or 0], device=self.accelerator.device)
        number = int(self.accelerator.gather(told).max()) if self.accelerator.num_processes > 1 else int(told)
        if not number:
            return
        self._save()
        raise Stopped(number, f"stopped after step {self.done} of {self.settings.steps}: go on with --resume")


def _hear(died: threading.ExceptHookArgs) -> None:
    """Print what has ended a thread, but not that TensorBoard's could not write: the run hears and says it."""
    if not isinstance(died.exc_value, OSError):
        threading.__excepthook__(died)


def read_rows(file: Path) -> list[list[str]]:
    """The rows of a log without its heading, nor a last one that a full disk has cut; none where there is no log."""
    if not file.is_file():
        return []
    with open(file, newline="", encoding="utf-8") as lines:
        rows = list(csv.reader(lines))
    return [row for row in rows[1:] if len(row) == len(rows[0])]


def read_log(out: Path) -> dict[str, tuple[list[int], list[float]]]:
    """What a run has logged in the folder `out`: name -> steps and values, ready to be plotted."""
    curves: dict[str, tuple[list[int], list[float]]] = {}
    for step, name, value in read_rows(Path(out) / "log.csv"):
        steps, values = curves.setdefault(name, ([], []))
        steps.append(int(step))
        values.append(float(value))
    return curves


def read_speed(out: Path) -> tuple[float, float]:
    """Images a second of a run, by its median step, and the share of that step in which its batch was waited for."""
    rows = [[float(value) for value in row] for row in read_rows(Path(out) / "speed.csv")]
    _, images, seconds, waited = zip(*rows)
    return median(images) / median(seconds), median(waited) / median(seconds)
