/* SPDX-License-Identifier: BSD-3-Clause */
/* What all commands share: moving small data, statuses of the block layer, the error log. */
#include "target/target.h"

#include <errno.h>
#include <string.h>

uint16_t tgt_status(int rc, bool write)
{
	static const struct {
		int rc;
		uint16_t sf;
	} table[] = {
		{ 0, 0 },
		{ -EILSEQ, TGT_DNR(NVIO_SCT_MEDIA, NVIO_SC_COMPARE_FAILURE) },
		{ -ENOSPC, TGT_DNR(NVIO_SCT_GENERIC, NVIO_SC_CAPACITY_EXCEEDED) },
		{ -EDQUOT, TGT_DNR(NVIO_SCT_GENERIC, NVIO_SC_CAPACITY_EXCEEDED) },
		{ -ERANGE, TGT_DNR(NVIO_SCT_GENERIC, NVIO_SC_LBA_OUT_OF_RANGE) },
		{ -EBADF, TGT_DNR(NVIO_SCT_GENERIC, NVIO_SC_NS_WRITE_PROTECTED) },
		{ -EROFS, TGT_DNR(NVIO_SCT_GENERIC, NVIO_SC_NS_WRITE_PROTECTED) },
		{ -ENODEV, TGT_INVALID_NS },
		{ -EOPNOTSUPP, TGT_INVALID_OPC },
		{ -EINVAL, TGT_INVALID_FIELD },
		{ -ECANCELED, NVIO_SF(NVIO_SCT_GENERIC, NVIO_SC_ABORT_REQUESTED) },
		{ -ENOMEM, NVIO_SF(NVIO_SCT_GENERIC, NVIO_SC_INTERNAL_ERROR) },
		{ -ETIMEDOUT, NVIO_SF(NVIO_SCT_GENERIC, NVIO_SC_INTERRUPTED) },
		{ -EAGAIN, NVIO_SF(NVIO_SCT_GENERIC, NVIO_SC_INTERRUPTED) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].rc == rc)
			return table[i].sf;
	return NVIO_SF(NVIO_SCT_MEDIA, write ? NVIO_SC_WRITE_FAULT : NVIO_SC_UNRECOVERED_READ);
}

/* Calls fn for each piece of the request's data in [offset, offset + len); stops when it returns non-zero. */
static int for_each_piece(struct tgt_req *req, uint32_t offset, uint32_t len, uint8_t *buf,
	int (*fn)(uint8_t *data, uint8_t *buf, size_t n))
{
	for (int i = 0; i < req->iovcnt && len; i++) {
		struct iovec *v = &req->iov[i];
		size_t n;
		int rc;

		if (offset >= v->iov_len) {
			offset -= (uint32_t)v->iov_len;
			continue;
		}
		n = MIN(v->iov_len - offset, len);
		rc = fn((uint8_t *)v->iov_base + offset, buf, n);
		if (rc)
			return rc;
		buf = buf ? buf + n : NULL;
		len -= (uint32_t)n;
		offset = 0;
	}
	return 0;
}

static int piece_put(uint8_t *data, uint8_t *buf, size_t n)
{
	memcpy(data, buf, n);
	return 0;
}

static int piece_get(uint8_t *data, uint8_t *buf, size_t n)
{
	memcpy(buf, data, n);
	return 0;
}

static int piece_cmp(uint8_t *data, uint8_t *buf, size_t n)
{
	return memcmp(data, buf, n) != 0;
}

static int piece_zero(uint8_t *data, uint8_t *buf, size_t n)
{
	memset(data, 0, n);
	return 0;
}

void tgt_req_zero(struct tgt_req *req, uint32_t offset)
{
	for_each_piece(req, offset, UINT32_MAX, NULL, piece_zero);
}

void tgt_req_put(struct tgt_req *req, uint32_t offset, const void *buf, uint32_t len)
{
	for_each_piece(req, offset, len, (uint8_t *)(uintptr_t)buf, piece_put);
}

void tgt_req_get(struct tgt_req *req, uint32_t offset, void *buf, uint32_t len)
{
	for_each_piece(req, offset, len, buf, piece_get);
}

int tgt_req_cmp(struct tgt_req *req, uint32_t offset, const void *buf, uint32_t len)
{
	return for_each_piece(req, offset, len, (uint8_t *)(uintptr_t)buf, piece_cmp);
}

void tgt_req_answer(struct tgt_req *req, const void *buf, uint32_t len)
{
	uint16_t sf = req->ctrlr->front->map(req, len, true);

	if (sf == TGT_MAP_WAIT)
		return;
	if (!sf)
		tgt_req_put(req, 0, buf, len);
	tgt_req_done(req, sf);
}

void tgt_req_failed(struct tgt_req *req)
{
	struct tgt_errlog *l = &req->ctrlr->errlog;
	const struct nvio_sqe *sqe = &req->sqe;
	struct nvio_log_error *e = &l->entry[l->count++ % TGT_ERRLOG_ENTRIES];

	memset(e, 0, sizeof(*e));
	e->error_count = nvio_to_le64(l->count);
	e->sqid = nvio_to_le16(req->sqid);
	e->cid = sqe->cid;
	e->status = nvio_to_le16(nvio_cqe_status_build(req->sf, 0));
	e->parm_loc = nvio_to_le16(NVIO_PARM_LOC_NONE);
	e->nsid = sqe->nsid;
	if (req->sqid)
		e->lba = nvio_to_le64(tgt_dw(sqe->cdw10) | (uint64_t)tgt_dw(sqe->cdw11) << 32);
	if (nvio_sf_sct(req->sf) == NVIO_SCT_MEDIA && nvio_sf_sc(req->sf) != NVIO_SC_COMPARE_FAILURE)
		l->media_errors++;
}

void tgt_errlog_page(const struct tgt_errlog *l, struct nvio_log_error *page)
{
	memset(page, 0, sizeof(*page) * TGT_ERRLOG_ENTRIES);
	for (uint64_t i = 0; i < MIN(l->count, TGT_ERRLOG_ENTRIES); i++)
		page[i] = l->entry[(l->count - 1 - i) % TGT_ERRLOG_ENTRIES];
}
