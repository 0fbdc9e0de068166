/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The specification's numbers in its own words, for messages and reports, and NVMe status as an errno. None
 * of these functions returns NULL, whatever it is given; the texts are constant and live as long as the
 * program. Any thread.
 */
#ifndef NVIO_SPEC_WORDS_H
#define NVIO_SPEC_WORDS_H

#include <stdint.h>

#include <nvio/compiler.h>

NVIO_BEGIN_DECLS

/*
 * A status field (as cpl.sf: without the phase tag; CRD, M and DNR do not matter) in the words of NVMe Base
 * 2.0 section 3.3.3.2.1, "LBA Out of Range"; codes of SCT 1 from 80h are taken as the NVM command set's. A
 * code without a meaning is "vendor specific" or "reserved".
 */
NVIO_EXPORT const char *nvio_status_str(uint16_t sf);

/* Its type: "generic", "command specific", "media error", "path error", "vendor specific" or "reserved". */
NVIO_EXPORT const char *nvio_sct_str(uint16_t sf);

/*
 * A status field as 0 or -errno; one without a better word is -EIO. Never -EINPROGRESS and never
 * -ETIMEDOUT: those mean something of their own in op.status.
 *
 *  0            success
 *  -EINVAL      a field, queue, SGL, PRP, format or list is invalid, or contradicts another
 *  -EOPNOTSUPP  the opcode, log page, command set or feature property is not supported
 *  -ENODEV      no such namespace; path: access to it is lost for good
 *  -ENOENT      the namespace is not attached
 *  -EEXIST      the namespace is attached already
 *  -ERANGE      block address out of range
 *  -ENOSPC      capacity exceeded or insufficient, identifiers used up
 *  -EROFS       write protected, read only range
 *  -EACCES      denied: operation, lockdown, media access; not changeable; private namespace; firmware
 *               activation
 *  -EBUSY       reservation conflict, format, sanitize or self-test running, a limit of outstanding
 *               commands
 *  -EAGAIN      not ready yet, interrupted, path in transition: the same command may work later; firmware
 *               waits for a reset
 *  -ECANCELED   aborted: by request, by the host, with its queue, by power loss, by preemption, as half of
 *               a fused pair
 *  -EILSEQ      the data is not what it should be: compare failure, guard, application, reference and
 *               storage tag
 *  -ECONNRESET  the keep alive timer has expired
 *  -EIO         the rest: media, transfer, internal and path errors, vendor specific and reserved codes
 */
NVIO_EXPORT int nvio_status_to_errno(uint16_t sf);

/*
 * "Identify", "Read", "Number of Queues", "SMART / Health Information", ...; else "vendor specific" or
 * "reserved".
 */
NVIO_EXPORT const char *nvio_admin_opcode_str(uint8_t opc);
NVIO_EXPORT const char *nvio_nvm_opcode_str(uint8_t opc);
NVIO_EXPORT const char *nvio_feature_str(uint8_t fid);
NVIO_EXPORT const char *nvio_log_str(uint8_t lid);
NVIO_EXPORT const char *nvio_cns_str(uint8_t cns);

/*
 * An asynchronous event by dword 0 of its completion: "Namespace Attribute Changed", "Temperature
 * Threshold", ...
 */
NVIO_EXPORT const char *nvio_aer_str(uint32_t dw0);

/* CSTS.SHST: "normal operation", "shutdown occurring", "shutdown complete", "reserved". */
NVIO_EXPORT const char *nvio_shst_str(uint32_t shst);

/* CNTRLTYPE: "I/O", "discovery", "administrative", "not reported", "reserved". */
NVIO_EXPORT const char *nvio_ctrlr_type_str(uint8_t cntrltype);

/* NIDT: "EUI64", "NGUID", "UUID", "CSI", "reserved". */
NVIO_EXPORT const char *nvio_nidt_str(uint8_t nidt);

/* CSI: "NVM", "Key Value", "Zoned Namespace", "vendor specific", "reserved". */
NVIO_EXPORT const char *nvio_csi_str(uint8_t csi);

/* The fields whose bits have names. */
enum nvio_bits {
	NVIO_BITS_CRITICAL_WARNING, /* SMART */
	NVIO_BITS_OACS,             /* Identify Controller from here on */
	NVIO_BITS_ONCS,
	NVIO_BITS_OAES,
	NVIO_BITS_CTRATT,
	NVIO_BITS_LPA,
	NVIO_BITS_CMIC,
	NVIO_BITS_FNA,
	NVIO_BITS_NSFEAT,           /* Identify Namespace */
	NVIO_BITS_EFFECTS,          /* Commands Supported and Effects */
};

/* What bit `bit` of the field says when it is set; "reserved" for a bit or a field without a name. */
NVIO_EXPORT const char *nvio_bit_str(enum nvio_bits field, unsigned bit);

NVIO_END_DECLS

#endif
