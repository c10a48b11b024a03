/* directory.h - one IFD and the values of its tags. */
#ifndef LZT_DIRECTORY_H
#define LZT_DIRECTORY_H

#include "lazytiff.h"
#include "peek.h"

/* Field types (TIFF 6.0, section 2; 13: Adobe PageMaker TIFF Technical Note 1; 16 to 18: BigTIFF). */
enum {
    LZT_BYTE = 1,
    LZT_ASCII,
    LZT_SHORT,
    LZT_LONG,
    LZT_RATIONAL,
    LZT_SBYTE,
    LZT_UNDEFINED,
    LZT_SSHORT,
    LZT_SLONG,
    LZT_SRATIONAL,
    LZT_FLOAT32,
    LZT_FLOAT64,
    LZT_IFD,
    LZT_LONG8 = 16,
    LZT_SLONG8,
    LZT_IFD8
};

/* How a file spells its numbers. */
struct lzt_format {
    int bigtiff, big_endian;
};

/* Bytes of one value of a field type; 0 for an unknown type. */
unsigned lzt_type_size(uint16_t type);
/* Bytes of each number that makes up a value: a fraction is two of 4. */
unsigned lzt_number_size(uint16_t type);
/* Exchange the byte order of numbers of size bytes, length bytes in all. */
void lzt_reverse_numbers(uint8_t *bytes, uint64_t length, unsigned size);

/* Sizes that differ between classic TIFF and BigTIFF. */
static inline unsigned lzt_count_size(struct lzt_format format)
{
    return format.bigtiff ? 8 : 2;
}
static inline unsigned lzt_entry_size(struct lzt_format format)
{
    return format.bigtiff ? 20 : 12;
}
static inline unsigned lzt_offset_size(struct lzt_format format)
{
    return format.bigtiff ? 8 : 4;
}

/* Where the header leads to the first IFD. */
enum { LZT_FIRST_CLASSIC = 4, LZT_FIRST_BIG = 8 };

/* Where an IFD of so many tags leads to the next one. */
static inline uint64_t lzt_link_of(struct lzt_format format, uint64_t ifd, uint64_t tags)
{
    return ifd + lzt_count_size(format) + tags * lzt_entry_size(format);
}

/* An offset, 4 or 8 bytes long. */
uint64_t lzt_get_offset(const uint8_t *bytes, struct lzt_format format);

/* One IFD as it lies in the file; entries stays valid until the next use of the peek that it came from. */
struct lzt_directory {
    uint64_t offset;
    uint32_t count;         /* of tags */
    const uint8_t *entries; /* count entries, then the link */
    uint64_t next;          /* the link to the next IFD */
    uint64_t hash;          /* of count and entries */
};

/* Read the IFD at offset. LZT_CORRUPT: cut by the end of the file, or empty; LZT_LIMIT: more than max_tags. */
enum lzt_status lzt_directory_read(struct lzt_peek *peek, struct lzt_format format, uint64_t offset, uint64_t max_tags,
                                   struct lzt_directory *directory, struct lzt_error *error);

/* Entry number index of the directory. */
struct lzt_tag lzt_directory_tag(const struct lzt_directory *directory, struct lzt_format format, uint32_t index,
                                 uint64_t file_size);

/* Value number index of an integer tag as uint64; 0 with *fits = 0 when the tag's type is none for whole positive numbers, when the
 * value is negative, or when there is no such value. */
enum lzt_status lzt_tag_number(struct lzt_peek *peek, struct lzt_format format, const struct lzt_tag *tag, uint64_t index,
                               uint64_t *value, int *fits, struct lzt_error *error);

#endif
