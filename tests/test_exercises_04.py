"""Chapter 04: what the package computes passes."""

from __future__ import annotations

from faceinpaint.course import exercises
from faceinpaint.losses import gram_matrix


def test_what_the_package_computes_passes_too():
    assert exercises.get("04.2").check(gram_matrix).passed
