# SPDX-License-Identifier: BSD-3-Clause
"""What a case file says: its header (lines "#: key: value"), its guest script, and in a .py file the functions for the host.
docs/testing-vm.md lists the keys; an unknown one is an error."""
import os
import re
import types

KEYS = ('about', 'kernel', 'drive', 'namespace', 'iommu', 'memory', 'cpus', 'hotplug', 'timeout', 'needs', 'programs', 'modules', 'tag',
        'append', 'trace', 'allow', 'expect')
DRIVE_KEYS = ('size', 'bs', 'serial', 'addr', 'port', 'fail', 'iops', 'vfs', 'later')
SIZE = re.compile(r'^(\d+)([KMGT]?)$')


class Invalid(Exception):
    pass


def size_of(text):
    match = SIZE.match(text)
    if not match:
        raise Invalid('a size is a number, perhaps with K, M, G or T, not "%s"' % text)
    return int(match.group(1)) << {'': 0, 'K': 10, 'M': 20, 'G': 30, 'T': 40}[match.group(2)]


class Drive:
    """One NVMe device: `drive: NAME size=64M bs=4096 serial=foo ...`; keys that are not ours go to QEMU's device as they are."""

    def __init__(self, words, index):
        self.name = words[0]
        options = dict(w.split('=', 1) for w in words[1:] if '=' in w)
        if len(options) != len(words) - 1:
            raise Invalid('drive %s: options are key=value' % self.name)
        self.size = size_of(options.get('size', '64M'))
        self.bs = int(options.get('bs', '512'))
        self.serial = options.get('serial', self.name)
        self.addr = options.get('addr', '%x' % (index + 4))
        self.port = options.get('port')
        self.fail = [f for f in options.get('fail', '').split(',') if f]
        self.iops = options.get('iops')
        self.vfs = int(options.get('vfs', '0'))
        self.later = options.get('later') == 'yes'
        self.extra = {k: v for k, v in options.items() if k not in DRIVE_KEYS}
        self.namespaces = []


class Namespace:
    """One more of a drive: `namespace: DRIVE nsid=2 size=16M bs=4096 ...`; the drive itself then has none but these."""

    def __init__(self, words, drives):
        options = dict(w.split('=', 1) for w in words[1:])
        drive = next((d for d in drives if d.name == words[0]), None)
        if not drive:
            raise Invalid('namespace: there is no drive %s above' % words[0])
        self.nsid = int(options.pop('nsid', len(drive.namespaces) + 1))
        self.size = size_of(options.pop('size', '16M'))
        self.bs = int(options.pop('bs', '512'))
        self.fail, self.iops = [f for f in options.pop('fail', '').split(',') if f], options.pop('iops', None)
        self.extra = options
        self.name = '%s-%d' % (drive.name, self.nsid)
        drive.namespaces.append(self)


class Case:
    def __init__(self, path):
        self.path = path
        self.name, kind = os.path.splitext(os.path.basename(path))
        with open(path, encoding='utf-8') as f:
            text = f.read()
        header = []
        for line in text.splitlines():
            match = re.match(r'^#: ([a-z]+): (.*)$', line)
            if match:
                header.append(match.groups())
            elif line.startswith('#:'):
                raise Invalid('%s: not "#: key: value": %s' % (path, line))
        self.read_header(path, header)
        self.hooks, self.script = types.SimpleNamespace(), text
        if kind == '.py':
            scope = {'__name__': 'case_' + self.name, '__file__': path}
            exec(compile(text, path, 'exec'), scope)  # pylint: disable=exec-used # a test of this tree
            self.hooks = types.SimpleNamespace(**{k: v for k, v in scope.items() if not k.startswith('__')})
            self.script = getattr(self.hooks, 'GUEST', None)
            if not isinstance(self.script, str):
                raise Invalid('%s: no GUEST, the script of the guest' % path)

    def read_header(self, path, header):
        values = {key: [] for key in KEYS}
        for key, value in header:
            if key not in KEYS:
                raise Invalid('%s: unknown key "%s"; there are %s' % (path, key, ', '.join(KEYS)))
            values[key].append(value.strip())

        def one(key, default):
            return values[key][-1] if values[key] else default

        def words(key):
            return ' '.join(values[key]).split()
        self.about = one('about', '')
        if not self.about:
            raise Invalid('%s: no "#: about: ..."' % path)
        self.kernels = words('kernel') or ['6.1']
        self.iommu = one('iommu', 'off') == 'on'
        self.memory, self.cpus, self.hotplug = int(one('memory', '256')), int(one('cpus', '1')), int(one('hotplug', '0'))
        self.timeout = float(one('timeout', '60'))
        self.needs, self.programs, self.modules, self.tags = words('needs'), words('programs'), words('modules'), words('tag')
        self.traces = words('trace')
        self.append, self.expect = one('append', ''), one('expect', '')
        self.drives = [Drive(text.split(), i) for i, text in enumerate(values['drive'])]
        for text in values['namespace']:
            Namespace(text.split(), self.drives)
        for drive in self.drives:
            # QEMU gives a drive in a subsystem, as one with virtual functions is, its namespaces only as devices of their own.
            if drive.vfs and not drive.namespaces:
                Namespace([drive.name, 'size=%d' % drive.size, 'bs=%d' % drive.bs], self.drives)
        # What would fail a case otherwise: "allow: trace PATTERN", "allow: dmesg PATTERN", "allow: serial PATTERN".
        self.allow = {'trace': [], 'dmesg': [], 'serial': []}
        for text in values['allow']:
            log, _, pattern = text.partition(' ')
            if log not in self.allow or not pattern:
                raise Invalid('%s: "allow: trace|dmesg|serial PATTERN", not "%s"' % (path, text))
            self.allow[log].append(re.compile(pattern))


def load(folder):
    """All cases of a folder by name; Invalid names the file that is wrong."""
    cases = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith(('.sh', '.py')):
            try:
                case = Case(os.path.join(folder, name))
            except (ValueError, IndexError, SyntaxError) as error:
                raise Invalid('%s: %s' % (name, error)) from error
            if case.name in cases:
                raise Invalid('two cases are called %s' % case.name)
            cases[case.name] = case
    return cases
