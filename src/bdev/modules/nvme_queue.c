/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The queue pair that a thread has at a controller: an I/O channel of its own, which the channels to the namespaces stand on. It is made
 * without waiting (I/O lines up until the controller has it) and polled by its thread, which rests when there is
 * nothing to do, and is woken by the next I/O, or by the device.
 */
#include <inttypes.h>

#include "base/alloc.h"
#include "bdev/modules/nvme.h"

/* ---- polling ---- */

/* What has ended at the controller's home since, and resets that can be begun now. */
static COLD int admin_collect(struct nvme_queue *q)
{
	struct op_queue ended, again;
	struct nvio_op *op;
	int n = 0;

	op_queue_init(&ended);
	op_queue_init(&again);
	pthread_mutex_lock(&q->lock);
	op_queue_splice(&ended, &q->admin_done);
	pthread_mutex_unlock(&q->lock);
	op_queue_splice(&again, &q->resets);
	for (; (op = op_queue_pop(&ended)); n++) {
		struct nvme_cmd *cmd = container_of(op, struct nvme_cmd, op);

		q->admin_out--;
		if (op->cpl.answered)
			nvio_bdev_io_set_cpl(cmd->io, &op->cpl);
		nvme_cmd_end(cmd, op->status);
	}
	for (; (op = op_queue_pop(&again)); n++) {
		struct nvme_cmd *cmd = container_of(op, struct nvme_cmd, op);
		int rc = nvme_reset_begin(q, cmd);

		if (rc) {
			q->admin_out--;
			nvme_cmd_end(cmd, rc);
		}
	}
	return n;
}

static void unwatch(struct nvme_queue *q)
{
	nvio_timer_stop(&q->timer);
	if (q->watched >= 0)
		nvio_thread_remove_fd(q->thread, q->watched);
	q->watched = -1;
}

/* One look, and if that finds nothing it rests again. */
static void timer_fired(struct nvio_timer *timer)
{
	struct nvme_queue *q = timer->arg;

	nvme_queue_wake(q);
	q->idle = NVME_IDLE_POLLS - 1;
}

static int fd_fired(void *arg)
{
	nvme_queue_wake(arg);
	return 1;
}

/* Has the device wake us, where it can. Admin commands end at home, which would not. */
static bool watch(struct nvme_queue *q)
{
	int fd = q->admin_out ? -1 : nvio_qpair_fd(q->qp), timeout_ms = -1;

	if (fd < 0 || nvio_thread_add_fd(q->thread, fd, fd_fired, q)) {
		fail_clear();
		return false;
	}
	q->watched = fd;
	if (!nvio_qpair_arm(q->qp, &timeout_ms) &&
		(timeout_ms < 0 || !nvio_timer_start(q->thread, &q->timer, (uint64_t)timeout_ms * 1000)))
		return true;
	unwatch(q);
	return false;
}

static void rest(struct nvme_queue *q)
{
	q->idle = 0;
	if (q->in_flight && !watch(q))
		return;
	q->resting = true;
	nvio_poller_pause(q->poller);
}

void nvme_queue_wake(struct nvme_queue *q)
{
	unwatch(q);
	q->resting = false;
	q->idle = 0;
	nvio_poller_resume(q->poller);
}

static int queue_poll(void *arg)
{
	struct nvme_queue *q = arg;
	int n = nvio_qpair_poll(q->qp, 0);

	if (unlikely(q->admin_out))
		n = MAX(n, 0) + admin_collect(q);
	if (likely(n > 0)) {
		q->idle = 0;
		return n;
	}
	if (unlikely(++q->idle >= NVME_IDLE_POLLS))
		rest(q);
	return 0;
}

void nvme_queue_feed(struct nvme_queue *q)
{
	struct list waiting = LIST_INIT(waiting);
	struct list *l;

	q->starved = false;
	list_splice(&waiting, &q->waiting);
	/* One that finds no room again is back in the queue's own list. */
	while ((l = list_pop_front(&waiting)))
		nvio_bdev_channel_ready(list_entry(l, struct nvme_channel, waiting));
}

/* ---- the queue pair ---- */

static int cmds_alloc(struct nvme_queue *q)
{
	uint32_t n = MAX(2 * nvio_qpair_depth(q->qp), NVME_MIN_CMDS);

	q->cmds = alloc_array(n, sizeof(*q->cmds));
	if (!q->cmds)
		return fail(-ENOMEM, "bdev: nvme: %s: no memory for %" PRIu32 " commands", q->nc->name, n);
	for (uint32_t i = n; i > 0; i--) {
		q->cmds[i - 1].next = q->free;
		q->free = &q->cmds[i - 1];
	}
	return 0;
}

/* With the first channel to a namespace, not before: the controller's home may do no I/O. */
static int queue_start(struct nvme_queue *q)
{
	int rc;

	if (q->qp)
		return 0;
	q->alloc_op = (struct nvio_op)NVIO_OP(NULL);
	rc = nvio_qpair_alloc_async(q->nc->ctrlr, NULL, &q->alloc_op, &q->qp);
	if (rc)
		return rc;
	rc = cmds_alloc(q);
	if (rc)
		goto free_qpair;
	rc = nvio_poller_register(q->thread, "nvme queue", queue_poll, q, 0, &q->poller);
	if (rc)
		goto free_cmds;
	q->resting = false;
	return 0;

free_cmds:
	q->free = NULL;
	alloc_free(q->cmds);
	q->cmds = NULL;
free_qpair:
	nvio_qpair_free(q->qp);
	q->qp = NULL;
	return rc;
}

/* Stops intake, ends what is in flight, gives the queue pair back. */
static void queue_stop(struct nvme_queue *q)
{
	struct nvio_qpair *qp = q->qp;

	if (!qp)
		return;
	unwatch(q);
	nvio_poller_unregister(q->poller);
	nvio_qpair_free(qp);
	q->qp = NULL;
}

static int queue_create(void *device, struct nvio_channel *handle)
{
	struct nvme_queue *q = channel_ctx(handle);

	q->nc = device;
	q->thread = channel_thread(handle);
	q->watched = -1;
	q->timer.fn = timer_fired;
	q->timer.arg = q;
	list_init(&q->waiting);
	op_queue_init(&q->resets);
	op_queue_init(&q->admin_done);
	pthread_mutex_init(&q->lock, NULL);
	atomic_fetch_add(&q->nc->refs, 1);
	pthread_mutex_lock(&q->nc->lock);
	list_push_back(&q->nc->queues, &q->in_ctrlr);
	pthread_mutex_unlock(&q->nc->lock);
	return 0;
}

static void queue_destroy(void *device, struct nvio_channel *handle)
{
	struct nvme_queue *q = channel_ctx(handle);
	struct nvme_ctrlr *nc = q->nc;

	pthread_mutex_lock(&nc->lock);
	list_remove(&q->in_ctrlr);
	pthread_mutex_unlock(&nc->lock);
	queue_stop(q);
	alloc_free(q->cmds);
	pthread_mutex_destroy(&q->lock);
	nvme_ctrlr_put(nc);
}

const struct nvio_io_device_ops nvme_queue_ops = {
	.name = "nvme controller",
	.ctx_size = sizeof(struct nvme_queue),
	.channel_create = queue_create,
	.channel_destroy = queue_destroy,
};

/* From here on no command is free: what is submitted now is refused. */
void nvme_queue_kill(struct nvme_queue *q)
{
	queue_stop(q);
	q->free = NULL;
}

void nvme_queue_bury(struct nvme_queue *q)
{
	q->starved = false;
	admin_collect(q);
	q->free = NULL;
}

/* ---- a thread's channel to a namespace ---- */

int nvme_channel_create(void *device, void *channel, struct nvio_thread *thread)
{
	const struct nvme_bdev *b = device;
	struct nvme_channel *ch = channel;
	int rc = nvio_channel_get(b->nc->env, b->nc, &ch->handle);

	if (rc)
		return rc;
	list_init(&ch->waiting);
	ch->queue = channel_ctx(ch->handle);
	rc = queue_start(ch->queue);
	if (rc)
		nvio_channel_put(ch->handle);
	return rc;
}

void nvme_channel_abort(void *device, void *channel)
{
	struct nvme_channel *ch = channel;
	struct nvme_queue *q = ch->queue;
	uint32_t n = q->qp ? MAX(2 * nvio_qpair_depth(q->qp), NVME_MIN_CMDS) : 0;

	for (uint32_t i = 0; i < n && ch->in_flight; i++) {
		struct nvme_cmd *cmd = &q->cmds[i];

		/* A reset cannot be stopped, and is what an abort is for. */
		if (nvio_op_pending(&cmd->op) && cmd->ch == ch && nvio_cancel(&cmd->op))
			fail_clear();
	}
}

/* What is in flight ends as it would have: the driver's deadlines see to it that it ends. */
void nvme_channel_destroy(void *device, void *channel)
{
	struct nvme_channel *ch = channel;
	struct nvme_queue *q = ch->queue;
	struct nvme_ctrlr *nc = q->nc;
	uint64_t since = clock_now(&nc->env->clock);

	list_remove(&ch->waiting);
	while (ch->in_flight) {
		if (queue_poll(q) > 0 || op_idle() > 0)
			continue;
		/* Admin commands end at home; where that is not polled any more (the environment closes), they end here. */
		if (q->admin_out && clock_now(&nc->env->clock) - since > NVME_ADMIN_GRACE)
			nvio_ctrlr_poll(nc->ctrlr);
	}
	nvio_channel_put(ch->handle);
}
