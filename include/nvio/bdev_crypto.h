/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Encryption as a block device: what is written to it arrives at the device below as AES-XTS ciphertext (IEEE 1619), and is decrypted when
 * it is read. The data unit is the block, the tweak its number (16 bytes, little-endian). With 512-byte blocks that is what Linux
 * dm-crypt calls aes-xts-plain64, with larger ones the same with sector_size and iv_large_sectors.
 */
#ifndef NVIO_BDEV_CRYPTO_H
#define NVIO_BDEV_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

#include <nvio/compiler.h>

NVIO_BEGIN_DECLS

struct nvio_env;

struct nvio_bdev_crypto_opts {
	size_t size;
	const char *name; /* as all of nvio/bdev_devices.h */
	const char *base; /* the device below: its name, alias or uuid; it is claimed */
	const void *key;  /* two keys of the same length one after the other, which must differ; copied, and wiped in the end */
	size_t key_len;   /* bytes of both: 64 for AES-256, 32 for AES-128 */
	const char *key_hex; /* instead of the two: 128 or 64 hexadecimal digits */
	const uint8_t *uuid;
};

NVIO_EXPORT void nvio_bdev_crypto_opts_init(struct nvio_bdev_crypto_opts *opts);

/*
 * Makes one. Writes are encrypted into memory of its own (4 MiB per channel): the caller's buffers stay as they are. Blocks that were
 * unmapped, or never written, read as noise. NVMe commands do not go through. 0; -EOPNOTSUPP this build has no OpenSSL ('nvio version'
 * tells); -EINVAL a bad key or option; -ENODEV no such base; -EPERM, -EBUSY it is claimed, or open for writing elsewhere; -EEXIST; -ENOMEM.
 * Thread: a current nvio_thread is needed, which hears the base's events.
 */
NVIO_EXPORT int nvio_bdev_crypto_create(struct nvio_env *env, const struct nvio_bdev_crypto_opts *opts);

NVIO_END_DECLS

#endif
