/* SPDX-License-Identifier: BSD-3-Clause */
/* What pci.h promises of a function once it is taken, held against functions of the synthetic bus. */
#include "pci/synth.h"

#include "tests/support/unit.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "base/alloc.h"

#define BDF	"0000:01:00.0"
#define BAR_LEN 0x4000u

static struct nvio_env *env;
static struct synth synth;
static struct pci_dev *dev;
static uint32_t bar0[BAR_LEN / 4];

static int setup(void **state)
{
	memset(bar0, 0, sizeof(bar0));
	dev = NULL;
	synth_init(&synth, BDF, NVIO_PCI_CLASS_NVME);
	synth.bars[0].base = bar0;
	synth.bars[0].len = sizeof(bar0);
	if (nvio_env_open(NULL, &env))
		return -1;
	synth_add(env, &synth);
	return 0;
}

static int teardown(void **state)
{
	pci_close(dev);
	synth_remove(env, &synth);
	synth_fini(&synth);
	nvio_env_close(env);
	return 0;
}

static void open_it(void)
{
	assert_int_equal(pci_open(env, BDF, &dev), 0);
}

static bool rings(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void it_is_handed_out_with_memory_on_and_bus_mastering_off(void **state)
{
	synth_config_set(&synth, PCI_CFG_COMMAND, 2, PCI_CMD_BUS_MASTER | 0x40);
	assert_int_equal(pci_open(env, "1:0.0", &dev), 0);
	assert_string_equal(pci_bdf(dev), BDF);
	assert_int_equal(pci_class(dev), NVIO_PCI_CLASS_NVME);
	assert_int_equal(
		synth_config_get(&synth, PCI_CFG_COMMAND, 2), PCI_CMD_MEMORY | PCI_CMD_INTX_DISABLE | 0x40);
	assert_int_equal(pci_set_bus_master(dev, true), 0);
	assert_true(synth_is_bus_master(&synth));
	assert_int_equal(pci_set_bus_master(dev, false), 0);
	assert_false(synth_is_bus_master(&synth));
}

static void it_is_given_back_quiet(void **state)
{
	open_it();
	assert_int_equal(pci_set_bus_master(dev, true), 0);
	pci_close(dev);
	dev = NULL;
	pci_close(NULL);
	assert_false(synth_is_bus_master(&synth));
	assert_int_equal(synth.counts.resets, 1);
	assert_int_equal(synth.counts.closes, 1);
	open_it();
}

static void only_one_has_it(void **state)
{
	struct pci_dev *second = NULL;

	open_it();
	assert_int_equal(pci_open(env, BDF, &second), -EBUSY);
	assert_null(second);
}

static void configuration_space_is_reached_in_aligned_pieces(void **state)
{
	static const struct {
		uint32_t offset, width;
		int rc;
	} cases[] = {
		{ 0, 1, 0 },
		{ 1, 1, 0 },
		{ 4095, 1, 0 },
		{ 2, 2, 0 },
		{ 4094, 2, 0 },
		{ 0, 4, 0 },
		{ 4092, 4, 0 },
		{ 4096, 1, -EINVAL },
		{ 4096, 4, -EINVAL },
		{ 1, 2, -EINVAL },
		{ 2, 4, -EINVAL },
		{ 4095, 2, -EINVAL },
		{ 0, 0, -EINVAL },
		{ 0, 3, -EINVAL },
		{ 0, 8, -EINVAL },
		{ UINT32_MAX, 1, -EINVAL },
		{ 0xfffffffc, 4, -EINVAL },
	};
	uint32_t value;

	open_it();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t was = 0;

		if (!cases[i].rc)
			was = synth_config_get(&synth, cases[i].offset, cases[i].width);
		if (pci_config_read(dev, cases[i].offset, cases[i].width, &value) != cases[i].rc)
			fail_msg("case %zu: read", i);
		if (pci_config_write(dev, cases[i].offset, cases[i].width, 0x5a) != cases[i].rc)
			fail_msg("case %zu: write", i);
		if (cases[i].rc)
			continue;
		assert_int_equal(value, was);
		assert_int_equal(synth_config_get(&synth, cases[i].offset, cases[i].width), 0x5a);
	}
}

static void a_bar_is_mapped_once_and_whole(void **state)
{
	volatile void *base, *again;
	size_t len;

	open_it();
	assert_int_equal(pci_bar(dev, 0, &base, &len), 0);
	assert_ptr_equal((void *)(uintptr_t)base, bar0);
	assert_int_equal(len, BAR_LEN);
	synth.faults.bar = -EIO;
	assert_int_equal(pci_bar(dev, 0, &again, &len), 0);
	assert_ptr_equal((void *)(uintptr_t)again, (void *)(uintptr_t)base);
	assert_int_equal(pci_bar(dev, 1, &again, &len), -EIO);
	assert_int_equal(pci_bar(dev, 1, &again, &len), -ENODEV);
	assert_errmsg("no BAR 1");
	assert_int_equal(pci_bar(dev, 6, &again, &len), -ENODEV);
	assert_int_equal(pci_bar(dev, UINT32_MAX, &again, &len), -ENODEV);
}

static void vectors_lead_where_they_are_set_to(void **state)
{
	int a = eventfd(0, EFD_NONBLOCK), b = eventfd(0, EFD_NONBLOCK);
	eventfd_t count;

	open_it();
	assert_int_equal(pci_vectors(dev), 8);
	assert_false(synth_raise(&synth, 0));
	assert_int_equal(pci_vector_set(dev, 0, a), 0);
	assert_int_equal(pci_vector_set(dev, 7, b), 0);
	assert_true(synth_raise(&synth, 7));
	assert_false(rings(a));
	assert_int_equal(eventfd_read(b, &count), 0);
	assert_int_equal(pci_vector_set(dev, 7, a), 0);
	assert_true(synth_raise(&synth, 7));
	assert_true(rings(a) && !rings(b));
	assert_int_equal(pci_vector_set(dev, 7, -1), 0);
	assert_false(synth_raise(&synth, 7));
	assert_int_equal(pci_vector_set(dev, 8, a), -EINVAL);
	assert_int_equal(pci_vector_set(dev, 0, -2), -EINVAL);
	synth.faults.vector = -ENOSPC;
	assert_int_equal(pci_vector_set(dev, 1, a), -ENOSPC);
	/* Who gives it back leaves no vector behind. */
	pci_close(dev);
	dev = NULL;
	assert_false(synth_raise(&synth, 0));
	close(a);
	close(b);
}

static void count_reset(struct synth *s)
{
	(*(int *)s->arg)++;
}

static void a_reset_turns_bus_mastering_off_and_keeps_bars(void **state)
{
	volatile void *base, *again;
	size_t len;
	int resets = 0;

	synth.was_reset = count_reset;
	synth.arg = &resets;
	open_it();
	assert_int_equal(pci_bar(dev, 0, &base, &len), 0);
	assert_int_equal(pci_set_bus_master(dev, true), 0);
	assert_int_equal(pci_reset(dev), 0);
	assert_int_equal(resets, 1);
	assert_false(synth_is_bus_master(&synth));
	assert_int_equal(synth_config_get(&synth, PCI_CFG_COMMAND, 2) & PCI_CMD_MEMORY, PCI_CMD_MEMORY);
	assert_int_equal(pci_bar(dev, 0, &again, &len), 0);
	assert_ptr_equal((void *)(uintptr_t)again, (void *)(uintptr_t)base);
	synth.faults.reset = -EIO;
	assert_int_equal(pci_reset(dev), -EIO);
	synth.has_reset = false;
	assert_int_equal(pci_reset(dev), -EOPNOTSUPP);
	assert_errmsg("no reset of its own");
}

static void what_is_pulled_out_is_gone_for_good(void **state)
{
	static const bool tells[] = { true, false };

	for (size_t i = 0; i < ARRAY_SIZE(tells); i++) {
		volatile void *base;
		uint32_t value;
		size_t len;

		synth.tells_when_gone = tells[i];
		open_it();
		assert_int_equal(pci_bar(dev, 0, &base, &len), 0);
		assert_int_equal(pci_gone_fd(dev) >= 0, tells[i]);
		assert_false(pci_look(dev) || pci_is_gone(dev));
		if (tells[i])
			assert_false(rings(pci_gone_fd(dev)));
		synth_pull(&synth);
		if (tells[i])
			assert_true(rings(pci_gone_fd(dev)));
		assert_false(pci_is_gone(dev));
		assert_true(pci_look(dev) && pci_is_gone(dev));
		assert_int_equal(*(volatile uint32_t *)base, UINT32_MAX);
		assert_int_equal(pci_config_read(dev, 0, 4, &value), -ENODEV);
		assert_int_equal(pci_config_write(dev, 4, 2, 0), -ENODEV);
		assert_int_equal(pci_set_bus_master(dev, true), -ENODEV);
		assert_int_equal(pci_reset(dev), -ENODEV);
		assert_int_equal(pci_vector_set(dev, 0, 0), -ENODEV);
		pci_close(dev);
		dev = NULL;
		assert_int_equal(synth.counts.resets, 0);
		assert_int_equal(pci_open(env, BDF, &dev), -ENODEV);
		synth.pulled = false;
	}
}

static void one_that_does_not_answer_is_not_taken(void **state)
{
	synth_config_set(&synth, PCI_CFG_COMMAND, 2, 0xffff);
	assert_int_equal(pci_open(env, BDF, &dev), -ENODEV);
	assert_errmsg("does not answer");
	assert_int_equal(synth.counts.closes, 1);
}

static void a_failure_while_taking_leaves_it_free(void **state)
{
	int files = unit_open_files();

	synth.faults.open = -EACCES;
	assert_int_equal(pci_open(env, BDF, &dev), -EACCES);
	synth.faults.config_read = -EIO;
	assert_int_equal(pci_open(env, BDF, &dev), -EIO);
	synth.faults.config_write = -EIO;
	assert_int_equal(pci_open(env, BDF, &dev), -EIO);
	assert_int_equal(synth.counts.opens, synth.counts.closes);
	for (long n = 0, left = -1; left < 0; n++) {
		int rc;

		alloc_fail_after(n);
		rc = pci_open(env, BDF, &dev);
		left = alloc_fail_after(-1);
		assert_int_equal(rc, left < 0 ? -ENOMEM : 0);
	}
	assert_non_null(dev);
	pci_close(dev);
	dev = NULL;
	assert_int_equal(unit_open_files(), files);
}

/* A mapper that only counts. */
static struct counting {
	struct mem_mapper m;
	struct mem_range range;
	int maps;
} counting;

static int count_map(struct mem_mapper *m, void *va, size_t len, uint64_t iova)
{
	container_of(m, struct counting, m)->maps++;
	return 0;
}

static void count_unmap(struct mem_mapper *m, void *va, size_t len, uint64_t iova)
{
	container_of(m, struct counting, m)->maps--;
}

static const struct mem_mapper_ops count_ops = { .map = count_map, .unmap = count_unmap };

static void memory_is_mapped_as_long_as_it_is_taken(void **state)
{
	void *buf = nvio_mem_alloc(env, 100, 0);

	counting = (struct counting){ .range = { 1 << 20, 1ull << 38 } };
	counting.m = (struct mem_mapper){
		.ops = &count_ops, .name = "counting", .page_sizes = 4096, .num_ranges = 1
	};
	counting.m.ranges = &counting.range;
	synth.mapper = &counting.m;
	assert_int_equal(counting.maps, 0);
	open_it();
	assert_int_equal(counting.maps, 1);
	pci_close(dev);
	dev = NULL;
	assert_int_equal(counting.maps, 0);
	nvio_mem_free(env, buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			it_is_handed_out_with_memory_on_and_bus_mastering_off, setup, teardown),
		cmocka_unit_test_setup_teardown(it_is_given_back_quiet, setup, teardown),
		cmocka_unit_test_setup_teardown(only_one_has_it, setup, teardown),
		cmocka_unit_test_setup_teardown(
			configuration_space_is_reached_in_aligned_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(a_bar_is_mapped_once_and_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(vectors_lead_where_they_are_set_to, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_reset_turns_bus_mastering_off_and_keeps_bars, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_pulled_out_is_gone_for_good, setup, teardown),
		cmocka_unit_test_setup_teardown(one_that_does_not_answer_is_not_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(a_failure_while_taking_leaves_it_free, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_is_mapped_as_long_as_it_is_taken, setup, teardown),
	};

	return cmocka_run_group_tests_name("pci_synth", tests, NULL, NULL);
}
