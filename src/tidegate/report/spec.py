"""A chart as its Vega-Lite specification: on a page it fills what holds it; in a file it stands alone, titled."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tidegate.core.errors import TidegateError
from tidegate.report.points import Drawing
from tidegate.report.theme import EXPORT_WIDTH_PX, config

Spec = dict[str, Any]
"""JSON that goes out as it is."""


def filling(drawing: Drawing, description: str) -> Spec:
    """As wide as what holds it, with a description for readers; the theme is chosen where it is drawn."""
    spec: Spec = drawing.properties(width="container").to_dict()
    spec.pop("config", None)
    spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    spec["description"] = description
    return spec


def standing(drawing: Drawing, title: str, subtitle: str | list[str], description: str) -> Spec:
    """On white ground, titled, since it will stand alone."""
    spec: Spec = drawing.properties(width=EXPORT_WIDTH_PX).to_dict()
    spec["title"] = {"text": title, "subtitle": subtitle, "anchor": "start", "offset": 12}
    spec["description"] = description
    spec["config"] = {**config("light"), "background": "white"}
    return spec


def picture(spec: Spec, form: str) -> bytes:
    """As `svg`, `png` (2 x) or `json`. Raises KeyError for another form."""
    return _FORMS[form](spec)


def save(spec: Spec, path: Path, refusal: type[TidegateError]) -> None:
    """Write it by the ending of its name. Raises `refusal` for one that is no form of a chart."""
    form = path.suffix.removeprefix(".")
    if form not in _FORMS:
        raise refusal(f"{path.name}: a chart is written as .svg, .png or .json")
    path.write_bytes(picture(spec, form))


def _svg(spec: Spec) -> bytes:
    import vl_convert

    return str(vl_convert.vegalite_to_svg(spec)).encode()


def _png(spec: Spec) -> bytes:
    import vl_convert

    return bytes(vl_convert.vegalite_to_png(spec, scale=2))


def _json(spec: Spec) -> bytes:
    return msgspec.json.format(msgspec.json.encode(spec), indent=2)


_FORMS: dict[str, Callable[[Spec], bytes]] = {"svg": _svg, "png": _png, "json": _json}
