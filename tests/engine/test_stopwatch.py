"""Where the time of a training goes, by a clock of the test's own."""

from __future__ import annotations

import pytest

from mindrestore.engine import stopwatch
from mindrestore.engine.stopwatch import Stopwatch, describe_times


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that stands still until it is set: clock[0] is the time."""
    now = [100.0]
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: now[0])
    return now


def pass_time(clock, watch, part, seconds):
    with watch.timing(part):
        clock[0] += seconds


def test_shares_leave_out_pauses_and_intervals_overlap(clock):
    watch = Stopwatch(("interval", "epoch"), world=2)
    watch.saw(images=10)
    pass_time(clock, watch, "data", 1.0)
    clock[0] += 6.0
    watch.communicated(1.0)
    pass_time(clock, watch, "communication", 1.0)
    first = watch.lap("interval")
    assert first == {"images_per_second": 2.5, "data_share": 0.125, "communication_share": 0.25, "seconds": 8.0}
    pass_time(clock, watch, "paused", 50.0)
    watch.saw(images=6)
    clock[0] += 2.0
    second = watch.lap("interval")
    assert second == {"images_per_second": 6.0, "data_share": 0.0, "communication_share": 0.0, "seconds": 2.0}
    whole = watch.lap("epoch")
    assert whole == {"images_per_second": 3.2, "data_share": 0.1, "communication_share": 0.2, "seconds": 10.0}
    assert describe_times(whole) == "3.2 images/s, waiting for data 10%, communication 20%"


def test_one_process_has_no_share_of_communication(clock):
    watch = Stopwatch(("epoch",))
    watch.saw(images=3)
    pass_time(clock, watch, "communication", 1.0)
    times = watch.lap("epoch")
    assert times == {"images_per_second": 3.0, "data_share": 0.0, "seconds": 1.0}
    assert describe_times(times) == "3.0 images/s, waiting for data 0%"
    slow = describe_times({**times, "images_per_second": 0.0123})  # a large image on a CPU
    assert slow == "0.012 images/s, waiting for data 0%"


def fail_after(clock, watch, seconds):
    with watch.timing("data"):
        clock[0] += seconds
        raise KeyError


def test_time_counts_when_what_was_timed_fails(clock):
    watch = Stopwatch(("epoch",))
    with pytest.raises(KeyError):
        fail_after(clock, watch, 2.0)
    assert watch.lap("epoch")["data_share"] == 1.0
