"""What a view cost: measured bytes, beside a JPEG that shows as much."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image
from redis.asyncio import Redis

from secondsight import store_keys
from server.audit.chain import records
from server.cost import equal_jpeg
from server.cost.equal_jpeg import BASELINE, EqualJpeg, equal_to_human_view, equal_to_machine_view, table_of
from shared_models import Codec, EncodedFrame
from tests.conftest import ROOT
from tests.server.conftest import StartServer
from tests.server.harness import have_one_frame
from tests.server.people import People
from tests.server.test_rest import FRAMES, Encoded, pixels, problem, rest, serving

RESULTS = ROOT / "docs" / "results" / "rd.json"


def test_the_packed_table_is_that_of_the_published_results() -> None:
    expected = table_of(json.loads(RESULTS.read_text()), "docs/results/rd.json")
    assert json.loads((ROOT / "server" / "cost" / "equal_jpeg.json").read_text()) == expected


def test_the_baseline_is_made_as_it_was_measured() -> None:
    table = json.loads((ROOT / "server" / "cost" / "equal_jpeg.json").read_text())
    assert f"settings={equal_jpeg._SETTINGS}" in table["baseline"]
    assert BASELINE in table["baseline"]


def test_the_equal_quality_lies_between_those_measured_beside_it() -> None:
    table = json.loads((ROOT / "server" / "cost" / "equal_jpeg.json").read_text())
    ladder = {int(quality): psnr for quality, psnr in table["jpeg"].items()}
    for machine_level, levels in table["human"].items():
        for level, psnr in levels.items():
            equal = equal_to_human_view(int(machine_level), int(level), 5, 5)
            assert equal is not None
            assert equal.psnr_db == psnr
            assert max(low for low in ladder if ladder[low] <= psnr) <= equal.quality
            assert equal.quality <= min(high for high in ladder if ladder[high] >= psnr)


def test_more_slices_equal_a_better_jpeg_and_an_unknown_level_none() -> None:
    equals = [equal_to_human_view(1, 2, slices, 5) for slices in range(1, 6)]
    qualities = [equal.quality for equal in equals if equal is not None]
    assert len(qualities) == 5
    assert qualities == sorted(set(qualities))
    assert equal_to_human_view(1, 9, 5, 5) is None
    assert equal_to_human_view(9, 1, 5, 5) is None
    assert equal_to_machine_view(9) is None
    worst = equal_to_machine_view(0)
    assert worst is not None and worst.quality == 10


@pytest.mark.parametrize("slices", [None, 2])
async def test_the_cost_of_a_human_view_is_what_its_layers_measure(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis, slices: int | None
) -> None:
    frame: EncodedFrame = encoded[0]
    machine, enhancement = len(frame.machine), len(frame.enhancement)
    query = "" if slices is None else f"?slices={slices}"
    async with serving(start_server, codec, encoded, client) as http:
        told = (await http.get(f"{FRAMES}/1-1/cost{query}")).json()
        assert (told["machine_bytes"], told["enhancement"]["bytes"]) == (machine, enhancement)
        assert told["both_layers_bytes"] == machine + enhancement
        by_slice = told["enhancement"]["by_slice"]
        for count in range(1, 6):
            assert sum(by_slice[:count]) == len(codec.cut(frame.enhancement, count))
        assert told["view_bytes"] == machine + sum(by_slice[: slices or 5])
        picture = pixels(await http.get(f"{FRAMES}/1-1/image?view=human&format=png{query.replace('?', '&')}"))
        file = io.BytesIO()
        Image.fromarray(picture).save(
            file, "JPEG", quality=told["jpeg"]["quality"], optimize=True, subsampling="4:2:0"
        )
        assert told["jpeg"]["bytes"] == len(file.getvalue())
        assert told["jpeg"]["baseline"] == BASELINE
        assert told["jpeg_missing"] is None
        assert (await http.get(f"{FRAMES}/1-1")).json()["links"]["cost"] == f"{FRAMES}/1-1/cost"


async def test_the_cost_of_a_machine_view_takes_no_enhancement(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with serving(start_server, codec, encoded, client) as http:
        await client.delete(store_keys.enhancement("front-door", 1, 1))
        told = (await http.get(f"{FRAMES}/1-1/cost?view=machine")).json()
        assert (told["view_bytes"], told["slices"]) == (len(encoded[0].machine), None)
        assert told["jpeg"]["bytes"] > 0
        told = (await http.get(f"{FRAMES}/1-1/cost")).json()
        assert told["jpeg"] is None
        assert "expired" in told["jpeg_missing"]
        assert told["both_layers_bytes"] == len(encoded[0].machine) + len(encoded[0].enhancement)
        problem(await http.get(f"{FRAMES}/1-9/cost"), 404, "unknown-frame")


async def test_the_jpeg_of_a_human_view_takes_an_operator_and_a_reason_and_is_on_record(
    start_server: StartServer, people: People, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with start_server(access_file=people.file.path) as server:
        await have_one_frame(server, codec, encoded[0], client, people.tokens["gate"])
        address = "/v1/cameras/gate/frames/1-1/cost"
        async with rest(server) as http:
            for name, query, missing in (("vera", "?reason=x", "operator"), ("otto", "", "what it is for")):
                told = (await http.get(address + query, headers=people.header(name))).json()
                assert (told["jpeg"], told["enhancement"]["by_slice"]) == (None, None)
                assert missing in told["jpeg_missing"]
                assert told["view_bytes"] == len(encoded[0].machine) + len(encoded[0].enhancement)
            folder = people.file.path.parent / "audit"
            assert [each for each in records(folder) if each.event.view == "cost"] == []
            told = (await http.get(f"{address}?reason=a+parcel", headers=people.header("otto"))).json()
            assert told["jpeg"]["bytes"] > 0
            asked, delivered = (each.event for each in records(folder) if each.event.view == "cost")
            assert (asked.outcome, asked.principal, asked.reason) == ("asked", "otto", "a parcel")
            assert delivered.outcome == "delivered"


def test_a_size_is_that_of_a_file_that_can_be_read() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (32, 48, 3), np.uint8)
    assert EqualJpeg(20, 30.0).size(picture) < EqualJpeg(80, 40.0).size(picture)
