/*
 * busapp: an application that takes part over D-Bus, for the tests in the virtual machine.
 *
 * busapp NAME ORDER ON-FAILURE. Appends "NAME VERB" to /run/hook.log as hooks of the tests do. A
 * file /run/busapp/NAME-VERB changes the answer: "hang" gives none, other text refuses with it.
 * /run/busapp/NAME appears when it is registered. Ends when its guard hangs up, with "NAME hang-up"
 * in the log.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#define OBJECT "/app"

static const char *name;

static void check(int result, const char *what)
{
    if (result >= 0)
        return;
    fprintf(stderr, "busapp: %s: %s\n", what, strerror(-result));
    exit(1);
}

static void note(const char *what)
{
    char line[128];
    int fd = open("/run/hook.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    int length = snprintf(line, sizeof line, "%s %s\n", name, what);

    if (fd < 0 || write(fd, line, (size_t)length) != length)
        exit(1);
    close(fd);
}

static int asked(sd_bus_message *message, void *data, sd_bus_error *error)
{
    char verb[16], path[128], text[128] = "";
    FILE *file;

    (void)data;
    snprintf(verb, sizeof verb, "%s", sd_bus_message_get_member(message));
    verb[0] = (char)(verb[0] - 'A' + 'a');
    note(verb);
    snprintf(path, sizeof path, "/run/busapp/%s-%s", name, verb);
    file = fopen(path, "re");
    if (file) {
        (void)!fgets(text, sizeof text, file);
        fclose(file);
    }
    if (strcmp(text, "hang") == 0)
        return 1;
    if (text[0])
        return sd_bus_error_set(error, "com.example.NotNow", text);
    return sd_bus_reply_method_return(message, "");
}

static const sd_bus_vtable VTABLE[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD("Prepare", "a{sv}", "", asked, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Freeze", "a{sv}", "", asked, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Thaw", "a{sv}", "", asked, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_METHOD("Abort", "a{sv}", "", asked, SD_BUS_VTABLE_UNPRIVILEGED),
    SD_BUS_VTABLE_END,
};

static int take_part(sd_bus *bus, unsigned order, const char *policy)
{
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *reply = NULL;
    int guard = -1;

    if (sd_bus_call_method(bus, "org.quiesced", "/org/quiesced", "org.quiesced.Manager1",
                           "Register", &error, &reply, "soa{sv}", name, OBJECT, 3, "order", "u",
                           order, "on-failure", "s", policy, "timeout-ms", "u", 6000) < 0) {
        fprintf(stderr, "busapp: %s\n", error.message);
        exit(1);
    }
    check(sd_bus_message_read(reply, "h", &guard), "the guard");
    guard = fcntl(guard, F_DUPFD_CLOEXEC, 3);
    sd_bus_message_unref(reply);
    return guard;
}

int main(int argc, char **argv)
{
    sd_bus *bus = NULL;
    char path[128];
    int guard, result;

    if (argc != 4)
        return 2;
    name = argv[1];
    check(sd_bus_open_system(&bus), "the bus");
    check(sd_bus_add_object_vtable(bus, NULL, OBJECT, "org.quiesced.Participant1", VTABLE, NULL),
          "the object");
    guard = take_part(bus, (unsigned)atoi(argv[2]), argv[3]);
    (void)mkdir("/run/busapp", 0755);
    snprintf(path, sizeof path, "/run/busapp/%s", name);
    close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    for (;;) {
        struct pollfd fds[] = {{.fd = guard, .events = POLLIN}, {.fd = sd_bus_get_fd(bus)}};

        while ((result = sd_bus_process(bus, NULL)) > 0)
            ;
        if (result < 0 && result != -ENOTCONN && result != -ECONNRESET)
            return 1;
        fds[1].events = result < 0 ? 0 : POLLIN;
        if (result < 0)
            fds[1].fd = -1; /* the bus went; the guard still stands for both sides */
        if (poll(fds, 2, -1) > 0 && fds[0].revents) {
            note("hang-up");
            return 0;
        }
    }
}
