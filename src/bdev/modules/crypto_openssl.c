/* SPDX-License-Identifier: BSD-3-Clause */
/* AES-XTS by OpenSSL: one context for each direction with the key in it, so that a block costs no more than its tweak and its rounds. */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "bdev/modules/crypto.h"

#define TWEAK 16

struct xts {
	EVP_CIPHER_CTX *encrypt, *decrypt;
};

int xts_check(void)
{
	return 0;
}

static COLD int refused(const char *what)
{
	unsigned long code = ERR_get_error();
	char why[160] = "no reason given";

	if (code)
		ERR_error_string_n(code, why, sizeof(why));
	ERR_clear_error();
	return fail(-EIO, "bdev: crypto: OpenSSL: %s: %s", what, why);
}

void xts_destroy(struct xts *x)
{
	if (!x)
		return;
	/* They wipe the keys. */
	EVP_CIPHER_CTX_free(x->encrypt);
	EVP_CIPHER_CTX_free(x->decrypt);
	alloc_free(x);
}

int xts_create(const uint8_t *key, size_t len, struct xts **out)
{
	const EVP_CIPHER *cipher = len == XTS_KEY_MAX ? EVP_aes_256_xts() : EVP_aes_128_xts();
	struct xts *x = alloc_zeroed(sizeof(*x));
	int rc = -ENOMEM;

	if (!x)
		return fail(-ENOMEM, "bdev: crypto: no memory for the cipher");
	x->encrypt = EVP_CIPHER_CTX_new();
	x->decrypt = EVP_CIPHER_CTX_new();
	if (!x->encrypt || !x->decrypt) {
		fail(rc, "bdev: crypto: no memory for the cipher");
		goto destroy;
	}
	if (EVP_EncryptInit_ex(x->encrypt, cipher, NULL, key, NULL) != 1 ||
		EVP_DecryptInit_ex(x->decrypt, cipher, NULL, key, NULL) != 1) {
		rc = refused("the key was not taken");
		goto destroy;
	}
	*out = x;
	return 0;

destroy:
	xts_destroy(x);
	return rc;
}

static void tweak_of(uint64_t block, uint8_t tweak[TWEAK])
{
	for (unsigned i = 0; i < TWEAK; i++)
		tweak[i] = i < 8 ? (uint8_t)(block >> 8 * i) : 0;
}

int xts_encrypt(struct xts *x, uint64_t block, const void *from, void *to, size_t len)
{
	uint8_t tweak[TWEAK];
	int n = 0;

	tweak_of(block, tweak);
	if (EVP_EncryptInit_ex(x->encrypt, NULL, NULL, NULL, tweak) != 1 ||
		EVP_EncryptUpdate(x->encrypt, to, &n, from, (int)len) != 1 || (size_t)n != len)
		return refused("a block was not encrypted");
	return 0;
}

int xts_decrypt(struct xts *x, uint64_t block, const void *from, void *to, size_t len)
{
	uint8_t tweak[TWEAK];
	int n = 0;

	tweak_of(block, tweak);
	if (EVP_DecryptInit_ex(x->decrypt, NULL, NULL, NULL, tweak) != 1 ||
		EVP_DecryptUpdate(x->decrypt, to, &n, from, (int)len) != 1 || (size_t)n != len)
		return refused("a block was not decrypted");
	return 0;
}

void xts_wipe(void *secret, size_t len)
{
	OPENSSL_cleanse(secret, len);
}
