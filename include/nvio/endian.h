/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Little-endian integers as they lie on the wire and in DMA memory. They are byte arrays, so they have no
 * alignment and structs made of them have no padding, and they cannot be used as numbers by mistake. The
 * conversions compile to one load or store on a little-endian machine.
 */
#ifndef NVIO_ENDIAN_H
#define NVIO_ENDIAN_H

#include <stdint.h>

#include <nvio/compiler.h>
#include <nvio/libc.h>

NVIO_BEGIN_DECLS

typedef struct { uint8_t b[2]; } nvio_le16;
typedef struct { uint8_t b[4]; } nvio_le32;
typedef struct { uint8_t b[8]; } nvio_le64;
typedef struct { uint8_t b[16]; } nvio_le128;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define NVIO_LE_SWAP(bits, v) (v)
#else
#define NVIO_LE_SWAP(bits, v) __builtin_bswap##bits(v)
#endif

#define NVIO_LE_FUNCTIONS(bits)                                            \
	static inline uint##bits##_t nvio_get_le##bits(nvio_le##bits x)    \
	{                                                                  \
		uint##bits##_t v;                                          \
		memcpy(&v, &x, sizeof(v));                                 \
		return NVIO_LE_SWAP(bits, v);                              \
	}                                                                  \
	static inline nvio_le##bits nvio_to_le##bits(uint##bits##_t v)     \
	{                                                                  \
		nvio_le##bits x;                                           \
		v = NVIO_LE_SWAP(bits, v);                                 \
		memcpy(&x, &v, sizeof(x));                                 \
		return x;                                                  \
	}

NVIO_LE_FUNCTIONS(16)
NVIO_LE_FUNCTIONS(32)
NVIO_LE_FUNCTIONS(64)

/* The low 64 bits of a 128-bit counter; *overflow (may be NULL) is 1 when the high half is not 0. */
static inline uint64_t nvio_get_le128_low(nvio_le128 x, int *overflow)
{
	uint64_t lo, hi;

	memcpy(&lo, x.b, 8);
	memcpy(&hi, x.b + 8, 8);
	if (overflow)
		*overflow = hi != 0;
	return NVIO_LE_SWAP(64, lo);
}

static inline nvio_le128 nvio_to_le128(uint64_t v)
{
	nvio_le128 x;

	memset(&x, 0, sizeof(x));
	v = NVIO_LE_SWAP(64, v);
	memcpy(x.b, &v, 8);
	return x;
}

NVIO_END_DECLS

#endif
