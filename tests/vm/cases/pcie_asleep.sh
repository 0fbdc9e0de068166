# SPDX-License-Identifier: BSD-3-Clause
#: about: reads that are slept for: each queue's own interrupt wakes
#: kernel: 6.1 6.12
#: iommu: on
#: drive: hd0 size=16M iops=200
#: needs: pcie
#: programs: nvio tests/vm/programs/vm_asleep
#: tag: asan

bdf=$(nvme_bdf)
bind_vfio "$bdf"
run vm_asleep "trtype:PCIe traddr:$bdf" 100 >/tmp/out
cat /tmp/out
[ "$(sed -n 's/.*slept \([0-9]*\) times/\1/p' /tmp/out)" -ge 50 ] || fail 'hardly a read was slept for'
