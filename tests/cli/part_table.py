# SPDX-License-Identifier: BSD-3-Clause
"""Command lines and what comes of them: every subcommand and option, and what is wrong with a command line or a device."""
import re

from harness import check, same

RAM = 'loop:ram:64M'
SUBCOMMANDS = ['list', 'id-ctrl', 'id-ns', 'list-ns', 'smart-log', 'error-log', 'get-feature', 'read', 'write', 'compare',
               'flush', 'dsm', 'write-zeroes', 'admin-passthru', 'perf', 'setup', 'doctor', 'version']

# name, arguments, status, what standard output has in it, what standard error has in it (regular expressions; None: is empty)
LINES = [
    ('no arguments show the overview', [], 2, None, r'Usage: nvio SUBCOMMAND'),
    ('help of the tool', ['--help'], 0, r'admin-passthru +Send', None),
    ('help as a word', ['help'], 0, r'Exit status: 0 success', None),
    ('an unknown subcommand is wrong usage', ['frobnicate'], 2, None, r"no subcommand 'frobnicate'.*\n.*--help"),
    ('version', ['version'], 0, r'^nvio \d+\.\d+\.\d+, library \d.*\n +loop +yes', None),
    ('version as an option', ['--version'], 0, r'^nvio \d', None),
    ('version takes no argument', ['version', 'x'], 2, None, r"'x' is too much"),
    ('list tells a device', ['list', RAM], 0, r'loop:ram:64M +\S+ +nvio software drive +1 +64\.00 MiB +512', None),
    ('list goes on after a bad device', ['list', 'loop:nope.img', RAM], 1, r'64\.00 MiB', r'no image nope\.img'),
    ('list has no head over failures alone', ['list', 'loop:nope.img'], 1, None, r'no image nope\.img'),
    ('list tells every namespace', ['list', RAM + '?ns=2&bs=4096'], 0, r' 1 +32\.00 MiB +4096.*\n.* 2 +32\.00 MiB', None),
    ('id-ctrl', ['id-ctrl', RAM], 0, r'vid +: 0.*\nssvid', None),
    ('id-ctrl explains bits', ['id-ctrl', RAM, '-v'], 0, r'oncs +: 0x\w+\n +bit \d+: \w', None),
    ('id-ctrl explains bits the other way', ['id-ctrl', RAM, '--human-readable'], 0, r'oncs +: 0x\w+\n +bit \d+: \w', None),
    ('the long transport id', ['id-ctrl', 'trtype:LOOP traddr:ram:1M'], 0, r'mn +: nvio software drive', None),
    ('options may come first', ['id-ctrl', '-o', 'json', RAM], 0, r'"vid"', None),
    ('id-ns', ['id-ns', RAM], 0, r'nsid +: 1\nnsze +: 131072\n(.*\n)*lbaf +0 +: 512 bytes.*in use', None),
    ('id-ns of another namespace', ['id-ns', RAM + '?ns=2', '-n', '2'], 0, r'nsid +: 2\nnsze +: 65536\n', None),
    ('id-ns of a namespace that is not there', ['id-ns', RAM, '--namespace-id=9'], 1, None, r'9'),
    ('id-ns of namespace 0', ['id-ns', RAM, '-n', '0'], 1, None, r'0'),
    ('list-ns', ['list-ns', RAM + '?ns=3'], 0, r'^\[ +0\]: 0x1\n\[ +1\]: 0x2\n\[ +2\]: 0x3\n$', None),
    ('list-ns from an identifier on', ['list-ns', RAM + '?ns=3', '-n', '2'], 0, r'^\[ +0\]: 0x2\n\[ +1\]: 0x3\n$', None),
    ('list-ns beyond all', ['list-ns', RAM, '-n', '0xffffffff'], 0, r'^$', None),
    ('list-ns of all', ['list-ns', RAM, '--all'], 0, r'^\[ +0\]: 0x1\n$', None),
    ('smart-log', ['smart-log', RAM], 0, r'temperature +: \d+ C \(\d+ K\)', None),
    ('smart-log explains bits', ['smart-log', RAM, '-v'], 0, r'critical warning +: 0\n', None),
    ('smart-log of a namespace that is not there', ['smart-log', RAM, '-n', '77'], 1, None, r'SMART.*: Invalid'),
    ('error-log', ['error-log', RAM], 0, r'^0 of \d+ entries in use\n$', None),
    ('error-log of some entries', ['error-log', RAM, '--log-entries=3'], 0, r'^0 of 3 entries in use\n$', None),
    ('error-log of more entries than there are', ['error-log', RAM, '-e', '100000'], 0, r'entries in use', None),
    ('error-log of no entries', ['error-log', RAM, '-e', '0'], 2, None, r'out of range: 1 to'),
    ('get-feature', ['get-feature', RAM, '-f', '7'], 0, r'^feature 0x07 \(Number of Queues\), current value: 0x0\w{7}\n$', None),
    ('get-feature explains', ['get-feature', RAM, '-f', '7', '-H'], 0, r'I/O submission queues +: 1\n', None),
    ('get-feature, the default', ['get-feature', RAM, '-f', '4', '--sel=1'], 0, r'default value', None),
    ('get-feature, what is supported', ['get-feature', RAM, '-f', '0xb', '-s', '3', '-v'], 0, r'can be changed +: 1', None),
    ('get-feature with dword 11 and data', ['get-feature', RAM, '-f', '0x81', '--cdw11=1'], 0, r'\n0000:( \w\w){16}', None),
    ('get-feature with a length', ['get-feature', RAM, '-f', '0x81', '-l', '8'], 0, r'\n0000:( \w\w){8} ', None),
    ('get-feature of a namespace', ['get-feature', RAM, '-f', '5', '-n', '1'], 0, r'Error Recovery', None),
    ('get-feature needs a feature', ['get-feature', RAM], 2, None, r'--feature-id is missing'),
    ('get-feature 0', ['get-feature', RAM, '-f', '0'], 2, None, r'out of range'),
    ('get-feature 256', ['get-feature', RAM, '-f', '256'], 2, None, r'out of range'),
    ('get-feature of an unknown feature', ['get-feature', RAM, '-f', '0x7a'], 1, None, r'0x7a.*Invalid Field'),
    ('get-feature, a bad choice', ['get-feature', RAM, '-f', '1', '-s', '4'], 2, None, r'0 to 3'),
    ('flush', ['flush', RAM], 0, r'^namespace 1 flushed\n$', None),
    ('dsm', ['dsm', RAM, '--ad', '-s', '0,8,0x10', '-b', '8,8,1'], 0, r'17 blocks', None),
    ('dsm of one range', ['dsm', RAM, '--ad', '-s', '100', '-b', '8'], 0, r'^deallocated: 8 blocks from block 100 on\n$', None),
    ('dsm of two ranges', ['dsm', RAM, '--ad', '-s', '0,100', '-b', '8,8'], 0, r'^deallocated: 16 blocks in 2 ranges\n$', None),
    ('dsm without --ad', ['dsm', RAM, '-s', '0', '-b', '8'], 2, None, r'--ad is missing'),
    ('dsm with unequal lists', ['dsm', RAM, '-d', '--slbs=0,1', '--blocks=8'], 2, None, r'pairs'),
    ('dsm with an empty list', ['dsm', RAM, '-d', '-s', '', '-b', ''], 2, None, r'not a number'),
    ('dsm with a gap in a list', ['dsm', RAM, '-d', '-s', '1,,2', '-b', '1,1,1'], 2, None, r'not a number'),
    ('dsm with 257 ranges', ['dsm', RAM, '-d', '-s', ','.join(['1'] * 257), '-b', '1'], 2, None, r'more than 256'),
    ('dsm with 256 ranges', ['dsm', RAM, '-d', '-s', ','.join(map(str, range(256))), '-b', ','.join(['1'] * 256)], 0, r'256 blocks', None),
    ('dsm with an endless number', ['dsm', RAM, '-d', '-s', '1' * 40, '-b', '1'], 2, None, r'not a list'),
    ('dsm beyond the end', ['dsm', RAM, '-d', '-s', '131072', '-b', '1'], 1, None, r'131072 blocks of 512'),
    ('dsm without lists', ['dsm', RAM, '-d'], 2, None, r'--slbs is missing'),
    ('write-zeroes', ['write-zeroes', RAM, '-s', '1', '-c', '100'], 0, r'100 blocks from block 1 on', None),
    ('write-zeroes of everything', ['write-zeroes', 'loop:null:4G', '--block-count=8388608'], 0, r'8388608 blocks', None),
    ('write-zeroes needs a count', ['write-zeroes', RAM], 2, None, r'--block-count is missing'),
    ('write-zeroes of nothing', ['write-zeroes', RAM, '-c', '0'], 2, None, r'out of range'),
    ('write-zeroes beyond the end', ['write-zeroes', RAM, '-c', '131073'], 1, None, r'do not fit'),
    ('write-zeroes far beyond the end', ['write-zeroes', RAM, '-s', '18446744073709551614', '-c', '18446744073709551614'], 1, None, r'do not fit'),
    ('write-zeroes on a drive that is read-only', ['write-zeroes', RAM + '?ro=1', '-c', '1'], 1, None, r'read.only|protected'),
    ('passthrough of Identify', ['admin-passthru', RAM, '-O', '6', '--cdw10=1', '-r', '-l', '4k'], 0, r'\(Identify\): success, result 0x00000000\n0000: ', None),
    ('passthrough of a feature', ['admin-passthru', RAM, '--opcode=0xa', '--cdw10', '7'], 0, r'result 0x\w{8}\n$', None),
    ('passthrough with every dword', ['admin-passthru', RAM, '--opcode=0xa', '--cdw2=0', '--cdw3=0', '--cdw10=7', '--cdw11=0', '--cdw12=0',
                                      '--cdw13=0', '--cdw14=0', '--cdw15=0', '-n', '0', '-t', '5000'], 0, r'result', None),
    ('passthrough needs an opcode', ['admin-passthru', RAM], 2, None, r'--opcode is missing'),
    ('passthrough of an opcode that is none', ['admin-passthru', RAM, '-O', '256'], 2, None, r'0 to 255'),
    ('passthrough of an unknown opcode', ['admin-passthru', RAM, '-O', '0x7b'], 1, None, r'0x7b.*Invalid Command Opcode'),
    ('passthrough of what is the library\'s', ['admin-passthru', RAM, '-O', '0'], 1, None, r'0x00'),
    ('passthrough to and fro', ['admin-passthru', RAM, '-O', '6', '-r', '-w', '-l', '4'], 2, None, r'exclude'),
    ('passthrough of data without direction', ['admin-passthru', RAM, '-O', '6', '-l', '4'], 2, None, r'needs --read or --write'),
    ('passthrough of a direction without data', ['admin-passthru', RAM, '-O', '6', '-r'], 2, None, r'--read needs --data-len'),
    ('passthrough of input nobody wants', ['admin-passthru', RAM, '-O', '6', '-r', '-l', '4', '-i', 'x'], 2, None, r'--input-file is for --write'),
    ('passthrough, raw and not read', ['admin-passthru', RAM, '-O', '6', '-b'], 2, None, r'--raw-binary is for --read'),
    ('passthrough, raw JSON', ['admin-passthru', RAM, '-O', '6', '-b', '-r', '-l', '4', '-o', 'json'], 2, None, r'exclude'),
    ('passthrough of too much', ['admin-passthru', RAM, '-O', '6', '-r', '-l', '1G'], 2, None, r'out of range'),
    ('passthrough without its input', ['admin-passthru', RAM, '-O', '9', '-w', '-l', '8', '-i', 'nope'], 1, None, r'nope: No such file'),
    ('passthrough with too little input', ['admin-passthru', RAM, '-O', '9', '-w', '-l', '8'], 1, None, r'standard input|- has 0 bytes'),
    ('-v tells the steps', ['flush', RAM, '-v'], 0, r'flushed', r'\w'),
    ('--log-level tells the steps', ['flush', RAM, '--log-level=debug'], 0, r'flushed', r'\w'),
    ('a log level that is none', ['flush', RAM, '--log-level', 'loud'], 2, None, r"'loud' is none of:\n  error\n"),
    ('a format that is none', ['flush', RAM, '-o', 'xml'], 2, None, r"'xml' is none of:\n  normal\n  json\n"),
    ('no device', ['flush'], 2, None, r'no DEVICE given'),
    ('two devices', ['flush', RAM, RAM], 2, None, r'one DEVICE is enough'),
    ('a transport id without its quotes', ['flush', 'trtype:LOOP', 'traddr:ram:1M'], 2, None, r'needs quotes'),
    ('an unknown option', ['flush', RAM, '--frob'], 2, None, r'no option --frob'),
    ('an unknown short option', ['flush', RAM, '-q'], 2, None, r'no option -q'),
    ('an option of another subcommand', ['flush', RAM, '--qd', '1'], 2, None, r'no option --qd'),
    ('an option without its value', ['flush', RAM, '-n'], 2, None, r'--namespace-id needs a value: NSID'),
    ('a long option without its value', ['flush', RAM, '--namespace-id'], 2, None, r'--namespace-id needs a value: NSID'),
    ('a flag with a value', ['dsm', RAM, '--ad=yes', '-s', '0', '-b', '1'], 2, None, r'--ad takes no value'),
    ('a number with rubbish behind it', ['flush', RAM, '-n', '1x'], 2, None, r"'1x' is not a number"),
    ('a negative number', ['flush', RAM, '-n', '-1'], 2, None, r"'-1' is not a number"),
    ('an empty number', ['flush', RAM, '-n', ''], 2, None, r"'' is not a number"),
    ('a number with a blank', ['flush', RAM, '-n', ' 1'], 2, None, r'is not a number'),
    ('half a hexadecimal number', ['flush', RAM, '-n', '0x'], 2, None, r'is not a number'),
    ('a number of 33 bits', ['flush', RAM, '-n', '0x100000000'], 2, None, r'out of range'),
    ('a number of 65 bits', ['read', RAM, '-s', '0x10000000000000000'], 2, None, r'is too large'),
    ('a leading 0 is not octal', ['list-ns', RAM + '?ns=9', '-n', '08'], 0, r'^\[ +0\]: 0x8\n', None),
    ('a size with two suffixes', ['perf', RAM, '--bs', '4kk'], 2, None, r'is not a size'),
    ('a size that overflows', ['perf', RAM, '--size', '99999999999P'], 2, None, r'too large'),
    ('a queue depth of 0', ['perf', RAM, '--qd', '0'], 2, None, r'1 to 4096'),
    ('a queue depth of 4097', ['perf', RAM, '--qd', '4097'], 2, None, r'1 to 4096'),
    ('no milliseconds at all', ['read', RAM, '--timeout', '0'], 2, None, r'--timeout: 0 is out of range'),
    ('no time at all', ['perf', RAM, '--time', '0'], 2, None, r'seconds above 0'),
    ('a time that is none', ['perf', RAM, '--time', 'nan'], 2, None, r'seconds above 0'),
    ('a time and a count', ['perf', RAM, '--time', '1', '--ios', '1'], 2, None, r'exclude'),
    ('a mix for what is not mixed', ['perf', RAM, '--rwmixread', '50'], 2, None, r'is for --rw randrw'),
    ('101 percent', ['perf', RAM, '--rw', 'randrw', '--rwmixread', '101'], 2, None, r'0 to 100'),
    ('a kind of I/O that is none', ['perf', RAM, '--rw', 'sideways'], 2, None, r'none of'),
    ('too much memory', ['perf', RAM, '--qd', '4096', '--bs', '64M'], 2, None, r'more than 1 GiB'),
    ('I/O of half a block', ['perf', RAM + '?bs=4096', '--bs', '512'], 1, None, r'not a multiple of the block size, 4096'),
    ('more than the namespace has', ['perf', RAM, '--size', '1G'], 1, None, r'more than the namespace has'),
    ('I/O larger than the namespace', ['perf', 'loop:ram:8k', '--bs', '64k'], 1, None, r'hold no I/O'),
    ('more I/Os than can be told apart', ['perf', 'loop:ram:8k', '--verify'], 1, None, r'fewer than --qd 32'),
    ('perf of a namespace that is not there', ['perf', RAM, '-n', '3'], 1, None, r'3'),
]

DEVICES = [
    ('is empty', '', 2, r'trtype'),
    ('is a word', 'foo', 2, r"'foo'.*did you mean loop:foo\?"),
    ('is a file in this folder', './ok', 2, r"'\./ok'.*did you mean loop:\./ok\?"),
    ('is a path with options', 'disk.img?size=1G', 2, r'did you mean loop:disk\.img\?size=1G\?'),
    ('is memory without its transport', 'ram:64M', 2, r'did you mean loop:ram:64M\?'),
    ('is a path', '/dev/nvme0n1', 2, r'/dev/nvme0n1.*devices of the kernel are not reachable by this release'),
    ('is a name of the kernel', 'nvme0', 2, r'nvme0.*devices of the kernel are not reachable by this release'),
    ('is cut short', 'loop:', 2, r'traddr'),
    ('has no address', 'trtype:LOOP', 2, r'traddr'),
    ('has an unknown transport', 'trtype:XYZ traddr:1', 2, r'XYZ'),
    ('has an unknown key', 'trtype:LOOP traddr:ram:1M colour:red', 2, r'colour'),
    ('has no size', 'loop:ram:', 1, r'size'),
    ('has size 0', 'loop:ram:0', 1, r'size of 0'),
    ('has a bad size', 'loop:ram:12x', 1, r'12x'),
    ('is larger than numbers go', 'loop:ram:99999999P', 1, r'too large'),
    ('has an unknown option', 'loop:ram:1M?bogus=1', 1, r'bogus.*there are:'),
    ('has a bad block size', 'loop:ram:1M?bs=1000', 1, r'1000'),
    ('has too many namespaces', 'loop:ram:1M?ns=65', 1, r'65'),
    ('has an unknown fault', 'loop:ram:1M?fault=zork', 1, r'zork'),
    ('has too long a serial', 'loop:ram:1M?serial=123456789012345678901', 1, r'serial'),
    ('is too long', 'loop:' + 'x' * 300, 2, r'.'),
    ('is a PCI function', '0000:00:1f.7', 1, r'0000:00:1f\.7: '),
    ('is across a network', 'trtype:TCP traddr:127.0.0.1 trsvcid:4420 subnqn:nqn.2014-08.org.example:x', 1, r'not in this build'),
    ('never becomes ready', 'loop:ram:1M?fault=never_ready', 1, r'.'),
    ('fails its first command', 'loop:ram:1M?fault=fatal:admin=1:opcode=6', 1, r'.'),
]

JSON = {
    'list': ([RAM], ['Devices']),
    'id-ctrl': ([RAM], ['vid', 'ssvid', 'sn', 'mn', 'fr', 'mdts', 'ver', 'oacs', 'oncs', 'nn', 'vwc', 'sgls', 'subnqn', 'tnvmcap', 'psds']),
    'id-ns': ([RAM], ['nsze', 'ncap', 'nuse', 'flbas', 'lbafs', 'nguid', 'eui64', 'nvmcap']),
    'list-ns': ([RAM], ['nsid_list']),
    'smart-log': ([RAM], ['critical_warning', 'temperature', 'avail_spare', 'percent_used', 'data_units_read', 'power_cycles', 'num_err_log_entries']),
    'error-log': ([RAM], ['errors']),
    'get-feature': ([RAM, '-f', '7', '-H'], ['fid', 'value', 'fields']),
    'read': ([RAM, '-c', '3', '-d', 'out'], ['bytes', 'blocks', 'start_block', 'seconds']),
    'write': ([RAM], ['bytes', 'flushed']),
    'compare': ([RAM], ['bytes', 'equal']),
    'flush': ([RAM], ['nsid', 'flushed']),
    'dsm': ([RAM, '--ad', '-s', '0', '-b', '1'], ['ranges', 'blocks']),
    'write-zeroes': ([RAM, '-c', '1'], ['start_block', 'blocks']),
    'admin-passthru': ([RAM, '-O', '6', '--cdw10', '1', '-r', '-l', '4096'], ['opcode', 'command', 'result', 'data']),
    'perf': ([RAM, '--ios', '100'], ['iops', 'bw_bytes', 'lat_ns', 'ios', 'errors', 'device', 'rw', 'qd', 'bs', 'time_s']),
    'version': ([], ['version', 'features']),
}


def line(args, status, out, err):
    def test(tool):
        # The overview shown for no arguments is no message, so this is done without the usual check.
        done = tool.run(*args, status=status) if args else bare(tool)
        same(done.status, status, 'status')
        for text, want, what in ((done.out, out, 'standard output'), (done.err, err, 'standard error')):
            if want is None:
                same(text, '', what)
            else:
                check(re.search(want, text, re.MULTILINE if want.startswith('^') and '\\n' not in want else 0),
                      '%s has no %r: %r' % (what, want, text))
    return test


def bare(tool):
    import subprocess
    from harness import Done
    done = subprocess.run([tool.program], capture_output=True, timeout=10, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


def device(text, status, err):
    def test(tool):
        done = tool.run('id-ctrl', text, status=status)
        same(done.out, '', 'standard output')
        check(re.search(err, done.err), done.err)
    return test


def valid_json(name, args, keys):
    def test(tool):
        value = tool.run(name, *args, '-o', 'json').json()
        for key in keys:
            check(key in value, 'no key %s' % key)
    return test


def help_of(name):
    def test(tool):
        done = tool.run(name, '--help')
        same(done.out, tool.run(name, '-h').out, 'the help by its short name')
        check(done.out.startswith('Usage: nvio %s' % name), done.out)
        same(done.err, '', 'standard error')
        with open(tool.man, encoding='utf-8') as f:
            man = f.read()
        check(re.search(r'\.It Cm %s\b' % re.escape(name), man), 'the manual page has no %s' % name)
        options = re.findall(r'^ +(?:-\w,|) +--([\w-]+)', done.out, re.MULTILINE)
        check(len(options) >= 2, 'no options in the help')
        for option in options:
            # cdw11 to cdw14 stand in the page as a range
            check(re.search(r'-%s\b' % option, man) or option.startswith('cdw1'), 'the manual page has no --%s' % option)
    return test


def list_json_is_like_nvme_clis(tool):
    devices = tool.run('list', 'loop:ram:1M?serial=ABC&model=M&bs=4096', '-o', 'json').json()['Devices']
    same(len(devices), 1)
    one = devices[0]
    same((one['NameSpace'], one['SerialNumber'], one['ModelNumber'], one['SectorSize'], one['PhysicalSize'], one['MaximumLBA']),
         (1, 'ABC', 'M', 4096, 1 << 20, 256))


def json_and_text_tell_the_same(tool):
    value = tool.run('id-ctrl', RAM, '-o', 'json').json()
    text = dict(re.findall(r'^(\w+) *: (.*)$', tool.run('id-ctrl', RAM).out, re.MULTILINE))
    for key in value:
        if key == 'psds':
            continue
        want = value[key] if isinstance(value[key], str) else int(text[key], 0)
        same(want, value[key], key)
        if isinstance(value[key], str):
            same(text[key], value[key], key)


def an_empty_error_log_has_its_entries(tool):
    errors = tool.run('error-log', RAM, '-e', '2', '-o', 'json').json()['errors']
    same([e['error_count'] for e in errors], [0, 0])
    same(sorted(errors[0]), sorted(['error_count', 'sqid', 'cmdid', 'status_field', 'phase_tag', 'parm_error_location', 'lba',
                                    'nsid', 'vs', 'trtype', 'cs', 'trtype_spec_info']))


def odd_text_in_a_device_is_still_json(tool):
    for name, shown in (('a"b', 'a"b'), ('back\\slash', 'back\\slash'), ('\u00fc', '\u00fc'), ('\udcff\udcfe', '??')):
        done = tool.run('perf', 'loop:%s.img?size=1M' % name, '--ios', '1', '-o', 'json')
        same(done.json()['device'], 'loop:%s.img?size=1M' % shown)


def passthrough_data_goes_both_ways(tool):
    raw = tool.run('admin-passthru', RAM, '-O', '6', '--cdw10', '1', '-r', '-l', '4096', '-b').raw
    same(len(raw), 4096)
    same(raw[24:64].decode().rstrip(), 'nvio software drive')
    data = tool.run('admin-passthru', RAM, '-O', '6', '--cdw10', '1', '-r', '-l', '4096', '-o', 'json').json()['data']
    same(bytes.fromhex(data), raw)
    # Host Identifier, 16 bytes: only the whole of it is taken.
    done = tool.run('admin-passthru', RAM, '-O', '9', '--cdw10', '0x81', '--cdw11', '1', '-w', '-l', '16', stdin=bytes(range(16)))
    check('success' in done.out)


def dsm_json_tells_every_range(tool):
    same(tool.run('dsm', RAM, '--ad', '-s', '0,100', '-b', '8,9', '-o', 'json').json(),
         {'ranges': [{'start_block': 0, 'blocks': 8}, {'start_block': 100, 'blocks': 9}], 'blocks': 17})


def lost_output_is_a_failure(tool):
    with open('/dev/full', 'wb') as full:
        done = tool.run('id-ctrl', RAM, status=1, stdout=full)
    check('No space left' in done.err, done.err)


TESTS = [(name, line(args, status, out, err)) for name, args, status, out, err in LINES]
TESTS += [('a device that ' + name, device(text, status, err)) for name, text, status, err in DEVICES]
TESTS += [('JSON of ' + name, valid_json(name, *JSON[name])) for name in JSON]
TESTS += [('help and manual page of ' + name, help_of(name)) for name in SUBCOMMANDS]
TESTS += [(f.__name__.replace('_', ' '), f) for f in (
    list_json_is_like_nvme_clis, json_and_text_tell_the_same, an_empty_error_log_has_its_entries,
    odd_text_in_a_device_is_still_json, passthrough_data_goes_both_ways, dsm_json_tells_every_range, lost_output_is_a_failure)]
