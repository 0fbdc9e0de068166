# SPDX-License-Identifier: BSD-3-Clause
"""The guest's kernel that Debian does not have: from its package linux-source-6.12, tinyconfig and tests/vm/kernel.config. It takes minutes,
so it is made only when asked for, and found in the cache after that. Another kernel.config is another kernel."""
import glob
import hashlib
import os
import shutil
import subprocess
import tempfile
import time

from lane import cache

SERIES = 'built'
PACKAGE = 'linux-source-6.12'
CONFIG = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'kernel.config')
JOBS = 2


def place():
    """The folder whose only entry is the kernel, named by its release, as those of Debian's are."""
    with open(CONFIG, 'rb') as f:
        digest = hashlib.sha256(f.read()).hexdigest()[:16]
    return os.path.join(cache.directory(), 'built-' + digest)


def kernel():
    """The folder of the kernel; Unavailable."""
    have = glob.glob(os.path.join(place(), '*'))
    if not have:
        raise cache.Unavailable('no kernel of ours in the cache; tests/vm/run --build-kernel makes one in about 10 minutes')
    return have[0]


def command(folder, log, *words):
    """Out of the way of whatever else the machine does; Unavailable with the end of its words."""
    with open(log, 'w+', encoding='utf-8', errors='replace') as out:
        rc = subprocess.run(('nice', '-n', '15') + words, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                            check=False).returncode
        out.seek(0)
        text = out.read()
    if rc:
        raise cache.Unavailable('%s:\n%s' % (' '.join(words), text[-2000:]))
    return text


def compile_in(folder, log, say):
    """Unpacks, configures and builds; the source folder, and the release."""
    package = cache.download_package(PACKAGE, folder)
    command(folder, log, cache.tool('dpkg'), '-x', package, 'package')
    os.unlink(package)
    say('unpacking')
    archive = glob.glob(os.path.join(folder, 'package', 'usr', 'src', PACKAGE + '.tar.*'))
    command(folder, log, 'tar', '-xf', archive[0])
    shutil.rmtree(os.path.join(folder, 'package'))
    source = os.path.join(folder, PACKAGE)
    make = ['make', '-j%d' % JOBS, 'CC=%s' % ('ccache gcc' if shutil.which('ccache') else 'gcc')]
    command(source, log, *make, 'tinyconfig')
    command(source, log, 'sh', 'scripts/kconfig/merge_config.sh', '-m', '.config', CONFIG)
    command(source, log, *make, 'olddefconfig')
    check_config(os.path.join(source, '.config'))
    say('building')
    command(source, log, *make, 'vmlinux')
    return source, command(source, log, 'make', '-s', 'kernelrelease').split()[-1]


def check_config(path):
    """An option that lacks another one, or has gone, is dropped without a word."""
    with open(path, encoding='utf-8') as f:
        have = set(f.read().splitlines())
    with open(CONFIG, encoding='utf-8') as f:
        lost = [line.strip() for line in f if line.startswith('CONFIG_') and line.strip() not in have]
    if lost:
        raise cache.Unavailable('tests/vm/kernel.config: not taken: ' + ' '.join(lost))


def build(say, again=False):
    """Makes the kernel and puts it at its place, unless it is there; Unavailable says what went wrong."""
    if glob.glob(os.path.join(place(), '*')) and not again:
        say('%s is there already' % place())
        return
    for name in ('make', 'gcc', 'flex', 'bison', 'bc', 'perl', 'xz'):
        if not shutil.which(name):
            raise cache.Unavailable('%s is not installed (tools/deps --vm-kernel)' % name)
    os.makedirs(cache.directory(), exist_ok=True)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix='making.', dir=cache.directory()) as folder:
        say('fetching ' + PACKAGE)
        source, release = compile_in(folder, os.path.join(folder, 'log'), say)
        root = os.path.join(folder, 'done', release)
        modules = os.path.join(root, 'lib', 'modules', release)
        os.makedirs(modules)
        for name in ('modules.builtin', 'modules.builtin.modinfo'):
            shutil.copyfile(os.path.join(source, name), os.path.join(modules, name))
        with open(os.path.join(modules, 'modules.order'), 'wb'):
            pass  # There are none, but depmod asks.
        command(folder, os.path.join(folder, 'log'), cache.tool('depmod'), '-b', root, release)
        shutil.copyfile(os.path.join(source, 'vmlinux'), os.path.join(root, 'vmlinux'))
        with cache.locked():
            for old in glob.glob(os.path.join(cache.directory(), 'built-*')):
                shutil.rmtree(old)
            os.rename(os.path.join(folder, 'done'), place())
    say('%s in %.0f s' % (kernel(), time.monotonic() - begin))
