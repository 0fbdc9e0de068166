# SPDX-License-Identifier: BSD-3-Clause
#: about: a drive without an IOMMU, by VFIO's no-IOMMU mode and by uio_pci_generic: refused unless asked for, then verified I/O by hugepages
#: kernel: built
#: memory: 384
#: drive: hd0 size=16M serial=foo
#: needs: pcie
#: programs: nvio tests/vm/programs/vm_no_iommu
#: tag: asan

bdf=$(nvme_bdf)
trid="trtype:PCIe traddr:$bdf"
hugepages 16
echo Y >/sys/module/vfio/parameters/enable_unsafe_noiommu_mode
for driver in vfio-pci uio_pci_generic; do
	bind "$bdf" $driver
	[ $driver = uio_pci_generic ] || wait_for 5 test -c "/dev/vfio/noiommu-$(group_of "$bdf")"
	run_fails 1 vm_no_iommu "$trid" safe
	run expect /tmp/out 'no IOMMU stands between it and .*, or set unsafe_no_iommu'
	# nvio's programs never take the risk.
	run_fails 1 nvio id-ctrl "$bdf"
	run expect /tmp/out 'no IOMMU stands between it and'
	run vm_no_iommu "$trid" >/tmp/out
	run expect /tmp/out '10 rounds of 32 at once: all as written'
	run expect /tmp/out 'refused, as it should be: .*hugepage'
	nvio list >/tmp/list
	run expect /tmp/list "$bdf"
done
bind_kernel "$bdf"
wait_for 5 kernel_disk "$bdf"
run dd if="$(kernel_disk "$bdf")" of=/dev/null bs=1M
