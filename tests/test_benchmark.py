"""The plain reference computes the same picture, and what is measured is compared and extrapolated rightly."""

from __future__ import annotations

import json
import sys
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from conftest import quicken
from torch import nn
from typer.testing import CliRunner

from faceinpaint import masks, weights
from faceinpaint.basics.errors import InputError
from faceinpaint.benchmark import run as benchmark
from faceinpaint.benchmark.plain import DoubledUp, ExplicitAttention, PlainCompleter, PlainPaint, TwoLooks, make_plain
from faceinpaint.benchmark.run import Figure, Setting, exponent, growth, timed
from faceinpaint.benchmark.training import KINDS, PlainMachine, measured
from faceinpaint.cli import commands
from faceinpaint.completion import Completer
from faceinpaint.faces.synthetic.dataset import write_folder
from faceinpaint.generator import Generator, LongShortTermAttention
from faceinpaint.training import Machine, read_log
from faceinpaint.training.presets import PRESETS, CompletionTraining


def test_explicit_attention_is_the_same_function():
    torch.manual_seed(0)
    ours = LongShortTermAttention(16)
    plain = ExplicitAttention(16)
    plain.load_state_dict(ours.state_dict())
    x, encoded = torch.randn(2, 16, 8, 8), torch.randn(2, 16, 8, 8)
    known = (torch.rand(2, 1, 8, 8) > 0.5).float()
    assert torch.allclose(ours(x, encoded, known), plain(x, encoded, known), atol=1e-5)


def test_a_plain_generator_paints_the_same_picture():
    torch.manual_seed(0)
    generator = Generator(8, prior=False)
    plain = deepcopy(generator)
    make_plain(plain)
    parts = plain.up3, plain.up2, plain.up1, plain.attention, plain.paint
    assert [type(part) for part in parts] == [DoubledUp] * 3 + [ExplicitAttention, PlainPaint]
    inputs = torch.rand(1, 3, 64, 64), torch.ones(1, 1, 64, 64), 64 * torch.rand(1, 68, 2)
    assert torch.allclose(generator(*inputs), plain(*inputs), atol=1e-5)


def test_both_complete_to_the_same_picture_and_keep_what_is_known():
    image, mask = torch.rand(1, 3, 64, 64), masks.named("mask01", 64)
    ours, plain = Completer.from_pretrained(size=64), PlainCompleter.from_pretrained(size=64)
    assert type(plain.predictor) is TwoLooks and plain.generator.down2.convolution.weight.dtype == torch.float32
    assert not any(isinstance(part, nn.BatchNorm2d) for part in ours.predictor.modules())
    (here, landmarks), (there, reference) = (one.complete(image, mask) for one in (ours, plain))
    assert torch.allclose(landmarks, reference, atol=1e-3)
    assert (here - there).abs().max() < 0.05  # bfloat16 against float32
    known = mask.expand_as(image) == 0
    assert torch.equal(here[known], image[known]) and torch.equal(there[known], image[known])


def test_the_exponent_is_that_of_made_up_data():
    sizes = [64, 128, 256, 512]
    assert exponent(sizes, [3 * size**1.5 for size in sizes]) == pytest.approx(1.5)
    noisy = [size * factor for size, factor in zip(sizes, (1.1, 0.9, 0.9, 1.1))]
    assert exponent(sizes, noisy) == pytest.approx(1, abs=0.01)


def test_growth_is_fitted_for_each_condition_with_all_others_equal():
    figures = [
        Figure("completion", "s", {"pixels": pixels, "batch": batch}, {"ours": pixels * batch**0.5, "plain": pixels**2})
        for pixels in (100, 400, 900) for batch in (1, 16)
    ]
    figures += [Figure("completion", "images/s", one.at, one.values) for one in figures]  # that's the same once more
    found = {(one["who"], one["by"], *one["at"].values()): one["exponent"] for one in growth(figures)}
    assert found.keys() >= {("ours", "pixels", 1), ("ours", "batch", 400), ("plain", "pixels", 16)}
    assert len(found) == 2 * (2 + 3)
    assert found["ours", "pixels", 16] == pytest.approx(1) and found["plain", "pixels", 1] == pytest.approx(2)
    assert found["ours", "batch", 900] == pytest.approx(0.5)
    assert growth([Figure("import", "s", {}, {"ours": 1.0}), figures[0]]) == []


def test_ratios_say_how_many_times_better_ours_is():
    assert Figure("a", "s", {}, {"ours": 2, "plain": 8, "before": 1}).ratios == {"plain": 4, "before": 0.5}
    assert Figure("a", "MB", {}, {"ours": 2, "plain": 6}).ratios == {"plain": 3}
    assert Figure("a", "images/s", {}, {"ours": 12, "plain": 4}).ratios == {"plain": 3}
    assert Figure("a", "dB", {}, {"ours": 30, "plain": 30}).ratios == {}


def test_contestants_are_timed_in_turn_and_the_first_turn_does_not_count():
    calls = []
    seconds = timed({"ours": lambda: calls.append("ours"), "plain": lambda: calls.append("plain")}, repeats=2)
    assert calls == ["ours", "plain"] * 3
    assert seconds.keys() == {"ours", "plain"} and all(value > 0 for value in seconds.values())


def test_plain_is_left_out_where_its_attention_matrix_would_not_fit():
    setting = Setting(against="other.safetensors")
    assert benchmark._contestants(setting, 512, 1) == ["ours", "plain", "before"]
    assert benchmark._contestants(setting, 512, 16) == benchmark._contestants(setting, 1024, 1) == ["ours", "before"]


@pytest.fixture
def narrow(tmp_path):
    """Weights of a generator with whole residual blocks."""
    network = Generator(8, rank=0)
    weights.save(network, network.settings, tmp_path / "narrow.safetensors")
    return str(tmp_path / "narrow.safetensors")


def test_plain_is_that_of_the_shipped_generator_whatever_ours_is(narrow):
    setting = Setting(weights=narrow, against=narrow)
    made = {who: benchmark._completer(who, 64, setting).generator for who in ("ours", "plain", "before")}
    assert [generator.rank for generator in made.values()] == [0, 32, 0]


def test_a_small_bench_writes_its_table_and_its_json(tmp_path, narrow):
    chapters = tmp_path / "chapters.csv"
    chapters.write_text("chapter,seconds,memory_mb\n00_start_here,12.5,900\n01_data_and_masks,8.0,\n")
    setting = Setting(sizes=(64, 72), batches=(1, 2), repeats=1, weights=narrow, against="generator", course=chapters)
    text = benchmark.bench(["completion", "masks", "notebooks"], setting, tmp_path)
    content = json.loads((tmp_path / "bench.json").read_text())
    assert content.keys() == {"machine", "figures", "growth"}
    assert content["machine"]["threads"] == torch.get_num_threads() and content["machine"]["weights"] == narrow
    first = content["figures"][0]
    assert first.keys() == {"name", "unit", "at", "values", "ratios"}
    assert first["name"] == "completion" and first["at"] == {"pixels": 4096, "batch": 1}
    assert first["ratios"]["before"] == pytest.approx(first["values"]["before"] / first["values"]["ours"])
    assert {one["by"] for one in content["growth"]} == {"pixels", "batch"}
    chapter = [one for one in content["figures"] if one["name"] == "chapter 00_start_here"]
    assert [(one["unit"], one["values"]["ours"]) for one in chapter] == [("s", 12.5), ("MB", 900)]
    assert "64 px, batch 1" in text and "grows with pixels^" in text and "chapter 01_data_and_masks" in text


SLOW_SERVER = """
import sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer

class Slow(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200 if self.path == "/?token=a" else 403)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"4\\r\\n<h1>\\r\\n")
        time.sleep(0.2)
        self.wfile.write(b"0\\r\\n\\r\\n")

server = HTTPServer(("127.0.0.1", int(sys.argv[2])), Slow)
print("The studio is starting.")
print(f"The studio is at http://127.0.0.1:{sys.argv[2]}/?token=a", flush=True)
server.serve_forever()
"""


def test_a_visitor_of_the_studio_waits_for_the_page_its_masks_and_faces(monkeypatch):
    """The page of a stand-in: that the command serves the studio's is what `tests/test_studio_browser.py` asks."""
    assert benchmark.SERVER[1:] == ["-m", "faceinpaint", "studio", "--no-browser"]
    monkeypatch.setattr(benchmark, "SERVER", [sys.executable, "-c", SLOW_SERVER])
    figures = benchmark.studio(Setting(repeats=1))
    assert [one.name for one in figures] == [f"studio: {name}" for name in ("name", "page", "open", "mask", "generate")]
    assert all(one.unit == "s" and one.values["ours"] > 0 for one in figures)
    assert figures[1].values["ours"] - figures[0].values["ours"] >= 0.1


def test_what_can_not_be_measured_is_refused_before_anything_is(tmp_path):
    with pytest.raises(InputError, match="did you mean 'completion'"):
        benchmark.bench(["completoin"], Setting(), tmp_path)
    with pytest.raises(InputError, match="--course"):
        benchmark.bench(["completion", "notebooks"], Setting(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_command_takes_parts_and_sizes(tmp_path):
    chapters = tmp_path / "chapters.csv"
    chapters.write_text("chapter,seconds,memory_mb\n00_start_here,12.5,900\n")
    command = ["bench", "notebooks", "masks", "--repeats", "1", "--course", str(chapters), "--out", str(tmp_path)]
    result = CliRunner().invoke(commands.app, [*command, "--size", "64", "72"])
    assert result.exit_code == 0, result.exception
    content = json.loads((tmp_path / "bench.json").read_text())
    assert [one["at"] for one in content["figures"]][-2:] == [{"pixels": 64**2}, {"pixels": 72**2}]
    assert [one["by"] for one in content["growth"]] == ["pixels"] and "chapter 00_start_here" in result.output
    refused = CliRunner().invoke(commands.app, [*command, "--size", "65"])
    assert isinstance(refused.exception, InputError) and "multiples of 8" in str(refused.exception)


def test_the_training_benchmark_measures_the_same_losses_both_ways(tmp_path):
    """One run of each kind: the plain one differs in its arithmetic alone."""
    faces = tmp_path / "faces"
    write_folder(faces, people=3, photos=1, size=80, supersample=1)
    settings = replace(
        PRESETS["smoke"].completion, steps=2, adversarial_from=1, precision="fp32", validate_every=100,
        milestone_faces=0)
    with pytest.MonkeyPatch.context() as patch:
        quicken(patch)
        runs = {kind: measured(kind, faces, settings, tmp_path / kind) for kind in KINDS}
    ours, plain = (read_log(tmp_path / kind) for kind in ("ours", "plain"))
    for name, (_, values) in plain.items():
        assert ours[name][1] == pytest.approx(values, rel=2e-2, abs=1e-4), name
    assert all(run.memory > 0 and run.images_a_second > 0 for run in runs.values())


def test_the_plain_machine_really_is_plain():
    settings = CompletionTraining(precision="bf16", compile="on")
    plain = PlainMachine(settings)
    generator = plain.quick(Generator(8, prior=False))
    assert type(generator.attention) is ExplicitAttention
    assert generator._compiled_call_impl is None
    assert generator.down2.convolution.weight.is_contiguous()
    optimizer = plain.adam(generator.parameters())
    assert not optimizer.defaults["fused"] and Machine(settings).adam(generator.parameters()).defaults["fused"]
    with plain.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_the_peer_is_as_large_as_it_is_described_and_is_timed_beside_ours():
    peer = benchmark.LaFIn()
    assert sum(one.numel() for one in peer.parameters()) == pytest.approx(11.7e6, rel=0.03)
    image, mask = torch.rand(1, 3, 64, 64), torch.ones(1, 1, 64, 64)
    assert peer(image, mask, mask).shape == image.shape
    with torch.no_grad():
        seconds, pictures = benchmark.completion(Setting(sizes=(64,), batches=(1,), repeats=1, peer=True))
    assert set(seconds.values) == {"ours", "plain", "peer"} and seconds.ratios["peer"] > 0
    assert "peer" in benchmark.table(benchmark.machine(), [seconds, pictures], []).splitlines()[2]
