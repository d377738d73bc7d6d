"""Recognisers: alignment, one interface, frozen networks, loading, and the margins that they learn by."""

from __future__ import annotations

import math

import pytest
import skimage.data
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from faceinpaint import recognisers, weights
from faceinpaint.basics.errors import InputError
from faceinpaint.faces.align import five_points
from faceinpaint.recognisers import HEADS, ArcFaceHead, FaceNet, FaceResNet, MobileFaceNet, Recogniser
from faceinpaint.recognisers.loading import MOBILEFACENET_THRESHOLD
from faceinpaint.weights import fetch

SMALL = {"blocks": [[2, 32, 1, 2], [2, 32, 1, 2], [2, 48, 2, 2]], "embedding_size": 24, "width": 0.5}
SMALL_RESNET = {"width": 4, "embedding_size": 24}
TEMPLATE = torch.tensor(recognisers.TEMPLATE)


def small_network(kind: type[torch.nn.Module] = MobileFaceNet) -> torch.nn.Module:
    """A small network whose batch norms have seen images, so that its embeddings spread out."""
    torch.manual_seed(0)
    network = kind(**(SMALL if kind is MobileFaceNet else SMALL_RESNET))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.momentum = None  # plain average over the batches
    for _ in range(20):
        network(smooth_images(16, 112)[..., :96] * 2 - 1)
    return network


def smooth_images(count: int, size: int) -> torch.Tensor:
    """Random blobs in [0, 1] without fine detail: (count, 3, size, size)."""
    noise = torch.rand(count, 3, 6, 6)
    return F.interpolate(noise, size=(size, size), mode="bicubic", align_corners=False).clamp(0, 1)


def face_landmarks(count: int, size: int, spread: float = 0.02) -> torch.Tensor:
    """68 landmarks whose five points are nearly the template's, in the middle of an image of `size`."""
    landmarks = TEMPLATE.mean(0) + torch.randn(count, 68, 2) * 8
    groups = {0: range(36, 42), 1: range(42, 48), 2: [30], 3: [48], 4: [54]}
    for point, members in groups.items():
        landmarks[:, list(members)] = TEMPLATE[point]
    landmarks = (landmarks - TEMPLATE.mean(0)) * (size / 180) + (size - 1) / 2
    return landmarks + torch.randn_like(landmarks) * spread * size / 10


def random_similarity(count: int, largest: float = 2.0) -> torch.Tensor:
    """(count, 2, 3) matrices: any angle, scales from a half to `largest`, shifts of up to 40 pixels."""
    angle, scale = torch.rand(count) * 2 * math.pi, 0.5 + torch.rand(count) * (largest - 0.5)
    cos, sin, shift = scale * angle.cos(), scale * angle.sin(), torch.rand(count, 2) * 80 - 40
    return torch.stack([cos, -sin, shift[:, 0], sin, cos, shift[:, 1]], 1).view(-1, 2, 3)


def moved(points: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    return points @ matrix[:, :, :2].mT + matrix[:, None, :, 2]


@pytest.fixture(scope="module", params=[MobileFaceNet, FaceResNet], ids=lambda kind: kind.__name__)
def recogniser(request) -> Recogniser:
    return Recogniser("small", small_network(request.param), 0.4)


# alignment


def test_similarity_recovers_what_moved_the_points():
    torch.manual_seed(0)
    truth, points = random_similarity(50), torch.randn(50, 5, 2) * 30
    found = recognisers.similarity(points, moved(points, truth))
    assert torch.allclose(found, truth, atol=1e-3)


def test_similarity_is_the_least_squares_one():
    torch.manual_seed(1)
    source, target = torch.randn(4, 5, 2, dtype=torch.float64), torch.randn(4, 5, 2, dtype=torch.float64)
    # the same fit as a linear system in (cos, sin, x, y), solved by another method
    zero, one = torch.zeros_like(source[..., 0]), torch.ones_like(source[..., 0])
    x, y = source.unbind(2)
    system = torch.cat([torch.stack([x, -y, one, zero], 2), torch.stack([y, x, zero, one], 2)], 1)
    wanted = torch.cat([target[..., 0], target[..., 1]], 1)[..., None]
    cos, sin, shift_x, shift_y = torch.linalg.lstsq(system, wanted).solution[..., 0].unbind(1)
    expected = torch.stack([cos, -sin, shift_x, sin, cos, shift_y], 1).view(-1, 2, 3)
    assert torch.allclose(recognisers.similarity(source, target), expected)


def coordinate_image(height: int, width: int) -> torch.Tensor:
    """An image that says where it is: red is x, green is y, both in pixels."""
    y, x = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
    return torch.stack([x, y, torch.zeros_like(x)])[None]


@pytest.mark.parametrize("size", [(100, 120), (256, 256), (500, 300)])
def test_the_five_points_land_on_the_template(size):
    torch.manual_seed(2)
    height, width = size
    centre = torch.tensor([width / 2, height / 2])
    for angle in (-60.0, 0.0, 25.0, 170.0):
        turn = math.radians(angle)
        scale = 0.006 * min(size)
        rotation = scale * torch.tensor([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
        points = (TEMPLATE - TEMPLATE.mean(0)) @ rotation.T + centre + torch.rand(2) * 6 - 3
        aligned = recognisers.align_points(coordinate_image(height, width), points[None])
        # read the coordinates that lie under the template's points: they must be the five points
        grid = (2 * TEMPLATE[None, None] + 1) / torch.tensor([96, 112]) - 1
        read = F.grid_sample(aligned, grid, align_corners=False)[0, :2, 0].T
        assert torch.allclose(read, points, atol=2e-3 * max(size) / 100)


def test_align_takes_the_five_points_of_the_68():
    torch.manual_seed(3)
    images, landmarks = smooth_images(3, 128), face_landmarks(3, 128)
    expected = recognisers.align_points(images, five_points(landmarks))
    assert torch.equal(recognisers.align(images, landmarks), expected)
    assert expected.shape == (3, 3, 112, 96)


def test_alignment_of_an_aligned_image_changes_nothing():
    image = smooth_images(1, 112)[..., :96]
    assert torch.allclose(recognisers.align_points(image, TEMPLATE[None]), image, atol=1e-4)


def test_a_face_is_aligned_alike_in_any_batch():
    torch.manual_seed(4)
    images, landmarks = smooth_images(5, 200), face_landmarks(5, 200)
    together = recognisers.align(images, landmarks)
    alone = recognisers.align(images[3:4], landmarks[3:4])
    assert torch.allclose(together[3:4], alone, atol=1e-6)


def test_shrinking_does_not_alias():
    y, x = torch.meshgrid(torch.arange(512), torch.arange(512), indexing="ij")
    checks = ((x + y) % 2).float().expand(1, 3, -1, -1)  # finer than the aligned face can show
    aligned = recognisers.align_points(checks, (TEMPLATE[None] - 48) * 4 + 256)
    assert (aligned - 0.5).abs().max() < 0.15


def test_autocast_does_not_move_the_pixels():
    torch.manual_seed(5)
    images, landmarks = smooth_images(2, 256), face_landmarks(2, 256)
    crop, aligned = recognisers.crop_face(images, landmarks), recognisers.align(images, landmarks)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.allclose(recognisers.align(images, landmarks), aligned, atol=1e-6)
        assert torch.allclose(recognisers.crop_face(images, landmarks), crop, atol=1e-6)


@pytest.mark.parametrize("aligner", [recognisers.align, recognisers.crop_face])
def test_unknown_or_degenerate_landmarks_are_refused(aligner):
    images, landmarks = smooth_images(2, 64), face_landmarks(2, 64)
    unknown, together = landmarks.clone(), landmarks.clone()
    unknown[1] = math.nan
    together[1] = 20.0
    for bad in (unknown, together):
        with pytest.raises(InputError, match="landmarks"):
            aligner(images, bad)


def test_crop_face_is_the_landmarks_box_with_forehead_and_margin():
    landmarks = face_landmarks(1, 200)
    (left, top), (right, bottom) = landmarks[0].amin(0), landmarks[0].amax(0)
    top = top - 0.36 * (bottom - top)
    crop = recognisers.crop_face(coordinate_image(200, 200), landmarks)[0]
    assert crop.shape == (3, 160, 160)
    # the margin is 7 of the 160 pixels on either side: the box's edges lie at 6.5 and 152.5
    x, y = crop[0].mean(0), crop[1].mean(1)
    found = torch.stack([x[6:8].mean(), y[6:8].mean(), x[152:154].mean(), y[152:154].mean()])
    assert torch.allclose(found, torch.stack([left, top, right, bottom]), atol=0.05)


# the interface


def test_embeddings_are_unit_vectors(recogniser):
    torch.manual_seed(6)
    embeddings = recogniser.embed(smooth_images(4, 128), face_landmarks(4, 128))
    assert embeddings.shape == (4, 48)  # face and mirror image, 24 each
    assert torch.allclose(embeddings.norm(dim=1), torch.ones(4), atol=1e-5)


def test_distance_is_one_minus_cosine():
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]])
    assert torch.allclose(Recogniser.distance(a, b), torch.tensor([0.0, 1.0, 2.0]), atol=1e-6)


def test_a_turned_and_scaled_face_is_the_same_face():
    recogniser = Recogniser("small", small_network(), 0.4)
    torch.manual_seed(7)
    photo = torch.from_numpy(skimage.data.astronaut()).permute(2, 0, 1)[None] / 255
    smoothed = F.interpolate(F.avg_pool2d(photo, 8), size=(256, 256), mode="bicubic", align_corners=False)
    images = torch.cat([smoothed, smooth_images(3, 256)])
    landmarks = face_landmarks(4, 256)
    for matrix in random_similarity(6, largest=1.2):  # the face stays inside the picture
        matrix[:, 2] = 127.5 - matrix[:, :2] @ torch.tensor([127.5, 127.5])  # about the middle
        back = torch.cat([torch.linalg.inv(matrix[:, :2]), torch.zeros(2, 1)], 1)
        back[:, 2] = -back[:, :2] @ matrix[:, 2]
        turned = recognisers.warp(images, back.expand(4, -1, -1), (256, 256))
        matrices = matrix.expand(4, -1, -1)
        distance = Recogniser.distance(
            recogniser.embed(images, landmarks), recogniser.embed(turned, moved(landmarks, matrices))
        )
        assert distance.max() < 0.02  # halved, the photo has lost some detail
    embeddings = recogniser.embed(images, landmarks)  # other pictures are far away
    assert Recogniser.distance(embeddings, embeddings.roll(1, 0)).min() > 0.3


def test_mirror_images_have_exchanged_halves(recogniser):
    torch.manual_seed(8)
    aligned = smooth_images(2, 112)[..., :96]
    face, mirrored = recogniser.embed_aligned(aligned).chunk(2, 1)
    swapped = recogniser.embed_aligned(aligned.flip(3))
    assert torch.allclose(torch.cat([mirrored, face], 1), swapped, atol=1e-5)


def test_the_gradient_reaches_the_image_and_no_parameter(recogniser):
    torch.manual_seed(9)
    images = smooth_images(2, 128).requires_grad_()
    landmarks = face_landmarks(2, 128)
    target = recogniser.embed(smooth_images(2, 128), landmarks)
    Recogniser.distance(recogniser.embed(images, landmarks), target).sum().backward()
    assert images.grad.isfinite().all()
    assert (images.grad.flatten(1).norm(dim=1) > 0).all()
    assert all(not p.requires_grad and p.grad is None for p in recogniser.parameters())


def test_a_step_along_the_gradient_brings_the_faces_together(recogniser):
    torch.manual_seed(10)
    images, landmarks = smooth_images(2, 128).requires_grad_(), face_landmarks(2, 128)
    target = recogniser.embed(smooth_images(2, 128), landmarks)
    before = Recogniser.distance(recogniser.embed(images, landmarks), target)
    before.sum().backward()
    step = 0.5 * images.grad / images.grad.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
    after = Recogniser.distance(recogniser.embed(images.detach() - step, landmarks), target)
    assert (after < before).all()


def test_training_never_switches_it(recogniser):
    model = torch.nn.ModuleDict({"recogniser": recogniser}).train()
    assert model.training
    assert not any(module.training for module in recogniser.modules())
    before = {key: value.clone() for key, value in recogniser.state_dict().items()}
    recogniser.embed(smooth_images(3, 64), face_landmarks(3, 64))
    assert all(torch.equal(value, before[key]) for key, value in recogniser.state_dict().items())


# the networks


def test_the_papers_network():
    network = MobileFaceNet().eval()
    assert sum(p.numel() for p in network.parameters()) == 999_552
    keys = {key for key in network.state_dict() if not key.startswith("blocks")}
    assert {"conv1.conv.weight", "dw_conv1.prelu.weight", "conv2.bn.running_mean"} <= keys
    assert network.state_dict()["linear7.conv.weight"].shape == (512, 1, 7, 6)
    assert network.state_dict()["blocks.14.conv.6.weight"].shape == (128, 256, 1, 1)
    assert not any(key.startswith(("linear7.prelu", "linear1.prelu")) for key in keys)
    assert network(torch.zeros(2, 3, 112, 96)).shape == (2, 128)


def test_blocks_add_their_input_where_shapes_allow():
    network = MobileFaceNet().eval()
    for block in network.blocks:
        torch.nn.init.zeros_(block.conv[-1].weight)
    x = torch.rand(1, 64, 8, 8)
    assert torch.equal(network.blocks[1](x), x)
    assert network.blocks[0](x).abs().max() == 0  # stride 2
    assert [i for i, block in enumerate(network.blocks) if not block.residual] == [0, 5, 12]


def test_all_but_the_last_two_convolutions_are_activated():
    network = MobileFaceNet().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.PReLU):
            torch.nn.init.zeros_(module.weight)  # a plain ReLU
    x = network.dw_conv1(network.conv1(torch.randn(1, 3, 112, 96)))
    assert network.conv1(torch.randn(1, 3, 112, 96)).min() == 0 and x.min() == 0
    assert network.conv2(network.blocks(x)).min() == 0
    assert network.linear7(torch.randn(1, 512, 7, 6)).min() < 0
    assert network(torch.randn(1, 3, 112, 96)).min() < 0
    torch.nn.init.constant_(network.conv1.bn.bias, -1e3)  # the norm comes before the activation
    assert network.conv1(torch.randn(1, 3, 112, 96)).max() == 0


def test_the_residual_network_halves_four_times_and_keeps_its_positions():
    network = FaceResNet(**SMALL_RESNET).eval()
    x = torch.rand(2, 3, 112, 96)
    assert [len(network.layers[:end](x)[0]) for end in (1, 5, 7, 9, 11)] == [4, 4, 8, 16, 32]
    assert network.layers(x).shape[2:] == (7, 6)
    assert network.linear.weight.shape == (24, 64 * 7 * 6)  # no mean over the face
    assert network(x).shape == (2, 24)
    assert network.train()(torch.rand(16, 3, 112, 96)).mean(0).abs().max() < 1e-5  # the last norm is the embedding's
    with pytest.raises(RuntimeError):
        network(torch.rand(1, 3, 128, 128))  # it wants an aligned face


def test_residual_blocks_add_their_input_and_are_activated_last():
    block = FaceResNet(**SMALL_RESNET).eval().layers[4]  # neither its size nor its channels change
    torch.nn.init.zeros_(block.convolutions[-1].weight)
    x = torch.randn(1, 4, 8, 8)
    assert torch.equal(block(x), x.relu())
    torch.nn.init.constant_(block.convolutions[-1].bias, -1e3)
    assert block(x).max() == 0


# files


def test_published_weights_come_without_settings(tmp_path):
    network = MobileFaceNet().eval()
    save_file(network.state_dict(), tmp_path / "published.safetensors")
    recogniser = recognisers.load_recogniser(str(tmp_path / "published.safetensors"))
    assert recogniser.name == "published"
    assert recogniser.threshold == MOBILEFACENET_THRESHOLD
    image = torch.rand(1, 3, 112, 96)
    assert torch.equal(recogniser.network(image), network(image))


@pytest.mark.parametrize("kind, settings", [(MobileFaceNet, SMALL), (FaceResNet, SMALL_RESNET)])
def test_our_weights_bring_their_architecture_and_threshold(tmp_path, kind, settings):
    path, network = tmp_path / "small.safetensors", small_network(kind).eval()
    weights.save(network, settings | {"threshold": 0.37}, path)
    loaded = recognisers.load_network(path)
    assert type(loaded) is kind and loaded.threshold == 0.37
    assert not loaded.training and not any(p.requires_grad for p in loaded.parameters())
    recogniser = recognisers.load_recogniser(path)
    assert (recogniser.name, recogniser.threshold) == ("small", 0.37)
    aligned = smooth_images(2, 112)[..., :96]
    expected = Recogniser("small", network, 0.37).embed_aligned(aligned)
    assert Recogniser.distance(recogniser.embed_aligned(aligned), expected).max() < 1e-3  # half precision


def test_the_two_of_the_package_are_found_by_their_names_and_the_judge_is_the_default(tmp_path, monkeypatch):
    loss, judge = tmp_path / "loss.safetensors", tmp_path / "judge.safetensors"
    weights.save(small_network(), SMALL | {"threshold": 0.37}, loss)
    weights.save(small_network(FaceResNet), SMALL_RESNET | {"threshold": 0.41}, judge)
    monkeypatch.setattr(weights, "path_of", {"dlib": loss, "embedded-judge": judge}.__getitem__)
    by_loss, by_judge = recognisers.load_recogniser("dlib"), recognisers.load_recogniser()
    assert (by_loss.name, by_loss.threshold, type(by_loss.network)) == ("dlib", 0.37, MobileFaceNet)
    assert (by_judge.name, by_judge.threshold, type(by_judge.network)) == ("embedded-judge", 0.41, FaceResNet)


def test_unfit_files_are_refused_in_a_sentence(tmp_path):
    other, small, broken = (tmp_path / f"{name}.safetensors" for name in ("other", "small", "broken"))
    save_file({"fc.weight": torch.zeros(2, 2)}, other)
    save_file(MobileFaceNet(**SMALL).state_dict(), small)  # without its settings
    broken.write_bytes(other.read_bytes()[:-3])
    for path, sentence in ((other, "another network"), (small, "another network"), (broken, "not a whole")):
        with pytest.raises(InputError, match=sentence):
            recognisers.load_recogniser(path)
    with pytest.raises(InputError, match="there is no recogniser file"):
        recognisers.load_recogniser(tmp_path / "missing.safetensors")


def test_our_file_of_another_class_or_shape_is_refused(tmp_path):
    path = tmp_path / "head.safetensors"
    weights.save(ArcFaceHead(4, 3), {"embedding_size": 4, "people": 3}, path)
    with pytest.raises(InputError, match="ArcFaceHead"):
        recognisers.load_network(path)
    for kind, settings in ((MobileFaceNet, SMALL), (FaceResNet, SMALL_RESNET)):
        weights.save(kind(**settings), settings | {"width": 1}, path)
        with pytest.raises(InputError, match=f"does not fit this version's {kind.__name__}"):
            recognisers.load_network(path)


def test_an_unknown_name_gets_the_nearest_and_all():
    for name, nearest in (("face-net", "facenet"), ("embeded-jugde", "embedded-judge"), ("embedded", "embedded-judge")):
        with pytest.raises(InputError, match=f"did you mean '{nearest}'.*dlib, embedded-judge, facenet, arcface, FILE"):
            recognisers.load_recogniser(name)


# FaceNet


def test_facenet_has_the_same_interface(tmp_path, monkeypatch):
    from facenet_pytorch import InceptionResnetV1

    torch.manual_seed(11)
    network = InceptionResnetV1(pretrained=None).eval()
    # the published file also holds the classifier that it was trained with
    state = network.state_dict() | {"logits.weight": torch.zeros(7, 512), "logits.bias": torch.zeros(7)}
    (tmp_path / "checkpoints").mkdir()
    torch.save(state, tmp_path / "checkpoints" / fetch.published("facenet").file)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))

    facenet = recognisers.load_recogniser("facenet")  # found where facenet-pytorch keeps it
    pixels = torch.rand(1, 3, 160, 160)
    assert torch.equal(facenet.network(pixels), network(pixels))
    assert isinstance(facenet, FaceNet) and facenet.name == "facenet"
    casia = (tmp_path / "checkpoints" / fetch.published("facenet").file).rename(tmp_path / "casia-webface.pt")
    given = recognisers.load_recogniser(casia)
    assert isinstance(given, FaceNet) and given.name == "casia-webface"
    facenet.train()
    assert not any(module.training for module in facenet.modules())
    images = smooth_images(2, 128).requires_grad_()
    embeddings = facenet.embed(images, face_landmarks(2, 128))
    assert embeddings.shape == (2, 512)
    assert torch.allclose(embeddings.norm(dim=1), torch.ones(2), atol=1e-5)
    embeddings[:, 0].sum().backward()
    assert images.grad.isfinite().all() and images.grad.abs().max() > 0
    assert not any(p.requires_grad for p in facenet.parameters())


def test_missing_or_unfit_facenet_weights_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    with pytest.raises(InputError, match="vggface2.pt are not there.* `faceinpaint fetch facenet`"):
        recognisers.load_recogniser("facenet")
    path = tmp_path / "other.pt"
    torch.save(MobileFaceNet(**SMALL).state_dict(), path)
    with pytest.raises(InputError, match="`faceinpaint fetch facenet`"):
        recognisers.load_facenet(path)
    path.write_bytes(b"<html>Not Found</html>")
    with pytest.raises(InputError, match="`faceinpaint fetch facenet`"):
        recognisers.load_facenet(path)


def test_facenet_sees_160_pixels_standardised_as_it_was_trained(monkeypatch):
    seen = []

    class Spy(torch.nn.Module):
        def forward(self, x):
            seen.append(x)
            return x.mean((2, 3))

    facenet = FaceNet("spy", Spy(), 0.5)
    facenet.embed(torch.ones(1, 3, 128, 128), face_landmarks(1, 128))
    assert seen[0].shape == (1, 3, 160, 160)
    assert torch.allclose(seen[0], torch.tensor((255 - 127.5) / 128))  # (x - 127.5) / 128 of 8-bit values
    facenet.embed(torch.zeros(1, 3, 128, 128), face_landmarks(1, 128))
    assert torch.allclose(seen[1], torch.tensor(-127.5 / 128))


# margins


def head(kind: str, margin: float) -> torch.nn.Module:
    torch.manual_seed(12)
    return HEADS[kind](16, 10, scale=30.0, margin=margin)


@pytest.mark.parametrize("kind", HEADS)
def test_without_margin_it_is_softmax_of_scaled_cosines(kind):
    plain, embeddings, identity = head(kind, 0.0), torch.randn(8, 16) * 5, torch.arange(8)
    cosine = F.cosine_similarity(embeddings[:, None], plain.weight[None], dim=2)
    assert torch.allclose(plain(embeddings, identity), 30 * cosine, atol=1e-4)


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("margin", [0.1, 0.5])
def test_the_margin_lowers_the_logit_of_the_own_person_alone(kind, margin):
    plain, strict = head(kind, 0.0), head(kind, margin)
    embeddings, identity = torch.randn(400, 16), torch.randint(10, (400,))
    own = F.one_hot(identity, 10).bool()
    without, with_margin = plain(embeddings, identity), strict(embeddings, identity)
    assert torch.equal(without[~own], with_margin[~own])
    assert (with_margin[own] < without[own]).all()
    if kind == "cosface":  # by the same amount wherever the embedding lies
        assert torch.allclose(without[own] - with_margin[own], torch.tensor(30 * margin), atol=1e-4)
    else:  # by as much as the angle is enlarged
        enlarged = (without[own] / 30).acos() + margin
        assert enlarged.max() < math.pi
        assert torch.allclose((with_margin[own] / 30).acos(), enlarged, atol=1e-3)


@pytest.mark.parametrize("kind", HEADS)
def test_the_target_logit_falls_with_the_angle_all_the_way(kind):
    angle = torch.linspace(0, math.pi, 200)
    embeddings = torch.stack([angle.cos(), angle.sin()], 1)
    strict = HEADS[kind](2, 2)
    strict.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    logits = strict(embeddings, torch.zeros(200, dtype=torch.int64))[:, 0]
    assert (logits.diff() < 1e-4).all()
    assert (logits < 64 * angle.cos()).all()


@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_gradient_is_finite_on_and_opposite_the_own_direction(kind, sign):
    strict = head(kind, 0.5)
    strict.weight.data = torch.eye(10, 16)  # cosines of exactly one, where the arc cosine has no derivative
    embeddings = (sign * strict.weight.detach()).requires_grad_()
    F.cross_entropy(strict(embeddings, torch.arange(10)), torch.arange(10)).backward()
    assert embeddings.grad.isfinite().all() and strict.weight.grad.isfinite().all()


@pytest.mark.parametrize("kind", HEADS)
def test_a_few_steps_with_it_tell_people_apart(kind):
    torch.manual_seed(13)
    network, strict = torch.nn.Linear(12, 16), head(kind, 0.3)
    centres = torch.randn(10, 12)
    optimiser = torch.optim.Adam([*network.parameters(), *strict.parameters()], lr=0.02)
    for _ in range(150):
        identity = torch.randint(10, (64,))
        optimiser.zero_grad()
        logits = strict(network(centres[identity] + 0.3 * torch.randn(64, 12)), identity)
        F.cross_entropy(logits, identity).backward()
        optimiser.step()
    gallery, probe = network(centres), network(centres + 0.3 * torch.randn(10, 12))
    distances = Recogniser.distance(probe[:, None], gallery[None])
    assert (distances.argmin(1) == torch.arange(10)).all()
