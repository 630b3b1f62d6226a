/*
 * test_keeper_client: the service's end: starting, connecting, losing a keeper, and the rescue.
 *
 * The fake of FITHAW is part of this file and not linked to it, so that no change of the build can
 * put the real one in its place: the rescue would then call it on the machine's own filesystem.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "../fake/keeper_fake_ops.c"

#include "keeper_rig_files.h"

#include "sys/keeper.h"
#include "sys/keeper_rescue.h"

#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_US (20 * USEC_PER_SEC)

typedef struct {
    Rig *rig; /* directories and ledger; its own keeper is not used */
    Keeper *keeper;
    unsigned ready, lost, thawed, done, pending;
    char *reason;
    unsigned messages[KEEPER_REFUSED + 1];
    KeeperMessage last[KEEPER_REFUSED + 1];
    bool free_when_lost;
    int errors[RIG_MAX];
    int listener, fd; /* of the keeper that the test plays; -1: it does not */
} Client;

static void on_ready(Keeper *keeper, gpointer user_data)
{
    Client *client = user_data;

    g_assert_true(keeper_is_ready(keeper));
    g_assert_null(keeper_unready_reason(keeper));
    client->ready++;
}

static void on_lost(Keeper *keeper, const char *reason, gpointer user_data)
{
    Client *client = user_data;

    g_assert_false(keeper_is_ready(keeper));
    g_assert_cmpstr(keeper_unready_reason(keeper), ==, reason);
    client->lost++;
    g_free(client->reason);
    client->reason = g_strdup(reason);
    if (client->free_when_lost)
        g_clear_pointer(&client->keeper, keeper_free);
}

static void on_message(Keeper *keeper, const KeeperMessage *message, gpointer user_data)
{
    Client *client = user_data;

    (void)keeper;
    g_assert_cmpuint(message->type, <=, KEEPER_REFUSED);
    client->messages[message->type]++;
    client->last[message->type] = *message;
}

static const KeeperEvents EVENTS = {on_ready, on_lost, on_message};

/* Turns the main loop until `*counter` is at least `value`. */
static bool reaches(const unsigned *counter, unsigned value, int64_t wait_us)
{
    Deadline end = deadline_in(wait_us);

    while (*counter < value && !deadline_passed(end))
        if (!g_main_context_iteration(NULL, FALSE))
            g_usleep(500);
    return *counter >= value;
}

static Client *client_unconnected(void)
{
    Client *client = g_new0(Client, 1);

    client->listener = client->fd = -1;
    client->rig = rig_new(3);
    rig_hang_up(client->rig);
    g_assert_cmpint(rig_exit_status(client->rig, RIG_WAIT_MS), ==, 0);
    return client;
}

static Client *client_connect(Client *client, const char *socket_path, const char *program)
{
    client->keeper = keeper_new(socket_path, program, &EVENTS, client);
    g_assert_nonnull(keeper_unready_reason(client->keeper));
    keeper_connect(client->keeper);
    return client;
}

static Client *client_new(const char *socket_path, const char *program)
{
    return client_connect(client_unconnected(), socket_path, program);
}

static char *played_path(const Client *client)
{
    return g_build_filename(client->rig->top, "keeper", NULL);
}

static Client *client_played(void)
{
    Client *client = client_unconnected();
    g_autofree char *path = played_path(client);

    client->listener = rig_listen(path);
    return client_connect(client, path, NULL);
}

static void client_free(Client *client)
{
    g_autofree char *path = played_path(client);

    keeper_free(client->keeper);
    (void)g_unlink(path);
    (void)close(client->fd);
    (void)close(client->listener);
    for (unsigned i = 0; i < client->rig->count; i++)
        g_assert_true(rig_thawed_within(client->rig, i, 10000));
    rig_free(client->rig);
    g_free(client->reason);
    g_free(client);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Client, client_free)

static void arm(Client *client)
{
    KeeperFilesystem list[3];

    for (unsigned i = 0; i < 3; i++)
        list[i] = (KeeperFilesystem){client->rig->fds[i], i, 0};
    g_assert_true(keeper_arm(client->keeper, client->rig->ledger_fd, list, 3));
    g_assert_true(reaches(&client->messages[KEEPER_ARMED], 1, WAIT_US));
}

static void freeze(Client *client)
{
    g_assert_true(keeper_freeze(client->keeper, RIG_LIMIT_US));
    g_assert_true(reaches(&client->messages[KEEPER_FREEZE_DONE], 1, WAIT_US));
    for (unsigned i = 0; i < 3; i++)
        g_assert_true(rig_frozen(client->rig, i));
}

static pid_t client_keeper_pid(const Client *client)
{
    return (pid_t)client->rig->ledger->keeper_pid;
}

static void starts_a_keeper_and_goes_through_an_operation(void)
{
    g_autoptr(Client) client = client_new(NULL, rig_program());

    g_assert_false(keeper_thaw(client->keeper));
    g_assert_true(reaches(&client->ready, 1, WAIT_US));
    arm(client);
    g_assert_cmpint(getsid(client_keeper_pid(client)), ==, client_keeper_pid(client));
    g_assert_true(keeper_sync(client->keeper));
    g_assert_true(reaches(&client->messages[KEEPER_SYNC_DONE], 1, WAIT_US));
    g_assert_cmpuint(client->messages[KEEPER_SYNCED], ==, 3);
    freeze(client);
    g_assert_true(keeper_thaw(client->keeper));
    for (unsigned n = 1; n == 1 || client->last[KEEPER_THAW_DONE].pending > 0; n++)
        g_assert_true(reaches(&client->messages[KEEPER_THAW_DONE], n, WAIT_US));
    g_assert_cmpuint(client->last[KEEPER_THAW_DONE].count, ==, 3);
    g_assert_true(keeper_disarm(client->keeper));
    g_assert_true(reaches(&client->messages[KEEPER_DISARMED], 1, WAIT_US));
    g_assert_cmpuint(client->lost, ==, 0);
}

/* One that was given up while arming must not be in the way of the next. */
static void arms_anew_without_a_disarm(void)
{
    g_autoptr(Client) client = client_new(NULL, rig_program());

    g_assert_true(reaches(&client->ready, 1, WAIT_US));
    arm(client);
    client->messages[KEEPER_ARMED] = 0;
    arm(client);
    g_assert_cmpuint(client->messages[KEEPER_REFUSED], ==, 0);
    freeze(client);
}

static void freeing_it_thaws(void)
{
    g_autoptr(Client) client = client_new(NULL, rig_program());

    g_assert_true(reaches(&client->ready, 1, WAIT_US));
    arm(client);
    freeze(client);
    g_clear_pointer(&client->keeper, keeper_free);
    for (unsigned i = 0; i < 3; i++) /* sooner than for silence */
        g_assert_true(rig_thawed_within(client->rig, i, 4000));
}

/* --- a keeper that is killed --- */

static void on_thawed(unsigned index, int error_number, gpointer user_data)
{
    Client *client = user_data;

    client->errors[index] = error_number;
    client->thawed++;
}

static void on_done(unsigned pending, gpointer user_data)
{
    Client *client = user_data;

    client->pending = pending;
    client->done++;
}

static KeeperRescue *rescue(Client *client, int64_t wait_us)
{
    KeeperRescueFilesystem list[3];

    for (unsigned i = 0; i < 3; i++)
        list[i] = (KeeperRescueFilesystem){client->rig->fds[i], i, i};
    return keeper_rescue(list, 3, deadline_in(wait_us), on_thawed, on_done, client);
}

static bool is_reaped(pid_t pid)
{
    siginfo_t info;

    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == -1;
}

static void a_killed_keeper_is_lost_rescued_and_replaced(void)
{
    g_autoptr(Client) client = client_new(NULL, rig_program());
    gint64 killed;
    RigCall calls[3];

    g_assert_true(reaches(&client->ready, 1, WAIT_US));
    arm(client);
    freeze(client);
    killed = g_get_monotonic_time();
    kill(client_keeper_pid(client), SIGKILL);
    g_assert_true(reaches(&client->lost, 1, WAIT_US));
    (void)rescue(client, WAIT_US);
    g_assert_true(reaches(&client->done, 1, WAIT_US));
    g_assert_cmpuint(client->pending, ==, 0);
    g_assert_cmpuint(client->thawed, ==, 3);
    for (unsigned i = 0; i < 3; i++) {
        calls[i] = rig_call(client->rig, i, "thaw");
        g_assert_cmpint(client->errors[i], ==, 0);
        g_assert_false(rig_frozen(client->rig, i));
        g_assert_cmpint(calls[i].end - killed, <, KEEPER_TICKS_MAX * KEEPER_BEAT_US);
    }
    g_assert_cmpint(calls[2].end, <=, calls[1].start); /* ranks in reverse */
    g_assert_cmpint(calls[1].end, <=, calls[0].start);
    g_assert_true(reaches(&client->ready, 2, WAIT_US));
    while (!is_reaped(client_keeper_pid(client)))
        g_assert_false(reaches(&client->lost, 2, 10 * USEC_PER_MSEC));
}

static void a_stuck_thaw_does_not_hold_up_the_rescue(void)
{
    g_autoptr(Client) client = client_new(NULL, rig_program());

    for (unsigned i = 0; i < 3; i++)
        rig_write(client->rig, i, ".frozen", "");
    rig_write(client->rig, 2, ".inject", "thaw hang\n");
    (void)rescue(client, 3 * USEC_PER_SEC);
    g_assert_true(reaches(&client->done, 1, WAIT_US));
    g_assert_cmpuint(client->pending, ==, 1);
    g_assert_cmpuint(client->thawed, ==, 2);
    g_assert_false(rig_frozen(client->rig, 0));
    g_assert_false(rig_frozen(client->rig, 1));
    /* Given up: it completes without telling anybody. */
    rig_write(client->rig, 2, ".release", "");
    g_assert_true(rig_thawed_within(client->rig, 2, 10000));
    g_assert_false(reaches(&client->done, 2, 50 * USEC_PER_MSEC));
    g_assert_cmpuint(client->thawed, ==, 2);
}

static void a_cancelled_rescue_calls_nobody(void)
{
    g_autoptr(Client) client = client_new(NULL, rig_program());

    for (unsigned i = 0; i < 3; i++)
        rig_write(client->rig, i, ".frozen", "");
    rig_write(client->rig, 2, ".inject", "thaw delay 50\n");
    keeper_rescue_cancel(rescue(client, WAIT_US));
    g_assert_false(reaches(&client->done, 1, 200 * USEC_PER_MSEC));
    g_assert_cmpuint(client->thawed, ==, 0);
    for (unsigned i = 0; i < 3; i++) {
        g_autofree char *path = rig_path(client->rig, i, ".frozen");
        (void)g_unlink(path);
    }
}

static void an_empty_rescue_ends(void)
{
    g_autoptr(Client) client = client_new(NULL, rig_program());

    (void)keeper_rescue(NULL, 0, deadline_in(WAIT_US), on_thawed, on_done, client);
    g_assert_cmpuint(client->done, ==, 0); /* never from within */
    g_assert_true(reaches(&client->done, 1, WAIT_US));
    g_assert_cmpuint(client->pending, ==, 0);
}

static void may_be_freed_when_lost(void)
{
    g_autoptr(Client) client = client_new(NULL, rig_program());

    g_assert_true(reaches(&client->ready, 1, WAIT_US));
    arm(client);
    client->free_when_lost = true;
    kill(client_keeper_pid(client), SIGKILL);
    g_assert_true(reaches(&client->lost, 1, WAIT_US));
    g_assert_null(client->keeper);
}

static void what_a_stopped_keeper_said_last_is_read(void)
{
    g_autoptr(Client) client = client_new(NULL, rig_program());

    g_assert_true(reaches(&client->ready, 1, WAIT_US));
    arm(client);
    freeze(client);
    kill(client_keeper_pid(client), SIGTERM);
    g_assert_true(reaches(&client->lost, 1, WAIT_US));
    g_assert_cmpuint(client->messages[KEEPER_THAW_DONE], >=, 1);
    g_assert_cmpuint(client->last[KEEPER_THAW_DONE].pending, ==, 0);
    g_assert_cmpuint(client->last[KEEPER_THAW_DONE].cause, ==, KEEPER_CAUSE_STOP);
}

static void a_program_that_is_not_there_is_a_reason(void)
{
    g_autoptr(Client) client = client_new(NULL, "/nonexistent/quiesced-keeper");

    g_assert_false(reaches(&client->ready, 1, 300 * USEC_PER_MSEC));
    g_assert_nonnull(strstr(keeper_unready_reason(client->keeper), "/nonexistent/quiesced-keeper"));
    g_assert_cmpuint(client->lost, ==, 0);
}

/* --- a socket, and a keeper played by the test --- */

static int accept_with(Client *client, int listener, const KeeperMessage *hello)
{
    struct pollfd newcomer = {.fd = listener, .events = POLLIN};
    KeeperMessage message = {0};
    int fd;

    while (poll(&newcomer, 1, 0) == 0)
        g_main_context_iteration(NULL, TRUE);
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    g_assert_cmpint(recv(fd, &message, sizeof message, 0), ==, sizeof message);
    g_assert_cmpuint(message.type, ==, KEEPER_HELLO);
    rig_send_raw(fd, hello, sizeof *hello, NULL, 0);
    g_assert_true(reaches(&client->ready, client->ready + 1, WAIT_US));
    return fd;
}

static int accept_hello(Client *client, int listener)
{
    const KeeperMessage hello = {.type = KEEPER_HELLO, .version = KEEPER_VERSION};

    return accept_with(client, listener, &hello);
}

static void connects_when_the_socket_appears(void)
{
    g_autofree char *top = g_dir_make_tmp("keeper-XXXXXX", NULL);
    g_autofree char *directory = g_build_filename(top, "run", NULL);
    g_autofree char *path = g_build_filename(directory, "keeper", NULL);
    g_autoptr(Client) client = client_new(path, NULL);
    int listener, fd;

    g_assert_nonnull(strstr(keeper_unready_reason(client->keeper), path));
    g_assert_false(reaches(&client->ready, 1, 50 * USEC_PER_MSEC));
    g_assert_cmpint(g_mkdir(directory, 0700), ==, 0);
    g_assert_false(reaches(&client->ready, 1, 50 * USEC_PER_MSEC));
    listener = rig_listen(path);
    fd = accept_hello(client, listener);
    close(fd); /* it dies, and systemd has another one at once */
    g_assert_true(reaches(&client->lost, 1, WAIT_US));
    fd = accept_hello(client, listener);
    g_assert_cmpuint(client->ready, ==, 2);
    close(fd);
    close(listener);
    g_unlink(path);
    g_rmdir(directory);
    g_rmdir(top);
}

static void another_version_is_not_ready(void)
{
    g_autoptr(Client) client = client_played();
    const KeeperMessage hello = {.type = KEEPER_HELLO, .version = KEEPER_VERSION + 1};

    client->fd = accept4(client->listener, NULL, NULL, SOCK_CLOEXEC);
    rig_send_raw(client->fd, &hello, sizeof hello, NULL, 0);
    g_assert_false(reaches(&client->ready, 1, 50 * USEC_PER_MSEC));
    for (unsigned n = 0; !strstr(keeper_unready_reason(client->keeper), "another version"); n++)
        g_assert_true(n < 200 && !reaches(&client->ready, 1, 50 * USEC_PER_MSEC));
    g_assert_cmpuint(client->lost, ==, 0);
}

/* It reads nothing: everything is queued with its fd, then the queue is full and it is lost. */
static void a_keeper_that_does_not_read_is_lost(void)
{
    g_autoptr(Client) client = client_played();

    client->fd = accept_hello(client, client->listener);
    for (unsigned i = 0; i < KEEPER_QUEUE_MAX; i++)
        g_assert_true(keeper_thaw(client->keeper));
    g_assert_cmpuint(client->lost, ==, 0);
    for (unsigned i = 0; i < 4096; i++)
        g_assert_true(keeper_thaw(client->keeper));
    g_assert_cmpuint(client->lost, ==, 0); /* never from within a request */
    g_assert_true(reaches(&client->lost, 1, WAIT_US));
    g_assert_nonnull(strstr(client->reason, "does not read"));
}

/* Beats while armed, none before and after: an idle service wakes up for nothing. */
static void beats_only_while_armed(void)
{
    g_autoptr(Client) client = client_played();
    const KeeperMessage armed = {.type = KEEPER_ARMED};
    KeeperMessage message;
    unsigned beats = 0, never = 0;

    client->fd = accept_hello(client, client->listener);
    g_assert_true(keeper_arm(client->keeper, client->rig->ledger_fd, NULL, 0));
    rig_send_raw(client->fd, &armed, sizeof armed, NULL, 0);
    g_assert_false(reaches(&never, 1, KEEPER_BEAT_US + KEEPER_BEAT_US / 4));
    g_assert_true(keeper_disarm(client->keeper));
    g_assert_false(reaches(&never, 1, KEEPER_BEAT_US + KEEPER_BEAT_US / 4));
    while (recv(client->fd, &message, sizeof message, MSG_DONTWAIT) == (ssize_t)sizeof message)
        beats += message.type == KEEPER_BEAT;
    g_assert_cmpuint(beats, ==, 1);
}

/* It greets a service that recovers, has a call in the kernel yet, and says no more: it could
 * freeze something when it goes on, so it must not. */
static void silent_with_something_pending_it_is_killed(void)
{
    g_autoptr(Client) client = client_played();
    int status = 0;
    KeeperMessage hello = {.type = KEEPER_HELLO, .version = KEEPER_VERSION, .pending = 1};
    pid_t child = fork();
    gint64 began;

    while (child == 0)
        pause();
    hello.pid = (uint32_t)child;
    client->fd = accept_with(client, client->listener, &hello);
    g_assert_false(keeper_is_idle(client->keeper));
    g_assert_false(reaches(&client->lost, 1, 200 * USEC_PER_MSEC));
    rig_send_raw(client->fd, &hello, sizeof hello, NULL,
                 0); /* a sign of life: the time counts anew */
    g_assert_false(reaches(&client->lost, 1, 50 * USEC_PER_MSEC));
    began = g_get_monotonic_time();
    while (client->lost == 0 && g_get_monotonic_time() - began < 8 * G_USEC_PER_SEC) {
        g_assert_false(keeper_is_idle(client->keeper));
        (void)reaches(&client->lost, 1, 50 * USEC_PER_MSEC);
    }
    g_assert_cmpuint(client->lost, ==, 1);
    g_assert_cmpint(g_get_monotonic_time() - began, >=, KEEPER_TICKS_MAX * KEEPER_BEAT_US);
    g_assert_nonnull(strstr(client->reason, "does not answer"));
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    g_assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

#define ADD(function) g_test_add_func("/keeper_client/" #function, function)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD(starts_a_keeper_and_goes_through_an_operation);
    ADD(arms_anew_without_a_disarm);
    ADD(freeing_it_thaws);
    ADD(a_killed_keeper_is_lost_rescued_and_replaced);
    ADD(a_stuck_thaw_does_not_hold_up_the_rescue);
    ADD(a_cancelled_rescue_calls_nobody);
    ADD(an_empty_rescue_ends);
    ADD(may_be_freed_when_lost);
    ADD(what_a_stopped_keeper_said_last_is_read);
    ADD(a_program_that_is_not_there_is_a_reason);
    ADD(connects_when_the_socket_appears);
    ADD(another_version_is_not_ready);
    ADD(a_keeper_that_does_not_read_is_lost);
    ADD(beats_only_while_armed);
    ADD(silent_with_something_pending_it_is_killed);
    return g_test_run();
}
