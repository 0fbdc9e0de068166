# SPDX-License-Identifier: BSD-3-Clause
#: about: after `nvio setup bind --user` one drive serves a user without privileges; `nvio setup reset` takes it all back
#: kernel: 6.1 6.12 built
#: iommu: on
#: drive: hd0 size=16M
#: drive: hd1 size=16M
#: needs: pcie setup doctor
#: programs: nvio
#: tag: asan

bdf=$(nvme_bdf 0) other=$(nvme_bdf 1)
bind_kernel "$bdf"
bind_kernel "$other"
ulimit -l 65536
run nvio setup bind "$bdf" --user user
[ "$(driver_of "$bdf")" = vfio-pci ] || fail "$bdf has driver $(driver_of "$bdf")"
[ "$(driver_of "$other")" = nvme ] || fail "$other has driver $(driver_of "$other")"
run as_user nvio doctor "$bdf"
run as_user nvio perf "$bdf" --rw randrw --verify --ios 1000
as_user nvio list >/tmp/list
run expect /tmp/list "$bdf"
run nvio setup reset
[ "$(driver_of "$bdf")" = nvme ] || fail "after the reset $bdf has driver $(driver_of "$bdf")"
wait_for 5 kernel_disk "$bdf"
[ "$(stat -c %u /dev/vfio/vfio)" = 0 ] || fail '/dev/vfio/vfio is not root'"'"'s'
