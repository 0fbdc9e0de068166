# SPDX-License-Identifier: BSD-3-Clause
#: about: a virtual function (SR-IOV) through VFIO, beside its physical one that the kernel keeps
#: kernel: 6.1
#: iommu: on
#: hotplug: 1
#: drive: hd0 serial=whole size=16M port=rp0 vfs=2
#: needs: pcie
#: programs: nvio tests/vm/programs/vm_vf_online
#: modules: nvme

physical=$(nvme_bdf)
bind_kernel "$physical"
echo 0 >"$SYSPCI/$physical/sriov_drivers_autoprobe"
run sh -c "echo 1 >$SYSPCI/$physical/sriov_numvfs"
virtual=$(basename "$(readlink -f "$SYSPCI/$physical/virtfn0")")
run vm_vf_online "/dev/$(kernel_name "$physical")" 1
bind_vfio "$virtual"
nvio id-ctrl "$virtual" >/tmp/id
run expect /tmp/id '^sn +: whole *$'
run nvio perf "$virtual" --rw randrw --verify --size 4M --ios 1000
[ "$(driver_of "$physical")" = nvme ] || fail 'the kernel lost the physical function'
