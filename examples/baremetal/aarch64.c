/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * QEMU's `virt` with highmem=off: PL011, ECAM, the generic timer, PSCI. There is no firmware, so BARs get their addresses from us, and
 * all is on bus 0, since no bridge has been set up either. Addresses are those of QEMU's hw/arm/virt.c.
 */
#include "platform.h"

#define UART_DR   0x09000000u
#define UART_FR   0x09000018u
#define FR_FULL   (1u << 5)
#define ECAM_BASE 0x3f000000u

const unsigned pci_buses = 1;
const uint64_t pci_window[2] = { 0x10000000, 0x3eff0000 };
const uint64_t device_limit = 1ull << 30; /* memory begins there */

static volatile uint32_t *reg(uintptr_t at) { return (volatile uint32_t *)at; }

void serial_put(char ch)
{
	while (*reg(UART_FR) & FR_FULL)
		;
	*reg(UART_DR) = (uint8_t)ch;
}

static volatile uint32_t *config(unsigned bus, unsigned dev, unsigned fn, unsigned offset)
{
	return reg(ECAM_BASE + (bus << 20 | dev << 15 | fn << 12 | offset));
}

uint32_t pci_read32(unsigned bus, unsigned dev, unsigned fn, unsigned offset)
{
	return *config(bus, dev, fn, offset);
}

void pci_write32(unsigned bus, unsigned dev, unsigned fn, unsigned offset, uint32_t value)
{
	*config(bus, dev, fn, offset) = value;
}

uint64_t machine_ticks(void)
{
	uint64_t v;

	__asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(v) : : "memory");
	return v;
}

void machine_begin(uint64_t entry_ticks)
{
	uint64_t hz;

	__asm__("mrs %0, cntfrq_el0" : "=r"(hz));
	clock_begin(entry_ticks, hz);
}

void machine_fault(uint64_t at, uint64_t syndrome); /* start.S goes there */
void machine_fault(uint64_t at, uint64_t syndrome)
{
	char text[21];

	say("failed: fault at ", number(at, 16, text), NULL);
	say(", ESR ", number(syndrome, 16, text), "\n", NULL);
	power_off(false);
}

/* PSCI (Arm DEN0022) has no word for failure; a debugger, or QEMU with semihosting, does: it ends with 1. */
void power_off(bool success)
{
	static const uint64_t exit_args[2] = { 0x20026 /* ADP_Stopped_ApplicationExit */, 1 };

	if (success) {
		register uint64_t x0 __asm__("x0") = 0x84000008; /* SYSTEM_OFF */

		__asm__ volatile("hvc #0" : "+r"(x0) : : "x1", "x2", "x3", "memory");
	} else {
		register uint64_t x0 __asm__("x0") = 0x20; /* SYS_EXIT_EXTENDED */
		register const uint64_t *x1 __asm__("x1") = exit_args;

		__asm__ volatile("hlt #0xf000" : "+r"(x0) : "r"(x1) : "memory");
	}
	for (;;)
		__asm__ volatile("wfi");
}
