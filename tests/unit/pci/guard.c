/* SPDX-License-Identifier: BSD-3-Clause */
/* BARs that vanish under an access: a file mapping whose file is cut short is as good as one. */
#include "pci/dev.h"

#include "tests/support/unit.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#include <nvio/env.h>
#include <nvio/thread.h>

static size_t page;

/* A mapping of `pages` pages whose file is cut to `left`. */
static volatile uint32_t *vanishing(size_t pages, size_t left)
{
	int fd = memfd_create("bar", MFD_CLOEXEC);
	void *at;

	assert_int_equal(ftruncate(fd, (off_t)(pages * page)), 0);
	at = mmap(NULL, pages * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(at, MAP_FAILED);
	memset(at, 0x11, pages * page);
	assert_int_equal(ftruncate(fd, (off_t)(left * page)), 0);
	close(fd);
	return at;
}

static int setup(void **state)
{
	page = (size_t)sysconf(_SC_PAGESIZE);
	return 0;
}

static bool is_default(void)
{
	struct sigaction now;

	assert_int_equal(sigaction(SIGBUS, NULL, &now), 0);
	return !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_DFL;
}

/* Sanitizers have handlers of their own. */
static void set_default(void)
{
	signal(SIGBUS, SIG_DFL);
}

static void a_page_that_vanished_reads_as_ones(void **state)
{
	volatile uint32_t *bar = vanishing(3, 1);
	atomic_bool gone = false;

	set_default();
	assert_int_equal(pci_guard_add((void *)(uintptr_t)bar, 3 * page, &gone), 0);
	assert_int_equal(bar[0], 0x11111111);
	assert_false(gone);
	assert_int_equal(bar[page / 4 + 5], UINT32_MAX);
	assert_true(gone);
	bar[2 * page / 4] = 5; /* a write goes nowhere */
	assert_int_equal(bar[2 * page / 4 + 1], UINT32_MAX);
	assert_int_equal(bar[0], 0x11111111);
	pci_guard_remove((void *)(uintptr_t)bar);
	assert_true(is_default());
	munmap((void *)(uintptr_t)bar, 3 * page);
}

static void the_handler_stays_until_the_last_goes(void **state)
{
	volatile uint32_t *a = vanishing(1, 0), *b = vanishing(1, 0);
	atomic_bool gone_a = false, gone_b = false;

	set_default();
	assert_int_equal(pci_guard_add((void *)(uintptr_t)a, page, &gone_a), 0);
	assert_int_equal(pci_guard_add((void *)(uintptr_t)b, page, &gone_b), 0);
	pci_guard_remove((void *)(uintptr_t)a);
	assert_false(is_default());
	assert_int_equal(b[0], UINT32_MAX);
	assert_true(gone_b && !gone_a);
	pci_guard_remove((void *)(uintptr_t)b);
	assert_true(is_default());
	munmap((void *)(uintptr_t)a, page);
	munmap((void *)(uintptr_t)b, page);
}

static sigjmp_buf escape;
static volatile sig_atomic_t passed_on;

static void jump(int sig)
{
	passed_on++;
	siglongjmp(escape, 1);
}

static void jump_with_info(int sig, siginfo_t *info, void *context)
{
	jump(sig);
}

static void what_is_not_ours_goes_to_whoever_was_there(void **state)
{
	volatile uint32_t *bar = vanishing(1, 0), *other = vanishing(1, 0);

	for (int with_info = 0; with_info < 2; with_info++) {
		struct sigaction theirs = { .sa_flags = with_info ? SA_SIGINFO : 0 }, now;
		atomic_bool gone = false;

		if (with_info)
			theirs.sa_sigaction = jump_with_info;
		else
			theirs.sa_handler = jump;
		passed_on = 0;
		sigaction(SIGBUS, &theirs, NULL);
		assert_int_equal(pci_guard_add((void *)(uintptr_t)bar, page, &gone), 0);
		if (!sigsetjmp(escape, 1))
			fail_msg("no SIGBUS: %u", other[0]);
		assert_int_equal(passed_on, 1);
		assert_false(gone);
		assert_int_equal(bar[0], UINT32_MAX);
		if (!sigsetjmp(escape, 1))
			raise(SIGBUS);
		assert_int_equal(passed_on, 2);
		pci_guard_remove((void *)(uintptr_t)bar);
		sigaction(SIGBUS, NULL, &now);
		assert_true(with_info ? now.sa_sigaction == jump_with_info : now.sa_handler == jump);
	}
	set_default();
	munmap((void *)(uintptr_t)bar, page);
	munmap((void *)(uintptr_t)other, page);
}

static struct sigaction below;

/* Somebody who comes later and passes on what is not theirs. */
static void on_top(int sig, siginfo_t *info, void *context)
{
	passed_on++;
	below.sa_sigaction(sig, info, context);
}

static void one_who_comes_later_passes_on_to_it(void **state)
{
	struct sigaction later = { .sa_sigaction = on_top, .sa_flags = SA_SIGINFO }, now;

	set_default();
	passed_on = 0;
	for (int round = 1; round < 3; round++) {
		volatile uint32_t *bar = vanishing(1, 0);
		atomic_bool gone = false;

		assert_int_equal(pci_guard_add((void *)(uintptr_t)bar, page, &gone), 0);
		if (round == 1)
			sigaction(SIGBUS, &later, &below);
		assert_int_equal(bar[0], UINT32_MAX);
		assert_true(gone);
		assert_int_equal(passed_on, round);
		pci_guard_remove((void *)(uintptr_t)bar);
		/* Theirs is not taken away, and ours does not come on top of it, which would go round in
		 * circles. */
		sigaction(SIGBUS, NULL, &now);
		assert_true(now.sa_sigaction == on_top);
		munmap((void *)(uintptr_t)bar, page);
	}
	set_default();
}

static int dies(void *arg)
{
	volatile uint32_t *other = vanishing(1, 0), *bar = vanishing(1, 0);
	atomic_bool gone = false;

	set_default();
	if (pci_guard_add((void *)(uintptr_t)bar, page, &gone))
		return 1;
	if (arg)
		raise(SIGBUS);
	return other[0] ? 2 : 3;
}

static void a_process_that_had_no_handler_dies_as_ever(void **state)
{
	int raised = 1;

	assert_int_equal(unit_in_child(dies, NULL), -1);
	assert_int_equal(unit_in_child(dies, &raised), -1);
}

static int looks(struct nvio_thread *thread, void *arg)
{
	return *(volatile uint32_t *)arg == UINT32_MAX ? 0 : 1;
}

static int looks_on_a_thread(void *arg)
{
	volatile uint32_t *bar = vanishing(1, 0);
	struct nvio_os_thread *os;
	atomic_bool gone = false;
	struct nvio_env *env;

	set_default();
	if (pci_guard_add((void *)(uintptr_t)bar, page, &gone) || nvio_env_open(NULL, &env) ||
		nvio_os_thread_spawn(env, NULL, looks, (void *)(uintptr_t)bar, &os))
		return 1;
	return nvio_os_thread_join(os) || !gone ? 2 : 0;
}

/* They block the signals of the application, which this is not one of. */
static void threads_of_the_library_survive_too(void **state)
{
	assert_int_equal(unit_in_child(looks_on_a_thread, NULL), 0);
}

static int ignores(void *arg)
{
	volatile uint32_t *other = vanishing(1, 0), *bar = vanishing(1, 0);
	atomic_bool gone = false;

	signal(SIGBUS, SIG_IGN);
	alarm(10);
	signal(SIGALRM, SIG_DFL);
	if (pci_guard_add((void *)(uintptr_t)bar, page, &gone))
		return 1;
	raise(SIGBUS);
	if (arg)
		return other[0] ? 2 : 3;
	return bar[0] == UINT32_MAX && gone ? 0 : 4;
}

/* As without us: one that is sent is ignored, one that an access raises cannot be. */
static void a_process_that_ignores_it_dies_of_its_own_access_only(void **state)
{
	int status, access = 1;
	pid_t pid;

	assert_int_equal(unit_in_child(ignores, NULL), 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(ignores(&access));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
}

static atomic_bool go;

static void *reader(void *arg)
{
	volatile uint32_t *bar = arg;
	uintptr_t odd = 0;

	while (!go)
		continue;
	/* Never anything but what was there and ones: not the zeroes of a fresh page. */
	for (size_t i = 0; i < 64 * page / 4; i += 16)
		odd += bar[i] != UINT32_MAX && bar[i] != 0x11111111;
	return (void *)odd;
}

static void threads_see_nothing_in_between(void **state)
{
	volatile uint32_t *bar = vanishing(64, 1);
	atomic_bool gone = false;
	pthread_t threads[4];

	set_default();
	go = false;
	assert_int_equal(pci_guard_add((void *)(uintptr_t)bar, 64 * page, &gone), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, reader, (void *)(uintptr_t)bar), 0);
	go = true;
	for (int i = 0; i < 4; i++) {
		void *odd;

		pthread_join(threads[i], &odd);
		assert_null(odd);
	}
	assert_true(gone);
	pci_guard_remove((void *)(uintptr_t)bar);
	munmap((void *)(uintptr_t)bar, 64 * page);
}

static void there_is_a_bound(void **state)
{
	static char bytes[300];
	atomic_bool gone = false;
	int n;

	set_default();
	for (n = 0; n < 300 && !pci_guard_add(&bytes[n], 1, &gone); n++)
		continue;
	assert_int_equal(n, 256);
	assert_errmsg("256 BARs");
	while (n > 0)
		pci_guard_remove(&bytes[--n]);
	assert_true(is_default());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_that_vanished_reads_as_ones),
		cmocka_unit_test(the_handler_stays_until_the_last_goes),
		cmocka_unit_test(what_is_not_ours_goes_to_whoever_was_there),
		cmocka_unit_test(one_who_comes_later_passes_on_to_it),
		cmocka_unit_test(a_process_that_had_no_handler_dies_as_ever),
		cmocka_unit_test(a_process_that_ignores_it_dies_of_its_own_access_only),
		cmocka_unit_test(threads_of_the_library_survive_too),
		cmocka_unit_test(threads_see_nothing_in_between),
		cmocka_unit_test(there_is_a_bound),
	};

	return cmocka_run_group_tests_name("pci_guard", tests, setup, NULL);
}
