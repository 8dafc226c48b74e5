"""Colours of groups: the same group has the same colour in every chart.

Sources: M. Okabe, K. Ito, Color Universal Design (2008); P. Tol, Colour Schemes (SRON/EPS/TN/09-002, 2021), `muted`.
"""

from collections.abc import Iterable, Mapping

from tidegate.report.theme import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION

INDIGO, TEAL, OLIVE, SAND, ROSE, WINE, PINE = (
    "#332288",
    "#44aa99",
    "#999933",
    "#ddcc77",
    "#cc6677",
    "#882255",
    "#117733",
)
PALE = "#d5dbe1"  # what is summed up as the rest
BROWN, LILAC, NAVY = "#8c564b", "#b4a7d6", "#1b3a4b"  # ours: for charts of more groups than the schemes have colours
CYCLE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, INDIGO, TEAL, SAND, WINE, OLIVE, ROSE, PINE, BROWN, LILAC, NAVY)
REST = ("other", "others", "unknown", "(unknown)", "none", "(none)")
FIXED: Mapping[str, str] = {
    "open_cn": VERMILION,
    "open_row": ORANGE,
    "closed": BLUE,
    "cloaked": PURPLE,
    "programming": BLUE,
    "roleplay": VERMILION,
    "technology": SKY,
    "science": GREEN,
    "translation": SAND,
    "finance": OLIVE,
    "academia": INDIGO,
    "health": ROSE,
    "legal": WINE,
    "marketing": ORANGE,
    "marketing/seo": PINE,
    "seo": PINE,
    "trivia": TEAL,
    "anthropic": VERMILION,
    "google": BLUE,
    "openai": GREEN,
    "x-ai": INDIGO,
    "deepseek": SKY,
    "qwen": PURPLE,
    "meta-llama": OLIVE,
    "mistralai": ORANGE,
    "moonshotai": TEAL,
    "minimax": ROSE,
    "z-ai": WINE,
    "North America": BLUE,
    "Asia": VERMILION,
    "Europe": GREEN,
    "South America": ORANGE,
    "Oceania": SKY,
    "Africa": PURPLE,
    "Antarctica": INDIGO,
    "small": SKY,
    "medium": BLUE,
    "large": INDIGO,
    "unknown": PALE,
    "free": ORANGE,
    "paid": BLUE,
    "byok": GREEN,
}


def colours_of(groups: Iterable[str]) -> list[str]:
    """One colour a group, in order: its own where it has one, pale for the rest, else the next that is not taken."""
    named = list(groups)
    taken = {FIXED[name] for name in named if name in FIXED}
    spare = [colour for colour in CYCLE if colour not in taken] or list(CYCLE)
    found, used = [], 0
    for name in named:
        if name in REST:
            found.append(PALE)
        elif name in FIXED:
            found.append(FIXED[name])
        else:
            found.append(spare[used % len(spare)])
            used += 1
    return found


__all__ = ["CYCLE", "FIXED", "GREY", "PALE", "REST", "colours_of"]
