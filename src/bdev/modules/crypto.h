/* SPDX-License-Identifier: BSD-3-Clause */
/* The cipher, as the crypto module sees it: crypto_openssl.c, or crypto_none.c where the library is built without OpenSSL. */
#ifndef BDEV_MODULES_CRYPTO_H
#define BDEV_MODULES_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

#define XTS_KEY_MAX 64 /* bytes, of both keys */

struct xts;

/* Whether there is one in this build. 0; -EOPNOTSUPP with words. */
int xts_check(void);

/* For one thread. `key` is 32 or 64 bytes. 0; -ENOMEM; -EOPNOTSUPP; -EIO the cipher refuses, with its words. */
int xts_create(const uint8_t *key, size_t len, struct xts **xts);
void xts_destroy(struct xts *xts); /* wipes; NULL is allowed */

/* Block number `block`, of `len` bytes; from and to are the same or do not overlap. 0; -EIO. */
int xts_encrypt(struct xts *xts, uint64_t block, const void *from, void *to, size_t len);
int xts_decrypt(struct xts *xts, uint64_t block, const void *from, void *to, size_t len);

/* Overwrites it, whatever the compiler thinks of that. */
void xts_wipe(void *secret, size_t len);

#endif
