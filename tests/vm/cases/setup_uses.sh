# SPDX-License-Identifier: BSD-3-Clause
#: about: what keeps a drive with the kernel: an open file, swap, a loop device, a mounted partition, one mounted out of sight
#: kernel: 6.1 6.12
#: iommu: on
#: drive: hd0 size=64M
#: needs: setup
#: modules: loop
#: programs: nvio
#: tag: asan

bdf=$(nvme_bdf)
bind_kernel "$bdf"
wait_for 5 kernel_disk "$bdf"
disk=$(kernel_disk "$bdf")
name=$(basename "$disk")

refused() { # PATTERN: by bind, which leaves the drive where it is
	run_fails 1 nvio setup bind "$bdf"
	run expect /tmp/out "$1"
	[ "$(driver_of "$bdf")" = nvme ] || fail "$bdf was taken away all the same"
}

sleep 60 <"$disk" &
holder=$!
refused "$name is open in process $holder"
kill $holder
wait $holder || true

run mkswap "$disk"
run swapon "$disk"
refused "$name is swap space"
run swapoff "$disk"

module loop
loop=$(losetup -f)
run losetup "$loop" "$disk"
refused "$name is part of $(basename "$loop")"
run losetup -d "$loop"

printf 'n\np\n1\n\n+16M\nn\np\n2\n\n+16M\nw\n' | fdisk "$disk" >/dev/null 2>&1
wait_for 5 test -b "${disk}p2"
run mke2fs "${disk}p2" >/dev/null
module ext4
run mount -t ext4 "${disk}p2" /mnt
refused "${name}p2 is mounted on /mnt"
# Seen by the kernel's claim alone, where nothing that is looked at tells of it: a mount namespace of another process.
run umount /mnt
unshare -m sh -c "mount -t ext4 ${disk}p2 /mnt && touch /tmp/mounted && sleep 60" &
holder=$!
wait_for 5 test -e /tmp/mounted
refused "$name.* is in use"
kill $holder
wait $holder || true
killall sleep 2>/dev/null || true
wait_for 5 nvio setup bind "$bdf"
[ "$(driver_of "$bdf")" = vfio-pci ] || fail "$bdf has driver $(driver_of "$bdf")"
run nvio setup unbind "$bdf"
wait_for 5 test -b "${disk}p2"
