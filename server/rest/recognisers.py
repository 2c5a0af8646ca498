"""``/v1/recognisers``: what looks at the frames."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from server.rest.gate import Caller
from server.rest.problems import PROBLEM_RESPONSES
from server.rest.services import Serving

router = APIRouter(tags=["recognisers"], responses=PROBLEM_RESPONSES)


class RecogniserDocument(BaseModel):
    """What one recognition task looks at frames with."""

    task: str
    recogniser: str = Field(description="Name and version of the model, as in results.")
    labels: list[str] = Field(description="All labels that it may give.")
    device: str = Field(description="Where it runs: `cpu` or `cuda`.")
    inputs: str = Field(description="What becomes of a picture before the model sees it.")


class RecogniserList(BaseModel):
    """By the names of their tasks."""

    recognisers: list[RecogniserDocument]


@router.get("/v1/recognisers", operation_id="list_recognisers", summary="What looks at the frames")
async def list_recognisers(services: Serving, caller: Caller) -> RecogniserList:
    """The recogniser of every task that a worker has ever begun, with its labels."""
    return RecogniserList(
        recognisers=[
            RecogniserDocument(
                task=told.task,
                recogniser=told.recogniser,
                labels=list(told.labels),
                device=told.device,
                inputs=told.inputs,
            )
            for told in await services.catalogue.recognisers()
        ]
    )
