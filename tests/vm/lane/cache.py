# SPDX-License-Identifier: BSD-3-Clause
"""Kernels for guests, out of Debian's packages, kept between runs: an ELF vmlinux (PVH boots it two seconds faster than the bzImage)
and a module tree with its modules.dep. A directory is filled under another name and then renamed, so it is whole or not there."""
import contextlib
import fcntl
import glob
import hashlib
import lzma
import os
import re
import shutil
import struct
import subprocess
import tempfile
import zlib

SERIES = ('6.1', '6.12')


class Unavailable(Exception):
    """This machine cannot have it: cases that need it are skipped, with this as the reason."""


def directory():
    explicit = os.environ.get('NVIO_VM_CACHE')
    if explicit:
        return explicit
    base = os.environ.get('XDG_CACHE_HOME') or os.path.join(os.path.expanduser('~'), '.cache')
    try:
        os.makedirs(base, exist_ok=True)
    except OSError:
        pass
    if os.access(base, os.W_OK):
        return os.path.join(base, 'nvio-vm')
    return os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))), 'build-vm-cache')


@contextlib.contextmanager
def locked():
    """One process at a time makes things in the cache; the kernel drops the lock of one that dies."""
    os.makedirs(directory(), exist_ok=True)
    with open(os.path.join(directory(), 'lock'), 'w', encoding='utf-8') as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def tool(name):
    """Administrators' tools are not in everybody's PATH."""
    path = shutil.which(name) or shutil.which(name, path='/usr/sbin:/sbin')
    if not path:
        raise Unavailable('%s is not installed (tools/deps --all)' % name)
    return path


def output(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def release_key(release):
    return [int(n) for n in re.findall(r'\d+', release)]


def candidates(series):
    """Releases that apt knows, newest first: versions come and go from the archive, so none is named here."""
    try:
        names = output('apt-cache', 'search', '--names-only', r'^linux-image-%s\.' % re.escape(series))
    except (OSError, subprocess.CalledProcessError):
        return []
    pattern = re.compile(r'^linux-image-(%s\.\d+(?:[-+][a-z0-9]+)?-amd64) ' % re.escape(series), re.M)
    return sorted(set(pattern.findall(names)), key=release_key, reverse=True)


def download_package(package, folder):
    result = subprocess.run(['apt-get', 'download', package], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            check=False)
    debs = glob.glob(os.path.join(folder, package + '_*.deb'))
    if result.returncode or not debs:
        raise Unavailable('apt-get download %s: %s' % (package, ' '.join(result.stdout.split())[-160:]))
    return debs[0]


def extract_vmlinux(path):
    """The ELF image inside a bzImage; where it is, the boot protocol tells (Documentation/arch/x86/boot.rst)."""
    with open(path, 'rb') as f:
        image = f.read()
    offset, length = struct.unpack_from('<II', image, 0x248)
    start = (image[0x1f1] + 1) * 512 + offset
    payload = image[start:start + length]
    if payload.startswith(b'\xfd7zXZ\0'):
        elf = lzma.LZMADecompressor().decompress(payload)
    elif payload.startswith(b'\x1f\x8b'):
        elf = zlib.decompressobj(31).decompress(payload)
    elif payload.startswith(b'\x28\xb5\x2f\xfd'):
        # The last four bytes are the size of the result, which zstd takes for the head of another frame.
        elf = subprocess.run([tool('zstd'), '-dc'], input=payload[:-4], stdout=subprocess.PIPE, check=True).stdout
    else:
        raise Unavailable('%s is compressed in a way that is not known here (%s)' % (path, payload[:4].hex()))
    if not elf.startswith(b'\x7fELF'):
        raise Unavailable('%s holds no ELF image' % path)
    return elf


def whole(folder):
    try:
        release = os.path.basename(folder)
        return os.path.getsize(os.path.join(folder, 'vmlinux')) > 1 << 20 and \
            os.path.getsize(os.path.join(folder, 'lib', 'modules', release, 'modules.dep')) > 1 << 10
    except OSError:
        return False


def install(release, say):
    """Fetches one kernel and puts it at its place."""
    say('fetching linux-image-%s' % release)
    with tempfile.TemporaryDirectory(prefix='making.', dir=directory()) as folder:
        deb = download_package('linux-image-' + release, folder)
        root = os.path.join(folder, release)
        subprocess.run([tool('dpkg'), '-x', deb, root], check=True)
        elf = extract_vmlinux(os.path.join(root, 'boot', 'vmlinuz-' + release))
        shutil.rmtree(os.path.join(root, 'boot'))
        shutil.rmtree(os.path.join(root, 'usr'), ignore_errors=True)
        # The package has no modules.dep: its scripts, which do not run here, would make it.
        subprocess.run([tool('depmod'), '-b', root, release], check=True)
        with open(os.path.join(root, 'vmlinux'), 'wb') as f:
            f.write(elf)
        place = os.path.join(directory(), 'kernels', release)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        shutil.rmtree(place, ignore_errors=True)
        os.rename(root, place)
    return place


def present(series):
    """What is in the cache of a series, newest first."""
    folders = glob.glob(os.path.join(directory(), 'kernels', series + '.*'))
    return sorted((f for f in folders if whole(f)), key=lambda f: release_key(os.path.basename(f)), reverse=True)


def kernel(series, say, refresh=False):
    """The folder of a kernel of the series: one of the cache, unless the newest is asked for; Unavailable."""
    with locked():
        have = present(series)
        if have and not refresh:
            return have[0]
        known = candidates(series)
        if not known and os.geteuid() == 0:
            say('apt-get update, as no kernel %s is known' % series)
            subprocess.run(['apt-get', 'update'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
            known = candidates(series)
        problem = 'apt-cache knows no linux-image-%s.*-amd64 (Debian 12 with its security archive has one)' % series
        for release in known[:3]:
            place = os.path.join(directory(), 'kernels', release)
            if place in have:
                return place
            try:
                return install(release, say)
            except (Unavailable, OSError, lzma.LZMAError, zlib.error, subprocess.CalledProcessError) as error:
                problem = str(error)
        if have:
            return have[0]
        raise Unavailable('no kernel %s: %s' % (series, problem))


def made(name, recipe, make):
    """The file `name` of the cache, made by make(path) unless it was made from the same recipe (any text)."""
    digest = hashlib.sha256(recipe.encode()).hexdigest()[:16]
    folder = os.path.join(directory(), 'initramfs')
    path = os.path.join(folder, '%s-%s.cpio' % (name, digest))
    with locked():
        if os.path.exists(path):
            os.utime(path)
            return path
        os.makedirs(folder, exist_ok=True)
        # Each change of a recipe leaves an old one behind; another run may still boot from the last few.
        old = sorted(glob.glob(os.path.join(folder, name + '-*.cpio')), key=os.path.getmtime, reverse=True)
        for stale in old[3:]:
            os.unlink(stale)
        make(path + '.new')
        os.rename(path + '.new', path)
    return path
