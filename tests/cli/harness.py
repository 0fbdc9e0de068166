# SPDX-License-Identifier: BSD-3-Clause
"""Tests of the tool: runs it as a user would, in a folder of its own, and prints TAP. A test is a function, named by the
behaviour it holds; it fails by an exception and skips with Skip(reason)."""
import json
import os
import subprocess
import sys
import tempfile
import traceback

TIMEOUT_S = 60
KIB, MIB = 1 << 10, 1 << 20


class Skip(Exception):
    pass


class Done:
    """How a command ended."""

    def __init__(self, status, out, err):
        self.status, self.raw, self.err = status, out, err.decode(errors='replace')
        self.out = out.decode(errors='replace')

    def json(self):
        return json.loads(self.out)


class Tool:
    def __init__(self, program, man, fast):
        self.program, self.man, self.fast = program, man, fast

    def run(self, *args, status=0, stdin=b'', stdout=subprocess.PIPE):
        """Runs it with the arguments, which must end with this status. Any status but 0 comes with a message, of one line
        unless it is about the usage, that begins with the tool's name."""
        done = subprocess.run([self.program, *map(str, args)], input=stdin, stdout=stdout, stderr=subprocess.PIPE,
                              timeout=TIMEOUT_S, check=False)
        result = Done(done.returncode, done.stdout or b'', done.stderr)
        what = 'nvio %s' % ' '.join(map(str, args))
        check(result.status == status, '%s: status %d, not %d: %s' % (what, result.status, status, result.err))
        if status:
            check(result.err.startswith('nvio: '), '%s: no message: %r' % (what, result.err))
        return result


def check(truth, words='not so'):
    if not truth:
        raise AssertionError(words)


def same(got, want, what='value'):
    if got != want:
        shorten = lambda v: repr(v)[:200]
        raise AssertionError('%s: got %s, not %s' % (what, shorten(got), shorten(want)))


def noise(size, seed=1):
    """Bytes that repeat nowhere near a block, and are the same each time."""
    import random
    return random.Random(seed).randbytes(size)


def put(path, data):
    with open(path, 'wb') as f:
        f.write(data)
    return path


def get(path):
    with open(path, 'rb') as f:
        return f.read()


def main(tests, argv):
    """tests: (name, function of the tool) pairs. argv: PROGRAM MAN_PAGE fast|slow."""
    tool = Tool(os.path.abspath(argv[0]), os.path.abspath(argv[1]), argv[2] == 'fast')
    print('1..%d' % len(tests))
    failed = 0
    for number, (name, function) in enumerate(tests, 1):
        with tempfile.TemporaryDirectory(prefix='nvio-cli-') as folder:
            os.chdir(folder)
            try:
                function(tool)
                print('ok %d - %s' % (number, name))
            except Skip as skip:
                print('ok %d - %s # SKIP %s' % (number, name, skip))
            except Exception:  # any way to fail is a failure of this test alone
                failed += 1
                print('not ok %d - %s' % (number, name))
                for line in traceback.format_exc().splitlines():
                    print('# ' + line)
            os.chdir('/')
        sys.stdout.flush()
    return 1 if failed else 0
