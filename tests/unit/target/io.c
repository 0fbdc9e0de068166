/* SPDX-License-Identifier: BSD-3-Clause */
/* The NVM command set, command by command, with what is wrong about each. */
#include "raw.h"

#include <unistd.h>

static void what_was_written_is_read_back(void **state)
{
	static const struct {
		const char *form;
		uint32_t bs;
	} cases[] = {
		{ "ram:1M", 512 },
		{ "ram:1M?bs=4096", 4096 },
		{ "ram:4M?poll=thread", 512 },
		{ "ram:1M?stride=2", 512 },
		{ "ram:1M?stride=4&vwc=1", 512 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct raw r;

		raw_open(&r, raw_env, cases[i].form);
		memset(r.buf, 0xab, RAW_PAGE);
		assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_WRITE, r.buf, 3, 4096 / cases[i].bs), NULL), 0);
		memset(r.buf, 0, RAW_PAGE);
		assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 3, 4096 / cases[i].bs), NULL), 0);
		for (uint32_t b = 0; b < 4096; b++)
			assert_int_equal(r.buf[b], 0xab);
		assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 2, 1), NULL), 0);
		for (uint32_t b = 0; b < cases[i].bs; b++)
			assert_int_equal(r.buf[b], 0);
		raw_close(&r);
	}
}

static struct nvio_sqe with_flags(struct nvio_sqe s, uint8_t flags)
{
	s.flags = flags;
	return s;
}

static struct nvio_sqe with_ns(struct nvio_sqe s, uint32_t nsid)
{
	s.nsid = nvio_to_le32(nsid);
	return s;
}

/* 1 MiB of 512: blocks 0 to 2047; mdts 64 KiB: 128 blocks. */
static void bad_commands_are_refused_with_the_right_status(void **state)
{
	const uint32_t rd = NVIO_NVM_READ, wr = NVIO_NVM_WRITE;
	struct raw r;
	size_t n;

	raw_open(&r, raw_env, "ram:1M?mdts=64k");
	{
		const struct {
			const char *what;
			struct nvio_sqe sqe;
			uint16_t sf;
		} cases[] = {
			{ "the last block", raw_rw(rd, r.buf, 2047, 1), 0 },
			{ "one beyond", raw_rw(rd, r.buf, 2048, 1), RAW_GENERIC(LBA_OUT_OF_RANGE) },
			{ "across the end", raw_rw(wr, r.buf, 2047, 2), RAW_GENERIC(LBA_OUT_OF_RANGE) },
			{ "wrap-around", raw_rw(rd, r.buf, UINT64_MAX, 2), RAW_GENERIC(LBA_OUT_OF_RANGE) },
			{ "2^55, whose byte offset wraps", raw_rw(rd, r.buf, 1ull << 55, 1), RAW_GENERIC(LBA_OUT_OF_RANGE) },
			{ "compare beyond", raw_rw(NVIO_NVM_COMPARE, r.buf, 2048, 1), RAW_GENERIC(LBA_OUT_OF_RANGE) },
			{ "zeroes beyond", raw_rw(NVIO_NVM_WRITE_ZEROES, NULL, 2040, 9), RAW_GENERIC(LBA_OUT_OF_RANGE) },
			{ "more than mdts", raw_rw(rd, r.buf, 0, 129), RAW_GENERIC(INVALID_FIELD) },
			{ "compare of more than mdts", raw_rw(NVIO_NVM_COMPARE, r.buf, 0, 129), RAW_GENERIC(INVALID_FIELD) },
			{ "zeroes know no mdts", raw_rw(NVIO_NVM_WRITE_ZEROES, NULL, 0, 1024), 0 },
			{ "namespace 0", with_ns(raw_rw(rd, r.buf, 0, 1), 0), RAW_GENERIC(INVALID_NS_OR_FORMAT) },
			{ "namespace 2", with_ns(raw_rw(rd, r.buf, 0, 1), 2), RAW_GENERIC(INVALID_NS_OR_FORMAT) },
			{ "read of all", with_ns(raw_rw(rd, r.buf, 0, 1), ~0u), RAW_GENERIC(INVALID_NS_OR_FORMAT) },
			{ "flush of 2", with_ns(raw_cmd(0, 0, NULL), 2), RAW_GENERIC(INVALID_NS_OR_FORMAT) },
			{ "flush of all", with_ns(raw_cmd(0, 0, NULL), ~0u), 0 },
			{ "flush", raw_cmd(0, 1, NULL), 0 },
			{ "SGL", with_flags(raw_rw(rd, r.buf, 0, 1), NVIO_SQE_PSDT_SGL), RAW_GENERIC(INVALID_FIELD) },
			{ "PSDT 3", with_flags(raw_rw(rd, r.buf, 0, 1), 0xc0), RAW_GENERIC(INVALID_FIELD) },
			{ "fused", with_flags(raw_rw(rd, r.buf, 0, 1), 1), RAW_GENERIC(INVALID_FIELD) },
			{ "fused flush", with_flags(raw_cmd(0, 1, NULL), 2), RAW_GENERIC(INVALID_FIELD) },
			{ "verify is not claimed", raw_rw(NVIO_NVM_VERIFY, NULL, 0, 1), RAW_GENERIC(INVALID_OPCODE) },
			{ "opcode 3", raw_cmd(3, 1, NULL), RAW_GENERIC(INVALID_OPCODE) },
			{ "opcode 7f in namespace 9", raw_cmd(0x7f, 9, NULL), RAW_GENERIC(INVALID_OPCODE) },
			{ "vendor's", raw_cmd(0xff, 1, NULL), RAW_GENERIC(INVALID_OPCODE) },
		};

		for (n = 0; n < ARRAY_SIZE(cases); n++) {
			uint16_t sf = raw_do(&r, &r.io, cases[n].sqe, NULL);

			if (sf != cases[n].sf)
				fail_msg("%s: 0x%x instead of 0x%x", cases[n].what, sf, cases[n].sf);
		}
	}
	raw_close(&r);
}

static void every_opcode_is_answered(void **state)
{
	static const bool known[256] = { [0] = true, [1] = true, [2] = true, [5] = true, [8] = true, [9] = true };
	struct raw r;

	raw_open(&r, raw_env, "ram:1M");
	for (int opc = 0; opc < 256; opc++) {
		uint16_t sf = raw_do(&r, &r.io, raw_rw((uint8_t)opc, r.buf, 0, 1), NULL);

		assert_int_equal(sf, known[opc] ? 0 : RAW_GENERIC(INVALID_OPCODE));
	}
	raw_close(&r);
}

static void a_read_only_namespace_refuses_whatever_writes(void **state)
{
	struct nvio_dsm_range *range;
	struct raw r;

	raw_open(&r, raw_env, "ram:1M?ro=1");
	range = (void *)r.buf;
	range->nlb = nvio_to_le32(1);
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_WRITE, r.buf, 0, 1), NULL), RAW_GENERIC(NS_WRITE_PROTECTED));
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_WRITE_ZEROES, NULL, 0, 1), NULL),
		RAW_GENERIC(NS_WRITE_PROTECTED));
	assert_int_equal(raw_do(&r, &r.io, raw_dws(raw_cmd(NVIO_NVM_DSM, 1, r.buf), 0, NVIO_DSM_AD, 0), NULL),
		RAW_GENERIC(NS_WRITE_PROTECTED));
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 1), NULL), 0);
	assert_int_equal(raw_do(&r, &r.io, raw_cmd(NVIO_NVM_FLUSH, 1, NULL), NULL), 0);
	raw_close(&r);
}

static void compare_tells_same_from_different(void **state)
{
	nvio_le64 *list = raw_pages(1);
	struct nvio_sqe s;
	struct raw r;

	raw_open(&r, raw_env, "ram:4M");
	for (uint32_t i = 0; i < 512 * 1024; i++)
		r.buf[i] = (uint8_t)(i * 7 + i / 512);
	/* 512 KiB: several times the controller's bounce buffer. */
	s = raw_rw(NVIO_NVM_WRITE, r.buf, 16, 1024);
	raw_prps(&s, r.buf, 512 * 1024, list);
	assert_int_equal(raw_do(&r, &r.io, s, NULL), 0);
	s.opc = NVIO_NVM_COMPARE;
	assert_int_equal(raw_do(&r, &r.io, s, NULL), 0);
	for (uint32_t at = 0; at < 512 * 1024; at += 131071) {
		r.buf[at] ^= 1;
		assert_int_equal(raw_do(&r, &r.io, s, NULL), RAW_DNR(NVIO_SCT_MEDIA, NVIO_SC_COMPARE_FAILURE));
		r.buf[at] ^= 1;
	}
	r.buf[512 * 1024 - 1] ^= 0x80;
	assert_int_equal(raw_do(&r, &r.io, s, NULL), RAW_DNR(NVIO_SCT_MEDIA, NVIO_SC_COMPARE_FAILURE));
	raw_close(&r);
	free(list);
}

static void many_compares_take_turns(void **state)
{
	struct nvio_cqe cqe = { 0 };
	struct raw r;

	raw_open(&r, raw_env, "ram:1M");
	for (int i = 0; i < 40; i++)
		raw_put(&r, &r.io, raw_rw(NVIO_NVM_COMPARE, r.buf + i % 3 * RAW_PAGE, 8, 8));
	r.buf[RAW_PAGE] = 1;
	raw_ring(&r, &r.io);
	for (int i = 0; i < 40; i++) {
		assert_true(raw_wait(&r, &r.io, &cqe));
		assert_int_equal(raw_sf(&cqe) != 0, i % 3 == 1);
	}
	/* A reset takes those back that wait for their turn. */
	for (int i = 0; i < 40; i++)
		raw_put(&r, &r.io, raw_rw(NVIO_NVM_COMPARE, r.buf, 8, 8));
	raw_ring(&r, &r.io);
	raw_w32(&r, NVIO_REG_CC, 0);
	assert_true(raw_csts_becomes(&r, 1, 0));
	raw_close(&r);
}

static void zeroes_and_deallocation_read_as_zeros(void **state)
{
	static const char *const forms[] = { "ram:1M", "ram:1M?bs=4096" };

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		for (int how = 0; how < 3; how++) {
			struct nvio_dsm_range range[2] = {
				{ .slba = nvio_to_le64(8), .nlb = nvio_to_le32(4) },
				{ .slba = nvio_to_le64(12), .nlb = nvio_to_le32(4) },
			};
			struct nvio_sqe s;
			struct raw r;

			raw_open(&r, raw_env, forms[i]);
			memset(r.buf, 0xff, 8 * RAW_PAGE);
			for (int b = 0; b < 32; b++)
				assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_WRITE, r.buf, (uint64_t)b, 1), NULL), 0);
			s = raw_rw(NVIO_NVM_WRITE_ZEROES, NULL, 8, 8);
			if (how == 1)
				s.cdw12 = nvio_to_le32(7 | NVIO_RW_DEAC);
			if (how == 2) {
				memcpy(r.buf + RAW_PAGE, range, sizeof(range));
				s = raw_dws(raw_cmd(NVIO_NVM_DSM, 1, r.buf + RAW_PAGE), 1, NVIO_DSM_AD, 0);
			}
			assert_int_equal(raw_do(&r, &r.io, s, NULL), 0);
			for (int b = 0; b < 32; b++) {
				assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, (uint64_t)b, 1), NULL), 0);
				assert_int_equal(r.buf[0], b >= 8 && b < 16 ? 0 : 0xff);
				assert_int_equal(r.buf[511], b >= 8 && b < 16 ? 0 : 0xff);
			}
			raw_close(&r);
		}
	}
}

static void dataset_management_checks_all_ranges_first(void **state)
{
	struct nvio_dsm_range *range;
	struct raw r;

	raw_open(&r, raw_env, "ram:1M");
	range = (void *)(r.buf + RAW_PAGE);
	memset(r.buf, 0xff, 512);
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_WRITE, r.buf, 0, 1), NULL), 0);
	for (int i = 0; i < 256; i++)
		range[i] = (struct nvio_dsm_range){ .slba = nvio_to_le64(0), .nlb = nvio_to_le32(1) };
	range[255].slba = nvio_to_le64(2048);
	assert_int_equal(raw_do(&r, &r.io, raw_dws(raw_cmd(NVIO_NVM_DSM, 1, range), 255, NVIO_DSM_AD, 0), NULL),
		RAW_GENERIC(LBA_OUT_OF_RANGE));
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 1), NULL), 0);
	assert_int_equal(r.buf[0], 0xff);
	/* Hints change nothing. */
	assert_int_equal(
		raw_do(&r, &r.io, raw_dws(raw_cmd(NVIO_NVM_DSM, 1, range), 254, NVIO_DSM_IDR | NVIO_DSM_IDW, 0), NULL), 0);
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 1), NULL), 0);
	assert_int_equal(r.buf[0], 0xff);
	range[255].slba = nvio_to_le64(5);
	range[254].nlb = nvio_to_le32(0); /* an empty range is none */
	assert_int_equal(raw_do(&r, &r.io, raw_dws(raw_cmd(NVIO_NVM_DSM, 1, range), 255, NVIO_DSM_AD, 0), NULL), 0);
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 1), NULL), 0);
	assert_int_equal(r.buf[0], 0);
	raw_close(&r);
}

static void a_file_keeps_what_was_written(void **state)
{
	char path[] = "/tmp/nvio-target-XXXXXX", form[128];
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	snprintf(form, sizeof(form), "%s?size=1M", path);
	for (int round = 0; round < 2; round++) {
		struct nvio_sqe s;
		struct raw r;

		raw_open(&r, raw_env, form);
		memset(r.buf, 0x3c, 1024);
		s = raw_rw(round ? NVIO_NVM_READ : NVIO_NVM_WRITE, r.buf, 9, 2);
		if (round)
			memset(r.buf, 0, 1024);
		else
			s.cdw12 = nvio_to_le32(1 | NVIO_RW_FUA);
		assert_int_equal(raw_do(&r, &r.io, s, NULL), 0);
		assert_int_equal(r.buf[0], 0x3c);
		assert_int_equal(r.buf[1023], 0x3c);
		assert_int_equal(raw_do(&r, &r.io, raw_cmd(NVIO_NVM_FLUSH, 1, NULL), NULL), 0);
		raw_close(&r);
	}
	unlink(path);
}

static void namespaces_are_apart_and_flushed_together(void **state)
{
	struct raw r;

	raw_open(&r, raw_env, "ram:3M?ns=3");
	for (uint32_t nsid = 1; nsid <= 3; nsid++) {
		memset(r.buf, (int)nsid, 512);
		assert_int_equal(raw_do(&r, &r.io, with_ns(raw_rw(NVIO_NVM_WRITE, r.buf, 2047, 1), nsid), NULL), 0);
		assert_int_equal(raw_do(&r, &r.io, with_ns(raw_rw(NVIO_NVM_WRITE, r.buf, 2048, 1), nsid), NULL),
			RAW_GENERIC(LBA_OUT_OF_RANGE));
	}
	for (uint32_t nsid = 1; nsid <= 3; nsid++) {
		assert_int_equal(raw_do(&r, &r.io, with_ns(raw_rw(NVIO_NVM_READ, r.buf, 2047, 1), nsid), NULL), 0);
		assert_int_equal(r.buf[100], nsid);
	}
	assert_int_equal(raw_do(&r, &r.io, raw_cmd(NVIO_NVM_FLUSH, NVIO_NSID_ALL, NULL), NULL), 0);
	raw_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RAW_TEST(what_was_written_is_read_back),
		RAW_TEST(bad_commands_are_refused_with_the_right_status),
		RAW_TEST(every_opcode_is_answered),
		RAW_TEST(a_read_only_namespace_refuses_whatever_writes),
		RAW_TEST(compare_tells_same_from_different),
		RAW_TEST(many_compares_take_turns),
		RAW_TEST(zeroes_and_deallocation_read_as_zeros),
		RAW_TEST(dataset_management_checks_all_ranges_first),
		RAW_TEST(a_file_keeps_what_was_written),
		RAW_TEST(namespaces_are_apart_and_flushed_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
