/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The gate of a device: how a change of what holds I/O back reaches all channels, and how one knows that all I/O from before has ended.
 *
 * Each change gets a number. Every channel is kicked (by a note, which costs no memory and is never refused), lets go what it need not
 * hold any more, takes the change over, and begins a new epoch: once the counters of the epoch before are 0, it has drained up to that
 * number. I/O that goes through from a device above without a frame is counted up there, so the channels above are drained with it.
 */
#include "bdev/gate.h"
#include "bdev/qos.h"

void bdev_gate_init(struct nvio_bdev *bdev)
{
	pthread_mutex_init(&bdev->gate.lock, NULL);
	list_init(&bdev->gate.channels);
	list_init(&bdev->gate.locks);
}

void bdev_gate_fini(struct nvio_bdev *bdev)
{
	bdev_qos_free(bdev);
	pthread_mutex_destroy(&bdev->gate.lock);
}

void bdev_gate_kick(struct bdev_channel *ch)
{
	if (ch->kicked)
		return;
	ch->kicked = true;
	thread_send_note(ch->thread, &ch->note);
}

void bdev_gate_kick_all(struct bdev_gate *g)
{
	list_for_each (l, &g->channels)
		bdev_gate_kick(list_entry(l, struct bdev_channel, in_gate));
}

bool bdev_gate_holds(const struct bdev_channel *ch, const struct nvio_bdev_io *io)
{
	const struct bdev_gate *g = &ch->bdev->gate;

	return (g->reset && g->reset_gen <= ch->seen_gen) || bdev_locks_hold(ch, io);
}

void bdev_gate_hold(struct nvio_bdev_io *io)
{
	struct bdev_channel *ch = io->channel;

	bdev_uncount(io);
	io->state |= BDEV_IO_HELD;
	op_queue_push(&ch->held, bdev_io_op(io));
	if (io->state & BDEV_IO_DEADLINE)
		bdev_timer_arm(ch, io->deadline_ns);
}

static bool hold(struct bdev_channel *ch, struct nvio_bdev_io *io)
{
	struct bdev_gate *g = &ch->bdev->gate;
	bool held;

	pthread_mutex_lock(&g->lock);
	held = bdev_gate_holds(ch, io);
	pthread_mutex_unlock(&g->lock);
	if (held)
		bdev_gate_hold(io);
	return held;
}

int bdev_gate_enter(struct nvio_bdev_io *io)
{
	struct bdev_channel *ch = io->channel;

	if (io->type == NVIO_BDEV_IO_RESET)
		return bdev_reset_forwarded(io);
	if (unlikely(ch->gates & BDEV_GATES_HOLD) && hold(ch, io))
		return 0;
	if (ch->gates & BDEV_GATE_QOS && !bdev_qos_pass(ch, io))
		return 0;
	return bdev_io_start(io);
}

void bdev_gate_done(struct nvio_bdev_io *io)
{
	if (io->state & BDEV_IO_LIMITED)
		bdev_qos_done(io);
	if (io->state & BDEV_IO_RESET)
		bdev_reset_over(io);
}

/* What began here before the drain did and has not ended. */
static uint64_t before_own(const struct bdev_channel *ch)
{
	uint32_t old = (ch->epoch & BDEV_EPOCH_OWN) ^ BDEV_EPOCH_OWN;

	return ch->in_flight[old] + ch->in_flight[old | BDEV_EPOCH_FED] + ch->apart[old];
}

/* The same of what may be with the module below: not that with a frame, which counts there. */
static uint64_t before_fed(const struct bdev_channel *ch)
{
	uint32_t old = (ch->epoch & BDEV_EPOCH_FED) ^ BDEV_EPOCH_FED;

	return ch->in_flight[old] + ch->in_flight[old | BDEV_EPOCH_OWN];
}

static bool feeders_drain(const struct bdev_channel *ch)
{
	list_for_each (l, &ch->feeders)
		if (list_entry(l, struct bdev_channel, feeder)->draining & BDEV_DRAIN_FED)
			return true;
	return false;
}

/* All from before drain_gen has ended; whoever waits for that is told, and what has come meanwhile is next. */
static void drained(struct bdev_channel *ch)
{
	struct bdev_gate *g = &ch->bdev->gate;
	uint64_t before = ch->drained_gen;

	ch->draining &= ~(uint32_t)BDEV_DRAIN_OWN;
	pthread_mutex_lock(&g->lock);
	ch->drained_gen = ch->drain_gen;
	bdev_locks_drained(ch, before);
	bdev_reset_drained(ch, before);
	pthread_mutex_unlock(&g->lock);
	bdev_gate_drain(ch);
}

void bdev_drain_check(struct bdev_channel *ch)
{
	if (ch->draining & BDEV_DRAIN_FED && !before_fed(ch)) {
		ch->draining &= ~(uint32_t)BDEV_DRAIN_FED;
		bdev_drain_check(ch->feeds);
	}
	if (ch->draining & BDEV_DRAIN_OWN && !before_own(ch) && !feeders_drain(ch))
		drained(ch);
}

void bdev_gate_drain(struct bdev_channel *ch)
{
	if (ch->draining & BDEV_DRAIN_OWN || ch->drain_gen == ch->seen_gen)
		return;
	ch->drain_gen = ch->seen_gen;
	ch->epoch ^= BDEV_EPOCH_OWN;
	ch->draining |= BDEV_DRAIN_OWN;
	list_for_each (l, &ch->feeders) {
		struct bdev_channel *upper = list_entry(l, struct bdev_channel, feeder);

		upper->epoch ^= BDEV_EPOCH_FED;
		if (before_fed(upper))
			upper->draining |= BDEV_DRAIN_FED;
	}
	bdev_drain_check(ch);
}

bool bdev_gate_take_over(struct bdev_channel *ch)
{
	struct bdev_gate *g = &ch->bdev->gate;
	uint64_t before = ch->seen_gen;

	ch->seen_gen = g->gen;
	bdev_locks_seen(ch, before);
	ch->gates &= ~(uint32_t)(BDEV_GATES_HOLD | BDEV_GATE_QOS);
	if (bdev_locks_keep_out(ch))
		ch->gates |= BDEV_GATE_LOCKED;
	if (g->reset)
		ch->gates |= BDEV_GATE_RESET;
	if (bdev_qos_take_over(ch))
		ch->gates |= BDEV_GATE_QOS;
	return g->reset && g->reset_gen > before;
}

/* With gate.lock: what needs no longer wait, by what the channel knows, is in flight again, and to be started. */
static void release(struct bdev_channel *ch, struct op_queue *go)
{
	for (struct nvio_op *op = ch->held.head, *next; op; op = next) {
		struct nvio_bdev_io *io = bdev_op_io(op);

		next = op->next;
		if (bdev_gate_holds(ch, io))
			continue;
		op_queue_remove(&ch->held, op);
		op_queue_push(go, op);
		io->state &= ~BDEV_IO_HELD;
		bdev_recount(io);
	}
}

static void start(struct bdev_channel *ch, struct op_queue *go)
{
	struct nvio_op *op;

	while ((op = op_queue_pop(go))) {
		struct nvio_bdev_io *io = bdev_op_io(op);

		if (!(ch->gates & BDEV_GATE_QOS) || io->state & BDEV_IO_LIMITED || bdev_qos_pass(ch, io))
			bdev_io_start(io);
	}
}

/*
 * The channel was kicked. What has waited goes first, before it takes over what is new: so locks, however many, do not starve it.
 */
static void attend(struct note *note)
{
	struct bdev_channel *ch = container_of(note, struct bdev_channel, note);
	struct bdev_gate *g = &ch->bdev->gate;
	struct op_queue go;
	bool reset;

	op_queue_init(&go);
	pthread_mutex_lock(&g->lock);
	ch->kicked = false;
	release(ch, &go);
	reset = bdev_gate_take_over(ch);
	pthread_mutex_unlock(&g->lock);
	bdev_gate_drain(ch);
	start(ch, &go);
	if (reset) {
		bdev_waiting_end_all(ch, -ECANCELED, false);
		bdev_locks_end_all(ch, -ECANCELED);
		if (ch->bdev->module->abort)
			ch->bdev->module->abort(ch->bdev->device, ch->module);
	}
	bdev_locks_tell(ch);
	bdev_reset_step(ch);
	bdev_qos_serve(ch);
}

void bdev_gate_join(struct bdev_channel *ch)
{
	struct bdev_gate *g = &ch->bdev->gate;

	op_queue_init(&ch->held);
	list_init(&ch->unpaid);
	ch->note.fn = attend;
	pthread_mutex_lock(&g->lock);
	list_push_back(&g->channels, &ch->in_gate);
	g->channel_count++;
	/* Nothing is in flight: it has all seen and drained. */
	ch->seen_gen = ch->drained_gen = ch->drain_gen = g->gen;
	bdev_gate_take_over(ch);
	pthread_mutex_unlock(&g->lock);
}

static bool kicked(struct bdev_channel *ch)
{
	struct bdev_gate *g = &ch->bdev->gate;
	bool is;

	pthread_mutex_lock(&g->lock);
	is = ch->kicked;
	pthread_mutex_unlock(&g->lock);
	return is;
}

void bdev_gate_leave(struct bdev_channel *ch)
{
	struct bdev_gate *g = &ch->bdev->gate;
	uint64_t seen = ch->seen_gen, drained = ch->drained_gen;

	pthread_mutex_lock(&g->lock);
	list_remove(&ch->in_gate);
	g->channel_count--;
	ch->seen_gen = ch->drained_gen = g->gen;
	bdev_locks_seen(ch, seen);
	bdev_locks_drained(ch, drained);
	bdev_reset_drained(ch, drained);
	bdev_locks_release(g, ch, NULL);
	pthread_mutex_unlock(&g->lock);
	/* The note must not come when the channel is gone. */
	while (kicked(ch))
		nvio_thread_poll(ch->thread, 0);
}

void bdev_gate_desc_closes(struct nvio_bdev_desc *desc)
{
	struct bdev_gate *g = &desc->bdev->gate;

	pthread_mutex_lock(&g->lock);
	bdev_locks_release(g, NULL, desc);
	bdev_qos_desc_closes(desc);
	pthread_mutex_unlock(&g->lock);
}

int bdev_request_check(const char *what, const struct nvio_bdev_desc *desc, const struct nvio_channel *handle,
	const struct nvio_op *op)
{
	if (!desc || !handle || !op)
		return fail(-EINVAL, "bdev: %s: %s is NULL", what,
			!desc	  ? "the descriptor"
			: !handle ? "the channel"
				  : "the op");
	if (handle->key != desc->bdev)
		return fail(-EINVAL, "bdev: %s: %s: the channel is of another device; use nvio_bdev_channel()", what,
			desc->bdev->name);
	if (op->flags)
		return fail(-EINVAL, "bdev: %s: %s: op flags 0x%x have no meaning here", what, desc->bdev->name, op->flags);
	if (atomic_load(&desc->bdev->removed))
		return fail(-ENODEV, "bdev: %s: %s: the device has been removed; close it", what, desc->bdev->name);
	return 0;
}

struct nvio_bdev_io *bdev_request_begin(struct nvio_bdev_desc *desc, struct nvio_channel *handle, struct nvio_op *op,
	enum nvio_bdev_io_type type)
{
	struct nvio_bdev_io *io = bdev_op_io(op);
	struct bdev_channel *ch = channel_ctx(handle);
	uint64_t timeout_ns;

	if (NVIO_CHECKED) {
		bdev_check_thread(ch, type);
		ch->open[type]++;
	}
	*io = (struct nvio_bdev_io){ .desc = desc, .channel = ch, .type = type, .begun = bdev_begun(ch) };
	ch->in_flight[ch->epoch]++;
	op->cpl.answered = 0;
	op_begin(op, &ch->pollable);
	bdev_count_add(desc, ch, 1);
	if (op->timeout_us && op->timeout_us != UINT64_MAX) {
		if (__builtin_mul_overflow(op->timeout_us, NS_PER_US, &timeout_ns))
			timeout_ns = UINT64_MAX;
		io->deadline_ns = clock_add(clock_now(&ch->bdev->env->clock), timeout_ns);
		io->state |= BDEV_IO_DEADLINE;
	}
	return io;
}

void bdev_request_end(struct nvio_bdev_io *io, int status)
{
	struct bdev_channel *ch = io->channel;
	struct nvio_op *op = bdev_io_op(io);

	if (NVIO_CHECKED)
		ch->open[io->type]--;
	bdev_uncount(io);
	bdev_count_add(io->desc, ch, -1u);
	op->owner = thread_pollable(ch->thread);
	thread_end_op(ch->thread, op, status);
}
