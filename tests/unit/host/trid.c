/* SPDX-License-Identifier: BSD-3-Clause */
/* Transport ids: what is taken, what is refused and why, and that what is written can be read again. */
#include "tests/support/unit.h"

#include <errno.h>

#include <nvio/trid.h>

#define N16(s)  s s s s s s s s s s s s s s s s
#define A16     "aaaaaaaaaaaaaaaa"
#define A255    N16("aaaaaaaaaaaaaaa") "aaaaaaaaaaaaaaa"
#define A256    N16(A16)
#define NQN223  "nqn.2014-08.org.nvmexpress:uuid" A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 /* 31 + 192 */

static void good_texts_are_taken_apart(void **state)
{
	static const struct {
		const char *text;
		enum nvio_trtype type;
		enum nvio_adrfam family;
		const char *traddr, *trsvcid, *subnqn;
	} cases[] = {
		{ "trtype:PCIe traddr:0000:00:04.0", NVIO_TRTYPE_PCIE, 0, "0000:00:04.0", "", "" },
		{ "TRTYPE=pcie TrAddr=0000:00:04.0", NVIO_TRTYPE_PCIE, 0, "0000:00:04.0", "", "" },
		{ "trtype:PCIe traddr:00:04.0", NVIO_TRTYPE_PCIE, 0, "0000:00:04.0", "", "" },
		{ "0000:00:04.0", NVIO_TRTYPE_PCIE, 0, "0000:00:04.0", "", "" },
		{ "00:04.0", NVIO_TRTYPE_PCIE, 0, "0000:00:04.0", "", "" },
		{ "0000:FF:1F.7", NVIO_TRTYPE_PCIE, 0, "0000:ff:1f.7", "", "" },
		{ "10000:01:00.0", NVIO_TRTYPE_PCIE, 0, "10000:01:00.0", "", "" },
		{ "ffffffff:ff:1f.7", NVIO_TRTYPE_PCIE, 0, "ffffffff:ff:1f.7", "", "" },
		{ " \t trtype:PCIe\r\ntraddr:01:00.0 \n", NVIO_TRTYPE_PCIE, 0, "0000:01:00.0", "", "" },
		{ "loop:disk.img", NVIO_TRTYPE_LOOP, 0, "disk.img", "", "" },
		{ "LOOP:my disk, 2.img ", NVIO_TRTYPE_LOOP, 0, "my disk, 2.img ", "", "" },
		{ "loop:ram:64M?bs=4096", NVIO_TRTYPE_LOOP, 0, "ram:64M?bs=4096", "", "" },
		{ "loop:trtype:TCP", NVIO_TRTYPE_LOOP, 0, "trtype:TCP", "", "" },
		{ "loop:" A256, NVIO_TRTYPE_LOOP, 0, A256, "", "" },
		{ "trtype:loop traddr:ram:1G", NVIO_TRTYPE_LOOP, 0, "ram:1G", "", "" },
		{ "trtype:loop traddr:a=b:c adrfam:intra_host subnqn:" NQN223, NVIO_TRTYPE_LOOP, NVIO_ADRFAM_HOST, "a=b:c", "",
			NQN223 },
		{ "trtype:TCP traddr:127.0.0.1 trsvcid:4420 subnqn:nqn.x", NVIO_TRTYPE_TCP, NVIO_ADRFAM_IPV4, "127.0.0.1",
			"4420", "nqn.x" },
		{ "trtype:tcp adrfam:ipv4 traddr:10.0.0.255 trsvcid:0", NVIO_TRTYPE_TCP, NVIO_ADRFAM_IPV4, "10.0.0.255", "0", "" },
		{ "trtype:tcp traddr:::1 trsvcid:65535", NVIO_TRTYPE_TCP, NVIO_ADRFAM_IPV6, "::1", "65535", "" },
		{ "trtype:tcp adrfam:IPv6 traddr:fe80::1%eth0", NVIO_TRTYPE_TCP, NVIO_ADRFAM_IPV6, "fe80::1%eth0", "", "" },
		{ "trtype:tcp traddr:::ffff:1.2.3.4", NVIO_TRTYPE_TCP, NVIO_ADRFAM_IPV6, "::ffff:1.2.3.4", "", "" },
		{ "trtype:tcp traddr:storage-1.example.org trsvcid:8009", NVIO_TRTYPE_TCP, NVIO_ADRFAM_IPV4,
			"storage-1.example.org", "8009", "" },
		{ "trtype:tcp adrfam:ipv6 traddr:storage", NVIO_TRTYPE_TCP, NVIO_ADRFAM_IPV6, "storage", "", "" },
		{ "trtype:RDMA traddr:10.1.1.1", NVIO_TRTYPE_RDMA, NVIO_ADRFAM_IPV4, "10.1.1.1", "", "" },
		{ "trtype:fc traddr:nn-0x1:pn-0x2", NVIO_TRTYPE_FC, 0, "nn-0x1:pn-0x2", "", "" },
		{ "trtype:vfiouser traddr:/run/nvme", NVIO_TRTYPE_VFIOUSER, 0, "/run/nvme", "", "" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nvio_trid t;

		if (nvio_trid_parse(cases[i].text, &t))
			fail_msg("%s: %s", cases[i].text, nvio_errmsg());
		assert_int_equal(t.trtype, cases[i].type);
		assert_int_equal(t.adrfam, cases[i].family);
		assert_string_equal(t.traddr, cases[i].traddr);
		assert_string_equal(t.trsvcid, cases[i].trsvcid);
		assert_string_equal(t.subnqn, cases[i].subnqn);
	}
}

static const struct {
	const char *text, *words;
} bad[] = {
	{ "", "trtype" },
	{ "   \n", "trtype" },
	{ "hello", "hello" },
	{ "traddr:0000:00:04.0", "trtype" },
	{ "trtype:", "trtype" },
	{ "trtype:PCIe traddr:", "traddr" },
	{ "trtype: PCIe", "trtype" },
	{ "trtype:NVMe traddr:x", "NVMe" },
	{ "trtype:PCI traddr:00:04.0", "PCI" },
	{ "trtype:PCIe", "PCI address" },
	{ "trtype:PCIe traddr:0000:00:20.0", "0000:00:20.0" },
	{ "trtype:PCIe traddr:0000:00:04.8", "0000:00:04.8" },
	{ "trtype:PCIe traddr:0000:00:04.", "0000:00:04." },
	{ "trtype:PCIe traddr:0000:00:04.0x", "0000:00:04.0x" },
	{ "trtype:PCIe traddr:0000:100:04.0", "0000:100:04.0" },
	{ "trtype:PCIe traddr:123456789:00:04.0", "123456789" },
	{ "trtype:PCIe traddr:-1:00:04.0", "-1:00" },
	{ "trtype:PCIe traddr:0x1:00:04.0", "0x1" },
	{ "trtype:PCIe traddr:04.0", "04.0" },
	{ "00:04.0 ", "key '00'" },
	{ "0000:00:04", "0000" },
	{ "trtype:PCIe trtype:PCIe traddr:00:04.0", "twice" },
	{ "trtype:PCIe traddr:00:04.0 TRADDR:00:04.0", "twice" },
	{ "trtype:PCIe traddr:00:04.0 colour:red", "colour" },
	{ "trtype:PCIe traddr:00:04.0 junk", "junk" },
	{ "trtype:PCIe :00:04.0", "key" },
	{ "trtype:PCIe traddr :00:04.0", "traddr" },
	{ "loop:", "traddr" },
	{ "loop:" A256 "a", "257" },
	{ "loop:a\tb", "control" },
	{ "loop:a\x7f", "control" },
	{ "loop:a\n", "control" },
	{ "trtype:LOOP traddr:a\vb", "control" },
	{ "trtype:LOOP traddr:" A256 "a", "257" },
	{ "trtype:LOOP traddr:a subnqn:" NQN223 "a", "224" },
	{ "trtype:LOOP traddr:a trsvcid:" A16 A16 "a", "33" },
	{ "trtype:TCP", "traddr" },
	{ "trtype:TCP trsvcid:4420", "traddr" },
	{ "trtype:TCP traddr:1.2.3.4 trsvcid:65536", "65536" },
	{ "trtype:TCP traddr:1.2.3.4 trsvcid:100000", "100000" },
	{ "trtype:TCP traddr:1.2.3.4 trsvcid:http", "http" },
	{ "trtype:TCP traddr:1.2.3.4 trsvcid:-1", "-1" },
	{ "trtype:TCP traddr:256.2.3.4", "256.2.3.4" },
	{ "trtype:TCP traddr:1.2.3", "1.2.3" },
	{ "trtype:TCP traddr:1.2.3.4.5", "1.2.3.4.5" },
	{ "trtype:TCP traddr:-host", "-host" },
	{ "trtype:TCP traddr:host-", "host-" },
	{ "trtype:TCP traddr:.host", ".host" },
	{ "trtype:TCP traddr:ho/st", "ho/st" },
	{ "trtype:TCP traddr:[::1]", "[::1]" },
	{ "trtype:TCP traddr:g::1", "g::1" },
	{ "trtype:TCP traddr:fe80::1%", "fe80" },
	{ "trtype:TCP traddr:" A255, "aaaa" },
	{ "trtype:TCP traddr:::1 adrfam:IPv4", "::1" },
	{ "trtype:TCP traddr:1.2.3.4 adrfam:IPv6", "1.2.3.4" },
	{ "trtype:TCP traddr:1.2.3.4 adrfam:Intra_host", "1.2.3.4" },
	{ "trtype:TCP traddr:1.2.3.4 adrfam:IPv5", "IPv5" },
};

static void bad_texts_are_refused_with_the_offending_part(void **state)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct nvio_trid t, was;

		memset(&t, 0x5a, sizeof(t));
		was = t;
		if (nvio_trid_parse(bad[i].text, &t) != -EINVAL)
			fail_msg("%s: not refused", bad[i].text);
		assert_memory_equal(&t, &was, sizeof(t));
		assert_errmsg("trid: ");
		assert_errmsg(bad[i].words);
	}
}

static void null_is_refused(void **state)
{
	struct nvio_trid t;

	assert_int_equal(nvio_trid_parse(NULL, &t), -EINVAL);
	assert_int_equal(nvio_trid_parse("loop:a", NULL), -EINVAL);
	assert_int_equal(nvio_trid_loop(NULL, "a"), -EINVAL);
	assert_int_equal(nvio_trid_loop(&t, NULL), -EINVAL);
}

static void what_is_written_can_be_read_again(void **state)
{
	static const char *const texts[] = {
		"trtype:PCIe traddr:10000:00:04.0",
		"trtype:LOOP traddr:disk.img",
		"loop:my disk.img",
		"trtype:LOOP adrfam:Intra_host traddr:a subnqn:" NQN223,
		"trtype:TCP adrfam:IPv4 traddr:127.0.0.1 trsvcid:4420 subnqn:nqn.x",
		"trtype:RDMA adrfam:IPv6 traddr:::1 trsvcid:4420",
		"trtype:FC traddr:nn-0x1:pn-0x2 subnqn:nqn.x",
		"trtype:VFIOUSER traddr:/run/nvme",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char text[1024], small[8];
		struct nvio_trid t, again;
		int len;

		assert_int_equal(nvio_trid_parse(texts[i], &t), 0);
		len = nvio_trid_format(&t, text, sizeof(text));
		assert_string_equal(text, texts[i]);
		assert_int_equal(len, strlen(texts[i]));
		assert_int_equal(nvio_trid_parse(text, &again), 0);
		assert_memory_equal(&t, &again, sizeof(t));
		/* Cut like snprintf. */
		assert_int_equal(nvio_trid_format(&t, small, sizeof(small)), len);
		assert_memory_equal(small, texts[i], 7);
		assert_int_equal(small[7], 0);
		assert_int_equal(nvio_trid_format(&t, NULL, 0), len);
	}
}

static void makers_validate_like_parse(void **state)
{
	struct nvio_trid t, parsed, was;

	assert_int_equal(nvio_trid_pcie(&t, "00:04.0"), 0);
	assert_int_equal(nvio_trid_parse("00:04.0", &parsed), 0);
	assert_memory_equal(&t, &parsed, sizeof(t));
	assert_int_equal(nvio_trid_loop(&t, "my disk"), 0);
	assert_int_equal(nvio_trid_parse("loop:my disk", &parsed), 0);
	assert_memory_equal(&t, &parsed, sizeof(t));
	assert_int_equal(nvio_trid_tcp(&t, "::1", "4420", NULL), 0);
	assert_int_equal(nvio_trid_parse("trtype:tcp traddr:::1 trsvcid:4420", &parsed), 0);
	assert_memory_equal(&t, &parsed, sizeof(t));
	assert_int_equal(nvio_trid_rdma(&t, "1.2.3.4", NULL, ""), 0);
	assert_int_equal(nvio_trid_parse("trtype:rdma traddr:1.2.3.4", &parsed), 0);
	assert_memory_equal(&t, &parsed, sizeof(t));

	was = t;
	assert_int_equal(nvio_trid_pcie(&t, "00:04"), -EINVAL);
	assert_int_equal(nvio_trid_loop(&t, ""), -EINVAL);
	assert_int_equal(nvio_trid_loop(&t, A256 "a"), -EINVAL);
	assert_int_equal(nvio_trid_tcp(&t, "1.2.3.4", "x", "nqn"), -EINVAL);
	assert_int_equal(nvio_trid_tcp(&t, "1.2.3.4", "1", NQN223 "a"), -EINVAL);
	assert_int_equal(nvio_trid_rdma(&t, "", "1", "nqn"), -EINVAL);
	assert_memory_equal(&t, &was, sizeof(t));
}

static int compare(const char *a, const char *b)
{
	struct nvio_trid ta, tb;
	int d;

	assert_int_equal(nvio_trid_parse(a, &ta), 0);
	assert_int_equal(nvio_trid_parse(b, &tb), 0);
	d = nvio_trid_compare(&ta, &tb);
	/* A total order. */
	assert_int_equal(nvio_trid_compare(&ta, &ta), 0);
	assert_int_equal((d > 0) - (d < 0), -((nvio_trid_compare(&tb, &ta) > 0) - (nvio_trid_compare(&tb, &ta) < 0)));
	return d;
}

static void comparison_says_whether_it_is_the_same_place(void **state)
{
	assert_int_equal(compare("00:04.0", "trtype:PCIe traddr:0000:00:04.0"), 0);
	assert_int_equal(compare("0000:AA:04.0", "0000:aa:04.0"), 0);
	assert_int_not_equal(compare("00:04.0", "00:04.1"), 0);
	assert_int_not_equal(compare("00:04.0", "loop:00:04.0"), 0);
	assert_int_equal(compare("loop:disk", "trtype:loop traddr:disk"), 0);
	assert_int_not_equal(compare("loop:disk", "loop:Disk"), 0);
	assert_int_equal(compare("trtype:tcp traddr:Host", "trtype:tcp traddr:host"), 0);
	assert_int_equal(compare("trtype:tcp traddr:FE80::1", "trtype:tcp traddr:fe80::1"), 0);
	assert_int_not_equal(compare("trtype:tcp traddr:a trsvcid:1", "trtype:tcp traddr:a trsvcid:2"), 0);
	assert_int_not_equal(compare("trtype:tcp traddr:a subnqn:n", "trtype:tcp traddr:a subnqn:m"), 0);
	assert_int_equal(compare("trtype:tcp traddr:a", "trtype:tcp traddr:a subnqn:" NVIO_DISCOVERY_NQN), 0);
	assert_int_not_equal(compare("loop:a", "trtype:loop traddr:a subnqn:" NVIO_DISCOVERY_NQN), 0);
	assert_true(compare("trtype:tcp traddr:a", "trtype:tcp traddr:b") < 0);
}

static void every_type_has_a_name(void **state)
{
	assert_string_equal(nvio_trtype_str(NVIO_TRTYPE_PCIE), "PCIe");
	assert_string_equal(nvio_trtype_str(NVIO_TRTYPE_TCP), "TCP");
	assert_string_equal(nvio_trtype_str(NVIO_TRTYPE_RDMA), "RDMA");
	assert_string_equal(nvio_trtype_str(NVIO_TRTYPE_FC), "FC");
	assert_string_equal(nvio_trtype_str(NVIO_TRTYPE_LOOP), "LOOP");
	assert_string_equal(nvio_trtype_str(NVIO_TRTYPE_VFIOUSER), "VFIOUSER");
	assert_string_equal(nvio_trtype_str(NVIO_TRTYPE_NONE), "?");
	assert_string_equal(nvio_trtype_str((enum nvio_trtype)99), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_texts_are_taken_apart),
		cmocka_unit_test(bad_texts_are_refused_with_the_offending_part),
		cmocka_unit_test(null_is_refused),
		cmocka_unit_test(what_is_written_can_be_read_again),
		cmocka_unit_test(makers_validate_like_parse),
		cmocka_unit_test(comparison_says_whether_it_is_the_same_place),
		cmocka_unit_test(every_type_has_a_name),
	};

	_Static_assert(sizeof(NQN223) == NVIO_NQN_MAX + 1, "at the limit");
	_Static_assert(sizeof(A256) == NVIO_TRADDR_MAX + 1, "at the limit");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
