/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program without an operating system: finds the first NVMe drive on the PCI bus, resets it, writes to its first namespace, reads that
 * back, and powers off. It destroys the first 256 KiB of the drive.
 *
 * From nvio_env_open() on these are the calls of any other program; only nvio_connect_bar() takes the place of nvio_connect().
 */
#include "platform.h"

#include <nvio/ctrlr.h>
#include <nvio/env.h>
#include <nvio/error.h>
#include <nvio/libc.h>
#include <nvio/mem.h>
#include <nvio/ns.h>
#include <nvio/qpair.h>

#define SPAN (256u << 10)

static _Noreturn void give_up(const char *what, const char *why)
{
	say("failed: ", what, ": ", why, "\n", NULL);
	power_off(false);
}

static void check(const char *what, int rc)
{
	if (rc)
		give_up(what, nvio_errmsg());
}

static void check_op(const char *what, int rc, const struct nvio_op *op)
{
	if (rc)
		give_up(what, nvio_op_strerror(op));
}

/* Identify has texts that are padded with blanks. */
static const char *trimmed(char *text, const uint8_t *field, size_t len)
{
	while (len && field[len - 1] == ' ')
		len--;
	memcpy(text, field, len);
	text[len] = '\0';
	return text;
}

static void connect(struct nvio_env *env, struct nvio_ctrlr **ctrlr)
{
	struct nvio_op op = NVIO_OP(NULL);
	struct pci_function f;
	struct nvio_bar bar;
	const char *wrong;

	if (!pci_find_nvme(0, &f))
		give_up("scan", "no function of class 01/08/02 on the PCI bus");
	say("found ", f.name, "\n", NULL);
	wrong = pci_enable(&f, &bar);
	if (wrong)
		give_up(f.name, wrong);
	check("connect", nvio_connect_bar(env, &bar, NULL, ctrlr));
	check_op("reset", nvio_await(nvio_ctrlr_reset(*ctrlr, &op), &op), &op);
}

/* A word's value tells where it belongs. */
static uint64_t pattern(uint64_t word)
{
	return (word + 1) * 0x9e3779b97f4a7c15u;
}

/* Writes and reads the span in pieces of `len` bytes, all of them in flight at once. */
static void move(struct nvio_ns *ns, struct nvio_qpair *qp, char *buf, uint32_t len, bool write)
{
	static struct nvio_op ops[SPAN / 4096];
	uint32_t block = nvio_ns_block_size(ns), n = SPAN / len;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t lba = (uint64_t)i * len / block;
		char *at = buf + (size_t)i * len;

		ops[i] = (struct nvio_op)NVIO_OP(NULL);
		check(write ? "write" : "read",
			write ? nvio_ns_write(ns, qp, at, lba, len / block, &ops[i]) : nvio_ns_read(ns, qp, at, lba, len / block, &ops[i]));
	}
	for (uint32_t i = 0; i < n; i++)
		check_op(write ? "write" : "read", nvio_wait(&ops[i]), &ops[i]);
}

static void verify(struct nvio_env *env, struct nvio_ns *ns, struct nvio_qpair *qp)
{
	static const uint32_t lens[] = { SPAN, 4096, 65536, 8192 }; /* of PRPs: lists, one, a list, two */
	uint64_t *out = nvio_mem_alloc(env, SPAN, 0), *in = nvio_mem_alloc(env, SPAN, 0);
	struct nvio_op op = NVIO_OP(NULL);

	if (!out || !in)
		give_up("memory", nvio_errmsg());
	if (nvio_ns_size_bytes(ns) < SPAN)
		give_up("namespace", "it is smaller than 256 KiB");
	for (uint32_t i = 0; i < SPAN / 8; i++)
		out[i] = pattern(i);
	for (unsigned l = 0; l < sizeof(lens) / sizeof(lens[0]); l++) {
		move(ns, qp, (char *)out, lens[l], true);
		memset(in, 0, SPAN);
		move(ns, qp, (char *)in, lens[l], false);
		for (uint32_t i = 0; i < SPAN / 8; i++)
			if (in[i] != pattern(i))
				give_up("verify", "what was read is not what was written");
	}
	check_op("flush", nvio_await(nvio_ns_flush(ns, qp, &op), &op), &op);
}

void run(void)
{
	char text[21], model[41], serial[21];
	const struct nvio_id_ctrlr *id;
	struct nvio_ctrlr *ctrlr;
	struct nvio_qpair *qp;
	struct nvio_env *env;
	struct nvio_ns *ns;

	check("environment", nvio_env_open(NULL, &env));
	connect(env, &ctrlr);
	say("Controller Ready\n", NULL);
	say("ready after ", number(since_entry_us(), 10, text), " us\n", NULL);
	id = nvio_ctrlr_id(ctrlr);
	say("model ", trimmed(model, id->mn, sizeof(id->mn)), "\n", NULL);
	say("serial ", trimmed(serial, id->sn, sizeof(id->sn)), "\n", NULL);

	ns = nvio_ctrlr_ns(ctrlr, nvio_ctrlr_next_ns(ctrlr, 0));
	if (!ns)
		give_up("namespace", nvio_errmsg());
	say("blocks ", number(nvio_ns_num_blocks(ns), 10, text), NULL);
	say(" of ", number(nvio_ns_block_size(ns), 10, text), " bytes\n", NULL);
	check("queue pair", nvio_qpair_alloc(ctrlr, NULL, &qp));
	verify(env, ns, qp);
	say("verified\n", NULL);

	nvio_env_close(env); /* tells the drive that power goes */
	say("done after ", number(since_entry_us(), 10, text), " us\n", NULL);
	power_off(true);
}
