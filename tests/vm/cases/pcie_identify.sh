# SPDX-License-Identifier: BSD-3-Clause
#: about: QEMU's drive through VFIO: Identify's serial is "foo" (H10), its namespace, SMART, and a file in and out again
#: kernel: 6.1 6.12
#: iommu: on
#: drive: hd0 serial=foo size=32M
#: needs: pcie
#: programs: nvio
#: tag: asan

bdf=$(nvme_bdf)
bind_vfio "$bdf"
nvio id-ctrl "$bdf" >/tmp/id
run expect /tmp/id '^sn +: foo *$'
run nvio id-ctrl "trtype:PCIe traddr:$bdf"
nvio list "$bdf" >/tmp/list
run expect /tmp/list 'foo .*32.00 MiB +512'
run nvio smart-log "$bdf"
run nvio write "$bdf" -d /bin/busybox
run nvio compare "$bdf" -d /bin/busybox
run nvio read "$bdf" -d /tmp/copy -z "$(stat -c %s /bin/busybox)"
run cmp /bin/busybox /tmp/copy
