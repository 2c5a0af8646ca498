"""The guide to REST tells of every address, and of nothing that is not there. `make docs` runs its blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from server.rest.app import bare_app
from tests.conftest import ROOT
from tests.documents.code_block import blocks_of

GUIDE = ROOT / "docs" / "rest.md"


@pytest.fixture(scope="module")
def routes() -> set[str]:
    return set(bare_app().openapi()["paths"])


def told() -> set[str]:
    """Addresses in the guide's prose."""
    return set(re.findall(r"`((?:/v1|/problems|/healthz|/readyz|/metrics)[^`?\s]*)`", GUIDE.read_text()))


def test_every_address_that_is_told_of_is_there(routes: set[str]) -> None:
    assert [address for address in told() - {"/v1"} if address not in routes] == []


def test_every_address_is_told_of_or_lies_below_one_that_is(routes: set[str]) -> None:
    plain = {re.sub(r"\{\w+\}", "{}", address) for address in told() - {"/v1"}}

    def above(route: str) -> Iterator[str]:
        parts = re.sub(r"\{\w+\}", "{}", route).split("/")
        yield from ("/".join(parts[:count]) for count in range(2, len(parts) + 1))

    # What tells of one camera alone has a line of its own.
    trunk = {"/v1/cameras", "/v1/cameras/{camera}"}
    assert trunk <= told()
    plain -= {"/v1/cameras", "/v1/cameras/{}"}
    assert [route for route in routes - trunk if plain.isdisjoint(above(route))] == []


def test_every_quota_that_callers_are_told_by_is_in_the_table() -> None:
    code = "".join(path.read_text() for path in (ROOT / "server").rglob("*.py"))
    policies = set(re.findall(r'policy="([a-z-]+)"', code))
    assert (
        set(re.findall(r"^\| `([a-z-]+)` \| (?:a user|an address) \|", GUIDE.read_text(), re.M)) == policies
    )


def test_what_blocks_ask_for_is_there(routes: set[str]) -> None:
    patterns = [re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(route)) for route in routes]
    asked = {
        address.split("?")[0]
        for block in blocks_of(GUIDE)
        for address in re.findall(r"http://127\.0\.0\.1:8080(/[^\s\"']*)", block.code)
    }
    assert len(asked) >= 5
    assert [each for each in asked if not any(re.fullmatch(pattern, each) for pattern in patterns)] == []
