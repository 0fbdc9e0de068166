/* SPDX-License-Identifier: BSD-3-Clause */
/* Stands in for crypto_openssl.c where the library is built without OpenSSL. */
#include <errno.h>
#include <string.h>

#include "base/fail.h"
#include "bdev/modules/crypto.h"

int xts_check(void)
{
	return fail(-EOPNOTSUPP, "bdev: crypto: this build has no OpenSSL; install libssl-dev and build it again");
}

/* Where the check fails nothing else is called. */
int xts_create(const uint8_t *key, size_t len, struct xts **xts)
{
	return xts_check();
}

void xts_destroy(struct xts *xts)
{
}

int xts_encrypt(struct xts *xts, uint64_t block, const void *from, void *to, size_t len)
{
	return xts_check();
}

int xts_decrypt(struct xts *xts, uint64_t block, const void *from, void *to, size_t len)
{
	return xts_check();
}

void xts_wipe(void *secret, size_t len)
{
	explicit_bzero(secret, len);
}
