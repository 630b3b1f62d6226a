/*
 * replay: every file of a directory through a fuzz target, as TAP.
 *
 * For compilers without a fuzzer and for `make check`. A target that finds fault aborts, which ends
 * the program before its plan: the harness sees that.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define INPUT_MAX ((size_t)1 << 20) /* inputs are small; a large one is a mistake */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int is_input(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Frees nothing on failure: the program ends then. */
static uint8_t *read_input(const char *directory, const char *name, size_t *ret_size)
{
    char path[4096];
    const int length = snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = length > 0 && (size_t)length < sizeof path ? fopen(path, "rbe") : NULL;
    uint8_t *bytes = malloc(INPUT_MAX);

    if (file == NULL || bytes == NULL) {
        printf("Bail out! cannot read %s/%s\n", directory, name);
        exit(1);
    }
    *ret_size = fread(bytes, 1, INPUT_MAX, file);
    if (ferror(file) || *ret_size == INPUT_MAX) {
        printf("Bail out! %s is unreadable or too large\n", path);
        exit(1);
    }
    fclose(file);

    /* Of the exact size, so that a sanitizer sees reads past the end. */
    uint8_t *exact = realloc(bytes, *ret_size > 0 ? *ret_size : 1);
    return exact != NULL ? exact : bytes;
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
        LLVMFuzzerTestOneInput(bytes, size);
        printf("ok %d - %s\n", i + 1, entries[i]->d_name);
        free(bytes);
        free(entries[i]);
    }
    free(entries);
    printf("1..%d\n", count);
    return 0;
}
