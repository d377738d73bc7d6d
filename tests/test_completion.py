"""The whole path from a photo to a photo, through the real networks."""

from __future__ import annotations

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import faceinpaint
from faceinpaint import completion, masks
from faceinpaint.basics.errors import InputError
from faceinpaint.completion import NO_VERDICT, Completer, find_device, is_mask_name
from faceinpaint.faces import align, detection
from faceinpaint.faces.mask_files import DrawnMask
from faceinpaint.faces.photos import read_photo, to_tensor
from faceinpaint.prior.answers import Style

ORIENTATION = 0x0112  # the EXIF tag


@pytest.fixture(scope="module")
def completer() -> Completer:
    """The quickest."""
    return Completer.from_pretrained(size=64)


@pytest.fixture(scope="module")
def completer_256() -> Completer:
    """The default."""
    return Completer.from_pretrained()


@pytest.fixture(scope="module")
def portrait(astronaut) -> Image.Image:
    """Head and shoulders, 180 x 200 pixels; the face around (98, 85)."""
    return astronaut.crop((126, 20, 306, 220))


@pytest.fixture(scope="module")
def square(astronaut) -> Image.Image:
    """The astronaut's face as an aligned crop of 256 pixels."""
    return astronaut.crop((136, 20, 300, 184)).resize((256, 256), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def two_faces(astronaut) -> Image.Image:
    """Two faces on grey, 440 x 200 pixels: the larger on the left, the smaller right of x = 220."""
    photo = Image.new("RGB", (440, 200), "grey")
    photo.paste(astronaut.crop((126, 20, 306, 220)), (10, 0))
    photo.paste(astronaut.crop((126, 20, 306, 220)).resize((135, 150)), (290, 20))
    return photo


def box_mask(size: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    """A mask picture, white in the box."""
    mask = Image.new("L", size)
    mask.paste(255, box)
    return mask


def pixels(photo: Image.Image) -> np.ndarray:
    assert photo.mode == "RGB"
    return np.asarray(photo)


def changed(before: Image.Image, after: Image.Image) -> np.ndarray:
    """Which pixels differ: (H, W)."""
    assert before.size == after.size
    return (pixels(before) != pixels(after)).any(axis=-1)


def refused(act, *arguments, **options) -> str:
    """The sentence with which bad input is refused."""
    with pytest.raises(InputError) as error:
        act(*arguments, **options)
    sentence = str(error.value)
    assert ". " not in sentence and "\n" not in sentence
    return sentence


# ------------------------------------------------------------------------------------ what goes in


def test_photo_may_be_a_picture_or_its_file(completer, portrait, tmp_path):
    path = tmp_path / "photo.png"
    portrait.save(path)
    first, *others = [completer(photo, "mask02").photo for photo in (portrait, path, str(path))]
    assert changed(portrait, first).sum() > 1000
    for other in others:
        assert not changed(first, other).any()


def test_mask_may_be_a_picture_a_file_or_a_tensor(completer, square, tmp_path):
    picture = box_mask(square.size, (140, 60, 220, 200))
    path = tmp_path / "mask.png"
    picture.save(path)
    bare = tmp_path / "mask"
    bare.write_bytes(path.read_bytes())
    boolean = torch.from_numpy(np.array(picture) > 0)
    ways = [path, str(path), bare, str(bare), picture.convert("1"), picture.convert("RGB")]
    ways += [boolean, boolean[None, None].float()]
    expected = completer(square, picture, aligned=True)
    assert changed(square, expected.photo).sum() > 1000
    for mask in ways:
        result = completer(square, mask, aligned=True)
        assert not changed(expected.photo, result.photo).any() and result.notes == [NO_VERDICT]


def test_transparent_parts_of_a_mask_picture_are_known(completer, square):
    mask = Image.new("RGBA", square.size, (255, 255, 255, 0))
    mask.paste((255, 255, 255, 255), (0, 0, 128, 256))
    result = completer(square, mask, aligned=True)
    assert not changed(result.photo, completer(square, "mask01", aligned=True).photo).any()


@pytest.mark.parametrize("kind", ["L", "RGBA", "P", "CMYK", "turned"])
def test_a_picture_of_any_kind_is_taken_like_its_file(completer, square, tmp_path, kind):
    path = tmp_path / ("photo.tif" if kind == "CMYK" else "photo.png")
    exif = Image.Exif()
    if kind == "turned":
        exif[ORIENTATION] = 6
        square.save(path, exif=exif)
    elif kind == "RGBA":
        half = square.convert("RGBA")
        half.putalpha(box_mask(square.size, (0, 0, 256, 100)))
        half.save(path)
    elif kind == "P":
        square.quantize(16).save(path, transparency=3)
    else:
        square.convert(kind).save(path)
    with Image.open(path) as picture:
        hole = DrawnMask(box_mask(square.size, (140, 60, 220, 200)), drawn_on="shown")
        results = [completer(one, hole, aligned=True).photo for one in (picture, path)]
    known = np.ones((256, 256), dtype=bool)
    known[60:200, 140:220] = False
    assert results[0].mode == results[1].mode == ("RGBA" if kind in ("RGBA", "P") else "RGB")
    assert np.array_equal(*map(np.asarray, results))
    shown = [pixels(read_photo(one)) for one in (path, results[0])]
    difference = (shown[0] != shown[1]).any(axis=-1)
    assert not difference[known].any() and difference.any()


def test_bad_pictures_are_refused(completer, square):
    assert "16 bits" in refused(completer, Image.fromarray(np.zeros((64, 64), dtype=np.float32)), "mask01")
    assert "8 x 8" in refused(completer, Image.new("RGB", (8, 8)), "mask01")
    assert "megapixels" in refused(completer, Image.new("1", (20_000, 20_000)), "mask01")
    assert "ndarray" in refused(completer, pixels(square), "mask01")
    data = io.BytesIO()
    square.save(data, "jpeg")
    with Image.open(io.BytesIO(data.getvalue()[:2000])) as cut_short:
        assert "cut short" in refused(completer, cut_short, "mask01")


@pytest.mark.parametrize("mask", [
    torch.zeros(2, 1, 256, 256), torch.zeros(1, 2, 256, 256), torch.zeros(256), 3, None, np.zeros((256, 256, 2)),
])
def test_what_is_no_mask_is_refused(completer, square, mask):
    assert "(1, 1, H, W)" in refused(completer, square, mask, aligned=True)


def test_unknown_mask_names_the_nearest(completer, square):
    assert "did you mean 'irregular'" in refused(completer, square, "iregular", aligned=True)
    assert "did you mean 'face-mask'" in refused(completer, square, "facemask", aligned=True)
    assert "does not exist" in refused(completer, square, "masks/hole.png", aligned=True)


def test_a_mask_name_is_no_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "block").mkdir()
    (tmp_path / "hole").write_bytes(b"")
    assert all(map(is_mask_name, ["mask01", "block", "blok", ""]))
    paths = ["hole", "./block", "no.png", "masks/no", Path("block")]
    assert not any(map(is_mask_name, [*paths, torch.zeros(1)]))


# ------------------------------------------------------------------------------------- the hole


@pytest.mark.parametrize("name", ["mask01", "mask06", "mask09", "irregular", "block", "face-mask"])
def test_known_pixels_of_an_aligned_face_stay_bit_for_bit(completer_256, square, name):
    result = completer_256(square, name, aligned=True)
    face = result.faces[0]
    hole = face.mask[0, 0].bool().numpy()
    assert 0 < face.hole_ratio < 0.7 and face.hole_ratio == pytest.approx(hole.mean())
    difference = changed(square, result.photo)
    assert not difference[~hole].any() and difference[hole].mean() > 0.8
    known = ~face.mask.bool().expand_as(face.original)
    torch.testing.assert_close(face.original, to_tensor(square), rtol=0, atol=1e-6)
    assert torch.equal(face.completed[known], face.original[known])
    assert (face.masked[~known] == 0.5).all() and torch.equal(face.masked[known], face.original[known])
    assert face.landmarks.shape == (1, 68, 2) and 0 < face.distance < 1


def test_a_larger_aligned_photo_keeps_its_size(completer_256, square):
    photo = square.resize((512, 512), Image.Resampling.BICUBIC)
    result = completer_256(photo, "mask01", aligned=True)
    difference = changed(photo, result.photo)
    assert result.photo.size == (512, 512) and result.faces[0].completed.shape == (1, 3, 256, 256)
    assert result.faces[0].hole_ratio == 0.5
    assert not difference[:, 256:].any() and difference[:, :256].mean() > 0.8


@pytest.mark.parametrize("side", [128, 100, 61])
def test_any_aligned_size_is_painted_all_over_its_hole(completer, square, side):
    photo = square.resize((side, side))
    hole = np.zeros((side, side), dtype=bool)
    hole[side // 4 : side // 2, side // 3 : side - 5] = True
    result = completer(photo, torch.from_numpy(hole), aligned=True)
    difference = changed(photo, result.photo)
    assert not difference[~hole].any() and difference[hole].mean() > 0.8


def test_known_pixels_of_a_whole_photo_stay_bit_for_bit(completer, portrait):
    hole = np.zeros((200, 180), dtype=bool)
    hole[60:110, 90:140] = True
    result = completer(portrait, torch.from_numpy(hole))
    difference = changed(portrait, result.photo)
    assert not difference[~hole].any() and difference[hole].mean() > 0.8
    assert result.notes == [NO_VERDICT]


@pytest.mark.parametrize("name", ["mask02", "face-mask"])
def test_named_mask_lies_on_the_face_that_was_found(completer, portrait, name):
    result = completer(portrait, name)
    face = result.faces[0]
    hole = align.mask_to_photo(face.mask, face.crop, (200, 180))[0, 0].bool().numpy()
    difference = changed(portrait, result.photo)
    assert not difference[~hole].any() and difference[hole].mean() > 0.6
    assert face.crop.centre == pytest.approx((98, 85), abs=8)


@pytest.mark.parametrize("side", [64, 100])
def test_what_is_hidden_has_no_influence(completer, square, side):
    """Bit for bit, also where the grids of photo and network differ: a leak would flatter every measure."""
    photo = square.resize((side, side))
    hole = box_mask(photo.size, (side // 3, side // 4, side // 2, side - 9))
    spoilt = photo.copy()
    spoilt.paste("magenta", (0, 0), hole)
    first, second = (completer(one, hole, aligned=True) for one in (photo, spoilt))
    assert changed(photo, spoilt).any() and not changed(first.photo, second.photo).any()
    assert torch.equal(first.faces[0].landmarks, second.faces[0].landmarks)


@pytest.mark.parametrize("box", [(60, 60, 98, 120), (0, 0, 180, 80), (70, 90, 130, 130)])
def test_what_is_hidden_has_no_influence_on_the_search_either(completer, portrait, box):
    hole = box_mask(portrait.size, box)
    photos = []
    for colour in ("white", "green", None):
        photos.append(portrait.copy())
        photos[-1].paste(colour or portrait.rotate(180).crop(box), box)
    first, *others = [completer(photo, hole) for photo in photos]
    inside = np.asarray(hole) > 0
    known = np.asarray(changed(portrait, first.photo)) & ~inside
    assert not known.any() and changed(photos[0], first.photo)[inside].mean() > 0.5
    for other in others:
        assert other.faces[0].crop == first.faces[0].crop and other.faces[0].distance is None
        assert torch.equal(other.faces[0].completed, first.faces[0].completed)


def test_a_verdict_needs_an_untouched_original_or_a_reference(completer, square):
    hole, spoilt = box_mask(square.size, (30, 30, 120, 220)), square.copy()
    spoilt.paste("magenta", (30, 30, 120, 220))
    alone = completer(spoilt, hole, aligned=True)
    compared = completer(spoilt, hole, aligned=True, original=square)
    guided = completer(spoilt, hole, aligned=True, reference=completer.reference(square, aligned=True))
    named = completer(square, "mask01", aligned=True)
    assert alone.faces[0].distance is None and alone.notes == [NO_VERDICT]
    for one in (compared, guided, named):
        assert 0 < one.faces[0].distance < 1 and one.notes == []
    assert not changed(alone.photo, compared.photo).any()
    sentence = refused(completer, spoilt, hole, aligned=True, original=square.resize((100, 100)))
    assert "100 x 100" in sentence and "256 x 256" in sentence


def test_named_mask_is_the_same_when_it_is_given_as_a_picture(completer, square):
    photo = square.resize((100, 100))
    named = completer(photo, "mask05", aligned=True)
    drawn = completer(photo, box_mask((100, 100), (50, 0, 100, 50)), aligned=True)
    assert torch.equal(named.faces[0].mask, drawn.faces[0].mask)
    assert not changed(named.photo, drawn.photo).any()


def test_mask_of_another_size_is_resized_and_said(completer, square):
    expected = completer(square, "mask01", aligned=True)
    half = torch.zeros(1, 1, 20, 20)
    half[..., :10] = 1
    for mask in (half, box_mask((20, 20), (0, 0, 10, 20))):
        result = completer(square, mask, aligned=True)
        assert "resized" in result.notes[0] and len(result.notes) == 2
        assert not changed(result.photo, expected.photo).any()


def test_empty_mask_is_refused(completer, square):
    for photo in (square, Image.new("RGB", (50, 40), "navy")):  # nobody there, and nobody is looked for
        assert "empty" in refused(completer, photo, torch.zeros(1, 1, photo.height, photo.width))


def test_full_mask_is_refused(completer, square, portrait):
    assert "whole face" in refused(completer, square, torch.ones(256, 256), aligned=True)
    assert "whole face" in refused(completer, portrait, torch.ones(200, 180))


def test_mask_beside_the_faces_is_refused_and_one_astride_is_said(completer, two_faces):
    beside, astride = torch.zeros(2, 200, 440)
    beside[:, 230:260] = 1
    assert "hides nothing of the face" in refused(completer, two_faces, beside)
    astride[60:100, 100:260] = 1
    result = completer(two_faces, astride)
    assert "of the mask lies outside" in result.notes[0]
    difference = changed(result.photo, two_faces)
    assert difference[60:100, 100:140].mean() > 0.8 and not difference[:, 230:].any()


def test_a_drawn_mask_says_whom_it_means(completer, two_faces):
    mask = torch.zeros(200, 440)
    mask[60:100, 330:390] = 1  # in the smaller face
    difference = changed(completer(two_faces, mask).photo, two_faces)
    assert difference[60:100, 330:390].mean() > 0.8 and not difference[:, :300].any()


# ------------------------------------------------------------------------------------ which face


def test_largest_face_or_the_one_that_is_asked_for_or_all(completer, two_faces):
    largest, second = (changed(two_faces, completer(two_faces, "mask02", face=face).photo) for face in (0, 1))
    assert largest[:, :220].any() and not largest[:, 220:].any()
    assert second[:, 220:].any() and not second[:, :220].any()
    result = completer(two_faces, "mask02", all_faces=True)
    assert len(result.faces) == 2
    assert np.array_equal(changed(two_faces, result.photo), largest | second)


@pytest.mark.parametrize("face", [2, -1])
def test_a_face_that_is_not_there_is_refused(completer, two_faces, face):
    assert f"no face {face}: the photo shows 2" in refused(completer, two_faces, "mask01", face=face)


def test_no_face_is_refused(completer):
    assert "no face was found" in refused(completer, Image.new("RGB", (120, 90), "navy"), "mask01")


def test_aligned_photo_must_be_square(completer, portrait):
    assert "180 x 200" in refused(completer, portrait, "mask01", aligned=True)


# ----------------------------------------------------------------------------------- the completer


def test_random_masks_follow_their_generator(completer, square):
    def draw(seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return completer(square, "irregular", aligned=True, generator=generator).faces[0].mask

    one, same, other = draw(1), draw(1), draw(2)
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_threads_may_share_a_completer(completer, square):
    names = ["mask01", "mask02", "mask05", "face-mask"]
    alone = [completer(square, name, aligned=True).photo for name in names]
    with ThreadPoolExecutor(4) as pool:
        together = pool.map(lambda name: completer(square, name, aligned=True).photo, names)
    assert not any(changed(one, other).any() for one, other in zip(alone, together))


def test_results_are_plain_tensors(completer, square):
    """Not those of inference mode, which refuse to be changed and to take part in a gradient."""
    face = completer(square, "mask01", aligned=True).faces[0]
    face.completed[..., 0] = 0
    face.completed.requires_grad_().sum().backward()


@pytest.mark.parametrize("size", [0, 60, 250, 1032])
def test_sizes_that_cannot_be_painted_are_refused(size):
    assert f"{size} pixels" in refused(Completer.from_pretrained, size=size)


@pytest.mark.parametrize("name", ["", "gpu", "meta", "hpu", "cuda:99"])
def test_devices_that_are_not_there_are_refused(name):
    assert "choose auto" in refused(find_device, name)
    assert find_device("cpu").type == "cpu"


def test_package_offers_its_two_classes():
    assert faceinpaint.Completer is Completer
    assert faceinpaint.Faces.__module__ == "faceinpaint.faces.batch"
    with pytest.raises(AttributeError, match="Completor"):
        faceinpaint.Completor


def test_a_first_picture_waits_for_no_module_that_it_does_not_need(square, tmp_path):
    """Each of them takes as long to import as everything that a completion does need together."""
    path = tmp_path / "square.png"
    square.resize((64, 64)).save(path)
    code = (
        "import sys; from faceinpaint import Completer\n"
        f"Completer.from_pretrained(size=64)({str(path)!r}, 'mask01', aligned=True)\n"
        "print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "torch" in loaded
    assert not {"torchvision", "torch._dynamo", "sympy", "matplotlib", "scipy", "accelerate"} & set(loaded)


def test_many_faces_are_completed_like_few(completer):
    """A CPU is given some at a time: each still gets its own mask, landmarks, style and reference."""
    size = completer.size
    images = torch.rand(3, 3, size, size, generator=torch.Generator().manual_seed(1))
    mask = torch.cat([masks.named(name, size) for name in ("mask01", "mask02", "mask03")])
    style = Style.draw(3, torch.Generator().manual_seed(2))
    reference = completer.reference_from(images.flip(0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(completion, "AT_ONCE", 2 * size**2)
        many, landmarks = completer.complete(images, mask, reference, style)
    for one in range(3):
        alone = slice(one, one + 1)
        few = completer.paint(images[alone], mask[alone], landmarks[alone], reference.of(alone), style.of(alone))
        assert torch.allclose(few, many[alone], atol=0.02) and not torch.allclose(few, images[alone], atol=0.1)


def test_of_a_reference_the_details_are_taken_without_its_colours(completer, astronaut):
    crop = align.crop_from_points(detection.detect(astronaut)[0].points)
    details = completer.reference_in(astronaut, crop).source.details
    assert details[..., 3].any() and (details[..., :3] == details[..., :1]).all()
