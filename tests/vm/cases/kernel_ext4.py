# SPDX-License-Identifier: BSD-3-Clause
#: about: a file system made on the host is mounted in the guest, whose kernel loads by itself what it needs, and is whole afterwards
#: kernel: 6.1 6.12
#: drive: hd0 size=16M
import subprocess

from lane import cache

GUEST = r'''
bdf=$(nvme_bdf)
bind_kernel "$bdf"
wait_for 5 kernel_disk "$bdf"
run mount -t ext4 "$(kernel_disk "$bdf")" /mnt
run cp /bin/busybox /mnt/busybox
run umount /mnt
'''


def before(vm):
    subprocess.run([cache.tool('mke2fs'), '-q', '-F', '-t', 'ext4', vm.image('hd0')], check=True)


def after(vm):
    subprocess.run([cache.tool('e2fsck'), '-fn', vm.image('hd0')], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
