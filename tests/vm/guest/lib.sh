# SPDX-License-Identifier: BSD-3-Clause
# What cases are written with. A case is a shell script under "set -eu"; see docs/testing-vm.md.

SYSPCI=/sys/bus/pci/devices

fail() { # MESSAGE...: ends the case, also out of $(...)
	echo "vm: FAIL: $*" >&2
	exit 99
}

skip() { # REASON...: ends the case
	echo "vm: SKIP: $*" >&2
	exit 77
}

say() { echo "vm: $*"; }

run() { # COMMAND...: says what it runs; a failure ends the case
	last=$*
	echo "$ $*"
	"$@"
}

run_fails() { # STATUS COMMAND...: the command has to end with that status; what it prints goes to /tmp/out as well
	local want=$1 rc=0
	shift
	last=$*
	echo "$ $*"
	"$@" >/tmp/out 2>&1 || rc=$?
	cat /tmp/out
	[ "$rc" = "$want" ] || fail "\"$*\" ended with $rc instead of $want"
}

expect() { # FILE PATTERN: the file has a line that matches the extended regular expression
	grep -Eq -e "$2" "$1" || {
		cat "$1"
		fail "nothing in $1 matches: $2"
	}
}

wait_for() { # SECONDS COMMAND...: until it succeeds
	local tries=$(($1 * 20))
	shift
	# In a shell of its own, so that a function may fail() there.
	until ("$@") >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || fail "waited in vain for: $*"
		sleep 0.05
	done
}

module() { # NAME... By kmod, not the shell's own modprobe, which knows no softdep: vfio needs vfio_iommu_type1 by one.
	local m
	for m; do
		[ -d "/sys/module/$(echo "$m" | tr - _)" ] || run /sbin/modprobe "$m"
	done
}

nvme_bdfs() { # all NVMe functions, in the order of their addresses
	local d
	for d in "$SYSPCI"/*; do
		[ ! -e "$d/class" ] || [ "$(cat "$d/class")" != 0x010802 ] || basename "$d"
	done
}

nvme_bdf() { # [N]: the N-th NVMe function, from 0
	local bdf
	bdf=$(nvme_bdfs | sed -n "$((${1:-0} + 1))p")
	[ -n "$bdf" ] || fail "there is no NVMe function ${1:-0}"
	echo "$bdf"
}

driver_of() { # BDF
	[ ! -e "$SYSPCI/$1/driver" ] || basename "$(readlink -f "$SYSPCI/$1/driver")"
}

group_of() { # BDF
	basename "$(readlink -f "$SYSPCI/$1/iommu_group")"
}

bind() { # BDF DRIVER: away from whatever has it; an empty DRIVER leaves it without one
	[ ! -e "$SYSPCI/$1/driver" ] || echo "$1" >"$SYSPCI/$1/driver/unbind"
	echo "$2" >"$SYSPCI/$1/driver_override"
	[ -z "$2" ] || echo "$1" >/sys/bus/pci/drivers_probe
	[ "$(driver_of "$1")" = "$2" ] || fail "$1 has driver \"$(driver_of "$1")\" instead of \"$2\""
}

bind_vfio() { # BDF
	module vfio-pci
	module vfio_iommu_type1
	bind "$1" vfio-pci
	wait_for 5 test -c "/dev/vfio/$(group_of "$1")"
	say "$1 is /dev/vfio/$(group_of "$1")"
}

bind_kernel() { # BDF: to the kernel's driver, and waits for its controller
	module nvme
	bind "$1" nvme
	wait_for 10 kernel_name "$1"
}

kernel_name() { # BDF: the controller of the kernel's driver, as "nvme0"
	ls "$SYSPCI/$1/nvme" 2>/dev/null | grep .
}

kernel_disk() { # BDF [NSID]: its block device, as "/dev/nvme0n1"; by the identifier, as the number in the name need not be it
	local disk
	for disk in "$SYSPCI/$1"/nvme/nvme*/nvme*n*; do
		[ -e "$disk/nsid" ] && [ "$(cat "$disk/nsid")" = "${2:-1}" ] && [ -b "/dev/$(basename "$disk")" ] || continue
		echo "/dev/$(basename "$disk")"
		return 0
	done
	return 1
}

register() { # BDF OFFSET [VALUE]: reads, or writes, 32 bits of BAR 0. Not while a kernel driver has the function.
	local bar
	read -r bar _ <"$SYSPCI/$1/resource"
	devmem $((bar + $2)) 32 ${3:+"$3"}
}

enable_device() { # BDF: memory space and bus master
	printf '\006' | dd of="$SYSPCI/$1/config" bs=1 seek=4 count=1 conv=notrunc 2>/dev/null
}

hugepages() { # N pages of 2 MiB
	echo "$1" >/proc/sys/vm/nr_hugepages
	[ "$(cat /proc/sys/vm/nr_hugepages)" = "$1" ] || fail "the guest gave only $(cat /proc/sys/vm/nr_hugepages) hugepages"
}

as_user() { # COMMAND...: as "user", who has no privilege; the words must not need quotes
	su -s /bin/sh user -c "PATH=$PATH; $*"
}

host() { # WORDS...: asks the host part of the case, and waits for its answer, which it prints
	local answer
	echo "@host $*" >&2
	read -r answer
	case $answer in
	ok*) echo "${answer#ok }" ;;
	*) fail "host: $*: $answer" ;;
	esac
}
