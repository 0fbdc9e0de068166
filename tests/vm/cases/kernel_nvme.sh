# SPDX-License-Identifier: BSD-3-Clause
#: about: the kernel's own driver finds QEMU's drive: serial "foo", capacity, and data that comes back
#: kernel: 6.1 6.12
#: drive: hd0 serial=foo size=32M
#: drive: hd1 size=16M bs=4096

bdf=$(nvme_bdf 0)
[ "$bdf" = 0000:00:04.0 ] || fail "the first drive is at $bdf"
bind_kernel "$bdf"
bind_kernel "$(nvme_bdf 1)"
name=$(kernel_name "$bdf")
[ "$(tr -d ' ' <"$SYSPCI/$bdf/nvme/$name/serial")" = foo ] || fail "the serial is $(cat "$SYSPCI/$bdf/nvme/$name/serial")"
wait_for 5 kernel_disk "$bdf"
disk=$(kernel_disk "$bdf")
[ "$(blockdev --getsize64 "$disk")" = 33554432 ] || fail "$disk has $(blockdev --getsize64 "$disk") bytes"
head -c 1048576 /bin/busybox >/tmp/data
run dd if=/tmp/data of="$disk" bs=64k conv=fsync
echo 3 >/proc/sys/vm/drop_caches
run cmp -n 1048576 /tmp/data "$disk"
wait_for 5 kernel_disk "$(nvme_bdf 1)"
other=$(kernel_disk "$(nvme_bdf 1)")
[ "$(blockdev --getss "$other")" = 4096 ] || fail "$other has blocks of $(blockdev --getss "$other")"
