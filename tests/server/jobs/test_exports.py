"""Exports: what others read of them has to be what was stored."""

from __future__ import annotations

import io
import json
import shlex
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as run_lengths
from pycocotools.coco import COCO
from redis.asyncio import Redis
from typer.testing import CliRunner

from secondsight import store_keys
from secondsight.v1 import analytics_pb2
from shared_models import Codec
from shared_models.command import decode
from shared_models.group import GroupFrame
from tests.server.conftest import StartServer
from tests.server.harness import SquareSpotter
from tests.server.jobs.asking import BEGAN, Asking, filmed, open_to, told

Stream = list[GroupFrame]


async def unpacked(asking: Asking, folder: Path, **order: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Ask for an export and unpack it into `folder`; gives the job and its manifest."""
    job = await asking.ended("exports", **order)
    with zipfile.ZipFile(await asking.file(job, folder)) as bundle:
        assert bundle.testzip() is None
        bundle.extractall(folder)
    return job, json.loads((folder / "manifest.json").read_text())


async def test_results_are_a_coco_dataset(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis, tmp_path: Path
) -> None:
    async with start_server(SquareSpotter()) as server, open_to(server) as asking:
        await filmed(server, codec, stream, client)
        await filmed(server, codec, stream[:2], client, "yard")
        await _add_masks(client)
        job = await asking.ended("exports", kind="results", cameras=["yard", "gate"])
        coco = COCO(str(await asking.file(job, tmp_path)))
    assert {about["name"] for about in coco.loadCats(coco.getCatIds())} == {
        "square",
        "shadow",
        "person",
        "road",
    }
    assert len(coco.getImgIds()) == 9
    of_yard = [image for image in coco.dataset["images"] if image["camera"] == "yard"]
    assert [image["frame"] for image in of_yard] == ["2-1", "2-2"]
    plain = coco.loadAnns(coco.getAnnIds(of_yard[0]["id"]))
    assert [(about["score"], about["bbox"]) for about in plain] == [
        (0.9, [0, 0, 48, 32]),
        (0.4, [48, 32, 48, 32]),
    ]
    assert [about["area"] for about in plain] == [48 * 32, 48 * 32]

    (rich,) = [image for image in coco.dataset["images"] if image["file_name"] == "gate/1-3.jpg"]
    person, road = coco.loadAnns(coco.getAnnIds(rich["id"]))
    assert person["category_id"] == 1, "labels that COCO has keep its numbers"
    assert (person["track"], person["zones"]) == ("7", ["drive"])
    assert np.array_equal(coco.annToMask(person), _person())
    assert np.array_equal(coco.annToMask(road), _numbers() == 4)
    assert (road["is_thing"], person["area"]) == (False, 200)
    left_out = coco.dataset["info"]["left_out_frames"]
    assert [(frame["frame"], frame["why"]) for frame in left_out] == [("1-4", "recognition-failed")]


def _person() -> np.ndarray:
    mask = np.zeros((64, 96), np.uint8)
    mask[10:20, 30:50] = 1
    return mask


def _numbers() -> np.ndarray:
    numbers = np.zeros((64, 96), np.uint8)
    numbers[40:] = 4
    return numbers


async def _add_masks(client: Redis) -> None:
    """Have frame 1-3 of the camera gate hold what an instance and a panoptic segmenter say, and 1-4 a failure."""
    key = store_keys.results("gate")
    entries: Any = await client.xrange(key)
    results = {
        name.decode(): analytics_pb2.RecognitionResult.FromString(fields[store_keys.RESULT_FIELD])
        for name, fields in entries
    }
    png = io.BytesIO()
    Image.fromarray(_numbers()).save(png, "PNG")
    counts = run_lengths.encode(np.asfortranarray(_person()))["counts"]
    person = analytics_pb2.Detection(
        label="person",
        score=0.8,
        box=analytics_pb2.Box(x_min=30, y_min=10, x_max=50, y_max=20),
        mask=analytics_pb2.Mask(height=64, width=96, counts=counts),
        track="7",
        zones=["drive"],
    )
    road = analytics_pb2.Segment(number=4, label="road", score=0.7)
    rich = results["1-3"]
    rich.ClearField("detections")
    rich.detections.append(person)
    rich.segmentation.CopyFrom(analytics_pb2.Segmentation(numbers_png=png.getvalue(), segments=[road]))
    results["1-4"].ClearField("detections")
    results["1-4"].failure = "the layer is damaged"
    await client.delete(key)
    for name, result in results.items():
        await client.xadd(key, {store_keys.RESULT_FIELD: result.SerializeToString()}, id=name)


async def test_layers_are_decoded_by_the_commands_of_their_manifest(
    start_server: StartServer,
    codec: Codec,
    stream: Stream,
    client: Redis,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    views = {}
    async with start_server(SquareSpotter()) as server, open_to(server) as asking:
        sent = await filmed(server, codec, stream, client, without=(6,))
        # From the second frame on: its key frame, which is before that, has to come with it.
        job, manifest = await unpacked(
            asking, tmp_path, kind="layers", cameras=["gate"], view="human", **{"from": _moment(sent[1])}
        )
        for name in ("1-2", "1-7"):
            answer = await asking.get(f"/v1/cameras/gate/frames/{name}/image?view=human&format=png")
            views[name] = np.asarray(Image.open(io.BytesIO(answer.content)))
        answer = await asking.get("/v1/cameras/gate/frames/1-6/image?view=machine&format=png")
        views["1-6"] = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert [frame["frame"] for frame in manifest["frames"]] == [f"1-{number}" for number in range(2, 9)]
    assert job["left_out_by_reason"] == {"enhancement-expired": 1}
    assert (tmp_path / "gate/1-1.enhancement").read_bytes() == stream[0].enhancement
    monkeypatch.chdir(tmp_path)
    for frame in manifest["frames"]:
        if frame["frame"] not in views:
            continue
        program, command, *arguments = shlex.split(frame["decode"])
        assert (program, command) == ("secondsight", "decode")
        ran = CliRunner().invoke(decode.app, [*arguments, "--device", "cpu"])
        assert ran.exit_code == 0, ran.output
        decoded = np.asarray(Image.open(tmp_path / arguments[1]))
        assert np.array_equal(decoded, views[frame["frame"]]), frame["frame"]


def _moment(frame: Any) -> str:
    moment: str = frame.captured_at.ToJsonString()
    return moment


async def test_views_are_the_pictures_that_rest_gives(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis, tmp_path: Path
) -> None:
    async with start_server(SquareSpotter()) as server, open_to(server) as asking:
        await filmed(server, codec, stream, client)
        job, manifest = await unpacked(
            asking, tmp_path, kind="views", cameras=["gate"], view="human", format="png", width=48
        )
        assert (job["frames"], job["left_out"], len(manifest["frames"])) == (8, 0, 8)
        for about in manifest["frames"]:
            address = f"/v1/cameras/gate/frames/{about['frame']}/image?view=human&format=png&width=48"
            shown = np.asarray(Image.open(io.BytesIO((await asking.get(address)).content)))
            exported = Image.open(tmp_path / about["file"])
            assert np.array_equal(np.asarray(exported), shown)
            said = exported.text  # type: ignore[attr-defined]
            assert said["secondsight:frame"] == about["frame"]
            assert said["secondsight:taken_by"] == "loopback"
            assert said["secondsight:request"] == manifest["audit_request"] != ""


async def test_marks_come_with_the_human_views_that_they_were_made_on(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis, tmp_path: Path
) -> None:
    async with start_server(SquareSpotter()) as server, open_to(server) as asking:
        await filmed(server, codec, stream, client)
        for name, said in (
            ("1-2", {"verdict": "right", "detection": 0}),
            ("1-2", {"verdict": "wrong", "detection": 1}),
            ("1-6", {"verdict": "missed", "label": "dog", "box": _box(8, 8, 24, 40)}),
        ):
            answer = await asking.http.post(
                f"/v1/cameras/gate/frames/{name}/marks", params={"reason": "to learn from"}, json=said
            )
            assert answer.status_code < 300, answer.text
        _, manifest = await unpacked(asking, tmp_path, kind="marks", cameras=["gate"], format="png")
        answer = await asking.get("/v1/cameras/gate/frames/1-2/image?view=human&format=png")
        nothing = await asking.post("exports", kind="marks", cameras=["gate"], to=told(BEGAN))
    assert nothing.status_code == 422
    assert [frame["frame"] for frame in manifest["frames"]] == ["1-6", "1-2"]
    coco = COCO(str(tmp_path / "instances.json"))
    assert {about["name"] for about in coco.loadCats(coco.getCatIds())} == {"square", "shadow", "dog"}
    assert len(coco.getAnnIds()) == 2 and len(coco.dataset["wrong"]) == 1
    (image,) = [image for image in coco.dataset["images"] if image["frame"] == "1-2"]
    shown = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "images" / image["file_name"])), shown)


def _box(x_min: float, y_min: float, x_max: float, y_max: float) -> dict[str, float]:
    return {"x_min": x_min, "y_min": y_min, "x_max": x_max, "y_max": y_max}
