/* SPDX-License-Identifier: BSD-3-Clause */
/* Identify: what the controller says of itself and of its namespaces (NVMe Base 2.0 section 5.17). */
#include "target/admin.h"

#include <string.h>

#include <nvio/spec/identify.h>

void tgt_put_text(uint8_t *field, size_t size, const char *text)
{
	size_t n = strnlen(text, size);

	memcpy(field, text, n);
	memset(field + n, ' ', size - n);
}

static uint8_t mdts(const struct tgt_ctrlr *c)
{
	return c->max_transfer == TGT_NO_LIMIT ? 0 : (uint8_t)__builtin_ctz(c->max_transfer / TGT_PAGE);
}

static uint16_t ident_ctrlr(struct tgt_req *req, void *page)
{
	const struct tgt_ctrlr *c = req->ctrlr;
	const struct tgt_subsystem *s = c->subsys;
	struct nvio_id_ctrlr *id = page;
	uint64_t bytes = 0;

	tgt_put_text(id->sn, sizeof(id->sn), s->serial);
	tgt_put_text(id->mn, sizeof(id->mn), s->model);
	tgt_put_text(id->fr, sizeof(id->fr), s->firmware);
	id->mdts = mdts(c);
	id->cntlid = nvio_to_le16(TGT_CNTLID);
	id->ver = nvio_to_le32(TGT_VS);
	id->oaes = nvio_to_le32(NVIO_OAES_NS_ATTRIBUTES);
	id->ctratt = nvio_to_le32(NVIO_CTRATT_HOSTID_128);
	id->cntrltype = NVIO_CTRLR_TYPE_IO;
	id->acl = TGT_ACL;
	id->aerl = TGT_AERL;
	id->frmw = NVIO_FRMW_SLOT1_READ_ONLY | 1 << 1;
	id->lpa = NVIO_LPA_COMMAND_EFFECTS | NVIO_LPA_EXTENDED;
	id->elpe = TGT_ERRLOG_ENTRIES - 1;
	id->wctemp = nvio_to_le16(TGT_WARNING_TEMP);
	id->cctemp = nvio_to_le16(TGT_CRITICAL_TEMP);
	for (uint32_t i = 0; i < c->num_ns; i++)
		bytes += c->ns[i].num_blocks << c->ns[i].shift;
	id->tnvmcap = nvio_to_le128(bytes);
	id->kas = nvio_to_le16(TGT_KAS);
	id->sqes = NVIO_SQES_64;
	id->cqes = NVIO_CQES_16;
	id->nn = nvio_to_le32(c->num_ns);
	id->mnan = nvio_to_le32(c->num_ns);
	id->oncs = nvio_to_le16(NVIO_ONCS_COMPARE | NVIO_ONCS_DSM | NVIO_ONCS_WRITE_ZEROES | NVIO_ONCS_SAVE);
	id->vwc = (uint8_t)(NVIO_VWC_FLUSH_BROADCAST << 1 | (tgt_ctrlr_has_cache(c) ? NVIO_VWC_PRESENT : 0));
	memcpy(id->subnqn, s->nqn, strlen(s->nqn));
	id->psd[0].mp = nvio_to_le16(1000); /* 10 W: some hosts take 0 for "not there" */
	return 0;
}

static void fill_ns(const struct tgt_attach *at, struct nvio_id_ns *id)
{
	const struct nvio_bdev *b = nvio_bdev_desc_bdev(at->desc);

	id->nsze = nvio_to_le64(at->num_blocks);
	id->ncap = id->nsze;
	id->nuse = id->nsze;
	id->dlfeat = at->flags & TGT_UNMAP_ZEROES ? NVIO_DLFEAT_READ_ZEROS | NVIO_DLFEAT_WRITE_ZEROES : 0;
	id->nvmcap = nvio_to_le128(at->num_blocks << at->shift);
	id->nsattr = at->flags & TGT_READ_ONLY ? NVIO_NSATTR_WRITE_PROTECTED : 0;
	memcpy(id->nguid, nvio_bdev_uuid(b), sizeof(id->nguid));
	id->lbaf[0].ds = at->shift;
}

/* An id beyond NN is an error; one that is not active reads as zeros (section 5.17.2.1). */
static uint16_t ident_ns(struct tgt_req *req, void *page)
{
	uint32_t nsid = tgt_dw(req->sqe.nsid);
	struct tgt_attach *at = tgt_ctrlr_ns(req->ctrlr, nsid);

	if (!nsid || nsid > req->ctrlr->num_ns)
		return TGT_INVALID_NS;
	if (at)
		fill_ns(at, page);
	return 0;
}

static uint16_t ident_ns_independent(struct tgt_req *req, void *page)
{
	struct nvio_id_ns_independent *id = page;
	uint32_t nsid = tgt_dw(req->sqe.nsid);
	struct tgt_attach *at = tgt_ctrlr_ns(req->ctrlr, nsid);

	if (!nsid || nsid > req->ctrlr->num_ns)
		return TGT_INVALID_NS;
	if (at) {
		id->nsattr = at->flags & TGT_READ_ONLY ? NVIO_NSATTR_WRITE_PROTECTED : 0;
		id->nstat = NVIO_NSTAT_READY;
	}
	return 0;
}

static uint16_t ident_ns_list(struct tgt_req *req, void *page)
{
	struct nvio_ns_list *list = page;
	uint32_t after = tgt_dw(req->sqe.nsid), n = 0;

	if (after >= 0xfffffffe)
		return TGT_INVALID_NS;
	for (uint64_t nsid = (uint64_t)after + 1; nsid <= req->ctrlr->num_ns && n < NVIO_NS_LIST_MAX; nsid++)
		if (req->ctrlr->ns[nsid - 1].desc)
			list->nsid[n++] = nvio_to_le32((uint32_t)nsid);
	return 0;
}

static uint8_t *put_desc(uint8_t *p, uint8_t type, uint8_t len, const void *id)
{
	p[0] = type;
	p[1] = len;
	memcpy(p + sizeof(struct nvio_id_ns_desc), id, len);
	return p + sizeof(struct nvio_id_ns_desc) + len;
}

static uint16_t ident_ns_descs(struct tgt_req *req, void *page)
{
	static const uint8_t csi = NVIO_CSI_NVM;
	struct tgt_attach *at = tgt_ctrlr_ns(req->ctrlr, tgt_dw(req->sqe.nsid));
	const uint8_t *uuid;
	uint8_t *p = page;

	if (!at)
		return TGT_INVALID_NS;
	uuid = nvio_bdev_uuid(nvio_bdev_desc_bdev(at->desc));
	p = put_desc(p, NVIO_NIDT_NGUID, NVIO_NIDL_NGUID, uuid);
	p = put_desc(p, NVIO_NIDT_UUID, NVIO_NIDL_UUID, uuid);
	put_desc(p, NVIO_NIDT_CSI, NVIO_NIDL_CSI, &csi);
	return 0;
}

/* The NVM command set has nothing to add: no protection information, no limits of its own. */
static uint16_t ident_nothing_more(struct tgt_req *req, void *page)
{
	return 0;
}

static uint16_t ident_ns_nvm(struct tgt_req *req, void *page)
{
	uint32_t nsid = tgt_dw(req->sqe.nsid);

	return !nsid || nsid > req->ctrlr->num_ns ? TGT_INVALID_NS : 0;
}

static uint16_t ident_ctrlr_list(struct tgt_req *req, void *page)
{
	struct nvio_ctrlr_list *list = page;

	if (nvio_identify_cntid(tgt_dw(req->sqe.cdw10)) <= TGT_CNTLID) {
		list->num = nvio_to_le16(1);
		list->cntlid[0] = nvio_to_le16(TGT_CNTLID);
	}
	return 0;
}

static uint16_t ident_ns_ctrlr_list(struct tgt_req *req, void *page)
{
	uint32_t nsid = tgt_dw(req->sqe.nsid);

	if (!nsid || nsid > req->ctrlr->num_ns)
		return TGT_INVALID_NS;
	return tgt_ctrlr_ns(req->ctrlr, nsid) ? ident_ctrlr_list(req, page) : 0;
}

static const struct {
	uint16_t (*fill)(struct tgt_req *req, void *page); /* a zeroed page */
	bool by_csi; /* CDW11 names a command set */
} table[] = {
	[NVIO_CNS_NS] = { ident_ns },
	[NVIO_CNS_CTRLR] = { ident_ctrlr },
	[NVIO_CNS_ACTIVE_NS_LIST] = { ident_ns_list },
	[NVIO_CNS_NS_ID_DESC_LIST] = { ident_ns_descs },
	[NVIO_CNS_CSI_NS] = { ident_ns_nvm, true },
	[NVIO_CNS_CSI_CTRLR] = { ident_nothing_more, true },
	[NVIO_CNS_CSI_ACTIVE_NS_LIST] = { ident_ns_list, true },
	[NVIO_CNS_INDEPENDENT_NS] = { ident_ns_independent },
	[NVIO_CNS_ALLOCATED_NS_LIST] = { ident_ns_list },
	[NVIO_CNS_ALLOCATED_NS] = { ident_ns },
	[NVIO_CNS_NS_CTRLR_LIST] = { ident_ns_ctrlr_list },
	[NVIO_CNS_CTRLR_LIST] = { ident_ctrlr_list },
};

void tgt_exec_identify(struct tgt_req *req)
{
	uint32_t cns = nvio_identify_cns(tgt_dw(req->sqe.cdw10));
	uint64_t page[NVIO_IDENTIFY_BYTES / 8] = { 0 };
	uint16_t sf;

	if (cns >= ARRAY_SIZE(table) || !table[cns].fill ||
		(table[cns].by_csi && nvio_identify_csi(tgt_dw(req->sqe.cdw11)) != NVIO_CSI_NVM)) {
		tgt_req_done(req, TGT_INVALID_FIELD);
		return;
	}
	sf = table[cns].fill(req, page);
	if (sf)
		tgt_req_done(req, sf);
	else
		tgt_req_answer(req, page, sizeof(page));
}
