"""`secondsight recogniser` and `secondsight bench recognition`, as they are called."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from typer.testing import CliRunner

from secondsight import command_line
from server.errors import RecogniserDeviceError
from server.recognition import Device, load_recogniser
from tests.server.recognition.onnx_graphs import constant_graph
from tests.server.recognition.test_onnx_detector import yolov8_columns
from tests.server.recognition.test_segmenters import semantic_logits


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    Image.fromarray(np.zeros((48, 96, 3), np.uint8)).save(path)
    return path


def called(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(command_line.app, [str(word) for word in words])
    return result.exit_code, result.output


def test_a_detector_is_checked_and_looks(tmp_path: Path, picture: Path) -> None:
    address = constant_graph(tmp_path / "net.onnx", {"output0": yolov8_columns()})
    code, told = called("recogniser", "check", address, picture)
    assert (code, "every promise kept" in told) == (0, True)
    code, told = called("recogniser", "look", address, picture)
    assert code == 0
    assert "car" in told
    assert "16, 8 to 24, 24" in told


def test_what_is_there_is_listed_with_where_it_runs_and_what_it_takes(tmp_path: Path) -> None:
    address = constant_graph(tmp_path / "net.onnx", {"output0": yolov8_columns()})
    missing = "onnx:/no/such/graph.onnx"
    code, told = called("recogniser", "list", "--json", address, missing)
    assert code == 0, told
    first, second = json.loads(told)["recognisers"]
    assert (first["address"], first["device"], first["most_at_once"]) == (address, "cpu", 1)
    assert first["inputs"].endswith("in proportion, on a border")
    assert first["labels"][:2] == ["person", "bicycle"]
    assert "cannot be read" in second["missing"]
    code, told = called("recogniser", "list")
    assert code == 0
    assert all(name in told for name in ("ssd-mobilenet", "nanodet", "persons"))


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="this ONNX Runtime has CUDA"
)
def test_cuda_that_is_not_there_is_an_error_and_auto_takes_the_cpu(tmp_path: Path) -> None:
    address = constant_graph(tmp_path / "net.onnx", {"output0": yolov8_columns()})
    code, told = called("recogniser", "check", address, "--device", "auto")
    assert (code, " on cpu, " in told) == (0, True)
    for asked, remedy in ((address, "onnxruntime-gpu"), ("ssd-mobilenet", "the CPU alone")):
        with pytest.raises(RecogniserDeviceError, match=remedy):
            load_recogniser(asked, minimum_score=0.3, threads=1, device=Device.CUDA)


def test_a_segmenter_tells_shares_of_the_picture(tmp_path: Path, picture: Path) -> None:
    address = constant_graph(tmp_path / "net.onnx", {"logits": semantic_logits()})
    _, told = called("recogniser", "look", address, picture)
    assert "sky" in told
    assert "50.0% of the picture" in told


def test_recognisers_are_timed_beside_the_decoding(tmp_path: Path) -> None:
    address = constant_graph(tmp_path / "net.onnx", {"output0": yolov8_columns()})
    out = tmp_path / "bench.json"
    words = ("--width", 64, "--height", 48, "--calls", 1, "--recogniser", "none", "--recogniser", address)
    code, told = called("bench", "recognition", *words, "--out", out)
    assert code == 0, told
    figures = json.loads(out.read_text())
    assert [(pace["recogniser"][:4], pace["batch"]) for pace in figures["recognisers"]] == [
        ("none", 1),
        ("net-", 1),
    ]
    assert all(pace["frames_per_second"] > 0 for pace in figures["recognisers"])
