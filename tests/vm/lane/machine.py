# SPDX-License-Identifier: BSD-3-Clause
"""One virtual machine: its command line, its process, QMP, and what a case's host part may ask of it."""
import json
import os
import re
import socket
import subprocess
import threading
import time

QEMU = 'qemu-system-x86_64'
# Without multipath a block device of the kernel's driver stands below its controller, where a case can find it.
APPEND = 'console=ttyS0,115200 quiet panic=-1 mitigations=off nokaslr tsc=reliable no_timer_check random.trust_cpu=on audit=0 ' \
    'cryptomgr.notests nvme_core.multipath=N'


class Failure(Exception):
    """The host part of a case found something wrong."""


def node(name, image, failures, iops):
    """-blockdev and -object arguments for an image file; the last node is called `name`."""
    args, bottom = [], 'driver=file,filename=%s,node-name=%s' % (image, name + '-file' if failures or iops else name)
    if failures:
        args += ['-blockdev', bottom]
        spec = 'driver=blkdebug,image=%s-file,node-name=%s' % (name, name + '-debug' if iops else name)
        for i, failure in enumerate(failures):
            kind, sector = re.match(r'(read|write|flush)(?:@(\d+))?$', failure).groups()
            prefix = ',inject-error.%d.' % i
            spec += prefix + 'event=none' + prefix + 'iotype=' + kind + prefix + 'errno=5'
            spec += prefix + 'sector=' + sector if sector else ''
        args += ['-blockdev', spec]
    elif iops:
        args += ['-blockdev', bottom]
    else:
        return ['-blockdev', bottom]
    if iops:
        args = ['-object', 'throttle-group,id=%s-group,x-iops-total=%s' % (name, iops)] + args
        below = name + ('-debug' if failures else '-file')
        args += ['-blockdev', 'driver=throttle,throttle-group=%s-group,file=%s,node-name=%s' % (name, below, name)]
    return args


def device(drive):
    """The properties of a drive for -device and for device_add."""
    props = {'driver': 'nvme', 'id': drive.name, 'serial': drive.serial}
    if drive.port:
        props['bus'] = drive.port
    else:
        props['addr'] = drive.addr
    if not drive.namespaces:
        props.update({'drive': drive.name + '-data', 'logical_block_size': str(drive.bs), 'physical_block_size': str(drive.bs)})
    if drive.vfs:
        # Queues and vectors that virtual functions can be given, and what the drive itself keeps.
        props.update({'subsys': drive.name + '-subsys', 'sriov_max_vfs': str(drive.vfs), 'sriov_vq_flexible': str(drive.vfs * 2),
                      'sriov_vi_flexible': str(drive.vfs * 2), 'max_ioqpairs': str(drive.vfs * 2 + 4),
                      'msix_qsize': str(drive.vfs * 2 + 5)})
    props.update(drive.extra)
    return props


def joined(props):
    return ','.join([props['driver']] + ['%s=%s' % item for item in props.items() if item[0] != 'driver'])


class Machine:
    """`vm` in a host part. `folder` has the logs; `images` the backing files, `image(name)` tells which."""

    def __init__(self, case, folder, images, build):
        self.case, self.folder, self.images, self.build = case, folder, images, build
        self.drives = {d.name: d for d in case.drives}
        self.process = None
        self.deadline = None
        self.problems = []
        self.lines, self.line_ready = [], threading.Condition()
        self.events, self.qmp, self.qmp_file = [], None, None

    # ---- preparing

    def image(self, name):
        """The backing file of a drive ("d0") or of one of several namespaces ("d0-2")."""
        return os.path.join(self.images, name + '.img')

    def make_images(self):
        os.makedirs(self.images, exist_ok=True)
        for drive in self.case.drives:
            for part in drive.namespaces or [drive]:
                with open(self.image(part.name), 'wb') as f:
                    f.truncate(part.size)

    def command(self, kernel, initrd, serial):
        case = self.case
        args = [QEMU, '-accel', 'tcg,thread=multi', '-M', 'q35,kernel-irqchip=split' if case.iommu else 'q35', '-cpu', 'max,-la57',
                '-smp', str(case.cpus), '-m', str(case.memory), '-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none',
                '-name', 'nvio-' + case.name, '-serial', serial, '-serial', 'file:' + os.path.join(self.folder, 'dmesg.log'),
                '-device', 'isa-debug-exit,iobase=0xf4,iosize=4', '-kernel', os.path.join(kernel, 'vmlinux'), '-initrd', initrd,
                '-trace', 'pci_nvme_ub*', '-trace', 'pci_nvme_err*', '-D', os.path.join(self.folder, 'trace.log')]
        if case.iommu:
            args += ['-device', 'intel-iommu,intremap=on']
        for i in range(case.hotplug):
            args += ['-device', 'pcie-root-port,id=rp%d,chassis=%d,slot=%d,addr=%x' % (i, i + 1, i + 1, 0x10 + i)]
        for event in case.traces:
            args += ['-trace', event]
        for drive in case.drives:
            args += self.drive_arguments(drive)
        append = '%s%s %s' % (APPEND, ' intel_iommu=on' if case.iommu else '', case.append)
        return args + ['-append', append.strip() + (' vm.shell' if serial == 'mon:stdio' else '')]

    def drive_arguments(self, drive):
        args = []
        for part in drive.namespaces or [drive]:
            args += node(part.name + '-data', self.image(part.name), part.fail, part.iops)
        if drive.vfs:
            args += ['-device', 'nvme-subsys,id=%s-subsys' % drive.name]
        if drive.later:
            return args
        args += ['-device', joined(device(drive))]
        for part in drive.namespaces:
            props = {'driver': 'nvme-ns', 'bus': drive.name, 'nsid': str(part.nsid), 'drive': part.name + '-data',
                     'logical_block_size': str(part.bs), 'physical_block_size': str(part.bs)}
            props.update(part.extra)
            args += ['-device', joined(props)]
        return args

    # ---- running

    def start(self, args):
        self.qmp, theirs = socket.socketpair()
        self.qmp.settimeout(30)
        monitor = ['-chardev', 'socket,id=qmp,fd=%d' % theirs.fileno(), '-mon', 'chardev=qmp,mode=control']
        # A machine does not outlive its runner, however that ends.
        with theirs, open(os.path.join(self.folder, 'qemu.log'), 'wb') as log:
            self.process = subprocess.Popen(['setpriv', '--pdeathsig', 'KILL'] + args + monitor, stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=log, pass_fds=[theirs.fileno()])
        threading.Thread(target=self.read_serial, daemon=True).start()

    def read_serial(self):
        """Every line of the console goes to serial.log at once, and to whoever waits for it."""
        with open(os.path.join(self.folder, 'serial.log'), 'wb', buffering=0) as log:
            for raw in self.process.stdout:
                log.write(raw)
                with self.line_ready:
                    self.lines.append(raw.decode(errors='replace').rstrip('\r\n'))
                    self.line_ready.notify_all()
        with self.line_ready:
            self.lines.append(None)
            self.line_ready.notify_all()

    def next_line(self, position):
        """The console's line of that number; None when there will be none."""
        with self.line_ready:
            while len(self.lines) <= position and time.monotonic() < self.deadline:
                self.line_ready.wait(0.2)
            return self.lines[position] if len(self.lines) > position else None

    def serve(self):
        """Answers the guest's `host WORDS...` by the case's on_WORD functions until the console ends, or the time is over."""
        position = 0
        while True:
            line = self.next_line(position)
            if line is None:
                return
            position += 1
            match = re.search(r'@host (\S+)(.*)', line)
            if match:
                self.answer(match.group(1), match.group(2).split())

    def answer(self, word, words):
        hook = getattr(self.case.hooks, 'on_' + word, None)
        try:
            if not hook:
                raise Failure('the case has no function on_%s' % word)
            text = 'ok %s' % (hook(self, *words) or '')
        except Exception as error:  # pylint: disable=broad-except # a case's own code: whatever it is, it fails the case
            text = 'error: %s' % error
            self.problems.append('host: %s: %s: %s' % (word, type(error).__name__, error))
        try:
            self.process.stdin.write(text.encode() + b'\n')
            self.process.stdin.flush()
        except OSError:
            pass

    def finish(self):
        """QEMU's status, and the seconds it was given when they were not enough."""
        timed_out = None
        try:
            self.process.wait(max(0.1, self.deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            timed_out = True
            self.process.kill()
            self.process.wait()
        self.qmp.close()
        return self.process.returncode, timed_out

    # ---- what host parts call

    def connect(self):
        self.qmp_file = self.qmp.makefile('r', encoding='utf-8')
        self.qmp_file.readline()
        self.command_qmp('qmp_capabilities')

    def log_qmp(self, direction, text):
        with open(os.path.join(self.folder, 'qmp.log'), 'a', encoding='utf-8') as f:
            f.write('%.3f %s %s\n' % (time.monotonic(), direction, text.strip()))

    def receive(self):
        line = self.qmp_file.readline()
        if not line:
            raise Failure('QEMU closed its monitor')
        self.log_qmp('<', line)
        message = json.loads(line)
        if 'event' in message:
            self.events.append(message)
        return message

    def command_qmp(self, name, **arguments):
        """One QMP command; its answer, or Failure."""
        if not self.qmp_file:
            self.connect()
        text = json.dumps({'execute': name, 'arguments': arguments})
        self.log_qmp('>', text)
        self.qmp.sendall(text.encode() + b'\n')
        while True:
            message = self.receive()
            if 'error' in message:
                raise Failure('%s: %s' % (name, message['error'].get('desc')))
            if 'return' in message:
                return message['return']

    def wait_event(self, name, within=None, **data):
        """The next event of that name whose data has these values; older ones count if nobody has waited for them. `within` so many
        seconds, it is None when there was none."""
        end = time.monotonic() + within if within else None
        while True:
            for event in self.events:
                if event['event'] == name and all(event.get('data', {}).get(k) == v for k, v in data.items()):
                    self.events.remove(event)
                    return event
            if end:
                if time.monotonic() > end:
                    return None
                time.sleep(0.1)
                self.command_qmp('query-status')  # events come with its answer
                continue
            self.receive()

    def trace(self, pattern):
        """How many lines of QEMU's trace match; the header's "trace:" says what is in it beside errors."""
        with open(os.path.join(self.folder, 'trace.log'), encoding='utf-8', errors='replace') as f:
            return sum(bool(re.search(pattern, line)) for line in f)

    def plug(self, name):
        """Adds a drive of the header (one with later=yes, or one that was unplugged)."""
        self.command_qmp('device_add', **device(self.drives[name]))

    def unplug(self, name):
        """Removes a drive, and waits until the guest has let go of it."""
        self.command_qmp('device_del', id=name)
        self.wait_event('DEVICE_DELETED', device=name)
