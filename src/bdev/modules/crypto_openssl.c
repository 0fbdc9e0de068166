/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * AES-XTS by OpenSSL: one context for each direction with the key in it, so that a block costs no more than its tweak and its rounds.
 *
 * libcrypto is loaded when the first device asks for it: it costs a millisecond, which is for those who encrypt, and nobody has to link with it,
 * statically or not. What is loaded is what the headers are of, and it stays for the process's life.
 */
#include <dlfcn.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "bdev/modules/crypto.h"

#define TWEAK 16

#define STR_OF(x) #x
#define STR(x)	  STR_OF(x)
#define LIBCRYPTO "libcrypto.so." STR(OPENSSL_SHLIB_VERSION)

#define FUNCTIONS(X)                                                                                                   \
	X(ERR_clear_error)                                                                                             \
	X(ERR_error_string_n)                                                                                          \
	X(ERR_get_error)                                                                                               \
	X(EVP_CIPHER_CTX_free)                                                                                         \
	X(EVP_CIPHER_CTX_new)                                                                                          \
	X(EVP_DecryptInit_ex)                                                                                          \
	X(EVP_DecryptUpdate)                                                                                           \
	X(EVP_EncryptInit_ex)                                                                                          \
	X(EVP_EncryptUpdate)                                                                                           \
	X(EVP_aes_128_xts)                                                                                             \
	X(EVP_aes_256_xts)

/* Written once, by load(). */
static struct {
#define MEMBER(name) __typeof__(name) *name;
	FUNCTIONS(MEMBER)
	char why_not[160]; /* empty: all are there */
} ssl;
static pthread_once_t loaded = PTHREAD_ONCE_INIT;

struct xts {
	EVP_CIPHER_CTX *encrypt, *decrypt;
};

static void load(void)
{
	static const char *const names[] = {
#define NAME(name) #name,
		FUNCTIONS(NAME)
	};
	void **const places[] = {
#define PLACE(name) (void **)&ssl.name,
		FUNCTIONS(PLACE)
	};
	void *lib = dlopen(LIBCRYPTO, RTLD_NOW | RTLD_LOCAL);
	const char *why;

	for (size_t i = 0; lib && i < ARRAY_SIZE(names); i++) {
		*places[i] = dlsym(lib, names[i]);
		if (!*places[i])
			lib = NULL;
	}
	if (lib)
		return;
	why = dlerror();
	strncpy(ssl.why_not, why ? why : LIBCRYPTO " is not to be had", sizeof(ssl.why_not) - 1);
}

int xts_check(void)
{
	pthread_once(&loaded, load);
	if (*ssl.why_not)
		return fail(-EOPNOTSUPP, "bdev: crypto: %s; install OpenSSL (libssl3)", ssl.why_not);
	return 0;
}

static COLD int refused(const char *what)
{
	unsigned long code = ssl.ERR_get_error();
	char why[160] = "no reason given";

	if (code)
		ssl.ERR_error_string_n(code, why, sizeof(why));
	ssl.ERR_clear_error();
	return fail(-EIO, "bdev: crypto: OpenSSL: %s: %s", what, why);
}

void xts_destroy(struct xts *x)
{
	if (!x)
		return;
	/* They wipe the keys. */
	ssl.EVP_CIPHER_CTX_free(x->encrypt);
	ssl.EVP_CIPHER_CTX_free(x->decrypt);
	alloc_free(x);
}

int xts_create(const uint8_t *key, size_t len, struct xts **out)
{
	const EVP_CIPHER *cipher = len == XTS_KEY_MAX ? ssl.EVP_aes_256_xts() : ssl.EVP_aes_128_xts();
	struct xts *x = alloc_zeroed(sizeof(*x));
	int rc = -ENOMEM;

	if (!x)
		return fail(-ENOMEM, "bdev: crypto: no memory for the cipher");
	x->encrypt = ssl.EVP_CIPHER_CTX_new();
	x->decrypt = ssl.EVP_CIPHER_CTX_new();
	if (!x->encrypt || !x->decrypt) {
		fail(rc, "bdev: crypto: no memory for the cipher");
		goto destroy;
	}
	if (ssl.EVP_EncryptInit_ex(x->encrypt, cipher, NULL, key, NULL) != 1 ||
		ssl.EVP_DecryptInit_ex(x->decrypt, cipher, NULL, key, NULL) != 1) {
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
	if (ssl.EVP_EncryptInit_ex(x->encrypt, NULL, NULL, NULL, tweak) != 1 ||
		ssl.EVP_EncryptUpdate(x->encrypt, to, &n, from, (int)len) != 1 || (size_t)n != len)
		return refused("a block was not encrypted");
	return 0;
}

int xts_decrypt(struct xts *x, uint64_t block, const void *from, void *to, size_t len)
{
	uint8_t tweak[TWEAK];
	int n = 0;

	tweak_of(block, tweak);
	if (ssl.EVP_DecryptInit_ex(x->decrypt, NULL, NULL, NULL, tweak) != 1 ||
		ssl.EVP_DecryptUpdate(x->decrypt, to, &n, from, (int)len) != 1 || (size_t)n != len)
		return refused("a block was not decrypted");
	return 0;
}

void xts_wipe(void *secret, size_t len)
{
	explicit_bzero(secret, len);
}
