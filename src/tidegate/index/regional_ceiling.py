"""Readiness a second time, as a medium-term ceiling: how many users readiness and income could carry in each region.

Inside the index readiness adds a little to demand. Here it limits it. A country's ceiling is the highest share of users
that any country reaches with no more readiness and no more income than it has itself; so no country is above its
ceiling, and no weight or curve is chosen (a free disposal hull: Deprins, Simar and Tulkens, 1984). It is a yardstick,
not a forecast: what others reach today with the same means.
"""

from typing import Final

import msgspec
import numpy as np

from tidegate.index.regional import Index
from tidegate.index.regional_columns import SIZE_PERIOD, USERS, columns_of

ABSENT: Final = (
    "Connectivity is absent: ITU's internet use of 2025 is by its own six regions, not by country. A region where few "
    "are connected has a lower ceiling than shown."
)


class Ceiling(msgspec.Struct, frozen=True, kw_only=True):
    """users, ceiling: persons, in the countries for which all four figures are known; None where there is none.

    used: users over ceiling. covered: part of the region's people of working age who live in such countries.
    """

    region: str
    index: float
    users: float | None
    ceiling: float | None
    used: float | None
    covered: float


def ceilings(index: Index) -> list[Ceiling]:
    """One entry a region, in the index's order; by the index's reading of China."""
    evidence, period = index.evidence, SIZE_PERIOD
    people = evidence.by_place("working_age_population", period)
    product = evidence.by_place("gdp_usd", period)
    ready = evidence.by_place("ai_preparedness", index.framework.indicator("ai_preparedness").vintage.period)
    columns = columns_of(evidence, index.framework, index.map, index.spec.china)
    column = next(column for column in columns if column.code == USERS)
    users = dict(zip(column.places, column.values, strict=True))
    known = [place for place in users if place in people and place in product and place in ready]
    share = np.array([users[place] / people[place] for place in known])
    means = np.array([(ready[place], product[place] / people[place]) for place in known])
    reachable = (means[None, :, :] <= means[:, None, :]).all(axis=2)
    best = np.where(reachable, share, 0.0).max(axis=1)
    found = []
    for at, region in enumerate(index.regions):
        here = [number for number, place in enumerate(known) if index.map.region_of(place) == region]
        whole = sum(persons for place, persons in people.items() if index.map.region_of(place) == region)
        have = float(sum(users[known[number]] for number in here))
        limit = sum(float(best[number]) * people[known[number]] for number in here)
        found.append(
            Ceiling(
                region=region,
                index=float(index.scores[at]),
                users=have if here else None,
                ceiling=limit if here else None,
                used=have / limit if limit else None,
                covered=sum(people[known[number]] for number in here) / whole,
            )
        )
    return found
