# SPDX-License-Identifier: BSD-3-Clause
#: about: VFIO without an IOMMU: taken only when that is asked for, with hugepages, interrupts and the lock of its group
#: kernel: built
#: memory: 384
#: drive: hd0 size=16M serial=foo
#: programs: tests/vm/programs/vm_pci_probe

mode=/sys/module/vfio/parameters/enable_unsafe_noiommu_mode
module vfio-pci
echo Y >"$mode"
bdf=$(nvme_bdf)
bind "$bdf" vfio-pci
wait_for 5 test -c "/dev/vfio/noiommu-$(group_of "$bdf")"
run vm_pci_probe "$bdf" refused | tee /tmp/out
expect /tmp/out 'refused: -1: .*no IOMMU stands between'
hugepages 8
run vm_pci_probe "$bdf" unsafe open enable identify interrupts exclusive reset close open enable interrupts
