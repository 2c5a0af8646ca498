"""The picture of docs/architecture.md names what is there."""

import re
from collections.abc import Iterator

import pytest

from secondsight import store_keys
from tests.conftest import ROOT

PICTURE = (ROOT / "docs" / "images" / "architecture.svg").read_text()
DOCUMENT = (ROOT / "docs" / "architecture.md").read_text()
ROOTS = {"edge": ROOT, "server": ROOT, "shared_models": ROOT, "secondsight": ROOT / "proto"}


def named_modules() -> Iterator[str]:
    """Dotted names in the picture and, between backquotes, in the text."""
    yield from re.findall(r'<text class="module"[^>]*>([^<]+)<', PICTURE)
    yield from re.findall(r"`((?:edge|server|shared_models|secondsight)(?:\.[a-z_]+)+)`", DOCUMENT)


@pytest.mark.parametrize("name", sorted(set(named_modules())))
def test_what_is_named_exists(name: str) -> None:
    path = ROOTS[name.partition(".")[0]].joinpath(*name.split("."))
    assert path.is_dir() or path.with_suffix(".py").is_file()


def test_the_keys_in_the_picture_are_those_of_the_store() -> None:
    drawn = {name.removesuffix(":…") for name in re.findall(r">(\{camera\}:[^<]+)<", PICTURE)}
    assert len(drawn) >= 4
    made = {
        key("x").replace("{x}", "{camera}")
        for key in (store_keys.frames, store_keys.results, store_keys.wanted)
    } | {store_keys.enhancement("x", 1, 1).replace("{x}", "{camera}").removesuffix(":1-1")}
    assert drawn == made
