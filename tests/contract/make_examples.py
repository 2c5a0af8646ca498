"""Writes the examples of REST's description anew: ``python -m tests.contract.make_examples``.

Bodies to send are written here; what comes back is what a real server answers. Whatever is secret in it is blotted out,
though it was only good for a server that is gone.
"""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np

from secondsight.v1 import frame_pb2, ingest_pb2
from server.process import Server
from server.recognition import Detection, OneByOne, Seen
from server.store.client import open_client
from server.store.config import StoreConfig
from server.store.embedded import EmbeddedStore
from shared_models import load_codec
from tests.conftest import ROOT
from tests.server.conftest import CONFIG
from tests.server.harness import edge_stream, keep_enhancement, recognised, until
from tests.server.people import PASSWORD, people_in

OUT: Final = ROOT / "server" / "rest" / "examples.json"

_PERIOD: Final = {"from": "2026-11-23T05:00:00Z", "to": "2026-11-23T06:00:00Z"}
_RULES: Final = {
    "labels": ["person", "car"],
    "minimum_score": 0.4,
    "track": True,
    "zones": {"drive": {"polygon": [[0.1, 0.5], [0.9, 0.5], [0.9, 1.0], [0.1, 1.0]], "dwell_s": 3}},
}
_REQUESTS: Final[dict[str, dict[str, Any]]] = {
    "log_in": {"name": "otto", "password": PASSWORD},
    "issue_api_key": {"user": "otto"},
    "issue_camera_token": {"camera": "back-yard"},
    "create_user": {"name": "olga", "role": "operator", "cameras": ["gate"]},
    "change_user": {"role": "viewer"},
    "put_rules": _RULES,
    "put_default_rules": {"minimum_score": 0.35},
    "mark_frame": {"verdict": "right", "detection": 0},
    "make_clip": {"camera": "gate", "view": "human", "reason": "the parcel of Monday", **_PERIOD},
    "make_export": {"kind": "results", "cameras": ["gate", "yard"], **_PERIOD},
}
_QUERIES: Final[dict[str, dict[str, str]]] = {
    "get_frame_at": {"time": "2026-11-23T05:30:00Z"},
    "list_frames": {"limit": "1"},
    "get_cost": {"view": "human", "slices": "3", "reason": "the parcel of Monday"},
    "keep_frame": {"reason": "the parcel of Monday"},
    "mark_frame": {"reason": "the parcel of Monday"},
}
_FIRST: Final = (
    "mark_frame",
    "keep_frame",
    "make_clip",
    "make_export",
    "put_rules",
    "create_user",
    "issue_api_key",
)
"""What is made, before it is asked for."""
_ONE_TIME: Final = re.compile(r'("one_time_password": )"[^"]+"')
_SECRET: Final = re.compile(r"\bss([a-z])_([0-9a-f]{8})_[\w-]+")


class Passers(OneByOne):
    """Sees a person and a car wherever it looks."""

    name = "ssd-mobilenet"
    labels = ("person", "car")

    def see(self, image: np.ndarray) -> Seen:
        height, width = image.shape[:2]
        return Seen(
            (
                Detection("person", 0.87, 0.1 * width, 0.2 * height, 0.3 * width, 0.9 * height),
                Detection("car", 0.62, 0.5 * width, 0.4 * height, 0.9 * width, 0.8 * height),
            )
        )


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A server that asks who is there, with a frame of the cameras gate and yard."""
    codec = load_codec("lite", device="cpu")
    picture = np.tile(np.linspace(40, 200, 320, dtype=np.uint8)[None, :, None], (180, 1, 3))
    layers = codec.encode(picture)
    people = people_in(folder)
    async with AsyncExitStack() as stack:
        store = stack.enter_context(EmbeddedStore(StoreConfig(data=folder / "store", port=0)))
        client = open_client(store.url)
        stack.push_async_callback(client.aclose)
        config = replace(CONFIG, data=folder, access_file=people.file.path, overview_step=0.2, store_look=0.2)
        server = Server(config, store.url, codec, Passers())
        await server.start()
        stack.push_async_callback(server.stop)
        http = await stack.enter_async_context(
            httpx.AsyncClient(
                base_url=f"http://{server.http_address}", headers=people.header("anna"), timeout=60
            )
        )
        for camera, token in people.tokens.items():
            edge = await stack.enter_async_context(edge_stream(server, codec, camera, token=token))
            await edge.hello()
            await keep_enhancement(client, await edge.send(1, layers), layers)
            report = frame_pb2.EdgeReport(source="giving", dropped={"rate": 12}, reconnects_last_hour=1)
            report.dropped_last_minute["rate"] = 2
            await edge.write(ingest_pb2.PushRequest(report=report))
            await recognised(client, 1, camera)

        async def looked() -> bool:
            return bool((await http.get("/v1/overview")).json()["history"]["times"])

        await until(looked)
        yield http


async def ask(http: httpx.AsyncClient, document: dict[str, Any]) -> dict[str, Any]:
    """Every operation that answers JSON, those that make something first, and none that ends something."""
    operations = {
        operation["operationId"]: (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method != "delete"
    }
    names = {"camera": "gate", "frame": "1-1", "name": "otto"}
    found: dict[str, Any] = {}
    for name in sorted(operations, key=lambda name: (name not in _FIRST, name != "get_frame", name)):
        path, method, operation = operations[name]
        content = [
            response.get("content", {}).get("application/json")
            for status, response in operation["responses"].items()
            if status.startswith("2")
        ]
        body = _REQUESTS.get(name)
        if not any(content) and body is None:
            continue
        address = re.sub(r"\{(\w+)\}", lambda part: names[part[1]], path)
        headers = {"If-Match": "*"} if method == "put" else {}
        answer = await http.request(method, address, json=body, params=_QUERIES.get(name), headers=headers)
        if not answer.is_success:
            print(f"{name}: {answer.status_code} {answer.text}")
        example: dict[str, Any] = {} if body is None else {"request": body}
        if any(content) and answer.is_success:
            example["response"] = _shortened(answer.json())
        if name in _QUERIES:
            example["parameters"] = _QUERIES[name]
        found[name] = example
        if name in ("make_clip", "make_export"):
            names[name.removeprefix("make_")] = answer.json()["id"]
        if name == "mark_frame":
            names["mark"] = answer.json()["id"]
    return with_like(document, found)


def with_like(document: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Also examples of what ends something: what another operation gives of the same kind."""
    kinds = {
        operation["operationId"]: content["application/json"]["schema"]
        for methods in document["paths"].values()
        for operation in methods.values()
        for status, response in operation["responses"].items()
        if status.startswith("2") and "application/json" in (content := response.get("content", {}))
    }
    for name in kinds.keys() - found.keys():
        like = next((each for each in sorted(found) if kinds.get(each) == kinds[name]), None)
        if like is not None:
            found[name] = {"response": found[like]["response"]}
    return dict(sorted(found.items()))


def _shortened(told: Any) -> Any:
    if isinstance(told, dict):
        return {name: _shortened(value) for name, value in told.items()}
    if isinstance(told, list):
        return [_shortened(value) for value in told[: 2 if told and isinstance(told[0], dict) else 4]]
    return told


async def make() -> None:
    """Ask a server, and write what it says."""
    with tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder)) as http:
            document = (await http.get("/openapi.json")).json()
            text = json.dumps(await ask(http, document), indent=1)
        text = _ONE_TIME.sub(r'\1"aaaaaa-aaaaaa-aaaaaa-aaaaaa"', text)
        text = _SECRET.sub(r"ss\1_\2_AAAAAAAAAAAAAAAAAAAAAAAAAAAA", text).replace(
            folder, "/var/lib/secondsight"
        )
    OUT.write_text(text.replace(PASSWORD, "a password of one's own") + "\n")


if __name__ == "__main__":
    asyncio.run(make())
