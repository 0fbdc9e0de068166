# SPDX-License-Identifier: BSD-3-Clause
#: about: with an IOMMU a drive goes to vfio-pci, its group appears, and it goes back to the kernel, which finds it whole
#: kernel: 6.1 6.12
#: iommu: on
#: drive: hd0 size=16M

bdf=$(nvme_bdf)
bind_kernel "$bdf"
bind_vfio "$bdf"
[ -c /dev/vfio/vfio ] || fail 'there is no /dev/vfio/vfio'
[ -d /sys/module/vfio_iommu_type1 ] || fail 'vfio came without its IOMMU driver'
[ "$(ls "$SYSPCI/$bdf/iommu_group/devices")" = "$bdf" ] || fail "the group has $(ls "$SYSPCI/$bdf/iommu_group/devices")"
bind_kernel "$bdf"
wait_for 5 kernel_disk "$bdf"
run dd if="$(kernel_disk "$bdf")" of=/dev/null bs=1M
