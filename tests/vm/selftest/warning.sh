# SPDX-License-Identifier: BSD-3-Clause
#: about: a kernel that complains while the case passes
#: expect: ^dmesg: .*BUG: what the lane looks for$

echo 'BUG: what the lane looks for' >/dev/kmsg
