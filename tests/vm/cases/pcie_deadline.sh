# SPDX-License-Identifier: BSD-3-Clause
#: about: a drive far too slow for its deadline: the command fails in time, the drive is reset, and serves the next one
#: iommu: on
#: drive: hd0 size=16M iops=4
#: needs: pcie
#: programs: nvio
#: timeout: 90
#: allow: trace pci_nvme_err_req_status

bdf=$(nvme_bdf)
bind_vfio "$bdf"
begin=$(cut -d. -f1 /proc/uptime)
run_fails 1 nvio read "$bdf" --qd 32 --timeout 500 -c 20000 -d /tmp/copy
run expect /tmp/out '[Tt]imed out|deadline|[Aa]bort'
end=$(cut -d. -f1 /proc/uptime)
[ $((end - begin)) -lt 30 ] || fail "it took $((end - begin)) s"
run nvio read "$bdf" -c 1 -d /tmp/copy --timeout 20000
run nvio id-ctrl "$bdf"
