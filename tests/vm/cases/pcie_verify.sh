# SPDX-License-Identifier: BSD-3-Clause
#: about: verified I/O at several depths and sizes, on blocks of 512 and of 4096 bytes
#: iommu: on
#: drive: hd0 size=64M
#: drive: hd1 size=64M bs=4096
#: needs: pcie
#: programs: nvio
#: timeout: 90
#: tag: asan

for bdf in $(nvme_bdfs); do
	bind_vfio "$bdf"
	for how in '--qd 1 --bs 4k' '--qd 32 --bs 4k' '--qd 256 --bs 4k' '--qd 8 --bs 12k' '--qd 16 --bs 64k' '--qd 4 --bs 512k' '--qd 3 --bs 2M'; do
		# shellcheck disable=SC2086 # words
		run nvio perf "$bdf" --rw randrw --verify --size 8M --ios 300 $how
	done
done
