// SPDX-License-Identifier: Apache-2.0
// `yagura key …`: on a running server through its admin socket, on a stopped one in its directory.
#ifndef YG_MAIN_KEYS_H
#define YG_MAIN_KEYS_H

#include "meta/meta.h"
#include "net/net.h"

// The command; argv begins after "key". Returns the process's exit code.
int yg_keys_command(int argc, char *const *argv);

// Routes of the admin socket (DIR/admin.sock, mode 0600): req->ctx = struct yg_meta **, set once
// recovery is done.
extern const struct yg_route yg_keys_admin_routes[];

#endif
