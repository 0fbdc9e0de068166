/* SPDX-License-Identifier: BSD-3-Clause */
/* What the ownership checker says; see check.h. */
#include "bdev/check.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bdev/bdev.h"
#include "mem/mem.h"

#define PLACE_BYTES 256
#define TYPES_BYTES 256

static const char *current_name(void)
{
	struct nvio_thread *t = thread_current();

	return t ? nvio_thread_name(t) : "(an OS thread without a current nvio_thread)";
}

void bdev_check_thread(const struct bdev_channel *ch, unsigned type)
{
	if (thread_current() == ch->thread)
		return;
	fprintf(stderr,
		"nvio: bdev: %s: %s: wrong thread: the channel is one of thread \"%s\", and it is called on \"%s\"; get a channel "
		"there, or send a message\n",
		bdev_type_name(type), ch->bdev->name, nvio_thread_name(ch->thread), current_name());
	abort();
}

static _Noreturn void module_at_fault(const struct nvio_bdev_io *io, const char *what)
{
	const struct bdev_channel *ch = io->channel;

	fprintf(stderr,
		"nvio: bdev: module %s: device %s: a %s %s; channel of thread \"%s\", called on \"%s\"\n",
		ch->bdev->module->name, ch->bdev->name, bdev_type_name(io->type), what,
		nvio_thread_name(ch->thread), current_name());
	abort();
}

void bdev_check_done(struct nvio_bdev_io *io)
{
	struct bdev_channel *ch = io->channel;
	struct nvio_op *op = bdev_io_op(io);

	if (op->status != -EINPROGRESS || op->owner != &ch->pollable)
		module_at_fault(io, "was completed twice");
	if (io->state & (BDEV_IO_WAITING | BDEV_IO_HELD | BDEV_IO_UNPAID))
		module_at_fault(io, "was completed that submit() had answered -EAGAIN to");
	/* Whoever closes the environment ends all I/O there is. */
	if (thread_current() != ch->thread && !ch->ending && !atomic_load(&ch->bdev->env->closing))
		module_at_fault(io, "was completed on the wrong thread");
}

void bdev_check_ended(const struct bdev_channel *ch)
{
	uint64_t count = bdev_in_flight(ch);
	char types[TYPES_BYTES] = "";
	size_t len = 0;

	if (!count)
		return;
	for (unsigned i = 0; i < NVIO_BDEV_IO_TYPES && len < sizeof(types); i++)
		if (ch->open[i])
			len += (size_t)snprintf(types + len, sizeof(types) - len, "%s%" PRIu32 " %s",
				len ? ", " : ": ", ch->open[i], bdev_type_name(i));
	fprintf(stderr,
		"nvio: bdev: module %s: device %s: %" PRIu64
		" I/Os were never completed%s; channel of thread \"%s\"\n",
		ch->bdev->module->name, ch->bdev->name, count, types, nvio_thread_name(ch->thread));
	abort();
}

int bdev_hold_buffer(struct nvio_env *env, const void *buf, uint64_t len)
{
	return mem_hold(env, buf, len);
}

void bdev_release_iov(struct nvio_env *env, const struct iovec *iov, uint64_t len)
{
	for (; len; iov++) {
		uint64_t n = MIN(iov->iov_len, len);

		if (n)
			mem_release(env, iov->iov_base, n);
		len -= n;
	}
}

int bdev_hold_iov(struct nvio_env *env, const struct iovec *iov, uint64_t len)
{
	uint64_t held = 0;

	for (unsigned i = 0; held < len; i++) {
		uint64_t n = MIN(iov[i].iov_len, len - held);
		int rc = n ? mem_hold(env, iov[i].iov_base, n) : 0;

		if (rc) {
			bdev_release_iov(env, iov, held);
			return rc;
		}
		held += n;
	}
	return 0;
}

void bdev_release_buffers(const struct nvio_bdev_io *io)
{
	const struct bdev_channel *ch = io->channel;

	switch (io->type) {
	case NVIO_BDEV_IO_COMPARE_AND_WRITE:
		bdev_release_iov(ch->bdev->env, io->iov2, io->len);
		bdev_release_iov(ch->bdev->env, io->iov, io->len);
		break;
	case NVIO_BDEV_IO_READ:
	case NVIO_BDEV_IO_WRITE:
	case NVIO_BDEV_IO_COMPARE:
	case NVIO_BDEV_IO_NVME:
	case NVIO_BDEV_IO_NVME_ADMIN: bdev_release_iov(ch->bdev->env, io->iov, io->len); break;
	default: break;
	}
}

void bdev_note_opener(struct nvio_bdev_desc *desc, void *place)
{
	desc->opened_at = place;
	snprintf(desc->opener, sizeof(desc->opener), "%s", nvio_thread_name(desc->thread));
}

/* A place in the program: the symbol if it is known, and object and offset, as addr2line -e wants them. */
static void place_str(void *address, char *text, size_t size)
{
	Dl_info info = { 0 };

	if (!dladdr(address, &info) || !info.dli_fname)
		snprintf(text, size, "%p", address);
	else if (info.dli_sname)
		snprintf(text, size, "%s+%#zx (%s+%#zx)", info.dli_sname,
			(size_t)((char *)address - (char *)info.dli_saddr), info.dli_fname,
			(size_t)((char *)address - (char *)info.dli_fbase));
	else
		snprintf(text, size, "%s+%#zx", info.dli_fname,
			(size_t)((char *)address - (char *)info.dli_fbase));
}

void bdev_report_leak(const struct nvio_bdev *bdev, const struct nvio_bdev_desc *desc)
{
	char place[PLACE_BYTES] = "a place that checked builds know";

	if (desc->opened_at)
		place_str(desc->opened_at, place, sizeof(place));
	log_msg(&bdev->env->log, NVIO_LOG_WARN,
		"bdev: the environment closes, and %s is still open: by thread \"%s\", at %s; it is closed now",
		bdev->name, desc->opener, place);
}
