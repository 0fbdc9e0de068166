/* SPDX-License-Identifier: BSD-3-Clause */
/* PRPs: the walker on its own over a small arena, and through commands of a drive. */
#include "raw.h"

#include "target/prp.h"

#define ARENA_PAGES 1100u
#define ARENA_BASE  0x100000ull /* device address of the arena */
#define WALK_MAX    64

static uint8_t *arena;

static void *arena_map(void *ctx, uint64_t addr, uint64_t len, bool write)
{
	uint64_t size = ARENA_PAGES * (uint64_t)RAW_PAGE;

	if (addr < ARENA_BASE || addr - ARENA_BASE > size || len > size - (addr - ARENA_BASE))
		return NULL;
	return arena + (addr - ARENA_BASE);
}

static const struct tgt_dma_ops arena_ops = { .map = arena_map };
static const struct tgt_dma dma = { .ops = &arena_ops };

#define PG(n)     (ARENA_BASE + (n) * (uint64_t)RAW_PAGE)
#define BEYOND    PG(ARENA_PAGES)
#define OFFSET    RAW_GENERIC(INVALID_PRP_OFFSET)
#define TRANSFER  RAW_GENERIC(DATA_TRANSFER_ERROR)
#define FIELD     RAW_GENERIC(INVALID_FIELD)

static void put_list(uint32_t page, uint32_t first, const uint64_t *entries, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		nvio_le64 v = nvio_to_le64(entries[i]);

		memcpy(arena + page * RAW_PAGE + (first + i) * 8, &v, 8);
	}
}

static void walks_and_refusals(void **state)
{
	/* Lists: page 100: pages 10, 12, 14, 15; page 101: a misaligned one; 102: one beyond; 103: 0; the end of 104 chains to 100. */
	static const uint64_t list100[] = { PG(10), PG(12), PG(14), PG(15) }, list101[] = { PG(10), PG(12) + 8 };
	static const uint64_t list102[] = { PG(10), BEYOND }, list103[] = { PG(10), 0 }, list104[] = { PG(20), PG(100) };
	static const uint64_t list105[] = { PG(20), PG(100) + 8 }, list106[] = { PG(20), 0 }, list107[] = { PG(20), BEYOND };
	static const struct {
		const char *what;
		uint64_t prp1, prp2;
		uint32_t len;
		uint16_t sf;
		int count;
		uint32_t lens[4];
	} cases[] = {
		{ "one page", PG(1), 0, 4096, 0, 1, { 4096 } },
		{ "a part of one", PG(1) + 512, 0, 512, 0, 1, { 512 } },
		{ "to the end of one", PG(1) + 3584, 0, 512, 0, 1, { 512 } },
		{ "two that touch", PG(1), PG(2), 8192, 0, 1, { 8192 } },
		{ "two apart", PG(1), PG(3), 8192, 0, 2, { 4096, 4096 } },
		{ "across a boundary", PG(1) + 4000, PG(3), 4096, 0, 2, { 96, 4000 } },
		{ "a list", PG(9), PG(100), 5 * 4096, 0, 3, { 8192, 4096, 8192 } },
		{ "a list with the last page in part", PG(9) + 1024, PG(100), 3 * 4096, 0, 3, { 3072 + 4096, 4096, 1024 } },
		{ "a list that begins within its page", PG(9), PG(100) + 16, 3 * 4096, 0, 2, { 4096, 8192 } },
		{ "a list that chains", PG(19), PG(105) - 16, 4 * 4096, 0, 3, { 8192, 4096, 4096 } },
		{ "PRP1 not of dwords", PG(1) + 2, 0, 512, OFFSET, 0, { 0 } },
		{ "PRP1 of 0", 0, 0, 512, FIELD, 0, { 0 } },
		{ "PRP1 below memory", 0x1000, 0, 512, TRANSFER, 0, { 0 } },
		{ "PRP1 beyond memory", BEYOND, 0, 512, TRANSFER, 0, { 0 } },
		{ "PRP1 at the end of the address space", UINT64_MAX - 511, 0, 512, TRANSFER, 0, { 0 } },
		{ "PRP2 with an offset", PG(1), PG(3) + 512, 8192, OFFSET, 0, { 0 } },
		{ "PRP2 of 0", PG(1), 0, 8192, FIELD, 0, { 0 } },
		{ "PRP2 beyond memory", PG(1), BEYOND, 8192, TRANSFER, 0, { 0 } },
		{ "a list not of 8 bytes", PG(1), PG(100) + 4, 3 * 4096, OFFSET, 0, { 0 } },
		{ "a list at 0", PG(1), 0, 3 * 4096, FIELD, 0, { 0 } },
		{ "a list beyond memory", PG(1), BEYOND, 3 * 4096, TRANSFER, 0, { 0 } },
		{ "an entry with an offset", PG(1), PG(101), 3 * 4096, OFFSET, 0, { 0 } },
		{ "an entry beyond memory", PG(1), PG(102), 3 * 4096, TRANSFER, 0, { 0 } },
		{ "an entry of 0", PG(1), PG(103), 3 * 4096, FIELD, 0, { 0 } },
		{ "a chain into the middle of a page", PG(1), PG(106) - 16, 4 * 4096, OFFSET, 0, { 0 } },
		{ "a chain to 0", PG(1), PG(107) - 16, 4 * 4096, FIELD, 0, { 0 } },
		{ "a chain beyond memory", PG(1), PG(108) - 16, 4 * 4096, TRANSFER, 0, { 0 } },
	};

	arena = raw_pages(ARENA_PAGES);
	put_list(100, 0, list100, 4);
	put_list(101, 0, list101, 2);
	put_list(102, 0, list102, 2);
	put_list(103, 0, list103, 2);
	put_list(104, 510, list104, 2);
	put_list(105, 510, list105, 2);
	put_list(106, 510, list106, 2);
	put_list(107, 510, list107, 2);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct iovec iov[WALK_MAX];
		int count = 0;
		uint16_t sf = prp_walk(&dma, cases[i].prp1, cases[i].prp2, cases[i].len, true, iov, WALK_MAX, &count);

		if (sf != cases[i].sf || (!sf && count != cases[i].count))
			fail_msg("%s: 0x%x, %d pieces", cases[i].what, sf, count);
		for (int k = 0; !sf && k < count; k++)
			if (iov[k].iov_len != cases[i].lens[k])
				fail_msg("%s: piece %d has %zu bytes", cases[i].what, k, iov[k].iov_len);
	}
	free(arena);
}

static void too_many_pieces_are_told(void **state)
{
	struct iovec iov[2];
	int count;

	arena = raw_pages(ARENA_PAGES);
	put_list(100, 0, (uint64_t[]){ PG(3), PG(5), PG(7) }, 3);
	assert_int_equal(prp_walk(&dma, PG(1), PG(100), 4 * 4096, true, iov, 2, &count), PRP_MORE);
	free(arena);
}

static void random_lists_end(void **state)
{
	struct random rnd;

	random_init(&rnd, 11);
	arena = raw_pages(ARENA_PAGES);
	for (int round = 0; round < 2000; round++) {
		struct iovec iov[600];
		uint32_t len = (uint32_t)random_below(&rnd, 512) * 4096 + 512;
		size_t total = 0;
		int count = 0;
		uint16_t sf;

		/* Every page a list of entries that lead into the arena, chains to anywhere included. */
		for (int i = 0; i < 400; i++) {
			uint64_t v = random_below(&rnd, 50) ? PG(random_below(&rnd, 64)) : random_u64(&rnd);

			put_list((uint32_t)random_below(&rnd, 64), (uint32_t)random_below(&rnd, 512), &v, 1);
		}
		sf = prp_walk(&dma, PG(random_below(&rnd, 64)), PG(random_below(&rnd, 64)), len, true, iov, 600, &count);
		for (int i = 0; !sf && i < count; i++) {
			assert_true((uint8_t *)iov[i].iov_base >= arena);
			assert_true((uint8_t *)iov[i].iov_base + iov[i].iov_len <= arena + ARENA_PAGES * RAW_PAGE);
			total += iov[i].iov_len;
		}
		if (!sf)
			assert_int_equal(total, len);
	}
	free(arena);
}

static void bad_prps_fail_the_command_alone(void **state)
{
	static const struct {
		uint64_t prp1, prp2;
		uint32_t nlb;
		uint16_t sf;
	} cases[] = {
		{ 0, 0, 1, FIELD },
		{ 0x8000, 0, 1, TRANSFER },
		{ 0xffffffffffffe000, 0, 1, TRANSFER },
		{ 0x7f00000000000000ull << 1, 0, 8, TRANSFER },
		{ 1, 0, 1, OFFSET },
	};
	struct raw r;

	raw_open(&r, raw_env, "ram:1M");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_sqe s = raw_rw(NVIO_NVM_READ, NULL, 0, cases[i].nlb);

		s.prp1 = nvio_to_le64(cases[i].prp1);
		s.prp2 = nvio_to_le64(cases[i].prp2);
		assert_int_equal(raw_do(&r, &r.io, s, NULL), cases[i].sf);
	}
	assert_int_equal(raw_do(&r, &r.admin, raw_dws(raw_cmd(NVIO_ADMIN_IDENTIFY, 0, (void *)0x800), 1, 0, 0), NULL),
		TRANSFER);
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 0, 1), NULL), 0);
	raw_close(&r);
}

/* Pages in the wrong order, so that nothing merges; more commands at once than there are large iovecs. */
static void scattered_transfers_wait_for_each_other(void **state)
{
	enum { PAGES = 8, CMDS = 60 };
	nvio_le64 *lists = raw_pages(CMDS);
	struct nvio_cqe cqe = { 0 };
	struct raw r;

	raw_open(&r, raw_env, "ram:4M?mdts=64k&poll=thread");
	for (uint32_t i = 0; i < PAGES * CMDS * RAW_PAGE; i++)
		r.buf[i] = (uint8_t)(i / RAW_PAGE * 3 + i);
	for (int opc = NVIO_NVM_WRITE; opc <= NVIO_NVM_READ; opc++) {
		for (uint32_t c = 0; c < CMDS; c++) {
			uint8_t *data = r.buf + (size_t)c * PAGES * RAW_PAGE;
			struct nvio_sqe s = raw_rw((uint8_t)opc, data + (PAGES - 1) * RAW_PAGE, c * PAGES * 8, PAGES * 8);
			nvio_le64 *list = lists + c * 512;

			for (int p = 1; p < PAGES; p++)
				list[p - 1] = nvio_to_le64((uintptr_t)data + (uint32_t)(PAGES - 1 - p) * RAW_PAGE);
			s.prp2 = nvio_to_le64((uintptr_t)list);
			raw_put(&r, &r.io, s);
		}
		raw_ring(&r, &r.io);
		for (int c = 0; c < CMDS; c++) {
			assert_true(raw_wait(&r, &r.io, &cqe));
			assert_int_equal(raw_sf(&cqe), 0);
		}
		for (uint32_t i = 0; i < PAGES * CMDS * RAW_PAGE; i++)
			assert_int_equal(r.buf[i], (uint8_t)(i / RAW_PAGE * 3 + i));
		if (opc == NVIO_NVM_WRITE) {
			/* On the medium the order is that of the PRPs. */
			uint8_t *page = raw_pages(1);

			assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, page, 0, 8), NULL), 0);
			assert_memory_equal(page, r.buf + (PAGES - 1) * RAW_PAGE, RAW_PAGE);
			free(page);
		}
	}
	raw_close(&r);
	free(lists);
}

static void the_largest_transfer_without_a_limit(void **state)
{
	enum { BYTES = 2097152 };
	nvio_le64 *lists = raw_pages(2);
	uint8_t *data = raw_pages(BYTES / RAW_PAGE + 1);
	struct nvio_sqe s;
	struct raw r;

	raw_open(&r, raw_env, "ram:8M?mdts=0");
	for (uint32_t i = 0; i < BYTES; i++)
		data[i + 512] = (uint8_t)(i ^ i >> 9);
	/* 513 pages, as it begins within one: 511 in the first list page, then a chain. */
	s = raw_rw(NVIO_NVM_WRITE, data + 512, 1, BYTES / 512);
	for (uint32_t p = 0; p < 511; p++)
		lists[p] = nvio_to_le64((uintptr_t)data + (p + 1) * (uint64_t)RAW_PAGE);
	lists[511] = nvio_to_le64((uintptr_t)(lists + 512));
	lists[512] = nvio_to_le64((uintptr_t)data + 512 * (uint64_t)RAW_PAGE);
	s.prp2 = nvio_to_le64((uintptr_t)lists);
	assert_int_equal(raw_do(&r, &r.io, s, NULL), 0);
	memset(data, 0, BYTES);
	s.opc = NVIO_NVM_READ;
	assert_int_equal(raw_do(&r, &r.io, s, NULL), 0);
	for (uint32_t i = 0; i < BYTES; i++)
		assert_int_equal(data[i + 512], (uint8_t)(i ^ i >> 9));
	raw_close(&r);
	free(lists);
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(walks_and_refusals),
		cmocka_unit_test(too_many_pieces_are_told),
		cmocka_unit_test(random_lists_end),
		RAW_TEST(bad_prps_fail_the_command_alone),
		RAW_TEST(scattered_transfers_wait_for_each_other),
		RAW_TEST(the_largest_transfer_without_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
