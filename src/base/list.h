/* SPDX-License-Identifier: BSD-3-Clause */
/* Intrusive doubly-linked list with a head that is a node itself. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>

#include "base/compiler.h"

struct list {
	struct list *prev, *next;
};

#define LIST_INIT(name) { &(name), &(name) }

static inline void list_init(struct list *l) { l->prev = l->next = l; }
static inline bool list_empty(const struct list *l) { return l->next == l; }

static inline void list_insert(struct list *before, struct list *n)
{
	n->next = before;
	n->prev = before->prev;
	before->prev->next = n;
	before->prev = n;
}

static inline void list_push_back(struct list *head, struct list *n) { list_insert(head, n); }
static inline void list_push_front(struct list *head, struct list *n) { list_insert(head->next, n); }

/* Takes n out of whatever list it is in; afterwards n is an empty list, so a second removal does nothing. */
static inline void list_remove(struct list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}

static inline struct list *list_pop_front(struct list *head)
{
	struct list *n = head->next;

	if (n == head)
		return NULL;
	list_remove(n);
	return n;
}

/* Moves everything of `from` to the end of `to`. */
static inline void list_splice(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_for_each(pos, head) for (struct list *pos = (head)->next; pos != (head); pos = pos->next)
#define list_for_each_safe(pos, head)                                                            \
	for (struct list *pos = (head)->next, *pos##_next = pos->next; pos != (head);            \
	     pos = pos##_next, pos##_next = pos->next)

#endif
