/* SPDX-License-Identifier: BSD-3-Clause */
/* What pci_open() refuses, and with which words: all that needs no kernel with VFIO, on trees made here. */
#include "tests/unit/pci/tree.h"

#include <signal.h>
#include <sys/file.h>

#include "pci/pci.h"
#include <nvio/env.h>

#define BDF "0000:01:00.0"

/* Opens the function in an environment of its own; always refused. */
static int refused(bool no_pci, bool unsafe)
{
	struct nvio_env_opts opts;
	struct nvio_env *env;
	struct pci_dev *dev = NULL;
	int rc;

	nvio_env_opts_init(&opts);
	opts.pci_root = tree_root;
	opts.no_pci = no_pci;
	opts.unsafe_no_iommu = unsafe;
	assert_int_equal(nvio_env_open(&opts, &env), 0);
	rc = pci_open(env, BDF, &dev);
	assert_null(dev);
	nvio_env_close(env);
	return rc;
}

static void assert_refused(int rc, const char *words)
{
	int files = unit_open_files(), got = refused(false, false);

	if (got != rc)
		fail_msg("%d instead of %d: %s", got, rc, nvio_errmsg());
	assert_errmsg(words);
	assert_int_equal(unit_open_files(), files);
}

static void a_drive(void)
{
	tree_function(BDF, "0x010802\n", "0x1b36\n", "0x0010\n");
}

static void what_is_not_an_address_or_not_there(void **state)
{
	static const struct {
		const char *bdf;
		int rc;
		const char *words;
	} cases[] = {
		{ NULL, -EINVAL, "no address" },
		{ "nvme0", -EINVAL, "0000:01:00.0 is the form" },
		{ "0000:01:00.1", -ENODEV, "0000:01:00.1: no such function; `nvio list`" },
	};
	struct nvio_env_opts opts;
	struct nvio_env *env;
	struct pci_dev *dev;

	a_drive();
	nvio_env_opts_init(&opts);
	opts.pci_root = tree_root;
	assert_int_equal(nvio_env_open(&opts, &env), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(pci_open(env, cases[i].bdf, &dev), cases[i].rc);
		assert_errmsg(cases[i].words);
	}
	nvio_env_close(env);
	tree_file("garbage\n", "sys/bus/pci/devices/" BDF "/class");
	assert_refused(-EIO, "class cannot be read");
}

static void an_environment_without_pci_refuses_before_it_looks(void **state)
{
	assert_int_equal(refused(true, true), -EPERM);
	assert_errmsg("no_pci");
}

static void what_no_driver_for_user_space_has(void **state)
{
	a_drive();
	assert_refused(-EBUSY, BDF ": no driver for user space has it; run `sudo nvio setup bind " BDF "`");
	tree_driver(BDF, "nvme");
	tree_dir("sys/bus/pci/devices/" BDF "/nvme/nvme7");
	assert_refused(-EBUSY, "the kernel's driver has it (nvme as nvme7)");
	assert_refused(-EBUSY, "run `sudo nvio setup bind " BDF "`");
	tree_driver(BDF, "pci-stub");
	assert_refused(-EBUSY, "(pci-stub");
}

static void a_group_that_cannot_be_opened(void **state)
{
	a_drive();
	tree_driver(BDF, "vfio-pci");
	assert_refused(-EOPNOTSUPP, "gives it no group");
	tree_group(BDF, 12);
	assert_refused(-EOPNOTSUPP, "dev/vfio/12; run `sudo modprobe vfio-pci`");
	tree_dir("dev/vfio/12"); /* a folder cannot be opened for writing, by root neither */
	assert_refused(-EISDIR, "dev/vfio/12: Is a directory");
}

static void a_group_file_that_is_none(void **state)
{
	a_drive();
	tree_driver(BDF, "vfio-pci");
	tree_group(BDF, 12);
	tree_file("", "dev/vfio/12");
	assert_refused(-ENOTTY, "dev/vfio/12");
}

static int as_nobody(void *arg)
{
	if (setuid(65534))
		return CHILD_SKIPS;
	return refused(false, false) != -EACCES || !strstr(nvio_errmsg(), "--user $USER");
}

static void without_permission(void **state)
{
	int rc;

	a_drive();
	tree_driver(BDF, "vfio-pci");
	tree_group(BDF, 12);
	tree_file("", "dev/vfio/12");
	assert_int_equal(chmod(tree_root, 0755), 0);
	rc = unit_in_child(as_nobody, NULL);
	if (rc == CHILD_SKIPS) {
		print_message("# cannot change to another user\n");
		skip();
	}
	assert_int_equal(rc, 0);
}

static void the_newer_device_file_is_preferred(void **state)
{
	a_drive();
	tree_driver(BDF, "vfio-pci");
	tree_group(BDF, 12);
	tree_file("", "dev/vfio/12");
	tree_dir("sys/bus/pci/devices/" BDF "/vfio-dev/vfio3");
	tree_file("", "dev/vfio/devices/vfio3");
	tree_file("", "dev/iommu");
	assert_refused(-ENOTTY, "cannot be bound to iommufd");
}

static void without_an_iommu_it_has_to_be_asked_for(void **state)
{
	a_drive();
	tree_driver(BDF, "vfio-pci");
	tree_group(BDF, 3);
	tree_file("vfio-noiommu\n", "sys/kernel/iommu_groups/3/name");
	tree_file("", "dev/vfio/noiommu-3");
	assert_refused(-EPERM, "intel_iommu=on");
	assert_int_equal(refused(false, true), -ENOTTY);
	assert_errmsg("noiommu-3");
	tree_driver(BDF, "uio_pci_generic");
	assert_refused(-EPERM, "unsafe_no_iommu");
}

static void a_uio_function_is_taken_by_one_only(void **state)
{
	char path[PATH_MAX], words[64];
	pid_t pid;
	int fd;

	a_drive();
	tree_driver(BDF, "uio_pci_generic");
	assert_int_equal(refused(false, true), -EOPNOTSUPP); /* there is no config */
	tree_file("", "sys/bus/pci/devices/" BDF "/config");
	assert_int_equal(refused(false, true), -EOPNOTSUPP);
	assert_errmsg("gives it no device file");
	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/" BDF "/config", tree_root);
	fd = open(path, O_RDWR);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(refused(false, true), -EBUSY);
	assert_errmsg("this process has it already");
	/* Held by another process: said with its number. */
	pid = fork();
	if (!pid) {
		pause();
		_exit(0);
	}
	close(fd);
	assert_int_equal(refused(false, true), -EBUSY);
	snprintf(words, sizeof(words), "process %d", (int)pid);
	assert_errmsg(words);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(refused(false, true), -EOPNOTSUPP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_is_not_an_address_or_not_there, tree_setup, tree_teardown),
		cmocka_unit_test_setup_teardown(
			an_environment_without_pci_refuses_before_it_looks, tree_setup, tree_teardown),
		cmocka_unit_test_setup_teardown(what_no_driver_for_user_space_has, tree_setup, tree_teardown),
		cmocka_unit_test_setup_teardown(a_group_that_cannot_be_opened, tree_setup, tree_teardown),
		cmocka_unit_test_setup_teardown(a_group_file_that_is_none, tree_setup, tree_teardown),
		cmocka_unit_test_setup_teardown(without_permission, tree_setup, tree_teardown),
		cmocka_unit_test_setup_teardown(
			the_newer_device_file_is_preferred, tree_setup, tree_teardown),
		cmocka_unit_test_setup_teardown(
			without_an_iommu_it_has_to_be_asked_for, tree_setup, tree_teardown),
		cmocka_unit_test_setup_teardown(
			a_uio_function_is_taken_by_one_only, tree_setup, tree_teardown),
	};

	return cmocka_run_group_tests_name("pci_open", tests, NULL, NULL);
}
