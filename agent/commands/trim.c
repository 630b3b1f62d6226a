/*
 * trim: guest-fstrim: one filesystem after another, each in a thread with a deadline of its own, so
 * that one that hangs leaves the others their turn. Ends where a freeze begins.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "commands/families.h"
#include "quiesce/coordinator_view.h"
#include "sys/machine_ops.h"
#include "sys/mounts.h"
#include "sys/offload.h"

#include <errno.h>
#include <string.h>

#define LIST_US (10 * USEC_PER_SEC)  /* a mount table is read in milliseconds */
#define TRIM_US (600 * USEC_PER_SEC) /* of one: terabytes take minutes */

typedef struct {
    Call *call;
    GPtrArray *paths; /* char * */
    unsigned at;
    json_t *results;
    uint64_t minimum;
} Trim;

typedef struct {
    GPtrArray *paths;
    GError *error;
} Listed;

typedef struct {
    char *path;
    uint64_t minimum, bytes;
    int error;
} One;

static void next(Trim *trim);

static void end(Trim *trim)
{
    call_return(trim->call, json_pack("{s:o}", "paths", g_steal_pointer(&trim->results)));
    g_clear_pointer(&trim->paths, g_ptr_array_unref);
    g_free(trim);
}

static void add_error(Trim *trim, const char *path, const char *text)
{
    (void)json_array_append_new(trim->results,
                                json_pack("{s:s, s:s}", "path", path, "error", text));
}

/* --- one filesystem -----------------------------------------------------------------------------
 */

static void one_free(gpointer data)
{
    One *one = data;

    if (!one)
        return;
    g_free(one->path);
    g_free(one);
}

static gpointer trim_in_thread(gpointer data)
{
    const One *input = data;
    One *one = g_new0(One, 1);

    one->minimum = input->minimum;
    one->error = machine_trim(input->path, &one->minimum, &one->bytes);
    return one;
}

static void trimmed(gpointer result, bool timed_out, gpointer user_data)
{
    Trim *trim = user_data;
    One *one = result;
    const char *path = g_ptr_array_index(trim->paths, trim->at);

    if (!one)
        add_error(trim, path,
                  timed_out ? "failed to trim: not finished within 600 s"
                            : "failed to trim: no thread could be had");
    else if (one->error == ENOTTY || one->error == EOPNOTSUPP)
        add_error(trim, path, "trim not supported");
    else if (one->error) {
        g_autofree char *text = g_strdup_printf("failed to trim: %s", g_strerror(one->error));

        add_error(trim, path, text);
    } else {
        (void)json_array_append_new(trim->results, json_pack("{s:s, s:I, s:I}", "path", path,
                                                             "minimum", (json_int_t)one->minimum,
                                                             "trimmed", (json_int_t)one->bytes));
    }
    one_free(one);
    trim->at++;
    next(trim);
}

static bool frozen(const Trim *trim)
{
    return coordinator_commands_limited(commands_context(call_commands(trim->call))->coordinator);
}

static void next(Trim *trim)
{
    g_autoptr(GError) error = NULL;
    One *input = NULL;

    for (; trim->at < trim->paths->len && frozen(trim); trim->at++)
        add_error(trim, g_ptr_array_index(trim->paths, trim->at),
                  "failed to trim: the agent is in frozen state");
    if (trim->at == trim->paths->len) {
        end(trim);
        return;
    }
    input = g_new0(One, 1);
    input->path = g_strdup(g_ptr_array_index(trim->paths, trim->at));
    input->minimum = trim->minimum;
    if (offload_run("trim", trim_in_thread, input, one_free, one_free, deadline_in(TRIM_US),
                    trimmed, trim, &error))
        return;
    for (; trim->at < trim->paths->len; trim->at++)
        add_error(trim, g_ptr_array_index(trim->paths, trim->at), error->message);
    end(trim);
}

/* --- which ones ---------------------------------------------------------------------------------
 */

static void listed_free(gpointer data)
{
    Listed *listed = data;

    if (!listed)
        return;
    g_clear_pointer(&listed->paths, g_ptr_array_unref);
    g_clear_error(&listed->error);
    g_free(listed);
}

/* On a block device of this namespace's own; btrfs has no device number of its own. */
static bool may_discard(const Mount *mount)
{
    return !mount->hidden && (mount->major != 0 || strcmp(mount->type, "btrfs") == 0);
}

static gpointer list_in_thread(gpointer data)
{
    Listed *listed = g_new0(Listed, 1);
    g_autofree char *unseen = NULL;
    g_autoptr(GPtrArray) mounts =
        mounts_list(&(MountsOptions){.mountinfo = data}, &unseen, &listed->error);

    if (!mounts)
        return listed;
    listed->paths = g_ptr_array_new_with_free_func(g_free);
    /* The last mounted first, as the stock agent. */
    for (unsigned i = mounts->len; i-- > 0;) {
        const Mount *mount = g_ptr_array_index(mounts, i);

        if (may_discard(mount))
            g_ptr_array_add(listed->paths, g_strdup(mount->mountpoint));
    }
    return listed;
}

static void listed_now(gpointer result, bool timed_out, gpointer user_data)
{
    Trim *trim = user_data;
    Listed *listed = result;

    (void)timed_out;
    if (listed && listed->paths) {
        trim->paths = g_steal_pointer(&listed->paths);
        trim->results = json_array();
        next(trim);
    } else {
        call_fail(trim->call, PROTO_GENERIC_ERROR, "%s",
                  listed ? listed->error->message : "the mount table could not be read in time");
        g_free(trim);
    }
    listed_free(listed);
}

static void run_trim(Call *call)
{
    const CommandsContext *context = commands_context(call_commands(call));
    Trim *trim = g_new0(Trim, 1);
    g_autoptr(GError) error = NULL;

    trim->call = call;
    trim->minimum = (uint64_t)call_integer(call, "minimum", 0);
    if (offload_run("mounts", list_in_thread, g_strdup(context->paths.mountinfo), g_free,
                    listed_free, deadline_in(LIST_US), listed_now, trim, &error))
        return;
    g_free(trim);
    call_fail(call, PROTO_GENERIC_ERROR, "%s", error->message);
}

static const ArgSpec TRIM_ARGUMENTS[] = {{"minimum", ARG_INTEGER, false}};

const Command TRIM_COMMANDS[] = {
    {.name = "guest-fstrim",
     .arguments = TRIM_ARGUMENTS,
     .n_arguments = G_N_ELEMENTS(TRIM_ARGUMENTS),
     .changes = true,
     .run = run_trim},
};
const unsigned TRIM_COMMANDS_COUNT = G_N_ELEMENTS(TRIM_COMMANDS);
