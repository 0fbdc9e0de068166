# SPDX-License-Identifier: BSD-3-Clause
#: about: two processes on two drives at once; two on one drive: the second is told that it is in use, and the first goes on
#: iommu: on
#: cpus: 2
#: drive: hd0 size=16M
#: drive: hd1 size=16M
#: needs: pcie
#: programs: nvio

a=$(nvme_bdf 0) b=$(nvme_bdf 1)
bind_vfio "$a"
bind_vfio "$b"
nvio perf "$a" -v --rw randrw --verify --time 8 >/tmp/a 2>&1 &
first=$!
wait_for 20 grep -q -- '-> ready' /tmp/a
run_fails 1 nvio id-ctrl "$a"
run expect /tmp/out "$a.*process [0-9]+ \(nvio\) has it"
run nvio perf "$b" --rw randrw --verify --time 2
kill -0 "$first" || fail 'the first one ended before the second: they were not at it at once'
run wait "$first"
tail /tmp/a
