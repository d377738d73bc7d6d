"""Masks of every make, as programs and people save them: the same hole, or one sentence."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter

from faceinpaint.basics.errors import InputError
from faceinpaint.faces.mask_files import DrawnMask, fit, grown, read_mask
from faceinpaint.faces.photos import Photo, open_photo

SIZE = 96, 128  # width and height
BOX = 20, 30, 59, 79  # both corners belong to the hole


@pytest.fixture(scope="module")
def photo(astronaut) -> Photo:
    return open_photo(astronaut.crop((130, 20, 322, 276)).resize(SIZE))


@pytest.fixture
def drawn() -> Image.Image:
    """White on black."""
    mask = Image.new("L", SIZE)
    ImageDraw.Draw(mask).rectangle(BOX, fill=255)
    return mask


def hole_of(drawn: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(drawn) > 0).float()[None, None]


def painted(drawn: Image.Image, paint: tuple[int, ...], ground: tuple[int, ...]) -> Image.Image:
    mode = "RGB" if len(paint) == 3 else "RGBA"
    return Image.composite(Image.new(mode, SIZE, paint), Image.new(mode, SIZE, ground), drawn)


def palette(drawn: Image.Image, *colours: int) -> Image.Image:
    indices = Image.fromarray((np.array(drawn) > 0).astype(np.uint8), "P")
    indices.putpalette(colours)
    return indices


def as_file(picture: Image.Image, form: str = "png", **options) -> bytes:
    content = io.BytesIO()
    picture.save(content, form, **options)
    return content.getvalue()


def refused(given, photo: Photo) -> str:
    with pytest.raises(InputError) as error:
        read_mask(given, photo)
    sentence = str(error.value)
    assert ". " not in sentence and "\n" not in sentence
    return sentence


def apart(one: torch.Tensor, other: torch.Tensor) -> int:
    """By how many pixels one hole has to grow to hold the other one, whichever needs more."""
    steps = range(20)
    there = next(step for step in steps if (grown(one, step) >= other).all())
    return max(there, next(step for step in steps if (grown(other, step) >= one).all()))


MAKES = {
    "white on black": lambda one: one, "one bit": lambda one: one.convert("1"),
    "in colours": lambda one: one.convert("RGB"), "inks": lambda one: one.convert("CMYK"),
    "16 bits": lambda one: Image.fromarray(np.array(one).astype(np.uint16) * 257),
    "0 and 1": lambda one: one.point(lambda level: level // 255),
    "0 and 1 of 16 bits": lambda one: Image.fromarray((np.array(one) > 0).astype(np.uint16)),
    "two greys": lambda one: one.point(lambda level: 90 + level // 4),
    "fractions": lambda one: Image.fromarray((np.array(one) / 255).astype(np.float32)),
    "labels": lambda one: palette(one, 0, 0, 0, 128, 0, 0),
    "yellow on violet": lambda one: palette(one, 68, 1, 84, 253, 231, 37),
    "blue on black": lambda one: painted(one, (0, 0, 255), (0, 0, 0)),
    "red on white": lambda one: painted(one, (220, 30, 30), (255, 255, 255)),
    "white on nothing": lambda one: painted(one, (255, 255, 255, 255), (0, 0, 0, 0)),
    "half opaque": lambda one: painted(one, (255, 255, 255, 127), (0, 0, 0, 0)),
    "black on nothing": lambda one: painted(one, (0, 0, 0, 255), (0, 0, 0, 0)),
    "cut out of white": lambda one: painted(one, (0, 0, 0, 0), (255, 255, 255, 255)),
    "cut out of black": lambda one: painted(one, (0, 0, 0, 0), (0, 0, 0, 255)),
}


@pytest.mark.parametrize("make", MAKES)
def test_the_hole_is_the_same_whatever_the_make(photo, drawn, make, tmp_path):
    picture = MAKES[make](drawn)
    (tmp_path / "mask.tif").write_bytes(as_file(picture, "tiff"))
    for given in (picture, tmp_path / "mask.tif", str(tmp_path / "mask.tif")):
        mask, notes = read_mask(given, photo)
        assert mask.dtype == torch.float32 and torch.equal(mask, hole_of(drawn))
        plain = make in ("white on black", "one bit", "in colours", "inks", "16 bits", "fractions", "white on nothing")
        assert len(notes) == (not plain) and all("hole" in note for note in notes)


@pytest.mark.parametrize("make", [
    lambda one: one, lambda one: one.astype(bool), lambda one: one.astype(int), lambda one: one * 255.0,
    lambda one: one[None, None], lambda one: one[..., None], lambda one: np.stack([one * 255] * 3, axis=-1),
])
@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_arrays_and_tensors(photo, drawn, make, kind):
    array = make((np.array(drawn) > 0).astype(np.uint8))
    mask, notes = read_mask(kind(array), photo)
    assert torch.equal(mask, hole_of(drawn)) and notes == []


@pytest.mark.parametrize("kind", [bool, np.float32, np.uint8])
@pytest.mark.parametrize("make", [
    lambda one: np.stack([one] * 3), lambda one: np.stack([one] * 3, axis=-1), lambda one: np.stack([one] * 3)[None],
])
def test_arrays_whose_channels_are_alike(photo, drawn, make, kind):
    assert torch.equal(read_mask(make(np.array(drawn) > 0).astype(kind), photo).mask, hole_of(drawn))


@pytest.mark.parametrize("mode", ["LAB", "La", "RGBa"])
def test_modes_that_pillow_hardly_converts(photo, drawn, mode):
    given = {"LAB": Image.merge("LAB", [drawn, *[Image.new("L", SIZE, 128)] * 2])}
    given |= {one: drawn.convert(one.upper()).convert(one) for one in ("La", "RGBa")}
    assert torch.equal(read_mask(given[mode], photo).mask, hole_of(drawn))


@pytest.mark.parametrize("ground", ["black", "#808080", "white"])
@pytest.mark.parametrize("boxes", [
    [(10, 10, 18, 18), (40, 10, 48, 18), (70, 60, 78, 68)], [(0, 0, 47, 127), (70, 10, 76, 20), (60, 90, 61, 91)],
    [(0, 0, 27, 127), (28, 0, 55, 127), (56, 0, 83, 127)],
])
def test_every_colour_that_is_painted_is_the_hole(photo, ground, boxes):
    labels, hole = Image.new("RGB", SIZE, ground), Image.new("L", SIZE)
    for colour, box in zip(("red", "#00ff00", "blue"), boxes):
        labels.paste(colour, box)
        hole.paste(255, box)
    mask, notes = read_mask(DrawnMask(labels, invert=False), photo)
    assert torch.equal(mask, hole_of(hole)) and "any colour" in notes[0]
    noisy = read_mask(DrawnMask(as_file(labels, "jpeg", quality=90), invert=False), photo).mask
    assert (noisy >= hole_of(hole))[..., 2:-2, 2:-2].float().mean() > 0.999
    indices = np.zeros(SIZE[::-1], np.uint8)
    for index, (left, top, right, bottom) in enumerate(boxes[:2], start=1):
        indices[top:bottom, left:right] = index
    voc = Image.fromarray(indices, "P")
    voc.putpalette((0, 0, 0, 128, 0, 0, 0, 128, 0))
    assert torch.equal(read_mask(voc, photo).mask[0, 0], torch.from_numpy(indices > 0).float())


@pytest.mark.parametrize("ground", ["black", "white", "#00ff00", None])
def test_a_part_of_the_photo_is_the_hole(photo, drawn, ground):
    held = photo.shown.copy()
    if ground is None:
        held.putalpha(drawn)
    else:
        held.paste(ground, (0, 0), drawn.point(lambda level: 255 - level))
    for picture in (held, as_file(held), np.array(held)):
        mask, notes = read_mask(picture, photo)
        assert (mask >= hole_of(drawn)).all() and "is the hole" in notes[0]
        assert (mask - hole_of(drawn)).sum() < 0.05 * hole_of(drawn).sum()


def test_a_part_of_another_picture_in_grey_is_refused(photo, drawn, astronaut):
    other = Image.new("L", SIZE)
    other.paste(astronaut.crop((150, 40, 246, 168)).convert("L"), (0, 0), drawn)
    assert "paint what is to be completed white" in refused(other, photo)


def test_a_photo_of_which_a_part_was_erased_is_its_own_mask(photo, drawn):
    cut = photo.shown.copy()
    cut.putalpha(drawn.point(lambda level: 255 - level))
    mask, notes = read_mask(cut, open_photo(cut))
    assert torch.equal(mask, hole_of(drawn)) and "transparent" in notes[0]


@pytest.mark.parametrize("quality", [50, 75, 95])
@pytest.mark.parametrize("make", ["white on black", "in colours", "blue on black", "red on white"])
def test_the_noise_of_a_jpeg_is_no_hole(photo, drawn, make, quality):
    mask, _ = read_mask(as_file(MAKES[make](drawn), "jpeg", quality=quality), photo)
    assert (mask >= hole_of(drawn)).all() and apart(mask, hole_of(drawn)) <= 2


@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_of_a_soft_edge_everything_that_is_not_known_is_hole(photo, drawn, width):
    soft = drawn.filter(ImageFilter.GaussianBlur(width))
    mask, notes = read_mask(soft, photo)
    assert (mask >= hole_of(drawn)).all() and apart(mask, hole_of(drawn)) <= 2 and "soft" in notes[0]


@pytest.mark.parametrize("soft", [
    *(lambda one, width=width: one.filter(ImageFilter.GaussianBlur(width)) for width in (1, 2, 3, 5)),
    *(lambda one, level=level: Image.open(io.BytesIO(as_file(one, "jpeg", quality=level))) for level in (40, 90)),
])
@pytest.mark.parametrize("colour", ["white", "red"])
def test_what_is_not_known_is_hole_the_other_way_round_too(photo, drawn, soft, colour):
    ground = Image.composite(Image.new("RGB", SIZE, "black"), Image.new("RGB", SIZE, colour), drawn)
    mask, notes = read_mask(DrawnMask(soft(ground), invert=True), photo)
    assert (mask >= hole_of(drawn)).all() and apart(mask, hole_of(drawn)) <= 2
    assert colour == "white" or "is known" in notes[0]


def test_a_mask_may_grow(photo, drawn):
    for pixels in (0, 1, 5):
        mask = read_mask(DrawnMask(drawn, grow=pixels), photo).mask
        wider = Image.new("L", SIZE)
        ImageDraw.Draw(wider).rectangle((20 - pixels, 30 - pixels, 59 + pixels, 79 + pixels), fill=255)
        assert torch.equal(mask, hole_of(wider))


# -------------------------------------------------------------------------- strokes in the photo itself


@pytest.mark.parametrize("form", ["png", "jpeg"])
@pytest.mark.parametrize("colour", ["#00ff00", "magenta", "white"])
def test_what_is_painted_into_the_photo_in_a_colour(photo, drawn, form, colour):
    spoilt = photo.shown.copy()
    spoilt.paste(colour, (0, 0), drawn)
    mask, notes = read_mask(colour, open_photo(as_file(spoilt, form)))
    assert (mask >= hole_of(drawn)).all() and colour in notes[0]
    assert apart(mask, hole_of(drawn)) <= 4 or colour == "white"  # of which there is more in the photo
    assert "nothing in the photo is #00ff00" in refused("#00ff00", photo)


def test_a_backdrop_in_the_colour_of_the_strokes_is_named(photo):
    framed = Image.new("RGB", (240, 260), "white")
    framed.paste(photo.shown, (70, 60))
    said = refused("white", open_photo(framed))
    assert "backdrop" in said and "white" in said and "mask image" in said and "--invert-mask" not in said


# ---------------------------------------------------------------------------------- asked back, refused


@pytest.mark.parametrize("box", [(30, 40, 60, 70), (0, 0, 30, 60), (10, 20, 80, 90)])
def test_a_mask_that_seems_the_other_way_round_is_asked_back(photo, box):
    black = Image.new("L", SIZE, 255)
    black.paste(0, box)
    assert f"hides {np.array(black).mean() / 255:.0%}" in (said := refused(black, photo)) and "--invert-mask" in said


def test_who_says_which_way_round_a_mask_is_is_heard(photo, drawn):
    black = drawn.point(lambda level: 255 - level)
    assert "other way round" in refused(black, photo)
    assert torch.equal(read_mask(DrawnMask(black, invert=True), photo).mask, hole_of(drawn))
    assert torch.equal(read_mask(DrawnMask(black, invert=False), photo).mask, 1 - hole_of(drawn))
    small = Image.new("L", SIZE)
    small.paste(255, (30, 40, 60, 70))
    assert "leave out --invert-mask" in refused(DrawnMask(small, invert=True), photo)


@pytest.mark.parametrize("level, said", [(0, "is empty"), (255, "hides the whole"), (7, "value 7 everywhere")])
def test_a_mask_without_a_hole_or_without_anything_else_is_refused(photo, level, said):
    assert said in refused(Image.new("L", SIZE, level), photo)
    if level != 7:
        assert said in refused(torch.full((1, 1, *SIZE[::-1]), level / 255), photo)


def test_a_picture_is_no_mask(photo, astronaut):
    other = astronaut.crop((0, 200, 192, 456)).resize(SIZE)
    sepia = Image.fromarray((np.array(other.convert("L"))[..., None] * [1, 0.85, 0.65]).astype(np.uint8))
    for picture in (other, other.convert("L"), sepia, as_file(other, "jpeg")):
        assert "not a mask" in refused(picture, photo)
    for same in (photo.shown, photo.shown.convert("L"), as_file(photo.shown, "jpeg"), np.array(photo.shown)):
        assert "photo and mask are one picture" in refused(same, photo)
    labels = Image.fromarray(np.repeat(np.arange(4, dtype=np.uint8) * 40, 24)[None].repeat(128, axis=0))
    assert "4 values" in refused(labels, photo)


# ------------------------------------------------------------------------------------ where it lies


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("scale", [1, 2])
def test_a_mask_lies_where_it_was_drawn_however_the_photo_is_stored(photo, drawn, orientation, scale):
    """As shown and as stored; where its size does not tell which, it is asked."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = open_photo(as_file(photo.shown, exif=exif))
    stored = drawn.resize((SIZE[0] * scale, SIZE[1] * scale), Image.Resampling.NEAREST)
    marked = Image.open(io.BytesIO(as_file(drawn, exif=exif)))
    expected = read_mask(DrawnMask(marked, drawn_on="shown"), turned).mask  # turned by its own EXIF, as the photo
    shown = Image.fromarray(expected[0, 0].byte().numpy() * 255)
    assert (shown.size == SIZE) == (orientation < 5)
    for mask, way in ((stored, "stored"), (shown, "shown")):
        assert torch.equal(read_mask(DrawnMask(mask, drawn_on=way), turned).mask, expected)
        if orientation in (2, 3, 4):
            assert "--mask-on" in refused(mask, turned)
        else:
            assert torch.equal(read_mask(mask, turned).mask, expected)
    assert torch.equal(read_mask(marked, turned).mask, expected)


def test_a_way_to_draw_that_is_none(photo, drawn):
    assert "did you mean 'stored'" in refused(DrawnMask(drawn, drawn_on="store"), photo)


@pytest.mark.parametrize("scale", [0.25, 0.5, 1.3, 2])
def test_a_mask_of_another_size_hides_all_that_it_touches(photo, drawn, scale):
    other = drawn.resize((round(SIZE[0] * scale), round(SIZE[1] * scale)), Image.Resampling.NEAREST)
    mask, notes = read_mask(other, photo)
    assert mask.shape == (1, 1, 128, 96) and "resized" in notes[0]
    assert apart(mask, hole_of(drawn)) <= max(1, 1 / scale)


def test_a_mask_of_another_form_is_refused_not_squeezed(photo):
    mask = Image.new("L", (128, 96))
    mask.paste(255, (10, 10, 30, 30))
    assert "128 x 96" in refused(mask, photo) and "96 x 128" in refused(mask, photo)
    sizes = (300, 400), (150, 200), (38, 50), (400, 300), (300, 380)
    assert [fit(size, (300, 400)) for size in sizes] == [2, 1, 1, 0, 0]


def test_what_is_no_mask(photo, tmp_path):
    assert "does not exist" in refused(tmp_path / "none.png", photo)
    (tmp_path / "m.png").write_text("no image")
    assert "not an image" in refused(tmp_path / "m.png", photo)
    for none in (3, None, np.zeros((2, 5, 5)), np.zeros(4), np.array([["a"]]), torch.full((128, 96), torch.nan)):
        assert "no mask" in refused(none, photo)
