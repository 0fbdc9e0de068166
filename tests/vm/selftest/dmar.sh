# SPDX-License-Identifier: BSD-3-Clause
#: about: a drive that reads memory which the IOMMU does not map, and answers as if nothing were wrong
#: iommu: on
#: drive: hd0
#: allow: trace pci_nvme_err_
#: expect: ^dmesg: .*DMAR:.*fault

bdf=$(nvme_bdf)
module vfio-pci
bind "$bdf" vfio-pci
echo on >"$SYSPCI/$bdf/power/control"
enable_device "$bdf"
register "$bdf" 0x24 0x001f001f # AQA
register "$bdf" 0x28 0x10000000 # ASQ
register "$bdf" 0x2c 0
register "$bdf" 0x30 0x10001000 # ACQ
register "$bdf" 0x34 0
register "$bdf" 0x14 0x00460001 # CC: enabled, entries of 64 and 16 bytes
sleep 0.2
register "$bdf" 0x1000 1 # one command, wherever that is
sleep 0.5
