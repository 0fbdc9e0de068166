/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rows T5, T6, T7, C1, Z5 all at once: ten OS threads that spawn, send, call, get channels, walk and exit at
 * random, while two more read everybody's statistics. Nothing is lost: each accepted message runs, each op
 * ends once. For the thread sanitizer, and bounded: every one does a fixed number of things.
 */
#include "tests/unit/thread/toy.h"

#define WORKERS 8
#define DEVICES 3
#define THINGS	4000

struct stress {
	struct nvio_env *env;
	struct device devices[DEVICES];
	pthread_mutex_t lock;
	struct nvio_thread_handle *handles[WORKERS]; /* lock; each replaced when its thread exits */
	atomic_int messages_sent, messages_run, ops_begun, ops_ended, calls_run;
	atomic_bool stop;
};

static struct stress s;

static uint32_t roll(uint64_t *seed, uint32_t sides)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33) % sides;
}

static struct nvio_thread_handle *any_handle(uint64_t *seed)
{
	struct nvio_thread_handle *h;

	pthread_mutex_lock(&s.lock);
	h = s.handles[roll(seed, WORKERS)];
	if (h)
		nvio_thread_handle_clone(h);
	pthread_mutex_unlock(&s.lock);
	return h;
}

static void run_message(void *arg)
{
	atomic_fetch_add(&s.messages_run, 1);
}

static int run_call(void *arg)
{
	atomic_fetch_add(&s.calls_run, 1);
	return (int)(intptr_t)arg;
}

static int visit_quietly(struct nvio_channel *ch, void *arg)
{
	return nvio_channel_thread(ch) == nvio_thread_current() ? 0 : -EIO;
}

/* Its result is 0, or its end the way that was asked for. */
static int end(struct nvio_op *op, int submitted, int wanted, uint64_t *seed)
{
	int rc;

	if (submitted)
		return submitted == -ESHUTDOWN || submitted == -ENOENT || submitted == -ENOBUFS ? 0
												: submitted;
	atomic_fetch_add(&s.ops_begun, 1);
	if (!roll(seed, 4))
		nvio_cancel(op);
	rc = nvio_wait(op);
	atomic_fetch_add(&s.ops_ended, 1);
	return rc == wanted || rc == -ECANCELED || rc == -ETIMEDOUT || rc == -ESHUTDOWN ? 0 : -EPROTO;
}

static int short_lived(struct nvio_thread *t, void *arg)
{
	struct nvio_channel *ch;
	int rc = nvio_channel_get(s.env, &s.devices[0], &ch);

	if (rc)
		return rc;
	nvio_thread_poll(t, 0);
	nvio_channel_put(ch);
	return 5;
}

static int one_thing(struct nvio_thread *t, uint64_t *seed)
{
	struct device *d = &s.devices[roll(seed, DEVICES)];
	struct nvio_thread_handle *h = any_handle(seed);
	struct nvio_op op = NVIO_OP(NULL);
	struct nvio_os_thread *os;
	struct nvio_channel *ch;
	int rc = 0, value = (int)roll(seed, 100);

	switch (roll(seed, 8)) {
	case 0:
	case 1:
		if (h && !nvio_thread_handle_send(h, run_message, NULL))
			atomic_fetch_add(&s.messages_sent, 1);
		break;
	case 2:
	case 3:
		op.timeout_us = roll(seed, 2) ? 0 : roll(seed, 3000);
		if (h)
			rc = end(&op, nvio_thread_handle_call(h, run_call, (void *)(intptr_t)value, &op),
				value, seed);
		break;
	case 4:
	case 5:
		rc = nvio_channel_get(s.env, d, &ch);
		if (!rc) {
			nvio_thread_poll(t, 0);
			nvio_channel_put(ch);
		}
		break;
	case 6: rc = end(&op, nvio_channel_for_each(s.env, d, visit_quietly, NULL, &op), 0, seed); break;
	default:
		if (roll(seed, 10))
			break;
		rc = nvio_os_thread_spawn(s.env, NULL, short_lived, NULL, &os);
		if (!rc)
			rc = nvio_os_thread_join(os) == 5 ? 0 : -EPROTO;
	}
	nvio_thread_handle_put(h);
	nvio_thread_poll(t, 0);
	return rc;
}

static void set_handle(int i, struct nvio_thread *t)
{
	struct nvio_thread_handle *old;

	pthread_mutex_lock(&s.lock);
	old = s.handles[i];
	s.handles[i] = t ? nvio_thread_handle_get(t) : NULL;
	pthread_mutex_unlock(&s.lock);
	nvio_thread_handle_put(old);
}

static int worker(struct nvio_thread *t, void *arg)
{
	int number = (int)(intptr_t)arg, rc = 0;
	uint64_t seed = (uint64_t)number * 77 + 1;

	set_handle(number, t);
	for (int i = 0; i < THINGS && !rc; i++)
		rc = one_thing(t, &seed);
	return rc;
}

static int read_one(struct nvio_thread *t, void *arg)
{
	struct nvio_poller_stats pollers[2];
	struct nvio_thread_stats stats;

	nvio_thread_get_stats(t, &stats, sizeof(stats));
	nvio_thread_get_poller_stats(t, pollers, 2);
	return 0;
}

static void *read_all(void *arg)
{
	while (!atomic_load(&s.stop)) {
		nvio_thread_for_each(s.env, read_one, NULL);
		usleep(200);
	}
	return NULL;
}

static void ten_threads_lose_nothing(void **state)
{
	struct nvio_os_thread *workers[WORKERS];
	pthread_t readers[2];

	memset(&s, 0, sizeof(s));
	pthread_mutex_init(&s.lock, NULL);
	assert_int_equal(nvio_env_open(NULL, &s.env), 0);
	for (int i = 0; i < DEVICES; i++)
		assert_int_equal(nvio_io_device_register(s.env, &s.devices[i], &ops), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_all, NULL), 0);
	/* The second round of each worker takes the place of the first, whose handle others still use. */
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < WORKERS; i++)
			assert_int_equal(
				nvio_os_thread_spawn(s.env, NULL, worker, (void *)(intptr_t)i, &workers[i]),
				0);
		for (int i = 0; i < WORKERS; i++)
			assert_int_equal(nvio_os_thread_join(workers[i]), 0);
	}
	atomic_store(&s.stop, true);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(readers[i], NULL), 0);
	for (int i = 0; i < WORKERS; i++)
		set_handle(i, NULL);
	assert_int_equal(nvio_thread_count(s.env), 0);
	assert_int_equal(s.messages_run, s.messages_sent);
	assert_int_equal(s.ops_ended, s.ops_begun);
	assert_true(s.messages_run > WORKERS);
	assert_true(s.calls_run > WORKERS);
	for (int i = 0; i < DEVICES; i++) {
		assert_true(s.devices[i].created > 0);
		assert_int_equal(s.devices[i].created, s.devices[i].destroyed);
		assert_int_equal(nvio_io_device_unregister(s.env, &s.devices[i], NULL), 0);
	}
	nvio_env_close(s.env);
	pthread_mutex_destroy(&s.lock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ten_threads_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
