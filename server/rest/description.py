"""What the OpenAPI document says beside the routes: an introduction, the tags, and an example of every body."""

from __future__ import annotations

import json
from http import HTTPStatus
from importlib import resources
from typing import Any, Final

from server.rest.problems import MEDIA_TYPE, problem_titles

SUMMARY: Final = "Cameras, frames and their two layers; human views on request."
INTRODUCTION: Final = """\
Cameras send frames in two layers. The machine layer is stored and recognised at once. The enhancement layer waits, \
and together they give the human view, which takes the role operator and a reason, and is on record.

- **Who asks**: an API key as bearer token, or the cookie of a browser session. A server that only its own machine \
can reach asks nobody.
- **Times** are RFC 3339, in answers UTC. **Names** of frames are `SESSION-SEQUENCE`, and of one camera.
- **Lists** come in pages, newest first: `limit` is the size of a page, `next` in the answer the address of the page \
after it, null on the last one. Cursors are opaque.
- **Errors** are problem documents (RFC 9457). Their `type` can be looked up at this server.
- **Limits** are told in `RateLimit-Policy` and `RateLimit`; 429 and 503 say `Retry-After`.
- **Conditional requests**: pictures, layers and files have an `ETag`; `If-None-Match` gives 304.
- **What is to go** says so for half a year at least: `Deprecation`, `Sunset`, and a link to its successor.

docs/rest.md is the guide."""

TAGS: Final = {
    "cameras": "Cameras, and how they do.",
    "frames": "Frames with what was recognised in them, their raw layers, what a view cost, and frames that are kept.",
    "images": "Pictures: the machine view, and the human view for who may see it.",
    "events": "Results and cameras as they come, as server-sent events.",
    "timeline": "What a camera has shown, for longer than frames are kept.",
    "overview": "What the uplinks carry, what is saved, and how all does.",
    "marks": "What operators say of results: right, wrong or missed.",
    "clips": "Films of a stretch of time, made in the background.",
    "exports": "Results, views, layers or marks of a stretch of time in one file, made in the background.",
    "recognisers": "What each task recognises with.",
    "rules": "Zones, filters and retention of cameras. For admins.",
    "access": "People, API keys and cameras' tokens. For admins.",
    "audit": "Who has seen and changed what. For admins.",
    "session": "People log in and out with a browser.",
    "problems": "What the `type` of a problem means.",
    "probes": "For what watches over the server.",
}

_METHODS: Final = ("get", "post", "put", "patch", "delete")
_JSON: Final = "application/json"


def finished(document: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI document with the examples of `examples.json`, which are by the operation's id, and with each kind of
    problem said once."""
    examples = json.loads((resources.files("server.rest") / "examples.json").read_text())
    problems: dict[str, Any] = {}
    for path in document["paths"].values():
        for operation in (path[method] for method in _METHODS if method in path):
            _add(operation, examples.get(operation["operationId"], {}))
            for status, response in operation["responses"].items():
                if MEDIA_TYPE in response.get("content", {}):
                    name = f"Problem{status}"
                    problems[name] = _problem(status)
                    operation["responses"][status] = {"$ref": f"#/components/responses/{name}"}
    document["components"]["responses"] = problems
    return document


def _problem(status: str) -> dict[str, Any]:
    titles = problem_titles(int(status)) or [HTTPStatus(int(status)).phrase]
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": "; ".join(titles), "content": {MEDIA_TYPE: {"schema": schema}}}


def _add(operation: dict[str, Any], found: dict[str, Any]) -> None:
    if "request" in found:
        operation["requestBody"]["content"][_JSON]["example"] = found["request"]
    for status, response in operation["responses"].items():
        content = response.get("content", {})
        if status.startswith("2") and _JSON in content and "response" in found:
            content[_JSON]["example"] = found["response"]
    for parameter in operation.get("parameters", []):
        if parameter["name"] in found.get("parameters", {}):
            parameter["example"] = found["parameters"][parameter["name"]]
