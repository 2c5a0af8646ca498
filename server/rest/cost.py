"""``/v1/cameras/{camera}/frames/{frame}/cost``: the bytes of a view, beside those of other means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from server.access.caller import Permission, Principal
from server.audit.record import Subject
from server.catalogue import StoredFrame
from server.cost import equal_jpeg
from server.cost.equal_jpeg import EqualJpeg
from server.errors import (
    EnhancementError,
    EnhancementUnavailableError,
    KeyFrameGoneError,
    UndecodableLayerError,
)
from server.rest.disclosure import ReasonHeader, ReasonQuery, told_reason
from server.rest.frames import CameraName, FrameName, WaitQuery
from server.rest.gate import Caller
from server.rest.on_record import human_view, on_record
from server.rest.problems import PROBLEM_RESPONSES
from server.rest.services import Services, Serving
from server.views import ImageFormat, View
from shared_models import errors as codec_errors
from shared_models.bitstream import Bitstream, Layer

router = APIRouter(tags=["frames"], responses=PROBLEM_RESPONSES)


class EnhancementCost(BaseModel):
    """The enhancement layer."""

    bytes: int
    slices: int
    by_slice: list[int] | None = Field(
        description="Bytes of each slice, the first with the header; null where the layer itself was not looked at."
    )


class KeyFrameCost(BaseModel):
    """Layers that a predicted frame takes beside its own; the whole group shares them."""

    frame: str
    machine_bytes: int
    enhancement_bytes: int


class JpegCost(BaseModel):
    """This very picture as a JPEG that shows as much."""

    bytes: int
    quality: int = Field(description="Pillow's.")
    psnr_db: float = Field(
        description="Of views of this level, number of slices and machine level: mean over the photos of `measured`. "
        "The JPEG's is the same."
    )
    baseline: str
    measured: str = Field(description="Where the two were found to be equal.")


class Cost(BaseModel):
    """Measured bytes of one view of one frame."""

    camera: str
    frame: str
    view: View
    slices: int | None = Field(
        description="Those that the view is made from; null: of the machine layer alone."
    )
    machine_bytes: int
    enhancement: EnhancementCost
    view_bytes: int | None = Field(
        description="What the view is made from: the machine layer and, of a human view, its slices. Null where the "
        "bytes of slices are not known."
    )
    both_layers_bytes: int = Field(description="What it is when every frame is sent with both layers.")
    key_frame: KeyFrameCost | None
    jpeg: JpegCost | None
    jpeg_missing: str | None = Field(description="Why there is no JPEG to compare with, when that is so.")


@dataclass(frozen=True)
class _Compared:
    """What takes a look at the layers."""

    by_slice: list[int] | None
    key: KeyFrameCost | None
    jpeg: JpegCost | None
    missing: str | None


@router.get(
    "/v1/cameras/{camera}/frames/{frame}/cost",
    operation_id="get_cost",
    summary="What a view cost",
    response_model=Cost,
)
@on_record(human_view)
async def get_cost(
    request: Request,
    services: Serving,
    caller: Caller,
    camera: CameraName,
    frame: FrameName,
    view: Annotated[View, Query(description="The view that is told of.")] = View.HUMAN,
    slices: Annotated[
        int | None,
        Query(ge=1, le=5, description="Human view from the first slices alone; all when left out."),
    ] = None,
    wait: WaitQuery = None,
    reason: ReasonQuery = None,
    reason_header: ReasonHeader = None,
) -> Response:
    """Bytes of both layers, of the view, and of a JPEG that shows as much.

    For the JPEG of a human view that view is made: this takes the role operator and a reason, and goes on record.
    Without them the rest is told.
    """
    stored = await services.catalogue.frame(camera, frame)
    if view is View.MACHINE:
        return _answer(_cost(stored, view, None, await _of_machine_view(services, stored)))
    why = told_reason(reason, reason_header)
    withheld = _withheld(services, caller, why)
    if withheld is not None:
        return _answer(_cost(stored, view, slices, _Compared(None, None, None, withheld)))
    async with services.disclosures.begin(
        request,
        caller,
        Permission.HUMAN_VIEW,
        subject=Subject.HUMAN_VIEW,
        camera=camera,
        frame=frame,
        view="cost",
        reason=why,
    ) as disclosure:
        compared = await _of_human_view(services, stored, slices, wait)
        return disclosure.of(_answer(_cost(stored, view, slices, compared)))


def _answer(cost: Cost) -> Response:
    return Response(
        cost.model_dump_json(), media_type="application/json", headers={"Cache-Control": "private, no-cache"}
    )


def _withheld(services: Services, caller: Principal, reason: str | None) -> str | None:
    if not caller.may(Permission.HUMAN_VIEW):
        return "the JPEG is made of the human view, which takes the role operator"
    if not services.access.open and not (reason or "").strip():
        return "the JPEG is made of the human view: say what it is for, by `reason`"
    return None


def _cost(stored: StoredFrame, view: View, slices: int | None, compared: _Compared) -> Cost:
    receipt = stored.frame.enhancement
    asked = None if view is View.MACHINE else min(slices or receipt.slices, receipt.slices)
    view_bytes: int | None = stored.machine_bytes
    if asked is not None and asked == receipt.slices:
        view_bytes = stored.machine_bytes + receipt.bytes
    elif asked is not None:
        view_bytes = (
            None if compared.by_slice is None else stored.machine_bytes + sum(compared.by_slice[:asked])
        )
    return Cost(
        camera=stored.frame.id.camera_id,
        frame=stored.name,
        view=view,
        slices=asked,
        machine_bytes=stored.machine_bytes,
        enhancement=EnhancementCost(bytes=receipt.bytes, slices=receipt.slices, by_slice=compared.by_slice),
        view_bytes=view_bytes,
        both_layers_bytes=stored.machine_bytes + receipt.bytes,
        key_frame=compared.key,
        jpeg=compared.jpeg,
        jpeg_missing=compared.missing,
    )


async def _of_machine_view(services: Services, stored: StoredFrame) -> _Compared:
    gathered = await services.views.gather(stored, View.MACHINE, ImageFormat.JPEG, None)
    try:
        header = Bitstream.parsed(stored.frame.machine_layer, Layer.MACHINE).header
    except codec_errors.CodecError as error:
        raise UndecodableLayerError(error) from error
    equal = equal_jpeg.equal_to_machine_view(header.quality)
    size = None if equal is None else await services.views.measure(gathered, equal.size)
    return _Compared(None, None, _jpeg(equal, size), _not_measured(equal))


async def _of_human_view(
    services: Services, stored: StoredFrame, slices: int | None, wait: float | None
) -> _Compared:
    try:
        gathered = await services.views.gather(stored, View.HUMAN, ImageFormat.JPEG, slices, wait)
    except (EnhancementError, EnhancementUnavailableError, KeyFrameGoneError) as error:
        return _Compared(None, None, None, str(error))
    assert gathered.layers is not None
    try:
        stream = Bitstream.parsed(gathered.enhancement, Layer.ENHANCEMENT)
    except codec_errors.CodecError as error:
        raise UndecodableLayerError(error) from error
    header, held = stream.header, len(stream.segments)
    equal = equal_jpeg.equal_to_human_view(
        header.machine_quality, header.quality, min(slices or held, held), header.slices
    )
    size = None if equal is None else await services.views.measure(gathered, equal.size)
    by_slice = [len(Bitstream(header, stream.segments[:count]).packed()) for count in range(1, held + 1)]
    key = gathered.layers.key
    return _Compared(
        [after - before for before, after in zip([0, *by_slice], by_slice, strict=False)],
        None
        if key is None or stored.key_frame is None
        else KeyFrameCost(
            frame=stored.key_frame,
            machine_bytes=len(key.machine),
            enhancement_bytes=len(key.enhancement or b""),
        ),
        _jpeg(equal, size),
        _not_measured(equal),
    )


def _jpeg(equal: EqualJpeg | None, size: int | None) -> JpegCost | None:
    if equal is None or size is None:
        return None
    return JpegCost(
        bytes=size,
        quality=equal.quality,
        psnr_db=round(equal.psnr_db, 2),
        baseline=equal_jpeg.BASELINE,
        measured=equal_jpeg.origin(),
    )


def _not_measured(equal: EqualJpeg | None) -> str | None:
    return "views of this level were not measured beside JPEG" if equal is None else None
