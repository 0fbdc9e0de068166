# SPDX-License-Identifier: BSD-3-Clause
#: about: a doorbell of a queue that is not there, which only QEMU sees
#: drive: hd0
#: expect: ^device: pci_nvme_ub_db_wr_invalid_sq

bdf=$(nvme_bdf)
enable_device "$bdf"
register "$bdf" 0x1048 1 # queue 9: the firmware has left queue 1 behind
