/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * No allocation on the I/O path, through all rooms: the process's allocator and its mapping calls are counted
 * while 100,000 I/Os of each kind run, whoever makes them: the library, the C library beneath it, the drive's
 * own thread.
 */
#include "tests/support/unit.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <nvio/bdev.h>
#include <nvio/nvme.h>
#include <nvio/thread.h>

#define IOS       100000u
#define MAX_DEPTH 64u
#define BLOCK     512u

/* ---- the allocator, counted ---- */

static atomic_bool counting;
static atomic_uint allocations;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void *__libc_memalign(size_t align, size_t size);

static void count(void)
{
	if (atomic_load_explicit(&counting, memory_order_relaxed))
		atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
}

NVIO_EXPORT void *malloc(size_t size)
{
	count();
	return __libc_malloc(size);
}

NVIO_EXPORT void *calloc(size_t n, size_t size)
{
	count();
	return __libc_calloc(n, size);
}

NVIO_EXPORT void *realloc(void *ptr, size_t size)
{
	count();
	return __libc_realloc(ptr, size);
}

NVIO_EXPORT void *aligned_alloc(size_t align, size_t size)
{
	count();
	return __libc_memalign(align, size);
}

NVIO_EXPORT int posix_memalign(void **ptr, size_t align, size_t size)
{
	count();
	*ptr = __libc_memalign(align, size);
	return *ptr ? 0 : ENOMEM;
}

NVIO_EXPORT void *mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	count();
	return (void *)syscall(SYS_mmap, addr, len, prot, flags, fd, offset);
}

static void begin_counting(void)
{
	atomic_store(&allocations, 0);
	atomic_store(&counting, true);
}

static unsigned end_counting(void)
{
	atomic_store(&counting, false);
	return atomic_load(&allocations);
}

/* Were the counting not to work, every other test here would pass. */
static void test_counter_sees_each_kind_of_allocation(void **state)
{
	void *volatile p;
	void *aligned = NULL;
	struct nvio_env *env;

	begin_counting();
	p = malloc(10);
	assert_int_equal(atomic_load(&allocations), 1);
	p = realloc(p, 20);
	assert_int_equal(atomic_load(&allocations), 2);
	free(p);
	p = calloc(1, 10);
	free(p);
	p = aligned_alloc(64, 64);
	free(p);
	assert_int_equal(atomic_load(&allocations), 4);
	assert_int_equal(posix_memalign(&aligned, 64, 64), 0);
	free(aligned);
	p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(p, 4096);
	assert_int_equal(atomic_load(&allocations), 6);
	p = strdup("made within the C library");
	free(p);
	assert_int_equal(end_counting(), 7);

	begin_counting();
	assert_int_equal(nvio_env_open(NULL, &env), 0);
	assert_true(end_counting() > 0);
	nvio_env_close(env);
}

/* ---- I/O ---- */

struct rig;

struct io {
	struct nvio_op op;
	struct rig *rig;
	uint8_t *buf;
	struct iovec iov[8];
};

struct rig {
	struct nvio_env *env;
	struct nvio_ctrlr *ctrlr;
	struct nvio_ns *ns;
	struct nvio_qpair *qp;
	struct nvio_thread *thread;
	struct nvio_bdev_desc *desc;
	struct nvio_channel *ch;
	uint8_t *memory;
	const struct test_case *t;
	uint64_t blocks;   /* of the device */
	uint64_t issued, completed, errors;
	struct io ios[MAX_DEPTH];
};

/*
 * name       what it is about
 * drive      NVMe over this software drive; NULL: the block device that `create` makes
 * bytes      of one I/O
 * skew       of the buffer's address
 * pieces     an iovec of so many; 0: a plain buffer
 * slots      io_queue_requests; 0: the default
 * took       by which way it must have gone, or the case tests another
 */
struct test_case {
	const char *name;
	const char *drive;
	int (*create)(struct nvio_env *env);
	uint32_t bytes, skew, pieces, slots;
	uint32_t depth;
	enum { PLAIN, QUEUED, SPLIT, BOUNCED, SPLIT_BOUNCED } took;
};

static int create_malloc(struct nvio_env *env)
{
	struct nvio_bdev_malloc_opts opts;

	nvio_bdev_malloc_opts_init(&opts);
	opts.name = "dev";
	opts.block_size = BLOCK;
	opts.num_blocks = (16u << 20) / BLOCK;
	return nvio_bdev_malloc_create(env, &opts);
}

static int create_null(struct nvio_env *env)
{
	struct nvio_bdev_null_opts opts;

	nvio_bdev_null_opts_init(&opts);
	opts.name = "dev";
	opts.block_size = BLOCK;
	opts.num_blocks = (16u << 20) / BLOCK;
	return nvio_bdev_null_create(env, &opts);
}

static int submit_nvme(struct rig *r, struct io *io, bool write, uint64_t lba)
{
	uint32_t n = r->t->bytes / BLOCK;

	if (r->t->pieces)
		return write ? nvio_ns_writev(r->ns, r->qp, io->iov, (int)r->t->pieces, lba, n, &io->op) :
			       nvio_ns_readv(r->ns, r->qp, io->iov, (int)r->t->pieces, lba, n, &io->op);
	return write ? nvio_ns_write(r->ns, r->qp, io->buf, lba, n, &io->op) :
		       nvio_ns_read(r->ns, r->qp, io->buf, lba, n, &io->op);
}

static int submit_bdev(struct rig *r, struct io *io, bool write, uint64_t lba)
{
	uint64_t offset = lba * BLOCK, len = r->t->bytes;

	if (r->t->pieces)
		return write ? nvio_bdev_writev(r->desc, r->ch, io->iov, (int)r->t->pieces, offset, len, &io->op) :
			       nvio_bdev_readv(r->desc, r->ch, io->iov, (int)r->t->pieces, offset, len, &io->op);
	return write ? nvio_bdev_write(r->desc, r->ch, io->buf, offset, len, &io->op) :
		       nvio_bdev_read(r->desc, r->ch, io->buf, offset, len, &io->op);
}

/* Every other I/O is a write, and they walk over the device. */
static void submit(struct io *io)
{
	struct rig *r = io->rig;
	uint64_t n = r->issued++, lba = n * 7919 % (r->blocks - r->t->bytes / BLOCK);

	if (r->t->drive ? submit_nvme(r, io, n & 1, lba) : submit_bdev(r, io, n & 1, lba))
		r->errors++;
}

static void on_done(struct nvio_op *op)
{
	struct io *io = op->arg;

	if (op->status)
		io->rig->errors++;
	io->rig->completed++;
	if (io->rig->issued < IOS)
		submit(io);
}

static void open_rig(struct rig *r, const struct test_case *t)
{
	size_t room = t->bytes + 4096;
	struct nvio_ctrlr_opts opts;

	memset(r, 0, sizeof(*r));
	r->t = t;
	assert_int_equal(nvio_env_open(NULL, &r->env), 0);
	if (t->drive) {
		nvio_ctrlr_opts_init(&opts);
		if (t->slots)
			opts.io_queue_requests = t->slots;
		assert_int_equal(nvio_connect(r->env, t->drive, &opts, &r->ctrlr), 0);
		r->ns = nvio_ctrlr_ns(r->ctrlr, 1);
		assert_non_null(r->ns);
		assert_int_equal(nvio_qpair_alloc(r->ctrlr, NULL, &r->qp), 0);
		r->blocks = nvio_ns_num_blocks(r->ns);
	} else {
		assert_int_equal(nvio_thread_create(r->env, NULL, &r->thread), 0);
		assert_int_equal(nvio_thread_attach(r->thread), 0);
		assert_int_equal(t->create(r->env), 0);
		assert_int_equal(nvio_bdev_open(r->env, "dev", NVIO_BDEV_WRITE, &r->desc), 0);
		assert_int_equal(nvio_bdev_channel(r->desc, &r->ch), 0);
		r->blocks = nvio_bdev_num_blocks(nvio_bdev_desc_bdev(r->desc));
	}
	r->memory = nvio_mem_alloc_zeroed(r->env, t->depth * room, 4096);
	assert_non_null(r->memory);
	for (uint32_t i = 0; i < t->depth; i++) {
		uint32_t piece = t->pieces ? t->bytes / t->pieces : 0;
		struct io *io = &r->ios[i];

		io->op = (struct nvio_op){ .done = on_done, .arg = io };
		io->rig = r;
		io->buf = r->memory + i * room + t->skew;
		/* Backwards, so that no two pieces are neighbours. */
		for (uint32_t p = 0; p < t->pieces; p++)
			io->iov[p] = (struct iovec){ io->buf + (t->pieces - 1 - p) * piece, piece };
	}
}

static void close_rig(struct rig *r)
{
	if (r->t->drive) {
		nvio_qpair_free(r->qp);
		nvio_ctrlr_close(r->ctrlr);
	} else {
		nvio_channel_put(r->ch);
		nvio_thread_poll(r->thread, 0);
		assert_int_equal(nvio_bdev_close(r->desc), 0);
		assert_int_equal(nvio_thread_detach(r->thread), 0);
	}
	nvio_mem_free(r->env, r->memory);
	nvio_env_close(r->env);
}

static const struct test_case cases[] = {
	{ "raw reads and writes of RAM, depth 1", .drive = "loop:ram:16M", .bytes = 4096, .depth = 1 },
	{ "raw reads and writes of RAM, depth 64", .drive = "loop:ram:16M", .bytes = 4096, .depth = 64 },
	{ "raw, null, depth 1", .drive = "loop:null:16M", .bytes = 4096, .depth = 1 },
	{ "raw, null, depth 64", .drive = "loop:null:16M", .bytes = 4096, .depth = 64 },
	{ "raw, the drive on an OS thread of its own", .drive = "loop:ram:16M?poll=thread", .bytes = 4096,
		.depth = 64 },
	{ "raw, more ops than slots", .drive = "loop:ram:16M", .bytes = 4096, .slots = 4, .depth = 64,
		.took = QUEUED },
	{ "raw, split into several commands", .drive = "loop:ram:16M?mdts=8192", .bytes = 32768, .depth = 64,
		.took = SPLIT },
	{ "raw, split, more commands than slots", .drive = "loop:ram:16M?mdts=8192", .bytes = 32768, .slots = 4,
		.depth = 16, .took = SPLIT },
	{ "raw, bounced", .drive = "loop:ram:16M", .bytes = 4096, .skew = 1, .depth = 64, .took = BOUNCED },
	{ "raw, bounced and split", .drive = "loop:ram:16M", .bytes = 8192, .skew = 3, .depth = 16,
		.took = SPLIT_BOUNCED },
	{ "raw, PRP lists", .drive = "loop:ram:16M", .bytes = 32768, .skew = 512, .depth = 16 },
	{ "raw, iovecs that PRPs cannot say", .drive = "loop:ram:16M", .bytes = 4096, .pieces = 8, .depth = 64,
		.took = SPLIT },
	{ "raw, iovecs of pages", .drive = "loop:ram:16M", .bytes = 32768, .pieces = 8, .depth = 16 },
	{ "block device in RAM, depth 1", .create = create_malloc, .bytes = 4096, .depth = 1 },
	{ "block device in RAM, depth 64", .create = create_malloc, .bytes = 4096, .depth = 64 },
	{ "block device in RAM, iovecs", .create = create_malloc, .bytes = 4096, .pieces = 8, .depth = 64 },
	{ "null block device, depth 1", .create = create_null, .bytes = 4096, .depth = 1 },
	{ "null block device, depth 64", .create = create_null, .bytes = 4096, .depth = 64 },
};

static void check_way(const struct rig *r)
{
	struct nvio_qpair_stats stats;

	if (!r->t->drive)
		return;
	nvio_qpair_get_stats(r->qp, &stats);
	assert_true(!stats.split == !(r->t->took == SPLIT || r->t->took == SPLIT_BOUNCED));
	assert_true(!stats.bounced == !(r->t->took == BOUNCED || r->t->took == SPLIT_BOUNCED));
	if (r->t->took == PLAIN || r->t->took == QUEUED)
		assert_true(!stats.queued == (r->t->took == PLAIN));
}

static void run_case(void **state)
{
	static struct rig r;
	unsigned made;

	open_rig(&r, *state);
	begin_counting();
	for (uint32_t i = 0; i < r.t->depth; i++)
		submit(&r.ios[i]);
	while (r.completed < IOS && !r.errors) {
		if (r.t->drive)
			nvio_qpair_poll(r.qp, 0);
		else
			nvio_thread_poll(r.thread, 0);
	}
	made = end_counting();
	assert_int_equal(r.errors, 0);
	assert_int_equal(r.completed, IOS);
	assert_int_equal(made, 0);
	check_way(&r);
	close_rig(&r);
}

int main(void)
{
	struct CMUnitTest tests[1 + sizeof(cases) / sizeof(cases[0])] = {
		cmocka_unit_test(test_counter_sees_each_kind_of_allocation),
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		tests[i + 1] = (struct CMUnitTest){
			.name = cases[i].name,
			.test_func = run_case,
			.initial_state = (void *)(uintptr_t)&cases[i],
		};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
