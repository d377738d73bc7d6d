"""dlib's recogniser: the same descriptors as dlib's own, faces cut alike, and the reader of its file."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from matplotlib import cbook
from PIL import Image
from test_recognisers import coordinate_image
from torch import Tensor, nn

from faceinpaint import recognisers, weights
from faceinpaint.basics.errors import InputError
from faceinpaint.faces.photos import to_tensor
from faceinpaint.recognisers import DlibRecogniser, DlibResNet, Recogniser, dlib, load_recogniser
from faceinpaint.recognisers.networks import DlibBlock

# What dlib 20.0.1 says of scikit-image's portrait of an astronaut, in ten-thousandths, by its own network:
# `face_recognition_model_v1(file).compute_face_descriptor(chip)`. CROP is of 150 x 150 pixels as they are,
# `astronaut()[51:201, 150:300]`; CHIP of what `get_face_chip(astronaut(), points, size=150, padding=0.25)` cuts, where
# the points are those of PEOPLE, which dlib's own predictor of 68 landmarks has found.
CROP = """
    -561 536 96 -65 -1439 -182 -60 -1717 1187 -1005 1922 -1040 -2931 -329 292 1531 -1421 -1590 -1548 -633
    -146 342 638 982 -2078 -3352 -589 -1043 323 -597 -882 1358 -1046 212 996 1085 -272 -1029 1756 -582
    -2715 -551 455 2214 3162 -572 -69 -847 1257 -2914 266 1336 668 856 349 -1710 -217 2007 -2620 -486
    296 -1217 -94 -760 1831 1468 -1814 -1377 1798 -2500 -91 991 -1556 -2124 -3277 -391 4645 1917 -1682 -490
    -830 -27 166 489 -689 -866 -1186 401 2055 -454 -341 2542 36 -100 400 1249 -1199 -493 -1231 -247
    -622 -888 509 1665 -1688 2164 -119 65 43 -367 -331 -484 1635 -3062 853 1684 903 1698 -420 510
    -449 -602 -1793 -446 527 -415 236 426
"""
CHIP = """
    -720 215 91 -626 -1568 -200 -438 -1342 976 -1208 1901 -503 -2681 -395 -53 1547 -1443 -1545 -1446 -895
    318 566 -165 536 -2483 -2570 -637 -970 37 -701 -302 795 -881 525 1088 1224 -64 -1156 1224 -802
    -2311 -181 805 1844 2940 -593 -117 -1049 1447 -2781 192 734 533 862 409 -1627 -49 2420 -2709 -605
    -28 -1730 -450 -621 1442 1236 -1864 -1408 1816 -2536 -111 679 -1111 -1776 -3206 -155 4333 1876 -1736 -118
    -340 124 280 342 -464 -1123 -1265 457 2175 -636 396 2375 304 -195 356 1046 -1510 -647 -770 -193
    -600 -656 567 1554 -1201 1918 -149 -348 -191 -646 40 -753 1391 -2533 622 1550 951 1941 -111 485
    -493 -561 -1803 -270 293 -493 334 229
"""
# The landmarks 45, 42, 36, 39 and 33 of the astronaut and of Matplotlib's portrait of Grace Hopper.
PEOPLE = {
    "astronaut": [(255, 105), (237, 106), (195, 101), (212, 104), (224, 134)],
    "hopper": [(319, 190), (291, 192), (210, 195), (238, 194), (268, 252)],
}


def descriptor(text: str) -> Tensor:
    return torch.tensor([int(number) / 1e4 for number in text.split()])


def landmarks_of(points: Tensor | list) -> Tensor:
    """(1, 68, 2) of which five alone are known, in the order of `dlib.POINTS`."""
    landmarks = torch.full((1, 68, 2), float("nan"))
    landmarks[0, list(dlib.POINTS)] = torch.as_tensor(points, dtype=torch.float32)
    return landmarks


@pytest.fixture(scope="module")
def recogniser() -> DlibRecogniser:
    return load_recogniser("dlib")


@pytest.fixture(scope="module")
def portraits(astronaut) -> dict[str, Tensor]:
    with cbook.get_sample_data("grace_hopper.jpg") as file:
        return {"astronaut": to_tensor(astronaut), "hopper": to_tensor(Image.open(file).convert("RGB"))}


def described(recogniser: Recogniser, aligned: Tensor) -> Tensor:
    """The descriptors (B, 128) as dlib gives them, not normalised."""
    caught = []
    hook = recogniser.network.register_forward_hook(lambda *call: caught.append(call[-1]))
    recogniser.embed_aligned(aligned)
    hook.remove()
    return caught[0]


# the network


def test_the_descriptor_of_a_chip_is_dlibs(recogniser, portraits):
    found = described(recogniser, portraits["astronaut"][..., 51:201, 150:300])[0]
    assert (found - descriptor(CROP)).abs().max() < 1e-3


def test_the_embedding_of_a_photograph_is_that_of_dlibs_own_chip(recogniser, portraits):
    found = recogniser.embed(portraits["astronaut"], landmarks_of(PEOPLE["astronaut"]))[0]
    assert Recogniser.distance(found, descriptor(CHIP)) < 1e-3  # dlib samples in another way; a threshold is 0.07
    assert found.norm().item() == pytest.approx(1, abs=1e-5)


def test_it_has_29_convolutions_and_sizes_as_in_dlib(recogniser):
    layers = [module for module in recogniser.network.modules() if isinstance(module, nn.Conv2d)]
    assert len(layers) == 29
    x, sizes = torch.zeros(1, 3, 150, 150), []
    for layer in recogniser.network.layers:
        x = layer(x)
        sizes.append(tuple(x.shape[1:]))
    different = [(32, 72, 72), (32, 35, 35), (64, 17, 17), (128, 8, 8), (256, 4, 4), (256, 2, 2)]
    assert list(dict.fromkeys(sizes)) == different


def test_where_it_halves_the_shortcut_is_a_mean_and_missing_channels_and_pixels_are_zero():
    block, x = DlibBlock(4, 6, 2), torch.rand(1, 4, 8, 8)
    with torch.no_grad():
        for value in block.parameters():
            value.zero_()
        block.convolutions[2].bias.fill_(1)  # so that what the convolutions give can be told from zeros
    y = block(x)
    assert y.shape == (1, 6, 4, 4)
    assert torch.allclose(y[:, :4, :3, :3], F.avg_pool2d(x, 2)[..., :3, :3] + 1)
    assert torch.allclose(y[:, :4, 3], F.avg_pool2d(x, 2)[..., 3, :])
    assert (y[:, 4:, :3, :3] == 1).all() and not y[:, 4:, 3].any() and not y[:, 4:, :, 3].any()


# alignment


def test_the_five_points_land_where_dlib_lays_them(recogniser):
    template = torch.tensor(dlib.DLIB_TEMPLATE)
    assert template[0].tolist() == pytest.approx([110.4567, 45.8498], abs=1e-3)  # (0.8596 + 0.25) / 1.5 x 150 - 0.5
    points = template * 0.8 + torch.tensor([30.0, 25.0])
    aligned = recogniser.align(coordinate_image(200, 200), landmarks_of(points))
    assert aligned.shape == (1, 3, 150, 150)
    read = F.grid_sample(aligned, (2 * template[None, None] + 1) / 150 - 1, align_corners=False)[0, :2, 0].T
    assert (read - points).abs().max() < 0.05


def test_landmarks_that_nobody_knows_are_refused(recogniser):
    with pytest.raises(InputError, match="unknown landmarks"):
        recogniser.embed(torch.rand(1, 3, 64, 64), torch.full((1, 68, 2), float("nan")))


# a recogniser like the others


def test_a_person_in_other_light_is_the_same_and_somebody_else_is_not(recogniser, portraits):
    known = {name: landmarks_of(points) for name, points in PEOPLE.items()}
    embedded = {name: recogniser.embed(portrait, known[name]) for name, portrait in portraits.items()}
    darker = recogniser.embed(portraits["astronaut"] ** 1.5 * 0.9, known["astronaut"])
    small = F.interpolate(portraits["astronaut"], scale_factor=0.5, mode="area")
    smaller = recogniser.embed(small, (known["astronaut"] + 0.5) / 2 - 0.5)
    for other in (darker, smaller):
        assert Recogniser.distance(embedded["astronaut"], other).item() < recogniser.threshold / 2
    assert Recogniser.distance(*embedded.values()).item() > recogniser.threshold
    assert recogniser.verdict(0.03).startswith("same person: yes") and "no" in recogniser.verdict(0.1)


def test_the_gradient_reaches_the_image_and_no_parameter(recogniser, portraits):
    known = {name: landmarks_of(points) for name, points in PEOPLE.items()}
    target = recogniser.embed(portraits["hopper"], known["hopper"])
    image = portraits["astronaut"].clone().requires_grad_()
    before = Recogniser.distance(recogniser.embed(image, known["astronaut"]), target)
    before.backward()
    assert image.grad.isfinite().all() and image.grad[..., 60:190, 170:280].abs().max() > 0
    assert not image.grad[..., 300:, :].any()  # outside of the chip
    assert all(not p.requires_grad and p.grad is None for p in recogniser.parameters())
    nearer = (image - 0.01 * image.grad.sign()).detach()
    assert Recogniser.distance(recogniser.embed(nearer, known["astronaut"]), target) < before - 0.01


def test_a_file_of_its_kind_is_known_by_what_it_says(tmp_path):
    torch.manual_seed(0)
    for settings, threshold in (({"threshold": 0.05}, 0.05), ({}, dlib.DLIB_THRESHOLD)):
        weights.save(DlibResNet(2, 8), {"width": 2, "embedding_size": 8} | settings, tmp_path / "mine.safetensors")
        found = load_recogniser(tmp_path / "mine.safetensors")
        assert (type(found), found.name, found.threshold) == (DlibRecogniser, "mine", threshold)
        assert found.embed_aligned(torch.rand(2, 3, 150, 150)).shape == (2, 8)


def test_the_name_is_dlib_and_the_threshold_the_manifests(recogniser):
    assert "dlib" in recognisers.NAMES and recogniser.name == "dlib"
    assert recogniser.threshold == weights.manifest()["dlib"]["threshold"] == dlib.DLIB_THRESHOLD


# dlib's file


def integer(value: int) -> bytes:
    """As dlib writes one: how many bytes follow, then these, lowest first."""
    length = (value.bit_length() + 7) // 8 or 1
    return bytes([length]) + value.to_bytes(length, "little")


def tensor(values: Tensor) -> bytes:
    """Version 2, four sizes, floats: as dlib writes the parameters of a layer, all in the first dimension."""
    sizes = b"".join(map(integer, (len(values), 1, 1, 1)))
    return integer(2) + sizes + values.numpy().astype("<f4").tobytes()


def named(kind: bytes) -> bytes:
    return integer(len(kind)) + kind


def serialised(network: DlibResNet, gamma: float = 1.0, beta: float = 0.0) -> bytes:
    """A network as dlib writes it, shortened between the layers; all affine layers have the same gamma and beta."""
    parts = [named(b"loss_metric_2"), bytes(9), named(b"input_rgb_image_sized"), bytes(9)]
    for layer in (module for module in network.modules() if isinstance(module, nn.Conv2d)):
        outputs, _, height, width = layer.weight.shape
        numbers = torch.cat([layer.weight.detach().flatten(), layer.bias.detach()])
        affine = torch.tensor([gamma, beta]).repeat_interleave(outputs)
        parts += [named(b"con_4"), tensor(numbers), *map(integer, (outputs, height, width, 1, 1)), b"110" + bytes(20)]
        parts += [named(b"affine_"), tensor(affine), bytes(9), named(b"relu_"), b"110" + bytes(20)]
    linear = network.linear.weight.detach()
    parts += [named(b"fc_2"), *map(integer, linear.shape), tensor(linear.T.flatten()), bytes(20)]
    return b"".join(parts)


@pytest.fixture(scope="module")
def small() -> DlibResNet:
    torch.manual_seed(3)
    return DlibResNet(2, 5).eval()


def test_what_dlib_writes_is_read_layer_by_layer(small):
    found = dlib.network_of(serialised(small), "small.dat")
    assert not found.training and not any(p.requires_grad for p in found.parameters())
    for name, value in small.state_dict().items():
        assert torch.equal(found.state_dict()[name], value), name


def test_an_affine_layer_is_folded_into_the_convolution_before_it(small):
    found = dlib.network_of(serialised(small, 1.5, -0.25), "small.dat")
    x = torch.rand(1, 3, 20, 20)
    assert torch.allclose(found.layers[0](x), 1.5 * small.layers[0](x) - 0.25, atol=1e-5)


def test_a_published_file_becomes_one_of_ours(small, tmp_path, monkeypatch):
    published, ours = tmp_path / "published.dat", tmp_path / "out" / "ours.safetensors"
    published.write_bytes(serialised(small))
    monkeypatch.setattr(dlib, "BYTES", published.stat().st_size)
    monkeypatch.setattr(dlib, "SHA256", weights.sha256(published))
    dlib.convert(str(published), str(ours))
    found, x = load_recogniser(ours), torch.rand(2, 3, 150, 150)
    assert found.threshold == dlib.DLIB_THRESHOLD
    assert torch.allclose(found.network(x), small(x), atol=1e-3)


@pytest.mark.parametrize("fault, change", [
    ("bytes instead of", lambda whole: whole[:-1]), ("sha256 differs", lambda whole: whole[::-1]),
], ids=["short", "other"])
def test_a_file_that_is_not_the_published_one_is_refused(small, tmp_path, monkeypatch, fault, change):
    path, whole = tmp_path / "a.dat", serialised(small)
    path.write_bytes(change(whole))
    monkeypatch.setattr(dlib, "BYTES", len(whole))
    with pytest.raises(InputError, match=f"not the one published, .*a.dat .*{fault}.*: get {dlib.NAME} of dlib-models"):
        dlib.convert(path, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(InputError, match=f"there is no file .*none.dat: give the {dlib.NAME} of dlib-models"):
        dlib.convert(tmp_path / "none.dat", tmp_path / "out.safetensors")


def test_what_is_no_file_of_dlibs_is_refused_in_a_sentence(small):
    whole = serialised(small)
    spoilt = {
        "empty": b"", "page": b"<html>Not Found</html>", "half": whole[: len(whole) // 2], "short": whole[:-40],
        "end": whole[: whole.index(b"con_4") + 5], "version": whole.replace(b"con_4\1\2", b"con_4\1\3"),
        "sizes": whole.replace(b"fc_2\1\5", b"fc_2\1\4"),
        "order": whole.replace(b"affine_", b"affino_", 1), "noise": np.random.default_rng(0).bytes(9999),
    }
    spoilt["huge"] = whole.replace(b"con_4\1\2", b"con_4\1\2" + b"\x0f" + b"\xff" * 15, 1)
    for what, content in spoilt.items():
        with pytest.raises(InputError) as error:
            dlib.network_of(content, what)
        sentence = f"{what} is not a whole file of dlib's face recogniser: get {dlib.NAME} of dlib-models"
        assert str(error.value) == sentence
