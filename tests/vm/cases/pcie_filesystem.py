# SPDX-License-Identifier: BSD-3-Clause
#: about: a file system that was on the drive is still whole when the kernel gets the drive back, after reads through VFIO
#: iommu: on
#: drive: hd0 size=16M
#: needs: pcie
#: programs: nvio
"""The image gets its file system from the host, and is checked there once more."""
import subprocess

from lane import cache

GUEST = r'''
bdf=$(nvme_bdf)
bind_vfio "$bdf"
# The magic number of ext4, 1080 bytes into the file system.
nvio read "$bdf" -d /tmp/super -s 2 -c 1
[ "$(dd if=/tmp/super bs=1 skip=56 count=2 2>/dev/null | hexdump -e '1/2 "%04x"')" = ef53 ] || fail 'there is no ext4 on it'
run nvio read "$bdf" -d /tmp/all
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
