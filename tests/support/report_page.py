"""A parsed report page: what the tests of the HTML report look at."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

NEIGHBOURS = {"result.json", "junit.xml", "logs/", "./"}
VOID = {"meta", "br", "link", "img", "input"}


class Page(HTMLParser):
    """Tags with their attributes, the text, and whether every tag is closed in order."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(source)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in {"style", "title", "script"}:
            self.text += data


def require_self_contained(source: str) -> Page:
    """Return the page; fails unless it is well formed, loads nothing, runs its own script alone, and links to its own
    sections and to its neighbours in the run directory alone.
    """
    page = Page(source)
    names = {tag for tag, _ in page.tags}
    assert names.isdisjoint({"link", "img", "iframe", "object", "embed", "base", "form", "image", "use"})
    (script,) = re.findall(r"<script>(.*?)</script>", source, re.DOTALL)
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = (one["content"] for _, one in page.tags if one.get("http-equiv") == "Content-Security-Policy")
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'"
    ids = {one.get("id") for _, one in page.tags}
    for tag, attributes in page.tags:
        assert {"src", "xlink:href", "style", "srcset", "action"}.isdisjoint(attributes)
        target = attributes.get("href")
        assert target is None or (tag == "a" and (target in NEIGHBOURS or target.removeprefix("#") in ids)), target
        assert not [name for name in attributes if name.startswith("on")]
    style = source.partition("<style>")[2].partition("</style>")[0]
    assert set(re.findall(r"url\([^)]*\)", style)) == {"url(#hatch)"}
    assert "@import" not in style
    assert "http" not in style
    return page
