/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening and closing drives: options, good and bad, failing memory, who polls, several at once. */
#include "raw.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/alloc.h"

static struct nvio_drive_ns_opts ram = { .backing = NVIO_DRIVE_RAM, .bytes = 1 << 20 };

static struct nvio_drive_opts good(void)
{
	struct nvio_drive_opts o;

	nvio_drive_opts_init(&o);
	o.name = "drive";
	o.num_ns = 1;
	o.ns = &ram;
	return o;
}

struct opts_case {
	const char *words;
	void (*spoil)(struct nvio_drive_opts *o, struct nvio_drive_ns_opts *ns);
};

#define SPOIL(name, statement) \
	static void spoil_##name(struct nvio_drive_opts *o, struct nvio_drive_ns_opts *ns) { statement; }
SPOIL(no_name, o->name = NULL)
SPOIL(empty_name, o->name = "")
SPOIL(serial, o->serial = "123456789012345678901")
SPOIL(serial_bytes, o->serial = "a\tb")
SPOIL(model, o->model = "12345678901234567890123456789012345678901")
SPOIL(firmware, o->firmware = "123456789")
SPOIL(no_ns, o->num_ns = 0)
SPOIL(many_ns, o->num_ns = 65)
SPOIL(null_ns, o->ns = NULL)
SPOIL(mdts_odd, o->mdts_bytes = 12288)
SPOIL(mdts_small, o->mdts_bytes = 2048)
SPOIL(mdts_large, o->mdts_bytes = 2u << 30)
SPOIL(no_queues, o->max_queues = 0)
SPOIL(many_queues, o->max_queues = 129)
SPOIL(one_entry, o->max_queue_entries = 1)
SPOIL(many_entries, o->max_queue_entries = 65537)
SPOIL(stride, o->doorbell_stride = 5)
SPOIL(timeout, o->ready_timeout_ms = 127501)
SPOIL(poll, o->poll = (enum nvio_drive_poll)3)
SPOIL(no_thread, o->poll = NVIO_DRIVE_ATTACHED)
SPOIL(core, o->core = 0)
SPOIL(core_less, o->core = -2)
SPOIL(backing, ns->backing = (enum nvio_drive_backing)7)
SPOIL(block, ns->block_size = 1024)
SPOIL(bytes_none, ns->bytes = 0)
SPOIL(bytes_odd, ns->bytes = 1000)
SPOIL(bytes_huge, ns->bytes = 1ull << 63)
SPOIL(untouched, ns->untouched_reads = true)
SPOIL(file_no_path, ns->backing = NVIO_DRIVE_FILE)
SPOIL(path_of_ram, ns->path = "/tmp/x")
SPOIL(engine_of_ram, ns->engine = NVIO_BDEV_FILE_THREADS)
SPOIL(engine, ns->backing = NVIO_DRIVE_FILE; ns->path = "/tmp/x"; ns->engine = (enum nvio_bdev_file_engine)9)
SPOIL(old_size, o->size = 8)

static void bad_options_are_named(void **state)
{
	static const struct opts_case cases[] = {
		{ "name", spoil_no_name }, { "name", spoil_empty_name }, { "serial", spoil_serial },
		{ "serial", spoil_serial_bytes }, { "model", spoil_model }, { "firmware", spoil_firmware },
		{ "0 namespaces", spoil_no_ns }, { "65 namespaces", spoil_many_ns }, { "namespaces", spoil_null_ns },
		{ "mdts", spoil_mdts_odd }, { "mdts", spoil_mdts_small }, { "mdts", spoil_mdts_large },
		{ "queues", spoil_no_queues }, { "queues", spoil_many_queues }, { "entries", spoil_one_entry },
		{ "entries", spoil_many_entries }, { "stride", spoil_stride }, { "timeout", spoil_timeout },
		{ "poll mode", spoil_poll }, { "thread", spoil_no_thread }, { "core", spoil_core }, { "core", spoil_core_less },
		{ "backing", spoil_backing }, { "block size", spoil_block }, { "size", spoil_bytes_none },
		{ "1000 bytes", spoil_bytes_odd }, { "bytes", spoil_bytes_huge }, { "untouched", spoil_untouched },
		{ "path", spoil_file_no_path }, { "path", spoil_path_of_ram }, { "engine", spoil_engine_of_ram },
		{ "engine", spoil_engine }, { "size", spoil_old_size },
	};
	struct nvio_drive *d;
	struct nvio_drive_opts o;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_drive_ns_opts ns = ram;
		int rc;

		o = good();
		o.ns = &ns;
		cases[i].spoil(&o, &ns);
		rc = nvio_drive_open(raw_env, &o, &d);
		if (rc != -EINVAL)
			fail_msg("%zu (%s): %d", i, cases[i].words, rc);
		assert_errmsg(cases[i].words);
	}
	o = good();
	assert_int_equal(nvio_drive_open(raw_env, NULL, &d), -EINVAL);
	assert_int_equal(nvio_drive_open(NULL, &o, &d), -EINVAL);
	assert_int_equal(nvio_drive_open(raw_env, &o, NULL), -EINVAL);
	/* Nothing of all this is left: the name is free. */
	assert_int_equal(nvio_drive_open(raw_env, &o, &d), 0);
	assert_string_equal(nvio_drive_name(d), "drive");
	assert_int_equal(nvio_drive_poll(d), 0);
	assert_int_equal(nvio_drive_poll(NULL), -EINVAL);
	assert_int_equal(nvio_drive_remove(NULL), -EINVAL);
	assert_int_equal(nvio_drive_insert(NULL), -EINVAL);
	nvio_drive_close(d);
	nvio_drive_close(NULL);
}

/* What is behind the end of an older structure is not ours to look at. */
static void options_of_an_older_program_are_understood(void **state)
{
	struct nvio_drive_opts o = good();
	struct nvio_drive *d;

	o.size = offsetof(struct nvio_drive_opts, iommu);
	memset(&o.iommu, 0xff, sizeof(o) - o.size);
	assert_int_equal(nvio_drive_open(raw_env, &o, &d), 0);
	nvio_drive_close(d);
	o.size -= 8;
	assert_int_equal(nvio_drive_open(raw_env, &o, &d), -EINVAL);
}

static void a_name_is_used_once(void **state)
{
	struct nvio_drive_opts o = good();
	struct nvio_drive *a, *b;

	assert_int_equal(nvio_drive_open(raw_env, &o, &a), 0);
	assert_int_equal(nvio_drive_open(raw_env, &o, &b), -EEXIST);
	nvio_drive_close(a);
	assert_int_equal(nvio_drive_open(raw_env, &o, &b), 0);
	nvio_drive_close(b);
}

static void long_names_fit(void **state)
{
	struct nvio_drive_opts o = good();
	struct nvio_drive *d, *e;
	char name[260], other[260];

	memset(name, 'n', sizeof(name));
	name[255] = '\0';
	memcpy(other, name, sizeof(name));
	other[254] = 'm';
	o.name = name;
	assert_int_equal(nvio_drive_open(raw_env, &o, &d), 0);
	o.name = other;
	assert_int_equal(nvio_drive_open(raw_env, &o, &e), 0);
	nvio_drive_close(d);
	nvio_drive_close(e);
	name[255] = 'n';
	name[256] = '\0';
	o.name = name;
	assert_int_equal(nvio_drive_open(raw_env, &o, &d), -EINVAL);
}

static void every_allocation_may_fail(void **state)
{
	static const char *const forms[] = { "ram:1M?ns=2", "null:1M?poll=thread", "ram:1M?fault=lose" };

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		int files = unit_open_files(), failures = 0;

		for (long n = 0, left = -1; left < 0; n++) {
			struct nvio_drive *d;
			int rc;

			alloc_fail_after(n);
			rc = nvio_drive_open_str(raw_env, forms[i], &d);
			left = alloc_fail_after(-1);
			if (!rc) {
				nvio_drive_close(d);
				continue;
			}
			failures++;
			assert_int_equal(rc, -ENOMEM);
			assert_int_equal(nvio_thread_count(raw_env), 0);
			assert_int_equal(unit_open_files(), files);
		}
		assert_in_range(failures, 10, 200);
	}
}

static void a_queue_without_memory_is_refused(void **state)
{
	struct raw r;

	raw_init(&r, raw_env, "ram:1M");
	raw_write_admin(&r, 8, 8);
	raw_w32(&r, NVIO_REG_CC, RAW_CC_ENABLE);
	alloc_fail_after(1);
	raw_kicks(&r, 2);
	alloc_fail_after(-1);
	assert_int_equal(raw_csts(&r), 2);
	raw_w32(&r, NVIO_REG_CC, 0);
	assert_true(raw_csts_becomes(&r, 3, 0));
	raw_enable(&r);
	raw_queue_make(&r.io, 1, 8, 8);
	for (long n = 0, left = -1; left < 0; n++) {
		uint16_t sf;

		alloc_fail_after(n);
		sf = raw_do(&r, &r.admin, raw_create_cq(&r.io, NVIO_CREATE_PC, 0), NULL);
		left = alloc_fail_after(-1);
		assert_int_equal(sf, left < 0 ? NVIO_SF(0, NVIO_SC_INTERNAL_ERROR) : 0);
	}
	for (long n = 0, left = -1; left < 0; n++) {
		uint16_t sf;

		alloc_fail_after(n);
		sf = raw_do(&r, &r.admin, raw_create_sq(&r.io, 1), NULL);
		left = alloc_fail_after(-1);
		assert_int_equal(sf, left < 0 ? NVIO_SF(0, NVIO_SC_INTERNAL_ERROR) : 0);
	}
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 1), NULL), 0);
	raw_close(&r);
}

static void two_drives_do_not_know_each_other(void **state)
{
	struct raw a, b;

	raw_open(&a, raw_env, "ram:1M?poll=thread");
	raw_open(&b, raw_env, "ram:1M");
	memset(a.buf, 1, 512);
	memset(b.buf, 2, 512);
	for (uint64_t lba = 0; lba < 200; lba++) {
		assert_int_equal(raw_do(&a, &a.io, raw_rw(NVIO_NVM_WRITE, a.buf, lba, 1), NULL), 0);
		assert_int_equal(raw_do(&b, &b.io, raw_rw(NVIO_NVM_WRITE, b.buf, lba, 1), NULL), 0);
	}
	assert_int_equal(nvio_drive_remove(a.drive), 0);
	assert_int_equal(raw_do(&b, &b.io, raw_rw(NVIO_NVM_READ, b.buf, 199, 1), NULL), 0);
	assert_int_equal(b.buf[0], 2);
	raw_close(&a);
	raw_close(&b);
}

static void an_attached_drive_moves_with_its_thread(void **state)
{
	struct nvio_drive_opts o = good();
	struct raw r = { .env = raw_env, .buf = raw_pages(RAW_BUF_PAGES) };

	assert_int_equal(nvio_thread_create(raw_env, NULL, &r.thread), 0);
	o.poll = NVIO_DRIVE_ATTACHED;
	o.thread = r.thread;
	assert_int_equal(nvio_drive_open(raw_env, &o, &r.drive), 0);
	assert_int_equal(nvio_drive_poll(r.drive), 0);
	raw_attach(&r);
	raw_enable(&r);
	raw_create_io(&r, 8, 8);
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_WRITE, r.buf, 0, 1), NULL), 0);
	/* From elsewhere a removal takes effect in the next poll; on the thread, at once. */
	assert_int_equal(nvio_drive_remove(r.drive), 0);
	assert_int_not_equal(raw_csts(&r), UINT32_MAX);
	assert_true(raw_csts_becomes(&r, UINT32_MAX, UINT32_MAX));
	assert_int_equal(nvio_thread_attach(r.thread), 0);
	assert_int_equal(nvio_drive_insert(r.drive), 0);
	assert_int_equal(raw_csts(&r), 0);
	nvio_thread_detach(r.thread);
	loop_detach(r.port);
	nvio_drive_close(r.drive);
	assert_int_equal(nvio_thread_destroy(r.thread), 0);
	raw_queue_free(&r.admin);
	raw_queue_free(&r.io);
	free(r.buf);
}

struct mover {
	struct nvio_thread *thread;
	_Atomic bool stop;
};

static void *keep_moving(void *arg)
{
	struct mover *m = arg;

	while (!m->stop)
		nvio_thread_poll(m->thread, 0);
	return NULL;
}

/* Whoever polls its thread: this OS thread, another one, or nobody any more. */
static void a_host_can_leave_an_attached_drive(void **state)
{
	enum { HERE, ELSEWHERE, NOBODY, NUM };

	for (int by = 0; by < NUM; by++) {
		struct raw r = { .env = raw_env, .buf = raw_pages(RAW_BUF_PAGES) };
		struct nvio_drive_opts o = good();
		struct mover m = { 0 };
		pthread_t os_thread;

		assert_int_equal(nvio_thread_create(raw_env, NULL, &r.thread), 0);
		o.poll = NVIO_DRIVE_ATTACHED;
		o.thread = m.thread = r.thread;
		assert_int_equal(nvio_drive_open(raw_env, &o, &r.drive), 0);
		raw_fault(&r, "delay:opcode=2:us=20000:count=1");
		raw_attach(&r);
		raw_enable(&r);
		raw_create_io(&r, 8, 8);
		raw_put(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 1));
		raw_ring(&r, &r.io);
		raw_kick(&r);
		if (by == HERE)
			assert_int_equal(nvio_thread_attach(r.thread), 0);
		if (by == ELSEWHERE)
			assert_int_equal(pthread_create(&os_thread, NULL, keep_moving, &m), 0);
		loop_detach(r.port);
		memset(r.buf, 0xaa, 512);
		sleep_ns(30 * NS_PER_MS);
		m.stop = true;
		if (by == HERE)
			nvio_thread_detach(r.thread);
		if (by == ELSEWHERE)
			pthread_join(os_thread, NULL);
		for (int i = 0; i < 10; i++)
			nvio_thread_poll(r.thread, 0);
		for (int i = 0; i < 512; i++)
			assert_int_equal(r.buf[i], 0xaa);
		nvio_drive_close(r.drive);
		assert_int_equal(nvio_thread_destroy(r.thread), 0);
		raw_queue_free(&r.admin);
		raw_queue_free(&r.io);
		free(r.buf);
	}
}

static void closing_the_environment_closes_drives(void **state)
{
	static const char *const forms[] = { "ram:1M", "ram:1M?poll=thread" };

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		int files = unit_open_files();
		struct nvio_env *env;
		struct nvio_drive *d;

		assert_int_equal(nvio_env_open(NULL, &env), 0);
		assert_int_equal(nvio_drive_open_str(env, forms[i], &d), 0);
		nvio_env_close(env);
		assert_int_equal(unit_open_files(), files);
	}
}

static void closing_finishes_what_is_in_flight(void **state)
{
	static const char *const forms[] = { "ram:4M", "ram:4M?poll=thread", "ram:4M?fault=delay:us=1000000000" };

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct raw r;

		raw_open(&r, raw_env, forms[i]);
		for (int n = 0; n < 50; n++)
			raw_put(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf + n * RAW_PAGE, 0, 8));
		raw_ring(&r, &r.io);
		if (i)
			raw_kick(&r);
		nvio_drive_close(r.drive);
		assert_int_equal(loop_reg_read32(r.port, NVIO_REG_CSTS), UINT32_MAX);
		memset(r.buf, 0x42, 50 * RAW_PAGE);
		for (uint32_t b = 0; b < 50 * RAW_PAGE; b++)
			assert_int_equal(r.buf[b], 0x42);
		loop_detach(r.port);
		raw_queue_free(&r.admin);
		raw_queue_free(&r.io);
		free(r.buf);
	}
}

struct holder {
	struct nvio_env *env;
	_Atomic bool open;
};

/* Opens the drive's block device, tells so, and closes it a little later. */
static void *hold(void *arg)
{
	struct holder *h = arg;
	struct nvio_bdev_desc *desc;
	struct nvio_thread *t;

	if (nvio_thread_create(h->env, NULL, &t) || nvio_thread_attach(t) || nvio_bdev_open(h->env, "ram:1Mn1", 0, &desc))
		abort();
	atomic_store(&h->open, true);
	sleep_ns(20 * NS_PER_MS);
	if (nvio_bdev_close(desc) || nvio_thread_detach(t) || nvio_thread_destroy(t))
		abort();
	return NULL;
}

static void closing_waits_for_who_has_the_block_device_open(void **state)
{
	struct holder h = { .env = raw_env };
	uint64_t begin;
	struct raw r;
	pthread_t t;

	raw_open(&r, raw_env, "ram:1M");
	assert_int_equal(pthread_create(&t, NULL, hold, &h), 0);
	while (!atomic_load(&h.open))
		sched_yield();
	begin = clock_monotonic_ns();
	raw_close(&r);
	assert_true(clock_monotonic_ns() - begin > 5 * NS_PER_MS);
	pthread_join(t, NULL);
}

struct kicker {
	struct raw *r;
	_Atomic bool stop;
};

static void *kick_on(void *arg)
{
	struct kicker *k = arg;

	while (!atomic_load(&k->stop))
		raw_kick(k->r);
	return NULL;
}

static void several_os_threads_may_kick_at_once(void **state)
{
	pthread_t t[3];
	struct raw r;
	struct kicker k = { .r = &r };

	raw_open(&r, raw_env, "ram:1M");
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&t[i], NULL, kick_on, &k), 0);
	for (int i = 0; i < 2000; i++) {
		struct nvio_drive_stats st;

		assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 1), NULL), 0);
		nvio_drive_get_stats(r.drive, &st);
		assert_int_equal(st.io_commands, i + 1);
	}
	atomic_store(&k.stop, true);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	raw_close(&r);
}

static void an_os_thread_of_its_own_can_be_bound(void **state)
{
	char form[64];
	int core = -1;
	struct nvio_drive *d;
	struct raw r;

	assert_true(nvio_env_cores(raw_env, &core, 1) >= 1);
	snprintf(form, sizeof(form), "ram:1M?poll=thread&core=%d", core);
	raw_open(&r, raw_env, form);
	sleep_ns(5 * NS_PER_MS); /* it has gone to sleep; the next command wakes nobody and is answered all the same */
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 1), NULL), 0);
	raw_close(&r);
	assert_int_equal(nvio_drive_open_str(raw_env, "ram:1M?poll=thread&core=99999", &d), -EINVAL);
	assert_errmsg("99999");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RAW_TEST(bad_options_are_named),
		RAW_TEST(options_of_an_older_program_are_understood),
		RAW_TEST(a_name_is_used_once),
		RAW_TEST(long_names_fit),
		RAW_TEST(every_allocation_may_fail),
		RAW_TEST(a_queue_without_memory_is_refused),
		RAW_TEST(two_drives_do_not_know_each_other),
		RAW_TEST(an_attached_drive_moves_with_its_thread),
		RAW_TEST(a_host_can_leave_an_attached_drive),
		RAW_TEST(closing_the_environment_closes_drives),
		RAW_TEST(closing_finishes_what_is_in_flight),
		RAW_TEST(closing_waits_for_who_has_the_block_device_open),
		RAW_TEST(several_os_threads_may_kick_at_once),
		RAW_TEST(an_os_thread_of_its_own_can_be_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
