# SPDX-License-Identifier: BSD-3-Clause
#: about: several namespaces, each with its own size and blocks; compare, write-zeroes and deallocate touch only theirs
#: iommu: on
#: drive: hd0 serial=many
#: namespace: hd0 nsid=1 size=8M
#: namespace: hd0 nsid=2 size=16M bs=4096
#: namespace: hd0 nsid=5 size=4M
#: needs: pcie
#: programs: nvio
#: allow: trace pci_nvme_err_req_status .* status 0x4?285
#: tag: asan

bdf=$(nvme_bdf)
bind_vfio "$bdf"
nvio list-ns "$bdf" >/tmp/ns
for nsid in 1 2 5; do
	run expect /tmp/ns "(0x)?$nsid *\$"
done
for nsid in 1 2 5; do
	head -c 524288 /bin/busybox | sed "s/ELF/EL$nsid/" >/tmp/data$nsid
	run nvio write "$bdf" -n $nsid -d /tmp/data$nsid
done
for nsid in 1 2 5; do
	run nvio compare "$bdf" -n $nsid -d /tmp/data$nsid
done
run_fails 3 nvio compare "$bdf" -n 1 -d /tmp/data2
run nvio write-zeroes "$bdf" -n 2 -s 0 -c 4
run nvio read "$bdf" -n 2 -d /tmp/zeroes -c 4
[ "$(tr -d '\000' </tmp/zeroes | wc -c)" = 0 ] || fail 'write-zeroes left something'
run nvio compare "$bdf" -n 1 -d /tmp/data1
run nvio dsm "$bdf" -n 5 --ad -s 0,64 -b 8,16
run nvio compare "$bdf" -n 1 -d /tmp/data1
run_fails 1 nvio read "$bdf" -n 3 -c 1 -d /tmp/none
