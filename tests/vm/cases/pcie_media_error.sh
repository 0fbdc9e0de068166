# SPDX-License-Identifier: BSD-3-Clause
#: about: a block that cannot be read, and one that cannot be written, are told with their status; all others are as before
#: iommu: on
#: drive: hd0 size=16M fail=read@1000,write@2000
#: needs: pcie
#: programs: nvio
#: allow: trace pci_nvme_err_(aio|req_status)
#: tag: asan

bdf=$(nvme_bdf)
bind_vfio "$bdf"
run nvio write "$bdf" -s 992 -c 8 -d /bin/busybox
run nvio read "$bdf" -s 992 -c 8 -d /tmp/copy
run_fails 1 nvio read "$bdf" -s 1000 -c 1 -d /tmp/copy
run expect /tmp/out '[Uu]nrecovered [Rr]ead|2/81|0x281'
run_fails 1 nvio write "$bdf" -s 2000 -c 1 -d /bin/busybox
run expect /tmp/out '[Ww]rite [Ff]ault|2/80|0x280'
run nvio read "$bdf" -s 1001 -c 512 -d /tmp/copy
run nvio error-log "$bdf"
