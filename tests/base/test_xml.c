/* test_xml.c: what annotations are written in is read, everything else refused with its line. */
#include "base/xml.h"
#include "format/format_support.h"

static cj_context *cj;
static cj__arena arena;

static int setup(void **state)
{
    (void)state;
    cj = cj_context_new(NULL);
    if (cj) cj__arena_init(&arena, cj);
    return cj ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    cj__arena_release(&arena);
    const int leaked = cj_memory_used(cj) != 0;
    cj_context_free(cj);
    return leaked;
}

static const cj__xml *parse(const char *text)
{
    const cj__xml *root = NULL;
    const size_t size = strlen(text);
    unsigned char *exact = golden_copy(text, size);
    const cj_status failed = cj__xml_parse(&arena, "test", exact, size, &root);
    free(exact);
    return failed ? NULL : root;
}

/* "a{b=1 c{d=}}": names, texts and what lies within. */
static void print(const cj__xml *e, char *out, size_t size)
{
    const size_t n = strlen(out);
    snprintf(out + n, size - n, "%s=%s", e->name, e->text);
    assert_int_equal(strlen(e->text), e->length);
    if (!e->first) return;
    for (const cj__xml *c = e->first; c; c = c->next) {
        snprintf(out + strlen(out), size - strlen(out), c == e->first ? "{" : " ");
        print(c, out, size);
    }
    snprintf(out + strlen(out), size - strlen(out), "}");
}

static void check(const char *text, const char *expected)
{
    char found[500] = "";
    const cj__xml *root = parse(text);
    if (!root) fail_msg("%s: %s", text, cj_message(cj));
    print(root, found, sizeof found);
    assert_string_equal(found, expected);
}

static void elements_have_text_and_children(void **state)
{
    (void)state;
    check("<a/>", "a=");
    check("<a></a>", "a=");
    check(" \n<a> x y\t</a >\n", "a=x y");
    check("<a><b>1</b>\n  <c><d/></c></a>", "a={b=1 c={d=}}");
    check("<a>one<b>two</b> three <!-- - -> --> four</a>", "a=one three  four{b=two}");
    check("\xef\xbb\xbf<?xml version=\"1.0\" encoding='utf-8'?><!-- x --><a/><!-- y -->", "a=");
    check("<a x=\"1 > 2\" y = '&quot;\"'  ><b z=''/></a>", "a={b=}");
    check("<a>&lt;&gt;&amp;&quot;&apos;&#65;&#x42;&#xe9;&#x20ac;&#x1F600;</a>",
          "a=<>&\"'AB\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    check("<a><![CDATA[<b>&amp;]]]]><![CDATA[>]]></a>", "a=<b>&amp;]]>");
    check("<p:a-b.c_1>\xc3\xa9</p:a-b.c_1>", "p:a-b.c_1=\xc3\xa9");
}

static void elements_are_found_with_their_lines(void **state)
{
    (void)state;
    const cj__xml *root = parse("<?xml\n?>\n<a>\n<b>1</b><c/>\n\n<b\n>2</b></a>");
    assert_non_null(root);
    assert_int_equal(root->line, 3);
    const cj__xml *b = cj__xml_find(root, "b"), *second = cj__xml_next(b, "b");
    assert_string_equal(b->text, "1");
    assert_int_equal(b->line, 4);
    assert_string_equal(second->text, "2");
    assert_int_equal(second->line, 6);
    assert_null(cj__xml_next(second, "b"));
    assert_null(cj__xml_find(root, "d"));
    assert_null(cj__xml_find(NULL, "d"));
    assert_null(cj__xml_find(cj__xml_find(root, "c"), "d"));
}

static void refuse(const char *text, const char *message)
{
    if (parse(text)) fail_msg("accepted: %s", text);
    assert_string_equal(cj_message(cj), message);
}

static void what_is_not_well_formed_is_refused(void **state)
{
    (void)state;
    refuse("", "test: line 1: expected '<', found the end");
    refuse("\n\nx", "test: line 3: expected '<', found 'x'");
    refuse("<", "test: line 1: expected a name, found the end");
    refuse("<1/>", "test: line 1: expected a name, found '1'");
    refuse("<a", "test: line 1: expected '>', found the end");
    refuse("<a\n<b/></a>", "test: line 2: expected a name, found '<'");
    refuse("<a/><b/>", "test: line 1: expected the end, found '<'");
    refuse("<a>\n<b>\n</a>", "test: line 3: expected '</b>' for that of line 2, found '</a>'");
    refuse("<a>x\n", "test: line 2: expected '</a>' for that of line 1, found the end");
    refuse("<a></a", "test: line 1: expected '>', found the end");
    refuse("<a x></a>", "test: line 1: expected '=', found '>'");
    refuse("<a x=1></a>", "test: line 1: expected '\"', found '1'");
    refuse("<a x='1></a>", "test: line 1: expected no '<' in an attribute, found '<'");
    refuse("<a x=\"1\"y=\"2\"/>", "test: line 1: expected '>', found 'y'");
    refuse("<a>&b;</a>", "test: line 1: expected lt;, gt;, amp;, quot;, apos; or #NUMBER; behind "
                         "'&', found 'b'");
    refuse("<a>&#0;</a>",
           "test: line 1: '&#' is not followed by the number of a character and ';'");
    refuse("<a>&#xd800;</a>",
           "test: line 1: '&#' is not followed by the number of a character and ';'");
    refuse("<a>&#x110000;</a>",
           "test: line 1: '&#' is not followed by the number of a character and ';'");
    refuse("<a>&#;</a>", "test: line 1: '&#' is not followed by the number of a character and ';'");
    refuse("<a>&#6f;</a>", "test: line 1: expected a digit, found 'f'");
    refuse("<a>]]></a>", "test: line 1: expected no ']]>' in a text, found ']'");
    refuse("<a><!-- -- --></a>",
           "test: line 1: expected '>' behind '--' of a comment, found byte 0x20");
    refuse("<a><!-- ", "test: line 1: expected '-->', found the end");
    refuse("<a><![CDATA[x]]</a>", "test: line 1: expected ']]>', found the end");
    refuse("<a>\xff</a>", "test: line 1: expected UTF-8, found byte 0xff");
    refuse("<a>\x01</a>", "test: line 1: expected no control character, found byte 0x01");
    refuse("<!DOCTYPE a [<!ENTITY b 'c'>]><a/>",
           "test: line 1: a document type (<!DOCTYPE) is not read");
    refuse("<a><!ELEMENT b></a>", "test: line 1: expected a name, found '!'");
}

static void depth_is_bounded(void **state)
{
    char text[8 * (CJ__XML_DEPTH + 1)] = "";
    (void)state;
    for (int i = 0; i < CJ__XML_DEPTH; i++) strcat(text, "<a>");
    for (int i = 0; i < CJ__XML_DEPTH; i++) strcat(text, "</a>");
    assert_non_null(parse(text));
    text[0] = 0;
    for (int i = 0; i <= CJ__XML_DEPTH; i++) strcat(text, "<a>");
    refuse(text, "test: line 1: nested deeper than 64");
}

static cj_status read_xml(cj_context *c, void *arg)
{
    cj__arena own;
    const cj__xml *root;
    cj__arena_init(&own, c);
    const cj_status failed = cj__xml_parse(&own, "test", arg, strlen(arg), &root);
    cj__arena_release(&own);
    return failed;
}

static void every_fault_is_a_status(void **state)
{
    (void)state;
    assert_true(faults_sweep_memory(read_xml, "<a>x<b y='z'>1 &amp; 2</b><c/><d><e>f</e></d></a>",
                                    NULL, 1) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(elements_have_text_and_children, setup, teardown),
        cmocka_unit_test_setup_teardown(elements_are_found_with_their_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_well_formed_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(depth_is_bounded, setup, teardown),
        cmocka_unit_test(every_fault_is_a_status),
    };
    return cmocka_run_group_tests_name("base/xml", tests, NULL, NULL);
}
