/*
 * fuzz_request: any frame to a request or an error, and either to a reply.
 *
 * Shows that an error always has a line of valid text, that a request's parts survive a reply, and
 * that every reply is one line that a strict parser takes. Leaks and overruns are the sanitizer's.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "proto/reply.h"
#include "proto/request.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static void check_error(const ProtoError *error)
{
    REQUIRE(memchr(error->text, '\0', sizeof error->text) != NULL);
    REQUIRE(error->text[0] != '\0');
    REQUIRE(strpbrk(error->text, "\r\n\t\x7F") == NULL);
    json_t *text = json_string(error->text); /* NULL unless it is UTF-8 */
    REQUIRE(text != NULL);
    json_decref(text);
}

/* `id` NULL: the reply must have none. Frees `bytes`. */
static void check_reply(char *bytes, size_t length, bool delimited, const char *member,
                        const json_t *id)
{
    const size_t skip = delimited ? 1 : 0;

    REQUIRE(bytes != NULL && length > skip + 2 && length <= REPLY_SIZE_MAX);
    REQUIRE(!delimited || (uint8_t)bytes[0] == 0xFF);
    REQUIRE(memcmp(bytes + length - 2, "}\n", 2) == 0);
    REQUIRE(memchr(bytes, '\n', length - 1) == NULL);
    json_t *reply = json_loadb(bytes + skip, length - skip, JSON_REJECT_DUPLICATES, NULL);
    REQUIRE(json_object_get(reply, member) != NULL);
    REQUIRE(json_object_size(reply) == (id != NULL ? 2 : 1));
    REQUIRE(id == NULL || json_equal(json_object_get(reply, "id"), id));
    json_decref(reply);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ArgSpec specs[] = {
        {"id", ARG_INTEGER, true},
        {"mode", ARG_STRING, false},
        {"reset", ARG_BOOLEAN, false},
        {"mountpoints", ARG_STRING_ARRAY, false},
    };
    Request request;
    ProtoError error;
    size_t length;

    const bool parsed = request_parse((const char *)data, size, &request, &error);
    REQUIRE(parsed == (request.command != NULL));
    if (!parsed) {
        REQUIRE(request.arguments == NULL);
        check_error(&error);
    } else {
        REQUIRE(request.arguments == NULL || json_is_object(request.arguments));
        char *bytes = reply_success(request.arguments, request.id, true, &length);
        check_reply(bytes, length, true, "return", request.id);
        if (!request_check_arguments(&request, specs, sizeof specs / sizeof specs[0], &error))
            check_error(&error);
        else
            proto_error_set(&error, PROTO_COMMAND_NOT_FOUND, "The command %s has not been found",
                            request.command);
    }
    char *bytes = reply_error(&error, request.id, &length);
    check_reply(bytes, length, false, "error", request.id);
    request_clear(&request);
    return 0;
}
