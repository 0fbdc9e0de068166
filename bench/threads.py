# SPDX-License-Identifier: BSD-3-Clause
"""Threads: what bench_thread measured, as tables."""
import json
import subprocess
import sys


def run(program, make_table, rounds):
    done = subprocess.run([program, str(rounds)], stdout=subprocess.PIPE, text=True, timeout=240, check=False)
    if done.returncode:
        sys.exit('bench: bench_thread failed')
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    times = make_table('Threads, nanoseconds; the least of %d rounds, in turns with the floor (a cache line there and back; as many calls)' % rounds,
                       '', 'number', 'nvio', 'floor', 'ratio')
    memory = make_table('Memory, bytes', '', 'each', '')
    for row in rows:
        if 'thread' in row:
            # The work of a round is always the same, so what a busy machine adds to it is noise: the least is the nearest to the truth.
            least, floor = min(row['ns']), min(row.get('floor_ns', [0]))
            row.update(least_ns=least, floor_least_ns=floor)
            times.add(row['thread'], row['n'], '%.1f' % least, '%.1f' % floor if floor else '', '%.1f' % (least / floor) if floor else '')
        elif 'memory' in row:
            memory.add(row['memory'], '%.0f' % row['bytes'], '')
    times.print()
    memory.print()
    for row in rows:
        if 'skipped' in row:
            print('  %s: skipped: %s' % (row['skipped'], row['reason']))
    return rows
