/*
 * Tests of sys/users and sys/timezone, on an invented /run.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "procfs_rig.h"
#include "sys/timezone.h"
#include "sys/users.h"

#include <glib/gstdio.h>
#include <string.h>
#include <utmpx.h>

static char *run; /* of one test */

static void put_records(const struct utmpx *records, size_t bytes)
{
    g_autofree char *path = g_build_filename(run, "utmp", NULL);

    g_assert_true(g_file_set_contents(path, (const char *)records, (gssize)bytes, NULL));
}

static struct utmpx record(short type, const char *user, int seconds, int microseconds)
{
    struct utmpx record = {.ut_type = type};

    memcpy(record.ut_user, user, MIN(strlen(user), sizeof(record.ut_user)));
    record.ut_tv.tv_sec = seconds;
    record.ut_tv.tv_usec = microseconds;
    return record;
}

static void assert_users(const char *expected)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) users = users_list(run, &error);
    g_autoptr(GString) text = g_string_new(NULL);

    g_assert_no_error(error);
    for (unsigned i = 0; i < users->len; i++) {
        const UserLogin *login = g_ptr_array_index(users, i);

        g_string_append_printf(text, "%s=%" G_GINT64_FORMAT ";", login->name, login->login_us);
    }
    g_assert_cmpstr(text->str, ==, expected);
}

static void each_user_once_with_the_first_login(void)
{
    struct utmpx records[] = {
        record(BOOT_TIME, "reboot", 1, 0),
        record(USER_PROCESS, "anna", 200, 5),
        record(USER_PROCESS, "bert", 100, 0),
        record(USER_PROCESS, "anna", 150, 7),
        record(DEAD_PROCESS, "carl", 100, 0),
        record(USER_PROCESS, "anna", 300, 0),
        record(USER_PROCESS, "", 100, 0),
        record(USER_PROCESS, "0123456789012345678901234567890123456789", 9, 0),
    };

    put_records(records, sizeof(records));
    assert_users("anna=150000007;bert=100000000;01234567890123456789012345678901=9000000;");
    put_records(records, sizeof(records[0]) * 3 - 1); /* being written */
    assert_users("anna=200000005;");
}

static void garbage_in_utmp_is_limited(void)
{
    g_autofree struct utmpx *records = g_new0(struct utmpx, USERS_RECORDS_MAX + 10);
    g_autoptr(GPtrArray) users = NULL;

    for (unsigned i = 0; i < USERS_RECORDS_MAX + 10; i++) {
        memset(&records[i], (int)(i % 251), sizeof(records[i]));
        records[i].ut_type = USER_PROCESS;
        (void)g_snprintf(records[i].ut_user, sizeof(records[i].ut_user), "\xff%u", i);
    }
    put_records(records, sizeof(*records) * (USERS_RECORDS_MAX + 10));
    users = users_list(run, NULL);
    g_assert_cmpuint(users->len, ==, USERS_MAX);
}

static void without_utmp_logind_tells(void)
{
    g_autofree char *utmp = g_build_filename(run, "utmp", NULL);

    (void)g_unlink(utmp);
    assert_users("");
    rig_put(run, "systemd/sessions/1",
            "# private\nUID=1000\nUSER=anna\nSTATE=active\nCLASS=user\nREALTIME=5000001\n");
    assert_users("anna=5000001;");
    rig_put(run, "systemd/sessions/1.ref", "USER=never\nCLASS=user\nSTATE=active\n");
    rig_put(run, "systemd/sessions/c2", "USER=gdm\nSTATE=active\nCLASS=greeter\nREALTIME=1\n");
    rig_put(run, "systemd/sessions/3", "USER=anna\nSTATE=online\nCLASS=user\nREALTIME=4000000\n");
    rig_put(run, "systemd/sessions/4", "USER=gone\nSTATE=closing\nCLASS=user\nREALTIME=4000000\n");
    rig_put(run, "systemd/sessions/5", "\xff\xfe");
    assert_users("anna=4000000;");
}

static void a_broken_utmp_is_an_error(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = g_build_filename(run, "utmp", NULL);

    (void)g_unlink(path);
    g_assert_cmpint(g_mkdir(path, 0700), ==, 0);
    g_assert_null(users_list(run, &error));
    g_assert_true(g_str_has_suffix(error->message, "Is a directory"));
    g_assert_cmpint(g_rmdir(path), ==, 0);
}

static void the_zone_follows_its_name(void)
{
    int offset = 1;
    g_autofree char *zone = NULL;

    g_setenv("TZ", "XYZ-5:30", TRUE);
    zone = timezone_now(&offset);
    g_assert_cmpstr(zone, ==, "XYZ");
    g_assert_cmpint(offset, ==, 19800);
    g_free(zone);
    g_setenv("TZ", "ABC+7", TRUE);
    zone = timezone_now(&offset);
    g_assert_cmpstr(zone, ==, "ABC");
    g_assert_cmpint(offset, ==, -25200);
    g_free(zone);
    g_setenv("TZ", "No/Such_Zone", TRUE);
    zone = timezone_now(&offset);
    g_assert_cmpstr(zone, ==, "UTC");
    g_assert_cmpint(offset, ==, 0);
}

int main(int argc, char **argv)
{
    int status = 0;

    g_test_init(&argc, &argv, NULL);
    run = g_dir_make_tmp("run-XXXXXX", NULL);
    g_test_add_func("/users/utmp", each_user_once_with_the_first_login);
    g_test_add_func("/users/limit", garbage_in_utmp_is_limited);
    g_test_add_func("/users/sessions", without_utmp_logind_tells);
    g_test_add_func("/users/broken", a_broken_utmp_is_an_error);
    g_test_add_func("/timezone/now", the_zone_follows_its_name);
    status = g_test_run();
    rig_free(run);
    return status;
}
