# SPDX-License-Identifier: BSD-3-Clause
#: about: the report of a sanitizer, of a program whose status nobody looks at
#: expect: ^serial: .*AddressSanitizer: heap-use-after-free

sh -c 'echo "==12==ERROR: AddressSanitizer: heap-use-after-free on address 0x1"; exit 1' || true
