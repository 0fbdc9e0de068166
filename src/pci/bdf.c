/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses of functions as text: [domain:]bus:device.function, all hexadecimal. */
#include <errno.h>
#include <stdio.h>

#include "pci/pci.h"

/* At least one and at most `digits` hexadecimal digits, at most `max`, then `end`. */
static int number(const char **text, unsigned int digits, char end, uint32_t max, uint32_t *value)
{
	const char *p = *text;
	uint32_t sum = 0;
	unsigned int n;

	for (n = 0; n < digits; n++, p++) {
		if (*p >= '0' && *p <= '9')
			sum = sum << 4 | (uint32_t)(*p - '0');
		else if (*p >= 'a' && *p <= 'f')
			sum = sum << 4 | (uint32_t)(*p - 'a' + 10);
		else if (*p >= 'A' && *p <= 'F')
			sum = sum << 4 | (uint32_t)(*p - 'A' + 10);
		else
			break;
	}
	if (n == 0 || *p != end || sum > max)
		return -EINVAL;
	*text = end ? p + 1 : p;
	*value = sum;
	return 0;
}

static unsigned int colons(const char *text)
{
	unsigned int n = 0;

	for (; *text; text++)
		n += *text == ':';
	return n;
}

int pci_bdf_parse(const char *text, struct pci_bdf *bdf)
{
	uint32_t domain = 0, bus, dev, fn;

	if (!text)
		return -EINVAL;
	if (colons(text) == 2 && number(&text, 8, ':', UINT32_MAX, &domain))
		return -EINVAL;
	if (number(&text, 2, ':', 0xff, &bus) || number(&text, 2, '.', 0x1f, &dev) ||
		number(&text, 1, '\0', 7, &fn))
		return -EINVAL;
	*bdf = (struct pci_bdf){
		.domain = domain, .bus = (uint8_t)bus, .dev = (uint8_t)dev, .fn = (uint8_t)fn
	};
	return 0;
}

void pci_bdf_format(const struct pci_bdf *bdf, char out[20])
{
	snprintf(out, 20, "%04x:%02x:%02x.%x", bdf->domain, bdf->bus, bdf->dev & 0x1fu, bdf->fn & 7u);
}
