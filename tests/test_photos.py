"""Reading photos and masks from any file, folders of photos, and faces on disk."""

from __future__ import annotations

import io
import json
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, TiffImagePlugin

from faceinpaint.basics.errors import InputError
from faceinpaint.faces import Faces, align, detection
from faceinpaint.faces.photos import (
    FaceFolder,
    Photo,
    encoded,
    open_photo,
    read_photo,
    to_image,
    to_tensor,
)

ORIENTATION = 0x0112  # the EXIF tag


@pytest.fixture
def small(astronaut) -> Image.Image:
    """The astronaut's head, 96 x 64 pixels."""
    return astronaut.crop((130, 40, 322, 168)).resize((96, 64))


def turned_by_exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def difference(a: Image.Image, b: Image.Image) -> float:
    """The mean difference of two RGB photos, in grey levels."""
    assert a.mode == b.mode == "RGB" and a.size == b.size
    return float(np.abs(np.asarray(a, dtype=int) - np.asarray(b, dtype=int)).mean())


def refused(read, *arguments) -> str:
    """The one sentence with which bad input is refused."""
    with pytest.raises(InputError) as error:
        read(*arguments)
    sentence = str(error.value)
    assert sentence.endswith(".") and ". " not in sentence and "\n" not in sentence
    return sentence


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises a size and then ends."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"")
    parts = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (chunk, data)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


# ---------------------------------------------------------------------------- every kind of photo


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".jpg", ".webp", ".gif"])
def test_usual_formats(tmp_path, small, suffix):
    path = tmp_path / f"a{suffix}"
    small.save(path)
    photo = read_photo(path)
    assert difference(photo, small) < (0.01 if suffix in (".png", ".bmp", ".tif") else 6)
    assert difference(read_photo(str(path)), photo) == 0


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_16_bits_are_scaled_not_clipped(tmp_path, suffix):
    ramp = np.linspace(0, 65535, 64 * 40).round().astype(np.uint16).reshape(40, 64)
    path = tmp_path / f"a{suffix}"
    if suffix == ".pgm":
        path.write_bytes(b"P5 64 40 65535\n" + ramp.astype(">u2").tobytes())
    else:
        Image.fromarray(ramp).save(path)
    expected = np.round(ramp / 65535 * 255).astype(np.uint8)
    assert np.array_equal(np.asarray(read_photo(path)), np.stack([expected] * 3, axis=-1))


def test_more_than_16_bits_are_refused(tmp_path, small):
    grey = np.asarray(small.convert("L"))
    Image.fromarray(grey.astype(np.float32) / 255).save(tmp_path / "float.tif")
    Image.fromarray(grey.astype(np.int32) * 1_000_000).save(tmp_path / "long.tif")
    for name in ("float.tif", "long.tif"):
        assert "more than 16 bits" in refused(read_photo, tmp_path / name)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P"])
def test_grey_and_palette(tmp_path, small, mode):
    stored = small.convert(mode)
    stored.save(tmp_path / "a.png")
    assert difference(read_photo(tmp_path / "a.png"), stored.convert("RGB")) == 0


def test_cmyk(tmp_path, small):
    small.convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    small.convert("CMYK").save(tmp_path / "a.tif")
    assert difference(read_photo(tmp_path / "a.jpg"), small) < 4
    assert difference(read_photo(tmp_path / "a.tif"), small) < 1


def test_transparency_is_laid_over_white(tmp_path):
    rgba = np.zeros((40, 40, 4), dtype=np.uint8)  # black ...
    rgba[:, 10:20, 3] = 255  # ... here covering, there half transparent, elsewhere wholly
    rgba[:, 20:30, 3] = 128
    Image.fromarray(rgba).save(tmp_path / "a.png")
    row = np.asarray(read_photo(tmp_path / "a.png"))[0, [5, 15, 25], 0]
    assert row.tolist() == [255, 0, 127]


def test_palette_with_transparency_is_laid_over_white(tmp_path):
    indices = Image.fromarray(np.repeat([[0, 1, 2]], 40, axis=0).repeat(20, axis=1).astype(np.uint8), "P")
    indices.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    indices.save(tmp_path / "one.png", transparency=1)
    indices.save(tmp_path / "many.png", transparency=bytes([255, 0, 255]))
    for name in ("one.png", "many.png"):
        row = np.asarray(read_photo(tmp_path / name))[0, [5, 25, 45]]
        assert row.tolist() == [[10, 20, 30], [255, 255, 255], [70, 80, 90]]


@pytest.mark.parametrize("orientation, turn", [
    (1, None), (2, "FLIP_LEFT_RIGHT"), (3, "ROTATE_180"), (4, "FLIP_TOP_BOTTOM"),
    (5, "TRANSPOSE"), (6, "ROTATE_270"), (7, "TRANSVERSE"), (8, "ROTATE_90"),
])
def test_photo_stands_as_its_exif_says(tmp_path, small, orientation, turn):
    upright = small if turn is None else small.transpose(Image.Transpose[turn])
    small.save(tmp_path / "a.png", exif=turned_by_exif(orientation))
    assert difference(read_photo(tmp_path / "a.png"), upright) == 0


def test_turned_tiff_is_not_scrambled(tmp_path, small):
    # Pillow scrambles uncompressed grey TIFFs that EXIF turns, when it opens them by their path.
    grey = small.convert("L")
    wide = np.asarray(grey).astype(np.uint16) * 257
    for name, stored in (("8.tif", grey), ("16.tif", Image.fromarray(wide))):
        stored.save(tmp_path / name, exif=turned_by_exif(6))
        upright = grey.transpose(Image.Transpose.ROTATE_270).convert("RGB")
        assert difference(read_photo(tmp_path / name), upright) == 0


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_animation_shows_its_first_frame(tmp_path, suffix):
    frames = [Image.new("RGB", (50, 40), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:], duration=50)
    assert difference(read_photo(tmp_path / f"a{suffix}"), frames[0]) < 2


# ------------------------------------------------------------------------- what a result keeps


def as_file(picture: Image.Image, form: str = "png", **options) -> bytes:
    content = io.BytesIO()
    picture.save(content, form, **options)
    return content.getvalue()


def profile_of(space: str) -> bytes:
    """A profile of other colours than sRGB: red and green swapped, or a grey of another gamma."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    if space == "RGB":
        at = [profile.index(tag, 128) for tag in (b"rXYZ", b"gXYZ")]
        there = [profile[one + 4 : one + 8] for one in at]
        for one, place in zip(at, reversed(there)):
            profile[one + 4 : one + 8] = place
        return bytes(profile)
    curve = b"curv" + struct.pack(">II", 0, 1) + struct.pack(">HH", int(1.2 * 256), 0)
    white = b"XYZ " + struct.pack(">Iiii", 0, 63190, 65536, 54061)
    table = struct.pack(">I", 2) + b"kTRC" + struct.pack(">II", 156, len(curve)) + b"wtpt" + struct.pack(">II", 172, 20)
    body = table + curve + white
    header = bytearray(profile[:128])
    header[0:4], header[16:20] = struct.pack(">I", 128 + len(body)), b"GRAY"
    return bytes(header) + body


def repainted(photo: Photo) -> tuple[Image.Image, np.ndarray]:
    """The photo with a patch that was painted in what the networks see, and where."""
    result = photo.shown.copy()
    result.paste((180, 120, 90), (10, 10, 40, 30))
    where = np.zeros((result.height, result.width), dtype=bool)
    where[10:30, 10:40] = True
    return photo.painted(result), where


@pytest.mark.parametrize("mode, space", [("RGB", "RGB"), ("RGBA", "RGB"), ("L", "GRAY")])
@pytest.mark.parametrize("form", ["png", "tiff"])
def test_a_result_keeps_the_photo_s_own_colours(small, mode, space, form):
    """Of any profile: known pixels bit for bit, painted ones look as they were painted, in a viewer that knows it."""
    own, profile = small.convert(mode), profile_of(space)
    photo = open_photo(as_file(own, form, icc_profile=profile))
    assert difference(photo.shown, small.convert("RGB")) > 3
    result, where = repainted(photo)
    assert result.mode == mode and result.info["icc_profile"] == profile
    assert np.array_equal(np.asarray(result)[~where], np.asarray(own)[~where])
    viewed = open_photo(encoded(result)).shown
    wanted = (180, 120, 90) if space == "RGB" else (np.asarray(viewed)[20, 20, 0],) * 3
    assert np.abs(np.asarray(viewed)[where].astype(int) - wanted).max() <= 3
    assert np.array_equal(np.asarray(viewed)[~where], np.asarray(photo.shown)[~where])


def test_a_profile_that_is_none_or_not_the_photo_s_is_left_out_with_a_word(small):
    for mode, profile in (("RGB", b"no profile"), ("RGB", profile_of("GRAY")), ("L", b"")):
        photo = open_photo(as_file(small.convert(mode), icc_profile=profile))
        assert [("profile" in note) for note in photo.notes] == ([True] if profile else [])
        assert "icc_profile" not in photo.own.info and difference(photo.shown, small.convert(mode).convert("RGB")) == 0


def test_a_damaged_profile_is_left_out_with_a_word(small):
    whole, random = profile_of("RGB"), np.random.default_rng(0)
    for _ in range(40):
        profile = np.frombuffer(whole, dtype=np.uint8).copy()
        profile[random.integers(128, len(whole), 6)] = random.integers(0, 256, 6)
        photo = open_photo(as_file(small, icc_profile=profile.tobytes()))
        result, where = repainted(photo)
        assert np.array_equal(np.asarray(result)[~where], np.asarray(photo.own)[~where])
        assert "icc_profile" in photo.own.info or "profile" in photo.notes[0]


def test_srgb_s_own_profile_changes_nothing(small):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo = open_photo(as_file(small, icc_profile=profile))
    assert difference(photo.shown, small) == 0 and photo.own.info["icc_profile"] == profile


def test_transparency_stays_and_known_pixels_with_it(small):
    own = small.convert("RGBA")
    own.putalpha(Image.linear_gradient("L").resize(small.size).transpose(Image.Transpose.FLIP_TOP_BOTTOM))
    photo = open_photo(own)
    result, where = repainted(photo)
    assert np.array_equal(np.asarray(result)[~where], np.asarray(own)[~where])
    assert np.array_equal(np.asarray(result)[..., 3], np.asarray(own)[..., 3])
    seen = np.abs(np.asarray(open_photo(result).shown)[where].astype(int) - (180, 120, 90)).max(axis=-1)
    opaque = np.asarray(own)[..., 3][where] > 170  # others let too much white through for so dark a colour
    assert seen[opaque].max() <= 2


def test_transparency_that_is_the_hole_ends(small):
    own, hole = small.convert("RGBA"), np.zeros((64, 96), dtype=bool)
    hole[5:35, 5:45] = True
    own.putalpha(Image.fromarray(np.where(hole, 0, 255).astype(np.uint8)))
    photo = open_photo(own)
    painted = photo.shown.copy()
    painted.paste((180, 120, 90), (5, 5, 45, 35))
    result = np.asarray(photo.painted(painted, hole))
    assert (result[..., 3] == 255).all() and (result[hole][:, :3] == (180, 120, 90)).all()
    assert np.array_equal(result[~hole], np.asarray(own)[~hole])


@pytest.mark.parametrize("known", [0, 3, 254])
def test_the_hole_of_a_cut_out_becomes_opaque_whatever_else_is_transparent(small, known):
    own, hole = small.convert("RGBA"), np.zeros((64, 96), dtype=bool)
    hole[5:35, 5:45] = True
    alpha = np.where(hole, 0, 255).astype(np.uint8)
    alpha[:, 60:] = known
    own.putalpha(Image.fromarray(alpha))
    photo = open_photo(own)
    painted = photo.shown.copy()
    painted.paste((180, 120, 90), (5, 5, 45, 35))
    painted.paste("white", (10, 10, 20, 20))  # as transparency looks
    result = np.asarray(photo.painted(painted, hole))
    assert (result[hole][:, 3] == 255).all() and np.array_equal(result[~hole], np.asarray(own)[~hole])
    assert np.array_equal(result[hole][:, :3], np.asarray(painted)[hole])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", [{"form": "tiff"}, {"form": "tiff", "compression": "tiff_lzw"}, {"form": "webp"}])
def test_how_a_photo_was_turned_is_known_in_every_format(small, orientation, form):
    content = as_file(small, exif=turned_by_exif(orientation), **form)
    for given in (content, Image.open(io.BytesIO(content))):
        photo = open_photo(given)
        assert photo.orientation == orientation
        assert photo.shown.size == (small.size if orientation < 5 else small.size[::-1])


@pytest.mark.parametrize("mode", ["LAB", "La", "RGBa"])
def test_modes_that_pillow_hardly_converts(small, mode):
    profiles = [ImageCms.createProfile(space) for space in ("sRGB", "LAB")]
    given = {"LAB": lambda: ImageCms.profileToProfile(small, *profiles, outputMode="LAB")}
    given |= {one: lambda one=one: small.convert(one.upper()).convert(one) for one in ("La", "RGBa")}
    expected = small.convert("L").convert("RGB") if mode == "La" else small
    assert difference(open_photo(given[mode]()).shown, expected) < 2


@pytest.mark.parametrize("form, most", [
    ("avif", 2), ("gif", 100), ("webp", 3), ("jpeg2000", 3), ("bmp", 300), ("tiff", 300), ("png", 10), ("jpeg", 10),
])
def test_a_few_missing_bytes_are_mended(astronaut, form, most):
    large = astronaut.crop((100, 0, 340, 240))
    whole = as_file(large, form)
    for missing in (1, 2, most):
        photo = open_photo(whole[:-missing])
        off = np.abs(np.asarray(photo.shown).astype(int) - np.asarray(open_photo(whole).shown)).max(axis=(1, 2))
        assert (off > 24).mean() <= 0.14 and all("some rows" in note for note in photo.notes)


@pytest.mark.parametrize("options", [
    {"form": "avif"}, {"form": "gif"}, {"form": "webp"}, {"form": "webp", "lossless": True}, {"form": "jpeg2000"},
    {"form": "jpeg2000", "tile_size": (32, 32)}, {"form": "tiff", "compression": "tiff_lzw"}, {"form": "bmp"},
])
def test_what_misses_too_much_is_refused_in_honest_words(small, options):
    whole = as_file(small, **options)
    for share in (0.3, 0.5, 0.7, 0.9):
        said = refused(open_photo, whole[: int(share * len(whole))])
        assert "film" not in said and " at 0x" not in said and ("cut short" in said or "not an image" in said)
    for missing in (2, 5, 20, 60):
        try:
            assert "some rows" in (open_photo(whole[:-missing]).notes or ["some rows"])[0]
        except InputError as error:
            assert "cut short" in str(error) and " at 0x" not in str(error)


def test_a_link_that_leads_nowhere_is_called_so(tmp_path):
    (tmp_path / "a.png").symlink_to("gone.png")
    assert "leads nowhere, to gone.png" in refused(open_photo, tmp_path / "a.png")


@pytest.mark.parametrize("form", ["png", "jpeg"])
def test_exif_stays_but_place_orientation_and_small_pictures(small, form):
    exif = turned_by_exif(6)
    exif[0x010F], exif[0x0110] = "Maker", "Model"
    exif.get_ifd(0x8769).update({0x9003: "2020:02:02 10:00:00", 0x927C: b"maker's own notes"})
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 0.0)})
    photo = open_photo(as_file(small, "jpeg", exif=exif))
    assert photo.orientation == 6 and photo.shown.size == (64, 96) and "place" in photo.notes[0]
    result, _ = repainted(photo)
    kept = Image.open(io.BytesIO(encoded(result, form))).getexif()
    assert (kept[0x010F], kept[0x0110]) == ("Maker", "Model") and ORIENTATION not in kept
    assert dict(kept.get_ifd(0x8769)) == {0x9003: "2020:02:02 10:00:00"} and not kept.get_ifd(0x8825)


def test_exif_that_is_none_is_left_out(small):
    photo = open_photo(as_file(small, "jpeg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"))
    assert "exif" not in photo.own.info and photo.shown.size == small.size


def test_what_a_result_does_not_keep_is_said(small):
    deep = Image.fromarray(np.asarray(small.convert("L")).astype(np.uint16) * 257)
    film = as_file(small, "gif", save_all=True, append_images=[small.rotate(180)])
    pages = as_file(small, "tiff", save_all=True, append_images=[small])
    wide = b"P6 96 64 65535\n" + (np.asarray(small).astype(">u2") * 257).tobytes()
    inks = as_file(small.convert("CMYK"), "jpeg")
    said = [open_photo(one).notes for one in (as_file(deep), deep, wide, film, pages, inks)]
    assert all(len(notes) == 1 for notes in said)
    assert ["16 bits" in notes[0] for notes in said] == [True, True, True, False, False, False]
    assert ["several" in notes[0] for notes in said] == [False, False, False, True, True, False]
    assert "CMYK" in said[-1][0] and open_photo(as_file(small)).notes == []


# ------------------------------------------------------------------------ what viewers open too


@pytest.mark.parametrize("form, options", [
    ("png", {}), ("jpeg", {}), ("jpeg", {"progressive": True}), ("jpeg", {"quality": 30}), ("bmp", {}), ("ppm", {}),
    ("gif", {}),
])
@pytest.mark.parametrize("missing", [1, 2, 12])
def test_a_few_last_bytes_may_be_missing(small, form, options, missing):
    if form == "gif" and missing > 2:
        return
    whole = as_file(small.resize((384, 256)), form, **options)
    photo = open_photo(whole[:-missing])
    off = np.abs(np.asarray(open_photo(whole).shown, int) - np.asarray(photo.shown))
    known = off[32:] if form == "bmp" else off[:-32]  # which begins at the bottom
    assert known.max() <= (60 if options.get("progressive") else 0)
    assert not off.any() or "last bytes" in photo.notes[0]


@pytest.mark.parametrize("form, options", [
    ("png", {}), ("jpeg", {}), ("jpeg", {"progressive": True}), ("bmp", {}), ("ppm", {}), ("gif", {}), ("webp", {}),
    ("tiff", {}),
])
@pytest.mark.parametrize("share", [0.5, 0.85])
def test_more_may_not(small, form, options, share):
    whole = as_file(small.resize((384, 256)), form, **options)
    refused(open_photo, whole[: int(share * len(whole))])


def chunk(kind: bytes, data: bytes, crc: int | None = None) -> bytes:
    crc = zlib.crc32(kind + data) if crc is None else crc
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


@pytest.mark.parametrize("extra", [
    chunk(b"tEXt", b"Comment\0bad sum", 1), chunk(b"iTXt", b"junk", 7), chunk(b"tIME", b"1234567", 7),
    chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(5_000_000))), chunk(b"zTXt", b"Comment\0\0no stream"),
])
def test_texts_of_a_png_may_be_long_or_damaged(small, extra):
    whole = as_file(small)
    photo = open_photo(whole[:33] + extra + whole[33:])
    assert difference(photo.shown, small) == 0
    assert not photo.notes or "texts" in photo.notes[0]


def test_altered_pixels_of_a_png_are_refused(small):
    whole = bytearray(as_file(small))
    whole[whole.index(b"IDAT") + 40] ^= 255
    refused(open_photo, bytes(whole))


@pytest.mark.parametrize("content, said", [
    (b"", "empty file"), (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "git lfs pull"),
    (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"), (b"\0\0\0\x18ftypmif1\0\0\0\0heic", "HEIC"),
    (b"\0\0\0\x18ftypqt  \0\0\0\0", "a film"), (b"%PDF-1.7 ", "PDF"), (b"8BPS\0\1", "Photoshop"),
    (b"<?xml version='1.0'?>\n<!-- a -->\n<svg xmlns=''>", "SVG"), (b"\n<!DOCTYPE html><html>", "a web page"),
    (b"\0\0\0\x18ftypcrx \0\0\0\1", "RAW"), (b"FUJIFILMCCD-RAW 0201", "RAW"), (b"\0\0\0\x0cJXL \r\n", "JPEG XL"),
    (b"\0\0\1\0\1\0", "icon"), (b"PK\3\4\x14\0", "archive"), (b'{"a": 1}', "a text"),
])
def test_what_is_no_image_is_named_as_what_it_is(tmp_path, content, said):
    (tmp_path / "photo.jpg").write_bytes(content + bytes(40) * bool(content))
    sentence = refused(read_photo, tmp_path / "photo.jpg")
    assert said in sentence and "photo.jpg" in sentence and "not an image that can be read" in sentence


def test_a_raw_file_s_small_preview_is_no_photo(small):
    dng = TiffImagePlugin.ImageFileDirectory_v2()
    dng[50706] = b"\1\4\0\0"
    assert "RAW" in refused(read_photo, as_file(small, "tiff", tiffinfo=dng))


# --------------------------------------------------------------------------------- bad input


def test_missing_file_and_folder(tmp_path):
    assert "none.jpg does not exist" in refused(read_photo, tmp_path / "none.jpg")
    assert "is a folder" in refused(read_photo, tmp_path)
    (tmp_path / "file").touch()
    assert "does not exist" in refused(read_photo, tmp_path / "file" / "a.jpg")


def test_not_an_image(tmp_path):
    for name, content in (("empty.jpg", b""), ("text.jpg", b"hello " * 100), ("zeros.png", bytes(1000))):
        (tmp_path / name).write_bytes(content)
        sentence = refused(read_photo, tmp_path / name)
        assert name in sentence and "not an image" in sentence


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp", ".gif"])
def test_truncated(tmp_path, small, suffix):
    small.save(tmp_path / f"whole{suffix}")
    content = (tmp_path / f"whole{suffix}").read_bytes()
    (tmp_path / f"half{suffix}").write_bytes(content[: len(content) // 2])
    sentence = refused(read_photo, tmp_path / f"half{suffix}")
    assert f"half{suffix}" in sentence and ("cut short" in sentence or "not an image" in sentence)


def test_damaged_bytes_are_read_or_refused(tmp_path, small):
    random = np.random.default_rng(0)
    for suffix in (".png", ".jpg", ".gif"):
        path = tmp_path / f"a{suffix}"
        small.save(path)
        content = path.read_bytes()
        for _ in range(40):
            damaged = np.frombuffer(content, dtype=np.uint8).copy()
            damaged[random.integers(0, min(len(damaged), 500), 8)] = random.integers(0, 256, 8)
            path.write_bytes(damaged.tobytes())
            try:
                assert read_photo(path).mode == "RGB"
            except InputError:
                pass


@pytest.mark.parametrize("size", [(20_000, 20_000), (10_000, 10_000), (8_001, 8_000)])
def test_too_many_pixels_are_refused_before_decoding(tmp_path, size):
    (tmp_path / "huge.png").write_bytes(png_header(*size))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sentence = refused(read_photo, tmp_path / "huge.png")
        assert "64 megapixels" in sentence and "huge.png" in sentence


def test_pixels_up_to_the_limit_are_decoded(tmp_path):
    (tmp_path / "large.png").write_bytes(png_header(8_000, 8_000))
    assert "cut short" in refused(read_photo, tmp_path / "large.png")  # the size alone was no reason


@pytest.mark.parametrize("size", [(1, 60_000_000), (60_000_000, 1), (65_536, 40)])
def test_a_side_that_takes_minutes_to_decode_is_refused(tmp_path, size):
    (tmp_path / "long.png").write_bytes(png_header(*size))
    assert "65535 pixels a side" in refused(read_photo, tmp_path / "long.png")


def test_no_program_is_run_and_nothing_is_waited_for(tmp_path, small, monkeypatch):
    small.save(tmp_path / "a.eps")
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("an EPS ran a program"))
    assert "not an image that can be read" in refused(read_photo, tmp_path / "a.eps")
    os.mkfifo(tmp_path / "pipe.png")
    assert "pipe or a device" in refused(read_photo, tmp_path / "pipe.png")
    assert "pipe or a device" in refused(read_photo, "/dev/zero")


@pytest.mark.parametrize("size, is_read", [((8, 8), False), ((500, 31), False), ((32, 32), True)])
def test_small_photos(tmp_path, size, is_read):
    Image.new("RGB", size, "red").save(tmp_path / "small.png")
    if is_read:
        assert read_photo(tmp_path / "small.png").size == size
    else:
        assert f"{size[0]} x {size[1]} pixels" in refused(read_photo, tmp_path / "small.png")


# ------------------------------------------------------------------------------------- tensors


def test_tensor_round_trip_is_exact():
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    photo = Image.fromarray(np.stack([values, values.T, 255 - values], axis=-1))
    tensor = to_tensor(photo)
    assert tensor.shape == (1, 3, 16, 16) and tensor.dtype == torch.float32
    assert tensor.min() == 0 and tensor.max() == 1
    assert tensor[0, 2, 0, 1] == 254 / 255 and tensor[0, 1, 0, 1] == 16 / 255  # channel, row, column
    assert np.array_equal(np.asarray(to_image(tensor)), np.asarray(photo))


def test_image_rounds_to_the_nearest_and_clamps():
    levels = torch.tensor([-1.0, 0.4 / 255, 0.6 / 255, 99.4 / 255, 254.6 / 255, 2.0])
    pixels = np.asarray(to_image(levels.expand(1, 3, 2, 6)))
    assert pixels[0, :, 0].tolist() == [0, 0, 1, 99, 255, 255]


# ------------------------------------------------------------------------------- faces on disk


def landmarks_of(photo: Image.Image) -> np.ndarray:
    """68 made-up landmarks whose eyes, nose tip and mouth corners are those that are detected."""
    points = detection.detect(photo)[0].points.numpy()
    landmarks = np.repeat(points[2:3], 68, axis=0) + np.arange(68)[:, None] * [0.5, -0.25]
    landmarks[36:42], landmarks[42:48] = points[0], points[1]
    landmarks[[30, 48, 54]] = points[2:]
    return landmarks.round(3)


@pytest.fixture(scope="module")
def portrait(astronaut) -> Image.Image:
    """The astronaut's head and shoulders, 256 x 256 pixels: quicker to search for a face."""
    return astronaut.crop((96, 0, 352, 256))


@pytest.fixture(scope="module")
def face_rows(portrait) -> list[dict]:
    known = {"source": "scikit-image", "licence": "public domain", "expression": "smiling"}
    landmarks = landmarks_of(portrait).tolist()
    return [
        {"file_name": "images/b.png", "identity": "zoe", "landmarks": landmarks, "split": "train", **known},
        {"file_name": "images/a.png", "identity": "amy", "landmarks": None, "split": "train", **known},
        {"file_name": "images/c.png", "identity": "mia", "landmarks": landmarks, "split": "test", **known},
    ]


@pytest.fixture
def face_folder(tmp_path, portrait, face_rows) -> Path:
    (tmp_path / "images").mkdir()
    for name in "abc":
        portrait.save(tmp_path / "images" / f"{name}.png", compress_level=1)
    write_rows(tmp_path, face_rows)
    return tmp_path


def write_rows(root: Path, rows: list[dict]) -> None:
    (root / "metadata.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")


def test_item_is_a_batch_of_one_aligned_face(face_folder, portrait, face_rows):
    folder = FaceFolder(face_folder, split="train", size=128)
    assert len(folder) == 2
    face = folder[0]
    assert isinstance(face, Faces) and face.name == ("b",)
    assert face.image.shape == (1, 3, 128, 128) and face.image.dtype == torch.float32
    assert face.landmarks.shape == (1, 68, 2) and face.landmarks.dtype == torch.float32

    in_photo = torch.tensor(face_rows[0]["landmarks"], dtype=torch.float64)
    crop = align.crop_from_landmarks(in_photo)
    assert torch.equal(face.image, align.cut(to_tensor(portrait), crop, 128))
    back = align.to_photo(face.landmarks[0].double(), crop, 128)
    torch.testing.assert_close(back, in_photo, atol=1e-3, rtol=0)
    assert align.five_points(face.landmarks)[0, 0, 1] == pytest.approx(60, abs=4)  # the eyes' height


def test_face_without_landmarks_is_detected_once(face_folder, monkeypatch):
    folder = FaceFolder(face_folder, split="train", size=64)
    face = folder[1]
    assert face.landmarks.isnan().all() and face.landmarks.shape == (1, 68, 2)
    # The made-up landmarks of the other row agree with what is detected.
    assert (face.image - folder[0].image).abs().max() < 0.01
    monkeypatch.setattr(detection, "detect", None)
    assert torch.equal(folder[1].image, face.image)


def test_identities_are_the_same_for_every_split(face_folder):
    everyone, train, test = (FaceFolder(face_folder, split, size=32) for split in (None, "train", "test"))
    assert everyone.identities == train.identities == test.identities == ["amy", "mia", "zoe"]
    assert [face.identity.tolist() for face in everyone] == [[2], [0], [1]]
    assert test[0].identity.dtype == torch.int64 and test[0].identity.tolist() == [1]
    assert Faces.cat(list(everyone)).image.shape == (3, 3, 32, 32)


def test_margin_shows_more_and_mirrors_beyond_the_photo(face_folder, portrait, face_rows):
    near, wide = (FaceFolder(face_folder, "test", size=64, margin=margin)[0] for margin in (1.0, 2.0))
    torch.testing.assert_close(wide.landmarks - 31.5, (near.landmarks - 31.5) / 2, atol=1e-3, rtol=0)
    crop = align.crop_from_landmarks(torch.tensor(face_rows[2]["landmarks"]), margin=2.0)
    above = [-0.5 - align.to_crop(torch.tensor([x, -0.5]), crop, 64)[1].item() for x in (0.0, 255.0)]
    assert max(above) < -3  # some rows of the crop lie above the photo
    assert wide.image[..., :3, :].std() > 0.01


def test_a_folder_remembers_how_large_each_face_was_in_its_photo(face_folder, face_rows, portrait):
    """Two sizes of the same photo; only what was read is known."""
    large = portrait.resize((2 * portrait.width, 2 * portrait.height))
    large.save(face_folder / "images" / "large.png")
    twice = (2 * np.array(face_rows[0]["landmarks"])).tolist()
    row = face_rows[0] | {"file_name": "images/large.png", "split": "size", "landmarks": twice}
    write_rows(face_folder, [face_rows[0] | {"split": "size"}, row, row])
    folder = FaceFolder(face_folder, "size", size=32)
    assert folder.sides == {}
    crop = align.crop_from_landmarks(torch.tensor(face_rows[0]["landmarks"], dtype=torch.float64))
    for index in (1, 0):
        assert folder[index].image.shape[-1] == 32
    assert folder.sides == {0: pytest.approx(2 * crop.half_side), 1: pytest.approx(4 * crop.half_side)}


def test_folder_can_be_loaded_by_workers(face_folder):
    folder = FaceFolder(face_folder, "train", size=32)
    loader = torch.utils.data.DataLoader(folder, batch_size=2, collate_fn=Faces.cat, num_workers=1)
    (batch,) = loader
    assert batch.image.shape == (2, 3, 32, 32) and batch.name == ("b", "a")


def test_no_face_folder(tmp_path):
    sentence = refused(FaceFolder, tmp_path)
    assert "metadata.jsonl" in sentence and "file_name" in sentence and "landmarks" in sentence
    assert "metadata.jsonl" in refused(FaceFolder, tmp_path / "none")
    (tmp_path / "metadata.jsonl").write_text("\n")
    assert "no rows" in refused(FaceFolder, tmp_path)


def test_unknown_split_names_those_there_are(face_folder):
    sentence = refused(FaceFolder, face_folder, "tset")
    assert "'tset'" in sentence and "test, train" in sentence


@pytest.mark.parametrize("line, words", [
    ("{", ["Line 2", "not JSON"]),
    ("[1, 2]", ["Line 2", "not a row"]),
    ('"file_name identity landmarks split source licence"', ["Line 2", "not a row"]),
])
def test_bad_lines_are_named(face_folder, face_rows, line, words):
    (face_folder / "metadata.jsonl").write_text(json.dumps(face_rows[0]) + "\n" + line + "\n")
    sentence = refused(FaceFolder, face_folder)
    assert all(word in sentence for word in words)


@pytest.mark.parametrize("key, there, words", [
    ("landmarks", "landmark", ["'landmarks'", "rename its 'landmark'"]),
    ("licence", "license", ["'licence'", "rename its 'license'"]),
    ("split", None, ["'split'", "add it"]),
])
def test_missing_key_names_the_nearest(face_folder, face_rows, key, there, words):
    row = dict(face_rows[1])
    value = row.pop(key)
    if there:
        row[there] = value
    write_rows(face_folder, [face_rows[0], face_rows[2], row])
    sentence = refused(FaceFolder, face_folder)
    assert "Line 3" in sentence and all(word in sentence for word in words)


@pytest.mark.parametrize("change, word", [
    ({"identity": 7}, "'identity'"),
    ({"split": None}, "'split'"),
    ({"landmarks": [[1, 2]] * 67}, "68 pairs"),
    ({"landmarks": [[1, 2]] * 67 + [[1]]}, "68 pairs"),
    ({"landmarks": [[1, 2]] * 67 + [[1, float("nan")]]}, "68 pairs"),
    ({"landmarks": "none"}, "68 pairs"),
])
def test_bad_values_are_named(face_folder, face_rows, change, word):
    write_rows(face_folder, [{**face_rows[0], **change}])
    sentence = refused(FaceFolder, face_folder)
    assert "Line 1" in sentence and word in sentence


def test_missing_image_is_found_at_once(face_folder):
    (face_folder / "images" / "c.png").unlink()
    FaceFolder(face_folder, "train")  # does not need it
    assert "images/c.png" in refused(FaceFolder, face_folder, "test")


def test_image_without_a_face_is_named(face_folder):
    Image.new("RGB", (64, 64), "grey").save(face_folder / "images" / "a.png")
    folder = FaceFolder(face_folder, "train")
    sentence = refused(folder.__getitem__, 1)
    assert "a.png" in sentence and "no face" in sentence


def test_landmarks_that_span_no_square_are_named(face_folder, face_rows):
    write_rows(face_folder, [{**face_rows[0], "landmarks": [[5, 5]] * 68}])
    sentence = refused(FaceFolder(face_folder).__getitem__, 0)
    assert "b.png" in sentence and "landmarks" in sentence


def test_reader_ends_with_the_folder(face_folder):
    with pytest.raises(IndexError):
        FaceFolder(face_folder)[3]


@pytest.mark.parametrize("scale, shift", [(1000, 0), (1e9, 0), (1e300, 0), (0.001, 0), (1, 1e6), (1, -1e12)])
@pytest.mark.parametrize("key", ["landmarks", "points"])
def test_points_far_from_the_photo_are_named_before_memory_ends(face_folder, face_rows, key, scale, shift):
    five = align.five_points(torch.tensor([face_rows[0]["landmarks"]]))[0].tolist()
    points = face_rows[0]["landmarks"] if key == "landmarks" else five
    wrong = {"landmarks": None, key: [[x * scale + shift, y * scale] for x, y in points]}
    write_rows(face_folder, [face_rows[0] | wrong, *face_rows[1:]])
    assert f"{key} that outline no face" in refused(FaceFolder(face_folder).__getitem__, 0)


@pytest.mark.parametrize("value", ["[" * 100_000, "9" * 5000])
def test_json_that_python_gives_up_on_is_named(face_folder, face_rows, value):
    text = json.dumps(face_rows[0] | {"more": 0}).replace('"more": 0', f'"more": {value}')
    (face_folder / "metadata.jsonl").write_text(text)
    assert "Line 1" in refused(FaceFolder, face_folder)
