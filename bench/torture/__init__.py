"""Hostile schedules against a real installation: whatever happens, nobody overspends and the books balance.

`python bench/torture --help`. A *program* is one tenant's random calls, vouchers, revocations and price changes, made
from a seed alone; ten programs run at one time as a *round*, under the same *weather*: processes killed, stores gone,
workers stalled, clocks apart. After each round everything in `check.py` must hold.
"""
