# SPDX-License-Identifier: BSD-3-Clause
"""Instructions per I/O, from callgrind, by function.

A program is run twice with different numbers of I/Os; the difference is what the I/Os cost, and set-up falls out of it. A function
counts with all that the compiler inlined into it, and belongs to whom its file says: a read over a software drive on one thread is
driver, drive and benchmark loop in one program, and the driver's share is what its files have.
"""
import collections
import os
import re
import shutil
import subprocess
import tempfile

FEWER, MORE = 4096, 24576  # I/Os of the two runs; multiples of every depth

# The parts of a count, by the path of the file that a function is in; first match wins.
PARTS = [
    ('driver', re.compile(r'/src/(host|mem|base)/')),  # what base and mem are called for is the caller's cost
    ('drive', re.compile(r'/src/(target|loop)/')),
    ('bdev', re.compile(r'/src/(bdev|thread|env|spec)/')),
    ('benchmark', re.compile(r'/bench/')),
    ('libnvio', re.compile(r'libnvio')),  # jumps between its functions, which have no file
    ('libc', re.compile(r'')),
]

Function = collections.namedtuple('Function', 'object file name')


class CountError(Exception):
    """The count cannot be had here; the words say why."""


def missing():
    """Why nothing can be counted on this machine, or None."""
    return None if shutil.which('valgrind') else 'valgrind is not installed (apt-get install valgrind)'


def parse(lines):
    """A callgrind profile (without compressed names) -> {Function: instructions of its own}."""
    costs = collections.Counter()
    obj = file = name = '???'
    names = {}
    skip = False

    def full(kind, text):
        """Names are written in full once, as "(12) name", and as "(12)" from then on."""
        match = re.match(r'\((\d+)\)(?: (.*))?$', text)
        if not match:
            return text
        number, words = match.groups()
        if words is not None:
            names[kind, number] = words
        return names.get((kind, number), '???')

    for line in lines:
        key, equals, value = line.rstrip('\n').partition('=')
        if equals and key in ('ob', 'cob'):
            words = full('ob', value)
            obj = words if key == 'ob' else obj
        elif equals and key in ('fl', 'fi', 'fe', 'cfi', 'cfl'):
            words = full('fl', value)
            file = words if key == 'fl' else file  # fi and fe: code inlined from elsewhere; it stays its function's
        elif equals and key in ('fn', 'cfn'):
            words = full('fn', value)
            name = words if key == 'fn' else name
        elif equals and key == 'calls':
            skip = True  # the next line is the callee's cost
        elif line[:1].isdigit() or line[:1] in '+-*':
            if not skip:
                costs[Function(obj, file, name)] += int(line.split()[1])
            skip = False
    return costs


def profile(program, arguments):
    """Runs a program under callgrind -> {Function: instructions}."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, 'callgrind.out')
        command = ['valgrind', '--tool=callgrind', '--callgrind-out-file=' + out, program] + arguments
        done = subprocess.run(command, capture_output=True, text=True, timeout=110)
        if done.returncode:
            words = [l for l in done.stderr.splitlines() if 'bench:' in l or 'ERROR' in l or 'unhandled' in l]
            words = words[:2] or done.stderr.splitlines()[-3:] or ['status %d' % done.returncode]
            raise CountError('%s %s: %s' % (os.path.basename(program), ' '.join(arguments), '; '.join(words)))
        with open(out, encoding='utf-8', errors='replace') as f:
            return parse(f)


def per_io(program, load, depth):
    """-> {Function: instructions per I/O}, those that matter."""
    few = profile(program, [load, str(depth), str(FEWER)])
    many = profile(program, [load, str(depth), str(MORE)])
    found = {f: (many[f] - few[f]) / (MORE - FEWER) for f in many}
    return {f: n for f, n in found.items() if n >= 0.05}


def part_of(function):
    where = function.file if function.file != '???' else function.object
    return next(part for part, pattern in PARTS if pattern.search(where))


def by_part(found):
    parts = collections.Counter()
    for function, count in found.items():
        parts[part_of(function)] += count
    return parts


def floor_parts(found):
    """The floor's host side (to submit and to reap) and its device side."""
    sums = collections.Counter()
    for function, count in found.items():
        sums[function.name.split("'")[0]] += count
    return sums['floor_submit'], sums['floor_reap'], sums['floor_device']


def list_functions(found, least=1.0):
    """Lines of text: who costs what, the dearest first."""
    for function, count in sorted(found.items(), key=lambda item: -item[1]):
        if count >= least:
            path = function.file if function.file != '???' else os.path.basename(function.object)
            yield '%8.1f  %-9s %s  %s' % (count, part_of(function), function.name, re.sub(r'^.*/(src|bench)/', r'\1/', path))
