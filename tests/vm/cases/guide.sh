# SPDX-License-Identifier: BSD-3-Clause
#: about: docs/guide.md, command by command: from a drive that the kernel has to verified I/O without root, and back
#: kernel: 6.1 6.12
#: iommu: on
#: drive: hd0 serial=spare size=80M
#: needs: pcie setup doctor
#: programs: nvio

bdf=$(nvme_bdf)
bind_kernel "$bdf"
wait_for 5 kernel_disk "$bdf"
# 1: look
nvio setup status >/tmp/out
run expect /tmp/out "^$bdf .*kernel.*serial spare"
run as_user nvio setup status
run as_user nvio doctor || :
# 2: hand it over
run nvio setup bind "$bdf" --user user --dry-run
[ "$(driver_of "$bdf")" = nvme ] || fail 'a dry run has done it'
run nvio setup bind "$bdf" --user user
run nvio setup memlock 1G --user user
ulimit -l 1048576 # as the next login has it by PAM, which is not in this machine
# 3: check
run as_user nvio doctor "$bdf"
as_user nvio id-ctrl "$bdf" >/tmp/out
run expect /tmp/out spare
# 4: read, write, verify
run as_user nvio perf "$bdf" --rw randread -t 1
run as_user nvio perf "$bdf" --rw randrw --verify --size 64M --ios 2000
cd /tmp
head -c 100001 /dev/urandom >photo.jpg
chmod 644 photo.jpg
run as_user "nvio write $bdf -d photo.jpg && nvio compare $bdf -d photo.jpg"
# 5: give it back
run nvio setup unbind "$bdf"
cmp -n 100001 photo.jpg "$(kernel_disk "$bdf")" || fail 'the kernel reads something else'
run nvio setup reset
[ "$(driver_of "$bdf")" = nvme ] || fail "after the reset $bdf has driver $(driver_of "$bdf")"
[ -z "$(find /etc -name '*nvio*')" ] || fail "left: $(find /etc -name '*nvio*')"
