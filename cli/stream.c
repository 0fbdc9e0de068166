/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ring behind read, write and compare; see stream.h. Slots are taken and retired in order, so a pipe gets
 * its bytes in order, and at most depth x chunk bytes are held however long the transfer is.
 *
 * A file or pipe may make us wait for as long as it likes. Meanwhile somebody has to move the I/O in flight
 * and keep the controller's session alive, so every wait for it polls.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nvio/error.h>
#include <nvio/mem.h>

#include "stream.h"

#define CHUNK_MAX  (1u << 20)
#define MEMORY_MAX (64u << 20)
#define IDLE_MS	   100
/* What a pipe that poll() calls writable takes for sure; more could block with nobody polling the device. */
#define PIPE_PIECE 4096

struct slot {
	struct nvio_op op;
	uint8_t *buf;
	uint64_t lba;
	uint32_t nblocks;
	uint32_t bytes; /* of the file; the rest of the last block is not */
};

struct ring {
	struct stream *s;
	struct progress progress;
	uint32_t block_size;
	uint32_t chunk; /* bytes of a buffer, a multiple of the block */
	bool regular;	/* the file is one, and no pipe or terminal */
	uint8_t *memory;
	uint64_t lba;	     /* of the next slot */
	uint64_t head, tail; /* slots retired, slots taken: counts, not indices */
	struct slot slots[STREAM_DEPTH_MAX];
};

static const char *const verbs[] = {
	[STREAM_READ] = "read", [STREAM_WRITE] = "write", [STREAM_COMPARE] = "compare"
};

static struct slot *slot_at(struct ring *r, uint64_t count)
{
	return &r->slots[count % r->s->depth];
}

static bool slots_pending(struct ring *r)
{
	for (uint64_t i = r->head; i < r->tail; i++) {
		if (nvio_op_pending(&slot_at(r, i)->op))
			return true;
	}
	return false;
}

/*
 * Waits until the file can be read or written, and polls the device all the while. Its failures show in the
 * ops.
 */
static void wait_for_file(struct ring *r, short events)
{
	struct pollfd p = { .fd = r->s->fd, .events = events };

	while (poll(&p, 1, slots_pending(r) ? 0 : IDLE_MS) == 0) {
		(void)nvio_qpair_poll(r->s->dev->qp, 0);
		(void)nvio_ctrlr_poll(r->s->dev->ctrlr);
	}
}

/* As many bytes as there are, up to len: fewer only at the end of the file. */
static int file_read(struct ring *r, uint8_t *buf, size_t len, size_t *have)
{
	*have = 0;
	while (*have < len) {
		ssize_t n;

		wait_for_file(r, POLLIN);
		n = read(r->s->fd, buf + *have, len - *have);
		if (n == 0)
			return CLI_OK;
		if (n > 0)
			*have += (size_t)n;
		else if (errno != EINTR && errno != EAGAIN)
			return cli_fail("%s: %s", r->s->name, strerror(errno));
	}
	return CLI_OK;
}

static int file_write(struct ring *r, const uint8_t *buf, size_t len)
{
	uint64_t written = r->s->moved;

	while (len) {
		ssize_t n;

		wait_for_file(r, POLLOUT);
		n = write(r->s->fd, buf, r->regular || len < PIPE_PIECE ? len : PIPE_PIECE);
		if (n > 0) {
			buf += n;
			len -= (size_t)n;
			written += (size_t)n;
		} else if (n < 0 && errno == EPIPE) {
			/* How much of what the pipe took was read, only its reader knows. */
			return cli_fail("%s: %s", r->s->name, strerror(errno));
		} else if (n < 0 && errno != EINTR && errno != EAGAIN) {
			return cli_fail("%s: %s, after %" PRIu64 " bytes", r->s->name, strerror(errno),
				written);
		}
	}
	return CLI_OK;
}

static int read_blocks(struct ring *r, void *buf, uint64_t lba, uint32_t nblocks)
{
	struct cli_dev *dev = r->s->dev;
	struct nvio_op op = cli_dev_op(NULL);

	if (nvio_await(nvio_ns_read(dev->ns, dev->qp, buf, lba, nblocks, &op), &op))
		return cli_dev_fail_op(dev, &op, "reading %" PRIu32 " blocks from block %" PRIu64 " on",
			nblocks, lba);
	return CLI_OK;
}

/*
 * The rest of a last block that the file fills only in part: what the device has there. Written back it stays
 * as it was, and compared it is equal.
 */
static int fill_last_block(struct ring *r, struct slot *slot)
{
	uint32_t in_last = slot->bytes % r->block_size;
	uint8_t *last = slot->buf + slot->bytes - in_last;
	uint8_t *block;
	int status;

	if (!in_last)
		return CLI_OK;
	block = nvio_mem_alloc(r->s->dev->env, r->block_size, 0);
	if (!block)
		return cli_fail("%s", nvio_errmsg());
	status = read_blocks(r, block, slot->lba + slot->nblocks - 1, 1);
	if (!status)
		memcpy(last + in_last, block + in_last, r->block_size - in_last);
	nvio_mem_free(r->s->dev->env, block);
	return status;
}

static int fail_slot(const struct ring *r, const struct slot *slot)
{
	return cli_dev_fail_op(r->s->dev, &slot->op, "%" PRIu32 " blocks from block %" PRIu64 " on",
		slot->nblocks, slot->lba);
}

static int submit(struct ring *r, struct slot *slot)
{
	struct cli_dev *dev = r->s->dev;
	int rc = 0;

	slot->op = cli_dev_op(NULL);
	switch (r->s->kind) {
	case STREAM_READ:
		rc = nvio_ns_read(dev->ns, dev->qp, slot->buf, slot->lba, slot->nblocks, &slot->op);
		break;
	case STREAM_WRITE:
		rc = nvio_ns_write(dev->ns, dev->qp, slot->buf, slot->lba, slot->nblocks, &slot->op);
		break;
	case STREAM_COMPARE:
		rc = nvio_ns_compare(dev->ns, dev->qp, slot->buf, slot->lba, slot->nblocks, &slot->op);
		break;
	}
	if (rc)
		return fail_slot(r, slot);
	r->lba += slot->nblocks;
	r->tail++;
	nvio_qpair_kick(dev->qp);
	return CLI_OK;
}

/* The controller only says that the blocks differ; where, we find out from its data. */
static int find_difference(struct ring *r, struct slot *slot)
{
	struct stream_difference *d = &r->s->difference;
	uint8_t *there = nvio_mem_alloc(r->s->dev->env, r->chunk, 0);
	int status;

	if (!there)
		return cli_fail("%s", nvio_errmsg());
	status = read_blocks(r, there, slot->lba, slot->nblocks);
	for (uint32_t i = 0; i < slot->bytes && !status; i++) {
		if (slot->buf[i] == there[i])
			continue;
		*d = (struct stream_difference){ true, r->s->moved + i, slot->lba + i / r->block_size,
			i % r->block_size, slot->buf[i], there[i] };
		status = CLI_DIFFERS;
	}
	if (!status)
		status = cli_fail("the controller reports a difference in %" PRIu32
				  " blocks from block %" PRIu64 " on, but reads back the same data",
			slot->nblocks, slot->lba);
	nvio_mem_free(r->s->dev->env, there);
	return status;
}

static int retire(struct ring *r)
{
	struct slot *slot = slot_at(r, r->head);
	int rc = nvio_wait(&slot->op), status = CLI_OK;

	r->head++;
	r->s->done += !rc;
	if (rc == -EILSEQ && r->s->kind == STREAM_COMPARE)
		return find_difference(r, slot);
	if (rc)
		return fail_slot(r, slot);
	if (r->s->kind == STREAM_READ)
		status = file_write(r, slot->buf, slot->bytes);
	if (!status)
		r->s->moved += slot->bytes;
	progress_show(&r->progress, r->s->moved);
	return status;
}

static void take(struct ring *r, struct slot *slot, uint32_t bytes)
{
	slot->lba = r->lba;
	slot->bytes = bytes;
	slot->nblocks = (bytes + r->block_size - 1) / r->block_size;
}

static int from_device(struct ring *r)
{
	uint64_t left = r->s->bytes;
	int status = CLI_OK;

	while (!status && (left || r->head < r->tail)) {
		if (left && r->tail - r->head < r->s->depth) {
			struct slot *slot = slot_at(r, r->tail);

			take(r, slot, left < r->chunk ? (uint32_t)left : r->chunk);
			left -= slot->bytes;
			status = submit(r, slot);
		} else {
			status = retire(r);
		}
	}
	return status;
}

static int too_large(struct ring *r)
{
	return cli_fail("%s has more than the namespace holds: %" PRIu64 " bytes from block %" PRIu64 " on",
		r->s->name, (nvio_ns_num_blocks(r->s->dev->ns) - r->s->lba) * r->block_size, r->s->lba);
}

static int to_device(struct ring *r)
{
	uint64_t left = r->s->bytes, room = nvio_ns_num_blocks(r->s->dev->ns);
	size_t want, have;
	int status = CLI_OK;

	while (!status && left) {
		struct slot *slot = slot_at(r, r->tail);

		if (r->tail - r->head == r->s->depth) {
			status = retire(r);
			continue;
		}
		want = left < r->chunk ? left : r->chunk;
		status = file_read(r, slot->buf, want, &have);
		if (status || !have)
			break;
		take(r, slot, (uint32_t)have);
		if (slot->nblocks > room - slot->lba) {
			status = too_large(r);
			break;
		}
		status = fill_last_block(r, slot);
		if (!status)
			status = submit(r, slot);
		if (left != CLI_UNSET)
			left -= have;
		if (have < want)
			break;
	}
	while (!status && r->head < r->tail)
		status = retire(r);
	if (!status && left && left != CLI_UNSET)
		status = cli_fail("%s ends after %" PRIu64 " of %" PRIu64 " bytes", r->s->name, r->s->moved,
			r->s->bytes);
	return status;
}

static int ring_init(struct ring *r)
{
	struct cli_dev *dev = r->s->dev;
	uint32_t most = nvio_ns_max_transfer(dev->ns), share = MEMORY_MAX / r->s->depth;
	struct stat st;

	r->regular = fstat(r->s->fd, &st) == 0 && S_ISREG(st.st_mode);
	r->block_size = nvio_ns_block_size(dev->ns);
	r->lba = r->s->lba;
	if (most > CHUNK_MAX)
		most = CHUNK_MAX;
	if (most > share)
		most = share;
	/* A short transfer needs no long buffer. */
	if (r->s->bytes < most)
		most = (uint32_t)r->s->bytes + r->block_size - 1;
	r->chunk = most < r->block_size ? r->block_size : most - most % r->block_size;
	r->memory = nvio_mem_alloc(dev->env, (size_t)r->chunk * r->s->depth, 0);
	if (!r->memory)
		return cli_fail("%s", nvio_errmsg());
	for (uint32_t i = 0; i < r->s->depth; i++)
		r->slots[i].buf = r->memory + (size_t)i * r->chunk;
	return CLI_OK;
}

int stream_run(struct stream *s)
{
	static struct ring ring;
	struct ring *r = &ring;
	int status, flushed = CLI_OK;

	memset(r, 0, sizeof(*r));
	r->s = s;
	status = ring_init(r);
	if (status)
		return status;
	progress_begin(&r->progress, verbs[s->kind], s->expected);
	status = s->kind == STREAM_READ ? from_device(r) : to_device(r);
	/* After a failure: the buffers are the library's until the rest is done. */
	for (; r->head < r->tail; r->head++)
		s->done += !nvio_wait(&slot_at(r, r->head)->op);
	if (s->kind == STREAM_WRITE)
		flushed = cli_dev_flush(s->dev);
	s->seconds = progress_end(&r->progress);
	nvio_mem_free(s->dev->env, r->memory);
	return status ? status : flushed;
}
