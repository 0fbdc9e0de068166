# SPDX-License-Identifier: BSD-3-Clause
"""Initramfs archives. Everything in them belongs to root, whoever runs this; the kernel unpacks several that follow one another."""
import glob
import hashlib
import lzma
import os
import re
import shutil
import stat
import subprocess
import tempfile

from lane import cache

# What guests load by name; a case adds its own with "modules:".
MODULES = ('nvme', 'vfio-pci', 'vfio_iommu_type1', 'uio_pci_generic', 'ext4', 'crc32c_generic', 'crc32c-intel')
LIBRARIES = '/usr/lib/x86_64-linux-gnu'


class Archive:
    """A cpio archive of the "newc" kind, in memory until written."""

    def __init__(self):
        self.parts, self.names = [], set()

    def entry(self, name, mode, data=b'', rdev=(0, 0)):
        """Adds one entry and, before it, the folders on its way; a second one of a name is left out."""
        name = name.strip('/')
        if name in self.names:
            return
        parent = os.path.dirname(name)
        if parent:
            self.entry(parent, stat.S_IFDIR | 0o755)
        self.names.add(name)
        raw = name.encode() + b'\0'
        fields = (len(self.names), mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1], len(raw), 0)
        head = b'070701' + b''.join(b'%08x' % n for n in fields) + raw
        self.parts += [head, bytes(-len(head) % 4), data, bytes(-len(data) % 4)]

    def link(self, name, target):
        self.entry(name, stat.S_IFLNK | 0o777, target.encode())

    def text(self, name, text, mode=0o644):
        self.entry(name, stat.S_IFREG | mode, text.encode())

    def file(self, name, path):
        with open(path, 'rb') as f:
            self.entry(name, stat.S_IFREG | (0o755 if os.access(path, os.X_OK) else 0o644), f.read())

    def program(self, name, path):
        """An executable with the libraries it asks for, where Debian's loader looks for them."""
        self.file(name, path)
        for library in libraries(path):
            base = os.path.basename(library)
            if base.startswith('ld-linux'):
                self.file('/lib64/' + base, library)
            else:
                self.file(os.path.join(LIBRARIES, base), library)

    def write(self, path):
        self.entry('TRAILER!!!', 0)
        with open(path, 'wb') as f:
            f.write(b''.join(self.parts))
            f.write(bytes(-f.tell() % 512))


def libraries(path):
    result = subprocess.run(['ldd', path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    found = re.findall(r'(/\S+) \(0x', result.stdout)
    # glibc loads this one by name when a thread is cancelled or ends early.
    return found + glob.glob('/lib/x86_64-linux-gnu/libgcc_s.so.1') if found else found


def closure(kernel, names):
    """The modules and all they need, in the order in which they load. One that is not there, or is built in, is no error."""
    release, paths = os.path.basename(kernel), []
    for name in names:
        shown = subprocess.run([cache.tool('modprobe'), '-d', kernel, '-S', release, '--show-depends', name], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True, check=False).stdout
        paths += [p for p in re.findall(r'^insmod (\S+)', shown, re.M) if p not in paths]
    return paths


def add_modules(archive, kernel, names):
    """The modules, unpacked, with an index of their own: the one of all of them is for packed ones, and larger than what is in it here."""
    release = os.path.basename(kernel)
    root = '/lib/modules/' + release
    with tempfile.TemporaryDirectory(dir=cache.directory()) as folder:
        os.makedirs(folder + root)  # also for a kernel that has all of it built in
        for path in closure(kernel, names):
            place = folder + root + path.split(root, 1)[1]
            os.makedirs(os.path.dirname(place), exist_ok=True)
            if place.endswith('.xz'):
                with lzma.open(path) as packed, open(place[:-3], 'wb') as f:
                    shutil.copyfileobj(packed, f)
            else:
                shutil.copyfile(path, place)
        for index in ('modules.builtin', 'modules.builtin.modinfo', 'modules.order'):
            shutil.copyfile(kernel + root + '/' + index, folder + root + '/' + index)
        subprocess.run([cache.tool('depmod'), '-b', folder, release], check=True)
        for where, _, files in os.walk(folder + root):
            for name in sorted(files):
                path = os.path.join(where, name)
                archive.file(path[len(folder):], path)


def base(kernel, extra_modules, guest):
    """The part that all cases on a kernel share, from the cache: shell, modprobe, modules, /init. `guest` is the folder of init."""
    names = sorted(set(MODULES) | set(extra_modules))
    sources = sorted(glob.glob(os.path.join(guest, '*')))
    busybox, kmod = cache.tool('busybox'), cache.tool('kmod')
    recipe = [os.path.basename(kernel), ' '.join(names)]
    for path in sources + [busybox, kmod, __file__]:
        with open(path, 'rb') as f:
            recipe.append(os.path.basename(path) + ' ' + hashlib.sha256(f.read()).hexdigest())

    def make(path):
        if libraries(busybox):
            raise cache.Unavailable('%s is not static: install busybox-static (tools/deps --all)' % busybox)
        archive = Archive()
        for folder in ('proc', 'sys', 'tmp', 'mnt', 'run', 'root', 'job'):
            archive.entry(folder, stat.S_IFDIR | 0o755)
        archive.entry('dev/console', stat.S_IFCHR | 0o600, rdev=(5, 1))
        archive.entry('dev/null', stat.S_IFCHR | 0o666, rdev=(1, 3))
        archive.file('bin/busybox', busybox)
        archive.program('sbin/kmod', kmod)
        for applet in ('modprobe', 'insmod', 'rmmod', 'lsmod', 'depmod'):
            archive.link('sbin/' + applet, '/sbin/kmod')
        archive.link('bin/sh', 'busybox')
        for source in sources:
            archive.file(('/' if source.endswith('/init') else '/lib/vm/') + os.path.basename(source), source)
        archive.text('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/tmp:/bin/sh\n')
        archive.text('etc/group', 'root:x:0:\nuser:x:1000:\n')
        add_modules(archive, kernel, names)
        archive.write(path)

    return cache.made('base-' + os.path.basename(kernel), '\n'.join(recipe), make)


def job(path, script, programs, environment):
    """What one case adds: its script as /job/case.sh, its programs in /job/bin (so named as in the build), what they read from /job/env."""
    archive = Archive()
    archive.text('job/case.sh', script)
    archive.text('job/env', ''.join("export %s='%s'\n" % item for item in environment.items()))
    for program in programs:
        archive.program('job/bin/' + os.path.basename(program), program)
    archive.write(path)
