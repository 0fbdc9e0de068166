/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Physical region pages (NVMe Base 2.0 section 4.1.1): the data pointer of commands beyond two pages, or whose memory is
 * translated page by page. One list page reaches 2 MiB at any alignment, and a command never moves more.
 */
#include "host/pcie/mq.h"

#define PRPS_PER_PAGE (HOST_PAGE / 8)

/* Collects the pages of one command: the first into PRP1, a second into PRP2, more into the slot's page. */
struct prp_builder {
	struct mq *mq;
	uint64_t prp1, second;
	uint64_t *list;
	uint32_t count; /* pages so far */
};

static int prp_add(struct prp_builder *b, uint64_t iova)
{
	if (b->count == 0) {
		b->prp1 = iova;
	} else {
		if (b->count == 1)
			b->second = iova;
		if (b->count > PRPS_PER_PAGE)
			return fail(-EFAULT, "prp: a command of more than %u pages; this is a defect in nvio", PRPS_PER_PAGE + 1);
		if (b->count >= 2) {
			if (b->count == 2)
				b->list[0] = NVIO_LE_SWAP(64, b->second);
			b->list[b->count - 1] = NVIO_LE_SWAP(64, iova);
		}
	}
	b->count++;
	return 0;
}

static int prp_add_range(struct prp_builder *b, const uint8_t *p, uint64_t len)
{
	while (len) {
		uint64_t n = HOST_PAGE - ((uintptr_t)p & (HOST_PAGE - 1));
		uint64_t iova = (uintptr_t)p;
		size_t contig;
		int rc;

		/* Memory is mapped in whole pages, so what reaches the page's first byte that counts reaches them all. */
		if (n > len)
			n = len;
		if (!b->mq->identity && !mem_cache_hit(&b->mq->cache, (uintptr_t)p, n, &iova)) {
			rc = mem_cache_find(&b->mq->cache, p, &iova, &contig);
			if (rc)
				return rc;
		}
		rc = prp_add(b, iova);
		if (rc)
			return rc;
		p += n;
		len -= n;
	}
	return 0;
}

static void prp_finish(const struct prp_builder *b, uint8_t *sqe, unsigned slot)
{
	uint64_t prp2 = b->count < 2 ? 0 : b->count == 2 ? b->second : mq_slot_page(b->mq, slot);
	uint64_t v = NVIO_LE_SWAP(64, b->prp1);

	memcpy(sqe + offsetof(struct nvio_sqe, prp1), &v, 8);
	v = NVIO_LE_SWAP(64, prp2);
	memcpy(sqe + offsetof(struct nvio_sqe, prp2), &v, 8);
}

static struct prp_builder prp_begin(struct mq *mq, unsigned slot)
{
	return (struct prp_builder){ .mq = mq, .list = (uint64_t *)(void *)(mq->pages + (size_t)slot * HOST_PAGE) };
}

int prp_fill(struct mq *mq, uint8_t *sqe, const void *buf, uint32_t len, unsigned slot)
{
	struct prp_builder b = prp_begin(mq, slot);
	int rc = prp_add_range(&b, buf, len);

	if (!rc)
		prp_finish(&b, sqe, slot);
	return rc;
}

int prp_fill_iov(struct mq *mq, uint8_t *sqe, const struct iovec *iov, uint64_t skip, uint32_t len, unsigned slot)
{
	struct prp_builder b = prp_begin(mq, slot);

	for (uint64_t left = len; left; iov++) {
		uint64_t n;
		int rc;

		if (skip >= iov->iov_len) {
			skip -= iov->iov_len;
			continue;
		}
		n = MIN((uint64_t)iov->iov_len - skip, left);
		rc = prp_add_range(&b, (const uint8_t *)iov->iov_base + skip, n);
		if (rc)
			return rc;
		skip = 0;
		left -= n;
	}
	prp_finish(&b, sqe, slot);
	return 0;
}
