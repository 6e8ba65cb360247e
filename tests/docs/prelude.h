/* prelude.h: what a fragment in the documentation may take for granted. */
#include <cajal/cajal.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif
extern cj_context *cj;
extern cj_graph *g;
extern cj_model *m;
extern cj_session *s;
extern cj_dataset *train, *test;
extern cj_node *x, *y, *prediction, *params[2];
extern cj_tensor *xs, *ys;
extern const uint8_t pixels[784];
extern cj_status failed;
#ifdef __cplusplus
}
#endif
