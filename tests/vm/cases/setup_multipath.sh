# SPDX-License-Identifier: BSD-3-Clause
#: about: a drive that native multipath shows under another name, mounted there; and one with virtual functions
#: kernel: 6.1 6.12
#: iommu: on
#: hotplug: 1
#: drive: whole size=32M port=rp0 vfs=2
#: namespace: whole nsid=1 size=32M
#: needs: setup
#: append: nvme_core.multipath=Y
#: programs: nvio

bdf=$(nvme_bdf)
bind_kernel "$bdf"
disk=/dev/nvme0n1
wait_for 10 test -b "$disk"
[ -e "$SYSPCI/$bdf/nvme/nvme0/nvme0c0n1" ] || fail 'the kernel does not do multipath here'
run mke2fs "$disk" >/dev/null
module ext4
run mount -t ext4 "$disk" /mnt
run_fails 1 nvio setup bind "$bdf"
run expect /tmp/out 'nvme0n1 is mounted on /mnt'
run umount /mnt
echo 0 >"$SYSPCI/$bdf/sriov_drivers_autoprobe"
run sh -c "echo 1 >$SYSPCI/$bdf/sriov_numvfs"
run_fails 1 nvio setup bind "$bdf"
run expect /tmp/out 'it has 1 virtual functions'
run sh -c "echo 0 >$SYSPCI/$bdf/sriov_numvfs"
[ "$(driver_of "$bdf")" = nvme ] || fail "$bdf was taken away all the same"
run nvio setup bind "$bdf"
[ "$(driver_of "$bdf")" = vfio-pci ] || fail "$bdf has driver $(driver_of "$bdf")"
run nvio setup reset
wait_for 10 test -b "$disk"
