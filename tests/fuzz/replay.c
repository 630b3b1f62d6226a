/*
 * replay: every file of a directory through a fuzz target, as TAP.
 *
 * For compilers without a fuzzer and for `make check`. A target that finds fault aborts, which ends
 * the program before its plan: the harness sees that.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX ((size_t)1 << 20) /* inputs are small; a large one is a mistake */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int is_input(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* NULL: cannot be read, or is too large. The result has the exact size, so that a sanitizer sees
 * reads past its end. */
static uint8_t *read_input(const char *directory, const char *name, size_t *ret_size)
{
    static uint8_t buffer[INPUT_MAX];
    char path[4096];
    const int length = snprintf(path, sizeof path, "%s/%s", directory, name);

    if (length < 0 || (size_t)length >= sizeof path)
        return NULL;
    FILE *file = fopen(path, "rbe");
    if (file == NULL)
        return NULL;
    const size_t size = fread(buffer, 1, sizeof buffer, file);
    const bool whole = !ferror(file) && size < sizeof buffer;
    fclose(file);
    uint8_t *bytes = whole ? malloc(size > 0 ? size : 1) : NULL;
    if (bytes != NULL)
        memcpy(bytes, buffer, size);
    *ret_size = size;
    return bytes;
}

int main(int argc, char **argv)
{
    struct dirent **entries = NULL;

    if (argc != 2) {
        fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    const int count = scandir(argv[1], &entries, is_input, alphasort);
    if (count <= 0) {
        printf("Bail out! no inputs in %s\n", argv[1]);
        return 1;
    }
    for (int i = 0; i < count; i++) {
        size_t size = 0;
        uint8_t *bytes = read_input(argv[1], entries[i]->d_name, &size);
        if (bytes == NULL) {
            printf("Bail out! cannot read %s, or it is too large\n", entries[i]->d_name);
            return 1;
        }
        LLVMFuzzerTestOneInput(bytes, size);
        printf("ok %d - %s\n", i + 1, entries[i]->d_name);
        free(bytes);
        free(entries[i]);
    }
    free(entries);
    printf("1..%d\n", count);
    return 0;
}
