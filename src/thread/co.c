/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of a coroutine: spawned, run from the thread's poll, ended; and what may be asked about it. */
#include "thread/co.h"

#include <string.h>

#include "base/alloc.h"
#include "base/opts.h"
#include "thread/co_switch.h"

nvio_static_assert(NVIO_CO_STACK_MIN == 1u << CO_CLASS_MIN, "the smallest class");
nvio_static_assert((uint64_t)NVIO_CO_STACK_MAX * CO_STACK_FACTOR <= 1ull << (CO_CLASS_MIN + CO_CLASSES - 1), "the largest class");

/* ---- running ---- */

/* Its own frame holds nothing whose address is taken, as the fake stack of AddressSanitizer goes with each coroutine. */
CO_SAN_FRAME void co_main(void *arg)
{
	struct nvio_co *co = arg;

	for (;;) {
		co_san_arrive(&co->san, co->back_san);
		co->value = co->fn(co->arg);
		co->status = NVIO_CO_ENDED;
		co_san_leave(&co->san, co->back_san, true);
		co_switch(&co->sp, co->back);
	}
}

void co_suspend(struct nvio_co *co, enum nvio_co_status status)
{
	co->status = status;
	co_san_leave(&co->san, co->back_san, false);
	co_switch(&co->sp, co->back);
	co_san_arrive(&co->san, co->back_san);
}

void co_make_ready(struct nvio_co *co)
{
	struct nvio_thread *t = co->thread;

	co->status = NVIO_CO_READY;
	list_push_back(&t->co->ready, &co->link);
	t->co->ready_count++;
	t->attention |= ATT_CO;
	/* Outside of a poll: the loop that was about to sleep, or sleeps, must not. */
	if (unlikely(t->attention & (ATT_LOOP | ATT_ARMED)) && !t->depth) {
		msg_awake(&t->msgs);
		msg_wake(&t->msgs);
	}
}

void co_wake(struct nvio_co *co)
{
	check_own(co->thread, "the end of what a coroutine waits for");
	if (co->status == NVIO_CO_WAITING || co->status == NVIO_CO_SLEEPING)
		co_make_ready(co);
}

void co_recycle(struct nvio_co *co)
{
	struct nvio_thread *t = co->thread;

	list_remove(&co->in_all);
	t->co->unjoined--;
	co_stack_put(t, co);
}

static void ended(struct nvio_thread *t, struct nvio_co *co)
{
	t->co->count--;
	t->co->unjoined++;
	if (co->slot) {
		co_group_ended(co->slot, co->value);
		co_recycle(co);
	} else if (co->detached) {
		co_recycle(co);
	} else if (co->joiner) {
		co_wake(co->joiner);
	}
}

static void resume(struct nvio_thread *t, struct nvio_co *co)
{
	struct co_sched *s = t->co;
	struct nvio_co *before = s->running;
	struct co_san here;

	co->status = NVIO_CO_RUNNING;
	co->depth = t->depth;
	co->back_san = &here;
	s->running = co;
	co_san_this(&here);
	co_san_leave(&here, &co->san, false);
	co_switch(&co->back, co->sp);
	co_san_arrive(&here, NULL);
	s->running = before;
	if (co->status == NVIO_CO_ENDED)
		ended(t, co);
}

uint64_t co_run(struct nvio_thread *t)
{
	struct co_sched *s = t->co;
	uint64_t work = 0;

	if (unlikely(atomic_load_explicit(&co_fault_on, memory_order_relaxed)))
		co_fault_prepare();
	if (unlikely(s->armed))
		co_sleep_ends(t);
	if (s->watched_count)
		work += co_watch_poll(t);
	/* Those that are ready now: one that yields has its next turn in the next poll. */
	for (uint32_t n = s->ready_count; n && s->ready_count; n--) {
		struct nvio_co *co = list_entry(list_pop_front(&s->ready), struct nvio_co, link);

		s->ready_count--;
		resume(t, co);
		work++;
	}
	if (!s->ready_count && !s->watched_count)
		t->attention &= ~ATT_CO;
	return work;
}

/* ---- spawning ---- */

void nvio_co_opts_init(struct nvio_co_opts *opts)
{
	*opts = (struct nvio_co_opts){ .size = sizeof(*opts), .stack_size = NVIO_CO_STACK_DEFAULT };
}

static int read_opts(struct nvio_thread *t, struct nvio_co_opts *opts, const struct nvio_co_opts *given)
{
	int rc;

	nvio_co_opts_init(opts);
	if (!given)
		return 0;
	rc = opts_copy("nvio_co_opts", opts, sizeof(*opts), given, sizeof(*given));
	if (rc)
		return rc;
	if (!opts->stack_size)
		opts->stack_size = NVIO_CO_STACK_DEFAULT;
	if (opts->stack_size < NVIO_CO_STACK_MIN || opts->stack_size > NVIO_CO_STACK_MAX)
		return fail(-EINVAL, "coroutine: spawn: %s: stack_size %zu; it goes from %u to %u, or is 0 for %u", t->name,
			opts->stack_size, NVIO_CO_STACK_MIN, NVIO_CO_STACK_MAX, NVIO_CO_STACK_DEFAULT);
	if (opts->name && strlen(opts->name) > NVIO_CO_NAME_MAX)
		return fail(-EINVAL, "coroutine: spawn: %s: name \"%s\" is longer than %u bytes", t->name, opts->name,
			NVIO_CO_NAME_MAX);
	return 0;
}

static int make_sched(struct nvio_thread *t)
{
	struct co_sched *s = alloc_zeroed(sizeof(*s));

	if (!s)
		return fail(-ENOMEM, "coroutine: spawn: %s: no memory", t->name);
	list_init(&s->ready);
	list_init(&s->watched);
	list_init(&s->all);
	for (unsigned i = 0; i < CO_BUCKETS; i++)
		list_init(&s->buckets[i]);
	co_pool_init(s);
	t->co = s;
	return 0;
}

/* What a stack of the pool has left of the coroutine before, or a new one never had. */
static void init_fields(struct nvio_co *co, struct nvio_thread *t, const struct nvio_co_opts *opts)
{
	co->thread = t;
	co->value = 0;
	co->cancelled = false;
	co->detached = false;
	co->tap = NULL;
	co->group = NULL;
	co->joins = NULL;
	co->timer = (struct nvio_timer){ 0 };
	co->joined = false;
	co->joiner = NULL;
	co->slot = NULL;
	co->id = ++t->co->last_id;
	co->name[0] = '\0';
	if (opts->name)
		memcpy(co->name, opts->name, strlen(opts->name) + 1);
}

/* The checks that do not depend on the options. */
static int may_spawn(struct nvio_thread *t, nvio_co_fn fn)
{
	if (!fn)
		return fail(-EINVAL, "coroutine: spawn: %s: no fn", t->name);
	if (owned_elsewhere(t))
		return fail(-EBUSY, "coroutine: spawn: %s: another OS thread has it right now; send it a message that spawns",
			t->name);
	if (msg_closed(&t->msgs) || (t->co && t->co->closing))
		return fail(-ESHUTDOWN, "coroutine: spawn: %s: the thread is exiting", t->name);
	return 0;
}

int nvio_co_spawn(struct nvio_thread *t, nvio_co_fn fn, void *arg, const struct nvio_co_opts *given, struct nvio_co **out)
{
	struct nvio_co_opts opts;
	struct nvio_co *co;
	int rc = may_spawn(t, fn);

	if (!rc)
		rc = read_opts(t, &opts, given);
	if (!rc && !t->co)
		rc = make_sched(t);
	if (rc)
		return rc;
	co = co_stack_get(t, opts.stack_size);
	if (!co)
		return -ENOMEM;
	init_fields(co, t, &opts);
	co->fn = fn;
	co->arg = arg;
	co->detached = !out;
	list_push_back(&t->co->all, &co->in_all);
	t->co->count++;
	co_make_ready(co);
	if (out)
		*out = co;
	return 0;
}

void co_fini(struct nvio_thread *t)
{
	if (!t->co)
		return;
	invariant(!t->co->count);
	while (!list_empty(&t->co->all))
		co_recycle(list_entry(t->co->all.next, struct nvio_co, in_all));
	co_pool_free(t->co);
	alloc_free(t->co);
	t->co = NULL;
}

int co_busy_rc(struct nvio_thread *t)
{
	static const char *const doing[] = {
		[NVIO_CO_READY] = "is ready to run: poll, and call again",
		[NVIO_CO_RUNNING] = "runs",
		[NVIO_CO_WAITING] = "waits: cancel it, poll, and call again",
		[NVIO_CO_SLEEPING] = "sleeps: cancel it, poll, and call again",
		[NVIO_CO_ENDED] = "has ended and was not joined: join or detach it",
	};
	struct nvio_co *co;

	if (!t->co || list_empty(&t->co->all))
		return 0;
	co = list_entry(t->co->all.next, struct nvio_co, in_all);
	return fail(-EBUSY, "thread: destroy: %s: %u coroutines have not ended; \"%s\" %s", t->name, t->co->count, co_name(co),
		doing[co->status]);
}

/* ---- what it is ---- */

const char *co_name(struct nvio_co *co)
{
	char digits[20];
	unsigned n = 0, at = 3;

	if (co->name[0])
		return co->name;
	memcpy(co->name, "co-", 3);
	for (uint64_t id = co->id; id; id /= 10)
		digits[n++] = (char)('0' + id % 10);
	while (n)
		co->name[at++] = digits[--n];
	co->name[at] = '\0';
	return co->name;
}

const char *nvio_co_name(struct nvio_co *co) { return co_name(co); }
enum nvio_co_status nvio_co_status(const struct nvio_co *co) { return co->status; }
struct nvio_thread *nvio_co_thread(const struct nvio_co *co) { return co->thread; }
bool nvio_co_is_cancelled(const struct nvio_co *co) { return co->cancelled; }
struct nvio_co *nvio_co_current(void) { return co_current(); }
uint32_t nvio_co_count(const struct nvio_thread *t) { return t->co ? t->co->count : 0; }
