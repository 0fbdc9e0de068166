/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What this example's machines have in common (platform.c), and what each has of its own (x86_64.c, aarch64.c). The functions that nvio
 * asks for are in <nvio/platform.h>; docs/porting.md goes through them with these files.
 */
#ifndef BAREMETAL_PLATFORM_H
#define BAREMETAL_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nvio/platform.h>

/* ---- of each machine ---- */

/* Before all else: the serial line and the clock. `entry_ticks` is the clock's counter when the image was entered. */
void machine_begin(uint64_t entry_ticks);

void serial_put(char ch);
uint64_t machine_ticks(void);
uint32_t pci_read32(unsigned bus, unsigned dev, unsigned fn, unsigned offset);
void pci_write32(unsigned bus, unsigned dev, unsigned fn, unsigned offset, uint32_t value);

extern const unsigned pci_buses;      /* how many can be looked at */
extern const uint64_t pci_window[2];  /* [first, last + 1) of addresses for BARs that no firmware has set; empty: it has */
extern const uint64_t device_limit;   /* BARs end below it: what start.S has mapped */

/* Ends the machine: as a success, or as a failure. */
_Noreturn void power_off(bool success);

/* ---- of all ---- */

struct pci_function {
	unsigned bus, dev, fn;
	char name[16]; /* "0000:00:03.0" */
};

/* The `skip`-th NVMe function of the bus, from 0: class 01h, subclass 08h, interface 02h. False: there are not so many. */
bool pci_find_nvme(unsigned skip, struct pci_function *f);

/* Gives BAR 0 an address if it has none, lets the function see memory, and is its BAR. NULL, or what is wrong with it. */
const char *pci_enable(const struct pci_function *f, struct nvio_bar *bar);

/* Writes the strings to the serial line, up to NULL. */
void say(const char *first, ...) __attribute__((sentinel));

/* In base 10 or 16 into `text` (21 bytes), which it returns. */
const char *number(uint64_t v, unsigned base, char *text);

uint64_t since_entry_us(void);

/* How ticks become nanoseconds; machine_begin() calls it. */
void clock_begin(uint64_t entry_ticks, uint64_t hz);

/* The program (main.c). start.S calls it behind machine_begin(). */
_Noreturn void run(void);

#endif
