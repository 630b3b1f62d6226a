/*
 * coordinator_rig: see coordinator_rig.h.
 *
 * The fake of FITHAW is part of this file and not linked to it, so that no change of the build can
 * put the real one in its place: the rescue would then call it on the machine's own filesystem.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "../fake/keeper_fake_ops.c"

#include "base/config_read.h"
#include "base/text.h"
#include "coordinator_rig_files.h"
#include "coordinator_rig_requests.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#define TICK_MS 5

/* --- building ----------------------------------------------------------------------------------
 */

static void write_mountinfo(Rig *rig, const char *filesystems)
{
    g_auto(GStrv) names = g_strsplit(filesystems, " ", -1);
    g_autoptr(GString) text = g_string_new("20 1 0:20 / / rw - tmpfs none rw\n");

    for (unsigned i = 0; names[i] && names[i][0]; i++) {
        g_autofree char *mark = g_strdup_printf("fs/%s/.calls", names[i]);

        rig_write(rig, mark, "");
        g_string_append_printf(text, "%u 20 250:%u / %s/fs/%s rw - ext4 /dev/test%u rw\n", 30 + i,
                               i, rig->root, names[i], i);
        g_ptr_array_add(rig->filesystems, g_strdup(names[i]));
    }
    rig_write(rig, "mountinfo", text->str);
}

static void write_keeper(const Rig *rig)
{
    const char *program = g_getenv("QUIESCED_KEEPER_FAKE");
    g_autofree char *full =
        g_canonicalize_filename(program ? program : "quiesced-keeper-fake", NULL);
    g_autofree char *text = g_strdup_printf("#!/bin/sh\ncd '%s'\necho $$ >>keepers\n"
                                            "[ ! -e keeper-late ] || sleep 0.7\n"
                                            "while [ -e keeper-mute ] && [ -d /proc/$PPID ]; do "
                                            "sleep 0.02; done\n"
                                            "exec '%s' \"$@\"\n",
                                            rig->root, full);

    rig_write_program(rig, "keeper", text);
}

static void replace_list(char ***list, char *only)
{
    g_strfreev(*list);
    *list = g_new0(char *, 2);
    (*list)[0] = only;
}

/* Budgets a noisy machine keeps and a test can wait for. */
static Config *make_config(const Rig *rig)
{
    Config *config = config_new();
    g_autoptr(GError) error = NULL;

    (void)config_finish(config, &error);
    g_assert_no_error(error);
    replace_list(&config->hooks.directories, rig_path(rig, "hooks"));
    g_free(config->hooks.stock_directory);
    config->hooks.stock_directory = NULL;
    config->quiesce.participant_timeout_us = 15 * USEC_PER_SEC;
    config->quiesce.abort_budget_us = config->quiesce.thaw_budget_us = 15 * USEC_PER_SEC;
    return config;
}

static void open_journal(Rig *rig)
{
    g_autofree char *path = rig_path(rig, "journal");
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    g_assert_cmpuint(g_strlcpy(address.sun_path, path, sizeof address.sun_path), <,
                     sizeof address.sun_path);
    rig->journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    g_assert_cmpint(
        bind(rig->journal, (const struct sockaddr *)(const void *)&address, sizeof address), ==, 0);
    rig->log = log_new("quiesced", LOG_WARNING, path);
}

static void read_journal(Rig *rig)
{
    char record[4 * LOG_RECORD_MAX];
    ssize_t size;

    if (rig->journal < 0)
        return;
    while ((size = recv(rig->journal, record, sizeof record - 1, 0)) > 0) {
        record[size] = '\0';
        if (strstr(record, "is a defect"))
            rig_write(rig, "defect", record);
    }
}

static gboolean on_tick(gpointer user_data)
{
    read_journal(user_data);
    return G_SOURCE_CONTINUE;
}

Rig *rig_new(const char *filesystems)
{
    Rig *rig = g_new0(Rig, 1);

    rig->root = g_dir_make_tmp("coordinator-XXXXXX", NULL);
    g_assert_nonnull(rig->root);
    rig->filesystems = g_ptr_array_new_with_free_func(g_free);
    rig->kept = g_ptr_array_new_with_free_func(g_free);
    rig->journal = -1;
    rig->ticker = g_timeout_add(TICK_MS, on_tick, rig);
    rig->states = g_string_new(NULL);
    write_mountinfo(rig, filesystems);
    write_keeper(rig);
    rig_write(rig, "hooks/.keep", "");
    rig_write(rig, "run/.keep", "");
    rig_write(rig, "proc/meminfo", "Dirty: 0 kB\nWriteback: 0 kB\n");
    rig_write(rig, "proc/sys/vm/dirty_expire_centisecs", "3000\n");
    rig_write(rig, "proc/sys/vm/dirty_writeback_centisecs", "500\n");
    rig->config = make_config(rig);
    rig->profile = *profile_by_name("default");
    return rig;
}

/* --- life --------------------------------------------------------------------------------------
 */

static void on_changed(gpointer user_data)
{
    Rig *rig = user_data;
    const char *now =
        rig->coordinator ? machine_state_name(coordinator_state(rig->coordinator)) : "thawed";

    if (g_str_has_suffix(rig->states->str, now))
        return;
    g_string_append_printf(rig->states, "%s%s", rig->states->len > 0 ? ", " : "", now);
    if (rig->is_victim)
        rig_write(rig, "state", now);
}

void rig_turn(Rig *rig)
{
    (void)rig;
    g_main_context_iteration(NULL, TRUE);
}

/* Lives as long as the rig. */
static const char *kept(Rig *rig, const char *path)
{
    char *full = rig_path(rig, path);

    g_ptr_array_add(rig->kept, full);
    return full;
}

void rig_start_early(Rig *rig)
{
    g_autoptr(GError) error = NULL;
    CoordinatorSpec spec = {
        .keeper_program = kept(rig, "keeper"),
        .paths = {.mountinfo = kept(rig, "mountinfo"),
                  .sysfs = kept(rig, "sys"),
                  .procfs = kept(rig, "proc"),
                  .hook_owner = getuid()},
        .runtime_dir = kept(rig, "run"),
        .profile = &rig->profile,
        .config = rig->config,
        .changed = on_changed,
        .user_data = rig,
    };

    open_journal(rig);
    rig->ledger = ledger_open(kept(rig, "run/ledger"), &error);
    g_assert_no_error(error);
    spec.log = rig->log;
    spec.ledger = rig->ledger;
    rig->coordinator = coordinator_new(&spec);
    coordinator_start(rig->coordinator);
}

void rig_start(Rig *rig)
{
    rig_start_early(rig);
    rig_await(rig, coordinator_ready(rig->coordinator, NULL));
}

static void on_stopped(gpointer user_data)
{
    ((Rig *)user_data)->stopped = true;
}

void rig_stop(Rig *rig)
{
    coordinator_stop(rig->coordinator, ENDED_BY_STOP, "the service was stopped", on_stopped, rig);
}

void rig_settle(Rig *rig)
{
    rig_await(rig, !rig->coordinator->operation && !rig->coordinator->straggler);
}

void rig_end(Rig *rig)
{
    g_autofree char *journal = rig_path(rig, "journal");

    rig_settle(rig);
    g_clear_pointer(&rig->coordinator, coordinator_free);
    g_clear_pointer(&rig->ledger, ledger_close);
    g_clear_pointer(&rig->log, log_free);
    read_journal(rig);
    close(rig->journal);
    rig->journal = -1;
    g_assert_cmpint(g_unlink(journal), ==, 0);
    rig->stopped = false;
}

/* Ended, or only its parent has not heard of it. */
static bool process_gone(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
    g_autofree char *text = NULL;

    return !g_file_get_contents(path, &text, NULL, NULL) || strstr(text, ") Z ");
}

static bool keepers_gone(const Rig *rig)
{
    g_autofree char *text = rig_text(rig, "keepers");
    g_auto(GStrv) pids = g_strsplit(g_strchomp(text), "\n", -1);

    for (char **pid = pids; *pid; pid++)
        if (**pid && !process_gone((pid_t)atoi(*pid)))
            return false;
    return true;
}

static void remove_tree(const char *root)
{
    const char *argv[] = {"rm", "-rf", "--", root, NULL};

    g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL,
                               NULL, NULL, NULL));
}

void rig_free(Rig *rig)
{
    g_autofree char *mute = rig_path(rig, "keeper-mute");
    g_autofree char *defect = NULL;

    if (rig->victim)
        rig_kill_victim(rig);
    if (rig->coordinator)
        rig_end(rig);
    (void)g_unlink(mute);
    rig_await(rig, keepers_gone(rig));
    g_source_remove(rig->ticker);
    g_assert_false(rig_frozen(rig));
    defect = rig_text(rig, "defect");
    g_assert_cmpstr(defect, ==, "");
    remove_tree(rig->root);
    config_free(rig->config);
    g_ptr_array_unref(rig->filesystems);
    g_ptr_array_unref(rig->kept);
    g_string_free(rig->states, TRUE);
    g_free(rig->root);
    g_free(rig);
}

/* --- requests ----------------------------------------------------------------------------------
 */

static void on_answer(const Answer *answer, gpointer user_data)
{
    Reply *reply = user_data;

    reply->calls++;
    g_assert_cmpuint(reply->calls, ==, 1);
    reply->turn = ++reply->rig->answers;
    reply->kind = answer->kind;
    reply->count = answer->count;
    reply->held = answer->held;
    reply->took_us = deadline_now() - reply->asked_us;
    if (answer->text)
        g_assert_cmpuint(g_strlcpy(reply->text, answer->text, sizeof reply->text), <,
                         sizeof reply->text);
}

void rig_freeze(Rig *rig, const FreezeRequest *request, Reply *reply)
{
    const FreezeRequest plain = {.channel = "test", .level = -1};

    *reply = (Reply){.rig = rig, .asked_us = deadline_now()};
    coordinator_freeze(rig->coordinator, request ? request : &plain, on_answer, reply);
}

void rig_thaw(Rig *rig, Reply *reply)
{
    *reply = (Reply){.rig = rig, .asked_us = deadline_now()};
    coordinator_thaw(rig->coordinator, NULL, false, on_answer, reply);
}

void rig_thaw_by(Rig *rig, const char *operation, bool verdict_as_data, Reply *reply)
{
    *reply = (Reply){.rig = rig, .asked_us = deadline_now()};
    coordinator_thaw(rig->coordinator, operation, verdict_as_data, on_answer, reply);
}

void rig_hold(Rig *rig)
{
    Reply freeze;

    rig_freeze(rig, NULL, &freeze);
    rig_answered(rig, &freeze);
    assert_ok(&freeze, MAX(rig->filesystems->len, 1));
    g_assert_cmpint(coordinator_state(rig->coordinator), ==, STATE_FROZEN);
}

void rig_thaws(Rig *rig, unsigned count)
{
    Reply thaw;

    rig_thaw(rig, &thaw);
    rig_answered(rig, &thaw);
    assert_ok(&thaw, count);
}

void rig_told_once(Rig *rig, const char *pattern)
{
    Reply thaw;

    rig_thaw(rig, &thaw);
    rig_answered(rig, &thaw);
    assert_failed_like(&thaw, pattern);
    g_assert_cmpint(coordinator_state(rig->coordinator), ==, STATE_THAWED);
    g_assert_false(coordinator_verdict_pending(rig->coordinator));
    rig_thaws(rig, 0);
}

void rig_due_in(GSource *timer, int64_t after_us)
{
    int64_t left;

    g_assert_nonnull(timer);
    left = g_source_get_ready_time(timer) - deadline_now();
    g_assert_cmpint(left, <=, after_us);
    g_assert_cmpint(left, >, after_us - USEC_PER_SEC);
}

void rig_fires_after(GSource *timer, int64_t after_us)
{
    rig_due_in(timer, after_us);
    g_source_set_ready_time(timer, deadline_now());
}

void rig_fires_in(GSource *timer, int64_t left_us)
{
    g_assert_nonnull(timer);
    g_source_set_ready_time(timer, deadline_now() + left_us);
}

pid_t rig_keeper(const Rig *rig)
{
    g_autofree char *text = rig_text(rig, "keepers");
    const char *last = strrchr(g_strchomp(text), '\n');

    return (pid_t)atoi(last ? last + 1 : text);
}

void rig_signal_keeper(const Rig *rig, int signal)
{
    g_assert_cmpint(kill(rig_keeper(rig), signal), ==, 0);
}

const Report *rig_report(Rig *rig)
{
    const Report *report = history_nth(coordinator_history(rig->coordinator), 0);

    g_assert_nonnull(report);
    return report;
}

/* --- a service to be killed --------------------------------------------------------------------
 */

bool rig_victim_is(const Rig *rig, const char *state)
{
    g_autofree char *now = rig_text(rig, "state");

    g_assert_cmpint(waitpid(rig->victim, NULL, WNOHANG), ==, 0);
    return g_str_equal(now, state);
}

void rig_victim(Rig *rig, void (*act)(Rig *rig), const char *until_state)
{
    rig->victim = fork();
    g_assert_cmpint(rig->victim, >=, 0);
    if (rig->victim == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        rig->is_victim = true;
        rig_start(rig);
        act(rig);
        while (true)
            rig_turn(rig);
    }
    rig_await(rig, rig_victim_is(rig, until_state));
}

void rig_kill_victim(Rig *rig)
{
    g_autofree char *journal = rig_path(rig, "journal");

    g_assert_cmpint(kill(rig->victim, SIGKILL), ==, 0);
    g_assert_cmpint(waitpid(rig->victim, NULL, 0), ==, rig->victim);
    rig->victim = 0;
    (void)g_unlink(journal);
}
