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
from server.errors import InvalidRecogniserError, RecogniserDeviceError, RecogniserError
from server.evaluation.cache import Cache
from server.recognition import ENTRY_POINTS, Device, load_recogniser
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


PACKAGE = """
from server.recognition import Detection, OneByOne, Seen

class Sees(OneByOne):
    name, labels = "sees", ("door",)
    def __init__(self, address, *, minimum_score, threads, device):
        self.address = address
    def see(self, image):
        door = Detection("door", 0.5, 0, 0, 1, 1)
        if self.address == "raises":
            raise ZeroDivisionError("no doors today")
        return {
            "": Seen((door,)), "none": None, "list": [door], "names": Seen(("door",)), "empty": Seen(None),
            "nan": Seen((Detection("door", float("nan"), 0, 0, 1, 1),)),
            "word": Seen((Detection("door", "high", 0, 0, 1, 1),)),
        }[self.address]

class Nobody(Sees):
    def recognise(self, images):
        return None

class Raises(Sees):
    def __init__(self, address, *, minimum_score, threads, device):
        raise TypeError("no weights")

class Unwilling(Sees):
    @property
    def labels(self):
        raise OSError("no labels")

class Mute(Sees):
    labels = None

def unwanted(address):
    return None
"""
BROKEN = {
    "raises": ("Raises", "Raises, cannot be made (TypeError: no weights)"),
    "no-module": ("of_nobody:Sees", "of_nobody:Sees, cannot be made (ModuleNotFoundError"),
    "no-class": ("Gone", "Gone, cannot be made (AttributeError"),
    "wrong-signature": ("unwanted", "unwanted, cannot be made (TypeError"),
    "unwilling": ("Unwilling", "Unwilling, cannot be made (OSError: no labels)"),
}


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of somebody else's, of whose recognisers one is sound."""
    (tmp_path / "doors.py").write_text(PACKAGE)
    classes = {name: made for name, (made, _) in BROKEN.items()}
    entries = {**classes, "doors": "Sees", "nobody": "Nobody", "mute": "Mute"}
    lines = [f"{name} = {made if ':' in made else f'doors:{made}'}" for name, made in entries.items()]
    (tmp_path / "doors-1.dist-info").mkdir()
    (tmp_path / "doors-1.dist-info" / "METADATA").write_text("Name: doors\nVersion: 1\n")
    (tmp_path / "doors-1.dist-info" / "entry_points.txt").write_text("\n".join([f"[{ENTRY_POINTS}]", *lines]))
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("others")
def test_a_broken_recogniser_is_listed_with_what_is_wrong_beside_the_others() -> None:
    code, told = called("recogniser", "list", "--json")
    assert code == 0, told
    listed = {each["address"]: each for each in json.loads(told)["recognisers"]}
    assert listed["doors"]["labels"] == ["door"]
    assert "cannot say what it is" in listed["mute"]["missing"]
    for name, (_, why) in BROKEN.items():
        assert why in listed[name]["missing"]
    code, told = called("recogniser", "list")
    assert code == 0, told


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize("name", BROKEN)
def test_a_recogniser_that_cannot_be_made_is_a_typed_error(name: str) -> None:
    with pytest.raises(InvalidRecogniserError) as refusal:
        load_recogniser(name, minimum_score=0.3, threads=1)
    assert BROKEN[name][1] in str(refusal.value)


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("doors:raises", "failed at 1 pictures (ZeroDivisionError: no doors today)"),
        ("doors:none", "gave nothing for a picture, and no Seen"),
        ("doors:list", "gave a list for a picture, and no Seen"),
        ("doors:names", "gave a str among its detections"),
        ("doors:empty", "gave nothing as detections"),
        ("doors:nan", "a 'door' whose score and box are no numbers: nan, 0, 0, 1, 1"),
        ("doors:word", "a 'door' whose score and box are no numbers: high"),
        ("nobody", "gave nothing for 1 pictures, and no list"),
    ],
)
def test_an_answer_that_is_none_is_told_and_no_traceback(picture: Path, address: str, why: str) -> None:
    for words in (("look", address, picture), ("look", "--json", address, picture)):
        code, told = called("recogniser", *words)
        assert code == 1
        assert why in told


@pytest.mark.usefixtures("others")
def test_a_recogniser_that_raises_ends_a_bench_with_its_error() -> None:
    words = ("--width", 64, "--height", 48, "--calls", 1, "--recogniser", "doors:raises")
    code, told = called("bench", "recognition", *words)
    assert code == 1
    assert "the recogniser sees failed at 1 pictures (ZeroDivisionError: no doors today)" in told


@pytest.mark.usefixtures("others")
def test_a_recogniser_that_raises_ends_an_evaluation_with_its_error() -> None:
    raising = load_recogniser("doors:raises", minimum_score=0.3, threads=1)
    with Cache(None) as kept, pytest.raises(RecogniserError, match="no doors today"):
        kept.detections(raising, "digest", lambda: np.zeros((8, 8, 3), np.uint8))


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    address = constant_graph(tmp_path / "net.onnx", {"output0": yolov8_columns()})
    unscaled = tmp_path / "depth.tif"
    Image.fromarray(np.zeros((48, 96), np.float32)).save(unscaled)
    for path, why in (
        (unscaled, "scale it to 8 or 16 bits"),
        (tmp_path / "gone.png", "gone.png cannot be read"),
    ):
        for command in ("look", "check"):
            code, told = called("recogniser", command, address, path)
            assert (code, why in told) == (1, True), told
