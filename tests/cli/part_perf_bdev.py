# SPDX-License-Identifier: BSD-3-Clause
"""perf on block devices made from text: each module, stacked, on several threads; what is wrong with the text or the options."""
from harness import MIB, check, get, noise, put, same
from part_perf import KINDS, measure

# Block devices, as text has them, and options that fit each.
BDEVS = [('malloc:16M', []), ('malloc:16M?bs=4096', ['--bs', '16k']), ('file:disk.img?size=8M', []),
         ('file:disk.img?size=8M&engine=threads&direct=0', ['--qd', '64']), ('passthru:malloc:16M', []), ('error:malloc:16M', []),
         ('delay?avg_read=20&p99_read=100&avg_write=20&p99_write=100:malloc:16M', ['--qd', '64']),
         ('split?count=4:passthru:malloc:64M?bs=512', []), ('error?kind=no_memory&every=100&us=1:delay:malloc:16M', [])]


def numbers(kind):
    def test(tool):
        for form, options in BDEVS + [('null:1G', []), ('null:16M?bs=4096&untouched=1', [])]:
            value = measure(tool, form, '--rw', kind, '--ios', '2000', *options)
            same((value['device'], value['ios'], value['errors'], value['rw'], value['threads']), (form, 2000, 0, kind, 1), form)
            same(value['reads'] + value['writes'], 2000)
            lat = value['lat_ns']
            check(0 < lat['p50'] <= lat['p90'] <= lat['p99'] <= lat['p999'] <= lat['max'], lat)
    return test


def verified(kind):
    def test(tool):
        for form, options in BDEVS:
            value = measure(tool, form, '--rw', kind, '--ios', '2000', '--verify', '--size', '4M', *options)
            same((value['ios'], value['errors'], value['bad_blocks']), (2000, 0, 0), form)
    return test


def several_threads(tool):
    for form in ('malloc:16M', 'file:disk.img?size=16M', 'delay?avg_read=20&avg_write=20:passthru:malloc:16M', 'split?count=2:malloc:32M'):
        for kind in KINDS:
            value = measure(tool, form, '--rw', kind, '--ios', '3001', '--qd', '8', '--threads', '4', '--verify')
            same((value['ios'], value['errors'], value['bad_blocks'], value['threads'], value['qd']), (3001, 0, 0, 4, 8), form)
    done = tool.run('perf', 'malloc:16M', '--ios', '100', '--threads', '2')
    check('queue depth 32 on each of 2 threads: 100 I/Os' in done.out, done.out)
    done = tool.run('perf', 'error?kind=fail&every=10&type=read:malloc:16M', '--ios', '1000', '--threads', '2', '-o', 'json', status=1)
    same((done.json()['ios'], done.json()['errors']), (900, 100))
    done = tool.run('perf', 'error?kind=corrupt&every=10&type=read:malloc:16M', '--ios', '1000', '--threads', '2', '--verify', status=3)
    check('damaged data' in done.err, done.err)


def latencies_are_those_asked_for(tool):
    value = measure(tool, 'delay?avg_read=2000:null:1G', '--ios', '200', '--qd', '4')
    check(value['lat_ns']['p50'] > 1900000, value['lat_ns'])
    value = measure(tool, 'delay?avg_read=2000:null:1G', '--rw', 'randwrite', '--ios', '200', '--qd', '1')
    check(value['lat_ns']['p50'] < 1900000, value['lat_ns'])


def failures_are_counted_and_told(tool):
    done = tool.run('perf', 'error?kind=fail&type=read&every=10&errno=61&sf=0x281:malloc:16M', '--ios', '1000', '-o', 'json', status=1)
    same((done.json()['ios'], done.json()['errors']), (900, 100))
    check('read at block' in done.err and 'Unrecovered Read Error' in done.err and '100 I/Os failed' in done.err, done.err)
    done = tool.run('perf', 'error?kind=corrupt&every=100:malloc:16M', '--rw', 'randwrite', '--ios', '1000', '--verify', '--size', '4M', status=3)
    check('damaged data' in done.err, done.err)
    done = tool.run('perf', 'delay?avg_read=50000:malloc:16M', '--ios', '1', '--timeout', '10', status=1)
    check('timed out' in done.err.lower(), done.err)


def read_only_devices_are_read_alone(tool):
    put('disk.img', noise(MIB))
    for form in ('file:disk.img?ro=1', 'passthru:file:disk.img?ro=1', 'delay:error:file:disk.img?ro=1'):
        for options in (['--rw', 'randwrite'], ['--rw', 'write'], ['--rw', 'randrw'], ['--verify']):
            done = tool.run('perf', form, '--ios', '10', *options, status=1)
            check('read-only' in done.err, done.err)
        for kind in ('read', 'randread'):
            same(measure(tool, form, '--rw', kind, '--ios', '1000')['errors'], 0)
    same(get('disk.img'), noise(MIB))


def images_keep_what_is_written(tool):
    measure(tool, 'file:disk.img?size=1M', '--rw', 'write', '--ios', '256', '--seed', '1')
    data = get('disk.img')
    same(len(data), MIB)
    check(data != bytes(MIB), 'nothing was written')
    measure(tool, 'file:disk.img', '--rw', 'randwrite', '--ios', '1000', '--size', '512k')
    same(get('disk.img')[MIB // 2:], data[MIB // 2:], 'what is behind the region')


# text, options, status, words
BAD_BDEVS = [
    ('null', [], 2, 'null:SIZE'), ('null:', [], 2, 'null:SIZE'), ('null:x', [], 2, 'not a size'), ('null:1000', [], 2, 'multiple'),
    ('null:1G?bs=3', [], 2, 'power of two'), ('null:1G?nope=1', [], 2, 'there are: name, uuid, bs, untouched'), ('malloc:1G?', [], 2, 'byte 11'),
    ('passthru', [], 2, 'stands on another'), ('passthru:tape:1G', [], 2, 'there are: malloc'), ('delay?avg_read=x:null:1G', [], 2, 'byte 7'),
    ('split:null:1G', [], 2, 'count'), ('error?p=2:null:1G', [], 2, 'above 0'), ('passthru:' * 20 + 'null:1G', [], 2, '16 layers'),
    ('null:1M?name=' + 'x' * 5000, [], 2, 'longer than'), ('file:nope.img', [], 1, 'nope.img'), ('file:.', [], 1, '.'), ('bdev:x', [], 1, 'no device is named x'),
    ('malloc:4096P', [], 1, 'memory'), ('split?count=9&size_mb=1:malloc:1M', [], 1, 'too few'), ('null:1G', ['-n', '1'], 2, 'for controllers'),
    ('null:1G', ['--bs', '513'], 1, 'multiple of the block size'), ('null:1G', ['--size', '2G'], 1, 'more than the device has'),
    ('null:1G', ['--threads', '0'], 2, 'out of range'), ('null:1G', ['--threads', '65'], 2, 'out of range'),
    ('null:1G', ['--threads', '4', '--ios', '3'], 2, 'fewer than --threads'), ('null:8k', ['--threads', '4'], 1, 'fewer than --threads'),
    ('null:1M', ['--threads', '4', '--qd', '4096', '--bs', '128k'], 2, 'x --threads is more than 1 GiB'),
    ('malloc:1M', ['--threads', '4', '--qd', '65', '--verify'], 1, 'for each thread, fewer than --qd 65'),
    ('loop:ram:16M', ['--threads', '2'], 2, 'for block devices'), ('tape:1G', [], 2, 'trid'),
]


def what_makes_no_sense_is_told(tool):
    for form, options, status, words in BAD_BDEVS:
        done = tool.run('perf', form, *options, status=status)
        check(words in done.err, '%s: %s' % (form[:60], done.err))
        same(done.out, '', form[:60])


TESTS = [('%s is what it says' % kind, numbers(kind)) for kind in KINDS]
TESTS += [('%s is verified' % kind, verified(kind)) for kind in KINDS]
TESTS += [(f.__name__.replace('_', ' '), f) for f in (
    several_threads, latencies_are_those_asked_for, failures_are_counted_and_told, read_only_devices_are_read_alone,
    images_keep_what_is_written, what_makes_no_sense_is_told)]
