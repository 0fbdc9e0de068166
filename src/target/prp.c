/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The PRP walker. Nothing it reads can be trusted: entries may be misaligned, lead nowhere, or change while we look, so
 * each is read once, and the length alone bounds the walk.
 */
#include "target/prp.h"

#include "base/compiler.h"
#include "target/target.h"

#define PRP_ENTRY 8u

struct walk {
	const struct tgt_dma *dma;
	bool to_host;
	struct iovec *iov;
	int max, count;
	uint32_t left;
};

/* Takes the page (or the rest of one) at `addr` as the next piece. */
static uint16_t take(struct walk *w, uint64_t addr)
{
	uint32_t n = MIN(w->left, TGT_PAGE - (uint32_t)(addr % TGT_PAGE));
	struct iovec *last;
	uint8_t *p;

	if (unlikely(!addr))
		return TGT_INVALID_FIELD;
	p = tgt_dma_map(w->dma, addr, n, w->to_host);
	if (unlikely(!p))
		return TGT_DNR(NVIO_SCT_GENERIC, NVIO_SC_DATA_TRANSFER_ERROR);
	w->left -= n;
	last = w->count ? &w->iov[w->count - 1] : NULL;
	if (last && (uint8_t *)last->iov_base + last->iov_len == p) {
		last->iov_len += n;
		return 0;
	}
	if (w->count == w->max)
		return PRP_MORE;
	w->iov[w->count++] = (struct iovec){ p, n };
	return 0;
}

/* What the list at `addr` leads to; its last entry leads to another list when one page of entries is not enough. */
static uint16_t take_list(struct walk *w, uint64_t addr)
{
	while (w->left) {
		uint32_t room = (TGT_PAGE - (uint32_t)(addr % TGT_PAGE)) / PRP_ENTRY, want = DIV_ROUND_UP(w->left, TGT_PAGE);
		uint32_t n = MIN(room, want);
		bool chained = want > room;
		const nvio_le64 *entry;

		if (!addr)
			return TGT_INVALID_FIELD;
		if (addr % PRP_ENTRY)
			return TGT_DNR(NVIO_SCT_GENERIC, NVIO_SC_INVALID_PRP_OFFSET);
		entry = tgt_dma_map(w->dma, addr, (uint64_t)n * PRP_ENTRY, false);
		if (!entry)
			return TGT_DNR(NVIO_SCT_GENERIC, NVIO_SC_DATA_TRANSFER_ERROR);
		for (uint32_t i = 0; i < n - chained; i++) {
			uint64_t page = nvio_get_le64(entry[i]);
			uint16_t sf;

			if (unlikely(page % TGT_PAGE))
				return TGT_DNR(NVIO_SCT_GENERIC, NVIO_SC_INVALID_PRP_OFFSET);
			sf = take(w, page);
			if (unlikely(sf))
				return sf;
		}
		if (chained) {
			addr = nvio_get_le64(entry[n - 1]);
			/*
			 * Only the first list may begin within a page. A list of one entry that chains to itself would
			 * move nothing, for ever: this refuses it.
			 */
			if (addr % TGT_PAGE)
				return TGT_DNR(NVIO_SCT_GENERIC, NVIO_SC_INVALID_PRP_OFFSET);
		}
	}
	return 0;
}

uint16_t prp_walk(const struct tgt_dma *dma, uint64_t prp1, uint64_t prp2, uint32_t len, bool to_host,
	struct iovec *iov, int max, int *count)
{
	struct walk w = { dma, to_host, iov, max, 0, len };
	uint16_t sf;

	if (prp1 % 4)
		return TGT_DNR(NVIO_SCT_GENERIC, NVIO_SC_INVALID_PRP_OFFSET);
	sf = take(&w, prp1);
	if (!sf && w.left) {
		if (w.left > TGT_PAGE)
			sf = take_list(&w, prp2);
		else if (prp2 % TGT_PAGE)
			sf = TGT_DNR(NVIO_SCT_GENERIC, NVIO_SC_INVALID_PRP_OFFSET);
		else
			sf = take(&w, prp2);
	}
	*count = w.count;
	return sf;
}
