"""The page of a server that asks who is there: first login, reason, human view, logout, in a real browser."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import pytest
import redis
from playwright.sync_api import Browser, Page, expect, sync_playwright

from secondsight import store_keys
from secondsight.v1 import frame_pb2, ingest_pb2, ingest_pb2_grpc
from server.store.config import StoreConfig
from server.store.embedded import EmbeddedStore
from shared_models import Codec, load_codec
from tests.end_to_end.test_page import CHROMIUM, FLAGS, Faults

pytestmark = pytest.mark.browser

SECONDSIGHT = (sys.executable, "-c", "from secondsight.command_line import main; main()")
OWN = "a password of my own"
REASON = "a parcel is missing: Grüße, №7"


@dataclass
class Guarded:
    """A server process that asks, with one frame of the camera `gate`."""

    http: str
    data: Path
    first_password: str

    def run(self, *arguments: str) -> str:
        """A command of an operator at the server's terminal."""
        return subprocess.run(
            [*SECONDSIGHT, *arguments, "--data", str(self.data)], capture_output=True, text=True, check=True
        ).stdout.strip()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    data = tmp_path_factory.mktemp("guarded")
    codec = load_codec("lite", device="cpu")
    log = (data / "stderr").open("w+")
    with EmbeddedStore(StoreConfig(data=data / "store", port=0)) as store:
        process = subprocess.Popen(
            [
                *(*SECONDSIGHT, "server", "--store", store.url, "--access", str(data / "access.json")),
                *("--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", str(data)),
                *("--device", "cpu", "--recogniser", "none"),
            ],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        try:
            assert process.stdout is not None
            ready = re.fullmatch(r"ready grpc=(\S+) http=(\S+) store=\S+\n", process.stdout.readline())
            assert ready is not None, (data / "stderr").read_text()
            told = re.search(r"^    admin  (\S+)$", (data / "stderr").read_text(), re.MULTILINE)
            assert told is not None
            serving = Guarded(f"http://{ready[2]}", data, told[1])
            _push(ready[1], serving.run("access", "camera", "add", "gate"), store, codec)
            yield serving
        finally:
            process.terminate()
            process.wait(60)
            log.close()


def _push(address: str, token: str, store: EmbeddedStore, codec: Codec) -> None:
    gradient = np.linspace(0, 255, 96 * 64 * 3, dtype=np.uint8).reshape(64, 96, 3)
    layers = codec.encode(gradient)
    with grpc.insecure_channel(address) as channel:
        requests: list[ingest_pb2.PushRequest] = [
            ingest_pb2.PushRequest(hello=ingest_pb2.Hello(camera_id="gate", model_id=codec.predicting_id))
        ]
        frame = frame_pb2.Frame(
            id=frame_pb2.FrameId(camera_id="gate", session=1, sequence=1),
            machine_layer=layers.machine,
            enhancement=frame_pb2.EnhancementReceipt(bytes=len(layers.enhancement), slices=5),
        )
        frame.captured_at.GetCurrentTime()
        requests.append(ingest_pb2.PushRequest(frame=frame))
        responses = ingest_pb2_grpc.IngestServiceStub(channel).Push(
            iter(requests), metadata=(("authorization", f"Bearer {token}"),)
        )
        assert next(responses).welcome.session == 1
        with redis.Redis.from_url(store.url) as client:
            client.set(store_keys.enhancement("gate", 1, 1), layers.enhancement, ex=600)
        assert any(response.ack.acked_sequence == 1 for response in responses)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, guarded: Guarded) -> Iterator[Page]:
    context = browser.new_context(reduced_motion="reduce")
    opened = context.new_page()
    opened.goto(guarded.http)
    yield opened
    context.close()


def log_in(page: Page, name: str, password: str) -> None:
    page.locator("#login-name").fill(name)
    page.locator("#login-password").fill(password)
    page.keyboard.press("Enter")


def test_first_login_reason_human_view_and_logout(page: Page, guarded: Guarded) -> None:
    faults = Faults()
    dialog = page.locator("#login")
    expect(dialog).to_be_visible(timeout=30_000)
    log_in(page, "admin", "not the password")
    expect(dialog.locator(".failure")).to_contain_text("do not belong together")
    faults.expected_status = 403
    faults.watch(page)
    log_in(page, "admin", guarded.first_password)
    own = page.locator("#login-new")
    expect(own).to_be_focused()
    own.fill(OWN)
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.locator("#person")).to_contain_text("admin, admin")

    latest = page.locator('[data-camera="gate"] .latest')
    expect(latest).to_have_attribute("data-frame", "1-1", timeout=30_000)
    latest.focus()
    page.keyboard.press("Enter")
    reason = page.locator("#reason-text")
    expect(reason).to_be_focused()
    expect(page.locator("#human .message")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(reason).to_be_visible()
    page.keyboard.type(REASON)
    page.keyboard.press("Enter")
    expect(page.locator("#human .bytes")).to_contain_text("enhancement", timeout=30_000)
    page.locator("#slices").select_option("1")
    expect(page.locator("#took")).to_contain_text("human view in")
    page.keyboard.press("Escape")

    cookie = page.context.cookies()[0]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    page.locator("#logout").click()
    expect(dialog).to_be_visible(timeout=30_000)
    expect(page.locator(".camera")).to_have_count(0)
    assert faults.found == []
    assert page.request.get(f"{guarded.http}/v1/cameras").status == 401

    records = [json.loads(line) for line in guarded.run("audit", "export", "--camera", "gate").splitlines()]
    views = [record for record in records if record["subject"] == "human_view"]
    assert [record["outcome"] for record in views[:2]] == ["asked", "delivered"]
    assert {(view["principal"], view["frame"], view["reason"]) for view in views} == {
        ("admin", "1-1", REASON)
    }
    assert "last:" in guarded.run("audit", "verify")
    told = (guarded.data / "stderr").read_text()
    assert told.count(guarded.first_password) == 1
    assert OWN not in told and REASON not in told


def test_a_viewer_is_told_that_human_views_are_not_for_it(page: Page, guarded: Guarded) -> None:
    password = guarded.run("access", "user", "add", "vera")
    expect(page.locator("#login")).to_be_visible(timeout=30_000)
    log_in(page, "vera", password)
    page.locator("#login-new").fill(OWN)
    page.keyboard.press("Enter")
    page.locator('[data-camera="gate"] .latest[data-frame]').click(timeout=30_000)
    expect(page.locator("#human .message")).to_contain_text("human views take the role operator")
    expect(page.locator("#reason")).to_be_hidden()
    page.keyboard.press("Escape")
    guarded.run("access", "user", "remove", "vera")
    expect(page.locator("#login")).to_be_visible(timeout=30_000)
