/* SPDX-License-Identifier: BSD-3-Clause */
/* The barest switch there is between two stacks: what the ABI asks of a function, and nothing else. */
#ifndef BENCH_CO_FLOOR_H
#define BENCH_CO_FLOOR_H

#include <stdint.h>

/* `n` switches: half of them to the other stack, half of them back. */
void co_floor_switch(uint64_t n);

#endif
