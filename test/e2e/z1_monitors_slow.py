# SPDX-License-Identifier: Apache-2.0
"""What monitors do after minutes: silence and repeats. Begun when the session begins (fixture slow_monitors), looked at last."""
import time

from monitors import Slow, gauge, state, wait_state
from server import eventually


def test_silence_becomes_no_data_and_is_told_once(slow_monitors):
    slow = slow_monitors
    assert isinstance(slow, Slow), slow
    slow.wait(lambda: slow.of("silent"), 230, "the message about silence")
    assert state(slow.node, slow.silent) == "No Data"
    gauge(slow.node, "beat", 1)
    wait_state(slow.node, slow.silent, "OK")
    eventually(lambda: len(slow.of("silent")) == 2)
    lost, back = slow.of("silent")
    assert "[No data" in lost["title"] and "gone" in lost["body"]
    assert "[Recovered" in back["title"] and "gone" not in back["body"]


def test_renotify_interval_and_occurrences(slow_monitors):
    slow = slow_monitors
    assert isinstance(slow, Slow), slow
    slow.wait(lambda: len(slow.of("stuck")) == 3, 200, "two repeats")
    first, second, third = slow.of("stuck")
    assert "[Triggered" in first["title"] and "still" not in first["body"]
    assert "[Re-Triggered" in second["title"] and "still" in second["body"] and "still" in third["body"]
    assert len({b["id"] for b in slow.of("stuck")}) == 3
    slow.wait(lambda: time.monotonic() > slow.begun + 205, 210, "a third interval")
    assert len(slow.of("stuck")) == 3, "no more than renotify_occurrences"
