"""Programs that ask a Secondsight server: what cameras see, pictures of it, and frames of their own.

    from secondsight.client import Client

    with Client("http://127.0.0.1:8080") as client:
        for frame in client.frames("gate"):
            ...

`Client` and `AsyncClient` have the same methods. docs/client.md shows more.
"""

from secondsight.client._async_client import AsyncClient
from secondsight.client._client import Client
from secondsight.client._exceptions import (
    ClientError,
    EnhancementEvictedError,
    EnhancementExpiredError,
    EnhancementNotStoredError,
    FeedClosedError,
    ForbiddenError,
    FrameRefusedError,
    GoneError,
    IncompatibleServerError,
    InvalidRequestError,
    JobError,
    KeyFrameGoneError,
    KeyInTheClearError,
    NotFoundError,
    PictureError,
    Problem,
    ProblemError,
    PushError,
    ReasonRequiredError,
    ServerFailedError,
    SettingsError,
    TimedOutError,
    TooManyRequestsError,
    UnauthenticatedError,
    UnavailableError,
    UnknownCameraError,
    UnknownFrameError,
    UnreachableError,
)
from secondsight.client._feed import AsyncFeed, Encoding, Feed
from secondsight.client._outbox import Layers, Pushed
from secondsight.client._settings import NO_RETRIES, Retries, Settings, Timeouts, Tls
from secondsight.client._subscription import AsyncSubscription, Subscription
from secondsight.client._values import (
    Box,
    Camera,
    Detection,
    Edge,
    Enhancement,
    Event,
    Frame,
    Keypoint,
    LayerBytes,
    Mask,
    Provenance,
    Result,
    Segment,
    Spool,
    View,
)

__all__ = [
    "NO_RETRIES",
    "AsyncClient",
    "AsyncFeed",
    "AsyncSubscription",
    "Box",
    "Camera",
    "Client",
    "ClientError",
    "Detection",
    "Edge",
    "Encoding",
    "Enhancement",
    "EnhancementEvictedError",
    "EnhancementExpiredError",
    "EnhancementNotStoredError",
    "Event",
    "Feed",
    "FeedClosedError",
    "ForbiddenError",
    "Frame",
    "FrameRefusedError",
    "GoneError",
    "IncompatibleServerError",
    "InvalidRequestError",
    "JobError",
    "KeyFrameGoneError",
    "KeyInTheClearError",
    "Keypoint",
    "LayerBytes",
    "Layers",
    "Mask",
    "NotFoundError",
    "PictureError",
    "Problem",
    "ProblemError",
    "Provenance",
    "PushError",
    "Pushed",
    "ReasonRequiredError",
    "Result",
    "Retries",
    "Segment",
    "ServerFailedError",
    "Settings",
    "SettingsError",
    "Spool",
    "Subscription",
    "TimedOutError",
    "Timeouts",
    "Tls",
    "TooManyRequestsError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnknownCameraError",
    "UnknownFrameError",
    "UnreachableError",
    "View",
]
