/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The host with the software drive: data, faults, and who moves whom along. With NVIO_TEST_IOMMU in the environment the drives stand behind an
 * IOMMU, and may not try to reach anything that is not theirs.
 */
#include "tests/support/unit.h"

#include <errno.h>
#include <stdlib.h>

#include "base/compiler.h"

#include <nvio/nvme.h>
#include <nvio/spec/regs.h>
#include <nvio/spec/status.h>
#include <nvio/thread.h>

#define BLOCK 512u
#define BYTES (8u << 20)

static struct nvio_env *env;
static struct nvio_drive *drive;
static struct nvio_ctrlr *c;
static struct nvio_qpair *qp;
static struct nvio_ns *ns;
static uint8_t *buf, *back, *model;
static bool iommu;

static void quiet(void *arg, enum nvio_log_level level, const char *text)
{
}

static int setup(void **state)
{
	struct nvio_env_opts o;

	nvio_env_opts_init(&o);
	o.log_fn = quiet;
	o.seed = 1;
	if (nvio_env_open(&o, &env))
		return -1;
	buf = nvio_mem_alloc(env, 3 * BYTES, 4096);
	back = buf + BYTES;
	model = back + BYTES;
	drive = NULL;
	c = NULL;
	qp = NULL;
	return 0;
}

static void no_dma_faults(void)
{
	struct nvio_drive_stats s;

	if (!drive)
		return;
	nvio_drive_get_stats(drive, &s);
	assert_int_equal(s.dma_faults, 0);
}

static int teardown(void **state)
{
	no_dma_faults();
	nvio_qpair_free(qp);
	nvio_ctrlr_close(c);
	nvio_drive_close(drive);
	assert_int_equal(nvio_mem_free(env, buf), 0);
	nvio_env_close(env);
	return 0;
}

static void check(int rc)
{
	if (rc)
		fail_msg("%d: %s", rc, nvio_errmsg());
}

/* The same drive behind an IOMMU, when that is what is tested. */
static const char *form_of(const char *form)
{
	static char text[512];

	snprintf(text, sizeof(text), "%s%ciommu=1", form, strchr(form, '?') ? '&' : '?');
	return iommu ? text : form;
}

static int try_connect(struct nvio_env *in, const char *where, const struct nvio_ctrlr_opts *opts, struct nvio_ctrlr **ctrlr)
{
	return nvio_connect(in, form_of(where), opts, ctrlr);
}

static void have(int rc)
{
	check(rc);
	check(nvio_qpair_alloc(c, NULL, &qp));
	ns = nvio_ctrlr_ns(c, 1);
	assert_non_null(ns);
}

static void connect_to(const char *where, const struct nvio_ctrlr_opts *opts)
{
	have(try_connect(env, where, opts, &c));
}

/* To a drive that has been opened under this name. */
static void connect_named(const char *name)
{
	char where[64];

	snprintf(where, sizeof(where), "trtype:LOOP traddr:%s", name);
	have(nvio_connect(env, where, NULL, &c));
}

/* Deadlines of tens of milliseconds, so that lost commands cost no more. */
static struct nvio_ctrlr_opts impatient(void)
{
	struct nvio_ctrlr_opts o;

	nvio_ctrlr_opts_init(&o);
	o.command_timeout_ms = 50;
	o.admin_timeout_ms = 50;
	o.abort_timeout_ms = 50;
	o.state_timeout_ms = 200;
	return o;
}

static void open_and_connect(const char *form)
{
	struct nvio_ctrlr_opts o = impatient();
	char where[256];

	check(nvio_drive_open_str(env, form_of(form), &drive));
	snprintf(where, sizeof(where), "loop:%s", form);
	connect_to(where, &o);
}

static void disconnect(void)
{
	nvio_qpair_free(qp);
	nvio_ctrlr_close(c);
	no_dma_faults();
	nvio_drive_close(drive);
	qp = NULL;
	c = NULL;
	drive = NULL;
}

static int io(bool write, void *data, uint64_t lba, uint32_t n)
{
	struct nvio_op op = NVIO_OP(NULL);

	if (write)
		return nvio_await(nvio_ns_write(ns, qp, data, lba, n, &op), &op);
	return nvio_await(nvio_ns_read(ns, qp, data, lba, n, &op), &op);
}

static uint32_t prng = 1;

static uint32_t rnd(uint32_t below)
{
	prng = prng * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)prng * below >> 32);
}

static void fill(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)rnd(256);
}

/* ---- data ---- */

static void what_is_written_is_read_whatever_the_shape(void **state)
{
	static const char *const forms[] = { "loop:ram:8M", "loop:ram:8M?mdts=8192", "loop:ram:8M?bs=4096&stride=4&mdts=16384&entries=16",
		"loop:ram:8M?poll=thread&mdts=65536" };
	for (size_t i = 0; i < 4; i++) {
		uint32_t block;

		connect_to(forms[i], NULL);
		block = nvio_ns_block_size(ns);
		assert_int_equal(nvio_ns_size_bytes(ns), BYTES);
		memset(model, 0, BYTES);
		for (int k = 0; k < 300; k++) {
			uint32_t n = 1 + rnd(k % 10 ? 64 : BYTES / block / 4), lba = rnd(BYTES / block - n + 1), skew = rnd(3) ? rnd(8) * 4 : rnd(4096);
			uint64_t at = (uint64_t)lba * block, len = (uint64_t)n * block;
			struct nvio_lba_range range = { lba, n };
			struct nvio_op op = NVIO_OP(NULL);

			switch (rnd(5)) {
			case 0:
			case 1:
				fill(buf + skew, len);
				memcpy(model + at, buf + skew, len);
				check(io(true, buf + skew, lba, n));
				break;
			case 2:
				check(nvio_await(nvio_ns_write_zeroes(ns, qp, lba, n, &op), &op));
				memset(model + at, 0, len);
				break;
			case 3:
				check(nvio_await(nvio_ns_deallocate(ns, qp, &range, 1, &op), &op));
				check(nvio_await(nvio_ns_write_zeroes(ns, qp, lba, n, &op), &op));
				memset(model + at, 0, len);
				break;
			default:
				check(io(false, back + skew, lba, n));
				assert_memory_equal(back + skew, model + at, len);
				n = MIN(n, 4096 / block); /* small enough for every limit */
				check(nvio_await(nvio_ns_compare(ns, qp, model + at, lba, n, &op), &op));
				model[at] ^= 1;
				assert_int_equal(nvio_await(nvio_ns_compare(ns, qp, model + at, lba, n, &op), &op), -EILSEQ);
				model[at] ^= 1;
				check(nvio_await(nvio_ns_flush(ns, qp, &op), &op));
			}
		}
		check(io(false, back, 0, BYTES / block));
		assert_memory_equal(back, model, BYTES);
		disconnect();
	}
}

static void many_at_once_with_a_small_queue(void **state)
{
	struct nvio_op *ops = calloc(2000, sizeof(*ops)), *got[64];
	struct nvio_qpair_opts o;
	unsigned done = 0;

	connect_to("loop:ram:8M", NULL);
	nvio_qpair_free(qp);
	nvio_qpair_opts_init(&o);
	o.io_queue_size = 4;
	check(nvio_qpair_alloc(c, &o, &qp));
	fill(buf, 2000 * BLOCK);
	for (unsigned i = 0; i < 2000; i++) {
		ops[i].flags = NVIO_OP_REAP;
		check(nvio_ns_write(ns, qp, buf + i * BLOCK, i, 1, &ops[i]));
	}
	while (done < 2000) {
		int n = nvio_qpair_reap(qp, got, 64);

		assert_true(n >= 0);
		for (int i = 0; i < n; i++)
			assert_int_equal(got[i]->status, 0);
		done += (unsigned)n;
	}
	check(io(false, back, 0, 2000));
	assert_memory_equal(back, buf, 2000 * BLOCK);
	free(ops);
}

/* ---- the drive as the device sees us ---- */

static void registers_are_written_in_the_order_of_the_specification(void **state)
{
	struct nvio_drive_ns_opts nso = { .backing = NVIO_DRIVE_RAM, .bytes = BYTES };
	struct nvio_register_write w[16];
	struct nvio_drive_opts o;
	size_t n;

	nvio_drive_opts_init(&o);
	o.name = "recorded";
	o.num_ns = 1;
	o.ns = &nso;
	o.record_registers = true;
	o.iommu = iommu;
	check(nvio_drive_open(env, &o, &drive));
	connect_named("recorded");
	n = nvio_drive_register_writes(drive, w, 16);
	assert_int_equal(n, 4);
	assert_int_equal(w[0].offset, NVIO_REG_AQA);
	assert_int_equal(w[1].offset, NVIO_REG_ASQ);
	assert_int_equal(w[2].offset, NVIO_REG_ACQ);
	assert_int_equal(w[3].offset, NVIO_REG_CC);
	assert_int_equal(w[3].value & 1, 1);
}

static void no_doorbell_is_bad_whatever_happens(void **state)
{
	struct nvio_drive_stats s;
	struct nvio_op op = NVIO_OP(NULL);

	open_and_connect("ram:8M");
	for (int i = 0; i < 20; i++) {
		struct nvio_op ops[100] = { 0 };

		for (int k = 0; k < 100; k++)
			check(nvio_ns_read(ns, qp, buf, 0, k % 3 ? 1 : 3000, &ops[k]));
		if (i % 3 == 0) {
			nvio_qpair_free(qp);
			check(nvio_qpair_alloc(c, NULL, &qp));
		} else if (i % 3 == 1) {
			check(nvio_await(nvio_ctrlr_reset(c, &op), &op));
		}
		for (int k = 0; k < 100; k++)
			nvio_wait(&ops[k]);
	}
	nvio_drive_get_stats(drive, &s);
	assert_int_equal(s.bad_doorbells, 0);
}

/* ---- faults ---- */

static void faults_end_as_they_should(void **state)
{
	static const struct {
		const char *fault;
		int rc;          /* of the I/O that it strikes */
		unsigned resets;
		bool dead;       /* the controller, afterwards */
	} cases[] = {
		{ "delay:us=1000:count=1", 0, 0, false },
		{ "delay:us=10000000:count=1", -ETIMEDOUT, 0, false }, /* aborted */
		{ "lose:count=1", -ETIMEDOUT, 1, false },              /* beyond an Abort's reach */
		{ "status:sf=0x281:count=1", -EIO, 0, false },
		{ "status:sf=0x4080:count=1", -ERANGE, 0, false },
		{ "unknown_cid:count=1", 0, 0, false },
		{ "duplicate:count=1", 0, 0, false },
		{ "phase:count=1", -ETIMEDOUT, 1, false },
		{ "fatal:count=1", 0, 1, false }, /* sent anew after the reset */
		{ "fatal", -EIO, 3, false }, /* sent anew only so often */
		{ "remove:count=1", -ENODEV, 0, true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int rc;

		open_and_connect("ram:8M");
		check(nvio_drive_add_fault_str(drive, cases[i].fault));
		rc = io(true, buf, 0, 1);
		if (rc != cases[i].rc || nvio_ctrlr_reset_count(c) != cases[i].resets)
			fail_msg("%s: %d after %u resets", cases[i].fault, rc, nvio_ctrlr_reset_count(c));
		nvio_drive_clear_faults(drive);
		for (int k = 0; k < 5; k++)
			rc = io(true, buf, 0, 1);
		if (!cases[i].dead)
			assert_int_equal(rc, 0);
		else
			assert_int_equal(rc, cases[i].rc);
		disconnect();
	}
}

static void an_abort_that_is_lost_costs_a_reset(void **state)
{
	open_and_connect("ram:8M");
	check(nvio_drive_add_fault_str(drive, "delay:us=10000000:count=1"));
	check(nvio_drive_add_fault_str(drive, "lose_abort:admin=1"));
	assert_int_equal(io(true, buf, 0, 1), -ETIMEDOUT);
	assert_int_equal(nvio_ctrlr_reset_count(c), 1);
	assert_int_equal(io(true, buf, 0, 1), 0);
}

static void random_faults_lose_no_op(void **state)
{
	struct nvio_ctrlr_opts o = impatient();
	struct nvio_op ops[64] = { 0 };
	unsigned done = 0, good = 0;

	o.max_resets = 1000;
	check(nvio_drive_open_str(env, form_of("ram:8M?seed=7&fault=lose:p=0.01&fault=status:sf=0x281:p=0.05&fault=duplicate:p=0.05"
		"&fault=unknown_cid:p=0.05&fault=delay:us=300:p=0.1"), &drive));
	connect_to("loop:ram:8M?seed=7&fault=lose:p=0.01&fault=status:sf=0x281:p=0.05&fault=duplicate:p=0.05"
		"&fault=unknown_cid:p=0.05&fault=delay:us=300:p=0.1", &o);
	for (unsigned n = 0; done < 3000; n++) {
		struct nvio_op *op = &ops[n % 64];

		if (nvio_op_pending(op)) {
			assert_true(nvio_qpair_poll(qp, 0) >= 0);
			continue;
		}
		done++;
		good += op->status == 0;
		assert_true(op->status == 0 || op->status == -EIO || op->status == -ETIMEDOUT);
		check(nvio_ns_read(ns, qp, buf, rnd(1000), 1 + rnd(100), op));
	}
	for (int i = 0; i < 64; i++)
		nvio_wait(&ops[i]);
	assert_true(good > 2000);
	assert_int_equal(nvio_qpair_in_flight(qp), 0);
}

static void a_drive_that_does_not_become_ready_or_stop(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);

	check(nvio_drive_open_str(env, form_of("ram:8M?fault=never_ready:admin=1"), &drive));
	assert_int_equal(try_connect(env, "loop:ram:8M?fault=never_ready:admin=1", NULL, &c), -ETIMEDOUT);
	assert_errmsg("enabling");
	c = NULL;
	nvio_drive_clear_faults(drive);
	connect_to("loop:ram:8M?fault=never_ready:admin=1", NULL);
	check(nvio_drive_add_fault_str(drive, "never_stop:admin=1"));
	assert_int_equal(nvio_await(nvio_ctrlr_reset(c, &op), &op), -EIO);
}

static void removal_and_return(void **state)
{
	struct nvio_op ops[20] = { 0 };

	open_and_connect("ram:8M");
	fill(buf, BLOCK);
	check(io(true, buf, 9, 1));
	for (int i = 0; i < 20; i++)
		check(nvio_ns_read(ns, qp, back, 0, 1, &ops[i]));
	check(nvio_drive_remove(drive));
	for (int i = 0; i < 20; i++)
		assert_int_equal(nvio_wait(&ops[i]), -ENODEV);
	assert_string_equal(nvio_ctrlr_state(c), "removed");
	nvio_qpair_free(qp);
	nvio_ctrlr_close(c);
	check(nvio_drive_insert(drive));
	connect_to("loop:ram:8M", NULL);
	check(io(false, back, 9, 1)); /* the data stayed */
	assert_memory_equal(back, buf, BLOCK);
}

static void closing_the_drive_under_the_controller(void **state)
{
	struct nvio_op ops[20] = { 0 };

	open_and_connect("ram:8M");
	for (int i = 0; i < 20; i++)
		check(nvio_ns_read(ns, qp, back, 0, 1, &ops[i]));
	nvio_drive_close(drive);
	drive = NULL;
	for (int i = 0; i < 20; i++) {
		int rc = nvio_wait(&ops[i]);

		assert_true(rc == 0 || rc == -ENODEV);
	}
	assert_int_equal(io(false, back, 0, 1), -ENODEV);
}

/* ---- who is where ---- */

static void a_short_form_makes_a_drive_that_goes_with_the_controller(void **state)
{
	for (int i = 0; i < 3; i++) {
		struct nvio_ctrlr *second;

		connect_to("loop:ram:8M", NULL);
		assert_int_equal(try_connect(env, "loop:ram:8M", NULL, &second), -EBUSY);
		memset(back, 1, BLOCK);
		check(io(false, back, 0, 1));
		assert_int_equal(back[0], 0); /* a new one each time */
		memset(buf, 7, BLOCK);
		check(io(true, buf, 0, 1));
		disconnect();
	}
	assert_int_equal(try_connect(env, "loop:ram:8M?nonsense=1", NULL, &c), -EINVAL);
	c = NULL;
	assert_int_equal(try_connect(env, "loop:/nonexistent/disk.img", NULL, &c), -ENOENT);
	c = NULL;
}

static void environments_do_not_see_each_other(void **state)
{
	struct nvio_env *other;
	struct nvio_ctrlr *oc;
	struct nvio_qpair *oqp;
	struct nvio_op op = NVIO_OP(NULL);
	uint8_t *there;

	check(nvio_env_open(NULL, &other));
	open_and_connect("ram:8M");
	check(try_connect(other, "loop:ram:8M", NULL, &oc));
	check(nvio_qpair_alloc(oc, NULL, &oqp));
	memset(buf, 1, BLOCK);
	check(io(true, buf, 0, 1));
	there = nvio_mem_alloc(other, BLOCK, 0);
	check(nvio_await(nvio_ns_read(nvio_ctrlr_ns(oc, 1), oqp, there, 0, 1, &op), &op));
	assert_int_equal(there[0], 0);
	assert_int_equal(nvio_ns_read(ns, oqp, back, 0, 1, &op), -EINVAL);
	nvio_env_close(other); /* with everything still open */
	check(io(false, back, 0, 1));
	assert_int_equal(back[0], 1);
}

static void a_drive_on_the_callers_own_nvio_thread(void **state)
{
	struct nvio_drive_ns_opts nso = { .backing = NVIO_DRIVE_RAM, .bytes = BYTES };
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_thread *thread;
	struct nvio_drive_opts o;

	check(nvio_thread_create(env, NULL, &thread));
	check(nvio_thread_attach(thread));
	nvio_drive_opts_init(&o);
	o.name = "attached";
	o.num_ns = 1;
	o.ns = &nso;
	o.poll = NVIO_DRIVE_ATTACHED;
	o.thread = thread;
	o.iommu = iommu;
	check(nvio_drive_open(env, &o, &drive));
	/* Each of these waits for what only this very OS thread can do. */
	connect_named("attached");
	fill(buf, 100 * BLOCK);
	check(io(true, buf, 0, 100));
	check(io(false, back, 0, 100));
	assert_memory_equal(buf, back, 100 * BLOCK);
	check(nvio_await(nvio_ctrlr_reset(c, &op), &op));
	check(io(false, back, 0, 100));
	disconnect();
	check(nvio_thread_detach(thread));
	check(nvio_thread_destroy(thread));
}

static void everything_may_be_left_open(void **state)
{
	struct nvio_op ops[50] = { 0 };

	connect_to("loop:ram:8M", NULL);
	for (int i = 0; i < 50; i++)
		check(nvio_ns_read(ns, qp, back, 0, i % 2 ? 1 : 5000, &ops[i]));
	nvio_env_close(env);
	for (int i = 0; i < 50; i++)
		assert_int_equal(nvio_op_pending(&ops[i]), 0);
	assert_int_equal(setup(state), 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_written_is_read_whatever_the_shape),
		TEST(many_at_once_with_a_small_queue),
		TEST(registers_are_written_in_the_order_of_the_specification),
		TEST(no_doorbell_is_bad_whatever_happens),
		TEST(faults_end_as_they_should),
		TEST(an_abort_that_is_lost_costs_a_reset),
		TEST(random_faults_lose_no_op),
		TEST(a_drive_that_does_not_become_ready_or_stop),
		TEST(removal_and_return),
		TEST(closing_the_drive_under_the_controller),
		TEST(a_short_form_makes_a_drive_that_goes_with_the_controller),
		TEST(environments_do_not_see_each_other),
		TEST(a_drive_on_the_callers_own_nvio_thread),
		TEST(everything_may_be_left_open),
	};

	iommu = getenv("NVIO_TEST_IOMMU");
	return cmocka_run_group_tests_name(iommu ? "drive_iommu" : "drive", tests, NULL, NULL);
}
