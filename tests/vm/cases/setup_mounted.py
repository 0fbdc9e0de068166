# SPDX-License-Identifier: BSD-3-Clause
#: about: `nvio setup bind` never takes a drive with a mounted file system, and says which; unmounted, it does
#: iommu: on
#: drive: hd0 size=16M
#: needs: setup
#: programs: nvio
import subprocess

from lane import cache

GUEST = r'''
bdf=$(nvme_bdf)
bind_kernel "$bdf"
wait_for 5 kernel_disk "$bdf"
run mount -t ext4 "$(kernel_disk "$bdf")" /mnt
run_fails 1 nvio setup bind "$bdf"
run expect /tmp/out '/mnt'
[ "$(driver_of "$bdf")" = nvme ] || fail "$bdf was taken away all the same"
run touch /mnt/alive
nvio setup status >/tmp/status
run expect /tmp/status '/mnt'
run umount /mnt
run nvio setup bind "$bdf" --dry-run
[ "$(driver_of "$bdf")" = nvme ] || fail '--dry-run did something'
run nvio setup bind "$bdf"
[ "$(driver_of "$bdf")" = vfio-pci ] || fail "$bdf has driver $(driver_of "$bdf")"
run nvio setup unbind "$bdf"
[ "$(driver_of "$bdf")" = nvme ] || fail "$bdf has driver $(driver_of "$bdf")"
wait_for 5 kernel_disk "$bdf"
run mount -t ext4 "$(kernel_disk "$bdf")" /mnt
[ -e /mnt/alive ] || fail 'the file is gone'
run umount /mnt
'''


def before(vm):
    subprocess.run([cache.tool('mke2fs'), '-q', '-F', '-t', 'ext4', vm.image('hd0')], check=True)
