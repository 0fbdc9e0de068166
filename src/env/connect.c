/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connecting: the one place that knows all transports, and that may see both host and target: a loop address
 * that no drive has yet becomes a drive.
 */
#include <stdio.h>

#include "base/fail.h"
#include "env/env.h"
#include "host/host.h"
#include "host/pcie/mq.h"
#include <nvio/drive.h>
#include <nvio/error.h>

/* The transports of this build; one that is not here is known by name and refused. */
static const struct transport {
	enum nvio_trtype type;
	const struct ctrlr_ops *ops;
} transports[] = {
	{ NVIO_TRTYPE_LOOP, &pcie_loop_ops },
	{ NVIO_TRTYPE_PCIE, &pcie_pci_ops },
};

static const struct ctrlr_ops *transport_find(enum nvio_trtype type)
{
	for (size_t i = 0; i < ARRAY_SIZE(transports); i++)
		if (transports[i].type == type)
			return transports[i].ops;
	return NULL;
}

static void close_drive(struct nvio_ctrlr *c, void *arg)
{
	nvio_drive_close(arg);
}

/* No drive has this name: makes one, which lives as long as the controller. */
static int connect_new_drive(struct nvio_env *env, const struct nvio_trid *trid,
	const struct nvio_ctrlr_opts *opts, const struct ctrlr_ops *ops, struct nvio_op *op,
	struct nvio_ctrlr **out)
{
	struct nvio_drive *drive;
	int rc = nvio_drive_open_str(env, trid->traddr, &drive);

	if (rc)
		return rc;
	rc = ctrlr_create(env, trid, opts, ops, op, out);
	if (rc) {
		nvio_drive_close(drive);
		return rc;
	}
	(*out)->on_closed = close_drive;
	(*out)->on_closed_arg = drive;
	return 0;
}

int env_connect_begin(struct nvio_env *env, const struct nvio_trid *trid,
	const struct nvio_ctrlr_opts *opts, struct nvio_op *op, struct nvio_ctrlr **out)
{
	const struct ctrlr_ops *ops = transport_find(trid->trtype);
	int rc;

	if (trid->trtype == NVIO_TRTYPE_PCIE && env->opts.no_pci)
		return fail(-EPERM, "connect: %s: this environment was opened with no_pci", trid->traddr);
	if (!ops)
		return fail(-EOPNOTSUPP,
			"connect: %s: transport %s is not in this build; 'nvio version' lists what is",
			trid->traddr, nvio_trtype_str(trid->trtype));
	rc = ctrlr_create(env, trid, opts, ops, op, out);
	if (rc == -ENODEV && trid->trtype == NVIO_TRTYPE_LOOP)
		rc = connect_new_drive(env, trid, opts, ops, op, out);
	return rc;
}

int nvio_connect_async(struct nvio_env *env, const char *text, const struct nvio_ctrlr_opts *opts,
	struct nvio_op *op, struct nvio_ctrlr **out)
{
	struct nvio_trid trid;
	int rc;

	if (!env || !op || !out)
		return fail(-EINVAL, "connect: %s is NULL",
			!env  ? "the environment"
			: !op ? "the op"
			      : "where to put the controller");
	if (op->flags || nvio_op_pending(op))
		return fail(-EINVAL,
			"connect: the op is in flight already, or has flags (%#x), which connecting does not take",
			op->flags);
	rc = nvio_trid_parse(text, &trid);
	return rc ? rc : env_connect_begin(env, &trid, opts, op, out);
}

int nvio_connect_trid(struct nvio_env *env, const struct nvio_trid *trid, const struct nvio_ctrlr_opts *opts,
	struct nvio_ctrlr **out)
{
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_ctrlr *c = NULL;
	char why[sizeof(c->failure)];
	int rc;

	if (!env || !trid || !out)
		return fail(-EINVAL, "connect: %s is NULL",
			!env	? "the environment"
			: !trid ? "the transport id"
				: "where to put the controller");
	rc = env_connect_begin(env, trid, opts, &op, &c);
	if (rc)
		return rc;
	rc = nvio_wait(&op);
	if (!rc) {
		*out = c;
		return 0;
	}
	snprintf(why, sizeof(why), "%s", nvio_ctrlr_failure(c));
	nvio_ctrlr_close(c);
	return fail(rc, "%s", why);
}

int nvio_connect(
	struct nvio_env *env, const char *text, const struct nvio_ctrlr_opts *opts, struct nvio_ctrlr **out)
{
	struct nvio_trid trid;
	int rc = nvio_trid_parse(text, &trid);

	return rc ? rc : nvio_connect_trid(env, &trid, opts, out);
}
