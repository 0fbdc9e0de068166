/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The platform, as far as machines do not differ: memory from an arena, a clock from a counter, words on the serial line, and looking for
 * NVMe on the PCI bus (NVMe PCIe Transport 1.0 section 2.1, PCI Local Bus 3.0 section 6.2). One core runs, and no interrupts are on.
 */
#include "platform.h"

#include <stdarg.h>

#include <nvio/libc.h>

/* ---- memory: an arena that is only ever taken from ---- */

extern char arena_begin[], arena_end[]; /* the linker script's */
static char *arena_next = arena_begin;

static void *take(size_t size, size_t align)
{
	char *at = (char *)(((uintptr_t)arena_next + align - 1) & ~(uintptr_t)(align - 1));

	if (size > (size_t)(arena_end - at))
		return NULL;
	arena_next = at + size;
	return at;
}

void *nvio_platform_alloc(size_t size, size_t align)
{
	void *p = take(size, align);

	return p ? memset(p, 0, size) : NULL;
}

/* The image runs once, opens each thing once, and powers off. */
void nvio_platform_free(void *ptr)
{
	(void)ptr;
}

void *nvio_platform_dma_alloc(size_t size, size_t align)
{
	return take(size, align);
}

void nvio_platform_dma_free(void *ptr)
{
	(void)ptr;
}

/* No IOMMU is on, and memory is mapped to its own addresses. */
int nvio_platform_device_addr(const void *ptr, uint64_t *addr, size_t *contig)
{
	*addr = (uintptr_t)ptr;
	*contig = SIZE_MAX - (uintptr_t)ptr;
	return 0;
}

/* ---- time ---- */

static uint64_t entry, ns_per_tick; /* the latter with 32 bits behind the point */

void clock_begin(uint64_t entry_ticks, uint64_t hz)
{
	entry = entry_ticks;
	ns_per_tick = (1000000000ull << 32) / hz;
}

uint64_t nvio_platform_now_ns(void)
{
	return (uint64_t)((unsigned __int128)(machine_ticks() - entry) * ns_per_tick >> 32);
}

uint64_t since_entry_us(void)
{
	return nvio_platform_now_ns() / 1000;
}

void nvio_platform_idle(void)
{
#if defined(__x86_64__)
	__asm__ volatile("pause");
#else
	__asm__ volatile("yield");
#endif
}

/* ---- words ---- */

static void say_string(const char *s)
{
	for (; *s; s++) {
		if (*s == '\n')
			serial_put('\r');
		serial_put(*s);
	}
}

void say(const char *first, ...)
{
	va_list ap;

	va_start(ap, first);
	for (const char *s = first; s; s = va_arg(ap, const char *))
		say_string(s);
	va_end(ap);
}

const char *number(uint64_t v, unsigned base, char *text)
{
	char *p = text, reversed[20];
	int n = 0;

	do
		reversed[n++] = "0123456789abcdef"[v % base];
	while (v /= base);
	while (n)
		*p++ = reversed[--n];
	*p = '\0';
	return text;
}

void nvio_platform_log(const char *line)
{
	say(line, "\n", NULL);
}

void nvio_platform_panic(const char *line)
{
	say("failed: ", line, "\n", NULL);
	power_off(false); /* and the devices with it */
}

/* ---- PCI ---- */

#define PCI_ID      0x00
#define PCI_COMMAND 0x04
#define PCI_CLASS   0x08
#define PCI_HEADER  0x0c
#define PCI_BAR0    0x10

#define COMMAND_MEMORY     (1u << 1)
#define COMMAND_BUS_MASTER (1u << 2)
#define COMMAND_NO_INTX    (1u << 10)
#define HEADER_MANY        (1u << 23) /* there are functions 1 to 7 */
#define CLASS_NVME         0x010802u
#define BAR_64             (2u << 1)
#define BAR_FLAGS          0xfu

static void name_function(struct pci_function *f)
{
	static const char hex[] = "0123456789abcdef";

	memcpy(f->name, "0000:bb:dd.f", 13);
	f->name[5] = hex[f->bus >> 4];
	f->name[6] = hex[f->bus & 15];
	f->name[8] = hex[f->dev >> 4];
	f->name[9] = hex[f->dev & 15];
	f->name[11] = hex[f->fn];
}

/* Function 0 also says whether there are others: *functions is then how many are worth a look. */
static bool is_nvme(unsigned bus, unsigned dev, unsigned fn, unsigned *functions)
{
	if ((pci_read32(bus, dev, fn, PCI_ID) & 0xffff) == 0xffff)
		return false;
	if (fn == 0 && (pci_read32(bus, dev, fn, PCI_HEADER) & HEADER_MANY))
		*functions = 8;
	return pci_read32(bus, dev, fn, PCI_CLASS) >> 8 == CLASS_NVME;
}

bool pci_find_nvme(unsigned skip, struct pci_function *f)
{
	for (unsigned at = 0; at < pci_buses * 32; at++) {
		unsigned functions = 1;

		for (unsigned fn = 0; fn < functions; fn++) {
			if (!is_nvme(at / 32, at % 32, fn, &functions) || skip--)
				continue;
			*f = (struct pci_function){ .bus = at / 32, .dev = at % 32, .fn = fn };
			name_function(f);
			return true;
		}
	}
	return false;
}

static uint64_t read_bar0(const struct pci_function *f)
{
	uint64_t v = pci_read32(f->bus, f->dev, f->fn, PCI_BAR0);

	if (v & BAR_64)
		v |= (uint64_t)pci_read32(f->bus, f->dev, f->fn, PCI_BAR0 + 4) << 32;
	return v;
}

static void write_bar0(const struct pci_function *f, uint64_t v)
{
	pci_write32(f->bus, f->dev, f->fn, PCI_BAR0, (uint32_t)v);
	pci_write32(f->bus, f->dev, f->fn, PCI_BAR0 + 4, (uint32_t)(v >> 32));
}

/* An NVMe function's BAR 0 is always one of 64 bits (NVMe PCIe Transport 1.0 section 2.1.10). Its size shows in the bits that stay 0. */
static uint64_t size_bar0(const struct pci_function *f, uint64_t bar)
{
	uint64_t mask;

	write_bar0(f, UINT64_MAX);
	mask = read_bar0(f) & ~(uint64_t)BAR_FLAGS;
	write_bar0(f, bar);
	return mask ? 0 - mask : 0;
}

const char *pci_enable(const struct pci_function *f, struct nvio_bar *bar)
{
	static uint64_t next_free;
	uint64_t at = read_bar0(f), size;

	/* Not while the function decodes its BAR: it is about to move. The upper half of the register is of no concern (status, written as 0). */
	pci_write32(f->bus, f->dev, f->fn, PCI_COMMAND, COMMAND_NO_INTX);
	if (!(at & BAR_64))
		return "BAR 0 is not one of 64 bits";
	size = size_bar0(f, at);
	at &= ~(uint64_t)BAR_FLAGS;
	if (!size)
		return "BAR 0 has no size";
	if (!at) {
		if (!next_free)
			next_free = pci_window[0];
		at = (next_free + size - 1) & ~(size - 1);
		next_free = at + size;
		if (next_free > pci_window[1])
			return "no address is free for BAR 0";
		write_bar0(f, at);
	}
	if (at + size > device_limit)
		return "BAR 0 lies beyond what is mapped";
	pci_write32(f->bus, f->dev, f->fn, PCI_COMMAND, COMMAND_NO_INTX | COMMAND_BUS_MASTER | COMMAND_MEMORY);
	*bar = (struct nvio_bar){ .base = (void *)(uintptr_t)at, .len = size, .name = f->name, .identity = 1 };
	return NULL;
}

/* ---- what compilers call unasked ---- */

#undef memcpy
#undef memmove
#undef memset
#undef memcmp
typedef uint64_t word __attribute__((aligned(1), may_alias));

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	char *t = to;
	const char *f = from;

	for (; n >= 8; n -= 8, t += 8, f += 8)
		*(word *)t = *(const word *)f;
	while (n--)
		*t++ = *f++;
	return to;
}

void *memmove(void *to, const void *from, size_t n)
{
	char *t = to;
	const char *f = from;

	if (t <= f || t >= f + n) {
		for (size_t i = 0; i < n; i++)
			t[i] = f[i];
	} else {
		while (n--)
			t[n] = f[n];
	}
	return to;
}

void *memset(void *to, int byte, size_t n)
{
	uint64_t eight = 0x0101010101010101u * (uint8_t)byte;
	char *t = to;

	for (; n >= 8; n -= 8, t += 8)
		*(word *)t = eight;
	while (n--)
		*t++ = (char)byte;
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *p = a, *q = b;

	for (; n; n--, p++, q++)
		if (*p != *q)
			return *p - *q;
	return 0;
}
