# SPDX-License-Identifier: BSD-3-Clause
#: about: two functions of two groups share an address space in one environment, and each has memory, DMA and interrupts of its own
#: kernel: 6.1 6.12 built
#: iommu: on
#: drive: hd0 size=16M serial=foo
#: drive: hd1 size=16M serial=foo
#: programs: tests/vm/programs/vm_pci_probe

first=$(nvme_bdf 0)
second=$(nvme_bdf 1)
bind_vfio "$first"
bind_vfio "$second"
run vm_pci_probe "$first" open enable "with $second" identify interrupts memory close | tee /tmp/out
