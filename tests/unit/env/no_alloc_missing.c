/* SPDX-License-Identifier: BSD-3-Clause */
/* Stands in for no_alloc.c where the allocator cannot be counted: skipped, and says why. */
#include <stdio.h>

int main(void)
{
	puts("skipped: the allocator is a sanitizer's, or not the GNU C library's, and cannot be counted");
	return 77;
}
