/* SPDX-License-Identifier: BSD-3-Clause */
/* Probing: what is offered, what is connected side by side, and how failures are told. N2. */
#include "tests/unit/pci/tree.h"

#include "base/alloc.h"
#include "base/compiler.h"
#include "env/probe.h"
#include "tests/support/bare.h"
#include <nvio/co.h>
#include <nvio/nvme.h>
#include <nvio/probe.h>
#include <nvio/thread.h>

#define MS  1000000ull
#define SEC 1000000000ull

static struct nvio_env *env;
static uint64_t now_ns;

/* What the callbacks saw, and what they are to do. */
static struct {
	bool refuse;
	uint32_t queues; /* to be asked for; 0: the default */
	int offered, attached, failed, rc;
	char offers[8][20], last[300], words[400];
	enum nvio_pci_owner owner;
	bool had_pci;
	struct nvio_ctrlr *ctrlr;
} seen;

static uint64_t on_clock(void *arg)
{
	return now_ns += MS;
}

static int open_env(const char *root, bool unsafe)
{
	struct nvio_env_opts o;

	memset(&seen, 0, sizeof(seen));
	nvio_env_opts_init(&o);
	o.pci_root = root;
	o.unsafe_no_iommu = unsafe;
	o.log_level = NVIO_LOG_ERROR;
	return nvio_env_open(&o, &env);
}

static int setup(void **state)
{
	return open_env(NULL, false);
}

/* On a clock of its own, which each look at it moves by a millisecond. */
static int setup_clock(void **state)
{
	struct nvio_env_opts o;

	memset(&seen, 0, sizeof(seen));
	now_ns = SEC;
	nvio_env_opts_init(&o);
	o.now_ns = on_clock;
	o.log_level = NVIO_LOG_ERROR;
	return nvio_env_open(&o, &env);
}

static int teardown(void **state)
{
	nvio_env_close(env);
	env = NULL;
	return 0;
}

static bool on_probe(const struct nvio_probe_info *info, struct nvio_ctrlr_opts *opts, void *arg)
{
	assert_ptr_equal(arg, &seen);
	assert_int_equal(info->size, sizeof(*info));
	/* All are offered before the first is touched. */
	assert_int_equal(seen.attached + seen.failed, 0);
	seen.had_pci = info->pci != NULL;
	if (info->pci) {
		assert_int_equal(info->trid->trtype, NVIO_TRTYPE_PCIE);
		assert_string_equal(info->trid->traddr, info->pci->bdf);
		seen.owner = info->pci->owner;
	}
	if (seen.offered < 8)
		snprintf(seen.offers[seen.offered], sizeof(seen.offers[0]), "%.19s", info->trid->traddr);
	seen.offered++;
	if (seen.queues)
		opts->num_io_queues = seen.queues;
	return !seen.refuse;
}

static void on_attach(const struct nvio_probe_info *info, struct nvio_ctrlr *ctrlr, int rc, void *arg)
{
	assert_ptr_equal(arg, &seen);
	assert_int_equal(!ctrlr, rc != 0);
	snprintf(seen.last, sizeof(seen.last), "%s", info->trid->traddr);
	seen.rc = rc;
	seen.ctrlr = ctrlr;
	seen.attached += ctrlr != NULL;
	seen.failed += ctrlr == NULL;
	if (ctrlr)
		assert_true(nvio_ctrlr_is_ready(ctrlr));
	else
		snprintf(seen.words, sizeof(seen.words), "%s", nvio_errmsg());
}

static int probe(const char *text)
{
	struct nvio_trid trid;

	if (text)
		assert_int_equal(nvio_trid_parse(text, &trid), 0);
	return nvio_probe(env, text ? &trid : NULL, on_probe, on_attach, &seen);
}

/* ---- one that is named ---- */

static void a_named_controller_is_offered_connected_and_the_callers(void **state)
{
	seen.queues = 1;
	assert_int_equal(probe("loop:ram:1M"), 1);
	assert_int_equal(seen.offered, 1);
	assert_false(seen.had_pci);
	assert_string_equal(seen.offers[0], "ram:1M");
	assert_int_equal(seen.attached, 1);
	assert_int_equal(nvio_ctrlr_max_queues(seen.ctrlr), 1);
	assert_non_null(nvio_ctrlr_ns(seen.ctrlr, 1));
	nvio_ctrlr_close(seen.ctrlr);
}

static void one_that_is_not_chosen_is_left_alone(void **state)
{
	seen.refuse = true;
	assert_int_equal(probe("loop:ram:1M"), 0);
	assert_int_equal(seen.offered, 1);
	assert_int_equal(seen.attached + seen.failed, 0);
}

static void without_a_choice_it_is_taken(void **state)
{
	struct nvio_trid trid;

	assert_int_equal(nvio_trid_parse("loop:ram:1M", &trid), 0);
	assert_int_equal(nvio_probe(env, &trid, NULL, on_attach, &seen), 1);
	assert_int_equal(seen.attached, 1);
	/* It goes with the environment. */
}

static void a_failure_is_told_with_its_words(void **state)
{
	assert_int_equal(probe("loop:/nowhere/disk.img"), 0);
	assert_int_equal(seen.failed, 1);
	assert_int_equal(seen.rc, -ENOENT);
	assert_non_null(strstr(seen.words, "/nowhere/disk.img"));
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(probe("trtype:TCP traddr:127.0.0.1 trsvcid:1 subnqn:nqn.2024-01.org.example:x"), 0);
	assert_int_equal(seen.rc, -EOPNOTSUPP);
}

static void bad_arguments(void **state)
{
	struct nvio_trid trid = { .trtype = NVIO_TRTYPE_LOOP };

	assert_int_equal(nvio_probe(NULL, NULL, on_probe, on_attach, &seen), -EINVAL);
	assert_int_equal(nvio_probe(env, NULL, on_probe, NULL, &seen), -EINVAL);
	assert_errmsg("gets the controllers");
	assert_int_equal(nvio_probe(env, &trid, on_probe, on_attach, &seen), -EINVAL);
	trid = (struct nvio_trid){ .trtype = NVIO_TRTYPE_PCIE, .traddr = "no-such-address" };
	assert_int_equal(nvio_probe(env, &trid, on_probe, on_attach, &seen), -EINVAL);
	assert_errmsg("no-such-address");
	assert_int_equal(seen.offered, 0);
}

/* ---- several ---- */

static void candidate(struct probe_candidate *c, const char *text)
{
	memset(c, 0, sizeof(*c));
	assert_int_equal(nvio_trid_parse(text, &c->trid), 0);
}

static void close_when_attached(const struct nvio_probe_info *info, struct nvio_ctrlr *ctrlr, int rc, void *arg)
{
	struct nvio_op op = NVIO_OP(NULL);

	on_attach(info, ctrlr, rc, arg);
	assert_int_equal(nvio_await(nvio_ctrlr_get_feature(ctrlr, 7, 0, 0, 0, NULL, 0, &op), &op), 0);
	nvio_ctrlr_close(ctrlr);
}

static void more_than_connect_at_a_time_all_get_their_turn(void **state)
{
	static struct probe_candidate list[150];
	char text[64];

	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		snprintf(text, sizeof(text), "loop:null:1M?serial=%zu", i);
		candidate(&list[i], text);
	}
	assert_int_equal(probe_candidates(env, list, ARRAY_SIZE(list), on_probe, close_when_attached, &seen), 150);
	assert_int_equal(seen.offered, 150);
	assert_int_equal(seen.attached, 150);
}

/* Controllers that never get ready take the time that one of them takes, and one that does is not held up by them. */
static void dead_ones_are_waited_for_side_by_side(void **state)
{
	static struct bare dead[3], lives;
	struct probe_candidate list[4];
	uint64_t begin, one;

	for (int i = 0; i < 3; i++) {
		char name[16], text[24];

		snprintf(name, sizeof(name), "dead%d", i);
		snprintf(text, sizeof(text), "loop:%s", name);
		assert_int_equal(bare_open(&dead[i], env, name), 0);
		dead[i].never_ready = true;
		candidate(&list[i], text);
	}
	assert_int_equal(bare_open(&lives, env, "lives"), 0);
	candidate(&list[3], "loop:lives");

	begin = now_ns;
	assert_int_equal(probe_candidates(env, list, 1, on_probe, on_attach, &seen), 0);
	one = now_ns - begin;
	assert_int_equal(seen.rc, -ETIMEDOUT);
	assert_true(one >= 500 * MS);

	memset(&seen, 0, sizeof(seen));
	begin = now_ns;
	assert_int_equal(probe_candidates(env, list, 4, on_probe, on_attach, &seen), 1);
	/* The clock moves with each look at it, and four look: but none waits for another to end. */
	assert_true(now_ns - begin < 2 * one);
	assert_int_equal(seen.attached, 1);
	assert_int_equal(seen.failed, 3);
	assert_int_equal(seen.rc, -ETIMEDOUT); /* the last to be told is a dead one */
	assert_non_null(strstr(seen.words, "CSTS.RDY"));
	for (int i = 0; i < 3; i++)
		bare_close(&dead[i]);
}

static void without_memory_nothing_is_left(void **state)
{
	int files = unit_open_files(), refused = 0;
	struct probe_candidate list[2];
	long left = -1;

	for (long n = 0; left < 0; n++) {
		struct nvio_mem_stats before, after;
		int rc;

		memset(&seen, 0, sizeof(seen));
		candidate(&list[0], "loop:null:1M?serial=a");
		candidate(&list[1], "loop:null:1M?serial=b");
		nvio_mem_get_stats(env, &before);
		alloc_fail_after(n);
		rc = probe_candidates(env, list, 2, NULL, on_attach, &seen);
		left = alloc_fail_after(-1);
		refused += rc != 2;
		assert_true(rc == -ENOMEM || rc == seen.attached);
		if (left >= 0)
			break;
		/* All but what was handed over is gone. */
		while (seen.attached > 0) {
			nvio_env_close(env);
			seen.attached = 0;
			assert_int_equal(nvio_env_open(NULL, &env), 0);
			before.allocations = 0;
			files = unit_open_files();
		}
		nvio_mem_get_stats(env, &after);
		assert_int_equal(after.allocations, before.allocations);
		assert_int_equal(unit_open_files(), files);
	}
	assert_true(refused > 5);
}

/* ---- in coroutines ---- */

static int probing_coroutine(void *arg)
{
	return probe("loop:ram:1M");
}

static int counting_coroutine(void *arg)
{
	for (int *turns = arg; !seen.attached && !seen.failed; (*turns)++)
		nvio_co_yield();
	return 0;
}

static void in_a_coroutine_the_others_run_meanwhile(void **state)
{
	struct nvio_thread *thread;
	struct nvio_co *co[2];
	int turns = 0, result;

	assert_int_equal(nvio_thread_create(env, NULL, &thread), 0);
	assert_int_equal(nvio_co_spawn(thread, probing_coroutine, NULL, NULL, &co[0]), 0);
	assert_int_equal(nvio_co_spawn(thread, counting_coroutine, &turns, NULL, &co[1]), 0);
	assert_int_equal(nvio_co_join(co[0], &result), 0);
	assert_int_equal(result, 1);
	assert_int_equal(nvio_co_join(co[1], NULL), 0);
	assert_true(turns > 1);
	nvio_ctrlr_close(seen.ctrlr);
	assert_int_equal(nvio_thread_destroy(thread), 0);
}

static int probe_dead(void *arg)
{
	struct probe_candidate one;

	candidate(&one, "loop:dead");
	return probe_candidates(env, &one, 1, on_probe, on_attach, &seen);
}

static void a_cancelled_coroutine_leaves_nothing_behind(void **state)
{
	static struct bare dead;
	struct nvio_thread *thread;
	struct nvio_co *co;

	assert_int_equal(bare_open(&dead, env, "dead"), 0);
	dead.never_ready = true;
	assert_int_equal(nvio_thread_create(env, NULL, &thread), 0);
	assert_int_equal(nvio_co_spawn(thread, probe_dead, NULL, NULL, &co), 0);
	for (int i = 0; i < 5; i++)
		nvio_thread_poll(thread, 0);
	assert_int_equal(nvio_co_cancel(co), 0);
	assert_int_equal(nvio_co_join(co, NULL), -ECANCELED);
	assert_int_equal(seen.attached + seen.failed, 0);
	assert_int_equal(nvio_thread_destroy(thread), 0);
	bare_close(&dead);
}

/* ---- the bus ---- */

#define KERNELS "0000:01:00.0"
#define OURS    "0000:02:00.0"
#define NO_MMU  "0000:03:00.0"
#define UIO     "0000:04:00.0"
#define ALSO    "0001:00:00.0"
#define SATA    "0000:05:00.0"

static int setup_bus(void **state)
{
	static const char *const bdfs[] = { KERNELS, OURS, NO_MMU, UIO, ALSO, SATA };
	static const char *const drivers[] = { "nvme", "vfio-pci", "vfio-pci", "uio_pci_generic", "vfio-pci", "vfio-pci" };

	if (tree_setup(state))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(bdfs); i++) {
		tree_function(bdfs[i], strcmp(bdfs[i], SATA) ? "0x010802\n" : "0x010601\n", "0x1b36\n", "0x0010\n");
		tree_driver(bdfs[i], drivers[i]);
		if (strcmp(bdfs[i], NO_MMU) && strcmp(bdfs[i], UIO))
			tree_group(bdfs[i], (int)i + 1);
	}
	tree_file("", "sys/bus/pci/devices/" KERNELS "/nvme/nvme0/dev");
	tree_file("", "dev/vfio/2");
	return open_env(tree_root, false);
}

static int teardown_bus(void **state)
{
	nvio_env_close(env);
	env = NULL;
	return tree_teardown(state);
}

static void what_user_space_has_is_offered_in_order(void **state)
{
	struct nvio_trid any = { .trtype = NVIO_TRTYPE_PCIE };

	seen.refuse = true;
	assert_int_equal(probe(NULL), 0);
	assert_int_equal(seen.offered, 2);
	assert_string_equal(seen.offers[0], OURS);
	assert_string_equal(seen.offers[1], ALSO);
	assert_int_equal(nvio_probe(env, &any, on_probe, on_attach, &seen), 0);
	assert_int_equal(seen.offered, 4);
}

static void without_an_iommu_only_on_demand(void **state)
{
	nvio_env_close(env);
	assert_int_equal(open_env(tree_root, true), 0);
	seen.refuse = true;
	assert_int_equal(probe(NULL), 0);
	assert_int_equal(seen.offered, 4);
	assert_string_equal(seen.offers[1], NO_MMU);
	assert_string_equal(seen.offers[2], UIO);
}

static void one_of_the_kernel_is_offered_only_by_name(void **state)
{
	seen.refuse = true;
	assert_int_equal(probe(KERNELS), 0);
	assert_int_equal(seen.offered, 1);
	assert_true(seen.had_pci);
	assert_int_equal(seen.owner, NVIO_PCI_KERNEL);
}

/* A made-up function cannot be opened: that is told for each, and does not end the others. */
static void each_that_cannot_be_taken_is_told(void **state)
{
	assert_int_equal(probe(NULL), 0);
	assert_int_equal(seen.offered, 2);
	assert_int_equal(seen.failed, 2);
	assert_true(seen.rc < 0);
	assert_string_equal(seen.last, ALSO);
	assert_non_null(strstr(seen.words, ALSO));
}

static void functions_that_are_none(void **state)
{
	assert_int_equal(probe("0000:09:00.0"), -ENODEV);
	assert_errmsg("no such function");
	assert_int_equal(probe(SATA), -ENODEV);
	assert_errmsg("0x010601");
	assert_int_equal(seen.offered, 0);
}

static void a_machine_without_the_bus_has_nothing(void **state)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/dev", tree_root);
	nvio_env_close(env);
	assert_int_equal(open_env(path, false), 0);
	assert_int_equal(probe(NULL), 0);
	assert_int_equal(seen.offered, 0);
}

static void an_environment_without_pci_does_not_look(void **state)
{
	struct nvio_env_opts o;

	nvio_env_close(env);
	nvio_env_opts_init(&o);
	o.no_pci = true;
	o.pci_root = tree_root;
	assert_int_equal(nvio_env_open(&o, &env), 0);
	assert_int_equal(probe(NULL), -EPERM);
	assert_int_equal(probe(OURS), -EPERM);
	assert_errmsg("no_pci");
	assert_int_equal(probe("loop:ram:1M"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_named_controller_is_offered_connected_and_the_callers, setup, teardown),
		cmocka_unit_test_setup_teardown(one_that_is_not_chosen_is_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(without_a_choice_it_is_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(a_failure_is_told_with_its_words, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_arguments, setup, teardown),
		cmocka_unit_test_setup_teardown(more_than_connect_at_a_time_all_get_their_turn, setup, teardown),
		cmocka_unit_test_setup_teardown(dead_ones_are_waited_for_side_by_side, setup_clock, teardown),
		cmocka_unit_test_setup_teardown(without_memory_nothing_is_left, setup, teardown),
		cmocka_unit_test_setup_teardown(in_a_coroutine_the_others_run_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(a_cancelled_coroutine_leaves_nothing_behind, setup, teardown),
		cmocka_unit_test_setup_teardown(what_user_space_has_is_offered_in_order, setup_bus, teardown_bus),
		cmocka_unit_test_setup_teardown(without_an_iommu_only_on_demand, setup_bus, teardown_bus),
		cmocka_unit_test_setup_teardown(one_of_the_kernel_is_offered_only_by_name, setup_bus, teardown_bus),
		cmocka_unit_test_setup_teardown(each_that_cannot_be_taken_is_told, setup_bus, teardown_bus),
		cmocka_unit_test_setup_teardown(functions_that_are_none, setup_bus, teardown_bus),
		cmocka_unit_test_setup_teardown(a_machine_without_the_bus_has_nothing, setup_bus, teardown_bus),
		cmocka_unit_test_setup_teardown(an_environment_without_pci_does_not_look, setup_bus, teardown_bus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
