# SPDX-License-Identifier: BSD-3-Clause
#: about: a plain user who has the device file and too low a limit on locked memory is told what limit is needed, and the function stays free
#: kernel: 6.1 6.12 built
#: iommu: on
#: drive: hd0 size=16M serial=foo
#: needs: setup
#: programs: nvio tests/vm/programs/vm_pci_probe

bdf=$(nvme_bdf)
bind_vfio "$bdf"
as_user vm_pci_probe "$bdf" refused | tee /tmp/out
expect /tmp/out 'refused: -13: .*cannot open /dev/vfio/[a-z0-9/]+: Permission denied; run .sudo nvio setup bind'
chmod 666 "/dev/vfio/$(group_of "$bdf")" /dev/vfio/vfio
[ ! -c /dev/iommu ] || chmod 666 /dev/iommu /dev/vfio/devices/*
run vm_pci_probe "$bdf" memlock | tee /tmp/out
expect /tmp/out 'as expected: pci: (vfio|iommufd): [0-9a-f:.]+: cannot map 4194304 bytes: they count as locked memory, of which RLIMIT_MEMLOCK allows 1024 KiB and 4096 KiB are needed; run .ulimit -l 4096'
# What it says is understood.
run $(sed -n 's/.*`sudo \(nvio setup memlock [^`]*\)$USER`.*/\1user/p' /tmp/out)
run expect /etc/security/limits.d/90-nvio-user.conf '^user - memlock 4096$'
run vm_pci_probe "$bdf" open enable identify
