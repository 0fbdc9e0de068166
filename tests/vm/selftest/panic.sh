# SPDX-License-Identifier: BSD-3-Clause
#: about: a kernel that panics
#: expect: ^no verdict: QEMU ended with status 0.*serial: .*Kernel panic

echo c >/proc/sysrq-trigger
