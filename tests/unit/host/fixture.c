/* SPDX-License-Identifier: BSD-3-Clause */
/* The tests' common ground; see fixture.h. */
#include "tests/unit/host/fixture.h"

#include <pthread.h>

struct fix f;

static uint64_t on_clock(void *arg)
{
	if (f.tick)
		f.tick();
	return __atomic_add_fetch(&f.now_ns, f.step_ns, __ATOMIC_RELAXED);
}

static void on_log(void *arg, enum nvio_log_level level, const char *text)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&lock);
	if (level <= NVIO_LOG_WARN)
		snprintf(f.warned, sizeof(f.warned), "%s", text);
	pthread_mutex_unlock(&lock);
}

static bool on_command(struct bare *b, unsigned qid, const struct nvio_sqe *sqe)
{
	if (!qid) {
		f.seen[sqe->opc]++;
		if (sqe->opc == NVIO_ADMIN_SET_FEATURES)
			f.features[nvio_get_le32(sqe->cdw10) & 0xff] = sqe->cdw11;
		return (f.admin && f.admin(sqe)) || (f.abort_works && fix_abort(sqe));
	}
	if (f.io && f.io(qid, sqe))
		return true;
	if (!f.hold_io)
		return false;
	assert_true(f.held_count < FIX_HELD);
	f.held[f.held_count++] = (struct fix_held){ .qid = qid, .resets = (uint32_t)b->resets, .sqe = *sqe };
	return true;
}

bool fix_abort(const struct nvio_sqe *sqe)
{
	uint32_t cdw10 = nvio_get_le32(sqe->cdw10);

	if (sqe->opc != NVIO_ADMIN_ABORT)
		return false;
	bare_complete(&f.b, cdw10 & 0xffff, (uint16_t)(cdw10 >> 16), 0, NVIO_SF(0, NVIO_SC_ABORT_REQUESTED));
	bare_complete(&f.b, 0, bare_cid(sqe), 0, 0);
	return true;
}

int fix_setup(void **state)
{
	struct nvio_env_opts o;

	memset(&f, 0, sizeof(f));
	f.now_ns = SEC;
	nvio_env_opts_init(&o);
	o.now_ns = on_clock;
	o.log_level = NVIO_LOG_DEBUG; /* so that every message is put together, too */
	o.log_fn = on_log;
	if (nvio_env_open(&o, &f.env) || bare_open(&f.b, f.env, "bare"))
		return -1;
	f.b.command = on_command;
	f.buf = nvio_mem_alloc(f.env, 8 << 20, 4096);
	return f.buf ? 0 : -1;
}

int fix_setup_connected(void **state)
{
	if (fix_setup(state))
		return -1;
	fix_connect(NULL);
	return 0;
}

int fix_teardown(void **state)
{
	f.step_ns = MS; /* so that what waits ends, after a test that failed, too */
	nvio_qpair_free(f.qp);
	nvio_ctrlr_close(f.c);
	assert_int_equal(nvio_mem_free(f.env, f.buf), 0);
	bare_close(&f.b);
	nvio_env_close(f.env);
	return 0;
}

void fix_connect(const struct nvio_ctrlr_opts *opts)
{
	if (nvio_connect(f.env, "loop:bare", opts, &f.c) || nvio_qpair_alloc(f.c, NULL, &f.qp))
		fail_msg("%s", nvio_errmsg());
	f.ns = nvio_ctrlr_ns(f.c, 1);
	assert_non_null(f.ns);
}

void fix_run(unsigned times, uint64_t ns)
{
	while (times--) {
		f.now_ns += ns;
		if (f.qp)
			nvio_qpair_poll(f.qp, 0);
		nvio_ctrlr_poll(f.c);
	}
}

void fix_answer(unsigned held, uint16_t sf)
{
	assert_true(held < f.held_count);
	assert_int_equal(f.held[held].resets, f.b.resets);
	bare_complete(&f.b, f.held[held].qid, bare_cid(&f.held[held].sqe), 0, sf);
}

void fix_answer_all(void)
{
	for (unsigned i = 0; i < f.held_count; i++)
		if (f.held[i].resets == f.b.resets)
			fix_answer(i, 0);
	f.held_count = 0;
}

static void on_done(struct nvio_op *op)
{
	struct fix_op *o = op->arg;

	o->done++;
	o->status = op->status;
}

void fix_op_init(struct fix_op *o)
{
	*o = (struct fix_op){ .op = NVIO_OP(on_done) };
	o->op.arg = o;
}

int fix_read(void)
{
	struct nvio_op op = NVIO_OP(NULL);

	return nvio_await(nvio_ns_read(f.ns, f.qp, f.buf, 0, 1, &op), &op);
}
