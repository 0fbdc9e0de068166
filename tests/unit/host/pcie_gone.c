/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A PCI function that goes, or has to: pulled out, asked back by the system while it still answers, or one that does not stop. Each op
 * ends once, and not before the function's DMA is at an end: its buffers are their owners' from then on.
 */
#include "tests/unit/host/pcie_fixture.h"

#include <poll.h>

#define IOS 24

/* ---- a whole life, with its end at any moment ---- */

struct life_op {
	struct nvio_op op;
	int done;
};

static struct life {
	struct life_op connect, alloc, io[IOS], admin, reset;
	unsigned ended_with_dma; /* ops that ended as if it were gone, while it might still write to their buffers */
	unsigned wrong;		 /* ended with what is neither success nor that it is gone */
} life;

static void on_end(struct nvio_op *op)
{
	struct life_op *o = op->arg;

	o->done++;
	if (!op->status)
		return;
	/* -ECANCELED: freeing a queue pair ends what is on it. */
	if (op->status != -ENODEV && op->status != -ECANCELED)
		life.wrong++;
	if (!dev.pulled && synth_is_bus_master(&dev.synth))
		life.ended_with_dma++;
}

static void begin(struct life_op *o)
{
	o->op = (struct nvio_op)NVIO_OP(on_end);
	o->op.arg = o;
	o->done = 0;
}

/* Polls what there is until it is done; a minute is more than any state's deadline. */
static void live_until(const struct life_op *o)
{
	for (unsigned i = 0; i < 60000 && !o->done; i++)
		fix_run(1, MS);
	if (!o->done)
		fail_msg("at move %llu: an op never ended", (unsigned long long)dev.pull_at);
}

static bool went_well(struct life_op *o, int rc)
{
	if (rc) {
		assert_int_equal(rc, -ENODEV);
		o->op.status = rc;
		return false;
	}
	live_until(o);
	assert_int_equal(o->done, 1);
	return !o->op.status;
}

/* Each step only after the one before; the I/O at once. */
static void live(void)
{
	unsigned out = 0;

	begin(&life.connect);
	if (!went_well(&life.connect, nvio_connect_async(f.env, BDF, NULL, &life.connect.op, &f.c)))
		return;
	begin(&life.alloc);
	if (!went_well(&life.alloc, nvio_qpair_alloc_async(f.c, NULL, &life.alloc.op, &f.qp)))
		return;
	f.ns = nvio_ctrlr_ns(f.c, 1);
	for (; out < IOS; out++) {
		begin(&life.io[out]);
		/* Every third one is of many commands. */
		if (nvio_ns_read(f.ns, f.qp, f.buf, 0, out % 3 ? 1 : 900, &life.io[out].op))
			break;
	}
	begin(&life.admin);
	went_well(&life.admin, nvio_ctrlr_identify(f.c, 1, 0, f.buf, &life.admin.op));
	begin(&life.reset);
	went_well(&life.reset, nvio_ctrlr_reset(f.c, &life.reset.op));
	for (unsigned i = 0; i < out; i++) {
		live_until(&life.io[i]);
		assert_int_equal(life.io[i].done, 1);
	}
}

static void a_life_may_end_at_any_moment(bool asks_back)
{
	for (uint64_t at = 1;; at++) {
		bool ended;

		dev.pull_at = at;
		dev.asks_back = asks_back;
		life.wrong = life.ended_with_dma = 0;
		f.step_ns = 0;
		live();
		f.step_ns = MS; /* closing waits by itself */
		pcie_disconnect();
		ended = dev.moves >= at;
		assert_int_equal(life.wrong, 0);
		if (life.ended_with_dma)
			fail_msg("at move %llu: %u ops ended before its DMA did", (unsigned long long)at, life.ended_with_dma);
		assert_int_equal(dev.synth.counts.opens, dev.synth.counts.closes);
		assert_int_equal(dev.mastered_running, 0);
		assert_true(dev.pulled || !synth_is_bus_master(&dev.synth));
		pcie_unplug();
		pcie_plug();
		if (!ended) {
			/* It was never pulled: the whole of a life has been tried. */
			assert_int_equal(life.reset.done, 1);
			assert_int_equal(life.reset.op.status, 0);
			assert_true(at > 20);
			return;
		}
	}
}

static void one_that_is_pulled_out_ends_everything_once(void **state)
{
	a_life_may_end_at_any_moment(false);
}

static void one_that_is_wanted_back_is_stopped_before_anything_ends(void **state)
{
	a_life_may_end_at_any_moment(true);
}

/* ---- with I/O that the controller holds ---- */

static void submit_held(struct life_op *io)
{
	f.hold_io = true;
	for (unsigned i = 0; i < IOS; i++) {
		begin(&io[i]);
		io[i].op.timeout_us = UINT64_MAX;
		assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, i % 3 ? 1 : 900, &io[i].op), 0);
	}
	fix_run(2, 0);
	assert_true(f.held_count > IOS);
}

static void what_is_in_flight_ends_with_it(void **state)
{
	for (int asks_back = 0; asks_back < 2; asks_back++) {
		struct nvio_op late = NVIO_OP(NULL);

		life.wrong = life.ended_with_dma = 0;
		f.held_count = 0;
		pcie_connect_all(NULL);
		submit_held(life.io);
		if (asks_back)
			synth_ask_back(&dev.synth);
		else
			synth_nvme_pull(&dev);
		fix_run(5, 20 * MS);
		for (unsigned i = 0; i < IOS; i++) {
			assert_int_equal(life.io[i].done, 1);
			assert_int_equal(life.io[i].op.status, -ENODEV);
		}
		assert_int_equal(life.ended_with_dma, 0);
		assert_string_equal(nvio_ctrlr_state(f.c), "removed");
		assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &late), -ENODEV);
		assert_int_equal(nvio_qpair_poll(f.qp, 0), -ENODEV);
		pcie_disconnect();
		pcie_unplug();
		pcie_plug();
	}
}

static void one_that_never_stops_is_cut_off_before_its_ops_end(void **state)
{
	struct nvio_ctrlr_opts opts;
	struct life_op *o = &life.io[0];

	nvio_ctrlr_opts_init(&opts);
	opts.max_resets = 0;
	opts.keep_alive_timeout_ms = 0;
	life.ended_with_dma = 0;
	pcie_connect_all(&opts);
	f.hold_io = true;
	f.b.never_stop = true;
	begin(o);
	o->op.timeout_us = 1000;
	assert_int_equal(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &o->op), 0);
	/* As long as there is hope. */
	for (unsigned i = 0; i < 200 && strcmp(nvio_ctrlr_state(f.c), "failing"); i++)
		fix_run(1, 100 * MS);
	assert_string_equal(nvio_ctrlr_state(f.c), "failing");
	assert_true(synth_is_bus_master(&dev.synth));
	assert_int_equal(o->done, 0);
	live_until(o);
	assert_int_equal(o->op.status, -ETIMEDOUT);
	assert_int_equal(o->done, 1);
	assert_int_equal(life.ended_with_dma, 0);
	assert_false(synth_is_bus_master(&dev.synth));
	f.b.never_stop = false;
}

/* The same when a close cannot stop it. */
static void one_that_does_not_stop_for_a_close_is_cut_off(void **state)
{
	pcie_connect_all(NULL);
	f.b.stuck_shutdown = f.b.never_stop = true;
	f.step_ns = MS;
	pcie_disconnect();
	assert_false(synth_is_bus_master(&dev.synth));
	assert_int_equal(dev.synth.counts.closes, 1);
	f.b.stuck_shutdown = f.b.never_stop = false;
	f.step_ns = 0;
	f.b.csts = 0;
	pcie_connect_all(NULL);
	assert_int_equal(fix_read(), 0);
}

/* ---- asleep ---- */

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static void all_that_sleep_are_woken(void **state)
{
	static const bool kinds[] = { true, false };

	for (size_t kind = 0; kind < ARRAY_SIZE(kinds); kind++) {
		struct nvio_qpair *q[3];
		int fds[ARRAY_SIZE(q) + 1], timeout_ms;

		pcie_connect_all(NULL);
		nvio_qpair_free(f.qp);
		f.qp = NULL;
		for (unsigned i = 0; i < ARRAY_SIZE(q); i++) {
			assert_int_equal(nvio_qpair_alloc(f.c, NULL, &q[i]), 0);
			fds[i] = nvio_qpair_fd(q[i]);
			assert_true(fds[i] >= 0);
		}
		fds[ARRAY_SIZE(q)] = nvio_ctrlr_fd(f.c);
		assert_true(fds[ARRAY_SIZE(q)] >= 0);
		for (unsigned i = 0; i < ARRAY_SIZE(q); i++)
			while (nvio_qpair_arm(q[i], &timeout_ms))
				nvio_qpair_poll(q[i], 0);
		while (nvio_ctrlr_arm(f.c, &timeout_ms))
			nvio_ctrlr_poll(f.c);
		for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
			assert_false(readable(fds[i]));
		if (kinds[kind])
			synth_ask_back(&dev.synth);
		else
			synth_nvme_pull(&dev);
		for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
			assert_true(readable(fds[i]));
		/* Nor do they sleep on. */
		for (unsigned i = 0; i < ARRAY_SIZE(q); i++) {
			int rc = nvio_qpair_arm(q[i], &timeout_ms);

			assert_true(rc == 1 || rc == -ENODEV);
			f.now_ns += 20 * MS;
			nvio_qpair_poll(q[i], 0);
			assert_int_equal(nvio_qpair_poll(q[i], 0), -ENODEV);
			assert_int_equal(nvio_qpair_arm(q[i], &timeout_ms), -ENODEV);
			nvio_qpair_free(q[i]);
		}
		assert_int_equal(nvio_ctrlr_arm(f.c, &timeout_ms), -ENODEV);
		pcie_disconnect();
		pcie_unplug();
		pcie_plug();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PCIE_TEST(one_that_is_pulled_out_ends_everything_once),
		PCIE_TEST(one_that_is_wanted_back_is_stopped_before_anything_ends),
		PCIE_TEST(what_is_in_flight_ends_with_it),
		PCIE_TEST(one_that_never_stops_is_cut_off_before_its_ops_end),
		PCIE_TEST(one_that_does_not_stop_for_a_close_is_cut_off),
		PCIE_TEST(all_that_sleep_are_woken),
	};

	return cmocka_run_group_tests_name("host_pcie_gone", tests, NULL, NULL);
}
