# SPDX-License-Identifier: BSD-3-Clause
#: about: drives as cases ask for them: bad blocks, a throttle, several namespaces, a virtual function; seen by the kernel's own driver
#: hotplug: 1
#: drive: bad size=16M fail=read@1000
#: drive: slow size=16M iops=20
#: drive: many
#: namespace: many nsid=2 size=8M bs=4096
#: namespace: many nsid=3 size=4M
#: drive: whole size=16M port=rp0 vfs=2
#: programs: tests/vm/programs/vm_vf_online
#: allow: trace pci_nvme_err_(aio|req_status)

# In the order of their slots.
bad=$(nvme_bdf 0) slow=$(nvme_bdf 1) many=$(nvme_bdf 2) whole=$(nvme_bdf 3)
module nvme
for bdf in $bad $slow $many $whole; do
	bind_kernel "$bdf"
done
for bdf in $bad $slow $whole; do
	wait_for 5 kernel_disk "$bdf"
done
run dd if="$(kernel_disk "$bad")" of=/dev/null bs=512 skip=1008 count=8 iflag=direct
run_fails 1 dd if="$(kernel_disk "$bad")" of=/dev/null bs=512 skip=1000 count=1 iflag=direct

begin=$(cut -d. -f1 /proc/uptime)
run dd if="$(kernel_disk "$slow")" of=/dev/null bs=4096 count=60 iflag=direct
[ $(($(cut -d. -f1 /proc/uptime) - begin)) -ge 1 ] || fail 'the throttle does nothing'

wait_for 5 kernel_disk "$many" 2
wait_for 5 kernel_disk "$many" 3
[ "$(blockdev --getss "$(kernel_disk "$many" 2)")" = 4096 ] || fail 'namespace 2 has other blocks'
[ "$(blockdev --getsize64 "$(kernel_disk "$many" 3)")" = 4194304 ] || fail 'namespace 3 has another size'

echo 0 >"$SYSPCI/$whole/sriov_drivers_autoprobe"
run sh -c "echo 1 >$SYSPCI/$whole/sriov_numvfs"
virtual=$(basename "$(readlink -f "$SYSPCI/$whole/virtfn0")")
run vm_vf_online "/dev/$(kernel_name "$whole")" 1
bind_kernel "$virtual"
wait_for 5 kernel_disk "$virtual"
run dd if="$(kernel_disk "$virtual")" of=/dev/null bs=64k count=16
