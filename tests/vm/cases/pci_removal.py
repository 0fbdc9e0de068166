# SPDX-License-Identifier: BSD-3-Clause
#: about: a function that is pulled out is told of by its descriptor, reading its registers does not kill, and the bus gets it back when it is closed
#: kernel: 6.1 6.12 built
#: iommu: on
#: hotplug: 1
#: drive: hd0 serial=foo size=16M port=rp0 later=yes
#: programs: tests/vm/programs/vm_pci_probe

GUEST = r'''
for i in 1 2 3 4 5; do
	host plug
	wait_for 10 nvme_bdf 0
	bdf=$(nvme_bdf)
	bind_vfio "$bdf"
	rm -f /tmp/out
	vm_pci_probe "$bdf" open enable identify interrupts removal >/tmp/out 2>&1 &
	probe=$!
	wait_for 20 grep -q 'pull it out' /tmp/out
	host unplug
	wait $probe || fail "the probe ended with $?: $(cat /tmp/out)"
	cat /tmp/out
	expect /tmp/out 'gone; its version now reads as'
	wait_for 20 gone
done
'''.replace('for i in', 'gone() { [ -z "$(nvme_bdfs)" ]; }\nfor i in', 1)


def on_plug(vm):
    vm.plug('hd0')


def on_unplug(vm):
    vm.unplug('hd0')
