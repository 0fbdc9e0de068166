/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The few compiler attributes that the public headers need, and C++ linkage.
 */
#ifndef NVIO_COMPILER_H
#define NVIO_COMPILER_H

#define NVIO_EXPORT __attribute__((visibility("default")))
#define NVIO_PRINTF(fmt_arg, first_arg) __attribute__((format(printf, fmt_arg, first_arg)))
#define NVIO_MUST_CHECK __attribute__((warn_unused_result))

#ifdef __cplusplus
#define NVIO_BEGIN_DECLS extern "C" {
#define NVIO_END_DECLS }
#define nvio_static_assert(cond, words) static_assert(cond, words)
#else
#define NVIO_BEGIN_DECLS
#define NVIO_END_DECLS
#define nvio_static_assert(cond, words) _Static_assert(cond, words)
#endif

#endif
