/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bit fields: each at its place, built and taken apart again. Values are written out from the
 * specification.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"
#include <nvio/spec/admin.h>
#include <nvio/spec/command.h>
#include <nvio/spec/feature.h>
#include <nvio/spec/identify.h>
#include <nvio/spec/log.h>
#include <nvio/spec/nvm.h>
#include <nvio/spec/regs.h>
#include <nvio/spec/status.h>

/* A getter of a CAP field, the field's place and width. */
static const struct {
	uint32_t (*get)(uint64_t cap);
	unsigned shift;
	unsigned bits;
} cap_fields[] = {
	{ nvio_cap_mqes, 0, 16 }, { nvio_cap_cqr, 16, 1 }, { nvio_cap_ams, 17, 2 },
	{ nvio_cap_to, 24, 8 }, { nvio_cap_dstrd, 32, 4 }, { nvio_cap_nssrs, 36, 1 },
	{ nvio_cap_css, 37, 8 }, { nvio_cap_bps, 45, 1 }, { nvio_cap_cps, 46, 2 },
	{ nvio_cap_mpsmin, 48, 4 }, { nvio_cap_mpsmax, 52, 4 }, { nvio_cap_pmrs, 56, 1 },
	{ nvio_cap_cmbs, 57, 1 }, { nvio_cap_nsss, 58, 1 }, { nvio_cap_crms, 59, 2 },
};

/* The same for 32-bit values. */
struct field {
	uint32_t (*get)(uint32_t v);
	unsigned shift;
	unsigned bits;
};

static const struct field fields[] = {
	{ nvio_vs_major, 16, 16 }, { nvio_vs_minor, 8, 8 }, { nvio_vs_tertiary, 0, 8 },
	{ nvio_cc_en, 0, 1 }, { nvio_cc_css, 4, 3 }, { nvio_cc_mps, 7, 4 }, { nvio_cc_ams, 11, 3 },
	{ nvio_cc_shn, 14, 2 }, { nvio_cc_iosqes, 16, 4 }, { nvio_cc_iocqes, 20, 4 },
	{ nvio_cc_crime, 24, 1 },
	{ nvio_csts_rdy, 0, 1 }, { nvio_csts_cfs, 1, 1 }, { nvio_csts_shst, 2, 2 }, { nvio_csts_nssro, 4, 1 },
	{ nvio_csts_pp, 5, 1 }, { nvio_csts_st, 6, 1 },
	{ nvio_aqa_asqs, 0, 12 }, { nvio_aqa_acqs, 16, 12 },
	{ nvio_crto_crwmt, 0, 16 }, { nvio_crto_crimt, 16, 16 },
	{ nvio_aer_type, 0, 3 }, { nvio_aer_info, 8, 8 }, { nvio_aer_lid, 16, 8 },
	{ nvio_create_queue_qid, 0, 16 }, { nvio_create_queue_qsize, 16, 16 },
	{ nvio_create_cq_vector, 16, 16 },
	{ nvio_create_sq_priority, 1, 2 }, { nvio_create_sq_cqid, 16, 16 },
	{ nvio_abort_sqid, 0, 16 }, { nvio_abort_cid, 16, 16 },
	{ nvio_identify_cns, 0, 8 }, { nvio_identify_cntid, 16, 16 }, { nvio_identify_csi, 24, 8 },
	{ nvio_log_lid, 0, 8 }, { nvio_log_lsp, 8, 7 }, { nvio_log_lsi, 16, 16 },
	{ nvio_features_fid, 0, 8 }, { nvio_get_features_sel, 8, 3 },
	{ nvio_format_pi, 5, 3 }, { nvio_format_erase, 9, 3 },
	{ nvio_rw_nlb, 0, 16 }, { nvio_rw_prinfo, 26, 4 }, { nvio_copy_nr, 0, 8 }, { nvio_copy_format, 8, 4 },
	{ nvio_effects_cse, 16, 3 },
	{ nvio_power_ps, 0, 5 }, { nvio_power_workload, 5, 3 },
	{ nvio_temp_kelvin, 0, 16 }, { nvio_temp_sensor, 16, 4 }, { nvio_temp_type, 20, 2 },
	{ nvio_error_recovery_tler, 0, 16 }, { nvio_error_recovery_dulbe, 16, 1 },
	{ nvio_num_queues_sq, 0, 16 }, { nvio_num_queues_cq, 16, 16 },
	{ nvio_irq_coalescing_threshold, 0, 8 }, { nvio_irq_coalescing_time, 8, 8 },
	{ nvio_irq_vector, 0, 16 }, { nvio_irq_vector_no_coalescing, 16, 1 },
	{ nvio_host_thermal_tmt1, 16, 16 }, { nvio_host_thermal_tmt2, 0, 16 },
};

static void a_getter_takes_exactly_the_bits_of_its_field(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cap_fields); i++) {
		uint32_t max = (1u << cap_fields[i].bits) - 1;
		uint64_t in = (uint64_t)max << cap_fields[i].shift;

		assert_int_equal(cap_fields[i].get(in), max);
		assert_int_equal(cap_fields[i].get(~in), 0);
		assert_int_equal(cap_fields[i].get(1ull << cap_fields[i].shift), 1);
	}
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		uint32_t max = (1u << fields[i].bits) - 1;
		uint32_t in = max << fields[i].shift;

		assert_int_equal(fields[i].get(in), max);
		assert_int_equal(fields[i].get(~in), 0);
		assert_int_equal(fields[i].get(1u << fields[i].shift), 1);
	}
}

static void cap_is_built_from_its_fields_and_nothing_spills(void **state)
{
	struct nvio_cap all;

	memset(&all, 0xff, sizeof(all));
	assert_int_equal(nvio_cap_build(&all), 0x1fffffffff07ffffull);
	assert_int_equal(nvio_cap_build(&(struct nvio_cap){ .mqes = 0x3ff, .cqr = 1, .ams = 1, .to = 0x0f }),
		0x0f0303ff);
	assert_int_equal(nvio_cap_build(&(struct nvio_cap){ .dstrd = 2, .nssrs = 1, .css = 0x41 }),
		0x0000083200000000ull);
	assert_int_equal(nvio_cap_build(&(struct nvio_cap){ .mpsmin = 1, .mpsmax = 4, .crms = 1 }),
		0x0841000000000000ull);
	assert_int_equal(nvio_cap_build(&(struct nvio_cap){ .bps = 1 }), 1ull << 45);
	assert_int_equal(nvio_cap_build(&(struct nvio_cap){ .cps = 2 }), 1ull << 47);
	assert_int_equal(nvio_cap_build(&(struct nvio_cap){ .pmrs = 1 }), 1ull << 56);
	assert_int_equal(nvio_cap_build(&(struct nvio_cap){ .cmbs = 1 }), 1ull << 57);
	assert_int_equal(nvio_cap_build(&(struct nvio_cap){ .nsss = 1 }), 1ull << 58);
}

static void cc_is_built_from_its_fields_and_nothing_spills(void **state)
{
	struct nvio_cc all;

	memset(&all, 0xff, sizeof(all));
	assert_int_equal(nvio_cc_build(&all), 0x01fffff1);
	assert_int_equal(nvio_cc_build(&(struct nvio_cc){ .en = 1, .iosqes = 6, .iocqes = 4 }), 0x00460001);
	assert_int_equal(nvio_cc_build(&(struct nvio_cc){ .css = 6, .mps = 1, .ams = 1 }), 0x000008e0);
	assert_int_equal(nvio_cc_build(&(struct nvio_cc){ .shn = 2, .crime = 1 }), 0x01008000);
	assert_int_equal(nvio_cc_with_en(0x00460000, 1), 0x00460001);
	assert_int_equal(nvio_cc_with_en(0x00460001, 0), 0x00460000);
	assert_int_equal(nvio_cc_with_shn(0x00460001, 1), 0x00464001);
	assert_int_equal(nvio_cc_with_shn(0x0046c001, 2), 0x00468001);
}

static void csts_is_built_from_its_fields_and_nothing_spills(void **state)
{
	struct nvio_csts all;

	memset(&all, 0xff, sizeof(all));
	assert_int_equal(nvio_csts_build(&all), 0x7f);
	assert_int_equal(nvio_csts_build(&(struct nvio_csts){ .rdy = 1, .shst = 2 }), 0x09);
	assert_int_equal(nvio_csts_build(&(struct nvio_csts){ .cfs = 1, .nssro = 1 }), 0x12);
	assert_int_equal(nvio_csts_build(&(struct nvio_csts){ .pp = 1 }), 0x20);
	assert_int_equal(nvio_csts_build(&(struct nvio_csts){ .st = 1 }), 0x40);
}

static void doorbells_lie_by_stride(void **state)
{
	assert_int_equal(nvio_sq_tail_doorbell(0, 0), 0x1000);
	assert_int_equal(nvio_cq_head_doorbell(0, 0), 0x1004);
	assert_int_equal(nvio_sq_tail_doorbell(3, 0), 0x1018);
	assert_int_equal(nvio_cq_head_doorbell(3, 0), 0x101c);
	assert_int_equal(nvio_sq_tail_doorbell(1, 4), 0x1080);
	assert_int_equal(nvio_cq_head_doorbell(1, 4), 0x10c0);
}

/* What a builder makes of plain values, and of all ones. */
static void dwords_are_built_as_the_specification_draws_them(void **state)
{
	const struct {
		uint32_t got, want;
	} t[] = {
		{ nvio_vs(2, 0, 0), 0x00020000 },
		{ nvio_vs(1, 4, 3), 0x00010403 },
		{ nvio_aqa_build(31, 63), 0x003f001f },
		{ nvio_aqa_build(~0u, ~0u), 0x0fff0fff },
		{ nvio_crto_build(0x1234, 0x5678), 0x56781234 },
		{ nvio_aer_build(NVIO_AER_SMART, NVIO_AER_SMART_SPARE, NVIO_LID_SMART), 0x00020201 },
		{ nvio_aer_build(~0u, ~0u, ~0u), 0x00ffff07 },
		{ nvio_create_queue_cdw10(3, 255), 0x00ff0003 },
		{ nvio_create_cq_cdw11(NVIO_CREATE_PC | NVIO_CREATE_IEN, 5), 0x00050003 },
		{ nvio_create_cq_cdw11(NVIO_CREATE_PC, 0), 0x00000001 },
		{ nvio_create_sq_cdw11(NVIO_CREATE_PC, NVIO_SQ_LOW, 9), 0x00090007 },
		{ nvio_create_sq_cdw11(~0u, ~0u, 0), 0x00000007 },
		{ nvio_abort_cdw10(1, 0xbeef), 0xbeef0001 },
		{ nvio_identify_cdw10(NVIO_CNS_CTRLR_LIST, 7), 0x00070013 },
		{ nvio_identify_cdw11(0x1234, NVIO_CSI_ZNS), 0x02001234 },
		{ nvio_log_cdw10(NVIO_LID_SMART, 0, 127), 0x007f0002 },
		{ nvio_log_cdw10(NVIO_LID_PERSISTENT_EVENT, 0x7f, 0x12345) | NVIO_LOG_RAE, 0x2345ff0d },
		{ nvio_log_cdw11(0x12345, 0x6789), 0x67890001 },
		{ nvio_log_numd(0x2345ff0d, 0x67890001), 0x00012345 },
		{ nvio_get_features_cdw10(NVIO_FID_NUM_QUEUES, NVIO_SEL_SUPPORTED), 0x307 },
		{ NVIO_FID_TIMESTAMP | NVIO_SET_FEATURES_SAVE, 0x8000000e },
		{ nvio_firmware_commit_cdw10(2, NVIO_FIRMWARE_ACTIVATE_NOW, 0), 0x0000001a },
		{ nvio_firmware_commit_cdw10(0, NVIO_FIRMWARE_BOOT_REPLACE, 1), 0x80000030 },
		{ nvio_format_cdw10(1, 2, NVIO_FORMAT_CRYPTO_ERASE, NVIO_FORMAT_METADATA_EXTENDED), 0x451 },
		{ nvio_format_cdw10(0x3f, 0, 0, NVIO_FORMAT_PI_FIRST), 0x0000310f },
		{ nvio_format_cdw10(0, 0, 0, ~0u), 0x00000110 },
		{ nvio_format_cdw10(~0u, ~0u, ~0u, 0), 0x00003eef },
		{ nvio_format_lbaf(0x0000310f), 0x3f },
		{ nvio_rw_cdw12(7, NVIO_RW_FUA | NVIO_RW_LR), 0xc0000007 },
		{ nvio_rw_cdw12(0, NVIO_RW_DEAC | NVIO_RW_PRACT | NVIO_RW_PRCHK_REF), 0x26000000 },
		{ nvio_rw_cdw12(0x10003, NVIO_RW_STC | NVIO_RW_PRCHK_APP | NVIO_RW_PRCHK_GUARD), 0x19000003 },
		{ nvio_copy_cdw12(127, 0, NVIO_RW_FUA), 0x4000007f },
		{ nvio_copy_cdw12(1, 3, 0), 0x00000301 },
		{ nvio_arbitration_build(&(struct nvio_arbitration){ 0xff, 1, 2, 3 }), 0x03020107 },
		{ nvio_power_build(3, 2), 0x43 },
		{ nvio_temp_build(343, NVIO_TEMP_ALL_SENSORS, NVIO_TEMP_UNDER), 0x001f0157 },
		{ nvio_error_recovery_build(50, 1), 0x00010032 },
		{ NVIO_ERROR_RECOVERY_DULBE, 0x00010000 },
		{ nvio_num_queues_build(3, 7), 0x00070003 },
		{ nvio_irq_coalescing_build(15, 10), 0x00000a0f },
		{ nvio_irq_vector_build(2, 1), 0x00010002 },
		{ nvio_async_event_smart(NVIO_OAES_NS_ATTRIBUTES | NVIO_SMART_TEMPERATURE), 0x02 },
		{ nvio_async_event_notices(NVIO_OAES_NS_ATTRIBUTES | NVIO_SMART_TEMPERATURE), 0x100 },
		{ nvio_host_thermal_build(350, 360), 0x015e0168 },
		{ NVIO_SF(NVIO_SCT_MEDIA, NVIO_SC_UNRECOVERED_READ) | NVIO_SF_DNR | NVIO_SF_CRD(3), 0x5a81 },
		{ NVIO_SF(0xff, 0xfff), 0x07ff },
		{ nvio_sf_sct(0x5a81), 2 },
		{ nvio_sf_sc(0x5a81), 0x81 },
		{ nvio_sf_crd(0x5a81), 3 },
		{ nvio_cqe_status_build(0x4281, 1), 0x8503 },
		{ nvio_cqe_status_build(0x4281, 2), 0x8502 },
		{ nvio_cqe_status_sf(0x8503), 0x4281 },
		{ nvio_cqe_status_phase(0x8503), 1 },
		{ nvio_cqe_status_phase(0x8502), 0 },
		{ nvio_sgl_id(NVIO_SGL_LAST_SEGMENT, NVIO_SGL_OFFSET), 0x31 },
		{ nvio_sgl_id_type(0x4f), NVIO_SGL_KEYED_DATA },
		{ nvio_sgl_id_subtype(0x4f), NVIO_SGL_INVALIDATE },
		{ nvio_parm_loc(40, 3), 0x0328 },
		{ nvio_afi_active(0x21), 1 },
		{ nvio_afi_next(0xa1), 2 },
		{ nvio_frmw_slots(0x17), 3 },
		{ nvio_vwc_flush(0x07), NVIO_VWC_FLUSH_BROADCAST },
		{ nvio_vwc_flush(0x05), NVIO_VWC_FLUSH_NO_BROADCAST },
		{ nvio_opc_direction(NVIO_NVM_WRITE), NVIO_DATA_TO_CTRLR },
		{ nvio_opc_direction(NVIO_NVM_READ), NVIO_DATA_TO_HOST },
		{ nvio_opc_direction(NVIO_NVM_FLUSH), NVIO_DATA_NONE },
		{ nvio_opc_direction(NVIO_ADMIN_IDENTIFY), NVIO_DATA_TO_HOST },
		{ nvio_opc_direction(NVIO_ADMIN_FABRICS), NVIO_DATA_BOTH },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		if (t[i].got != t[i].want)
			print_error("row %zu\n", i);
		assert_int_equal(t[i].got, t[i].want);
	}
}

/* Numbers that no builder and no table of words or of libnvme holds. */
static void constants_are_the_specifications(void **state)
{
	const struct {
		uint64_t ours, want;
	} t[] = {
		{ NVIO_REG_CMBEBS, 0x5c }, { NVIO_REG_CMBSWTP, 0x60 }, { NVIO_REG_NSSD, 0x64 },
		{ NVIO_REG_DOORBELL, 0x1000 }, { NVIO_NSSR_RESET, 0x4e564d65 },
		{ NVIO_CSTS_GONE, 0xffffffff },
		{ NVIO_ADMIN_QUEUE_MIN, 2 }, { NVIO_ADMIN_QUEUE_MAX, 4096 },
		{ NVIO_SQE_FUSE_MASK, 3 }, { NVIO_SQE_FUSE_NONE, 0 }, { NVIO_SQE_FUSE_FIRST, 1 },
		{ NVIO_SQE_FUSE_SECOND, 2 }, { NVIO_SQE_PSDT_MASK, 0xc0 }, { NVIO_SQE_PSDT_PRP, 0 },
		{ NVIO_SQE_PSDT_SGL, 0x40 }, { NVIO_SQE_PSDT_SGL_MSGL, 0x80 },
		{ NVIO_SGL_DATA, 0 }, { NVIO_SGL_BIT_BUCKET, 1 }, { NVIO_SGL_SEGMENT, 2 },
		{ NVIO_SGL_LAST_SEGMENT, 3 }, { NVIO_SGL_KEYED_DATA, 4 }, { NVIO_SGL_TRANSPORT, 5 },
		{ NVIO_SGL_VENDOR, 15 }, { NVIO_SGL_ADDRESS, 0 }, { NVIO_SGL_OFFSET, 1 },
		{ NVIO_SGL_INVALIDATE, 15 },
		{ NVIO_SF_CODE_MASK, 0x7ff }, { NVIO_SC_VENDOR_FIRST, 0xc0 },
		{ NVIO_SQ_URGENT, 0 }, { NVIO_SQ_HIGH, 1 }, { NVIO_SQ_MEDIUM, 2 }, { NVIO_SQ_LOW, 3 },
		{ NVIO_CREATE_PC, 1 }, { NVIO_CREATE_IEN, 2 }, { NVIO_LOG_RAE, 0x8000 },
		{ NVIO_FEATURE_CAP_SAVEABLE, 1 }, { NVIO_FEATURE_CAP_NS_SPECIFIC, 2 },
		{ NVIO_FEATURE_CAP_CHANGEABLE, 4 },
		{ NVIO_FIRMWARE_REPLACE, 0 }, { NVIO_FIRMWARE_REPLACE_ACTIVATE, 1 },
		{ NVIO_FIRMWARE_ACTIVATE, 2 },
		{ NVIO_FIRMWARE_ACTIVATE_NOW, 3 }, { NVIO_FIRMWARE_BOOT_REPLACE, 6 },
		{ NVIO_FIRMWARE_BOOT_ACTIVATE, 7 },
		{ NVIO_FORMAT_NO_ERASE, 0 }, { NVIO_FORMAT_USER_ERASE, 1 }, { NVIO_FORMAT_CRYPTO_ERASE, 2 },
		{ NVIO_COPY_MAX_RANGES, 256 }, { NVIO_PS_MAX, 32 }, { NVIO_LBAF_MAX, 64 },
		{ NVIO_SQES_64, 0x66 }, { NVIO_CQES_16, 0x44 }, { NVIO_CTRLR_TYPE_NOT_REPORTED, 0 },
		{ NVIO_VWC_FLUSH_UNKNOWN, 0 }, { NVIO_VWC_FLUSH_NO_BROADCAST, 2 },
		{ NVIO_VWC_FLUSH_BROADCAST, 3 },
		{ NVIO_NSTAT_READY, 1 }, { NVIO_LOG_SUPPORTED_LSUPP, 1 }, { NVIO_LOG_SUPPORTED_IOS, 2 },
		{ NVIO_PARM_LOC_NONE, 0xffff }, { NVIO_CHANGED_NS_MAX, 1024 },
		{ NVIO_EFFECTS_CSE_NONE, 0 }, { NVIO_EFFECTS_CSE_NS, 1 }, { NVIO_EFFECTS_CSE_CTRLR, 2 },
		{ NVIO_ARBITRATION_NO_LIMIT, 7 }, { NVIO_TEMP_COMPOSITE, 0 }, { NVIO_TEMP_ALL_SENSORS, 15 },
		{ NVIO_ASYNC_EVENT_SMART_MASK, 0xff }, { NVIO_HOST_MEMORY_RETURN, 2 },
		{ sizeof(struct nvio_host_behavior), 512 }, { offsetof(struct nvio_host_behavior, etdas), 1 },
		{ offsetof(struct nvio_host_behavior, lbafee), 2 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		if (t[i].ours != t[i].want)
			print_error("row %zu\n", i);
		assert_int_equal(t[i].ours, t[i].want);
	}
}

static void arbitration_survives_the_round_trip(void **state)
{
	struct nvio_arbitration a = nvio_arbitration_get(0x03020107);

	assert_int_equal(a.burst, NVIO_ARBITRATION_NO_LIMIT);
	assert_int_equal(a.low, 1);
	assert_int_equal(a.medium, 2);
	assert_int_equal(a.high, 3);
	assert_int_equal(nvio_arbitration_get(0xfffffff8).burst, 0);
}

static void a_timestamp_keeps_48_bits(void **state)
{
	const uint8_t image[8] = { 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0x02, 0 };
	struct nvio_timestamp t = nvio_timestamp_build(0xffff112233445566ull);

	assert_memory_equal(&t, image, sizeof(image));
	assert_int_equal(nvio_timestamp_ms(&t), 0x112233445566ull);
}

static void an_autonomous_transition_names_state_and_time(void **state)
{
	assert_int_equal(nvio_auto_power_entry(4, 2000), 0x7d020);
	assert_int_equal(nvio_auto_power_entry(~0u, ~0u), 0xfffffff8);
}

static void the_lba_format_index_is_six_bits_only_with_more_than_16_formats(void **state)
{
	assert_int_equal(nvio_flbas_index(0x63, 0), 3);
	assert_int_equal(nvio_flbas_index(0x63, 15), 3);
	assert_int_equal(nvio_flbas_index(0x63, 16), 0x33);
	assert_int_equal(nvio_flbas_index(0x10, 63), 0);
	assert_int_equal(nvio_flbas_build(0x33, 0), 0x63);
	assert_int_equal(nvio_flbas_build(2, 1), 0x12);
	for (uint32_t i = 0; i < NVIO_LBAF_MAX; i++)
		assert_int_equal(nvio_flbas_index(nvio_flbas_build(i, 1), 63), i);
}

static void a_read_command_lies_byte_by_byte(void **state)
{
	const uint8_t image[64] = {
		0x02, 0x40, 0x34, 0x12, 1, 0, 0, 0,  2, 0, 0, 0, 3, 0, 0, 0,
		8, 7, 6, 5, 4, 3, 2, 1,  0, 0x10, 0, 0, 1, 0, 0, 0,
		0, 0x20, 0, 0, 2, 0, 0, 0,  0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
		7, 0, 0, 0x40, 0xd, 0, 0, 0,  0xe, 0, 0, 0, 0xf, 0, 0, 0,
	};
	struct nvio_sqe sqe = {
		.opc = NVIO_NVM_READ,
		.flags = NVIO_SQE_PSDT_SGL | NVIO_SQE_FUSE_NONE,
		.cid = nvio_to_le16(0x1234),
		.nsid = nvio_to_le32(1),
		.cdw2 = nvio_to_le32(2),
		.cdw3 = nvio_to_le32(3),
		.mptr = nvio_to_le64(0x0102030405060708ull),
		.prp1 = nvio_to_le64(0x100001000ull),
		.prp2 = nvio_to_le64(0x200002000ull),
		.cdw10 = nvio_to_le32(0x55667788),
		.cdw11 = nvio_to_le32(0x11223344),
		.cdw12 = nvio_to_le32(nvio_rw_cdw12(7, NVIO_RW_FUA)),
		.cdw13 = nvio_to_le32(0xd),
		.cdw14 = nvio_to_le32(0xe),
		.cdw15 = nvio_to_le32(0xf),
	};

	assert_memory_equal(&sqe, image, sizeof(image));
}

static void an_sgl_descriptor_takes_the_place_of_the_two_prps(void **state)
{
	const uint8_t image[16] = { 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0x50 };
	struct nvio_sgl_desc d = {
		.addr = nvio_to_le64(0x1000),
		.len = nvio_to_le32(512),
		.id = nvio_sgl_id(NVIO_SGL_TRANSPORT, NVIO_SGL_ADDRESS),
	};
	struct nvio_sgl_desc back;
	struct nvio_sqe sqe;

	memset(&sqe, 0xaa, sizeof(sqe));
	nvio_sqe_set_sgl(&sqe, d);
	assert_memory_equal((uint8_t *)&sqe + 24, image, sizeof(image));
	assert_int_equal(((uint8_t *)&sqe)[23], 0xaa);
	assert_int_equal(((uint8_t *)&sqe)[40], 0xaa);
	back = nvio_sqe_sgl(&sqe);
	assert_memory_equal(&back, &d, sizeof(d));
}

static void a_completion_lies_byte_by_byte(void **state)
{
	const uint8_t image[16] = { 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 4, 0, 5, 0, 0x03, 0x85 };
	struct nvio_cqe cqe = {
		.dw0 = nvio_to_le32(1),
		.dw1 = nvio_to_le32(2),
		.sqhd = nvio_to_le16(3),
		.sqid = nvio_to_le16(4),
		.cid = nvio_to_le16(5),
		.status = nvio_to_le16(nvio_cqe_status_build(
			NVIO_SF(NVIO_SCT_MEDIA, NVIO_SC_UNRECOVERED_READ) | NVIO_SF_DNR, 1)),
	};

	assert_memory_equal(&cqe, image, sizeof(image));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_getter_takes_exactly_the_bits_of_its_field),
		cmocka_unit_test(cap_is_built_from_its_fields_and_nothing_spills),
		cmocka_unit_test(cc_is_built_from_its_fields_and_nothing_spills),
		cmocka_unit_test(csts_is_built_from_its_fields_and_nothing_spills),
		cmocka_unit_test(doorbells_lie_by_stride),
		cmocka_unit_test(dwords_are_built_as_the_specification_draws_them),
		cmocka_unit_test(constants_are_the_specifications),
		cmocka_unit_test(arbitration_survives_the_round_trip),
		cmocka_unit_test(a_timestamp_keeps_48_bits),
		cmocka_unit_test(an_autonomous_transition_names_state_and_time),
		cmocka_unit_test(the_lba_format_index_is_six_bits_only_with_more_than_16_formats),
		cmocka_unit_test(a_read_command_lies_byte_by_byte),
		cmocka_unit_test(an_sgl_descriptor_takes_the_place_of_the_two_prps),
		cmocka_unit_test(a_completion_lies_byte_by_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
