# SPDX-License-Identifier: BSD-3-Clause
#: about: from attach to ready in less than 50 ms beyond the drive's own time
#: iommu: on
#: drive: hd0 size=16M
#: needs: pcie
#: programs: nvio tests/vm/programs/vm_ready
#: tag: asan

bdf=$(nvme_bdf)
bind_vfio "$bdf"
most=50
# A sanitizer makes everything many times slower, in a machine that is emulated anyway.
nvio version | grep -q 'asan' && most=1000
for i in 1 2 3 4 5 6 7 8; do
	run vm_ready "trtype:PCIe traddr:$bdf" "$most" && exit 0
	say "try $i was too slow; others may use this machine"
done
# Somebody else has the machine all the time. What is a defect and not a neighbour is much slower.
run vm_ready "trtype:PCIe traddr:$bdf" $((most * 6)) || fail "not ready in $((most * 6)) ms beyond the drive's own time"
say "the bar of $most ms was missed in eight tries on a busy machine"
