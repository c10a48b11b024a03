/* oldjpeg.h - old-style JPEG (TIFF 6.0, section 22), whose streams are spread over the file. */
#ifndef LZT_OLDJPEG_H
#define LZT_OLDJPEG_H

#include "page.h"

/* A copy of the whole file in which the header leads to an IFD with nothing but the page's structural tags: tables and streams stay
 * where the tags say. To be freed by the caller. Files above 64 MiB and BigTIFF files are LZT_UNSUPPORTED. */
enum lzt_status lzt_old_jpeg_tiff(const struct lzt_page *page, uint8_t **bytes, size_t *length, struct lzt_error *error);

#endif
