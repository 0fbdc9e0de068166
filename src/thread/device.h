/* SPDX-License-Identifier: BSD-3-Clause */
/* An io device: what channels are made of. Known to the whole environment, under the registry's lock. */
#ifndef THREAD_DEVICE_H
#define THREAD_DEVICE_H

#include "thread/state.h"

struct io_device {
	struct io_device *next;		  /* registry lock; in its bucket */
	struct thread_registry *registry; /* immutable */
	void *key;			  /* immutable */
	struct nvio_io_device_ops ops;	  /* immutable; .name is ours */
	char name[32];			  /* immutable */
	struct list channels;		  /* registry lock */
	uint32_t count;			  /* registry lock; channels, also those in the making */
	_Atomic bool removed;		  /* written under the registry lock */
	struct nvio_op *unregister_op;	  /* registry lock; completes when count is 0 */
};

/* The device, with one channel more counted on it; NULL: not registered. */
struct io_device *device_hold(struct thread_registry *r, void *key);

/* One channel less; the device may be gone after it. */
void device_release(struct io_device *d);

/* ---- report.c ---- */

/* Tells of a channel that is held although its thread goes, and in checked builds where it was got. */
void channel_report(const struct nvio_channel *ch, const char *what) COLD;

/* Checked builds: where nvio_channel_get(), which calls it, is called. */
void channel_note_place(struct nvio_channel *ch) NOINLINE;

/* ", got at PLACE", or nothing where that is not known. */
void channel_place(const struct nvio_channel *ch, char *text, size_t size) COLD;

/* These abort. */
_Noreturn void channel_put_too_often(const char *device, const char *thread) COLD;
_Noreturn void thread_came_back_elsewhere(const struct nvio_thread *t, const char *what, const char *name) COLD;

#endif
