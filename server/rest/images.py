"""``/v1/cameras/{camera}/frames/{frame}/image``: the machine view and the human view."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from server.rest.conditional import is_current, not_modified, strong_tag, tagged
from server.rest.frames import CameraName, FrameName, key_frame_headers
from server.rest.negotiation import negotiate_format
from server.rest.problems import PROBLEM_RESPONSES
from server.rest.services import Serving
from server.views import ImageFormat, View

router = APIRouter(tags=["images"], responses=PROBLEM_RESPONSES)

_VARY = {"Vary": "Accept"}


@router.get(
    "/v1/cameras/{camera}/frames/{frame}/image",
    operation_id="get_image",
    summary="A picture of a frame",
    response_class=Response,
    responses={200: {"content": {image_format.media_type: {} for image_format in ImageFormat}}},
)
async def get_image(
    request: Request,
    services: Serving,
    camera: CameraName,
    frame: FrameName,
    view: Annotated[View, Query(description="`machine`: the machine layer alone. `human`: both layers.")] = (
        View.MACHINE
    ),
    slices: Annotated[
        int | None,
        Query(ge=1, le=5, description="Human view from the first slices alone; all when left out."),
    ] = None,
    format: Annotated[
        ImageFormat | None, Query(description="Chosen by the Accept header when left out.")
    ] = None,
    accept: Annotated[str | None, Header()] = None,
) -> Response:
    """The frame as its machine layer shows it, or sharpened by its enhancement layer."""
    image_format = format or negotiate_format(accept)
    stored = await services.catalogue.frame(camera, frame)
    asked = await services.views.gather(stored, view, image_format, slices)
    tag = strong_tag(asked.digest)
    if is_current(request, tag):
        return not_modified(tag, _VARY)
    content = await services.views.make(asked)
    headers = {
        **tagged(tag),
        **_VARY,
        **key_frame_headers(stored),
        "Secondsight-Machine-Bytes": str(len(stored.frame.machine_layer)),
        "Secondsight-Enhancement-Bytes": str(len(asked.enhancement)),
    }
    return Response(content, media_type=image_format.media_type, headers=headers)
