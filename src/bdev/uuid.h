/* SPDX-License-Identifier: BSD-3-Clause */
/* UUIDs as devices have them: made at random, derived from a file's identity, read from text (RFC 9562). */
#ifndef BDEV_UUID_H
#define BDEV_UUID_H

#include <stdbool.h>
#include <stdint.h>

struct nvio_env;

/* Version 4, out of the environment's random numbers. */
void uuid_random(struct nvio_env *env, uint8_t uuid[16]);

/* Version 8 (of our own making): the same for the same two numbers. */
void uuid_derive(uint64_t a, uint64_t b, uint8_t uuid[16]);

/* Whether `text` is a uuid in its usual form of 36 characters; either case. */
bool uuid_parse(const char *text, uint8_t uuid[16]);

#endif
