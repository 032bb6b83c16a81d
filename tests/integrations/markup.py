"""Whether a page is well formed."""

from html.parser import HTMLParser

VOID = {"meta", "img", "br", "link", "input", "rect", "line", "circle", "polyline"}


class Balance(HTMLParser):
    """Collects open tags, and complains where one is closed that was not opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.images.append(dict(attrs)["src"] or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag
