"""A page as a test reads it: elements with their attributes and text, parsed by the standard library."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset(["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"])


@dataclass(eq=False)
class Element:
    tag: str
    attributes: dict[str, str]
    children: list[Element | str] = field(default_factory=list)

    def all(self, *tags: str) -> list[Element]:
        """Return the elements within that have one of some tags, or all of them."""
        found = []
        for child in self.children:
            if isinstance(child, Element):
                if not tags or child.tag in tags:
                    found.append(child)
                found += child.all(*tags)
        return found

    def one(self, tag: str, **attributes: str) -> Element:
        """Return the only element within of a tag that has some attributes (`class_` for `class`)."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        (found,) = [element for element in self.all(tag) if wanted.items() <= element.attributes.items()]
        return found

    @property
    def text(self) -> str:
        """The text within, white space folded."""
        return " ".join("".join(self._texts()).split())

    def _texts(self) -> list[str]:
        found = []
        for child in self.children:
            found += [child] if isinstance(child, str) else child._texts()
        return found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"{tag} says something twice: {names}"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        element = self.open.pop()
        assert element.tag == tag, f"<{element.tag}> is closed by </{tag}>"

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def parse(content: bytes) -> Element:
    """Read a page whose elements are all closed where they should be."""
    reader = _Reader()
    reader.feed(content.decode())
    reader.close()
    assert reader.open == [reader.root], f"<{reader.open[-1].tag}> is never closed"
    return reader.root


def check_manners(page: Element) -> None:
    """Check what every page owes to people who cannot see it, and to the policy that it is served under."""
    (html,) = [child for child in page.children if isinstance(child, Element)]
    assert html.attributes["lang"] == "en"
    assert page.one("title").text
    assert page.one("main").attributes["id"] == "content"
    assert page.all("a")[0].attributes["href"] == "#content"
    assert len(page.all("h1")) <= 1
    levels = [int(heading.tag[1]) for heading in page.all("h1", "h2", "h3", "h4")]
    assert all(after - before <= 1 for before, after in zip([0, *levels], levels, strict=False)), levels
    ids = [element.attributes["id"] for element in page.all() if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    for element in page.all():
        for name in ("aria-labelledby", "for"):
            assert element.attributes.get(name, ids and ids[0]) in ids
        assert not any(name == "style" or name.startswith("on") for name in element.attributes), element
    assert not page.all("style")
    for script in page.all("script"):
        assert script.attributes.get("type") == "application/ld+json" or not script.children
    for table in page.all("table"):
        assert table.one("caption").text
        assert all(cell.attributes["scope"] for cell in table.all("th"))
    for image in page.all("img"):
        assert "alt" in image.attributes
    for link in page.all("a"):
        assert link.text or link.attributes["aria-label"]
        address = link.attributes["href"]
        if address.startswith("#"):
            assert address[1:] in ids, address
        elif not address.startswith("/"):
            assert address.startswith(("http://", "https://")), address
            assert {"nofollow", "noopener", "noreferrer"} <= set(link.attributes["rel"].split())
    for form in page.all("form"):
        assert form.attributes["action"].startswith("/")
        assert form.attributes["method"] == "get"


def loaded(page: Element) -> list[str]:
    """Return the addresses that a browser fetches for a page."""
    found = [element.attributes["src"] for element in page.all("script", "img") if "src" in element.attributes]
    for link in page.all("link"):
        if link.attributes["rel"] in ("stylesheet", "icon"):
            found.append(link.attributes["href"])
    return found


def led_to(page: Element) -> list[str]:
    """Return the addresses of this registry that a page's links lead to, without their fragments."""
    addresses = [link.attributes["href"] for link in page.all("a")]
    return sorted({address.partition("#")[0] for address in addresses if address.startswith("/")})
