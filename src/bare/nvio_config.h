/* SPDX-License-Identifier: BSD-3-Clause */
/* In place of what Meson writes for a build with an operating system. */
#define NVIO_CHECKED 0
