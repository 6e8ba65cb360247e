/* detections.c: boxes that a detector found: class, score and corners of each. */
#define _POSIX_C_SOURCE 200809L
#include "cli/detections.h"

#include <stdlib.h>

#include <cajal/detect.h>

#include "cli/guess.h"
#include "cli/json.h"

enum { MOST = 100 }; /* of a picture */

void cli_detection_in_file(const cj_model_info *info, const int64_t size[2], double box[4])
{
    const int64_t height = info->input_shape[0], width = info->input_shape[1];
    const cj_picture_frame f = cj_picture_fit_frame(size[0], size[1], height, width,
                                                    info->input_fit);
    for (int i = 0; i < 4; i++) {
        const int64_t saw = i % 2 ? height : width, all = i % 2 ? f.height : f.width,
                      begin = i % 2 ? f.top : f.left, in_file = size[i % 2 ? 0 : 1];
        const double at = (box[i] * (double)saw - (double)begin) / (double)all;
        box[i] = (at < 0 ? 0 : at > 1 ? 1 : at) * (double)in_file;
    }
}

static void print_json(cli_json *j, const cj_model_info *info, const cj_detection *d)
{
    char number[32];
    cli_json_object(j, NULL);
    cli_json_string(j, "label", cli_label_text(info, d->label, number));
    cli_json_int(j, "class", d->label);
    cli_json_number(j, "score", d->score);
    cli_json_list(j, "box");
    for (int i = 0; i < 4; i++) cli_json_number(j, NULL, d->box[i]);
    cli_json_end(j);
    cli_json_end(j);
}

static void print_line(FILE *to, const cj_model_info *info, const char *path, int64_t sample,
                       const cj_detection *d)
{
    char number[32];
    if (path) fprintf(to, "%s", path);
    else fprintf(to, "%lld", (long long)sample);
    fprintf(to, "\t%s\t%.4f", cli_label_text(info, d->label, number), d->score);
    for (int i = 0; i < 4; i++) fprintf(to, path ? "\t%.1f" : "\t%.4f", d->box[i]);
    fprintf(to, "\n");
}

void cli_print_detection(cli *c, cli_json *j, const cj_model_info *info, const char *path,
                         int64_t sample, const cj_detection *d)
{
    if (j) print_json(j, info, d);
    else print_line(c->out, info, path, sample, d);
}

int cli_print_detections(cli *c, const char *model, cj_model *m, cj_tensor *outputs,
                         const char *const *pictures, int64_t (*sizes)[2])
{
    const int64_t count = cj_tensor_shape(outputs)[0];
    const float *data = cj_tensor_map_read(outputs);
    cj_detection *found = malloc(MOST * sizeof *found);
    cli_json j = {.to = c->out};
    cj_model_info info;
    if (!found || !data) return free(found), cli_fail(c, CJ_ERR_MEMORY, "predict: out of memory");
    cj_model_get_info(m, &info);
    const double score = cli_float(c, "score");
    int64_t n = 0;
    /* What a model lacks is told before anything is printed. */
    cj_status failed = count ? cj_detections(m, data, found, &n, .most = 1) : CJ_OK;
    if (failed) {
        cj_tensor_unmap(outputs);
        free(found);
        return cli_failed(c, c->cj);
    }
    if (c->json) {
        cli_json_object(&j, NULL);
        cli_json_string(&j, "model", model);
        cli_json_list(&j, "predictions");
    }
    for (int64_t i = 0; i < count && !failed; i++) {
        failed = cj_detections(m, data + i * info.output_size, found, &n, .most = MOST,
                               .score = score > 0 ? score : -1); /* 0 is the default */
        if (c->json) {
            cli_json_object(&j, NULL);
            if (pictures) cli_json_string(&j, "picture", pictures[i]);
            cli_json_list(&j, "detections");
        }
        for (int64_t k = 0; k < n; k++) {
            if (pictures) cli_detection_in_file(&info, sizes[i], found[k].box);
            cli_print_detection(c, c->json ? &j : NULL, &info, pictures ? pictures[i] : NULL, i,
                                &found[k]);
        }
        if (c->json) {
            cli_json_end(&j);
            cli_json_end(&j);
        }
    }
    if (c->json) {
        cli_json_end(&j);
        cli_json_end(&j);
        cli_json_line(&j);
    }
    cj_tensor_unmap(outputs);
    free(found);
    return failed ? cli_failed(c, c->cj) : CLI_DONE;
}
