/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rows T3, T5, Z5, X5 (poll, send): messages: order, bounds, what memory they take, many senders at once,
 * and senders against the end.
 */
#include "tests/unit/thread/rig.h"

#include "thread/msg.h"

struct record {
	int seen[8];
	int count;
};

struct numbered {
	struct record *record;
	int number;
};

static void note_number(void *arg)
{
	struct numbered *n = arg;

	n->record->seen[n->record->count++] = n->number;
}

static void messages_run_in_the_order_of_sending_and_at_most_so_many(void **state)
{
	static const struct {
		uint32_t max;
		int runs;
	} polls[] = { { 1, 1 }, { 3, 3 }, { 0, 4 }, { 0, 0 }, { 7, 0 } };
	struct record record = { 0 };
	struct numbered n[8];
	struct rig r;

	rig_open_env(&r, false);
	for (int i = 0; i < 8; i++) {
		n[i] = (struct numbered){ &record, i };
		assert_int_equal(nvio_thread_send(r.t, note_number, &n[i]), 0);
	}
	assert_int_equal(record.count, 0); /* never inside send */
	assert_false(nvio_thread_is_idle(r.t));
	for (size_t i = 0; i < ARRAY_SIZE(polls); i++)
		assert_int_equal(nvio_thread_poll(r.t, polls[i].max), polls[i].runs);
	for (int i = 0; i < 8; i++)
		assert_int_equal(record.seen[i], i);
	assert_true(nvio_thread_is_idle(r.t));
	rig_close(&r);
}

static void a_message_without_a_function_is_refused(void **state)
{
	struct rig r;

	rig_open_env(&r, false);
	assert_int_equal(nvio_thread_send(r.t, NULL, NULL), -EINVAL);
	assert_int_equal(nvio_thread_poll(r.t, 0), 0);
	rig_close(&r);
}

struct again {
	struct nvio_thread *t;
	int runs;
};

static void send_again(void *arg)
{
	struct again *a = arg;

	a->runs++;
	assert_int_equal(
		nvio_thread_send(a->t, send_again, a), nvio_thread_is_running(a->t) ? 0 : -ESHUTDOWN);
}

static void a_message_that_sends_itself_again_waits_for_the_next_poll(void **state)
{
	struct again a = { 0 };
	struct rig r;

	rig_open_env(&r, false);
	a.t = r.t;
	assert_int_equal(nvio_thread_send(r.t, send_again, &a), 0);
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(nvio_thread_poll(r.t, 0), 1);
		assert_int_equal(a.runs, i);
	}
	/* At the end it must not keep destroy from ending. */
	nvio_env_close(r.env);
}

static void a_full_queue_says_so_and_loses_nothing(void **state)
{
	static const uint32_t sizes[] = { 1, 2, 255, 256, 257, 511, 1023, 5000 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct nvio_thread_opts opts;
		struct nvio_thread *t;
		struct rig r;
		int ran = 0, sent = 0;

		rig_open_env(&r, false);
		nvio_thread_opts_init(&opts);
		opts.max_msgs = sizes[i];
		assert_int_equal(nvio_thread_create(r.env, &opts, &t), 0);
		/* More than once around, from a different place each time. */
		for (int round = 0; round < 5; round++) {
			for (uint32_t n = round; n < sizes[i]; n++, sent++)
				assert_int_equal(nvio_thread_send(t, rig_count, &ran), 0);
			for (int n = 0; n < round && sent - ran < (int)sizes[i]; n++, sent++)
				assert_int_equal(nvio_thread_send(t, rig_count, &ran), 0);
			assert_int_equal(nvio_thread_send(t, rig_count, &ran), -ENOBUFS);
			assert_said("wait already");
			assert_int_equal(nvio_thread_poll(t, 1), 1);
			assert_int_equal(nvio_thread_send(t, rig_count, &ran), 0);
			sent++;
			assert_int_equal(nvio_thread_send(t, rig_count, &ran), -ENOBUFS);
			nvio_thread_poll(t, 0);
			assert_int_equal(ran, sent);
		}
		assert_int_equal(nvio_thread_destroy(t), 0);
		rig_close(&r);
	}
}

static void the_default_takes_as_many_as_it_says(void **state)
{
	struct rig r;
	int ran = 0;

	rig_open_env(&r, false);
	for (int i = 0; i < NVIO_THREAD_MSGS_DEFAULT; i++)
		assert_int_equal(nvio_thread_send(r.t, rig_count, &ran), 0);
	assert_int_equal(nvio_thread_send(r.t, rig_count, &ran), -ENOBUFS);
	assert_int_equal(nvio_thread_poll(r.t, 0), NVIO_THREAD_MSGS_DEFAULT);
	assert_int_equal(ran, NVIO_THREAD_MSGS_DEFAULT);
	rig_close(&r);
}

static void without_memory_a_send_is_refused_and_nothing_else_happens(void **state)
{
	struct rig r;
	int ran = 0;

	rig_open_env(&r, false);
	alloc_fail_after(0);
	assert_int_equal(nvio_thread_send(r.t, rig_count, &ran), -ENOBUFS);
	assert_int_equal(alloc_fail_after(-1), -1);
	assert_said("no memory");
	assert_int_equal(nvio_thread_poll(r.t, 0), 0);
	assert_int_equal(nvio_thread_send(r.t, rig_count, &ran), 0);
	assert_int_equal(nvio_thread_poll(r.t, 0), 1);
	rig_close(&r);
}

static void a_steady_stream_asks_for_no_more_memory(void **state)
{
	struct rig r;
	int ran = 0;

	rig_open_env(&r, false);
	for (int i = 0; i < 600; i++) {
		assert_int_equal(nvio_thread_send(r.t, rig_count, &ran), 0);
		nvio_thread_poll(r.t, 0);
	}
	alloc_fail_after(0);
	for (int i = 0; i < 5000; i++) {
		assert_int_equal(nvio_thread_send(r.t, rig_count, &ran), 0);
		nvio_thread_poll(r.t, 0);
	}
	assert_int_equal(alloc_fail_after(-1), 0); /* still armed: never asked */
	assert_int_equal(ran, 5600);
	rig_close(&r);
}

/* The count of messages is kept modulo 2^48; a queue that has come that far works on. */
static void the_count_wraps_around(void **state)
{
	void (*fn)(void *arg);
	struct msg_queue q;
	int ran = 0;
	void *arg;

	assert_int_equal(msg_init(&q, 1023), 0);
	q.word = q.taken = MSG_SENT - 700;
	q.room_until = (MSG_SENT - 700 + 1023) & MSG_SENT;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 1023; i++)
			assert_int_equal(msg_send(&q, rig_count, &ran), 0);
		assert_int_equal(msg_send(&q, rig_count, &ran), -ENOBUFS);
		while (msg_take(&q, &fn, &arg))
			fn(arg);
	}
	assert_int_equal(ran, 3 * 1023);
	assert_true(q.word < MSG_SENDER);
	msg_close(&q);
	msg_shut(&q);
	msg_fini(&q);
}

static void ignore_note(struct note *note)
{
	(void)note;
}

/* The last look before the sleep: what came after the one before it is not slept over, and the say-so is
 * taken back. */
static void going_to_sleep_with_mail_is_refused(void **state)
{
	struct note note = { .fn = ignore_note };
	void (*fn)(void *arg);
	struct msg_queue q;
	int ran = 0;
	void *arg;

	assert_int_equal(msg_init(&q, 10), 0);
	assert_true(msg_sleep(&q));
	assert_true(q.word & MSG_SLEEPS);
	msg_awake(&q);
	assert_false(q.word & MSG_SLEEPS);
	assert_int_equal(msg_send(&q, rig_count, &ran), 0);
	assert_false(msg_sleep(&q));
	assert_false(q.word & MSG_SLEEPS);
	assert_true(msg_take(&q, &fn, &arg));
	assert_true(msg_sleep(&q));
	msg_awake(&q);
	note_send(&q, &note);
	assert_false(msg_sleep(&q));
	assert_ptr_equal(note_take(&q), &note);
	assert_null(note_take(&q));
	assert_true(msg_sleep(&q));
	msg_close(&q);
	msg_shut(&q);
	msg_fini(&q);
}

/* Each way of waking somebody up who sleeps. */
static void whoever_comes_first_wakes_the_sleeper_once(void **state)
{
	struct note notes[2] = { { .fn = ignore_note }, { .fn = ignore_note } };

	for (int way = 0; way < 3; way++) {
		struct msg_queue q;
		uint64_t count = 0;
		int ran = 0;

		assert_int_equal(msg_init(&q, 10), 0);
		assert_true(msg_sleep(&q));
		for (int i = 0; i < 2; i++) {
			if (way == 0)
				assert_int_equal(msg_send(&q, rig_count, &ran), 0);
			else if (way == 1)
				note_send(&q, &notes[i]);
			else
				msg_close(&q);
		}
		assert_int_equal(read(q.wake_fd, &count, sizeof(count)), sizeof(count));
		assert_int_equal(count, 1);
		msg_close(&q);
		msg_shut(&q);
		msg_fini(&q);
	}
}

struct ending {
	struct msg_queue q;
	atomic_bool ended;
};

static void *end_queue(void *arg)
{
	struct ending *e = arg;

	msg_shut(&e->q);
	msg_fini(&e->q);
	atomic_store(&e->ended, true);
	return NULL;
}

static void the_end_waits_for_senders_that_are_still_inside(void **state)
{
	struct ending e = { 0 };
	pthread_t os;

	assert_int_equal(msg_init(&e.q, 10), 0);
	e.q.word += 2 * MSG_SENDER;
	msg_close(&e.q);
	assert_int_equal(pthread_create(&os, NULL, end_queue, &e), 0);
	for (int i = 0; i < 2; i++) {
		usleep(10000);
		assert_false(atomic_load(&e.ended));
		e.q.word -= MSG_SENDER;
	}
	assert_int_equal(pthread_join(os, NULL), 0);
	assert_true(atomic_load(&e.ended));
}

#define SENDERS 8
#define EACH	20000

struct sender {
	struct nvio_thread *t;
	pthread_t os;
	int sent, ran;
	bool in_order;
	struct parcel {
		struct sender *from;
		int number;
	} parcels[EACH];
};

static void receive(void *arg)
{
	struct parcel *p = arg;

	p->from->in_order &= p->number == p->from->ran;
	p->from->ran++;
}

static void *send_all(void *arg)
{
	struct sender *s = arg;

	for (s->sent = 0; s->sent < EACH;) {
		int rc = nvio_thread_send(s->t, receive, &s->parcels[s->sent]);

		if (rc == -ESHUTDOWN)
			break;
		if (rc == -ENOBUFS)
			sched_yield();
		else
			s->sent++;
	}
	return NULL;
}

static struct sender *start_senders(struct nvio_thread *t)
{
	struct sender *senders = alloc_array(SENDERS, sizeof(*senders));

	assert_non_null(senders);
	for (int i = 0; i < SENDERS; i++) {
		senders[i].t = t;
		senders[i].in_order = true;
		for (int n = 0; n < EACH; n++)
			senders[i].parcels[n] = (struct parcel){ &senders[i], n };
	}
	for (int i = 0; i < SENDERS; i++)
		assert_int_equal(pthread_create(&senders[i].os, NULL, send_all, &senders[i]), 0);
	return senders;
}

static void eight_senders_lose_nothing_and_keep_their_order(void **state)
{
	static const uint32_t sizes[] = { 3, 1023, NVIO_THREAD_MSGS_DEFAULT };

	for (size_t n = 0; n < ARRAY_SIZE(sizes); n++) {
		struct nvio_thread_opts opts;
		struct sender *senders;
		struct nvio_thread *t;
		struct rig r;
		int total = 0;

		rig_open_env(&r, false);
		nvio_thread_opts_init(&opts);
		opts.max_msgs = sizes[n];
		assert_int_equal(nvio_thread_create(r.env, &opts, &t), 0);
		senders = start_senders(t);
		while (total < SENDERS * EACH) {
			int work = nvio_thread_poll(t, 0);

			if (!work)
				sched_yield(); /* there may be fewer cores than we are */
			total += work;
		}
		assert_int_equal(total, SENDERS * EACH);
		for (int i = 0; i < SENDERS; i++) {
			pthread_join(senders[i].os, NULL);
			assert_int_equal(senders[i].ran, EACH);
			assert_true(senders[i].in_order);
		}
		alloc_free(senders);
		assert_int_equal(nvio_thread_destroy(t), 0);
		rig_close(&r);
	}
}

static void each_message_accepted_before_the_exit_runs_exactly_once(void **state)
{
	for (int round = 0; round < 20; round++) {
		struct sender *senders;
		struct rig r;

		rig_open_env(&r, false);
		senders = start_senders(r.t);
		for (int i = 0; i < round * 10; i++)
			nvio_thread_poll(r.t, 0);
		nvio_thread_exit(r.t);
		/* The senders are still at it: drained all the same, but not freed under their hands. */
		for (int i = 0; i < SENDERS; i++)
			pthread_join(senders[i].os, NULL);
		assert_int_equal(nvio_thread_destroy(r.t), 0);
		for (int i = 0; i < SENDERS; i++) {
			assert_int_equal(senders[i].ran, senders[i].sent);
			assert_true(senders[i].in_order);
		}
		alloc_free(senders);
		nvio_env_close(r.env);
	}
}

struct last_word {
	struct nvio_thread *t;
	int said;
};

static void *say_last_word(void *arg)
{
	struct last_word *l = arg;

	nvio_thread_send(l->t, rig_count, &l->said);
	return NULL;
}

/* The receiver may free the thread as soon as the message has run, although the sender has not returned yet.
 */
static void the_thread_may_be_destroyed_on_the_last_word(void **state)
{
	for (int round = 0; round < 300; round++) {
		struct last_word l = { 0 };
		pthread_t os;
		struct rig r;

		rig_open_env(&r, false);
		l.t = r.t;
		nvio_thread_timeout_ms(r.t); /* so that it has something to do after sending, too */
		assert_int_equal(pthread_create(&os, NULL, say_last_word, &l), 0);
		rig_poll_until(r.t, &l.said, 1);
		rig_close(&r);
		assert_int_equal(pthread_join(os, NULL), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_run_in_the_order_of_sending_and_at_most_so_many),
		cmocka_unit_test(a_message_without_a_function_is_refused),
		cmocka_unit_test(a_message_that_sends_itself_again_waits_for_the_next_poll),
		cmocka_unit_test(a_full_queue_says_so_and_loses_nothing),
		cmocka_unit_test(the_default_takes_as_many_as_it_says),
		cmocka_unit_test(without_memory_a_send_is_refused_and_nothing_else_happens),
		cmocka_unit_test(a_steady_stream_asks_for_no_more_memory),
		cmocka_unit_test(the_count_wraps_around),
		cmocka_unit_test(going_to_sleep_with_mail_is_refused),
		cmocka_unit_test(whoever_comes_first_wakes_the_sleeper_once),
		cmocka_unit_test(the_end_waits_for_senders_that_are_still_inside),
		cmocka_unit_test(eight_senders_lose_nothing_and_keep_their_order),
		cmocka_unit_test(each_message_accepted_before_the_exit_runs_exactly_once),
		cmocka_unit_test(the_thread_may_be_destroyed_on_the_last_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
