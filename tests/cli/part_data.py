# SPDX-License-Identifier: BSD-3-Clause
"""Data in and out: any size, files and pipes, what stays as it was, what is different, and what a kill leaves behind."""
import os
import signal
import subprocess
import time

from harness import KIB, MIB, check, get, noise, put, same

SIZES = [1, 511, 512, 513, 4095, 4096, 4097, MIB + 1, 64 * MIB + 3]


def sized(size):
    return '%d bytes' % size


def round_trip_by_file(size, options=''):
    def test(tool):
        data = noise(size)
        put('in', data)
        # With options the form is not only a path, but the image is made all the same.
        tool.run('write', 'loop:disk.img' + options, '-d', 'in')
        tool.run('read', 'loop:disk.img' + options, '--data=out', '-z', size)
        same(get('out'), data, 'what came out')
        tool.run('compare', 'loop:disk.img' + options, '-d', 'in')
    return test


def round_trip_by_pipe(size):
    def test(tool):
        data = noise(size)
        tool.run('write', 'loop:disk.img?size=66M', stdin=data)
        same(tool.run('read', 'loop:disk.img', '-z', size).raw, data, 'what came out')
        tool.run('compare', 'loop:disk.img', stdin=data)
    return test


def the_rest_of_the_last_block_stays(block):
    def test(tool):
        before = noise(MIB, 2)
        put('disk.img', before)
        device = 'loop:disk.img?bs=%d' % block
        for start, size in ((0, 1), (1, block - 1), (2, block), (3, block + 1), (10, 100 * block + 7)):
            data = noise(size, size)
            done = tool.run('write', device, '-s', start, '-o', 'json', stdin=data).json()
            same((done['bytes'], done['start_block'], done['flushed']), (size, start, True))
            at = start * block
            before = before[:at] + data + before[at + size:]
            same(get('disk.img'), before, 'the image after %d bytes at block %d' % (size, start))
    return test


def a_part_of_a_file(tool):
    put('in', noise(10000))
    tool.run('write', 'loop:disk.img', '-d', 'in', '-z', '1000')
    same(get('disk.img')[:1024], noise(10000)[:1000] + bytes(24))
    tool.run('write', 'loop:disk.img', '-d', 'in', '--block-count=2', '--start-block=4')
    same(get('disk.img')[1024:4096], bytes(1024) + noise(10000)[:1024] + bytes(1024))


def blocks_are_counted_from_one(tool):
    put('disk.img', noise(MIB))
    same(tool.run('read', 'loop:disk.img', '-c', '1').raw, noise(MIB)[:512])
    same(tool.run('read', 'loop:disk.img', '-s', '1', '-c', '2').raw, noise(MIB)[512:1536])


def nothing_is_not_much(tool):
    put('empty', b'')
    tool.run('write', 'loop:disk.img', '-d', 'empty')
    tool.run('write', 'loop:disk.img', '-z', '0', stdin=b'x')
    same(tool.run('read', 'loop:disk.img', '-z', '0').raw, b'')
    same(tool.run('read', 'loop:disk.img', '-c', '0').raw, b'')
    tool.run('read', 'loop:disk.img', '-s', '2048', '-z', '0')
    tool.run('compare', 'loop:disk.img', '-d', 'empty')
    same(tool.run('read', 'loop:disk.img').raw, bytes(MIB), 'the whole drive')


def read_goes_on_to_the_end(tool):
    put('disk.img', noise(3 * MIB))
    same(tool.run('read', 'loop:disk.img', '-s', '1024').raw, noise(3 * MIB)[512 * KIB:])


def every_depth_moves_the_same(tool):
    put('in', noise(5 * MIB + 11))
    for depth in (1, 2, 7, 256):
        tool.run('write', 'loop:disk.img?mdts=64k&size=6M', '-d', 'in', '--qd', depth)
        same(tool.run('read', 'loop:disk.img', '-z', 5 * MIB + 11, '--qd', depth).raw, noise(5 * MIB + 11))
        os.unlink('disk.img')
    tool.run('write', 'loop:disk.img', '-d', 'in', '--qd', '257', status=2)
    tool.run('write', 'loop:disk.img', '-d', 'in', '--qd', '0', status=2)


def a_pipe_in_small_pieces(tool):
    data = noise(300 * KIB)
    child = subprocess.Popen([tool.program, 'write', 'loop:disk.img?size=1M'], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    for at in range(0, len(data), 1000):
        child.stdin.write(data[at:at + 1000])
        child.stdin.flush()
    child.stdin.close()
    same(child.wait(60), 0)
    same(tool.run('read', 'loop:disk.img', '-z', len(data)).raw, data)


def a_reader_that_takes_its_time(tool):
    put('disk.img', noise(4 * MIB))
    child = subprocess.Popen([tool.program, 'read', 'loop:disk.img'], stdout=subprocess.PIPE)
    time.sleep(0.3)
    same(child.stdout.read(), noise(4 * MIB))
    same(child.wait(60), 0)


def a_reader_that_goes_away(tool):
    child = subprocess.Popen([tool.program, 'read', 'loop:ram:64M'], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    child.stdout.read(1)
    child.stdout.close()
    words = child.stderr.read().decode()
    same(child.wait(60), 1)
    check(words.endswith('standard output: Broken pipe\n'), words)


def both_to_standard_output_is_refused(tool):
    done = tool.run('read', 'loop:ram:1M', '-o', 'json', status=2)
    check('--data FILE' in done.err, done.err)


def count_and_size_exclude_each_other(tool):
    for name in ('read', 'write', 'compare'):
        check('exclude' in tool.run(name, 'loop:ram:1M', '-c', '1', '-z', '1', status=2).err)


def compare_tells_where(tool):
    data = bytearray(noise(3 * MIB + 100))
    put('disk.img', bytes(data) + bytes(412))
    put('same', data)
    value = tool.run('compare', 'loop:disk.img', '-d', 'same', '-o', 'json').json()
    same((value['equal'], value['bytes']), (True, len(data)))
    for at in (0, 511, 512, 2 * MIB + 12345, 3 * MIB + 99):
        other = bytearray(data)
        other[at] ^= 0x40
        put('other', other)
        done = tool.run('compare', 'loop:disk.img', '-d', 'other', status=3)
        check('byte %d differs (block %d, offset %d)' % (at, at // 512, at % 512) in done.err, done.err)
        value = tool.run('compare', 'loop:disk.img', '-d', 'other', '-o', 'json', status=3).json()
        same((value['equal'], value['first_difference']['byte']), (False, at))
    # What is behind the end of the file is nobody's business.
    put('disk.img', bytes(data) + b'\xff' * 412)
    tool.run('compare', 'loop:disk.img', '-d', 'same')


def a_file_that_is_too_short(tool):
    put('in', noise(1000))
    tool.run('write', 'loop:disk.img', '-d', 'in')
    for args in (('-z', '1001'), ('-c', '2')):
        done = tool.run('write', 'loop:disk.img', '-d', 'in', *args, status=1)
        check('1000 bytes' in done.err, done.err)
    done = tool.run('write', 'loop:disk.img', '-z', '5000', status=1, stdin=noise(4096))
    check('ends after 4096 of 5000 bytes' in done.err, done.err)


def faults_of_the_drive_are_told(tool):
    done = tool.run('read', 'loop:ram:8M?fault=status:opcode=2:sf=0x281:skip=3', '-d', 'out', status=1)
    check('Unrecovered Read Error' in done.err and 'SC 81h' in done.err, done.err)
    put('in', noise(2 * MIB))
    done = tool.run('write', 'loop:ram:8M?fault=status:opcode=1:sf=0x280:skip=1', '-d', 'in', status=1)
    check('SC 80h' in done.err, done.err)
    done = tool.run('write', 'loop:ram:8M?fault=status:opcode=0:sf=6', '-d', 'in', status=1)
    check('flush' in done.err, done.err)
    done = tool.run('read', 'loop:ram:8M?fault=remove:opcode=2', '-d', 'out', status=1)
    check('nvio: read: ' in done.err and 'the device is gone' in done.err, done.err)


def a_deadline_is_kept_and_told(tool):
    put('in', noise(512))
    late, lost = 'loop:ram:8M?fault=delay:us=10000000:opcode=%d:count=1', 'loop:ram:8M?fault=lose:opcode=%d:count=1'
    for name, opcode in (('read', 2), ('write', 1), ('compare', 5)):
        args = ['-c', '1', '-d', 'out'] if name == 'read' else ['-d', 'in']
        start = time.monotonic()
        done = tool.run(name, late % opcode, '--timeout', 100, *args, status=1)
        check(time.monotonic() - start < 8, 'it took as long as without')
        check('1 blocks from block 0 on: timed out' in done.err and 'it had 100 ms' in done.err, done.err)
        check('was reset' not in done.err, done.err)
        done = tool.run(name, lost % opcode, '--timeout', 100, *args, status=1)
        check('it had 100 ms, and the controller was reset' in done.err, done.err)
    done = tool.run('perf', lost % 2, '--timeout', 100, '--ios', 10, '-o', 'json', status=1)
    same(done.json()['errors'], 1)
    check('read at block' in done.err and 'it had 100 ms' in done.err, done.err)
    # One that is long enough changes nothing.
    tool.run('read', 'loop:ram:8M?fault=delay:opcode=2:us=1000', '--timeout', 20000, '-d', 'out')


def a_namespace_of_several(tool):
    form = 'loop:disk.img?ns=2&size=4M'
    tool.run('write', form, '-n', '2', stdin=noise(5000))
    same(get('disk.img.2')[:5000], noise(5000))
    same(get('disk.img'), bytes(2 * MIB))
    same(tool.run('read', form, '--namespace-id', '2', '-z', '5000').raw, noise(5000))
    tool.run('read', form, '-n', '3', '-z', '1', status=1)


def a_kill_loses_nothing_that_was_flushed(tool):
    flushed = noise(8 * MIB, 3)
    put('in', flushed)
    tool.run('write', 'loop:disk.img?size=64M', '-d', 'in')
    # A pipe that delivers some of it and then nothing keeps the second one in mid-write.
    child = subprocess.Popen([tool.program, 'write', 'loop:disk.img', '-s', str(8 * MIB // 512)], stdin=subprocess.PIPE)
    child.stdin.write(noise(6 * MIB, 4))
    child.stdin.flush()
    time.sleep(0.2)
    same(child.poll(), None, 'the writer before its end')
    child.send_signal(signal.SIGKILL)
    same(child.wait(60), -signal.SIGKILL)
    child.stdin.close()
    tool.run('compare', 'loop:disk.img', '-d', 'in')
    tool.run('write', 'loop:disk.img', '-d', 'in', '-s', str(8 * MIB // 512))
    same(get('disk.img')[:16 * MIB], flushed * 2)


TESTS = [('a file of %s goes in and out' % sized(size), round_trip_by_file(size)) for size in SIZES]
TESTS += [('a file of %s, blocks of 4096' % sized(size), round_trip_by_file(size, '?bs=4096')) for size in SIZES[:-1]]
TESTS += [('a pipe of %s goes in and out' % sized(size), round_trip_by_pipe(size)) for size in SIZES]
TESTS += [('the rest of the last block stays, blocks of %d' % block, the_rest_of_the_last_block_stays(block)) for block in (512, 4096)]
TESTS += [(f.__name__.replace('_', ' '), f) for f in (
    a_part_of_a_file, blocks_are_counted_from_one, nothing_is_not_much, read_goes_on_to_the_end, every_depth_moves_the_same,
    a_pipe_in_small_pieces, a_reader_that_takes_its_time, a_reader_that_goes_away, both_to_standard_output_is_refused,
    count_and_size_exclude_each_other, compare_tells_where, a_file_that_is_too_short, faults_of_the_drive_are_told,
    a_deadline_is_kept_and_told, a_namespace_of_several, a_kill_loses_nothing_that_was_flushed)]
