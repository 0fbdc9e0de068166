# SPDX-License-Identifier: BSD-3-Clause
#: about: 50 times, half on each kernel, a drive is pulled out at a random moment of verified I/O: the process ends with words, and the next drive works
#: kernel: 6.1 6.12
#: iommu: on
#: hotplug: 1
#: drive: hd0 size=16M port=rp0 later=yes
#: needs: pcie
#: programs: nvio
#: timeout: 200
#: allow: trace pci_nvme_err_(cfs|addr_read|addr_write|req_status|startfail)
import random
import time

from lane.machine import Failure

TIMES = 25

GUEST = r'''
module vfio-pci
gone() { [ -z "$(nvme_bdfs)" ]; }
i=0
while [ $i -lt %d ]; do
	i=$((i + 1))
	host plug
	wait_for 10 nvme_bdf 0
	bdf=$(nvme_bdf)
	bind "$bdf" vfio-pci
	nvio perf "$bdf" --rw randrw --verify --size 4M --time 60 >/tmp/out 2>&1 &
	pid=$!
	host pull >/dev/null
	rc=0
	wait $pid || rc=$?
	[ $rc = 1 ] || { cat /tmp/out; fail "time $i: nvio ended with $rc instead of 1"; }
	# While it was not open yet, opening says what it met.
	grep -Eq "gone|removed|No such device|pci: $bdf: " /tmp/out || { cat /tmp/out; fail "time $i: it does not say that the drive is gone"; }
	host settled >/dev/null
	wait_for 10 gone
	say "time $i: $(tail -n 1 /tmp/out)"
done
''' % TIMES


def before(vm):
    vm.random = random.Random(1)


def on_plug(vm):
    vm.plug('hd0')


def on_pull(vm):
    time.sleep(vm.random.uniform(0, 0.6))
    vm.command_qmp('device_del', id='hd0')


def on_settled(vm):
    if vm.wait_event('DEVICE_DELETED', within=6, device='hd0'):
        return
    # QEMU does not always tell of a removal; and a request that comes while the slot is being powered up can be lost.
    try:
        vm.command_qmp('device_del', id='hd0')
    except Failure as error:
        if 'not found' in str(error):
            return
        raise
    vm.wait_event('DEVICE_DELETED', device='hd0')
