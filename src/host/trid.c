/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Transport ids: text in, text out.
 */
#include <ctype.h>
#include <stdio.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include <nvio/trid.h>

static const struct {
	enum nvio_trtype type;
	const char *name;
} types[] = {
	{ NVIO_TRTYPE_PCIE, "PCIe" }, { NVIO_TRTYPE_TCP, "TCP" }, { NVIO_TRTYPE_RDMA, "RDMA" }, { NVIO_TRTYPE_FC, "FC" },
	{ NVIO_TRTYPE_LOOP, "LOOP" }, { NVIO_TRTYPE_VFIOUSER, "VFIOUSER" },
};

static const struct {
	enum nvio_adrfam family;
	const char *name;
} families[] = {
	{ NVIO_ADRFAM_IPV4, "IPv4" }, { NVIO_ADRFAM_IPV6, "IPv6" }, { NVIO_ADRFAM_HOST, "Intra_host" },
};

const char *nvio_trtype_str(enum nvio_trtype trtype)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (types[i].type == trtype)
			return types[i].name;
	return "?";
}

/* ---- addresses ---- */

#define BDF_SIZE sizeof("dddddddd:bb:dd.f") /* a domain has 16 bits, but those of VMD more */

/* dddd:bb:dd.f or bb:dd.f in hexadecimal, nothing behind it. */
static int bdf_parse(const char *s, char *out, size_t size)
{
	unsigned domain = 0, bus, dev, fn;
	int n = 0;

	if (strspn(s, "0123456789abcdefABCDEF:.") != strlen(s))
		return -EINVAL;
	if (sscanf(s, "%8x:%2x:%2x.%1x%n", &domain, &bus, &dev, &fn, &n) != 4 || s[n]) {
		domain = 0;
		n = 0;
		if (sscanf(s, "%2x:%2x.%1x%n", &bus, &dev, &fn, &n) != 3 || s[n])
			return -EINVAL;
	}
	if (dev > 31 || fn > 7)
		return -EINVAL;
	snprintf(out, size, "%04x:%02x:%02x.%x", domain, bus, dev, fn);
	return 0;
}

/* Four numbers of up to 255. */
static bool is_ipv4(const char *s)
{
	for (int part = 0; part < 4; part++) {
		unsigned v = 0;
		size_t n = strspn(s, "0123456789");

		if (n < 1 || n > 3)
			return false;
		for (size_t i = 0; i < n; i++)
			v = v * 10 + (unsigned)(s[i] - '0');
		if (v > 255 || s[n] != (part < 3 ? '.' : 0))
			return false;
		s += n + 1;
	}
	return true;
}

/* One of digits and dots only is no name but a mistyped address. */
static bool is_host_name(const char *s)
{
	size_t n = strlen(s);

	if (!n || n > 253 || s[0] == '-' || s[0] == '.' || s[n - 1] == '-' || strspn(s, "0123456789.") == n)
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && *s != '-' && *s != '.' && *s != '_')
			return false;
	return true;
}

/* The shape only; whether it resolves is for the connection to find out. */
static bool is_ipv6(const char *s)
{
	size_t n = strcspn(s, "%"); /* a scope may follow: fe80::1%eth0 */
	int colons = 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] == ':')
			colons++;
		else if (!isxdigit((unsigned char)s[i]) && s[i] != '.')
			return false;
	}
	return colons >= 2 && n <= 45 && (!s[n] || s[n + 1]);
}

static int port_check(const char *s)
{
	unsigned long v = 0;

	if (!*s || strlen(s) > 5 || strspn(s, "0123456789") != strlen(s))
		return -EINVAL;
	for (; *s; s++)
		v = v * 10 + (unsigned long)(*s - '0');
	return v <= 65535 ? 0 : -EINVAL;
}

static int check_ip(struct nvio_trid *t)
{
	const char *type = nvio_trtype_str(t->trtype);
	bool v6 = is_ipv6(t->traddr), v4 = is_ipv4(t->traddr);

	if (!t->traddr[0])
		return fail(-EINVAL, "trid: %s needs traddr (an address or a host name)", type);
	if (!v6 && !v4 && !is_host_name(t->traddr))
		return fail(-EINVAL, "trid: traddr '%s' is no IPv4 or IPv6 address and no host name", t->traddr);
	if (t->trsvcid[0] && port_check(t->trsvcid))
		return fail(-EINVAL, "trid: trsvcid '%s' is no port number (0 to 65535)", t->trsvcid);
	if (t->adrfam == NVIO_ADRFAM_HOST || (v6 && t->adrfam == NVIO_ADRFAM_IPV4) || (v4 && t->adrfam == NVIO_ADRFAM_IPV6))
		return fail(-EINVAL, "trid: traddr '%s' is not of the family that adrfam says", t->traddr);
	if (t->adrfam == NVIO_ADRFAM_NONE)
		t->adrfam = v6 ? NVIO_ADRFAM_IPV6 : NVIO_ADRFAM_IPV4;
	return 0;
}

static int check(struct nvio_trid *t)
{
	char bdf[BDF_SIZE];

	switch (t->trtype) {
	case NVIO_TRTYPE_PCIE:
		if (bdf_parse(t->traddr, bdf, sizeof(bdf)))
			return fail(-EINVAL, "trid: traddr '%s' is no PCI address; it looks like 0000:01:00.0", t->traddr);
		strcpy(t->traddr, bdf);
		return 0;
	case NVIO_TRTYPE_TCP:
	case NVIO_TRTYPE_RDMA:
		return check_ip(t);
	case NVIO_TRTYPE_LOOP:
	case NVIO_TRTYPE_VFIOUSER:
	case NVIO_TRTYPE_FC:
		if (!t->traddr[0])
			return fail(-EINVAL, "trid: %s needs traddr (%s)", nvio_trtype_str(t->trtype),
				t->trtype == NVIO_TRTYPE_LOOP ? "a drive's name, an image, ram:SIZE or null:SIZE" : "its address");
		return 0;
	default:
		return fail(-EINVAL, "trid: no trtype; for example 'trtype:PCIe traddr:0000:01:00.0' or 'loop:disk.img'");
	}
}

/* ---- text ---- */

static int set(char *to, size_t size, const char *what, const char *from, size_t len)
{
	if (len >= size)
		return fail(-EINVAL, "trid: %s has %zu bytes; it may have %zu", what, len, size - 1);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)from[i] < 0x20 || from[i] == 0x7f)
			return fail(-EINVAL, "trid: %s has a control character at byte %zu", what, i);
	memcpy(to, from, len);
	to[len] = 0;
	return 0;
}

static bool same(const char *a, size_t len, const char *word)
{
	return strlen(word) == len && !strncasecmp(a, word, len);
}

static int set_type(struct nvio_trid *t, const char *v, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (same(v, len, types[i].name)) {
			t->trtype = types[i].type;
			return 0;
		}
	}
	return fail(-EINVAL, "trid: trtype '%.*s' is none of PCIe, TCP, RDMA, FC, LOOP, VFIOUSER", (int)MIN(len, (size_t)32), v);
}

static int set_family(struct nvio_trid *t, const char *v, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		if (same(v, len, families[i].name)) {
			t->adrfam = families[i].family;
			return 0;
		}
	}
	return fail(-EINVAL, "trid: adrfam '%.*s' is none of IPv4, IPv6, Intra_host", (int)MIN(len, (size_t)32), v);
}

enum { KEY_TRTYPE = 1, KEY_TRADDR = 2, KEY_TRSVCID = 4, KEY_SUBNQN = 8, KEY_ADRFAM = 16 };

static int set_pair(struct nvio_trid *t, unsigned *seen, const char *k, size_t klen, const char *v, size_t vlen)
{
	unsigned key = same(k, klen, "trtype") ? KEY_TRTYPE : same(k, klen, "traddr") ? KEY_TRADDR : same(k, klen, "trsvcid") ? KEY_TRSVCID :
		same(k, klen, "subnqn") ? KEY_SUBNQN : same(k, klen, "adrfam") ? KEY_ADRFAM : 0;

	if (!key)
		return fail(-EINVAL, "trid: unknown key '%.*s'; there are trtype, traddr, trsvcid, subnqn, adrfam", (int)MIN(klen, (size_t)32), k);
	if (*seen & key)
		return fail(-EINVAL, "trid: %.*s is given twice", (int)klen, k);
	*seen |= key;
	if (!vlen)
		return fail(-EINVAL, "trid: %.*s has no value", (int)klen, k);
	switch (key) {
	case KEY_TRTYPE:
		return set_type(t, v, vlen);
	case KEY_TRADDR:
		return set(t->traddr, sizeof(t->traddr), "traddr", v, vlen);
	case KEY_TRSVCID:
		return set(t->trsvcid, sizeof(t->trsvcid), "trsvcid", v, vlen);
	case KEY_SUBNQN:
		return set(t->subnqn, sizeof(t->subnqn), "subnqn", v, vlen);
	default:
		return set_family(t, v, vlen);
	}
}

static int parse_pairs(struct nvio_trid *t, const char *s)
{
	unsigned seen = 0;

	for (;;) {
		size_t klen, vlen;
		int rc;

		s += strspn(s, " \t\r\n");
		if (!*s)
			return 0;
		klen = strcspn(s, ":= \t\r\n");
		if (s[klen] != ':' && s[klen] != '=')
			return fail(-EINVAL, "trid: '%.40s' is no key:value pair", s);
		vlen = strcspn(s + klen + 1, " \t\r\n");
		rc = set_pair(t, &seen, s, klen, s + klen + 1, vlen);
		if (rc)
			return rc;
		s += klen + 1 + vlen;
	}
}

int nvio_trid_parse(const char *text, struct nvio_trid *trid)
{
	struct nvio_trid t = { .trtype = NVIO_TRTYPE_NONE };
	char bdf[BDF_SIZE];
	int rc = 0;

	if (!text || !trid)
		return fail(-EINVAL, "trid: %s is NULL", text ? "where to put it" : "the text");
	if (!strncasecmp(text, "loop:", 5)) {
		t.trtype = NVIO_TRTYPE_LOOP;
		rc = set(t.traddr, sizeof(t.traddr), "the loop address", text + 5, strlen(text + 5));
	} else if (!bdf_parse(text, bdf, sizeof(bdf))) {
		t.trtype = NVIO_TRTYPE_PCIE;
		strcpy(t.traddr, bdf);
	} else {
		rc = parse_pairs(&t, text);
	}
	if (!rc)
		rc = check(&t);
	if (!rc)
		*trid = t;
	return rc;
}

int nvio_trid_format(const struct nvio_trid *t, char *buf, size_t len)
{
	const char *family = "";

	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		if (families[i].family == t->adrfam)
			family = families[i].name;
	/* What the loop's address may hold (spaces), only the short form can say. */
	if (t->trtype == NVIO_TRTYPE_LOOP && strchr(t->traddr, ' '))
		return snprintf(buf, len, "loop:%s", t->traddr);
	return snprintf(buf, len, "trtype:%s%s%s%s%s%s%s%s%s", nvio_trtype_str(t->trtype), *family ? " adrfam:" : "", family,
		t->traddr[0] ? " traddr:" : "", t->traddr, t->trsvcid[0] ? " trsvcid:" : "", t->trsvcid, t->subnqn[0] ? " subnqn:" : "",
		t->subnqn);
}

/* ---- makers ---- */

static int make(struct nvio_trid *trid, enum nvio_trtype type, const char *addr, const char *port, const char *subnqn)
{
	struct nvio_trid t = { .trtype = type };
	int rc;

	if (!trid || !addr)
		return fail(-EINVAL, "trid: %s is NULL", addr ? "where to put it" : "the address");
	rc = set(t.traddr, sizeof(t.traddr), "traddr", addr, strlen(addr));
	if (!rc && port)
		rc = set(t.trsvcid, sizeof(t.trsvcid), "trsvcid", port, strlen(port));
	if (!rc && subnqn)
		rc = set(t.subnqn, sizeof(t.subnqn), "subnqn", subnqn, strlen(subnqn));
	if (!rc)
		rc = check(&t);
	if (!rc)
		*trid = t;
	return rc;
}

int nvio_trid_pcie(struct nvio_trid *trid, const char *bdf)
{
	return make(trid, NVIO_TRTYPE_PCIE, bdf, NULL, NULL);
}

int nvio_trid_loop(struct nvio_trid *trid, const char *name)
{
	return make(trid, NVIO_TRTYPE_LOOP, name, NULL, NULL);
}

int nvio_trid_tcp(struct nvio_trid *trid, const char *addr, const char *port, const char *subnqn)
{
	return make(trid, NVIO_TRTYPE_TCP, addr, port, subnqn);
}

int nvio_trid_rdma(struct nvio_trid *trid, const char *addr, const char *port, const char *subnqn)
{
	return make(trid, NVIO_TRTYPE_RDMA, addr, port, subnqn);
}

/* The subsystem meant: without a name it is discovery, where there are fabrics. */
static const char *effective_nqn(const struct nvio_trid *t)
{
	bool fabrics = t->trtype == NVIO_TRTYPE_TCP || t->trtype == NVIO_TRTYPE_RDMA || t->trtype == NVIO_TRTYPE_FC;

	return fabrics && !t->subnqn[0] ? NVIO_DISCOVERY_NQN : t->subnqn;
}

int nvio_trid_compare(const struct nvio_trid *a, const struct nvio_trid *b)
{
	/* Names of loop drives may be paths, where case matters; all other addresses have none. */
	bool path = a->trtype == NVIO_TRTYPE_LOOP || a->trtype == NVIO_TRTYPE_VFIOUSER;
	int d = (a->trtype > b->trtype) - (a->trtype < b->trtype);

	if (!d)
		d = path ? strcmp(a->traddr, b->traddr) : strcasecmp(a->traddr, b->traddr);
	if (!d)
		d = strcasecmp(a->trsvcid, b->trsvcid);
	if (!d)
		d = strcmp(effective_nqn(a), effective_nqn(b));
	return d;
}
