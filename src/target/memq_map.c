/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The data of a request: PRPs to iovec. Memory that is contiguous (over loop it mostly is) fits the request's own two
 * elements; what does not takes a large iovec from a pool of fixed size, and waits when all are out.
 */
#include "target/memq_hot.h"

#include <errno.h>

#include "base/alloc.h"
#include "base/fail.h"

#define MANY_CHUNKS 32u
#define FEW_CHUNKS  4u /* when each is large */

int memq_map_init(struct memq *m)
{
	uint32_t bytes = MIN(m->opts.ctrlr.max_transfer, TGT_MAX_TRANSFER);

	/* One more page than the data has: it may begin within one. */
	m->chunk_len = bytes / TGT_PAGE + 1;
	m->num_chunks = m->chunk_len > 4097 ? FEW_CHUNKS : MANY_CHUNKS;
	m->chunk_mem = alloc_array((size_t)m->num_chunks * m->chunk_len, sizeof(struct iovec));
	m->chunks = alloc_array(m->num_chunks, sizeof(*m->chunks));
	if (!m->chunk_mem || !m->chunks) {
		alloc_free(m->chunk_mem);
		alloc_free(m->chunks);
		m->chunk_mem = NULL;
		m->chunks = NULL;
		return fail(-ENOMEM, "target: no memory for transfers of %u bytes; choose a smaller mdts", bytes);
	}
	for (uint32_t i = 0; i < m->num_chunks; i++)
		m->chunks[i] = m->chunk_mem + (size_t)i * m->chunk_len;
	return 0;
}

void memq_map_free(struct memq *m, struct memq_req *q)
{
	m->chunks[m->num_chunks++] = q->chunk;
	q->chunk = NULL;
}

/* A request comes here again when it was executed anew: it keeps the large iovec it has. */
uint16_t memq_map_slowly(struct memq *m, struct memq_req *q, uint32_t len, bool to_host)
{
	const struct nvio_sqe *sqe = &q->r.sqe;
	uint64_t prp1 = nvio_get_le64(sqe->prp1), prp2 = nvio_get_le64(sqe->prp2);
	uint16_t sf;

	q->r.iov = q->r.iov_small;
	sf = prp_walk(&m->dma, prp1, prp2, len, to_host, q->r.iov_small, ARRAY_SIZE(q->r.iov_small), &q->r.iovcnt);
	if (likely(sf != PRP_MORE))
		return sf;
	if (!q->chunk) {
		if (!m->num_chunks) {
			q->r.state = MEMQ_REQ_IOV;
			list_push_back(&m->iov_wait, &q->r.link);
			return TGT_MAP_WAIT;
		}
		q->chunk = m->chunks[--m->num_chunks];
		q->r.rare |= TGT_RARE_CHUNK;
	}
	q->r.iov = q->chunk;
	sf = prp_walk(&m->dma, prp1, prp2, len, to_host, q->chunk, (int)m->chunk_len, &q->r.iovcnt);
	/* It holds the longest transfer there is. */
	invariant(sf != PRP_MORE);
	return sf;
}

uint16_t memq_map(struct tgt_req *r, uint32_t len, bool to_host)
{
	return memq_map_fast(r, len, to_host);
}

void memq_map_retry(struct memq *m)
{
	while (m->num_chunks && !list_empty(&m->iov_wait)) {
		struct tgt_req *r = list_entry(list_pop_front(&m->iov_wait), struct tgt_req, link);

		memq_run(container_of(r, struct memq_req, r));
	}
}
