/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory queues over a PCI function: registers and doorbells are its BAR 0 (NVMe PCIe Transport 1.0 section 3), queues and data are
 * reached through an IOMMU. How the function is taken is the business of the room pci.
 *
 * It sleeps on the completion queue's interrupt, an MSI-X vector that leads to an eventfd. Vectors are set when somebody first wants to
 * sleep: a queue that is only polled costs no interrupts.
 */
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fail.h"
#include "base/text.h"
#include "host/pcie/mq.h"
#include "pci/pci.h"
#include <nvio/error.h>

#define REGS_SIZE 0x1000u /* doorbells begin here */

/* What sleeps on a queue: its interrupt, and the news that the function is gone, in one descriptor. */
struct bell {
	int interrupt; /* eventfd; -1: not made */
	int both;      /* epoll */
};

struct pcie {
	struct pci_dev *dev;
	volatile uint8_t *bar;
	size_t bar_len;
	uint32_t vectors;
	bool cut_off;
	struct lock lock; /* all below */
	bool enabled, refused; /* interrupts */
	struct bell *bells;   /* one per vector; queue pair qid has vector qid */
};

static struct pcie *pcie_of(struct nvio_ctrlr *c) { return c->transport; }

/* ---- registers ---- */

/*
 * The kernel may want the function back while it still answers: it is then as gone as one that was pulled out, and is told to stop its
 * DMA, since what is in flight ends now and its buffers with it.
 */
static bool gone(struct nvio_ctrlr *c)
{
	struct pcie *p = pcie_of(c);

	return p->cut_off || pci_look(p->dev);
}

static uint32_t read32(struct pcie *p, uint32_t offset)
{
	/* Acquire: what the controller wrote to memory before it showed this value must not be read before it. */
	return NVIO_LE_SWAP(32, __atomic_load_n((volatile uint32_t *)(p->bar + offset), __ATOMIC_ACQUIRE));
}

static uint64_t pcie_reg_read(struct nvio_ctrlr *c, uint32_t offset, uint32_t width)
{
	struct pcie *p = pcie_of(c);
	uint64_t low;

	if (offset == NVIO_REG_CSTS && gone(c))
		return UINT32_MAX;
	low = read32(p, offset);
	/* In two halves: not every system can read eight bytes of a device at once. None of the wide registers changes by itself. */
	return width == 8 ? low | (uint64_t)read32(p, offset + 4) << 32 : low;
}

static void write32(struct pcie *p, uint32_t offset, uint32_t value)
{
	/* Release: what the register's write sets in motion reads memory that was written before. */
	__atomic_store_n((volatile uint32_t *)(p->bar + offset), NVIO_LE_SWAP(32, value), __ATOMIC_RELEASE);
}

static void pcie_reg_write(struct nvio_ctrlr *c, uint32_t offset, uint32_t width, uint64_t value)
{
	struct pcie *p = pcie_of(c);

	write32(p, offset, (uint32_t)value);
	if (width == 8)
		write32(p, offset + 4, (uint32_t)(value >> 32));
}

static uint32_t *pcie_doorbell(struct nvio_ctrlr *c, uint32_t index)
{
	struct pcie *p = pcie_of(c);
	uint64_t offset = REGS_SIZE + ((uint64_t)index << (2 + nvio_cap_dstrd(c->cap)));

	return offset + 4 <= p->bar_len ? (uint32_t *)(uintptr_t)(p->bar + offset) : NULL;
}

/* ---- taking it and giving it back ---- */

static int check_function(struct nvio_ctrlr *c, struct pcie *p)
{
	uint32_t class_code = pci_class(p->dev);
	volatile void *bar;
	int rc;

	if (class_code != NVIO_PCI_CLASS_NVME)
		return fail(-ENODEV, "pcie: %s: not an NVMe controller: its class is %06x, NVMe's is %06x; 'nvio list' shows those there are",
			c->trid.traddr, class_code, NVIO_PCI_CLASS_NVME);
	rc = pci_bar(p->dev, 0, &bar, &p->bar_len);
	if (rc)
		return rc;
	/* The registers, and at least the doorbells of the admin queue. */
	if (p->bar_len < REGS_SIZE + 8)
		return fail(-ENODEV, "pcie: %s: BAR 0 has %zu bytes; registers and doorbells need more than %u: it is not a whole NVMe controller, or "
			"broken; `lspci -vs %s` shows its memory", c->trid.traddr, p->bar_len, REGS_SIZE, c->trid.traddr);
	p->bar = bar;
	return 0;
}

static int make_bells(struct nvio_ctrlr *c, struct pcie *p)
{
	p->vectors = pci_vectors(p->dev);
	if (!p->vectors)
		return 0;
	p->bells = alloc_array(p->vectors, sizeof(*p->bells));
	if (!p->bells)
		return fail(-ENOMEM, "pcie: %s: no memory for %u interrupts", c->trid.traddr, p->vectors);
	for (uint32_t i = 0; i < p->vectors; i++)
		p->bells[i] = (struct bell){ .interrupt = -1, .both = -1 };
	return 0;
}

static void drop(struct pcie *p)
{
	pci_close(p->dev);
	alloc_free(p->bells);
	lock_fini(&p->lock);
	alloc_free(p);
}

static int pcie_open(struct nvio_ctrlr *c)
{
	struct pcie *p = alloc_zeroed(sizeof(*p));
	char why[512];
	int rc;

	if (!p)
		return fail(-ENOMEM, "pcie: %s: no memory", c->trid.traddr);
	lock_init(&p->lock);
	rc = pci_open(c->env, c->trid.traddr, &p->dev);
	if (!rc)
		rc = check_function(c, p);
	if (!rc)
		rc = make_bells(c, p);
	if (rc) {
		/* Giving it back may have words of its own. */
		text_format(why, sizeof(why), "%s", nvio_errmsg());
		drop(p);
		return fail(rc, "%s", why);
	}
	c->transport = p;
	return 0;
}

static void bell_close(struct pcie *p, uint32_t vector)
{
	struct bell *b = &p->bells[vector];

	if (b->interrupt < 0)
		return;
	pci_vector_set(p->dev, vector, -1);
	close(b->both);
	close(b->interrupt);
	*b = (struct bell){ .interrupt = -1, .both = -1 };
}

static void pcie_close(struct nvio_ctrlr *c)
{
	struct pcie *p = pcie_of(c);

	if (!p)
		return;
	for (uint32_t i = 0; i < p->vectors; i++)
		bell_close(p, i);
	drop(p);
	c->transport = NULL;
}

static void pcie_cut_off(struct nvio_ctrlr *c)
{
	struct pcie *p = pcie_of(c);

	if (p->cut_off)
		return;
	p->cut_off = true;
	pci_set_bus_master(p->dev, false);
}

/*
 * A controller takes a queue with a vector only when vectors are enabled: once, for as many queues as it grants. Where the system has
 * none left for it, its queues are polled.
 */
static int vector_for(struct nvio_ctrlr *c, struct pcie *p, uint16_t qid)
{
	uint32_t count = MIN(p->vectors, c->max_queues + 1);

	if (!qid || qid >= p->vectors)
		return qid < p->vectors ? 0 : -1;
	lock_take(&p->lock);
	if (!p->enabled && !p->refused) {
		p->enabled = !pci_vectors_enable(p->dev, count);
		p->refused = !p->enabled;
		if (p->refused)
			log_msg(&c->env->log, NVIO_LOG_WARN, "pcie: %s: without interrupts: %s", c->trid.traddr, nvio_errmsg());
	}
	lock_give(&p->lock);
	return p->enabled ? qid : -1;
}

static int pcie_qpair(struct nvio_ctrlr *c, uint16_t qid, uint32_t entries, uint32_t slots, struct nvio_qpair **qp)
{
	struct mq_bar bar = {
		.doorbell = pcie_doorbell,
		.vector = vector_for(c, pcie_of(c), qid),
	};

	return mq_create(c, &bar, qid, entries, slots, qp);
}

/* Not before it was disabled: what its last driver left enabled would be free to write to memory by addresses that are ours now. */
static void pcie_admin_setup(struct nvio_ctrlr *c)
{
	pci_set_bus_master(pcie_of(c)->dev, true);
	mq_admin_setup(c);
}

/* ---- sleeping ---- */

/* Both in one: the epoll is readable when either is. */
static int bell_make(struct pcie *p, struct bell *b)
{
	struct epoll_event event = { .events = EPOLLIN };
	int interrupt = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), both = epoll_create1(EPOLL_CLOEXEC), gone_fd = pci_gone_fd(p->dev);
	int rc = interrupt < 0 || both < 0 ? -errno : 0;

	if (!rc && epoll_ctl(both, EPOLL_CTL_ADD, interrupt, &event))
		rc = -errno;
	if (!rc && gone_fd >= 0 && epoll_ctl(both, EPOLL_CTL_ADD, gone_fd, &event))
		rc = -errno;
	if (!rc) {
		*b = (struct bell){ .interrupt = interrupt, .both = both };
		return 0;
	}
	if (interrupt >= 0)
		close(interrupt);
	if (both >= 0)
		close(both);
	return rc;
}

static int bell_open(struct nvio_ctrlr *c, struct pcie *p, uint16_t qid)
{
	struct bell *b = &p->bells[qid];
	int rc;

	if (b->interrupt >= 0)
		return b->both;
	rc = bell_make(p, b);
	if (rc)
		return fail(rc, "pcie: %s: queue pair %u: a descriptor to sleep on: %s", c->trid.traddr, qid, strerror(-rc));
	rc = pci_vector_set(p->dev, qid, b->interrupt);
	if (rc)
		bell_close(p, qid);
	return rc ? rc : b->both;
}

static int pcie_sleep_open(struct nvio_ctrlr *c, uint16_t qid)
{
	struct pcie *p = pcie_of(c);
	int rc;

	if (qid >= p->vectors || p->refused)
		return fail(-EOPNOTSUPP, "pcie: %s: queue pair %u cannot be slept on: the function has %u interrupt vectors, the first is the admin "
			"queue's, and the system %s; poll it, or use fewer queue pairs", c->trid.traddr, qid, p->vectors,
			p->refused ? "gave it none" : "gave it those");
	lock_take(&p->lock);
	rc = bell_open(c, p, qid);
	lock_give(&p->lock);
	return rc;
}

static void pcie_sleep_close(struct nvio_ctrlr *c, uint16_t qid)
{
	struct pcie *p = pcie_of(c);

	if (qid >= p->vectors)
		return;
	lock_take(&p->lock);
	bell_close(p, qid);
	lock_give(&p->lock);
}

static void pcie_sleep_begin(struct nvio_ctrlr *c, uint16_t qid)
{
	eventfd_t count;

	eventfd_read(pcie_of(c)->bells[qid].interrupt, &count);
}

/* The interrupt comes by itself. The core looks at the queue once more after this. */
static int pcie_sleep_arm(struct nvio_ctrlr *c, uint16_t qid, uint32_t head)
{
	return -1;
}

static int pcie_sleep_rest(struct nvio_ctrlr *c, uint16_t qid, int *timeout_ms)
{
	*timeout_ms = -1;
	return 0;
}

static void pcie_sleep_end(struct nvio_ctrlr *c, uint16_t qid)
{
	eventfd_write(pcie_of(c)->bells[qid].interrupt, 1);
}

static const struct sleep_ops pcie_sleep_ops = {
	.open = pcie_sleep_open,
	.close = pcie_sleep_close,
	.begin = pcie_sleep_begin,
	.arm = pcie_sleep_arm,
	.rest = pcie_sleep_rest,
	.end = pcie_sleep_end,
};

const struct ctrlr_ops pcie_pci_ops = {
	.name = "pcie",
	.open = pcie_open,
	.close = pcie_close,
	.reg_read = pcie_reg_read,
	.reg_write = pcie_reg_write,
	.qpair_create = pcie_qpair,
	.admin_setup = pcie_admin_setup,
	.cut_off = pcie_cut_off,
	.sleep = &pcie_sleep_ops,
};
