from __future__ import annotations

from xml.etree import ElementTree

from ops.bench.plot import svg
from ops.bench.results import Curve, Run
from tests.ops.bench.runs import group, row, run

SVG = "{http://www.w3.org/2000/svg}"


def drawn(found: Run) -> ElementTree.Element:
    return ElementTree.fromstring(svg(found))


def bars(picture: ElementTree.Element) -> list[float]:
    """Return the widths of the bars, without the legend's samples."""
    return [float(bar.attrib["width"]) for one in picture.iter(f"{SVG}g") for bar in one.iter(f"{SVG}rect")]


def test_every_row_has_a_bar_and_longer_ones_are_faster() -> None:
    found = bars(drawn(run(group("one", row("a", 10), row("b", 1_000), row("c", 100)))))
    assert len(found) == 3
    assert found[0] < found[2] < found[1]


def test_each_group_names_its_unit_and_axis() -> None:
    said = [found.text for found in drawn(run(group("one", row("a", 10, 20), title="Append"))).iter(f"{SVG}text")]
    assert {"Append", "events/s, logarithmic", "10", "100", "a"} <= set(said)


def test_names_are_text_and_nothing_else() -> None:
    hostile = "<script>alert(1)</script> & \"x\" 'y' ]]> \x00\x1b\ud800"
    found = run(group("one", row("a", 10, title=hostile), title=hostile))
    found = Run(hostile, quick=True, machine={"processor": hostile}, groups=found.groups)
    picture = drawn(found)
    assert not [one for one in picture.iter() if one.tag.endswith("script")]
    assert any("<script>" in (one.text or "") for one in picture.iter(f"{SVG}text"))


def test_curves_stand_in_place_of_bars() -> None:
    found = group("growth", row("a", 10))
    found.curves.append(
        Curve("Growing", "times", {"one": [(10, 1.0), (1_000, 1.2)], "other": [(10, 1.0), (1_000, 1.2)]})
    )
    picture = drawn(run(found))
    lines = [line.attrib["points"].split() for line in picture.iter(f"{SVG}polyline")]
    assert len(lines) == 2
    assert bars(picture) == []
    names = {one.text: float(one.attrib["y"]) for one in picture.iter(f"{SVG}text") if one.text in ("one", "other")}
    assert abs(names["one"] - names["other"]) > 10  # two lines that end together can still be told apart


def test_a_picture_follows_light_and_dark() -> None:
    style = drawn(run(group("one", row("a", 10)))).find(f"{SVG}style")
    assert style is not None
    assert "prefers-color-scheme: dark" in (style.text or "")


def test_a_run_without_groups_is_still_a_picture() -> None:
    assert drawn(run()).tag == f"{SVG}svg"
