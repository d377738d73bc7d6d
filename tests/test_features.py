"""Feature networks: one interface, layers by name, frozen, and the pixels normalised as each wants them."""

from __future__ import annotations

import pytest
import torch
from conftest import small_features
from torch import nn
from torchvision.models import mobilenet_v2, vgg19
from torchvision.transforms.functional import gaussian_blur, to_tensor

from faceinpaint import weights
from faceinpaint.basics.errors import InputError
from faceinpaint.features import VGG19, VGG19_LAYERS, Features, ImageNetFeatures, load_features, load_vgg19
from faceinpaint.losses import PerceptualLoss
from faceinpaint.weights import fetch


@pytest.fixture(scope="module")
def vgg() -> VGG19:
    torch.manual_seed(0)
    return VGG19().frozen()


def picture(size: int = 32, count: int = 1) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.fixture(params=["small", "imagenet"])
def network(request) -> Features:
    """A network of each kind; the last comes with the package."""
    return small_features(4, 4, 8, 8, 8) if request.param == "small" else load_features(request.param)


def test_maps_have_their_layers_names_from_shallow_to_deep(network):
    maps = network(picture(64, 2))
    assert tuple(maps) == network.default
    sizes = [one.shape[-1] for one in maps.values()]
    assert sizes == sorted(sizes, reverse=True)
    for name, one in maps.items():
        assert one.shape[0] == 2 and one.shape[-1] == 64 // int(name.removeprefix("1/"))


def test_gradients_reach_the_picture_and_no_parameter(network):
    image = picture(64).requires_grad_()
    sum(one.square().mean() for one in network(image).values()).backward()
    assert image.grad.isfinite().all() and image.grad.abs().max() > 0
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert not any(module.training for module in network.modules())


def test_features_of_a_picture_are_the_same_in_any_batch():
    images = picture(64, 3)
    network = load_features()
    together, alone = network(images), network(images[1:2])
    assert all(torch.allclose(together[name][1:2], alone[name], atol=1e-4) for name in alone)


def test_chosen_layers_are_the_maps_of_all_and_nothing_deeper_is_computed():
    network, called = small_features(4, 4, 8, 8, 8), []
    for name, stage in network.stages.items():
        stage.register_forward_hook(lambda *_, name=name: called.append(name))
    everything = network(picture())
    called.clear()
    maps = network(picture(), ["1/4", "1/2"])
    assert list(maps) == ["1/2", "1/4"] and called == ["1/1", "1/2", "1/4"]
    assert all(torch.equal(maps[name], everything[name]) for name in maps)


def test_an_unknown_layer_names_the_nearest(vgg):
    with pytest.raises(InputError, match=r"no layer 'relu6_1': did you mean 'relu._1'\? \(all: relu1_1, relu1_2, "):
        vgg(picture(), ["relu1_1", "relu6_1"])
    with pytest.raises(InputError, match="no layer is chosen"):
        vgg.checked([])


# VGG-19


def test_vgg_layers_are_those_of_torchvision(vgg, tmp_path):
    """The same weights give the same maps at the same places as torchvision's own network."""
    theirs = vgg19().features.eval()  # random weights
    path = tmp_path / "vgg.pth"
    torch.save({f"features.{key}": value for key, value in theirs.state_dict().items()} | {
        "classifier.0.weight": torch.zeros(3, 2)  # the published file holds the classifier too
    }, path)
    ours = load_vgg19(path)
    image = picture()
    maps = ours(image, VGG19_LAYERS)
    assert list(maps) == list(VGG19_LAYERS) and len(maps) == 16
    x = (image - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    remaining = iter(maps.items())
    block, number = 1, 0
    with torch.no_grad():
        for layer in theirs:
            x = layer(x)
            number += isinstance(layer, nn.Conv2d)
            if isinstance(layer, nn.MaxPool2d):
                block, number = block + 1, 0
            if isinstance(layer, nn.ReLU):
                name, found = next(remaining)
                assert name == f"relu{block}_{number}"
                assert torch.allclose(found, x, atol=1e-4), name


def test_vgg_compares_by_the_first_layer_of_each_block(vgg):
    maps = vgg(picture())
    assert list(maps) == ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]
    assert [tuple(one.shape[1:]) for one in maps.values()] == [
        (64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4), (512, 2, 2)
    ]


def test_vgg_weights_that_are_missing_say_what_to_type(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(InputError, match=r"vgg19-dcbb9e9d.pth are not there.*575 MB.*`faceinpaint fetch vgg19`"):
        load_features("vgg19")
    path = fetch.path_of("vgg19")
    path.parent.mkdir()
    path.write_bytes(b"half")
    with pytest.raises(InputError, match="4 bytes instead of 574673361.*`faceinpaint fetch vgg19`"):
        load_features("vgg19")


@pytest.mark.parametrize("content", [b"", b"<html>", None], ids=["empty", "page", "another network"])
def test_a_file_without_vggs_weights_is_refused(tmp_path, content):
    path = tmp_path / "vgg.pth"
    if content is None:
        torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match="does not hold VGG-19's weights: delete it and get them with"):
        load_vgg19(path)


# ImageNet's features


def test_imagenets_features_are_shipped_small_and_know_where_they_come_from():
    network, entry = load_features(), weights.manifest()["imagenet"]
    assert type(network) is ImageNetFeatures
    assert network.channels == {"1/2": 16, "1/4": 24, "1/8": 32, "1/16": 96}
    assert entry["bytes"] < 1_200_000 and entry["licence"] == "BSD 3-Clause" and "torchvision" in entry["attribution"]


def test_imagenets_layers_are_those_of_torchvision():
    """The same weights give the same map at the end of the fourteenth layer as torchvision's own network."""
    torch.manual_seed(0)
    theirs = mobilenet_v2()
    theirs(picture(64, 4))  # in training mode, so that the batch norms have something to say
    ours = ImageNetFeatures()
    ours.load_published(theirs.state_dict())
    image = picture(64)
    x = (image - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    with torch.no_grad():
        assert torch.allclose(ours.eval()(image)["1/16"], theirs.eval().features[:14](x), atol=1e-4)


def test_imagenets_features_mind_blur_and_grain_and_hardly_light(astronaut):
    """What they are for: people see a blur of one pixel at once, and a little more light not at all."""
    image = to_tensor(astronaut.crop((110, 0, 366, 256)))[None]
    loss = PerceptualLoss(load_features())
    grain = 0.02 * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    blur, fine, light = (loss(one, image) for one in (gaussian_blur(image, 7, 1.0), image + grain, 1.02 * image))
    assert min(blur, fine) > 5 * light > 0
    assert loss(gaussian_blur(image, 17, 3.0), image) > 1.5 * blur


def test_an_unknown_network_names_the_nearest():
    with pytest.raises(InputError, match="no feature network 'vgg16': did you mean 'vgg19'"):
        load_features("vgg16")
