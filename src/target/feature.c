/* SPDX-License-Identifier: BSD-3-Clause */
/* Set Features and Get Features (NVMe Base 2.0 sections 5.27 and 5.15). None can be saved. */
#include "target/admin.h"

#include <string.h>

#include <nvio/spec/feature.h>
#include <nvio/spec/identify.h>
#include <nvio/spec/log.h>

struct feature {
	bool there;
	bool per_ns;
	uint32_t initial;
	uint32_t mask;    /* bits that are kept */
	/* Checks the new value and acts on it; may change it before it is kept. NULL: any will do. */
	uint16_t (*set)(struct tgt_req *req, uint32_t *value);
	/* NULL: the kept value. */
	uint16_t (*get)(struct tgt_req *req, uint32_t *value);
	uint32_t (*initially)(const struct tgt_ctrlr *c); /* where `initial` depends on the controller */
};

static uint16_t set_power(struct tgt_req *req, uint32_t *value)
{
	return nvio_power_ps(*value) ? TGT_INVALID_FIELD : 0; /* NPSS is 0: there is one state */
}

static uint16_t check_temp(uint32_t value, bool set)
{
	uint32_t sensor = nvio_temp_sensor(value);

	if (nvio_temp_type(value) > NVIO_TEMP_UNDER)
		return TGT_INVALID_FIELD;
	return sensor == NVIO_TEMP_COMPOSITE || (set && sensor == NVIO_TEMP_ALL_SENSORS) ? 0 : TGT_INVALID_FIELD;
}

static uint16_t set_temp(struct tgt_req *req, uint32_t *value)
{
	struct tgt_features *f = &req->ctrlr->features;
	uint16_t sf = check_temp(*value, true);

	if (sf)
		return sf;
	if (nvio_temp_type(*value) == NVIO_TEMP_UNDER) {
		f->under_temperature = nvio_temp_kelvin(*value);
		*value = f->value[NVIO_FID_TEMPERATURE_THRESHOLD];
	} else {
		*value = nvio_temp_kelvin(*value);
		f->value[NVIO_FID_TEMPERATURE_THRESHOLD] = *value;
	}
	if (tgt_features_warning(req->ctrlr) & NVIO_SMART_TEMPERATURE)
		tgt_event(req->ctrlr, NVIO_AER_SMART, NVIO_AER_SMART_TEMPERATURE, NVIO_LID_SMART);
	return 0;
}

static uint16_t get_temp(struct tgt_req *req, uint32_t *value)
{
	uint32_t cdw11 = tgt_dw(req->sqe.cdw11);
	uint16_t sf = check_temp(cdw11, false);

	if (!sf && nvio_temp_type(cdw11) == NVIO_TEMP_UNDER)
		*value = req->ctrlr->features.under_temperature;
	return sf;
}

static uint16_t set_error_recovery(struct tgt_req *req, uint32_t *value)
{
	struct tgt_ctrlr *c = req->ctrlr;
	uint32_t nsid = tgt_dw(req->sqe.nsid);

	/* No namespace reports errors for deallocated blocks (NSFEAT.DAE), so DULBE cannot be had. */
	if (nvio_error_recovery_dulbe(*value))
		return TGT_INVALID_FIELD;
	if (nsid != NVIO_NSID_ALL && !tgt_ctrlr_ns(c, nsid))
		return TGT_INVALID_NS;
	for (uint32_t i = 0; i < c->num_ns; i++)
		if (nsid == NVIO_NSID_ALL || nsid == i + 1)
			c->ns[i].error_recovery = (uint16_t)nvio_error_recovery_tler(*value);
	return 0;
}

static uint16_t get_error_recovery(struct tgt_req *req, uint32_t *value)
{
	struct tgt_attach *at = tgt_ctrlr_ns(req->ctrlr, tgt_dw(req->sqe.nsid));

	if (!at)
		return TGT_INVALID_NS;
	*value = at->error_recovery;
	return 0;
}

static uint32_t initial_cache(const struct tgt_ctrlr *c)
{
	return tgt_ctrlr_has_cache(c) ? NVIO_VOLATILE_WRITE_CACHE_ENABLE : 0;
}

static uint16_t set_cache(struct tgt_req *req, uint32_t *value)
{
	if (!tgt_ctrlr_has_cache(req->ctrlr))
		return TGT_INVALID_FIELD;
	req->ctrlr->write_through = !(*value & NVIO_VOLATILE_WRITE_CACHE_ENABLE);
	return 0;
}

static uint16_t get_cache(struct tgt_req *req, uint32_t *value)
{
	return tgt_ctrlr_has_cache(req->ctrlr) ? 0 : TGT_INVALID_FIELD;
}

static uint32_t initial_queues(const struct tgt_ctrlr *c)
{
	return nvio_num_queues_build(c->max_queues - 1, c->max_queues - 1);
}

static uint16_t set_queues(struct tgt_req *req, uint32_t *value)
{
	struct tgt_ctrlr *c = req->ctrlr;
	uint32_t nsq = nvio_num_queues_sq(*value), ncq = nvio_num_queues_cq(*value);

	if (nsq == 0xffff || ncq == 0xffff)
		return TGT_INVALID_FIELD;
	if (c->io_queues)
		return TGT_DNR(NVIO_SCT_GENERIC, NVIO_SC_COMMAND_SEQUENCE_ERROR);
	*value = nvio_num_queues_build(MIN(nsq, c->max_queues - 1), MIN(ncq, c->max_queues - 1));
	req->dw0 = *value;
	return 0;
}

static uint16_t set_irq_vector(struct tgt_req *req, uint32_t *value)
{
	uint32_t vector = nvio_irq_vector(*value);

	if (vector > req->ctrlr->max_queues)
		return TGT_INVALID_FIELD;
	req->ctrlr->features.no_coalescing[vector] = (uint8_t)nvio_irq_vector_no_coalescing(*value);
	return 0;
}

static uint16_t get_irq_vector(struct tgt_req *req, uint32_t *value)
{
	uint32_t vector = nvio_irq_vector(tgt_dw(req->sqe.cdw11));

	if (vector > req->ctrlr->max_queues)
		return TGT_INVALID_FIELD;
	*value = nvio_irq_vector_build(vector, req->ctrlr->features.no_coalescing[vector]);
	return 0;
}

static uint16_t set_keep_alive(struct tgt_req *req, uint32_t *value)
{
	uint32_t unit = TGT_KAS * 100;

	if (*value > UINT32_MAX - unit)
		return TGT_DNR(NVIO_SCT_GENERIC, NVIO_SC_INVALID_KEEP_ALIVE_TIMEOUT);
	*value = DIV_ROUND_UP(*value, unit) * unit;
	req->ctrlr->features.value[NVIO_FID_KEEP_ALIVE] = *value;
	tgt_ctrlr_keep_alive(req->ctrlr);
	return 0;
}

static const struct feature table[] = {
	[NVIO_FID_ARBITRATION] = { true, .initial = NVIO_ARBITRATION_NO_LIMIT, .mask = 0xffffff07 },
	[NVIO_FID_POWER_MANAGEMENT] = { true, .mask = 0xff, .set = set_power },
	[NVIO_FID_TEMPERATURE_THRESHOLD] = { true, .initial = TGT_WARNING_TEMP, .mask = 0x3fffff, .set = set_temp,
		.get = get_temp },
	[NVIO_FID_ERROR_RECOVERY] = { true, .per_ns = true, .mask = 0x1ffff, .set = set_error_recovery,
		.get = get_error_recovery },
	[NVIO_FID_VOLATILE_WRITE_CACHE] = { true, .mask = 1, .set = set_cache, .get = get_cache,
		.initially = initial_cache },
	[NVIO_FID_NUM_QUEUES] = { true, .mask = 0xffffffff, .set = set_queues, .initially = initial_queues },
	[NVIO_FID_IRQ_COALESCING] = { true, .mask = 0xffff },
	[NVIO_FID_IRQ_VECTOR_CONFIG] = { true, .mask = 0x1ffff, .set = set_irq_vector, .get = get_irq_vector },
	[NVIO_FID_WRITE_ATOMICITY] = { true, .mask = NVIO_WRITE_ATOMICITY_DN },
	[NVIO_FID_ASYNC_EVENT_CONFIG] = { true, .mask = NVIO_OAES_NS_ATTRIBUTES | NVIO_SMART_SPARE |
		NVIO_SMART_TEMPERATURE | NVIO_SMART_RELIABILITY | NVIO_SMART_READ_ONLY | NVIO_SMART_BACKUP },
	[NVIO_FID_KEEP_ALIVE] = { true, .mask = 0xffffffff, .set = set_keep_alive },
};

static uint32_t initial_value(const struct tgt_ctrlr *c, uint32_t fid)
{
	return table[fid].initially ? table[fid].initially(c) : table[fid].initial;
}

void tgt_features_init(struct tgt_ctrlr *c)
{
	memset(&c->features, 0, sizeof(c->features));
	for (uint32_t fid = 0; fid < ARRAY_SIZE(table); fid++)
		c->features.value[fid] = initial_value(c, fid);
	for (uint32_t i = 0; i < c->num_ns; i++)
		c->ns[i].error_recovery = 0;
	c->write_through = false;
}

uint8_t tgt_features_warning(const struct tgt_ctrlr *c)
{
	bool hot = TGT_TEMPERATURE >= c->features.value[NVIO_FID_TEMPERATURE_THRESHOLD];
	bool cold = TGT_TEMPERATURE <= c->features.under_temperature;

	return hot || cold ? NVIO_SMART_TEMPERATURE : 0;
}

/* The Host Identifier is a buffer, not a dword: 8 bytes, or 16 with EXHID. */
static void exec_host_id(struct tgt_req *req, bool set, uint32_t sel)
{
	static const uint8_t none[16];
	struct tgt_features *f = &req->ctrlr->features;
	uint32_t len = tgt_dw(req->sqe.cdw11) & NVIO_HOST_ID_EXTENDED ? 16 : 8;
	uint16_t sf;

	if (!set) {
		tgt_req_answer(req, sel == NVIO_SEL_CURRENT ? f->host_id : none, len);
		return;
	}
	sf = req->ctrlr->front->map(req, len, false);
	if (sf == TGT_MAP_WAIT)
		return;
	if (!sf) {
		memset(f->host_id, 0, sizeof(f->host_id));
		tgt_req_get(req, 0, f->host_id, len);
	}
	tgt_req_done(req, sf);
}

static bool is_there(uint32_t fid)
{
	return fid == NVIO_FID_HOST_ID || (fid < ARRAY_SIZE(table) && table[fid].there);
}

void tgt_exec_set_features(struct tgt_req *req)
{
	uint32_t cdw10 = tgt_dw(req->sqe.cdw10), fid = nvio_features_fid(cdw10), nsid = tgt_dw(req->sqe.nsid);
	uint32_t value = tgt_dw(req->sqe.cdw11);
	uint16_t sf = 0;

	if (!is_there(fid))
		sf = TGT_INVALID_FIELD;
	else if (cdw10 & NVIO_SET_FEATURES_SAVE)
		sf = TGT_DNR(NVIO_SCT_COMMAND, NVIO_SC_FEATURE_NOT_SAVEABLE);
	else if (nsid != NVIO_NSID_NONE && nsid != NVIO_NSID_ALL && (fid == NVIO_FID_HOST_ID || !table[fid].per_ns))
		sf = TGT_DNR(NVIO_SCT_COMMAND, NVIO_SC_FEATURE_NOT_NS_SPECIFIC);
	if (sf) {
		tgt_req_done(req, sf);
		return;
	}
	if (fid == NVIO_FID_HOST_ID) {
		exec_host_id(req, true, NVIO_SEL_CURRENT);
		return;
	}
	value &= table[fid].mask;
	if (table[fid].set)
		sf = table[fid].set(req, &value);
	if (!sf)
		req->ctrlr->features.value[fid] = value;
	tgt_req_done(req, sf);
}

void tgt_exec_get_features(struct tgt_req *req)
{
	struct tgt_ctrlr *c = req->ctrlr;
	uint32_t cdw10 = tgt_dw(req->sqe.cdw10), fid = nvio_features_fid(cdw10);
	uint32_t sel = nvio_get_features_sel(cdw10), value;
	uint16_t sf = 0;

	if (!is_there(fid) || sel > NVIO_SEL_SUPPORTED) {
		tgt_req_done(req, TGT_INVALID_FIELD);
		return;
	}
	if (sel == NVIO_SEL_SUPPORTED) {
		bool per_ns = fid != NVIO_FID_HOST_ID && table[fid].per_ns;

		req->dw0 = NVIO_FEATURE_CAP_CHANGEABLE | (per_ns ? NVIO_FEATURE_CAP_NS_SPECIFIC : 0);
		tgt_req_done(req, 0);
		return;
	}
	if (fid == NVIO_FID_HOST_ID) {
		exec_host_id(req, false, sel);
		return;
	}
	/* What cannot be saved has its default for a saved value (section 5.15). */
	value = sel == NVIO_SEL_CURRENT ? c->features.value[fid] : initial_value(c, fid);
	if (table[fid].get && (sel == NVIO_SEL_CURRENT || fid == NVIO_FID_VOLATILE_WRITE_CACHE))
		sf = table[fid].get(req, &value);
	req->dw0 = value;
	tgt_req_done(req, sf);
}
