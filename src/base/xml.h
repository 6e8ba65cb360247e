/* xml.h: a strict reader of the part of XML (W3C, 1.0) that annotations are written in: elements
 * with text, given as a small tree in an arena.
 *
 * Attributes, comments and processing instructions are passed over. UTF-8 only; a
 * document type, and with it every entity but the five of XML and characters by number, is refused.
 * Bounded: depth, and no recursion.
 *
 *     const cj__xml *root;
 *     CJ__TRY(cj__xml_parse(&arena, "1.xml", bytes, size, &root));
 *     const cj__xml *width = cj__xml_find(cj__xml_find(root, "size"), "width");
 *     if (width) use(width->text, width->length);
 */
#ifndef CAJAL_BASE_XML_H
#define CAJAL_BASE_XML_H

#include "base/arena.h"

typedef struct cj__xml {
    const char *name; /* NUL-terminated */
    const char *text; /* all that stands directly in it, without blanks at its ends; never NULL */
    size_t length;    /* of the text, which has no zero byte */
    int line;         /* where the element begins, from 1 */
    struct cj__xml *first, *next;
} cj__xml;

enum { CJ__XML_DEPTH = 64 };

/* `what` begins the messages: "what: line 7: expected '</a>', found '</b>'". */
cj_status cj__xml_parse(cj__arena *arena, const char *what, const void *bytes, size_t size,
                        const cj__xml **out);
/* The first element of that name in `parent`, or behind `before` among its siblings; NULL when
 * there is none, or parent is NULL. */
const cj__xml *cj__xml_find(const cj__xml *parent, const char *name);
const cj__xml *cj__xml_next(const cj__xml *before, const char *name);

#endif
