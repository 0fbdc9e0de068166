# SPDX-License-Identifier: BSD-3-Clause
"""What `nvio setup` leaves behind and takes back: files, memory, limits, its record, and the commands it shows. E6."""
import os
import re
import resource
import shutil
import subprocess

from fake_system import BDF, HEADER, OTHER, System, hugepages, mounted, needs_root, setup, tests_of, until, write
from harness import Skip, check, get, same

# ---- what lasts ----

def a_lasting_binding_writes_a_rule_and_the_module(tool):
    needs_root()
    with System() as s:
        s.drive(BDF)
        s.drive(OTHER, number=1, group=13)
        setup(tool, s, 'bind', BDF, OTHER, '--persistent', '--user', 'bob')
        rule = get(s.path('etc/udev/rules.d/60-nvio-0000:01:00.0.rules')).decode()
        module = get(s.path('etc/modules-load.d/nvio.conf')).decode()
        for text in (rule, module):
            check(text.startswith(HEADER) and 'nvio setup reset' in text.splitlines()[1], text)
        check('KERNEL!="0000:01:00.0"' in rule and 'ATTR{driver_override}="vfio-pci"' in rule, rule)
        check('RUN+="%s setup bind 0000:01:00.0 --user bob"' % tool.program in rule, rule)
        check('ATTR{device}!="0x0010"' in rule and 'ATTR{vendor}!="0x1b36"' in rule, rule)
        same(module.splitlines()[-1], 'vfio-pci')
        same(os.stat(s.path('etc/modules-load.d/nvio.conf')).st_mode & 0o777, 0o644)
        setup(tool, s, 'unbind', BDF)
        same(os.listdir(s.path('etc/udev/rules.d')), ['60-nvio-0000:02:00.0.rules'])
        check(os.path.exists(s.path('etc/modules-load.d/nvio.conf')), 'the other drive needs it')
        setup(tool, s, 'unbind', OTHER)
        same((os.listdir(s.path('etc/udev/rules.d')), os.listdir(s.path('etc/modules-load.d'))), ([], []))


def udev_takes_the_rule(tool):
    needs_root()
    if not shutil.which('udevadm') or b'verify' not in subprocess.run(['udevadm', '--help'], capture_output=True, check=False).stdout:
        raise Skip('no udevadm that verifies rules (systemd 254)')
    with System() as s:
        s.drive(BDF)
        setup(tool, s, 'bind', BDF, '--persistent', '--user', 'bob')
        done = subprocess.run(['udevadm', 'verify', '--no-summary', s.path('etc/udev/rules.d/60-nvio-0000:01:00.0.rules')], capture_output=True, check=False)
        same(done.returncode, 0, done.stdout + done.stderr)


def after_a_restart_reset_still_undoes_what_lasts(tool):
    needs_root()
    with System() as s:
        s.drive(BDF)
        before = s.files('modprobe.log', 'kernel', 'sys', 'dev', 'run')
        setup(tool, s, 'bind', BDF, '--persistent')
        shutil.rmtree(s.path('run/nvio'))
        # The start, as the rule makes it: the kernel's driver was kept away, and nvio is called.
        s.unbind(BDF)
        setup(tool, s, 'bind', BDF)
        same(s.owner(BDF), 'vfio-pci')
        setup(tool, s, 'reset')
        same(s.owner(BDF), 'nvme')
        same(s.files('modprobe.log', 'kernel', 'sys', 'dev', 'run'), before)


def files_of_others_are_left_alone(tool):
    with System() as s:
        s.drive(BDF)
        for path in ('etc/udev/rules.d/60-nvio-0000:01:00.0.rules', 'etc/modules-load.d/nvio.conf'):
            write(s.path(path), 'mine\n')
            done = setup(tool, s, 'bind', BDF, '--persistent', status=1)
            check(path in done.err and 'left alone' in done.err, done.err)
            same((s.owner(BDF), get(s.path(path))), ('nvme', b'mine\n'))
            os.unlink(s.path(path))
        # A link to another file is none of ours either, and what it leads to stays.
        write(s.path('target'), HEADER + '\n')
        os.symlink('../../target', s.path('etc/modules-load.d/nvio.conf'))
        setup(tool, s, 'bind', BDF, '--persistent', status=1)
        same(get(s.path('target')).decode(), HEADER + '\n')


# ---- memory ----

def hugepages_are_reserved_and_given_back(tool):
    with System() as s:
        for path in (hugepages(s), hugepages(s, '1048576kB'), hugepages(s, node=1)):
            write(path, '3\n')
        same(setup(tool, s, 'hugepages', '64').out, '64 hugepages of 2M\n')
        same(get(hugepages(s)), b'64')
        setup(tool, s, 'hugepages', '128,2M')
        setup(tool, s, 'hugepages', '2,1G')
        setup(tool, s, 'hugepages', '5', '--node', '1')
        same((get(hugepages(s)), get(hugepages(s, '1048576kB')), get(hugepages(s, node=1))), (b'128', b'2', b'5'))
        setup(tool, s, 'reset')
        same((get(hugepages(s)), get(hugepages(s, '1048576kB')), get(hugepages(s, node=1))), (b'3', b'3', b'3'))


def hugepages_that_last_are_a_file(tool):
    with System() as s:
        write(hugepages(s), '0\n')
        setup(tool, s, 'hugepages', '64', '--persistent')
        text = get(s.path('etc/tmpfiles.d/nvio-hugepages-2M.conf')).decode()
        same(text.splitlines()[-1], 'w /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages - - - - 64')
        check(text.startswith(HEADER), text)
        setup(tool, s, 'reset')
        check(not os.listdir(s.path('etc/tmpfiles.d')), 'the file is left')


def fewer_hugepages_than_asked_for_are_given_back(tool):
    """A file that keeps its content stands for a kernel that has no memory left."""
    with System() as s:
        os.makedirs(os.path.dirname(hugepages(s)))
        os.symlink('/dev/null', hugepages(s))
        done = setup(tool, s, 'hugepages', '64', status=1)
        check('64 were asked for, and the kernel has made none' in done.err, done.err)
        check(not os.path.exists(s.path('run/nvio/setup.json')), 'the record is left')


def memlock_is_for_one_user(tool):
    with System() as s:
        setup(tool, s, 'memlock', '1G', '--user', 'bob')
        path = s.path('etc/security/limits.d/90-nvio-bob.conf')
        text = get(path).decode()
        same(text.splitlines()[-1], 'bob - memlock 1048576')
        check(text.startswith(HEADER) and 'nvio setup reset' in text, text)
        setup(tool, s, 'memlock', 'unlimited', '--user', 'bob')
        same(get(path).decode().splitlines()[-1], 'bob - memlock unlimited')
        setup(tool, s, 'reset')
        check(not os.path.exists(path), 'the file is left')
        same(setup(tool, s, 'reset').out, 'nothing to take back\n')


HOSTILE = ['a b', 'a\nb', '../x', '%x', '@x', '-x', '', 'a;b', "a'b", 'a"b', 'a$b', 'a\\b', '.', '..', '7x', 'x' * 65, 'a*', 'ü']


def hostile_names_are_refused(tool):
    with System() as s:
        s.drive(BDF)
        before = s.files()
        for name in HOSTILE:
            for args in (['bind', BDF, '--user=' + name], ['bind', BDF, '--group=' + name], ['memlock', '1G', '--user=' + name]):
                done = setup(tool, s, *args, status=2)
                check('no name of a' in done.err, done.err)
        for args in (['bind', BDF, '--user', 'nobody2'], ['bind', BDF, '--group', 'bob'], ['memlock', '1G', '--user', 'nobody2']):
            check('there is no' in setup(tool, s, *args, status=1).err)
        same(s.files(), before)


WRONG = [
    ([], 'what\\?'), (['frob'], "no 'frob'"), (['bind'], 'which\\?'), (['unbind'], 'which\\?'), (['hugepages'], 'how many'),
    (['hugepages', 'x'], 'no number'), (['hugepages', '-1'], 'no option|no number'), (['hugepages', '4,3M'], 'no size'),
    (['hugepages', '4,'], 'no size'), (['hugepages', ',2M'], 'no number'), (['hugepages', '99999999999'], 'no number'),
    (['hugepages', '1', '2'], 'how many'), (['memlock'], 'how much'), (['memlock', '1G'], '--user is missing'),
    (['memlock', '1', '--user', 'bob'], 'no size'), (['memlock', 'x', '--user', 'bob'], 'no size'), (['reset', 'x'], 'too much'),
    (['status', '--force'], 'takes no --force'), (['status', '--dry-run'], 'takes no --dry-run'), (['unbind', BDF, '-u', 'bob'], 'takes no --user'),
    (['memlock', '1G', '-u', 'bob', '--persistent'], 'takes no --persistent'), (['bind', BDF, '--node', '1'], 'takes no --node'),
    (['bind', BDF, '--user', 'bob', '--group', 'disks'], 'exclude'), (['bind', BDF, '--driver', 'nvme'], 'is none of'),
    (['bind', BDF, '--driver', 'uio_pci_generic', '--user', 'bob'], 'root alone'),
    (['bind', BDF, '--driver', 'uio_pci_generic', '--persistent'], 'not made to last'), (['reset', '--user', 'bob'], 'takes no --user'),
]


def wrong_usage_changes_nothing(tool):
    with System() as s:
        s.drive(BDF)
        write(hugepages(s), '0\n')
        before = s.files()
        for args, words in WRONG:
            done = setup(tool, s, *args, status=2)
            check(re.search(words, done.err), '%s: %s' % (args, done.err))
        same(s.files(), before)
    for root in ('nowhere', '/dev/null', 'x' * 5000):
        check('--root' in tool.run('setup', 'status', '--root', root, status=2).err)


SHELL = """
mkdir -p "$1/proc/$$" && cp /proc/$$/stat "$1/proc/$$/stat" && printf 'Name:\\tsh\\nPPid:\\t1\\nUid:\\t1000\\t0\\t0\\t0\\n' > "$1/proc/$$/status"
ulimit -S -l 64
"$2" setup memlock "$3" --user bob --root "$1" > said; ulimit -S -l; "$2" setup reset --root "$1" > reset; ulimit -S -l
"""


def memlock_holds_in_the_shell_that_called_too(tool):
    """The first ancestor that is the user's is given the limit, and gets its former one back."""
    hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
    if 0 <= hard < 128 << 10:
        raise Skip('the hard limit is too small to tell')
    with System() as s:
        size = 'unlimited' if hard < 0 else str(hard)
        done = subprocess.run(['sh', '-c', SHELL, 'sh', s.root, tool.program, size], capture_output=True, timeout=60, check=False)
        same(done.stdout.decode().split(), ['unlimited' if hard < 0 else str(hard // 1024), '64'], done.stderr)
        check(b'in this shell too' in get('said'), get('said'))


# ---- reset and its record ----

def reset_undoes_everything(tool):
    needs_root()
    with System() as s:
        s.drive(BDF)
        s.drive(OTHER, number=1, group=13)
        write(s.path('dev/iommu'), '')
        write(hugepages(s), '3')
        skip = ('modprobe.log', 'kernel', 'run/nvio/setup.lock')
        before = s.files(*skip)
        setup(tool, s, 'bind', BDF, '--user', 'bob', '--persistent')
        setup(tool, s, 'bind', OTHER, '--user', 'bob')
        setup(tool, s, 'hugepages', '64', '--persistent')
        setup(tool, s, 'memlock', '1G', '--user', 'bob')
        done = setup(tool, s, 'reset')
        check('all is as it was' in done.out, done.out)
        for bdf in (BDF, OTHER):
            check(s.override(bdf) in ('', '(null)'), s.override(bdf))
            write(s.path('sys/bus/pci/devices', bdf, 'driver_override'), '(null)\n')
        after = s.files(*skip)
        after.pop('dev/vfio/vfio')  # comes with the module
        same(after, before, 'what is left')
        same(get(s.path('modprobe.log')), b'loaded vfio-pci\nremoved vfio-pci\n')
        same(setup(tool, s, 'reset').out, 'nothing to take back\n')


def reset_leaves_alone_what_others_did_since(tool):
    with System() as s:
        s.drive(BDF)
        setup(tool, s, 'bind', BDF, '--persistent')
        with s.lock:
            s.unbind(BDF)
            write(s.path('sys/bus/pci/devices', BDF, 'driver_override'), '\n')
            s.take(BDF, 'nvme')
        mounted(s)
        write(s.path('etc/modules-load.d/nvio.conf'), 'mine\n')
        done = setup(tool, s, 'reset', status=1)
        check('left alone' in done.err, done.err)
        same((s.owner(BDF), get(s.path('etc/modules-load.d/nvio.conf'))), ('nvme', b'mine\n'))
        check(not os.listdir(s.path('etc/udev/rules.d')), 'the rule is left')


def reset_of_a_drive_that_has_been_pulled_out(tool):
    with System() as s:
        s.drive(BDF)
        setup(tool, s, 'bind', BDF)
        shutil.rmtree(s.path('sys/bus/pci/devices', BDF))
        setup(tool, s, 'reset')
        same(setup(tool, s, 'reset').out, 'nothing to take back\n')


def a_record_that_is_none_is_told(tool):
    for text in ('', '{', '[]', '{"steps": 1}', '{"steps": [1]}', '{"steps": [{}]}', '\0\0', '{"steps": [{"do": "explode"}]}'):
        with System('root' + str(len(os.listdir('.')))) as s:
            s.drive(BDF)
            write(s.path('run/nvio/setup.json'), text)
            done = setup(tool, s, 'reset', status=1)
            check('setup.json' in done.err or 'explode' in done.err, done.err)
            if 'explode' not in text:
                check('setup.json' in setup(tool, s, 'bind', BDF, status=1).err)
                same(s.owner(BDF), 'nvme')


def a_killed_bind_can_be_reset(tool):
    """What takes a step back is on disk before the step: the record stands when the driver hangs, and we are killed."""
    with System() as s:
        s.drive(BDF)
        with s.lock:  # the kernel does not answer
            child = subprocess.Popen([tool.program, 'setup', 'bind', BDF, '--root', s.root], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            until(lambda: s.heard == BDF)
            child.kill()
            child.wait()
        check(b'"driver"' in get(s.path('run/nvio/setup.json')), 'no record')
        until(lambda: not s.owner(BDF))
        setup(tool, s, 'reset')
        same(s.owner(BDF), 'nvme')


# ---- dry run ----

def a_dry_run_changes_nothing_and_says_what_would_be_done(tool):
    with System() as s:
        s.drive(BDF)
        write(hugepages(s), '0\n')
        before = s.files()
        out = setup(tool, s, 'bind', BDF, '--user', 'bob', '--persistent', '--dry-run').out
        for words in ('modprobe -d %s/ vfio-pci' % s.root, 'echo vfio-pci > %s' % s.path('sys/bus/pci/devices', BDF, 'driver_override'),
                      'echo 0000:01:00.0 > %s' % s.path('sys/bus/pci/devices', BDF, 'driver/unbind'), 'drivers_probe', 'chown 1000 "$node"',
                      'chmod 0600', "cat > %s <<'EOF'" % s.path('etc/modules-load.d/nvio.conf')):
            check(words in out, '%s is not in %s' % (words, out))
        same(subprocess.run(['sh', '-n'], input=out.encode(), check=False).returncode, 0, 'the shell')
        steps = setup(tool, s, 'bind', BDF, '--dry-run', '-o', 'json').json()
        same((steps['dry_run'], [x['do'] for x in steps['steps']]), (True, ['module', 'driver']))
        for args in (['unbind', BDF], ['hugepages', '64'], ['memlock', '1G', '--user', 'bob'], ['reset']):
            setup(tool, s, *args, '--dry-run')
        same(s.files(), before)


def the_shell_comes_to_the_same(tool):
    """The commands of a dry run, run by the shell, leave what the tool itself leaves."""
    needs_root()
    results = []
    for how in ('tool', 'shell'):
        with System('a ' + how) as s:
            s.drive(BDF)
            write(hugepages(s), '0\n')
            os.makedirs(s.path('sys/bus/pci/devices', BDF, 'vfio-dev'))
            for args in (['bind', BDF, '--user', 'bob', '--persistent'], ['hugepages', '64', '--persistent'], ['memlock', '64M', '--user', 'ann']):
                if how == 'tool':
                    setup(tool, s, *args)
                    continue
                out = setup(tool, s, *args, '--dry-run').out.replace('modprobe -d', "'%s' -d" % s.path('sbin/modprobe'))
                # Nodes are ordinary files here, and our kernel answers after the write, not within it.
                out = out.replace('[ ! -c', '[ ! -f')
                link = s.path('sys/bus/pci/devices', BDF, 'driver')
                out = re.sub(r"(/driver/unbind'\n)", r"\1while [ -e '%s' ]; do sleep 0.01; done\n" % link, out)
                out = re.sub(r"(/drivers_probe'\n)", r"\1while [ ! -e '%s' ]; do sleep 0.01; done\n" % link, out)
                subprocess.run(['sh', '-e'], input=out.encode(), check=True, timeout=60)
            files = s.files('run/nvio', 'var/lib/nvio', 'modprobe.log', 'sbin')
            results.append({k: v if isinstance(v, str) else (*v[:3], v[3].strip()) for k, v in files.items()})
    for path in sorted(set(results[0]) | set(results[1])):
        same(results[1].get(path), results[0].get(path), path)


TESTS = tests_of(dict(globals()), __name__)
