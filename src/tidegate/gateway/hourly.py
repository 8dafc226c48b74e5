"""Calls at prices that differ by the hour: which one a call has, and which it may come to have.

The hour is that of the provider's own rule (`Price.priced_at`): when the attempt was sent, or when its answer was
complete. A gateway measures both here; the way between lets a call at the turn of an hour be billed by the other one.
"""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidegate.core.price import Price
    from tidegate.gateway.call import Call

US: float = 1e6


def price_of_hour(call: "Call", price: "Price") -> "Price":
    """The price of the call's current attempt at its hour, which from here on is the call's: one without hours.

    price: with all of its hours. What a reply tells of its cost comes here too: a settlement after it finds the price
    that was told last.
    """
    sent_us, sent_s = call.attempt_started
    at_us = sent_us or call.request.arrived_us
    if price.priced_at == "completed" and sent_us:
        at_us += int(((call.upstream_ended or time.monotonic()) - sent_s) * US)
    call.price = found = price.at(at_us)
    return found


def latest_end_us(call: "Call") -> int:
    """The instant (UTC microseconds) by which a call is over: it waits for its quota, is tried, and then times out."""
    server, serving = call.server, call.serving
    total_s = serving.target.total_s if serving is not None else server.config.upstream.total_s
    longest_s = server.config.accounts.quota_wait_s + server.router.settings.attempts_s + total_s
    return call.request.arrived_us + int(longest_s * US)
