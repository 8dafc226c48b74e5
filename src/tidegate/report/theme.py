"""How charts look, on light and on dark ground. Colours are Okabe and Ito's, told apart by colour-blind readers.

Source: M. Okabe, K. Ito, Color Universal Design (2008).
"""

from typing import Any

VERMILION, ORANGE, BLUE, SKY, GREEN, PURPLE, GREY = (
    "#d55e00",
    "#e69f00",
    "#0072b2",
    "#56b4e9",
    "#009e73",
    "#cc79a7",
    "#999999",
)
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif"
HEIGHT_PX = 300
EXPORT_WIDTH_PX = 860

Config = dict[str, Any]  # a Vega-Lite config: JSON that goes out as it is


def config(ground: str) -> Config:
    """The Vega-Lite config for `light` or `dark` ground; the ground itself stays transparent."""
    text, quiet, line = ("#1d2733", "#5b6876", "#dfe5eb") if ground == "light" else ("#e6edf3", "#9fb0c0", "#2b3744")
    return {
        "background": "transparent",
        "font": FONT,
        "view": {"stroke": None},
        "axis": {
            "labelColor": quiet,
            "titleColor": quiet,
            "domainColor": line,
            "tickColor": line,
            "gridColor": line,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "labelPadding": 6,
        },
        "legend": {
            "orient": "top",
            "labelColor": text,
            "title": None,
            "labelFontSize": 13,
            "symbolSize": 120,
            "symbolType": "square",
            "labelLimit": 260,
        },
        "text": {"color": text, "fontSize": 12},
        "rule": {"color": quiet},
    }


TOKENS_AXIS = "replace(replace(format(datum.value, '~s'), 'G', 'B'), /^0$/, '0')"
"""Vega expression: 1.5e12 -> 1.5T, 2e9 -> 2B."""
SPEND_AXIS = "'$' + format(datum.value / 1e9, ',.2~f')"
"""Vega expression: nano-USD -> $12.5."""


def value_axis(unit: str) -> str:
    """The Vega expression that labels values of this unit."""
    return SPEND_AXIS if unit == "nano-USD" else TOKENS_AXIS
