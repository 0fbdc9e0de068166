/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A second opinion on every layout: the place and the size of each field, ours against libnvme's header.
 * Left out on purpose: the end of Identify Namespace (libnvme has a later revision's field there) and the
 * two tags of a Copy range (libnvme 1.3 has them the wrong way round; the specification, Linux and QEMU
 * have the application tag first).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <nvme/types.h>

#include "base/compiler.h"
#include <nvio/spec/feature.h>
#include <nvio/spec/identify.h>
#include <nvio/spec/log.h>
#include <nvio/spec/nvm.h>

#define SIZE_OF(type, field) sizeof(((struct type *)0)->field)

#define FIELD(ours, field, theirs, their_field)                                                              \
	{                                                                                                    \
		#ours "." #field, offsetof(struct ours, field), offsetof(struct theirs, their_field),        \
			SIZE_OF(ours, field), SIZE_OF(theirs, their_field)                                   \
	}
#define CTRLR(ours, theirs) FIELD(nvio_id_ctrlr, ours, nvme_id_ctrl, theirs)
#define PS(ours, theirs)    FIELD(nvio_power_state, ours, nvme_id_psd, theirs)
#define NS(ours, theirs)    FIELD(nvio_id_ns, ours, nvme_id_ns, theirs)

static const struct {
	const char *name;
	size_t our_offset, their_offset;
	size_t our_size, their_size;
} fields[] = {
	CTRLR(vid, vid), CTRLR(ssvid, ssvid), CTRLR(sn, sn), CTRLR(mn, mn), CTRLR(fr, fr), CTRLR(rab, rab),
	CTRLR(ieee, ieee), CTRLR(cmic, cmic), CTRLR(mdts, mdts), CTRLR(cntlid, cntlid), CTRLR(ver, ver),
	CTRLR(rtd3r, rtd3r), CTRLR(rtd3e, rtd3e), CTRLR(oaes, oaes), CTRLR(ctratt, ctratt),
	CTRLR(rrls, rrls), CTRLR(reserved102, rsvd102), CTRLR(cntrltype, cntrltype), CTRLR(fguid, fguid),
	CTRLR(crdt1, crdt1), CTRLR(crdt2, crdt2), CTRLR(crdt3, crdt3), CTRLR(reserved134, rsvd134),
	CTRLR(nvmsr, nvmsr), CTRLR(vwci, vwci), CTRLR(mec, mec), CTRLR(oacs, oacs), CTRLR(acl, acl),
	CTRLR(aerl, aerl), CTRLR(frmw, frmw), CTRLR(lpa, lpa), CTRLR(elpe, elpe), CTRLR(npss, npss),
	CTRLR(avscc, avscc), CTRLR(apsta, apsta), CTRLR(wctemp, wctemp), CTRLR(cctemp, cctemp),
	CTRLR(mtfa, mtfa), CTRLR(hmpre, hmpre), CTRLR(hmmin, hmmin), CTRLR(tnvmcap, tnvmcap),
	CTRLR(unvmcap, unvmcap), CTRLR(rpmbs, rpmbs), CTRLR(edstt, edstt), CTRLR(dsto, dsto),
	CTRLR(fwug, fwug), CTRLR(kas, kas), CTRLR(hctma, hctma), CTRLR(mntmt, mntmt), CTRLR(mxtmt, mxtmt),
	CTRLR(sanicap, sanicap), CTRLR(hmminds, hmminds), CTRLR(hmmaxd, hmmaxd),
	CTRLR(nsetidmax, nsetidmax), CTRLR(endgidmax, endgidmax), CTRLR(anatt, anatt),
	CTRLR(anacap, anacap), CTRLR(anagrpmax, anagrpmax), CTRLR(nanagrpid, nanagrpid), CTRLR(pels, pels),
	CTRLR(domainid, domainid), CTRLR(reserved358, rsvd358), CTRLR(megcap, megcap),
	CTRLR(reserved384, rsvd384), CTRLR(sqes, sqes), CTRLR(cqes, cqes), CTRLR(maxcmd, maxcmd),
	CTRLR(nn, nn), CTRLR(oncs, oncs), CTRLR(fuses, fuses), CTRLR(fna, fna), CTRLR(vwc, vwc),
	CTRLR(awun, awun), CTRLR(awupf, awupf), CTRLR(icsvscc, icsvscc), CTRLR(nwpc, nwpc),
	CTRLR(acwu, acwu), CTRLR(ocfs, ocfs), CTRLR(sgls, sgls), CTRLR(mnan, mnan), CTRLR(maxdna, maxdna),
	CTRLR(maxcna, maxcna), CTRLR(reserved564, rsvd564), CTRLR(subnqn, subnqn),
	CTRLR(reserved1024, rsvd1024), CTRLR(ioccsz, ioccsz), CTRLR(iorcsz, iorcsz), CTRLR(icdoff, icdoff),
	CTRLR(fcatt, fcatt), CTRLR(msdbd, msdbd), CTRLR(ofcs, ofcs), CTRLR(dctype, dctype),
	CTRLR(reserved1807, rsvd1807), CTRLR(psd, psd), CTRLR(vs, vs),

	PS(mp, mp), PS(reserved2, rsvd2), PS(flags, flags), PS(enlat, enlat), PS(exlat, exlat),
	PS(rrt, rrt), PS(rrl, rrl), PS(rwt, rwt), PS(rwl, rwl), PS(idlp, idlp), PS(ips, ips),
	PS(reserved19, rsvd19), PS(actp, actp), PS(apws, apws), PS(reserved23, rsvd23),

	NS(nsze, nsze), NS(ncap, ncap), NS(nuse, nuse), NS(nsfeat, nsfeat), NS(nlbaf, nlbaf),
	NS(flbas, flbas), NS(mc, mc), NS(dpc, dpc), NS(dps, dps), NS(nmic, nmic), NS(rescap, rescap),
	NS(fpi, fpi), NS(dlfeat, dlfeat), NS(nawun, nawun), NS(nawupf, nawupf), NS(nacwu, nacwu),
	NS(nabsn, nabsn), NS(nabo, nabo), NS(nabspf, nabspf), NS(noiob, noiob), NS(nvmcap, nvmcap),
	NS(npwg, npwg), NS(npwa, npwa), NS(npdg, npdg), NS(npda, npda), NS(nows, nows), NS(mssrl, mssrl),
	NS(mcl, mcl), NS(msrc, msrc), NS(reserved81, rsvd81), NS(nulbaf, nulbaf), NS(reserved83, rsvd83),
	NS(anagrpid, anagrpid), NS(reserved96, rsvd96), NS(nsattr, nsattr), NS(nvmsetid, nvmsetid),
	NS(endgid, endgid), NS(nguid, nguid), NS(eui64, eui64), NS(lbaf, lbaf),

	FIELD(nvio_lbaf, ms, nvme_lbaf, ms), FIELD(nvio_lbaf, ds, nvme_lbaf, ds),
	FIELD(nvio_lbaf, rp, nvme_lbaf, rp),

	FIELD(nvio_id_ctrlr_nvm, vsl, nvme_id_ctrl_nvm, vsl),
	FIELD(nvio_id_ctrlr_nvm, wzsl, nvme_id_ctrl_nvm, wzsl),
	FIELD(nvio_id_ctrlr_nvm, wusl, nvme_id_ctrl_nvm, wusl),
	FIELD(nvio_id_ctrlr_nvm, dmrl, nvme_id_ctrl_nvm, dmrl),
	FIELD(nvio_id_ctrlr_nvm, dmrsl, nvme_id_ctrl_nvm, dmrsl),
	FIELD(nvio_id_ctrlr_nvm, dmsl, nvme_id_ctrl_nvm, dmsl),
	FIELD(nvio_id_ctrlr_nvm, reserved16, nvme_id_ctrl_nvm, rsvd16),

	FIELD(nvio_id_ns_independent, nsfeat, nvme_id_independent_id_ns, nsfeat),
	FIELD(nvio_id_ns_independent, nmic, nvme_id_independent_id_ns, nmic),
	FIELD(nvio_id_ns_independent, rescap, nvme_id_independent_id_ns, rescap),
	FIELD(nvio_id_ns_independent, fpi, nvme_id_independent_id_ns, fpi),
	FIELD(nvio_id_ns_independent, anagrpid, nvme_id_independent_id_ns, anagrpid),
	FIELD(nvio_id_ns_independent, nsattr, nvme_id_independent_id_ns, nsattr),
	FIELD(nvio_id_ns_independent, reserved9, nvme_id_independent_id_ns, rsvd9),
	FIELD(nvio_id_ns_independent, nvmsetid, nvme_id_independent_id_ns, nvmsetid),
	FIELD(nvio_id_ns_independent, endgid, nvme_id_independent_id_ns, endgid),
	FIELD(nvio_id_ns_independent, nstat, nvme_id_independent_id_ns, nstat),
	FIELD(nvio_id_ns_independent, reserved15, nvme_id_independent_id_ns, rsvd15),

	FIELD(nvio_id_ns_desc, nidt, nvme_ns_id_desc, nidt),
	FIELD(nvio_id_ns_desc, nidl, nvme_ns_id_desc, nidl),
	FIELD(nvio_id_ns_desc, reserved2, nvme_ns_id_desc, rsvd),

	FIELD(nvio_ns_list, nsid, nvme_ns_list, ns),

	FIELD(nvio_ctrlr_list, num, nvme_ctrl_list, num),
	FIELD(nvio_ctrlr_list, cntlid, nvme_ctrl_list, identifier),

	FIELD(nvio_log_supported, lid, nvme_supported_log_pages, lid_support),

	FIELD(nvio_log_error, error_count, nvme_error_log_page, error_count),
	FIELD(nvio_log_error, sqid, nvme_error_log_page, sqid),
	FIELD(nvio_log_error, cid, nvme_error_log_page, cmdid),
	FIELD(nvio_log_error, status, nvme_error_log_page, status_field),
	FIELD(nvio_log_error, parm_loc, nvme_error_log_page, parm_error_location),
	FIELD(nvio_log_error, lba, nvme_error_log_page, lba),
	FIELD(nvio_log_error, nsid, nvme_error_log_page, nsid),
	FIELD(nvio_log_error, vs, nvme_error_log_page, vs),
	FIELD(nvio_log_error, trtype, nvme_error_log_page, trtype),
	FIELD(nvio_log_error, reserved30, nvme_error_log_page, rsvd),
	FIELD(nvio_log_error, cs, nvme_error_log_page, cs),
	FIELD(nvio_log_error, trtype_info, nvme_error_log_page, trtype_spec_info),
	FIELD(nvio_log_error, reserved42, nvme_error_log_page, rsvd2),

	FIELD(nvio_log_smart, critical_warning, nvme_smart_log, critical_warning),
	FIELD(nvio_log_smart, temperature, nvme_smart_log, temperature),
	FIELD(nvio_log_smart, available_spare, nvme_smart_log, avail_spare),
	FIELD(nvio_log_smart, spare_threshold, nvme_smart_log, spare_thresh),
	FIELD(nvio_log_smart, percentage_used, nvme_smart_log, percent_used),
	FIELD(nvio_log_smart, endurance_group_warning, nvme_smart_log, endu_grp_crit_warn_sumry),
	FIELD(nvio_log_smart, reserved7, nvme_smart_log, rsvd7),
	FIELD(nvio_log_smart, data_units_read, nvme_smart_log, data_units_read),
	FIELD(nvio_log_smart, data_units_written, nvme_smart_log, data_units_written),
	FIELD(nvio_log_smart, host_reads, nvme_smart_log, host_reads),
	FIELD(nvio_log_smart, host_writes, nvme_smart_log, host_writes),
	FIELD(nvio_log_smart, busy_minutes, nvme_smart_log, ctrl_busy_time),
	FIELD(nvio_log_smart, power_cycles, nvme_smart_log, power_cycles),
	FIELD(nvio_log_smart, power_on_hours, nvme_smart_log, power_on_hours),
	FIELD(nvio_log_smart, unsafe_shutdowns, nvme_smart_log, unsafe_shutdowns),
	FIELD(nvio_log_smart, media_errors, nvme_smart_log, media_errors),
	FIELD(nvio_log_smart, error_log_entries, nvme_smart_log, num_err_log_entries),
	FIELD(nvio_log_smart, warning_temp_minutes, nvme_smart_log, warning_temp_time),
	FIELD(nvio_log_smart, critical_temp_minutes, nvme_smart_log, critical_comp_time),
	FIELD(nvio_log_smart, temp_sensor, nvme_smart_log, temp_sensor),
	FIELD(nvio_log_smart, tmt1_count, nvme_smart_log, thm_temp1_trans_count),
	FIELD(nvio_log_smart, tmt2_count, nvme_smart_log, thm_temp2_trans_count),
	FIELD(nvio_log_smart, tmt1_seconds, nvme_smart_log, thm_temp1_total_time),
	FIELD(nvio_log_smart, tmt2_seconds, nvme_smart_log, thm_temp2_total_time),
	FIELD(nvio_log_smart, reserved232, nvme_smart_log, rsvd232),

	FIELD(nvio_log_firmware, afi, nvme_firmware_slot, afi),
	FIELD(nvio_log_firmware, reserved1, nvme_firmware_slot, rsvd1),
	FIELD(nvio_log_firmware, frs, nvme_firmware_slot, frs),
	FIELD(nvio_log_firmware, reserved64, nvme_firmware_slot, rsvd2),

	FIELD(nvio_log_effects, acs, nvme_cmd_effects_log, acs),
	FIELD(nvio_log_effects, iocs, nvme_cmd_effects_log, iocs),
	FIELD(nvio_log_effects, reserved2048, nvme_cmd_effects_log, rsvd),

	FIELD(nvio_self_test_result, dsts, nvme_st_result, dsts),
	FIELD(nvio_self_test_result, seg, nvme_st_result, seg),
	FIELD(nvio_self_test_result, vdi, nvme_st_result, vdi),
	FIELD(nvio_self_test_result, reserved3, nvme_st_result, rsvd),
	FIELD(nvio_self_test_result, poh, nvme_st_result, poh),
	FIELD(nvio_self_test_result, nsid, nvme_st_result, nsid),
	FIELD(nvio_self_test_result, flba, nvme_st_result, flba),
	FIELD(nvio_self_test_result, sct, nvme_st_result, sct),
	FIELD(nvio_self_test_result, sc, nvme_st_result, sc),
	FIELD(nvio_self_test_result, vs, nvme_st_result, vs),

	FIELD(nvio_log_self_test, operation, nvme_self_test_log, current_operation),
	FIELD(nvio_log_self_test, completion, nvme_self_test_log, completion),
	FIELD(nvio_log_self_test, reserved2, nvme_self_test_log, rsvd),
	FIELD(nvio_log_self_test, result, nvme_self_test_log, result),

	FIELD(nvio_dsm_range, cattr, nvme_dsm_range, cattr),
	FIELD(nvio_dsm_range, nlb, nvme_dsm_range, nlb), FIELD(nvio_dsm_range, slba, nvme_dsm_range, slba),

	FIELD(nvio_copy_range, reserved0, nvme_copy_range, rsvd0),
	FIELD(nvio_copy_range, slba, nvme_copy_range, slba),
	FIELD(nvio_copy_range, nlb, nvme_copy_range, nlb),
	FIELD(nvio_copy_range, reserved18, nvme_copy_range, rsvd18),
	FIELD(nvio_copy_range, eilbrt, nvme_copy_range, eilbrt),

	FIELD(nvio_timestamp, ms, nvme_timestamp, timestamp),
	FIELD(nvio_timestamp, attr, nvme_timestamp, attr),
	FIELD(nvio_timestamp, reserved7, nvme_timestamp, rsvd),
};

#define SIZES(ours, theirs) { #ours, sizeof(struct ours), sizeof(struct theirs) }

static const struct {
	const char *name;
	size_t ours, theirs;
} sizes[] = {
	SIZES(nvio_id_ctrlr, nvme_id_ctrl),
	SIZES(nvio_power_state, nvme_id_psd),
	SIZES(nvio_id_ns, nvme_id_ns),
	SIZES(nvio_lbaf, nvme_lbaf),
	SIZES(nvio_id_ctrlr_nvm, nvme_id_ctrl_nvm),
	SIZES(nvio_id_ns_independent, nvme_id_independent_id_ns),
	SIZES(nvio_ns_list, nvme_ns_list),
	SIZES(nvio_ctrlr_list, nvme_ctrl_list),
	SIZES(nvio_log_supported, nvme_supported_log_pages),
	SIZES(nvio_log_error, nvme_error_log_page),
	SIZES(nvio_log_smart, nvme_smart_log),
	SIZES(nvio_log_firmware, nvme_firmware_slot),
	SIZES(nvio_log_effects, nvme_cmd_effects_log),
	SIZES(nvio_self_test_result, nvme_st_result),
	SIZES(nvio_log_self_test, nvme_self_test_log),
	SIZES(nvio_dsm_range, nvme_dsm_range),
	SIZES(nvio_copy_range, nvme_copy_range),
	SIZES(nvio_timestamp, nvme_timestamp),
};

static void every_field_lies_where_libnvme_has_it(void **state)
{
	unsigned wrong = 0;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		if (fields[i].our_offset == fields[i].their_offset &&
			fields[i].our_size == fields[i].their_size)
			continue;
		print_error("%s: %zu bytes at %zu, libnvme has %zu at %zu\n", fields[i].name,
			fields[i].our_size, fields[i].our_offset, fields[i].their_size,
			fields[i].their_offset);
		wrong++;
	}
	assert_int_equal(wrong, 0);
}

static void every_structure_is_as_long_as_libnvmes(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		if (sizes[i].ours != sizes[i].theirs)
			fail_msg("%s: %zu bytes, libnvme has %zu", sizes[i].name, sizes[i].ours,
				sizes[i].theirs);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_field_lies_where_libnvme_has_it),
		cmocka_unit_test(every_structure_is_as_long_as_libnvmes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
