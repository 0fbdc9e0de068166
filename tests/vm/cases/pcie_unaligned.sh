# SPDX-License-Identifier: BSD-3-Clause
#: about: the caller's own memory at every alignment, and PRP lists over many pages
#: iommu: on
#: drive: hd0 size=16M
#: drive: hd1 size=16M bs=4096
#: drive: hd2 size=16M mdts=3
#: needs: pcie
#: programs: nvio tests/vm/programs/vm_unaligned
#: timeout: 90
#: tag: asan

for bdf in $(nvme_bdfs); do
	bind_vfio "$bdf"
	run vm_unaligned "trtype:PCIe traddr:$bdf"
done
