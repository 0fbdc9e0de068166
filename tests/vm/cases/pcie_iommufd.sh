# SPDX-License-Identifier: BSD-3-Clause
#: about: drives by VFIO's character devices: verified I/O, sleep, two in one process, who has it, kill -9, and a user without privileges
#: kernel: built
#: iommu: on
#: drive: hd0 serial=foo size=16M
#: drive: hd1 serial=bar size=16M
#: drive: hd2 size=16M iops=200
#: needs: pcie setup
#: programs: nvio tests/vm/programs/vm_asleep tests/vm/programs/vm_unaligned
#: timeout: 120
#: tag: asan

bdf=$(nvme_bdf 0) other=$(nvme_bdf 1) slow=$(nvme_bdf 2)
trid="trtype:PCIe traddr:$bdf"
bind_vfio "$bdf"
bind_vfio "$other"
bind_vfio "$slow"
wait_for 5 test -c "/dev/vfio/devices/$(ls "$SYSPCI/$bdf/vfio-dev")"
# Both files are there: the character device is what is taken.
[ -c "/dev/vfio/$(group_of "$bdf")" ] || fail 'this kernel has no groups, so that there is no choice'
nvio list -o json >/tmp/list
run expect /tmp/list '"VfioPath": *"/dev/vfio/devices/vfio[0-9]+"'
nvio id-ctrl "$bdf" >/tmp/id
run expect /tmp/id '^sn +: foo *$'
run nvio perf "$bdf" --rw randrw --verify --size 4M --bs 128k --qd 32 --ios 300
# One process, two drives: what is registered is mapped for both.
run vm_unaligned "$trid" "trtype:PCIe traddr:$other"
run vm_asleep "trtype:PCIe traddr:$slow" 100 >/tmp/out
[ "$(sed -n 's/.*slept \([0-9]*\) times/\1/p' /tmp/out)" -ge 50 ] || fail "hardly a read was slept for: $(cat /tmp/out)"

# A second process is told who has it; then that one is killed in mid-I/O.
for i in 1 2 3; do
	nvio perf "$bdf" --rw randrw --verify --size 4M --qd 64 --time 60 >/dev/null 2>&1 &
	sleep 1.$i
	run_fails 1 nvio id-ctrl "$bdf"
	run expect /tmp/out "$bdf.*process [0-9]+ \(nvio\) has it"
	run kill -9 $!
	wait $! || true
	run nvio perf "$bdf" --rw randrw --verify --size 4M --ios 300
done

# Who has no right to the files is told what gives it; who was given them needs no more.
run_fails 1 as_user nvio id-ctrl "$bdf"
run expect /tmp/out 'cannot open /dev/.*Permission denied; run .sudo nvio setup bind'
bind_kernel "$bdf"
ulimit -l 65536
run nvio setup bind "$bdf" --user user
[ "$(stat -c %U "/dev/vfio/devices/$(ls "$SYSPCI/$bdf/vfio-dev")")" = user ] || fail 'the character device is not the user'"'"'s'
run as_user nvio perf "$bdf" --rw randrw --verify --ios 500
# Whose process it is cannot be seen by every user; that it is one can.
nvio perf "$bdf" --rw randread --time 60 >/dev/null 2>&1 &
sleep 1
run_fails 1 as_user nvio id-ctrl "$bdf"
run expect /tmp/out "$bdf: another process has it; .sudo fuser -v /dev/vfio/devices/vfio"
kill -9 $!
wait $! || true

# Where there is no /dev/iommu, as in a container that was not given it, it goes by the group.
mv /dev/iommu /dev/iommu-away
nvio list -o json >/tmp/list
run expect /tmp/list '"VfioPath": *"/dev/vfio/[0-9]+"'
run nvio perf "$bdf" --rw randrw --verify --ios 300
# Who has it by the group has it, too.
nvio perf "$bdf" --rw randread --time 60 >/dev/null 2>&1 &
sleep 1
mv /dev/iommu-away /dev/iommu
run_fails 1 nvio id-ctrl "$bdf"
run expect /tmp/out "$bdf: process $! \(nvio\) has it"
kill -9 $!
wait $! || true
run nvio setup reset
[ "$(driver_of "$bdf")" = nvme ] || fail "after the reset $bdf has driver $(driver_of "$bdf")"
