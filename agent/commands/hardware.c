/*
 * hardware: guest-get-vcpus, -get-memory-blocks, -get-memory-block-info.
 *
 * From sysfs, in a thread (ask.h): the kernel makes readers wait while hardware comes or goes.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "commands/families.h"

#include "sys/memory_blocks.h"
#include "sys/processors.h"

static json_t *state_json(const char *key, int64_t number, bool online, bool can_offline)
{
    json_t *object = json_object();

    (void)json_object_set_new(object, key, json_integer(number));
    (void)json_object_set_new(object, "online", json_boolean(online));
    (void)json_object_set_new(object, "can-offline", json_boolean(can_offline));
    return object;
}

static json_t *processor_json(const void *item)
{
    const Processor *processor = item;

    return state_json("logical-id", processor->id, processor->online, processor->can_offline);
}

static json_t *gather_vcpus(const AskPaths *paths, GPtrArray *names, GError **error)
{
    g_autoptr(GArray) processors = processors_list(paths->sysfs, error);

    (void)names;
    return ask_list(processors, processor_json);
}

static const Question VCPUS_QUESTION = {.name = "vcpus", .gather = gather_vcpus, .remember = true};

static void run_vcpus(Call *call)
{
    commands_ask(&VCPUS_QUESTION, call);
}

static json_t *block_json(const void *item)
{
    const MemoryBlock *block = item;

    return state_json("phys-index", (int64_t)block->index, block->online, block->can_offline);
}

static json_t *gather_blocks(const AskPaths *paths, GPtrArray *names, GError **error)
{
    g_autoptr(GArray) blocks = memory_blocks_list(paths->sysfs, error);

    (void)names;
    return ask_list(blocks, block_json);
}

static const Question BLOCKS_QUESTION = {
    .name = "memory-blocks", .gather = gather_blocks, .remember = true};

static void run_blocks(Call *call)
{
    commands_ask(&BLOCKS_QUESTION, call);
}

static json_t *gather_block_info(const AskPaths *paths, GPtrArray *names, GError **error)
{
    uint64_t size = 0;

    (void)names;
    if (!memory_blocks_size(paths->sysfs, &size, error))
        return NULL;
    return json_pack("{s:I}", "size", (json_int_t)size);
}

static const Question BLOCK_INFO_QUESTION = {
    .name = "memory-block", .gather = gather_block_info, .remember = true};

static void run_block_info(Call *call)
{
    commands_ask(&BLOCK_INFO_QUESTION, call);
}

const Command HARDWARE_COMMANDS[] = {
    {.name = "guest-get-vcpus", .while_frozen = true, .run = run_vcpus},
    {.name = "guest-get-memory-blocks", .while_frozen = true, .run = run_blocks},
    {.name = "guest-get-memory-block-info", .while_frozen = true, .run = run_block_info},
};
const unsigned HARDWARE_COMMANDS_COUNT = G_N_ELEMENTS(HARDWARE_COMMANDS);
