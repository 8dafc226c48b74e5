"""A short torture: hostile programs and a worker's death, then two hundred callers against two dollars.

The long one is `python bench/torture run`, `... mistakes` and `... dollar`; what they do is the same.
"""

import asyncio
import signal
import time
from random import SystemRandom

from torture.check import calm_down, check_round
from torture.dollar import crowd, judge, open_wallet
from torture.hostile import HostileProvider
from torture.page import PAGE, page
from torture.place import NEWS_S, Place, Setting
from torture.play import play, provision
from torture.program import make_program
from torture.weather import Blow


def test_whatever_happens_nobody_overspends_a_dollar_can_be_used_and_the_books_balance() -> None:
    """Calls, streams, disconnects, provider faults, fallbacks, a voucher spent five times, kill -9 of a worker.

    Then a hundred callers at one time on one dollar with `max_tokens`, a hundred on another without: never more than
    the dollar, and at least 95 cents of it.
    """
    first = SystemRandom().randrange(1_000_000, 2_000_000)  # other programs every time; what fails names their tenants
    blows = [Blow("kill_worker", 1.2, 0, 0.0)]
    with HostileProvider() as provider, Place(Setting("sqlite", 2), provider.port, with_console=False) as place:
        stories = [provision(place, make_program(seed)) for seed in range(first, first + 4)]
        exact, none = open_wallet(place, "exact"), open_wallet(place, "none")
        time.sleep(NEWS_S)
        late_s = asyncio.run(play(place, stories, blows))

        async def both() -> None:
            await asyncio.gather(crowd(place, exact, "exact", "exact"), crowd(place, none, "none", "none"))

        asyncio.run(both())
        tenants = [story.program.tenant_id for story in stories]
        violations = list(calm_down(place, [*tenants, "exact", "none"]))
        violations += check_round(place, stories, blows, provider, late_s)
        violations += judge(place, "exact")[2] + judge(place, "none")[2]
        place.stop(signal.SIGKILL)  # all is checked: nothing has to be put in order
    assert violations == []


def test_a_program_follows_from_its_seed() -> None:
    """So that what failed can be run again."""
    assert make_program(4711) == make_program(4711) != make_program(4712)


def test_the_page_of_what_was_run_is_rendered_from_the_results() -> None:
    """Nothing in it is typed: `python bench/torture table` writes it."""
    assert page() == PAGE.read_text()
