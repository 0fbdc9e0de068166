/* SPDX-License-Identifier: BSD-3-Clause */
/* Set Features and Get Features, feature by feature. */
#include "raw.h"

#define FIELD RAW_GENERIC(INVALID_FIELD)
#define FORM  "ram:2M?ns=2&vwc=1&queues=8"

static void values_are_kept_checked_and_have_defaults(void **state)
{
	static const struct {
		const char *what;
		uint32_t fid, set, get_dw11;
		uint16_t sf;
		uint32_t initial, got;
	} cases[] = {
		{ "arbitration", 1, 0xff04ff03, 0, 0, 7, 0xff04ff03 },
		{ "arbitration's reserved bits", 1, 0xfffffffb, 0, 0, 7, 0xffffff03 },
		{ "power state 0, workload 2", 2, 2 << 5, 0, 0, 0, 2 << 5 },
		{ "power state 1", 2, 1, 0, FIELD, 0, 0 },
		{ "temperature", 4, 350, 0, 0, 343, 350 },
		{ "temperature of all sensors", 4, 350 | 15 << 16, 0, 0, 343, 350 },
		{ "temperature below", 4, 200 | 1 << 20, 1 << 20, 0, 0, 200 },
		{ "temperature of sensor 3", 4, 350 | 3 << 16, 0, FIELD, 343, 343 },
		{ "temperature threshold type 2", 4, 350 | 2 << 20, 0, FIELD, 343, 343 },
		{ "write cache off", 6, 0, 0, 0, 1, 0 },
		{ "queues", 7, 0x00030004, 0, 0, 0x00070007, 0x00030004 },
		{ "more queues than there are", 7, 0x00ff0020, 0, 0, 0x00070007, 0x00070007 },
		{ "65536 submission queues", 7, 0x0003ffff, 0, FIELD, 0x00070007, 0x00070007 },
		{ "65536 completion queues", 7, 0xffff0003, 0, FIELD, 0x00070007, 0x00070007 },
		{ "coalescing", 8, 0xffff1234, 0, 0, 0, 0x1234 },
		{ "vector 2 without coalescing", 9, 2 | 1 << 16, 2, 0, 2, 2 | 1 << 16 },
		{ "vector 9 of 9", 9, 9, 1, FIELD, 1, 1 },
		{ "atomicity", 10, 1, 0, 0, 0, 1 },
		{ "events", 11, 0xffffffff, 0, 0, 0, 0x11f },
		{ "keep alive", 15, 1234, 0, 0, 0, 1300 },
		{ "keep alive for ever", 15, 0xffffffff, 0, RAW_GENERIC(INVALID_KEEP_ALIVE_TIMEOUT), 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t v = 0, caps = 0;
		uint16_t sf;
		struct raw r;

		raw_init(&r, raw_env, FORM);
		raw_enable(&r);
		sf = raw_get_feature(&r, cases[i].fid, NVIO_SEL_CURRENT, cases[i].get_dw11, &v);
		if (sf || v != cases[i].initial)
			fail_msg("%s: 0x%x, at first 0x%x", cases[i].what, sf, v);
		sf = raw_set_feature(&r, cases[i].fid, cases[i].set, NULL);
		if (sf != cases[i].sf)
			fail_msg("%s: 0x%x instead of 0x%x", cases[i].what, sf, cases[i].sf);
		sf = raw_get_feature(&r, cases[i].fid, NVIO_SEL_CURRENT, cases[i].get_dw11, &v);
		if (sf || v != cases[i].got)
			fail_msg("%s: 0x%x, got 0x%x instead of 0x%x", cases[i].what, sf, v, cases[i].got);
		/* The default is what it was; what is saved is the default. */
		if (!cases[i].get_dw11) {
			for (uint32_t sel = NVIO_SEL_DEFAULT; sel <= NVIO_SEL_SAVED; sel++) {
				assert_int_equal(raw_get_feature(&r, cases[i].fid, sel, 0, &v), 0);
				assert_int_equal(v, cases[i].initial);
			}
		}
		assert_int_equal(raw_get_feature(&r, cases[i].fid, NVIO_SEL_SUPPORTED, 0, &caps), 0);
		assert_int_equal(caps, NVIO_FEATURE_CAP_CHANGEABLE);
		raw_close(&r);
	}
}

static void what_no_feature_takes(void **state)
{
	static const uint32_t fids[] = { 0, 3, 12, 13, 14, 16, 17, 18, 0x16, 0x7f, 0x80, 0x82, 0x84, 0xc0, 0xff };
	struct nvio_sqe s;
	struct raw r;

	raw_open(&r, raw_env, FORM);
	for (size_t i = 0; i < ARRAY_SIZE(fids); i++) {
		assert_int_equal(raw_set_feature(&r, fids[i], 0, NULL), FIELD);
		assert_int_equal(raw_get_feature(&r, fids[i], 0, 0, NULL), FIELD);
	}
	assert_int_equal(raw_get_feature(&r, NVIO_FID_ARBITRATION, 4, 0, NULL), FIELD);
	assert_int_equal(raw_set_feature(&r, NVIO_FID_ARBITRATION | NVIO_SET_FEATURES_SAVE, 0, NULL),
		RAW_COMMAND(FEATURE_NOT_SAVEABLE));
	s = raw_dws(raw_cmd(NVIO_ADMIN_SET_FEATURES, 1, NULL), NVIO_FID_ARBITRATION, 0, 0);
	assert_int_equal(raw_do(&r, &r.admin, s, NULL), RAW_COMMAND(FEATURE_NOT_NS_SPECIFIC));
	/* Queues exist: their number is fixed. */
	assert_int_equal(raw_set_feature(&r, NVIO_FID_NUM_QUEUES, 0, NULL), RAW_GENERIC(COMMAND_SEQUENCE_ERROR));
	raw_close(&r);
}

static uint16_t error_recovery(struct raw *r, uint8_t opc, uint32_t nsid, uint32_t value, uint32_t *got)
{
	return raw_do(r, &r->admin, raw_dws(raw_cmd(opc, nsid, NULL), NVIO_FID_ERROR_RECOVERY, value, 0), got);
}

static void error_recovery_is_of_a_namespace(void **state)
{
	uint32_t v;
	struct raw r;

	raw_init(&r, raw_env, FORM);
	raw_enable(&r);
	assert_int_equal(error_recovery(&r, NVIO_ADMIN_SET_FEATURES, 1, 50, NULL), 0);
	assert_int_equal(error_recovery(&r, NVIO_ADMIN_GET_FEATURES, 1, 0, &v), 0);
	assert_int_equal(v, 50);
	assert_int_equal(error_recovery(&r, NVIO_ADMIN_GET_FEATURES, 2, 0, &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(error_recovery(&r, NVIO_ADMIN_SET_FEATURES, NVIO_NSID_ALL, 9, NULL), 0);
	assert_int_equal(error_recovery(&r, NVIO_ADMIN_GET_FEATURES, 2, 0, &v), 0);
	assert_int_equal(v, 9);
	assert_int_equal(error_recovery(&r, NVIO_ADMIN_SET_FEATURES, 3, 9, NULL), RAW_GENERIC(INVALID_NS_OR_FORMAT));
	assert_int_equal(error_recovery(&r, NVIO_ADMIN_GET_FEATURES, 0, 0, NULL), RAW_GENERIC(INVALID_NS_OR_FORMAT));
	assert_int_equal(error_recovery(&r, NVIO_ADMIN_SET_FEATURES, 1, NVIO_ERROR_RECOVERY_DULBE, NULL), FIELD);
	assert_int_equal(raw_get_feature(&r, NVIO_FID_ERROR_RECOVERY, NVIO_SEL_SUPPORTED, 0, &v), 0);
	assert_int_equal(v, NVIO_FEATURE_CAP_CHANGEABLE | NVIO_FEATURE_CAP_NS_SPECIFIC);
	raw_close(&r);
}

static void without_a_cache_there_is_no_switch_for_it(void **state)
{
	uint32_t v;
	struct raw r;

	raw_open(&r, raw_env, "ram:1M");
	assert_int_equal(raw_set_feature(&r, NVIO_FID_VOLATILE_WRITE_CACHE, 1, NULL), FIELD);
	assert_int_equal(raw_get_feature(&r, NVIO_FID_VOLATILE_WRITE_CACHE, 0, 0, &v), FIELD);
	raw_close(&r);
	/* With one, writes go on working while it is off. */
	raw_open(&r, raw_env, "ram:1M?vwc=1");
	assert_int_equal(raw_set_feature(&r, NVIO_FID_VOLATILE_WRITE_CACHE, 0, NULL), 0);
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_WRITE, r.buf, 0, 1), NULL), 0);
	raw_close(&r);
}

static void the_host_identifier_is_a_buffer(void **state)
{
	uint32_t v;
	struct raw r;

	raw_init(&r, raw_env, FORM);
	raw_enable(&r);
	for (int i = 0; i < 16; i++)
		r.buf[i] = (uint8_t)(i + 1);
	assert_int_equal(raw_set_feature(&r, NVIO_FID_HOST_ID, NVIO_HOST_ID_EXTENDED, NULL), 0);
	memset(r.buf, 0, 32);
	assert_int_equal(raw_get_feature(&r, NVIO_FID_HOST_ID, NVIO_SEL_CURRENT, NVIO_HOST_ID_EXTENDED, NULL), 0);
	assert_int_equal(r.buf[15], 16);
	assert_int_equal(r.buf[16], 0);
	assert_int_equal(raw_get_feature(&r, NVIO_FID_HOST_ID, NVIO_SEL_DEFAULT, NVIO_HOST_ID_EXTENDED, NULL), 0);
	assert_int_equal(r.buf[15], 0);
	r.buf[7] = 0x99;
	assert_int_equal(raw_set_feature(&r, NVIO_FID_HOST_ID, 0, NULL), 0);
	memset(r.buf, 0xff, 32);
	assert_int_equal(raw_get_feature(&r, NVIO_FID_HOST_ID, NVIO_SEL_CURRENT, 0, NULL), 0);
	assert_int_equal(r.buf[7], 0x99);
	assert_int_equal(r.buf[8], 0xff); /* eight bytes, and no more */
	assert_int_equal(raw_get_feature(&r, NVIO_FID_HOST_ID, NVIO_SEL_SUPPORTED, 0, &v), 0);
	assert_int_equal(v, NVIO_FEATURE_CAP_CHANGEABLE);
	raw_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RAW_TEST(values_are_kept_checked_and_have_defaults),
		RAW_TEST(what_no_feature_takes),
		RAW_TEST(error_recovery_is_of_a_namespace),
		RAW_TEST(without_a_cache_there_is_no_switch_for_it),
		RAW_TEST(the_host_identifier_is_a_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
