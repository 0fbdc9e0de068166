/* SPDX-License-Identifier: BSD-3-Clause */
/* Encryption as a device: known answers, memory of every shape, what other operations become, bounds, removal from below. B4. */
#include "support.h"

#include "base/alloc.h"
#include <nvio/bdev_crypto.h>
#include <nvio/version.h>

#define BLOCK  512u
#define BLOCKS 16384u

/* IEEE 1619-2018 annex B: e and pi. */
#define E32  "2718281828459045235360287471352662497757247093699959574966967627"
#define PI32 "3141592653589793238462643383279502884197169399375105820974944592"
#define E16  "27182818284590452353602874713526"
#define PI16 "31415926535897932384626433832795"
#define KEY  E32 PI32

static const char vector10[] =
	"1c3b3a102f770386e4836c99e370cf9bea00803f5e482357a4ae12d414a3e63b5d31e276f8fe4a8d66b317f9ac683f44"
	"680a86ac35adfc3345befecb4bb188fd5776926c49a3095eb108fd1098baec70aaa66999a72a82f27d848b21d4a741b0"
	"c5cd4d5fff9dac89aeba122961d03a757123e9870f8acf1000020887891429ca2a3e7a7d7df7b10355165c8b9a6d0a7d"
	"e8b062c4500dc4cd120c0f7418dae3d0b5781c34803fa75421c790dfe1de1834f280d7667b327f6c8cd7557e12ac3a0f"
	"93ec05c52e0493ef31a12d3d9260f79a289d6a379bc70c50841473d1a8cc81ec583e9645e07b8d9670655ba5bbcfecc6"
	"dc3966380ad8fecb17b6ba02469a020a84e18e8f84252070c13e9f1f289be54fbc481457778f616015e1327a02b140f1"
	"505eb309326d68378f8374595c849d84f4c333ec4423885143cb47bd71c5edae9be69a2ffeceb1bec9de244fbe15992b"
	"11b77c040f12bd8f6a975a44a0f90c29a9abc3d4d893927284c58754cce294529f8614dcd2aba991925fedc4ae74ffac"
	"6e333b93eb4aff0479da9a410e4450e0dd7ae4c6e2910900575da401fc07059f645e8b7e9bfdef33943054ff84011493"
	"c27b3429eaedb4ed5376441a77ed43851ad77f16f541dfd269d50d6a5f14fb0aab1cbb4c1550be97f7ab4066193c4caa"
	"773dad38014bd2092fa755c824bb5e54c4f36ffda9fcea70b9c6e693e148c151";

/* A data unit of 512 bytes that counts up from 0, by its number; the beginning of what it becomes. */
static const struct vector {
	const char *name, *key;
	uint64_t block;
	const char *cipher;
} vectors[] = {
	{ "vector 4", E16 PI16, 0, "27a7479befa1d476489f308cd4cfa6e2a96e4bbe3208ff25287dd3819616e89c" },
	{ "vector 10", KEY, 0xff, vector10 },
	{ "vector 11", KEY, 0xffff, "77a31251618a15e6b92d1d66dffe7b50b50bad552305ba0217a610688eff7e11" },
	{ "vector 12", KEY, 0xffffff, "e387aaa58ba483afa7e8eb469778317ecf4cf573aa9d4eac23f2cdf914e4e200" },
};

static bool have_openssl(void)
{
	for (const struct nvio_feature *f = nvio_features(); f->name; f++)
		if (!strcmp(f->name, "openssl"))
			return f->built_in;
	return false;
}

static int make_crypto(struct fixture *f, const char *name, const char *base, const char *key)
{
	struct nvio_bdev_crypto_opts o;

	nvio_bdev_crypto_opts_init(&o);
	o.name = name;
	o.base = base;
	o.key_hex = key;
	return nvio_bdev_crypto_create(f->env, &o);
}

static void from_hex(const char *hex, unsigned char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(sscanf(hex + 2 * i, "%2hhx", &bytes[i]), 1);
}

static void count_up(unsigned char *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (unsigned char)i;
}

/* The bytes below are those of the standard, and so of dm-crypt's aes-xts-plain64, whose tweak is the sector's number, too. */
static void ciphertext_is_that_of_the_standard(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		const struct vector *v = &vectors[i];
		unsigned char plain[512], seen[512], want[512];
		size_t len = strlen(v->cipher) / 2;
		struct disk top, bottom;

		make_malloc(f, "m", 512, v->block + 1);
		assert_ok(make_crypto(f, "c", "m", v->key));
		top = disk_open(f, "c", NVIO_BDEV_WRITE);
		bottom = disk_open(f, "m", NVIO_BDEV_READ);
		count_up(plain, sizeof(plain));
		from_hex(v->cipher, want, len);
		assert_ok(do_write(&top, plain, v->block * 512, 512));
		assert_ok(do_read(&bottom, seen, v->block * 512, 512));
		assert_memory_equal(seen, want, len);
		/* The caller's buffer is as it was, and so is what is read. */
		for (unsigned k = 0; k < 512; k++)
			assert_int_equal(plain[k], k & 0xff);
		assert_ok(do_read(&top, seen, v->block * 512, 512));
		assert_memory_equal(seen, plain, 512);
		disk_close(&top);
		disk_close(&bottom);
		delete_device(f, "c");
		delete_device(f, "m");
	}
}

static uint64_t seed = 88172645463325252ull;

static uint32_t draw(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed % below);
}

/* Cuts [buf, buf + len) into pieces that may be empty, with a gap after each. Returns how many. */
static int cut(unsigned char *buf, size_t len, struct iovec *iov, int max)
{
	int n = 0;

	while (len) {
		size_t piece = n == max - 1 ? len : draw(3) ? draw(1500) : 0;

		iov[n].iov_base = buf;
		iov[n].iov_len = MIN(piece, len);
		buf += iov[n].iov_len + draw(64);
		len -= iov[n++].iov_len;
	}
	return n;
}

static void put(const struct iovec *iov, int n, const unsigned char *from)
{
	for (int i = 0; i < n; from += iov[i++].iov_len)
		memcpy(iov[i].iov_base, from, iov[i].iov_len);
}

static void assert_got(const struct iovec *iov, int n, const unsigned char *want)
{
	for (int i = 0; i < n; want += iov[i++].iov_len)
		assert_memory_equal(iov[i].iov_base, want, iov[i].iov_len);
}

/* Blocks that straddle iovecs at any byte, at random places, against a plain model. */
static void memory_of_every_shape_comes_back(void **state)
{
	static unsigned char model[BLOCKS * BLOCK], data[256 << 10], room[(256 << 10) + 64 * 512], before[sizeof(room)];
	static const uint32_t blocks[] = { 512, 4096, 65536 };
	struct fixture *f = *state;

	for (size_t b = 0; b < ARRAY_SIZE(blocks); b++) {
		struct disk top;

		make_malloc(f, "m", blocks[b], sizeof(model) / blocks[b]);
		assert_ok(make_crypto(f, "c", "m", KEY));
		top = disk_open(f, "c", NVIO_BDEV_WRITE);
		for (size_t at = 0; at < sizeof(model); at += sizeof(data)) {
			memset(model + at, (int)(at >> 18), sizeof(data));
			assert_ok(do_write(&top, model + at, at, sizeof(data)));
		}
		for (unsigned round = 0; round < 300; round++) {
			uint64_t len = (1 + draw(sizeof(data) / blocks[b])) * blocks[b];
			uint64_t offset = draw((uint32_t)((sizeof(model) - len) / blocks[b] + 1)) * (uint64_t)blocks[b];
			struct nvio_op op = NVIO_OP(NULL);
			struct iovec iov[512];
			int n = cut(room, len, iov, ARRAY_SIZE(iov));

			if (draw(2)) {
				for (size_t i = 0; i < len; i++)
					data[i] = (unsigned char)draw(256);
				put(iov, n, data);
				memcpy(before, room, sizeof(room));
				assert_ok(nvio_await(nvio_bdev_writev(top.desc, top.ch, iov, n, offset, len, &op), &op));
				assert_memory_equal(before, room, sizeof(room));
				memcpy(model + offset, data, len);
			} else {
				assert_ok(nvio_await(nvio_bdev_readv(top.desc, top.ch, iov, n, offset, len, &op), &op));
				assert_got(iov, n, model + offset);
			}
		}
		disk_close(&top);
		delete_device(f, "c");
		delete_device(f, "m");
	}
}

/* Zeros are read back as zeros, and are not zeros below; what was unmapped may be anything. */
static void operations_without_data_mean_the_same(void **state)
{
	static unsigned char buf[64 << 10];
	struct fixture *f = *state;
	struct nvio_op op = NVIO_OP(NULL);
	struct disk top, bottom;

	make_malloc(f, "m", BLOCK, BLOCKS);
	assert_ok(make_crypto(f, "c", "m", KEY));
	top = disk_open(f, "c", NVIO_BDEV_WRITE);
	bottom = disk_open(f, "m", NVIO_BDEV_READ);
	memset(buf, 0xaa, sizeof(buf));
	assert_ok(do_write(&top, buf, 0, sizeof(buf)));
	assert_ok(nvio_await(nvio_bdev_write_zeroes(top.desc, top.ch, 512, 32768, &op), &op));
	assert_ok(do_read(&top, buf, 0, sizeof(buf)));
	assert_true(all_bytes_are(buf, 0xaa, 512));
	assert_true(all_bytes_are(buf + 512, 0, 32768));
	assert_true(all_bytes_are(buf + 33280, 0xaa, sizeof(buf) - 33280));
	assert_ok(do_read(&bottom, buf, 512, 512));
	assert_false(all_bytes_are(buf, 0, 512));
	assert_ok(nvio_await(nvio_bdev_unmap(top.desc, top.ch, 0, 32768, &op), &op));
	assert_ok(do_read(&bottom, buf, 0, 32768));
	assert_true(all_bytes_are(buf, 0, 32768));
	assert_ok(do_read(&top, buf, 0, 32768));
	assert_ok(nvio_await(nvio_bdev_flush(top.desc, top.ch, &op), &op));
	disk_close(&top);
	disk_close(&bottom);
}

/* More than the pool holds waits for its turn; each write ends once and with its own data. */
static void more_writes_than_the_pool_holds_wait(void **state)
{
	enum { COUNT = 64, LEN = 128 << 10 }; /* 8 MiB; the pool has 4 */
	static unsigned char buf[COUNT][LEN];
	static struct nvio_op ops[COUNT];
	struct fixture *f = *state;
	struct nvio_bdev_file_opts o;
	struct disk top;
	char path[128];

	/* A file: its writes do not end within submit. */
	snprintf(path, sizeof(path), "%s/image", f->dir);
	nvio_bdev_file_opts_init(&o);
	o.name = "file";
	o.path = path;
	o.num_blocks = COUNT * LEN / BLOCK;
	o.create = true;
	assert_ok(nvio_bdev_file_create(f->env, &o));
	assert_ok(make_crypto(f, "c", "file", KEY));
	assert_ok(make_crypto(f, "cc", "c", E16 PI16));
	top = disk_open(f, "cc", NVIO_BDEV_WRITE);
	for (unsigned i = 0; i < COUNT; i++) {
		memset(buf[i], (int)i + 1, LEN);
		ops[i] = (struct nvio_op)NVIO_OP(NULL);
		assert_ok(nvio_bdev_write(top.desc, top.ch, buf[i], (uint64_t)i * LEN, LEN, &ops[i]));
	}
	for (unsigned i = 0; i < COUNT; i++)
		assert_ok(nvio_wait(&ops[i]));
	for (unsigned i = 0; i < COUNT; i++) {
		assert_true(all_bytes_are(buf[i], (unsigned char)(i + 1), LEN));
		memset(buf[i], 0, LEN);
		assert_ok(do_read(&top, buf[i], (uint64_t)i * LEN, LEN));
		assert_true(all_bytes_are(buf[i], (unsigned char)(i + 1), LEN));
	}
	disk_close(&top);
}

static void errors_from_below_come_through(void **state)
{
	static unsigned char buf[4096];
	struct fixture *f = *state;
	struct nvio_op op = NVIO_OP(NULL);
	struct disk top;

	make_malloc(f, "m", BLOCK, BLOCKS);
	assert_ok(make_crypto(f, "c", "m", KEY));
	top = disk_open(f, "c", NVIO_BDEV_WRITE);
	assert_ok(do_write(&top, buf, (BLOCKS - 8) * BLOCK, 4096));
	assert_ok(nvio_bdev_resize(f->env, "m", BLOCKS / 2));
	/* Before the event has arrived above. */
	assert_int_equal(do_write(&top, buf, (BLOCKS - 8) * BLOCK, 4096), -ERANGE);
	assert_true(all_bytes_are(buf, 0, sizeof(buf)));
	while (nvio_bdev_num_blocks(top.bdev) != BLOCKS / 2)
		nvio_thread_poll(f->thread, 0);
	assert_ok(nvio_bdev_delete(f->env, "m", &op));
	assert_int_equal(do_write(&top, buf, 0, 4096), -ENODEV);
	assert_int_equal(do_read(&top, buf, 0, 4096), -ENODEV);
	disk_close(&top);
	assert_ok(nvio_wait(&op));
}

static void a_read_only_base_is_a_read_only_device(void **state)
{
	struct fixture *f = *state;
	struct nvio_bdev_file_opts o;
	struct nvio_bdev_desc *desc;
	char path[128];

	snprintf(path, sizeof(path), "%s/image", f->dir);
	nvio_bdev_file_opts_init(&o);
	o.name = "file";
	o.path = path;
	o.num_blocks = 64;
	o.create = true;
	assert_ok(nvio_bdev_file_create(f->env, &o));
	delete_device(f, "file");
	o.read_only = true;
	o.create = false;
	assert_ok(nvio_bdev_file_create(f->env, &o));
	assert_ok(make_crypto(f, "c", "file", KEY));
	assert_int_equal(nvio_bdev_open(f->env, "c", NVIO_BDEV_WRITE, &desc), -EROFS);
	assert_ok(nvio_bdev_open(f->env, "c", NVIO_BDEV_READ, &desc));
	assert_ok(nvio_bdev_close(desc));
}

static void bad_keys_are_refused_without_showing_them(void **state)
{
	static const struct {
		const char *key;
		const char *words;
	} bad[] = {
		{ "", "0 hexadecimal digits" },
		{ E32 E32, "halves" },
		{ E16 E16, "halves" },
		{ E32 PI32 "00", "130" },
		{ E32 "314159265358979323846264338327950288419716939937510582097494459g", "digit 127" },
		{ E32 "x141592653589793238462643383279502884197169399375105820974944592", "digit 64" },
	};
	struct fixture *f = *state;
	struct nvio_bdev_crypto_opts o;
	unsigned char raw[64];

	make_malloc(f, "m", BLOCK, BLOCKS);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(make_crypto(f, "c", "m", bad[i].key), -EINVAL);
		assert_errmsg_has(bad[i].words);
		assert_null(strstr(nvio_errmsg(), "2718"));
	}
	from_hex(KEY, raw, sizeof(raw));
	nvio_bdev_crypto_opts_init(&o);
	o.name = "c";
	o.base = "m";
	assert_int_equal(nvio_bdev_crypto_create(f->env, &o), -EINVAL);
	o.key = raw;
	o.key_len = 48;
	assert_int_equal(nvio_bdev_crypto_create(f->env, &o), -EINVAL);
	assert_errmsg_has("48");
	o.key_len = 64;
	o.key_hex = KEY;
	assert_int_equal(nvio_bdev_crypto_create(f->env, &o), -EINVAL);
	o.key_hex = NULL;
	assert_ok(nvio_bdev_crypto_create(f->env, &o));
	assert_int_equal(make_crypto(f, "c2", "m", KEY), -EPERM);
	assert_int_equal(make_crypto(f, "c3", "nobody", KEY), -ENODEV);
	assert_int_equal(nvio_bdev_crypto_create(f->env, NULL), -EINVAL);
	assert_int_equal(nvio_bdev_crypto_create(NULL, &o), -EINVAL);
}

/* A raw key and the same in hexadecimal are one. */
static void raw_and_hexadecimal_keys_are_the_same(void **state)
{
	struct fixture *f = *state;
	struct nvio_bdev_crypto_opts o;
	unsigned char raw[64], buf[512], seen[512];
	struct disk top;

	make_malloc(f, "m", BLOCK, BLOCKS);
	from_hex(KEY, raw, sizeof(raw));
	nvio_bdev_crypto_opts_init(&o);
	o.name = "c";
	o.base = "m";
	o.key = raw;
	o.key_len = 64;
	assert_ok(nvio_bdev_crypto_create(f->env, &o));
	top = disk_open(f, "c", NVIO_BDEV_WRITE);
	count_up(buf, sizeof(buf));
	assert_ok(do_write(&top, buf, 0, 512));
	disk_close(&top);
	delete_device(f, "c");
	assert_ok(make_crypto(f, "c", "m", KEY));
	top = disk_open(f, "c", NVIO_BDEV_WRITE);
	assert_ok(do_read(&top, seen, 0, 512));
	assert_memory_equal(seen, buf, 512);
	disk_close(&top);
}

static void every_allocation_may_fail(void **state)
{
	struct fixture *f = *state;
	unsigned failures = 0;

	make_malloc(f, "m", BLOCK, BLOCKS);
	for (long n = 0, left = -1; left < 0; n++) {
		struct nvio_bdev_desc *desc = NULL;
		struct nvio_channel *ch = NULL;
		int rc;

		alloc_fail_after(n);
		rc = make_crypto(f, "c", "m", KEY);
		if (!rc)
			rc = nvio_bdev_open(f->env, "c", NVIO_BDEV_WRITE, &desc);
		if (!rc)
			rc = nvio_bdev_channel(desc, &ch);
		left = alloc_fail_after(-1);
		if (rc) {
			failures++;
			assert_int_equal(rc, -ENOMEM);
		} else {
			nvio_channel_put(ch);
		}
		assert_ok(nvio_bdev_close(desc));
		nvio_thread_poll(f->thread, 0);
		/* Whatever had failed can be done now. */
		if (make_crypto(f, "c", "m", KEY))
			assert_errmsg_has("claimed");
		delete_device(f, "c");
	}
	assert_true(failures > 8);
}

static void an_environment_closes_with_writes_in_flight(void **state)
{
	static unsigned char buf[16][64 << 10];
	static struct nvio_op ops[16];
	struct fixture *f = *state;
	struct disk top;

	make_malloc(f, "m", BLOCK, BLOCKS);
	assert_ok(make_crypto(f, "c1", "m", KEY));
	assert_ok(make_crypto(f, "c2", "c1", E16 PI16));
	top = disk_open(f, "c2", NVIO_BDEV_WRITE);
	for (unsigned i = 0; i < 16; i++) {
		ops[i] = (struct nvio_op)NVIO_OP(NULL);
		assert_ok(nvio_bdev_write(top.desc, top.ch, buf[i], i * sizeof(buf[i]), sizeof(buf[i]), &ops[i]));
	}
}

static void a_build_without_openssl_says_so(void **state)
{
	struct fixture *f = *state;
	int rc;

	make_malloc(f, "m", BLOCK, BLOCKS);
	rc = make_crypto(f, "c", "m", KEY);
	assert_int_equal(rc, have_openssl() ? 0 : -EOPNOTSUPP);
	if (rc)
		assert_errmsg_has("OpenSSL");
}

int main(void)
{
	static const struct CMUnitTest without[] = {
		fixture_test(a_build_without_openssl_says_so),
	};
	static const struct CMUnitTest tests[] = {
		fixture_test(a_build_without_openssl_says_so),
		fixture_test(ciphertext_is_that_of_the_standard),
		fixture_test(memory_of_every_shape_comes_back),
		fixture_test(operations_without_data_mean_the_same),
		fixture_test(more_writes_than_the_pool_holds_wait),
		fixture_test(errors_from_below_come_through),
		fixture_test(a_read_only_base_is_a_read_only_device),
		fixture_test(bad_keys_are_refused_without_showing_them),
		fixture_test(raw_and_hexadecimal_keys_are_the_same),
		fixture_test(every_allocation_may_fail),
		fixture_test(an_environment_closes_with_writes_in_flight),
	};

	if (have_openssl())
		return cmocka_run_group_tests_name("bdev crypto", tests, NULL, NULL);
	print_message("# this build has no OpenSSL: only its refusal is tested\n");
	return cmocka_run_group_tests_name("bdev crypto", without, NULL, NULL);
}
