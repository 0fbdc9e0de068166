/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How an operation ended, in one line: the controller's status where it answered, our own reason where it
 * did not, and both where they differ (a command that timed out, was aborted, and then answered).
 */
#include <stdbool.h>

#include "base/compiler.h"
#include "base/platform.h"
#include "base/text.h"
#include <nvio/error.h>
#include <nvio/op.h>
#include <nvio/spec/status.h>
#include <nvio/spec/words.h>

/* As long as nvio_errmsg() can be (511 bytes and the end); no other text is. */
#define TEXT_BYTES 512

static THREAD_LOCAL char text[TEXT_BYTES];

/* Plain words, for the statuses that the library itself ends operations with. */
static const struct {
	int err;
	const char *text;
} reasons[] = {
	{ ETIMEDOUT, "timed out" },
	{ ECANCELED, "cancelled" },
	{ ENODEV, "the device is gone" },
	{ EIO, "I/O error" },
	{ EINPROGRESS, "in flight" },
	{ ENOMEM, "out of memory" },
	{ ENOSPC, "no space left" },
	{ EINVAL, "invalid argument" },
	{ EOPNOTSUPP, "not supported" },
	{ ERANGE, "out of range" },
	{ EROFS, "read-only" },
	{ EACCES, "permission denied" },
	{ EPERM, "not permitted" },
	{ EBUSY, "busy" },
	{ EAGAIN, "not possible now, try again" },
	{ EILSEQ, "the data is not what it should be" },
	{ ECONNRESET, "the connection was lost" },
	{ ECONNREFUSED, "the connection was refused" },
	{ ENOTCONN, "not connected" },
	{ ESHUTDOWN, "shut down" },
	{ EPROTO, "the peer broke the protocol" },
	{ ENOENT, "not found" },
	{ EEXIST, "exists already" },
};

/* NULL: no plain words for it. */
static const char *reason(int status)
{
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		if (reasons[i].err == -status)
			return reasons[i].text;
	}
	return NULL;
}

static const char *own_reason(int status)
{
	const char *words = reason(status);

	if (words)
		return words;
	text_format(text, sizeof(text), "error %d (%s)", status, nvio_errno_name(status));
	return text;
}

static const char *answer(const struct nvio_op *op)
{
	uint16_t sf = op->cpl.sf;
	bool agrees = op->status == 0 || op->status == nvio_status_to_errno(sf);
	const char *words = reason(op->status);

	if (agrees)
		words = "";
	else if (!words)
		words = nvio_errno_name(op->status);
	text_format(text, sizeof(text), "%s%s%s (%s, SCT %Xh SC %02Xh%s)", words,
		agrees ? "" : "; the controller answered ", nvio_status_str(sf), nvio_sct_str(sf),
		(unsigned)nvio_sf_sct(sf), (unsigned)nvio_sf_sc(sf), sf & NVIO_SF_DNR ? ", DNR" : "");
	return text;
}

/* A fresh op that no submit took: it has neither an owner nor an outcome. */
static bool never_submitted(const struct nvio_op *op)
{
	return !op->owner && !op->status && !op->cpl.answered;
}

const char *nvio_op_strerror(const struct nvio_op *op)
{
	if (op->status == -EINPROGRESS)
		return reason(op->status);
	if (op->cpl.answered && (op->cpl.sf & NVIO_SF_CODE_MASK))
		return answer(op);
	if (op->status)
		return own_reason(op->status);
	if (never_submitted(op) && nvio_errmsg()[0]) {
		text_format(text, sizeof(text), "%s", nvio_errmsg());
		return text;
	}
	return "success";
}
