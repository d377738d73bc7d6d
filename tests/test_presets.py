"""Presets: overrides reach the setting they name, and everything else is said."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, asdict, fields, replace

import pytest

from faceinpaint.basics.errors import InputError
from faceinpaint.training.presets import PRESETS, Preset, preset

STAGES = [stage.name for stage in fields(Preset)]
SETTINGS = [(stage, key) for stage in STAGES for key in asdict(Preset())[stage]]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_comes_as_it_is(name: str) -> None:
    assert preset(name) == PRESETS[name]
    assert list(PRESETS) == ["smoke", "cpu", "gpu"]


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("stage, key", SETTINGS)
def test_every_setting_can_be_overridden(name: str, stage: str, key: str) -> None:
    value = asdict(PRESETS[name])[stage][key]
    changed = preset("smoke", [f"{stage}.{key}={value}"])
    kept = replace(getattr(PRESETS["smoke"], stage), **{key: value})
    assert changed == replace(PRESETS["smoke"], **{stage: kept})
    found = getattr(getattr(changed, stage), key)
    assert type(found) is type(value)


def test_overrides_add_up_and_the_last_one_wins() -> None:
    texts = ["completion.lr=3e-4", "landmarks.steps=7", "completion.lr=5e-4", "completion.size=64"]
    changed = preset("cpu", texts)
    assert (changed.completion.lr, changed.completion.size, changed.landmarks.steps) == (5e-4, 64, 7)
    assert changed.recogniser == PRESETS["cpu"].recogniser
    assert PRESETS["cpu"] == Preset()  # the preset itself is never changed


@pytest.mark.parametrize("word, value", [("true", True), ("False", False), ("TRUE", True), ("false", False)])
def test_yes_and_no_are_written_true_and_false(word: str, value: bool) -> None:
    assert preset("cpu", [f"completion.prior={word}"]).completion.prior is value


@pytest.mark.parametrize("text", [" completion.size = 64 ", "completion.size=64", "completion.size= 64"])
def test_spaces_do_not_matter(text: str) -> None:
    assert preset("cpu", [text]).completion.size == 64


def test_a_whole_number_is_a_fine_fraction() -> None:
    rate = preset("cpu", ["completion.lr=1"]).completion.lr
    assert rate == 1.0 and isinstance(rate, float)


@pytest.mark.parametrize(
    "text, nearest",
    [
        ("completion.stepz=3", "steps"),
        ("completion.discriminater_width=3", "discriminator_width"),
        ("landmarks.learning=3", "lr"),
        ("completion.=3", None),
        ("completon.steps=3", "completion"),
        ("landmark.steps=3", "landmarks"),
        ("recognizer.steps=3", "recogniser"),
    ],
)
def test_a_misspelt_name_gets_the_nearest_and_all(text: str, nearest: str | None) -> None:
    with pytest.raises(InputError) as error:
        preset("cpu", [text])
    stage = text.partition(".")[0]
    valid = [key for name, key in SETTINGS if name == stage] or STAGES
    assert f"did you mean '{nearest or valid[0]}'" in str(error.value) or nearest in (None, "lr")
    assert ", ".join(valid) in str(error.value)


@pytest.mark.parametrize(
    "text, kind",
    [
        ("completion.steps=many", "int"),
        ("completion.steps=1.5", "int"),
        ("completion.steps=", "int"),
        ("completion.lr=fast", "float"),
        ("completion.prior=1", "bool"),
        ("completion.prior=yes", "bool"),
    ],
)
def test_a_value_of_a_wrong_type_is_said(text: str, kind: str) -> None:
    path, _, value = text.partition("=")
    with pytest.raises(InputError) as error:
        preset("cpu", [text])
    assert str(error.value) == f"{path} takes a value of type {kind}, not '{value}'"


@pytest.mark.parametrize(
    "text", ["completion.lr", "lr=1", "", "=", "steps", "completion lr 1", "completion=3.5"]
)
def test_a_wrong_form_is_answered_with_an_example(text: str) -> None:
    with pytest.raises(InputError, match=r"write stage\.key=value, for example completion\.lr=1e-4"):
        preset("cpu", [text])


@pytest.mark.parametrize("name", ["fast", "", "CPU"])
def test_an_unknown_preset_is_answered_with_all(name: str) -> None:
    with pytest.raises(InputError, match="smoke, cpu, gpu"):
        preset(name)


def test_settings_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        preset("cpu").completion.lr = 1.0


def test_sizes_fit_the_generator_and_the_smoke_preset_is_small() -> None:
    for name, chosen in PRESETS.items():
        assert chosen.completion.size % 8 == 0, name
        assert chosen.completion.adversarial_from < chosen.completion.steps, name
    smoke = PRESETS["smoke"]
    assert max(getattr(smoke, stage).steps for stage in STAGES) <= 50
    assert smoke.completion.size <= 64


@pytest.mark.parametrize("value", ["nan", "inf", "-1"])
def test_a_number_that_means_nothing_is_refused(value: str) -> None:
    with pytest.raises(InputError, match="from 0 upwards"):
        preset("cpu", [f"completion.lr={value}"])


@pytest.mark.parametrize(
    "text, nearest",
    [("recogniser.network=resnet18", "resnet"), ("recogniser.head=cos", "cosface")],
)
def test_a_word_that_is_not_one_of_the_choices_gets_the_nearest(text: str, nearest: str) -> None:
    with pytest.raises(InputError, match=f"did you mean '{nearest}'"):
        preset("cpu", [text])


def test_two_recognisers_of_different_kinds_and_people_can_be_asked_for() -> None:
    words = ["network=resnet", "head=cosface"]
    chosen = preset("cpu", [f"recogniser.{word}" for word in words]).recogniser
    assert (chosen.network, chosen.head) == ("resnet", "cosface")
    plain = preset("cpu").recogniser
    assert (plain.network, plain.head) == ("mobilefacenet", "arcface")


@pytest.mark.parametrize("key", ["validation", "people", "rendered"])
def test_nothing_can_be_learnt_from_no_faces(key: str) -> None:
    with pytest.raises(InputError, match=f"recogniser.{key} takes a number from 1 upwards"):
        preset("cpu", [f"recogniser.{key}=0"])


@pytest.mark.parametrize("text, said", [
    ("completion.batch=99999999999999999999", "up to 65,536"), ("landmarks.size=100000", "up to 1,024"),
    ("recogniser.width=1e300", "up to 1,024"), ("completion.ema=1.5", "up to 1,"),
    ("completion.size=100", "multiple of 8"),
    ("landmarks.steps=" + "9" * 18, "up to 1,000,000,000"), ("completion.lr=1e12", "up to 1,000,000,000"),
])
def test_a_number_that_no_memory_is_enough_for_is_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=f"{text.partition('=')[0]} takes .*{said}"):
        preset("cpu", [text])
