# SPDX-License-Identifier: BSD-3-Clause
#: about: a guest that calls fail
#: expect: ^guest: says so$

fail says so
