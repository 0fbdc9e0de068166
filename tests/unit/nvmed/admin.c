/* SPDX-License-Identifier: BSD-3-Clause */
/* Quotas and the requests of the kernel module: V17. */
#include "fixture.h"

#include <signal.h>
#include <sys/ioctl.h>

static char image[256], drive[300];

static int setup(void **state)
{
	image_make(image, sizeof(image), 8 * MIB);
	/* Two processes cannot have one file; drives of RAM with one name are two drives and one quota. */
	snprintf(drive, sizeof(drive), "loop:ram:4M?serial=%d", getpid());
	return 0;
}

static int teardown(void **state)
{
	image_remove(image);
	return 0;
}

static void info_and_queues_by_ioctl(void **state)
{
	struct rig r = rig_open(image, 0, 0, 0);
	int fd = r.nvmed->ns_fd;
	NVMED_DEVICE_INFO info;
	NVMED_CREATE_QUEUE_ARGS args = { .reqInterrupt = 1 };
	unsigned long wait;
	unsigned int qid;

	assert_int_equal(nvmed_ioctl(fd, NVMED_IOCTL_NVMED_INFO, &info), 0);
	assert_int_equal(info.capacity, 8 * MIB);
	assert_int_equal(info.lba_shift, 9);
	assert_int_equal(info.ns_id, 1);
	assert_int_equal(nvmed_ioctl(fd, NVMED_IOCTL_QUEUE_CREATE, &args), 0);
	assert_int_not_equal(args.qid, r.queue->qid);
	assert_int_equal(nvmed_close(r.nvmed), -NVMED_FAULT);
	wait = args.qid;
	assert_int_equal(nvmed_ioctl(fd, NVMED_IOCTL_INTERRUPT_COMM, &wait), 0);
	assert_int_equal(wait, 0);
	wait = r.queue->qid;
	assert_fails(nvmed_ioctl(fd, NVMED_IOCTL_INTERRUPT_COMM, &wait), EINVAL);
	wait = 1ul << 32;
	assert_fails(nvmed_ioctl(fd, NVMED_IOCTL_INTERRUPT_COMM, &wait), ENOENT);
	qid = args.qid;
	assert_int_equal(nvmed_ioctl(fd, NVMED_IOCTL_QUEUE_DELETE, &qid), 0);
	assert_fails(nvmed_ioctl(fd, NVMED_IOCTL_QUEUE_DELETE, &qid), ENOENT);
	qid = r.queue->qid;
	assert_int_equal(nvmed_ioctl(fd, NVMED_IOCTL_QUEUE_DELETE, &qid), -1); /* it has a handle */
	assert_fails(nvmed_ioctl(fd, _IO('N', 0x53), &qid), ENOTTY);
	assert_fails(nvmed_ioctl(fd, NVMED_IOCTL_NVMED_INFO, NULL), EFAULT);
	assert_fails(nvmed_ioctl(-1, NVMED_IOCTL_NVMED_INFO, &info), EBADF);
	rig_close(&r);
	assert_fails(nvmed_ioctl(fd, NVMED_IOCTL_NVMED_INFO, &info), EBADF);
}

static void request_numbers_are_the_modules(void **state)
{
	static const struct {
		unsigned long request, number;
	} cases[] = {
		{ NVMED_IOCTL_NVMED_INFO, 0x50 }, { NVMED_IOCTL_QUEUE_CREATE, 0x51 }, { NVMED_IOCTL_QUEUE_DELETE, 0x52 },
		{ NVMED_IOCTL_GET_BUFFER_ADDR, 0x60 }, { NVMED_IOCTL_INTERRUPT_COMM, 0x61 }, { NVMED_IOCTL_GET_USER, 0x70 },
		{ NVMED_IOCTL_SET_USER, 0x71 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(_IOC_NR(cases[i].request), cases[i].number);
		assert_int_equal(_IOC_TYPE(cases[i].request), 'N');
	}
}

static void addresses_of_a_buffer(void **state)
{
	struct rig r = rig_open("loop:ram:4M?iommu=1", 0, 0, 0);
	char *mem = nvmed_get_buffer(r.nvmed, 4);
	u64 list[4] = { 0 };
	NVMED_BUF buf = { .addr = mem, .size = 4, .pfnList = list };
	static char foreign[8192];

	assert_int_equal(nvmed_ioctl(r.nvmed->ns_fd, NVMED_IOCTL_GET_BUFFER_ADDR, &buf), 0);
	for (int i = 1; i < 4; i++)
		assert_int_equal(list[i] - list[i - 1], 4096);
	buf.addr = mem + 1;
	assert_fails(nvmed_ioctl(r.nvmed->ns_fd, NVMED_IOCTL_GET_BUFFER_ADDR, &buf), EINVAL);
	buf.addr = (void *)(((uintptr_t)foreign + 4095) & ~4095ul);
	buf.size = 1;
	assert_fails(nvmed_ioctl(r.nvmed->ns_fd, NVMED_IOCTL_GET_BUFFER_ADDR, &buf), EFAULT);
	rig_close(&r);
}

/* Another process takes queues of the same user until it is told that there are no more; its number is its exit status. */
static int takes_all(void *arg)
{
	NVMED *nvmed = nvmed_open(drive, 0);
	int n = 0;

	while (n < 20 && nvmed_queue_create(nvmed, 0))
		n++;
	return errno == EDQUOT ? n : 100 + n;
}

static int sets_as_a_user(void *arg)
{
	NVMED *nvmed = nvmed_open(drive, 0);

	if (setuid(65534))
		return CHILD_SKIPS;
	return nvmed_set_user_quota(nvmed, 65534, 100, NULL, NULL) == -NVMED_NOPERM && errno == EPERM ? 0 : 1;
}

static void quotas_hold_across_processes(void **state)
{
	unsigned int max = 0, used = 0;
	NVMED_USER_QUOTA quota = { .uid = 0 };
	struct rig r;

	if (geteuid())
		skip(); /* only root sets quotas */
	r = rig_open(drive, 0, 0, 0);
	assert_int_equal(nvmed_get_user_quota(r.nvmed, 0, &max, &used), -NVMED_NOENTRY);
	assert_int_equal(nvmed_set_user_quota(NULL, 0, 3, &max, &used), -NVMED_NOENTRY);
	assert_int_equal(nvmed_set_user_quota(r.nvmed, 0, 3, &max, &used), 0);
	assert_int_equal(max, 3);
	assert_int_equal(used, 1);
	assert_int_equal(unit_in_child(takes_all, NULL), 2);
	assert_int_equal(unit_in_child(takes_all, NULL), 2); /* those of the first ended with it */
	assert_int_equal(nvmed_set_user_quota(r.nvmed, 0, 1, NULL, NULL), 0);
	assert_null(nvmed_queue_create(r.nvmed, 0));
	assert_int_equal(errno, EDQUOT);
	assert_int_equal(nvmed_get_user_quota(r.nvmed, 0, &max, &used), 0);
	assert_int_equal(max, 1);
	assert_int_equal(used, 1);
	assert_int_equal(nvmed_get_user_quota(r.nvmed, 12345, NULL, NULL), -NVMED_NOENTRY);
	assert_int_equal(unit_in_child(sets_as_a_user, NULL), 0);
	assert_int_equal(nvmed_ioctl(r.nvmed->ns_fd, NVMED_IOCTL_GET_USER, &quota), 0);
	assert_int_equal(quota.queue_max, 1);
	assert_int_equal(quota.queue_used, 1);
	quota.queue_max = 0;
	assert_int_equal(nvmed_ioctl(r.nvmed->ns_fd, NVMED_IOCTL_SET_USER, &quota), 0);
	assert_fails(nvmed_ioctl(r.nvmed->ns_fd, NVMED_IOCTL_GET_USER, &quota), ENOENT);
	assert_int_equal(unit_in_child(takes_all, NULL), 120);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(info_and_queues_by_ioctl, setup, teardown),
		cmocka_unit_test(request_numbers_are_the_modules),
		cmocka_unit_test(addresses_of_a_buffer),
		cmocka_unit_test_setup_teardown(quotas_hold_across_processes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
