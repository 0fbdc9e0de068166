# SPDX-License-Identifier: BSD-3-Clause
#: about: a process that is killed in mid-I/O leaves a drive that the next one takes, and that has lost nothing
#: iommu: on
#: drive: hd0 size=32M
#: needs: pcie
#: programs: nvio
#: tag: asan

bdf=$(nvme_bdf)
bind_vfio "$bdf"
run nvio write "$bdf" -d /bin/busybox -s 32768
for i in 1 2 3 4 5 6; do
	nvio perf "$bdf" --rw randrw --verify --size 8M --qd 64 --time 60 >/dev/null 2>&1 &
	sleep 0.$((i + 2))
	run kill -9 $!
	wait $! || true
	run nvio compare "$bdf" -d /bin/busybox -s 32768
done
run nvio perf "$bdf" --rw randrw --verify --size 8M --ios 1000
