/*
 * list.h - an intrusive, circular, doubly linked list. A FlowList is both head and link: an empty head points
 * to itself, and so does a link that stands in no list. Not for use by several threads.
 */
#ifndef FLOW_BASE_LIST_H
#define FLOW_BASE_LIST_H

#include <stdbool.h>

#include "base/mem.h"

typedef struct FlowList {
    struct FlowList *next, *prev;
} FlowList;

#define flow_list_entry(link, type, member) flow_container_of(link, type, member)
/* The body may remove `link` itself, nothing else. */
#define FLOW_LIST_FOR_EACH(link, head)                                                                       \
    for (FlowList *link = (head)->next, *link##_next = link->next; link != (head);                           \
         link = link##_next, link##_next = link->next)

static inline void flow_list_init(FlowList *list)
{
    list->next = list->prev = list;
}

static inline bool flow_list_empty(const FlowList *list)
{
    return list->next == list;
}

static inline void flow_list_push_back(FlowList *head, FlowList *link)
{
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

static inline void flow_list_push_front(FlowList *head, FlowList *link)
{
    flow_list_push_back(head->next, link);
}

/* Safe on a link that stands in no list, if it was initialised. */
static inline void flow_list_remove(FlowList *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    flow_list_init(link);
}

/* The first link, taken out; NULL when there is none. */
static inline FlowList *flow_list_pop_front(FlowList *head)
{
    FlowList *link = head->next;
    if (link == head)
        return NULL;
    flow_list_remove(link);
    return link;
}

/* Everything in `from` goes to the end of `to`; `from` is empty afterwards. */
static inline void flow_list_splice_back(FlowList *to, FlowList *from)
{
    if (flow_list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    flow_list_init(from);
}

#endif
