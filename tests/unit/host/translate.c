/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which memory the I/O of a controller behind an IOMMU may have, in every shape, with bounce and without: what is reached has the right data,
 * what is not is refused before anything is sent (H4, Z2). That registrations come and go is in here, too.
 */
#include "tests/support/unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "base/compiler.h"
#include <nvio/nvme.h>
#include <nvio/spec/admin.h>
#include <nvio/spec/nvm.h>

#define BLOCK 512u
#define PAGE  4096u
#define AREA  (96u * PAGE) /* the largest I/O, with room on both sides */
#define FORM  "ram:8M?iommu=1"

static struct nvio_env *env;
static struct nvio_drive *drive;
static struct nvio_ctrlr *c;
static struct nvio_qpair *qp;
static struct nvio_ns *ns;

static void check(int rc)
{
	if (rc)
		fail_msg("%d: %s", rc, nvio_errmsg());
}

static void connect_to(const char *form, bool bounce)
{
	struct nvio_ctrlr_opts o;
	char where[80];

	nvio_ctrlr_opts_init(&o);
	o.bounce = bounce;
	snprintf(where, sizeof(where), "loop:%s", form);
	check(nvio_env_open(NULL, &env));
	check(nvio_drive_open_str(env, form, &drive));
	check(nvio_connect(env, where, &o, &c));
	check(nvio_qpair_alloc(c, NULL, &qp));
	ns = nvio_ctrlr_ns(c, 1);
	assert_non_null(ns);
}

/* And nothing went astray. */
static void disconnect(void)
{
	struct nvio_drive_stats s;

	nvio_qpair_free(qp);
	nvio_ctrlr_close(c);
	nvio_drive_get_stats(drive, &s);
	assert_int_equal(s.dma_faults, 0);
	nvio_drive_close(drive);
	nvio_env_close(env);
}

/* ---- memory of all kinds ---- */

enum memory { ALLOCATED, REGISTERED, PIECEWISE, UNREGISTERED, MEMORIES };

static uint8_t *area(enum memory kind)
{
	uint8_t *p = kind == ALLOCATED ? nvio_mem_alloc(env, AREA, PAGE)
				       : mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(p && p != MAP_FAILED);
	if (kind == REGISTERED)
		check(nvio_mem_register(env, p, AREA));
	/* Neighbours that know nothing of each other, each a page longer than the last; the last one last, so that no order helps. */
	if (kind == PIECEWISE)
		for (uint32_t at = 0, n = 1; at < AREA; at += n++ * PAGE)
			check(nvio_mem_register(env, p + at, MIN(n * PAGE, AREA - at)));
	return p;
}

static void area_free(enum memory kind, uint8_t *p)
{
	if (kind == REGISTERED)
		check(nvio_mem_unregister(env, p, AREA));
	if (kind == PIECEWISE)
		for (uint32_t at = 0, n = 1; at < AREA; at += n++ * PAGE)
			check(nvio_mem_unregister(env, p + at, MIN(n * PAGE, AREA - at)));
	if (kind == ALLOCATED)
		assert_int_equal(nvio_mem_free(env, p), 0);
	else
		munmap(p, AREA);
}

static int rw(bool write, void *data, uint64_t lba, uint32_t n)
{
	struct nvio_op op = NVIO_OP(NULL);

	if (write)
		return nvio_await(nvio_ns_write(ns, qp, data, lba, n, &op), &op);
	return nvio_await(nvio_ns_read(ns, qp, data, lba, n, &op), &op);
}

static uint32_t salt;

static void fill(uint8_t *p, size_t len)
{
	salt += 13;
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i * 7 + i / 251 + salt);
}

/* Refused: no command was sent, and the op is as it was. */
static void assert_refused(bool write, uint8_t *data, uint32_t n)
{
	struct nvio_op op = NVIO_OP(NULL), as_it_was;
	struct nvio_qpair_stats before, after;

	nvio_qpair_get_stats(qp, &before);
	as_it_was = op;
	assert_int_equal(write ? nvio_ns_write(ns, qp, data, 0, n, &op) : nvio_ns_read(ns, qp, data, 0, n, &op), -EFAULT);
	assert_errmsg("nvio_mem_register()");
	assert_errmsg("bounce");
	assert_memory_equal(&op.status, &as_it_was.status, sizeof(op.status));
	assert_false(nvio_op_pending(&op));
	nvio_qpair_poll(qp, 0);
	nvio_qpair_get_stats(qp, &after);
	assert_int_equal(after.submitted, before.submitted);
	assert_int_equal(nvio_qpair_in_flight(qp), 0);
}

static const uint32_t skews[] = { 0, 4, 1, 511, 2048, 4092, 4095 };
static const uint32_t lengths[] = { 1, 7, 8, 9, 15, 16, 17, 64, 255, 256, 257, 700 }; /* blocks: around 1 page, 2 pages, MDTS */

static void every_shape_in_every_memory(void **state)
{
	for (int bounce = 0; bounce < 2; bounce++) {
		uint8_t *want = malloc(AREA);

		connect_to(FORM, bounce);
		for (enum memory kind = 0; kind < MEMORIES; kind++) {
			uint8_t *p = area(kind);

			for (size_t i = 0; i < ARRAY_SIZE(skews) * ARRAY_SIZE(lengths); i++) {
				uint32_t n = lengths[i / ARRAY_SIZE(skews)], len = n * BLOCK;
				uint8_t *data = p + PAGE + skews[i % ARRAY_SIZE(skews)];

				if (kind == UNREGISTERED && !bounce) {
					assert_refused(i % 2, data, n);
					continue;
				}
				fill(data, len);
				memcpy(want, data, len);
				check(rw(true, data, i, n));
				memset(data - 8, 0xee, len + 16);
				check(rw(false, data, i, n));
				assert_memory_equal(data, want, len);
				assert_true(data[-1] == 0xee && data[len] == 0xee);
			}
			area_free(kind, p);
		}
		disconnect();
		free(want);
	}
}

/* An iovec of pieces of all kinds, each as likely. */
static void iovecs_of_mixed_memory(void **state)
{
	for (int bounce = 0; bounce < 2; bounce++) {
		uint8_t *p[MEMORIES], *want = malloc(AREA);

		connect_to(FORM, bounce);
		for (enum memory kind = 0; kind < MEMORIES; kind++)
			p[kind] = area(kind);
		srand(7);
		for (int round = 0; round < 300; round++) {
			struct nvio_op op = NVIO_OP(NULL);
			struct iovec iov[12];
			uint32_t total = 0, blocks;
			bool stranger = false;
			int rc, count = 1 + rand() % 11;

			for (int i = 0; i < count; i++) {
				enum memory kind = (enum memory)(rand() % (bounce || round % 3 == 0 ? MEMORIES : UNREGISTERED));
				uint32_t len = 4 * (uint32_t)(1 + rand() % 2500);

				stranger |= kind == UNREGISTERED;
				iov[i] = (struct iovec){ p[kind] + (size_t)i * 8 * PAGE + 4 * (uint32_t)(rand() % 1024), len };
				total += len;
			}
			blocks = total / BLOCK + 1;
			iov[count] = (struct iovec){ p[ALLOCATED] + 95 * PAGE, blocks * BLOCK - total };
			for (int i = 0, at = 0; i <= count; at += (int)iov[i++].iov_len) {
				fill(iov[i].iov_base, iov[i].iov_len);
				memcpy(want + at, iov[i].iov_base, iov[i].iov_len);
			}
			rc = nvio_await(nvio_ns_writev(ns, qp, iov, (uint32_t)count + 1, 1, blocks, &op), &op);
			if (stranger && !bounce) {
				assert_int_equal(rc, -EFAULT);
				continue;
			}
			check(rc);
			for (int i = 0; i <= count; i++)
				memset(iov[i].iov_base, 0, iov[i].iov_len);
			check(nvio_await(nvio_ns_readv(ns, qp, iov, (uint32_t)count + 1, 1, blocks, &op), &op));
			for (int i = 0, at = 0; i <= count; at += (int)iov[i++].iov_len)
				assert_memory_equal(iov[i].iov_base, want + at, iov[i].iov_len);
		}
		for (enum memory kind = 0; kind < MEMORIES; kind++)
			area_free(kind, p[kind]);
		disconnect();
		free(want);
	}
}

static void the_last_byte_counts(void **state)
{
	uint8_t *p;

	connect_to(FORM, false);
	p = area(UNREGISTERED);
	check(nvio_mem_register(env, p + PAGE, 32 * PAGE));
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		uint32_t len = lengths[i] * BLOCK;
		uint8_t *first = p + PAGE, *last = p + 33 * PAGE - len;

		if (len > 32 * PAGE)
			continue;
		check(rw(true, first, 0, lengths[i]));
		check(rw(true, last, 0, lengths[i]));
		/* A byte beyond either end, and a dword. */
		assert_refused(false, last + 1, lengths[i]);
		assert_refused(true, last + 4, lengths[i]);
		assert_refused(false, first - 1, lengths[i]);
		assert_refused(true, first - 4, lengths[i]);
	}
	check(nvio_mem_unregister(env, p + PAGE, 32 * PAGE));
	area_free(UNREGISTERED, p);
	disconnect();
}

static void null_and_freed_buffers_are_refused(void **state)
{
	for (int bounce = 0; bounce < 2; bounce++) {
		struct nvio_op op = NVIO_OP(NULL);
		uint8_t *p;

		connect_to(FORM, bounce);
		assert_int_equal(nvio_ns_read(ns, qp, NULL, 0, 1, &op), -EINVAL);
		p = nvio_mem_alloc(env, AREA, PAGE);
		check(rw(true, p, 0, 8));
		assert_int_equal(nvio_mem_free(env, p), 0);
		if (!bounce || NVIO_CHECKED)
			assert_int_equal(nvio_ns_read(ns, qp, p, 0, 8, &op), -EFAULT);
		assert_false(nvio_op_pending(&op));
		disconnect();
	}
}

/* A stale cache would show: the page is another one, at the same address. */
static void a_new_mapping_at_the_same_address_gets_the_data(void **state)
{
	uint8_t *p, want[8 * BLOCK];

	connect_to(FORM, false);
	p = area(UNREGISTERED);
	for (int round = 0; round < 50; round++) {
		size_t len = (size_t)(2 + round % 5) * PAGE;

		assert_ptr_equal(mmap(p, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), p);
		check(nvio_mem_register(env, p, len));
		fill(p + PAGE, sizeof(want));
		memcpy(want, p + PAGE, sizeof(want));
		check(rw(true, p + PAGE, 0, 8));
		memset(p, 0, len);
		check(rw(false, p, 0, 8));
		assert_memory_equal(p, want, sizeof(want));
		check(nvio_mem_unregister(env, p, len));
		assert_refused(round % 2, p, 8);
	}
	area_free(UNREGISTERED, p);
	disconnect();
}

/* ---- passthrough and admin commands ---- */

static void passthrough_below_and_above_a_page(void **state)
{
	static const uint32_t blocks[] = { 1, 8, 9, 64 };

	for (int bounce = 0; bounce < 2; bounce++) {
		connect_to(FORM, bounce);
		for (enum memory kind = 0; kind < MEMORIES; kind++) {
			uint8_t *p = area(kind);

			for (size_t i = 0; i < ARRAY_SIZE(blocks); i++) {
				struct nvio_sqe cmd = { .opc = NVIO_NVM_WRITE, .nsid = nvio_to_le32(1) };
				uint32_t len = blocks[i] * BLOCK;
				struct nvio_op op = NVIO_OP(NULL);
				uint8_t *was = malloc(len);
				int rc;

				cmd.cdw12 = nvio_to_le32(blocks[i] - 1);
				fill(p, len);
				memcpy(was, p, len);
				rc = nvio_await(nvio_qpair_io(qp, &cmd, p, len, &op), &op);
				/* What fits the slot's page goes through it where that is allowed. */
				if (kind == UNREGISTERED && (!bounce || len > PAGE)) {
					assert_int_equal(rc, -EFAULT);
				} else {
					check(rc);
					memset(p, 0, len);
					cmd.opc = NVIO_NVM_READ;
					check(nvio_await(nvio_qpair_io(qp, &cmd, p, len, &op), &op));
					assert_memory_equal(p, was, len);
				}
				free(was);
			}
			area_free(kind, p);
		}
		disconnect();
	}
}

static void admin_commands_take_any_memory(void **state)
{
	static const uint32_t odd[] = { 0, 1, 2, 4, 4095 };
	uint8_t *theirs = malloc(8 * PAGE), *ours, id[PAGE];
	struct nvio_op op = NVIO_OP(NULL);

	connect_to(FORM, false);
	ours = nvio_mem_alloc(env, 8 * PAGE, PAGE);
	check(nvio_await(nvio_ctrlr_identify(c, 1, 0, id, &op), &op));
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		/* Log pages of several lengths; what is beyond stays. */
		for (uint32_t len = 4; len <= 4 * PAGE; len = len * 3 + 4) {
			memset(theirs, 0xee, 8 * PAGE);
			memset(ours, 0xdd, 8 * PAGE);
			check(nvio_await(nvio_ctrlr_get_log(c, 1, 0xffffffff, 0, theirs + odd[i], len, &op), &op));
			check(nvio_await(nvio_ctrlr_get_log(c, 1, 0xffffffff, 0, ours, len, &op), &op));
			assert_memory_equal(theirs + odd[i], ours, len);
			assert_int_equal(theirs[odd[i] + len], 0xee);
		}
		check(nvio_await(nvio_ctrlr_identify(c, 1, 0, theirs + odd[i], &op), &op));
		assert_memory_equal(theirs + odd[i], id, PAGE);
	}
	assert_int_equal(nvio_mem_free(env, ours), 0);
	disconnect();
	free(theirs);
}

/* ---- doorbells ---- */

/* At depth 32 at most one in eight I/Os rings, for its submission and for its completion (H5). */
static void a_batch_has_one_doorbell(void **state)
{
	struct nvio_qpair_stats before, after;
	struct nvio_op ops[32];
	uint8_t *p;

	connect_to(FORM, false);
	p = nvio_mem_alloc(env, sizeof(ops) / sizeof(ops[0]) * PAGE, PAGE);
	nvio_qpair_get_stats(qp, &before);
	for (int round = 0; round < 100; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
			ops[i] = (struct nvio_op)NVIO_OP(NULL);
			check(nvio_ns_read(ns, qp, p + i * PAGE, i, 8, &ops[i]));
		}
		for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
			check(nvio_wait(&ops[i]));
	}
	nvio_qpair_get_stats(qp, &after);
	assert_int_equal(after.completed - before.completed, 3200);
	assert_in_range(after.sq_doorbells - before.sq_doorbells, 1, 3200 / 8);
	assert_in_range(after.cq_doorbells - before.cq_doorbells, 1, 3200 / 8);
	assert_int_equal(nvio_mem_free(env, p), 0);
	disconnect();
}

/* ---- threads ---- */

#define WORKERS 3

static atomic_uint wrong;

static void *work(void *arg)
{
	uint8_t *p = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *ours = nvio_mem_alloc(env, PAGE, 0);
	uint64_t lba = (uintptr_t)arg * 1024;
	struct nvio_qpair *own = NULL;
	struct nvio_op op = NVIO_OP(NULL);

	if (p == MAP_FAILED || !ours || nvio_qpair_alloc(c, NULL, &own))
		abort();
	for (uint32_t i = 0; i < 150; i++) {
		size_t len = (size_t)(1 + i % 20) * PAGE;
		uint32_t blocks = (uint32_t)(len / BLOCK);

		if (nvio_mem_register(env, p, len))
			abort();
		memset(p, (int)(i ^ lba), len);
		wrong += nvio_await(nvio_ns_write(ns, own, p, lba, blocks, &op), &op) != 0;
		memset(p, 0, len);
		/* Between two registrations, so that the cache has to change its mind. */
		wrong += nvio_await(nvio_ns_read(ns, own, ours, lba, 8, &op), &op) != 0;
		wrong += nvio_await(nvio_ns_read(ns, own, p, lba, blocks, &op), &op) != 0;
		wrong += p[0] != (uint8_t)(i ^ lba) || p[len - 1] != p[0] || ours[PAGE - 1] != p[0];
		if (nvio_mem_unregister(env, p, len))
			abort();
		wrong += nvio_ns_read(ns, own, p, lba, 8, &op) != -EFAULT;
	}
	nvio_qpair_free(own);
	nvio_mem_free(env, ours);
	munmap(p, AREA);
	return NULL;
}

static void threads_register_and_unregister_between_their_io(void **state)
{
	static const char *const forms[] = { FORM, FORM "&poll=thread" };

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		pthread_t threads[WORKERS];

		connect_to(forms[i], false);
		wrong = 0;
		for (uintptr_t t = 0; t < WORKERS; t++)
			assert_int_equal(pthread_create(&threads[t], NULL, work, (void *)t), 0);
		for (unsigned t = 0; t < WORKERS; t++)
			pthread_join(threads[t], NULL);
		assert_int_equal(wrong, 0);
		disconnect();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_shape_in_every_memory),
		cmocka_unit_test(iovecs_of_mixed_memory),
		cmocka_unit_test(the_last_byte_counts),
		cmocka_unit_test(null_and_freed_buffers_are_refused),
		cmocka_unit_test(a_new_mapping_at_the_same_address_gets_the_data),
		cmocka_unit_test(passthrough_below_and_above_a_page),
		cmocka_unit_test(admin_commands_take_any_memory),
		cmocka_unit_test(a_batch_has_one_doorbell),
		cmocka_unit_test(threads_register_and_unregister_between_their_io),
	};

	return cmocka_run_group_tests_name("host_translate", tests, NULL, NULL);
}
