/*
 * hotplug: guest-set-vcpus, guest-set-memory-blocks.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "sys/hotplug.h"

#include "commands/act.h"
#include "commands/families.h"

#define HOTPLUG_US (30 * USEC_PER_SEC) /* memory in use is moved away first */

static const ArgSpec PROCESSOR_MEMBERS[] = {{"logical-id", ARG_INTEGER, true},
                                            {"online", ARG_BOOLEAN, true},
                                            {"can-offline", ARG_BOOLEAN, false}};
static const ArgSpec BLOCK_MEMBERS[] = {{"phys-index", ARG_INTEGER, true},
                                        {"online", ARG_BOOLEAN, true},
                                        {"can-offline", ARG_BOOLEAN, false}};

static int64_t number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

static bool online_of(const json_t *object)
{
    return json_is_true(json_object_get(object, "online"));
}

/* How many were done before the first that could not be; that it was the first is an error. */
static json_t *set_processors(const AskPaths *paths, gpointer input, GError **error)
{
    json_int_t done = 0;
    size_t index = 0;
    json_t *wanted = NULL;

    json_array_foreach((json_t *)input, index, wanted)
    {
        g_autoptr(GError) problem = NULL;

        if (!hotplug_processor(paths->sysfs, number_of(wanted, "logical-id"), online_of(wanted),
                               &problem)) {
            if (done > 0)
                break;
            g_propagate_error(error, g_steal_pointer(&problem));
            return NULL;
        }
        done++;
    }
    return json_integer(done);
}

static json_t *set_blocks(const AskPaths *paths, gpointer input, GError **error)
{
    static const char *const NAMES[] = {"success", "not-found", "operation-not-supported",
                                        "operation-failed"};
    json_t *list = json_array();
    size_t index = 0;
    json_t *wanted = NULL;

    (void)error;
    json_array_foreach((json_t *)input, index, wanted)
    {
        int failed = 0;
        int64_t number = number_of(wanted, "phys-index");
        HotplugEnd end = hotplug_memory(paths->sysfs, number, online_of(wanted), &failed);
        json_t *entry =
            json_pack("{s:I, s:s}", "phys-index", (json_int_t)number, "response", NAMES[end]);

        if (failed)
            (void)json_object_set_new(entry, "error-code", json_integer(failed));
        (void)json_array_append_new(list, entry);
    }
    return list;
}

static void list_free(gpointer data)
{
    json_decref(data);
}

static void run(Call *call, const char *name, const ArgSpec *members, size_t count, ActFunc func)
{
    ProtoError error;

    if (!request_check_objects(call_value(call, name), name, members, count, &error))
        call_fail(call, error.class, "%s", error.text);
    else
        act(call, func, call_take(call, name), list_free, HOTPLUG_US);
}

static void run_vcpus(Call *call)
{
    run(call, "vcpus", PROCESSOR_MEMBERS, G_N_ELEMENTS(PROCESSOR_MEMBERS), set_processors);
}

static void run_blocks(Call *call)
{
    run(call, "mem-blks", BLOCK_MEMBERS, G_N_ELEMENTS(BLOCK_MEMBERS), set_blocks);
}

static const ArgSpec VCPUS_ARGUMENTS[] = {{"vcpus", ARG_OBJECT_ARRAY, true}};
static const ArgSpec BLOCKS_ARGUMENTS[] = {{"mem-blks", ARG_OBJECT_ARRAY, true}};

const Command HOTPLUG_COMMANDS[] = {
    {.name = "guest-set-vcpus",
     .arguments = VCPUS_ARGUMENTS,
     .n_arguments = G_N_ELEMENTS(VCPUS_ARGUMENTS),
     .changes = true,
     .run = run_vcpus},
    {.name = "guest-set-memory-blocks",
     .arguments = BLOCKS_ARGUMENTS,
     .n_arguments = G_N_ELEMENTS(BLOCKS_ARGUMENTS),
     .changes = true,
     .run = run_blocks},
};
const unsigned HOTPLUG_COMMANDS_COUNT = G_N_ELEMENTS(HOTPLUG_COMMANDS);
