"""What every process prints about itself."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from secondsight.logs import REPEAT_SPAN_S, CollapsingHandler, LogFormat, log_fields, set_up_logging
from secondsight.secrets import without_secrets

_LOG = logging.getLogger("tests.logs")


@pytest.fixture
def printed() -> Iterator[io.StringIO]:
    """What is logged as JSON meanwhile."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    set_up_logging(LogFormat.JSON, logging.INFO, stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_the_fields_of_its_context_and_its_own(printed: io.StringIO) -> None:
    with log_fields(camera="door", session=3):
        _LOG.info("connected to %s", "here", extra={"trace_id": "abc"})
    _LOG.info("alone")
    inside, outside = lines(printed)
    assert inside["event"] == "connected to here"
    assert (inside["level"], inside["logger"]) == ("info", "tests.logs")
    assert (inside["camera"], inside["session"], inside["trace_id"]) == ("door", 3, "abc")
    assert "camera" not in outside


def test_a_line_for_people_has_them_too() -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    try:
        set_up_logging(LogFormat.TEXT, logging.INFO, stream)
        with log_fields(camera="door"):
            _LOG.warning("silent for %d s", 4)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    assert "silent for 4 s" in stream.getvalue()
    assert "camera=door" in stream.getvalue()


def test_a_repeated_warning_is_counted_and_told_once() -> None:
    now = 0.0
    stream = io.StringIO()
    handler = CollapsingHandler(stream, clock=lambda: now)
    handler.setFormatter(logging.Formatter("%(message)s %(repeated)s", defaults={"repeated": ""}))

    def log(level: int, message: str, *arguments: object) -> None:
        handler.handle(logging.LogRecord("tests", level, __file__, 1, message, arguments, None))

    for attempt in range(5):
        log(logging.WARNING, "camera %s away for %d s", "door", attempt)
        log(logging.INFO, "going on")
    log(logging.WARNING, "camera %s away for %d s", "gate", 1)
    assert stream.getvalue().count("door") == 1
    assert stream.getvalue().count("going on") == 5
    assert stream.getvalue().count("gate") == 1
    now = REPEAT_SPAN_S + 1
    log(logging.INFO, "later")
    assert "camera door away for 4 s 4\n" in stream.getvalue()
    log(logging.WARNING, "camera %s away for %d s", "door", 9)
    assert stream.getvalue().endswith("camera door away for 9 s \n")
    handler.close()


def test_what_was_only_counted_is_told_at_the_end(printed: io.StringIO) -> None:
    with log_fields(camera="door"):
        for _ in range(3):
            _LOG.warning("lost")
    logging.getLogger().handlers[0].close()
    first, last = lines(printed)
    assert "repeated" not in first
    assert (last["event"], last["repeated"], last["camera"]) == ("lost", 2, "door")


def test_no_secret_is_printed_whether_in_a_message_a_field_or_a_trace_back(printed: io.StringIO) -> None:
    secret = "hunter2-hunter2"
    address = f"rtsp://admin:{secret}@10.0.0.7/stream"
    _LOG.info("opening %s", address, extra={"store": f"rediss://:{secret}@store:6379/0"})
    try:
        raise ValueError(f"cannot open {address}")
    except ValueError:
        _LOG.exception("failed")
    assert secret not in printed.getvalue()
    assert "10.0.0.7/stream" in printed.getvalue()
    assert "ValueError" in printed.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://user:s3cr3t-w0rd@camera/1",
        "redis://:s3cr3t-w0rd@store:6379/0",
        "rediss://user:p@s3cr3t-w0rd@store",
        "https://host/path?api_key=s3cr3t-w0rd&x=1",
        "authorization: Bearer s3cr3t-w0rd",
        "{'authorization': 'Bearer s3cr3t-w0rd'}",
        "('authorization', 'Bearer s3cr3t-w0rd')",
        "X-API-Key: s3cr3t-w0rd",
        "sent bearer s3cr3t-w0rd",
    ],
)
def test_secrets_are_recognised(text: str) -> None:
    assert "s3cr3t-w0rd" not in without_secrets(text)


def test_what_is_no_secret_stays() -> None:
    text = "uplink to rtsp://10.0.0.7/stream and redis://store:6379/0: key frame 3-120, mail a@b.example"
    assert without_secrets(text) == text
