"""The weights that come with the package, and the one file format of all others.

A weight file is safetensors; its metadata name the architecture and its settings, so that any file can be
opened without being told what it is. `manifest.json` holds size, sha256, licence and origin of each shipped
file: one that is missing or altered is an error, never a network with random weights.
"""

from __future__ import annotations

import hashlib
import json
import os
from functools import cache
from pathlib import Path
from typing import get_type_hints

import torch
from safetensors import safe_open
from safetensors.torch import save as serialised
from torch import Tensor, nn

from faceinpaint.basics.errors import InputError
from faceinpaint.basics.files import parse_json, write_whole

FOLDER = Path(__file__).parent
MANIFEST = FOLDER / "manifest.json"
RESTORE = "reinstall the package or run `git checkout -- faceinpaint/weights`"


def manifest() -> dict[str, dict]:
    """What is shipped: name -> file, bytes, sha256, licence, training data, attribution, command."""
    try:
        entries = parse_json(MANIFEST.read_bytes())
    except (OSError, ValueError):
        entries = None
    if not isinstance(entries, dict) or not all(map(_is_entry, entries.values())):
        raise InputError(f"{MANIFEST} is missing or damaged: {RESTORE}")
    return entries


def _is_entry(entry: object) -> bool:
    """Whether this is an entry of the manifest: a dictionary with, at least, the name of a file and its sha256."""
    if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("file", "sha256")):
        return False
    return Path(entry["file"]).name == entry["file"] != "" and "\0" not in entry["file"]


@cache
def path_of(name: str) -> Path:
    """The file of shipped weights `name`; InputError where it is missing or not the one in the manifest."""
    entries = manifest()
    if name not in entries:
        raise InputError(f"no weights named '{name}' come with the package: choose from {', '.join(entries)}")
    entry = entries[name]
    path = FOLDER / entry["file"]
    if not os.path.isfile(path):
        raise InputError(f"the weights {path} are missing: {RESTORE}")
    if sha256(path) != entry["sha256"]:
        raise InputError(f"the weights {path} are altered (their sha256 is not the manifest's): {RESTORE}")
    return path


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def save(module: nn.Module, settings: dict, path: Path, **about: str) -> None:
    """Write a network in half precision with its class and settings; the file appears whole or not at all.

    about: what else one should know of it later, such as the recogniser that it was trained with.
    """
    tensors = {}
    for key, value in module.state_dict().items():
        kind = torch.float16 if value.is_floating_point() else value.dtype
        tensors[key] = value.detach().cpu().to(kind).contiguous()
    metadata = {"architecture": type(module).__name__, "settings": json.dumps(settings)} | about
    write_whole(path, in_order(serialised(tensors, metadata)))


def in_order(content: bytes) -> bytes:
    """A safetensors file with its metadata sorted: the library writes them in another order each time.

    So the same weights are the same bytes, and have one sha256. The header is JSON, its length before it.
    """
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text = text.ljust(-(-len(text) // 8) * 8)  # tensors begin at a multiple of 8 bytes
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def file_of(name_or_path: str | Path) -> Path:
    """The file of shipped weights by name, or the one that is given; InputError where it is missing or altered."""
    given = Path(name_or_path)
    if given.suffix != ".safetensors" and os.path.isfile(given) and str(name_or_path) not in manifest():
        raise _no_weights(given)
    path = given if given.suffix == ".safetensors" else path_of(str(name_or_path))
    if not os.path.isfile(path):
        raise InputError(f"there is no weight file {path}: give a .safetensors file or one of {', '.join(manifest())}")
    return path


def load(name_or_path: str | Path, kind: type[nn.Module]) -> nn.Module:
    """A network of class `kind` from shipped weights by name or from a file, in evaluation mode, float32.

    Raises InputError when the file is missing, altered, no safetensors file, of another architecture, or holds numbers
    that are not finite.
    """
    path = file_of(name_or_path)
    metadata, state = content_of(path)
    found = metadata.get("architecture", "an unknown network")
    if found != kind.__name__:
        raise InputError(f"{path} holds {found}, not {kind.__name__}: give the file of a {kind.__name__}")
    try:
        settings = parse_json(metadata["settings"])
        if path.parent != FOLDER:  # the package's own are known by their sha256, and a first picture shall not wait
            _require_fitting(kind, settings, state)
        module = kind(**settings)
        module.load_state_dict(state)
    except Exception:  # settings may say anything
        raise InputError(f"{path} does not fit this version's {kind.__name__}: train or fetch it again") from None
    return module.eval().requires_grad_(False)


def content_of(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The metadata and the tensors of a safetensors file, all numbers finite; InputError for any other file."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata, state = file.metadata() or {}, {key: file.get_tensor(key) for key in file.keys()}
        finite = all(value.isfinite().all() for value in state.values())
    except Exception:  # a header may say anything, of types too that torch can't compute with
        raise _no_weights(path) from None
    if not finite:
        raise InputError(f"{path} holds numbers that are not finite: train or fetch it again")
    return metadata, state


def _no_weights(path: Path) -> InputError:
    """The error of a file that is no safetensors file, by what it is instead."""
    with open(path, "rb") as file:
        begin = file.read(64)
    if begin.startswith(b"version https://git-lfs"):
        return InputError(f"{path} is a pointer of Git LFS, not the weights: run `git lfs pull` to get these")
    if begin.startswith((b"PK", b"\x80")) and path.name.startswith("step-"):
        return InputError(f"{path} is a checkpoint of a run: give the run's .safetensors, or go on by train --resume")
    if begin.startswith((b"PK", b"\x80")):
        return InputError(f"{path} is a pickle of PyTorch, which might run code: give the weights as .safetensors")
    if path.suffix != ".safetensors" and begin[8:9] == b"{":
        return InputError(f"{path} is a safetensors file under another name: rename it to end in .safetensors")
    if path.suffix != ".safetensors":
        return InputError(f"{path} holds no weights of a network here: give a .safetensors file")
    return InputError(f"{path} is not a whole safetensors file: train or fetch it again")


LARGEST_SETTINGS = 10_000  # all numbers of a network's settings together


def _require_fitting(kind: type[nn.Module], settings: dict, state: dict[str, Tensor]) -> None:
    """Raise ValueError for settings of wrong types, or of a network whose tensors have other shapes than the file's.

    Found without making that network, for which no memory may be enough: one wrong digit makes it a million times as
    large. PyTorch imports its compiler for it, which takes as long as everything else together.
    """
    hints = get_type_hints(kind.__init__)
    for key, value in settings.items():
        hint = hints.get(key)
        if hint in (bool, int, float) and type(value) is not hint and (hint, type(value)) != (float, int):
            raise ValueError(f"{key} is no {hint.__name__}")
    if not _total(settings) <= LARGEST_SETTINGS:  # written so that NaN fails too
        raise ValueError("the network is too large")
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in kind(**settings).state_dict().items()}
    if shapes != {key: value.shape for key, value in state.items()}:
        raise ValueError("the tensors have other shapes")


def _total(value: object) -> float:
    """The sum of all numbers in a value of JSON, without their signs."""
    if isinstance(value, (list, dict)):
        return sum(map(_total, value.values() if isinstance(value, dict) else value))
    return abs(value) if isinstance(value, (int, float)) else 0


def begin_with(module: nn.Module, name_or_path: str | Path) -> None:
    """Give a network the weights that another run ended with; InputError where they are of another size."""
    there = load(name_or_path, type(module)).state_dict()
    try:
        module.load_state_dict(there)
    except RuntimeError:
        raise of_another_size(name_or_path, type(module)) from None


def of_another_size(name_or_path: str | Path, kind: type[nn.Module]) -> InputError:
    """The error for weights that a run can't begin with."""
    return InputError(f"{name_or_path} is a {kind.__name__} of another size: begin with one that has the same settings")


def about(name_or_path: str | Path, key: str) -> str | None:
    """What a weight file says about itself under a key, or the manifest about it; None where neither says anything."""
    path = file_of(name_or_path)
    try:
        with safe_open(path, framework="pt") as file:
            said = (file.metadata() or {}).get(key)
    except Exception:
        raise _no_weights(path) from None
    return said or manifest().get(str(name_or_path), {}).get(key)


def ship(name: str, file: Path, **about: str) -> None:
    """Put a trained file into the package and its size, sha256 and origin (`about`) into the manifest.

    A recogniser's threshold, which is in its file, stands in the manifest too.
    """
    target = FOLDER / f"{name}.safetensors"
    write_whole(target, file.read_bytes())
    entry = {"file": target.name, "bytes": target.stat().st_size, "sha256": sha256(target)}
    with safe_open(target, framework="pt") as content:
        settings = json.loads((content.metadata() or {}).get("settings", "{}"))
    entry |= {key: settings[key] for key in ("threshold",) if settings.get(key) is not None} | about
    entries = (manifest() if MANIFEST.is_file() else {}) | {name: entry}
    write_whole(MANIFEST, (json.dumps(dict(sorted(entries.items())), indent=2, ensure_ascii=False) + "\n").encode())
    path_of.cache_clear()
