/* cmd_version.c: cajal version: what this build is, for bug reports. Starts no threads. */
#include <cajal/run.h>

#include "cli/cli.h"
#include "cli/json.h"

/* What was built in, as the build system defines it for all our files. */
static const char *const parts[] = {
#ifdef CAJAL_CORE
    "core",
#endif
#ifdef CJ_HAVE_DNNL
    "onednn",
#endif
#ifdef CJ_HAVE_YAML
    "yaml",
#endif
#ifdef CJ_HAVE_ZLIB
    "zlib",
#endif
#ifdef CJ_HAVE_PNG
    "png",
#endif
#ifdef CJ_HAVE_JPEG
    "jpeg",
#endif
#ifdef _OPENMP
    "openmp",
#else
    "pthread",
#endif
#ifdef CJ_ASSERTS
    "asserts",
#endif
    NULL};

#if defined(__clang__)
static const char compiler[] = "clang " __clang_version__;
#elif defined(__GNUC__)
static const char compiler[] = "gcc " __VERSION__;
#else
static const char compiler[] = "unknown";
#endif

/* The form of the best backend's kernels that this processor runs, of those that have several. */
static const char *instruction_set(void)
{
    for (int i = 0; cj_backend_name_at(i); i++)
        if (cj_backend_variant_at(i)) return cj_backend_variant_at(i);
    return "generic";
}

static int run(cli *c)
{
    if (c->args.n_words)
        return cli_misused(c, "version: expected nothing more, found '%.80s'", c->args.words[0]);
    if (c->json) {
        cli_json j = {.to = c->out};
        cli_json_object(&j, NULL);
        cli_json_string(&j, "version", cj_version());
        cli_json_list(&j, "build");
        for (int i = 0; parts[i]; i++) cli_json_string(&j, NULL, parts[i]);
        cli_json_end(&j);
        cli_json_string(&j, "compiler", compiler);
        cli_json_string(&j, "instructions", instruction_set());
        cli_json_end(&j);
        cli_json_line(&j);
        return CLI_DONE;
    }
    fprintf(c->out, "cajal %s\nbuild:", cj_version());
    for (int i = 0; parts[i]; i++) fprintf(c->out, " %s", parts[i]);
    fprintf(c->out, "\ncompiler: %s\ninstructions: %s\n", compiler, instruction_set());
    return CLI_DONE;
}

const cj_command cj_command_version = {
    .name = "version",
    .summary = "tell the version and what is built in",
    .usage = "",
    .run = run,
};
