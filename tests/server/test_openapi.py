"""REST answers whatever its own description allows, and whatever that forbids, without a server error.

A few requests of each kind here; `make test-api` makes hundreds, and tries what is forbidden, too.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Final

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from redis.asyncio import Redis
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from shared_models import Codec, EncodedFrame
from tests.server.conftest import StartServer
from tests.server.harness import PATIENCE, SquareSpotter, edge_stream, keep_enhancement, recognised

_FEW: Final = 4
_THOROUGH: Final = "thorough"

_KNOWN: Final = {"camera_id": "front-door", "camera": "front-door", "frame": "1-1", "entry_id": "1-1"}
"""What names something that is there. Names by chance are of nothing."""

_LEFT_ALONE: Final = {"DELETE /v1/cameras/{camera}"}
"""What would take away the camera that the others ask for."""

_ENDLESS: Final = {"/v1/events"}
"""Answers that end only with the server: test_events asks for them."""


def _ask(address: str, answers: Counter[tuple[str, int]], known_here: dict[str, str]) -> None:
    """Make a few requests of every operation, or many with the profile `thorough`."""
    schema = schemathesis.openapi.from_url(f"http://{address}/openapi.json")
    thorough = settings.get_current_profile_name() == _THOROUGH
    # What is forbidden takes long to think of.
    modes = [GenerationMode.POSITIVE, *((GenerationMode.NEGATIVE,) if thorough else ())]
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found.err()
        operation = found.ok()
        if operation.path in _ENDLESS:
            continue
        for mode in modes:

            @settings(
                max_examples=settings().max_examples if thorough else _FEW,
                suppress_health_check=list(HealthCheck),
                deadline=None,
                phases=(Phase.explicit, Phase.generate, Phase.shrink),
            )
            @given(
                case=operation.as_strategy(generation_mode=mode),
                known=st.booleans() if thorough else st.just(True),
            )
            def answered(case: Any, known: bool) -> None:
                there = {**_KNOWN, **known_here}
                if (
                    known
                    and isinstance(case.path_parameters, dict)
                    and case.operation.label not in _LEFT_ALONE
                ):
                    named = {name: there[name] for name in case.path_parameters if name in there}
                    case.path_parameters.update(named)
                response = case.call(base_url=f"http://{address}", timeout=PATIENCE)
                answers[case.operation.label, response.status_code] += 1
                assert response.status_code < 500, (case.as_curl_command(), response.text)

            try:
                answered()
            except Unsatisfiable:
                continue  # nothing about this operation can be wrong


async def _made(address: str) -> dict[str, str]:
    """Have a clip and an export made; gives their names."""
    period = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}
    async with httpx.AsyncClient(base_url=f"http://{address}", timeout=PATIENCE) as http:
        clip = await http.post("/v1/clips", json={"camera": "front-door", **period})
        order = {"kind": "results", "cameras": ["front-door"], **period}
        export = await http.post("/v1/exports", json=order)
    return {"clip": clip.json()["id"], "export": export.json()["id"]}


async def test_no_request_makes_a_server_error(
    start_server: StartServer, codec: Codec, encoded: list[EncodedFrame], client: Redis
) -> None:
    answers: Counter[tuple[str, int]] = Counter()
    async with start_server(SquareSpotter()) as server, edge_stream(server, codec) as edge:
        await edge.hello()
        await keep_enhancement(client, await edge.send(1, encoded[0]), encoded[0])
        await recognised(client, 1)
        known = await _made(server.http_address)
        await asyncio.to_thread(_ask, server.http_address, answers, known)
    operations = {label for label, _ in answers}
    seen = {label for label, status in answers if status < 300}
    assert operations
    assert len(seen) >= len(operations) / 2, f"too little of what is there was asked for: {answers}"
