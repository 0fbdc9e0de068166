# SPDX-License-Identifier: BSD-3-Clause
#: about: without an IOMMU a function is taken by uio_pci_generic when that is asked for, and only then; hugepages are its memory
#: kernel: 6.1 6.12 built
#: memory: 384
#: drive: hd0 size=16M serial=foo
#: programs: tests/vm/programs/vm_pci_probe

bdf=$(nvme_bdf)
bind_kernel "$bdf"
module uio_pci_generic
bind "$bdf" uio_pci_generic
run vm_pci_probe "$bdf" refused | tee /tmp/out
expect /tmp/out 'refused: -1: .*no IOMMU stands between.*unsafe_no_iommu'
hugepages 8
run vm_pci_probe "$bdf" unsafe open enable identify exclusive reset close open enable identify
bind_kernel "$bdf"
wait_for 5 kernel_disk "$bdf"
run dd if="$(kernel_disk "$bdf")" of=/dev/null bs=1M
