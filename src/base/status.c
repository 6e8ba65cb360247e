/* status.c: the names of statuses, and the version. */
#include <cajal/base.h>

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

const char *cj_status_name(cj_status status)
{
    switch (status) {
#define CASE(name, text) \
    case CJ_ERR_##name: return text;
        CJ_STATUS_LIST(CASE)
#undef CASE
    default: return "unknown status";
    }
}

const char *cj_version(void)
{
    return TEXT(CJ_VERSION_MAJOR) "." TEXT(CJ_VERSION_MINOR) "." TEXT(CJ_VERSION_PATCH);
}
