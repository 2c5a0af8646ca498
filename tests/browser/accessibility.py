"""What axe finds wrong with a page."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page


def violations(page: Page) -> list[str]:
    """Rules that the page breaks, each with where; best practices too."""
    found = Axe().run(page).response["violations"]
    return [
        f"{violation['id']} ({violation['help']}): {[node['target'] for node in violation['nodes']]}"
        for violation in found
    ]
