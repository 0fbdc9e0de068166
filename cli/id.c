/* SPDX-License-Identifier: BSD-3-Clause */
/* What a controller and its namespaces are: id-ctrl, id-ns, list-ns. JSON keys are those of nvme-cli 2. */
#include <inttypes.h>
#include <string.h>

#include <nvio/error.h>
#include <nvio/spec/admin.h>
#include <nvio/spec/identify.h>

#include "cli.h"
#include "out.h"

#define CTRLR(field, how)	 CLI_FIELD(nvio_id_ctrlr, field, how)
#define CTRLR_BITS(field, which) CLI_FIELD_BITS(nvio_id_ctrlr, field, which)

static const struct cli_field ctrlr_fields[] = {
	CTRLR(vid, CLI_SHOW_HEX),
	CTRLR(ssvid, CLI_SHOW_HEX),
	CTRLR(sn, CLI_SHOW_TEXT),
	CTRLR(mn, CLI_SHOW_TEXT),
	CTRLR(fr, CLI_SHOW_TEXT),
	CTRLR(rab, CLI_SHOW_DEC),
	CTRLR(ieee, CLI_SHOW_HEX),
	CTRLR_BITS(cmic, NVIO_BITS_CMIC),
	CTRLR(mdts, CLI_SHOW_DEC),
	CTRLR(cntlid, CLI_SHOW_HEX),
	CTRLR(ver, CLI_SHOW_HEX),
	CTRLR(rtd3r, CLI_SHOW_HEX),
	CTRLR(rtd3e, CLI_SHOW_HEX),
	CTRLR_BITS(oaes, NVIO_BITS_OAES),
	CTRLR_BITS(ctratt, NVIO_BITS_CTRATT),
	CTRLR(rrls, CLI_SHOW_HEX),
	CTRLR(cntrltype, CLI_SHOW_DEC),
	CTRLR(fguid, CLI_SHOW_UUID),
	CTRLR(crdt1, CLI_SHOW_DEC),
	CTRLR(crdt2, CLI_SHOW_DEC),
	CTRLR(crdt3, CLI_SHOW_DEC),
	CTRLR(nvmsr, CLI_SHOW_HEX),
	CTRLR(vwci, CLI_SHOW_HEX),
	CTRLR(mec, CLI_SHOW_HEX),
	CTRLR_BITS(oacs, NVIO_BITS_OACS),
	CTRLR(acl, CLI_SHOW_DEC),
	CTRLR(aerl, CLI_SHOW_DEC),
	CTRLR(frmw, CLI_SHOW_HEX),
	CTRLR_BITS(lpa, NVIO_BITS_LPA),
	CTRLR(elpe, CLI_SHOW_DEC),
	CTRLR(npss, CLI_SHOW_DEC),
	CTRLR(avscc, CLI_SHOW_HEX),
	CTRLR(apsta, CLI_SHOW_HEX),
	CTRLR(wctemp, CLI_SHOW_DEC),
	CTRLR(cctemp, CLI_SHOW_DEC),
	CTRLR(mtfa, CLI_SHOW_DEC),
	CTRLR(hmpre, CLI_SHOW_DEC),
	CTRLR(hmmin, CLI_SHOW_DEC),
	CTRLR(tnvmcap, CLI_SHOW_DEC),
	CTRLR(unvmcap, CLI_SHOW_DEC),
	CTRLR(rpmbs, CLI_SHOW_HEX),
	CTRLR(edstt, CLI_SHOW_DEC),
	CTRLR(dsto, CLI_SHOW_DEC),
	CTRLR(fwug, CLI_SHOW_DEC),
	CTRLR(kas, CLI_SHOW_DEC),
	CTRLR(hctma, CLI_SHOW_HEX),
	CTRLR(mntmt, CLI_SHOW_DEC),
	CTRLR(mxtmt, CLI_SHOW_DEC),
	CTRLR(sanicap, CLI_SHOW_HEX),
	CTRLR(hmminds, CLI_SHOW_DEC),
	CTRLR(hmmaxd, CLI_SHOW_DEC),
	CTRLR(nsetidmax, CLI_SHOW_DEC),
	CTRLR(endgidmax, CLI_SHOW_DEC),
	CTRLR(anatt, CLI_SHOW_DEC),
	CTRLR(anacap, CLI_SHOW_HEX),
	CTRLR(anagrpmax, CLI_SHOW_DEC),
	CTRLR(nanagrpid, CLI_SHOW_DEC),
	CTRLR(pels, CLI_SHOW_DEC),
	CTRLR(domainid, CLI_SHOW_DEC),
	CTRLR(megcap, CLI_SHOW_DEC),
	CTRLR(sqes, CLI_SHOW_HEX),
	CTRLR(cqes, CLI_SHOW_HEX),
	CTRLR(maxcmd, CLI_SHOW_DEC),
	CTRLR(nn, CLI_SHOW_DEC),
	CTRLR_BITS(oncs, NVIO_BITS_ONCS),
	CTRLR(fuses, CLI_SHOW_HEX),
	CTRLR_BITS(fna, NVIO_BITS_FNA),
	CTRLR(vwc, CLI_SHOW_HEX),
	CTRLR(awun, CLI_SHOW_DEC),
	CTRLR(awupf, CLI_SHOW_DEC),
	CTRLR(icsvscc, CLI_SHOW_HEX),
	CTRLR(nwpc, CLI_SHOW_HEX),
	CTRLR(acwu, CLI_SHOW_DEC),
	CTRLR(ocfs, CLI_SHOW_HEX),
	CTRLR(sgls, CLI_SHOW_HEX),
	CTRLR(mnan, CLI_SHOW_DEC),
	CTRLR(maxdna, CLI_SHOW_DEC),
	CTRLR(maxcna, CLI_SHOW_DEC),
	CTRLR(subnqn, CLI_SHOW_TEXT),
	CTRLR(ioccsz, CLI_SHOW_DEC),
	CTRLR(iorcsz, CLI_SHOW_DEC),
	CTRLR(icdoff, CLI_SHOW_DEC),
	CTRLR(fcatt, CLI_SHOW_HEX),
	CTRLR(msdbd, CLI_SHOW_DEC),
	CTRLR(ofcs, CLI_SHOW_HEX),
};

static const struct cli_field power_fields[] = {
	CLI_FIELD_AS(nvio_power_state, mp, "max_power", CLI_SHOW_DEC),
	CLI_FIELD(nvio_power_state, flags, CLI_SHOW_HEX),
	CLI_FIELD_AS(nvio_power_state, enlat, "entry_lat", CLI_SHOW_DEC),
	CLI_FIELD_AS(nvio_power_state, exlat, "exit_lat", CLI_SHOW_DEC),
	CLI_FIELD_AS(nvio_power_state, rrt, "read_tput", CLI_SHOW_DEC),
	CLI_FIELD_AS(nvio_power_state, rrl, "read_lat", CLI_SHOW_DEC),
	CLI_FIELD_AS(nvio_power_state, rwt, "write_tput", CLI_SHOW_DEC),
	CLI_FIELD_AS(nvio_power_state, rwl, "write_lat", CLI_SHOW_DEC),
	CLI_FIELD_AS(nvio_power_state, idlp, "idle_power", CLI_SHOW_DEC),
	CLI_FIELD_AS(nvio_power_state, ips, "idle_scale", CLI_SHOW_HEX),
	CLI_FIELD_AS(nvio_power_state, actp, "active_power", CLI_SHOW_DEC),
	CLI_FIELD_AS(nvio_power_state, apws, "active_work_and_scale", CLI_SHOW_HEX),
};

#define NS(field, how) CLI_FIELD(nvio_id_ns, field, how)

static const struct cli_field ns_fields[] = {
	NS(nsze, CLI_SHOW_DEC),
	NS(ncap, CLI_SHOW_DEC),
	NS(nuse, CLI_SHOW_DEC),
	CLI_FIELD_BITS(nvio_id_ns, nsfeat, NVIO_BITS_NSFEAT),
	NS(nlbaf, CLI_SHOW_DEC),
	NS(flbas, CLI_SHOW_HEX),
	NS(mc, CLI_SHOW_HEX),
	NS(dpc, CLI_SHOW_HEX),
	NS(dps, CLI_SHOW_HEX),
	NS(nmic, CLI_SHOW_HEX),
	NS(rescap, CLI_SHOW_HEX),
	NS(fpi, CLI_SHOW_HEX),
	NS(dlfeat, CLI_SHOW_HEX),
	NS(nawun, CLI_SHOW_DEC),
	NS(nawupf, CLI_SHOW_DEC),
	NS(nacwu, CLI_SHOW_DEC),
	NS(nabsn, CLI_SHOW_DEC),
	NS(nabo, CLI_SHOW_DEC),
	NS(nabspf, CLI_SHOW_DEC),
	NS(noiob, CLI_SHOW_DEC),
	NS(nvmcap, CLI_SHOW_DEC),
	NS(npwg, CLI_SHOW_DEC),
	NS(npwa, CLI_SHOW_DEC),
	NS(npdg, CLI_SHOW_DEC),
	NS(npda, CLI_SHOW_DEC),
	NS(nows, CLI_SHOW_DEC),
	NS(mssrl, CLI_SHOW_DEC),
	NS(mcl, CLI_SHOW_DEC),
	NS(msrc, CLI_SHOW_DEC),
	NS(nulbaf, CLI_SHOW_DEC),
	NS(anagrpid, CLI_SHOW_DEC),
	NS(nsattr, CLI_SHOW_HEX),
	NS(nvmsetid, CLI_SHOW_DEC),
	NS(endgid, CLI_SHOW_DEC),
	NS(nguid, CLI_SHOW_BYTES),
	NS(eui64, CLI_SHOW_BYTES),
};

static unsigned power_states(const struct nvio_id_ctrlr *id)
{
	return id->npss < NVIO_PS_MAX ? id->npss + 1u : NVIO_PS_MAX;
}

static void print_ctrlr(const struct nvio_id_ctrlr *id)
{
	cli_fields_print(ctrlr_fields, CLI_COUNT(ctrlr_fields), id);
	for (unsigned i = 0; i < power_states(id); i++) {
		const struct nvio_power_state *ps = &id->psd[i];
		unsigned mp = nvio_get_le16(ps->mp);

		printf("ps %2u     : ", i);
		if (ps->flags & NVIO_PS_MXPS)
			printf("%u.%04u W", mp / 10000, mp % 10000);
		else
			printf("%u.%02u W", mp / 100, mp % 100);
		printf("%s, entry %" PRIu32 " us, exit %" PRIu32 " us\n",
			ps->flags & NVIO_PS_NOPS ? ", no I/O" : "", nvio_get_le32(ps->enlat),
			nvio_get_le32(ps->exlat));
	}
}

static json_t *json_ctrlr(const struct nvio_id_ctrlr *id)
{
	json_t *root = cli_json_object(), *states = cli_json_array();

	cli_fields_json(root, ctrlr_fields, CLI_COUNT(ctrlr_fields), id);
	for (unsigned i = 0; i < power_states(id); i++) {
		json_t *one = cli_json_object();

		cli_fields_json(one, power_fields, CLI_COUNT(power_fields), &id->psd[i]);
		cli_json_add(states, one);
	}
	cli_json_set(root, "psds", states);
	return root;
}

static int run_id_ctrlr(void)
{
	struct cli_dev dev;
	int status = cli_dev_open_arg(&dev);

	if (status)
		return status;
	if (cli.json)
		status = cli_json_print(json_ctrlr(nvio_ctrlr_id(dev.ctrlr)));
	else
		print_ctrlr(nvio_ctrlr_id(dev.ctrlr));
	cli_dev_close(&dev);
	return status;
}

static void print_ns(uint32_t nsid, const struct nvio_id_ns *id)
{
	uint32_t in_use = nvio_flbas_index(id->flbas, id->nlbaf);

	printf("%-10s: %" PRIu32 "\n", "nsid", nsid);
	cli_fields_print(ns_fields, CLI_COUNT(ns_fields), id);
	for (uint32_t i = 0; i <= id->nlbaf && i < NVIO_LBAF_MAX; i++)
		printf("lbaf %2" PRIu32 "   : %" PRIu64
		       " bytes (ds %u), metadata %u bytes, performance %u%s\n",
			i, id->lbaf[i].ds < 64 ? UINT64_C(1) << id->lbaf[i].ds : 0, id->lbaf[i].ds,
			nvio_get_le16(id->lbaf[i].ms), id->lbaf[i].rp & 3u, i == in_use ? ", in use" : "");
}

static json_t *json_ns(const struct nvio_id_ns *id)
{
	json_t *root = cli_json_object(), *formats = cli_json_array();

	cli_fields_json(root, ns_fields, CLI_COUNT(ns_fields), id);
	for (uint32_t i = 0; i <= id->nlbaf && i < NVIO_LBAF_MAX; i++) {
		json_t *one = cli_json_object();

		cli_json_set(one, "ms", json_integer(nvio_get_le16(id->lbaf[i].ms)));
		cli_json_set(one, "ds", json_integer(id->lbaf[i].ds));
		cli_json_set(one, "rp", json_integer(id->lbaf[i].rp & 3));
		cli_json_add(formats, one);
	}
	cli_json_set(root, "lbafs", formats);
	return root;
}

static int run_id_ns(void)
{
	const struct nvio_id_ns *id;
	struct cli_dev dev;
	int status = cli_dev_open_ns_arg(&dev);

	if (status)
		return status;
	id = nvio_ns_identify(dev.ns);
	if (!id)
		status = cli_fail("namespace %" PRIu32 " is gone", nvio_ns_id(dev.ns));
	else if (cli.json)
		status = cli_json_print(json_ns(id));
	else
		print_ns(nvio_ns_id(dev.ns), id);
	cli_dev_close(&dev);
	return status;
}

static bool list_ns_all;

/*
 * One page of the controller's list; *more when it was full. Active ids are asked for, too, and not taken
 * from memory.
 */
static int list_ns_page(struct cli_dev *dev, uint32_t *after, json_t *list, bool *more)
{
	static struct nvio_ns_list page;
	struct nvio_op op = NVIO_OP(NULL);
	uint8_t cns = list_ns_all ? NVIO_CNS_ALLOCATED_NS_LIST : NVIO_CNS_ACTIVE_NS_LIST;

	*more = false;
	if (nvio_await(nvio_ctrlr_identify(dev->ctrlr, cns, *after, &page, &op), &op))
		return cli_fail_op(&op, "identify, %s", nvio_cns_str(cns));
	for (size_t i = 0; i < NVIO_NS_LIST_MAX; i++) {
		uint32_t nsid = nvio_get_le32(page.nsid[i]);
		json_t *one;

		if (!nsid)
			return CLI_OK;
		/* A controller that does not count upwards would keep us here for ever. */
		if (nsid <= *after)
			return cli_fail("the controller's namespace list is out of order at %" PRIu32, nsid);
		*after = nsid;
		one = cli_json_object();
		cli_json_set(one, "nsid", json_integer(nsid));
		cli_json_add(list, one);
	}
	*more = true;
	return CLI_OK;
}

static int run_list_ns(void)
{
	struct cli_dev dev;
	/* -n is the first identifier of interest; the controller tells those above a number. */
	uint32_t after = cli.nsid == CLI_UNSET || !cli.nsid ? 0 : (uint32_t)cli.nsid - 1;
	json_t *root, *list;
	bool more = true;
	int status = cli_dev_open_arg(&dev);

	if (status)
		return status;
	root = cli_json_object();
	list = cli_json_array();
	cli_json_set(root, "nsid_list", list);
	/* Identify with a number of FFFFFFFEh and above is an error by specification: nothing is above. */
	while (!status && more && after < UINT32_MAX - 1)
		status = list_ns_page(&dev, &after, list, &more);
	if (!status && cli.json) {
		cli_json_print(json_incref(root));
	} else if (!status) {
		for (size_t i = 0; i < json_array_size(list); i++)
			printf("[%4zu]: %#" PRIx64 "\n", i,
				(uint64_t)json_integer_value(
					json_object_get(json_array_get(list, i), "nsid")));
	}
	json_decref(root);
	cli_dev_close(&dev);
	return status;
}

static const struct cli_opt no_opts[] = { { NULL } };

static const struct cli_opt ns_opts[] = {
	CLI_OPT_NSID,
	{ NULL },
};

static const struct cli_opt list_ns_opts[] = {
	{ "namespace-id", 'n', CLI_NUMBER, &cli.nsid, "NSID", "the first identifier to list (default: 1)",
		.max = UINT32_MAX },
	{ "all", 'a', CLI_FLAG, &list_ns_all, NULL, "all allocated namespaces, not only the active ones" },
	{ NULL },
};

const struct cli_cmd cli_id_ctrlr = {
	.name = "id-ctrl",
	.what = "Show the Identify Controller data",
	.devices = CLI_DEVICE_ONE,
	.decodes = true,
	.opts = no_opts,
	.run = run_id_ctrlr,
};

const struct cli_cmd cli_id_ns = {
	.name = "id-ns",
	.what = "Show the Identify Namespace data",
	.devices = CLI_DEVICE_ONE,
	.decodes = true,
	.opts = ns_opts,
	.run = run_id_ns,
};

const struct cli_cmd cli_list_ns = {
	.name = "list-ns",
	.what = "List the identifiers of the namespaces",
	.devices = CLI_DEVICE_ONE,
	.opts = list_ns_opts,
	.run = run_list_ns,
};
