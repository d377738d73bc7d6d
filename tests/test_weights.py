"""Weight files: what is saved comes back, what is shipped is intact, and anything else is an error."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from faceinpaint import weights
from faceinpaint.basics.errors import InputError
from faceinpaint.discriminator import Discriminator
from faceinpaint.features import ImageNetFeatures
from faceinpaint.generator import Generator
from faceinpaint.landmarks import LandmarkPredictor
from faceinpaint.recognisers import JUDGE, LOSS, DlibResNet, FaceResNet, MobileFaceNet, load_recogniser

SHIPPED = {
    "imagenet": ImageNetFeatures, "generator": Generator, "landmarks": LandmarkPredictor, LOSS: DlibResNet,
    JUDGE: FaceResNet,
}


class Small(nn.Module):
    """A network with all that a file must hold: weights, a float and an integer buffer."""

    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(5, width), nn.BatchNorm1d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.linear(x))


class Other(Small):
    """Another network with the same weights."""


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A file of a `Small` of width 4."""
    torch.manual_seed(0)
    path = tmp_path / "runs" / "small.safetensors"
    weights.save(Small(4), {"width": 4}, path)
    return path


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved: Path) -> Path:
    """A package folder of its own, into which `small` has been shipped."""
    folder = tmp_path / "package"
    monkeypatch.setattr(weights, "FOLDER", folder)
    monkeypatch.setattr(weights, "MANIFEST", folder / "manifest.json")
    weights.path_of.cache_clear()
    weights.ship("small", saved, licence="MIT", training_data="none", attribution="nobody", command="none")
    yield folder
    weights.path_of.cache_clear()


def test_what_is_saved_comes_back_in_half_precision(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Small(4).train()
    network(torch.randn(8, 5))  # statistics to remember
    path = tmp_path / "small.safetensors"
    weights.save(network, {"width": 4}, path)
    loaded = weights.load(path, Small)
    for name, value in loaded.state_dict().items():
        expected = network.state_dict()[name]
        assert value.dtype == expected.dtype and torch.equal(value, expected.half().to(value.dtype)), name
    assert loaded.norm.num_batches_tracked == 1
    assert not loaded.training and not any(parameter.requires_grad for parameter in loaded.parameters())
    # Loading and saving again loses nothing more.
    weights.save(loaded, {"width": 4}, tmp_path / "again.safetensors")
    again = weights.load(tmp_path / "again.safetensors", Small).state_dict()
    assert all(torch.equal(again[name], value) for name, value in loaded.state_dict().items())


@pytest.mark.parametrize(
    "network, settings",
    [
        (Generator(8, prior=False), {"width": 8, "prior": False}),
        (LandmarkPredictor(0.35, 64), {"width": 0.35, "size": 64}),
        (Discriminator(4), {"width": 4}),
        (MobileFaceNet(width=0.125, threshold=0.4), {"width": 0.125, "threshold": 0.4}),
        (FaceResNet(4, 24, 0.4), {"width": 4, "embedding_size": 24, "threshold": 0.4}),
        (DlibResNet(2, 24, 0.4), {"width": 2, "embedding_size": 24, "threshold": 0.4}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_every_network_finds_its_own_settings(network: nn.Module, settings: dict, tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    weights.save(network, settings, path)
    loaded = weights.load(str(path), type(network))
    for name, value in network.state_dict().items():
        assert torch.allclose(loaded.state_dict()[name], value, atol=1e-3, rtol=1e-3), name
    assert path.stat().st_size < 2.2 * sum(value.numel() for value in network.state_dict().values()) + 100_000


def test_saving_leaves_nothing_beside_and_replaces_the_old_file(saved: Path) -> None:
    weights.save(Small(2), {"width": 2}, saved)
    assert [file.name for file in saved.parent.iterdir()] == ["small.safetensors"]
    assert weights.load(saved, Small).linear.out_features == 2


def test_a_save_that_fails_keeps_the_old_file(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    before = saved.read_bytes()
    monkeypatch.setattr(os, "replace", no_room)
    with pytest.raises(InputError, match="can't be written .*No space left"):
        weights.save(Small(2), {"width": 2}, saved)
    assert saved.read_bytes() == before
    assert [file.name for file in saved.parent.iterdir()] == ["small.safetensors"]


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no weight file .*nothing.safetensors"):
        weights.load(tmp_path / "nothing.safetensors", Small)


def test_weights_of_another_network_are_refused_though_they_would_fit(saved: Path) -> None:
    with pytest.raises(InputError, match="holds Small, not Other"):
        weights.load(saved, Other)


@pytest.mark.parametrize("share", [0, 0.001, 0.02, 0.3, 0.7, 0.999])
def test_a_truncated_file_is_said(saved: Path, share: float) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match="not a whole safetensors file"):
        weights.load(saved, Small)


def test_something_else_by_that_name_is_said(saved: Path) -> None:
    saved.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500))
    with pytest.raises(InputError, match="not a whole safetensors file"):
        weights.load(saved, Small)


def test_a_file_without_metadata_is_said(saved: Path) -> None:
    tensors = {name: value.half() for name, value in Small(4).state_dict().items()}
    save_file(tensors, saved)
    with pytest.raises(InputError, match="holds an unknown network, not Small"):
        weights.load(saved, Small)


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"settings": "{"},
        {"settings": "[4]"},
        {"settings": '{"depth": 4}'},
        {"settings": '{"width": 5}'},
        {"settings": '{"width": "wide"}'},
    ],
    ids=str,
)
def test_a_file_that_does_not_fit_is_said(saved: Path, metadata: dict) -> None:
    save_file({name: value.half() for name, value in Small(4).state_dict().items()}, saved,
              {"architecture": "Small"} | metadata)
    with pytest.raises(InputError, match="does not fit this version's Small"):
        weights.load(saved, Small)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_said(saved: Path, value: float) -> None:
    tensors = Small(4).state_dict()
    tensors["linear.bias"][2] = value
    save_file(tensors, saved, {"architecture": "Small", "settings": '{"width": 4}'})
    with pytest.raises(InputError, match="holds numbers that are not finite"):
        weights.load(saved, Small)


@pytest.mark.parametrize("width", ["1000000000", "9999", "1e400", "NaN", "4.0", "true", "[" * 100_000, "9" * 5000])
def test_no_network_is_made_of_settings_that_do_not_fit(saved: Path, width: str,
    monkeypatch: pytest.MonkeyPatch) -> None:
    save_file(Small(4).state_dict(), saved, {"architecture": "Small", "settings": f'{{"width": {width}}}'})
    made = []
    monkeypatch.setattr(Small, "load_state_dict", lambda module, state: made.append(module))
    with pytest.raises(InputError, match="does not fit this version's Small"):
        weights.load(saved, Small)
    assert not made


@pytest.mark.parametrize("text", [
    "[]", "5", "null", '{"small": 5}', '{"small": {}}', '{"small": {"file": "a"}}',
    '{"small": {"file": "../a", "sha256": ""}}',
    '{"small": {"file": "", "sha256": ""}}', '{"small": {"file": "a\\u0000", "sha256": ""}}', "[" * 100_000,
    "9" * 5000, "\ud800",
])
def test_a_damaged_manifest_is_said_with_the_remedy(package: Path, text: str) -> None:
    (package / "manifest.json").write_text(text, errors="surrogatepass")
    for read in (weights.manifest, lambda: weights.path_of("small")):
        weights.path_of.cache_clear()
        with pytest.raises(InputError, match="manifest.json is missing or damaged: reinstall"):
            read()


@pytest.mark.parametrize("change", ["missing", "more"])
def test_too_few_or_too_many_weights_do_not_fit(saved: Path, change: str) -> None:
    tensors = Small(4).state_dict()
    if change == "missing":
        del tensors["linear.bias"]
    else:
        tensors["linear.second_bias"] = torch.zeros(4)
    save_file(tensors, saved, {"architecture": "Small", "settings": '{"width": 4}'})
    with pytest.raises(InputError, match="does not fit this version's Small"):
        weights.load(saved, Small)


def test_shipped_weights_load_by_name(package: Path, saved: Path) -> None:
    by_name, by_path = weights.load("small", Small), weights.load(saved, Small)
    assert torch.equal(by_name.linear.weight, by_path.linear.weight)
    entry = weights.manifest()["small"]
    assert entry["sha256"] == weights.sha256(saved) and entry["bytes"] == saved.stat().st_size
    assert entry["licence"] == "MIT" and entry["file"] == "small.safetensors"


@pytest.mark.parametrize("place", [8, 0.3, 0.6, -1])
def test_one_altered_byte_is_an_error(package: Path, place: float) -> None:
    file = package / "small.safetensors"
    content = bytearray(file.read_bytes())
    content[int(place * len(content)) if 0 < place < 1 else place] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match="sha256 is not the manifest's.*reinstall the package"):
        weights.load("small", Small)


def test_a_shipped_file_that_is_missing_is_an_error_with_the_remedy(package: Path) -> None:
    (package / "small.safetensors").unlink()
    with pytest.raises(InputError, match="are missing: reinstall the package"):
        weights.load("small", Small)


def test_an_unknown_name_is_answered_with_all(package: Path) -> None:
    with pytest.raises(InputError, match="no weights named 'smal' .*small"):
        weights.load("smal", Small)


def test_shipping_again_replaces_its_own_entry_only(package: Path, tmp_path: Path) -> None:
    before = weights.manifest()["small"]
    assert weights.load("small", Small).linear.out_features == 4
    other = tmp_path / "other.safetensors"
    weights.save(Small(2), {"width": 2}, other)
    weights.ship("another", other, licence="CC0-1.0")
    assert weights.manifest() == {"another": weights.manifest()["another"], "small": before}
    weights.ship("small", other, licence="CC0-1.0")
    assert weights.load("small", Small).linear.out_features == 2  # not what an earlier check remembers
    assert list(weights.manifest()) == ["another", "small"]
    assert sorted(file.name for file in package.iterdir()) == [
        "another.safetensors", "manifest.json", "small.safetensors"
    ]


# --- what really ships


def test_the_manifest_lists_exactly_the_shipped_files() -> None:
    shipped = sorted(file.name for file in weights.FOLDER.glob("*.safetensors"))
    assert sorted(entry["file"] for entry in weights.manifest().values()) == shipped
    assert set(weights.manifest()) == set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_each_shipped_file_is_intact_and_opens(name: str) -> None:
    entry = weights.manifest()[name]
    file = weights.FOLDER / entry["file"]
    assert file.stat().st_size == entry["bytes"] and weights.sha256(file) == entry["sha256"]
    loaded = weights.load(name, SHIPPED[name])
    for key, value in loaded.state_dict().items():
        assert value.isfinite().all(), key


@pytest.mark.parametrize("name", SHIPPED)
def test_each_shipped_file_says_where_it_comes_from(name: str) -> None:
    entry = weights.manifest()[name]
    for key in ("licence", "training_data", "attribution", "command"):
        assert isinstance(entry.get(key), str) and entry[key].strip(), f"{name} lacks {key}"
    made = [f"faceinpaint {verb}" for verb in ("train", "release", "fetch")]
    made += ["faceinpaint.recognisers.dlib import convert"]
    assert any(command in entry["command"] for command in made)


def test_all_shipped_weights_stay_under_35_megabytes() -> None:
    assert sum(file.stat().st_size for file in weights.FOLDER.glob("*.safetensors")) < 35_000_000
    assert json.loads(weights.MANIFEST.read_text()) == weights.manifest()


def test_the_judge_is_small_and_the_manifest_has_its_threshold() -> None:
    entry = weights.manifest()[JUDGE]
    assert entry["bytes"] <= 5_000_000
    assert entry["threshold"] == load_recogniser(JUDGE).threshold
    assert 0 < entry["threshold"] < 1


def test_the_generator_says_who_taught_it_identity() -> None:
    taught, judged = load_recogniser(LOSS).fingerprint, load_recogniser(JUDGE).fingerprint
    assert weights.about("generator", "identity_fingerprint") == taught != judged


def test_a_network_begins_with_the_weights_of_another_run(saved):
    network = Small(4)
    weights.begin_with(network, saved)
    for key, value in weights.load(saved, Small).state_dict().items():
        assert torch.equal(network.state_dict()[key], value)
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_it_begins_with_nothing_of_another_size_or_kind(saved):
    with pytest.raises(InputError, match=f"{saved} is a Small of another size: begin with one that has the same"):
        weights.begin_with(Small(5), saved)
    with pytest.raises(InputError, match="holds Small, not Other"):
        weights.begin_with(Other(4), saved)


def test_the_same_weights_are_the_same_bytes(tmp_path: Path) -> None:
    network, said = Generator(8), {f"about-{number}": str(number) for number in range(8)}
    for name in ("first", "second"):
        weights.save(network, {"width": 8}, tmp_path / f"{name}.safetensors", **said)
        said = dict(reversed(said.items()))
    first, second = (tmp_path / f"{name}.safetensors" for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    assert weights.about(first, "about-3") == "3"
    assert torch.equal(weights.load(first, Generator).paint.bias, network.paint.bias.half().float())


@pytest.mark.parametrize("name, content, said", [
    ("generator.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "git lfs pull"),
    ("model.pth", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    ("model.pth", b"PK\3\4" + bytes(60), "pickle of PyTorch"), ("old.pt", b"\x80\2\x8a\nl\xfc", "pickle of PyTorch"),
    ("renamed.safetensors", b"PK\3\4" + bytes(60), "pickle of PyTorch"),
    ("model.bin", bytes(8) + b'{"__metadata__"', "rename it"),
    ("step-0000100.pt", b"PK\3\4" + bytes(60), "checkpoint of a run"), ("model.onnx", b"\x08\x07", "no weights"),
])
def test_what_is_no_weight_file_is_named_as_what_it_is(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said) as error:
        weights.load(tmp_path / name, Generator)
    assert name in str(error.value) and ". " not in str(error.value)
