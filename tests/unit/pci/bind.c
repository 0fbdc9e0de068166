/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handing a function from driver to driver. The kernel is a thread here, which reads what is written to the
 * tree's files (fifos) and moves the function's driver link as the kernel would.
 */
#include "tests/unit/pci/tree.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include <nvio/pci.h>

#define BDF	 "0000:01:00.0"
#define OVERRIDE "sys/bus/pci/devices/" BDF "/driver_override"

enum { PROBE, NVME_BIND, NVME_UNBIND, VFIO_BIND, VFIO_UNBIND, FILES };

static const char *const names[FILES] = { "drivers_probe", "drivers/nvme/bind", "drivers/nvme/unbind",
	"drivers/vfio-pci/bind", "drivers/vfio-pci/unbind" };

static struct kernel {
	pthread_t thread;
	int fds[FILES];
	atomic_bool stop;
	atomic_bool vfio_refuses, nvme_refuses, keeps, bind_only;
	pthread_mutex_t lock;
	char log[512]; /* under the lock: which files were written, in order */
} kernel = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool takes(const char *driver)
{
	return strcmp(driver, "vfio-pci") == 0 ? !kernel.vfio_refuses : !kernel.nvme_refuses;
}

static bool bound(void)
{
	char path[PATH_MAX], target[PATH_MAX];

	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/" BDF "/driver", tree_root);
	return readlink(path, target, sizeof(target)) > 0;
}

static void attach(const char *driver)
{
	if (!bound() && takes(driver))
		tree_driver(BDF, driver);
}

static void probe(void)
{
	char override[64];

	tree_read(override, OVERRIDE);
	override[strcspn(override, "\n")] = '\0';
	if (kernel.bind_only)
		return;
	if (!*override || strcmp(override, "(null)") == 0)
		attach("nvme");
	else
		attach(override);
}

static void act(int file, const char *text)
{
	pthread_mutex_lock(&kernel.lock);
	strcat(kernel.log, names[file]);
	strcat(kernel.log, " ");
	pthread_mutex_unlock(&kernel.lock);
	if (strcmp(text, BDF "\n") != 0)
		return;
	switch (file) {
	case PROBE: probe(); break;
	case NVME_BIND: attach("nvme"); break;
	case VFIO_BIND: attach("vfio-pci"); break;
	default:
		if (!kernel.keeps)
			tree_unlink("sys/bus/pci/devices/" BDF "/driver");
	}
}

static void *run(void *arg)
{
	while (!kernel.stop) {
		struct pollfd fds[FILES];

		for (int i = 0; i < FILES; i++)
			fds[i] = (struct pollfd){ .fd = kernel.fds[i], .events = POLLIN };
		poll(fds, FILES, 5);
		for (int i = 0; i < FILES; i++) {
			char text[64];
			ssize_t n = fds[i].revents & POLLIN ? read(fds[i].fd, text, sizeof(text) - 1) : 0;

			if (n > 0) {
				text[n] = '\0';
				act(i, text);
			}
		}
	}
	return NULL;
}

static int setup(void **state)
{
	if (tree_setup(state))
		return -1;
	tree_function(BDF, "0x010802\n", "0x1b36\n", "0x0010\n");
	tree_group(BDF, 12);
	tree_dir("sys/bus/pci/drivers/vfio-pci");
	tree_driver(BDF, "nvme");
	tree_dir("sys/bus/pci/devices/" BDF "/nvme/nvme0");
	for (int i = 0; i < FILES; i++) {
		char path[PATH_MAX];

		snprintf(path, sizeof(path), "%s/sys/bus/pci/%s", tree_root, names[i]);
		assert_int_equal(mkfifo(path, 0600), 0);
		kernel.fds[i] = open(path, O_RDWR | O_NONBLOCK);
		assert_true(kernel.fds[i] >= 0);
	}
	kernel.stop = kernel.vfio_refuses = kernel.nvme_refuses = kernel.keeps = kernel.bind_only = false;
	kernel.log[0] = '\0';
	return pthread_create(&kernel.thread, NULL, run, NULL);
}

static int teardown(void **state)
{
	kernel.stop = true;
	pthread_join(kernel.thread, NULL);
	for (int i = 0; i < FILES; i++)
		close(kernel.fds[i]);
	return tree_teardown(state);
}

static int note(const struct nvio_pci_info *info, void *arg)
{
	snprintf(arg, 32, "%s", info->driver);
	return 0;
}

static void assert_driver(const char *driver)
{
	struct nvio_pci_scan_opts opts;
	char now[32];

	nvio_pci_scan_opts_init(&opts);
	opts.root = tree_root;
	opts.bdf = BDF;
	assert_int_equal(nvio_pci_scan(&opts, note, now), 0);
	assert_string_equal(now, driver);
}

static void assert_override(const char *driver)
{
	char text[64];

	tree_read(text, OVERRIDE);
	text[strcspn(text, "\n")] = '\0';
	assert_string_equal(strcmp(text, "(null)") == 0 ? "" : text, driver);
}

/* A kernel that is slow is asked a second time, which does no harm. */
static void assert_log(const char *log)
{
	char was[sizeof(kernel.log)], *twice;

	pthread_mutex_lock(&kernel.lock);
	memcpy(was, kernel.log, sizeof(was));
	kernel.log[0] = '\0';
	pthread_mutex_unlock(&kernel.lock);
	twice = strstr(was, "drivers/vfio-pci/bind ");
	if (twice && !strstr(log, twice))
		*twice = '\0';
	assert_string_equal(was, log);
}

static void a_drive_goes_to_vfio_and_back(void **state)
{
	assert_int_equal(nvio_pci_bind(tree_root, "01:00.0", "vfio-pci"), 0);
	assert_driver("vfio-pci");
	assert_override("vfio-pci");
	assert_log("drivers/nvme/unbind drivers_probe ");
	assert_int_equal(nvio_pci_bind(tree_root, BDF, "vfio-pci"), 0);
	assert_log("");
	assert_int_equal(nvio_pci_bind(tree_root, BDF, ""), 0);
	assert_driver("nvme");
	assert_override("");
	assert_log("drivers/vfio-pci/unbind drivers_probe ");
	assert_int_equal(nvio_pci_bind(tree_root, BDF, ""), 0);
	assert_int_equal(nvio_pci_bind(tree_root, BDF, "nvme"), 0);
	assert_log("");
}

static void a_drive_can_be_left_without_a_driver(void **state)
{
	assert_int_equal(nvio_pci_bind(tree_root, BDF, NULL), 0);
	assert_driver("");
	assert_int_equal(nvio_pci_bind(tree_root, BDF, NULL), 0);
	assert_log("drivers/nvme/unbind ");
	assert_int_equal(nvio_pci_bind(tree_root, BDF, "vfio-pci"), 0);
	assert_driver("vfio-pci");
}

static void a_kernel_that_does_not_probe_is_told_to_bind(void **state)
{
	kernel.bind_only = true;
	assert_int_equal(nvio_pci_bind(tree_root, BDF, "vfio-pci"), 0);
	assert_driver("vfio-pci");
	assert_log("drivers/nvme/unbind drivers_probe drivers/vfio-pci/bind ");
}

static void a_refusal_gives_the_drive_back(void **state)
{
	kernel.vfio_refuses = true;
	assert_int_equal(nvio_pci_bind(tree_root, BDF, "vfio-pci"), -EBUSY);
	assert_errmsg("vfio-pci did not take it");
	assert_driver("nvme");
	assert_override("");
}

static void without_an_iommu_the_refusal_says_so(void **state)
{
	tree_unlink("sys/bus/pci/devices/" BDF "/iommu_group");
	kernel.vfio_refuses = true;
	assert_int_equal(nvio_pci_bind(tree_root, BDF, "vfio-pci"), -EBUSY);
	assert_errmsg("intel_iommu=on");
	assert_driver("nvme");
}

static void no_driver_for_it_gives_it_back_too(void **state)
{
	assert_int_equal(nvio_pci_bind(tree_root, BDF, "vfio-pci"), 0);
	kernel.nvme_refuses = true;
	assert_int_equal(nvio_pci_bind(tree_root, BDF, ""), -ENOENT);
	assert_errmsg("modprobe nvme");
	assert_driver("vfio-pci");
	assert_override("vfio-pci");
}

static void a_driver_that_keeps_it_is_told(void **state)
{
	kernel.keeps = true;
	assert_int_equal(nvio_pci_bind(tree_root, BDF, "vfio-pci"), -EBUSY);
	assert_errmsg("nvme does not let it go");
	assert_driver("nvme");
	assert_override("");
}

/* The kernel would wait for that process, and so would we. With iommufd there are two files that it may have come by. */
static void a_drive_that_a_process_uses_is_not_pulled_away(void **state)
{
	static const char *const files[] = { "dev/vfio/12", "dev/vfio/devices/vfio0", "dev/vfio/12" };

	assert_int_equal(nvio_pci_bind(tree_root, BDF, "vfio-pci"), 0);
	for (size_t i = 0; i < 3; i++) {
		char path[PATH_MAX];
		int fd;

		tree_file("", "dev/vfio/12");
		if (i) {
			tree_file("", "dev/iommu");
			tree_file("", "dev/vfio/devices/vfio0");
			tree_dir("sys/bus/pci/devices/" BDF "/vfio-dev/vfio0");
		}
		snprintf(path, sizeof(path), "%s/%s", tree_root, files[i]);
		fd = open(path, O_RDWR);
		assert_true(fd >= 0);
		assert_int_equal(nvio_pci_bind(tree_root, BDF, ""), -EBUSY);
		snprintf(path, sizeof(path), "process %d", (int)getpid());
		assert_errmsg(path);
		assert_errmsg(files[i]);
		close(fd);
		assert_driver("vfio-pci");
	}
	assert_int_equal(nvio_pci_bind(tree_root, BDF, ""), 0);
	assert_driver("nvme");
}

static void bad_input_changes_nothing(void **state)
{
	static const struct {
		const char *bdf, *driver;
		int rc;
		const char *words;
	} cases[] = {
		{ NULL, "vfio-pci", -EINVAL, "the form" },
		{ "nvme0", "vfio-pci", -EINVAL, "\"nvme0\" is not the address" },
		{ "0000:05:00.0", "vfio-pci", -ENODEV, "no such function" },
		{ BDF, "uio_pci_generic", -ENOENT, "modprobe uio_pci_generic" },
		{ BDF, "../nvme", -EINVAL, "not the name of a driver" },
		{ BDF, "..", -EINVAL, "not the name of a driver" },
		{ BDF, "vfio pci", -EINVAL, "byte 0x20" },
		{ BDF, "a-name-that-is-longer-than-any-driver", -EINVAL, "not the name of a driver" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(nvio_pci_bind(tree_root, cases[i].bdf, cases[i].driver), cases[i].rc);
		assert_errmsg(cases[i].words);
	}
	assert_driver("nvme");
	assert_override("");
	assert_log("");
}

static int as_nobody(void *arg)
{
	if (setuid(65534))
		return CHILD_SKIPS;
	return nvio_pci_bind(tree_root, BDF, "vfio-pci") != -EACCES || !strstr(nvio_errmsg(), "sudo");
}

static void without_privilege_nothing_is_changed(void **state)
{
	int rc;

	assert_int_equal(chmod(tree_root, 0755), 0);
	rc = unit_in_child(as_nobody, NULL);
	if (rc == CHILD_SKIPS) {
		print_message("# cannot change to another user\n");
		skip();
	}
	assert_int_equal(rc, 0);
	assert_driver("nvme");
	assert_log("");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_drive_goes_to_vfio_and_back, setup, teardown),
		cmocka_unit_test_setup_teardown(a_drive_can_be_left_without_a_driver, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_kernel_that_does_not_probe_is_told_to_bind, setup, teardown),
		cmocka_unit_test_setup_teardown(a_refusal_gives_the_drive_back, setup, teardown),
		cmocka_unit_test_setup_teardown(without_an_iommu_the_refusal_says_so, setup, teardown),
		cmocka_unit_test_setup_teardown(no_driver_for_it_gives_it_back_too, setup, teardown),
		cmocka_unit_test_setup_teardown(a_driver_that_keeps_it_is_told, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_drive_that_a_process_uses_is_not_pulled_away, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_input_changes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(without_privilege_nothing_is_changed, setup, teardown),
	};

	return cmocka_run_group_tests_name("pci_bind", tests, NULL, NULL);
}
