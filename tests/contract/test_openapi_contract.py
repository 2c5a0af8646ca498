"""The REST interface is described whole, as committed, and no change of it breaks who already speaks it."""

from __future__ import annotations

import copy
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import jsonschema_rs
import pytest

from server.rest.app import bare_app
from server.rest.description import TAGS
from tests.conftest import ROOT
from tests.contract.openapi_changes import breaking_changes
from tests.contract.test_contract import git, where_this_work_left_the_default_branch

COMMITTED = ROOT / "docs" / "openapi.json"
TODAY = date(2026, 12, 1)

Json = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Json:
    return bare_app().openapi()


def operations(document: Json) -> Iterator[tuple[str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_the_committed_document_is_that_of_the_routes(document: Json) -> None:
    committed = json.loads(COMMITTED.read_text())
    assert breaking_changes(committed, document, date.today()) == []
    assert committed == json.loads(json.dumps(document)), "run `secondsight openapi --out docs/openapi.json`"


def test_no_change_breaks_the_interface_of_an_earlier_commit(document: Json) -> None:
    base = where_this_work_left_the_default_branch()
    if not base or not git("ls-tree", base, "docs/openapi.json"):
        pytest.skip("no earlier commit has a description to compare with")
    shown = subprocess.run(
        ["git", "show", f"{base}:docs/openapi.json"], cwd=ROOT, capture_output=True, check=True
    )
    assert breaking_changes(json.loads(shown.stdout), document, date.today()) == []


def test_every_operation_is_told_of(document: Json) -> None:
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(names) == len(set(names))
    for name, operation in operations(document):
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", operation["operationId"]), name
        assert operation["summary"] and operation["description"], name
        assert len(operation["tags"]) == 1 and operation["tags"][0] in TAGS, name
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), f"{name}: {parameter['name']}"
    assert {operation["tags"][0] for _, operation in operations(document)} == TAGS.keys()


def test_every_json_body_has_an_example_that_fits_its_schema(document: Json) -> None:
    bodies = 0
    for name, operation in operations(document):
        contents = [("body", operation.get("requestBody", {}).get("content", {}))]
        contents += [
            (status, response.get("content", {}))
            for status, response in operation["responses"].items()
            if status.startswith("2")
        ]
        for where, content in contents:
            if "application/json" not in content or "schema" not in content["application/json"]:
                continue
            told = content["application/json"]
            if told["schema"] == {}:
                continue
            assert "example" in told, f"{name}, {where}: no example; see tests/contract/make_examples.py"
            schema = {**told["schema"], "components": document["components"]}
            fits = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
            assert [error.message for error in fits.iter_errors(told["example"])] == [], f"{name}, {where}"
            bodies += 1
    assert bodies > 20


EARLIER: Json = {
    "paths": {
        "/things": {
            "get": {
                "operationId": "list_things",
                "parameters": [
                    {
                        "in": "query",
                        "name": "limit",
                        "schema": {"type": "integer", "minimum": 1, "maximum": 100},
                    },
                    {"in": "query", "name": "sort", "schema": {"enum": ["up", "down"], "type": "string"}},
                ],
                "responses": {
                    "200": {
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}
                    }
                },
            },
            "post": {
                "operationId": "make_thing",
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}},
                },
                "responses": {"201": {}},
            },
        }
    },
    "components": {
        "schemas": {
            "Thing": {
                "type": "object",
                "required": ["name", "at"],
                "properties": {
                    "name": {"type": "string"},
                    "at": {"type": "string", "format": "date-time"},
                    "state": {"type": "string", "enum": ["here", "gone"]},
                    "size": {"type": "number"},
                    "inner": {"anyOf": [{"$ref": "#/components/schemas/Thing"}, {"type": "null"}]},
                    "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
                },
            },
            "Order": {
                "type": "object",
                "required": ["kind"],
                "properties": {
                    "kind": {"type": "string", "enum": ["big", "small"]},
                    "note": {"anyOf": [{"type": "string", "maxLength": 20}, {"type": "null"}]},
                },
            },
        }
    },
}


def _get(document: Json) -> Json:
    return document["paths"]["/things"]["get"]


def _thing(document: Json) -> Json:
    return document["components"]["schemas"]["Thing"]


def _order(document: Json) -> Json:
    return document["components"]["schemas"]["Order"]


BREAKING: dict[str, Callable[[Json], object]] = {
    "GET /things is gone": lambda it: it["paths"]["/things"].pop("get"),
    "POST /things is gone": lambda it: it["paths"].update({"/things": {"get": _get(it)}}),
    "another operationId": lambda it: _get(it).update(operationId="find_things"),
    "asks who is there": lambda it: _get(it).update(security=[{"key": []}]),
    "parameter 'sort' is gone": lambda it: _get(it)["parameters"].pop(),
    "parameter 'camera' is required": lambda it: _get(it)["parameters"].append(
        {"in": "query", "name": "camera", "required": True, "schema": {"type": "string"}}
    ),
    "parameter 'limit' is required": lambda it: _get(it)["parameters"][0].update(required=True),
    "maximum is 50": lambda it: _get(it)["parameters"][0]["schema"].update(maximum=50),
    "minimum is 2": lambda it: _get(it)["parameters"][0]["schema"].update(minimum=2),
    "'limit' was integer and has to be string": lambda it: _get(it)["parameters"][0].update(
        schema={"type": "string"}
    ),
    "'sort' no longer takes up": lambda it: _get(it)["parameters"][1]["schema"].update(enum=["down"]),
    "pattern is ^[a-z]+$": lambda it: _get(it)["parameters"][1]["schema"].update(pattern="^[a-z]+$"),
    "no longer answers 200": lambda it: _get(it).update(responses={"204": {}}),
    "no longer comes as application/json": lambda it: _get(it)["responses"].update(
        {"200": {"content": {"text/csv": {}}}}
    ),
    "200: field 'state' is gone": lambda it: _thing(it)["properties"].pop("state"),
    "200: field 'name' may be missing": lambda it: _thing(it).update(required=["at"]),
    "200.size may be string": lambda it: _thing(it)["properties"].update(size={"type": "string"}),
    "200.name may be null": lambda it: _thing(it)["properties"].update(
        name={"anyOf": [{"type": "string"}, {"type": "null"}]}
    ),
    "200.at: format is none": lambda it: _thing(it)["properties"].update(at={"type": "string"}),
    "200.counts[] may be number": lambda it: _thing(it)["properties"].update(
        counts={"type": "object", "additionalProperties": {"type": "number"}}
    ),
    "field 'place' is required": lambda it: _order(it).update(
        required=["kind", "place"], properties={**_order(it)["properties"], "place": {"type": "string"}}
    ),
    "body: field 'note' is gone": lambda it: _order(it)["properties"].pop("note"),
    "body.kind no longer takes small": lambda it: _order(it)["properties"]["kind"].update(enum=["big"]),
    "body.note was null": lambda it: _order(it)["properties"].update(
        note={"type": "string", "maxLength": 20}
    ),
    "maxLength is 10": lambda it: _order(it)["properties"]["note"]["anyOf"][0].update(maxLength=10),
    "no longer takes application/json": lambda it: it["paths"]["/things"]["post"]["requestBody"].update(
        content={"text/csv": {}}
    ),
}


@pytest.mark.parametrize("told", BREAKING)
def test_what_breaks_programs_is_seen(told: str) -> None:
    later = copy.deepcopy(EARLIER)
    BREAKING[told](later)
    found = breaking_changes(EARLIER, later, TODAY)
    assert any(told in change for change in found), found


COMPATIBLE: dict[str, Callable[[Json], object]] = {
    "nothing": lambda it: None,
    "another operation": lambda it: it["paths"].update({"/more": {"get": _get(it)}}),
    "another answer": lambda it: _get(it)["responses"].update({"404": {}}),
    "an optional parameter": lambda it: _get(it)["parameters"].append(
        {"in": "query", "name": "camera", "schema": {"type": "string"}}
    ),
    "a wider bound": lambda it: _get(it)["parameters"][0]["schema"].update(maximum=500),
    "another value to ask for": lambda it: _get(it)["parameters"][1]["schema"].update(
        enum=["up", "down", "by"]
    ),
    "another field in an answer": lambda it: _thing(it)["properties"].update(colour={"type": "string"}),
    "another value in an answer": lambda it: _thing(it)["properties"]["state"].update(
        enum=["here", "gone", "far"]
    ),
    "an integer for a number": lambda it: _thing(it)["properties"].update(size={"type": "integer"}),
    "an optional field in a body": lambda it: _order(it)["properties"].update(place={"type": "string"}),
    "no body needed": lambda it: it["paths"]["/things"]["post"]["requestBody"].update(required=False),
    "null taken": lambda it: _order(it)["properties"].update(
        kind={"anyOf": [{"type": "string", "enum": ["big", "small"]}, {"type": "null"}]}
    ),
}


@pytest.mark.parametrize("what", COMPATIBLE)
def test_what_programs_can_pass_over_is_let_through(what: str) -> None:
    later = copy.deepcopy(EARLIER)
    COMPATIBLE[what](later)
    assert breaking_changes(EARLIER, later, TODAY) == []


@pytest.mark.parametrize(("sunset", "gone"), [("2026-11-30", True), ("2026-12-02", False), (None, False)])
def test_what_is_deprecated_may_go_after_its_sunset_alone(sunset: str | None, gone: bool) -> None:
    earlier, later = copy.deepcopy(EARLIER), copy.deepcopy(EARLIER)
    _get(earlier).update(deprecated=True, **({} if sunset is None else {"x-sunset": sunset}))
    del later["paths"]["/things"]["get"]
    assert (breaking_changes(earlier, later, TODAY) == []) is gone
