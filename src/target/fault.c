/* SPDX-License-Identifier: BSD-3-Clause */
/* The fault plan: rules in order, the first that strikes is taken, chances come from the drive's seed. */
#include "target/fault.h"

#include <errno.h>
#include <string.h>

#include "base/fail.h"
#include <nvio/spec/nvm.h>

void fault_plan_init(struct fault_plan *p, uint64_t seed)
{
	memset(p, 0, sizeof(*p));
	pthread_mutex_init(&p->lock, NULL);
	random_init(&p->random, seed);
}

void fault_plan_fini(struct fault_plan *p)
{
	pthread_mutex_destroy(&p->lock);
}

static int check(const struct nvio_fault *f)
{
	if ((unsigned)f->kind > NVIO_FAULT_LOSE_ABORT)
		return fail(-EINVAL, "drive: fault: there is no kind %u", (unsigned)f->kind);
	if (f->opcode < -1 || f->opcode > 255)
		return fail(-EINVAL, "drive: fault: opcode %d is not -1 to 255", f->opcode);
	/* Written so that what is not a number is refused too. */
	if (!(f->probability >= 0 && f->probability <= 1))
		return fail(-EINVAL, "drive: fault: a probability is between 0 and 1");
	if (f->kind == NVIO_FAULT_STATUS && (!f->sf || f->sf & 0x8000))
		return fail(-EINVAL, "drive: fault: status 0x%x: say which with sf, 1 to 0x7fff", f->sf);
	if (f->lba_count && f->lba_first + f->lba_count < f->lba_first)
		return fail(-EINVAL, "drive: fault: the blocks wrap around");
	return 0;
}

int fault_plan_add(struct fault_plan *p, const struct nvio_fault *fault)
{
	uint32_t n;
	int rc;

	if (!fault)
		return fail(-EINVAL, "drive: fault: none given (NULL)");
	rc = check(fault);
	if (rc)
		return rc;
	pthread_mutex_lock(&p->lock);
	n = atomic_load_explicit(&p->count, memory_order_relaxed);
	if (n < FAULT_MAX) {
		p->rules[n] = (struct fault_rule){ .fault = *fault };
		atomic_store_explicit(&p->count, n + 1, memory_order_relaxed);
	} else {
		rc = fail(-ENOSPC, "drive: fault: the plan has %u faults, which is the limit; clear it first", n);
	}
	pthread_mutex_unlock(&p->lock);
	return rc;
}

int fault_plan_add_str(struct fault_plan *p, const char *text)
{
	struct nvio_fault fault;
	int rc = fault_parse(text, &fault);

	return rc ? rc : fault_plan_add(p, &fault);
}

void fault_plan_clear(struct fault_plan *p)
{
	pthread_mutex_lock(&p->lock);
	atomic_store_explicit(&p->count, 0, memory_order_relaxed);
	pthread_mutex_unlock(&p->lock);
}

/* Of one rule that matches: whether it strikes this time. */
static bool strikes(struct fault_plan *p, struct fault_rule *r)
{
	const struct nvio_fault *f = &r->fault;
	uint64_t n = r->seen++;

	if (n < f->skip || (f->count && r->struck >= f->count))
		return false;
	if (f->every > 1 && (n - f->skip) % f->every)
		return false;
	if (f->probability != 0 && !random_bool(&p->random, f->probability))
		return false;
	r->struck++;
	atomic_store_explicit(&p->struck, atomic_load_explicit(&p->struck, memory_order_relaxed) + 1,
		memory_order_relaxed);
	return true;
}

static bool touches(const struct nvio_sqe *sqe, uint64_t first, uint64_t count)
{
	uint64_t slba = nvio_get_le32(sqe->cdw10) | (uint64_t)nvio_get_le32(sqe->cdw11) << 32;
	uint64_t last = slba + nvio_rw_nlb(nvio_get_le32(sqe->cdw12));

	switch (sqe->opc) {
	case NVIO_NVM_READ:
	case NVIO_NVM_WRITE:
	case NVIO_NVM_COMPARE:
	case NVIO_NVM_WRITE_ZEROES:
		return last >= first && slba <= first + (count - 1);
	default:
		return false; /* has no range */
	}
}

static bool of_state(enum nvio_fault_kind kind)
{
	return kind == NVIO_FAULT_NEVER_READY || kind == NVIO_FAULT_NEVER_STOP;
}

static bool matches(const struct nvio_fault *f, const struct nvio_sqe *sqe, bool admin)
{
	/* Abort is an admin command, whatever the rule says of queues; only Abort commands can be lied about. */
	if (f->kind == NVIO_FAULT_LOSE_ABORT)
		return admin && sqe->opc == 0x08;
	if (of_state(f->kind) || f->admin != admin)
		return false;
	if (f->opcode >= 0 && f->opcode != sqe->opc)
		return false;
	if (f->nsid && f->nsid != nvio_get_le32(sqe->nsid))
		return false;
	return !f->lba_count || (!admin && touches(sqe, f->lba_first, f->lba_count));
}

bool fault_plan_command(struct fault_plan *p, const struct nvio_sqe *sqe, bool admin, struct nvio_fault *fault)
{
	bool struck = false;
	uint32_t n;

	pthread_mutex_lock(&p->lock);
	n = atomic_load_explicit(&p->count, memory_order_relaxed);
	for (uint32_t i = 0; i < n && !struck; i++) {
		struct fault_rule *r = &p->rules[i];

		struck = matches(&r->fault, sqe, admin) && strikes(p, r);
		if (struck)
			*fault = r->fault;
	}
	pthread_mutex_unlock(&p->lock);
	return struck;
}

bool fault_plan_state(struct fault_plan *p, enum nvio_fault_kind kind)
{
	bool struck = false;
	uint32_t n;

	pthread_mutex_lock(&p->lock);
	n = atomic_load_explicit(&p->count, memory_order_relaxed);
	for (uint32_t i = 0; i < n && !struck; i++)
		struck = p->rules[i].fault.kind == kind && strikes(p, &p->rules[i]);
	pthread_mutex_unlock(&p->lock);
	return struck;
}
