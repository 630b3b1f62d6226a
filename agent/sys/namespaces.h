/*
 * namespaces: the mount namespaces of this system besides the agent's own.
 *
 * Found by what /proc/PID/ns/mnt names, each once. A process is only a way in: its number may be
 * somebody else's by the time it is used, so every use checks that it still is in the namespace,
 * through one directory fd of /proc/PID, and looks for another process when it is not.
 *
 * Reads procfs and nothing else, which waits for no disk, but takes its time with many processes:
 * for offload threads. Not for the main loop.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* A mount table is read for each; a node with many containers has some hundreds. */
#define NAMESPACES_MAX 4096u

typedef struct {
    uint64_t inode; /* 0: the agent's own */
    int pid;        /* a process in it; 0: none, a file keeps it (unshare --mount=FILE) */
    bool rooted;    /* the root of `pid` is the namespace's; else it has to be entered */
} Namespace;

/* New array of Namespace, by process number; never the agent's own. What could not be looked at is
 * named in `*ret_unseen` (NULL: nothing; to be freed). Processes that vanish are no such thing. */
GArray *namespaces_scan(const char *procfs, char **ret_unseen);
/* Adds the namespace a file keeps, unless it is there. `root` is mountinfo's: "mnt:[4026532201]" */
void namespaces_add_kept(GArray *namespaces, const char *root);

/* Each returns a new fd or a negative errno; ENODEV: the namespace is no more. */
int namespace_mountinfo(const char *procfs, const Namespace *space); /* its mount table */
int namespace_root(const char *procfs, const Namespace *space); /* O_PATH; ENXIO: must be entered */
int namespace_open(const char *procfs, const Namespace *space); /* for setns() */

/* Runs `func` in a thread whose root, working directory and mount namespace are nobody else's, and
 * waits for it. fds are the caller's. What func() returns, or a negative errno. In a foreign
 * namespace every path is hostile: func() may call the kernel, but no library that opens files. */
int namespace_run(int (*func)(gpointer data), gpointer data);
