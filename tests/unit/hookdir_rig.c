/*
 * hookdir_rig: see hookdir_rig.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "hookdir_rig.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

void set_up(Fixture *f, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    f->top = g_dir_make_tmp("hookdir-XXXXXX", &error);
    g_assert_no_error(error);
    f->etc = g_build_filename(f->top, "etc", NULL);
    f->run = g_build_filename(f->top, "run", NULL);
    f->usr = g_build_filename(f->top, "usr", NULL);
    f->stock = g_build_filename(f->top, "stock", NULL);
    g_assert_cmpint(g_mkdir(f->etc, 0755), ==, 0);
    g_assert_cmpint(g_mkdir(f->run, 0755), ==, 0);
    g_assert_cmpint(g_mkdir(f->usr, 0755), ==, 0);
    g_assert_cmpint(g_mkdir(f->stock, 0755), ==, 0);
    f->directories[0] = f->etc;
    f->directories[1] = f->run;
    f->directories[2] = f->usr;
    f->options = (HookdirOptions){.directories = f->directories, .owner = getuid()};
}

static void remove_tree(const char *path)
{
    GDir *directory = g_dir_open(path, 0, NULL);
    const char *name;

    while (directory && (name = g_dir_read_name(directory))) {
        g_autofree char *child = g_build_filename(path, name, NULL);
        struct stat status;

        if (lstat(child, &status) == 0 && S_ISDIR(status.st_mode))
            remove_tree(child);
        else
            (void)g_unlink(child);
    }
    if (directory)
        g_dir_close(directory);
    (void)g_rmdir(path);
}

void tear_down(Fixture *f, gconstpointer data)
{
    (void)data;
    g_clear_pointer(&f->hooks, g_ptr_array_unref);
    remove_tree(f->top);
    g_free(f->top);
    g_free(f->etc);
    g_free(f->run);
    g_free(f->usr);
    g_free(f->stock);
}

void put(const char *folder, const char *name, const char *text, mode_t mode)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    g_assert_cmpint(chmod(path, mode), ==, 0);
}

void script(const char *folder, const char *name)
{
    put(folder, name, "#!/bin/sh\n", 0755);
}

void link_to(const char *folder, const char *name, const char *target)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);

    g_assert_cmpint(symlink(target, path), ==, 0);
}

char *scan(Fixture *f)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GString) text = g_string_new(NULL);

    g_clear_pointer(&f->hooks, g_ptr_array_unref);
    f->hooks = hookdir_scan(&f->options, &error);
    g_assert_no_error(error);
    for (unsigned i = 0; i < f->hooks->len; i++) {
        const Hook *hook = g_ptr_array_index(f->hooks, i);
        g_string_append_printf(text, "%s%s:%u:%x%s", i > 0 ? " " : "", hook->name, hook->order,
                               hook->verbs, hook->refused ? "!" : "");
    }
    return g_strdup(text->str);
}

const Hook *nth(const Fixture *f, unsigned index)
{
    g_assert_cmpuint(index, <, f->hooks->len);
    return g_ptr_array_index(f->hooks, index);
}

void assert_refused(Fixture *f, const char *part)
{
    g_autofree char *found = scan(f);

    g_assert_cmpuint(f->hooks->len, ==, 1);
    g_assert_nonnull(nth(f, 0)->refused);
    if (!strstr(nth(f, 0)->refused, part))
        g_error("'%s' is not in '%s' (%s)", part, nth(f, 0)->refused, found);
}
