/* import.h: what the files of the importer share; rows of operators need map.h alone. */
#ifndef CAJAL_FORMAT_ONNX_IMPORT_H
#define CAJAL_FORMAT_ONNX_IMPORT_H

#include "format/onnx/map.h"

/* ---- import_source.c ------------------------------------------------------------------------- */

cj_status cj__onnx_no_memory(cj__onnx_reader *r);
/* How a node is called for people: by its name, or else by its first output. */
const char *cj__onnx_shown_name(const cj__onnx_node *node, char name[CJ__SLICE_SHOWN]);
/* "node 'dense/MatMul' (MatMul): " before the message there is. */
void cj__onnx_name_node(cj__onnx_reader *r);
/* A copy in the arena; NULL after a failure, which says `what` it was. */
char *cj__onnx_string_of(cj__onnx_reader *r, cj__slice slice, const char *what);
/* A new source of that name in the level. */
cj__onnx_source *cj__onnx_declare(cj__onnx_reader *r, cj__slice name, const char *what);
/* The source of output k of the node; NULL when it has no name. */
cj__onnx_source *cj__onnx_result(cj__onnx_reader *r, size_t k);
/* The source of that name, in the level or, where it is open, around it; NULL when there is none.
 */
cj__onnx_source *cj__onnx_find(const cj__onnx_reader *r, cj__slice name);

/* ---- budget.c: what reading a file may cost -------------------------------------------------- */

/* So many bytes more have been given (the file, values of inputs, external data). */
void cj__onnx_grant(cj__onnx_reader *r, size_t bytes);
/* `steps` bodies are to be read, which is known: granted when they are not too many. */
void cj__onnx_grant_steps(cj__onnx_reader *r, double steps, size_t n, const cj__onnx_node *nodes);
/* Takes so many nodes. false, with a failure, when they are not there, or the memory has grown too
 * large for the file. */
bool cj__onnx_spend(cj__onnx_reader *r, int64_t nodes);
/* The same for n things that are each looked for among so many, one after the other. */
bool cj__onnx_spend_looks(cj__onnx_reader *r, size_t n, size_t among);
/* May so many calls be run for a value, whose results take so many bytes? false with a failure. */
bool cj__onnx_may_run(cj__onnx_reader *r, int64_t calls, double bytes);
/* May a value of this type, whose sizes are numbers, be kept for others that will be computed?
 * Those that may are counted. */
bool cj__onnx_may_keep(cj__onnx_reader *r, const cj_type *type);
void cj__onnx_spend_run(cj__onnx_reader *r, int64_t calls, int64_t work_ns);

/* ---- values.c -------------------------------------------------------------------------------- */

/* The value of a source by running the graph so far, which is kept with it. NULL without a failure
 * when an input that it depends on has no value. */
const cj_tensor *cj__onnx_compute(cj__onnx_reader *r, cj__onnx_source *source);
/* The reader frees it. false, and it is freed, when out of memory. */
/* map/text.c: texts as a tensor, which the reader frees; a cast from or to texts. */
cj_tensor *cj__onnx_strings(cj__onnx_reader *r, int rank, size_t n, const cj__slice *texts);
void cj__onnx_cast_text(cj__onnx_reader *r, cj_dtype to);
bool cj__onnx_keep(cj__onnx_reader *r, cj_tensor *tensor);

/* ---- inline.c: bodies read in place ---------------------------------------------------------- */

/* The nodes of a body, in the graph that is being read. inputs: what its inputs stand for; outputs:
 * as many as the body has. false after a failure. */
bool cj__onnx_read_in_place(cj__onnx_reader *r, const cj__onnx_graph *graph,
                            cj__onnx_source *const *inputs, size_t n, cj__onnx_source **outputs);
/* Output k of the node is what `from` is. */
void cj__onnx_set_source(cj__onnx_reader *r, size_t k, cj__onnx_source *from);
/* A source without a name. */
cj__onnx_source *cj__onnx_new_source(cj__onnx_reader *r, cj_node *node);
/* A call of a function of the model's own; false when there is none that the node calls. */
bool cj__onnx_call(cj__onnx_reader *r);
const cj__onnx_function *cj__onnx_find_function(const cj__onnx_reader *r,
                                                const cj__onnx_node *node);
/* The node with what its attributes refer to in place of the references. */
const cj__onnx_node *cj__onnx_resolve(cj__onnx_reader *r, const cj__onnx_node *node);

/* ---- import.c -------------------------------------------------------------------------------- */

bool cj__onnx_read_nodes(cj__onnx_reader *r, size_t n, const cj__onnx_node *nodes);
bool cj__onnx_read_initializers(cj__onnx_reader *r, const cj__onnx_graph *graph);

#endif
