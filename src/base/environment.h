/* environment.h: the two documented environment variables. */
#ifndef CAJAL_BASE_ENVIRONMENT_H
#define CAJAL_BASE_ENVIRONMENT_H

/* $CAJAL_DATA and $HOME; NULL when unset or empty. Not to be called while another thread changes
 * the environment (POSIX allows nothing better). */
const char *cj__environment_data(void);
const char *cj__environment_home(void);

#endif
