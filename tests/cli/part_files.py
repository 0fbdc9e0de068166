# SPDX-License-Identifier: BSD-3-Clause
"""Images and files as they are found: missing, empty, cut short, too small, in use, full; and the terminal."""
import os
import pty
import shutil
import subprocess
import time

from harness import MIB, Skip, check, get, noise, put, same


def refused(setup, words, device='loop:disk.img'):
    def test(tool):
        setup()
        for name in (['id-ctrl'], ['read', '-c', '1'], ['flush'], ['perf', '--ios', '1']):
            done = tool.run(name[0], device, *name[1:], status=1)
            check(words in done.err, '%s: %s' % (name[0], done.err))
    return test


REFUSED = [
    ('is missing', lambda: None, "there is no image disk.img: to make one, say how large: 'loop:disk.img?size=SIZE'"),
    ('is empty', lambda: put('disk.img', b''), 'empty'),
    ('is shorter than a block', lambda: put('disk.img', bytes(511)), '511 bytes'),
    ('is not a multiple of the block', lambda: put('disk.img', bytes(1000)), '1000 bytes'),
    ('is a directory', lambda: os.mkdir('disk.img'), 'directory'),
    ('is a pipe', lambda: os.mkfifo('disk.img'), 'disk.img'),
    ('leads nowhere', lambda: os.symlink('nowhere', 'disk.img'), 'disk.img'),
    ('leads to itself', lambda: os.symlink('disk.img', 'disk.img'), 'disk.img'),
]


def the_file_that_is_missing_is_named(tool):
    tool.run('flush', 'loop:disk.img?ns=3&size=3M')
    os.unlink('disk.img.3')
    done = tool.run('flush', 'loop:disk.img?ns=3', status=1)
    check('disk.img.3: No such file' in done.err and 'there is no image' not in done.err, done.err)


def a_missing_folder_is_no_matter_of_size(tool):
    for device in ('loop:nodir/disk.img', 'loop:nodir/disk.img?ns=2'):
        done = tool.run('flush', device, status=1)
        check('nodir/disk.img: No such file' in done.err and 'size=' not in done.err, done.err)
    done = tool.run('write', 'loop:nodir/disk.img', '-d', put('in', b'x'), status=1)
    check('no image nodir/disk.img, and it cannot be made: No such file' in done.err, done.err)


def a_failed_write_leaves_no_image(tool):
    put('in', noise(1000))
    for device, args, words in (
            ('loop:disk.img', ['-n', 9], '9'),
            ('loop:disk.img', ['-z', 2000], 'in has 1000 bytes, and 2000 are asked for'),
            ('loop:disk.img', ['-c', 2], 'in has 1000 bytes, and 1024 are asked for'),
            ('loop:disk.img?size=1M', ['-z', 2000], 'in has 1000 bytes, and 2000 are asked for'),
            ('loop:disk.img?size=1M', ['-c', 2], 'in has 1000 bytes, and 1024 are asked for'),
            ('loop:disk.img?bs=1000', [], '1000'),
            ('loop:disk.img?fault=status:opcode=1:sf=0x280', [], 'SC 80h')):
        done = tool.run('write', device, '-d', 'in', *args, status=1)
        check(words in done.err, done.err)
        same(sorted(os.listdir('.')), ['in'], 'the folder after %s %s' % (device, args))
    # Of this one a part has been written.
    put('in', noise(3 * MIB))
    tool.run('write', 'loop:disk.img?fault=status:opcode=1:sf=0x280:skip=1', '-d', 'in', '--qd', 1, status=1)
    same(get('disk.img')[:MIB], noise(3 * MIB)[:MIB], 'what was written')
    # And this one was there before.
    put('disk.img', b'x' * MIB)
    tool.run('write', 'loop:disk.img', '-d', 'in', '-n', 9, status=1)
    same(get('disk.img'), b'x' * MIB, 'the image that was there')


def write_makes_a_missing_image(tool):
    put('in', noise(3000000))
    done = tool.run('write', 'loop:disk.img', '-d', 'in')
    check('no image disk.img: making one of 3002368 bytes' in done.err, done.err)
    same(os.stat('disk.img').st_size, 3002368)
    done = tool.run('write', 'loop:disk.img', '-d', 'in')
    same(done.err, '', 'standard error the second time')


def it_makes_room_for_the_start(tool):
    put('in', noise(100))
    tool.run('write', 'loop:a.img', '-d', 'in', '-s', '10000')
    same(get('a.img')[5120000:5120100], noise(100))
    tool.run('write', 'loop:b.img?bs=4096', '-d', 'in', '-s', '1000')
    same(get('b.img')[4096000:4096100], noise(100))
    tool.run('write', 'trtype:LOOP traddr:c.img', '-d', 'in')
    same(get('c.img'), noise(100) + bytes(MIB - 100))


def a_name_with_odd_characters(tool):
    put('in', noise(100))
    tool.run('write', 'loop:a%3fb%25 c.img', '-d', 'in')
    same(get('a?b% c.img')[:100], noise(100))


def a_pipe_does_not_say_how_large(tool):
    done = tool.run('write', 'loop:disk.img', status=1, stdin=b'x')
    check("a pipe does not say how large to make it; say so: 'loop:disk.img?size=SIZE'" in done.err, done.err)
    check(not os.path.exists('disk.img'), 'the image has been made')
    done = tool.run('write', 'loop:disk.img?bs=4096', status=1, stdin=b'x')
    check("'loop:disk.img?bs=4096&size=SIZE'" in done.err, done.err)
    put('in', b'x')
    done = tool.run('write', 'loop:disk.img?ns=2', '-d', 'in', status=1)
    check('all namespaces together' in done.err, done.err)


def an_image_that_is_too_small(tool):
    put('disk.img', bytes(4096))
    put('in', noise(5000))
    done = tool.run('write', 'loop:disk.img', '-d', 'in', status=1)
    check('5120 bytes' in done.err and '4096' in done.err and "'loop:disk.img?size=5120'" in done.err, done.err)
    same(get('disk.img'), bytes(4096), 'the image')
    # What it says helps.
    tool.run('write', 'loop:disk.img?size=5120', '-d', 'in')
    same(get('disk.img'), noise(5000) + bytes(120))


def a_pipe_that_does_not_end(tool):
    put('disk.img', bytes(MIB))
    done = tool.run('write', 'loop:disk.img', status=1, stdin=noise(MIB + 1))
    check('standard input has more than the namespace holds: 1048576 bytes' in done.err, done.err)
    same(get('disk.img'), noise(MIB), 'the image')
    tool.run('compare', 'loop:disk.img', status=1, stdin=noise(MIB + 1))


def starts_and_sizes_beyond_the_end(tool):
    huge = 2 ** 64 - 2
    put('in', b'x' * 1024)
    for args in (['-s', 2049, '-z', 0], ['-s', 2047, '-c', 2], ['-s', huge, '-c', huge], ['-c', huge], ['-z', huge], ['-s', huge],
                 ['-s', 2048, '-z', 1]):
        tool.run('read', 'loop:ram:1M', '-d', 'out', *args, status=1)
        check(not os.path.exists('out'), 'the output has been made')
    for args in (['-s', 2047], ['-s', huge], ['-s', huge, '-z', 1]):
        tool.run('write', 'loop:ram:1M', '-d', 'in', *args, status=1)
        tool.run('compare', 'loop:ram:1M', '-d', 'in', *args, status=1)
    tool.run('write', 'loop:ram:1M', '-s', huge, status=1, stdin=b'x')
    tool.run('write', 'loop:disk.img', '-s', huge, '-d', 'in', status=1)
    check(not os.path.exists('disk.img'), 'the image has been made')


def sources_that_are_none(tool):
    os.mkdir('folder')
    for name, words in (('nope', 'No such file'), ('folder', 'Is a directory')):
        for verb in ('write', 'compare'):
            done = tool.run(verb, 'loop:disk.img', '-d', name, status=1)
            check(words in done.err, done.err)
    check(not os.path.exists('disk.img'), 'the image has been made')


def outputs_that_are_none(tool):
    os.mkdir('folder')
    for name, words in (('nope/out', 'No such file'), ('folder', 'Is a directory'), ('/dev/full', 'No space left')):
        done = tool.run('read', 'loop:ram:1M', '-d', name, status=1)
        check(words in done.err, done.err)


def the_image_is_not_its_own_output(tool):
    put('disk.img', noise(MIB))
    os.link('disk.img', 'other')
    for name in ('disk.img', './disk.img', 'other'):
        done = tool.run('read', 'loop:disk.img', '-d', name, status=1)
        check('is the image' in done.err, done.err)
    same(get('disk.img'), noise(MIB))


def a_read_only_drive(tool):
    put('disk.img', noise(MIB))
    same(tool.run('read', 'loop:disk.img?ro=1', '-c', '1').raw, noise(MIB)[:512])
    tool.run('compare', 'loop:disk.img?ro=1', stdin=noise(MIB))
    tool.run('write', 'loop:disk.img?ro=1', status=1, stdin=b'x')
    tool.run('perf', 'loop:disk.img?ro=1', '--rw', 'randwrite', '--ios', '1', status=1)
    same(get('disk.img'), noise(MIB))


def a_file_without_write_permission(tool):
    if os.geteuid() == 0:
        raise Skip('root may write it')
    put('disk.img', noise(MIB))
    os.chmod('disk.img', 0o444)
    done = tool.run('write', 'loop:disk.img', status=1, stdin=b'x')
    check('disk.img' in done.err, done.err)


def wait_until_open(pid, path):
    """Looks from outside: trying the image would lock it just when the child wants to."""
    folder, path = '/proc/%d/fd' % pid, os.path.realpath(path)
    deadline = time.monotonic() + 30
    while path not in [os.path.realpath(os.path.join(folder, fd)) for fd in os.listdir(folder)]:
        check(time.monotonic() < deadline, 'never opened')
        time.sleep(0.01)
    time.sleep(0.2)


def an_image_in_use(tool):
    put('disk.img', bytes(MIB))
    child = subprocess.Popen([tool.program, 'write', 'loop:disk.img'], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        wait_until_open(child.pid, 'disk.img')
        done = tool.run('write', 'loop:disk.img', status=1, stdin=b'y')
        check('disk.img' in done.err, done.err)
        child.stdin.write(b'x')
        child.stdin.close()
        same(child.wait(60), 0)
    finally:
        child.kill()
        child.wait()
    same(get('disk.img')[:2], b'x\0')


def in_a_small_file_system(tool, line):
    os.mkdir('small')
    setup = 'mount -t tmpfs -o size=1m tmpfs small'
    if os.geteuid() or not shutil.which('unshare') or subprocess.run(['unshare', '-m', 'sh', '-c', setup], capture_output=True,
                                                                     check=False).returncode:
        raise Skip('a small tmpfs needs root and its own mounts')
    # With its own mounts the file system goes when the shell does.
    done = subprocess.run(['unshare', '-m', 'sh', '-c', '%s && %s' % (setup, line.replace('NVIO', tool.program))],
                          capture_output=True, timeout=60, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def a_full_disk_under_the_image(tool):
    put('in', noise(4 * MIB))
    status, _, err = in_a_small_file_system(tool, 'NVIO write "loop:small/disk.img?size=64M" -d in')
    same(status, 1, err)
    check(err.startswith('nvio: write: ') and err.count('\n') <= 2, err)
    check('loop:small/disk.img?size=64M: the file system that holds its image small/disk.img is full' in err
          and 'make room there' in err, err)


def a_full_disk_under_the_output(tool):
    status, _, err = in_a_small_file_system(tool, 'NVIO read loop:ram:4M -d small/out')
    same(status, 1, err)
    check('small/out: No space left on device' in err, err)


def with_a_terminal(tool, args, feed):
    """Runs it with a terminal as standard error, and returns what that shows."""
    ours, theirs = pty.openpty()
    child = subprocess.Popen([tool.program, *args], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    for piece in feed:
        child.stdin.write(piece)
        child.stdin.flush()
        time.sleep(0.15)
    child.stdin.close()
    shown = b''
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:  # how a terminal says that nobody writes to it any more
        pass
    os.close(ours)
    same(child.wait(60), 0)
    return shown


def progress_is_for_terminals(tool):
    feed = [noise(MIB)] * 12
    shown = with_a_terminal(tool, ['write', 'loop:ram:16M', '--qd', '1'], feed)
    check(b'\rwrite: ' in shown and b'MiB' in shown, shown)
    check(shown.endswith(b'\r\x1b[K'), shown)
    shown = with_a_terminal(tool, ['write', 'loop:ram:16M', '--qd', '1', '-z', '12M'], feed)
    check(b' of 12.00 MiB (' in shown, shown)
    same(tool.run('write', 'loop:ram:16M', stdin=b''.join(feed)).err, '', 'standard error that is no terminal')


def short_transfers_show_no_progress(tool):
    same(with_a_terminal(tool, ['write', 'loop:ram:16M'], []), b'')


def data_is_not_thrown_at_a_terminal(tool):
    ours, theirs = pty.openpty()
    done = tool.run('read', 'loop:ram:1M', '-c', '1', status=2, stdout=theirs)
    check('is a terminal' in done.err, done.err)
    tool.run('read', 'loop:ram:1M', '-c', '1', '-d', '-', stdout=theirs)
    check(os.read(ours, 4096), 'nothing came out')
    os.close(theirs)
    os.close(ours)


def closed_descriptors_do_not_reach_the_image(tool):
    put('in', noise(1000))
    for closed in ('<&-', '>&-', '2>&-', '<&- 2>&-', '>&- 2>&-', '<&- >&- 2>&-'):
        put('disk.img', noise(MIB))
        line = '"$0" write loop:disk.img -d in %s; "$0" id-ctrl loop:disk.img %s; "$0" read "loop:disk.img?direct=0" -c 99999999 %s' % (closed, closed, closed)
        subprocess.run(['sh', '-c', line, tool.program], capture_output=True, timeout=60, check=False)
        same(get('disk.img'), noise(1000) + noise(MIB)[1000:], 'the image with ' + closed)
    # Eight bytes are what an eventfd takes gladly, should it sit there.
    for line in ('write loop:disk.img <&-', 'id-ctrl loop:disk.img >&-', 'read loop:disk.img -z 8 >&-'):
        done = subprocess.run(['sh', '-c', '"$0" ' + line, tool.program], capture_output=True, timeout=60, check=False)
        same(done.returncode, 1, line)


TESTS = [('an image that ' + name, refused(setup, words)) for name, setup, words in REFUSED]
TESTS += [('a disk that is read-only or in no folder', refused(lambda: None, 'nodir', 'loop:nodir/disk.img?size=1M'))]
TESTS += [(f.__name__.replace('_', ' '), f) for f in (
    the_file_that_is_missing_is_named, a_missing_folder_is_no_matter_of_size, a_failed_write_leaves_no_image,
    write_makes_a_missing_image, it_makes_room_for_the_start, a_name_with_odd_characters, a_pipe_does_not_say_how_large,
    an_image_that_is_too_small, a_pipe_that_does_not_end, starts_and_sizes_beyond_the_end, sources_that_are_none,
    outputs_that_are_none, the_image_is_not_its_own_output, a_read_only_drive, a_file_without_write_permission, an_image_in_use,
    a_full_disk_under_the_image, a_full_disk_under_the_output, progress_is_for_terminals, short_transfers_show_no_progress,
    data_is_not_thrown_at_a_terminal, closed_descriptors_do_not_reach_the_image)]
