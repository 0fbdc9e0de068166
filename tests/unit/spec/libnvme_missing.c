/* SPDX-License-Identifier: BSD-3-Clause */
/* Stands in for libnvme.c where libnvme's header is not installed: skipped, and says why. */
#include <stdio.h>

int main(void)
{
	puts("skipped: no libnvme to compare with (Debian: apt install libnvme-dev)");
	return 77;
}
