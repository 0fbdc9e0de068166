# SPDX-License-Identifier: BSD-3-Clause
"""`nvio doctor` and `nvio list` on made-up systems, and on folders that are no systems. E6, N2."""
import json
import os
import re
import resource
import shutil
import subprocess

from fake_system import BDF, OTHER, System, mounted, needs_root, setup, tests_of, write
from harness import check, same

# ---- doctor ----

def doctor(tool, s, *args, **how):
    done = tool.run('doctor', *args, '--root', s.root, '-o', 'json', **how)
    return done.json(), {c['check']: c for c in done.json()['checks']}


def healthy(s):
    write(s.path('proc/self/status'), 'Name:\tnvio\nCapEff:\t000001ffffffffff\n')
    write(s.path('proc/cmdline'), 'ro quiet intel_iommu=on\n')
    write(s.path('proc/sys/kernel/osrelease'), '6.1.0\n')
    write(s.path('lib/modules/6.1.0/modules.dep'), 'kernel/drivers/vfio/pci/vfio-pci.ko.xz: x\n')


def doctor_finds_a_bound_drive_usable(tool):
    needs_root()
    with System() as s:
        s.drive(BDF)
        healthy(s)
        result, checks = doctor(tool, s, BDF, status=1)
        same((result['usable'], checks[BDF]['level']), (False, 'problem'))
        check(re.fullmatch(r'sudo nvio setup bind 0000:01:00\.0 --user \S+', checks[BDF]['fix']), checks[BDF])
        result, checks = doctor(tool, s)
        same((result['usable'], checks[BDF]['level']), (True, 'note'))
        setup(tool, s, 'bind', BDF, '--user', 'bob')
        result, checks = doctor(tool, s, BDF)
        same((result['usable'], checks[BDF]['level'], checks['iommu']['level'], checks['vfio-pci']['level']), (True, 'ok', 'ok', 'ok'))
        text = tool.run('doctor', BDF, '--root', s.root).out
        check(re.search(r'^ok +0000:01:00\.0: vfio-pci has it, and you may open /dev/vfio/12$', text, re.M), text)
        s.process(77, 'db', '/dev/vfio/12')
        check('77 (db)' in doctor(tool, s, BDF, status=1)[1][BDF]['text'])


def intel(s): write(s.path('proc/cpuinfo'), 'vendor_id : GenuineIntel\n')
def amd(s): write(s.path('proc/cpuinfo'), 'vendor_id : AuthenticAMD\n')
def cmdline(text): return lambda s: write(s.path('proc/cmdline'), text + '\n')
def iort(s): write(s.path('sys/firmware/acpi/tables/IORT'), '')


IOMMU = [
    ('intel', [intel, cmdline('quiet')], 'intel_iommu=on', 'not been told'), ('intel, told', [intel, cmdline('intel_iommu=on')], 'VT-d', 'firmware shows none'),
    ('amd', [amd, cmdline('quiet')], 'AMD-Vi', 'no IVRS'), ('switched off', [amd, cmdline('amd_iommu=off')], 'take iommu=off', 'command line'),
    ('arm', [iort, cmdline('x')], 'iommu.passthrough=0', 'SMMU'), ('nothing', [cmdline('x')], 'virtual', 'shows none'),
]


def doctor_says_how_the_iommu_is_switched_on(tool):
    for name, parts, fix, text in IOMMU:
        with System('root ' + name, iommu=False) as s:
            s.drive(BDF)
            healthy(s)
            for part in parts:
                part(s)
            found = doctor(tool, s, status=1)[1]['iommu']
            same(found['level'], 'problem')
            check(fix in found['fix'] and text in found['text'], found)
            write(s.path('sys/module/vfio/parameters/enable_unsafe_noiommu_mode'), 'Y\n')
            result, checks = doctor(tool, s)
            same((checks['iommu']['level'], checks['no-IOMMU mode']['level']), ('note', 'note'))


def ecap(s): write(s.path('sys/class/iommu/dmar0/intel-iommu/ecap'), 'f000f7\n')
def unsafe(s): write(s.path('sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts'), 'Y\n')
def confidentiality(s): write(s.path('sys/kernel/security/lockdown'), 'none integrity [confidentiality]\n')
def no_node(s): os.unlink(s.path('dev/vfio/12'))
def no_vfio_nodes(s): os.unlink(s.path('dev/vfio/vfio'))
def companion(s): s.function('0000:03:00.0', group=12, class_code='0x020000', driver='e1000e')
def without_capabilities(s): write(s.path('proc/self/status'), 'x\nCapEff:\t0000000000000000\n')
def may_lock(s): write(s.path('proc/self/status'), 'x\nCapEff:\t0000000000004000\n')


DOCTOR = [
    # what is there, which check, its level, words of it
    ([ecap], 'interrupt remapping', 'problem', 'VFIO refuses'), ([ecap, unsafe], 'interrupt remapping', 'note', 'told to accept'),
    ([cmdline('intremap=off')], 'interrupt remapping', 'problem', 'VFIO refuses'), ([], 'interrupt remapping', 'ok', 'nothing speaks'),
    ([confidentiality], 'lockdown', 'ok', 'does not mind'), ([no_node], BDF, 'problem', 'is not there'),
    ([no_vfio_nodes], 'vfio device', 'problem', 'neither'), ([companion], BDF, 'problem', 'same IOMMU group'), ([], 'memlock', 'ok', 'CAP_IPC_LOCK'),
    ([], 'capabilities', 'ok', 'CAP_SYS_ADMIN'), ([may_lock], 'memlock', 'ok', 'CAP_IPC_LOCK'),
]


def doctor_checks(number):
    parts, which, level, words = DOCTOR[number]

    def test(tool):
        with System() as s:
            s.drive(BDF)
            healthy(s)
            setup(tool, s, 'bind', BDF)
            for part in parts:
                part(s)
            done = tool.run('doctor', BDF, '--root', s.root, '-o', 'json', status=1 if level == 'problem' else 0)
            found = [c for c in done.json()['checks'] if c['check'] == which and words in c['text']]
            same([c['level'] for c in found], [level], str(done.json()))
            check(level != 'problem' or found[0].get('fix'), 'a problem comes with its remedy')
    return test


def doctor_weighs_the_memlock_limit(tool):
    with System() as s:
        s.drive(BDF)
        healthy(s)
        setup(tool, s, 'bind', BDF)
        without_capabilities(s)
        for size, level in ((64 << 10, 'problem'), (64 << 20, 'note'), (1 << 30, 'ok')):
            hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
            if hard != resource.RLIM_INFINITY and hard < size:
                continue  # even root may not be allowed to raise it
            done = subprocess.run([tool.program, 'doctor', BDF, '--root', s.root, '-o', 'json'], capture_output=True, timeout=60, check=False,
                                  preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_MEMLOCK, (size, hard)))
            found = [c for c in json.loads(done.stdout)['checks'] if c['check'] == 'memlock']
            same((found[0]['level'], done.returncode), (level, 1 if level == 'problem' else 0), str(found))
            check(level == 'ok' or 'nvio setup memlock' in found[0]['fix'], str(found))


def doctor_knows_what_is_on_a_drive(tool):
    with System() as s:
        s.drive(BDF)
        healthy(s)
        mounted(s)
        found = doctor(tool, s, BDF, status=1)[1][BDF]
        check('nvme0n1p1 is mounted on /data' in found['text'] and 'bind' not in found['fix'], found)
        check('too much' in tool.run('doctor', BDF, OTHER, '--root', s.root, status=2).err)
        check('no such function' in tool.run('doctor', OTHER, '--root', s.root, status=1).err)


def doctor_tells_modules_that_could_be_loaded_from_those_that_are_missing(tool):
    with System() as s:
        s.drive(BDF)
        healthy(s)
        same(doctor(tool, s)[1]['vfio-pci']['level'], 'note')
        os.rename(s.path('lib/modules/6.1.0/modules.dep'), s.path('lib/modules/6.1.0/modules.builtin'))
        same(doctor(tool, s)[1]['vfio-pci']['level'], 'note')
        os.unlink(s.path('lib/modules/6.1.0/modules.builtin'))
        same(doctor(tool, s, status=1)[1]['vfio-pci']['level'], 'problem')


# ---- trees that are none ----

def malformed_trees_do_no_harm(tool):
    with System() as s:
        s.drive(BDF)
        device = s.path('sys/bus/pci/devices', BDF)
        broken = [
            lambda: write(os.path.join(device, 'vendor'), 'x' * 100000), lambda: write(s.path('proc/self/mountinfo'), '\n - \n1 2\n- - -\n' + 'a ' * 5000 + '\n'),
            lambda: write(s.path('proc/swaps'), '/dev/\n\n \t\n/dev/nvme\\04\n'), lambda: write(s.path('sys/class/block/nvme0n1/size'), '-1\n'),
            lambda: write(s.path('sys/class/block/nvme0n1/dev'), '\0\xff'), lambda: os.makedirs(os.path.join(device, 'nvme/' + 'n' * 200)),
            lambda: os.makedirs(s.path('proc/99/fd')), lambda: os.symlink('fd', s.path('proc/99/fd/0')),
            lambda: os.mkfifo(s.path('run/udev')), lambda: os.symlink('mountinfo', s.path('proc/1/mountinfo')),
            lambda: write(s.path('etc/fstab'), 'UUID=\nx\n/dev/ /\n' + '\\' * 1000 + '\n'), lambda: os.makedirs(s.path('sys/class/block/nvme0n1p1/holders/' + 'h' * 200)),
            lambda: write(s.path('sys/kernel/security/lockdown'), ']['), lambda: write(s.path('sys/class/iommu/dmar0/intel-iommu/ecap'), 'zz'),
            lambda: os.makedirs(os.path.join(device, 'vfio-dev/' + 'v' * 200)),
        ]
        for spoil in broken:
            spoil()
            for args in (['setup', 'status'], ['doctor'], ['list'], ['setup', 'bind', BDF, '--dry-run', '--persistent']):
                done = subprocess.run([tool.program, *args, '--root', s.root], capture_output=True, timeout=60, check=False)
                check(done.returncode in (0, 1), '%s: %d %s' % (args, done.returncode, done.stderr))


# ---- list ----

def list_shows_the_bus(tool):
    with System() as s:
        same(tool.run('list', '--root', s.root, '-o', 'json').json(), {'Devices': [], 'Functions': []}, 'an empty bus')
        s.drive(BDF)
        s.drive(OTHER, number=1, group=13)
        s.function('0000:03:00.0', driver='')
        setup(tool, s, 'bind', OTHER)
        out = tool.run('list', '--root', s.root).out
        check(re.search(r'^Device +Serial +Model +Namespace +Size +Block size +Firmware +Owner$', out, re.M), out)
        check(re.search(r'^0000:01:00\.0 +foo +Fast \?\[31mDrive +1 +1\.00 GiB +512 +1\.0 +kernel \(/dev/nvme0n1\)$', out, re.M), out)
        check(re.search(r'^0000:02:00\.0( +-){6} +vfio \(vfio-pci\)$', out, re.M), out)
        check(re.search(r'^0000:03:00\.0( +-){6} +unbound$', out, re.M), out)
        value = tool.run('list', '--root', s.root, '-o', 'json').json()
        same([(d['DevicePath'], d['NameSpace'], d['PhysicalSize'], d['MaximumLBA'], d['SectorSize'], d['Address']) for d in value['Devices']],
             [('/dev/nvme0n1', 1, 1 << 30, 2097152, 512, BDF)])
        same([(f['Address'], f['Owner'], f['Driver']) for f in value['Functions']],
             [(BDF, 'kernel', 'nvme'), (OTHER, 'vfio', 'vfio-pci'), ('0000:03:00.0', 'unbound', '')])
        shutil.rmtree(s.path('sys/bus'))
        check('no PCI bus' in tool.run('list', '--root', s.root).err)
        check('no DEVICE beside it' in tool.run('list', 'loop:ram:1M', '--root', s.root, status=2).err)


TESTS = [('doctor: %s is %s (%d)' % (DOCTOR[i][1], DOCTOR[i][2], i), doctor_checks(i)) for i in range(len(DOCTOR))]
TESTS += tests_of(dict(globals()), __name__)
