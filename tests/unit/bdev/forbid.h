/* SPDX-License-Identifier: BSD-3-Clause */
/* System calls that fail on demand, in a child of the test: seccomp is for good. */
#ifndef TEST_BDEV_FORBID_H
#define TEST_BDEV_FORBID_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/compiler.h"

#define EXIT_SKIP 77

static MAYBE_UNUSED void forbid_install(struct sock_filter *filter, unsigned short count)
{
	struct sock_fprog prog = { count, filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		_exit(EXIT_SKIP);
}

/* From here on, in all threads to come, the call answers `err`. */
static MAYBE_UNUSED void forbid_call(unsigned nr, int err)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	forbid_install(filter, ARRAY_SIZE(filter));
}

/* io_uring_enter(2) answers `err` when it is to take exactly one entry, and works for more. */
static MAYBE_UNUSED void forbid_lone_entries(int err)
{
	unsigned low_half = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0;
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_enter, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			(unsigned)offsetof(struct seccomp_data, args[1]) + low_half),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	forbid_install(filter, ARRAY_SIZE(filter));
}

#endif
