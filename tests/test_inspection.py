"""What is inside a network: shapes, costs, fields and attention are what they should be by hand."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from conftest import canonical_face
from torch import Tensor, nn

from faceinpaint.basics.errors import InputError
from faceinpaint.benchmark.plain import ExplicitAttention
from faceinpaint.course import inspection
from faceinpaint.discriminator import Discriminator
from faceinpaint.generator import DilatedResidual, Generator, LongShortTermAttention

SIZE = 64


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def generator(prior: bool = True) -> Generator:
    """A small one whose zero layers are filled, as if it had learnt something."""
    torch.manual_seed(0)
    network = Generator(width=8, prior=prior).eval()
    for parameter in network.parameters():
        if parameter.abs().max() == 0:
            nn.init.normal_(parameter, std=0.2)
    return network


@dataclass
class Scene:
    """A picture of noise whose left half is hidden."""

    image: Tensor
    mask: Tensor
    landmarks: Tensor

    def __iter__(self):
        return iter((self.image, self.mask, self.landmarks))


def scene(count: int = 1, size: int = SIZE) -> Scene:
    mask = torch.zeros(count, 1, size, size)
    mask[..., : size // 2] = 1
    image = torch.rand(count, 3, size, size, generator=seeded())
    return Scene(image, mask, canonical_face(size).expand(count, -1, -1))


# ------------------------------------------------------------------------------------ shapes and costs


@pytest.mark.parametrize("prior", [True, False])
def test_stages_of_a_generator_make_up_the_whole(prior: bool) -> None:
    network = generator(prior)
    stages = inspection.stages(network, *scene())
    names = ["down1", "down2", "down3", "residual", "style", "attention", "up3", "up2", "up1", "paint"]
    assert [stage.name for stage in stages] == ["inputs", *names]
    assert sum(stage.parameters for stage in stages) == sum(p.numel() for p in network.parameters())
    assert sum(stage.flops for stage in stages) == inspection.count_flops(network, *scene())[""]
    shapes = {stage.name: stage.shape for stage in stages}
    assert shapes["inputs"] == (9 if prior else 5, 64, 64) and shapes["paint"] == (4 if prior else 3, 64, 64)
    assert shapes["down1"] == (8, 32, 32) and shapes["residual"] == shapes["attention"] == (32, 8, 8)
    assert shapes["style"] == (2 * (16 + 8 + 4), 1, 1)  # stretch and shift of each of the decoder's channels
    assert all(stage.flops > 0 for stage in stages[1:])
    landmark_map = 2 * 68 * 64 * 64
    assert stages[0].flops == landmark_map if not prior else stages[0].flops > 2 * landmark_map  # warps are fitted, too


def test_operations_grow_with_the_pixels_and_parameters_do_not() -> None:
    network = generator(prior=False)
    small, large = inspection.stages(network, *scene()), inspection.stages(network, *scene(size=128))
    for before, after in zip(small, large):
        assert after.parameters == before.parameters
        if before.name == "attention":
            assert after.flops > 4 * before.flops  # the product of all positions with all
        elif before.name == "style":
            assert after.flops == before.flops  # of one mean
        else:
            assert 3 * before.flops < after.flops <= 4 * before.flops  # not all of what is padded grows


@pytest.mark.parametrize("channels_in, channels_out, kernel, stride, dilation, groups, count", [
    (3, 8, 3, 1, 1, 1, 1), (4, 6, 4, 2, 1, 1, 2), (6, 6, 3, 1, 2, 1, 1), (6, 12, 1, 1, 1, 1, 3), (8, 8, 3, 1, 1, 8, 1),
])
def test_operations_of_a_convolution(channels_in, channels_out, kernel, stride, dilation, groups, count) -> None:
    layer = nn.Conv2d(channels_in, channels_out, kernel, stride, padding=1, dilation=dilation, groups=groups)
    x = torch.rand(count, channels_in, 20, 14)
    height, width = layer(x).shape[-2:]
    by_hand = 2 * count * height * width * channels_out * kernel**2 * channels_in // groups
    assert inspection.count_flops(layer, x)[""] == by_hand


def test_operations_of_attention() -> None:
    block, positions, channels = LongShortTermAttention(16, heads=4), 6 * 5, 16
    x, known = torch.rand(2, channels, 6, 5), torch.ones(2, 1, 6, 5)
    projections = 2 * positions * channels * channels * (1 + 2 + 2 + 2)  # query, twice key and value, merge of both
    products = 2 * 2 * 2 * positions * positions * channels  # twice: q k and w v
    assert inspection.count_flops(block, x, x, known)[""] == 2 * (projections + products)
    explicit = ExplicitAttention(16, heads=4)
    assert inspection.count_flops(explicit, x, x, known)[""] == 2 * (projections + products)


def test_the_largest_tensor_of_attention_is_what_the_formula_says() -> None:
    for positions_on_a_side in (8, 16, 24):
        positions, channels, heads = positions_on_a_side**2, 8, 2
        x = torch.rand(1, channels, positions_on_a_side, positions_on_a_side)
        written, alone = inspection.attention_bytes(positions, channels, heads)
        inputs = x, x, torch.ones_like(x[:, :1])
        explicit = inspection.largest_tensor(ExplicitAttention(channels, heads), *inputs)
        assert explicit == written - alone == 4 * heads * positions**2
        fused = inspection.largest_tensor(LongShortTermAttention(channels, heads), *inputs)
        assert fused == alone // 2  # keys and values, in one tensor


def test_recording_leaves_no_hooks_and_keeps_order() -> None:
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last, self.first = nn.Linear(3, 2), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.first(x))

    network = Backwards()
    calls = inspection.record(network, torch.rand(5, 4))
    assert list(calls) == ["first", "last"]
    assert torch.equal(calls["last"].inputs[0], calls["first"].output) and calls["last"].output.shape == (5, 2)
    with pytest.raises(RuntimeError):
        inspection.record(network, torch.rand(5, 7))
    assert not any(part._forward_hooks for part in network.children())


# ------------------------------------------------------------------------------------ what an output sees


def positive(*layers: tuple[int, int, int]) -> nn.Sequential:
    """Convolutions (kernel, stride, dilation) with positive weights, so that no two ways cancel out."""
    chain = nn.Sequential(*[nn.Conv2d(1, 1, k, s, dilation=d, bias=False) for k, s, d in layers])
    for layer in chain:
        nn.init.uniform_(layer.weight, 0.5, 1)
    return chain


def extent(gradient: Tensor) -> tuple[int, int]:
    """Rows and columns from the first to the last that are not zero."""
    sides = []
    for axis in (0, 1):
        reached = gradient.sum(axis).nonzero()[:, 0]
        sides.append(int(reached[-1] - reached[0]) + 1)
    return tuple(sides)


@pytest.mark.parametrize("layers", [
    [(3, 1, 1)], [(3, 1, 1), (3, 1, 1)], [(3, 1, 2), (3, 1, 1)], [(4, 2, 1), (4, 2, 1), (4, 1, 1)],
    [(6, 2, 1), (3, 1, 2), (5, 1, 1)], [(1, 1, 1)], [(3, 3, 1), (3, 1, 3)],
])
def test_the_formula_is_the_extent_of_the_gradient(layers) -> None:
    network = positive(*layers)
    x = torch.rand(1, 1, 60, 60, requires_grad=True)
    y = network(x)
    middle = y.shape[-1] // 2
    one, next_one = (torch.autograd.grad(y[0, 0, middle, column], x, retain_graph=True)[0][0, 0].abs()
                     for column in (middle, middle + 1))
    size, stride = inspection.receptive_field(network)
    assert extent(one) == (size, size)
    first = [int(gradient.sum(0).nonzero()[0]) for gradient in (one, next_one)]
    assert first[1] - first[0] == stride


def test_fields_of_the_networks_of_the_course() -> None:
    assert inspection.receptive_field(inspection.convolutions(Discriminator(4))) == (70, 8)
    blocks = nn.Sequential(*[DilatedResidual(4, 2) for _ in range(7)])
    assert inspection.receptive_field(inspection.convolutions(blocks)) == (43, 1)


@pytest.mark.parametrize("dilation", [1, 2])
def test_the_gradient_of_residual_blocks_stays_within_the_formula(dilation: int) -> None:
    side = inspection.receptive_field(inspection.convolutions(DilatedResidual(4, dilation))).size
    gradient = inspection.centre_gradient(lambda: DilatedResidual(4, dilation), 4, 21, draws=2)
    assert gradient.shape == (21, 21) and gradient.sum() == pytest.approx(1, abs=1e-5)
    assert extent(gradient) == (side, side) == (2 * dilation + 3,) * 2
    assert gradient.argmax() == 10 * 21 + 10  # what is added passes unchanged


def test_gradients_follow_from_the_seed_alone() -> None:
    before = torch.random.get_rng_state()
    ones = [inspection.centre_gradient(lambda: nn.Conv2d(2, 2, 3, padding=1), 2, 9, 2, seed) for seed in (5, 5, 6)]
    assert torch.equal(ones[0], ones[1]) and not torch.equal(ones[0], ones[2])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_square_that_holds_a_share() -> None:
    gradient = torch.zeros(11, 11)
    gradient[5, 5], gradient[3, 5], gradient[5, 9] = 0.5, 0.3, 0.2
    assert [inspection.side_holding(gradient, share) for share in (0.5, 0.79, 0.95)] == [1, 5, 9]
    assert inspection.side_holding(torch.ones(8, 8), 1.0) == 8


@pytest.mark.parametrize("prior", [True, False])
def test_a_painted_pixel_depends_on_known_pixels_only(prior: bool) -> None:
    image, mask, landmarks = scene()
    gradient = inspection.pixel_gradient(generator(prior), image, mask, landmarks, (12, 30))
    assert gradient.shape == (SIZE, SIZE) and gradient.sum() == pytest.approx(1, abs=1e-4)
    assert (gradient[mask[0, 0] > 0] == 0).all() and (gradient[mask[0, 0] == 0] > 0).any()
    assert not image.requires_grad


def test_the_prior_looks_at_the_other_side_of_the_face() -> None:
    torch.manual_seed(0)
    network = Generator(width=8).eval()  # untrained: it believes the prior
    gradient = inspection.pixel_gradient(network, *scene(), (20, 30))
    row, column = divmod(int(gradient.argmax()), SIZE)
    assert abs(column - (SIZE - 1 - 20)) <= 2 and abs(row - 30) <= 2


# ------------------------------------------------------------------------------------ inside the generator

PLACES = [(3, 5), (20, 40), (60, 63)]


def test_attention_maps_sum_to_1_and_are_0_where_nothing_is_known() -> None:
    maps = inspection.attention_maps(generator(), *scene(), PLACES)
    assert maps.long.shape == maps.short.shape == (3, 4, 8, 8) and maps.known.shape == (8, 8)
    for weights in (maps.long, maps.short):
        assert torch.allclose(weights.sum((-2, -1)), torch.ones(3, 4), atol=1e-5) and (weights >= 0).all()
    assert torch.equal(maps.known, torch.cat([torch.zeros(8, 4), torch.ones(8, 4)], dim=1))
    assert (maps.long[..., :4] == 0).all() and (maps.long[..., 4:] > 0).all() and (maps.short > 0).all()
    assert not torch.allclose(maps.long[0], maps.long[1], atol=1e-4)


def test_attention_maps_are_the_weights_that_the_block_uses() -> None:
    network = generator()
    maps = inspection.attention_maps(network, *scene(), PLACES)
    (x, encoded, known), output = inspection.record(network, *scene())["attention"]
    block = network.attention
    read = []
    for weights, source, layer in ((maps.long, encoded, block.long_key_value), (maps.short, x, block.short_key_value)):
        value = block.tokens(layer(source).chunk(2, dim=1)[1])[0]  # heads, positions, depth
        read.append(torch.einsum("nhp,hpd->nhd", weights.flatten(2), value).flatten(1))
    for number, (column, row) in enumerate(PLACES):
        both = torch.cat([read[1][number], read[0][number]])[None, :, None, None]
        merged = x[0, :, row // 8, column // 8] + block.merge(both)[0, :, 0, 0]
        assert torch.allclose(merged, output[0, :, row // 8, column // 8], atol=1e-4)


@pytest.mark.parametrize("place", [(-1, 5), (64, 5), (5, 64)])
def test_places_outside_of_the_picture_are_refused(place) -> None:
    sentence = f"x = {place[0]}, y = {place[1]} is not in a picture of 64 x 64 pixels: choose a place inside"
    for ask in (
        lambda: inspection.attention_maps(generator(), *scene(), [place]),
        lambda: inspection.pixel_gradient(generator(), *scene(), place),
    ):
        with pytest.raises(InputError, match=sentence):
            ask()


def test_maps_of_a_batch_are_refused() -> None:
    with pytest.raises(InputError, match=r"these are 2 pictures: take one .* with image\[:1\]"):
        inspection.attention_maps(generator(), *scene(2), PLACES)


@pytest.mark.parametrize("count", [1, 5, 16])
def test_as_many_effective_positions_as_have_the_same_weight(count: int) -> None:
    weights = torch.zeros(16)
    weights[torch.randperm(16, generator=seeded())[:count]] = 1 / count
    assert inspection.effective_positions(weights.view(4, 4)).item() == pytest.approx(count, rel=1e-5)
    uneven = torch.tensor([0.7, 0.1, 0.1, 0.1]).view(2, 2)
    assert 1 < inspection.effective_positions(torch.stack([uneven, uneven]))[1] < 4


def test_a_painting_is_its_parts() -> None:
    network, given = generator(), scene(2)
    with torch.no_grad():
        whole = network(*given)
    parts = inspection.painting(network, *given)
    assert torch.allclose(parts.painted, whole, atol=1e-5)
    assert torch.allclose((parts.prior * parts.gate + parts.residual).clamp(0, 1), whole, atol=1e-5)
    assert parts.gate.shape == (2, 1, SIZE, SIZE) and parts.residual.shape == whole.shape
    assert 0 <= parts.gate.min() < parts.gate.max() <= 1 and parts.residual.abs().max() > 0.01
    known = (given.mask == 0).expand_as(given.image)
    assert torch.equal(parts.prior[known], given.image[known]) and set(parts.mirrored.unique().tolist()) == {0, 1}


def test_an_untrained_painting_is_its_prior() -> None:
    parts = inspection.painting(Generator(width=8).eval(), *scene())
    assert (parts.residual == 0).all() and parts.gate.min() == parts.gate.max() == pytest.approx(0.982, abs=1e-3)


def test_a_generator_without_a_prior_has_no_parts() -> None:
    with pytest.raises(InputError, match="has no prior: load or build one with prior=True"):
        inspection.painting(generator(prior=False), *scene())


@pytest.mark.parametrize("width", [1, 2, 4])
def test_the_rim_is_as_wide_on_both_sides(width: int) -> None:
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 10:22, 12:26] = 1
    rim = inspection.rim(mask, width)
    near = torch.zeros_like(mask)
    for row in range(32):
        for column in range(32):
            around = mask[..., max(0, row - width + 1) : row + width, max(0, column - width + 1) : column + width]
            near[..., row, column] = float(around.min() != around.max())
    assert torch.equal(rim, near) and (width == 1) == (not rim.any())


def test_without_a_hole_there_is_no_rim() -> None:
    for mask in (torch.zeros(1, 1, 16, 16), torch.ones(1, 1, 16, 16)):
        assert not inspection.rim(mask, 3).any()
