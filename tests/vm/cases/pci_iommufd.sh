# SPDX-License-Identifier: BSD-3-Clause
#: about: with /dev/iommu a function is taken through its character device: registers, DMA, interrupts, reset, two in one address space
#: kernel: built
#: iommu: on
#: drive: hd0 size=16M serial=foo
#: drive: hd1 size=16M serial=foo
#: programs: tests/vm/programs/vm_pci_probe

first=$(nvme_bdf 0)
second=$(nvme_bdf 1)
bind_vfio "$first"
bind_vfio "$second"
run vm_pci_probe "$first" open enable identify interrupts memory "with $second" exclusive reset close open enable interrupts 2>&1 | tee /tmp/out
expect /tmp/out 'taken .vfio device.'
chmod 666 /dev/iommu /dev/vfio/devices/*
run vm_pci_probe "$first" memlock | tee /tmp/out
run vm_pci_probe "$first" open enable identify
bind_kernel "$first"
wait_for 5 kernel_disk "$first"
run dd if="$(kernel_disk "$first")" of=/dev/null bs=1M
