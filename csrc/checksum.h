/* checksum.h - the checksum of zlib streams. */
#ifndef LZT_CHECKSUM_H
#define LZT_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Adler-32 (RFC 1950, section 8.2) of count bytes; start with adler = 1, go on with the value before. */
uint32_t lzt_adler32(uint32_t adler, const uint8_t *bytes, size_t count);

#endif
