# SPDX-License-Identifier: BSD-3-Clause
#: about: a function is taken through its VFIO group: registers, DMA, interrupts, reset, and nobody else gets it meanwhile
#: kernel: 6.1 6.12
#: iommu: on
#: drive: hd0 size=16M serial=foo
#: programs: tests/vm/programs/vm_pci_probe

bdf=$(nvme_bdf)
bind_kernel "$bdf"
run vm_pci_probe "$bdf" refused | tee /tmp/out
expect /tmp/out 'refused: -16: .*kernel.s driver has it .nvme as nvme0.*nvio setup bind'
bind "$bdf" ''
run vm_pci_probe "$bdf" refused | tee /tmp/out
expect /tmp/out 'refused: -16: .*no driver for user space'
bind_vfio "$bdf"
run vm_pci_probe "$bdf" open enable identify interrupts memory exclusive reset close open enable interrupts
bind_kernel "$bdf"
wait_for 5 kernel_disk "$bdf"
run dd if="$(kernel_disk "$bdf")" of=/dev/null bs=1M
