# SPDX-License-Identifier: BSD-3-Clause
"""`nvio setup status`, `bind` and `unbind` on made-up systems: the ways through, what keeps a drive where it is, and what a failure leaves. E6."""
import os
import re
import shutil
import subprocess

from fake_system import BDF, OTHER, System, drives, hugepages, mounted, needs_root, owner_of, setup, tests_of, write
from harness import Skip, check, get, same

# ---- status ----

def status_tells_who_has_each_drive_and_what_is_on_it(tool):
    with System() as s:
        s.drive(BDF)
        s.drive(OTHER, number=1, partitions=0, group=13)
        s.mount('30 20 259:1 / /data\\040disk rw - ext4 /dev/nvme0n1p1 rw')
        os.makedirs(s.path('run/udev/data'))
        write(s.path('run/udev/data/b259:2'), 'E:ID_FS_TYPE=ext4\nE:ID_FS_LABEL=backup\n')
        done = setup(tool, s, 'status')
        check(re.search(r'^0000:01:00\.0  1b36:0010  kernel \(nvme nvme0\)  group 12  Fast \?\[31mDrive, serial foo$', done.out, re.M), done.out)
        check(re.search(r'/dev/nvme0n1p1 +512\.00 MiB  mounted on /data disk$', done.out, re.M), done.out)
        check(re.search(r'/dev/nvme0n1p2 +512\.00 MiB ext4 "backup"$', done.out, re.M), done.out)
        same(done.out.count('not to be taken away'), 1)
        found = drives(tool, s)
        same(found[BDF]['in_use'], ['nvme0n1p1 is mounted on /data disk'])
        same((found[OTHER]['in_use'], found[OTHER]['owner'], found[OTHER]['model']), ([], 'kernel', 'Fast \x1b[31mDrive'))
        same([n['name'] for n in found[BDF]['nodes']], ['nvme0', 'nvme0n1', 'nvme0n1p1', 'nvme0n1p2', 'ng0n1'])


def status_of_one_drive_of_none_and_of_no_bus(tool):
    with System() as s:
        check('no NVMe drive' in setup(tool, s, 'status').out)
        s.drive(BDF)
        s.drive(OTHER, number=1)
        same(setup(tool, s, 'status', OTHER, '-o', 'json').json()['drives'][0]['address'], OTHER)
        check('no such function' in setup(tool, s, 'status', '0000:09:00.0', status=1).err)
        shutil.rmtree(s.path('sys/bus'))
        check('no PCI bus' in setup(tool, s, 'status', status=1).err)


# ---- what keeps a drive where it is ----

def mounted_whole(s): s.mount('30 20 259:0 / /data rw - xfs /dev/nvme0n1 rw')
def mounted_by_link(s):
    os.makedirs(s.path('dev/disk/by-id'))
    os.symlink('../../nvme0n1p2', s.path('dev/disk/by-id/x'))
    s.mount('30 20 0:55 / /data rw - btrfs /dev/disk/by-id/x rw')
def mounted_outside(s): s.mount('30 20 259:2 / /data rw - ext4 /dev/other rw', pid='1')
def swap(s): write(s.path('proc/swaps'), 'Filename Type\n/dev/nvme0n1p2 partition 1 0 -2\n')
def device_mapper(s):
    os.makedirs(s.path('sys/class/block/nvme0n1p1/holders/dm-0'))
    write(s.path('sys/class/block/dm-0/dm/name'), 'vg-root\n')
    write(s.path('sys/class/block/dm-0/dm/uuid'), 'LVM-abc\n')
def raid(s):
    os.makedirs(s.path('sys/class/block/nvme0n1/holders/md127'))
    write(s.path('sys/class/block/md127/md/level'), 'raid1\n')
def bcache(s): os.makedirs(s.path('sys/class/block/nvme0n1p2/holders/bcache0'))
def btrfs_member(s): write(s.path('sys/fs/btrfs/1234/devices/nvme0n1p2'), '')
def loop_device(s): write(s.path('sys/class/block/loop3/loop/backing_file'), '/dev/nvme0n1p1\n')
def kernel_target(s): write(s.path('sys/kernel/config/nvmet/subsystems/sub/namespaces/1/device_path'), '/dev/nvme0n1\n')
def opened(s): s.process(321, 'dd', '/dev/nvme0n1p1')
def opened_controller(s): s.process(321, 'smartd', '/dev/nvme0')
def opened_generic(s): s.process(321, 'fio', '/dev/ng0n1')
def virtual_functions(s): write(s.path('sys/bus/pci/devices', BDF, 'sriov_numvfs'), '4\n')


USES = [
    (mounted, 'nvme0n1p1 is mounted on /data'), (mounted_whole, 'nvme0n1 is mounted on /data'),
    (mounted_by_link, 'nvme0n1p2 is mounted on /data'), (mounted_outside, 'nvme0n1p2 is mounted on /data'),
    (swap, 'nvme0n1p2 is swap space'), (device_mapper, 'nvme0n1p1 is part of dm-0 (device mapper vg-root, LVM)'),
    (raid, 'nvme0n1 is part of md127 (RAID, raid1)'), (bcache, 'nvme0n1p2 is part of bcache0'),
    (btrfs_member, 'nvme0n1p2 is part of btrfs'), (loop_device, 'nvme0n1p1 is part of loop3'),
    (kernel_target, "nvme0n1 is part of the kernel's NVMe target sub"), (opened, 'nvme0n1p1 is open in process 321 (dd)'),
    (opened_controller, 'nvme0 is open in process 321 (smartd)'), (opened_generic, 'ng0n1 is open in process 321 (fio)'),
    (virtual_functions, 'it has 4 virtual functions'),
]


def in_use(use, words, multipath):
    def test(tool):
        with System() as s:
            s.drive(BDF, multipath=multipath)
            use(s)
            before = s.files()
            for args in (['bind', BDF], ['bind', BDF, '--dry-run'], ['bind', BDF, '--persistent', '-o', 'json']):
                done = setup(tool, s, *args, status=1)
                check('%s: %s' % (BDF, words) in done.err and '--force' in done.err, done.err)
                same((done.out, s.files()), ('', before), 'what a refusal changed')
            done = setup(tool, s, 'bind', BDF, '--force')
            check('forced, though ' + words in done.err, done.err)
            same(s.owner(BDF), 'vfio-pci')
    return test


def all_uses_are_told_at_once(tool):
    with System() as s:
        s.drive(BDF)
        for use in (mounted, swap, opened):
            use(s)
        s.drive(OTHER, number=1)
        write(s.path('proc/swaps'), get(s.path('proc/swaps')).decode() + '/dev/nvme1n1p1 partition 1 0 -2\n')
        done = setup(tool, s, 'bind', BDF, OTHER, status=1)
        for words in ('nvme0n1p1 is mounted', 'nvme0n1p2 is swap', 'process 321', 'nvme1n1p1 is swap'):
            check(words in done.err, done.err)
        same((s.owner(BDF), s.owner(OTHER)), ('nvme', 'nvme'))


def a_lasting_binding_minds_what_the_next_start_would_miss(tool):
    needs_root()
    for file, line in (('etc/fstab', '/dev/nvme0n1p1 /data ext4 defaults 0 2'), ('etc/fstab', 'UUID="ab-cd" /data ext4 noauto 0 0'),
                       ('etc/fstab', 'LABEL=my\\040disk /data ext4 noauto 0 0'), ('etc/crypttab', 'secret PARTUUID=77 none luks')):
        with System('root' + str(len(os.listdir('.')))) as s:
            s.drive(BDF)
            for link in ('by-uuid/ab-cd', 'by-label/my disk', 'by-partuuid/77'):
                os.makedirs(s.path('dev/disk', os.path.dirname(link)), exist_ok=True)
                os.symlink('../../nvme0n1p1', s.path('dev/disk', link))
            write(s.path(file), '# comment\n\n/dev/sda1 / ext4 defaults 0 1\n' + line + '\n')
            done = setup(tool, s, 'bind', BDF, '--persistent', status=1)
            check('nvme0n1p1: /%s wants it' % file in done.err, done.err)
            setup(tool, s, 'bind', BDF)
            same(s.owner(BDF), 'vfio-pci')


# ---- bind and unbind ----

def bind_gives_the_drive_to_a_user_and_unbind_takes_it_back(tool):
    needs_root()
    with System() as s:
        s.drive(BDF)
        s.drive(OTHER, number=1, group=13)
        before = s.files('modprobe.log', 'sys/module', 'kernel', 'dev/vfio')
        done = setup(tool, s, 'bind', BDF, '--user', 'bob')
        check('0000:01:00.0: vfio-pci has it, for user bob' in done.out, done.out)
        same((s.owner(BDF), s.owner(OTHER)), ('vfio-pci', 'nvme'))
        same(owner_of(s.path('dev/vfio/12')), (1000, os.getgid(), 0o600))
        same(get(s.path('modprobe.log')), b'loaded vfio-pci\n')
        same(drives(tool, s)[BDF]['vfio_path'], '/dev/vfio/12')
        done = setup(tool, s, 'unbind', BDF)
        check('the kernel has it: /dev/nvme0n1 /dev/nvme0n1p1 /dev/nvme0n1p2' in done.out, done.out)
        same(s.owner(BDF), 'nvme')
        check(s.override(BDF) in ('', '(null)'), s.override(BDF))
        write(s.path('sys/bus/pci/devices', BDF, 'driver_override'), '(null)\n')
        same(s.files('modprobe.log', 'sys/module', 'kernel', 'dev/vfio', 'run/nvio'), before, 'what is left')


def bind_gives_a_drive_to_a_group(tool):
    needs_root()
    with System() as s:
        s.drive(BDF)
        setup(tool, s, 'bind', BDF, '-g', 'disks')
        same(owner_of(s.path('dev/vfio/12')), (0, 77, 0o660))


def a_link_in_the_place_of_a_node_gives_nothing_away(tool):
    needs_root()
    with System() as s:
        s.drive(BDF)
        setup(tool, s, 'bind', BDF)
        write(s.path('secret'), 'x')
        os.chmod(s.path('secret'), 0o644)
        os.unlink(s.path('dev/vfio/12'))
        os.symlink('../../secret', s.path('dev/vfio/12'))
        done = setup(tool, s, 'bind', BDF, '--user', 'bob', status=1)
        check('cannot give away' in done.err and 'dev/vfio/12' in done.err, done.err)
        same((owner_of(s.path('secret')), os.lstat(s.path('dev/vfio/12')).st_uid), ((0, os.getgid(), 0o644), 0))


def bind_again_changes_only_whose_it_is(tool):
    needs_root()
    with System() as s:
        s.drive(BDF)
        setup(tool, s, 'bind', BDF)
        same(owner_of(s.path('dev/vfio/12')), (0, os.getgid(), 0o600))
        setup(tool, s, 'bind', BDF, '--user', 'bob')
        before = s.files()
        check('# nothing to do' in setup(tool, s, 'bind', BDF, '--user', 'bob', '--dry-run').out)
        setup(tool, s, 'bind', BDF, '--user', 'bob')
        same(s.files(), before)
        setup(tool, s, 'bind', BDF, '--user', 'ann')
        same(owner_of(s.path('dev/vfio/12')), (1001, os.getgid(), 0o600))
        setup(tool, s, 'reset')
        same(s.owner(BDF), 'nvme')


def iommufd_is_shared_and_not_taken_from_another_user(tool):
    needs_root()
    with System() as s:
        s.drive(BDF)
        s.drive(OTHER, number=1, group=13)
        write(s.path('dev/iommu'), '')
        os.chmod(s.path('dev/iommu'), 0o600)
        setup(tool, s, 'bind', BDF, '--user', 'bob')
        same(owner_of(s.path('dev/iommu')), (1000, 0, 0o600))
        done = setup(tool, s, 'bind', OTHER, '--user', 'ann', status=1)
        check('belongs to user 1000' in done.err and '--group' in done.err, done.err)
        same(s.owner(OTHER), 'nvme')
        setup(tool, s, 'reset')
        same(owner_of(s.path('dev/iommu')), (0, 0, 0o600))


def an_address_in_short_form_is_taken(tool):
    with System() as s:
        s.drive(BDF)
        setup(tool, s, 'bind', '01:00.0')
        same(s.owner(BDF), 'vfio-pci')


def a_drive_of_user_space_that_is_in_use_is_not_taken_back(tool):
    with System() as s:
        s.drive(BDF)
        setup(tool, s, 'bind', BDF)
        s.process(77, 'db', '/dev/vfio/12')
        for args in (['unbind', BDF], ['reset']):
            done = setup(tool, s, *args, status=1)
            check('open in process 77 (db)' in done.err, done.err)
            same(s.owner(BDF), 'vfio-pci')
        setup(tool, s, 'unbind', BDF, '--force')
        same(s.owner(BDF), 'nvme')


def others_of_the_group_must_come_along(tool):
    with System() as s:
        s.drive(BDF)
        s.drive(OTHER, number=1, group=12)
        s.function('0000:00:1c.0', group=12, class_code='0x060400', driver='pcieport')
        s.function('0000:03:00.0', group=12, class_code='0x020000', driver='')
        before = s.files()
        done = setup(tool, s, 'bind', BDF, status=1)
        check('its IOMMU group 12 has 0000:02:00.0 (class 0x010802, driver nvme) as well' in done.err, done.err)
        check('1c.0' not in done.err and '03:00.0' not in done.err, done.err)
        same(s.files(), before)
        setup(tool, s, 'bind', BDF, OTHER)
        same((s.owner(BDF), s.owner(OTHER)), ('vfio-pci', 'vfio-pci'))


def what_is_no_drive_comes_along_by_force_only(tool):
    with System() as s:
        s.drive(BDF)
        s.function('0000:03:00.0', group=12, class_code='0x020000', driver='e1000e')
        s.function('0000:04:00.0', group=14, class_code='0x020000', driver='e1000e')
        check('must come along' in setup(tool, s, 'bind', BDF, status=1).err)
        check('--force' in setup(tool, s, 'bind', BDF, '0000:03:00.0', status=1).err)
        check('is no NVMe drive' in setup(tool, s, 'bind', BDF, '0000:04:00.0', '--force', status=1).err)
        setup(tool, s, 'bind', BDF, '0000:03:00.0', '--force')
        same(s.owner('0000:03:00.0'), 'vfio-pci')
        setup(tool, s, 'reset')
        same((s.owner(BDF), s.owner('0000:03:00.0')), ('nvme', 'e1000e'))


def without_an_iommu_vfio_is_refused(tool):
    with System(iommu=False) as s:
        s.drive(BDF)
        before = s.files()
        check('no IOMMU group' in setup(tool, s, 'bind', BDF, status=1).err)
        same(s.files(), before)
        setup(tool, s, 'bind', BDF, '--driver', 'uio_pci_generic')
        same(s.owner(BDF), 'uio_pci_generic')
        setup(tool, s, 'unbind', BDF)
        same(s.owner(BDF), 'nvme')


def addresses_that_are_none_change_nothing(tool):
    with System() as s:
        s.drive(BDF)
        s.function('0000:05:00.0', class_code='0x010601', driver='')
        before = s.files()
        for bad, status, words in (('0000:09:00.0', 1, 'no such function'), ('0000:05:00.0', 1, 'is no NVMe drive'), ('nvme0', 2, 'is not the address'),
                                   ('/dev/nvme0n1', 2, 'is not the address'), ('../../etc', 2, 'is not the address'),
                                   ('0000:01:00.0\n', 2, 'is not the address'), ('', 2, 'is not the address'), ('*', 2, 'is not the address')):
            for verb in ('bind', 'unbind'):
                done = setup(tool, s, verb, BDF, bad, status=status)
                check(words in done.err, done.err)
        same(s.files(), before)


# ---- failures half way ----

def a_driver_that_refuses_leaves_all_as_it_was(tool):
    needs_root()
    with System() as s:
        s.drive(BDF)
        s.drive(OTHER, number=1, group=13)
        before = s.files('modprobe.log', 'kernel')
        s.refuses.add('vfio-pci')
        done = setup(tool, s, 'bind', BDF, OTHER, '--user', 'bob', '--persistent', status=1)
        check('did not take it' in done.err and 'taken back' in done.err, done.err)
        same((s.owner(BDF), s.owner(OTHER)), ('nvme', 'nvme'))
        same(get(s.path('modprobe.log')), b'loaded vfio-pci\nremoved vfio-pci\n')
        for bdf in (BDF, OTHER):
            write(s.path('sys/bus/pci/devices', bdf, 'driver_override'), '(null)\n')
        same(s.files('modprobe.log', 'kernel', 'run/nvio/setup.lock'), before, 'what is left')


def a_file_that_cannot_be_written_takes_the_binding_back(tool):
    with System() as s:
        s.drive(BDF)
        write(s.path('etc/udev'), 'a file where a folder should be')
        done = setup(tool, s, 'bind', BDF, '--persistent', status=1)
        check('etc/udev' in done.err and 'taken back' in done.err, done.err)
        same(s.owner(BDF), 'nvme')
        check(not os.path.exists(s.path('etc/modules-load.d/nvio.conf')), 'the module file is left')
        check(not os.path.exists(s.path('run/nvio/setup.json')), 'the record is left')
        same(setup(tool, s, 'reset').out, 'nothing to take back\n')


def a_module_that_cannot_be_loaded(tool):
    with System() as s:
        s.drive(BDF)
        shutil.rmtree(s.path('kernel/vfio-pci'))
        check('modprobe vfio-pci failed' in setup(tool, s, 'bind', BDF, status=1).err)
        os.unlink(s.path('sbin/modprobe'))
        check('there is no' in setup(tool, s, 'bind', BDF, status=1).err)
        same(s.owner(BDF), 'nvme')


def a_drive_that_does_not_come_to_life_is_told(tool):
    with System() as s:
        s.drive(BDF)
        setup(tool, s, 'bind', BDF)
        show = s.show
        def dead(bdf):
            show(bdf)
            write(s.path('sys/class/nvme/nvme0/state'), 'connecting\n')
        s.show = dead
        if tool.fast:
            check('does not come to life' in setup(tool, s, 'unbind', BDF, status=1).err)
        same(s.owner(BDF), 'nvme' if tool.fast else 'vfio-pci')


def what_root_alone_may_do_is_said(tool):
    """Of a system that belongs to somebody else: nothing is changed, and the message says who could."""
    needs_root()
    with System() as s:
        s.drive(BDF)
        for folder, _, _ in os.walk('.'):
            os.chmod(folder, 0o755)
        before = s.files()
        def become_nobody():
            os.setgid(65534)
            os.setuid(65534)
        for args in (['bind', BDF], ['reset'], ['hugepages', '4']):
            write(s.path('sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages'), '0\n')
            before = s.files()
            done = subprocess.run([tool.program, 'setup', *args, '--root', s.root], capture_output=True, timeout=60, check=False,
                                  preexec_fn=become_nobody)
            if done.returncode in (126, 127) or b'error while loading' in done.stderr:
                raise Skip('nobody cannot run the program where it lies')
            same(done.returncode, 1, done.stderr)
            check(b'this needs root' in done.stderr, done.stderr)
            same(s.files(), before)


TESTS = [('a drive is not taken: ' + use.__name__.replace('_', ' '), in_use(use, words, False)) for use, words in USES]
TESTS += [('a drive is not taken, multipath: ' + use.__name__.replace('_', ' '), in_use(use, words, True)) for use, words in USES[:2]]
TESTS += tests_of(dict(globals()), __name__)
