/* SPDX-License-Identifier: BSD-3-Clause */
/* The host with drives behind an IOMMU: which memory is a buffer, and what else may go on in the environment meanwhile. */
#include "tests/support/unit.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include <nvio/nvme.h>
#include <nvio/spec/nvm.h>

#define BLOCK 512u
#define PAGE  4096u

struct conn {
	struct nvio_drive *drive;
	struct nvio_ctrlr *c;
	struct nvio_qpair *qp;
	struct nvio_ns *ns;
};

static struct nvio_env *env;
static unsigned warnings;

static void on_log(void *arg, enum nvio_log_level level, const char *text)
{
	warnings += level <= NVIO_LOG_WARN;
}

static int setup(void **state)
{
	struct nvio_env_opts o;

	warnings = 0;
	nvio_env_opts_init(&o);
	o.log_fn = on_log;
	return nvio_env_open(&o, &env);
}

static int teardown(void **state)
{
	nvio_env_close(env);
	return 0;
}

static void check(int rc)
{
	if (rc)
		fail_msg("%d: %s", rc, nvio_errmsg());
}

static void connect_to(struct conn *k, const char *form, bool bounce)
{
	struct nvio_ctrlr_opts o;
	char where[100];

	nvio_ctrlr_opts_init(&o);
	o.bounce = bounce;
	snprintf(where, sizeof(where), "loop:%s", form);
	check(nvio_drive_open_str(env, form, &k->drive));
	check(nvio_connect(env, where, &o, &k->c));
	check(nvio_qpair_alloc(k->c, NULL, &k->qp));
	k->ns = nvio_ctrlr_ns(k->c, 1);
	assert_non_null(k->ns);
}

/* And no access may have gone astray. */
static void disconnect(struct conn *k)
{
	struct nvio_drive_stats s;

	nvio_qpair_free(k->qp);
	nvio_ctrlr_close(k->c);
	nvio_drive_get_stats(k->drive, &s);
	assert_int_equal(s.dma_faults, 0);
	nvio_drive_close(k->drive);
}

static int rw(struct conn *k, bool write, void *data, uint64_t lba, uint32_t n)
{
	struct nvio_op op = NVIO_OP(NULL);

	if (write)
		return nvio_await(nvio_ns_write(k->ns, k->qp, data, lba, n, &op), &op);
	return nvio_await(nvio_ns_read(k->ns, k->qp, data, lba, n, &op), &op);
}

/* Writes what is there and reads it back into it. */
static void round_trip(struct conn *k, uint8_t *data, uint32_t len)
{
	uint8_t *was = malloc(len);

	for (uint32_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 7 + i / 251);
	memcpy(was, data, len);
	check(rw(k, true, data, 3, len / BLOCK));
	memset(data, 0, len);
	check(rw(k, false, data, 3, len / BLOCK));
	assert_memory_equal(data, was, len);
	free(was);
}

static void any_other_pointer_is_refused_and_the_drive_never_sees_it(void **state)
{
	uint8_t on_stack[BLOCK] __attribute__((aligned(4))), *on_heap = aligned_alloc(PAGE, 64 * PAGE), *ours;
	struct iovec iov[2];
	struct nvio_op op = NVIO_OP(NULL);
	struct conn k;

	connect_to(&k, "ram:8M?iommu=1", false);
	ours = nvio_mem_alloc(env, PAGE, 0);
	assert_int_equal(rw(&k, false, on_stack, 0, 1), -EFAULT);
	assert_errmsg("nvio_mem_register");
	assert_int_equal(rw(&k, false, on_heap, 0, 8), -EFAULT);
	assert_int_equal(rw(&k, true, on_heap, 0, 16), -EFAULT);
	assert_int_equal(rw(&k, true, on_heap + 512, 0, 400), -EFAULT);
	iov[0] = (struct iovec){ ours, PAGE };
	iov[1] = (struct iovec){ on_heap, PAGE };
	assert_int_equal(nvio_await(nvio_ns_readv(k.ns, k.qp, iov, 2, 0, 16, &op), &op), -EFAULT);
	/* Of a page that is half registered, too. */
	check(nvio_mem_register(env, on_heap, 2 * PAGE));
	assert_int_equal(rw(&k, false, on_heap + PAGE, 0, 16), -EFAULT);
	assert_int_equal(rw(&k, false, on_heap + 2 * PAGE - BLOCK, 0, 2), -EFAULT);
	check(rw(&k, false, on_heap, 0, 16));
	check(nvio_mem_unregister(env, on_heap, 2 * PAGE));
	assert_int_equal(rw(&k, false, on_heap, 0, 16), -EFAULT);
	check(rw(&k, false, ours, 0, 8));
	assert_int_equal(nvio_mem_free(env, ours), 0);
	disconnect(&k);
	assert_int_equal(warnings, 0);
	free(on_heap);
}

static void or_bounced_by_option(void **state)
{
	uint8_t *on_heap = aligned_alloc(PAGE, 64 * PAGE);
	uint8_t on_stack[5 * BLOCK];
	struct conn k;

	connect_to(&k, "ram:8M?iommu=1", true);
	round_trip(&k, on_stack, sizeof(on_stack));
	round_trip(&k, on_heap, 64 * PAGE);
	round_trip(&k, on_heap + 4, 50 * PAGE);
	disconnect(&k);
	free(on_heap);
}

static uint8_t global[4 * PAGE] __attribute__((aligned(4096)));

static void registered_memory_of_any_kind_is_a_buffer(void **state)
{
	char path[] = "/tmp/nvio-iommu-XXXXXX";
	int fd = mkstemp(path);
	uint8_t *kinds[5];
	struct conn k;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 4 * PAGE), 0);
	kinds[0] = global;
	kinds[1] = aligned_alloc(PAGE, 4 * PAGE);
	kinds[2] = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	kinds[3] = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	kinds[4] = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	connect_to(&k, "ram:8M?iommu=1", false);
	for (size_t i = 0; i < 5; i++) {
		assert_ptr_not_equal(kinds[i], MAP_FAILED);
		assert_int_equal(rw(&k, true, kinds[i], 0, 1), -EFAULT);
		check(nvio_mem_register(env, kinds[i], 4 * PAGE));
		round_trip(&k, kinds[i], 4 * PAGE);
		round_trip(&k, kinds[i] + 60, 2 * PAGE);
	}
	/* What the drive read is in the file. */
	memset(kinds[3], 0x3c, 4 * PAGE);
	check(rw(&k, true, kinds[3], 0, 32));
	memset(kinds[3], 0, 4 * PAGE);
	check(rw(&k, false, kinds[3], 0, 32));
	assert_int_equal(pread(fd, global, 4 * PAGE, 0), 4 * PAGE);
	for (size_t i = 0; i < 4 * PAGE; i++)
		assert_int_equal(global[i], 0x3c);
	for (size_t i = 0; i < 5; i++)
		check(nvio_mem_unregister(env, kinds[i], 4 * PAGE));
	disconnect(&k);
	for (size_t i = 2; i < 5; i++)
		munmap(kinds[i], 4 * PAGE);
	free(kinds[1]);
	close(fd);
	unlink(path);
}

static void drives_with_and_without_share_an_environment(void **state)
{
	static const char *const forms[] = { "ram:8M", "ram:8M?iommu=1", "ram:9M", "ram:9M?iommu=1&poll=thread" };
	uint8_t *buf = nvio_mem_alloc(env, 300 * BLOCK, 0), on_stack[BLOCK];
	struct conn k[4];

	for (int order = 0; order < 2; order++) {
		for (int i = 0; i < 4; i++)
			connect_to(&k[order ? 3 - i : i], forms[order ? 3 - i : i], false);
		for (int i = 0; i < 4; i++) {
			round_trip(&k[i], buf, 300 * BLOCK);
			assert_int_equal(rw(&k[i], false, on_stack, 0, 1), i % 2 ? -EFAULT : 0);
		}
		/* One goes, the other stays. */
		disconnect(&k[1]);
		for (int i = 0; i < 4; i++)
			if (i != 1)
				round_trip(&k[i], buf, 300 * BLOCK);
		disconnect(&k[3]);
		round_trip(&k[0], buf, 300 * BLOCK);
		disconnect(&k[0]);
		disconnect(&k[2]);
	}
	assert_int_equal(nvio_mem_free(env, buf), 0);
}

static void a_handle_that_is_open_forbids_the_first_such_drive(void **state)
{
	uint8_t *buf = nvio_mem_alloc(env, PAGE, 0);
	struct nvio_mem_buf handle;
	struct nvio_ctrlr *c;

	check(nvio_mem_buf_open(env, buf, PAGE, &handle));
	assert_int_equal(nvio_connect(env, "loop:ram:8M?iommu=1", NULL, &c), -EBUSY);
	assert_errmsg("open handle");
	nvio_mem_buf_close(env, &handle);
	check(nvio_connect(env, "loop:ram:8M?iommu=1", NULL, &c));
	nvio_ctrlr_close(c);
	assert_int_equal(nvio_mem_free(env, buf), 0);
}

/* A mistake of the program's, which must not become one page written with two. */
static void memory_that_goes_while_a_passthrough_command_waits_is_refused(void **state)
{
	struct nvio_sqe write = { .opc = NVIO_NVM_WRITE, .cdw12 = nvio_to_le32(2 * PAGE / BLOCK - 1) };
	struct nvio_op first = NVIO_OP(NULL), second = NVIO_OP(NULL);
	uint8_t *own = aligned_alloc(PAGE, 2 * PAGE), *buf = nvio_mem_alloc(env, PAGE, 0);
	struct nvio_qpair_opts o;
	struct conn k;

	connect_to(&k, "ram:8M?iommu=1", false);
	nvio_qpair_free(k.qp);
	nvio_qpair_opts_init(&o);
	o.io_queue_size = 2;
	check(nvio_qpair_alloc(k.c, &o, &k.qp));
	check(nvio_mem_register(env, own, 2 * PAGE));
	memset(own, 0x5a, 2 * PAGE);
	write.nsid = nvio_to_le32(1);
	check(nvio_ns_read(k.ns, k.qp, buf, 0, 1, &first));
	check(nvio_qpair_io(k.qp, &write, own, 2 * PAGE, &second));
	/* Checked builds do not let it go. */
	if (nvio_mem_unregister(env, own, 2 * PAGE)) {
		check(nvio_wait(&first));
		check(nvio_wait(&second));
		check(nvio_mem_unregister(env, own, 2 * PAGE));
	} else {
		check(nvio_wait(&first));
		assert_int_equal(nvio_wait(&second), -EFAULT);
	}
	disconnect(&k);
	nvio_mem_free(env, buf);
	free(own);
}

/* ---- threads ---- */

static atomic_bool stop;
static atomic_uint turns;

static void *register_and_free(void *arg)
{
	size_t len = (size_t)(8 + 8 * (uintptr_t)arg) * PAGE;
	uint8_t *own = aligned_alloc(PAGE, len);

	while (!atomic_load(&stop)) {
		void *small = nvio_mem_alloc(env, 1000, 0), *large = nvio_mem_alloc(env, (size_t)3 << 20, 0);

		if (!small || !large || nvio_mem_register(env, own, len) || nvio_mem_unregister(env, own, len) ||
			nvio_mem_free(env, large) || nvio_mem_free(env, small))
			abort();
		atomic_fetch_add(&turns, 1);
	}
	free(own);
	return NULL;
}

static void io_goes_on_while_others_register_and_free(void **state)
{
	static const char *const forms[] = { "ram:8M?iommu=1&poll=thread", "ram:8M?iommu=1" };
	pthread_t threads[2];

	for (size_t i = 0; i < 2; i++) {
		struct conn k;

		connect_to(&k, forms[i], false);
		atomic_store(&stop, false);
		atomic_store(&turns, 0);
		for (uintptr_t t = 0; t < 2; t++)
			assert_int_equal(pthread_create(&threads[t], NULL, register_and_free, (void *)t), 0);
		for (int n = 0; n < 60 || atomic_load(&turns) < 200; n++) {
			uint8_t *buf = nvio_mem_alloc(env, 40 * PAGE, 0), *own = aligned_alloc(PAGE, 8 * PAGE);

			assert_non_null(buf);
			round_trip(&k, buf, 40 * PAGE);
			check(nvio_mem_register(env, own, 8 * PAGE));
			round_trip(&k, own, 8 * PAGE);
			check(nvio_mem_unregister(env, own, 8 * PAGE));
			assert_int_equal(nvio_mem_free(env, buf), 0);
			free(own);
		}
		atomic_store(&stop, true);
		for (int t = 0; t < 2; t++)
			pthread_join(threads[t], NULL);
		disconnect(&k);
	}
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(any_other_pointer_is_refused_and_the_drive_never_sees_it),
		TEST(or_bounced_by_option),
		TEST(registered_memory_of_any_kind_is_a_buffer),
		TEST(drives_with_and_without_share_an_environment),
		TEST(a_handle_that_is_open_forbids_the_first_such_drive),
		TEST(memory_that_goes_while_a_passthrough_command_waits_is_refused),
		TEST(io_goes_on_while_others_register_and_free),
	};

	return cmocka_run_group_tests_name("host_iommu", tests, NULL, NULL);
}
