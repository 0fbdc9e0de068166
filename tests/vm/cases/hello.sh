# SPDX-License-Identifier: BSD-3-Clause
#: about: a guest boots, and nvio runs in it: a software drive is written, read and compared
#: kernel: 6.1 6.12
#: programs: nvio
#: tag: asan

run nvio version
run nvio list 'loop:/tmp/disk.img?size=16M'
run nvio write loop:/tmp/disk.img -d /bin/busybox
run nvio compare loop:/tmp/disk.img -d /bin/busybox
run nvio perf loop:ram:16M --rw randrw --verify --qd 8 --ios 2000
