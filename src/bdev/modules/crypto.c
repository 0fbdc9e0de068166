/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The crypto device: AES-XTS over any other device. A read goes down as it is and is decrypted where it has arrived; a write is encrypted
 * into pages of the channel's pool, which go down in its place. Write zeroes, compare and copy are left to the library: they become reads
 * and writes of this device.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/opts.h"
#include "bdev/bdev.h"
#include "bdev/modules/crypto.h"
#include "bdev/modules/modules.h"
#include <nvio/bdev_crypto.h>
#include <nvio/mem.h>

#define POOL_BYTES (4u << 20)   /* of ciphertext on its way down, per channel */
#define UNIT_MIN   (16u << 10)  /* what is taken of it at once; more for larger blocks */
#define MAX_IO	   (256u << 10) /* the library splits what is larger */
#define MAX_UNITS  (MAX_IO / UNIT_MIN)

/* A write on its way: the ciphertext, and what the caller's I/O looked like. */
struct crypto_write {
	struct iovec iov[MAX_UNITS]; /* first: io->iov leads here from below */
	struct crypto_write *next;   /* free */
	const struct iovec *plain;
	int32_t plain_cnt;
	uint32_t units;
};

struct crypto_bdev {
	struct nvio_env *env;	     /* immutable, as is all of it */
	struct nvio_bdev_base *base;
	struct nvio_bdev_desc *below;
	char *name;
	uint32_t block_size, unit;
	size_t key_len;
	uint8_t key[XTS_KEY_MAX];
};

struct crypto_channel {
	struct nvio_channel *below;
	struct xts *xts;
	uint8_t *pool;
	void **units;	   /* free ones, last in first out: those touched last are used first */
	uint32_t unit_count;
	struct crypto_write *writes, *free_write; /* as many as there are units */
	uint8_t *scratch;  /* a block whose pieces lie apart */
	bool starved;	   /* an I/O was sent back for want of units */
};

/* ---- blocks in iovecs ---- */

struct cursor {
	const struct iovec *iov;
	size_t at; /* in *iov */
};

static void skip_empty(struct cursor *c)
{
	while (c->at == c->iov->iov_len) {
		c->iov++;
		c->at = 0;
	}
}

/* The next `len` bytes where they are in one piece; NULL: they are not. */
static uint8_t *whole(struct cursor *c, size_t len)
{
	uint8_t *p;

	skip_empty(c);
	if (c->iov->iov_len - c->at < len)
		return NULL;
	p = (uint8_t *)c->iov->iov_base + c->at;
	c->at += len;
	return p;
}

static void gather(struct cursor *c, uint8_t *to, size_t len)
{
	while (len) {
		size_t n;

		skip_empty(c);
		n = MIN(c->iov->iov_len - c->at, len);
		memcpy(to, (const uint8_t *)c->iov->iov_base + c->at, n);
		c->at += n;
		to += n;
		len -= n;
	}
}

static void scatter(struct cursor *c, const uint8_t *from, size_t len)
{
	while (len) {
		size_t n;

		skip_empty(c);
		n = MIN(c->iov->iov_len - c->at, len);
		memcpy((uint8_t *)c->iov->iov_base + c->at, from, n);
		c->at += n;
		from += n;
		len -= n;
	}
}

static int decrypt(const struct crypto_bdev *d, struct crypto_channel *c, const struct nvio_bdev_io *io)
{
	struct cursor at = { .iov = io->iov };
	uint64_t block = io->offset / d->block_size;
	int rc = 0;

	for (uint64_t left = io->len; left && !rc; left -= d->block_size, block++) {
		struct cursor start = at;
		uint8_t *p = whole(&at, d->block_size);

		if (p) {
			rc = xts_decrypt(c->xts, block, p, p, d->block_size);
			continue;
		}
		gather(&at, c->scratch, d->block_size);
		rc = xts_decrypt(c->xts, block, c->scratch, c->scratch, d->block_size);
		scatter(&start, c->scratch, d->block_size);
	}
	return rc;
}

static int encrypt(const struct crypto_bdev *d, struct crypto_channel *c, const struct nvio_bdev_io *io, const struct crypto_write *w)
{
	struct cursor at = { .iov = io->iov }, to = { .iov = w->iov };
	uint64_t block = io->offset / d->block_size;
	int rc = 0;

	for (uint64_t left = io->len; left && !rc; left -= d->block_size, block++) {
		const uint8_t *p = whole(&at, d->block_size);

		if (!p) {
			gather(&at, c->scratch, d->block_size);
			p = c->scratch;
		}
		/* A unit is a whole number of blocks. */
		rc = xts_encrypt(c->xts, block, p, whole(&to, d->block_size), d->block_size);
	}
	return rc;
}

/* ---- I/O ---- */

static struct crypto_write *write_take(const struct crypto_bdev *d, struct crypto_channel *c, uint64_t len)
{
	uint32_t n = (uint32_t)DIV_ROUND_UP(len, d->unit);
	struct crypto_write *w = c->free_write;

	if (n > c->unit_count)
		return NULL;
	c->free_write = w->next;
	w->units = n;
	for (uint32_t i = 0; i < n; i++, len -= w->iov[i - 1].iov_len) {
		w->iov[i].iov_base = c->units[--c->unit_count];
		w->iov[i].iov_len = MIN(len, d->unit);
	}
	return w;
}

static void write_give_back(struct crypto_channel *c, struct crypto_write *w)
{
	for (uint32_t i = w->units; i > 0; i--)
		c->units[c->unit_count++] = w->iov[i - 1].iov_base;
	w->next = c->free_write;
	c->free_write = w;
}

static void plain_again(struct crypto_channel *c, struct nvio_bdev_io *io)
{
	struct crypto_write *w = (struct crypto_write *)(uintptr_t)io->iov;

	io->iov = w->plain;
	io->iovcnt = w->plain_cnt;
	write_give_back(c, w);
}

static int submit_write(const struct crypto_bdev *d, struct crypto_channel *c, struct nvio_bdev_io *io)
{
	struct crypto_write *w;
	int rc;

	/* The library sees to that. */
	invariant(io->len <= MAX_IO);
	w = write_take(d, c, io->len);
	if (!w) {
		c->starved = true;
		return -EAGAIN;
	}
	rc = encrypt(d, c, io, w);
	if (rc) {
		write_give_back(c, w);
		return rc;
	}
	w->plain = io->iov;
	w->plain_cnt = io->iovcnt;
	io->iov = w->iov;
	io->iovcnt = (int32_t)w->units;
	rc = nvio_bdev_io_forward(io, d->below, c->below, io->offset);
	if (rc)
		plain_again(c, io);
	return rc;
}

static int crypto_submit(void *device, void *channel, struct nvio_bdev_io *io)
{
	const struct crypto_bdev *d = device;
	struct crypto_channel *c = channel;

	if (io->type == NVIO_BDEV_IO_WRITE)
		return submit_write(d, c, io);
	return nvio_bdev_io_forward(io, d->below, c->below, io->offset);
}

static void crypto_forwarded(void *device, void *channel, struct nvio_bdev_io *io, int status)
{
	const struct crypto_bdev *d = device;
	struct crypto_channel *c = channel;

	if (io->type == NVIO_BDEV_IO_WRITE)
		plain_again(c, io);
	else if (io->type == NVIO_BDEV_IO_READ && !status)
		status = decrypt(d, c, io);
	bdev_io_done(io, status);
	if (unlikely(c->starved)) {
		c->starved = false;
		nvio_bdev_channel_ready(channel);
	}
}

/* ---- channels ---- */

static void channel_free(const struct crypto_bdev *d, struct crypto_channel *c)
{
	xts_destroy(c->xts);
	alloc_free(c->scratch);
	alloc_free(c->writes);
	alloc_free(c->units);
	if (c->pool)
		nvio_mem_free(d->env, c->pool);
}

/* Ciphertext lies in memory that devices can reach, whatever the caller's is. */
static int channel_alloc(const struct crypto_bdev *d, struct crypto_channel *c)
{
	uint32_t n = POOL_BYTES / d->unit;
	int rc = xts_create(d->key, d->key_len, &c->xts);

	if (rc)
		return rc;
	c->scratch = alloc_zeroed(d->block_size);
	c->units = alloc_array(n, sizeof(*c->units));
	c->writes = alloc_array(n, sizeof(*c->writes));
	if (!c->scratch || !c->units || !c->writes)
		return fail(-ENOMEM, "bdev: crypto: %s: no memory for a channel", d->name);
	c->pool = nvio_mem_alloc(d->env, POOL_BYTES, 0);
	if (!c->pool)
		return -ENOMEM;
	for (uint32_t i = n; i > 0; i--) {
		c->units[c->unit_count++] = c->pool + (size_t)(i - 1) * d->unit;
		c->writes[i - 1].next = c->free_write;
		c->free_write = &c->writes[i - 1];
	}
	return 0;
}

static int crypto_channel_create(void *device, void *channel, struct nvio_thread *thread)
{
	const struct crypto_bdev *d = device;
	struct crypto_channel *c = channel;
	int rc = channel_alloc(d, c);

	if (!rc)
		rc = nvio_bdev_channel(d->below, &c->below);
	if (rc)
		channel_free(d, c);
	return rc;
}

static void crypto_channel_destroy(void *device, void *channel)
{
	const struct crypto_bdev *d = device;
	struct crypto_channel *c = channel;

	nvio_channel_put(c->below);
	channel_free(d, c);
}

static void crypto_abort(void *device, void *channel)
{
	struct crypto_channel *c = channel;

	nvio_bdev_channel_abort(c->below);
}

/* ---- the device ---- */

/* As large as what is below, which may grow and shrink. */
static int crypto_resize(void *device, uint64_t num_blocks, bool busy)
{
	const struct crypto_bdev *d = device;

	if (num_blocks > nvio_bdev_num_blocks(nvio_bdev_base_bdev(d->base)))
		return fail(-ENOSPC, "bdev: crypto: resize: %s: the device below has fewer blocks; resize that one", d->name);
	return 0;
}

static void device_free(struct crypto_bdev *d)
{
	xts_wipe(d->key, sizeof(d->key));
	alloc_free(d->name);
	alloc_free(d);
}

static void crypto_destroy(void *device)
{
	struct crypto_bdev *d = device;

	nvio_bdev_base_close(d->base);
	device_free(d);
}

const struct nvio_bdev_module crypto_module = {
	.name = "crypto",
	.submit = crypto_submit,
	.forwarded = crypto_forwarded,
	.channel_create = crypto_channel_create,
	.channel_destroy = crypto_channel_destroy,
	.abort = crypto_abort,
	.resize = crypto_resize,
	.destroy = crypto_destroy,
};

static void base_resized(void *arg, uint64_t num_blocks)
{
	struct crypto_bdev *d = arg;

	/* It fails when this device is going away. */
	if (bdev_resize_of(d->env, d->name, d, num_blocks))
		fail_clear();
}

/* ---- making one ---- */

void nvio_bdev_crypto_opts_init(struct nvio_bdev_crypto_opts *opts)
{
	*opts = (struct nvio_bdev_crypto_opts){ .size = sizeof(*opts) };
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Messages never show any of it. */
static int key_from_hex(const char *hex, uint8_t *key, size_t *len)
{
	size_t digits = strlen(hex);

	if (digits != XTS_KEY_MAX * 2 && digits != XTS_KEY_MAX)
		return fail(-EINVAL, "bdev: crypto: the key has %zu hexadecimal digits; 128 for AES-256-XTS or 64 for AES-128-XTS", digits);
	for (size_t i = 0; i < digits; i += 2) {
		int high = hex_digit(hex[i]), low = hex_digit(hex[i + 1]);

		if (high < 0 || low < 0)
			return fail(-EINVAL, "bdev: crypto: the key is not hexadecimal at digit %zu", i + (high >= 0));
		key[i / 2] = (uint8_t)(high << 4 | low);
	}
	*len = digits / 2;
	return 0;
}

static int key_take(struct crypto_bdev *d, const struct nvio_bdev_crypto_opts *o)
{
	int rc = 0;

	if (!o->key == !o->key_hex)
		return fail(-EINVAL, "bdev: crypto: %s: give either key and key_len or key_hex", o->name);
	if (o->key_hex)
		rc = key_from_hex(o->key_hex, d->key, &d->key_len);
	else if (o->key_len != XTS_KEY_MAX && o->key_len != XTS_KEY_MAX / 2)
		rc = fail(-EINVAL, "bdev: crypto: %s: the key has %zu bytes; 64 for AES-256-XTS or 32 for AES-128-XTS", o->name, o->key_len);
	else
		memcpy(d->key, o->key, d->key_len = o->key_len);
	/* XTS is not secure with both the same (IEEE 1619, FIPS 140-3 IG C.I). */
	if (!rc && !memcmp(d->key, d->key + d->key_len / 2, d->key_len / 2))
		rc = fail(-EINVAL, "bdev: crypto: %s: the two halves of the key are the same; they must differ", o->name);
	return rc;
}

static int open_base(struct crypto_bdev *d, const struct nvio_bdev_crypto_opts *o)
{
	struct nvio_bdev_base_opts base;
	int rc;

	nvio_bdev_base_opts_init(&base);
	base.base = o->base;
	base.name = o->name;
	base.device = d;
	base.resized = base_resized;
	base.arg = d;
	rc = nvio_bdev_base_open(d->env, &base, &d->base);
	if (rc)
		return rc;
	d->below = nvio_bdev_base_desc(d->base);
	d->block_size = nvio_bdev_block_size(nvio_bdev_base_bdev(d->base));
	d->unit = MAX(UNIT_MIN, d->block_size);
	return 0;
}

/* What may go through as it is. The rest would show ciphertext, or put it in the wrong place. */
#define PASSED                                                                                                   \
	(NVIO_BDEV_CAN(NVIO_BDEV_IO_READ) | NVIO_BDEV_CAN(NVIO_BDEV_IO_WRITE) | NVIO_BDEV_CAN(NVIO_BDEV_IO_UNMAP) | \
		NVIO_BDEV_CAN(NVIO_BDEV_IO_FLUSH) | NVIO_BDEV_CAN(NVIO_BDEV_IO_RESET))

static int publish(struct crypto_bdev *d, const struct nvio_bdev_crypto_opts *o)
{
	struct nvio_bdev_params params;

	nvio_bdev_base_params(d->base, &params);
	params.module = &crypto_module;
	params.name = o->name;
	params.device = d;
	params.channel_size = sizeof(struct crypto_channel);
	params.io_types &= PASSED;
	params.max_io_bytes = MAX_IO;
	params.uuid = o->uuid;
	return nvio_bdev_register(d->env, &params);
}

int nvio_bdev_crypto_create(struct nvio_env *env, const struct nvio_bdev_crypto_opts *opts)
{
	struct nvio_bdev_crypto_opts o;
	struct crypto_bdev *d;
	int rc;

	if (!env || !opts)
		return fail(-EINVAL, "bdev: crypto: %s is NULL", env ? "the options" : "the environment");
	nvio_bdev_crypto_opts_init(&o);
	rc = opts_copy("nvio_bdev_crypto_opts", &o, sizeof(o), opts, sizeof(o));
	if (!rc)
		rc = bdev_name_check("create", o.name);
	if (!rc)
		rc = xts_check();
	if (rc)
		return rc;
	d = alloc_zeroed(sizeof(*d));
	if (!d)
		return fail(-ENOMEM, "bdev: crypto: no memory for the device");
	d->env = env;
	rc = key_take(d, &o);
	if (rc)
		goto free_device;
	d->name = alloc_strdup(o.name);
	rc = d->name ? open_base(d, &o) : fail(-ENOMEM, "bdev: crypto: no memory for the device");
	if (rc)
		goto free_device;
	rc = publish(d, &o);
	if (rc)
		goto close_base;
	return 0;

close_base:
	nvio_bdev_base_close(d->base);
free_device:
	device_free(d);
	return rc;
}
