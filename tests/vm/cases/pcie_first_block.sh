# SPDX-License-Identifier: BSD-3-Clause
#: about: S1's end-to-end example: 0xAB at block 0, of the drive that NVME_PCI_ADDR names
#: iommu: on
#: drive: hd0 size=16M
#: drive: hd1 size=16M bs=4096
#: needs: pcie
#: programs: nvio tests/vm/programs/vm_first_block
#: tag: asan

for bdf in $(nvme_bdfs); do
	bind_vfio "$bdf"
	NVME_PCI_ADDR=$bdf run vm_first_block
done
# What the kernel reads is what was written.
bind_kernel "$bdf"
wait_for 5 kernel_disk "$bdf"
[ "$(dd if="$(kernel_disk "$bdf")" bs=4096 count=1 2>/dev/null | tr -d '\253' | wc -c)" = 0 ] || fail 'the kernel reads something else'
