/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nvio without an operating system: what a freestanding program gives to the driver core, and how it connects to a controller whose
 * registers it has mapped. docs/porting.md tells how to bring up a new platform; examples/baremetal is one.
 *
 * Nothing here is in the library that is installed: it is built together with such a program, from the list src/bare/sources.mk.
 */
#ifndef NVIO_PLATFORM_H
#define NVIO_PLATFORM_H

#include <stddef.h>
#include <stdint.h>

#include <nvio/compiler.h>

NVIO_BEGIN_DECLS

struct nvio_env;
struct nvio_ctrlr;
struct nvio_ctrlr_opts;

/*
 * ---- what the platform provides ----
 *
 * Any core may call each of these, several at once, sometimes with a lock of the library's held: they must not call nvio, nor wait
 * for anything but a lock of their own. nvio itself must not be called from interrupt handlers: a lock that the interrupted code
 * holds would never become free.
 *
 * Beside them memcpy(), memmove(), memset() and memcmp() of C, which compilers call unasked.
 */

/* Nanoseconds since some fixed moment. Never goes back, also from one core to another. Asked often: 10 to 100 ns are right. */
uint64_t nvio_platform_now_ns(void);

/*
 * Called again and again by a loop that waits and has found nothing to do for a while. Returns soon, at the latest after 1 ms. A hint to the
 * processor is enough (pause, yield); a scheduler gives others a turn.
 */
void nvio_platform_idle(void);

/*
 * Memory of the library's own structures, zeroed, aligned to `align`, a power of two from 16 to 4096; NULL: there is none. A controller takes
 * about 20 KiB, a queue pair 32 bytes per command; neither is allocated while I/O runs.
 */
void *nvio_platform_alloc(size_t size, size_t align);

/* Gives it back; never NULL. A platform that closes nothing before it ends may do nothing here. */
void nvio_platform_free(void *ptr);

/*
 * Memory that the controller reads and writes: queues, and what nvio_mem_alloc() hands out. `size` and `align` are powers of two or
 * multiples of 64, at least 64. It must be coherent: what either side has stored the other one sees without a flush. Contiguous for the device
 * from end to end. Any content; NULL: there is none.
 */
void *nvio_platform_dma_alloc(size_t size, size_t align);
void nvio_platform_dma_free(void *ptr);

/*
 * The device address of `ptr`, which lies in such memory or in any other that the program's buffers are in, and in *contig how many
 * bytes from there on are contiguous for the device. 0; -EFAULT: the device cannot reach it.
 */
int nvio_platform_device_addr(const void *ptr, uint64_t *addr, size_t *contig);

/* One line of the log, without its end, of an environment that has no log_fn of its own. */
void nvio_platform_log(const char *line);

/* An invariant of the library is broken, which is a bug in it: says so, and stops. The devices must not write to memory any more. */
void nvio_platform_panic(const char *line) __attribute__((noreturn));

/* ---- what the program calls beside the ordinary nvio_ functions ---- */

/* A controller's registers where the program has mapped them: uncached, strictly ordered. */
struct nvio_bar {
	void *base;
	size_t len;       /* bytes; at least 4 KiB and the doorbells: 8 KiB reach far */
	const char *name; /* in messages: "0000:00:03.0". 1 to 256 bytes */
	int identity;     /* not 0: device addresses are the program's own, all of them: any pointer is a buffer, and no look-up is made */
};

/*
 * Connects to the controller behind `bar`, which must be a bus master already, and waits until it is ready: nvio_connect() of a
 * freestanding program. `opts` may be NULL; `bar` is copied, its name too. 0; -EINVAL an argument or option; -ENOMEM; -ENODEV all registers
 * read as ones; -ETIMEDOUT a step took too long; -EIO the controller failed (CSTS.CFS) or refused. On failure nvio_errmsg() has the step and
 * the cause, and nothing is left behind.
 */
int nvio_connect_bar(struct nvio_env *env, const struct nvio_bar *bar, const struct nvio_ctrlr_opts *opts, struct nvio_ctrlr **ctrlr);

NVIO_END_DECLS

#endif
