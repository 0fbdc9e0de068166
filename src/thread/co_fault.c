/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names the coroutine that overruns its stack. The kernel can deliver SIGSEGV only on another stack then, so each OS thread
 * that runs coroutines gets one. Everything in the handler is async-signal-safe; what the process does on SIGSEGV is
 * the application's, and it is done afterwards.
 */
#include "thread/co.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"

/* The handlers of sanitizers and of applications may want to print a backtrace on it. */
#define ALT_STACK (64u << 10)

atomic_bool co_fault_on;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* on and off */
static struct sigaction before;				 /* written before ours is in place */
static pthread_key_t alt_key;				 /* frees an OS thread's alternate stack when it ends */
static bool have_key;
static _Thread_local bool prepared;

static char *append(char *at, const char *end, const char *text)
{
	while (*text && at < end)
		*at++ = *text++;
	return at;
}

static void name_it(struct nvio_co *co)
{
	char text[256], *at = text, *end = text + sizeof(text);

	at = append(at, end, "nvio: coroutine \"");
	at = append(at, end, co_name(co));
	at = append(at, end, "\" of thread \"");
	at = append(at, end, co->thread->name);
	at = append(at, end, "\" has overrun its stack; give it a larger stack_size\n");
	(void)!write(STDERR_FILENO, text, (size_t)(at - text));
}

static void chain(int sig, siginfo_t *info, void *context)
{
	if (before.sa_flags & SA_SIGINFO) {
		before.sa_sigaction(sig, info, context);
	} else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
		before.sa_handler(sig);
	} else {
		/* Back to the instruction, which faults again and now ends the process, with a core of the right place. */
		struct sigaction dfl = { .sa_handler = SIG_DFL };

		sigaction(sig, &dfl, NULL);
		/* One that was sent to us by kill() does not come again by itself. */
		if (info->si_code <= 0)
			raise(sig);
	}
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	struct nvio_thread *t = thread_tls_current;
	struct nvio_co *co = t && t->co ? t->co->running : NULL;
	int saved = errno;

	if (co && co_stack_guards(co, info->si_addr))
		name_it(co);
	errno = saved;
	chain(sig, info, context);
}

static void free_alt(void *memory)
{
	stack_t off = { .ss_flags = SS_DISABLE }, now;

	if (!sigaltstack(NULL, &now) && now.ss_sp == memory)
		sigaltstack(&off, NULL);
	munmap(memory, ALT_STACK);
}

/* This OS thread's alternate stack. 0 or -errno. */
static int make_alt(void)
{
	stack_t alt = { .ss_size = ALT_STACK }, now;
	int rc;

	if (sigaltstack(NULL, &now))
		return -errno;
	if (!(now.ss_flags & SS_DISABLE))
		return 0;
	alt.ss_sp = alloc_fails() ? MAP_FAILED :
				    mmap(NULL, ALT_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (alt.ss_sp == MAP_FAILED)
		return -ENOMEM;
	rc = pthread_setspecific(alt_key, alt.ss_sp);
	if (!rc && sigaltstack(&alt, NULL)) {
		rc = errno;
		pthread_setspecific(alt_key, NULL);
	}
	if (rc)
		munmap(alt.ss_sp, ALT_STACK);
	return -rc;
}

void co_fault_prepare(void)
{
	/* Without one the process dies of an overrun all the same, only unnamed; no reason to try each time. */
	if (!prepared)
		(void)make_alt();
	prepared = true;
}

static int turn_on(void)
{
	struct sigaction ours = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	int rc;

	if (!have_key) {
		rc = pthread_key_create(&alt_key, free_alt);
		if (rc)
			return fail(-rc, "coroutine: catch overflow: no key for thread-specific data: %s", strerror(rc));
		have_key = true;
	}
	rc = make_alt();
	if (rc)
		return fail(rc, "coroutine: catch overflow: no alternate signal stack: %s", strerror(-rc));
	if (sigaction(SIGSEGV, NULL, &before) || sigaction(SIGSEGV, &ours, NULL))
		return fail(-errno, "coroutine: catch overflow: sigaction: %s", strerror(errno));
	atomic_store(&co_fault_on, true);
	return 0;
}

/* The handler goes only where it is still ours; alternate stacks stay until their OS threads end. */
static int turn_off(void)
{
	struct sigaction now;

	atomic_store(&co_fault_on, false);
	if (sigaction(SIGSEGV, NULL, &now))
		return fail(-errno, "coroutine: catch overflow: sigaction: %s", strerror(errno));
	if (now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_fault && sigaction(SIGSEGV, &before, NULL))
		return fail(-errno, "coroutine: catch overflow: sigaction: %s", strerror(errno));
	return 0;
}

int nvio_co_catch_overflow(bool on)
{
	int rc = 0;

	pthread_mutex_lock(&lock);
	if (on != atomic_load(&co_fault_on))
		rc = on ? turn_on() : turn_off();
	pthread_mutex_unlock(&lock);
	return rc;
}
