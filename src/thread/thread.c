/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of an nvio_thread, and the corner of the environment that knows all of them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/opts.h"
#include "thread/co.h"
#include "thread/device.h"
#include "thread/poller.h"

static int poll_thread(struct nvio_pollable *p)
{
	return thread_wait_poll((struct nvio_thread *)container_of(p, struct thread_hot, pollable));
}

static struct nvio_thread *thread_itself(struct nvio_pollable *p)
{
	return (struct nvio_thread *)container_of(p, struct thread_hot, pollable);
}

static const struct pollable_ops thread_pollable_ops = {
	.name = "thread",
	.poll = poll_thread,
	.thread = thread_itself,
};

void nvio_thread_opts_init(struct nvio_thread_opts *opts)
{
	*opts = (struct nvio_thread_opts){
		.size = sizeof(*opts),
		.max_msgs = NVIO_THREAD_MSGS_DEFAULT,
	};
}

static int read_opts(struct nvio_thread_opts *opts, const struct nvio_thread_opts *given)
{
	int rc;

	nvio_thread_opts_init(opts);
	if (given) {
		rc = opts_copy("nvio_thread_opts", opts, sizeof(*opts), given, sizeof(*given));
		if (rc)
			return rc;
	}
	if (!opts->max_msgs)
		opts->max_msgs = NVIO_THREAD_MSGS_DEFAULT;
	if (opts->max_msgs > MSG_MAX)
		return fail(-EINVAL, "thread: create: max_msgs %" PRIu32 " is more than %u", opts->max_msgs,
			MSG_MAX);
	if (opts->name && strlen(opts->name) > THREAD_NAME_MAX)
		return fail(-EINVAL, "thread: create: name \"%s\" is longer than %u bytes", opts->name,
			THREAD_NAME_MAX);
	return 0;
}

static void init_fields(struct nvio_thread *t, struct nvio_env *env)
{
	t->hot.pollable.ops = &thread_pollable_ops;
	t->channel_ops.ops = &device_pollable_ops;
	op_queue_init(&t->hot.ended);
	list_init(&t->pollers);
	list_init(&t->incoming);
	list_init(&t->aside);
	list_init(&t->dying);
	list_init(&t->channel_list);
	list_init(&t->device_ops);
	list_init(&t->remote_ops);
	list_init(&t->all_pollers);
	pthread_mutex_init(&t->pollers_lock, NULL);
	t->remote_pollable.ops = &remote_pollable_ops;
	remote_queue_init(&t->calls, call_released);
	counts_init(&t->counts);
	t->handle.refs = 1;
	t->clock = env->clock;
	t->env = env;
}

static void registry_add(struct nvio_thread *t)
{
	struct thread_registry *r = t->env->threads;

	pthread_mutex_lock(&r->lock);
	list_push_back(&r->threads, &t->in_registry);
	r->thread_count++;
	pthread_mutex_unlock(&r->lock);
}

static void registry_remove(struct nvio_thread *t)
{
	struct thread_registry *r = t->env->threads;

	pthread_mutex_lock(&r->lock);
	list_remove(&t->in_registry);
	r->thread_count--;
	pthread_mutex_unlock(&r->lock);
}

static uint64_t next_id(struct thread_registry *r)
{
	uint64_t id;

	pthread_mutex_lock(&r->lock);
	id = ++r->last_id;
	pthread_mutex_unlock(&r->lock);
	return id;
}

void thread_free(struct nvio_thread *t)
{
	registry_remove(t);
	env_child_remove(t->env, &t->child);
	poller_free_all(t);
	co_fini(t);
	timer_heap_fini(&t->timers);
	current_forget(t);
	/* First the senders that are still inside (msg_close() among them), then what they may touch. */
	msg_shut(&t->msgs);
	sleep_fini(t);
	channel_clear_graves(t);
	alloc_free(t->channels);
	t->channels = NULL;
	thread_unref(t);
}

struct nvio_thread *thread_next(struct thread_registry *r, uint64_t id)
{
	struct nvio_thread *next = NULL;

	pthread_mutex_lock(&r->lock);
	list_for_each (l, &r->threads) {
		struct nvio_thread *t = list_entry(l, struct nvio_thread, in_registry);

		if (t->id > id && (!next || t->id < next->id))
			next = t;
	}
	if (next)
		thread_ref(next);
	pthread_mutex_unlock(&r->lock);
	return next;
}

int nvio_thread_for_each(struct nvio_env *env, int (*fn)(struct nvio_thread *thread, void *arg), void *arg)
{
	struct nvio_thread *t;
	uint64_t id = 0;
	int rc = 0;

	/* By number, and not by the list: threads may come and go between two calls. */
	while (!rc && (t = thread_next(env->threads, id))) {
		id = t->id;
		rc = fn(t, arg);
		thread_unref(t);
	}
	return rc;
}

bool thread_clear(struct nvio_thread *t, const char *what)
{
	device_cancel_all(t);
	remote_cancel_all(t);
	channel_kill_all(t, what);
	poll_drain(t);
	return !channel_count(t) && list_empty(&t->device_ops) && list_empty(&t->remote_ops) &&
	       op_queue_empty(&t->hot.ended) && !mail_waiting(&t->msgs);
}

/*
 * The environment goes, and takes the thread along: accepted messages run, its for_each and unregister ops
 * end with -ECANCELED, and its channels are destroyed whoever holds them. Nobody else uses the environment,
 * so the other threads' mail is run here too where one of ours is on its way through them.
 */
static void close_child(struct env_child *child)
{
	struct nvio_thread *t = container_of(child, struct nvio_thread, child);
	struct thread_registry *r = t->env->threads;
	uint64_t id = 0;

	msg_close(&t->msgs);
	poll_drain(t);
	for (unsigned round = 0; round < THREAD_DRAIN_ROUNDS; round++) {
		if (list_empty(&t->device_ops) && list_empty(&t->remote_ops) && !channel_count(t))
			break;
		device_cancel_all(t);
		remote_cancel_all(t);
		id = 0;
		for (struct nvio_thread *other = thread_next(r, 0); other; other = thread_next(r, id)) {
			id = other->id;
			if (owned_elsewhere(other))
				sleep_ns(NS_PER_MS); /* an OS thread of ours that still runs gets on by itself */
			else
				poll_drain(other);
			thread_unref(other);
		}
		thread_clear(t, "the environment closes");
	}
	invariant(!channel_count(t) && list_empty(&t->device_ops) && list_empty(&t->remote_ops));
	thread_free(t);
}

int nvio_thread_create(
	struct nvio_env *env, const struct nvio_thread_opts *given, struct nvio_thread **thread)
{
	struct nvio_thread_opts opts;
	struct nvio_thread *t;
	int rc;

	rc = read_opts(&opts, given);
	if (rc)
		return rc;
	t = alloc_aligned(CACHE_LINE, sizeof(*t));
	if (!t)
		return fail(-ENOMEM, "thread: create: no memory");
	init_fields(t, env);
	t->id = next_id(env->threads);
	if (opts.name)
		memcpy(t->name, opts.name, strlen(opts.name) + 1);
	else
		snprintf(t->name, sizeof(t->name), "thread-%" PRIu64, t->id);
	rc = msg_init(&t->msgs, opts.max_msgs);
	if (rc)
		goto free_thread;
	rc = sleep_init(t);
	if (rc)
		goto fini_msgs;
	registry_add(t);
	env_child_add(env, &t->child, close_child);
	*thread = t;
	return 0;

fini_msgs:
	msg_shut(&t->msgs);
	msg_fini(&t->msgs);
free_thread:
	remote_queue_fini(&t->calls);
	pthread_mutex_destroy(&t->pollers_lock);
	alloc_free(t);
	return rc;
}

void nvio_thread_exit(struct nvio_thread *t)
{
	msg_close(&t->msgs);
}

/* What keeps it from going, in words. */
static COLD int still_busy(struct nvio_thread *t)
{
	struct nvio_channel *ch;
	char place[288];

	if (!list_empty(&t->channel_list)) {
		ch = list_entry(t->channel_list.prev, struct nvio_channel, in_thread);
		channel_place(ch, place, sizeof(place));
		return fail(-EBUSY,
			"thread: destroy: %s: %" PRIu32 " channels are held, one of device %s, %" PRIu32
			" times%s; put them, poll, and call again",
			t->name, channel_count(t), ch->device->name, ch->refs, place);
	}
	if (!list_empty(&t->device_ops))
		return fail(-EBUSY,
			"thread: destroy: %s: a for_each or an unregister is in flight; poll, and call again",
			t->name);
	if (!list_empty(&t->remote_ops))
		return fail(-EBUSY,
			"thread: destroy: %s: a call or a join is in flight; wait for it, or cancel it and poll",
			t->name);
	return fail(
		-EBUSY, "thread: destroy: %s: completions keep making work; poll, and call again", t->name);
}

int nvio_thread_destroy(struct nvio_thread *t)
{
	int rc;

	if (owned_elsewhere(t))
		return fail(-EBUSY, "thread: destroy: %s: another OS thread has it right now", t->name);
	if (t->depth)
		return fail(-EBUSY, "thread: destroy: %s: it is being polled; not from within its own poll",
			t->name);
	msg_close(&t->msgs);
	poll_drain(t);
	rc = co_busy_rc(t);
	if (rc)
		return rc;
	if (channel_count(t) || !list_empty(&t->device_ops) || !list_empty(&t->remote_ops) ||
		!op_queue_empty(&t->hot.ended) || mail_waiting(&t->msgs))
		return still_busy(t);
	thread_free(t);
	return 0;
}

const char *nvio_thread_name(const struct nvio_thread *t)
{
	return t->name;
}

uint64_t nvio_thread_id(const struct nvio_thread *t)
{
	return t->id;
}

bool nvio_thread_is_running(const struct nvio_thread *t)
{
	return !msg_closed(&t->msgs);
}

bool nvio_thread_is_idle(const struct nvio_thread *t)
{
	check_own(t, "nvio_thread_is_idle");
	return !mail_waiting(&t->msgs) && !t->timers.count && !t->active && !t->dying_count &&
	       op_queue_empty(&t->hot.ended) && !(t->attention & ATT_CO);
}

int nvio_thread_send(struct nvio_thread *t, void (*fn)(void *arg), void *arg)
{
	if (unlikely(!fn))
		return fail(-EINVAL, "thread: send: %s: no fn", t->name);
	return msg_send(&t->msgs, fn, arg);
}

int thread_send_by_id(struct nvio_env *env, uint64_t id, void (*fn)(void *arg), void *arg)
{
	struct thread_registry *r = env->threads;
	struct nvio_thread *t = NULL;
	int rc;

	/* The lock keeps it from going while it is sent to. */
	pthread_mutex_lock(&r->lock);
	list_for_each (l, &r->threads) {
		t = list_entry(l, struct nvio_thread, in_registry);
		if (t->id == id)
			break;
		t = NULL;
	}
	rc = t ? msg_send(&t->msgs, fn, arg) : fail(-ESHUTDOWN, "thread: send: the thread is gone");
	pthread_mutex_unlock(&r->lock);
	return rc;
}

void thread_send_note(struct nvio_thread *t, struct note *note)
{
	note_send(&t->msgs, note);
}

void thread_poll_all(struct nvio_env *env)
{
	struct nvio_thread *t;
	uint64_t id = 0;

	while ((t = thread_next(env->threads, id))) {
		id = t->id;
		if (!owned_elsewhere(t))
			nvio_thread_poll(t, 0);
		thread_unref(t);
	}
}

struct nvio_thread *nvio_thread_app(struct nvio_env *env)
{
	struct thread_registry *r = env->threads;
	struct nvio_thread *t = NULL;

	pthread_mutex_lock(&r->lock);
	if (!list_empty(&r->threads))
		t = list_entry(r->threads.next, struct nvio_thread, in_registry);
	pthread_mutex_unlock(&r->lock);
	return t;
}

uint32_t nvio_thread_count(struct nvio_env *env)
{
	uint32_t n;

	pthread_mutex_lock(&env->threads->lock);
	n = env->threads->thread_count;
	pthread_mutex_unlock(&env->threads->lock);
	return n;
}

/* A turn for the thread that is current here, while somebody waits for something else. See base/op.h. */
static int thread_idle_poll(void)
{
	struct nvio_thread *t = thread_current();

	/* A coroutine lets that very poll go on, instead of making another on its small stack. */
	if (co_current()) {
		(void)nvio_co_yield(); /* cancelled or not: what is waited for decides */
		return 1;
	}
	return t ? nvio_thread_poll(t, 0) : 0;
}

int thread_env_init(struct nvio_env *env)
{
	struct thread_registry *r = alloc_zeroed(sizeof(*r));

	if (!r)
		return fail(-ENOMEM, "thread: no memory for the registry");
	pthread_mutex_init(&r->lock, NULL);
	list_init(&r->threads);
	env->threads = r;
	op_idle_poll = thread_idle_poll;
	op_suspend = co_wait_op;
	return 0;
}

/* The threads are children of the environment and gone by now, and with them all channels. */
void thread_env_fini(struct nvio_env *env)
{
	struct thread_registry *r = env->threads;

	if (!r)
		return;
	invariant(list_empty(&r->threads));
	device_free_all(r);
	pthread_mutex_destroy(&r->lock);
	alloc_free(r);
	env->threads = NULL;
}
