/* SPDX-License-Identifier: BSD-3-Clause */
/* C3: the stacks of coroutines: their size, their guard, how many there can be, and what is kept of them. */
#include "tests/unit/thread/rig.h"

#include <execinfo.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "thread/co.h"
#include "thread/co_switch.h"
#include <nvio/co.h>

#if defined(CO_TSAN)
#define MANY 2000 /* ThreadSanitizer knows 8,128 stacks at once, and is slow to make them */
#else
#define MANY 10000
#endif
#if defined(CO_ASAN) || defined(CO_TSAN)
#define SHADOWED true /* memory is not what it seems */
#else
#define SHADOWED false
#endif

static struct rig rig;

static struct nvio_co *spawn(nvio_co_fn fn, void *arg, size_t stack_size)
{
	struct nvio_co_opts opts;
	struct nvio_co *co = NULL;

	nvio_co_opts_init(&opts);
	opts.stack_size = stack_size;
	assert_int_equal(nvio_co_spawn(rig.t, fn, arg, &opts, &co), 0);
	return co;
}

/* In KiB: of address space, and of it what is in memory. */
static void memory(long *size, long *resident)
{
	FILE *f = fopen("/proc/self/statm", "r");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%ld %ld", size, resident), 2);
	fclose(f);
	*size *= sysconf(_SC_PAGESIZE) / 1024;
	*resident *= sysconf(_SC_PAGESIZE) / 1024;
}

/* Where on the stack the caller is; AddressSanitizer may have put its variables elsewhere. */
static ALWAYS_INLINE const char *here(void)
{
	return __builtin_frame_address(0);
}

/* Touches so much of the stack, in small frames, whatever a sanitizer adds to them. */
static NOINLINE int descend(const char *from, size_t bytes)
{
	volatile char frame[256];

	frame[0] = 1;
	if (from - here() < (long)bytes)
		frame[0] = (char)descend(from, bytes);
	return frame[0];
}

static int sleeps(void *arg)
{
	if (arg)
		descend(here(), (size_t)(uintptr_t)arg);
	return nvio_co_sleep(3600000000);
}

static void ten_thousand_are_suspended_at_once(void **state)
{
	static struct nvio_co *co[MANY];
	long size[2], resident[2];

	rig_open_env(&rig, true);
	memory(&size[0], &resident[0]);
	for (int i = 0; i < MANY; i++)
		co[i] = spawn(sleeps, NULL, 0);
	nvio_thread_poll(rig.t, 0);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(nvio_co_status(co[i]), NVIO_CO_SLEEPING);
	memory(&size[1], &resident[1]);
	print_message("# %d suspended coroutines: %.1f KiB of memory each\n", MANY,
		(double)(resident[1] - resident[0]) / MANY);
	/* A page of stack, half a page for what the kernel keeps. */
	if (!SHADOWED && !strcmp(co_switch_kind, "x86-64"))
		assert_true(resident[1] - resident[0] < MANY * 6l);
	rig.now_ns += 3600000000000;
	assert_int_equal(nvio_co_join_all(co, MANY), 0);
	rig_close(&rig);
	memory(&size[1], &resident[1]);
	if (!SHADOWED)
		assert_true(size[1] - size[0] < 8192); /* what malloc() keeps of the timers */
}

static void what_ended_ones_keep_is_bounded(void **state)
{
	static struct nvio_co *co[2000];
	const long used = 40; /* KiB of each stack */
	long size[3], resident[3];

	if (SHADOWED) {
		print_message("# with a sanitizer the process's memory is mostly the sanitizer's\n");
		skip();
	}
	rig_open_env(&rig, true);
	memory(&size[0], &resident[0]);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 2000; i++)
			co[i] = spawn(sleeps, (void *)(uintptr_t)(used * 1024), 0);
		nvio_thread_poll(rig.t, 0);
		memory(&size[1], &resident[1]);
		assert_true(resident[1] - resident[0] > 2000 * used);
		rig.now_ns += 3600000000000;
		assert_int_equal(nvio_co_join_all(co, 2000), 0);
		memory(&size[2], &resident[2]);
		/* Some with their memory, more with only their last page, and no more than that. */
		assert_true(resident[2] - resident[0] < CO_POOL_WARM * (used + 12) + CO_POOL_COLD * 9 + 2048);
		assert_true(size[2] - size[0] < (CO_POOL_WARM + CO_POOL_COLD) * (long)(64 + CO_GUARD / 1024) + 8192);
	}
	rig_close(&rig);
}

static int stack_of(void *arg)
{
	*(uintptr_t *)arg = (uintptr_t)here();
	return 0;
}

static void the_stack_that_ended_last_is_used_next(void **state)
{
	uintptr_t at[3];

	rig_open_env(&rig, false);
	for (int i = 0; i < 3; i++)
		assert_int_equal(nvio_co_join(spawn(stack_of, &at[i], i == 1 ? 256 << 10 : 0), NULL), 0);
	/* Of its size. */
	assert_true(at[0] / 65536 == at[2] / 65536);
	assert_true(at[1] / 65536 != at[0] / 65536);
	rig_close(&rig);
}

static int uses(void *arg)
{
	return descend(here(), (size_t)(uintptr_t)arg) ? 0 : 1;
}

static void a_stack_has_the_size_that_was_asked_for(void **state)
{
	static const size_t sizes[] = { NVIO_CO_STACK_MIN, 20000, NVIO_CO_STACK_DEFAULT, 1 << 20, 16 << 20 };

	rig_open_env(&rig, false);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		assert_int_equal(nvio_co_join(spawn(uses, (void *)(uintptr_t)(sizes[i] - 6144), sizes[i]), NULL), 0);
	rig_close(&rig);
}

static int returns(void *arg)
{
	return 0;
}

static void a_failed_spawn_leaves_nothing(void **state)
{
	rig_open_env(&rig, false);
	for (long n = 0, left = -1; left < 0; n++) {
		struct nvio_co *co = NULL;
		int rc;

		alloc_fail_after(n);
		rc = nvio_co_spawn(rig.t, returns, NULL, NULL, &co);
		left = alloc_fail_after(-1);
		assert_int_equal(rc, left < 0 ? -ENOMEM : 0);
		assert_int_equal(nvio_co_count(rig.t), rc ? 0 : 1);
		assert_int_equal(!co, rc != 0);
		if (rc)
			assert_said("no memory");
		else
			assert_int_equal(nvio_co_join(co, NULL), 0);
		assert_true(n < 10);
	}
	/* From the pool it takes none. */
	alloc_fail_after(0);
	assert_int_equal(nvio_co_join(spawn(returns, NULL, 0), NULL), 0);
	assert_int_equal(alloc_fail_after(-1), 0);
	rig_close(&rig);
}

static int sleeps_without_memory(void *arg)
{
	int rc;

	alloc_fail_after(0);
	rc = nvio_co_sleep(1);
	alloc_fail_after(-1);
	return rc;
}

static void a_sleep_without_memory_says_so(void **state)
{
	rig_open_env(&rig, false);
	assert_int_equal(nvio_co_join(spawn(sleeps_without_memory, NULL, 0), NULL), -ENOMEM);
	rig_close(&rig);
}

static int holds(void *arg)
{
	/* The only pointer to it, and in no OS thread's stack. */
	char *volatile held = malloc(100);

	nvio_co_sleep(3600000000);
	free(held);
	return 0;
}

static void what_a_suspended_one_holds_is_no_leak(void **state)
{
#if defined(CO_ASAN)
	struct nvio_co *co[2];

	rig_open_env(&rig, true);
	for (int i = 0; i < 2; i++)
		co[i] = spawn(holds, NULL, 0);
	nvio_thread_poll(rig.t, 0);
	assert_int_equal(__lsan_do_recoverable_leak_check(), 0);
	rig.now_ns += 3600000000000;
	assert_int_equal(nvio_co_join_all(co, 2), 0);
	rig_close(&rig);
#else
	(void)holds;
	print_message("# there is no LeakSanitizer in this build\n");
	skip();
#endif
}

static int looks_back(void *arg)
{
	void *frames[64];
	int n = backtrace(frames, 64);

	nvio_co_yield();
	assert_int_equal(backtrace(frames, 64), n);
	return n;
}

static void a_backtrace_ends_where_the_stack_does(void **state)
{
	int n = 0;

	rig_open_env(&rig, false);
	assert_int_equal(nvio_co_join(spawn(looks_back, NULL, 0), &n), 0);
	/* This function, co_main() and what begins a stack; a sanitizer may add one. */
	assert_in_range(n, 2, 6);
	rig_close(&rig);
}

/* ---- overruns: in a child, which dies of it ---- */

enum before { DEFAULT, IGNORED, HANDLER, INFO_HANDLER };

struct scene {
	const char *name;
	enum before before; /* what the application did about SIGSEGV */
	bool off;	    /* turned on and off again */
	bool elsewhere;	    /* not an overrun */
	bool own_alt;	    /* the application has an alternate stack */
	bool os_thread;	    /* on an OS thread of its own */
	bool named;	    /* expected */
	int rc;		    /* of the child: expected; -1: a signal; -2: the handler, wherever it ran */
	int err;
};

static struct scene *scene;
static char alt[64 << 10];

static void app_handler(int sig)
{
	(void)sig;
	_exit(42);
}

static void app_info_handler(int sig, siginfo_t *info, void *context)
{
	bool on_alt = here() >= alt && here() < alt + sizeof(alt);

	_exit(info->si_addr && sig == SIGSEGV && on_alt == scene->own_alt ? 43 : 44);
}

static int overruns(void *arg)
{
	return descend(here(), SIZE_MAX / 2);
}

static int touches_nothing(void *arg)
{
	*(volatile char *)arg = 1;
	return 0;
}

static void *poll_it(void *t)
{
	nvio_thread_poll(t, 0);
	return NULL;
}

static void install_before(const struct scene *s)
{
	struct sigaction sa = { .sa_flags = SA_ONSTACK };

	switch (s->before) {
	case DEFAULT: sa.sa_handler = SIG_DFL; break; /* cmocka has one, and sanitizers */
	case IGNORED: sa.sa_handler = SIG_IGN; break;
	case HANDLER: sa.sa_handler = app_handler; break;
	case INFO_HANDLER:
		sa.sa_flags |= SA_SIGINFO;
		sa.sa_sigaction = app_info_handler;
		break;
	}
	sigaction(SIGSEGV, &sa, NULL);
}

static int play(void *arg)
{
	struct nvio_thread_opts thread_opts;
	struct nvio_co_opts opts;
	struct nvio_thread *t;
	struct nvio_env *env;
	pthread_t os;

	scene = arg;
	dup2(scene->err, 2);
	if (scene->own_alt)
		sigaltstack(&(stack_t){ .ss_sp = alt, .ss_size = sizeof(alt) }, NULL);
	install_before(scene);
	nvio_thread_opts_init(&thread_opts);
	thread_opts.name = "deep thread";
	nvio_co_opts_init(&opts);
	opts.name = "diver";
	if (nvio_co_catch_overflow(true) || nvio_co_catch_overflow(true) || (scene->off && nvio_co_catch_overflow(false)))
		return 1;
	if (nvio_env_open(NULL, &env) || nvio_thread_create(env, &thread_opts, &t) ||
		nvio_co_spawn(t, scene->elsewhere ? touches_nothing : overruns, NULL, &opts, NULL))
		return 2;
	if (scene->os_thread) {
		if (pthread_create(&os, NULL, poll_it, t) || pthread_join(os, NULL))
			return 3;
	} else {
		nvio_thread_poll(t, 0);
	}
	return 4; /* it survived */
}

static void an_overrun_is_told_and_then_the_process_goes_its_way(void **state)
{
	static struct scene scenes[] = {
		{ "nobody minds SIGSEGV", DEFAULT, .named = true, .rc = -1 },
		{ "ignored, which the kernel does not allow for a fault", IGNORED, .named = true, .rc = -1 },
		{ "the application has a handler", HANDLER, .named = true, .rc = 42 },
		{ "the application has a handler that wants to know", INFO_HANDLER, .named = true, .rc = 43 },
		{ "and an alternate stack", INFO_HANDLER, .own_alt = true, .named = true, .rc = 43 },
		{ "on another OS thread", INFO_HANDLER, .os_thread = true, .named = true, .rc = 43 },
		{ "another fault", INFO_HANDLER, .elsewhere = true, .rc = -2 },
		{ "another fault, nobody minds", DEFAULT, .elsewhere = true, .rc = -1 },
		{ "turned off again", DEFAULT, .off = true, .rc = -1 },
		{ "turned off again, with a handler", INFO_HANDLER, .own_alt = true, .off = true, .rc = 43 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(scenes); i++) {
		struct scene *s = &scenes[i];
		FILE *err = tmpfile();
		char text[16384] = { 0 };
		int rc;

		assert_non_null(err);
		print_message("# %s\n", s->name);
		s->err = fileno(err);
		rc = unit_in_child(play, s);
		rewind(err);
		(void)!fread(text, 1, sizeof(text) - 1, err);
		fclose(err);
		if (s->named)
			assert_non_null(strstr(text,
				"nvio: coroutine \"diver\" of thread \"deep thread\" has overrun its stack; give it a larger stack_size\n"));
		else
			assert_null(strstr(text, "has overrun"));
		if (s->rc == -2)
			assert_true(rc == 43 || rc == 44);
		else
			assert_int_equal(rc, s->rc);
	}
}

static void catching_fails_without_memory_and_changes_nothing(void **state)
{
	struct sigaction before, now;
	stack_t old, off = { .ss_flags = SS_DISABLE };

	sigaction(SIGSEGV, NULL, &before);
	sigaltstack(NULL, &old);
	sigaltstack(&off, NULL);
	alloc_fail_after(0);
	assert_int_equal(nvio_co_catch_overflow(true), -ENOMEM);
	assert_int_equal(alloc_fail_after(-1), -1);
	sigaction(SIGSEGV, NULL, &now);
	assert_ptr_equal(before.sa_sigaction, now.sa_sigaction);
	assert_int_equal(nvio_co_catch_overflow(true), 0);
	sigaction(SIGSEGV, NULL, &now);
	assert_ptr_not_equal(before.sa_sigaction, now.sa_sigaction);
	assert_int_equal(nvio_co_catch_overflow(false), 0);
	sigaction(SIGSEGV, NULL, &now);
	assert_ptr_equal(before.sa_sigaction, now.sa_sigaction);
	if (!(old.ss_flags & SS_DISABLE))
		sigaltstack(&old, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ten_thousand_are_suspended_at_once),
		cmocka_unit_test(what_ended_ones_keep_is_bounded),
		cmocka_unit_test(the_stack_that_ended_last_is_used_next),
		cmocka_unit_test(a_stack_has_the_size_that_was_asked_for),
		cmocka_unit_test(a_failed_spawn_leaves_nothing),
		cmocka_unit_test(a_sleep_without_memory_says_so),
		cmocka_unit_test(what_a_suspended_one_holds_is_no_leak),
		cmocka_unit_test(a_backtrace_ends_where_the_stack_does),
		cmocka_unit_test(an_overrun_is_told_and_then_the_process_goes_its_way),
		cmocka_unit_test(catching_fails_without_memory_and_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
