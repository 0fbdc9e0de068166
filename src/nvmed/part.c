/* SPDX-License-Identifier: BSD-3-Clause */
/* Partitions: where number N lies, by the GPT (UEFI 2.10 section 5.3) or the four entries of an MBR. */
#include "priv.h"

#define GPT_ENTRIES_MAX 1024
#define MBR_ENTRIES     446
#define MBR_GPT         0xee

static int read_blocks(struct device *d, struct nvio_qpair *qp, void *buf, u64 lba, u32 count)
{
	struct nvio_op op = NVIO_OP(NULL);
	int rc = nvio_await(nvio_ns_read(d->ns, qp, buf, lba, count, &op), &op);

	return rc ? failed(-rc, "nvmed: open: partition table, block %llu: %s", (unsigned long long)lba, nvio_op_strerror(&op)) : 0;
}

static u32 le32(const u8 *p)
{
	return (u32)p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24;
}

static u64 le64(const u8 *p)
{
	return le32(p) | (u64)le32(p + 4) << 32;
}

static int none(int part)
{
	return failed(ENODEV, "nvmed: open: there is no partition %d", part);
}

static int find_gpt(struct device *d, struct nvio_qpair *qp, u8 *buf, int part, u64 *first, u64 *blocks)
{
	static const u8 zero[16];
	u32 bs = 1u << d->block_shift, count, size;
	const u8 *entry;
	u64 table, at, last;

	if (read_blocks(d, qp, buf, 1, 1))
		return -1;
	if (memcmp(buf, "EFI PART", 8))
		return failed(ENODEV, "nvmed: open: the GPT has no header");
	table = le64(buf + 72);
	count = le32(buf + 80);
	size = le32(buf + 84);
	if (size < 128 || size > bs || (size & (size - 1)) || count > GPT_ENTRIES_MAX)
		return failed(EINVAL, "nvmed: open: the GPT has %u entries of %u bytes", count, size);
	if ((u32)part > count)
		return none(part);
	at = (u64)(part - 1) * size;
	if (read_blocks(d, qp, buf, table + at / bs, 1))
		return -1;
	entry = buf + at % bs;
	*first = le64(entry + 32);
	last = le64(entry + 40);
	if (!memcmp(entry, zero, sizeof(zero)) || last < *first)
		return none(part);
	*blocks = last - *first + 1;
	return 0;
}

static int find(struct device *d, struct nvio_qpair *qp, u8 *buf, int part, u64 *first, u64 *blocks)
{
	const u8 *entry;

	if (read_blocks(d, qp, buf, 0, 1))
		return -1;
	if (buf[510] != 0x55 || buf[511] != 0xaa)
		return failed(ENODEV, "nvmed: open: the drive has no partition table");
	if (buf[MBR_ENTRIES + 4] == MBR_GPT)
		return find_gpt(d, qp, buf, part, first, blocks);
	if (part > 4)
		return none(part);
	entry = buf + MBR_ENTRIES + (part - 1) * 16;
	*first = le32(entry + 8);
	*blocks = le32(entry + 12);
	return entry[4] && *blocks ? 0 : none(part);
}

int part_find(struct device *d, int part, u64 *first, u64 *blocks)
{
	u64 total = nvio_ns_num_blocks(d->ns);
	struct nvio_qpair *qp;
	int rc = nvio_qpair_alloc(d->ctrlr, NULL, &qp);
	u8 *buf;

	if (rc)
		return failed_nvio(rc, "open: reading the partition table");
	buf = nvio_mem_alloc(d->env, PAGE_BYTES, 0);
	rc = buf ? find(d, qp, buf, part, first, blocks) : failed(ENOMEM, "nvmed: open: no memory for the partition table");
	nvio_mem_free(d->env, buf);
	nvio_qpair_free(qp);
	if (!rc && (*first >= total || *blocks > total - *first))
		return failed(EINVAL, "nvmed: open: partition %d lies beyond the end of the drive", part);
	return rc;
}
