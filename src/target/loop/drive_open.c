/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening and closing a drive: the order in which its parts come and go. */
#include "target/loop/drive.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fail.h"
#include "loop/loop.h"

static int make_bdev(struct nvio_drive *d, const struct nvio_drive_ns_opts *ns, const char *name)
{
	uint32_t bs = ns->block_size ? ns->block_size : 512;
	struct nvio_bdev_malloc_opts ram;
	struct nvio_bdev_null_opts null;
	struct nvio_bdev_file_opts file;

	switch (ns->backing) {
	case NVIO_DRIVE_RAM:
		nvio_bdev_malloc_opts_init(&ram);
		ram.name = name;
		ram.block_size = bs;
		ram.num_blocks = ns->bytes / bs;
		return nvio_bdev_malloc_create(d->env, &ram);
	case NVIO_DRIVE_NULL:
		nvio_bdev_null_opts_init(&null);
		null.name = name;
		null.block_size = bs;
		null.num_blocks = ns->bytes / bs;
		null.untouched_reads = ns->untouched_reads;
		return nvio_bdev_null_create(d->env, &null);
	default:
		nvio_bdev_file_opts_init(&file);
		file.name = name;
		file.path = ns->path;
		file.block_size = bs;
		file.num_blocks = ns->bytes / bs;
		file.create = ns->bytes && !ns->read_only;
		file.read_only = ns->read_only;
		file.no_direct = ns->no_direct;
		file.engine = ns->engine;
		return nvio_bdev_file_create(d->env, &file);
	}
}

static int make_bdevs(struct nvio_drive *d, const struct nvio_drive_opts *opts)
{
	for (; d->num_bdevs < opts->num_ns; d->num_bdevs++) {
		int rc = make_bdev(d, &opts->ns[d->num_bdevs], d->subsys.ns[d->num_bdevs].bdev);

		if (rc)
			return rc;
	}
	return 0;
}

/* Others may have it open still: it goes when they close it, and they are told who waits. */
static void wait_deleted(struct nvio_drive *d, const char *name, struct nvio_op *op)
{
	uint64_t complain_ns = clock_monotonic_ns() + NS_PER_S;

	while (nvio_op_pending(op)) {
		if (nvio_thread_poll(d->thread, 0) > 0)
			continue;
		sched_yield();
		if (clock_monotonic_ns() < complain_ns)
			continue;
		log_msg(&d->env->log, NVIO_LOG_WARN, "drive: close %s: waits for block device %s, which is open elsewhere; close it",
			d->name, name);
		complain_ns = UINT64_MAX;
	}
}

/* The thread is current. One that somebody has deleted before us is fine. */
static void delete_bdevs(struct nvio_drive *d)
{
	while (d->num_bdevs) {
		const char *name = d->subsys.ns[--d->num_bdevs].bdev;
		struct nvio_op op = NVIO_OP(NULL);

		if (!nvio_bdev_delete(d->env, name, &op))
			wait_deleted(d, name, &op);
	}
}

static uint64_t make_seed(struct nvio_env *env)
{
	uint64_t seed;

	lock_take(&env->lock);
	seed = random_u64(&env->random);
	lock_give(&env->lock);
	return seed;
}

static const struct loop_port_ops inline_ops = {
	.kick = drive_kick,
	.detached = drive_detached,
	.quiet = drive_quiet,
	.rest = drive_rest,
};
static const struct loop_port_ops thread_ops = { .detached = drive_detached, .quiet = drive_quiet };
static const struct loop_port_ops attached_ops = {
	.detached = drive_detached,
	.quiet = drive_quiet,
	.urge = drive_urge,
};

static const struct loop_port_ops *port_ops(enum nvio_drive_poll poll)
{
	switch (poll) {
	case NVIO_DRIVE_INLINE:
		return &inline_ops;
	case NVIO_DRIVE_OS_THREAD:
		return &thread_ops;
	default:
		return &attached_ops;
	}
}

/* What needs the thread to be current; undoes itself on failure. */
static int open_on_thread(struct nvio_drive *d, const struct nvio_drive_opts *opts)
{
	struct memq_opts mo = {
		.port = &tgt_loop_port_ops,
		.dma.ops = opts->iommu ? &tgt_loop_iommu_dma_ops : &tgt_loop_dma_ops,
		.dma.ctx = &d->iommu,
		.faults = &d->faults,
		.max_queue_entries = opts->max_queue_entries,
		.doorbell_stride = opts->doorbell_stride,
		.ready_timeout_ms = opts->ready_timeout_ms,
		.record_registers = opts->record_registers,
		.host_beside = opts->poll == NVIO_DRIVE_OS_THREAD,
		.roused = drive_roused,
		.roused_ctx = d,
		.ctrlr.max_transfer = opts->mdts_bytes ? opts->mdts_bytes : TGT_NO_LIMIT,
		.ctrlr.max_queues = opts->max_queues,
	};
	int rc;

	d->port_ops = *port_ops(d->poll);
	d->port_ops.iommu = opts->iommu;
	rc = loop_publish(d->env, d->name, &d->port_ops, d, TGT_LOOP_DOORBELLS, opts->doorbell_stride, &d->port);
	if (rc)
		return rc;
	d->iommu = (struct tgt_loop_iommu){ .port = d->port, .memq = &d->memq, .name = d->name };
	rc = drive_sleep_init(d);
	if (rc)
		goto port;
	rc = make_bdevs(d, opts);
	if (rc)
		goto bdevs;
	mo.port_ctx = d->port;
	rc = memq_init(&d->memq, d->env, d->thread, &d->subsys, &mo);
	if (rc)
		goto bdevs;
	/* One that is moved by its host does not rest by itself. */
	if (d->poll == NVIO_DRIVE_INLINE)
		rc = nvio_poller_register(d->thread, "drive", memq_poll, &d->memq, 0, &d->poller);
	else
		rc = nvio_poller_register(d->thread, "drive", drive_poller, d, 0, &d->poller);
	if (rc)
		goto memq;
	return 0;
memq:
	memq_fini(&d->memq);
bdevs:
	delete_bdevs(d);
	drive_sleep_fini(d);
port:
	loop_withdraw(d->port);
	return rc;
}

static int open_thread(struct nvio_drive *d, const struct nvio_drive_opts *opts)
{
	struct nvio_thread_opts to;

	if (opts->poll == NVIO_DRIVE_ATTACHED) {
		d->thread = opts->thread;
		return 0;
	}
	nvio_thread_opts_init(&to);
	to.name = "drive";
	to.max_msgs = NVIO_THREAD_MSGS_SMALL;
	return nvio_thread_create(d->env, &to, &d->thread);
}

/* Our own; polls until what was put and deleted has really gone. */
static void close_thread(struct nvio_drive *d)
{
	if (d->poll == NVIO_DRIVE_ATTACHED)
		return;
	while (nvio_thread_destroy(d->thread) == -EBUSY)
		nvio_thread_poll(d->thread, 0);
}

/* An OS thread that runs elsewhere than asked for would be found out late, if at all. */
static int check_core(const struct nvio_env *env, int core)
{
	if (core < 0)
		return 0;
	for (int i = 0; i < env->core_count; i++)
		if (env->cores[i] == core)
			return 0;
	return fail(-EINVAL, "drive: core %d is not one that this environment may use; see core_mask", core);
}

static void free_drive(struct nvio_drive *d)
{
	tgt_subsystem_fini(&d->subsys);
	fault_plan_fini(&d->faults);
	alloc_free(d->name);
	alloc_free(d);
}

int nvio_drive_open(struct nvio_env *env, const struct nvio_drive_opts *from, struct nvio_drive **drive)
{
	struct nvio_drive_opts opts;
	struct nvio_drive *d;
	int rc;

	if (!env || !drive)
		return fail(-EINVAL, "drive: open: an environment and a place for the result are needed");
	rc = drive_opts_check(&opts, from);
	if (!rc)
		rc = check_core(env, opts.core);
	if (rc)
		return rc;
	d = alloc_aligned(CACHE_LINE, sizeof(*d));
	if (!d)
		return fail(-ENOMEM, "drive: open %s: no memory", opts.name);
	d->env = env;
	d->poll = opts.poll;
	d->core = opts.core;
	fault_plan_init(&d->faults, opts.seed ? opts.seed : make_seed(env));
	d->name = alloc_strdup(opts.name);
	rc = d->name ? drive_subsystem_init(d, &opts) : fail(-ENOMEM, "drive: open %s: no memory", opts.name);
	if (rc)
		goto free;
	rc = open_thread(d, &opts);
	if (rc)
		goto free;
	/* Until all is there, a kick from another OS thread finds the drive busy. */
	atomic_store_explicit(&d->busy, true, memory_order_relaxed);
	rc = nvio_thread_attach(d->thread);
	if (rc)
		goto thread;
	rc = open_on_thread(d, &opts);
	nvio_thread_detach(d->thread);
	if (rc)
		goto thread;
	if (d->poll == NVIO_DRIVE_OS_THREAD) {
		rc = drive_os_thread_start(d);
		if (rc)
			goto parts;
	}
	/* Release: pairs with the acquire of the first kick. */
	atomic_store_explicit(&d->busy, false, memory_order_release);
	env_child_add(env, &d->child, drive_child_close);
	*drive = d;
	return 0;
parts:
	drive_close_parts(d);
thread:
	close_thread(d);
free:
	free_drive(d);
	return rc;
}

/* Nobody else is at work in the drive any more. */
void drive_close_parts(struct nvio_drive *d)
{
	/* Tell the device first: intake stops, what the block layer has comes to its end, then the host sees all-ones. */
	nvio_thread_attach(d->thread);
	memq_attend(&d->memq, MEMQ_ATT_REMOVE);
	while (!memq_is_gone(&d->memq)) {
		nvio_thread_poll(d->thread, 0);
		memq_poll(&d->memq); /* should we be called from a poller, the poll leaves ours alone */
	}
	drive_sleep_fini(d);
	loop_withdraw(d->port);
	nvio_poller_unregister(d->poller);
	memq_fini(&d->memq);
	delete_bdevs(d);
	nvio_thread_detach(d->thread);
}

void nvio_drive_close(struct nvio_drive *d)
{
	if (!d)
		return;
	env_child_remove(d->env, &d->child);
	if (d->poll == NVIO_DRIVE_OS_THREAD)
		drive_os_thread_stop(d);
	/* Acquire: what the last kick on another OS thread did. Never given back. */
	while (d->poll == NVIO_DRIVE_INLINE && atomic_exchange_explicit(&d->busy, true, memory_order_acquire))
		sched_yield();
	drive_close_parts(d);
	close_thread(d);
	free_drive(d);
}
