# SPDX-License-Identifier: BSD-3-Clause
"""perf: that it does as many I/Os as asked for, of the kind asked for, that its numbers fit each other, and that --verify finds what is
wrong; and how quick and small the tool itself is."""
import fcntl
import os
import subprocess
import time

from harness import MIB, Skip, check, get, noise, put, same

KINDS = ['randread', 'randwrite', 'read', 'write', 'randrw']


def measure(tool, *args, status=0):
    return tool.run('perf', *args, '-o', 'json', status=status).json()


def consistent(kind):
    def test(tool):
        for form in ('loop:ram:16M', 'loop:null:16M?bs=4096', 'loop:disk.img?size=16M'):
            value = measure(tool, form, '--rw', kind, '--ios', '5000', '--qd', '8', '--bs', '4k')
            same((value['ios'], value['errors'], value['rw'], value['qd'], value['bs']), (5000, 0, kind, 8, 4096))
            same(value['reads'] + value['writes'], 5000)
            check(bool(value['reads']) == (kind != 'write' and kind != 'randwrite'), 'reads: %d' % value['reads'])
            check(bool(value['writes']) == ('read' not in kind), 'writes: %d' % value['writes'])
            lat = value['lat_ns']
            check(0 < lat['p50'] <= lat['p90'] <= lat['p99'] <= lat['p999'] <= lat['max'], lat)
            check(0 < lat['mean'] <= lat['max'], lat)
            check(abs(value['iops'] * value['time_s'] - 5000) < 1 + 5000 * 1e-3, value)
            check(abs(value['bw_bytes'] - value['iops'] * 4096) < 1e6, value)
    return test


def verified(kind):
    def test(tool):
        for form, options in (('loop:ram:8M', []), ('loop:ram:8M?bs=4096', ['--bs', '16k']), ('loop:disk.img?size=4M', ['--qd', '64']),
                              ('loop:ram:1G?mdts=64k', ['--size', '1M', '--bs', '128k', '--qd', '8'])):
            value = measure(tool, form, '--rw', kind, '--ios', '3000', '--verify', *options)
            same((value['ios'], value['errors'], value['bad_blocks']), (3000, 0, 0), form)
    return test


def bad(kind, form, words):
    def test(tool):
        done = tool.run('perf', form, '--rw', kind, '--ios', '3000', '--verify', '--size', '4M', status=3)
        check(words in done.err, done.err)
        check(done.err.count('\n') <= 5, 'more than five blocks are told: ' + done.err)
        check(int(done.out.split('verify')[1].split()[0]) > 0, done.out)
    return test


def numbers_for_people(tool):
    done = tool.run('perf', 'loop:ram:16M', '--time', '0.2')
    for words in ('IOPS', 'bandwidth', 'mean', '50 %', '90 %', '99 %', '99.9 %', 'max', '0 errors'):
        check(words in done.out, done.out)
    done = tool.run('perf', 'loop:ram:16M', '--rw', 'randrw', '--ios', '10', '--verify')
    check('reads' in done.out and '0 bad blocks' in done.out, done.out)


def a_time_is_kept(tool):
    value = measure(tool, 'loop:ram:16M', '--time', '0.5')
    check(0.4 < value['time_s'] < 5, value['time_s'])
    check(value['ios'] > 100, value)


def one_io_is_one_io(tool):
    value = measure(tool, 'loop:ram:16M', '--ios', '1', '--qd', '4096')
    same((value['ios'], value['lat_ns']['max']), (1, value['lat_ns']['p50']))


def all_depths_and_sizes(tool):
    for depth, size in ((1, '512'), (1, '4M'), (4096, '512'), (4096, '4k'), (300, '64k'), (3, '1536')):
        ios = 100 if size == '4M' else 5000
        value = measure(tool, 'loop:ram:64M', '--rw', 'randrw', '--ios', ios, '-q', depth, '-b', size)
        same((value['ios'], value['errors']), (ios, 0))
    value = measure(tool, 'loop:ram:64M?entries=16', '--ios', '5000', '--qd', '200')
    same((value['ios'], value['errors']), (5000, 0), 'a depth beyond the queue')


def the_mix_is_as_asked(tool):
    for percent, low, high in ((0, 0, 0), (100, 20000, 20000), (70, 13500, 14500)):
        value = measure(tool, 'loop:ram:16M', '--rw', 'randrw', '--rwmixread', percent, '--ios', '20000')
        check(low <= value['reads'] <= high, value['reads'])


def the_region_is_kept(tool):
    put('disk.img', noise(2 * MIB))
    for kind in ('write', 'randwrite'):
        measure(tool, 'loop:disk.img', '--rw', kind, '--ios', '4000', '--size', '1M')
        same(get('disk.img')[MIB:], noise(2 * MIB)[MIB:], 'what is behind the region')


def a_seed_repeats(tool):
    for seed in (0, 7, 2 ** 63 - 1):
        same(measure(tool, 'loop:ram:16M', '--ios', '10', '--seed', seed)['seed'], seed)
    runs = []
    for _ in range(2):
        put('disk.img', bytes(MIB))
        measure(tool, 'loop:disk.img', '--rw', 'randwrite', '--ios', '100', '--seed', '7', '--qd', '1')
        runs.append(get('disk.img'))
    same(runs[0], runs[1])
    check(runs[0] != bytes(MIB), 'nothing was written')


def reads_change_nothing(tool):
    put('disk.img', noise(MIB))
    for kind in ('read', 'randread'):
        measure(tool, 'loop:disk.img', '--rw', kind, '--ios', '1000')
    same(get('disk.img'), noise(MIB))


def another_namespace(tool):
    put('disk.img', noise(MIB))
    measure(tool, 'loop:disk.img?ns=2&size=2M', '--rw', 'write', '--ios', '256', '-n', '2')
    same(get('disk.img'), noise(MIB))


def a_large_region_is_cut_for_verifying(tool):
    done = tool.run('perf', 'loop:null:64G', '--rw', 'write', '--ios', '10', '--verify', '--bs', '1M', status=3)
    check('in the first 1 GiB' in done.err, done.err)


def failures_are_counted_and_told(tool):
    done = tool.run('perf', 'loop:ram:16M?fault=status:opcode=2:sf=0x281:every=10', '--ios', '1000', '-o', 'json', status=1)
    value = done.json()
    same((value['ios'], value['errors']), (900, 100))
    check('Unrecovered Read Error' in done.err and '100 I/Os failed' in done.err, done.err)
    done = tool.run('perf', 'loop:ram:16M?fault=remove:opcode=2:skip=100', '--time', '5', status=1)
    check('nvio: perf: read at block' in done.err, done.err)


def a_failed_write_is_not_verified(tool):
    value = measure(tool, 'loop:ram:4M?fault=status:opcode=1:sf=0x280:every=50', '--rw', 'randwrite', '--ios', '2000', '--verify', status=1)
    same((value['errors'], value['bad_blocks']), (40, 0))


def from_exec_to_a_first_read(tool):
    if not tool.fast:
        raise Skip('a sanitized build says nothing about time')
    best = 1e9
    for _ in range(30):
        begin = time.monotonic()
        tool.run('read', 'loop:ram:64M', '-c', '1', '-d', '/dev/null')
        best = min(best, time.monotonic() - begin)
    check(best < 0.005, '%.1f ms' % (best * 1e3))


def memory_of_id_ctrl(tool):
    if not tool.fast:
        raise Skip('a sanitized build says nothing about memory')
    # A pipe that is full holds the tool at its very end, where its peak can be read.
    ours, theirs = os.pipe()
    size = fcntl.fcntl(theirs, fcntl.F_GETPIPE_SZ)
    os.write(theirs, bytes(size))
    child = subprocess.Popen([tool.program, 'id-ctrl', 'loop:ram:64M'], stdout=theirs)
    os.close(theirs)
    time.sleep(0.3)
    with open('/proc/%d/status' % child.pid, encoding='ascii') as f:
        peak = [int(line.split()[1]) for line in f if line.startswith('VmHWM:')]
    with open(ours, 'rb') as f:
        check(b'nvio software drive' in f.read()[size:])
    same(child.wait(60), 0)
    check(peak, 'it was gone before it could be looked at')
    check(peak[0] < 8 * 1024, '%d KiB' % peak[0])


def buffers_of_any_kind(tool):
    """Over loop any memory is a buffer; what matters is that none of these is parsed and ignored: --misalign shows in what is moved."""
    for which in ('dma', 'registered', 'foreign'):
        for misalign in ('0', '1', '4', '510', '4095'):
            value = measure(tool, 'loop:ram:8M', '--rw', 'randrw', '--ios', '600', '--verify', '--bs', '16k', '--buffers', which, '--misalign', misalign)
            same((value['ios'], value['errors'], value['bad_blocks']), (600, 0, 0), which + ' ' + misalign)
    tool.run('perf', 'loop:ram:8M', '--misalign', '4096', status=2)
    tool.run('perf', 'loop:ram:8M', '--buffers', 'borrowed', status=2)


def who_sleeps_says_so(tool):
    slow = 'loop:ram:8M?poll=thread&fault=delay:us=2000'
    spin, sleep, adaptive = (measure(tool, slow, '--ios', '50', '--qd', '1', '--wait', how) for how in ('spin', 'sleep', 'adaptive'))
    check('sleeps' not in spin, spin)
    for value in (sleep, adaptive):
        same((value['ios'], value['errors']), (50, 0))
        check(25 <= value['sleeps'], value)
    value = measure(tool, 'malloc:8M', '--ios', '50', '--wait', 'sleep')
    same((value['ios'], value['errors']), (50, 0))
    value = measure(tool, 'delay?avg_read=2000:malloc:8M', '--ios', '50', '--qd', '1', '--wait', 'sleep')
    check(25 <= value['sleeps'], value)


TESTS = [('%s is what it says' % kind, consistent(kind)) for kind in KINDS]
TESTS += [('%s is verified' % kind, verified(kind)) for kind in KINDS]
TESTS += [
    ('verify sees writes that got lost', bad('randwrite', 'loop:null:16M', 'damaged data: from byte 0 on')),
    ('verify sees a flipped bit', bad('write', 'loop:ram:16M?fault=corrupt:opcode=1:every=100', 'damaged data')),
    ('verify sees half a transfer', bad('randrw', 'loop:ram:16M?fault=short:opcode=1:every=50', 'expected generation')),
    ('verify sees a bit flipped on the way back', bad('randread', 'loop:ram:16M?fault=corrupt:opcode=2:every=100', 'damaged data')),
]
TESTS += [(f.__name__.replace('_', ' '), f) for f in (
    numbers_for_people, a_time_is_kept, one_io_is_one_io, all_depths_and_sizes, the_mix_is_as_asked, the_region_is_kept, a_seed_repeats,
    reads_change_nothing, another_namespace, a_large_region_is_cut_for_verifying, failures_are_counted_and_told,
    a_failed_write_is_not_verified, buffers_of_any_kind, who_sleeps_says_so, from_exec_to_a_first_read, memory_of_id_ctrl)]
