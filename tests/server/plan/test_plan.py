"""Plans against a real store, the table against the results that it is taken from."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
import redis
from typer.testing import CliRunner

from secondsight import store_keys
from secondsight.v1 import analytics_pb2, frame_pb2
from server.config import ServerConfig
from server.plan.bits import load_bits, table_of
from server.plan.command import app
from server.plan.sizing import Load, history_bytes, plan, share_kept
from server.store.config import StoreConfig
from server.store.embedded import EmbeddedStore
from server.timeline.entry import DAY_MS, Entry, Sighting
from server.timeline.scripts import RECORD
from shared_models.config import LiteConfig
from tests.conftest import ROOT
from tests.server.stores import store_server

OPTIONS = ["--cameras", "20", "--fps", "15", "--width", "1280", "--height", "720"]


def test_the_packed_table_is_that_of_the_published_results() -> None:
    results = ROOT / "docs" / "results" / "stream.json"
    expected = table_of(json.loads(results.read_text()), "docs/results/stream.json")
    assert json.loads((ROOT / "server" / "plan" / "bits.json").read_text()) == expected


def test_the_levels_that_are_planned_with_are_the_codecs_own() -> None:
    printed = json.loads(CliRunner().invoke(app, [*OPTIONS, "--json"]).output)
    table, profile = load_bits("fixed"), LiteConfig
    machine = table.machine[profile.default_machine_quality].mean
    sent = printed["mean"]["uplink_machine_kbit_s"]
    assert sent == pytest.approx(machine * 1280 * 720 * 15 / 1e3)
    assert str(profile.default_quality) in json.dumps(printed["assumptions"])


def _frame(camera: str, number: int, layer: bytes) -> bytes:
    frame = frame_pb2.Frame(
        id=frame_pb2.FrameId(camera_id=camera, session=7, sequence=number),
        pts_us=66_667 * number,
        machine_layer=layer,
        enhancement=frame_pb2.EnhancementReceipt(bytes=3700, slices=5),
        timing=frame_pb2.EdgeTiming(encode_us=90_000, queue_us=120_000),
        reference_session=7,
        reference_sequence=1,
    )
    for moment in (frame.captured_at, frame.stored_at, frame.enhancement.expires_at):
        moment.GetCurrentTime()
    return frame.SerializeToString()


def _result(camera: str, number: int, detections: int) -> bytes:
    result = analytics_pb2.RecognitionResult(
        frame=frame_pb2.FrameId(camera_id=camera, session=7, sequence=number),
        recogniser="ssd-mobilenet-v1",
        width=1280,
        height=720,
        machine_bytes=2000,
        enhancement=frame_pb2.EnhancementReceipt(bytes=3700, slices=5),
        timing=analytics_pb2.ServerTiming(decode_us=40_000, recognise_us=30_000),
        key_frame=frame_pb2.FrameId(camera_id=camera, session=7, sequence=1),
    )
    for moment in (result.captured_at, result.recognised_at, result.enhancement.expires_at):
        moment.GetCurrentTime()
    for place in range(detections):
        box = analytics_pb2.Box(x_min=place + 0.5, y_min=1.25, x_max=80.75, y_max=90.5)
        result.detections.add(label="bicycle", score=0.75, box=box)
    return result.SerializeToString()


@pytest.mark.parametrize(("machine_bytes", "enhancement_bytes"), [(600, 1500), (9000, 17000)])
def test_the_memory_of_a_plan_is_that_of_a_store_filled_so(
    tmp_path: Path, machine_bytes: int, enhancement_bytes: int
) -> None:
    cameras, fps, retention, detections = 2, 10.0, 20.0, 4
    config = ServerConfig(frames_kept=200, results_kept=500, history_days=0)
    planned = plan(
        Load(cameras, fps, machine_bytes, enhancement_bytes, 1.0, False, retention, 0.0, detections), config
    )
    with (
        EmbeddedStore(StoreConfig(data=tmp_path, port=0)) as store,
        redis.Redis.from_url(store.url) as client,
    ):
        before = client.info("memory")["used_memory"]
        for camera in (f"camera-{number}" for number in range(cameras)):
            pipeline = client.pipeline(transaction=False)
            for number in range(1, planned.frames_held + 1):
                value = _frame(camera, number, os.urandom(machine_bytes))
                pipeline.xadd(store_keys.frames(camera), {store_keys.FRAME_FIELD: value}, id=f"7-{number}")
            for number in range(1, planned.results_held + 1):
                value = _result(camera, number, detections)
                pipeline.xadd(store_keys.results(camera), {store_keys.RESULT_FIELD: value}, id=f"7-{number}")
            for number in range(1, planned.enhancements_held + 1):
                key = store_keys.enhancement(camera, 7, number)
                pipeline.set(key, os.urandom(enhancement_bytes), ex=3600)
            pipeline.execute()
        found = client.info("memory")["used_memory"] - before
    assert found / planned.store_bytes == pytest.approx(1, abs=0.15)


def test_the_memory_of_a_history_is_that_of_a_store_filled_so(tmp_path: Path) -> None:
    config, task = ServerConfig(history_days=2, things_kept=700), store_keys.DEFAULT_TASK
    begun = (time.time_ns() // 10**6 // DAY_MS - config.history_days + 1) * DAY_MS
    publish = (
        f"#!lua flags=allow-oom\n{RECORD}\n"
        f"record_frame(KEYS, ARGV[1], {config.history_days + 1}, {config.things_kept})"
    )
    with store_server(tmp_path) as store:
        script = store.client.script_load(publish)

        def fill(camera: str, minutes: int) -> int:
            pipeline = store.client.pipeline(transaction=False)
            for frame in range(2 * minutes):
                name = f"12-{26_000_000 + 300 * frame}"
                thing = Sighting(f"{name}-1", "person", 912, 1, ("drive",), frame % 2 == 0)
                entry = Entry(
                    frame=name,
                    at_ms=begun + 60_000 * (frame // 2) + (59_900 if frame % 2 else 300),
                    machine_bytes=1_500_000,
                    enhancement_bytes=6_000_000,
                    until_s=begun // 1000,
                    alert=False,
                    labels={"person": 3, "car": 7, "bicycle": 1},
                    sightings=(thing,) if frame < 2 * config.things_kept else (),
                )
                keys = (
                    store_keys.minutes(camera, task, entry.hour),
                    store_keys.hours(camera, task, entry.day),
                    store_keys.labels(camera, task),
                    store_keys.things(camera, task),
                    *(store_keys.things_in_order(camera, task, alerts=alerts) for alerts in (False, True)),
                    store_keys.things_open(camera, task),
                )
                pipeline.evalsha(script, len(keys), *keys, entry.packed())
            pipeline.execute()
            used: int = store.client.info("memory")["used_memory"]
            return used

        before = fill("another", 1)  # with what the script itself takes
        found = fill("warehouse-door", config.history_days * 24 * 60) - before
    assert found / history_bytes(config) == pytest.approx(1, abs=0.15)


def test_what_stays_at_the_edge_takes_nothing_of_the_server_or_the_uplink() -> None:
    def of(at_edge: bool, share: float) -> tuple[int, float, int]:
        made = plan(Load(2, 10, 2000, 4000, share, at_edge, 600, 3600, 5), ServerConfig())
        return made.store_bytes, made.uplink_kbit_s, made.edge_store_bytes

    nothing = of(at_edge=False, share=0.0)
    assert of(at_edge=True, share=1.0)[:2] == nothing[:2]
    assert of(at_edge=False, share=1.0)[0] > nothing[0]
    assert of(at_edge=True, share=1.0)[2] > 600 * 10 * 4000


@pytest.mark.parametrize(
    ("policy", "share"), [("every", 1.0), ("nth", 0.1), ("detection", 0.2), ("off", 0.0)]
)
def test_a_policy_keeps_its_share(policy: str, share: float) -> None:
    assert share_kept(policy, 10, 0.2) == pytest.approx(share)  # type: ignore[arg-type]


def test_a_plan_says_what_it_rests_on() -> None:
    result = CliRunner().invoke(app, OPTIONS)
    assert result.exit_code == 0
    assert "--store-memory" in result.output
    assert "docs/results/stream.json" in result.output


def test_a_level_that_was_never_measured_is_refused() -> None:
    result = CliRunner().invoke(app, [*OPTIONS, "--quality", "9"])
    assert result.exit_code == 2
    assert "choose one of 0, 1, 2" in result.output
