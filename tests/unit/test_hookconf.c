/*
 * Tests of sys/hookconf: every key, every mistake with file and line, and which file counts.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "hookdir_rig.h"

#include <glib/gstdio.h>

static void test_conf(Fixture *f, gconstpointer data)
{
    const Hook *hook;

    (void)data;
    script(f->etc, "50-app");
    put(f->etc, "50-app.conf",
        "# comment\n[Hook]\nVerbs = prepare, complete\nTimeout=2.5\nOrder=7\nOnFailure=degrade\n"
        "Type=oneshot\nMountpoints=/srv/;/var/lib/app\n",
        0644);
    assert_scan(f, "app:7:11");
    hook = nth(f, 0);
    g_assert_cmpint(hook->timeout_us, ==, 2500000);
    g_assert_cmpint(hook->on_failure, ==, ON_FAILURE_DEGRADE);
    g_assert_cmpstr(hook->mountpoints[0], ==, "/srv");
    g_assert_cmpstr(hook->mountpoints[1], ==, "/var/lib/app");
    g_assert_null(hook->mountpoints[2]);
}

/* /etc configures a script of /usr/lib; the other way round would put a packager's setting on the
 * administrator's script. */
static void test_conf_precedence(Fixture *f, gconstpointer data)
{
    g_autofree char *conf = g_build_filename(f->etc, "app.conf", NULL);

    (void)data;
    script(f->usr, "app");
    put(f->usr, "app.conf", "[Hook]\nOrder=10\nVerbs=prepare\n", 0644);
    assert_scan(f, "app:10:1");
    put(f->etc, "app.conf", "[Hook]\nOrder=20\n", 0644);
    assert_scan(f, "app:20:f");
    g_assert_cmpint(g_unlink(conf), ==, 0);
    link_to(f->etc, "app.conf", "/dev/null");
    assert_scan(f, "app:50:f");
    g_assert_cmpint(g_unlink(conf), ==, 0);
    script(f->etc, "app");
    assert_scan(f, "app:50:f");
}

static const struct {
    const char *text, *location, *part;
} BAD_CONFS[] = {
    {"[Hook]\nVerbs=prepare,frieze\n", "app.conf:2: ", "'frieze'"},
    {"[Hook]\nVerbs= ,\n", "app.conf:2: ", "no verb"},
    {"[Hook]\n\nTimeout=ten\n", "app.conf:3: ", "Timeout: 'ten'"},
    {"[Hook]\nTimeout=0\n", "app.conf:2: ", "Timeout: '0'"},
    {"[Hook]\nTimeout=2h\n", "app.conf:2: ", "Timeout: '2h'"},
    {"[Hook]\nOrder=100\n", "app.conf:2: ", "Order: '100'"},
    {"[Hook]\nOrder=-1\n", "app.conf:2: ", "Order: '-1'"},
    {"[Hook]\nOnFailure=ignore\n", "app.conf:2: ", "OnFailure: 'ignore'"},
    {"[Hook]\nType=notify\n", "app.conf:2: ", "Type: 'notify'"},
    {"[Hook]\nMountpoints=srv\n", "app.conf:2: ", "'srv'"},
    {"[Hook]\nMountpoints=\n", "app.conf:2: ", "no mount point"},
    {"[Hook]\nUser=\n", "app.conf:2: ", "User: ''"},
    {"[Hook]\nUser=a b\n", "app.conf:2: ", "User: 'a b'"},
    {"[Hook]\nUser=-x\n", "app.conf:2: ", "User: '-x'"},
    {"[Hook]\nTimeOut=3\n", "app.conf:2: ", "unknown key TimeOut"},
    {"[Hook]\nOrder=1\nOrder=2\n", "app.conf:3: ", "second time"},
    {"[Hooks]\nOrder=1\n", "app.conf:1: ", "unknown group [Hooks]"},
    {"Order=1\n", "app.conf:1: ", ""},
    {"[Hook]\nOrder\n", "app.conf:2: ", ""},
};

static void test_conf_errors(Fixture *f, gconstpointer data)
{
    (void)data;
    script(f->etc, "app");
    for (unsigned i = 0; i < G_N_ELEMENTS(BAD_CONFS); i++) {
        put(f->etc, "app.conf", BAD_CONFS[i].text, 0644);
        assert_refused(f, BAD_CONFS[i].location);
        assert_refused(f, BAD_CONFS[i].part);
        g_assert_true(g_str_has_prefix(nth(f, 0)->refused, f->etc));
    }
}

static void test_conf_session(Fixture *f, gconstpointer data)
{
    (void)data;
    script(f->etc, "app");
    put(f->etc, "app.conf", "[Hook]\nType=session\nOrder=60\n", 0644);
    assert_scan(f, "app:60:e");
    g_assert_cmpint(nth(f, 0)->kind, ==, HOOK_SESSION);
    put(f->etc, "app.conf", "[Hook]\nVerbs=prepare,complete\nType=session\n", 0644);
    assert_scan(f, "app:50:1f");
    put(f->etc, "app.conf", "[Hook]\nType=session\nVerbs=abort\n", 0644);
    assert_scan(f, "app:50:2e");
    put(f->etc, "app.conf", "[Hook]\nType=oneshot\nVerbs=abort\n", 0644);
    assert_scan(f, "app:50:8");
    g_assert_cmpint(nth(f, 0)->kind, ==, HOOK_PLAIN);
    put(f->etc, "app.conf", "[Hook]\nVerbs=freeze,thaw\nType=session\n", 0644);
    assert_refused(f, "app.conf:2: Verbs: a session hook holds");
}

static void test_conf_user(Fixture *f, gconstpointer data)
{
    g_autofree char *check = g_build_filename(f->top, "run-as", NULL);

    (void)data;
    script(f->etc, "app");
    put(f->etc, "app.conf", "[Hook]\nUser=root\nOnFailure=degrade\n", 0644);
    assert_scan(f, "app:50:f");
    g_assert_cmpstr(nth(f, 0)->user, ==, "root");
    put(f->etc, "app.conf", "[Hook]\n\nUser=no-such-user\n", 0644);
    assert_refused(f, "app.conf:3: User: there is no user 'no-such-user'");
    /* Not in /etc/passwd: the other program knows it. */
    put(f->top, "run-as", "#!/bin/sh\n[ \"$1 $2\" = '--check no-such-user' ]\n", 0755);
    f->options.run_as = check;
    assert_scan(f, "app:50:f");
    put(f->top, "run-as", "#!/bin/sh\nexec /bin/sleep 100\n", 0755);
    assert_refused(f, "app.conf:3: User: looking up 'no-such-user' took longer than 3 s");
}

static void test_conf_trust(Fixture *f, gconstpointer data)
{
    g_autofree char *large = g_strnfill(HOOKDIR_CONF_MAX + 1, '\n');
    g_autofree char *fits = g_strnfill(HOOKDIR_CONF_MAX, '\n');

    (void)data;
    script(f->etc, "app");
    put(f->etc, "app.conf", "[Hook]\nOrder=1\n", 0664);
    assert_refused(f, "app.conf: group-writable");
    put(f->etc, "app.conf", large, 0644);
    assert_refused(f, "app.conf: larger than 64 KiB");
    put(f->etc, "app.conf", fits, 0644);
    assert_scan(f, "app:50:f");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*func)(Fixture *f, gconstpointer data);
    } TESTS[] = {
        {"/hookconf/all_keys", test_conf},
        {"/hookconf/etc_configures_usr", test_conf_precedence},
        {"/hookconf/errors_name_file_and_line", test_conf_errors},
        {"/hookconf/session", test_conf_session},
        {"/hookconf/user", test_conf_user},
        {"/hookconf/must_be_trusted", test_conf_trust},
    };

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(TESTS); i++)
        g_test_add(TESTS[i].name, Fixture, NULL, set_up, TESTS[i].func, tear_down);
    return g_test_run();
}
