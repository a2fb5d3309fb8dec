"""A broker whose clock steps ahead and back: the log follows it no further than the clocks of its writers allow."""

from __future__ import annotations

import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.log import Log, Outgoing
from contracts.topics import BEACONS, Topic
from tests.broker import Broker
from tests.conformance.test_log import read_all
from transport import open_log

HOURS = 3_600
PATIENCE_S = 120.0
SHIFT = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

/* How many seconds the wall clock is ahead, read from a file that the test writes. */
static long ahead(void) {
    static volatile long *shared;
    if (!shared) {
        int file = open(getenv("SHIFT_FILE"), O_RDONLY);
        void *mapped = file < 0 ? MAP_FAILED : mmap(0, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
        if (mapped == MAP_FAILED) return 0;
        shared = mapped;
    }
    return *shared;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    if (!result && clock == CLOCK_REALTIME) now->tv_sec += ahead();
    return result;
}

int gettimeofday(struct timeval *now, void *zone) {
    static int (*real)(struct timeval *, void *);
    if (!real) real = dlsym(RTLD_NEXT, "gettimeofday");
    int result = real(now, zone);
    if (!result) now->tv_sec += ahead();
    return result;
}
"""


class Clock:
    """The wall clock of a process that is started with :attr:`environment`."""

    def __init__(self, home: Path) -> None:
        home.mkdir()
        (home / "shift.c").write_text(SHIFT)
        library, self._file = home / "shift.so", home / "ahead"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, home / "shift.c", "-ldl"], check=True)
        self.step_to(0)
        self.environment = {"LD_PRELOAD": str(library), "SHIFT_FILE": str(self._file)}

    def step_to(self, ahead_s: int) -> None:
        """So many seconds ahead from now on."""
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(struct.pack("l", ahead_s))


def publish(log: Log, value: bytes) -> None:
    log.publisher().publish([Outgoing(BEACONS, b"k", value, 0)])


@pytest.fixture
def stepping(tmp_path_factory: pytest.TempPathFactory, broker: Broker) -> Iterator[tuple[Broker, Clock]]:
    """A broker, and its clock. Each test has its own: one whose clock stepped back may hear no more of its controller
    until the time that it had reached before.
    """
    assert broker.port
    home = tmp_path_factory.mktemp("stepping")
    clock, own = Clock(home / "clock"), Broker(home / "broker")
    own.environment |= clock.environment
    with own:
        yield own, clock


@pytest.mark.slow
@pytest.mark.parametrize("ahead_s", [90, 25 * HOURS])
def test_a_brokers_clock_that_steps_is_followed_no_further_than_the_bound(
    stepping: tuple[Broker, Clock], tmp_path: Path, ahead_s: int
) -> None:
    own, clock = stepping
    settings = own.settings(tmp_path)
    log = open_log(settings)
    log.ensure([Topic(BEACONS, 1)])
    consumer = log.consumer("recognise", BEACONS, [0], ticks=True)
    publish(log, b"before")
    read_all(log, consumer, BEACONS)
    clock.step_to(ahead_s)
    publish(log, b"ahead")
    ticks, until = 0, time.monotonic() + PATIENCE_S
    while ticks < 2:  # a tick tells a time as a beacon does
        ticks += sum(each.is_tick for each in consumer.poll(100, timeout_s=0.1))
        assert time.monotonic() < until
    clock.step_to(0)
    publish(log, b"after")
    now_ms = time.time_ns() // 1_000_000
    for reader in (log.reader(BEACONS), log.consumer("later", BEACONS, [0])):
        found = read_all(log, reader, BEACONS)
        times = {each.value: each.log_time_ms for each in found}
        assert [each.log_time_ms for each in found] == sorted(each.log_time_ms for each in found)
        assert now_ms - 60_000 < times[b"before"] < now_ms
        assert times[b"ahead"] > times[b"before"] + 5_000, "the broker's clock did not step: this shows nothing"
        assert max(times.values()) <= now_ms + settings.kafka_clock_ms
    log.close()
