"""Pictures to keep: what they show, and who took them out, is said within the file and beside it."""

from __future__ import annotations

import io
import json
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import ExifTags, Image
from redis.asyncio import Redis

from server.audit.chain import records
from shared_models import Codec
from tests.server.conftest import StartServer
from tests.server.harness import have_one_frame
from tests.server.people import People
from tests.server.test_rest import FRAMES, Encoded, rest, serving

IMAGE = f"{FRAMES}/1-1/image"


def comment(response: httpx.Response) -> dict[str, Any]:
    """The JSON in the file's UserComment."""
    details = Image.open(io.BytesIO(response.content)).getexif().get_ifd(ExifTags.IFD.Exif)
    told: dict[str, Any] = json.loads(details[ExifTags.Base.UserComment].removeprefix(b"ASCII\x00\x00\x00"))
    return told


@pytest.mark.parametrize("image_format", ["jpeg", "webp", "png", "avif"])
async def test_every_format_says_where_it_comes_from(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis, image_format: str
) -> None:
    async with serving(start_server, codec, encoded, client) as http:
        query = f"format={image_format}&download=true"
        response = await http.get(f"{IMAGE}?view=human&slices=2&{query}")
        frame = (await http.get(f"{FRAMES}/1-1")).json()
        told = comment(response)
        captured_at = frame["captured_at"].replace("Z", "+00:00")
        assert told["captured_at"] == captured_at
        assert (told["camera"], told["frame"], told["view"]) == ("front-door", "1-1", "human")
        assert (told["slices"], told["taken_by"]) == ("2", "loopback")
        assert told["model"] == codec.inspect(encoded[0].machine).model_id.hex()
        assert told["request"] == response.headers["secondsight-request"]
        exif = Image.open(io.BytesIO(response.content)).getexif()
        original = exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal]
        assert original.replace(":", "-", 2).replace(" ", "T") == captured_at[:19]
        ending = "jpg" if image_format == "jpeg" else image_format
        named = f'attachment; filename="front-door-1-1-human-2.{ending}"'
        assert response.headers["content-disposition"] == named
        assert response.headers["cache-control"] == "private, no-store"
        assert response.headers["secondsight-captured-at"] == captured_at
        assert response.headers["secondsight-taken-at"] == told["taken_at"]


async def test_a_png_has_each_field_as_text_and_the_pixels_are_those_of_the_view(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with serving(start_server, codec, encoded, client) as http:
        taken = Image.open(io.BytesIO((await http.get(f"{IMAGE}?format=png&download=true")).content))
        shown = Image.open(io.BytesIO((await http.get(f"{IMAGE}?format=png")).content))
        assert np.array_equal(np.asarray(taken), np.asarray(shown))
        text = taken.text  # type: ignore[attr-defined]
        assert text["secondsight:camera"] == "front-door"
        assert text["secondsight:view"] == "machine"
        assert "secondsight:slices" not in text
        assert "secondsight:request" not in text
        assert not shown.getexif()


async def test_a_download_is_never_answered_from_what_the_client_holds(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with serving(start_server, codec, encoded, client) as http:
        tag = (await http.get(IMAGE)).headers["etag"]
        assert (await http.get(IMAGE, headers={"If-None-Match": tag})).status_code == 304
        taken = await http.get(f"{IMAGE}?download=true", headers={"If-None-Match": tag})
        assert taken.status_code == 200
        assert "etag" not in taken.headers


async def test_every_look_at_a_human_view_is_on_record_also_one_that_the_browser_has(
    start_server: StartServer, people: People, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with start_server(access_file=people.file.path) as server:
        await have_one_frame(server, codec, encoded[0], client, people.tokens["gate"])
        async with rest(server) as http:
            address = "/v1/cameras/gate/frames/1-1/image?view=human&reason=a+parcel"
            first = await http.get(address, headers=people.header("otto"))
            assert first.headers["cache-control"] == "private, no-cache"
            held = {**people.header("otto"), "If-None-Match": first.headers["etag"]}
            assert (await http.get(address, headers=held)).status_code == 304
            taken = await http.get(f"{address}&download=true", headers=people.header("otto"))
            assert comment(taken)["taken_by"] == "otto"
        events = [each.event for each in records(people.file.path.parent / "audit")]
        details = [event.detail.split(",")[0] for event in events if event.outcome == "delivered"]
        assert details == ["status 200", "status 304", "status 200"]
        assert comment(taken)["request"] == events[-1].request
