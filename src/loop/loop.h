/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where host and target of one process meet: a name leads to a register file and doorbells. Neither side
 * includes the other.
 *
 * Registers: the target publishes what a read gives (loop_reg_publish); the host's writes are queued in order
 * and the target takes them out one by one (loop_reg_next), as a device sees them. Doorbells are plain 32-bit
 * words in shared memory, written by the host with a release store and read by the target with an acquire
 * load. Device addresses are virtual addresses, unless the target asks to be behind an IOMMU (iommu.h).
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/env.h"

#define LOOP_REGS_SIZE                                                                                       \
	0x1000 /* registers proper; doorbells begin here (NVMe PCIe Transport 1.0 section 3.1.2) */
#define LOOP_MAX_WRITES 1024 /* register writes that may wait for the target */

struct loop_port;

/* The target's side. */
struct loop_port_ops {
	/*
	 * Inline drives: move the target forward, on the calling (host's) OS thread; returns work done. NULL
	 * otherwise. Through a port it runs on one OS thread at a time and never within itself: whoever comes
	 * meanwhile gets 0.
	 */
	int (*kick)(void *ctx);
	/*
	 * The host side went away (detached): the target resets the controller. Called on the host's OS
	 * thread; the target only takes note, and calls nothing of this room. What the former host still had
	 * in the write queue is dropped, but for a write that the target is just taking out: look for the
	 * note after loop_reg_next() gave a write, and drop that with the rest when the note is there. No
	 * next host writes before the target is quiet. NULL: not told.
	 */
	void (*detached)(void *ctx);
	/*
	 * After detached: whether the target is through with it and touches the former host's memory no more,
	 * which loop_detach() waits for. Only looks, and calls nothing of this room. NULL: at once.
	 */
	bool (*quiet)(void *ctx);
	/*
	 * The target was not quiet for a second: one that others should move, and who have not, moves itself
	 * now if it safely can. Runs as a kick does; returns work done. NULL: nothing to be done.
	 */
	int (*urge)(void *ctx);
	/*
	 * Inline drives: the host wants to sleep. Runs as a kick does. 0: nothing can be done now, and nothing will before *fd
	 * becomes readable (-1: none) or *timeout_ms are over (-1: no limit); > 0: there was or is something to do, ask again.
	 * NULL: such a target cannot be slept on.
	 */
	int (*rest)(void *ctx, int *fd, int *timeout_ms);
	/*
	 * The target sees memory as a PCIe function behind an IOMMU does: by device addresses, through loop_reach(), and no other
	 * memory than the host's environment has or was registered in it.
	 */
	bool iommu;
};

/*
 * Publishes a port under `name`, with `doorbells` 32-bit doorbell words of stride `4 << dstrd` bytes from
 * each other. 0; -EEXIST; -ENOMEM; -EINVAL: no name, or a stride beyond NVMe's. `ops` must stay valid until
 * loop_withdraw() has returned. Any thread.
 */
int loop_publish(struct nvio_env *env, const char *name, const struct loop_port_ops *ops, void *ctx,
	uint32_t doorbells, uint32_t dstrd, struct loop_port **port);

/*
 * The target goes: the host reads all-ones from now on; none of its functions runs any more when this
 * returns, but for the kick that it was called from. The name is free again. The port is freed when both have
 * left. Any thread.
 */
void loop_withdraw(struct loop_port *port);

/*
 * Hot removal (reads give all-ones, register writes go nowhere; doorbell words are memory and stay, unread by
 * the target) and return.
 */
void loop_set_present(struct loop_port *port, bool present);

/* What a host read of the register gives from now on; offset 4-aligned below LOOP_REGS_SIZE. Single-copy
 * atomic for aligned 64-bit. */
void loop_reg_publish32(struct loop_port *port, uint32_t offset, uint32_t value);
void loop_reg_publish64(struct loop_port *port, uint32_t offset, uint64_t value);

struct loop_write {
	uint32_t offset;
	uint32_t width; /* 4 or 8 */
	uint64_t value;
};

/* Takes the host's next register write; false when there is none. Cheap when there is none (one acquire
 * load). */
bool loop_reg_next(struct loop_port *port, struct loop_write *write);

/*
 * Doorbell word `index` = 2 * qid (+ 1 for the completion queue). Also the host's way. NULL out of range. The
 * words keep NVMe's stride, so with dstrd 0 sixteen of them share a cache line, as host and target see it on
 * the bus: 4 gives each word a line of its own, which is what drives with a thread of their own should
 * publish. Zero at first; whoever resets the controller zeroes them.
 */
uint32_t *loop_doorbell(struct loop_port *port, uint32_t index);

/*
 * For a target with ops->iommu: the memory behind [iova, iova + len), len not 0, until the host unmaps it. NULL: not mapped as one piece,
 * and also when no host is attached. The tlb is the calling thread's own, zeroed at first. Any thread.
 */
struct loop_tlb;
void *loop_reach(struct loop_port *port, struct loop_tlb *tlb, uint64_t iova, uint64_t len);

/* Interrupt vectors: the target calls raise; the host registers an eventfd. raise on a vector without one
 * does nothing. */
#define LOOP_MAX_VECTORS 129
void loop_irq_raise(struct loop_port *port, uint32_t vector);

/*
 * The host's side. One host at a time, as a PCI function has one driver. A target behind an IOMMU gets all memory of the environment
 * mapped, now and as it comes. 0; -ENODEV no such name; -EBUSY has a host already, or one that has left from within the kick that this
 * is called from; or what mem_mapper_add() says.
 */
int loop_attach(struct nvio_env *env, const char *name, struct loop_port **port);

/* Whether buffers must be memory of the environment or registered, and are named by device addresses. */
bool loop_behind_iommu(const struct loop_port *port);

/*
 * When it returns the target has seen it and does no more DMA, and its IOMMU maps nothing any more: it is
 * moved, or waited for, for as long as that takes. From within a kick of this port that cannot be; the next host waits then.
 */
void loop_detach(struct loop_port *port);

/* All-ones when removed, out of range or not aligned. */
uint32_t loop_reg_read32(struct loop_port *port, uint32_t offset);
uint64_t loop_reg_read64(struct loop_port *port, uint32_t offset);

/*
 * To the end of the target's queue. When that is full the target is moved forward or waited for, for up to 1
 * s; after that it counts as gone: the port is not present until the target says that it is again, or another
 * host attaches. Any thread of the host.
 */
void loop_reg_write(struct loop_port *port, uint32_t offset, uint32_t width, uint64_t value);
bool loop_present(struct loop_port *port);

/*
 * To be set before the completion queue of the vector is made: one that is set while completions arrive may
 * miss one. fd -1: none. 0; -EINVAL no such vector; -EBADF not an open fd. The fd stays the caller's: once it
 * is replaced, or the host has detached, it is not written to any more and may be closed.
 */
int loop_irq_set_eventfd(struct loop_port *port, uint32_t vector, int fd);

/*
 * A target that sleeps (one that is not inline), sleep.c. It gives the port an eventfd, which stays its own; fd -1: none, and when this
 * returns the former one is not written to any more. To sleep it calls loop_target_sleeps(), looks once more at doorbells and
 * writes, and if there is nothing sleeps on the eventfd; then loop_target_awake(). False: this kernel has no barrier for that, and what
 * comes meanwhile may go unseen: nap, for a bounded time. Any thread of the target.
 */
void loop_target_set_eventfd(struct loop_port *port, int fd);
bool loop_target_sleeps(struct loop_port *port);
void loop_target_awake(struct loop_port *port);

/*
 * The host's part: after each doorbell, loop_target_check(). The word is the port's, for as long as it lives; a host that keeps the
 * pointer, as the hot path does, looks by itself and calls loop_target_wake(). Any thread.
 */
const uint32_t *loop_target_asleep(struct loop_port *port);
void loop_target_wake(struct loop_port *port);
static inline bool loop_rung(const uint32_t *asleep)
{
	/*
	 * The doorbell's store must not come after this load, or a target that falls asleep between them sleeps on. In the processor
	 * the target's membarrier forbids it, so only the compiler is to be told.
	 */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(asleep, __ATOMIC_RELAXED);
}
static inline void loop_target_check(struct loop_port *port)
{
	if (loop_rung(loop_target_asleep(port)))
		loop_target_wake(port);
}

/*
 * Bells: a host sleeps until queue `qid` has completions (0: the admin queue, and changes of the controller's status). open: the
 * descriptor to sleep on, made at the first call, or -errno with words; it is closed by close, and by loop_detach(). silence, arm, a
 * last look at the queue, rest, and sleep: arm says that the host waits for entry `head`; false: no barrier, so nap, for a bounded
 * time. rest is for an inline target and does nothing otherwise: 0 and how long to sleep at most (-1: no limit); 1: there is
 * something to do, poll; -errno. strike makes the descriptor readable, by a thread of the host. A bell that rings is armed no more.
 * Thread: one per bell, strike any.
 */
int loop_bell_open(struct loop_port *port, uint32_t qid);
void loop_bell_close(struct loop_port *port, uint32_t qid);
void loop_bell_silence(struct loop_port *port, uint32_t qid);
bool loop_bell_arm(struct loop_port *port, uint32_t qid, uint32_t head);
int loop_bell_rest(struct loop_port *port, uint32_t qid, int *timeout_ms);
void loop_bell_strike(struct loop_port *port, uint32_t qid);

/*
 * The target's part. The word is not 0 when a host has armed a bell since the target has cleared it (exchange, acquire): it then
 * looks at all of them (0: not armed; else 1 + the entry waited for). After completions it looks at the word, and with an armed bell
 * of a queue that has them, rings. loop_bells_ring() rings all that are armed: after a change of status.
 */
uint32_t *loop_bells_armed(struct loop_port *port);
uint32_t loop_bell_armed(struct loop_port *port, uint32_t qid);
void loop_bell_ring(struct loop_port *port, uint32_t qid);
void loop_bells_ring(struct loop_port *port);

/* What the host calls in each poll: moves an inline target forward; nothing otherwise. Inline, it is on the
 * hot path. */
struct loop_hot {
	int (*kick)(void *ctx); /* NULL: the target moves by itself */
	void *ctx;
};
const struct loop_hot *loop_hot(
	struct loop_port *port); /* valid while attached; kick becomes a no-op after withdraw */

#endif
