/* SPDX-License-Identifier: BSD-3-Clause */
/* What it costs to be idle, and to wait: next to nothing of a core, with each kind of drive (Z15, T9). */
#include "tests/unit/host/asleep.h"

static void an_idle_process_uses_under_one_percent(void **state)
{
	FOR_EACH_KIND(kind) {
		uint64_t begin, cpu;

		rig_open(kind, NULL, NULL);
		assert_int_equal(io(true, 0), 0);
		await_asleep(kind);
		for (int i = 0; i < 5; i++) /* what is left over */
			sleep_once(20);
		begin = clock_monotonic_ns();
		cpu = cpu_ns();
		while (clock_monotonic_ns() - begin < 2 * NS_PER_S) {
			sleep_once(2000);
			nvio_qpair_poll(r.qp, 0);
			nvio_ctrlr_poll(r.c);
		}
		cpu = cpu_ns() - cpu;
		/* Naps, where there is no barrier, cost a little more. */
		if (cpu * 100 > (clock_monotonic_ns() - begin) * (has_barrier ? 1 : 30))
			fail_msg("kind %d: %llu us in 2 s", kind, (unsigned long long)(cpu / NS_PER_US));
		assert_int_equal(io(false, 0), 0);
		rig_close();
	}
}

static void a_blocking_wait_on_a_late_command_sleeps(void **state)
{
	FOR_EACH_KIND(kind) {
		struct nvio_op op = NVIO_OP(NULL);
		uint64_t begin, cpu;

		rig_open(kind, "delay:opcode=2:us=2000000", NULL);
		begin = clock_monotonic_ns();
		cpu = cpu_ns();
		check(nvio_await(nvio_ns_read(r.ns, r.qp, r.buf, 0, 1, &op), &op));
		cpu = cpu_ns() - cpu;
		begin = clock_monotonic_ns() - begin;
		assert_true(begin >= 2 * NS_PER_S);
		if (cpu * 100 > begin * (has_barrier ? 5 : 30))
			fail_msg("kind %d: %llu us", kind, (unsigned long long)(cpu / NS_PER_US));
		rig_close();
	}
}

static void a_blocking_admin_command_sleeps_too(void **state)
{
	FOR_EACH_KIND(kind) {
		struct nvio_op op = NVIO_OP(NULL);
		uint64_t cpu;

		rig_open(kind, "delay:opcode=10:admin=1:us=1000000", NULL);
		cpu = cpu_ns();
		check(nvio_await(nvio_ctrlr_get_feature(r.c, 2, 0, 0, 0, NULL, 0, &op), &op));
		cpu = cpu_ns() - cpu;
		if (cpu > NS_PER_S * (has_barrier ? 5 : 30) / 100)
			fail_msg("kind %d: %llu us", kind, (unsigned long long)(cpu / NS_PER_US));
		rig_close();
	}
}

/* Threads and rings of the file engines end the sleep of whoever moves the drive. */
static void drives_over_files_sleep_too(void **state)
{
	static const enum nvio_bdev_file_engine engines[] = { NVIO_BDEV_FILE_THREADS, NVIO_BDEV_FILE_AUTO };
	struct nvio_drive_ns_opts ns = { .backing = NVIO_DRIVE_FILE, .bytes = 1 << 20 };
	char path[] = "/tmp/nvio-sleep-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	ns.path = path;
	rig_backing = &ns;
	for (size_t e = 0; e < ARRAY_SIZE(engines); e++) {
		ns.engine = engines[e];
		FOR_EACH_KIND(kind) {
			uint64_t cpu;

			rig_open(kind, NULL, NULL);
			for (int i = 0; i < 30; i++) {
				memset(r.buf, i + 1, BLOCK);
				assert_int_equal(io(true, 7), 0);
				if (i % 10 == 9)
					await_asleep(kind);
				memset(r.buf, 0, BLOCK);
				assert_int_equal(io(false, 7), 0);
				assert_int_equal(r.buf[BLOCK - 1], i + 1);
			}
			await_asleep(kind);
			cpu = cpu_ns();
			for (uint64_t begin = clock_monotonic_ns(); clock_monotonic_ns() - begin < NS_PER_S;) {
				sleep_once(1000);
				nvio_qpair_poll(r.qp, 0);
			}
			cpu = cpu_ns() - cpu;
			if (cpu > NS_PER_S * (has_barrier ? 1 : 30) / 100)
				fail_msg("kind %d: %llu us in 1 s", kind, (unsigned long long)(cpu / NS_PER_US));
			rig_close();
		}
	}
	rig_backing = NULL;
	close(fd);
	unlink(path);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_idle_process_uses_under_one_percent),
		cmocka_unit_test(a_blocking_wait_on_a_late_command_sleeps),
		cmocka_unit_test(a_blocking_admin_command_sleeps_too),
		cmocka_unit_test(drives_over_files_sleep_too),
	};

	asleep_begin(argc, argv);
	return cmocka_run_group_tests_name("host_sleep_idle", tests, NULL, NULL);
}
