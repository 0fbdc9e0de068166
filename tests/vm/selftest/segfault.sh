# SPDX-License-Identifier: BSD-3-Clause
#: about: a program that dies by a signal, of which nobody looks at the status
#: expect: ^dmesg: .*segfault at

# Made here, as nothing at hand crashes: an ELF program of two instructions, xor %eax,%eax and a load from there.
printf '\177ELF\002\001\001\0\0\0\0\0\0\0\0\0\002\0\076\0\001\0\0\0\170\0\100\0\0\0\0\0\100\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0' >/tmp/crash
printf '\0\0\0\0\100\0\070\0\001\0\0\0\0\0\0\0\001\0\0\0\005\0\0\0\0\0\0\0\0\0\0\0\0\0\100\0\0\0\0\0' >>/tmp/crash
printf '\0\0\100\0\0\0\0\0\174\0\0\0\0\0\0\0\174\0\0\0\0\0\0\0\0\020\0\0\0\0\0\0\061\300\213\000' >>/tmp/crash
chmod +x /tmp/crash
/tmp/crash || true
