"""Who may see what, in the console of a server that asks who is there."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
from playwright.sync_api import Browser, Page, expect

from tests.browser.accessibility import violations
from tests.browser.conftest import Faults, Serving, log_in, opened

OWN = "a password of my own"
REASON = "a parcel is missing: Grüße, №7"
ASK = """async ([address, method, body]) => {
    const headers = body ? { "Content-Type": "application/json" } : {};
    const response = await fetch(address, { method, headers, body: body && JSON.stringify(body) });
    return [response.status, response.headers.get("Content-Type")];
}"""


def command(secured: Serving, *arguments: str) -> str:
    """A command of an operator at the server's terminal."""
    return subprocess.run(
        [
            *(sys.executable, "-c", "from secondsight.command_line import main; main()"),
            *(*arguments, "--data", str(secured.data)),
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def records(secured: Serving, frame: str) -> list[dict[str, str]]:
    """What the audit has of a frame."""
    told = command(secured, "audit", "export", "--camera", "street").splitlines()
    return [record for record in map(json.loads, told) if record["frame"] == frame]


def open_frame(page: Page, frame: str) -> None:
    page.evaluate("frame => (location.hash = `#/cameras/street/frames/${frame}`)", frame)
    expect(page.locator(".stage")).to_have_attribute("data-machine", frame)


def test_an_operator_types_the_reason_once_and_each_look_is_on_record(
    browser: Browser, secured: Serving, clip: list[np.ndarray], faults: Faults
) -> None:
    (frame, other) = secured.push("street", clip[:2])
    with opened(browser, faults) as page:
        log_in(page, secured, "otto")
        open_frame(page, frame)
        reason = page.get_by_label("What is it for?")
        expect(reason).to_be_visible()
        page.keyboard.press("h")
        expect(reason).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#human-view")).to_be_hidden()
        page.keyboard.type(REASON)
        page.keyboard.press("Enter")
        expect(page.locator(".stage")).to_have_attribute("data-slices", "5")
        expect(page.locator(".bars")).to_contain_text("This human view")
        assert violations(page) == []
        open_frame(page, other)
        expect(page.get_by_label("What is it for?")).to_have_value(
            REASON
        )  # offered again, not used by itself
        expect(page.locator("#human-view")).to_be_hidden()
    views = [record for record in records(secured, frame) if record["subject"] == "human_view"]
    assert [view["outcome"] for view in views] == ["asked", "delivered"] * (len(views) // 2)
    looks = [view["view"] for view in views[::2]]
    assert looks in (["human"] * 3 + ["cost"], ["human"] * 2 + ["cost"])
    assert {(view["principal"], view["reason"]) for view in views} == {("otto", REASON)}
    assert records(secured, other) == []
    assert "last:" in command(secured, "audit", "verify")


def test_a_viewer_gets_no_human_view_by_any_road(browser: Browser, secured: Serving, faults: Faults) -> None:
    faults.expected_status = 403
    frame = secured.frames[2]
    with opened(browser, faults) as page:
        log_in(page, secured, "vera")
        open_frame(page, frame)
        expect(page.locator("#human-told")).to_contain_text("take the role operator")
        for forbidden in ("Ask for human view", "Keep this frame", "Download human view"):
            expect(page.get_by_role("button", name=forbidden)).to_have_count(0)
        for link in ("Audit", "Settings"):
            expect(page.get_by_role("link", name=link)).to_have_count(0)
        for key in ("h", "k"):
            page.keyboard.press(key)
        expect(page.locator("#human-view")).to_be_hidden()

        of_frame = f"/v1/cameras/street/frames/{frame}"
        period = {"from": "2026-01-01T00:00:00Z", "to": "2036-01-01T00:00:00Z"}
        people = {"cameras": ["street"], "view": "human", "reason": "none", **period}
        roads = [
            (f"{of_frame}/image?view=human", "GET", None),
            (f"{of_frame}/image?view=human&slices=1&reason=none", "GET", None),
            (f"{of_frame}/image?view=human&download=true&format=png&reason=none", "GET", None),
            (f"{of_frame}/layers/enhancement?reason=none", "GET", None),
            (f"{of_frame}/keep?reason=none", "POST", None),
            ("/v1/clips", "POST", {"camera": "street", "view": "human", "reason": "none", **period}),
            ("/v1/exports", "POST", {"kind": "views", **people}),
            ("/v1/exports", "POST", {"kind": "layers", **people}),
            ("/v1/exports", "POST", {"kind": "marks", **people}),
        ]
        for road in roads:
            status, kind = page.evaluate(ASK, list(road))
            assert (status, kind) == (403, "application/problem+json"), road
        status, _ = page.evaluate(ASK, [f"{of_frame}/image?view=machine", "GET", None])
        assert status == 200
    told = records(secured, frame)
    assert told and {record["outcome"] for record in told} == {"refused"}
    assert {record["principal"] for record in told} == {"vera"}


def test_the_login_is_accessible_and_says_what_went_wrong(
    browser: Browser, secured: Serving, faults: Faults
) -> None:
    faults.expected_status = 401
    with opened(browser, faults) as page:
        page.goto(secured.http)
        dialog = page.locator("#login")
        expect(dialog).to_be_visible()
        assert violations(page) == []
        page.locator("#login-name").fill("otto")
        page.locator("#login-password").fill("not the password")
        page.keyboard.press("Enter")
        expect(dialog.locator(".failure")).to_contain_text("do not belong together")
        page.keyboard.press("Escape")
        expect(dialog).to_be_visible()


def test_a_first_login_chooses_a_password_and_logging_out_ends_it(
    browser: Browser, secured: Serving, faults: Faults
) -> None:
    password = command(secured, "access", "user", "add", "nina")
    faults.expected_status = 403
    with opened(browser, faults) as page:
        page.goto(secured.http)
        page.locator("#login-name").fill("nina")
        page.locator("#login-password").fill(password)
        page.keyboard.press("Enter")
        own = page.locator("#login-new")
        expect(own).to_be_focused()
        own.fill(OWN)
        page.keyboard.press("Enter")
        expect(page.locator("#person")).to_contain_text("nina, viewer")
        expect(page.locator('.tile[data-camera="street"]')).to_be_visible()
        cookie = page.context.cookies()[0]
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        faults.expected_status = 401  # of what the page still asks for when it is logged out
        page.locator("#logout").click()
        expect(page.locator("#login")).to_be_visible()
        expect(page.locator(".tile")).to_have_count(0)
        assert page.request.get(f"{secured.http}/v1/cameras").status == 401
    assert not re.search(rf"{OWN}|{re.escape(password)}|{REASON}", (secured.data / "server.log").read_text())


def test_whose_access_is_taken_away_is_asked_to_log_in(
    browser: Browser, secured: Serving, faults: Faults
) -> None:
    password = command(secured, "access", "user", "add", "guest")
    with opened(browser, faults) as page:
        faults.expected_status = 403
        page.goto(secured.http)
        page.locator("#login-name").fill("guest")
        page.locator("#login-password").fill(password)
        page.keyboard.press("Enter")
        page.locator("#login-new").fill(OWN)
        page.keyboard.press("Enter")
        expect(page.locator('.tile[data-camera="street"]')).to_be_visible()
        faults.expected_status = 401
        command(secured, "access", "user", "remove", "guest")
        expect(page.locator("#login")).to_be_visible()
        expect(page.locator("#connection")).to_have_text("Your login has ended. Log in to go on.")
        expect(page.locator(".tile")).to_have_count(0)
