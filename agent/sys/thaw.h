/*
 * thaw: the one system call by which the service itself can thaw.
 *
 * A seam at link time: test builds take tests/fake/keeper_fake_ops.c in its place.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

/* FITHAW. Returns 0 or an errno value; EINVAL: it is not frozen. May block for any time. */
int thaw_filesystem(int fd);
