# SPDX-License-Identifier: BSD-3-Clause
#: about: what cannot be handed to user space: no such function, one that is no drive, any without an IOMMU; each has its own words
#: drive: hd0 size=16M
#: needs: setup doctor
#: programs: nvio

bdf=$(nvme_bdf)
bind_kernel "$bdf"
run_fails 1 nvio setup bind 0000:7f:00.0
run expect /tmp/out '0000:7f:00.0.*no such'
run_fails 1 nvio setup bind 0000:00:00.0
run expect /tmp/out '0000:00:00.0.*(class|no NVMe|not an NVMe)'
run_fails 2 nvio setup bind nonsense
run_fails 1 nvio setup bind "$bdf"
run expect /tmp/out 'IOMMU'
[ "$(driver_of "$bdf")" = nvme ] || fail "the drive was not left as it was: its driver is \"$(driver_of "$bdf")\""
run_fails 1 nvio doctor "$bdf"
run expect /tmp/out 'intel_iommu=on|IOMMU'
