/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Features: the bits of cdw11 of Set Features (and, with the same meaning, of dword 0 of Get Features'
 * completion), in host byte order, and the data structures some of them have. NVMe Base 2.0 section 5.27.1.
 */
#ifndef NVIO_SPEC_FEATURE_H
#define NVIO_SPEC_FEATURE_H

#include <stddef.h>
#include <stdint.h>

#include <nvio/compiler.h>
#include <nvio/endian.h>
#include <nvio/libc.h>

NVIO_BEGIN_DECLS

/* Arbitration, 01h (section 5.27.1.1): burst is log2 of commands, 7: no limit; the weights are 0's based. */
#define NVIO_ARBITRATION_NO_LIMIT 7

struct nvio_arbitration {
	uint8_t burst;
	uint8_t low;
	uint8_t medium;
	uint8_t high;
};

static inline uint32_t nvio_arbitration_build(const struct nvio_arbitration *a)
{
	return (a->burst & 7u) | (uint32_t)a->low << 8 | (uint32_t)a->medium << 16 | (uint32_t)a->high << 24;
}

static inline struct nvio_arbitration nvio_arbitration_get(uint32_t v)
{
	struct nvio_arbitration a;

	a.burst = v & 7;
	a.low = (uint8_t)(v >> 8);
	a.medium = (uint8_t)(v >> 16);
	a.high = (uint8_t)(v >> 24);
	return a;
}

/* Power Management, 02h (section 5.27.1.2). */
static inline uint32_t nvio_power_build(uint32_t ps, uint32_t workload)
{
	return (ps & 0x1f) | (workload & 7) << 5;
}

static inline uint32_t nvio_power_ps(uint32_t v) { return v & 0x1f; }
static inline uint32_t nvio_power_workload(uint32_t v) { return v >> 5 & 7; }

/*
 * Temperature Threshold, 04h (section 5.27.1.3): sensor 0 is the composite temperature, 1 to 8 sensors, 15
 * all.
 */
enum nvio_temp_type {
	NVIO_TEMP_OVER  = 0,
	NVIO_TEMP_UNDER = 1,
};

#define NVIO_TEMP_COMPOSITE   0
#define NVIO_TEMP_ALL_SENSORS 15

static inline uint32_t nvio_temp_build(uint32_t kelvin, uint32_t sensor, uint32_t type)
{
	return (kelvin & 0xffff) | (sensor & 0xf) << 16 | (type & 3) << 20;
}

static inline uint32_t nvio_temp_kelvin(uint32_t v) { return v & 0xffff; }
static inline uint32_t nvio_temp_sensor(uint32_t v) { return v >> 16 & 0xf; }
static inline uint32_t nvio_temp_type(uint32_t v) { return v >> 20 & 3; }

/* Error Recovery, 05h (NVM Command Set 1.0 section 4.1.3.2): time limit in 100 ms, 0: none; DULBE. */
#define NVIO_ERROR_RECOVERY_DULBE (1u << 16)

static inline uint32_t nvio_error_recovery_build(uint32_t tler, uint32_t dulbe)
{
	return (tler & 0xffff) | (dulbe & 1) << 16;
}

static inline uint32_t nvio_error_recovery_tler(uint32_t v) { return v & 0xffff; }
static inline uint32_t nvio_error_recovery_dulbe(uint32_t v) { return v >> 16 & 1; }

/* Volatile Write Cache, 06h (section 5.27.1.4). */
#define NVIO_VOLATILE_WRITE_CACHE_ENABLE (1u << 0)

/*
 * Number of Queues, 07h (section 5.27.1.5): both 0's based. Asked for in cdw11, granted in dword 0; FFFFh
 * is invalid.
 */
static inline uint32_t nvio_num_queues_build(uint32_t nsq, uint32_t ncq)
{
	return (nsq & 0xffff) | (ncq & 0xffff) << 16;
}

static inline uint32_t nvio_num_queues_sq(uint32_t v) { return v & 0xffff; }
static inline uint32_t nvio_num_queues_cq(uint32_t v) { return v >> 16; }

/* Interrupt Coalescing, 08h (section 5.27.1.6): entries 0's based, time in 100 us. */
static inline uint32_t nvio_irq_coalescing_build(uint32_t threshold, uint32_t time)
{
	return (threshold & 0xff) | (time & 0xff) << 8;
}

static inline uint32_t nvio_irq_coalescing_threshold(uint32_t v) { return v & 0xff; }
static inline uint32_t nvio_irq_coalescing_time(uint32_t v) { return v >> 8 & 0xff; }

/* Interrupt Vector Configuration, 09h (section 5.27.1.7). */
static inline uint32_t nvio_irq_vector_build(uint32_t vector, uint32_t no_coalescing)
{
	return (vector & 0xffff) | (no_coalescing & 1) << 16;
}

static inline uint32_t nvio_irq_vector(uint32_t v) { return v & 0xffff; }
static inline uint32_t nvio_irq_vector_no_coalescing(uint32_t v) { return v >> 16 & 1; }

/* Write Atomicity Normal, 0Ah (NVM Command Set 1.0 section 4.1.3.3). */
#define NVIO_WRITE_ATOMICITY_DN (1u << 0) /* awun and nawun need not hold, awupf does */

/*
 * Asynchronous Event Configuration, 0Bh (section 5.27.1.8): NVIO_SMART_* in 7:0 (spec/log.h), NVIO_OAES_*
 * above.
 */
#define NVIO_ASYNC_EVENT_SMART_MASK 0xffu

static inline uint32_t nvio_async_event_smart(uint32_t v) { return v & NVIO_ASYNC_EVENT_SMART_MASK; }
static inline uint32_t nvio_async_event_notices(uint32_t v) { return v & ~NVIO_ASYNC_EVENT_SMART_MASK; }

/* Autonomous Power State Transition, 0Ch (section 5.27.1.9): cdw11 bit 0 enables; 32 entries of data. */
#define NVIO_AUTO_POWER_STATE_ENABLE (1u << 0)

static inline uint64_t nvio_auto_power_entry(uint32_t idle_state, uint32_t idle_ms)
{
	return (uint64_t)(idle_state & 0x1f) << 3 | (uint64_t)(idle_ms & 0xffffff) << 8;
}

/* Host Memory Buffer, 0Dh (section 5.27.1.10). */
#define NVIO_HOST_MEMORY_ENABLE (1u << 0)
#define NVIO_HOST_MEMORY_RETURN (1u << 1)

/* Timestamp, 0Eh (section 5.27.1.11): milliseconds since 1970 in 6 bytes. */
struct nvio_timestamp {
	uint8_t ms[6];        /* little-endian */
	uint8_t attr;         /* bit 0: the clock has stopped at times; 3:1: origin, 1 the host, 0 a reset */
	uint8_t reserved7;
};

nvio_static_assert(sizeof(struct nvio_timestamp) == 8, "NVMe Base 2.0 section 5.27.1.11");

/* The low 48 bits of `ms`, origin "set by the host". */
static inline struct nvio_timestamp nvio_timestamp_build(uint64_t ms)
{
	nvio_le64 v = nvio_to_le64(ms);
	struct nvio_timestamp t;

	memcpy(t.ms, v.b, sizeof(t.ms));
	t.attr = 1 << 1;
	t.reserved7 = 0;
	return t;
}

static inline uint64_t nvio_timestamp_ms(const struct nvio_timestamp *t)
{
	nvio_le64 v = nvio_to_le64(0);

	memcpy(v.b, t->ms, sizeof(t->ms));
	return nvio_get_le64(v);
}

/* Keep Alive Timer, 0Fh (section 5.27.1.12): cdw11 is the timeout in milliseconds; 0 disables. */

/*
 * Host Controlled Thermal Management, 10h (section 5.27.1.13), in Kelvin; 0: off. tmt1 throttles lightly,
 * tmt2 heavily.
 */
static inline uint32_t nvio_host_thermal_build(uint32_t tmt1, uint32_t tmt2)
{
	return (tmt2 & 0xffff) | (tmt1 & 0xffff) << 16;
}

static inline uint32_t nvio_host_thermal_tmt1(uint32_t v) { return v >> 16; }
static inline uint32_t nvio_host_thermal_tmt2(uint32_t v) { return v & 0xffff; }

/* Non-Operational Power State Config, 11h (section 5.27.1.14). */
#define NVIO_NON_OP_PERMISSIVE (1u << 0)

/* Host Behavior Support, 16h (section 5.27.1.18). */
struct nvio_host_behavior {
	uint8_t acre;         /* 1: the host honours CRD */
	uint8_t etdas;        /* 1: the host takes telemetry data area 4 */
	uint8_t lbafee;       /* 1: the host knows extended LBA formats */
	uint8_t reserved3[509];
};

nvio_static_assert(sizeof(struct nvio_host_behavior) == 512, "NVMe Base 2.0 section 5.27.1.18");

/* Host Identifier, 81h (section 5.27.1.25): cdw11 bit 0: 16 bytes of data rather than 8. */
#define NVIO_HOST_ID_EXTENDED (1u << 0)

/* Namespace Write Protection Config, 84h (section 5.27.1.28). */
enum nvio_write_protection {
	NVIO_WRITE_PROTECTION_NONE       = 0,
	NVIO_WRITE_PROTECTION_ON         = 1,
	NVIO_WRITE_PROTECTION_POWER_CYCLE = 2,
	NVIO_WRITE_PROTECTION_PERMANENT  = 3,
};

NVIO_END_DECLS

#endif
