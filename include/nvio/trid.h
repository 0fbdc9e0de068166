/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The transport id: how to reach a controller, as text (`trtype:PCIe traddr:0000:00:04.0`) and as a plain struct.
 */
#ifndef NVIO_TRID_H
#define NVIO_TRID_H

#include <stddef.h>

#include <nvio/compiler.h>

NVIO_BEGIN_DECLS

/* Values 1 to 254 are those of NVMe Base 2.0 (discovery log page, TRTYPE and ADRFAM). */
enum nvio_trtype {
	NVIO_TRTYPE_NONE = 0,
	NVIO_TRTYPE_RDMA = 1,
	NVIO_TRTYPE_FC = 2,
	NVIO_TRTYPE_TCP = 3,
	NVIO_TRTYPE_LOOP = 254,     /* Intra-host Transport */
	NVIO_TRTYPE_PCIE = 256,
	NVIO_TRTYPE_VFIOUSER = 1024,
};

enum nvio_adrfam {
	NVIO_ADRFAM_NONE = 0,
	NVIO_ADRFAM_IPV4 = 1,
	NVIO_ADRFAM_IPV6 = 2,
	NVIO_ADRFAM_HOST = 254,     /* intra-host */
};

#define NVIO_NQN_MAX     223 /* bytes without the NUL (NVMe Base 2.0 section 4.5) */
#define NVIO_TRADDR_MAX  256
#define NVIO_TRSVCID_MAX 32
#define NVIO_DISCOVERY_NQN "nqn.2014-08.org.nvmexpress.discovery"

struct nvio_trid {
	enum nvio_trtype trtype;
	enum nvio_adrfam adrfam;
	char traddr[NVIO_TRADDR_MAX + 1];
	char trsvcid[NVIO_TRSVCID_MAX + 1];
	char subnqn[NVIO_NQN_MAX + 1]; /* "": the discovery subsystem (fabrics) or whatever is there (PCIe, loop) */
};

/*
 * Parses `key:value` or `key=value` pairs separated by white space; keys (trtype, traddr, trsvcid, subnqn, adrfam) and types are
 * case-insensitive. Short forms: `loop:ADDRESS` (the rest of the text, spaces included) and a bare BDF (`0000:00:04.0`, `00:04.0`).
 * A TCP or RDMA traddr may be an IPv4 or IPv6 address or a host name. PCIe addresses are normalised to `dddd:bb:dd.f`.
 * 0; -EINVAL with the offending part in nvio_errmsg(); *trid is then unchanged. Any thread.
 */
NVIO_EXPORT int nvio_trid_parse(const char *text, struct nvio_trid *trid);

/* Writes the long form; returns its length without the NUL, as snprintf does (cut when `len` is too small). */
NVIO_EXPORT int nvio_trid_format(const struct nvio_trid *trid, char *buf, size_t len);

/* Makers; validated like parse. subnqn NULL or "": discovery. 0 or -EINVAL. */
NVIO_EXPORT int nvio_trid_pcie(struct nvio_trid *trid, const char *bdf);
NVIO_EXPORT int nvio_trid_loop(struct nvio_trid *trid, const char *name);
NVIO_EXPORT int nvio_trid_tcp(struct nvio_trid *trid, const char *addr, const char *port, const char *subnqn);
NVIO_EXPORT int nvio_trid_rdma(struct nvio_trid *trid, const char *addr, const char *port, const char *subnqn);

/* 0 when they lead to the same place (addresses and NQNs compared without case where the field has none), else <0 or >0: a total order. */
NVIO_EXPORT int nvio_trid_compare(const struct nvio_trid *a, const struct nvio_trid *b);

/* "PCIe", "TCP", "RDMA", "FC", "LOOP", "VFIOUSER"; "?" for others. */
NVIO_EXPORT const char *nvio_trtype_str(enum nvio_trtype trtype);

NVIO_END_DECLS

#endif
