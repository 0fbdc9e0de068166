# SPDX-License-Identifier: BSD-3-Clause
#: about: files for each start, the command of the rule as udev would run it, hugepages, memlock; and a reset that leaves nothing
#: iommu: on
#: memory: 320
#: drive: hd0 size=16M
#: needs: setup doctor
#: programs: nvio
#: tag: asan

bdf=$(nvme_bdf)
bind_kernel "$bdf"
echo >"$SYSPCI/$bdf/driver_override"
pages=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
before=$(cat $pages)
# Root is to run the program at each start: not one that the user could change.
mkdir /root/of_user
cp "$(command -v nvio)" /root/of_user/nvio
chown user /root/of_user
run_fails 1 /root/of_user/nvio setup bind "$bdf" --persistent
run expect /tmp/out 'not only root can change /root/of_user'
[ -z "$(find /etc -name '*nvio*')" ] || fail "written: $(find /etc -name '*nvio*')"
[ "$(driver_of "$bdf")" = nvme ] || fail "$bdf has driver $(driver_of "$bdf")"
run nvio setup bind "$bdf" --user user --persistent
rule=/etc/udev/rules.d/60-nvio-$bdf.rules
run expect "$rule" "^# Written by nvio setup"
run expect /etc/modules-load.d/nvio.conf '^vfio-pci$'

# The next start: the kernel's driver had the drive before udev came, which then runs the command of the rule.
rm -r /run/nvio
bind_kernel "$bdf"
line=$(sed -n 's/^RUN+="\(.*\)"$/\1/p' "$rule")
echo vfio-pci >"$SYSPCI/$bdf/driver_override"
# shellcheck disable=SC2086 # udev splits it at blanks as well
run $line
[ "$(driver_of "$bdf")" = vfio-pci ] || fail "$bdf has driver $(driver_of "$bdf")"
[ "$(stat -c %U "/dev/vfio/$(group_of "$bdf")")" = user ] || fail 'the user has not got it'

run nvio setup hugepages 16
[ "$(cat $pages)" = 16 ] || fail "$(cat $pages) hugepages"
# More than the machine has memory for.
run_fails 1 nvio setup hugepages 4096
run expect /tmp/out 'the kernel has made'
[ "$(cat $pages)" = 16 ] || fail "$(cat $pages) hugepages after one too many"
run nvio setup memlock 64M --user user
run expect /etc/security/limits.d/90-nvio-user.conf '^user - memlock 65536$'

run nvio setup reset
[ "$(driver_of "$bdf")" = nvme ] || fail "$bdf has driver $(driver_of "$bdf")"
[ "$(cat $pages)" = "$before" ] || fail "$(cat $pages) hugepages after the reset"
[ -z "$(find /etc -name '*nvio*')" ] || fail "left: $(find /etc -name '*nvio*')"
nvio setup reset | grep -q 'nothing to take back' || fail 'a second reset found something'
