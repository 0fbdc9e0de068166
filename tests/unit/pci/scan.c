/* SPDX-License-Identifier: BSD-3-Clause */
/* What a scan of the bus finds, on trees made here. */
#include "tests/unit/pci/tree.h"

#include <nvio/pci.h>

#define MAX_SEEN 16

struct seen {
	struct nvio_pci_info info[MAX_SEEN];
	int count;
	int stop_at;	      /* the call that ends the scan; 0: none */
	const char *vanishes; /* removed while the first is looked at */
};

static int note(const struct nvio_pci_info *info, void *arg)
{
	struct seen *seen = arg;

	assert_true(seen->count < MAX_SEEN);
	assert_int_equal(info->size, sizeof(*info));
	seen->info[seen->count++] = *info;
	if (seen->vanishes)
		tree_unlink("sys/bus/pci/devices/%s/class", seen->vanishes);
	return seen->count == seen->stop_at ? 42 : 0;
}

static struct nvio_pci_scan_opts options(void)
{
	struct nvio_pci_scan_opts opts;

	nvio_pci_scan_opts_init(&opts);
	opts.root = tree_root;
	return opts;
}

/* Checklist H1. */
static void drives_are_found_by_their_class_alone(void **state)
{
	struct nvio_pci_scan_opts opts = options();
	struct seen seen = { 0 };

	tree_function("0000:02:00.0", "0x010802\n", "0x1b36\n", "0x0010\n");
	tree_function("0000:01:00.0", "0x010802\n", "0x144d\n", "0xa80a\n");
	tree_function(
		"0000:01:00.1", "0x010803\n", "0x1b36\n", "0x0010\n"); /* an NVMe administrative controller */
	tree_function("0000:00:1f.2", "0x010601\n", "0x8086\n", "0x2922\n"); /* AHCI */
	tree_function("0000:00:00.0", "0x060000\n", "0x8086\n", "0x29c0\n");
	tree_file("", "sys/bus/pci/devices/not-a-function/class");
	assert_int_equal(nvio_pci_scan(&opts, note, &seen), 0);
	assert_int_equal(seen.count, 2);
	assert_string_equal(seen.info[0].bdf, "0000:01:00.0");
	assert_string_equal(seen.info[1].bdf, "0000:02:00.0");
	assert_int_equal(seen.info[1].class_code, 0x010802);
	assert_int_equal(seen.info[1].vendor, 0x1b36);
	assert_int_equal(seen.info[1].device, 0x0010);
}

static void filters_are_by_class_vendor_device_and_address(void **state)
{
	static const struct {
		uint32_t class_code, vendor, device;
		const char *bdf;
		int rc, count;
		const char *words;
	} cases[] = {
		{ NVIO_PCI_ANY, NVIO_PCI_ANY, NVIO_PCI_ANY, NULL, 0, 4, NULL },
		{ NVIO_PCI_CLASS_NVME, NVIO_PCI_ANY, NVIO_PCI_ANY, NULL, 0, 2, NULL },
		{ NVIO_PCI_CLASS_NVME, 0x144d, NVIO_PCI_ANY, NULL, 0, 1, NULL },
		{ NVIO_PCI_CLASS_NVME, NVIO_PCI_ANY, 0x0010, NULL, 0, 1, NULL },
		{ NVIO_PCI_CLASS_NVME, 0x144d, 0x0010, NULL, 0, 0, NULL },
		{ 0x010601, NVIO_PCI_ANY, NVIO_PCI_ANY, NULL, 0, 1, NULL },
		{ 0x020000, NVIO_PCI_ANY, NVIO_PCI_ANY, NULL, 0, 0, NULL },
		{ NVIO_PCI_CLASS_NVME, NVIO_PCI_ANY, NVIO_PCI_ANY, "2:0.0", 0, 1, NULL },
		{ NVIO_PCI_ANY, NVIO_PCI_ANY, NVIO_PCI_ANY, "00:1f.2", 0, 1, NULL },
		{ NVIO_PCI_CLASS_NVME, NVIO_PCI_ANY, NVIO_PCI_ANY, "00:1f.2", -ENODEV, 0,
			"class is 0x010601" },
		{ NVIO_PCI_CLASS_NVME, 0x144d, NVIO_PCI_ANY, "2:0.0", -ENODEV, 0, "it is 1b36:0010" },
		{ NVIO_PCI_ANY, NVIO_PCI_ANY, NVIO_PCI_ANY, "0000:03:00.0", -ENODEV, 0, "no such function" },
		{ NVIO_PCI_ANY, NVIO_PCI_ANY, NVIO_PCI_ANY, "nvme0", -EINVAL, 0, "0000:01:00.0 is the form" },
	};

	tree_function("0000:02:00.0", "0x010802\n", "0x1b36\n", "0x0010\n");
	tree_function("0000:01:00.0", "0x010802\n", "0x144d\n", "0xa80a\n");
	tree_function("0000:01:00.1", "0x010803\n", "0x1b36\n", "0x0010\n");
	tree_function("0000:00:1f.2", "0x010601\n", "0x8086\n", "0x2922\n");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nvio_pci_scan_opts opts = options();
		struct seen seen = { 0 };
		int rc;

		opts.class_code = cases[i].class_code;
		opts.vendor = cases[i].vendor;
		opts.device = cases[i].device;
		opts.bdf = cases[i].bdf;
		rc = nvio_pci_scan(&opts, note, &seen);
		if (rc != cases[i].rc || seen.count != cases[i].count)
			fail_msg("case %zu: %d with %d seen: %s", i, rc, seen.count, nvio_errmsg());
		if (cases[i].words)
			assert_errmsg(cases[i].words);
	}
}

static void it_says_who_has_a_drive(void **state)
{
	static const struct {
		const char *driver, *name;
		enum nvio_pci_owner owner;
		const char *owner_name;
	} cases[] = {
		{ NULL, "", NVIO_PCI_UNBOUND, "unbound" },
		{ "nvme", "nvme3", NVIO_PCI_KERNEL, "kernel" },
		{ "pci-stub", "", NVIO_PCI_KERNEL, "kernel" },
		{ "vfio-pci", "", NVIO_PCI_VFIO, "vfio" },
		{ "mlx5_vfio_pci", "", NVIO_PCI_VFIO, "vfio" },
		{ "uio_pci_generic", "", NVIO_PCI_UIO, "uio" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nvio_pci_scan_opts opts = options();
		struct seen seen = { 0 };

		opts.bdf = "01:00.0";
		tree_function("0000:01:00.0", "0x010802\n", "0x1b36\n", "0x0010\n");
		if (cases[i].driver)
			tree_driver("0000:01:00.0", cases[i].driver);
		if (*cases[i].name)
			tree_dir("sys/bus/pci/devices/0000:01:00.0/nvme/%s", cases[i].name);
		assert_int_equal(nvio_pci_scan(&opts, note, &seen), 0);
		assert_int_equal(seen.info[0].owner, cases[i].owner);
		assert_string_equal(nvio_pci_owner_str(seen.info[0].owner), cases[i].owner_name);
		assert_string_equal(seen.info[0].driver, cases[i].driver ? cases[i].driver : "");
		assert_string_equal(seen.info[0].kernel_name, cases[i].name);
		tree_teardown(NULL);
		assert_int_equal(mkdir(tree_root, 0755), 0);
	}
}

static void the_rest_of_what_is_known_is_told(void **state)
{
	struct nvio_pci_scan_opts opts = options();
	struct seen seen = { 0 };

	tree_function("0000:01:00.0", "0x010802\n", "0x1b36\n", "0x0010\n");
	tree_file("0x1af4\n", "sys/bus/pci/devices/0000:01:00.0/subsystem_vendor");
	tree_file("0x1100\n", "sys/bus/pci/devices/0000:01:00.0/subsystem_device");
	tree_file("0x02\n", "sys/bus/pci/devices/0000:01:00.0/revision");
	tree_file("1\n", "sys/bus/pci/devices/0000:01:00.0/numa_node");
	tree_group("0000:01:00.0", 12);
	tree_function("0000:01:00.1", "0x010802\n", "0x1b36\n", "0x0010\n");
	tree_file("-1\n", "sys/bus/pci/devices/0000:01:00.1/numa_node");
	tree_link("../0000:01:00.0", "sys/bus/pci/devices/0000:01:00.1/physfn");
	tree_group("0000:01:00.1", 12);
	tree_function("0000:02:00.0", "0x010802\n", "0x1b36\n", "0x0010\n");
	assert_int_equal(nvio_pci_scan(&opts, note, &seen), 0);
	assert_int_equal(seen.count, 3);
	assert_int_equal(seen.info[0].subsystem_vendor, 0x1af4);
	assert_int_equal(seen.info[0].subsystem_device, 0x1100);
	assert_int_equal(seen.info[0].revision, 2);
	assert_int_equal(seen.info[0].numa_node, 1);
	assert_int_equal(seen.info[0].iommu_group, 12);
	assert_int_equal(seen.info[0].group_size, 2);
	assert_false(seen.info[0].is_vf);
	assert_true(seen.info[1].is_vf);
	assert_int_equal(seen.info[1].numa_node, -1);
	assert_int_equal(seen.info[2].iommu_group, -1);
	assert_int_equal(seen.info[2].group_size, 0);
}

static void the_device_file_is_the_newest_there_is(void **state)
{
	struct nvio_pci_scan_opts opts = options();
	struct seen seen = { 0 };

	tree_function("0000:01:00.0", "0x010802\n", "0x1b36\n", "0x0010\n");
	tree_driver("0000:01:00.0", "vfio-pci");
	tree_group("0000:01:00.0", 12);
	assert_int_equal(nvio_pci_scan(&opts, note, &seen), 0);
	assert_string_equal(seen.info[0].vfio_path, "/dev/vfio/12");

	tree_dir("sys/bus/pci/devices/0000:01:00.0/vfio-dev/vfio0");
	assert_int_equal(nvio_pci_scan(&opts, note, &seen), 0);
	assert_string_equal(seen.info[1].vfio_path, "/dev/vfio/12");

	tree_file("", "dev/iommu");
	tree_file("", "dev/vfio/devices/vfio0");
	assert_int_equal(nvio_pci_scan(&opts, note, &seen), 0);
	assert_string_equal(seen.info[2].vfio_path, "/dev/vfio/devices/vfio0");

	/* A group of the no-IOMMU mode is none. */
	tree_unlink("dev/iommu");
	tree_file("vfio-noiommu\n", "sys/kernel/iommu_groups/12/name");
	assert_int_equal(nvio_pci_scan(&opts, note, &seen), 0);
	assert_string_equal(seen.info[3].vfio_path, "/dev/vfio/noiommu-12");
	assert_int_equal(seen.info[3].iommu_group, -1);
}

static void malformed_files_hide_nothing_but_themselves(void **state)
{
	static char huge[70000];
	static const struct {
		const char *text;
		int vendor;
	} cases[] = {
		{ "", 0 },
		{ "\n", 0 },
		{ "garbage\n", 0 },
		{ "0x\n", 0 },
		{ "-1\n", 0 },
		{ " 0x1b36\n", 0 },
		{ "0x1b36 \n", 0 },
		{ "0x10000\n", 0 },
		{ "0xffffffffffffffffffff\n", 0 },
		{ huge, 0 },
		{ "0x1b36", 0x1b36 },
		{ "0x1b36\nmore\n", 0x1b36 },
	};

	memset(huge, '1', sizeof(huge) - 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nvio_pci_scan_opts opts = options();
		struct seen seen = { 0 };

		tree_function("0000:01:00.0", "0x010802\n", cases[i].text, "0x0010\n");
		tree_file(cases[i].text, "sys/bus/pci/devices/0000:01:00.0/numa_node");
		assert_int_equal(nvio_pci_scan(&opts, note, &seen), 0);
		assert_int_equal(seen.count, 1);
		if (seen.info[0].vendor != cases[i].vendor)
			fail_msg("case %zu: vendor %04x", i, seen.info[0].vendor);
		if (!cases[i].vendor && seen.info[0].numa_node != -1)
			assert_true(!strcmp(cases[i].text, "0x10000\n")); /* many nodes, but a number */
	}
}

static void without_a_class_it_is_not_there(void **state)
{
	static char huge[70000];
	static const char *const cases[] = { "", "garbage\n", "0x1000000\n", "-1\n", huge };

	memset(huge, '0', sizeof(huge) - 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nvio_pci_scan_opts opts = options();
		struct seen seen = { 0 };

		opts.class_code = NVIO_PCI_ANY;
		tree_function("0000:01:00.0", cases[i], "0x1b36\n", "0x0010\n");
		assert_int_equal(nvio_pci_scan(&opts, note, &seen), 0);
		assert_int_equal(seen.count, 0);
		opts.bdf = "0000:01:00.0";
		assert_int_equal(nvio_pci_scan(&opts, note, &seen), -EIO);
		assert_errmsg("class cannot be read");
	}
	/* A folder where a file should be cannot be read by root either. */
	tree_unlink("sys/bus/pci/devices/0000:01:00.0/class");
	tree_dir("sys/bus/pci/devices/0000:01:00.0/class");
	for (int one = 0; one < 2; one++) {
		struct nvio_pci_scan_opts opts = options();
		struct seen seen = { 0 };

		opts.bdf = one ? "0000:01:00.0" : NULL;
		assert_int_equal(nvio_pci_scan(&opts, note, &seen), one ? -EIO : 0);
	}
}

static void what_vanishes_while_it_looks_is_left_out(void **state)
{
	struct nvio_pci_scan_opts opts = options();
	struct seen seen = { .vanishes = "0000:02:00.0" };

	tree_function("0000:01:00.0", "0x010802\n", "0x1b36\n", "0x0010\n");
	tree_function("0000:02:00.0", "0x010802\n", "0x1b36\n", "0x0010\n");
	tree_function("0000:03:00.0", "0x010802\n", "0x1b36\n", "0x0010\n");
	assert_int_equal(nvio_pci_scan(&opts, note, &seen), 0);
	assert_int_equal(seen.count, 2);
	assert_string_equal(seen.info[1].bdf, "0000:03:00.0");
}

static void the_function_called_can_end_it(void **state)
{
	struct nvio_pci_scan_opts opts = options();
	struct seen seen = { .stop_at = 2 };
	int files = unit_open_files();

	for (int i = 0; i < 4; i++) {
		char bdf[20];

		snprintf(bdf, sizeof(bdf), "0000:0%d:00.0", i);
		tree_function(bdf, "0x010802\n", "0x1b36\n", "0x0010\n");
	}
	assert_int_equal(nvio_pci_scan(&opts, note, &seen), 42);
	assert_int_equal(seen.count, 2);
	assert_int_equal(unit_open_files(), files);
}

static void many_functions_come_in_order(void **state)
{
	struct nvio_pci_scan_opts opts = options();
	struct seen seen = { .stop_at = MAX_SEEN };

	for (int i = 199; i >= 0; i--) {
		char bdf[24];

		snprintf(bdf, sizeof(bdf), "%04x:%02x:00.%d", i / 100 ? 0x10000 : 0, i % 100, i % 8);
		tree_function(bdf, "0x010802\n", "0x1b36\n", "0x0010\n");
	}
	assert_int_equal(nvio_pci_scan(&opts, note, &seen), 42);
	for (int i = 1; i < MAX_SEEN; i++)
		assert_true(strcmp(seen.info[i - 1].bdf, seen.info[i].bdf) < 0);
}

static void bad_options_and_trees_have_their_words(void **state)
{
	static char deep[PATH_MAX + 100];
	struct nvio_pci_scan_opts opts = options();
	struct seen seen = { 0 };

	assert_int_equal(nvio_pci_scan(&opts, note, &seen), -ENOENT);
	assert_errmsg("no PCI bus");
	tree_file("", "sys/bus/pci/devices");
	assert_int_equal(nvio_pci_scan(&opts, note, &seen), -ENOENT);
	assert_int_equal(nvio_pci_scan(&opts, NULL, NULL), -EINVAL);
	memset(deep, 'x', sizeof(deep) - 1);
	opts.root = deep;
	assert_int_equal(nvio_pci_scan(&opts, note, &seen), -EINVAL);
	opts.size = 3;
	assert_int_equal(nvio_pci_scan(&opts, note, &seen), -EINVAL);
	assert_int_equal(seen.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			drives_are_found_by_their_class_alone, tree_setup, tree_teardown),
		cmocka_unit_test_setup_teardown(
			filters_are_by_class_vendor_device_and_address, tree_setup, tree_teardown),
		cmocka_unit_test_setup_teardown(it_says_who_has_a_drive, tree_setup, tree_teardown),
		cmocka_unit_test_setup_teardown(the_rest_of_what_is_known_is_told, tree_setup, tree_teardown),
		cmocka_unit_test_setup_teardown(
			the_device_file_is_the_newest_there_is, tree_setup, tree_teardown),
		cmocka_unit_test_setup_teardown(
			malformed_files_hide_nothing_but_themselves, tree_setup, tree_teardown),
		cmocka_unit_test_setup_teardown(without_a_class_it_is_not_there, tree_setup, tree_teardown),
		cmocka_unit_test_setup_teardown(
			what_vanishes_while_it_looks_is_left_out, tree_setup, tree_teardown),
		cmocka_unit_test_setup_teardown(the_function_called_can_end_it, tree_setup, tree_teardown),
		cmocka_unit_test_setup_teardown(many_functions_come_in_order, tree_setup, tree_teardown),
		cmocka_unit_test_setup_teardown(
			bad_options_and_trees_have_their_words, tree_setup, tree_teardown),
	};

	return cmocka_run_group_tests_name("pci_scan", tests, NULL, NULL);
}
