/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What I/O looks like on its way: the commands that the controller receives are decoded here, by the specification and not
 * by the library, and held against what was asked for.
 */
#include "tests/unit/host/fixture.h"

#include <stdlib.h>
#include <time.h>

#define PAGE 4096u

/* ---- decoding ---- */

/* The bytes that a command's PRPs lead to, piece by piece (NVMe Base 2.0 section 4.1.1). */
static unsigned decode(const struct nvio_sqe *sqe, uint64_t len, struct iovec *out)
{
	uint64_t prp1 = nvio_get_le64(sqe->prp1), prp2 = nvio_get_le64(sqe->prp2);
	uint64_t first = MIN(len, PAGE - prp1 % PAGE), left = len - first;
	const uint64_t *list;
	unsigned n = 0, at = 0;

	assert_int_equal(prp1 % 4, 0);
	out[n++] = (struct iovec){ bare_reach(&f.b, prp1, first), first };
	if (!left) {
		assert_int_equal(prp2, 0);
		return n;
	}
	if (left <= PAGE) {
		assert_int_equal(prp2 % PAGE, 0);
		out[n++] = (struct iovec){ bare_reach(&f.b, prp2, left), left };
		return n;
	}
	assert_int_equal(prp2 % 8, 0);
	list = bare_reach(&f.b, prp2, PAGE - prp2 % PAGE);
	while (left) {
		uint64_t take = MIN(left, PAGE);

		/* One list page, without chaining. */
		assert_true(prp2 % PAGE + 8 * (at + 1) <= PAGE);
		assert_int_equal(list[at] % PAGE, 0);
		out[n++] = (struct iovec){ bare_reach(&f.b, list[at++], take), take };
		left -= take;
	}
	return n;
}

static uint32_t nlb(const struct nvio_sqe *sqe) { return (nvio_get_le32(sqe->cdw12) & 0xffff) + 1; }
static uint64_t slba(const struct nvio_sqe *sqe) { return nvio_get_le32(sqe->cdw10) | (uint64_t)nvio_get_le32(sqe->cdw11) << 32; }

/* A disk of a few MiB behind the bare controller. */
static uint8_t disk[4 << 20];
static unsigned commands;
static uint32_t largest;

static bool disk_io(unsigned qid, const struct nvio_sqe *sqe)
{
	static struct iovec pieces[1024];
	uint64_t at = slba(sqe) << f.b.ns.lbaf[0].ds, len = (uint64_t)nlb(sqe) << f.b.ns.lbaf[0].ds;
	unsigned n;

	commands++;
	assert_int_equal(nvio_get_le32(sqe->nsid), 1);
	assert_int_equal(sqe->flags, 0);
	if (sqe->opc != NVIO_NVM_READ && sqe->opc != NVIO_NVM_WRITE)
		return false;
	assert_true(at + len <= sizeof(disk));
	largest = MAX(largest, (uint32_t)len);
	n = decode(sqe, len, pieces);
	for (unsigned i = 0; i < n; at += pieces[i++].iov_len) {
		if (sqe->opc == NVIO_NVM_READ)
			memcpy(pieces[i].iov_base, disk + at, pieces[i].iov_len);
		else
			memcpy(disk + at, pieces[i].iov_base, pieces[i].iov_len);
	}
	bare_complete(&f.b, qid, bare_cid(sqe), 0, 0);
	return true;
}

static uint32_t prng = 1;

static uint32_t rnd(uint32_t below)
{
	prng = prng * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)prng * below >> 32);
}

static void setup_disk(uint8_t ds, uint8_t mdts)
{
	f.b.ns.lbaf[0].ds = ds;
	f.b.ns.nsze = nvio_to_le64(sizeof(disk) >> ds);
	f.b.id.mdts = mdts;
	f.io = disk_io;
	for (size_t i = 0; i < sizeof(disk); i++)
		disk[i] = (uint8_t)rnd(256);
	fix_connect(NULL);
}

static void teardown_disk(void)
{
	nvio_qpair_free(f.qp);
	nvio_ctrlr_close(f.c);
	f.qp = NULL;
	f.c = NULL;
}

/* ---- splitting ---- */

static void io_is_split_at_the_limit_and_nowhere_else(void **state)
{
	static const struct {
		uint8_t ds, mdts;
	} shapes[] = { { 9, 1 }, { 9, 5 }, { 12, 1 }, { 12, 3 }, { 12, 0 } };

	for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++) {
		uint32_t max, block, counts[8];

		setup_disk(shapes[s].ds, shapes[s].mdts);
		max = nvio_ns_max_transfer(f.ns);
		block = 1u << shapes[s].ds;
		memcpy(counts, (uint32_t[]){ 1, max / block - 1, max / block, max / block + 1, 2 * max / block - 1, 2 * max / block,
			2 * max / block + 1, sizeof(disk) / block }, sizeof(counts));
		for (int i = 0; i < 8; i++) {
			for (int write = 0; write < 2; write++) {
				uint64_t bytes = (uint64_t)counts[i] * block;
				struct fix_op o;

				if (!counts[i] || bytes > sizeof(disk))
					continue;
				fix_op_init(&o);
				commands = largest = 0;
				memset(f.buf, 0x5a, sizeof(disk) + PAGE);
				if (write)
					assert_int_equal(nvio_ns_write(f.ns, f.qp, f.buf, 0, counts[i], &o.op), 0);
				else
					assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, counts[i], &o.op), 0);
				assert_int_equal(nvio_wait(&o.op), 0);
				assert_int_equal(o.done, 1);
				assert_int_equal(commands, (bytes + max - 1) / max);
				assert_int_equal(largest, MIN(bytes, max));
				assert_memory_equal(f.buf, disk, bytes);
				assert_int_equal(f.buf[bytes], 0x5a);
			}
		}
		teardown_disk();
	}
}

static void an_error_in_one_piece_is_the_ops_error_once(void **state)
{
	for (unsigned bad = 0; bad < 4; bad++) {
		struct fix_op o;

		fix_op_init(&o);
		f.hold_io = true;
		f.held_count = 0;
		assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 4 * 256, &o.op), 0); /* 128 KiB each */
		fix_run(1, 0);
		assert_int_equal(f.held_count, 4);
		for (unsigned i = 0; i < 4; i++) {
			assert_int_equal(o.done, 0);
			fix_answer(i, i == bad ? NVIO_SF(2, 0x81) : i > bad ? NVIO_SF(0, 0x80) : 0);
			fix_run(1, 0);
		}
		assert_int_equal(o.done, 1);
		assert_int_equal(o.status, -EIO);
		assert_int_equal(o.op.cpl.sf, NVIO_SF(2, 0x81)); /* the first one */
	}
}

/* ---- any memory ---- */

static void any_address_any_length_reaches_its_pages(void **state)
{
	for (int round = 0; round < 4; round++) {
		uint8_t ds = round & 1 ? 12 : 9;
		uint32_t block = 1u << ds, blocks = sizeof(disk) >> ds;

		setup_disk(ds, round & 2 ? 0 : 4);
		for (int i = 0; i < 500; i++) {
			static const uint32_t skews[] = { 0, 1, 2, 3, 4, 511, 512, 2048, 4092, 4095 };
			uint32_t skew = skews[rnd(10)], n = 1 + rnd(rnd(10) ? 40 : 600), lba;
			struct nvio_op op = NVIO_OP(NULL);
			uint8_t *buf = f.buf + PAGE + skew;

			n = MIN(n, blocks);
			lba = rnd(blocks - n + 1);
			buf[-1] = buf[(uint64_t)n * block] = 0xee;
			if (rnd(2)) {
				assert_int_equal(nvio_await(nvio_ns_read(f.ns, f.qp, buf, lba, n, &op), &op), 0);
			} else {
				for (uint64_t b = 0; b < (uint64_t)n * block; b += 7)
					buf[b] = (uint8_t)rnd(256);
				assert_int_equal(nvio_await(nvio_ns_write(f.ns, f.qp, buf, lba, n, &op), &op), 0);
			}
			assert_memory_equal(buf, disk + (uint64_t)lba * block, (uint64_t)n * block);
			assert_int_equal(buf[-1], 0xee);
			assert_int_equal(buf[(uint64_t)n * block], 0xee);
		}
		teardown_disk();
	}
}

static void the_forms_of_prps(void **state)
{
	static const struct {
		uint32_t skew, blocks;
		unsigned pages;
	} cases[] = {
		{ 0, 1, 1 }, { 0, 8, 1 }, { 4, 7, 1 }, { 3584, 1, 1 }, { 3588, 1, 2 }, { 4, 8, 2 }, { 0, 16, 2 }, { 4092, 8, 2 },
		{ 4, 16, 3 }, { 0, 17, 3 }, { 0, 256, 32 }, { 4092, 256, 33 },
	};

	f.hold_io = true;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nvio_op op = NVIO_OP(NULL);
		struct iovec pieces[64];
		uint8_t *at = f.buf + cases[i].skew;
		unsigned n;

		f.held_count = 0;
		assert_int_equal(nvio_ns_read(f.ns, f.qp, at, 7, cases[i].blocks, &op), 0);
		fix_run(1, 0);
		assert_int_equal(f.held_count, 1);
		n = decode(&f.held[0].sqe, cases[i].blocks * 512ull, pieces);
		assert_int_equal(n, cases[i].pages);
		/* In place: the very pages of the buffer, in order. */
		for (unsigned k = 0; k < n; at += pieces[k++].iov_len)
			assert_ptr_equal(pieces[k].iov_base, at);
		fix_answer_all();
		assert_int_equal(nvio_wait(&op), 0);
	}
}

/* ---- iovecs ---- */

static void any_iovec_gathers_and_scatters(void **state)
{
	static uint8_t expected[sizeof(disk)];

	for (int round = 0; round < 2; round++) {
		uint8_t ds = round ? 12 : 9;
		uint32_t block = 1u << ds;

		setup_disk(ds, 5);
		for (int i = 0; i < 400; i++) {
			struct iovec iov[64];
			uint32_t n = 1 + rnd(200), lba = rnd((sizeof(disk) >> ds) - n), cnt = 0;
			uint64_t need = (uint64_t)n * block, have = 0, at = 0;
			unsigned style = rnd(4);
			uint8_t *next = f.buf;
			struct nvio_op op = NVIO_OP(NULL);

			/* Whole pages; pages but for the ends; multiples of 4; anything, empty pieces included. */
			while (have < need && cnt < 64) {
				uint32_t len = style == 0 ? PAGE * (1 + rnd(8)) : style == 1 && cnt ? PAGE * (1 + rnd(4)) :
					style == 1 ? 512 : style == 2 ? 4 * (1 + rnd(5000)) : rnd(9000);

				if (cnt == 63)
					len = (uint32_t)(need - have);
				if (style == 1 && !cnt)
					next += PAGE - 512;
				else if (style == 2)
					next += 4 * rnd(300);
				else if (style == 3)
					next += rnd(300);
				if (next + len > f.buf + (8 << 20))
					break;
				iov[cnt++] = (struct iovec){ next, len };
				next += len;
				have += len;
			}
			if (have < need) {
				assert_int_equal(nvio_ns_readv(f.ns, f.qp, iov, (int)cnt, lba, n, &op), -EINVAL);
				continue;
			}
			memcpy(expected, disk + (uint64_t)lba * block, need);
			assert_int_equal(nvio_await(nvio_ns_readv(f.ns, f.qp, iov, (int)cnt, lba, n, &op), &op), 0);
			for (unsigned k = 0; k < cnt && at < need; k++) {
				uint64_t len = MIN(iov[k].iov_len, need - at);

				assert_memory_equal(iov[k].iov_base, expected + at, len);
				at += len;
			}
			/* And back, elsewhere. */
			assert_int_equal(nvio_await(nvio_ns_writev(f.ns, f.qp, iov, (int)cnt, 0, n, &op), &op), 0);
			assert_memory_equal(disk, expected, need);
		}
		teardown_disk();
	}
}

static void bad_iovecs_are_refused(void **state)
{
	struct iovec null_piece[2] = { { f.buf, 256 }, { NULL, 256 } };
	struct iovec null_empty[3] = { { f.buf, 256 }, { NULL, 0 }, { f.buf, 256 } };
	struct iovec short_one[2] = { { f.buf, 256 }, { f.buf, 255 } };
	struct iovec wraps[2] = { { f.buf, 1 }, { f.buf, SIZE_MAX } };
	struct iovec huge[1] = { { f.buf, SIZE_MAX } };
	struct nvio_op op = NVIO_OP(NULL);

	assert_int_equal(nvio_ns_readv(f.ns, f.qp, null_piece, 2, 0, 1, &op), -EINVAL);
	assert_int_equal(nvio_ns_readv(f.ns, f.qp, short_one, 2, 0, 1, &op), -EINVAL);
	assert_int_equal(nvio_ns_readv(f.ns, f.qp, wraps, 2, 0, 1, &op), -EINVAL);
	assert_int_equal(nvio_ns_readv(f.ns, f.qp, short_one, -1, 0, 1, &op), -EINVAL);
	assert_int_equal(nvio_await(nvio_ns_readv(f.ns, f.qp, null_empty, 3, 0, 1, &op), &op), 0);
	if (!NVIO_CHECKED) /* where a buffer that runs over its end is refused */
		assert_int_equal(nvio_await(nvio_ns_readv(f.ns, f.qp, huge, 1, 0, 1, &op), &op), 0);
}

/* ---- the other commands ---- */

static void flags_reach_the_command(void **state)
{
	static const struct {
		uint32_t flags, cdw12;
	} cases[] = { { 0, 0 }, { NVIO_OP_FUA, NVIO_RW_FUA }, { NVIO_OP_LIMITED_RETRY, NVIO_RW_LR },
		{ NVIO_OP_FUA | NVIO_OP_LIMITED_RETRY, NVIO_RW_FUA | NVIO_RW_LR } };

	f.hold_io = true;
	for (int i = 0; i < 4; i++) {
		struct nvio_op op = { .flags = cases[i].flags };

		f.held_count = 0;
		assert_int_equal(nvio_ns_write(f.ns, f.qp, f.buf, 0x3456, 2 * 256, &op), 0);
		fix_run(1, 0);
		assert_int_equal(f.held_count, 2);
		for (unsigned k = 0; k < 2; k++) {
			assert_int_equal(nvio_get_le32(f.held[k].sqe.cdw12), 255 | cases[i].cdw12);
			assert_int_equal(slba(&f.held[k].sqe), 0x3456 + 256 * k);
		}
		fix_answer_all();
		assert_int_equal(nvio_wait(&op), 0);
	}
}

static void write_zeroes_takes_65536_blocks_a_command(void **state)
{
	static const uint32_t counts[] = { 1, 65535, 65536, 65537, 131072, 200000, 1 << 20 };

	f.hold_io = true;
	for (int i = 0; i < 7; i++) {
		struct nvio_op op = NVIO_OP(NULL);
		uint64_t at = (1 << 20) - counts[i], left = counts[i];

		f.held_count = 0;
		assert_int_equal(nvio_ns_write_zeroes(f.ns, f.qp, at, counts[i], &op), 0);
		fix_run(1, 0);
		assert_int_equal(f.held_count, (counts[i] + 65535) / 65536);
		for (unsigned k = 0; k < f.held_count; k++) {
			const struct nvio_sqe *sqe = &f.held[k].sqe;

			assert_int_equal(sqe->opc, NVIO_NVM_WRITE_ZEROES);
			assert_int_equal(slba(sqe), at);
			assert_int_equal(nlb(sqe), MIN(left, 65536u));
			assert_int_equal(nvio_get_le32(sqe->cdw12) >> 16, 0);
			assert_int_equal(nvio_get_le64(sqe->prp1), 0);
			at += nlb(sqe);
			left -= nlb(sqe);
		}
		assert_int_equal(left, 0);
		fix_answer_all();
		assert_int_equal(nvio_wait(&op), 0);
	}
}

static void deallocate_tells_the_ranges(void **state)
{
	static const uint32_t counts[] = { 1, 2, 255, 256 };
	struct nvio_lba_range ranges[256];

	for (uint32_t i = 0; i < 256; i++)
		ranges[i] = (struct nvio_lba_range){ i * 1000, i + 1 };
	ranges[0] = (struct nvio_lba_range){ 0, 1 << 20 };
	f.hold_io = true;
	for (int i = 0; i < 4; i++) {
		const struct nvio_sqe *sqe = &f.held[0].sqe;
		struct nvio_op op = NVIO_OP(NULL);
		const uint8_t *at;

		f.held_count = 0;
		assert_int_equal(nvio_ns_deallocate(f.ns, f.qp, ranges, counts[i], &op), 0);
		fix_run(1, 0);
		assert_int_equal(f.held_count, 1);
		assert_int_equal(sqe->opc, NVIO_NVM_DSM);
		assert_int_equal(nvio_get_le32(sqe->nsid), 1);
		assert_int_equal(nvio_get_le32(sqe->cdw10), counts[i] - 1);
		assert_int_equal(nvio_get_le32(sqe->cdw11), NVIO_DSM_AD);
		at = bare_reach(&f.b, nvio_get_le64(sqe->prp1), PAGE);
		assert_int_equal((uintptr_t)at % PAGE, 0);
		for (uint32_t k = 0; k < counts[i]; k++) {
			struct nvio_dsm_range r;

			memcpy(&r, at + k * sizeof(r), sizeof(r));
			assert_int_equal(nvio_get_le32(r.cattr), 0);
			assert_int_equal(nvio_get_le32(r.nlb), ranges[k].nblocks);
			assert_int_equal(nvio_get_le64(r.slba), ranges[k].lba);
		}
		fix_answer_all();
		assert_int_equal(nvio_wait(&op), 0);
	}
}

static void flush_and_compare_look_like_this(void **state)
{
	struct nvio_op op = NVIO_OP(NULL);
	const struct nvio_sqe *sqe = &f.held[0].sqe;

	f.hold_io = true;
	assert_int_equal(nvio_ns_flush(f.ns, f.qp, &op), 0);
	fix_run(1, 0);
	assert_int_equal(sqe->opc, NVIO_NVM_FLUSH);
	assert_int_equal(nvio_get_le32(sqe->nsid), 1);
	assert_int_equal(slba(sqe), 0);
	assert_int_equal(nvio_get_le32(sqe->cdw12), 0);
	fix_answer_all();
	assert_int_equal(nvio_wait(&op), 0);

	f.buf[1] = 0x77;
	assert_int_equal(nvio_ns_compare(f.ns, f.qp, f.buf + 1, 3, 2, &op), 0); /* by way of a page of ours */
	fix_run(1, 0);
	assert_int_equal(sqe->opc, NVIO_NVM_COMPARE);
	assert_int_equal(slba(sqe), 3);
	assert_int_equal(nlb(sqe), 2);
	assert_int_equal(*(const uint8_t *)bare_reach(&f.b, nvio_get_le64(sqe->prp1), 1), 0x77);
	fix_answer(0, NVIO_SF(2, 0x85));
	assert_int_equal(nvio_wait(&op), -EILSEQ);
}

static void commands_that_the_controller_has_not_are_refused(void **state)
{
	struct nvio_lba_range range = { 0, 1 };
	struct nvio_op op = NVIO_OP(NULL);

	f.b.id.oncs = nvio_to_le16(0);
	fix_connect(NULL);
	assert_int_equal(nvio_ns_compare(f.ns, f.qp, f.buf, 0, 1, &op), -EOPNOTSUPP);
	assert_errmsg("Compare");
	assert_int_equal(nvio_ns_write_zeroes(f.ns, f.qp, 0, 1, &op), -EOPNOTSUPP);
	assert_errmsg("Write Zeroes");
	assert_int_equal(nvio_ns_deallocate(f.ns, f.qp, &range, 1, &op), -EOPNOTSUPP);
	assert_errmsg("Dataset Management");
	assert_int_equal(nvio_await(nvio_ns_flush(f.ns, f.qp, &op), &op), 0);
}

static void a_write_protected_namespace_is_only_read(void **state)
{
	struct nvio_lba_range range = { 0, 1 };
	struct iovec iov = { f.buf, 512 };
	struct nvio_op op = NVIO_OP(NULL);

	f.b.ns.nsattr = 1;
	fix_connect(NULL);
	assert_true(nvio_ns_is_read_only(f.ns));
	assert_int_equal(nvio_ns_write(f.ns, f.qp, f.buf, 0, 1, &op), -EROFS);
	assert_int_equal(nvio_ns_writev(f.ns, f.qp, &iov, 1, 0, 1, &op), -EROFS);
	assert_int_equal(nvio_ns_write_zeroes(f.ns, f.qp, 0, 1, &op), -EROFS);
	assert_int_equal(nvio_ns_deallocate(f.ns, f.qp, &range, 1, &op), -EROFS);
	assert_int_equal(fix_read(), 0);
	assert_int_equal(nvio_await(nvio_ns_compare(f.ns, f.qp, f.buf, 0, 1, &op), &op), 0);
	assert_int_equal(nvio_await(nvio_ns_flush(f.ns, f.qp, &op), &op), 0);
}

#define TEST(test)      cmocka_unit_test_setup_teardown(test, fix_setup, fix_teardown)
#define CONNECTED(test) cmocka_unit_test_setup_teardown(test, fix_setup_connected, fix_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(io_is_split_at_the_limit_and_nowhere_else),
		CONNECTED(an_error_in_one_piece_is_the_ops_error_once),
		TEST(any_address_any_length_reaches_its_pages),
		CONNECTED(the_forms_of_prps),
		TEST(any_iovec_gathers_and_scatters),
		CONNECTED(bad_iovecs_are_refused),
		CONNECTED(flags_reach_the_command),
		CONNECTED(write_zeroes_takes_65536_blocks_a_command),
		CONNECTED(deallocate_tells_the_ranges),
		CONNECTED(flush_and_compare_look_like_this),
		TEST(commands_that_the_controller_has_not_are_refused),
		TEST(a_write_protected_namespace_is_only_read),
	};
	const char *seed = getenv("NVIO_SEED");

	prng = seed ? (uint32_t)strtoul(seed, NULL, 0) : (uint32_t)time(NULL);
	print_message("# seed: NVIO_SEED=%u\n", prng);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
