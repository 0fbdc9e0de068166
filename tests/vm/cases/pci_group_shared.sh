# SPDX-License-Identifier: BSD-3-Clause
#: about: a function whose group has one that the kernel uses is refused with that one's name; both can be taken by one environment
#: kernel: 6.1 6.12 built
#: iommu: on
#: drive: hd0 size=16M serial=foo1 addr=4.0 multifunction=on
#: drive: hd1 size=16M serial=foo2 addr=4.1
#: needs: setup
#: programs: nvio tests/vm/programs/vm_pci_probe

first=$(nvme_bdf 0)
second=$(nvme_bdf 1)
[ "$(group_of "$first")" = "$(group_of "$second")" ] || fail 'they are not in one group'
bind_kernel "$second"
bind_vfio "$first"
run vm_pci_probe "$first" refused | tee /tmp/out
expect /tmp/out "refused: -16: .*$second is in the same IOMMU group.*driver nvme has it.*nvio setup bind $first $second"
# What it says helps.
run $(sed -n 's/.*`sudo \(nvio setup [^`]*\)`.*/\1/p' /tmp/out)
run vm_pci_probe "$first" open enable "with $second" identify exclusive close
