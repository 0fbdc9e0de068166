/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where host and target meet: the names, and who is at a port. A port lives until both have left it; what
 * passes through it while both are there is in regs.c (registers, doorbells, interrupts).
 */
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/fail.h"
#include "base/op.h"
#include "loop/port.h"

#define PATIENCE_NS NS_PER_S /* how long a target may take to be quiet before it is complained about */

/* Its address says which OS thread runs a kick. */
static _Thread_local char this_thread;

static bool kicks_here(struct loop_port *port)
{
	return __atomic_load_n(&port->kicker, __ATOMIC_RELAXED) == &this_thread;
}

static struct loop_port *find(struct loop_registry *registry, const char *name)
{
	list_for_each (pos, &registry->ports) {
		struct loop_port *port = list_entry(pos, struct loop_port, link);

		if (strcmp(port->name, name) == 0)
			return port;
	}
	return NULL;
}

static void port_destroy(struct loop_port *port)
{
	loop_iommu_fini(&port->iommu);
	pthread_mutex_destroy(&port->note_lock);
	pthread_mutex_destroy(&port->write_lock);
	pthread_mutex_destroy(&port->irq_lock);
	pthread_mutex_destroy(&port->bell_lock);
	alloc_free(port->doorbells);
	alloc_free(port->name);
	alloc_free(port);
}

/* One side has left, the last one frees. From within a kick of this thread that waits until the kick is over.
 */
static void leave(struct loop_port *port, bool *side)
{
	struct loop_registry *registry = port->registry;
	bool last;

	pthread_mutex_lock(&registry->lock);
	*side = false;
	last = !port->has_target && !port->has_host;
	if (last)
		list_remove(&port->all);
	pthread_mutex_unlock(&registry->lock);
	if (!last)
		return;
	if (kicks_here(port))
		port->free_after_kick = true;
	else
		port_destroy(port);
}

/*
 * Enters the target, one OS thread at a time. Acquire when entering and release when leaving: what the
 * last kick did to the target's state must not be seen after the beginning of this one, nor this one's before
 * its end.
 */
static ALWAYS_INLINE bool enter(struct loop_port *port)
{
	/* Looked at first: an exchange would take the cache line away from the one who is at work. */
	if (__atomic_load_n(&port->kicking, __ATOMIC_RELAXED) ||
		__atomic_exchange_n(&port->kicking, true, __ATOMIC_ACQUIRE))
		return false;
	__atomic_store_n(&port->kicker, &this_thread, __ATOMIC_RELAXED);
	return true;
}

static ALWAYS_INLINE void exit_target(struct loop_port *port)
{
	__atomic_store_n(&port->kicker, NULL, __ATOMIC_RELAXED);
	if (unlikely(port->withdrawn_in_kick)) {
		/* kicking stays set: no kick ever again. */
		if (port->free_after_kick)
			port_destroy(port);
		return;
	}
	__atomic_store_n(&port->kicking, false, __ATOMIC_RELEASE);
}

static int kick(void *ctx)
{
	struct loop_port *port = ctx;
	int work;

	if (!enter(port))
		return 0;
	work = port->ops->kick(port->ctx);
	exit_target(port);
	return work;
}

static void urge(struct loop_port *port)
{
	if (!enter(port))
		return;
	port->ops->urge(port->ctx);
	exit_target(port);
}

int loop_rest(struct loop_port *port, int *fd, int *timeout_ms)
{
	int work;

	if (!port->can_rest)
		return fail(-EOPNOTSUPP, "loop: %s: this controller cannot be slept on; poll it", port->name);
	/* Another host thread moves it just now, or it is gone, which a poll finds out. */
	if (!enter(port))
		return 1;
	work = port->ops->rest(port->ctx, fd, timeout_ms);
	exit_target(port);
	return work > 0;
}

/* ---- The target's side ---- */

static int make_port(const char *name, uint32_t doorbells, uint32_t dstrd, struct loop_port **out)
{
	struct loop_port *port = alloc_aligned(CACHE_LINE, sizeof(*port));

	if (!port)
		goto out_none;
	port->name = alloc_strdup(name);
	if (!port->name)
		goto out_port;
	port->doorbells = alloc_aligned(CACHE_LINE, (size_t)doorbells * (4u << dstrd));
	if (!port->doorbells)
		goto out_name;
	port->doorbell_count = doorbells;
	port->dstrd = dstrd;
	pthread_mutex_init(&port->note_lock, NULL);
	pthread_mutex_init(&port->write_lock, NULL);
	pthread_mutex_init(&port->irq_lock, NULL);
	pthread_mutex_init(&port->bell_lock, NULL);
	for (uint32_t i = 0; i < LOOP_MAX_VECTORS; i++) {
		port->irq_fds[i] = -1;
		port->bells[i].fd = port->bells[i].event_fd = -1;
	}
	port->target_fd = -1;
	loop_iommu_init(&port->iommu, name);
	*out = port;
	return 0;
out_name:
	alloc_free(port->name);
out_port:
	alloc_free(port);
out_none:
	return fail(-ENOMEM, "loop: publish %s: no memory for a port with %u doorbells", name, doorbells);
}

int loop_publish(struct nvio_env *env, const char *name, const struct loop_port_ops *ops, void *ctx,
	uint32_t doorbells, uint32_t dstrd, struct loop_port **out)
{
	struct loop_registry *registry = env->loop;
	struct loop_port *port = NULL;
	int rc;

	if (!name || !name[0])
		return fail(-EINVAL, "loop: publish: a name is needed");
	if (dstrd > LOOP_MAX_DSTRD)
		return fail(
			-EINVAL, "loop: publish %s: dstrd %u; 0 to %u expected", name, dstrd, LOOP_MAX_DSTRD);
	rc = make_port(name, doorbells, dstrd, &port);
	if (rc)
		return rc;
	port->env = env;
	port->registry = registry;
	port->ops = ops;
	port->has_urge = ops->urge;
	port->can_rest = ops->rest;
	port->behind_iommu = ops->iommu;
	port->ctx = ctx;
	port->hot = (struct loop_hot){ .kick = ops->kick ? kick : NULL, .ctx = port };
	port->has_target = true;
	pthread_mutex_lock(&registry->lock);
	if (find(registry, name)) {
		rc = fail(-EEXIST, "loop: publish %s: the name is in use", name);
	} else {
		list_push_back(&registry->ports, &port->link);
		list_push_back(&registry->all, &port->all);
	}
	pthread_mutex_unlock(&registry->lock);
	if (rc)
		port_destroy(port);
	else
		*out = port;
	return rc;
}

void loop_withdraw(struct loop_port *port)
{
	pthread_mutex_lock(&port->registry->lock);
	list_remove(&port->link);
	pthread_mutex_unlock(&port->registry->lock);
	loop_absent_set(port, LOOP_WITHDRAWN);
	/* A detached that has begun ends before this; none begins after it. */
	pthread_mutex_lock(&port->note_lock);
	port->withdrawn = true;
	pthread_mutex_unlock(&port->note_lock);
	if (kicks_here(port)) {
		port->withdrawn_in_kick = true;
	} else {
		/* Taken and never given back. Acquire: the last kick is over before the target frees what it
		 * used. */
		while (__atomic_exchange_n(&port->kicking, true, __ATOMIC_ACQUIRE))
			sched_yield();
	}
	loop_target_awake(port);
	loop_bells_ring(port);
	leave(port, &port->has_target);
}

void *loop_reach(struct loop_port *port, struct loop_tlb *tlb, uint64_t iova, uint64_t len)
{
	return loop_iommu_reach(&port->iommu, tlb, iova, len);
}

/* ---- The host's side ---- */

static bool is_quiet(struct loop_port *port)
{
	bool quiet;

	pthread_mutex_lock(&port->note_lock);
	quiet = port->withdrawn || !port->ops->quiet || port->ops->quiet(port->ctx);
	pthread_mutex_unlock(&port->note_lock);
	return quiet;
}

/*
 * Until the target is through with the former host. Without an end: one that is not may still write to
 * memory that the host is about to free.
 */
static void wait_quiet(struct loop_port *port)
{
	uint64_t late_ns = clock_monotonic_ns() + PATIENCE_NS;
	bool late = false;

	while (!is_quiet(port)) {
		if (port->hot.kick && port->hot.kick(port->hot.ctx) > 0)
			continue;
		op_idle();
		if (!late && clock_monotonic_ns() >= late_ns) {
			late = true;
			log_msg(&port->env->log, NVIO_LOG_WARN,
				"loop: detach %s: waits for the drive to end what it does in the host's memory; poll the drive",
				port->name);
		}
		if (late && port->has_urge)
			urge(port);
	}
}

int loop_attach(struct nvio_env *env, const char *name, struct loop_port **out)
{
	struct loop_registry *registry = env->loop;
	struct loop_port *port;
	int rc = 0;

	pthread_mutex_lock(&registry->lock);
	port = name ? find(registry, name) : NULL;
	if (!port) {
		rc = fail(-ENODEV,
			"loop: attach %s: no drive of this name in the environment; open it first (nvio_drive_open)",
			name ? name : "(none)");
	} else if (port->has_host) {
		rc = fail(-EBUSY, "loop: attach %s: it has a host already; disconnect that one first", name);
	} else if (kicks_here(port) && !is_quiet(port)) {
		rc = fail(-EBUSY, "loop: attach %s: its former host is leaving; try again after this poll", name);
	} else {
		port->has_host = true;
		loop_absent_clear(port, LOOP_STUCK);
		*out = port;
	}
	pthread_mutex_unlock(&registry->lock);
	if (rc)
		return rc;
	wait_quiet(port); /* the former host may have left where it could not wait */
	if (port->behind_iommu) {
		rc = mem_mapper_add(env, &port->iommu.mapper);
		if (rc)
			leave(port, &port->has_host);
	}
	return rc;
}

bool loop_behind_iommu(const struct loop_port *port)
{
	return port->behind_iommu;
}

void loop_detach(struct loop_port *port)
{
	pthread_mutex_lock(&port->irq_lock);
	for (uint32_t i = 0; i < LOOP_MAX_VECTORS; i++)
		__atomic_store_n(&port->irq_fds[i], -1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&port->irq_lock);
	for (uint32_t i = 0; i < LOOP_MAX_VECTORS; i++)
		loop_bell_close(port, i);
	loop_writes_drop(port);
	pthread_mutex_lock(&port->note_lock);
	if (!port->withdrawn && port->ops->detached)
		port->ops->detached(port->ctx);
	pthread_mutex_unlock(&port->note_lock);
	loop_target_check(port);
	if (!kicks_here(port))
		wait_quiet(port);
	if (port->behind_iommu)
		mem_mapper_remove(port->env, &port->iommu.mapper);
	leave(port, &port->has_host);
}

const struct loop_hot *loop_hot(struct loop_port *port)
{
	return &port->hot;
}

/* ---- The environment's corner ---- */

int loop_env_init(struct nvio_env *env)
{
	struct loop_registry *registry = alloc_zeroed(sizeof(*registry));

	if (!registry)
		return fail(-ENOMEM, "loop: no memory for the names");
	pthread_mutex_init(&registry->lock, NULL);
	list_init(&registry->ports);
	list_init(&registry->all);
	env->loop = registry;
	return 0;
}

void loop_env_fini(struct nvio_env *env)
{
	struct loop_registry *registry = env->loop;

	if (!registry)
		return;
	/* Both sides are children of the environment and gone by now; what is left was forgotten by one of
	 * them. */
	list_for_each_safe (pos, &registry->all) {
		struct loop_port *port = list_entry(pos, struct loop_port, all);

		log_msg(&env->log, NVIO_LOG_WARN, "loop: %s: at close it is still%s%s", port->name,
			port->has_target ? " published" : "", port->has_host ? " attached" : "");
		list_remove(&port->all);
		if (port->has_host && port->behind_iommu)
			mem_mapper_remove(env, &port->iommu.mapper);
		port_destroy(port);
	}
	pthread_mutex_destroy(&registry->lock);
	alloc_free(registry);
	env->loop = NULL;
}
