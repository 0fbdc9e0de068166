# SPDX-License-Identifier: BSD-3-Clause
#: about: what cannot be opened: no such function, one that is no drive, one that the kernel has; each has its own words
#: iommu: on
#: drive: hd0 size=16M
#: needs: pcie
#: programs: nvio

bdf=$(nvme_bdf)
bind_kernel "$bdf"
run_fails 1 nvio id-ctrl 0000:7f:00.0
run expect /tmp/out '0000:7f:00.0'
run_fails 1 nvio id-ctrl 0000:00:00.0
run expect /tmp/out '0000:00:00.0'
run_fails 1 nvio id-ctrl "$bdf"
run expect /tmp/out "$bdf.*nvio setup bind"
[ "$(driver_of "$bdf")" = nvme ] || fail "the drive was not left as it was: its driver is \"$(driver_of "$bdf")\""
bind "$bdf" ''
run_fails 1 nvio id-ctrl "$bdf"
run expect /tmp/out "$bdf.*nvio setup bind"
# Not for everybody.
bind_vfio "$bdf"
run_fails 1 as_user nvio id-ctrl "$bdf"
run expect /tmp/out 'Permission denied.*nvio setup bind'
# With all rights on the group, but nearly no memory to lock.
chmod 666 "/dev/vfio/$(group_of "$bdf")" /dev/vfio/vfio
ulimit -l 16
run_fails 1 as_user nvio perf "$bdf" --ios 10
run expect /tmp/out 'RLIMIT_MEMLOCK|memlock|ulimit -l'
