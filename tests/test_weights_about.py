"""What a weight file says about itself, or the manifest about it."""

from __future__ import annotations

import json
import shutil

import pytest
from test_weights import Small, package, saved  # noqa: F401  (package and saved are fixtures)

from faceinpaint import weights
from faceinpaint.basics.errors import InputError


@pytest.fixture
def told(tmp_path):
    """A file that says who trained it."""
    path = tmp_path / "told.safetensors"
    weights.save(Small(4), {"width": 4}, path, trainer="somebody", licence="CC0 1.0")
    return path


def test_a_file_says_what_it_was_saved_with_and_still_loads(told):
    assert weights.about(told, "trainer") == weights.about(str(told), "trainer") == "somebody"
    assert weights.about(told, "architecture") == "Small"
    assert json.loads(weights.about(told, "settings")) == {"width": 4}
    assert weights.load(told, Small).linear.out_features == 4


def test_the_manifest_answers_for_a_shipped_file_that_does_not(package):  # noqa: F811
    assert weights.about("small", "licence") == "MIT" and weights.about("small", "architecture") == "Small"


def test_the_file_knows_better_than_the_manifest(package, told):  # noqa: F811
    weights.ship("told", told, licence="MIT", attribution="nobody")
    assert weights.about("told", "licence") == "CC0 1.0" and weights.about("told", "attribution") == "nobody"
    assert weights.about("told", "trainer") == "somebody"


def test_where_neither_says_anything_there_is_nothing(package, saved, tmp_path):  # noqa: F811
    assert weights.about("small", "trainer") is None
    assert weights.about(saved, "licence") is None  # the manifest speaks of names alone
    shutil.copy(saved, tmp_path / "small.safetensors")
    assert weights.about(tmp_path / "small.safetensors", "licence") is None


@pytest.mark.parametrize("name, said", [
    ("nothing.safetensors", "there is no weight file .*nothing.safetensors: give a .safetensors file or one of small"),
    ("smal", "no weights named 'smal'"),
])
def test_a_file_that_is_not_there_is_said(package, tmp_path, name, said):  # noqa: F811
    for function in (weights.file_of, lambda given: weights.about(given, "licence")):
        with pytest.raises(InputError, match=said):
            function(tmp_path / name if "." in name else name)


def test_the_file_of_a_name_is_the_shipped_one_and_that_of_a_path_itself(package, told):  # noqa: F811
    assert weights.file_of("small") == package / "small.safetensors" and weights.file_of(str(told)) == told
    (package / "small.safetensors").write_bytes(told.read_bytes())
    weights.path_of.cache_clear()
    with pytest.raises(InputError, match="altered"):
        weights.file_of("small")
