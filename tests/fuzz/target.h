/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A controller to be fuzzed: registers and doorbells are arrays, the host's memory is one small allocation, so that the
 * sanitizers see every byte that is touched beyond it. The clock moves only when it is told to.
 */
#ifndef TESTS_FUZZ_TARGET_H
#define TESTS_FUZZ_TARGET_H

#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "target/memq.h"
#include <nvio/spec/regs.h>

#define FUZZ_PAGES  48u
#define FUZZ_BASE   0x100000ull /* device address of the memory */
#define FUZZ_BYTES  (FUZZ_PAGES * (uint64_t)TGT_PAGE)
#define FUZZ_WRITES 256u

struct fuzz_target {
	struct nvio_env *env;
	struct nvio_thread *thread;
	struct tgt_subsystem subsys;
	struct memq *m;
	struct fault_plan faults;
	uint8_t *memory;
	uint64_t regs[0x1000 / 8];
	uint32_t doorbells[2 * (MEMQ_MAX_IO_QUEUES + 1)];
	struct memq_reg_write writes[FUZZ_WRITES];
	uint32_t num_writes, next_write;
	bool present;
	uint64_t lowest; /* device address: the controller may not be led below, where the harness keeps its own queues */
};

static struct fuzz_target ft;
static uint64_t fuzz_now = 1000000000;

/* How a broken promise is told to the fuzzer. */
#define FUZZ_CHECK(cond) invariant(cond)

/* Takes bytes off the input; zeros beyond its end. */
struct fuzz_input {
	const uint8_t *p;
	size_t left;
};

static inline void fuzz_bytes(struct fuzz_input *in, void *buf, size_t n)
{
	size_t have = MIN(n, in->left);

	memset(buf, 0, n);
	if (have)
		memcpy(buf, in->p, have);
	in->p += have;
	in->left -= have;
}

static inline uint64_t fuzz_int(struct fuzz_input *in, size_t n)
{
	nvio_le64 v = { { 0 } };

	fuzz_bytes(in, &v, n);
	return nvio_get_le64(v);
}

static uint64_t fuzz_clock(void *arg) { return fuzz_now; }

static bool fuzz_reg_next(void *ctx, struct memq_reg_write *w)
{
	if (ft.next_write == ft.num_writes)
		return false;
	*w = ft.writes[ft.next_write++];
	if (ft.next_write == ft.num_writes)
		ft.next_write = ft.num_writes = 0;
	return true;
}

static void fuzz_reg_publish(void *ctx, uint32_t offset, uint32_t width, uint64_t value)
{
	FUZZ_CHECK(offset % width == 0 && offset + width <= sizeof(ft.regs));
	memcpy((uint8_t *)ft.regs + offset, &value, width);
}

static uint32_t *fuzz_doorbell(void *ctx, uint32_t index)
{
	FUZZ_CHECK(index < ARRAY_SIZE(ft.doorbells));
	return &ft.doorbells[index];
}

static void fuzz_irq(void *ctx, uint32_t vector) { FUZZ_CHECK(vector < MEMQ_MAX_VECTORS); }
static void fuzz_present(void *ctx, bool present) { ft.present = present; }

static const struct memq_port_ops fuzz_port = {
	.reg_next = fuzz_reg_next,
	.reg_publish = fuzz_reg_publish,
	.doorbell = fuzz_doorbell,
	.irq = fuzz_irq,
	.present = fuzz_present,
};

static void *fuzz_map(void *ctx, uint64_t addr, uint64_t len, bool write)
{
	if (addr < ft.lowest || addr - FUZZ_BASE > FUZZ_BYTES || len > FUZZ_BYTES - (addr - FUZZ_BASE))
		return NULL;
	return ft.memory + (addr - FUZZ_BASE);
}

static const struct tgt_dma_ops fuzz_dma = { .map = fuzz_map };

static inline void fuzz_write(uint32_t offset, uint32_t width, uint64_t value)
{
	if (ft.num_writes < FUZZ_WRITES)
		ft.writes[ft.num_writes++] = (struct memq_reg_write){ offset, width, value };
}

static inline void fuzz_poll(int n)
{
	while (n--) {
		nvio_thread_poll(ft.thread, 0);
		memq_poll(ft.m);
	}
}

static inline uint32_t fuzz_csts(void)
{
	uint32_t v;

	memcpy(&v, (uint8_t *)ft.regs + NVIO_REG_CSTS, 4);
	return v;
}

/* Once: the environment, a thread and two small namespaces, one of them read-only. */
static inline void fuzz_setup(void)
{
	static struct tgt_ns ns[2];
	static char names[2][8] = { "rw", "ro" };
	struct nvio_env_opts eo;

	if (ft.env)
		return;
	nvio_env_opts_init(&eo);
	eo.now_ns = fuzz_clock;
	eo.seed = 1;
	FUZZ_CHECK(!nvio_env_open(&eo, &ft.env));
	FUZZ_CHECK(!nvio_thread_create(ft.env, NULL, &ft.thread));
	FUZZ_CHECK(!nvio_thread_attach(ft.thread));
	for (int i = 0; i < 2; i++) {
		struct nvio_bdev_malloc_opts o;

		nvio_bdev_malloc_opts_init(&o);
		o.name = names[i];
		o.block_size = 512;
		o.num_blocks = 512;
		FUZZ_CHECK(!nvio_bdev_malloc_create(ft.env, &o));
		ns[i].bdev = names[i];
	}
	ns[1].read_only = true;
	ft.subsys = (struct tgt_subsystem){ .serial = "FUZZ", .model = "fuzz", .firmware = "1", .nqn = "nqn", .ns = ns,
		.num_ns = 2, .volatile_cache = true };
}

/* For each input: a fresh controller and fresh memory. */
static inline void fuzz_begin(void)
{
	struct memq_opts mo = {
		.port = &fuzz_port,
		.dma.ops = &fuzz_dma,
		.faults = &ft.faults,
		.max_queue_entries = 64,
		.ready_timeout_ms = 500,
		.ctrlr = { .max_transfer = 65536, .max_queues = 4 },
	};

	fuzz_setup();
	ft.memory = calloc(1, FUZZ_BYTES);
	ft.m = aligned_alloc(64, ALIGN_UP(sizeof(*ft.m), 64));
	FUZZ_CHECK(ft.memory && ft.m);
	memset(ft.doorbells, 0, sizeof(ft.doorbells));
	ft.num_writes = ft.next_write = 0;
	ft.present = true;
	ft.lowest = FUZZ_BASE;
	fault_plan_init(&ft.faults, 1);
	FUZZ_CHECK(!memq_init(ft.m, ft.env, ft.thread, &ft.subsys, &mo));
}

/* It always comes to rest, whatever was done to it. */
static inline void fuzz_end(void)
{
	memq_attend(ft.m, MEMQ_ATT_REMOVE);
	for (int i = 0; i < 10000 && !memq_is_gone(ft.m); i++)
		fuzz_poll(1);
	FUZZ_CHECK(memq_is_gone(ft.m) && !ft.present);
	memq_fini(ft.m);
	nvio_thread_poll(ft.thread, 0);
	fault_plan_fini(&ft.faults);
	free(ft.m);
	free(ft.memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
