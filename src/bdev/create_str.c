/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices from a line of text: "delay?avg_read=100:malloc:1G?bs=4096". First all of it is read into layers, so that text which makes
 * no sense creates nothing; then the devices are made, from the last to the first.
 */
#include "bdev/create_str.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/parse.h"
#include "bdev/bdev.h"
#include "bdev/uuid.h"
#include <nvio/error.h>

#define NAME_TRIES 16 /* other creators may be quicker so often */

struct layer {
	const struct bdev_form *form;
	void *own;	  /* form->size bytes */
	const char *at;	  /* in the text */
	const char *name; /* as asked for; NULL: not */
	const char *what; /* NULL: it is stacked */
	const uint8_t *uuid;
	uint8_t uuid_bytes[16];
	uint32_t seen;			     /* bits of the keys that were given */
	char made[NVIO_BDEV_NAME_MAX + 16]; /* the name, once it is made */
};

struct text {
	char *copy; /* cut and decoded in place */
	unsigned count;
	struct layer layers[NVIO_BDEV_STR_LAYERS];
};

/* Bits of layer.seen of the keys that all have; the form's own follow. */
enum {
	SEEN_NAME,
	SEEN_UUID,
	SEEN_OWN,
};

/* All failures of the text go through here: where it is, counted from 1, and what the inner failure says. */
static COLD int bad(const struct text *t, const char *at)
{
	return fail(-EINVAL, "bdev: text: at byte %zu: %s", (size_t)(at - t->copy) + 1, nvio_errmsg());
}

/* A list of what there is, for messages. */
struct list_text {
	char text[384];
	size_t len;
};

static void list_add(struct list_text *l, const char *word)
{
	int n = snprintf(l->text + l->len, sizeof(l->text) - l->len, "%s%s", l->len ? ", " : "", word);

	l->len = MIN(l->len + (size_t)n, sizeof(l->text) - 1);
}

const char *nvio_bdev_str_kind(unsigned index)
{
	for (unsigned i = 0; bdev_forms[i]; i++)
		if (i == index)
			return bdev_forms[i]->kind;
	return NULL;
}

static COLD int no_such_kind(const char *kind, size_t len)
{
	struct list_text l = { 0 };

	for (unsigned i = 0; bdev_forms[i]; i++)
		list_add(&l, bdev_forms[i]->kind);
	return fail(-EINVAL, "\"%.*s\" is no kind of device; there are: %s", (int)MIN(len, 64u), kind, l.text);
}

static const struct bdev_form *find_form(const char *kind, size_t len)
{
	for (unsigned i = 0; bdev_forms[i]; i++)
		if (strlen(bdev_forms[i]->kind) == len && !memcmp(bdev_forms[i]->kind, kind, len))
			return bdev_forms[i];
	return NULL;
}

static COLD int no_such_key(const struct bdev_form *form, const char *key)
{
	struct list_text l = { 0 };

	list_add(&l, "name");
	if (!form->no_uuid)
		list_add(&l, "uuid");
	for (const struct bdev_form_key *k = form->keys; k && k->name; k++)
		list_add(&l, k->name);
	return fail(-EINVAL, "\"%.64s\" is no option of %s; there are: %s", key, form->kind, l.text);
}

static int read_word(const struct bdev_form_key *key, const char *value, uint32_t *to)
{
	struct list_text l = { 0 };

	for (uint32_t i = 0; key->words[i]; i++) {
		if (!strcmp(key->words[i], value)) {
			*to = i;
			return 0;
		}
		list_add(&l, key->words[i]);
	}
	return fail(-EINVAL, "%s: \"%.64s\" is none of: %s", key->name, value, l.text);
}

static int read_chance(const struct bdev_form_key *key, const char *value, double *to)
{
	char *end;
	double v = strtod(value, &end);

	/* The comparison turns away what is not a number, too. */
	if (end == value || *end || !(v > 0 && v <= 1))
		return fail(-EINVAL, "%s: \"%.64s\" is not a number above 0 and at most 1", key->name, value);
	*to = v;
	return 0;
}

static int read_size32(const struct bdev_form_key *key, const char *value, uint32_t *to)
{
	uint64_t v;
	int rc = parse_size(key->name, value, &v);

	if (!rc && v > UINT32_MAX)
		rc = fail(-EINVAL, "%s: %s is too large; at most %" PRIu32, key->name, value, UINT32_MAX);
	if (!rc)
		*to = (uint32_t)v;
	return rc;
}

static int read_uint(const struct bdev_form_key *key, const char *value, void *to)
{
	static const uint64_t max[] = {
		[BDEV_FORM_U8] = UINT8_MAX, [BDEV_FORM_U16] = UINT16_MAX, [BDEV_FORM_U32] = UINT32_MAX, [BDEV_FORM_U64] = UINT64_MAX,
	};
	uint64_t v = 0;
	int rc = parse_u64(key->name, value, max[key->value], &v);

	if (rc)
		return rc;
	switch (key->value) {
	case BDEV_FORM_U8: *(uint8_t *)to = (uint8_t)v; break;
	case BDEV_FORM_U16: *(uint16_t *)to = (uint16_t)v; break;
	case BDEV_FORM_U32: *(uint32_t *)to = (uint32_t)v; break;
	default: *(uint64_t *)to = v; break;
	}
	return 0;
}

static int read_value(const struct bdev_form_key *key, char *value, void *own)
{
	void *to = (char *)own + key->at;
	int rc;

	switch (key->value) {
	case BDEV_FORM_U8:
	case BDEV_FORM_U16:
	case BDEV_FORM_U32:
	case BDEV_FORM_U64: return read_uint(key, value, to);
	case BDEV_FORM_SIZE32: return read_size32(key, value, to);
	case BDEV_FORM_SIZE: return parse_size(key->name, value, to);
	case BDEV_FORM_BOOL: return parse_bool(key->name, value, to);
	case BDEV_FORM_NOT:
		rc = parse_bool(key->name, value, to);
		if (!rc)
			*(bool *)to = !*(bool *)to;
		return rc;
	case BDEV_FORM_CHANCE: return read_chance(key, value, to);
	case BDEV_FORM_TEXT: *(const char **)to = value; return 0;
	case BDEV_FORM_WORD: return read_word(key, value, to);
	}
	return 0;
}

static int read_uuid(struct layer *l, const char *value)
{
	if (!uuid_parse(value, l->uuid_bytes))
		return fail(-EINVAL, "uuid: \"%.64s\" is none; write 8-4-4-4-12 hexadecimal digits", value);
	l->uuid = l->uuid_bytes;
	return 0;
}

static int read_name(struct layer *l, const char *value)
{
	l->name = value;
	return bdev_name_check("name", value);
}

static int read_option(struct layer *l, const char *key, char *value)
{
	const struct bdev_form_key *own = l->form->keys;
	unsigned bit = SEEN_OWN;

	if (!strcmp(key, "name")) {
		bit = SEEN_NAME;
	} else if (!strcmp(key, "uuid") && !l->form->no_uuid) {
		bit = SEEN_UUID;
	} else {
		for (; own && own->name && strcmp(own->name, key); own++)
			bit++;
		if (!own || !own->name)
			return no_such_key(l->form, key);
	}
	if (!value || !*value)
		return fail(-EINVAL, "%s needs a value: %s=...", key, key);
	if (l->seen >> bit & 1)
		return fail(-EINVAL, "%s is said twice", key);
	l->seen |= 1u << bit;
	if (bit == SEEN_NAME)
		return read_name(l, value);
	return bit == SEEN_UUID ? read_uuid(l, value) : read_value(own, value, l->own);
}

static int read_options(const struct text *t, struct layer *l, char *rest)
{
	char *key, *value, *at = rest;
	int rc;

	if (!*rest) {
		fail(-EINVAL, "there is no option behind '?'");
		return bad(t, rest);
	}
	while ((rc = parse_query(l->form->kind, &rest, &key, &value)) == 1) {
		rc = read_option(l, key, value);
		if (rc)
			break;
		at = rest;
	}
	return rc < 0 ? bad(t, at) : 0;
}

/* The last layer: KIND:WHAT?OPTIONS, `rest` behind the kind. */
static int read_last(const struct text *t, struct layer *l, char *rest)
{
	char *options = NULL, *what = rest + 1;
	int rc;

	if (*rest == '?') {
		fail(-EINVAL, "the options of %s stand at the end: %s:%s?...", l->form->kind, l->form->kind, l->form->what);
		return bad(t, rest);
	}
	if (*rest != ':') {
		fail(-EINVAL, "%s needs more: %s:%s%s", l->form->kind, l->form->kind, l->form->what,
			l->form->whole || l->form->exists ? "" : ", and options behind that");
		return bad(t, rest);
	}
	if (!l->form->whole && !l->form->exists) {
		options = strchr(what, '?');
		if (options)
			*options++ = '\0';
	}
	l->what = what;
	rc = l->form->whole ? 0 : parse_percent(l->form->what, what);
	if (!rc && !*what)
		rc = fail(-EINVAL, "%s needs more: %s:%s", l->form->kind, l->form->kind, l->form->what);
	if (!rc)
		rc = l->form->set_what(l->own, what);
	if (rc)
		return bad(t, what);
	return options ? read_options(t, l, options) : 0;
}

/* A layer that stands on the next one: KIND?OPTIONS, up to the ':', behind which *next is then. */
static int read_stacked(const struct text *t, struct layer *l, char *rest, char **next)
{
	char *colon = strchr(rest, ':');

	if (!colon || !colon[1]) {
		fail(-EINVAL, "%s stands on another device, and there is none: %s:malloc:1G, for one", l->form->kind, l->form->kind);
		return bad(t, rest + strlen(rest));
	}
	*colon = '\0';
	*next = colon + 1;
	return *rest == '?' ? read_options(t, l, rest + 1) : 0;
}

static int read_layer(struct text *t, char *at, char **next)
{
	size_t len = strcspn(at, ":?");
	const struct bdev_form *form = find_form(at, len);
	struct layer *l;
	int rc;

	if (!form || t->count == NVIO_BDEV_STR_LAYERS) {
		if (form)
			fail(-EINVAL, "there are more than %d layers", NVIO_BDEV_STR_LAYERS);
		else
			no_such_kind(at, len);
		return bad(t, at);
	}
	l = &t->layers[t->count++];
	l->form = form;
	l->at = at;
	l->own = alloc_zeroed(form->size);
	if (!l->own)
		return fail(-ENOMEM, "bdev: text: no memory");
	if (form->init)
		form->init(l->own);
	*next = NULL;
	rc = form->what ? read_last(t, l, at + len) : read_stacked(t, l, at + len, next);
	if (!rc && form->check && form->check(l->own))
		rc = bad(t, at);
	return rc;
}

static void text_fini(struct text *t)
{
	for (unsigned i = 0; i < t->count; i++)
		alloc_free(t->layers[i].own);
	alloc_free(t->copy);
	alloc_free(t);
}

/* 0; -EINVAL; -ENOMEM. */
static int text_read(const char *text, struct text **out)
{
	struct text *t;
	char *next;
	int rc = 0;

	if (!text)
		return fail(-EINVAL, "bdev: text: the text is NULL");
	if (strnlen(text, NVIO_BDEV_STR_MAX + 1) > NVIO_BDEV_STR_MAX)
		return fail(-EINVAL, "bdev: text: it is longer than %d bytes", NVIO_BDEV_STR_MAX);
	t = alloc_zeroed(sizeof(*t));
	if (!t)
		return fail(-ENOMEM, "bdev: text: no memory");
	t->copy = alloc_strdup(text);
	if (!t->copy)
		rc = fail(-ENOMEM, "bdev: text: no memory");
	for (next = t->copy; !rc && next;)
		rc = read_layer(t, next, &next);
	if (rc)
		text_fini(t);
	else
		*out = t;
	return rc;
}

int nvio_bdev_check_str(const char *text)
{
	struct text *t;
	int rc = text_read(text, &t);

	if (!rc)
		text_fini(t);
	return rc;
}

/* The kind and a number that is not in use just now. */
static void make_name(struct nvio_env *env, const char *kind, char *name, size_t size)
{
	struct bdev_registry *reg = env->bdevs;

	pthread_mutex_lock(&reg->lock);
	for (uint64_t n = reg->last_serial + 1;; n++) {
		snprintf(name, size, "%s%" PRIu64, kind, n);
		if (!bdev_find(reg, name))
			break;
	}
	pthread_mutex_unlock(&reg->lock);
}

static int create_layer(struct nvio_env *env, struct layer *l, const char *base)
{
	struct bdev_form_args args = { .name = l->name, .base = base, .uuid = l->uuid };
	char name[NVIO_BDEV_NAME_MAX + 1];
	int rc;

	if (l->form->exists)
		args.name = l->what;
	for (unsigned try = 0; try < NAME_TRIES; try++) {
		if (!args.name || try) {
			make_name(env, l->form->kind, name, sizeof(name));
			args.name = name;
		}
		rc = l->form->create(env, l->own, &args);
		if (rc != -EEXIST || args.name != name)
			break;
	}
	snprintf(l->made, sizeof(l->made), "%s%s", args.name, l->form->first ? l->form->first : "");
	return rc;
}

/* What somebody has opened meanwhile stays. */
static void undo_layer(struct nvio_env *env, struct layer *l)
{
	if (l->form->exists)
		return;
	if (l->form->undo)
		l->form->undo(env, l->own, l->made);
	else
		bdev_withdraw(env, l->made, NULL);
}

static int create_all(struct nvio_env *env, struct text *t)
{
	for (unsigned i = t->count; i-- > 0;) {
		struct layer *l = &t->layers[i];
		int rc = create_layer(env, l, i + 1 < t->count ? l[1].made : NULL);

		if (!rc)
			continue;
		rc = fail(rc, "bdev: text: at byte %zu: %s", (size_t)(l->at - t->copy) + 1, nvio_errmsg());
		while (++i < t->count) {
			char why[512];

			/* In words of its own, which are not those to be heard. */
			snprintf(why, sizeof(why), "%s", nvio_errmsg());
			undo_layer(env, &t->layers[i]);
			fail(rc, "%s", why);
		}
		return rc;
	}
	return 0;
}

int nvio_bdev_create_str(struct nvio_env *env, const char *text, char *name)
{
	struct text *t;
	int rc;

	if (!env)
		return fail(-EINVAL, "bdev: text: the environment is NULL");
	rc = text_read(text, &t);
	if (rc)
		return rc;
	rc = create_all(env, t);
	if (!rc && name)
		snprintf(name, NVIO_BDEV_NAME_MAX + 1, "%.*s", NVIO_BDEV_NAME_MAX, t->layers[0].made);
	text_fini(t);
	return rc;
}
