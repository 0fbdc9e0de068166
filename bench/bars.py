# SPDX-License-Identifier: BSD-3-Clause
"""What the benchmarks must reach, in one place; bench/run prints them beside what was measured, bench/gate asserts the first table."""
import collections

import counts


def driver(found):
    """The driver's own work: submit and complete."""
    return counts.by_part(found)['driver']


def whole_loop(found):
    """Everything: the layer, the thread's poll and the benchmark's loop."""
    return sum(found.values())


Instructions = collections.namedtuple('Instructions', 'load depth count most spdk words')

# spdk: what SPDK 26.05 needs for the same (x86-64-v3, release); None: not measured.
INSTRUCTIONS = [
    Instructions('nvme', 1, driver, 220, 867, 'driver, 4 KiB read, depth 1'),
    Instructions('nvme', 32, driver, 150, 587, 'driver, 4 KiB read, depth 32'),
    Instructions('nvme-mapped', 1, driver, 220, 867, 'driver with device addresses, 4 KiB read, depth 1'),
    Instructions('nvme-mapped', 32, driver, 150, 587, 'driver with device addresses, 4 KiB read, depth 32'),
    Instructions('bdev-null', 32, whole_loop, 200, 731, 'bdev null, whole loop, depth 32'),
]

Difference = collections.namedtuple('Difference', 'load base depth count most words')

# What a layer adds to the whole loop, and what finding a registered buffer's device address adds to the driver: nine instructions, and
# two to save and restore a register.
DIFFERENCES = [
    Difference('nvme-mapped', 'nvme', 32, driver, 11, 'device address of a registered buffer, depth 32'),
    Difference('bdev-passthru', 'bdev-null', 32, whole_loop, 60, 'passthru over null, depth 32'),
    Difference('bdev-qos', 'bdev-null', 32, whole_loop, 40, 'limits that are not reached, over null, depth 32'),
]

Rate = collections.namedtuple('Rate', 'row depth share iops')

# Reached with either: so large a share of the floor beside it, or so many I/Os per second on the machine of docs/performance.md.
RATES = {(r.row, r.depth): r for r in [
    Rate('loop-two-null', 1, 0.90, 1.8e6),
    Rate('loop-two-null', 32, 0.60, 16e6),
    Rate('loop-two-null', 128, 0.30, 36e6),
    Rate('bdev-malloc', 1, 0.95, None),
    Rate('bdev-malloc', 32, 0.95, None),
    Rate('bdev-malloc', 128, 0.95, None),
    Rate('bdev-malloc-write', 1, 0.95, None),
    Rate('bdev-malloc-write', 32, 0.95, None),
    Rate('bdev-malloc-write', 128, 0.95, None),
]}

FIRST_READ_MS = 5
ID_CTRLR_RSS_MIB = 8     # beyond the drive's own RAM, of which a drive that nobody wrote to has none
IDLE_PERCENT = 1         # of a core, by a process in which nothing happens

# Nanoseconds of a coroutine's switch, by row of bench/co.c; or, on a machine that is busy or slow, so many times the floor beside it.
CO_NS = {'switch, 32 take turns': 20}
CO_RATIO = 2
