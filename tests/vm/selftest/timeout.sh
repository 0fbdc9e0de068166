# SPDX-License-Identifier: BSD-3-Clause
#: about: a guest that hangs
#: timeout: 6
#: expect: ^timeout: no verdict in
sleep 1000
