/* entries.h - the tags of pages to come: those that tell how they are stored, and those of the caller's. */
#ifndef LZT_ENTRIES_H
#define LZT_ENTRIES_H

#include "block.h"

/* In ascending order of tags, each once. Start with a zeroed struct. */
struct lzt_entries {
    struct lzt_entry *items;
    size_t count;
    uint8_t *bytes; /* of the values that are this list's own */
};

/* The tags of a complete form: its own, and what its tags add or replace. LZT_USAGE when those are none that a caller may set. */
enum lzt_status lzt_entries_of_form(struct lzt_entries *entries, const struct lzt_form *form, int big_endian, struct lzt_error *error);
/* The same with tags that are added or replace others; base, whose values it shares, must live as long. */
enum lzt_status lzt_entries_with(struct lzt_entries *entries, const struct lzt_entries *base, const struct lzt_form *form,
                                 const struct lzt_new_tag *tags, size_t count, int big_endian, struct lzt_error *error);
void lzt_entries_free(struct lzt_entries *entries);

/* 1: one of the tags has a type that only BigTIFF has. */
int lzt_entries_need_bigtiff(const struct lzt_entries *entries);

#endif
