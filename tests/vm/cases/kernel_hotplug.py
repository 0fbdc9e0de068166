# SPDX-License-Identifier: BSD-3-Clause
#: about: a drive comes and goes by QMP while the guest runs, under the kernel's own driver
#: kernel: 6.1 6.12
#: hotplug: 1
#: drive: hd0 serial=late size=16M port=rp0 later=yes

GUEST = r'''
module nvme
for i in 1 2 3; do
	host plug
	wait_for 10 nvme_bdf 0
	bdf=$(nvme_bdf)
	wait_for 10 kernel_disk "$bdf"
	run dd if="$(kernel_disk "$bdf")" of=/dev/null bs=64k count=16
	host unplug
	[ -z "$(nvme_bdfs)" ] || fail 'the drive is still there'
done
'''


def on_plug(vm):
    vm.plug('hd0')


def on_unplug(vm):
    vm.unplug('hd0')
