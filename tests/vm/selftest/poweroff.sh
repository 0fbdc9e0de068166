# SPDX-License-Identifier: BSD-3-Clause
#: about: a guest that ends without a verdict
#: expect: ^no verdict: QEMU ended with status 0$

poweroff -f
