"""Loaded by every Python that torture starts: puts worker clocks apart, and mistakes into the product on purpose."""

import os
import random
import sys
import time
from pathlib import Path

_words = sys.orig_argv
_is_worker = "tidegate.gateway" in _words and "--worker" in _words
_spread_s = float(os.environ.get("TORTURE_CLOCK_S", "0"))
_mistake = os.environ.get("TORTURE_MISTAKE", "")

if _is_worker and _spread_s:
    _number = _words[_words.index("--worker") + 1]
    _offset_ns = int(random.Random(f"clock-{_number}").uniform(-_spread_s, _spread_s) * 1e9)
    _time_ns = time.time_ns
    time.time_ns = lambda: _time_ns() + _offset_ns
    time.time = lambda: time.time_ns() / 1e9

if _mistake:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    import mistakes

    mistakes.make(_mistake, is_worker=_is_worker)
