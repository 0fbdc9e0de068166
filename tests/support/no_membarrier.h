/* SPDX-License-Identifier: BSD-3-Clause */
/* A process without membarrier: what it does on old kernels, and in sandboxes that refuse what they do not know. */
#ifndef SUPPORT_NO_MEMBARRIER_H
#define SUPPORT_NO_MEMBARRIER_H

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* To be called first of all with main's arguments: with "--no-membarrier" the kernel refuses it from here on. */
static inline void no_membarrier_if_asked(int argc, char **argv)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	if (argc < 2 || strcmp(argv[1], "--no-membarrier"))
		return;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
		printf("1..0 # SKIP no seccomp filters here: %s\n", strerror(errno));
		exit(77);
	}
}

#endif
