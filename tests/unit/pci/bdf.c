/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses of functions: what is one, and how it is written. */
#include "tests/support/unit.h"

#include <errno.h>

#include "pci/pci.h"

static void addresses_are_taken_in_each_form(void **state)
{
	static const struct {
		const char *text, *canonical;
	} cases[] = {
		{ "0000:01:00.0", "0000:01:00.0" },
		{ "01:00.0", "0000:01:00.0" },
		{ "1:2.3", "0000:01:02.3" },
		{ "0:0:0.0", "0000:00:00.0" },
		{ "0001:AB:1F.7", "0001:ab:1f.7" },
		{ "10000:e1:00.0", "10000:e1:00.0" }, /* behind Intel's VMD */
		{ "ffffffff:ff:1f.7", "ffffffff:ff:1f.7" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pci_bdf bdf;
		char text[20];

		if (pci_bdf_parse(cases[i].text, &bdf))
			fail_msg("%s was refused", cases[i].text);
		pci_bdf_format(&bdf, text);
		assert_string_equal(text, cases[i].canonical);
	}
}

static void what_is_no_address_is_refused(void **state)
{
	static const char *const cases[] = { NULL, "", "nvme0", "0000:01:00", "0000:01:00.8", "0000:01:20.0",
		"0000:100:00.0", "100000000:01:00.0", "0000:01:00.0 ", " 0000:01:00.0", "0000:01:00.0\n",
		"0000:01:00.00", ":01:00.0", "01:.0", "01:00.", "-1:00.0", "0x1:00.0", "0000:0000:01:00.0",
		"0000.01.00.0", "01:00:0", "0000:01:00.g", "+1:00.0" };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pci_bdf bdf = { .domain = 77 };

		if (pci_bdf_parse(cases[i], &bdf) != -EINVAL)
			fail_msg("\"%s\" was taken", cases[i]);
		assert_int_equal(bdf.domain, 77);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_taken_in_each_form),
		cmocka_unit_test(what_is_no_address_is_refused),
	};

	return cmocka_run_group_tests_name("pci_bdf", tests, NULL, NULL);
}
