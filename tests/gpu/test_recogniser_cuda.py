"""Recognisers on CUDA: they say that they run there, keep every promise, and see what they see on the CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from server.recognition import Device, load_recogniser
from server.recognition.conformance import faults_of
from server.recognition.networks import network_folder
from shared_models.evaluation.speed import pink_noise
from tests.server.recognition.onnx_graphs import constant_graph
from tests.server.recognition.test_onnx_detector import yolov8_columns


@pytest.fixture(autouse=True, scope="module")
def runtime(gpu: None) -> None:
    """The package of the installation has no CUDA; onnxruntime-gpu has."""
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip(
            f"onnxruntime {onnxruntime.__version__} has no CUDA: install onnxruntime-gpu in its place"
        )


@pytest.mark.parametrize("asked", [Device.AUTO, Device.CUDA])
def test_a_graph_runs_on_cuda_and_says_so(tmp_path: Path, asked: Device) -> None:
    address = constant_graph(tmp_path / "net.onnx", {"output0": yolov8_columns()})
    recogniser = load_recogniser(address, minimum_score=0.3, threads=1, device=asked)
    assert recogniser.device is Device.CUDA
    assert faults_of(recogniser) == []


def test_a_network_sees_the_same_on_either() -> None:
    if not (network_folder() / "nanodet-g.onnx").is_file():
        pytest.skip(f"nanodet-g.onnx is not in {network_folder()}: fetch it with `make detectors`")
    picture = np.asarray(pink_noise(270, 480))
    cpu, cuda = (
        load_recogniser("nanodet", minimum_score=0.02, threads=1, device=device).recognise([picture])[0]
        for device in (Device.CPU, Device.CUDA)
    )
    assert [seen.label for seen in cpu.detections[:5]] == [seen.label for seen in cuda.detections[:5]]
    scores = [[seen.score for seen in found.detections[:5]] for found in (cpu, cuda)]
    assert scores[0] == pytest.approx(scores[1], abs=0.01)
