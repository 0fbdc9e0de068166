/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mapped BARs that vanish. When a function is pulled out or powered off, the kernel may take the pages of its
 * BARs away, and the next access, in the midst of the hot path, is a SIGBUS. The handler here puts a page of
 * all-ones in their place, which is what a bus without the function reads as, and the access goes on. It is
 * the one thing of the process that nvio touches: installed with the first mapped BAR and taken away with the
 * last; a SIGBUS anywhere else goes to whoever was there before.
 *
 * The handler uses nothing but atomics and the system calls mmap (itself, not the function that others may
 * have wrapped) and sigaction.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fail.h"
#include "pci/dev.h"

#define GUARD_SLOTS 256 /* mapped BARs of the process */

/* Written under the lock, read by the handler. `base` is stored last and cleared first. */
static struct slot {
	_Atomic uintptr_t base;
	_Atomic size_t len;
	atomic_bool *_Atomic gone;
} slots[GUARD_SLOTS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int used; /* lock */
static bool buried; /* lock; somebody took the signal over while ours was there, and may pass on to it */
static struct sigaction before;	 /* lock; whom to pass on to; set before the handler is installed */
static _Atomic int ones_fd = -1; /* a page of all-ones; stays for good once it is made */
static _Atomic size_t page;

static struct slot *find(uintptr_t addr)
{
	for (size_t i = 0; i < GUARD_SLOTS; i++) {
		uintptr_t base = atomic_load_explicit(&slots[i].base, memory_order_acquire);

		if (base && addr >= base &&
			addr - base < atomic_load_explicit(&slots[i].len, memory_order_relaxed))
			return &slots[i];
	}
	return NULL;
}

/* Raised by an access, which is made again when the handler returns; else it was sent, or tells of memory that nobody has touched. */
static bool by_access(const siginfo_t *info)
{
	return info->si_code > 0 && info->si_code != BUS_MCEERR_AO;
}

static void pass_on(int sig, siginfo_t *info, void *context)
{
	static const struct sigaction none = { .sa_handler = SIG_DFL };

	if (before.sa_flags & SA_SIGINFO) {
		before.sa_sigaction(sig, info, context);
	} else if (before.sa_handler == SIG_DFL || (before.sa_handler == SIG_IGN && by_access(info))) {
		/* An access that is made again does what it would have done: the kernel lets nobody ignore that, which would go on
		 * for ever. One that was sent has to be sent again. */
		sigaction(sig, &none, NULL);
		if (!by_access(info))
			raise(sig);
	} else if (before.sa_handler != SIG_IGN) {
		before.sa_handler(sig);
	}
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	struct slot *slot = info->si_code > 0 ? find((uintptr_t)info->si_addr) : NULL;
	size_t size = atomic_load_explicit(&page, memory_order_relaxed);
	int saved = errno;
	void *at;

	if (!slot) {
		pass_on(sig, info, context);
		return;
	}
	/* In one step: no other thread can see the page without its ones. Private: a write goes no further.
	 */
	at = (void *)((uintptr_t)info->si_addr & ~(size - 1));
	if (syscall(SYS_mmap, at, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
		    atomic_load(&ones_fd), 0L) == -1)
		pass_on(sig, info, context);
	atomic_store(atomic_load_explicit(&slot->gone, memory_order_relaxed), true);
	errno = saved;
}

static int make_ones(void)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	int rc, fd = memfd_create("nvio-gone", MFD_CLOEXEC);
	char ones[1024];

	if (fd < 0)
		return fail(-errno, "pci: memfd for a page: %s", strerror(errno));
	memset(ones, 0xff, sizeof(ones));
	for (size_t done = 0; done < size; done += sizeof(ones)) {
		if (write(fd, ones, sizeof(ones)) == sizeof(ones))
			continue;
		rc = fail(errno ? -errno : -EIO, "pci: memfd for a page: %s", strerror(errno));
		close(fd);
		return rc;
	}
	atomic_store(&page, size);
	atomic_store(&ones_fd, fd);
	return 0;
}

static bool is_ours(const struct sigaction *action)
{
	return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == on_sigbus;
}

static bool is_nobodys(const struct sigaction *action)
{
	return !(action->sa_flags & SA_SIGINFO) &&
	       (action->sa_handler == SIG_DFL || action->sa_handler == SIG_IGN);
}

static int install(void)
{
	struct sigaction ours = { .sa_sigaction = on_sigbus,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART },
			 now;

	if (sigaction(SIGBUS, NULL, &now))
		return fail(-errno, "pci: SIGBUS: %s", strerror(errno));
	/* One that passes on to ours must not get it back from ours. */
	if (is_ours(&now) || (buried && !is_nobodys(&now)))
		return 0;
	before = now;
	ours.sa_mask = now.sa_mask;
	if (sigaction(SIGBUS, &ours, NULL))
		return fail(-errno, "pci: SIGBUS: %s", strerror(errno));
	buried = false;
	return 0;
}

static void uninstall(void)
{
	struct sigaction now;

	if (sigaction(SIGBUS, NULL, &now))
		return;
	if (is_ours(&now))
		sigaction(SIGBUS, &before, NULL);
	else
		buried = true; /* it may pass on to ours, which from now on passes everything on */
}

int pci_guard_add(void *base, size_t len, atomic_bool *gone)
{
	struct slot *slot = NULL;
	int rc = 0;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < GUARD_SLOTS && !slot; i++)
		slot = atomic_load(&slots[i].base) ? NULL : &slots[i];
	if (!slot)
		rc = fail(-ENOSPC, "pci: a process can have %d BARs mapped at a time, and has", GUARD_SLOTS);
	if (!rc && atomic_load(&ones_fd) < 0)
		rc = make_ones();
	if (!rc && used == 0)
		rc = install();
	if (!rc) {
		atomic_store(&slot->len, len);
		atomic_store(&slot->gone, gone);
		atomic_store(&slot->base, (uintptr_t)base);
		used++;
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

void pci_guard_remove(void *base)
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < GUARD_SLOTS; i++) {
		if (atomic_load(&slots[i].base) != (uintptr_t)base)
			continue;
		atomic_store(&slots[i].base, 0);
		if (--used == 0)
			uninstall();
		break;
	}
	pthread_mutex_unlock(&lock);
}
