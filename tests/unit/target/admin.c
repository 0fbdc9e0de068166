/* SPDX-License-Identifier: BSD-3-Clause */
/* Identify, the logs, asynchronous events, Abort and Keep Alive. */
#include "raw.h"

#define INVALID_NS RAW_GENERIC(INVALID_NS_OR_FORMAT)
#define FIELD      RAW_GENERIC(INVALID_FIELD)

static void the_controller_tells_its_identity(void **state)
{
	struct nvio_id_ctrlr *id;
	struct raw r;

	raw_init(&r, raw_env, "ram:2M?ns=2&serial=S-42&model=a%20model&mdts=128k&vwc=1");
	raw_enable(&r);
	id = (void *)r.buf;
	assert_int_equal(raw_identify(&r, NVIO_CNS_CTRLR, 0, 0, id), 0);
	assert_memory_equal(id->sn, "S-42                ", 20);
	assert_memory_equal(id->mn, "a model                                 ", 40);
	assert_memory_equal(id->fr, "0.1.0   ", 8);
	assert_int_equal(id->mdts, 5);
	assert_int_equal(nvio_get_le32(id->ver), nvio_vs(2, 0, 0));
	assert_int_equal(nvio_get_le16(id->cntlid), 1);
	assert_int_equal(id->cntrltype, NVIO_CTRLR_TYPE_IO);
	assert_int_equal(id->sqes, 0x66);
	assert_int_equal(id->cqes, 0x44);
	assert_int_equal(nvio_get_le32(id->nn), 2);
	assert_int_equal(id->vwc, 7);
	assert_int_equal(id->aerl, 3);
	assert_int_equal(id->acl, 3);
	assert_int_equal(nvio_get_le16(id->oncs), NVIO_ONCS_COMPARE | NVIO_ONCS_DSM | NVIO_ONCS_WRITE_ZEROES | NVIO_ONCS_SAVE);
	assert_int_equal(nvio_get_le128_low(id->tnvmcap, NULL), 2 << 20);
	assert_string_equal((char *)id->subnqn, "nqn.2026-11.io.nvio:S-42");
	assert_int_equal(nvio_get_le16(id->kas), 1);
	raw_close(&r);
}

static void the_default_serial_depends_on_the_name_alone(void **state)
{
	uint8_t sn[3][20];
	const char *const forms[] = { "ram:1M", "ram:2M", "ram:1M" };

	for (int i = 0; i < 3; i++) {
		struct raw r;

		raw_init(&r, raw_env, forms[i]);
		raw_enable(&r);
		assert_int_equal(raw_identify(&r, NVIO_CNS_CTRLR, 0, 0, r.buf), 0);
		memcpy(sn[i], ((struct nvio_id_ctrlr *)r.buf)->sn, 20);
		raw_close(&r);
	}
	assert_memory_equal(sn[0], "NVIO", 4);
	assert_memory_equal(sn[0], sn[2], 20);
	assert_memory_not_equal(sn[0], sn[1], 20);
}

static void namespaces_tell_their_format(void **state)
{
	struct nvio_id_ns *id;
	struct raw r;

	raw_init(&r, raw_env, "ram:8M?bs=4096&ro=1");
	raw_enable(&r);
	id = (void *)r.buf;
	assert_int_equal(raw_identify(&r, NVIO_CNS_NS, 1, 0, id), 0);
	assert_int_equal(nvio_get_le64(id->nsze), 2048);
	assert_int_equal(nvio_get_le64(id->ncap), 2048);
	assert_int_equal(nvio_get_le64(id->nuse), 2048);
	assert_int_equal(id->nlbaf, 0);
	assert_int_equal(id->lbaf[0].ds, 12);
	assert_int_equal(nvio_get_le16(id->lbaf[0].ms), 0);
	assert_int_equal(id->dlfeat, NVIO_DLFEAT_READ_ZEROS | NVIO_DLFEAT_WRITE_ZEROES);
	assert_int_equal(id->nsattr, NVIO_NSATTR_WRITE_PROTECTED);
	/* The identifiers of CNS 03h are those of CNS 00h. */
	memcpy(r.buf + RAW_PAGE, id->nguid, 16);
	assert_int_equal(raw_identify(&r, NVIO_CNS_NS_ID_DESC_LIST, 1, 0, r.buf), 0);
	assert_int_equal(r.buf[0], NVIO_NIDT_NGUID);
	assert_memory_equal(r.buf + 4, r.buf + RAW_PAGE, 16);
	assert_int_equal(r.buf[20], NVIO_NIDT_UUID);
	assert_int_equal(r.buf[40], NVIO_NIDT_CSI);
	assert_int_equal(r.buf[41], 1);
	assert_int_equal(r.buf[44], NVIO_CSI_NVM);
	assert_int_equal(r.buf[45], 0);
	raw_close(&r);
}

static void identify_answers_or_refuses(void **state)
{
	static const struct {
		uint32_t cns, nsid, csi;
		uint16_t sf;
		uint32_t first; /* dword of the page */
	} cases[] = {
		{ NVIO_CNS_NS, 0, 0, INVALID_NS, 0 },
		{ NVIO_CNS_NS, 4, 0, INVALID_NS, 0 },
		{ NVIO_CNS_NS, ~0u, 0, INVALID_NS, 0 },
		{ NVIO_CNS_NS, 3, 0, 0, 2048 },
		{ NVIO_CNS_ACTIVE_NS_LIST, 0, 0, 0, 1 },
		{ NVIO_CNS_ACTIVE_NS_LIST, 1, 0, 0, 2 },
		{ NVIO_CNS_ACTIVE_NS_LIST, 3, 0, 0, 0 },
		{ NVIO_CNS_ACTIVE_NS_LIST, 0xfffffffd, 0, 0, 0 },
		{ NVIO_CNS_ACTIVE_NS_LIST, 0xfffffffe, 0, INVALID_NS, 0 },
		{ NVIO_CNS_ACTIVE_NS_LIST, ~0u, 0, INVALID_NS, 0 },
		{ NVIO_CNS_NS_ID_DESC_LIST, 4, 0, INVALID_NS, 0 },
		{ NVIO_CNS_NS_ID_DESC_LIST, 2, 0, 0, 0x1002 },
		{ NVIO_CNS_CSI_NS, 1, NVIO_CSI_NVM, 0, 0 },
		{ NVIO_CNS_CSI_NS, 9, NVIO_CSI_NVM, INVALID_NS, 0 },
		{ NVIO_CNS_CSI_NS, 1, NVIO_CSI_ZNS, FIELD, 0 },
		{ NVIO_CNS_CSI_CTRLR, 0, NVIO_CSI_NVM, 0, 0 },
		{ NVIO_CNS_CSI_CTRLR, 0, NVIO_CSI_KV, FIELD, 0 },
		{ NVIO_CNS_CSI_ACTIVE_NS_LIST, 2, NVIO_CSI_NVM, 0, 3 },
		{ NVIO_CNS_INDEPENDENT_NS, 1, 0, 0, 0 },
		{ NVIO_CNS_INDEPENDENT_NS, 0, 0, INVALID_NS, 0 },
		{ NVIO_CNS_ALLOCATED_NS_LIST, 1, 0, 0, 2 },
		{ NVIO_CNS_ALLOCATED_NS, 2, 0, 0, 2048 },
		{ NVIO_CNS_NS_CTRLR_LIST, 1, 0, 0, 0x10001 },
		{ NVIO_CNS_NS_CTRLR_LIST, 7, 0, INVALID_NS, 0 },
		{ NVIO_CNS_CTRLR_LIST, 0, 0, 0, 0x10001 },
		{ NVIO_CNS_CTRLR_LIST | 2 << 16, 0, 0, 0, 0 },
		{ NVIO_CNS_NVM_SET_LIST, 0, 0, FIELD, 0 },
		{ NVIO_CNS_PRIMARY_CAPS, 0, 0, FIELD, 0 },
		{ 0xff, 0, 0, FIELD, 0 },
	};
	struct raw r;

	raw_init(&r, raw_env, "ram:3M?ns=3");
	raw_enable(&r);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t first;
		uint16_t sf;

		memset(r.buf, 0xcc, RAW_PAGE);
		sf = raw_identify(&r, cases[i].cns, cases[i].nsid, cases[i].csi, r.buf);
		memcpy(&first, r.buf, 4);
		if (sf != cases[i].sf || (!sf && first != cases[i].first))
			fail_msg("CNS 0x%x of %u: 0x%x, first 0x%x", cases[i].cns, cases[i].nsid, sf, first);
		/* Refused means that nothing was written. */
		assert_int_equal(r.buf[RAW_PAGE - 1], sf ? 0xcc : 0);
	}
	raw_close(&r);
}

static void admin_commands_that_are_not_there(void **state)
{
	static const bool known[256] = { [0] = 1, [1] = 1, [2] = 1, [4] = 1, [5] = 1, [6] = 1, [8] = 1, [9] = 1, [10] = 1,
		[12] = 1, [24] = 1 };
	struct nvio_log_effects *log;
	struct raw r;

	raw_init(&r, raw_env, "ram:1M");
	raw_enable(&r);
	for (int opc = 0; opc < 256; opc++)
		if (!known[opc])
			assert_int_equal(raw_do(&r, &r.admin, raw_cmd((uint8_t)opc, 0, r.buf), NULL), RAW_GENERIC(INVALID_OPCODE));
	/* The log of supported commands says the same. */
	log = (void *)r.buf;
	assert_int_equal(raw_get_log(&r, NVIO_LID_COMMAND_EFFECTS, 4096, 0, log), 0);
	for (int opc = 0; opc < 256; opc++)
		assert_int_equal(nvio_get_le32(log->acs[opc]) & NVIO_EFFECTS_CSUPP, known[opc]);
	assert_int_equal(nvio_get_le32(log->iocs[NVIO_NVM_WRITE]), NVIO_EFFECTS_CSUPP | NVIO_EFFECTS_LBCC);
	assert_int_equal(nvio_get_le32(log->iocs[NVIO_NVM_VERIFY]), 0);
	raw_close(&r);
}

static void admin_commands_with_sgl_or_fused_are_refused(void **state)
{
	static const uint8_t flags[] = { 0x40, 0x80, 0xc0, 1, 2 };
	struct raw r;

	raw_init(&r, raw_env, "ram:1M");
	raw_enable(&r);
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		struct nvio_sqe s = raw_dws(raw_cmd(NVIO_ADMIN_IDENTIFY, 0, r.buf), 1, 0, 0);

		s.flags = flags[i];
		assert_int_equal(raw_do(&r, &r.admin, s, NULL), FIELD);
	}
	raw_close(&r);
}

static void log_pages_answer_or_refuse(void **state)
{
	static const struct {
		uint32_t lid, len;
		uint64_t offset;
		uint16_t sf;
	} cases[] = {
		{ NVIO_LID_ERROR, 4096, 0, 0 },
		{ NVIO_LID_ERROR, 64, 4096, 0 },   /* at the end: zeros */
		{ NVIO_LID_ERROR, 64, 4100, FIELD }, /* beyond */
		{ NVIO_LID_SMART, 512, 0, 0 },
		{ NVIO_LID_SMART, 4, 508, 0 },
		{ NVIO_LID_SMART, 512, 1ull << 40, FIELD },
		{ NVIO_LID_SMART, 512, 2, FIELD }, /* not of dwords */
		{ NVIO_LID_SMART, 2048, 0, 0 },    /* longer than the page */
		{ NVIO_LID_SMART, 65536, 0, FIELD }, /* longer than mdts */
		{ NVIO_LID_FIRMWARE_SLOT, 512, 0, 0 },
		{ NVIO_LID_CHANGED_NS, 4096, 0, 0 },
		{ 0, 512, 0, RAW_COMMAND(INVALID_LOG_PAGE) },
		{ 6, 512, 0, RAW_COMMAND(INVALID_LOG_PAGE) },
		{ 0x7f, 512, 0, RAW_COMMAND(INVALID_LOG_PAGE) },
		{ 0xff, 512, 0, RAW_COMMAND(INVALID_LOG_PAGE) },
	};
	struct nvio_sqe s;
	struct raw r;

	raw_init(&r, raw_env, "ram:1M?mdts=8k");
	raw_enable(&r);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint16_t sf = raw_get_log(&r, cases[i].lid, cases[i].len, cases[i].offset, r.buf);

		if (sf != cases[i].sf)
			fail_msg("log 0x%x length %u offset %llu: 0x%x", cases[i].lid, cases[i].len,
				(unsigned long long)cases[i].offset, sf);
	}
	/* Of one namespace: not offered. */
	s = raw_dws(raw_cmd(NVIO_ADMIN_GET_LOG_PAGE, 1, r.buf), nvio_log_cdw10(NVIO_LID_SMART, 0, 127), 0, 0);
	assert_int_equal(raw_do(&r, &r.admin, s, NULL), FIELD);
	s.nsid = nvio_to_le32(0);
	assert_int_equal(raw_do(&r, &r.admin, s, NULL), 0);
	/* What is asked for beyond the page reads as zeros. */
	memset(r.buf, 0xff, 2048);
	assert_int_equal(raw_get_log(&r, NVIO_LID_SMART, 1024, 0, r.buf), 0);
	assert_int_equal(r.buf[512], 0);
	assert_int_equal(r.buf[1023], 0);
	assert_int_equal(r.buf[1024], 0xff);
	raw_close(&r);
}

static void health_counts_what_was_done(void **state)
{
	struct nvio_log_smart *log;
	struct raw r;

	raw_open(&r, raw_env, "ram:4M");
	log = (void *)(r.buf + RAW_PAGE);
	for (int i = 0; i < 130; i++)
		assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_WRITE, r.buf, 0, 8), NULL), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 1), NULL), 0);
	assert_int_equal(raw_get_log(&r, NVIO_LID_SMART, 512, 0, log), 0);
	assert_int_equal(nvio_get_le128_low(log->host_writes, NULL), 130);
	assert_int_equal(nvio_get_le128_low(log->host_reads, NULL), 3);
	assert_int_equal(nvio_get_le128_low(log->data_units_written, NULL), 2); /* 1040 blocks, rounded up */
	assert_int_equal(nvio_get_le128_low(log->data_units_read, NULL), 1);
	assert_int_equal(nvio_get_le16(log->temperature), 313);
	assert_int_equal(log->available_spare, 100);
	assert_int_equal(log->critical_warning, 0);
	raw_close(&r);
}

static void errors_are_logged_newest_first(void **state)
{
	struct nvio_log_error *log;
	uint16_t cid = 0;
	struct raw r;

	raw_open(&r, raw_env, "ram:1M");
	log = (void *)(r.buf + RAW_PAGE);
	for (uint32_t i = 0; i < 70; i++) {
		cid = r.next_cid;
		assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 5000 + i, 1), NULL),
			RAW_GENERIC(LBA_OUT_OF_RANGE));
	}
	assert_int_equal(raw_get_log(&r, NVIO_LID_ERROR, 4096, 0, log), 0);
	assert_int_equal(nvio_get_le64(log[0].error_count), 70);
	assert_int_equal(nvio_get_le64(log[0].lba), 5069);
	assert_int_equal(nvio_get_le16(log[0].sqid), 1);
	assert_int_equal(nvio_get_le16(log[0].cid), cid);
	assert_int_equal(nvio_get_le16(log[0].status) >> 1, RAW_GENERIC(LBA_OUT_OF_RANGE));
	assert_int_equal(nvio_get_le32(log[0].nsid), 1);
	assert_int_equal(nvio_get_le64(log[63].error_count), 7);
	/* From an offset. */
	assert_int_equal(raw_get_log(&r, NVIO_LID_ERROR, 64, 128, log), 0);
	assert_int_equal(nvio_get_le64(log[0].error_count), 68);
	raw_close(&r);
}

static void events_wait_for_requests_and_for_their_log(void **state)
{
	struct nvio_cqe cqe = { 0 };
	uint32_t v;
	struct raw r;

	raw_init(&r, raw_env, "ram:1M");
	raw_enable(&r);
	/* Four may wait; the fifth is one too many. */
	for (int i = 0; i < 4; i++)
		raw_put(&r, &r.admin, raw_cmd(NVIO_ADMIN_ASYNC_EVENT, 0, NULL));
	assert_int_equal(raw_do(&r, &r.admin, raw_cmd(NVIO_ADMIN_ASYNC_EVENT, 0, NULL), NULL),
		RAW_COMMAND(AER_LIMIT_EXCEEDED));
	/* Too warm, says the threshold; but nobody wants to hear of it. */
	assert_int_equal(raw_set_feature(&r, NVIO_FID_TEMPERATURE_THRESHOLD, 300, NULL), 0);
	raw_expect_quiet(&r, &r.admin);
	assert_int_equal(raw_set_feature(&r, NVIO_FID_ASYNC_EVENT_CONFIG, NVIO_SMART_TEMPERATURE, NULL), 0);
	raw_put(&r, &r.admin, raw_dws(raw_cmd(NVIO_ADMIN_SET_FEATURES, 0, NULL), NVIO_FID_TEMPERATURE_THRESHOLD, 300, 0));
	raw_ring(&r, &r.admin);
	v = 0;
	for (int i = 0; i < 2; i++) {
		assert_true(raw_wait(&r, &r.admin, &cqe));
		v |= nvio_get_le32(cqe.dw0);
	}
	assert_int_equal(v, nvio_aer_build(NVIO_AER_SMART, NVIO_AER_SMART_TEMPERATURE, NVIO_LID_SMART));
	/* Once more is silent until the log has been read, and "retain" does not count. */
	assert_int_equal(raw_set_feature(&r, NVIO_FID_TEMPERATURE_THRESHOLD, 300, NULL), 0);
	raw_expect_quiet(&r, &r.admin);
	assert_int_equal(raw_do(&r, &r.admin, raw_dws(raw_cmd(NVIO_ADMIN_GET_LOG_PAGE, 0, r.buf),
		nvio_log_cdw10(NVIO_LID_SMART, 0, 127) | NVIO_LOG_RAE, 0, 0), NULL), 0);
	assert_int_equal(((struct nvio_log_smart *)r.buf)->critical_warning, NVIO_SMART_TEMPERATURE);
	raw_expect_quiet(&r, &r.admin);
	raw_put(&r, &r.admin, raw_dws(raw_cmd(NVIO_ADMIN_GET_LOG_PAGE, 0, r.buf), nvio_log_cdw10(NVIO_LID_SMART, 0, 127), 0, 0));
	raw_ring(&r, &r.admin);
	for (int i = 0; i < 2; i++)
		assert_true(raw_wait(&r, &r.admin, &cqe));
	raw_expect_quiet(&r, &r.admin);
	raw_close(&r);
}

static void a_resized_namespace_is_told_of(void **state)
{
	struct nvio_cqe cqe = { 0 };
	struct raw r;

	raw_open(&r, raw_env, "null:1M");
	assert_int_equal(raw_set_feature(&r, NVIO_FID_ASYNC_EVENT_CONFIG, NVIO_OAES_NS_ATTRIBUTES, NULL), 0);
	raw_put(&r, &r.admin, raw_cmd(NVIO_ADMIN_ASYNC_EVENT, 0, NULL));
	raw_ring(&r, &r.admin);
	raw_kicks(&r, 3);
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 2048, 1), NULL), RAW_GENERIC(LBA_OUT_OF_RANGE));
	assert_int_equal(nvio_bdev_resize(raw_env, "null:1Mn1", 4096), 0);
	assert_true(raw_wait(&r, &r.admin, &cqe));
	assert_int_equal(nvio_get_le32(cqe.dw0),
		nvio_aer_build(NVIO_AER_NOTICE, NVIO_AER_NOTICE_NS_CHANGED, NVIO_LID_CHANGED_NS));
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 2048, 1), NULL), 0);
	assert_int_equal(raw_identify(&r, NVIO_CNS_NS, 1, 0, r.buf), 0);
	assert_int_equal(nvio_get_le64(((struct nvio_id_ns *)r.buf)->nsze), 4096);
	for (uint32_t again = 0; again < 2; again++) {
		uint32_t first;

		assert_int_equal(raw_get_log(&r, NVIO_LID_CHANGED_NS, 4096, 0, r.buf), 0);
		memcpy(&first, r.buf, 4);
		assert_int_equal(first, again ? 0 : 1); /* reading clears it */
	}
	raw_close(&r);
}

static void a_deleted_block_device_leaves_no_namespace(void **state)
{
	struct nvio_thread *t;
	struct nvio_op op = NVIO_OP(NULL);
	struct raw r;
	uint32_t first;

	raw_open(&r, raw_env, "ram:2M?ns=2");
	assert_int_equal(nvio_thread_create(raw_env, NULL, &t), 0);
	assert_int_equal(nvio_thread_attach(t), 0);
	assert_int_equal(nvio_bdev_delete(raw_env, "ram:2M?ns=2n1", &op), 0);
	while (nvio_op_pending(&op)) {
		nvio_thread_poll(t, 0);
		raw_kick(&r);
	}
	assert_int_equal(op.status, 0);
	nvio_thread_detach(t);
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 1), NULL), INVALID_NS);
	assert_int_equal(raw_identify(&r, NVIO_CNS_ACTIVE_NS_LIST, 0, 0, r.buf), 0);
	memcpy(&first, r.buf, 4);
	assert_int_equal(first, 2);
	assert_int_equal(raw_identify(&r, NVIO_CNS_NS, 1, 0, r.buf), 0);
	assert_int_equal(nvio_get_le64(((struct nvio_id_ns *)r.buf)->nsze), 0);
	raw_close(&r);
	assert_int_equal(nvio_thread_destroy(t), 0);
}

static void abort_finds_what_it_can(void **state)
{
	struct nvio_cqe cqe = { 0 };
	uint16_t late, aer;
	uint32_t dw0;
	struct raw r;

	raw_open(&r, raw_env, "ram:1M?fault=delay:us=1000000000:count=1");
	late = raw_put(&r, &r.io, raw_rw(NVIO_NVM_WRITE, r.buf, 0, 1));
	raw_ring(&r, &r.io);
	raw_kick(&r);
	aer = raw_put(&r, &r.admin, raw_cmd(NVIO_ADMIN_ASYNC_EVENT, 0, NULL));
	raw_ring(&r, &r.admin);
	raw_kick(&r);
	/* Nobody has that identifier, or that queue. */
	assert_int_equal(raw_do(&r, &r.admin, raw_dws(raw_cmd(8, 0, NULL), nvio_abort_cdw10(1, 0x7777), 0, 0), &dw0), 0);
	assert_int_equal(dw0, 1);
	assert_int_equal(raw_do(&r, &r.admin, raw_dws(raw_cmd(8, 0, NULL), nvio_abort_cdw10(9, late), 0, 0), &dw0), 0);
	assert_int_equal(dw0, 1);
	assert_int_equal(raw_do(&r, &r.admin, raw_dws(raw_cmd(8, 0, NULL), nvio_abort_cdw10(60000, late), 0, 0), &dw0), 0);
	assert_int_equal(dw0, 1);
	assert_int_equal(raw_do(&r, &r.admin, raw_dws(raw_cmd(8, 0, NULL), nvio_abort_cdw10(1, late), 0, 0), &dw0), 0);
	assert_int_equal(dw0, 0);
	assert_true(raw_wait(&r, &r.io, &cqe));
	assert_int_equal(nvio_get_le16(cqe.cid), late);
	assert_int_equal(raw_sf(&cqe), NVIO_SF(0, NVIO_SC_ABORT_REQUESTED));
	/* The event request, too: its completion comes first. */
	raw_put(&r, &r.admin, raw_dws(raw_cmd(8, 0, NULL), nvio_abort_cdw10(0, aer), 0, 0));
	raw_ring(&r, &r.admin);
	assert_true(raw_wait(&r, &r.admin, &cqe));
	assert_int_equal(nvio_get_le16(cqe.cid), aer);
	assert_int_equal(raw_sf(&cqe), NVIO_SF(0, NVIO_SC_ABORT_REQUESTED));
	assert_true(raw_wait(&r, &r.admin, &cqe));
	assert_int_equal(nvio_get_le32(cqe.dw0), 0);
	raw_close(&r);
}

static void aborts_are_limited(void **state)
{
	struct nvio_cqe cqe = { 0 };
	int refused = 0;
	struct raw r;

	/* Four late ones fill the limit; what comes beyond is refused, and once they are through there is room again. */
	raw_init(&r, raw_env, "ram:1M?fault=delay:us=20000:admin=1:opcode=8:count=4");
	raw_enable(&r);
	for (int i = 0; i < 6; i++)
		raw_put(&r, &r.admin, raw_dws(raw_cmd(8, 0, NULL), nvio_abort_cdw10(1, 1), 0, 0));
	raw_ring(&r, &r.admin);
	for (int i = 0; i < 6; i++) {
		assert_true(raw_wait(&r, &r.admin, &cqe));
		refused += raw_sf(&cqe) == RAW_COMMAND(ABORT_LIMIT_EXCEEDED);
	}
	assert_int_equal(refused, 2);
	assert_int_equal(raw_do(&r, &r.admin, raw_dws(raw_cmd(8, 0, NULL), nvio_abort_cdw10(1, 1), 0, 0), NULL), 0);
	raw_close(&r);
}

static uint64_t fake_now = 1000000000;

static uint64_t fake_clock(void *arg)
{
	return fake_now;
}

static void without_keep_alive_the_controller_stops(void **state)
{
	struct nvio_env_opts eo;
	struct nvio_env *env;
	uint32_t v;
	struct raw r;

	nvio_env_opts_init(&eo);
	eo.now_ns = fake_clock;
	assert_int_equal(nvio_env_open(&eo, &env), 0);
	raw_open(&r, env, "ram:1M");
	assert_int_equal(raw_set_feature(&r, NVIO_FID_KEEP_ALIVE, 950, NULL), 0);
	assert_int_equal(raw_get_feature(&r, NVIO_FID_KEEP_ALIVE, 0, 0, &v), 0);
	assert_int_equal(v, 1000); /* in whole 100 ms */
	for (int i = 0; i < 5; i++) {
		fake_now += 900 * NS_PER_MS;
		raw_kicks(&r, 3);
		assert_int_equal(raw_do(&r, &r.admin, raw_cmd(NVIO_ADMIN_KEEP_ALIVE, 0, NULL), NULL), 0);
	}
	/* I/O does not keep it alive: CTRATT does not say so. */
	fake_now += 999 * NS_PER_MS;
	raw_kicks(&r, 3);
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 1), NULL), 0);
	fake_now += NS_PER_MS + 1000;
	raw_kicks(&r, 3);
	assert_int_equal(raw_csts(&r), 3);
	raw_w32(&r, NVIO_REG_CC, 0);
	assert_true(raw_csts_becomes(&r, 3, 0));
	raw_enable(&r);
	fake_now += 3600 * NS_PER_S;
	raw_kicks(&r, 3);
	assert_int_equal(raw_csts(&r), 1); /* the reset has switched it off */
	assert_int_equal(raw_get_log(&r, NVIO_LID_SMART, 512, 0, r.buf), 0);
	assert_int_equal(nvio_get_le128_low(((struct nvio_log_smart *)r.buf)->power_on_hours, NULL), 1);
	raw_close(&r);
	nvio_env_close(env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RAW_TEST(the_controller_tells_its_identity),
		RAW_TEST(the_default_serial_depends_on_the_name_alone),
		RAW_TEST(namespaces_tell_their_format),
		RAW_TEST(identify_answers_or_refuses),
		RAW_TEST(admin_commands_that_are_not_there),
		RAW_TEST(admin_commands_with_sgl_or_fused_are_refused),
		RAW_TEST(log_pages_answer_or_refuse),
		RAW_TEST(health_counts_what_was_done),
		RAW_TEST(errors_are_logged_newest_first),
		RAW_TEST(events_wait_for_requests_and_for_their_log),
		RAW_TEST(a_resized_namespace_is_told_of),
		RAW_TEST(a_deleted_block_device_leaves_no_namespace),
		RAW_TEST(abort_finds_what_it_can),
		RAW_TEST(aborts_are_limited),
		RAW_TEST(without_keep_alive_the_controller_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
