"""``/v1/cameras/{camera}/rules`` and ``/v1/rules/default``: what matters of a camera's detections. For admins alone."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field

from secondsight.store_keys import CAMERA_ID_PATTERN
from server.access.caller import Principal
from server.audit.record import Outcome, Subject
from server.errors import ChangedMeanwhileError, RulesError, RulesOfFileError, ServerError, TagRequiredError
from server.rest.conditional import strong_tag
from server.rest.disclosure import event_of
from server.rest.gate import Administrator
from server.rest.on_record import on_record
from server.rest.problems import PROBLEM_RESPONSES
from server.rest.services import Services, Serving
from server.rest.users import IfMatch, expected_tag
from server.watch.rules import TRACKING_MISSING, CameraRules, Retention, can_track
from server.watch.rules_store import DEFAULT, UNSET, StoredRules

router = APIRouter(prefix="/v1", tags=["rules"], responses=PROBLEM_RESPONSES)

RulesCamera = Annotated[
    str,
    Path(pattern=f"^{CAMERA_ID_PATTERN}$", description="A camera; it need not have sent a frame yet."),
]


class Source(StrEnum):
    """Where the rules of a camera come from."""

    FILE = "file"
    """That which `--rules` names: nothing can be changed over REST."""
    CAMERA = "camera"
    """Its own."""
    DEFAULT = "default"
    """Those of all cameras that have none of their own."""


class RulesDocument(BaseModel):
    """Rules in force. The ETag of the answer is asked for when they are changed."""

    camera: str | None = Field(description="Null for those of cameras without rules of their own.")
    source: Source
    writable: bool = Field(description="Whether they can be changed over REST.")
    fault: str | None = Field(
        description="Why what is stored cannot be, so that other rules are in force; null when all is well."
    )
    rules: CameraRules
    server: Retention = Field(description="How long layers are kept where the rules do not say it.")


@router.get("/rules/default", operation_id="get_default_rules", summary="Rules of all other cameras")
@on_record(Subject.RULES)
async def get_default_rules(response: Response, services: Serving, _: Administrator) -> RulesDocument:
    """The rules of cameras that have none of their own."""
    return await _told(response, services, DEFAULT)


@router.put("/rules/default", operation_id="put_default_rules", summary="Change rules of all other cameras")
@on_record(Subject.RULES)
async def put_default_rules(
    request: Request,
    response: Response,
    services: Serving,
    caller: Administrator,
    rules: CameraRules,
    if_match: IfMatch = None,
) -> RulesDocument:
    """Put these in the place of the rules of cameras that have none of their own. They hold within seconds."""
    return await _replaced(request, response, services, caller, DEFAULT, rules, if_match)


@router.get("/cameras/{camera}/rules", operation_id="get_rules", summary="Rules of a camera")
@on_record(Subject.RULES)
async def get_rules(
    response: Response, services: Serving, _: Administrator, camera: RulesCamera
) -> RulesDocument:
    """What is published of a camera's detections, its zones, and how long its enhancement layers are kept."""
    return await _told(response, services, camera)


@router.put("/cameras/{camera}/rules", operation_id="put_rules", summary="Change the rules of a camera")
@on_record(Subject.RULES)
async def put_rules(
    request: Request,
    response: Response,
    services: Serving,
    caller: Administrator,
    camera: RulesCamera,
    rules: CameraRules,
    if_match: IfMatch = None,
) -> RulesDocument:
    """Put these in the place of a camera's rules. They hold within seconds, in every worker without a file of its own.

    Takes the ETag of what was read as `If-Match`.
    """
    return await _replaced(request, response, services, caller, camera, rules, if_match)


@router.delete(
    "/cameras/{camera}/rules", operation_id="drop_rules", summary="Have a camera follow the default"
)
@on_record(Subject.RULES)
async def drop_rules(
    request: Request,
    response: Response,
    services: Serving,
    caller: Administrator,
    camera: RulesCamera,
    if_match: IfMatch = None,
) -> RulesDocument:
    """Let go of a camera's own rules, so that those of all other cameras hold for it, too."""
    return await _replaced(request, response, services, caller, camera, None, if_match)


async def _told(response: Response, services: Services, camera: str | None) -> RulesDocument:
    config = services.config
    server = Retention.model_construct(detection_s=config.retain_detection, alert_s=config.retain_alert)
    file = services.rules.file
    if file is not None:
        rules = file.default if camera is None else file.of(camera)
        return RulesDocument(
            camera=camera, source=Source.FILE, writable=False, fault=None, rules=rules, server=server
        )
    held = await services.rules_store.read({camera, DEFAULT})
    own, default = StoredRules.of(held[camera]), StoredRules.of(held[DEFAULT])
    response.headers["ETag"] = strong_tag(own.tag)
    return RulesDocument(
        camera=camera,
        source=Source.DEFAULT if camera is None or own.tag == UNSET else Source.CAMERA,
        writable=True,
        fault=own.fault or None,
        rules=own.rules or default.rules or CameraRules(),
        server=server,
    )


async def _replaced(
    request: Request,
    response: Response,
    services: Services,
    caller: Principal,
    camera: str | None,
    rules: CameraRules | None,
    if_match: str | None,
) -> RulesDocument:
    """Put rules in the place of others, once that is on record.

    Raises:
        RulesOfFileError
        RulesError: they cannot be followed here.
        TagRequiredError
        ChangedMeanwhileError
        AuditUnavailableError: nothing was changed.
    """
    if services.rules.file is not None:
        raise RulesOfFileError
    if if_match is None:
        raise TagRequiredError
    if rules is not None and rules.track and not can_track():
        raise RulesError(f"these rules {TRACKING_MISSING}")
    expected = expected_tag(if_match)
    before = StoredRules.of((await services.rules_store.read([camera]))[camera])
    if expected is not None and before.tag != expected:
        raise ChangedMeanwhileError("these rules")
    told = f"{_whose(camera)} rules {_change_of(before.rules, rules)}"
    event = replace(event_of(request, caller, Subject.RULES), camera=camera or "", detail=told)
    await services.audit.record(event)
    try:
        await services.rules_store.replace(camera, rules, expected)
    except ServerError as error:
        await services.audit.record(replace(event, outcome=Outcome.FAILED, detail=f"{told}: {error}"))
        raise
    return await _told(response, services, camera)


def _whose(camera: str | None) -> str:
    return "all other cameras'" if camera is None else "the camera's"


def _change_of(before: CameraRules | None, after: CameraRules | None) -> str:
    """In words, without the polygons."""
    if after is None:
        return "dropped"
    known = before or CameraRules()
    changed = [name for name in CameraRules.model_fields if getattr(known, name) != getattr(after, name)]
    told = [f"zones ({', '.join(after.zones) or 'none'})" if name == "zones" else name for name in changed]
    return f"changed: {', '.join(told)}" if told else "set as they were"
