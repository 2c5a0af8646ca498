"""The examples of docs/examples, run as they stand against a real server that recognises."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av
import pytest
from PIL import Image

from secondsight.client import Client, Settings
from secondsight.demo.clip import default_clip
from secondsight.demo.processes import SERVER_READY, Children
from server.store.config import StoreConfig
from server.store.embedded import EmbeddedStore
from tests.conftest import ROOT

EXAMPLES = ROOT / "docs" / "examples"
RULES = """
default:
  minimum_score: 0.3
  zones:
    street: {polygon: [[0, 0], [1, 0], [1, 1], [0, 1]], labels: [person], alert: true}
"""
PICTURES = 4
PATIENCE = 400.0


@dataclass
class Installation:
    """A server with its store, and pictures of a street that were pushed to it as camera `archive`."""

    settings: Settings
    environment: dict[str, str]
    pictures: Path
    pushed: str = ""

    def run(self, name: str, *arguments: object) -> str:
        """Run an example to its end; what it printed."""
        command = [sys.executable, EXAMPLES / f"{name}.py", *map(str, arguments)]
        result = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    @contextmanager
    def running(self, name: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
        """Run an example that does not end by itself."""
        command = [sys.executable, EXAMPLES / f"{name}.py", *map(str, arguments)]
        with subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, text=True) as process:
            # A read of an example that says nothing ends, too.
            ending = threading.Timer(PATIENCE, process.kill)
            ending.start()
            try:
                yield process
            finally:
                ending.cancel()
                process.terminate()


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("examples")
    rules = folder / "rules.yaml"
    rules.write_text(RULES)
    with EmbeddedStore(StoreConfig(data=folder / "store", port=0)) as store, Children(folder) as children:
        server = children.start(
            "server",
            *("server", "--data", str(folder / "data"), "--store", store.url, "--log-format", "json"),
            *("--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"),
            *("--rules", str(rules)),
        )
        pictures = _pictures(folder / "pictures")
        ready = asyncio.run(server.ready(SERVER_READY, within_s=PATIENCE))
        address = dict(word.split("=", 1) for word in ready.split()[1:])
        settings = Settings(server=f"http://{address['http']}", grpc=address["grpc"])
        given = {"SECONDSIGHT_URL": settings.server, "SECONDSIGHT_SERVER": settings.grpc_address}
        made = Installation(settings, os.environ | given | {"OMP_NUM_THREADS": "1"}, pictures)
        made.pushed = made.run("push_pictures", pictures, "--store", store.url)
        with Client(settings) as client, client.subscribe(start="earliest") as results:
            for _ in range(PICTURES):
                next(results)
        yield made


def _pictures(folder: Path) -> Path:
    """Pictures of the packaged street with somebody in each, a second apart; and a file that is no picture."""
    folder.mkdir()
    (folder / "notes.txt").write_text("no picture")
    with av.open(str(default_clip())) as container:
        for number, frame in enumerate(islice(container.decode(video=0), 80, None, 20)):
            if number == PICTURES:
                break
            path = folder / f"{number}.png"
            frame.to_image().save(path)
            os.utime(path, (0, time.time() - PICTURES + number))
    return folder


def test_pictures_are_pushed_with_their_human_views(installation: Installation) -> None:
    assert installation.pushed.count("with human view") == PICTURES
    assert "notes.txt is left out" in installation.pushed
    assert f"{PICTURES} frames pushed" in installation.pushed
    with Client(installation.settings) as client:
        frames = list(client.frames("archive"))
    assert len(frames) == PICTURES
    assert {frame.enhancement.state for frame in frames} == {"kept"}


def test_a_subscriber_alerts_and_goes_on_after_a_restart(installation: Installation, tmp_path: Path) -> None:
    """Frames that come while it does not run come when it does again, and no others."""
    positions = tmp_path / "seen.json"
    arguments = (
        "subscribe_and_alert",
        "--label",
        "person",
        "--minimum-score",
        "0.3",
        "--positions",
        positions,
    )

    def alerts_until(session: int) -> list[str]:
        with installation.running(*arguments) as process:
            until = time.monotonic() + PATIENCE
            while time.monotonic() < until and not (
                positions.exists() and json.loads(positions.read_text())["archive"] == f"{session}-{PICTURES}"
            ):
                time.sleep(0.05)
            process.terminate()
            assert process.stdout is not None
            return process.stdout.read().splitlines()

    first = alerts_until(session=1)
    assert len(first) == PICTURES
    assert all("archive: " in line and "person" in line for line in first)
    installation.run("push_pictures", installation.pictures)
    assert len(alerts_until(session=2)) == PICTURES


def test_human_views_of_alerts_are_saved_with_their_provenance(
    installation: Installation, tmp_path: Path
) -> None:
    told = installation.run("save_alert_views", tmp_path, "--reason", "trying the example", "--alerts", 2)
    assert told.count("on record as request") == 2
    for path in tmp_path.iterdir():
        with Image.open(path) as image:
            assert image.size == (640, 272)
            assert "archive" in json.dumps(dict(image.info), default=str)


def test_the_wall_shows_every_camera(installation: Installation, tmp_path: Path) -> None:
    told = installation.run("wall", tmp_path / "wall.png", "--times", 1)
    assert told == f"{tmp_path / 'wall.png'}: 1 cameras\n"
    with Image.open(tmp_path / "wall.png") as wall:
        assert wall.size == (320, 180)
        assert len(wall.convert("RGB").getcolors(2**16) or ()) > 1000


def test_a_day_is_exported(installation: Installation, tmp_path: Path) -> None:
    with Client(installation.settings) as client:
        newest = next(client.frames("archive"))
    # By this machine's clock, as the example has it; it may have become another day since.
    day = f"{newest.captured_at.astimezone():%Y-%m-%d}"
    files = installation.run("export_day", "archive", day, tmp_path).splitlines()[-2:]
    results, clip = map(Path, files)
    assert len(json.loads(results.read_text())["images"]) > 0
    with av.open(str(clip)) as film:
        assert film.streams.video[0].width == 640
