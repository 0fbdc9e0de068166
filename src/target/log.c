/* SPDX-License-Identifier: BSD-3-Clause */
/* Get Log Page (NVMe Base 2.0 section 5.16). */
#include "target/admin.h"

#include <string.h>

#include <nvio/spec/log.h>

#define LOG_OFFSET_TYPE (1u << 23) /* in cdw14: the offset is an index; not offered */

static uint32_t log_error(struct tgt_ctrlr *c, void *page)
{
	tgt_errlog_page(&c->errlog, page);
	return TGT_ERRLOG_ENTRIES * sizeof(struct nvio_log_error);
}

static uint64_t units(uint64_t bytes)
{
	return DIV_ROUND_UP(bytes, 512000); /* thousands of 512 bytes */
}

static uint32_t log_smart(struct tgt_ctrlr *c, void *page)
{
	struct nvio_log_smart *s = page;
	uint64_t up_ns = clock_now(&c->env->clock) - c->born_ns;

	s->critical_warning = tgt_features_warning(c);
	s->temperature = nvio_to_le16(TGT_TEMPERATURE);
	s->available_spare = 100;
	s->spare_threshold = 10;
	s->data_units_read = nvio_to_le128(units(c->counters.bytes_read));
	s->data_units_written = nvio_to_le128(units(c->counters.bytes_written));
	s->host_reads = nvio_to_le128(c->counters.reads);
	s->host_writes = nvio_to_le128(c->counters.writes);
	s->power_cycles = nvio_to_le128(1);
	s->power_on_hours = nvio_to_le128(up_ns / (3600 * NS_PER_S));
	s->media_errors = nvio_to_le128(c->errlog.media_errors);
	s->error_log_entries = nvio_to_le128(c->errlog.count);
	return sizeof(*s);
}

static uint32_t log_firmware(struct tgt_ctrlr *c, void *page)
{
	struct nvio_log_firmware *f = page;

	f->afi = 1;
	tgt_put_text(f->frs[0], sizeof(f->frs[0]), c->subsys->firmware);
	return sizeof(*f);
}

static uint32_t log_changed_ns(struct tgt_ctrlr *c, void *page)
{
	struct nvio_log_changed_ns *l = page;

	if (c->num_changed > TGT_CHANGED_MAX)
		l->nsid[0] = nvio_to_le32(NVIO_NSID_ALL);
	else
		for (uint32_t i = 0; i < c->num_changed; i++)
			l->nsid[i] = nvio_to_le32(c->changed_ns[i]);
	return sizeof(*l);
}

static uint32_t log_effects(struct tgt_ctrlr *c, void *page)
{
	struct nvio_log_effects *l = page;

	for (int i = 0; i < 256; i++) {
		l->acs[i] = nvio_to_le32(tgt_admin_effects((uint8_t)i));
		l->iocs[i] = nvio_to_le32(tgt_io_effects((uint8_t)i));
	}
	return sizeof(*l);
}

/* Each fills a zeroed page and returns how long it is. */
static uint32_t (*const pages[])(struct tgt_ctrlr *c, void *page) = {
	[NVIO_LID_ERROR] = log_error,
	[NVIO_LID_SMART] = log_smart,
	[NVIO_LID_FIRMWARE_SLOT] = log_firmware,
	[NVIO_LID_CHANGED_NS] = log_changed_ns,
	[NVIO_LID_COMMAND_EFFECTS] = log_effects,
};

static uint16_t check(const struct tgt_req *req, uint64_t offset, uint64_t len)
{
	const struct nvio_sqe *sqe = &req->sqe;
	uint32_t lid = nvio_log_lid(tgt_dw(sqe->cdw10)), cdw14 = tgt_dw(sqe->cdw14), nsid = tgt_dw(sqe->nsid);

	if (lid >= ARRAY_SIZE(pages) || !pages[lid])
		return TGT_DNR(NVIO_SCT_COMMAND, NVIO_SC_INVALID_LOG_PAGE);
	/* LPA bit 0 is clear: there is no log of a single namespace. */
	if (nsid != NVIO_NSID_NONE && nsid != NVIO_NSID_ALL)
		return TGT_INVALID_FIELD;
	if (offset % 4 || cdw14 & LOG_OFFSET_TYPE || (lid == NVIO_LID_COMMAND_EFFECTS && cdw14 >> 24 != NVIO_CSI_NVM))
		return TGT_INVALID_FIELD;
	if (len > MIN(req->ctrlr->max_transfer, TGT_MAX_TRANSFER))
		return TGT_INVALID_FIELD;
	return 0;
}

void tgt_exec_get_log(struct tgt_req *req)
{
	struct tgt_ctrlr *c = req->ctrlr;
	const struct nvio_sqe *sqe = &req->sqe;
	uint32_t cdw10 = tgt_dw(sqe->cdw10), lid = nvio_log_lid(cdw10), size, part;
	uint64_t offset = tgt_dw(sqe->cdw12) | (uint64_t)tgt_dw(sqe->cdw13) << 32;
	uint64_t len = ((uint64_t)nvio_log_numd(cdw10, tgt_dw(sqe->cdw11)) + 1) * 4;
	uint8_t page[4096] __attribute__((aligned(8))) = { 0 };
	uint16_t sf = check(req, offset, len);

	if (sf)
		goto done;
	size = pages[lid](c, page);
	sf = TGT_INVALID_FIELD;
	if (offset > size)
		goto done;
	sf = c->front->map(req, (uint32_t)len, true);
	if (sf == TGT_MAP_WAIT)
		return;
	if (sf)
		goto done;
	part = MIN((uint32_t)len, size - (uint32_t)offset);
	tgt_req_put(req, 0, page + offset, part);
	tgt_req_zero(req, part);
	if (!(cdw10 & NVIO_LOG_RAE)) {
		if (lid == NVIO_LID_CHANGED_NS)
			c->num_changed = 0;
		tgt_aer_log_read(c, (uint8_t)lid);
	}
done:
	tgt_req_done(req, sf);
}
