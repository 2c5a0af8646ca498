"""The report as one HTML page that needs no other file and no network."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

from shared_models.evaluation.markdown import Report

_STYLE: Final = Path(__file__).with_name("report.css")
PICTURE_TYPES: Final = {".svg": "image/svg+xml", ".webp": "image/webp"}


def page_of(report: Report) -> str:
    """HTML with all pictures inside."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(report.text)
    title = next(token.content for token in tokens if token.type == "inline")
    _name_rows(tokens)
    _embed(tokens, report)
    body = markdown.renderer.render(tokens, markdown.options, {})
    return (
        "<!doctype html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_STYLE.read_text()}</style>\n</head>\n"
        f"<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )


def _name_rows(tokens: list[Token]) -> None:
    """Headers get their scope, the first cell of a row becomes its header, wide tables may scroll by themselves."""
    first = inside = False
    for token in tokens:
        if token.type == "table_open":
            token.type, token.content = "html_block", '<div class="scroll" tabindex="0"><table>\n'
        elif token.type == "table_close":
            token.type, token.content = "html_block", "</table></div>\n"
        elif token.type in ("tbody_open", "tbody_close"):
            inside = token.type == "tbody_open"
        elif token.type == "tr_open":
            first = inside
        elif token.type == "th_open":
            token.attrSet("scope", "col")
        elif first and token.type in ("td_open", "td_close"):
            token.tag = "th"
            if token.type == "td_open":
                token.attrSet("scope", "row")
            else:
                first = False


def _embed(tokens: Sequence[Token], report: Report) -> None:
    for token in (child for block in tokens for child in block.children or ()):
        if token.type == "image":
            path = str(token.attrs["src"])
            data = base64.b64encode(report.pictures[path]).decode()
            token.attrSet("src", f"data:{PICTURE_TYPES[Path(path).suffix]};base64,{data}")
