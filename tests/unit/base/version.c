/* SPDX-License-Identifier: BSD-3-Clause */
/* The version: meson.build, the header's numbers and the library say the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include <nvio/version.h>

static void header_and_library_agree(void **state)
{
	char text[64];

	snprintf(text, sizeof(text), "%d.%d.%d", NVIO_VERSION_MAJOR, NVIO_VERSION_MINOR, NVIO_VERSION_PATCH);
	assert_string_equal(nvio_version(), text);
}

static void the_features_have_names_and_an_end(void **state)
{
	const struct nvio_feature *f = nvio_features();

	assert_string_equal(f->name, "loop");
	assert_true(f->built_in);
	for (; f->name; f++)
		assert_true(*f->name && *f->what);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_and_library_agree),
		cmocka_unit_test(the_features_have_names_and_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
