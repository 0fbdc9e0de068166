/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What passes between host and target through a port: published registers, the queue of register writes,
 * doorbell words and interrupts. The two sides may run on two OS threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fail.h"
#include "loop/port.h"

#define WRITE_PATIENCE_NS NS_PER_S /* how long a full queue is waited for */

/* ---- Presence ---- */

void loop_absent_set(struct loop_port *port, uint32_t why)
{
	__atomic_fetch_or(&port->absent, why, __ATOMIC_ACQ_REL);
}

void loop_absent_clear(struct loop_port *port, uint32_t why)
{
	__atomic_fetch_and(&port->absent, ~why, __ATOMIC_ACQ_REL);
}

void loop_set_present(struct loop_port *port, bool present)
{
	if (present)
		loop_absent_clear(port, LOOP_REMOVED | LOOP_STUCK);
	else
		loop_absent_set(port, LOOP_REMOVED);
	loop_bells_ring(port);
}

/* Acquire: whoever sees the port gone also sees what the target did before it went. */
bool loop_present(struct loop_port *port)
{
	return !__atomic_load_n(&port->absent, __ATOMIC_ACQUIRE);
}

/* ---- Registers ---- */

static bool in_range(uint32_t offset, uint32_t width)
{
	return offset % width == 0 && offset < LOOP_REGS_SIZE;
}

static uint32_t *reg32(struct loop_port *port, uint32_t offset)
{
	return (uint32_t *)port->regs + offset / 4;
}

/* Release: a host that reads this value (CSTS.RDY, say) also sees what the target did before it said so. */
void loop_reg_publish32(struct loop_port *port, uint32_t offset, uint32_t value)
{
	invariant(in_range(offset, 4));
	__atomic_store_n(reg32(port, offset), value, __ATOMIC_RELEASE);
}

void loop_reg_publish64(struct loop_port *port, uint32_t offset, uint64_t value)
{
	invariant(in_range(offset, 8));
	__atomic_store_n(&port->regs[offset / 8], value, __ATOMIC_RELEASE);
}

uint32_t loop_reg_read32(struct loop_port *port, uint32_t offset)
{
	if (!in_range(offset, 4) || !loop_present(port))
		return UINT32_MAX;
	return __atomic_load_n(reg32(port, offset), __ATOMIC_ACQUIRE);
}

uint64_t loop_reg_read64(struct loop_port *port, uint32_t offset)
{
	if (!in_range(offset, 8) || !loop_present(port))
		return UINT64_MAX;
	return __atomic_load_n(&port->regs[offset / 8], __ATOMIC_ACQUIRE);
}

uint32_t *loop_doorbell(struct loop_port *port, uint32_t index)
{
	if (index >= port->doorbell_count)
		return NULL;
	return port->doorbells + ((size_t)index << port->dstrd);
}

/* ---- The queue of writes ---- */

static bool is_full(struct loop_port *port)
{
	/* Acquire: the slot is written to again only after the target has read it. */
	return port->tail - __atomic_load_n(&port->head, __ATOMIC_ACQUIRE) == LOOP_MAX_WRITES;
}

/* Waits until there is room; false when the port is gone, or is gone now because the target did not move. */
static bool wait_for_room(struct loop_port *port)
{
	uint64_t end = clock_add(clock_monotonic_ns(), WRITE_PATIENCE_NS);

	while (is_full(port)) {
		if (!loop_present(port))
			return false;
		if (port->hot.kick && port->hot.kick(port->hot.ctx) > 0)
			continue;
		if (clock_monotonic_ns() > end) {
			loop_absent_set(port, LOOP_STUCK);
			return false;
		}
		sched_yield();
	}
	return true;
}

void loop_reg_write(struct loop_port *port, uint32_t offset, uint32_t width, uint64_t value)
{
	struct loop_slot *slot;

	if (!loop_present(port))
		return;
	pthread_mutex_lock(&port->write_lock);
	if (!is_full(port) || wait_for_room(port)) {
		slot = &port->slots[port->tail % LOOP_MAX_WRITES];
		slot->write = (struct loop_write){ .offset = offset, .width = width, .value = value };
		slot->epoch = port->epoch;
		/* Release: the slot is written, and all that the host did before the write is seen, before
		 * the slot counts. */
		__atomic_store_n(&port->tail, port->tail + 1, __ATOMIC_RELEASE);
		loop_target_check(port);
	}
	pthread_mutex_unlock(&port->write_lock);
}

bool loop_reg_next(struct loop_port *port, struct loop_write *write)
{
	uint32_t head = port->head;

	/* Acquire: the slot is read only after it was seen to count. */
	while (head != __atomic_load_n(&port->tail, __ATOMIC_ACQUIRE)) {
		const struct loop_slot *slot = &port->slots[head % LOOP_MAX_WRITES];
		uint32_t epoch = slot->epoch;

		*write = slot->write;
		/* Release: the slot was read before the host may write to it again. */
		__atomic_store_n(&port->head, ++head, __ATOMIC_RELEASE);
		/* A former host's write could start the controller on memory that this one has freed. */
		if (likely(epoch == __atomic_load_n(&port->epoch, __ATOMIC_ACQUIRE)))
			return true;
	}
	return false;
}

void loop_writes_drop(struct loop_port *port)
{
	pthread_mutex_lock(&port->write_lock);
	__atomic_store_n(&port->epoch, port->epoch + 1, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&port->write_lock);
}

/* ---- Interrupts ---- */

void loop_irq_raise(struct loop_port *port, uint32_t vector)
{
	static const uint64_t one = 1;
	ssize_t rc = 0;
	int fd;

	/* Most have none: a host that polls. */
	if (vector >= LOOP_MAX_VECTORS || __atomic_load_n(&port->irq_fds[vector], __ATOMIC_RELAXED) < 0)
		return;
	pthread_mutex_lock(&port->irq_lock);
	fd = port->irq_fds[vector];
	if (fd >= 0)
		rc = write(fd, &one, sizeof(one));
	pthread_mutex_unlock(&port->irq_lock);
	/* A full counter says all there is to say. */
	(void)rc;
}

int loop_irq_set_eventfd(struct loop_port *port, uint32_t vector, int fd)
{
	if (vector >= LOOP_MAX_VECTORS)
		return fail(-EINVAL, "loop: %s: interrupt vector %u; 0 to %d expected", port->name, vector,
			LOOP_MAX_VECTORS - 1);
	if (fd < -1 || (fd >= 0 && fcntl(fd, F_GETFD) < 0))
		return fail(
			-EBADF, "loop: %s: interrupt vector %u: fd %d is not open", port->name, vector, fd);
	pthread_mutex_lock(&port->irq_lock);
	__atomic_store_n(&port->irq_fds[vector], fd, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&port->irq_lock);
	return 0;
}
