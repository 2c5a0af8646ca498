"""The loop closes: a recogniser sees, people judge on human views, and what they say is what it is measured by."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import pytest
from pycocotools.coco import COCO
from redis.asyncio import Redis
from typer.testing import CliRunner

from secondsight.command_line import app
from secondsight.demo.clip import default_clip
from secondsight.demo.errors import ClipError
from server.process import Server
from server.recognition import load_recogniser
from shared_models import Codec
from tests.server.conftest import StartServer
from tests.server.harness import edge_stream, keep_enhancement, recognised

CLIP_FRAMES = (150,)
MISSED = {
    "verdict": "missed",
    "label": "bicycle",
    "box": {"x_min": 200.0, "y_min": 90.0, "x_max": 330.0, "y_max": 268.0},
}


@pytest.fixture
def street() -> list[np.ndarray]:
    """Frames of the clip that the demo shows, 640x272."""
    try:
        path = default_clip()
    except ClipError as error:
        pytest.skip(str(error))
    with av.open(str(path)) as container:
        frames = enumerate(container.decode(video=0))
        return [frame.to_ndarray(format="rgb24") for number, frame in frames if number in CLIP_FRAMES]


async def judge(server: Server) -> int:
    """Say of every detection that it is right, of the last one of all that it is a bus; and what was missed."""
    async with httpx.AsyncClient(base_url=f"http://{server.http_address}") as http:
        frames: list[dict[str, Any]] = (await http.get("/v1/cameras/street/frames")).json()["frames"]
        detections = 0
        for frame in frames:
            address = f"{frame['links']['self']}/marks"
            for number in range(len(frame["result"]["detections"])):
                detections += 1
                said = {"verdict": "right", "detection": number}
                assert (await http.post(address, json=said)).status_code == 201
        said = {"verdict": "wrong", "detection": number, "label": "bus"}
        assert (await http.post(address, json=said)).status_code == 200
        assert (await http.post(address, json=MISSED)).status_code == 201
        return detections


def called(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


async def test_what_people_say_of_results_measures_recognisers(
    start_server: StartServer, codec: Codec, street: list[np.ndarray], client: Redis, tmp_path: Path
) -> None:
    folder, figures = tmp_path / "marked", tmp_path / "figures.json"
    recogniser = load_recogniser("ssd-mobilenet", minimum_score=0.1, threads=1)
    async with start_server(recogniser) as server, edge_stream(server, codec, "street") as edge:
        await edge.hello()
        for sequence, picture in enumerate(street, 1):
            layers = codec.encode(picture)
            await keep_enhancement(client, await edge.send(sequence, layers), layers)
        await recognised(client, len(street), "street")
        detections = await judge(server)
        told = await asyncio.to_thread(
            called, "marks", "export", folder, "--server", f"http://{server.http_address}", "--png"
        )
    assert f"{len(street)} human views" in told

    truth = COCO(str(folder / "instances.json"))
    assert len(truth.imgs) == len(street)
    assert len(truth.anns) == detections + 1
    labels = {category["name"] for category in truth.cats.values()}
    assert {"bus", "bicycle"} <= labels
    assert [wrong["label"] for wrong in truth.dataset["wrong"]] == ["bus"]
    assert all(image["unmarked_detections"] == 0 for image in truth.imgs.values())

    words = ("--detector", "ssd-mobilenet", "--no-peers", "--resamples", 5, "--out", figures)
    await asyncio.to_thread(called, "eval", "recognition", folder, *words)
    original = json.loads(figures.read_text())["detectors"]["ssd-mobilenet"]["original"]
    # What it saw was mostly right, and the bicycle was not seen.
    assert 0 < original["ap50"]["value"] < 1
