/* SPDX-License-Identifier: BSD-3-Clause */
/* A PC: COM1, PCI configuration by ports, the time stamp counter. Firmware has set the BARs. */
#include "platform.h"

#define COM1        0x3f8
#define COM_DATA    0
#define COM_LCR     3
#define COM_LSR     5
#define LSR_EMPTY   0x20
#define PCI_ADDRESS 0xcf8
#define PCI_DATA    0xcfc
#define PIT_CH2     0x42
#define PIT_COMMAND 0x43
#define PIT_GATE    0x61
#define PIT_HZ      1193182u
#define PIT_TICKS   2386u /* 2 ms */

const unsigned pci_buses = 256;
const uint64_t pci_window[2] = { 0, 0 };
const uint64_t device_limit = 512ull << 30;

static inline void outb(uint16_t port, uint8_t v) { __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port)); }
static inline void outw(uint16_t port, uint16_t v) { __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port)); }
static inline void outl(uint16_t port, uint32_t v) { __asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port)); }

static inline uint8_t inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

void serial_put(char ch)
{
	while (!(inb(COM1 + COM_LSR) & LSR_EMPTY))
		;
	outb(COM1 + COM_DATA, (uint8_t)ch);
}

uint32_t pci_read32(unsigned bus, unsigned dev, unsigned fn, unsigned offset)
{
	outl(PCI_ADDRESS, 1u << 31 | bus << 16 | dev << 11 | fn << 8 | offset);
	return inl(PCI_DATA);
}

void pci_write32(unsigned bus, unsigned dev, unsigned fn, unsigned offset, uint32_t value)
{
	outl(PCI_ADDRESS, 1u << 31 | bus << 16 | dev << 11 | fn << 8 | offset);
	outl(PCI_DATA, value);
}

uint64_t machine_ticks(void)
{
	return __builtin_ia32_rdtsc();
}

static void cpuid(uint32_t leaf, uint32_t r[4])
{
	__asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(0));
}

/* How fast the counter goes: newer processors say so (Intel SDM, CPUID leaf 15h); the others are held against the PIT. */
static uint64_t ticks_hz(void)
{
	uint64_t begin;
	uint32_t r[4];

	cpuid(0, r);
	if (r[0] >= 0x15) {
		cpuid(0x15, r);
		if (r[0] && r[1] && r[2])
			return (uint64_t)r[2] * r[1] / r[0];
	}
	outb(PIT_GATE, (inb(PIT_GATE) & ~2u) | 1); /* the gate is open, the speaker off */
	outb(PIT_COMMAND, 0xb0);                   /* channel 2, both bytes, mode 0: bit 5 of the gate's port rises at the end */
	outb(PIT_CH2, PIT_TICKS & 0xff);
	outb(PIT_CH2, PIT_TICKS >> 8);
	begin = machine_ticks();
	while (!(inb(PIT_GATE) & 0x20))
		;
	return (machine_ticks() - begin) * PIT_HZ / PIT_TICKS;
}

void machine_begin(uint64_t entry_ticks)
{
	outb(COM1 + COM_LCR, 3); /* 8N1; the speed is the firmware's */
	clock_begin(entry_ticks, ticks_hz());
}

void power_off(bool success)
{
	outb(0xf4, success ? 16 : 17); /* QEMU's isa-debug-exit: it ends with 33, or with 35 */
	outw(0x604, 1u << 13);         /* QEMU's q35 without that device: ACPI sleep state S5 */
	for (;;)
		__asm__ volatile("cli; hlt");
}
