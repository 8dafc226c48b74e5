"""What the charts of the index share: saving one by its file's ending, titled, since it will stand alone."""

from pathlib import Path

import msgspec

from tidegate.index.regional import Index
from tidegate.index.table import IndexRefusal
from tidegate.report.points import Drawing
from tidegate.report.theme import EXPORT_WIDTH_PX, config


def subtitle_of(index: Index, more: str) -> list[str]:
    """What a number of the index must not stand without: release, reading, map, absence."""
    spec = index.spec
    gone = ", ".join(f"{index.framework.group(group).name} {weight:.0%}" for group, weight in index.absent.items())
    said = f"{index.framework.name}, release {index.release.release_id[:12]}; China by {spec.china}; {spec.region_map}"
    return [f"{said}; absent: {gone} of the weight", more]


def save(drawing: Drawing, title: str, subtitle: list[str], path: Path) -> None:
    """Write a chart as .svg, .png (2 x) or Vega-Lite .json. Raises IndexRefusal for another ending."""
    import vl_convert

    spec = drawing.properties(width=EXPORT_WIDTH_PX).to_dict()
    spec["title"] = {"text": title, "subtitle": subtitle, "anchor": "start", "offset": 12}
    spec["description"] = f"{title} {' '.join(subtitle)}"
    spec["config"] = {**config("light"), "background": "white"}
    if path.suffix == ".svg":
        path.write_text(str(vl_convert.vegalite_to_svg(spec)), "utf-8")
    elif path.suffix == ".png":
        path.write_bytes(bytes(vl_convert.vegalite_to_png(spec, scale=2)))
    elif path.suffix == ".json":
        path.write_bytes(msgspec.json.format(msgspec.json.encode(spec), indent=2))
    else:
        raise IndexRefusal(f"{path.name}: a chart is written as .svg, .png or .json")
