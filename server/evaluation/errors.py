"""What can go wrong in an evaluation."""

from __future__ import annotations

from server.errors import ServerError


class EvaluationError(ServerError):
    """An evaluation that cannot be made."""


class AnnotationError(EvaluationError):
    """A folder that is not one of annotated photos."""


class ClipError(EvaluationError):
    """A video that cannot be measured."""
