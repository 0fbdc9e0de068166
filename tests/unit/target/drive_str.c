/* SPDX-License-Identifier: BSD-3-Clause */
/* Drives from a line of text: what is understood, what is refused and how it is told, and what becomes of files. */
#include "raw.h"

#include <sys/stat.h>
#include <unistd.h>

static void good_short_forms(void **state)
{
	static const struct {
		const char *form;
		uint64_t blocks; /* of namespace 1 */
		uint32_t num_ns, bs;
		uint8_t mdts;
	} cases[] = {
		{ "ram:1M", 2048, 1, 512, 8 },
		{ "ram:0x100000", 2048, 1, 512, 8 },
		{ "null:1T", 1ull << 31, 1, 512, 8 },
		{ "null:1T?untouched=1", 1ull << 31, 1, 512, 8 },
		{ "ram:64M?bs=4096", 16384, 1, 4096, 8 },
		{ "ram:64M?bs=4k&ns=4", 4096, 4, 4096, 8 },
		{ "ram:10M?ns=3", 6826, 3, 512, 8 },
		{ "ram:1M?mdts=0", 2048, 1, 512, 0 },
		{ "ram:1M?mdts=64k&queues=1&entries=2&stride=4&vwc=yes", 2048, 1, 512, 4 },
		{ "ram:1M?poll=thread", 2048, 1, 512, 8 },
		{ "ram:1M?iommu=0", 2048, 1, 512, 8 },
		{ "ram:1M?poll=inline&seed=1&ro=on", 2048, 1, 512, 8 },
		{ "ram:1M?model=50%25%20off&serial=%41", 2048, 1, 512, 8 },
		{ "ram:1M?fault=delay:us=1:p=0.5&fault=lose:skip=100000", 2048, 1, 512, 8 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_id_ns *ns;
		struct raw r;

		raw_init(&r, raw_env, cases[i].form);
		assert_string_equal(nvio_drive_name(r.drive), cases[i].form);
		raw_enable(&r);
		assert_int_equal(raw_identify(&r, NVIO_CNS_CTRLR, 0, 0, r.buf), 0);
		assert_int_equal(((struct nvio_id_ctrlr *)r.buf)->mdts, cases[i].mdts);
		assert_int_equal(nvio_get_le32(((struct nvio_id_ctrlr *)r.buf)->nn), cases[i].num_ns);
		ns = (void *)r.buf;
		assert_int_equal(raw_identify(&r, NVIO_CNS_NS, 1, 0, ns), 0);
		assert_int_equal(nvio_get_le64(ns->nsze), cases[i].blocks);
		assert_int_equal(1u << ns->lbaf[0].ds, cases[i].bs);
		raw_close(&r);
	}
}

static void bad_short_forms(void **state)
{
	static const struct {
		const char *form;
		int rc;
		const char *words;
	} cases[] = {
		{ "", -EINVAL, "path" },
		{ "?bs=512", -EINVAL, "path" },
		{ "ram:", -EINVAL, "size" },
		{ "ram:0", -EINVAL, "0" },
		{ "ram:-1", -EINVAL, "size" },
		{ "ram:1X", -EINVAL, "size" },
		{ "ram:99999999999P", -EINVAL, "size" },
		{ "ram:1000", -EINVAL, "1000" },
		{ "ram:1M?size=2M", -EINVAL, "twice" },
		{ "null:", -EINVAL, "size" },
		{ "ram:1M?speed=9", -EINVAL, "serial, model" },
		{ "ram:1M?BS=512", -EINVAL, "BS" },
		{ "ram:1M?bs", -EINVAL, "bs" },
		{ "ram:1M?bs=", -EINVAL, "bs" },
		{ "ram:1M?bs=x", -EINVAL, "drive: bs: \"x\"" },
		{ "ram:1M?size=x", -EINVAL, "drive: size: \"x\"" },
		{ "ram:1M?queues=4294967296", -EINVAL, "drive: queues: 4294967296" },
		{ "ram:1M?bs=1000", -EINVAL, "block size" },
		{ "ram:1M?bs=8192", -EINVAL, "block size" },
		{ "ram:1M?ns=0", -EINVAL, "ns" },
		{ "ram:1M?ns=65", -EINVAL, "drive: ns: 65" },
		{ "ram:4k?ns=64", -EINVAL, "few" },
		{ "ram:1M?serial=123456789012345678901", -EINVAL, "serial" },
		{ "ram:1M?serial=%0a", -EINVAL, "serial" },
		{ "ram:1M?serial=%zz", -EINVAL, "" },
		{ "ram:1M?serial=%00", -EINVAL, "" },
		{ "ram:1M?mdts=5000", -EINVAL, "mdts" },
		{ "ram:1M?mdts=8G", -EINVAL, "drive: mdts: 8G" },
		{ "ram:1M?queues=0", -EINVAL, "queues" },
		{ "ram:1M?entries=1", -EINVAL, "entries" },
		{ "ram:1M?stride=9", -EINVAL, "stride" },
		{ "ram:1M?vwc=perhaps", -EINVAL, "drive: vwc: " },
		{ "ram:1M?poll=often", -EINVAL, "poll" },
		{ "ram:1M?core=0", -EINVAL, "core" },
		{ "ram:1M?core=-1&poll=thread", -EINVAL, "drive: core: \"-1\"" },
		{ "ram:1M?ro=2", -EINVAL, "drive: ro: " },
		{ "ram:1M?engine=steam", -EINVAL, "engine" },
		{ "ram:1M?engine=threads", -EINVAL, "engine" },
		{ "ram:1M?direct=0", -EINVAL, "direct" },
		{ "ram:1M?untouched=1", -EINVAL, "untouched" },
		{ "ram:1M?iommu=perhaps", -EINVAL, "drive: iommu: " },
		{ "ram:1M?speed=9", -EINVAL, "untouched, iommu, seed" },
		{ "ram:1M?seed=x", -EINVAL, "drive: seed: \"x\"" },
		{ "ram:1M?fault=explode", -EINVAL, "explode" },
		{ "ram:1M?fault=delay:us=x", -EINVAL, "drive: fault: us: \"x\"" },
		{ "ram:1M?=1", -EINVAL, "" },
		{ "/tmp/no-such-image-of-nvio", -ENOENT, "no-such-image" },
		{ "/tmp/no-such-directory-of-nvio/image?size=1M", -ENOENT, "no-such-directory" },
		{ "/tmp", -EISDIR, "/tmp" },
		{ "/tmp/%", -EINVAL, "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nvio_drive *d;
		int rc = nvio_drive_open_str(raw_env, cases[i].form, &d);

		if (rc != cases[i].rc)
			fail_msg("\"%s\": %d: %s", cases[i].form, rc, nvio_errmsg());
		assert_errmsg(cases[i].words);
	}
	assert_int_equal(nvio_drive_open_str(raw_env, NULL, &(struct nvio_drive *){ NULL }), -EINVAL);
	assert_int_equal(nvio_thread_count(raw_env), 0);
}

static void files_are_made_found_and_numbered(void **state)
{
	char dir[] = "/tmp/nvio-target-XXXXXX", form[200], path[100], second[104];
	struct stat st;
	struct raw r;

	assert_non_null(mkdtemp(dir));
	/* '?' and '%' in a path are written as escapes. */
	snprintf(path, sizeof(path), "%s/a?b%%c", dir);
	snprintf(second, sizeof(second), "%s.2", path);
	snprintf(form, sizeof(form), "%s/a%%3fb%%25c?size=4M&ns=2", dir);
	raw_open(&r, raw_env, form);
	memset(r.buf, 0x21, 512);
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_WRITE, r.buf, 4095, 1), NULL), 0);
	raw_close(&r);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 2 << 20);
	assert_int_equal(stat(second, &st), 0);
	assert_int_equal(st.st_size, 2 << 20);
	/* Without a size both are as large as they are. */
	snprintf(form, sizeof(form), "%s/a%%3fb%%25c?ns=2&ro=1&engine=threads&direct=0", dir);
	raw_open(&r, raw_env, form);
	assert_int_equal(raw_do(&r, &r.io, raw_rw(NVIO_NVM_READ, r.buf, 4095, 1), NULL), 0);
	assert_int_equal(r.buf[511], 0x21);
	raw_close(&r);
	unlink(path);
	unlink(second);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RAW_TEST(good_short_forms),
		RAW_TEST(bad_short_forms),
		RAW_TEST(files_are_made_found_and_numbered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
