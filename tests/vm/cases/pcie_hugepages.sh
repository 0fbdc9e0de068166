# SPDX-License-Identifier: BSD-3-Clause
#: about: the same I/O with hugepages, with too few of them, and with none
#: iommu: on
#: memory: 384
#: drive: hd0 size=16M
#: needs: pcie
#: programs: nvio

bdf=$(nvme_bdf)
bind_vfio "$bdf"
for pages in 32 1 0; do
	hugepages $pages
	run nvio perf "$bdf" --rw randrw --verify --size 4M --bs 128k --qd 32 --ios 300
done
[ "$(sed -n 's/HugePages_Rsvd: *//p' /proc/meminfo)" = 0 ] || fail 'hugepages are still reserved'
