/* SPDX-License-Identifier: BSD-3-Clause */
/* Which nvio this is: of the headers a program was compiled with, and of the library it runs with. */
#ifndef NVIO_VERSION_H
#define NVIO_VERSION_H

#include <stdbool.h>

#include <nvio/compiler.h>

NVIO_BEGIN_DECLS

#define NVIO_VERSION_MAJOR 0
#define NVIO_VERSION_MINOR 1
#define NVIO_VERSION_PATCH 0

/* The library's version, "major.minor.patch". Never NULL, never freed. Any thread. */
NVIO_EXPORT const char *nvio_version(void);

/* Something that a build of the library may or may not have. */
struct nvio_feature {
	const char *name; /* one word: "io_uring" */
	const char *what; /* in a few words, for people */
	bool built_in;
};

/* What this build has and has not; a row with name NULL ends it. Never NULL, never freed. Any thread. */
NVIO_EXPORT const struct nvio_feature *nvio_features(void);

NVIO_END_DECLS

#endif
