# SPDX-License-Identifier: BSD-3-Clause
"""A folder that looks like a Linux system with NVMe drives, and the part of the kernel that answers: writes to bind, unbind and
drivers_probe go into pipes, and threads behind them move drives from driver to driver."""
import os
import shutil
import stat
import threading
import time

from harness import Skip, check, get, put

BDF, OTHER = '0000:01:00.0', '0000:02:00.0'
HEADER = '# Written by nvio setup'  # of every file of ours
MODPROBE = """#!/bin/sh
# as kmod is called: -d ROOT [-r] MODULE
root=$2; shift 2
[ "$1" = -r ] && { echo "removed $2" >> "$root/modprobe.log"; rm -rf "$root/sys/module/$(echo $2 | tr - _)"; exit 0; }
echo "loaded $1" >> "$root/modprobe.log"
[ -d "$root/kernel/$1" ] || exit 1
mkdir -p "$root/sys/module/$(echo $1 | tr - _)"
mv "$root/kernel/$1" "$root/sys/bus/pci/drivers/$1"
"""


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return put(path, text.encode())


class System:
    """Use as a context; `root` is the folder."""

    def __init__(self, root='root', iommu=True):
        self.root, self.iommu, self.refuses, self.drives, self.running = os.path.abspath(root), iommu, set(), {}, True
        self.heard = None  # the last write that a pipe has got
        self.pipes, self.threads, self.lock = [], [], threading.Lock()
        self.own = self.root + '.pipes'
        os.makedirs(self.own)
        for folder in ('sys/bus/pci/devices', 'sys/bus/pci/drivers', 'sys/class/block', 'sys/class/nvme', 'sys/module', 'dev', 'proc/self', 'proc/1',
                       'etc', 'sbin', 'kernel', 'run', 'var/lib', 'sys/class/nvme-generic'):
            os.makedirs(self.path(folder))
        write(self.path('sbin/modprobe'), MODPROBE)
        os.chmod(self.path('sbin/modprobe'), 0o755)
        write(self.path('etc/passwd'), 'root:x:0:0::/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\nann:x:1001:1001::/:/bin/sh\n')
        write(self.path('etc/group'), 'root:x:0:\ndisks:x:77:bob\n')
        write(self.path('proc/self/mountinfo'), '20 1 8:1 / / rw - ext4 /dev/sda1 rw\n')
        write(self.path('proc/swaps'), 'Filename\tType\tSize\tUsed\tPriority\n')
        self.driver('nvme', 'sys/bus/pci/drivers')
        os.makedirs(self.path('sys/module/nvme'))
        self.driver('vfio-pci', 'kernel')
        self.driver('uio_pci_generic', 'kernel')
        self.pipe(self.path('sys/bus/pci'), 'drivers_probe', self.probe)

    def path(self, *parts):
        return os.path.join(self.root, *(part.lstrip('/') for part in parts))

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.running = False
        for thread, pipe in zip(self.threads, self.pipes):
            while thread.is_alive():
                try:
                    os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
                except OSError:
                    pass  # it is not waiting just now
                thread.join(0.01)

    # ---- what the kernel does ----

    def pipe(self, folder, name, answer):
        # By another name, too, which stays when a test or the loading of a driver takes the folder away.
        own = os.path.join(self.own, str(len(self.pipes)))
        os.mkfifo(own)
        os.link(own, os.path.join(folder, name))

        def serve():
            while self.running:
                with open(own, encoding='utf-8') as f:
                    text = f.read().strip()
                self.heard = text or self.heard
                with self.lock:
                    if text in self.drives:
                        answer(text)
        self.pipes.append(own)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        self.threads.append(thread)

    def driver(self, name, folder):
        os.makedirs(self.path(folder, name))
        self.pipe(self.path(folder, name), 'unbind', self.unbind)
        self.pipe(self.path(folder, name), 'bind', lambda bdf: self.take(bdf, name))

    def owner(self, bdf):
        try:
            return os.path.basename(os.readlink(self.path('sys/bus/pci/devices', bdf, 'driver')))
        except FileNotFoundError:
            return ''

    def override(self, bdf):
        return get(self.path('sys/bus/pci/devices', bdf, 'driver_override')).decode().strip()

    def probe(self, bdf):
        override = self.override(bdf)
        self.take(bdf, override if override not in ('', '(null)') else self.drives[bdf]['default'])

    def take(self, bdf, driver):
        drive = self.drives[bdf]
        if self.owner(bdf) or driver in self.refuses or not os.path.isdir(self.path('sys/bus/pci/drivers', driver)):
            return
        if self.override(bdf) not in ('', '(null)', driver):
            return
        if driver == 'nvme':
            self.show(bdf)
        elif driver == 'vfio-pci' and self.iommu:
            write(self.path('dev/vfio', str(drive['group'])), '')
            write(self.path('dev/vfio/vfio'), '')
            os.chmod(self.path('dev/vfio/vfio'), 0o666)
            os.chmod(self.path('dev/vfio', str(drive['group'])), 0o600)
        os.symlink('../../drivers/' + driver, self.path('sys/bus/pci/devices', bdf, 'driver'))

    def unbind(self, bdf):
        drive = self.drives[bdf]
        shutil.rmtree(self.path('sys/bus/pci/devices', bdf, 'nvme'), ignore_errors=True)
        for name in drive['shown']:
            for folder in ('sys/class/block', 'sys/class/nvme', 'sys/class/nvme-generic'):
                shutil.rmtree(self.path(folder, name), ignore_errors=True)
            if os.path.exists(self.path('dev', name)):
                os.unlink(self.path('dev', name))
        drive['shown'] = []
        if self.owner(bdf) == 'vfio-pci' and os.path.exists(self.path('dev/vfio', str(drive['group']))):
            os.unlink(self.path('dev/vfio', str(drive['group'])))
        os.unlink(self.path('sys/bus/pci/devices', bdf, 'driver'))

    # ---- what there is ----

    def function(self, bdf, group=12, class_code='0x010802', driver='nvme', **more):
        folder = self.path('sys/bus/pci/devices', bdf)
        for name, text in (('class', class_code), ('vendor', '0x1b36'), ('device', '0x0010'), ('subsystem_vendor', '0x1af4'),
                           ('subsystem_device', '0x1100'), ('driver_override', '(null)'), ('numa_node', '0')):
            write(os.path.join(folder, name), text + '\n')
        if self.iommu and group is not None:
            members = self.path('sys/kernel/iommu_groups', str(group), 'devices')
            os.makedirs(members, exist_ok=True)
            os.symlink('../../../../bus/pci/devices/' + bdf, os.path.join(members, bdf))
            os.symlink('../../../../kernel/iommu_groups/%d' % group, os.path.join(folder, 'iommu_group'))
        self.drives[bdf] = {'group': group, 'default': driver, 'shown': [], **more}
        if driver:
            if not os.path.isdir(self.path('sys/bus/pci/drivers', driver)):
                self.driver(driver, 'sys/bus/pci/drivers')
            self.take(bdf, driver)

    def drive(self, bdf='0000:01:00.0', number=0, partitions=2, multipath=False, **more):
        """A drive that the kernel has as nvme<number>, with one namespace."""
        self.function(bdf, number=number, partitions=partitions, multipath=multipath, **more)
        return bdf

    def block(self, drive, name, dev, sectors, parent=None):
        folder = self.path('sys/class/block', name)
        for file, text in (('dev', dev), ('size', str(sectors)), ('nsid', '1'), ('queue/logical_block_size', '512')):
            write(os.path.join(folder, file), text + '\n')
        os.makedirs(os.path.join(folder, 'holders'))
        if parent:
            write(self.path('sys/class/block', parent, name, 'partition'), '1\n')
        write(self.path('dev', name), '')
        drive['shown'].append(name)

    def show(self, bdf):
        drive = self.drives[bdf]
        n = drive['number']
        controller, ns = 'nvme%d' % n, 'nvme%dn1' % n
        shown = 'nvme%dc0n1' % n if drive['multipath'] else ns
        os.makedirs(self.path('sys/bus/pci/devices', bdf, 'nvme', controller, shown))
        for file, text in (('model', 'Fast \x1b[31mDrive'), ('serial', 'foo'), ('firmware_rev', '1.0'), ('state', 'live'),
                           ('dev', '241:%d' % n)):
            write(self.path('sys/class/nvme', controller, file), text + '\n')
        write(self.path('sys/class/nvme-generic/ng%dn1' % n, 'dev'), '242:%d\n' % n)
        drive['shown'] += [controller, 'ng%dn1' % n]
        self.block(drive, ns, '259:%d' % (n * 10), 2097152)
        for p in range(1, drive['partitions'] + 1):
            self.block(drive, '%sp%d' % (ns, p), '259:%d' % (n * 10 + p), 1048576, ns)

    # ---- what is on it ----

    def mount(self, line, pid='self'):
        path = self.path('proc', pid, 'mountinfo')
        write(path, (get(path).decode() if os.path.exists(path) else '') + line + '\n')

    def process(self, pid, name, target):
        os.makedirs(self.path('proc', str(pid), 'fd'), exist_ok=True)
        os.symlink(target, self.path('proc', str(pid), 'fd/3'))
        write(self.path('proc', str(pid), 'comm'), name + '\n')

    def files(self, *skip):
        """All there is, by path, to see what has changed: a link by where it leads, a file by mode, owner and content."""
        found = {}
        for folder, folders, names in os.walk(self.root):
            for name in names + [f for f in folders if os.path.islink(os.path.join(folder, f))]:
                path = os.path.join(folder, name)
                short = os.path.relpath(path, self.root)
                if short.startswith(skip):
                    continue
                st = os.lstat(path)
                if stat.S_ISLNK(st.st_mode):
                    found[short] = os.readlink(path)
                elif stat.S_ISREG(st.st_mode):
                    found[short] = (stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid, get(path))
        return found


def needs_root():
    if os.geteuid():
        raise Skip('only root can give files away')


def setup(tool, system, *args, **how):
    return tool.run('setup', *args, '--root', system.root, **how)


def drives(tool, system):
    return {d['address']: d for d in setup(tool, system, 'status', '-o', 'json').json()['drives']}


def owner_of(path):
    st = os.stat(path)
    return st.st_uid, st.st_gid, st.st_mode & 0o7777


def mounted(system):
    system.mount('30 20 259:1 / /data rw - ext4 /dev/nvme0n1p1 rw')


def hugepages(system, size='2048kB', node=None):
    folder = 'sys/devices/system/node/node%d/hugepages' % node if node is not None else 'sys/kernel/mm/hugepages'
    return system.path(folder, 'hugepages-' + size, 'nr_hugepages')


def until(truth):
    deadline = time.monotonic() + 30
    while not truth():
        check(time.monotonic() < deadline, 'never so')
        time.sleep(0.005)


def tests_of(names, module):
    """Every function of the module that takes the tool alone."""
    return [(name.replace('_', ' '), f) for name, f in names.items()
            if callable(f) and getattr(f, '__module__', '') == module and f.__code__.co_varnames[:f.__code__.co_argcount] == ('tool',)]
