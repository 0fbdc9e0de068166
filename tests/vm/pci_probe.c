/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A driver in a virtual machine that is no driver at all: takes a function through the room pci, step by
 * step, and checks what each step promises. Speaks just enough NVMe to have a device do DMA and raise an
 * interrupt: an Identify on an admin queue made by hand.
 *
 *     pci_probe BDF [unsafe] STEP...     the steps are tests, in order; see `steps` below, and "with
 * OTHER-BDF"; unsafe: without an IOMMU
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/compiler.h"
#include "pci/pci.h"
#include <nvio/error.h>
#include <nvio/mem.h>

#define QUEUE	 16 /* entries */
#define REG_VS	 0x08
#define REG_CC	 0x14
#define REG_CSTS 0x1c
#define REG_AQA	 0x24
#define REG_ASQ	 0x28
#define REG_ACQ	 0x30

static const char *bdf;
static bool unsafe;
static struct nvio_env *env;
static struct pci_dev *dev;
static volatile char *bar;
static size_t bar_len;

/* The admin queue. */
static uint32_t *sq, tail, head, phase;
static volatile uint32_t *cq;
static char *data;

#define check(cond, ...)                                                                                     \
	do {                                                                                                 \
		if (!(cond)) {                                                                               \
			fprintf(stderr, "pci_probe: line %d: %s: ", __LINE__, #cond);                        \
			fprintf(stderr, __VA_ARGS__);                                                        \
			fprintf(stderr, " (last words: %s)\n", nvio_errmsg());                               \
			exit(1);                                                                             \
		}                                                                                            \
	} while (0)

static uint32_t get(uint32_t offset)
{
	return *(volatile uint32_t *)(bar + offset);
}

static void put(uint32_t offset, uint32_t value)
{
	*(volatile uint32_t *)(bar + offset) = value;
}

static void put64(uint32_t offset, uint64_t value)
{
	put(offset, (uint32_t)value);
	put(offset + 4, (uint32_t)(value >> 32));
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint64_t address(void *ptr)
{
	uint64_t addr;

	check(!nvio_mem_device_addr(env, ptr, &addr, NULL), "no device address");
	return addr;
}

/* ---- Steps ---- */

static void open_env(struct nvio_env **e)
{
	struct nvio_env_opts opts;

	nvio_env_opts_init(&opts);
	opts.unsafe_no_iommu = unsafe;
	opts.hugepages = unsafe ? NVIO_HUGEPAGES_2M : NVIO_HUGEPAGES_NO;
	opts.mem_size_mb = unsafe ? 4 : 0;
	opts.log_level = NVIO_LOG_INFO;
	check(!nvio_env_open(&opts, e), "environment");
}

static void step_open(void)
{
	volatile void *base, *again;
	uint32_t value;

	check(!pci_open(env, bdf, &dev), "cannot take it");
	check(pci_class(dev) == NVIO_PCI_CLASS_NVME, "class %06x", pci_class(dev));
	check(!pci_config_read(dev, PCI_CFG_COMMAND, 2, &value), "config");
	check((value & (PCI_CMD_MEMORY | PCI_CMD_BUS_MASTER)) == PCI_CMD_MEMORY, "command %x", value);
	check(!pci_bar(dev, 0, &base, &bar_len) && !pci_bar(dev, 0, &again, &bar_len) && base == again,
		"BAR 0");
	check(pci_bar(dev, 5, &again, &bar_len) < 0, "BAR 5 is there");
	check(!pci_bar(dev, 0, &base, &bar_len), "BAR 0");
	bar = base;
	check(get(REG_VS) >= 0x10000 && get(REG_VS) < 0x30000, "version %x", get(REG_VS));
	check(!pci_is_gone(dev) && !pci_look(dev), "gone at once");
	printf("pci_probe: %s: version %x, BAR of %zu bytes, %u vectors, gone fd %d\n", pci_bdf(dev),
		get(REG_VS), bar_len, pci_vectors(dev), pci_gone_fd(dev));
}

static void wait_ready(uint32_t want)
{
	uint64_t end = now_ms() + 20000;

	while ((get(REG_CSTS) & 1) != want) {
		check(now_ms() < end, "CSTS %x", get(REG_CSTS));
		usleep(1000);
	}
}

static void step_enable(void)
{
	sq = nvio_mem_alloc_zeroed(env, (size_t)QUEUE * 64, 4096);
	cq = nvio_mem_alloc_zeroed(env, (size_t)QUEUE * 16, 4096);
	data = nvio_mem_alloc_zeroed(env, 4096, 4096);
	check(sq && cq && data, "memory");
	put(REG_CC, 0);
	wait_ready(0);
	check(!pci_set_bus_master(dev, true), "bus master");
	put(REG_AQA, (QUEUE - 1) << 16 | (QUEUE - 1));
	put64(REG_ASQ, address(sq));
	put64(REG_ACQ, address((void *)(uintptr_t)cq));
	put(REG_CC, 6 << 16 | 4 << 20 | 1);
	wait_ready(1);
	tail = head = 0;
	phase = 1;
}

/* Identify Controller; the serial number shows that the DMA came here. */
static void submit_identify(void)
{
	uint32_t *e = sq + (size_t)tail * 16;
	uint64_t addr = address(data);

	memset(data, 0, 4096);
	memset(e, 0, 64);
	e[0] = 0x06 | 7u << 16;
	e[6] = (uint32_t)addr;
	e[7] = (uint32_t)(addr >> 32);
	e[10] = 1;
	tail = (tail + 1) % QUEUE;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	put(0x1000, tail);
}

static void reap_identify(void)
{
	volatile uint32_t *c = cq + (size_t)head * 4;
	uint64_t end = now_ms() + 20000;

	while ((c[3] >> 16 & 1) != phase) {
		check(now_ms() < end, "no completion");
		usleep(100);
	}
	check(c[3] >> 17 == 0, "status %x", c[3] >> 17);
	if (++head == QUEUE) {
		head = 0;
		phase ^= 1;
	}
	put(0x1004, head);
	check(strncmp(data + 4, "foo", 3) == 0, "serial %.20s", data + 4);
}

static void step_identify(void)
{
	for (int i = 0; i < 3 * QUEUE; i++) {
		submit_identify();
		reap_identify();
	}
}

static bool rings(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	eventfd_t count;

	return poll(&p, 1, ms) == 1 && !eventfd_read(fd, &count);
}

static void step_interrupts(void)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), other = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	uint32_t last = pci_vectors(dev) - 1;

	check(pci_vectors(dev) > 1, "%u vectors", pci_vectors(dev));
	check(!pci_vector_set(dev, 0, fd), "vector 0");
	submit_identify();
	check(rings(fd, 10000), "no interrupt");
	reap_identify();
	/* The last one is far beyond what was set up at first: vector 0 must survive that. */
	check(!pci_vector_set(dev, last, other), "vector %u", last);
	rings(fd, 0);
	submit_identify();
	check(rings(fd, 10000), "no interrupt after others were added");
	reap_identify();
	check(!rings(other, 0), "the wrong vector");
	check(!pci_vector_set(dev, 0, -1), "vector 0 off");
	submit_identify();
	reap_identify();
	check(!rings(fd, 100), "an interrupt that is off");
	check(!pci_vector_set(dev, 0, fd), "vector 0 on again");
	submit_identify();
	check(rings(fd, 10000), "no interrupt after on, off, on");
	reap_identify();
	check(pci_vector_set(dev, last + 1, fd) == -EINVAL, "a vector beyond the last");
	check(!pci_vector_set(dev, last, -1) && !pci_vector_set(dev, 0, -1), "off");
	close(fd);
	close(other);
}

static void step_reset(void)
{
	uint32_t command;

	check(get(REG_CSTS) & 1, "not ready before");
	check(!pci_reset(dev), "reset");
	check(!(get(REG_CSTS) & 1), "ready after a reset");
	check(!(get(REG_CC) & 1), "CC.EN survived a reset");
	check(!pci_config_read(dev, PCI_CFG_COMMAND, 2, &command) && !(command & PCI_CMD_BUS_MASTER),
		"command %x", command);
	nvio_mem_free(env, sq);
	nvio_mem_free(env, (void *)(uintptr_t)cq);
	nvio_mem_free(env, data);
}

/* Memory that came after the function, and the caller's, reach the device, too; and none of it does after it
 * went. */
static void step_memory(void)
{
	void *big = nvio_mem_alloc(env, (size_t)8 << 20, 0), *own = aligned_alloc(4096, 64 << 10);

	check(big && own, "memory");
	check(!nvio_mem_register(env, own, 64 << 10), "registration");
	nvio_mem_free(env, data);
	data = (char *)own + 4096;
	submit_identify();
	reap_identify();
	data = (char *)big + ((size_t)8 << 20) - 4096;
	submit_identify();
	reap_identify();
	check(!nvio_mem_unregister(env, own, 64 << 10), "unregistration");
	nvio_mem_free(env, big);
	data = nvio_mem_alloc_zeroed(env, 4096, 4096);
	free(own);
}

static int second_try(void)
{
	struct nvio_env *e;
	struct pci_dev *d;
	int rc;

	open_env(&e);
	rc = pci_open(e, bdf, &d);
	fprintf(stderr, "pci_probe: a second taker: %d: %s\n", rc, nvio_errmsg());
	nvio_env_close(e);
	return rc != -EBUSY;
}

static void step_exclusive(void)
{
	int status;
	pid_t pid;

	check(second_try() == 0, "taken twice in one process");
	fflush(NULL);
	pid = fork();
	if (!pid) {
		/* A process that shares nothing with this one. */
		char self[256];
		ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

		self[n > 0 ? n : 0] = '\0';
		execl(self, self, bdf, unsafe ? "unsafe" : "busy", "busy", (char *)NULL);
		_exit(3);
	}
	check(waitpid(pid, &status, 0) == pid && status == 0, "taken by two processes: %x", status);
	submit_identify();
	reap_identify();
}

static void step_busy(void)
{
	check(second_try() == 0, "it is not busy");
}

static void step_memlock(void)
{
	const struct rlimit limit = { 1 << 20, 1 << 20 };
	struct nvio_env *e;
	struct pci_dev *d;
	int rc;

	check(!setrlimit(RLIMIT_MEMLOCK, &limit) && !setuid(65534), "cannot become nobody");
	check(!nvio_env_open(NULL, &e), "environment");
	check(nvio_mem_alloc(e, 4096, 0), "memory");
	rc = pci_open(e, bdf, &d);
	check(rc == -EPERM && strstr(nvio_errmsg(), "ulimit -l"), "rc %d", rc);
	printf("pci_probe: as expected: %s\n", nvio_errmsg());
	nvio_env_close(e);
}

/* Removal: whoever runs this pulls it out once it has read the line. */
static void step_removal(void)
{
	struct pollfd p = { .fd = pci_gone_fd(dev), .events = POLLIN };
	uint32_t value;

	printf("pci_probe: pull it out\n");
	fflush(stdout);
	check(pci_gone_fd(dev) >= 0, "it does not tell");
	check(poll(&p, 1, 60000) == 1, "not told within a minute");
	check(pci_look(dev) && pci_is_gone(dev), "told, but not gone");
	check(pci_config_read(dev, 0, 4, &value) == -ENODEV, "config of a function that is gone");
	/* Whatever it reads: it does not kill. */
	printf("pci_probe: gone; its version now reads as %x\n", get(REG_VS));
}

/* KiB of this process's memory that are pinned for devices: type 1 counts it as locked, iommufd as pinned. */
static unsigned long pinned(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	unsigned long sum = 0, kib;
	char line[128];

	check(f, "/proc/self/status");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "VmLck: %lu", &kib) == 1 || sscanf(line, "VmPin: %lu", &kib) == 1)
			sum += kib;
	fclose(f);
	return sum;
}

/* Takes another function, too, and gives it back: what the first one does afterwards shows that it was not
 * disturbed. Both share an address space: the memory is pinned once. */
static void with_another(const char *other)
{
	struct pci_dev *first = dev, *second;
	volatile void *base;
	unsigned long before = pinned();
	size_t len;

	check(before || unsafe, "nothing is pinned");
	check(!pci_open(env, other, &second), "cannot take %s", other);
	check(pinned() == before, "%lu KiB pinned for one, %lu for two", before, pinned());
	check(!pci_bar(second, 0, &base, &len) && base != bar, "BAR 0 of %s", other);
	check(*(volatile uint32_t *)((volatile char *)base + REG_VS) == get(REG_VS), "version of %s", other);
	submit_identify();
	reap_identify();
	pci_close(second);
	check(!pci_look(first), "gone with %s", other);
}

static void step_close(void)
{
	pci_close(dev);
	dev = NULL;
}

static void step_refused(void)
{
	int rc = pci_open(env, bdf, &dev);

	check(rc < 0, "it was taken");
	printf("pci_probe: refused: %d: %s\n", rc, nvio_errmsg());
}

static const struct {
	const char *name;
	void (*run)(void);
} steps[] = {
	{ "open", step_open },
	{ "enable", step_enable },
	{ "identify", step_identify },
	{ "interrupts", step_interrupts },
	{ "memory", step_memory },
	{ "exclusive", step_exclusive },
	{ "busy", step_busy },
	{ "memlock", step_memlock },
	{ "reset", step_reset },
	{ "removal", step_removal },
	{ "close", step_close },
	{ "refused", step_refused },
};

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: pci_probe BDF [unsafe] STEP...\n");
		return 2;
	}
	bdf = argv[1];
	unsafe = strcmp(argv[2], "unsafe") == 0;
	open_env(&env);
	for (int i = unsafe ? 3 : 2; i < argc; i++) {
		size_t s;

		if (strncmp(argv[i], "with ", 5) == 0) {
			with_another(argv[i] + 5);
			continue;
		}
		for (s = 0; s < ARRAY_SIZE(steps) && strcmp(steps[s].name, argv[i]) != 0; s++)
			continue;
		check(s < ARRAY_SIZE(steps), "no step %s", argv[i]);
		printf("pci_probe: %s\n", argv[i]);
		steps[s].run();
	}
	pci_close(dev);
	nvio_env_close(env);
	printf("pci_probe: passed\n");
	return 0;
}
