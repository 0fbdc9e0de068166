# SPDX-License-Identifier: BSD-3-Clause
#: about: a command of the guest that fails
#: expect: ^guest: status 3; the last "run" was: sh -c exit 3$

run sh -c 'exit 3'
