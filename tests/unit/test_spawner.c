/*
 * Tests of sys/spawner through sys/process: starts that fail, and children stuck in exec as on a
 * dead disk. A seccomp listener holds every execve of a subprocess of the test until it is let go.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "script_rig.h"
#include "sys/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_cannot_start(void)
{
    g_autofree char *directory = g_dir_make_tmp("process-XXXXXX", NULL);
    g_autofree char *script = g_build_filename(directory, "script", NULL);
    const char *const missing[] = {"/nonexistent/hook", NULL};
    const char *const plain[] = {script, NULL};
    Child child = {0};

    child_start_argv(&child, missing, MSEC(20000), 0);
    child_wait_gone(&child);
    g_assert_cmpint(child.end, ==, PROCESS_FAILED);
    g_assert_cmpint(child.code, ==, ENOENT);
    child_clear(&child);

    script_write(script, "#!/bin/sh\n", 0644);
    child_start_argv(&child, plain, MSEC(20000), 0);
    child_wait_gone(&child);
    g_assert_cmpint(child.end, ==, PROCESS_FAILED);
    g_assert_cmpint(child.code, ==, EACCES);
    child_clear(&child);
    g_assert_cmpint(g_unlink(script), ==, 0);
    g_assert_cmpint(g_rmdir(directory), ==, 0);
}

static void test_no_descriptors(void)
{
    struct rlimit old, none;
    Child child = {0};

    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &old), ==, 0);
    none = old;
    none.rlim_cur = 0;
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &none), ==, 0);
    child_start(&child, "exit 0", MSEC(20000));
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &old), ==, 0);
    child_wait_gone(&child);
    g_assert_cmpint(child.end, ==, PROCESS_FAILED);
    g_assert_cmpint(child.code, ==, EMFILE);
    child_clear(&child);
}

/* Makes every execve of this process and its children wait until the returned fd answers; what a
 * dead disk does. -1 with errno: not possible here. */
static int hold_execs(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execve, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {G_N_ELEMENTS(code), code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                        &program);
}

/* Takes the next held execve; 0 when none comes. */
static guint64 next_exec(int listener)
{
    struct seccomp_notif request = {0};
    struct pollfd wait = {.fd = listener, .events = POLLIN};

    if (poll(&wait, 1, 20000) != 1 || ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request) < 0)
        return 0;
    return request.id;
}

static void let_exec(int listener, guint64 id)
{
    struct seccomp_notif_resp response = {.id = id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};

    g_assert_cmpint(ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response), ==, 0);
}

/* Four children stuck in exec: each is `done` in time, one that waits its turn meanwhile never
 * starts, the next one does start, and the stuck ones die as soon as their exec ends. */
static void stuck_exec_child(const char *directory)
{
    g_autofree char *script = g_strdup_printf("sleep 0.3; echo ran >%s/ran", directory);
    g_autofree char *skipped = g_build_filename(directory, "skipped", NULL);
    Child stuck[4] = {0}, queued = {0}, next = {0};
    guint64 held[4], held_next;
    int listener = hold_execs();

    if (listener < 0) {
        g_assert_true(g_file_set_contents(skipped, g_strerror(errno), -1, NULL));
        return;
    }
    for (unsigned i = 0; i < 4; i++)
        child_start(&stuck[i], script, MSEC(20000));
    for (unsigned i = 0; i < 4; i++) {
        held[i] = next_exec(listener);
        g_assert_cmpuint(held[i], !=, 0);
    }
    child_start(&queued, script, MSEC(50));
    g_assert_true(run_until(&queued.done, MSEC(20000)));
    for (unsigned i = 0; i < 4; i++)
        process_set_deadline(stuck[i].process, deadline_in(0));
    for (unsigned i = 0; i < 4; i++) {
        g_assert_true(run_until(&stuck[i].done, MSEC(20000)));
        g_assert_cmpint(stuck[i].end, ==, PROCESS_TIMED_OUT);
        g_assert_false(stuck[i].gone);
    }
    child_wait_gone(&queued);
    g_assert_cmpint(queued.end, ==, PROCESS_TIMED_OUT);
    child_start(&next, "exit 4", MSEC(20000));
    held_next = next_exec(listener);
    g_assert_cmpuint(held_next, !=, 0);
    let_exec(listener, held_next);
    child_wait_gone(&next);
    g_assert_cmpint(next.end, ==, PROCESS_EXITED);
    for (unsigned i = 0; i < 4; i++)
        let_exec(listener, held[i]);
    for (unsigned i = 0; i < 4; i++) {
        child_wait_gone(&stuck[i]);
        child_clear(&stuck[i]);
    }
    child_clear(&queued);
    child_clear(&next);
    run_for(MSEC(400)); /* for whoever was not killed */
}

static void test_stuck_exec(void)
{
    g_autofree char *directory = NULL;
    g_autofree char *ran = NULL, *skipped = NULL, *reason = NULL;

    if (g_test_subprocess()) {
        stuck_exec_child(g_getenv("TEST_DIRECTORY"));
        return;
    }
    directory = g_dir_make_tmp("process-XXXXXX", NULL);
    ran = g_build_filename(directory, "ran", NULL);
    skipped = g_build_filename(directory, "skipped", NULL);
    g_setenv("TEST_DIRECTORY", directory, TRUE);
    g_test_trap_subprocess(NULL, 60000000, G_TEST_SUBPROCESS_INHERIT_STDERR);
    g_test_trap_assert_passed();
    g_assert_false(g_file_test(ran, G_FILE_TEST_EXISTS));
    if (g_file_get_contents(skipped, &reason, NULL, NULL)) {
        g_autofree char *text = g_strdup_printf("seccomp listener: %s", reason);
        g_test_skip(text);
        g_assert_cmpint(g_unlink(skipped), ==, 0);
    }
    g_assert_cmpint(g_rmdir(directory), ==, 0);
}

/* A child of the spawner alone, which the test waits for. */
typedef struct {
    int error, status;
    bool over;
    char out[64], err[64];
} Spawned;

static void spawned(const SpawnResult *result, gpointer user_data)
{
    Spawned *spawned = user_data;

    spawned->error = result->error;
    if (result->error == 0) {
        g_assert_cmpint(waitpid(result->pid, &spawned->status, 0), ==, result->pid);
        close(result->pidfd);
    }
    spawned->over = true;
}

static void read_all(int fd, char *text, size_t size)
{
    ssize_t count = read(fd, text, size - 1);

    g_assert_cmpint(count, >=, 0);
    text[count] = '\0';
    close(fd);
}

/* With pipes for all three, "in" in the first. */
static Spawned spawn_and_wait(SpawnSpec spec)
{
    Spawned result = {0};
    int in[2], out[2], err[2];

    g_assert_cmpint(pipe2(in, O_CLOEXEC) + pipe2(out, O_CLOEXEC) + pipe2(err, O_CLOEXEC), ==, 0);
    g_assert_cmpint(write(in[1], "in", 2), ==, 2);
    close(in[1]);
    spec.input = in[0];
    spec.output = out[1];
    if (spec.error != SPAWN_OUTPUT)
        spec.error = err[1];
    else
        close(err[1]);
    (void)spawner_start(&spec, spawned, &result);
    g_assert_true(run_until(&result.over, MSEC(20000)));
    read_all(out[0], result.out, sizeof(result.out));
    read_all(err[0], result.err, sizeof(result.err));
    return result;
}

static void test_streams(void)
{
    const char *const argv[] = {"sh", "-c", "cat; echo err >&2; echo out", NULL};
    const char *const environment[] = {"PATH=/usr/bin:/bin", NULL};
    SpawnSpec spec = {.path = "/bin/sh", .argv = argv, .envp = environment};
    Spawned result = spawn_and_wait(spec);

    g_assert_cmpint(result.error, ==, 0);
    g_assert_cmpint(result.status, ==, 0);
    g_assert_cmpstr(result.out, ==, "inout\n");
    g_assert_cmpstr(result.err, ==, "err\n");
    spec.error = SPAWN_OUTPUT;
    result = spawn_and_wait(spec);
    g_assert_cmpstr(result.out, ==, "inerr\nout\n");
    g_assert_cmpstr(result.err, ==, "");
}

/* The first directory that has it wins; what is missing or may not be run is passed over. */
static void test_search(void)
{
    g_autofree char *directory = g_dir_make_tmp("process-XXXXXX", NULL);
    g_autofree char *other = g_build_filename(directory, "other", NULL);
    g_autofree char *plain = g_build_filename(directory, "tool", NULL);
    g_autofree char *tool = g_build_filename(other, "tool", NULL);
    g_autofree char *search = g_strdup_printf("/nonexistent:%s:%s", directory, other);
    const char *const argv[] = {"tool", "argument", NULL};
    const char *const environment[] = {"A=b", NULL};
    SpawnSpec spec = {.path = "tool", .argv = argv, .envp = environment, .search = search};
    Spawned result;

    g_assert_cmpint(g_mkdir(other, 0755), ==, 0);
    script_write(plain, "not to be run", 0644);
    g_assert_cmpint(spawn_and_wait(spec).error, ==, EACCES);
    script_write(tool, "echo $0 $1 $A\n", 0755); /* no magic bytes: for the shell */
    result = spawn_and_wait(spec);
    g_assert_cmpint(result.error, ==, 0);
    g_assert_true(g_str_has_suffix(result.out, "/other/tool argument b\n"));
    spec.path = tool; /* a slash: not looked for */
    g_assert_cmpint(spawn_and_wait(spec).error, ==, 0);
    spec.search = NULL; /* and a hook without magic bytes stays an error */
    g_assert_cmpint(spawn_and_wait(spec).error, ==, ENOEXEC);
    spec.search = search;
    spec.path = "missing";
    g_unlink(plain);
    g_assert_cmpint(spawn_and_wait(spec).error, ==, ENOENT);
    spec.path = "";
    g_assert_cmpint(spawn_and_wait(spec).error, ==, ENOENT);
    g_unlink(tool);
    g_rmdir(other);
    g_assert_cmpint(g_rmdir(directory), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/spawner/cannot_be_started", test_cannot_start);
    g_test_add_func("/spawner/no_descriptors_left", test_no_descriptors);
    g_test_add_func("/spawner/stuck_exec_stops_nobody", test_stuck_exec);
    g_test_add_func("/spawner/three_streams", test_streams);
    g_test_add_func("/spawner/program_is_searched", test_search);
    return g_test_run();
}
