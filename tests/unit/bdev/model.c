/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random I/O against a byte array: whatever the device, after any row of reads, writes, zeroing, unmapping,
 * compares and copies in odd pieces of memory, with several in flight at once, it holds what the array holds.
 * NVIO_TEST_SEED repeats a run. B3, B4.
 */
#include "ram.h"

#include "base/random.h"

#define BYTES	(1u << 20)
#define FLIGHTS 8u
#define MAX_LEN (160u * 1024)
#define MAX_IOV 1000u
#define SLACK	(3 * MAX_IOV)

struct flight {
	struct nvio_op op; /* arg: the model */
	bool is_read;
	int expected;			    /* what it ends with */
	uint64_t offset, len, src, src_len; /* of a copy also where from */
	unsigned iovcnt;
	struct iovec iov[MAX_IOV];
	unsigned char *mem;   /* MAX_LEN + SLACK */
	unsigned char *write; /* MAX_LEN: what a compare and write puts there */
	struct iovec to;
};

struct model {
	struct random random;
	uint32_t block_size;
	bool zeros; /* a null device: always zeros */
	struct disk d;
	unsigned char *bytes;
	struct flight flights[FLIGHTS];
};

/* Cuts [0, len) into pieces with gaps between them, at any address. */
static void cut(struct model *m, struct flight *fl)
{
	unsigned wanted = 1 + (unsigned)random_below(&m->random, random_bool(&m->random, 0.1) ? MAX_IOV : 6);
	unsigned char *at = fl->mem + random_below(&m->random, 3) * 7;
	uint64_t left = fl->len;

	/* Half of the time aligned memory in one piece: what O_DIRECT takes as it is. */
	if (random_bool(&m->random, 0.4)) {
		fl->iov[0] = (struct iovec){ fl->mem, fl->len };
		fl->iovcnt = 1;
		return;
	}
	for (fl->iovcnt = 0; left; fl->iovcnt++) {
		uint64_t n = fl->iovcnt + 1 == wanted
				     ? left
				     : random_below(&m->random, MIN(left, 2 * fl->len / wanted + 1) + 1);

		fl->iov[fl->iovcnt] = (struct iovec){ at, n };
		at += n + random_below(&m->random, 3);
		left -= n;
	}
}

static bool touches(const struct flight *o, uint64_t offset, uint64_t len)
{
	return (o->offset < offset + len && offset < o->offset + o->len) ||
	       (o->src < offset + len && offset < o->src + o->src_len);
}

static bool overlaps(struct model *m, const struct flight *fl)
{
	for (unsigned i = 0; i < FLIGHTS; i++) {
		struct flight *o = &m->flights[i];

		if (o == fl || !nvio_op_pending(&o->op))
			continue;
		if (touches(o, fl->offset, fl->len) || (fl->src_len && touches(o, fl->src, fl->src_len)))
			return true;
	}
	return false;
}

static void gather(struct flight *fl, unsigned char *to)
{
	for (unsigned i = 0; i < fl->iovcnt; i++) {
		memcpy(to, fl->iov[i].iov_base, fl->iov[i].iov_len);
		to += fl->iov[i].iov_len;
	}
}

/* At once, before the next write may change the model. */
static void check(struct nvio_op *op)
{
	struct flight *fl = container_of(op, struct flight, op);
	struct model *m = op->arg;
	static unsigned char got[MAX_LEN];

	if (fl->op.status != fl->expected)
		fail_msg("offset %llu length %llu: %s", (unsigned long long)fl->offset,
			(unsigned long long)fl->len, nvio_errno_name(fl->op.status));
	if (!fl->is_read)
		return;
	gather(fl, got);
	if (memcmp(got, m->bytes + fl->offset, fl->len))
		fail_msg("offset %llu length %llu in %u pieces: not what was written",
			(unsigned long long)fl->offset, (unsigned long long)fl->len, fl->iovcnt);
}

static void submit_zeroing(struct model *m, struct flight *fl, bool unmap)
{
	int rc = -EOPNOTSUPP;

	if (unmap)
		rc = nvio_bdev_unmap(m->d.desc, m->d.ch, fl->offset, fl->len, &fl->op);
	if (rc == -EOPNOTSUPP)
		rc = nvio_bdev_write_zeroes(m->d.desc, m->d.ch, fl->offset, fl->len, &fl->op);
	assert_ok(rc);
	memset(m->bytes + fl->offset, 0, fl->len);
}

static void submit_copy(struct model *m, struct flight *fl)
{
	fl->src = random_below(&m->random, (BYTES - fl->len) / m->block_size + 1) * m->block_size;
	fl->src_len = fl->len;
	if ((fl->src < fl->offset + fl->len && fl->offset < fl->src + fl->len) || overlaps(m, fl))
		return;
	assert_ok(nvio_bdev_copy(m->d.desc, m->d.ch, fl->src, fl->offset, fl->len, &fl->op));
	memcpy(m->bytes + fl->offset, m->bytes + fl->src, fl->len);
}

/* Puts into the pieces what is there, or something else in one byte. */
static void expect(struct model *m, struct flight *fl)
{
	const unsigned char *from = m->bytes + fl->offset;
	unsigned wrong = (unsigned)random_below(&m->random, fl->iovcnt);

	for (unsigned i = 0; i < fl->iovcnt; i++) {
		memcpy(fl->iov[i].iov_base, from, fl->iov[i].iov_len);
		from += fl->iov[i].iov_len;
	}
	if (fl->iov[wrong].iov_len && random_bool(&m->random, 0.3)) {
		((unsigned char *)fl->iov[wrong]
				.iov_base)[random_below(&m->random, fl->iov[wrong].iov_len)] ^= 0x10;
		fl->expected = -EILSEQ;
	}
}

static void submit_compare(struct model *m, struct flight *fl)
{
	int rc;

	fl->to = (struct iovec){ fl->write, fl->len };
	cut(m, fl);
	expect(m, fl);
	if (random_bool(&m->random, 0.5)) {
		rc = nvio_bdev_comparev(
			m->d.desc, m->d.ch, fl->iov, (int)fl->iovcnt, fl->offset, fl->len, &fl->op);
	} else {
		random_fill(&m->random, fl->write, fl->len);
		if (!fl->expected && !m->zeros)
			memcpy(m->bytes + fl->offset, fl->write, fl->len);
		rc = nvio_bdev_compare_and_writev(m->d.desc, m->d.ch, fl->iov, (int)fl->iovcnt, &fl->to, 1,
			fl->offset, fl->len, &fl->op);
	}
	assert_ok(rc);
}

static void submit(struct model *m, struct flight *fl)
{
	uint64_t blocks = BYTES / m->block_size;
	unsigned kind = (unsigned)random_below(&m->random, 15);
	int rc;

	fl->op = (struct nvio_op)NVIO_OP(check);
	fl->op.arg = m;
	fl->offset = random_below(&m->random, blocks) * m->block_size;
	fl->len = 1 + random_below(&m->random, random_bool(&m->random, 0.2) ? MAX_LEN / m->block_size : 8);
	fl->len = MIN(fl->len, MAX_LEN / m->block_size) * m->block_size;
	fl->len = MIN(fl->len, BYTES - fl->offset);
	fl->is_read = kind < 5;
	fl->expected = 0;
	fl->src = fl->src_len = 0;
	fl->op.timeout_us = random_bool(&m->random, 0.1) ? 600000000 : 0;
	if (overlaps(m, fl))
		return;
	if (kind == 14) {
		submit_copy(m, fl);
		return;
	}
	if (kind >= 12) {
		submit_compare(m, fl);
		return;
	}
	if (kind >= 10) {
		submit_zeroing(m, fl, kind == 11);
		return;
	}
	cut(m, fl);
	if (fl->is_read) {
		memset(fl->mem, 0xdb, MAX_LEN + SLACK);
		rc = nvio_bdev_readv(
			m->d.desc, m->d.ch, fl->iov, (int)fl->iovcnt, fl->offset, fl->len, &fl->op);
	} else {
		random_fill(&m->random, fl->mem, MAX_LEN + SLACK);
		fl->op.flags = random_bool(&m->random, 0.05) ? NVIO_OP_FUA : 0;
		if (!m->zeros)
			gather(fl, m->bytes + fl->offset);
		rc = nvio_bdev_writev(
			m->d.desc, m->d.ch, fl->iov, (int)fl->iovcnt, fl->offset, fl->len, &fl->op);
	}
	assert_ok(rc);
}

static void run_on(struct fixture *f, const char *name, const char *what, uint32_t block_size, bool zeros,
	unsigned steps)
{
	const char *given = getenv("NVIO_TEST_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : random_os_seed();
	struct model *m = calloc(1, sizeof(*m));

	print_message(
		"# %s, blocks of %u: NVIO_TEST_SEED=0x%llx\n", what, block_size, (unsigned long long)seed);
	assert_non_null(m);
	random_init(&m->random, seed);
	m->block_size = block_size;
	m->zeros = zeros;
	m->d = disk_open(f, name, NVIO_BDEV_WRITE);
	m->bytes = calloc(1, BYTES);
	assert_non_null(m->bytes);
	for (unsigned i = 0; i < FLIGHTS; i++) {
		m->flights[i].mem = aligned_alloc(4096, ALIGN_UP(MAX_LEN + SLACK, 4096u));
		m->flights[i].write = malloc(MAX_LEN);
		assert_non_null(m->flights[i].mem);
		assert_non_null(m->flights[i].write);
	}
	for (unsigned step = 0; step < steps; step++) {
		struct flight *fl = &m->flights[random_below(&m->random, FLIGHTS)];

		if (nvio_op_pending(&fl->op))
			nvio_wait(&fl->op);
		submit(m, fl);
	}
	for (unsigned i = 0; i < FLIGHTS; i++) {
		if (nvio_op_pending(&m->flights[i].op))
			nvio_wait(&m->flights[i].op);
		free(m->flights[i].mem);
		free(m->flights[i].write);
	}
	disk_close(&m->d);
	free(m->bytes);
	free(m);
}

static void run(struct fixture *f, const char *what, uint32_t block_size, bool zeros, unsigned steps)
{
	run_on(f, "d", what, block_size, zeros, steps);
}

static const uint32_t block_sizes[] = { 512, 4096 };

static void malloc_holds_what_the_model_holds(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(block_sizes); i++) {
		make_malloc(f, "d", block_sizes[i], BYTES / block_sizes[i]);
		run(f, "malloc", block_sizes[i], false, 5000);
		delete_device(f, "d");
	}
}

static void null_is_zeros_throughout(void **state)
{
	struct fixture *f = *state;

	make_null(f, "d", 512, BYTES / 512);
	run(f, "null", 512, true, 3000);
}

static void put_on(struct fixture *f, const char *name, const char *base)
{
	struct nvio_bdev_passthru_opts o;

	nvio_bdev_passthru_opts_init(&o);
	o.name = name;
	o.base = base;
	assert_ok(nvio_bdev_passthru_create(f->env, &o));
}

static void so_does_what_stands_on_it(void **state)
{
	struct fixture *f = *state;

	make_malloc(f, "d", 512, BYTES / 512);
	put_on(f, "p", "d");
	put_on(f, "q", "p");
	run_on(f, "q", "passthru on passthru on malloc", 512, false, 5000);
}

/* RAM of the test's own that lacks everything but reads and writes, and can take little at once. */
static void a_device_with_limits_holds_it_too_and_so_does_what_stands_on_it(void **state)
{
	static const struct nvio_bdev_params limits[] = {
		{ .max_io_bytes = 8192, .boundary_bytes = 16384, .max_iovcnt = 4, .buf_align = 512 },
		{ .max_iovcnt = 1, .buf_align = 4 },
		{ .boundary_bytes = 4096, .block_size = 4096, .buf_align = 4096 },
	};
	struct fixture *f = *state;
	static struct ram ram;

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		for (unsigned on_top = 0; on_top < 2; on_top++) {
			uint32_t block = limits[i].block_size ? limits[i].block_size : 512;

			ram = (struct ram){ .params = limits[i] };
			ram_make(f, &ram, on_top ? NVIO_BDEV_CAN(NVIO_BDEV_IO_COMPARE) : 0, BYTES / block);
			memset(ram.data, 0, BYTES);
			if (on_top)
				put_on(f, "p", "r");
			run_on(f, on_top ? "p" : "r", "RAM with limits", block, false, 2000);
			assert_int_equal(ram.broken, 0);
			if (on_top)
				delete_device(f, "p");
			delete_device(f, "r");
		}
}

static void run_file(struct fixture *f, enum nvio_bdev_file_engine engine, bool no_direct, const char *what)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/image", f->dir);
	for (size_t i = 0; i < ARRAY_SIZE(block_sizes); i++) {
		struct nvio_bdev_file_opts o;
		int rc;

		nvio_bdev_file_opts_init(&o);
		o.name = "d";
		o.path = path;
		o.block_size = block_sizes[i];
		o.num_blocks = BYTES / block_sizes[i];
		o.create = true;
		o.no_direct = no_direct;
		o.engine = engine;
		rc = nvio_bdev_file_create(f->env, &o);
		if (rc && engine == NVIO_BDEV_FILE_IO_URING) {
			print_message("# %s\n", nvio_errmsg());
			skip();
		}
		assert_ok(rc);
		run(f, what, block_sizes[i], false, 1500);
		delete_device(f, "d");
		assert_ok(unlink(path));
	}
}

static void a_file_by_io_uring_holds_what_the_model_holds(void **state)
{
	run_file(*state, NVIO_BDEV_FILE_IO_URING, false, "file, io_uring, direct");
}

static void a_file_by_io_uring_and_the_page_cache_does(void **state)
{
	run_file(*state, NVIO_BDEV_FILE_IO_URING, true, "file, io_uring, buffered");
}

static void a_file_by_threads_does(void **state)
{
	run_file(*state, NVIO_BDEV_FILE_THREADS, false, "file, threads, direct");
}

static void a_file_by_threads_and_the_page_cache_does(void **state)
{
	run_file(*state, NVIO_BDEV_FILE_THREADS, true, "file, threads, buffered");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		fixture_test(malloc_holds_what_the_model_holds),
		fixture_test(so_does_what_stands_on_it),
		fixture_test(a_device_with_limits_holds_it_too_and_so_does_what_stands_on_it),
		fixture_test(null_is_zeros_throughout),
		fixture_test(a_file_by_io_uring_holds_what_the_model_holds),
		fixture_test(a_file_by_io_uring_and_the_page_cache_does),
		fixture_test(a_file_by_threads_does),
		fixture_test(a_file_by_threads_and_the_page_cache_does),
	};

	return cmocka_run_group_tests_name("bdev/model", tests, NULL, NULL);
}
