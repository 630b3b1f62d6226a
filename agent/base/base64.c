/*
 * base64: see base64.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "base/base64.h"

static bool is_digit(char c)
{
    return g_ascii_isalnum(c) || c == '+' || c == '/';
}

static bool invalid(GError **error)
{
    g_set_error(error, AGENT_ERROR, AGENT_ERROR_FAILED, "Base64 data contains invalid characters");
    return false;
}

bool base64_measure(const char *text, size_t length, size_t *ret_bytes, GError **error)
{
    size_t digits = 0, padding = 0;

    for (size_t i = 0; i < length; i++) {
        if (is_digit(text[i]) && padding == 0)
            digits++;
        else if (text[i] == '=')
            padding++;
        else if (text[i] != '\n' && text[i] != '\r')
            return invalid(error);
    }
    if ((digits + padding) % 4 != 0 || padding > 2) {
        g_set_error(error, AGENT_ERROR, AGENT_ERROR_FAILED,
                    "Base64 data is cut short: %zu characters are no whole number of groups of 4",
                    digits + padding);
        return false;
    }
    *ret_bytes = digits / 4 * 3 + (digits % 4 ? digits % 4 - 1 : 0);
    return true;
}

size_t base64_decode(Base64Decoder *decoder, const char *text, size_t length, uint8_t *bytes)
{
    return g_base64_decode_step(text, length, bytes, &decoder->state, &decoder->save);
}
