# SPDX-License-Identifier: BSD-3-Clause
#: about: the drive is told of the end (CC.SHN), and rings no doorbell for each I/O: at depth 32 at most one in eight
#: iommu: on
#: drive: hd0 size=16M
#: needs: pcie
#: programs: nvio
#: trace: pci_nvme_mmio_doorbell_* pci_nvme_mmio_shutdown_*
from lane.machine import Failure

IOS = 4000

GUEST = r'''
bdf=$(nvme_bdf)
bind_vfio "$bdf"
run nvio perf "$bdf" --rw randread --qd 32 --ios %d
''' % IOS


def after(vm):
    submissions, completions = vm.trace('doorbell_sq sqid [1-9]'), vm.trace('doorbell_cq cqid [1-9]')
    for what, count in (('submission', submissions), ('completion', completions)):
        if not 0 < count <= IOS / 8:
            raise Failure('%d %s doorbells for %d I/Os' % (count, what, IOS))
    if not vm.trace('mmio_shutdown_set'):
        raise Failure('the controller was not shut down')
