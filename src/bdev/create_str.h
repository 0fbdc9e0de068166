/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a module says of itself so that its devices can be made from a line of text (create_str.c): which options there are and
 * where in a structure they go, and how the device is made of that.
 */
#ifndef BDEV_CREATE_STR_H
#define BDEV_CREATE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nvio_env;

/* What an option's value is, and the type of the member that it goes to. */
enum bdev_form_value {
	BDEV_FORM_U8,	/* uint8_t */
	BDEV_FORM_U16,	/* uint16_t */
	BDEV_FORM_U32,	/* uint32_t */
	BDEV_FORM_U64,	/* uint64_t */
	BDEV_FORM_SIZE32, /* uint32_t; as in "4k" */
	BDEV_FORM_SIZE, /* uint64_t; as in "1G" */
	BDEV_FORM_BOOL, /* bool */
	BDEV_FORM_NOT,	/* bool; set to the contrary */
	BDEV_FORM_CHANCE, /* double; above 0, at most 1 */
	BDEV_FORM_TEXT, /* const char *; valid until create() has returned */
	BDEV_FORM_WORD, /* uint32_t: which of the words */
};

/* A table of them ends with a row without a name. All forms have "name" and, but for those with no_uuid, "uuid" besides. */
struct bdev_form_key {
	const char *name;
	enum bdev_form_value value;
	size_t at;		  /* offset of the member in the form's structure */
	const char *const *words; /* BDEV_FORM_WORD: ends with NULL */
};

struct bdev_form_args {
	const char *name;
	const char *base;    /* of what is stacked; else NULL */
	const uint8_t *uuid; /* 16 bytes, or NULL */
};

struct bdev_form {
	const char *kind;
	const char *what;  /* what stands behind the kind, in capitals for messages; NULL: another device, on which it stands */
	const char *first; /* appended to its name it is that of its first device; NULL: the name is */
	bool whole;	   /* `what` reaches to the end of the text as it is: no escapes, no options */
	bool exists;	   /* `what` is the name of a device that is there: no options, nothing is made */
	bool no_uuid;
	size_t size; /* of the form's own structure, which is zeroed at first */
	const struct bdev_form_key *keys; /* may be NULL */
	void (*init)(void *form); /* the defaults; may be NULL */
	/* Takes `what`, which is valid until create() has returned. 0 or -EINVAL in words. NULL without `what`. */
	int (*set_what)(void *form, const char *what);
	/* Whether all of it fits together. 0 or -EINVAL in words. May be NULL. */
	int (*check)(void *form);
	int (*create)(struct nvio_env *env, const void *form, const struct bdev_form_args *args);
	/* Takes back what create() has made. NULL: one device of that name. */
	void (*undo)(struct nvio_env *env, const void *form, const char *name);
};

/* All that there are, in one array that ends with NULL. modules/modules.c */
extern const struct bdev_form *const bdev_forms[];

#endif
