/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ownership checker: what a program, or a module, does wrong with I/O is told with the names of device,
 * module and threads, and ends the program where going on would damage memory. All of it is for checked
 * builds but bdev_check_ended() and bdev_report_leak().
 */
#ifndef BDEV_CHECK_H
#define BDEV_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct bdev_channel;
struct nvio_bdev;
struct nvio_bdev_desc;
struct nvio_bdev_io;
struct nvio_env;

/* Before a submit: it is on the channel's thread. */
void bdev_check_thread(const struct bdev_channel *ch, unsigned type);
/* A module ends an I/O: it had it, had not ended it before, and is on its channel's thread. */
void bdev_check_done(struct nvio_bdev_io *io);
/* The end of a channel: the module has ended everything. Any build, for what is not so has no memory any
 * more. */
void bdev_check_ended(const struct bdev_channel *ch);

/*
 * Buffers of an I/O that begins, and that has ended: until then freeing or unregistering them is refused. 0;
 * -EFAULT one of them was freed, or is too short.
 */
int bdev_hold_buffer(struct nvio_env *env, const void *buf, uint64_t len);
int bdev_hold_iov(struct nvio_env *env, const struct iovec *iov, uint64_t len);
void bdev_release_iov(struct nvio_env *env, const struct iovec *iov, uint64_t len);
void bdev_release_buffers(const struct nvio_bdev_io *io);

/* Who opened it, and where. */
void bdev_note_opener(struct nvio_bdev_desc *desc, void *place);
/* The environment closes over a descriptor. Any build; the place is known in checked ones. */
void bdev_report_leak(const struct nvio_bdev *bdev, const struct nvio_bdev_desc *desc);

#endif
