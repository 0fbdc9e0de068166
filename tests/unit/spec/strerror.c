/* SPDX-License-Identifier: BSD-3-Clause */
/* How the end of an operation reads. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "base/fail.h"
#include "base/op.h"

static int poll_nothing(struct nvio_pollable *p)
{
	return 0;
}

static const struct pollable_ops owner_ops = { .name = "test", .poll = poll_nothing };
static struct nvio_pollable owner = { &owner_ops };

static struct nvio_op ended(int status, int answered, uint16_t sf)
{
	struct nvio_op op = NVIO_OP(NULL);

	op.owner = &owner;
	op.status = status;
	op.cpl.answered = (uint8_t)answered;
	op.cpl.sf = sf;
	return op;
}

static const struct {
	int status;
	int answered;
	uint16_t sf;
	const char *text;
} ends[] = {
	{ 0, 1, 0, "success" },
	{ 0, 0, 0, "success" }, /* a bdev op: nobody but us to answer */
	{ 0, 1, 0x2000, "success" },
	{ -EINPROGRESS, 0, 0, "in flight" },
	{ -EINPROGRESS, 1, 0x281, "in flight" },
	{ -EIO, 1, 0x4281, "Unrecovered Read Error (media error, SCT 2h SC 81h, DNR)" },
	{ -EIO, 1, 0x0281, "Unrecovered Read Error (media error, SCT 2h SC 81h)" },
	{ -EIO, 1, 0x3a81, "Unrecovered Read Error (media error, SCT 2h SC 81h)" }, /* CRD and M are set */
	{ -ERANGE, 1, 0x4080, "LBA Out of Range (generic, SCT 0h SC 80h, DNR)" },
	{ -EINVAL, 1, 0x0002, "Invalid Field in Command (generic, SCT 0h SC 02h)" },
	{ -EINVAL, 1, 0x0102, "Invalid Queue Size (command specific, SCT 1h SC 02h)" },
	{ -ECANCELED, 1, 0x0371, "Command Aborted By Host (path error, SCT 3h SC 71h)" },
	{ -EIO, 1, 0x07ab, "vendor specific (vendor specific, SCT 7h SC ABh)" },
	{ -EIO, 1, 0x05ab, "reserved (reserved, SCT 5h SC ABh)" },
	{ -EIO, 1, 0x02c0, "vendor specific (media error, SCT 2h SC C0h)" },
	{ 0, 1, 0x0080, "LBA Out of Range (generic, SCT 0h SC 80h)" },
	{ -ETIMEDOUT, 1, 0x0007,
	  "timed out; the controller answered Command Abort Requested (generic, SCT 0h SC 07h)" },
	{ -ENOTTY, 1, 0x0007,
	  "ENOTTY; the controller answered Command Abort Requested (generic, SCT 0h SC 07h)" },
	{ -EIO, 1, 0x4007,
	  "I/O error; the controller answered Command Abort Requested (generic, SCT 0h SC 07h, DNR)" },
	{ -ETIMEDOUT, 0, 0, "timed out" },
	{ -ETIMEDOUT, 1, 0, "timed out" },
	{ -ECANCELED, 0, 0, "cancelled" },
	{ -ENODEV, 0, 0, "the device is gone" },
	{ -EIO, 0, 0, "I/O error" },
	{ -EIO, 0, 0x281, "I/O error" }, /* not answered: what stands in sf is old */
	{ -ENOMEM, 0, 0, "out of memory" },
	{ -ENOSPC, 0, 0, "no space left" },
	{ -EINVAL, 0, 0, "invalid argument" },
	{ -EOPNOTSUPP, 0, 0, "not supported" },
	{ -ERANGE, 0, 0, "out of range" },
	{ -EROFS, 0, 0, "read-only" },
	{ -EACCES, 0, 0, "permission denied" },
	{ -EPERM, 0, 0, "not permitted" },
	{ -EBUSY, 0, 0, "busy" },
	{ -EAGAIN, 0, 0, "not possible now, try again" },
	{ -EILSEQ, 0, 0, "the data is not what it should be" },
	{ -ECONNRESET, 0, 0, "the connection was lost" },
	{ -ECONNREFUSED, 0, 0, "the connection was refused" },
	{ -ENOTCONN, 0, 0, "not connected" },
	{ -ESHUTDOWN, 0, 0, "shut down" },
	{ -EPROTO, 0, 0, "the peer broke the protocol" },
	{ -ENOENT, 0, 0, "not found" },
	{ -EEXIST, 0, 0, "exists already" },
	{ -ENOTTY, 0, 0, "error -25 (ENOTTY)" },
	{ -99999, 0, 0, "error -99999 (E?)" },
	{ 5, 0, 0, "error 5 (EIO)" }, /* no status of ours: not to be taken for one */
};

static void the_end_of_an_op_reads_as_its_status(void **state)
{
	fail(-EINVAL, "an older failure, of something else");
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct nvio_op op = ended(ends[i].status, ends[i].answered, ends[i].sf);

		assert_string_equal(nvio_op_strerror(&op), ends[i].text);
	}
}

static void every_answer_fits_and_ends_with_its_codes(void **state)
{
	char codes[32];

	for (unsigned sf = 1; sf < 0x800; sf++) {
		struct nvio_op op = ended(-ENOTRECOVERABLE, 1, (uint16_t)(sf | 0x4000));
		const char *text = nvio_op_strerror(&op);

		snprintf(codes, sizeof(codes), ", SCT %Xh SC %02Xh, DNR)", sf >> 8, sf & 0xff);
		assert_true(strlen(text) > strlen(codes));
		assert_string_equal(text + strlen(text) - strlen(codes), codes);
	}
}

static void an_op_whose_submit_failed_reads_as_the_failure(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);
	char longest[512];

	fail(-EINVAL, "ns: read: block 7 is beyond the last, 6");
	assert_string_equal(nvio_op_strerror(&op), "ns: read: block 7 is beyond the last, 6");

	memset(longest, 'x', sizeof(longest) - 1);
	longest[511] = 0;
	fail(-EINVAL, "%s", longest);
	assert_string_equal(nvio_op_strerror(&op), longest);
}

static void a_fresh_op_without_any_failure_reads_as_success(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);

	fail_clear();
	assert_string_equal(nvio_op_strerror(&op), "success");
}

static void the_text_survives_a_later_failure(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);
	const char *text;

	fail(-EINVAL, "the first");
	text = nvio_op_strerror(&op);
	fail(-EINVAL, "the second");
	assert_string_equal(text, "the first");
}

static void *other_thread(void *arg)
{
	struct nvio_op op = ended(-EIO, 1, 0x0280);

	*(int *)arg = strcmp(nvio_op_strerror(&op), "Write Fault (media error, SCT 2h SC 80h)");
	return NULL;
}

static void the_text_is_the_threads_own(void **state)
{
	struct nvio_op op = ended(-EIO, 1, 0x0281);
	const char *text = nvio_op_strerror(&op);
	pthread_t thread;
	int differs = -1;

	assert_int_equal(pthread_create(&thread, NULL, other_thread, &differs), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(differs, 0);
	assert_string_equal(text, "Unrecovered Read Error (media error, SCT 2h SC 81h)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_end_of_an_op_reads_as_its_status),
		cmocka_unit_test(every_answer_fits_and_ends_with_its_codes),
		cmocka_unit_test(an_op_whose_submit_failed_reads_as_the_failure),
		cmocka_unit_test(a_fresh_op_without_any_failure_reads_as_success),
		cmocka_unit_test(the_text_survives_a_later_failure),
		cmocka_unit_test(the_text_is_the_threads_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
